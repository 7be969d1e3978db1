/**
 * New volumes a second: by Ceph's session, by the driver, by the whole program, and by one `rbd` command for each.
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { VolumeId } from "../../src/domain/Ids.ts"
import { compare, type Figure, interleave } from "./Figure.ts"
import type * as Lab from "./Lab.ts"
import * as Pool from "./Pool.ts"
import { type Failed, run } from "./Process.ts"
import * as Program from "./Program.ts"

const section = "volumes"
const rounds = 3
/** how many at once, and how many in a round */
const loads = [
  { parallel: 1, count: 10 },
  { parallel: 8, count: 32 },
  { parallel: 32, count: 64 }
] as const
/** how many are removed at once, between the rounds */
const removing = { concurrency: 16, discard: true } as const

export const measure = (lab: Lab.Lab) =>
  Effect.gen(function* () {
    yield* Program.build
    const pool = yield* Pool.open(lab, [])
    const { ceph, driver } = pool
    const work = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-bench-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    const program = yield* Program.serveFiles(Program.fromBuild, lab, join(work, "vmfabric.sqlite"), lab.cephArgs)

    let last = 100_000
    const names = (count: number) => Array.from({ length: count }, () => `bench-${++last}`)
    const rate = <A>(
      count: number,
      create: Effect.Effect<A, Failed>,
      remove: (made: A) => Effect.Effect<unknown, Failed>
    ): Effect.Effect<number, Failed> =>
      Effect.gen(function* () {
        const started = performance.now()
        const made = yield* create
        const elapsed = performance.now() - started
        yield* remove(made)
        return (count / elapsed) * 1000
      })

    const session = (count: number, parallel: number) =>
      Effect.suspend(() => {
        const all = names(count)
        const create = Effect.forEach(all, (name) => ceph.create(name, 1024 ** 3), {
          concurrency: parallel,
          discard: true
        })
        return rate(count, create, () => Effect.forEach(all, ceph.remove, removing))
      })
    const byDriver = (count: number, parallel: number) =>
      Effect.gen(function* () {
        const operationId = yield* Pool.newOperation
        const all = Array.from({ length: count }, () => VolumeId.make(++last))
        const request = { size: 1, name: "bench", operationId, source: null }
        const create = Effect.forEach(all, (id) => driver.createVolume({ id, host: null }, request), {
          concurrency: parallel,
          discard: true
        })
        return yield* rate(count, create, () => Effect.forEach(all, (id) => ceph.remove(`volume-${id}`), removing))
      })
    const rest = (count: number, parallel: number) =>
      rate(
        count,
        Effect.forEach(
          Array.from({ length: count }, (_, i) => i),
          (i) => program.made("volumeid", `/volume/create?name=bench-${i}&size=1`),
          { concurrency: parallel }
        ),
        Effect.forEach(
          (id) =>
            Effect.zipRight(
              program.done(`/volume/destroy?volumeid=${id}`),
              program.done(`/volume/purge?volumeid=${id}`)
            ),
          removing
        )
      )
    const command = (count: number, parallel: number) =>
      Effect.suspend(() => {
        const all = names(count)
        const argv = ["xargs", "-P", String(parallel), "-I", "NAME", ...Pool.rbd.here(lab)] as const
        const create = run([...argv, "create", "--size", "1G", "NAME"], { seconds: 120, input: all.join("\n") })
        return rate(count, create, () => Effect.forEach(all, ceph.remove, removing))
      })

    const figures: Array<Figure> = []
    for (const { count, parallel } of loads) {
      const ways = [
        { name: "command", round: command(count, parallel) },
        { name: "session", round: session(count, parallel) },
        { name: "driver", round: byDriver(count, parallel) },
        { name: "rest", round: rest(count, parallel) }
      ] as const
      yield* Effect.forEach(ways, ({ round }) => round)
      const rates = yield* interleave(rounds, ways)
      const figure = (what: string, name: (typeof ways)[number]["name"]): Figure => ({
        section,
        what: `${parallel} at once: ${what}`,
        unit: "volumes/s",
        values: rates(name)
      })
      const versus = (what: string, name: "session" | "driver" | "rest"): Figure => ({
        ...figure(what, name),
        against: compare("rbd create", rates(name), rates("command"))
      })
      figures.push(
        figure("rbd create", "command"),
        versus("ours, one call of the session", "session"),
        versus("ours, by the driver", "driver"),
        versus("ours, by REST", "rest")
      )
    }
    return figures
  })
