/**
 * The program as a process of its own, ended by SIGKILL before and after every write of what it does. Its hosts live on.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, inject } from "vitest"
import { Inventory } from "../../src/services/Inventory.ts"
import * as Crashing from "../program/Crashing.ts"
import * as Program from "../program/Program.ts"
import * as Served from "./Served.ts"
import * as Table from "./Table.ts"

beforeAll(Crashing.build)
const cells: Array<Table.Cell> = []
afterAll(() => Table.write(inject("crashParts"), "kill", cells))

const start = (served: Served.Served, env: Readonly<Record<string, string>>) =>
  Program.start(served.arguments, { entry: Crashing.entry, env })

const succeed = (program: Program.Program, path: string) =>
  Effect.map(program.get(path), (answer) => {
    assert.notProperty(answer, "error", path)
    return answer
  })

/** What can be asked for: `path` of the first thing that it can be asked of. */
interface Ask {
  readonly kind: string
  readonly name: string
  readonly path: Effect.Effect<string, unknown, Inventory>
}

const vmWith = (path: (id: number) => string) =>
  Effect.gen(function* () {
    const [vm] = yield* (yield* Inventory).vms()
    assert(vm !== undefined, "there is a VM")
    return path(vm.id)
  })
const volumeIn = (state: string, path: (id: number) => string) =>
  Effect.gen(function* () {
    const volume = (yield* (yield* Inventory).volumes()).find((one) => one.state === state)
    assert(volume !== undefined, `there is a volume that is ${state}`)
    return path(volume.id)
  })

/** Both ways once undisturbed; then one way at all of its points, and the other. */
const everywhere = Effect.fnUntraced(function* (given: ReadonlyArray<string>, there: Ask, back: Ask) {
  const served = yield* Served.make
  const points = join(served.folder, "points")
  const plan = yield* Effect.gen(function* () {
    const program = yield* start(served, { POINTS: points })
    yield* Effect.forEach(given, (path) => succeed(program, path))
    const found: Array<{ readonly ask: Ask; readonly point: string }> = []
    for (const ask of [there, back]) {
      yield* Served.atRest(served)
      rmSync(points, { force: true })
      yield* succeed(program, yield* Served.look(served, ask.path))
      const passed = new Set(readFileSync(points, "utf8").trim().split("\n"))
      assert.isAbove(passed.size, 5)
      for (const point of passed) found.push({ ask, point })
    }
    return found
  }).pipe(Effect.scoped)
  for (const { ask, point } of plan) {
    yield* Effect.gen(function* () {
      const program = yield* start(served, { CRASH_AT: point })
      // the life before it is finished by this one
      yield* Served.atRest(served)
      yield* Effect.either(program.get(yield* Served.look(served, ask.path)))
      const status = yield* Effect.timeoutFail(program.exited, {
        duration: "20 seconds",
        onTimeout: () => new Program.ProgramError({ message: `${ask.name}: it lived on beyond ${point}` })
      })
      assert.isNull(status, `${ask.name} ends at ${point}`)
    }).pipe(Effect.scoped)
  }
  yield* start(served, {})
  yield* Served.atRest(served)
  for (const { kind, name } of [there, back]) {
    const passed = plan.filter(({ ask }) => ask.name === name).length
    cells.push({ kind, scenario: `${name}, in a pool`, what: "SIGKILL", passed })
  }
  return yield* Served.look(
    served,
    Effect.flatMap(Inventory, (inventory) => Effect.all({ vms: inventory.vms(), volumes: inventory.volumes() }))
  ).pipe(Effect.map((left) => ({ ...left, plan })))
})

describe("kill -9 of the program before and after every write, and the next one finishes", () => {
  it.scopedLive(
    "creating and destroying a VM, attaching and detaching a volume",
    () =>
      Effect.gen(function* () {
        const volumes = Array.from({ length: 14 }, (_, i) => `/volume/create?name=v${i}&size=1`)
        const [made, moved] = yield* Effect.all(
          [
            everywhere(
              // the image is known from then on
              ["/vm/create?name=first&instance_type=1"],
              { kind: "CreateVm", name: "creating a VM", path: Effect.succeed("/vm/create?name=born&instance_type=1") },
              { kind: "DestroyVm", name: "destroying a VM", path: vmWith((id) => `/vm/destroy?vmid=${id}`) }
            ),
            everywhere(
              ["/vm/create?name=user&instance_type=1", ...volumes],
              {
                kind: "AttachVolume",
                name: "attaching",
                path: volumeIn("available", (id) => `/volume/attach?vmid=1&volumeid=${id}`)
              },
              {
                kind: "DetachVolume",
                name: "detaching",
                path: volumeIn("attached", (id) => `/volume/detach?volumeid=${id}`)
              }
            )
          ],
          { concurrency: 2 }
        )
        const count = (kind: string) => made.plan.filter(({ ask }) => ask.kind === kind).length
        // what was not yet written when the program ended was not begun; all else is done
        assert.lengthOf(made.vms, 1 + count("CreateVm") - 1 - (count("DestroyVm") - 1))
        assert.isTrue(moved.volumes.every(({ state }) => state === "available"))
      }),
    // only ends what hangs: a program is started for each point
    900_000
  )
})
