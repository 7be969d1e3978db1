/**
 * One call each of what is done with images in Ceph: in our open session, and by the `rbd` command.
 */
import * as Effect from "effect/Effect"
import { compare, type Figure, interleave, milliseconds } from "./Figure.ts"
import type { Lab } from "./Lab.ts"
import * as Pool from "./Pool.ts"
import { type Failed, run } from "./Process.ts"

const section = "rbd"
const rounds = 15
const calls = ["create", "look", "rename", "remove", "clone"] as const
type Call = (typeof calls)[number]

const from = { image: "bench-base", snapshot: "base" }
const gibibyte = 1024 ** 3

export const measure = (lab: Lab) =>
  Effect.gen(function* () {
    const { ceph } = yield* Pool.open(lab, [])
    yield* Effect.acquireRelease(
      Effect.all([
        ceph.create(from.image, gibibyte),
        ceph.createSnapshot(from.image, from.snapshot),
        ceph.protectSnapshot(from.image, from.snapshot)
      ]),
      () => Effect.ignore(Effect.zipRight(ceph.removeSnapshot(from.image, from.snapshot), ceph.remove(from.image)))
    )
    const rbd = (...args: ReadonlyArray<string>) => run([...Pool.rbd.here(lab), ...args])

    /** All calls in this order, on images of these two names and their clone. */
    const way = (all: Readonly<Record<Call, Effect.Effect<unknown, Failed>>>, tidy: Effect.Effect<unknown, Failed>) => {
      const times: Record<Call, Array<number>> = { create: [], look: [], rename: [], remove: [], clone: [] }
      const round = Effect.gen(function* () {
        let total = 0
        for (const call of calls) {
          const elapsed = yield* milliseconds(all[call])
          times[call].push(elapsed)
          total += elapsed
        }
        yield* tidy
        return total
      })
      return { times, round }
    }
    const ours = way(
      {
        create: ceph.create("bench-ours", gibibyte),
        look: ceph.look("bench-ours"),
        rename: ceph.rename("bench-ours", "bench-ours-2"),
        remove: ceph.remove("bench-ours-2"),
        clone: ceph.clone(from, "bench-ours-3")
      },
      ceph.remove("bench-ours-3")
    )
    const theirs = way(
      {
        create: rbd("create", "--size", "1G", "bench-theirs"),
        look: rbd("info", "--format", "json", "bench-theirs"),
        rename: rbd("rename", "bench-theirs", "bench-theirs-2"),
        remove: rbd("remove", "--no-progress", "bench-theirs-2"),
        clone: rbd("clone", `${from.image}@${from.snapshot}`, `${ceph.pool}/bench-theirs-3`)
      },
      rbd("remove", "--no-progress", "bench-theirs-3")
    )
    yield* Effect.repeatN(ours.round, 2)
    for (const call of calls) ours.times[call].length = 0
    yield* interleave(rounds, [
      { name: "ours", round: ours.round },
      { name: "rbd", round: theirs.round }
    ])
    return calls.flatMap((call): ReadonlyArray<Figure> => {
      const figure = (what: string, values: ReadonlyArray<number>) => ({ section, what, unit: "ms/call", values })
      return [
        figure(`${call}: the rbd command`, theirs.times[call]),
        {
          ...figure(`${call}: ours`, ours.times[call]),
          against: compare("the rbd command", ours.times[call], theirs.times[call])
        }
      ]
    })
  })
