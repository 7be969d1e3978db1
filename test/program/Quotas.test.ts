/** What users may have, held by a program that is killed while many ask it at once. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Served from "../crash/Served.ts"
import * as Program from "./Program.ts"

const Body = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const decodeBody = Schema.decodeUnknownSync(Body)
const decodeItems = Schema.decodeUnknownSync(
  Schema.Struct({ items: Schema.Array(Schema.Struct({ id: Schema.Int, owner: Schema.NullOr(Schema.String) })) })
)

class Unanswered extends Schema.TaggedError<Unanswered>()("Unanswered", { message: Schema.String }) {}

const has = 5
const wanted = 40

/** A call of `/api/v1`, which waits for an operation's end; fails when the program is gone. */
const ask = (url: string, method: string, path: string, body?: object, token?: string, prefer = "wait=60") =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(`${url}/api/v1${path}`, {
        method,
        signal,
        headers: {
          "content-type": "application/json",
          prefer,
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` })
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      return { status: response.status, json: decodeBody(response.status === 204 ? {} : await response.json()) }
    },
    catch: (cause) => new Unanswered({ message: String(cause) })
  })

describe("a quota for five", () => {
  it.scopedLive(
    "is never exceeded by forty at once with several tokens, nor by what was under way when the program was killed",
    () =>
      Effect.gen(function* () {
        const served = yield* Served.make
        const tokens: Array<string> = []
        /** the admin's, from the first on */
        let admin: string | undefined
        const prepare = (url: string) =>
          Effect.gen(function* () {
            const tokenOf = (owner: string) =>
              Effect.map(ask(url, "POST", "/tokens", { name: owner, owner }, admin), ({ json }) => String(json.secret))
            yield* ask(url, "POST", "/users", { name: "root", role: "admin" })
            yield* ask(url, "POST", "/users", { name: "ada", role: "operator", quota: { vms: has } })
            admin = yield* tokenOf("root")
            for (let i = 0; i < 3; i++) tokens.push(yield* tokenOf("ada"))
          })
        /** All at once, each by another token than the one before. */
        const create = (url: string, round: string, prefer?: string, answered = Effect.void) =>
          Effect.forEach(
            Array.from({ length: wanted }, (_, index) => index),
            (index) => {
              const body = { name: `${round}-${index}`, instanceType: tid }
              const asked = ask(url, "POST", "/vms", body, tokens[index % tokens.length], prefer)
              return Effect.either(Effect.tap(asked, answered))
            },
            { concurrency: "unbounded" }
          )
        const vms = (url: string) =>
          Effect.map(ask(url, "GET", "/vms", undefined, admin), ({ json }) =>
            decodeItems(json).items.filter(({ owner }) => owner === "ada")
          )
        const used = (url: string) =>
          Effect.map(ask(url, "GET", "/users/ada", undefined, admin), ({ json }) => json.used)
        const [{ tid, cpu, ram }] = Served.types
        const of = (count: number) => ({
          vms: count,
          cpu: cpu * count,
          ram: ram * count,
          volumes: 0,
          volumeSize: 0
        })

        // killed as soon as so many were answered, at their beginning or at their end
        for (const [round, [answers, prefer]] of (
          [
            [1, ""],
            [2, "wait=60"]
          ] as const
        ).entries()) {
          yield* Effect.gen(function* () {
            const program = yield* Program.start(served.arguments)
            if (round === 0) yield* prepare(program.url)
            let left: number = answers
            const answered = Effect.suspend(() => (--left === 0 ? program.kill("SIGKILL") : Effect.void))
            yield* create(program.url, `cut-${round}`, prefer, answered)
            assert.isNull(yield* program.exited)
          }).pipe(Effect.scoped)

          yield* Effect.gen(function* () {
            const { url } = yield* Program.start(served.arguments)
            yield* Served.atRest(served)
            const left = yield* vms(url)
            // what was begun is brought to its end, and no more was begun
            assert.isAtLeast(left.length, 1)
            assert.isAtMost(left.length, has)
            assert.deepStrictEqual(yield* used(url), of(left.length))
            // as many as there is room for, and no more
            const asked = yield* create(url, `whole-${round}`)
            const made = asked.filter((one) => one._tag === "Right" && one.right.status === 200)
            assert.lengthOf(made, has - left.length)
            for (const one of asked) {
              assert(one._tag === "Right")
              if (one.right.status !== 200) assert.deepInclude(one.right.json, { code: "quota_exceeded" })
            }
            const all = yield* vms(url)
            assert.lengthOf(all, has)
            assert.deepStrictEqual(yield* used(url), of(has))
            // the original's routes refuse in their own way
            const old = yield* Effect.promise(() =>
              fetch(`${url}/vm/create?name=old&instance_type=1`, { headers: { authorization: `Bearer ${tokens[0]}` } })
            )
            assert.deepStrictEqual(
              [old.status, yield* Effect.promise(() => old.json())],
              [
                200,
                {
                  vmid: 0,
                  error:
                    "the quota of ada has 5 VMs (5 used, 1 more asked for): ask for less, destroy VMs that ada does not need, or have an admin raise the quota"
                }
              ]
            )
            // nothing leaks
            yield* Effect.forEach(all, ({ id }) => ask(url, "DELETE", `/vms/${id}`, undefined, admin), {
              concurrency: "unbounded"
            })
            assert.deepStrictEqual(yield* used(url), of(0))
          }).pipe(Effect.scoped)
        }
      }),
    240_000
  )
})
