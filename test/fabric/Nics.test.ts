/**
 * NICs of VMs on a simulated fleet, and the networks they are on.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import * as Ids from "../../src/domain/Ids.ts"
import type { NewNic } from "../../src/domain/Nic.ts"
import { Networks } from "../../src/fabric/Networks.ts"
import { Nics } from "../../src/fabric/Nics.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import * as World from "./World.ts"

vi.setConfig({ testTimeout: 60_000 })

const instanceType = Ids.InstanceTypeId.make(1)
const bridge = (name: string) => ({ kind: "bridge", name }) as const

/** Every host has `lan` and VLAN 12 of `trunk`; only the first has `dmz`. */
const fleet = (hosts: number) =>
  World.make({
    hosts,
    networks: (host) => ({
      lan: bridge("br0"),
      trunk: bridge("br{vlan}"),
      ...(host === 0 ? { dmz: { kind: "libvirt" as const, name: "default" } } : {})
    })
  })

const create = (name: string, nics: ReadonlyArray<NewNic>) =>
  Effect.flatMap(Vms, (vms) => vms.create({ name, instanceType, nics }))

const said = (world: World.World, line: string) =>
  World.eventually(
    Effect.sync(() => {
      const lines = world.hosts.flatMap((host) => host.guests()).flatMap(({ serial }) => serial)
      assert.include(lines, line)
    })
  )

describe("a VM's NICs", () => {
  it.scopedLive(
    "are what was asked for, each with an address of its own that nobody else gets while the VM lives",
    () =>
      Effect.gen(function* () {
        const world = yield* fleet(1)
        yield* Effect.gen(function* () {
          const vms = yield* Vms
          const mac = "52:54:00:12:34:56"
          const vm = yield* create("a", [{ network: "lan", mac }, { network: "trunk", vlan: 12, model: "e1000e" }, {}])
          assert.deepStrictEqual(
            vm.nics.map(({ id, model, network, state, vlan }) => [id, network, vlan, model, state]),
            [
              [1, "lan", null, "virtio", "attached"],
              [2, "trunk", 12, "e1000e", "attached"],
              [3, null, null, "virtio", "attached"]
            ]
          )
          assert.strictEqual(vm.mac, mac)
          assert.lengthOf(new Set(vm.nics.map((nic) => nic.mac)), 3)
          const taken = yield* Effect.flip(create("b", [{ mac }]))
          assert.strictEqual(
            taken.message,
            `VM ${vm.id} (a) has a NIC with the address ${mac}: give another one, or none to have one made`
          )
          yield* vms.destroy(vm.id)
          assert.strictEqual((yield* create("b", [{ mac }])).mac, mac)
          const capitals = "52:54:00:AB:CD:EF"
          const kept = capitals.toLowerCase()
          const c = yield* create("c", [{ mac: capitals }])
          assert.strictEqual(c.mac, kept)
          const nics = yield* Nics
          const other = yield* nics.attach(c.id, { network: "lan", mac: "52:54:00:AB:CD:E0" })
          assert.strictEqual(other.mac, "52:54:00:ab:cd:e0")
          assert.deepInclude(yield* Effect.flip(create("d", [{ mac: capitals }])), { _tag: "MacTaken", mac: kept })
          assert.strictEqual((yield* create("none", [])).mac, null)
          yield* World.agree(world)
        }).pipe(Effect.provide(world.life))
      })
  )

  it.scopedLive("that cannot be at all are refused, with what would be right", () =>
    Effect.gen(function* () {
      const world = yield* fleet(1)
      yield* Effect.gen(function* () {
        const cases: ReadonlyArray<readonly [ReadonlyArray<NewNic>, string]> = [
          [[{ mac: "01:00:5e:00:00:01" }], "mac"],
          [[{ mac: "53:54:00:AA:00:01" }], "mac"],
          [[{ mac: "52:54:00:aa:00:01" }, { mac: "52:54:00:AA:00:01" }], "mac"],
          [[{ mac: "52:54:00:00:00:01" }, { mac: "52:54:00:00:00:01" }], "mac"],
          [[{ network: "a b" }], "network"],
          [[{ vlan: 4095 }], "vlan"],
          [Array.from({ length: 9 }, () => ({})), "nics"]
        ]
        for (const [nics, field] of cases) {
          assert.deepInclude(yield* Effect.flip(create("a", nics)), { _tag: "InvalidArgument", field })
        }
        assert.deepStrictEqual(World.remains(world), { domains: [], disks: [] })
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("decide which hosts it can go to, and the refusal says of each what it lacks", () =>
    Effect.gen(function* () {
      const world = yield* fleet(2)
      yield* Effect.gen(function* () {
        for (const name of ["a", "b", "c"]) assert.strictEqual((yield* create(name, [{ network: "dmz" }])).hostId, 1)
        assert.strictEqual((yield* create("d", [{ network: "lan" }])).hostId, 2)
        const refusal = (nic: NewNic) => Effect.map(Effect.flip(create("e", [nic])), ({ message }) => message)
        assert.include(
          yield* refusal({ network: "lab" }),
          "2 hosts (host 1 (root@sim-1), host 2 (root@sim-2)): it has no network lab"
        )
        assert.include(
          yield* refusal({ network: "trunk", vlan: 13 }),
          "its network trunk has no bridge br13 for VLAN 13"
        )
        assert.include(yield* refusal({ network: "trunk" }), "needs the number of one (it has 12)")
        assert.include(yield* refusal({ network: "lan", vlan: 12 }), "its network lan takes no VLAN tags")
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("come and go while it runs, and the guest sees it; a number is never given twice", () =>
    Effect.gen(function* () {
      const world = yield* fleet(1)
      yield* Effect.gen(function* () {
        const nics = yield* Nics
        const vms = yield* Vms
        const { id } = yield* create("a", [{}])
        // one that is not up yet would find the NIC there, and not see it come
        yield* said(world, "GUEST READY vda=1073741824")
        const nic = yield* nics.attach(id, { network: "lan" })
        assert.deepEqual([nic.id, nic.network], [2, "lan"])
        yield* said(world, `GUEST NIC + eth1 mac=${nic.mac}`)
        yield* nics.setLink(id, 2, "down")
        yield* nics.setLink(id, 2, "down")
        const listed = yield* nics.list(id)
        assert.deepStrictEqual(
          listed.nics.map(({ nic, source }) => [nic.link, source]),
          [
            ["up", { kind: "libvirt", name: "default" }],
            ["down", bridge("br0")]
          ]
        )
        yield* nics.detach(id, 2)
        yield* said(world, `GUEST NIC - eth1 mac=${nic.mac}`)
        assert.strictEqual((yield* nics.attach(id, { mac: nic.mac })).id, 3)
        assert.strictEqual(
          (yield* Effect.flip(nics.detach(id, 2))).message,
          `VM ${id} (a) has no NIC 2: its list of NICs shows which it has`
        )
        assert.strictEqual((yield* Effect.flip(nics.attach(id, { mac: nic.mac })))._tag, "MacTaken")
        assert.include((yield* Effect.flip(nics.attach(id, { network: "lab" }))).message, "it has no network lab")
        for (let more = 0; more < 6; more++) yield* nics.attach(id, {})
        assert.include((yield* Effect.flip(nics.attach(id, {}))).message, "has 8 NICs, which is the most")
        assert.lengthOf((yield* vms.get(id)).nics, 8)
        yield* World.agree(world)
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("stay when the host refuses them, or the guest does not let go of them, and go when it does", () =>
    Effect.gen(function* () {
      const world = yield* fleet(1)
      const host = world.hosts[0]!
      yield* Effect.gen(function* () {
        const nics = yield* Nics
        const vms = yield* Vms
        const vm = yield* create("a", [{}])
        const { id } = vm
        yield* host.faults.fail("DOMAIN_ATTACH_DEVICE_FLAGS", { code: 1, message: "no more pixie dust", nth: 1 })
        const refused = yield* Effect.flip(nics.attach(id, { mac: "52:54:00:00:00:07" }))
        assert.include(refused.message, "no more pixie dust")
        assert.deepStrictEqual((yield* vms.get(id)).nics, vm.nics)
        // its address is free again, its number is not
        assert.strictEqual((yield* nics.attach(id, { mac: "52:54:00:00:00:07" })).id, 3)
        yield* host.faults.refuseDevices("vm-1", true)
        const kept = yield* Effect.flip(nics.detach(id, 3))
        assert.include(
          kept.message,
          "the guest of vm-1 does not let go of nic-3 (52:54:00:00:00:07): its system refused"
        )
        const [, second] = (yield* vms.get(id)).nics
        assert.deepEqual([second?.id, second?.state], [3, "attached"])
        yield* host.faults.refuseDevices("vm-1", false)
        yield* nics.detach(id, 3)
        assert.deepStrictEqual((yield* vms.get(id)).nics, vm.nics)
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("that the guest lets go of when nobody waits any more are gone then", () =>
    Effect.gen(function* () {
      const world = yield* fleet(1)
      const host = world.hosts[0]!
      yield* Effect.gen(function* () {
        const nics = yield* Nics
        const vms = yield* Vms
        const { id, nics: made } = yield* create("a", [{}, {}])
        yield* said(world, "GUEST READY vda=1073741824")
        yield* host.faults.holdDevices("vm-1", true)
        assert.include((yield* Effect.flip(nics.detach(id, 2))).message, "does not let go of nic-2")
        yield* host.faults.holdDevices("vm-1", false)
        yield* said(world, `GUEST NIC - eth1 mac=${made[1]?.mac}`)
        yield* World.eventually(
          Effect.map(vms.get(id), (vm) =>
            assert.deepStrictEqual(
              vm.nics.map((nic) => nic.id),
              [made[0]?.id]
            )
          )
        )
        yield* World.agree(world)
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("asked for twice with one key are one, and of two with one address one is refused", () =>
    Effect.gen(function* () {
      const world = yield* fleet(1)
      yield* Effect.gen(function* () {
        const nics = yield* Nics
        const { id } = yield* create("a", [])
        const first = yield* nics.attach(id, { idempotencyKey: "k" })
        assert.deepStrictEqual(yield* nics.attach(id, { idempotencyKey: "k" }), first)
        assert.strictEqual(
          (yield* Effect.flip(nics.attach(id, { network: "lan", idempotencyKey: "k" })))._tag,
          "KeyReused"
        )
        const mac = "52:54:00:00:00:07"
        const both = yield* Effect.all(
          [Effect.either(create("b", [{ mac }])), Effect.either(nics.attach(id, { mac }))],
          {
            concurrency: 2
          }
        )
        assert.deepStrictEqual(both.map(({ _tag }) => _tag).toSorted(), ["Left", "Right"])
      }).pipe(Effect.provide(world.life))
    })
  )

  it.scopedLive("have the addresses that the host knows, which lists show as they were last read", () =>
    Effect.gen(function* () {
      const world = yield* fleet(1)
      yield* Effect.gen(function* () {
        const nics = yield* Nics
        const reality = yield* Reality
        const { id } = yield* create("a", [{ mac: "52:54:00:00:00:07" }, { network: "lan" }])
        assert.strictEqual((yield* reality.vm(id)).addresses, null)
        const address = { mac: "52:54:00:00:00:07", address: "192.168.122.9", prefix: 24, source: "lease" as const }
        yield* World.eventually(
          Effect.map(nics.list(id), (found) => {
            assert.deepStrictEqual(
              found.nics.map(({ addresses }) => addresses),
              [[address], []]
            )
            assert.strictEqual(found.unread, null)
          })
        )
        assert.deepStrictEqual((yield* reality.vm(id)).addresses, [address])
        yield* world.hosts[0]!.faults.fail("DOMAIN_INTERFACE_ADDRESSES", { code: 1, message: "no" })
        assert.deepStrictEqual((yield* nics.list(id)).nics[0]?.addresses, [])
      }).pipe(Effect.provide(world.life))
    })
  )
})

describe("networks", () => {
  it.scopedLive("are listed with their hosts and VMs", () =>
    Effect.gen(function* () {
      const world = yield* fleet(2)
      yield* Effect.gen(function* () {
        const networks = yield* Networks
        const one = yield* create("a", [{ network: "dmz" }, { network: "lan" }])
        const two = yield* create("b", [{}])
        const all = yield* networks.list
        assert.deepStrictEqual(
          all.map(({ hosts, name, vms }): readonly [string, ReadonlyArray<number>, ReadonlyArray<number>] => [
            name,
            hosts.map(({ host }) => Number(host.id)),
            vms
          ]),
          [
            ["default", [1, 2], [two.id]],
            ["dmz", [1], [one.id]],
            ["lan", [1, 2], [one.id]],
            ["trunk", [1, 2], []]
          ]
        )
        assert.deepStrictEqual((yield* networks.get("trunk")).hosts[0]?.vlans, [12])
        const unknown = yield* Effect.flip(networks.get("lab"))
        assert.strictEqual(unknown.message, 'no host has a network "lab" (there are: default, dmz, lan, trunk)')
      }).pipe(Effect.provide(world.life))
    })
  )
})
