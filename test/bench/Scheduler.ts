/**
 * Placements by the scheduler alone, on fleets of two sizes, and by the engine, whose cost should not depend on the size.
 */
import * as Effect from "effect/Effect"
import * as HostDomain from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import * as Resources from "../../src/domain/Resources.ts"
import * as Engine from "../../src/scheduler/Engine.ts"
import * as Kept from "../../src/scheduler/Kept.ts"
import type { Request } from "../../src/scheduler/Rules.ts"
import type { Candidate } from "../../src/services/Scheduler.ts"
import { compare, type Figure, interleave } from "./Figure.ts"

const section = "scheduler"
const wanted = { cpu: 2, ram: 2048, disk: 20 }

/** How many VMs of 2 vCPUs, 2 GiB and 20 GiB are on a host: unevenly, and the same every time; one host in eight is full. */
export const promisedVms = (i: number): number => (i % 8 === 0 ? 64 : (i * 7919) % 60)

/** A fleet that is in use. */
export const fleet = (size: number): ReadonlyArray<Candidate> =>
  Array.from({ length: size }, (_, i) => {
    const vms = promisedVms(i)
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
export const onePass = (candidates: ReadonlyArray<Candidate>) => {
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

/** Tells how many milliseconds of CPU time this process has had since: what else the machine does is no part of it. */
const watched = () => {
  const began = process.cpuUsage()
  return () => {
    const { system, user } = process.cpuUsage(began)
    return (system + user) / 1000
  }
}

/** How often a second of CPU time, for `milliseconds`. */
const rate = (milliseconds: number, f: () => unknown) =>
  Effect.sync(() => {
    const started = performance.now()
    const used = watched()
    let count = 0
    for (; performance.now() - started < milliseconds; count++) f()
    return (count / used()) * 1000
  })

const scans = Effect.gen(function* () {
  const figures: Array<Figure> = []
  for (const size of [200, 10_000]) {
    const candidates = fleet(size)
    const raw = onePass(candidates)
    const kept = Kept.make()
    const place = () => kept.place({ resources: wanted, exclude: new Map() }, candidates)
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

export const sizes = [1000, 5000, 20_000, 100_000] as const

/** What is asked for in turn: sizes alone, on hosts with a label, and apart from the group's others over hosts and over racks. */
const requests = (turn: number): { readonly request: Request; readonly groups: ReadonlyArray<string> } => {
  const resources = { cpu: 1 << (turn % 3), ram: 2048 << (turn % 4 === 0 ? 1 : 0), disk: 20 }
  const group = `group-${Math.floor(turn / 80)}`
  switch (turn % 8) {
    case 5:
      return {
        request: { resources, rules: [{ strength: "must", kind: "hosts", label: "disk", is: "in", values: ["ssd"] }] },
        groups: []
      }
    case 6:
      return {
        request: { resources, rules: [{ strength: "must", kind: "apart", group, over: "host" }] },
        groups: [group]
      }
    case 7:
      return {
        request: { resources, rules: [{ strength: "should", kind: "apart", group, over: { label: "rack" } }] },
        groups: [group]
      }
    default:
      return { request: { resources }, groups: [] }
  }
}

/** As many racks of 40 hosts as it takes, in use unevenly and the same every time. */
const engineOf = (size: number): Engine.Engine => {
  const engine = Engine.make({ shapes: 64 })
  for (let i = 0; i < size; i++) {
    const id = HostId.make(i + 1)
    engine.set({
      id,
      name: `host-${i}`,
      capacity: { cpu: 128, ram: 131_072, disk: 2000 },
      headroom: Resources.zero,
      closed: null,
      labels: { rack: `rack-${Math.floor(i / 40)}`, disk: i % 3 === 0 ? "ssd" : "hdd" },
      offer: null
    })
    const vms = promisedVms(i)
    engine.reserve(id, { cpu: vms * 2, ram: vms * 2048, disk: vms * 20 })
  }
  return engine
}

/** VMs come, and the one that came 1,000 before goes: decisions, each with what it changes, and how long each took (ms). */
export const traffic = (size: number) => {
  const engine = engineOf(size)
  const there: Array<() => void> = []
  let turn = 0
  const decide = (): void => {
    const { groups, request } = requests(turn)
    const choice = engine.place(request)
    if (choice === null) throw new Error(`no host of ${size} can take ${JSON.stringify(request)}`)
    engine.reserve(choice.hostId, request.resources, groups)
    there[turn % 1000]?.()
    there[turn % 1000] = () => void engine.release(choice.hostId, request.resources, groups)
    turn++
  }
  const started = performance.now()
  for (let i = 0; i < 48; i++) decide()
  const first = performance.now() - started
  for (let i = 0; i < 2000; i++) decide()
  const slowest: Array<number> = []
  const round = Effect.sync(() => {
    const times: Array<number> = []
    const begun = performance.now()
    const used = watched()
    let at = begun
    while (at - begun < 300) {
      decide()
      const now = performance.now()
      times.push(now - at)
      at = now
    }
    const rate = (times.length / used()) * 1000
    slowest.push(times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? Number.NaN)
    return rate
  })
  return { first, round, slowest }
}

const engines = Effect.gen(function* () {
  const fleets = sizes.map((size) => ({ size, ...traffic(size), scan: onePass(fleet(size)) }))
  const rates = yield* interleave(
    5,
    fleets.flatMap(({ round, scan, size }) => [
      { name: `engine ${size}`, round },
      { name: `scan ${size}`, round: rate(100, scan) }
    ])
  )
  const cost = (size: number) => rates(`engine ${size}`).map((value) => 1e6 / value)
  return fleets.flatMap(({ first, size, slowest }): ReadonlyArray<Figure> => {
    const hosts = `of ${size.toLocaleString("en")} hosts by the engine`
    const values = rates(`engine ${size}`)
    const wanted = size === 5000 ? 20_000 : size === 100_000 ? 5000 : undefined
    return [
      {
        section,
        what: `one ${hosts}`,
        unit: "placements/s",
        values,
        against: compare("one pass over the numbers", values, rates(`scan ${size}`)),
        ...(wanted === undefined ? {} : { target: { of: "median", kind: "at least", value: wanted } })
      },
      {
        section,
        what: `the slowest of 100, one ${hosts}`,
        unit: "ms",
        values: slowest,
        ...(size === 100_000 ? { target: { of: "median", kind: "at most", value: 1 } } : {})
      },
      { section, what: `the first 48 of all shapes, one ${hosts}`, unit: "ms", values: [first] },
      ...(size === 100_000
        ? [
            {
              section,
              what: `cost of one ${hosts}`,
              unit: "µs",
              values: cost(size),
              against: compare("one of 1,000", cost(size), cost(1000)),
              target: { of: "ratio", kind: "at most", value: 1.5 } as const
            }
          ]
        : [])
    ]
  })
})

export const measure = Effect.gen(function* () {
  return [...(yield* scans), ...(yield* engines)]
})
