/** A program that goes on with an older copy of its database: what has happened since is told, and nothing of it is touched. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { copyFileSync, existsSync, readdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import * as Served from "../crash/Served.ts"
import * as World from "../fabric/World.ts"
import * as Program from "./Program.ts"

const isMade = Schema.decodeUnknown(Schema.Struct({ vmid: Schema.Int.pipe(Schema.positive()) }))
const isDone = Schema.decodeUnknown(Schema.Struct({ status: Schema.Literal(1) }))
const Foreign = Schema.Struct({
  foreign: Schema.Array(Schema.Struct({ what: Schema.String, name: Schema.String }))
})
const Drift = Schema.Struct({ drift: Schema.Array(Schema.Struct({ vmid: Schema.Int, field: Schema.String })) })

/** How a copy is made of the database, while the program runs or after. */
interface Copied {
  readonly running: (program: Program.Program, database: string, copy: string) => Effect.Effect<void>
  readonly stopped: (database: string, copy: string) => void
}

const afterStop: Copied = { running: () => Effect.void, stopped: copyFileSync }

const whileRunning: Copied = {
  running: ({ url }, database, copy) =>
    Effect.promise(async () => {
      const answer = await fetch(`${url}/api/v1/backup`)
      assert.strictEqual(answer.status, 200)
      assert.match(
        answer.headers.get("content-disposition") ?? "",
        /^attachment; filename="vmfabric-\d{8}T\d{6}Z\.db"$/
      )
      writeFileSync(copy, new Uint8Array(await answer.arrayBuffer()))
      assert.include(await (await fetch(`${url}/api/v1/audit`)).text(), "/api/v1/backup", "who took it is known")
      // all that a copy needed is gone, also while the program goes on
      assert.deepStrictEqual(
        readdirSync(dirname(database)).filter((name) => name.includes("copy-")),
        []
      )
    }),
  stopped: () => {}
}

describe("an older copy of the database", () => {
  it.scopedLive.each([
    ["made after a stop", afterStop],
    ["taken while the program ran", whileRunning]
  ] as const)(
    "%s is whole, and what was made and destroyed since is told and left alone",
    ([, copied]) =>
      Effect.gen(function* () {
        const served = yield* Served.make
        /** From a start to a stop, after which the file is all there is. */
        const life = <E, R>(use: (program: Program.Program) => Effect.Effect<void, E, R>) =>
          Effect.scoped(
            Effect.gen(function* () {
              const program = yield* Program.start(served.arguments)
              yield* use(program)
              yield* program.kill("SIGTERM")
              assert.strictEqual(yield* program.exited, 0)
              assert.isFalse(existsSync(`${served.database}-wal`))
            })
          )
        const create = (program: Program.Program, name: string) =>
          program.get(`/vm/create?name=${name}&instance_type=1`)
        const made = (program: Program.Program, name: string) => Effect.flatMap(create(program, name), isMade)
        const copy = `${served.database}.copy`

        yield* life((program) =>
          made(program, "kept").pipe(
            Effect.zipRight(made(program, "gone")),
            Effect.zipRight(copied.running(program, served.database, copy))
          )
        )
        copied.stopped(served.database, copy)
        yield* life((program) =>
          Effect.zipRight(Effect.flatMap(program.get("/vm/destroy?vmid=2"), isDone), made(program, "since"))
        )
        copyFileSync(copy, served.database)
        yield* life((program) =>
          Effect.gen(function* () {
            const told = World.eventually(
              Effect.gen(function* () {
                const { foreign } = yield* Schema.decodeUnknown(Foreign)(yield* program.get("/foreign/list"))
                assert.deepStrictEqual(
                  foreign.map(({ name, what }) => [what, name]),
                  [
                    ["domain", "vm-3"],
                    ["root disk", "vm-3-root"]
                  ]
                )
                const { drift } = yield* Schema.decodeUnknown(Drift)(yield* program.get("/drift/list"))
                assert.deepStrictEqual(
                  drift.map(({ field, vmid }) => [vmid, field]),
                  [
                    [2, "domain"],
                    [2, "power"]
                  ]
                )
              })
            )
            yield* told
            // its number is free again here, and taken there
            assert.include(String((yield* create(program, "newer")).error), "vm-3-root is there already")
            yield* told
            // the number after it is free on both
            assert.deepStrictEqual(yield* create(program, "newest"), { vmid: 4 })
          })
        )
      }),
    240_000
  )
})
