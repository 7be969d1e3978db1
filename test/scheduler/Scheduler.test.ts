import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as SchedulerLive from "../../layers/SchedulerLive.ts"
import * as SchedulerTest from "../../layers/SchedulerTest.ts"
import { Host, type HostFacts } from "../../src/domain/Host.ts"
import { HostId, InstanceTypeId, VmId } from "../../src/domain/Ids.ts"
import * as Placement from "../../src/domain/Placement.ts"
import * as Resources from "../../src/domain/Resources.ts"
import * as Kept from "../../src/scheduler/Kept.ts"
import type { Policy } from "../../src/scheduler/Score.ts"
import * as Violations from "../../src/scheduler/Violations.ts"
import { type Candidate, Scheduler } from "../../src/services/Scheduler.ts"
import {
  arbitraryCandidates,
  arbitraryRequest,
  candidate,
  request,
  schedulerContract
} from "../contracts/SchedulerContract.ts"

schedulerContract("SchedulerLive", SchedulerLive.layer)
schedulerContract("SchedulerLive, packing", SchedulerLive.layerPolicy("pack"))
schedulerContract("SchedulerTest", SchedulerTest.layer)
schedulerContract("SchedulerTest, scripted", SchedulerTest.layerScripted([3, 1, 2].map((id) => HostId.make(id))))

const has = { cpu: 40, ram: 40960, disk: 400 }
const small = { cpu: 1, ram: 512, disk: 1 }

/** Places one after the other, each promised before the next; gives the number of VMs by host. */
const fill = (
  candidates: ReadonlyArray<Candidate>,
  sizes: ReadonlyArray<Resources.Resources>,
  policy: Policy
): ReadonlyArray<number> => {
  const kept = Kept.make(policy)
  const end = sizes.reduce((now, size) => {
    const placement = kept.place(request(size), now)
    return now.map((one) =>
      placement._tag === "Placed" && one.host.id === placement.hostId
        ? { ...one, promised: Resources.map((name) => one.promised[name] + size[name]), vms: one.vms + 1 }
        : one
    )
  }, candidates)
  return end.map(({ vms }) => vms)
}

describe("usual sizes", () => {
  const two = [
    candidate(1, has, { promised: { cpu: 35, ram: 0, disk: 0 } }),
    candidate(2, has, { promised: { cpu: 36, ram: 0, disk: 0 } })
  ]
  const chosen = (layer: typeof SchedulerLive.layer, usual?: Resources.Resources) =>
    Effect.gen(function* () {
      const scheduler = yield* Scheduler
      const before = yield* scheduler.place(request(small), two)
      if (usual === undefined) return [before]
      yield* scheduler.expect?.([{ resources: usual, share: 1 }]) ?? Effect.die("nobody minds")
      return [before, yield* scheduler.place(request(small), two)]
    }).pipe(Effect.provide(layer))

  it.effect("leave room for one of them when a policy packs, and are told at any time", () =>
    Effect.gen(function* () {
      const pack = SchedulerLive.layerPolicy("pack")
      // the fuller host of the two, unless that is the last one for a VM of four vCPUs, and the other has one to spare
      assert.deepStrictEqual(yield* chosen(pack, { cpu: 4, ram: 512, disk: 1 }), [2, 1])
      assert.deepStrictEqual(yield* chosen(pack, small), [2, 2])
    })
  )

  it.effect("are nothing that a policy which spreads asks for", () =>
    Effect.gen(function* () {
      assert.isUndefined((yield* Scheduler).expect)
      assert.isDefined((yield* Effect.provide(Scheduler, SchedulerLive.layerPolicy("balance"))).expect)
    }).pipe(Effect.provide(SchedulerLive.layer))
  )
})

describe("networks", () => {
  const lan = { network: "lan", vlan: null }
  const withLan = (one: Candidate): Candidate => {
    const { facts } = one.host
    if (facts === null) throw new Error("it has not been reached")
    const networks = [
      { name: "lan", source: { kind: "bridge" as const, name: "br0" }, vlans: null, problem: null },
      { name: "old", source: { kind: "bridge" as const, name: "br9" }, vlans: null, problem: "it has no bridge br9" }
    ]
    return { ...one, host: new Host({ ...one.host, facts: { ...facts, networks } }) }
  }
  const three = [candidate(1, has), withLan(candidate(2, has, { vms: 3 })), candidate(3, has)]

  it("limit the hosts that can take it", () => {
    assert.deepStrictEqual(Kept.make().place({ ...request(small), networks: [lan] }, three), {
      _tag: "Placed",
      hostId: HostId.make(2)
    })
  })

  it("are told where they are missing", () => {
    const wanted = { ...request(small), networks: [{ network: "old", vlan: null }] }
    const placement = Kept.make().place(wanted, three)
    assert.deepStrictEqual(placement._tag === "Refused" ? placement.refusals.map(({ reason }) => reason) : [], [
      "it has no network old",
      "its network old cannot be used: it has no bridge br9",
      "it has no network old"
    ])
  })
})

describe("spread", () => {
  const chosen = (candidates: ReadonlyArray<Candidate>, policy?: Policy) => {
    const placement = Kept.make(policy).place(request(small), candidates)
    return placement._tag === "Placed" ? placement.hostId : null
  }

  it("puts 30 equal VMs on 3 equal hosts 10, 10 and 10", () => {
    const three = [candidate(1, has), candidate(2, has), candidate(3, has)]
    assert.deepStrictEqual(
      fill(
        three,
        Array.from({ length: 30 }, () => small),
        "spread"
      ),
      [10, 10, 10]
    )
  })

  it("gives a host twice the size twice as much", () => {
    const hosts = [
      candidate(1, has),
      candidate(
        2,
        Resources.map((name) => 2 * has[name])
      )
    ]
    assert.deepStrictEqual(
      fill(
        hosts,
        Array.from({ length: 30 }, () => small),
        "spread"
      ),
      [10, 20]
    )
  })

  it("looks at each host's scarcest resource", () => {
    const cpuTaken = candidate(1, has, { promised: { cpu: 30, ram: 0, disk: 0 } })
    const bitOfAll = candidate(2, has, { promised: { cpu: 20, ram: 20480, disk: 200 } })
    assert.strictEqual(chosen([cpuTaken, bitOfAll]), 2)
  })

  it("prefers the lowest id when shares are equal", () => {
    const promised = { cpu: 4, ram: 4096, disk: 40 }
    const four = candidate(4, has, { promised })
    const three = candidate(3, has, { promised })
    assert.strictEqual(chosen([four, three]), 3)
    assert.strictEqual(chosen([four, three], "pack"), 3)
  })

  it("does not depend on the order of the hosts", () => {
    FastCheck.assert(
      FastCheck.property(
        arbitraryCandidates.chain((candidates) =>
          FastCheck.tuple(
            FastCheck.constant(candidates),
            FastCheck.shuffledSubarray(candidates, { minLength: candidates.length })
          )
        ),
        arbitraryRequest,
        FastCheck.constantFrom("spread" as const, "pack" as const),
        ([candidates, shuffled], wanted, policy) => {
          const [one, other] = [candidates, shuffled].map((hosts) => Kept.make(policy).place(wanted, hosts))
          if (one?._tag === "Placed") assert.deepStrictEqual(other, one)
          else assert.strictEqual(other?._tag, "Refused")
        }
      ),
      { numRuns: 500 }
    )
  })

  it("keeps equal hosts within one VM of each other", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.integer({ min: 1, max: 8 }), FastCheck.nat(100), (hosts, vms) => {
        const counts = fill(
          Array.from({ length: hosts }, (_, i) => candidate(i + 1, { cpu: 1000, ram: 1e6, disk: 1000 })),
          Array.from({ length: vms }, () => small),
          "spread"
        )
        assert.isAtMost(Math.max(...counts) - Math.min(...counts), 1)
      }),
      { numRuns: 100 }
    )
  })
})

describe("pack", () => {
  it("fills one host after the other", () => {
    const three = [candidate(1, has), candidate(2, has), candidate(3, has)]
    assert.deepStrictEqual(
      fill(
        three,
        Array.from({ length: 50 }, () => small),
        "pack"
      ),
      [40, 10, 0]
    )
  })
})

describe("an engine that is kept", () => {
  it("decides as one that has just been made, whatever it was shown before", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.tuple(arbitraryCandidates, arbitraryRequest, FastCheck.nat()), {
          minLength: 2,
          maxLength: 6
        }),
        (steps) => {
          const kept = Kept.make()
          let before: ReadonlyArray<Candidate> = []
          for (const [drawn, wanted, some] of steps) {
            // some hosts as they were, the same values; some gone, some others, some come anew
            const stays = new Map(
              before.filter(({ host }) => (host.id + some) % 2 === 0).map((one) => [one.host.id, one])
            )
            const now = drawn.map((one) => stays.get(one.host.id) ?? one)
            assert.deepStrictEqual(kept.place(wanted, now), Kept.make().place(wanted, now))
            before = now
          }
        }
      ),
      { numRuns: 300 }
    )
  })
})

describe("SchedulerTest", () => {
  const three = [candidate(3, has), candidate(1, has), candidate(2, has)]
  const choices = (count: number) =>
    Effect.flatMap(Scheduler, (scheduler) =>
      Effect.all(Array.from({ length: count }, () => scheduler.place(request(small, [[2, "full of itself"]]), three)))
    )

  it.effect("takes the first by id", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* choices(2),
        [1, 1].map((id) => HostId.make(id))
      )
    }).pipe(Effect.provide(SchedulerTest.layer))
  )

  it.effect("follows its script where that is possible", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* choices(4),
        [3, 1, 3, 1].map((id) => HostId.make(id))
      )
    }).pipe(Effect.provide(SchedulerTest.layerScripted([3, 2, 3].map((id) => HostId.make(id)))))
  )
})

describe("what an instance type requires", () => {
  const tid = InstanceTypeId.make(7)
  const requires = { "host.cpu.feature.avx512f": ["yes"], "host.virt": ["kvm"] }
  const size = { cpu: 1, ram: 1, disk: 1 }
  const types = [
    { tid, ...size, requires },
    { tid: InstanceTypeId.make(8), ...size },
    { tid: InstanceTypeId.make(9), ...size, requires: { "host.cpu.feature.amx-tile": ["yes"] } }
  ]
  const on = (id: number, features: ReadonlyArray<string> | null, more: Partial<HostFacts> = {}): Candidate => {
    const bare = candidate(id, has)
    const { facts } = bare.host
    if (facts === null) return bare
    const told = { ...facts, ...(features === null ? {} : { features }), ...more }
    return { ...bare, host: new Host({ ...bare.host, facts: told }) }
  }
  const wanted = { ...request(size), placement: Placement.ofType(null, tid, requires) ?? { group: null, rules: [] } }
  const placed = (kept: Kept.Kept, hosts: ReadonlyArray<Candidate>) => {
    const placement = kept.place(wanted, hosts)
    return placement._tag === "Placed" ? placement.hostId : null
  }

  it("is looked for on hosts that come, change and go after it was asked for the first time", () => {
    const kept = Kept.make()
    const plain = on(1, ["sse2"])
    const vector = on(2, ["avx512f", "sse2"])
    assert.isNull(placed(kept, [plain]))
    assert.strictEqual(placed(kept, [plain, vector]), HostId.make(2))
    assert.isNull(placed(kept, [plain, on(2, ["sse2"])]), "it is told of another processor")
    assert.strictEqual(placed(kept, [plain, vector]), HostId.make(2))
    assert.isNull(placed(kept, [plain]), "it has gone")
    // in the place of the one that has gone
    assert.isNull(placed(kept, [plain, on(3, null)]))
    assert.strictEqual(placed(kept, [plain, on(3, null), on(4, ["avx512f"])]), HostId.make(4))
    assert.isNull(placed(kept, [plain, on(4, ["avx512f"], { domainType: "qemu" })]))
  })

  it("is told of each host and of all together, and only other types help against it", () => {
    const hosts = [
      on(1, ["sse2"]),
      on(2, ["sse2"], { domainType: "qemu" }),
      on(3, ["avx512f"], { domainType: "qemu" }),
      on(4, null)
    ]
    const avx = "lacks CPU feature avx512f, which instance type 7 requires"
    const virt = "has host.virt=qemu, not host.virt=kvm, which instance type 7 requires"
    assert.deepStrictEqual(
      [...Kept.reasons(wanted, hosts)],
      [avx, `${avx}, ${virt}`, virt, avx].map((reason, i) => [HostId.make(i + 1), reason])
    )
    const refusal = Kept.make().refuse(wanted, hosts, types)
    assert.deepStrictEqual(refusal.barred, [
      { count: 2, host: "root@node1", reasons: [avx] },
      { count: 1, host: "root@node2", reasons: [avx, virt] },
      { count: 1, host: "root@node3", reasons: [virt] }
    ])
    // not as type 9, which none of them could have
    assert.deepStrictEqual(
      refusal.repairs.map(({ kind, type }) => [kind, type]),
      [["type", InstanceTypeId.make(8)]]
    )
    const away = { ...on(5, ["avx512f"]), host: new Host({ ...on(5, ["avx512f"]).host, maintenance: true }) }
    assert.deepStrictEqual(
      Kept.make()
        .refuse(wanted, [...hosts, away], types)
        .repairs.map(({ host, kind }) => [kind, host]),
      [
        ["host", "root@node5"],
        ["type", "root@node1"]
      ]
    )
  })

  it("is told in the same words of a VM that is placed, whatever was placed before it", () => {
    const kept = Kept.make()
    const no = { domainType: "qemu" } as const
    const hosts = [on(1, ["avx512f"]), on(2, ["avx512f"], no), on(3, ["avx512f"], no), on(4, ["sse2"], no)]
    const told = (type: InstanceTypeId) => {
      const placement = Placement.ofType(null, type, requires) ?? { group: null, rules: [] }
      return kept.explain({ ...wanted, placement }, hosts, HostId.make(1)).barred
    }
    for (const type of [tid, InstanceTypeId.make(8), tid]) {
      const of = `which instance type ${type} requires`
      const virt = `has host.virt=qemu, not host.virt=kvm, ${of}`
      assert.deepStrictEqual(told(type), [
        { count: 2, host: "root@node2", reasons: [virt] },
        { count: 1, host: "root@node4", reasons: [`lacks CPU feature avx512f, ${of}`, virt] }
      ])
    }
    // of hosts that differ in it only what is true of all
    const inRack = (id: number, rack: string) => {
      const { host, ...more } = on(id, null)
      return { ...more, host: new Host({ ...host, config: { ...host.config, labels: { rack } } }) }
    }
    const racks = Placement.ofType(null, tid, { rack: ["a"] }) ?? { group: null, rules: [] }
    const { barred } = kept.explain(
      { ...wanted, placement: racks },
      [inRack(1, "a"), inRack(2, "b"), inRack(3, "c")],
      HostId.make(1)
    )
    assert.deepStrictEqual(barred, [
      { count: 2, host: "root@node2", reasons: ["lacks rack=a, which instance type 7 requires"] }
    ])
  })

  it("is required of VMs that want nothing of their host when they are to be of that type instead", () => {
    const large = { cpu: 1000, ram: 1, disk: 1 }
    const repairs = (hosts: ReadonlyArray<Candidate>) =>
      Kept.make()
        .refuse(request(large), hosts, types)
        .repairs.flatMap(({ host, type }) => (type === undefined ? [] : [[Number(type), host]]))
    assert.deepStrictEqual(repairs([on(1, ["sse2"]), on(2, ["avx512f"])]), [
      [7, "root@node2"],
      [8, "root@node1"]
    ])
  })

  it("does not hold any more when its host loses it, and then that is said", () => {
    const vm = { id: VmId.make(1), name: "a", hostId: HostId.make(1), nics: [], placement: wanted.placement }
    const told = (host: Candidate) =>
      (Violations.of([vm], [vm], [host]).get(vm.id) ?? []).map(
        ({ reason, rule }) => `${Placement.show(rule)}: ${reason}`
      )
    assert.deepStrictEqual(told(on(1, ["avx512f"])), [])
    assert.deepStrictEqual(told(on(1, ["sse2"])), [
      "must be on host.cpu.feature.avx512f=yes (instance type 7 requires it): " +
        "root@node1 lacks CPU feature avx512f, which instance type 7 requires"
    ])
  })
})

describe("names that VMs are counted under", () => {
  const names = FastCheck.array(FastCheck.constantFrom("web", "db", "cache"), { maxLength: 12 })
  const apart = (strength: Placement.Strength) =>
    ({ group: null, rules: [{ kind: "apart", strength, group: "web", over: "host" }] }) satisfies Placement.Placement

  it("are followed by what has come and gone, as if all were told anew", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.tuple(names, names), { minLength: 1, maxLength: 12 }),
        FastCheck.constantFrom("must" as const, "should" as const),
        (rounds, strength) => {
          const kept = Kept.make()
          for (const round of rounds) {
            const candidates = round.map((groups, i) => ({
              ...candidate(i + 1, has, {
                promised: Resources.map((name) => groups.length * small[name]),
                vms: groups.length
              }),
              groups
            }))
            const asked = { ...request(small), placement: apart(strength) }
            assert.deepStrictEqual(kept.place(asked, candidates), Kept.make().place(asked, candidates))
          }
        }
      )
    )
  })

  it("are read a few times each when one more comes, however many are on the host", () => {
    const kept = Kept.make()
    let reads = 0
    const told = (groups: ReadonlyArray<string>): Candidate => ({
      ...candidate(1, { cpu: 1e6, ram: 1e9, disk: 1e6 }, { vms: groups.length }),
      groups: new Proxy(groups, {
        get: (target, key, receiver): unknown => {
          reads++
          return Reflect.get(target, key, receiver)
        }
      })
    })
    const asked = { ...request(small), placement: apart("should") }
    const groups = Array.from({ length: 2000 }, (_, i) => `group-${i % 20}`).toSorted()
    kept.place(asked, [told(groups)])
    reads = 0
    kept.place(asked, [told(["group-0", ...groups])])
    assert.isBelow(reads, 20 * groups.length)
    // what has gone is not counted any more
    assert.strictEqual(
      kept.place({ ...asked, placement: { ...apart("must") } }, [told(["web", ...groups])])._tag,
      "Refused"
    )
    assert.strictEqual(kept.place({ ...asked, placement: { ...apart("must") } }, [told(groups)])._tag, "Placed")
  })
})
