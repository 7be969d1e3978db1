/**
 * Placements by the scheduler alone, on fleets of two sizes.
 */
import * as Effect from "effect/Effect"
import * as HostDomain from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import * as Place from "../../src/scheduler/Place.ts"
import type { Candidate } from "../../src/services/Scheduler.ts"
import { compare, type Figure, interleave } from "./Figure.ts"

const section = "scheduler"
const wanted = { cpu: 2, ram: 2048, disk: 20 }

/** A fleet that is in use, unevenly and the same every time; one host in eight is full. */
const fleet = (size: number): ReadonlyArray<Candidate> =>
  Array.from({ length: size }, (_, i) => {
    const vms = i % 8 === 0 ? 64 : (i * 7919) % 60
    return {
      host: new HostDomain.Host({
        id: HostId.make(i + 1),
        config: HostDomain.defaultConfig({ user: "root", host: `host-${i}`, port: 22 }),
        facts: {
          hostname: `host-${i}`,
          uuid: `00000000-0000-4000-8000-${i.toString(16).padStart(12, "0")}`,
          libvirtVersion: "9.0.0",
          resources: { cpu: 32, ram: 131_072, disk: 2000 },
          arch: "x86_64",
          domainType: "kvm",
          network: "default"
        }
      }),
      status: { _tag: "Up" },
      promised: { cpu: vms * 2, ram: vms * 2048, disk: vms * 20 },
      vms
    }
  })

/** The operation itself: one pass over the same numbers in arrays, no reasons kept. */
const onePass = (candidates: ReadonlyArray<Candidate>) => {
  const rows = candidates.map(({ host, promised }) => ({ promised, capacity: host.capacity ?? promised }))
  return () => {
    let best = -1
    let least = Number.POSITIVE_INFINITY
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]
      if (row === undefined) continue
      const { capacity, promised } = row
      const share = Math.max(
        (promised.cpu + wanted.cpu) / capacity.cpu,
        (promised.ram + wanted.ram) / capacity.ram,
        (promised.disk + wanted.disk) / capacity.disk
      )
      if (share <= 1 && share < least) {
        least = share
        best = i
      }
    }
    return best
  }
}

/** How often a second, for `milliseconds`. */
const rate = (milliseconds: number, f: () => unknown) =>
  Effect.sync(() => {
    const started = performance.now()
    let count = 0
    let elapsed = 0
    for (; elapsed < milliseconds; elapsed = performance.now() - started, count++) f()
    return (count / elapsed) * 1000
  })

export const measure = Effect.gen(function* () {
  const figures: Array<Figure> = []
  for (const size of [200, 10_000]) {
    const candidates = fleet(size)
    const raw = onePass(candidates)
    const place = () => Place.place({ resources: wanted, exclude: new Map() }, candidates)
    yield* rate(500, place)
    const rates = yield* interleave(5, [
      { name: "ours", round: rate(400, place) },
      { name: "raw", round: rate(400, raw) }
    ])
    figures.push({
      section,
      what: `one of ${size.toLocaleString("en")} hosts`,
      unit: "placements/s",
      values: rates("ours"),
      against: compare("one pass over the numbers", rates("ours"), rates("raw"))
    })
  }
  return figures
})
