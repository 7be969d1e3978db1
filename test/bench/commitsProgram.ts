/**
 * One of several committers, each a thread with an engine of its own that knows of the others what it has read in the log that they share. It decides,
 * and commits under a lock if nobody has changed meanwhile what it decided by, which is the chosen host and the request's group; else it decides
 * again. Whoever commits counts in arrays that no engine reads, and ends all with an error when a limit or a must-rule is broken.
 */
import { parentPort, workerData } from "node:worker_threads"
import { HostId } from "../../src/domain/Ids.ts"
import * as Resources from "../../src/domain/Resources.ts"
import * as Engine from "../../src/scheduler/Engine.ts"
import type { Request, Rule } from "../../src/scheduler/Rules.ts"
import * as Shared from "./CommitsShared.ts"

const { committers, decisions, memory, number } = Shared.decodeGiven(workerData)
const shared = Shared.view(memory)
const { control, cpu, disk, log, members, membersByRack, ram } = shared

const capacity = { cpu: 128, ram: 131_072, disk: 2000 }
const nameOf = (group: number): string => `group-${group}`
const labels = (host: number) => ({ rack: `rack-${Shared.rackOf(host)}`, disk: host % 3 === 0 ? "ssd" : "hdd" })

const engine = Engine.make({ shapes: 64 })
for (let host = 0; host < Shared.hosts; host++) {
  const id = HostId.make(host + 1)
  engine.set({
    id,
    name: `host-${host}`,
    capacity,
    headroom: Resources.zero,
    closed: null,
    labels: labels(host),
    offer: null
  })
}

/** -1: the VM asks for nothing but room, or only about hosts */
interface Wanted {
  readonly request: Request
  readonly kind: "room" | "ssd" | "apart" | "apart by rack" | "near by rack"
  readonly group: number
}

/** After so many decisions a committer asks for other sizes. */
const turnsASize = 600

let turn = 0
const next = (): Wanted => {
  // three of twelve sizes at a time, each committer other ones: what an engine knows of the others falls behind by more than it keeps
  const size = (3 * (Math.floor(turn / turnsASize) + number) + (turn % 3)) % 12
  const resources = { cpu: 1 << (size % 4), ram: 2048 << (size % 3), disk: 20 }
  // a group is of all committers that are about as far
  const group = Math.floor(turn / 40) % Shared.groups
  const rule = (rule: Rule): Request => ({ resources, rules: [rule] })
  switch (turn++ % 10) {
    case 5:
      return {
        kind: "ssd",
        group: -1,
        request: rule({ strength: "must", kind: "hosts", label: "disk", is: "in", values: ["ssd"] })
      }
    case 6:
    case 7:
      return {
        kind: "apart",
        group: 3 * group,
        request: rule({ strength: "must", kind: "apart", group: nameOf(3 * group), over: "host" })
      }
    case 8: {
      const over = { label: "rack" }
      return {
        kind: "apart by rack",
        group: 3 * group + 1,
        request: rule({ strength: "must", kind: "apart", group: nameOf(3 * group + 1), over })
      }
    }
    case 9: {
      const over = { label: "rack" }
      return {
        kind: "near by rack",
        group: 3 * group + 2,
        request: rule({ strength: "must", kind: "near", group: nameOf(3 * group + 2), over })
      }
    }
    default:
      return { kind: "room", group: -1, request: { resources } }
  }
}

let read = 0
/** Whether what it learnt was of that host or group. */
const learn = (host: number, group: number): boolean => {
  const written = Atomics.load(control, Shared.at.written)
  if (written - read > Shared.logLength) throw new Error("a committer has fallen behind the log")
  let isConcerned = false
  for (; read < written; read++) {
    const from = (read % Shared.logLength) * Shared.logFields
    const [sign = 0, where = 0, vcpus = 0, mebibytes = 0, gibibytes = 0, of = -1] = log.subarray(
      from,
      from + Shared.logFields
    )
    if (where === host || (of >= 0 && of === group)) isConcerned = true
    const names = of < 0 ? [] : [nameOf(of)]
    const resources = { cpu: vcpus, ram: mebibytes, disk: gibibytes }
    const id = HostId.make(where + 1)
    if (sign > 0) engine.reserve(id, resources, names)
    else if (!engine.release(id, resources, names)) throw new Error(`no such VM on host ${where}`)
  }
  return isConcerned
}

const append = (sign: 1 | -1, host: number, { group, request }: Wanted): void => {
  const { resources } = request
  const written = Atomics.load(control, Shared.at.written)
  const entry = [sign, host, resources.cpu, resources.ram, resources.disk, group]
  log.set(entry, (written % Shared.logLength) * Shared.logFields)
  cpu[host] = (cpu[host] ?? 0) + sign * resources.cpu
  ram[host] = (ram[host] ?? 0) + sign * resources.ram
  disk[host] = (disk[host] ?? 0) + sign * resources.disk
  if (group >= 0) {
    const [one, rack] = [group * Shared.hosts + host, group * Shared.racks + Shared.rackOf(host)]
    members[one] = (members[one] ?? 0) + sign
    membersByRack[rack] = (membersByRack[rack] ?? 0) + sign
  }
  Atomics.store(control, Shared.at.written, written + 1)
}

const membersIn = (group: number): number => {
  let sum = 0
  for (let rack = 0; rack < Shared.racks; rack++) sum += membersByRack[group * Shared.racks + rack] ?? 0
  return sum
}

/** What would be broken there before the VM is counted, by the counts alone; null: nothing. */
const brokenBy = ({ group, kind, request }: Wanted, host: number): string | null => {
  const { resources } = request
  if ((cpu[host] ?? 0) + resources.cpu > capacity.cpu) return `the vCPUs of host ${host}`
  if ((ram[host] ?? 0) + resources.ram > capacity.ram) return `the memory of host ${host}`
  if ((disk[host] ?? 0) + resources.disk > capacity.disk) return `the disk of host ${host}`
  const inRack = membersByRack[group * Shared.racks + Shared.rackOf(host)] ?? 0
  switch (kind) {
    case "room":
      return null
    case "ssd":
      return host % 3 === 0 ? null : `host ${host} has no SSD`
    case "apart":
      return (members[group * Shared.hosts + host] ?? 0) === 0 ? null : `host ${host} has one of group ${group}`
    case "apart by rack":
      return inRack === 0 ? null : `the rack of host ${host} has one of group ${group}`
    case "near by rack":
      return inRack > 0 || membersIn(group) === 0 ? null : `the rack of host ${host} has nobody of group ${group}`
  }
}

const there: Array<{ readonly host: number; readonly wanted: Wanted } | undefined> = []
const kept = Math.floor(Shared.vms / committers)
const count = { made: 0, again: 0, refused: 0 }

const decide = (): void => {
  const wanted = next()
  for (;;) {
    learn(-1, -1)
    const choice = engine.place(wanted.request)
    const host = choice === null ? -1 : choice.hostId - 1
    Shared.lock(control)
    try {
      const before = read
      const isStale = learn(host, wanted.group)
      // what came free elsewhere may be of use to one that found nothing
      if (isStale || (host < 0 && read !== before)) {
        count.again++
        continue
      }
      if (host < 0) {
        for (let other = 0; other < Shared.hosts; other++) {
          if (brokenBy(wanted, other) === null) throw new Error(`refused, and host ${other} could have taken it`)
        }
        count.refused++
        return
      }
      const broken = brokenBy(wanted, host)
      if (broken !== null) throw new Error(`broken: ${broken}`)
      append(1, host, wanted)
      const leaving = there[count.made % kept]
      if (leaving !== undefined) append(-1, leaving.host, leaving.wanted)
      there[count.made % kept] = { host, wanted }
      count.made++
      return
    } finally {
      Shared.unlock(control)
    }
  }
}

// every committer counts its refusals as decisions: they are judged too
const mine = Math.floor(decisions / committers) + (number < decisions % committers ? 1 : 0)
for (let i = 0; i < mine; i++) {
  // whoever has ended with an error ends all
  if (i % 1024 === 0 && Atomics.load(control, Shared.at.ended) > 0) break
  decide()
}
// the others may still write, and nobody reads for it any longer
parentPort?.postMessage(count, [])
