/** Plans of moves, each step judged apart from the planner: by limits counted anew, and by the rules of all VMs. */
import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { Host } from "../../src/domain/Host.ts"
import { HostId, VmId } from "../../src/domain/Ids.ts"
import * as Placement from "../../src/domain/Placement.ts"
import * as Resources from "../../src/domain/Resources.ts"
import * as Rebalance from "../../src/scheduler/Rebalance.ts"
import * as Violations from "../../src/scheduler/Violations.ts"
import type { Candidate } from "../../src/services/Scheduler.ts"
import { candidate } from "../contracts/SchedulerContract.ts"

type Guests = ReadonlyArray<Rebalance.Guest>

const there = (guests: Guests, host: HostId) => guests.filter(({ hostId }) => hostId === host)

const sum = (guests: Guests): Resources.Resources =>
  Resources.map((name) => guests.reduce((all, { resources }) => all + resources[name], 0))

interface HostGiven {
  readonly room: number
  readonly rack: string | null
  readonly maintenance: boolean
}

const hostsOf = (given: ReadonlyArray<HostGiven>, guests: Guests): ReadonlyArray<Candidate> =>
  given.map(({ maintenance, rack, room }, index) => {
    const id = HostId.make(index + 1)
    const here = there(guests, id)
    const one = candidate(index + 1, { cpu: room, ram: room, disk: 100 }, { maintenance })
    const labels: Record<string, string> = rack === null ? {} : { rack }
    return {
      ...one,
      // vCPUs are not what is short here
      host: new Host({ ...one.host, config: { ...one.host.config, labels, overcommit: { cpu: 1, ram: 1, disk: 1 } } }),
      promised: sum(here),
      vms: here.length,
      groups: here.flatMap(({ placement }) => Placement.countedIn(placement))
    }
  })

const guestOf = (
  id: number,
  host: number,
  ram: number,
  asked: Placement.Asked = {},
  fixed: string | null = null
): Rebalance.Guest => ({
  id: VmId.make(id),
  name: `vm${id}`,
  hostId: HostId.make(host),
  nics: [],
  placement: Either.getOrThrow(Placement.make(asked)),
  resources: { cpu: 1, ram, disk: 1 },
  networks: [],
  disk: id % 2,
  fixed
})

const placed = (guests: Guests, id: VmId, to: HostId): Guests =>
  guests.map((guest) => (guest.id === id ? { ...guest, hostId: to } : guest))

const broken = (guests: Guests, hosts: ReadonlyArray<Candidate>): ReadonlyArray<string> =>
  [...Violations.of(guests, guests, hosts)].flatMap(([id, all]) =>
    all.flatMap(({ rule }) =>
      // the same rule twice is two rules
      rule.strength === "must"
        ? [`${id} ${guests.find((guest) => guest.id === id)?.placement?.rules.indexOf(rule) ?? -1}`]
        : []
    )
  )

/** Why a move is not allowed; undefined: it is. */
const against = (guests: Guests, hosts: ReadonlyArray<Candidate>, id: VmId, to: HostId): string | undefined => {
  const guest = guests.find((one) => one.id === id)
  const target = hosts.find(({ host }) => host.id === to)
  if (guest === undefined || target === undefined || target.host.capacity === null) return "there is no such thing"
  if (guest.hostId === to) return "it is there"
  if (guest.fixed !== null) return "it is fixed"
  if (target.host.maintenance) return "it is in maintenance"
  const { capacity } = target.host
  const after = placed(guests, id, to)
  const promised = sum(there(after, to))
  if (Resources.names.some((name) => promised[name] > capacity[name])) return "there is no room"
  const was = new Set(broken(guests, hosts))
  const more = broken(after, hosts).filter((one) => !was.has(one) || one.startsWith(`${id} `))
  return more.length > 0 ? `rules ${more.join(", ")}` : undefined
}

/** Whether single moves, no VM twice, lead there: all orders are tried. */
const isReachable = (
  guests: Guests,
  hosts: ReadonlyArray<Candidate>,
  pool: ReadonlyArray<VmId>,
  isDone: (guests: Guests) => boolean,
  known = new Set<string>()
): boolean => {
  if (isDone(guests)) return true
  const key = guests.map(({ hostId }) => hostId).join(" ")
  if (known.has(key)) return false
  known.add(key)
  return pool.some((id) =>
    hosts.some(
      ({ host }) =>
        against(guests, hosts, id, host.id) === undefined &&
        isReachable(
          placed(guests, id, host.id),
          hosts,
          pool.filter((other) => other !== id),
          isDone,
          known
        )
    )
  )
}

/** VMs whose rules are broken, and those that such a rule is about. */
const concerned = (guests: Guests, hosts: ReadonlyArray<Candidate>): ReadonlySet<VmId> => {
  const rules = [...Violations.of(guests, guests, hosts)].flatMap(([id, broken]) =>
    broken.flatMap(({ rule }) => (rule.strength === "must" ? [{ id, rule }] : []))
  )
  return new Set(
    guests.flatMap(({ id, placement }) =>
      rules.some(
        (one) =>
          one.id === id ||
          ("group" in one.rule && one.rule.group === placement?.group) ||
          ("vms" in one.rule && one.rule.vms.includes(id))
      )
        ? [id]
        : []
    )
  )
}

const group = FastCheck.constantFrom("x", "y")
const over = FastCheck.constantFrom("host", "rack")
const strength = FastCheck.constantFrom("must" as const, "must" as const, "should" as const)
const rule: FastCheck.Arbitrary<Placement.AskedRule> = FastCheck.oneof(
  FastCheck.record({ strength, kind: FastCheck.constantFrom("near" as const, "apart" as const), group, over }),
  FastCheck.record({ strength, kind: FastCheck.constant("evenly" as const), group, over }),
  FastCheck.record({
    strength,
    kind: FastCheck.constantFrom("on" as const, "notOn" as const),
    label: FastCheck.constant("rack"),
    values: FastCheck.constantFrom(["a"], ["b"])
  }),
  FastCheck.record({ strength, kind: FastCheck.constant("notWith" as const), vms: FastCheck.constant([VmId.make(1)]) })
)

/** Tiny fleets, whose rules need not hold. */
const worlds = FastCheck.record({
  hosts: FastCheck.array(
    FastCheck.record({
      room: FastCheck.integer({ min: 3, max: 10 }),
      rack: FastCheck.constantFrom("a", "b", null),
      maintenance: FastCheck.constantFrom(false, false, false, true)
    }),
    { minLength: 2, maxLength: 4 }
  ),
  vms: FastCheck.array(
    FastCheck.record({
      host: FastCheck.nat(3),
      ram: FastCheck.integer({ min: 1, max: 4 }),
      asked: FastCheck.record({
        group: FastCheck.constantFrom("x", "y", null),
        rules: FastCheck.array(rule, { maxLength: 2 })
      }),
      fixed: FastCheck.constantFrom(null, null, null, null, null, "it is kept there")
    }),
    { minLength: 1, maxLength: 5 }
  ),
  policy: FastCheck.constantFrom("spread" as const, "pack" as const, "balance" as const)
}).map(({ hosts, policy, vms }) => {
  const guests = vms.map(({ asked, fixed, host, ram }, i) =>
    guestOf(i + 1, (host % hosts.length) + 1, ram, asked, fixed)
  )
  return { guests, hosts: hostsOf(hosts, guests), policy }
})

const shareOf = (guests: Guests, { host }: Candidate): number =>
  Rebalance.share(sum(there(guests, host.id)), host.capacity)

/** Makes the moves one by one; where all are in the end, and each with its gain as the aim counts it. */
const replayed = (
  plan: Rebalance.Plan,
  guests: Guests,
  hosts: ReadonlyArray<Candidate>,
  gainOf: (before: Guests, after: Guests, move: Rebalance.Move) => number
): Guests =>
  plan.moves.reduce((now, move) => {
    assert.isUndefined(against(now, hosts, move.vmId, move.to), `VM ${move.vmId} to ${move.to}`)
    const guest = now.find(({ id }) => id === move.vmId)
    assert.strictEqual(guest?.hostId, move.from)
    assert.deepStrictEqual(
      [move.memory, move.disk],
      [(guest?.resources.ram ?? 0) * 1024 ** 2, (guest?.disk ?? 0) * 1024 ** 3]
    )
    const after = placed(now, move.vmId, move.to)
    assert.approximately(move.gain, gainOf(now, after, move), 1e-9)
    return after
  }, guests)

const figuresOf = (guests: Guests, hosts: ReadonlyArray<Candidate>): Rebalance.Figures => {
  const open = hosts.filter(({ host }) => !host.maintenance)
  const shares = open.map((one) => shareOf(guests, one))
  const occupied = open.filter(({ host }) => there(guests, host.id).length > 0).length
  return {
    highest: Math.max(0, ...shares),
    mean: open.length === 0 ? 0 : shares.reduce((a, b) => a + b, 0) / open.length,
    occupied,
    empty: open.length - occupied,
    broken: broken(guests, hosts).length
  }
}

const all = { moves: Rebalance.most.moves }

describe("Rebalance", () => {
  it("gains with every move, breaks no limit and no rule that held, and tells true figures", () => {
    let moves = 0
    let emptied = 0
    FastCheck.assert(
      FastCheck.property(worlds, ({ guests, hosts, policy }) => {
        const plan = Rebalance.plan(hosts, guests, { aim: { kind: "policy" }, policy, ...all })
        const after = replayed(plan, guests, hosts, (before, after, { from, to }) => {
          const [source, target] = [from, to].map((id) => hosts.find(({ host }) => host.id === id))
          assert(source !== undefined && target !== undefined)
          if (policy === "pack") return 1 / there(guests, from).length
          const gain = shareOf(before, source) - Math.max(shareOf(after, source), shareOf(after, target))
          assert.isAtLeast(gain, Rebalance.leastGain)
          return gain
        })
        assert.deepStrictEqual(plan.before, figuresOf(guests, hosts))
        assert.deepStrictEqual(plan.after, figuresOf(after, hosts))
        assert.isTrue(plan.isWhole)
        moves += plan.moves.length
        if (policy === "pack") {
          const gains = plan.moves.reduce((sum, { gain }) => sum + gain, 0)
          assert.approximately(gains, plan.after.empty - plan.before.empty, 1e-9)
          emptied += plan.after.empty - plan.before.empty
        } else assert.isAtMost(plan.after.highest, plan.before.highest)
      }),
      { numRuns: 1000 }
    )
    assert.isTrue(moves > 200 && emptied > 20, `${moves} moves, ${emptied} hosts emptied`)
  })

  it("empties a host whenever single moves of its VMs can, and else says of each VM that stays why", () => {
    let emptied = 0
    let refused = 0
    FastCheck.assert(
      FastCheck.property(worlds, ({ guests, hosts, policy }) => {
        const host = HostId.make(1)
        const here = there(guests, host)
        const plan = Rebalance.plan(hosts, guests, { aim: { kind: "empty", host }, policy, ...all })
        const after = replayed(plan, guests, hosts, () => 1 / here.length)
        assert.deepStrictEqual(plan.after, figuresOf(after, hosts))
        const isEmpty = (guests: Guests) => there(guests, host).length === 0
        const pool = here.map(({ id }) => id)
        assert.strictEqual(isEmpty(after), isReachable(guests, hosts, pool, isEmpty))
        assert.sameMembers(
          plan.stuck.map(({ vmId }) => vmId),
          there(after, host).map(({ id }) => id)
        )
        for (const { reason, refusal, vmId } of plan.stuck) {
          const fixed = guests.find(({ id }) => id === vmId)?.fixed ?? null
          if (fixed !== null) assert.deepStrictEqual([reason, refusal], [fixed, null])
          const barred = (refusal?.barred ?? []).reduce((sum, { count }) => sum + count, 0)
          if (refusal !== null && reason === "no other host can take it") assert.isAtLeast(barred, hosts.length)
        }
        if (isEmpty(after)) emptied += here.length > 0 ? 1 : 0
        else refused++
      }),
      { numRuns: 1000 }
    )
    assert.isTrue(emptied > 100 && refused > 100, `${emptied} emptied, ${refused} not`)
  })

  it("makes rules hold again whenever single moves do, also of VMs that no broken rule is about", () => {
    let repaired = 0
    let helped = 0
    FastCheck.assert(
      FastCheck.property(worlds, ({ guests, hosts, policy }) => {
        const plan = Rebalance.plan(hosts, guests, { aim: { kind: "repair" }, policy, ...all })
        const after = replayed(
          plan,
          guests,
          hosts,
          (before, after) => broken(before, hosts).length - broken(after, hosts).length
        )
        assert.deepStrictEqual(plan.after, figuresOf(after, hosts))
        assert.sameMembers(
          plan.stuck.map(({ vmId }) => vmId),
          [...Violations.of(after, after, hosts)].flatMap(([id, rules]) =>
            rules.some(({ rule }) => rule.strength === "must") ? [id] : []
          )
        )
        const isWhole = (guests: Guests) => broken(guests, hosts).length === 0
        if (isWhole(guests)) return assert.lengthOf(plan.moves, 0)
        const everybody = guests.map(({ id }) => id)
        assert.strictEqual(isWhole(after), isReachable(guests, hosts, everybody, isWhole))
        if (isWhole(after)) {
          repaired++
          const about = concerned(guests, hosts)
          if (plan.moves.some(({ vmId }) => !about.has(vmId))) helped++
        }
      }),
      { numRuns: 1000 }
    )
    assert.isTrue(repaired > 50 && helped > 5, `${repaired} repaired, ${helped} with others that made room`)
  })

  it("makes the rules of one VM hold again whenever single moves do", () => {
    let repaired = 0
    FastCheck.assert(
      FastCheck.property(worlds, FastCheck.nat(4), ({ guests, hosts, policy }, which) => {
        const vm = VmId.make((which % guests.length) + 1)
        const isWhole = (guests: Guests) => !broken(guests, hosts).some((one) => one.startsWith(`${vm} `))
        const plan = Rebalance.plan(hosts, guests, { aim: { kind: "repair", vm }, policy, ...all })
        const after = replayed(
          plan,
          guests,
          hosts,
          (before, after) => broken(before, hosts).length - broken(after, hosts).length
        )
        assert.deepStrictEqual(
          plan.stuck.map(({ vmId }) => vmId),
          isWhole(after) ? [] : [vm]
        )
        if (isWhole(guests)) return assert.lengthOf(plan.moves, 0)
        const everybody = guests.map(({ id }) => id)
        assert.strictEqual(isWhole(after), isReachable(guests, hosts, everybody, isWhole))
        if (isWhole(after)) repaired++
      }),
      { numRuns: 1000 }
    )
    assert.isAbove(repaired, 50)
  })

  it("has the fewest VMs make room on a fleet that is too large to try all", () => {
    // VM 1 must be in rack a, whose only host is full of one large VM and of small ones; all other hosts have room
    const room = 20
    const given = Array.from({ length: 100 }, (_, i) => ({ room, rack: i === 99 ? "a" : "b", maintenance: false }))
    const guests = [
      guestOf(1, 1, 4, { rules: [{ kind: "on", label: "rack", values: ["a"] }] }),
      ...Array.from({ length: 8 }, (_, i) => guestOf(i + 2, 100, 1)),
      guestOf(10, 100, 5),
      guestOf(11, 100, 7, {}, "it is kept there"),
      ...Array.from({ length: 200 }, (_, i) => guestOf(i + 12, (i % 99) + 1, 4))
    ]
    const hosts = hostsOf(given, guests)
    const plan = Rebalance.plan(hosts, guests, { aim: { kind: "repair" }, policy: "spread", ...all })
    assert.deepStrictEqual(
      plan.moves.map(({ gain, to, vmId }) => [vmId, gain, to === 100]),
      [
        [VmId.make(10), 0, false],
        [VmId.make(1), 1, true]
      ]
    )
    assert.deepStrictEqual([plan.before.broken, plan.after.broken, plan.isWhole, plan.stuck], [1, 0, true, []])
  })

  it("says what keeps a VM where it is, and shows no more moves than it may", () => {
    const guests = [
      ...Array.from({ length: 5 }, (_, i) => guestOf(i + 1, 1, 1)),
      guestOf(6, 1, 6),
      guestOf(7, 1, 1, {}, "its volume 3 (data) is kept in a folder of its host")
    ]
    const hosts = hostsOf(
      [16, 8, 5].map((room) => ({ room, rack: null, maintenance: false })),
      guests
    )
    const plan = Rebalance.plan(hosts, guests, {
      aim: { kind: "empty", host: HostId.make(1) },
      policy: "spread",
      moves: 2
    })
    assert.deepStrictEqual([plan.moves.length, plan.further], [2, 4])
    assert.deepStrictEqual(
      plan.stuck.map(({ reason, vmId }) => [vmId, reason]),
      [[VmId.make(7), "its volume 3 (data) is kept in a folder of its host"]]
    )
    const large = [guestOf(1, 1, 7), guestOf(2, 2, 6)]
    const two = hostsOf(
      [16, 8].map((room) => ({ room, rack: null, maintenance: false })),
      large
    )
    const none = Rebalance.plan(two, large, {
      aim: { kind: "empty", host: HostId.make(1) },
      policy: "spread",
      moves: 2
    })
    assert.deepStrictEqual(
      none.stuck.map(({ reason, refusal }) => [reason, refusal?.barred.flatMap(({ reasons }) => reasons)]),
      [["no other host can take it", ["it is there", "memory short by 5 MiB"]]]
    )
  })

  it("ends within its bounds at thousands of hosts", () => {
    const given = Array.from({ length: 3000 }, (_, i) => ({ room: 80, rack: `r${i % 100}`, maintenance: false }))
    const guests = Array.from({ length: 30_000 }, (_, i) =>
      guestOf(i + 1, (i % 1500) + 1, 1 + (i % 3), i % 50 === 0 ? { group: "x", rules: [{ kind: "apart" }] } : {})
    )
    const hosts = hostsOf(given, [])
    const promised = new Map<HostId, Array<Rebalance.Guest>>()
    for (const guest of guests) promised.set(guest.hostId, [...(promised.get(guest.hostId) ?? []), guest])
    const full = hosts.map((one) => ({ ...one, promised: sum(promised.get(one.host.id) ?? []) }))
    for (const policy of ["spread", "pack"] as const) {
      const plan = Rebalance.plan(full, guests, { aim: { kind: "policy" }, policy, moves: 100 })
      assert.isAbove(plan.moves.length, 0, policy)
    }
    const repair = Rebalance.plan(full, guests, { aim: { kind: "repair" }, policy: "spread", moves: 100 })
    assert.isAtMost(repair.after.broken, repair.before.broken)
  })

  it("judges a group that is to be even in many pieces", () => {
    const given = Array.from({ length: 300 }, (_, i) => ({ room: 80, rack: `r${i % 10}`, maintenance: false }))
    const guests = Array.from({ length: 400 }, (_, i) =>
      guestOf(i + 1, (i % 20) + 1, 1, { group: "x", rules: [{ kind: "evenly", over: "rack", skew: 1 }] })
    )
    const options: Rebalance.Options = { aim: { kind: "repair" }, policy: "spread", moves: 100 }
    const hosts = hostsOf(given, guests)
    const work = Rebalance.steps(hosts, guests, options)
    let pieces = 1
    let last = work.next()
    for (; last.done !== true; last = work.next()) pieces++
    // a dozen VMs, for each of which all hosts are looked at, are one piece
    assert.isAbove(pieces, 400 / 16)
    assert.deepStrictEqual(last.value, Rebalance.plan(hosts, guests, options))
  })

  it("looks at many hosts and VMs, and tells of many hosts why they will not do, in many pieces", () => {
    const count = 2000
    const given = Array.from({ length: count }, () => ({ room: 8, rack: null, maintenance: false }))
    const guests = Array.from({ length: count }, (_, i) =>
      guestOf(i + 1, i + 1, 8, i === 0 ? { rules: [{ kind: "on", label: "rack", values: ["a"] }] } : {})
    )
    const hosts = hostsOf(given, []).map((one, i) => ({ ...one, promised: sum(guests.slice(i, i + 1)) }))
    const options: Rebalance.Options = { aim: { kind: "repair", vm: VmId.make(1) }, policy: "spread", moves: 10 }
    const work = Rebalance.steps(hosts, guests, options)
    let pieces = 1
    let last = work.next()
    for (; last.done !== true; last = work.next()) pieces++
    const [stuck] = last.value.stuck
    assert.strictEqual(stuck?.reason, "no other host can take it")
    assert.strictEqual(
      stuck?.refusal?.barred.reduce((all, { count }) => all + count, 0),
      count
    )
    // each host is tried in a piece of its own; beside that, all hosts and VMs are passed over several times
    assert.isAbove(pieces, count + 20)
  })
})
