/**
 * Networks on real hosts: guests that are on one reach each other across hosts, and see their NICs come, go, and lose their link.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as AppLive from "../../layers/AppLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import { defaultConfig } from "../../src/domain/Host.ts"
import { InstanceTypeId } from "../../src/domain/Ids.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import { Networks } from "../../src/fabric/Networks.ts"
import { Nics } from "../../src/fabric/Nics.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Plans } from "../../src/fabric/Plans.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import * as Lab from "./Lab.ts"

const networks = {
  lan: { kind: "bridge", name: "br-lan" },
  tagged: { kind: "bridge", name: "br-lan{vlan}" }
} as const

/** A controller of two hosts of the lab, of which only the first has the network `first`. */
const controller = AppLive.layer({
  fleet: {
    hosts: [0, 1].map((at) => ({
      ...defaultConfig(Lab.address(at)),
      virt: "qemu" as const,
      overcommit: { cpu: 16, ram: 1, disk: 1 },
      networks: at === 0 ? { ...networks, first: networks.lan } : networks
    })),
    images: [{ source: { host: null, path: `${Lab.status.dir}/images/guest.img` }, name: "guest", format: "raw" }],
    types: [{ tid: InstanceTypeId.make(1), cpu: 1, ram: 128, disk: 1 }]
  },
  database: ":memory:"
}).pipe(
  Layer.provide(SshLive.layer(Lab.sshOptions)),
  Layer.provide(SshDialerTcp.layer),
  Layer.provide(NodeContext.layer),
  Layer.provide(Logger.minimumLogLevel(LogLevel.None))
)

const nameOf = (vm: Vm) => Lab.everyHost[vm.hostId - 1]?.name ?? "none"

const log = (vm: Vm) => Lab.lab("guest-log", nameOf(vm), vm.domainName)
const says = (vm: Vm, line: string) => Lab.eventually(line, log(vm), (text) => text.includes(line))
const run = (vm: Vm, command: string) =>
  Lab.lab("guest-run", nameOf(vm), vm.domainName, "--within", "60", command).pipe(Effect.map((text) => text.trim()))

/** A VM that is destroyed in the end, whose guest is up. */
const guest = Effect.fn(function* (
  name: string,
  nics: ReadonlyArray<{ network?: string; vlan?: number; mac?: string }>
) {
  const vms = yield* Vms
  const vm = yield* Effect.acquireRelease(vms.create({ name, instanceType: InstanceTypeId.make(1), nics }), ({ id }) =>
    Effect.orDie(vms.destroy(id))
  )
  yield* says(vm, "GUEST READY")
  return vm
})

/** The hosts are up, and what guests of earlier controllers, whose VMs had the same numbers, have printed is gone. */
const ready = Effect.flatMap(HostMonitor, (monitor) =>
  Lab.eventually("the hosts are up", monitor.statuses, (all) => [...all.values()].every(({ _tag }) => _tag === "Up"))
).pipe(
  Effect.zipRight(
    Effect.forEach(
      Lab.everyHost.slice(0, 2),
      ({ name }) => Lab.onHost(name, "sh", "-c", "rm -f /var/log/libvirt/qemu/vm-*.serial.log"),
      { discard: true }
    )
  )
)

describe("networks of real hosts", () => {
  it.live("guests reach each other across hosts, on a bridge and on a VLAN of it, and nobody on another network", () =>
    Effect.gen(function* () {
      yield* ready
      const one = yield* guest("one", [
        { network: "lan", mac: "52:54:00:77:00:01" },
        { network: "tagged", vlan: 12 }
      ])
      const two = yield* guest("two", [{ network: "lan" }, { network: "tagged", vlan: 12 }])
      assert.notStrictEqual(one.hostId, two.hostId)
      for (const [vm, number] of [
        [one, 1],
        [two, 2]
      ] as const) {
        yield* run(
          vm,
          `for i in 0 1; do ip link set eth$i up; ip addr flush dev eth$i; ip addr add 10.99.$i.${number}/24 dev eth$i; done`
        )
      }
      assert.include(yield* run(one, "cat /sys/class/net/eth0/address"), "52:54:00:77:00:01")
      const reaches = (address: string) =>
        Lab.eventually(
          `it reaches ${address}`,
          Effect.either(run(one, `ping -c 1 -W 5 ${address}`)),
          ({ _tag }) => _tag === "Right"
        )
      yield* reaches("10.99.0.2")
      yield* reaches("10.99.1.2")
      // what is on the VLAN is not on the network itself
      yield* run(two, "ip link set eth1 down; ip addr flush dev eth1; ip addr add 10.99.1.2/24 dev eth0")
      assert.strictEqual((yield* Effect.either(run(one, "ping -c 2 -W 2 10.99.1.2")))._tag, "Left")

      const all = yield* Effect.flatMap(Networks, (networks) => networks.list)
      const found = new Map(all.map((network) => [network.name, network]))
      assert.deepStrictEqual(found.get("lan")?.vms, [one.id, two.id])
      assert.deepStrictEqual(
        found.get("tagged")?.hosts.map(({ vlans }) => vlans),
        [[12], [12]]
      )
      assert.deepStrictEqual(
        found.get("default")?.hosts.map(({ isDefault }) => isDefault),
        [true, true]
      )
    }).pipe(Effect.scoped, Effect.provide(controller))
  )

  it.live("a NIC that comes and goes is seen by the guest, and so is a cable that is unplugged", () =>
    Effect.gen(function* () {
      yield* ready
      const nics = yield* Nics
      const vm = yield* guest("one", [{}])
      const added = yield* nics.attach(vm.id, { network: "lan" })
      yield* says(vm, `GUEST NIC + eth1 mac=${added.mac}`)
      yield* run(vm, "ip link set eth1 up")
      const carrier = run(vm, "cat /sys/class/net/eth1/carrier")
      yield* Lab.eventually("its link is up", carrier, (text) => text === "1")
      yield* nics.setLink(vm.id, added.id, "down")
      yield* Lab.eventually("its link is down", carrier, (text) => text === "0")
      yield* nics.setLink(vm.id, added.id, "up")
      yield* Lab.eventually("its link is up again", carrier, (text) => text === "1")

      // the guest got its first address from libvirt's own network
      yield* says(vm, "GUEST NET eth0 192.168.122.")
      yield* Lab.eventually("its address is known", nics.list(vm.id), ({ nics }) => nics[0]?.addresses.length === 1)
      const report = yield* nics.list(vm.id)
      const address = report.nics[0]?.addresses[0]
      assert.strictEqual(address?.source, "lease")
      assert.include(yield* log(vm), `GUEST NET eth0 ${address?.address}`)
      assert.deepStrictEqual(report.nics[1]?.source, networks.lan)

      yield* nics.detach(vm.id, added.id)
      yield* says(vm, `GUEST NIC - eth1 mac=${added.mac}`)
      const reality = yield* Reality
      yield* reality.look(vm.hostId)
      const { drift, vm: now } = yield* reality.vm(vm.id)
      assert.deepStrictEqual(drift, [])
      assert.lengthOf(now.nics, 1)
    }).pipe(Effect.scoped, Effect.provide(controller))
  )

  it.live("a VM goes only where its networks are, and a plan shows the device", () =>
    Effect.gen(function* () {
      yield* ready
      const vms = yield* Vms
      const nics = yield* Nics
      const plans = yield* Plans
      const create = (name: string, network: string, vlan?: number) =>
        vms.create({
          name,
          instanceType: InstanceTypeId.make(1),
          nics: [{ network, ...(vlan === undefined ? {} : { vlan }) }]
        })
      for (const name of ["a", "b"]) {
        const vm = yield* Effect.acquireRelease(create(name, "first"), ({ id }) => Effect.orDie(vms.destroy(id)))
        assert.strictEqual(vm.hostId, 1)
      }
      const nowhere = yield* Effect.flip(create("c", "tagged", 13))
      assert.include(nowhere.message, "its network tagged has no bridge br-lan13 for VLAN 13")
      const untagged = yield* Effect.flip(create("c", "lan", 12))
      assert.include(untagged.message, "its network lan takes no VLAN tags")
      const [vm] = yield* vms.list()
      assert(vm !== undefined)
      const refused = yield* Effect.flip(nics.attach(vm.id, { network: "no-such" }))
      assert.include(refused.message, "it has no network no-such")
      const request = { owner: "", method: "POST", path: `/api/v1/vms/${vm.id}/nics`, content: "{}" }
      const plan = yield* plans.plan(request, [nics.attach(vm.id, { network: "lan" })])
      const change = plan.changes.find(({ kind }) => kind === "nic")
      assert.include(change?.after, '<source bridge="br-lan"/>')
      assert.include(change?.after, "{mac}")
      assert.lengthOf((yield* vms.get(vm.id)).nics, 1)
    }).pipe(Effect.scoped, Effect.provide(controller))
  )
})
