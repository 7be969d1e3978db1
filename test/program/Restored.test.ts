/** A program that goes on with an older copy of its database: what has happened since is told, and nothing of it is touched. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { copyFileSync, existsSync } from "node:fs"
import * as Served from "../crash/Served.ts"
import * as World from "../fabric/World.ts"
import * as Program from "./Program.ts"

const isMade = Schema.decodeUnknown(Schema.Struct({ vmid: Schema.Int.pipe(Schema.positive()) }))
const isDone = Schema.decodeUnknown(Schema.Struct({ status: Schema.Literal(1) }))
const Foreign = Schema.Struct({
  foreign: Schema.Array(Schema.Struct({ what: Schema.String, name: Schema.String }))
})
const Drift = Schema.Struct({ drift: Schema.Array(Schema.Struct({ vmid: Schema.Int, field: Schema.String })) })

describe("an older copy of the database", () => {
  it.scopedLive(
    "made after a stop is whole, and what was made and destroyed since is told and left alone",
    () =>
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

        yield* life((program) => Effect.zipRight(made(program, "kept"), made(program, "gone")))
        copyFileSync(served.database, copy)
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
