/**
 * What is told of VMs on a simulated fleet where things happen that nobody asked us for.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import * as Number from "effect/Number"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import { vi } from "vitest"
import { defaultPolicies } from "../../src/domain/Drift.ts"
import { HostId, VmId } from "../../src/domain/Ids.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import * as Observing from "../../src/observe/Observer.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { Observer } from "../../src/services/Observer.ts"
import { Operations } from "../../src/services/Operations.ts"
import * as World from "../fabric/World.ts"
import * as Watching from "./Watching.ts"

vi.setConfig({ testTimeout: 60_000 })

const { becomes, type } = Watching
const killed = "its QEMU crashed or was killed"

type Whole = Effect.Effect.Success<ReturnType<typeof Watching.make>>

const test = <E>(
  title: string,
  options: Partial<Parameters<typeof Watching.make>[0]>,
  body: (world: Whole) => Effect.Effect<void, E, Layer.Layer.Success<Whole["life"]> | Scope.Scope>
) =>
  it.scopedLive(title, () =>
    Effect.flatMap(Watching.make({ hosts: 1, ...options }), (world) => Effect.provide(body(world), world.life))
  )

const create = (name: string, onCrash: "leave" | "restart" = "leave") =>
  Effect.gen(function* () {
    const vms = yield* Vms
    const vm = yield* vms.create({ name, instanceType: type, onCrash })
    yield* becomes(vm, "running", null)
    return vm
  })

const begun = (id: VmId, kind: string) =>
  Effect.flatMap(Journal, (journal) =>
    Effect.map(journal.list({ vmId: id, limit: 100 }), (all) => all.filter((one) => one.kind === kind))
  )

const hostId = HostId.make(1)
const isUp = (up: boolean) =>
  Effect.flatMap(HostMonitor, (monitor) =>
    World.eventually(
      Effect.map(monitor.statuses, (statuses) => assert.strictEqual(statuses.get(hostId)?._tag === "Up", up))
    )
  )

describe("what happens to a VM is told, and how it came to it", () => {
  it.scopedLive("after a start every domain is looked at closely once", () =>
    Effect.gen(function* () {
      const { hosts, life } = yield* Watching.make({ hosts: 1 })
      const { faults } = hosts[0]!
      yield* Effect.provide(create("web"), life)
      const before = yield* faults.calls("DOMAIN_GET_AUTOSTART")
      const looks = Effect.map(faults.calls("DOMAIN_GET_AUTOSTART"), (calls) => calls - before)
      yield* Effect.gen(function* () {
        yield* World.eventually(Effect.map(looks, (now) => assert.isAtLeast(now, 1)))
        // in its turn: after all that the start has asked for
        yield* Effect.flatMap(Observer, (observer) => observer.look(hostId))
        assert.strictEqual(yield* looks, 2)
      }).pipe(Effect.provide(life))
    })
  )

  test(
    "what a creation has seen itself is told at once, and what happens right after it all the same",
    {},
    ({ hosts }) =>
      Effect.gen(function* () {
        const vms = yield* Vms
        const vm = yield* vms.create({ name: "web", instanceType: type })
        assert.deepStrictEqual(yield* Watching.told(vm), { power: "running", reason: null, drift: [] })
        yield* hosts[0]!.faults.crashGuest(vm.domainName)
        yield* becomes(vm, "crashed", killed)
      })
  )

  test("by its guest, its QEMU, its storage and people", {}, ({ hosts }) =>
    Effect.gen(function* () {
      const host = hosts[0]!
      const vm = yield* create("web")
      assert.isTrue(yield* host.faults.guestShutsDown(vm.domainName))
      yield* becomes(vm, "stopped", "the guest shut itself down")
      yield* Watching.virsh(host, "CREATE", vm)
      yield* becomes(vm, "running", null)
      assert.isTrue(yield* host.faults.ioError(vm.domainName))
      yield* becomes(vm, "paused", "paused by an I/O error")
      yield* Watching.virsh(host, "RESUME", vm)
      yield* becomes(vm, "running", null)
      yield* Watching.virsh(host, "SUSPEND", vm)
      yield* becomes(vm, "paused", "paused by somebody")
      yield* Watching.virsh(host, "DESTROY", vm)
      yield* becomes(vm, "stopped", "somebody powered it off")
      yield* Watching.virsh(host, "CREATE", vm)
      yield* becomes(vm, "running", null)
      yield* host.faults.crashGuest(vm.domainName)
      yield* becomes(vm, "crashed", killed)
      yield* Watching.virsh(host, "UNDEFINE", vm)
      yield* becomes(vm, "absent", null, ["domain: defined → null", "power: running → absent"])
      // nobody asked for anything to be done about it
      const journal = yield* Journal
      const kinds = (yield* journal.list({ vmId: vm.id, limit: 100 })).map(({ kind }) => kind)
      assert.deepStrictEqual(kinds, ["CreateVm"])
    })
  )

  test(
    "what was changed by hand is told with what it should be, and forgotten when it is changed back",
    {},
    ({ hosts }) =>
      Effect.gen(function* () {
        const host = hosts[0]!
        const vm = yield* create("web")
        yield* Watching.edit(host, vm, (xml) =>
          xml.replace("<title>web</title>", "<title>mine</title>").replace(/(<vcpu[^>]*>)1</, "$12<")
        )
        yield* becomes(vm, "running", null, ["title: web → mine", "vcpus: 1 → 2"])
        // as it runs from its next start on
        yield* Watching.virsh(host, "DESTROY", vm)
        yield* Watching.virsh(host, "CREATE", vm)
        yield* becomes(vm, "running", null, [
          "title: web → mine",
          "title (running): web → mine",
          "vcpus: 1 → 2",
          "vcpus (running): 1 → 2"
        ])
        yield* Watching.edit(host, vm, (xml) => xml.replace("mine", "web").replace(/(<vcpu[^>]*>)2</, "$11<"))
        yield* Watching.virsh(host, "DESTROY", vm)
        yield* Watching.virsh(host, "CREATE", vm)
        yield* becomes(vm, "running", null)
      })
  )

  test("what no event tells is found when its turn comes", { observer: { round: Watching.restless } }, ({ hosts }) =>
    Effect.gen(function* () {
      const vm = yield* create("web")
      const domain = hosts[0]!.state.domains.get(vm.uuid)!
      const before = domain.persistent!
      domain.persistent = DomainXml.reshape(before, { title: "web", cpu: 3, ram: 1024 })
      yield* becomes(vm, "running", null, ["vcpus: 1 → 3"])
      domain.persistent = before
      yield* becomes(vm, "running", null)
    })
  )

  test("a volume is part of what should be; one that somebody took out is missed", { ceph: true }, ({ hosts }) =>
    Effect.gen(function* () {
      const host = hosts[0]!
      const volumes = yield* Volumes
      const observer = yield* Observer
      const vm = yield* create("web")
      const volume = yield* volumes.create({ name: "data", size: 1 })
      yield* volumes.attach(volume.id, vm.id)
      yield* observer.look(hostId)
      yield* becomes(vm, "running", null)
      const where = "vms/volume-1 at vdb"
      yield* Watching.edit(host, vm, (xml) => xml.replace(/<disk(?:(?!<disk)[^])*?volume-1<[^]*?<\/disk>/, ""))
      yield* becomes(vm, "running", null, [`volume-1: ${where} → null`])
      yield* volumes.detach(volume.id)
      yield* observer.look(hostId)
      yield* becomes(vm, "running", null)
    })
  )
})

describe("what happened while nobody could look", () => {
  test("is found when the host is back, with its reason", {}, ({ hosts }) =>
    Effect.gen(function* () {
      const host = hosts[0]!
      const [stopped, crashed, kept] = yield* Effect.forEach(["a", "b", "c"], (name) => create(name))
      yield* host.faults.cutNetwork
      yield* isUp(false)
      yield* host.faults.guestShutsDown(stopped!.domainName)
      yield* host.faults.crashGuest(crashed!.domainName)
      // of a host that does not answer it is what was seen before
      assert.strictEqual((yield* Watching.told(stopped!)).power, "running")
      yield* host.faults.dropConnections
      yield* host.faults.mendNetwork
      yield* becomes(stopped!, "stopped", "the guest shut itself down")
      yield* becomes(crashed!, "crashed", killed)
      yield* becomes(kept!, "running", null)
    })
  )

  test(
    "a host that lost power has lost its guests; a daemon started anew has forgotten why others had stopped",
    {},
    ({ hosts }) =>
      Effect.gen(function* () {
        const host = hosts[0]!
        const [stopped, running] = yield* Effect.forEach(["a", "b"], (name) => create(name))
        yield* host.faults.guestShutsDown(stopped!.domainName)
        yield* becomes(stopped!, "stopped", "the guest shut itself down")
        yield* host.faults.losePower
        yield* isUp(false)
        yield* host.faults.bootAgain
        yield* becomes(running!, "crashed", "its QEMU was gone when its host could be looked at again")
        yield* becomes(stopped!, "stopped", "the guest shut itself down")
        yield* host.faults.stopLibvirtd
        yield* host.faults.startLibvirtd
        yield* isUp(true)
        const observer = yield* Observer
        yield* World.eventually(observer.look(hostId))
        yield* becomes(running!, "crashed", "its QEMU was gone when its host could be looked at again")
      })
  )

  it.scopedLive("it also holds for the time in which this program did not run", () =>
    Effect.gen(function* () {
      const world = yield* Watching.make({ hosts: 1 })
      const vm = yield* create("web").pipe(Effect.provide(world.life))
      yield* world.hosts[0]!.faults.guestShutsDown(vm.domainName)
      yield* becomes(vm, "stopped", "the guest shut itself down").pipe(Effect.provide(world.life))
    })
  )

  test("a host that comes and goes is told right in the end", {}, ({ hosts }) =>
    Effect.gen(function* () {
      const host = hosts[0]!
      const vm = yield* create("web")
      for (let times = 0; times < 5; times++) {
        yield* host.faults.dropConnections
        yield* Watching.virsh(host, times % 2 === 0 ? "DESTROY" : "CREATE", vm)
        yield* host.faults.stopLibvirtd
        yield* host.faults.startLibvirtd
      }
      yield* World.eventually(
        Effect.map(Watching.told(vm), ({ power }) => assert.include(["stopped", "crashed"], power))
      )
      yield* Watching.virsh(host, "CREATE", vm)
      yield* becomes(vm, "running", null)
    })
  )

  test("what events say does not count: in any order, doubled, and of what never was", {}, ({ hosts }) =>
    Effect.gen(function* () {
      const host = hosts[0]!
      const vm = yield* create("web")
      const { emit } = host.state
      const before = yield* host.faults.calls("DOMAIN_GET_STATE")
      const domain = { name: vm.domainName, uuid: vm.uuid, id: -1 }
      for (let times = 0; times < 200; times++) {
        for (const event of [5, 1, 2, 6, 0, 3]) emit({ _tag: "DomainLifecycle", domain, event, detail: 0 })
      }
      emit({ _tag: "DomainLifecycle", domain: { ...domain, uuid: randomUUID() }, event: 2, detail: 0 })
      yield* host.faults.guestShutsDown(vm.domainName)
      yield* becomes(vm, "stopped", "the guest shut itself down")
      for (const event of [2, 4, 2]) emit({ _tag: "DomainLifecycle", domain, event, detail: 0 })
      const observer = yield* Observer
      yield* observer.look(hostId)
      yield* becomes(vm, "stopped", "the guest shut itself down")
      // many events, few looks
      assert.isBelow((yield* host.faults.calls("DOMAIN_GET_STATE")) - before, 30)
      const inventory = yield* Inventory
      assert.strictEqual((yield* inventory.vms()).length, 1)
    })
  )

  test("a host that hangs holds up nobody else", { hosts: 2 }, ({ hosts }) =>
    Effect.gen(function* () {
      const both = yield* Effect.forEach(["a", "b"], (name) => create(name))
      const [hung, other] = both[0]!.hostId === 1 ? both : both.toReversed()
      yield* hosts[0]!.faults.hang("DOMAIN_GET_STATE", true)
      yield* hosts[0]!.faults.hang("CONNECT_GET_ALL_DOMAIN_STATS", true)
      yield* hosts[0]!.faults.crashGuest(hung!.domainName)
      yield* hosts[1]!.faults.crashGuest(other!.domainName)
      yield* becomes(other!, "crashed", killed)
      assert.strictEqual((yield* Watching.told(hung!)).power, "running")
    })
  )
})

describe("a VM that is to run again when it crashes", () => {
  test("does, and only then", {}, ({ hosts }) =>
    Effect.gen(function* () {
      const host = hosts[0]!
      const vm = yield* create("web", "restart")
      yield* host.faults.crashGuest(vm.domainName)
      yield* World.eventually(
        Effect.map(begun(vm.id, "StartVm"), (all) =>
          assert.deepStrictEqual(
            all.map(({ cause, state, user }) => [state, user, cause]),
            [["done", null, `its onCrash is restart, and ${killed}`]]
          )
        )
      )
      yield* becomes(vm, "running", null)
      yield* host.faults.guestShutsDown(vm.domainName)
      yield* becomes(vm, "stopped", "the guest shut itself down")
      yield* Watching.virsh(host, "CREATE", vm)
      yield* becomes(vm, "running", null)
      yield* Watching.virsh(host, "DESTROY", vm)
      yield* becomes(vm, "stopped", "somebody powered it off")
      const observer = yield* Observer
      yield* observer.look(hostId)
      assert.strictEqual((yield* begun(vm.id, "StartVm")).length, 1)
      assert.strictEqual(host.guests().length, 0)
    })
  )

  test("so does one whose host lost power, when that is back", {}, ({ hosts }) =>
    Effect.gen(function* () {
      const host = hosts[0]!
      const vm = yield* create("web", "restart")
      yield* host.faults.losePower
      yield* isUp(false)
      yield* host.faults.bootAgain
      yield* World.eventually(Effect.sync(() => assert.strictEqual(host.guests().length, 1)))
      yield* becomes(vm, "running", null)
      assert.strictEqual((yield* begun(vm.id, "StartVm")).length, 1)
    })
  )

  test(
    "is left alone when it crashes too often",
    { observer: { round: Watching.onlyEvents, budget: { times: 3, within: "10 minutes", pause: "10 millis" } } },
    ({ hosts }) =>
      Effect.gen(function* () {
        const host = hosts[0]!
        const vm = yield* create("web", "restart")
        for (let times = 1; times <= 3; times++) {
          yield* host.faults.crashGuest(vm.domainName)
          yield* World.eventually(
            Effect.map(begun(vm.id, "StartVm"), (all) =>
              assert.deepStrictEqual(
                all.map(({ state }) => state),
                Array.from({ length: times }, () => "done")
              )
            )
          )
        }
        yield* host.faults.crashGuest(vm.domainName)
        yield* becomes(vm, "crashed", killed)
        const observer = yield* Observer
        yield* observer.look(hostId)
        assert.strictEqual((yield* begun(vm.id, "StartVm")).length, 3)
        assert.strictEqual(host.guests().length, 0)
      })
  )
})

describe("a VM that is to be gone", () => {
  test(
    "and whose host refuses that, goes as soon as it no longer does, without being asked for again",
    {
      observer: { round: Watching.restless, removal: { times: 1000, within: "10 minutes", pause: "1 millis" } }
    },
    ({ hosts }) =>
      Effect.gen(function* () {
        const host = hosts[0]!
        const vm = yield* create("web")
        yield* host.faults.fail("DOMAIN_UNDEFINE_FLAGS", { code: 1, message: "no more pixie dust" })
        const refused = yield* Effect.flip((yield* Vms).destroy(vm.id))
        assert.include(refused.message, "no more pixie dust")
        const inventory = yield* Inventory
        const states = Effect.map(begun(vm.id, "DestroyVm"), (all) => all.map(({ state }) => state))
        yield* World.eventually(
          Effect.map(states, (all) => assert.isAbove(all.filter((one) => one === "failed").length, 1))
        )
        assert.strictEqual((yield* inventory.vm(vm.id)).state, "destroying")
        yield* host.faults.clear
        yield* World.eventually(
          Effect.map(inventory.vmRecord(vm.id), ({ state }) => assert.strictEqual(state, "destroyed"))
        )
        // which is recorded next
        yield* World.eventually(Effect.map(states, ([first]) => assert.strictEqual(first, "done")))
      })
  )

  test(
    "and is refused again and again is left as it is, for whoever asks",
    { observer: { round: Watching.restless, removal: { times: 2, within: "10 minutes", pause: "1 millis" } } },
    ({ hosts }) =>
      Effect.gen(function* () {
        const vm = yield* create("web")
        yield* hosts[0]!.faults.fail("DOMAIN_UNDEFINE_FLAGS", { code: 1, message: "no more pixie dust" })
        yield* Effect.flip((yield* Vms).destroy(vm.id))
        const ended = Effect.map(begun(vm.id, "DestroyVm"), (all) => all.filter(({ ended }) => ended).length)
        yield* World.eventually(Effect.map(ended, (all) => assert.strictEqual(all, 2)))
        yield* (yield* Observer).look(hostId)
        yield* (yield* Observer).look(hostId)
        assert.strictEqual((yield* begun(vm.id, "DestroyVm")).length, 2)
        // whoever asks is not kept from it
        yield* hosts[0]!.faults.clear
        yield* (yield* Vms).destroy(vm.id)
        assert.strictEqual((yield* (yield* Inventory).vmRecord(vm.id)).state, "destroyed")
      })
  )
})

describe("policies", () => {
  test(
    "what is to be ignored is not told, what is to be repaired is mended",
    {
      ceph: true,
      observer: {
        round: Watching.onlyEvents,
        policies: { power: "repair", definition: "repair", disks: "repair", network: "ignore" }
      }
    },
    ({ hosts }) =>
      Effect.gen(function* () {
        const host = hosts[0]!
        const volumes = yield* Volumes
        const vm = yield* create("web")
        const volume = yield* volumes.create({ name: "data", size: 1 })
        yield* volumes.attach(volume.id, vm.id)
        yield* Watching.edit(host, vm, (xml) =>
          xml
            .replace("<title>web</title>", "<title>mine</title>")
            .replace(/<disk(?:(?!<disk)[^])*?volume-1<[^]*?<\/disk>/, "")
            .replace(vm.mac ?? "none", "52:54:00:00:00:99")
        )
        yield* World.eventually(
          Effect.map(begun(vm.id, "RepairVm"), (all) =>
            assert.deepStrictEqual(
              all.map(({ cause, detail, state }) => [
                detail.repair?.toSorted(),
                state,
                cause?.replace(/^its .* drifted/, "")
              ]),
              [[["definition", "disks"], "done", ", and the policy for that is repair"]]
            )
          )
        )
        yield* becomes(vm, "running", null)
        yield* host.faults.guestShutsDown(vm.domainName)
        yield* World.eventually(
          Effect.map(begun(vm.id, "RepairVm"), (all) => assert.deepStrictEqual(all[0]?.detail.repair, ["power"]))
        )
        yield* becomes(vm, "running", null)
        // as it is now: nothing of it was taken away, and nobody was told
        const definition = Either.getOrThrow(Xml.render(host.state.domains.get(vm.uuid)!.persistent!))
        assert.include(definition, "52:54:00:00:00:99")
      })
  )

  test(
    "what cannot be mended is told, and not tried for ever",
    {
      observer: { round: Watching.onlyEvents, policies: { ...defaultPolicies, power: "repair", definition: "repair" } }
    },
    ({ hosts }) =>
      Effect.gen(function* () {
        const host = hosts[0]!
        const vm = yield* create("web")
        yield* host.faults.crashGuest(vm.domainName)
        yield* World.eventually(Effect.sync(() => assert.strictEqual(host.guests().length, 1)))
        yield* becomes(vm, "running", null)
        yield* Watching.virsh(host, "UNDEFINE", vm)
        yield* becomes(vm, "running", null)
        const domain = host.state.domains.get(vm.uuid)!
        yield* World.eventually(Effect.sync(() => assert.isNotNull(domain.persistent)))
        yield* becomes(vm, "running", null)
        // all of it at once
        host.state.domains.delete(vm.uuid)
        host.state.emit({ _tag: "DomainLifecycle", domain: { ...domain, id: -1 }, event: 1, detail: 0 })
        yield* becomes(vm, "absent", null, ["domain: defined → null", "power: running → absent"])
      })
  )
})

describe("what is not ours", () => {
  test("is listed, and left alone", { ceph: true }, (world) =>
    Effect.gen(function* () {
      const host = world.hosts[0]!
      const observer = yield* Observer
      const names = Effect.map(observer.foreign, (all) =>
        all.map(({ hostId, name, reason, what }) => `${hostId} ${what} ${name}: ${reason}`)
      )
      yield* Watching.defineForeign(host, "web-old", randomUUID())
      yield* Watching.defineForeign(host, "vm-1", randomUUID())
      yield* World.eventually(
        Effect.map(names, (all) =>
          assert.deepStrictEqual(all, [
            "1 domain vm-1: it is no VM of this fabric",
            "1 domain web-old: it is no VM of this fabric"
          ])
        )
      )
      // VM 1 finds its name taken, which is the host's to say
      const vms = yield* Vms
      yield* Effect.flip(vms.create({ name: "a", instanceType: type }))
      yield* observer.look(hostId)
      assert.include(yield* names, "1 domain vm-1: it has the name of VM 1, but is another domain")
      assert.strictEqual(host.state.domains.size, 2)
      for (const domain of host.state.domains.values()) domain.live = null
      yield* Effect.flatMap(Watching.byHand(host), (client) =>
        Effect.forEach([...host.state.domains.values()], ({ name, uuid }) =>
          client.call("DOMAIN_UNDEFINE", { dom: { name, uuid, id: -1 } })
        )
      )
      yield* World.eventually(Effect.map(names, (all) => assert.deepStrictEqual(all, [])))
    })
  )

  test("disks that nobody knows are listed too, the pool's once", { hosts: 2, ceph: true }, (world) =>
    Effect.gen(function* () {
      const observer = yield* Observer
      const vm = yield* create("web")
      const { calls } = world.cluster
      yield* calls.create({ image: "volume-77", size: 1024 ** 3 })
      yield* calls.create({ image: "vm-88-root", size: 1024 ** 3 })
      yield* observer.look(HostId.make(1))
      yield* observer.look(HostId.make(2))
      assert.deepStrictEqual(
        (yield* observer.foreign).map(({ hostId, name, what }) => [hostId, what, name]),
        [
          [null, "root disk", "vm-88-root"],
          [null, "volume", "volume-77"]
        ]
      )
      assert.strictEqual(vm.id, 1)
    })
  )

  test("what is left of a VM that is destroyed is our own litter", {}, ({ hosts }) =>
    Effect.gen(function* () {
      const host = hosts[0]!
      const vms = yield* Vms
      const observer = yield* Observer
      const vm = yield* create("web")
      const domain = host.state.domains.get(vm.uuid)!
      const definition = domain.persistent!
      yield* vms.destroy(vm.id)
      assert.strictEqual(host.state.domains.size, 0)
      const client = yield* Watching.byHand(host)
      const restore = (xml: Xml.Element) =>
        Effect.flatMap(Xml.render(xml), (xml) => client.call("DOMAIN_DEFINE_XML_FLAGS", { xml, flags: 0 }))
      yield* restore(definition)
      yield* World.eventually(Effect.sync(() => assert.strictEqual(host.state.domains.size, 0)))
      yield* World.eventually(
        Effect.map(begun(vm.id, "CleanVm"), (all) =>
          assert.deepStrictEqual(
            all.map(({ state }) => state),
            ["done"]
          )
        )
      )
      // one that does not say so may be anybody's
      yield* restore({ ...definition, children: Xml.children(definition).filter(({ name }) => name !== "metadata") })
      yield* World.eventually(
        Effect.map(observer.foreign, (all) =>
          assert.deepStrictEqual(
            all.map(({ reason }) => reason),
            ["it has the uuid of VM 1, but does not say that it is"]
          )
        )
      )
      assert.strictEqual(host.state.domains.size, 1)
      assert.strictEqual((yield* begun(vm.id, "CleanVm")).length, 1)
    })
  )

  test("a VM found on another host than its own is told, and left there", { hosts: 2 }, ({ hosts }) =>
    Effect.gen(function* () {
      const observer = yield* Observer
      const vm = yield* create("web")
      const [own, other] = vm.hostId === 1 ? hosts : hosts.toReversed()
      const definition = own!.state.domains.get(vm.uuid)!.persistent!
      const client = yield* Watching.byHand(other!)
      yield* Effect.flatMap(Xml.render(definition), (xml) => client.call("DOMAIN_DEFINE_XML_FLAGS", { xml, flags: 0 }))
      yield* World.eventually(
        Effect.map(observer.foreign, (all) =>
          assert.deepStrictEqual(
            all.map(({ reason }) => reason),
            [`it is VM 1, which should be on host ${vm.hostId}: has it been moved by hand?`]
          )
        )
      )
      yield* becomes(vm, "running", null)
    })
  )
})

describe("while something is being done with a VM", () => {
  test("it is not compared, and its absence is no news", {}, ({ hosts }) =>
    Effect.gen(function* () {
      const host = hosts[0]!
      const inventory = yield* Inventory
      const operations = yield* Operations
      const observer = yield* Observer
      const vm = yield* create("web")
      yield* host.faults.crashGuest(vm.domainName)
      yield* becomes(vm, "crashed", killed)
      const operation = yield* inventory.beginOnVm(vm.id, "StartVm")
      host.state.domains.delete(vm.uuid)
      yield* observer.look(hostId)
      assert.strictEqual((yield* Watching.told(vm)).power, "crashed")
      yield* operations.start(operation)
      yield* Effect.flip(operations.await(operation.id))
      yield* observer.look(hostId)
      yield* becomes(vm, "absent", null, ["domain: defined → null", "power: running → absent"])
    })
  )
})

describe("the round", () => {
  it.live("asks no more hosts a second than it would look at domains, however few of those there are", () =>
    World.virtually(
      Effect.gen(function* () {
        const hosts = 60
        const world = yield* World.make({ hosts, transport: "memory" })
        const asked = Effect.map(
          Effect.forEach(world.hosts, ({ faults }) => faults.calls("CONNECT_GET_ALL_DOMAIN_STATS")),
          Number.sumAll
        )
        yield* Effect.gen(function* () {
          yield* Effect.sleep("10 seconds")
          const before = yield* asked
          yield* Effect.sleep("60 seconds")
          const looks = (yield* asked) - before
          // by the round, and every ten seconds for what VMs use
          assert.isBelow(looks, 60 * Observing.defaults.round.perSecond * 1.2 + 7 * hosts)
          assert.isAbove(looks, 60 * Observing.defaults.round.perSecond * 0.5)
        }).pipe(Effect.provide(world.life))
      })
    )
  )
})
