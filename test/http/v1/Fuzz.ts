/** Requests that nobody would write, made from the OpenAPI document, and what is answered to them. */
import { assert } from "../../check/Equality.ts"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

const schemas = Contract.members(Contract.members(Contract.members(App.document).components).schemas)

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const oneOf = (arbitraries: ReadonlyArray<fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> => fc.oneof(...arbitraries)

/** What has nothing to do with a schema. */
const nonsense: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(
    null,
    true,
    -1,
    0,
    1.5,
    2 ** 53,
    1e300,
    "",
    " ",
    "\u0000",
    "\ud800",
    "🦆",
    "1",
    "null",
    "a".repeat(300)
  ),
  fc.string({ unit: "grapheme", maxLength: 12 }),
  fc.jsonValue({ maxDepth: 2 })
)

/** Values that are as the schema says, mostly small, so that ids are of something. */
const valid = (schema: unknown, depth = 0): fc.Arbitrary<unknown> => {
  const s = Contract.members(schema)
  if (typeof s.$ref === "string") return valid(schemas[s.$ref.split("/").at(-1) ?? ""], depth)
  if (Array.isArray(s.enum)) return fc.constantFrom<unknown>(...s.enum)
  if (Array.isArray(s.allOf)) return valid(s.allOf[0], depth)
  if (Array.isArray(s.anyOf)) return oneOf(s.anyOf.map((one) => valid(one, depth + 1)))
  switch (s.type) {
    case "integer":
    case "number": {
      const minimum = typeof s.minimum === "number" ? s.minimum : 0
      return fc.integer({ min: Math.ceil(minimum), max: Math.ceil(minimum) + 4 })
    }
    case "boolean":
      return fc.boolean()
    case "null":
      return fc.constant(null)
    case "array":
      return fc.array(valid(s.items, depth + 1), { maxLength: 3 })
    case "object": {
      const properties = Object.entries(Contract.members(s.properties))
      return fc.record(Object.fromEntries(properties.map(([name, one]) => [name, valid(one, depth + 1)])), {
        requiredKeys: list(s.required).map(String)
      })
    }
    default:
      if (s.format === "uri") {
        return fc.constantFrom(
          "https://receiver.example/",
          "https://127.0.0.1/",
          "http://[::1]/",
          "https://a:b@c/#d",
          "//"
        )
      }
      return s.format === "uuid"
        ? fc.uuid()
        : fc.oneof(fc.constantFrom("web", "data", "ada"), fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }))
  }
}

/** Mostly valid; else with something in it replaced, taken away or beside. */
const body = (schema: unknown) =>
  fc.oneof(
    { weight: 5, arbitrary: valid(schema) },
    {
      weight: 3,
      arbitrary: fc
        .tuple(valid(schema), fc.string({ maxLength: 8 }), nonsense, fc.nat(9))
        .map(([value, name, other, which]) => {
          const entries = Object.entries(Contract.members(value))
          if (entries.length === 0 || which > 7) return { ...Contract.members(value), [name]: other }
          const chosen = entries[which % entries.length]?.[0] ?? name
          return Object.fromEntries(
            entries.flatMap(([key, one]) => (key === chosen ? (which > 5 ? [] : [[key, other]]) : [[key, one]]))
          )
        })
    },
    { weight: 1, arbitrary: nonsense }
  )

/** What a header can hold. */
const sendable = (text: string) => /^[\x20-\x7e]+$/.test(text) && text.trim() === text

const headerValues: Readonly<Record<string, ReadonlyArray<string>>> = {
  prefer: ["wait=1", "wait=0", "respond-async", "wait=x", ","],
  "if-match": ["*", '"x"', 'W/"x"', "x", '"x", "y"', ","],
  "idempotency-key": ["a", "b", "a b", "k".repeat(256)]
}

interface Call {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string | undefined
}

const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value))

/** As a part of a path. `.` and `..`, however they are written, are none: a URL is without them before it is sent, and for something else. */
const inPath = (said: string): string => {
  const part = encodeURIComponent(said.replace(/[\ud800-\udfff]/gu, ""))
  return /^\.{1,2}$/.test(part) ? `${part}.7` : part
}

const callOf = ({ method, path, spec }: Contract.Operation): fc.Arbitrary<Call> => {
  const parameters = list(spec.parameters).map(Contract.members)
  const values = parameters.map(({ in: where, name, schema }) =>
    where === "header"
      ? fc.oneof(
          fc.constantFrom(...(headerValues[String(name).toLowerCase()] ?? ["7"])),
          fc.string({ maxLength: 12 }).filter(sendable)
        )
      : fc.oneof({ weight: 6, arbitrary: valid(schema) }, { weight: 1, arbitrary: nonsense })
  )
  const content = Contract.members(Contract.members(spec.requestBody).content)
  const { schema } = Contract.members(content["application/json"])
  return fc
    .tuple(
      fc.tuple(...values),
      fc.array(fc.integer({ min: 0, max: 7 }), { minLength: values.length, maxLength: values.length }),
      schema === undefined ? fc.constant(undefined) : body(schema),
      fc.integer({ min: 0, max: 19 })
    )
    .map(([given, chance, value, oddity]) => {
      let url = path
      const query = new URLSearchParams()
      const headers: Record<string, string> = {}
      for (const [index, { in: where, name, required }] of parameters.entries()) {
        const said = text(given[index]) ?? ""
        if (where === "path") url = url.replace(`{${String(name)}}`, inPath(said))
        else if (required !== true && (chance[index] ?? 0) > 0) continue
        else if (where === "query") query.append(String(name), said)
        else headers[String(name)] = said
      }
      const hasBody = value !== undefined
      if (hasBody) headers["content-type"] = oddity === 0 ? "text/plain" : "application/json"
      return {
        method,
        url: query.size === 0 ? url : `${url}?${String(query)}`,
        headers,
        body: hasBody ? (oddity === 1 ? "{" : JSON.stringify(value)) : undefined
      }
    })
}

const operations = Contract.operations(App.document)

/** How many of the document there are. */
export const endpoints = operations.length

const arbitrary = fc.oneof(...operations.map(callOf))

/** So many are asked of one controller, by a seed of their own: then nearly all that it had is gone, and another one has what ids lead to. */
const portion = 1000

export interface Report {
  readonly calls: number
  readonly statuses: ReadonlyMap<number, number>
  /** of endpoints: how often each was answered with success */
  readonly succeeded: ReadonlyMap<string, number>
}

/**
 * So many calls, one after the other, of a new controller each thousand. Fails as soon as one is answered with a 500, or with what the document does
 * not have; the call is told. `told`: after each thousand.
 */
export const run = Effect.fn("Fuzz.run")(function* (
  calls: number,
  seed: number,
  told: (report: Report) => void = () => undefined
) {
  const statuses = new Map<number, number>()
  const succeeded = new Map<string, number>()
  const some = Effect.fnUntraced(function* (requests: ReadonlyArray<Call>) {
    const { ask, done, get, send } = yield* App.make(App.fleet(2, 50))
    yield* ask("POST", "/vms/batch", { name: "web", instanceType: 1, count: 4 }, { prefer: "wait=20" })
    for (const name of ["data", "logs", "old"]) yield* done("POST", "/volumes", { name, size: 1 })
    yield* done("POST", "/volumes/1/snapshots", { name: "monday" })
    yield* ask("POST", "/users", { name: "ada", role: "admin", password: "the first admin of all" })
    yield* ask("POST", "/tokens", { name: "ci", owner: "ada" })
    yield* ask("POST", "/webhooks", { url: "https://receiver.example/" })
    for (const call of requests) {
      const { status } = yield* send(call.url, {
        method: call.method,
        headers: call.headers,
        ...(call.body === undefined ? {} : { body: call.body })
      }).pipe(Effect.tapDefect(() => Effect.sync(() => process.stderr.write(`${JSON.stringify(call)}\n`))))
      assert.notStrictEqual(status, 500, JSON.stringify(call))
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status >= 300) continue
      const id = Contract.find(App.document, call.method, call.url.split("?")[0] ?? "")?.id ?? ""
      succeeded.set(id, (succeeded.get(id) ?? 0) + 1)
    }
    // the controller is well
    yield* get("/vms")
  }, Effect.scoped)
  let made = 0
  while (made < calls) {
    const numRuns = Math.min(portion, calls - made)
    yield* some(fc.sample(arbitrary, { numRuns, seed: seed + made }))
    made += numRuns
    told({ calls: made, statuses, succeeded })
  }
  return { calls: made, statuses, succeeded } satisfies Report
})
