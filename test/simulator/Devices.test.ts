/** Disks that come and go, as the guest and the daemon's clients see it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import { nicSlots } from "../../src/domain/Nic.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as Events from "../../src/libvirt/Events.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import { volumeSlots } from "../../src/services/Hypervisor.ts"
import * as Cluster from "../../src/simulator/Cluster.ts"
import * as SimulatedHost from "../../src/simulator/SimulatedHost.ts"
import * as RawClient from "./RawClient.ts"

const uuid = "00112233-4455-6677-8899-aabbccddeeff"
const dom = { name: "vm-1", uuid, id: -1 }
const folder = "/var/lib/vmfabric"
const secret = "5ec4e700-0000-4000-8000-000000000001"
const gibibyte = 1024 ** 3

const fileDisk = (name: string, target: string, format = "qcow2") =>
  `<disk type='file' device='disk'><driver name='qemu' type='${format}'/><source file='${folder}/${name}'/><target dev='${target}' bus='virtio'/><serial>${name}</serial><alias name='ua-${name}'/></disk>`
const rbdDisk = (image: string, target: string, client = "vmfabric") => {
  const name = image.slice(image.indexOf("/") + 1)
  return `<disk type='network' device='disk'><driver name='qemu' type='raw'/><auth username='${client}'><secret type='ceph' uuid='${secret}'/></auth><source protocol='rbd' name='${image}'><host name='10.0.0.1' port='6789'/></source><target dev='${target}' bus='virtio'/><serial>${name}</serial><alias name='ua-${name}'/></disk>`
}
const domainXml = (disks: string) =>
  `<domain type='qemu'><name>vm-1</name><uuid>${uuid}</uuid><memory unit='MiB'>512</memory><os><type arch='x86_64' machine='q35'>hvm</type></os><devices><controller type='pci' index='0' model='pcie-root'/>${"<controller type='pci' model='pcie-root-port'/>".repeat(8)}${disks}</devices></domain>`

/** A host with a domain `vm-1` that has a root disk, and volumes `volume-1` and `volume-2` for it. */
const make = (options: Partial<SimulatedHost.Options> = {}, root = fileDisk("root", "vda")) =>
  Effect.gen(function* () {
    const host = yield* SimulatedHost.make({ hostname: "h1", authorizedKeys: [], ...options })
    const connect = Effect.gen(function* () {
      const client = RawClient.make(yield* Effect.orDie(host.libvirtSocket))
      yield* client.open
      return client
    })
    const client = yield* connect
    const { pool } = yield* client.call("STORAGE_POOL_DEFINE_XML", {
      xml: `<pool type='dir'><name>p</name><target><path>${folder}</path></target></pool>`,
      flags: 0
    })
    yield* client.call("STORAGE_POOL_BUILD", { pool, flags: 0 })
    yield* client.call("STORAGE_POOL_CREATE", { pool, flags: 0 })
    for (const name of ["root", "volume-1", "volume-2"]) {
      yield* client.call("STORAGE_VOL_CREATE_XML", {
        pool,
        xml: `<volume><name>${name}</name><capacity unit='GiB'>1</capacity><target><format type='qcow2'/></target></volume>`,
        flags: 0
      })
    }
    yield* client.call("DOMAIN_DEFINE_XML_FLAGS", { xml: domainXml(root), flags: 0 })
    for (const eventID of [15, 19, 22]) {
      yield* client.call("CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", { eventID, dom: null })
    }
    const targets = (flags: number) =>
      Effect.map(client.call("DOMAIN_GET_XML_DESC", { dom, flags }), ({ xml }) =>
        [...xml.matchAll(/<target dev='(vd[a-z])'/g)].map(([, target]) => target)
      )
    return {
      host,
      client,
      connect,
      start: client.call("DOMAIN_CREATE_WITH_FLAGS", { dom, flags: 0 }),
      attach: (xml: string, flags = 1) => client.call("DOMAIN_ATTACH_DEVICE_FLAGS", { dom, xml, flags }),
      detach: (xml: string, flags = 1) => client.call("DOMAIN_DETACH_DEVICE_FLAGS", { dom, xml, flags }),
      release: (alias: string, flags = 1) => client.call("DOMAIN_DETACH_DEVICE_ALIAS", { dom, alias, flags }),
      targets,
      serial: () => host.guests()[0]?.serial ?? [],
      events: () =>
        client.pushed.flatMap(({ payload, procedure }) => {
          const event = Either.getOrThrow(Events.decode(procedure, payload)!)
          return "devAlias" in event ? [`${event._tag} ${event.devAlias}`] : []
        })
    }
  })

/** real time, also under the test's clock: lets everything that is on its way arrive */
const settle = Effect.promise(
  () => new Promise<void>((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))))
)
const pass = (time: string & Parameters<typeof TestClock.adjust>[0]) =>
  settle.pipe(Effect.zipRight(TestClock.adjust(time)), Effect.zipRight(settle))

describe("a running guest", () => {
  it.scoped("sees disks come, grow and go, under the first free name", () =>
    Effect.gen(function* () {
      const { attach, client, events, host, release, serial, start, targets } = yield* make()
      yield* start
      yield* attach(fileDisk("volume-1", "vdc"))
      yield* pass("200 millis")
      assert.deepStrictEqual(serial(), [`GUEST READY vda=${gibibyte} vdb=${gibibyte}`])
      yield* attach(fileDisk("volume-2", "vdb"))
      yield* client.call("DOMAIN_BLOCK_RESIZE", { dom, disk: "vdb", size: BigInt(2 * gibibyte), flags: 1 })
      yield* release("ua-volume-1")
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb", "vdc"])
      yield* pass("49 millis")
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb", "vdc"])
      yield* pass("1 millis")
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb"])
      assert.deepStrictEqual(serial().slice(1), [
        `GUEST DISK + vdc size=${gibibyte} serial=volume-2`,
        `GUEST DISK = vdc size=${2 * gibibyte} serial=volume-2`,
        `GUEST DISK - vdb size=${gibibyte} serial=volume-1`
      ])
      assert.deepStrictEqual(host.guests()[0]?.disks, [
        { name: "vda", size: gibibyte, serial: "root" },
        { name: "vdc", size: 2 * gibibyte, serial: "volume-2" }
      ])
      assert.deepStrictEqual(events(), [
        "DeviceAdded ua-volume-1",
        "DeviceAdded ua-volume-2",
        "DeviceRemoved ua-volume-1"
      ])
    })
  )

  it.scoped("does not hear of a removal before it is up; a second request is heard, and so is a reset", () =>
    Effect.gen(function* () {
      const { attach, client, release, serial, start, targets } = yield* make()
      yield* start
      yield* attach(fileDisk("volume-1", "vdb"))
      yield* release("ua-volume-1")
      yield* pass("10 seconds")
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb"])
      yield* release("ua-volume-1")
      yield* pass("50 millis")
      assert.deepStrictEqual(yield* targets(0), ["vda"])

      yield* client.call("DOMAIN_RESET", { dom, flags: 0 })
      yield* attach(fileDisk("volume-1", "vdb"))
      yield* release("ua-volume-1")
      yield* client.call("DOMAIN_RESET", { dom, flags: 0 })
      assert.deepStrictEqual(yield* targets(0), ["vda"])
      yield* pass("1 seconds")
      assert.deepStrictEqual(serial().at(-1), `GUEST READY vda=${gibibyte}`)
      assert.strictEqual(serial().filter((line) => line.startsWith("GUEST READY")).length, 2)
    })
  )

  it.scoped("lets go only after it was resumed", () =>
    Effect.gen(function* () {
      const { attach, client, release, serial, start, targets } = yield* make()
      yield* start
      yield* pass("200 millis")
      yield* attach(fileDisk("volume-1", "vdb"))
      yield* client.call("DOMAIN_SUSPEND", { dom })
      yield* release("ua-volume-1")
      yield* attach(fileDisk("volume-2", "vdc"))
      yield* pass("10 seconds")
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb", "vdc"])
      assert.strictEqual(serial().length, 2)
      yield* client.call("DOMAIN_RESUME", { dom })
      yield* pass("50 millis")
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdc"])
      assert.deepStrictEqual(serial().slice(2), [
        `GUEST DISK + vdc size=${gibibyte} serial=volume-2`,
        `GUEST DISK - vdb size=${gibibyte} serial=volume-1`
      ])
    })
  )

  it.scoped("can be made to hold its devices, and lets go of those asked for when it no longer does", () =>
    Effect.gen(function* () {
      const { attach, events, host, release, start, targets } = yield* make()
      yield* start
      yield* pass("200 millis")
      yield* attach(fileDisk("volume-1", "vdb"), 3)
      yield* host.faults.holdDevices("vm-1", true)
      // out of the definition it is at once
      yield* release("ua-volume-1", 3)
      yield* pass("1 minute")
      yield* release("ua-volume-1")
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb"])
      assert.deepStrictEqual(yield* targets(2), ["vda"])
      yield* host.faults.holdDevices("vm-1", false)
      yield* pass("50 millis")
      assert.deepStrictEqual(yield* targets(0), ["vda"])
      assert.deepStrictEqual(events(), ["DeviceAdded ua-volume-1", "DeviceRemoved ua-volume-1"])
    })
  )

  it.scoped("takes its disks with it, and gives them back when it goes", () =>
    Effect.gen(function* () {
      const { attach, client, host, start, targets } = yield* make()
      yield* start
      yield* attach(fileDisk("volume-1", "vdb"))
      yield* host.faults.crashGuest("vm-1")
      assert.deepStrictEqual(yield* targets(0), ["vda"])
      yield* start
      yield* attach(fileDisk("volume-1", "vdb"), 3)
      yield* client.call("DOMAIN_DESTROY", { dom })
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb"])
      yield* start
      yield* pass("200 millis")
      assert.deepStrictEqual(host.guests()[0]?.serial, [`GUEST READY vda=${gibibyte} vdb=${gibibyte}`])
    })
  )
})

describe("a detach by XML", () => {
  it.scoped("answers as soon as the guest has let go", () =>
    Effect.gen(function* () {
      const { attach, detach, start, targets } = yield* make()
      yield* start
      yield* pass("200 millis")
      yield* attach(fileDisk("volume-1", "vdb"))
      const detaching = yield* Effect.fork(detach(fileDisk("volume-1", "vdb")))
      yield* pass("50 millis")
      yield* Fiber.join(detaching)
      assert.deepStrictEqual(yield* targets(0), ["vda"])
    })
  )

  it.scoped("waits 5 s, and answers all the same; other changes of the domain wait for it", () =>
    Effect.gen(function* () {
      const { attach, client, detach, start, targets } = yield* make({ bootTime: "1 minute" })
      yield* start
      yield* attach(fileDisk("volume-1", "vdb"))
      const detaching = yield* Effect.fork(detach(fileDisk("volume-1", "vdb")))
      yield* settle
      const info = yield* Effect.fork(client.call("DOMAIN_GET_BLOCK_INFO", { dom, path: "vdb", flags: 0 }))
      yield* pass("4999 millis")
      assert.isNull(detaching.unsafePoll())
      assert.isNull(info.unsafePoll())
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb"])
      yield* pass("1 millis")
      yield* Fiber.join(detaching)
      assert.strictEqual((yield* Fiber.join(info)).capacity, BigInt(gibibyte))
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb"])
    })
  )

  it.scoped("fails when the guest says no", () =>
    Effect.gen(function* () {
      const { attach, detach, events, host, start, targets } = yield* make()
      yield* start
      yield* pass("200 millis")
      yield* attach(fileDisk("volume-1", "vdb"))
      yield* host.faults.refuseDevices("vm-1", true)
      const detaching = yield* Effect.fork(Effect.flip(detach(fileDisk("volume-1", "vdb"))))
      yield* pass("50 millis")
      assert.deepInclude(yield* Fiber.join(detaching), {
        code: 9,
        message: "operation failed: unplug of device was rejected by the guest"
      })
      assert.deepStrictEqual(events(), ["DeviceAdded ua-volume-1", "DeviceRemovalFailed ua-volume-1"])
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb"])
    })
  )
})

describe("faults", () => {
  it.scoped("work for what is done to devices", () =>
    Effect.gen(function* () {
      const { attach, host, start, targets } = yield* make()
      yield* start
      yield* host.faults.fail("DOMAIN_ATTACH_DEVICE_FLAGS", { code: 1, message: "no", effect: true, nth: 1 })
      assert.deepInclude(yield* Effect.flip(attach(fileDisk("volume-1", "vdb"))), { code: 1, message: "no" })
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb"])
      yield* host.faults.hang("DOMAIN_ATTACH_DEVICE_FLAGS", true)
      const attaching = yield* Effect.fork(attach(fileDisk("volume-2", "vdc")))
      yield* pass("10 seconds")
      assert.isNull(attaching.unsafePoll())
      yield* host.faults.hang("DOMAIN_ATTACH_DEVICE_FLAGS", false)
      yield* Fiber.join(attaching)
      assert.deepStrictEqual(yield* targets(0), ["vda", "vdb", "vdc"])
    })
  )
})

describe("images of a Ceph cluster", () => {
  /** a cluster with a root disk of 2 GiB and a volume of 1 */
  const cluster = Effect.gen(function* () {
    const ceph = yield* Cluster.make({ client: "vmfabric" })
    yield* ceph.calls.create({ image: "vm-1-root", size: 2 * gibibyte })
    yield* ceph.calls.create({ image: "volume-7", size: gibibyte })
    const watchers = Effect.map(
      Effect.forEach(["vm-1-root", "volume-7"], (image) => ceph.calls.look({ image })),
      (images) => images.map(({ watchers }) => watchers.length)
    )
    return { ceph, watchers }
  })
  const defineSecret = (client: RawClient.RawClient, value: string) =>
    Effect.gen(function* () {
      const made = yield* client.call("SECRET_DEFINE_XML", {
        xml: `<secret ephemeral='no' private='yes'><uuid>${secret}</uuid><usage type='ceph'><name>client.vmfabric</name></usage></secret>`,
        flags: 0
      })
      yield* client.call("SECRET_SET_VALUE", { secret: made.secret, value: Buffer.from(value, "base64"), flags: 0 })
    })

  it.scoped("are a guest's disks: opened, grown, closed", () =>
    Effect.gen(function* () {
      const { ceph, watchers } = yield* cluster
      const { attach, client, release, serial, start } = yield* make(
        { ceph, address: "10.0.0.9" },
        rbdDisk("vms/vm-1-root", "vda")
      )
      yield* defineSecret(client, ceph.key)
      yield* start
      yield* pass("200 millis")
      assert.deepStrictEqual(serial(), [`GUEST READY vda=${2 * gibibyte}`])
      yield* attach(rbdDisk("vms/volume-7", "vdb"))
      const [watcher] = (yield* ceph.calls.look({ image: "volume-7" })).watchers
      assert.match(watcher ?? "", /^10\.0\.0\.9:0\/[0-9]+$/)
      // QEMU knows only of what it has grown itself
      yield* ceph.calls.grow({ image: "volume-7", size: 2 * gibibyte })
      const info = client.call("DOMAIN_GET_BLOCK_INFO", { dom, path: "vdb", flags: 0 })
      assert.strictEqual((yield* info).capacity, BigInt(gibibyte))
      yield* client.call("DOMAIN_BLOCK_RESIZE", { dom, disk: "vdb", size: BigInt(3 * gibibyte), flags: 1 })
      assert.strictEqual((yield* info).capacity, BigInt(3 * gibibyte))
      assert.strictEqual((yield* ceph.calls.look({ image: "volume-7" })).size, 3 * gibibyte)
      yield* release("ua-volume-7")
      yield* pass("50 millis")
      assert.deepStrictEqual(yield* watchers, [1, 0])
      yield* client.call("DOMAIN_DESTROY", { dom })
      assert.deepStrictEqual(yield* watchers, [0, 0])
    })
  )

  it.scoped("are refused as QEMU refuses them, and a domain that cannot have all of its disks has none open", () =>
    Effect.gen(function* () {
      const { ceph, watchers } = yield* cluster
      const { attach, client, start } = yield* make({ ceph })
      const refusal = (xml: string) => Effect.map(Effect.flip(attach(xml)), ({ message }) => message ?? "")
      yield* start
      const qemu = "internal error: unable to execute QEMU command 'blockdev-add': "
      yield* defineSecret(client, Buffer.alloc(28, 1).toString("base64"))
      assert.strictEqual(yield* refusal(rbdDisk("vms/volume-7", "vdb")), `${qemu}error connecting: Permission denied`)
      yield* defineSecret(client, Buffer.alloc(4).toString("base64"))
      assert.strictEqual(yield* refusal(rbdDisk("vms/volume-7", "vdb")), `${qemu}error connecting: Invalid argument`)
      yield* defineSecret(client, ceph.key)
      assert.strictEqual(
        yield* refusal(rbdDisk("vms/volume-7", "vdb", "nobody")),
        `${qemu}error connecting: Permission denied`
      )
      assert.strictEqual(
        yield* refusal(rbdDisk("vms/none", "vdb")),
        `${qemu}error reading header from none: No such file or directory`
      )
      assert.strictEqual(
        yield* refusal(rbdDisk("other/volume-7", "vdb")),
        `${qemu}error opening pool other: No such file or directory`
      )
      assert.deepStrictEqual(yield* watchers, [0, 0])

      yield* client.call("DOMAIN_DESTROY", { dom })
      yield* attach(rbdDisk("vms/volume-7", "vdb"), 2)
      yield* attach(rbdDisk("vms/none", "vdc"), 2)
      assert.match(
        (yield* Effect.flip(start)).message ?? "",
        /error reading header from none: No such file or directory$/
      )
      assert.deepStrictEqual(yield* watchers, [0, 0])
    })
  )

  it.scoped("are watched for a while after a guest has died, or for as long as a test wants", () =>
    Effect.gen(function* () {
      const { ceph, watchers } = yield* cluster
      const { client, connect, host, start } = yield* make(
        { ceph, watchTimeout: "30 seconds" },
        rbdDisk("vms/vm-1-root", "vda")
      )
      yield* defineSecret(client, ceph.key)
      yield* start
      yield* host.faults.crashGuest("vm-1")
      yield* pass("29 seconds")
      assert.deepStrictEqual(yield* watchers, [1, 0])
      yield* pass("1 seconds")
      assert.deepStrictEqual(yield* watchers, [0, 0])

      yield* host.faults.keepWatchers(true)
      yield* start
      yield* host.faults.losePower
      yield* pass("1 hour")
      assert.deepStrictEqual(yield* watchers, [1, 0])
      yield* host.faults.keepWatchers(false)
      assert.deepStrictEqual(yield* watchers, [0, 0])

      // the secret was on the machine's disk
      yield* host.faults.bootAgain
      const again = yield* connect
      yield* again.call("DOMAIN_CREATE_WITH_FLAGS", { dom, flags: 0 })
      assert.deepStrictEqual(yield* watchers, [1, 0])
    })
  )

  it.scoped("cannot be had by a host without a way to the cluster", () =>
    Effect.gen(function* () {
      const { attach, client, start } = yield* make()
      yield* defineSecret(client, Buffer.alloc(28, 1).toString("base64"))
      yield* start
      assert.match((yield* Effect.flip(attach(rbdDisk("vms/volume-7", "vdb")))).message ?? "", /error connecting: /)
    })
  )
})

/** A slot is any device's: who has no NIC could have as many volumes more, if the controller gave it so many. */
const slots = volumeSlots + nicSlots

it.scopedLive(
  `a domain of ours without a NIC has room for ${slots} devices, those of volumes and of NICs, no more`,
  () =>
    Effect.gen(function* () {
      const { attach, client, start, targets } = yield* make()
      const spec = DomainXml.build(
        {
          vmId: VmId.make(1),
          uuid: DomainUuid.make(uuid),
          domainName: "vm-1",
          title: "web",
          resources: { cpu: 1, ram: 512, disk: 1 },
          nics: [],
          root: { _tag: "File", path: `${folder}/root`, format: "qcow2", serial: "root" },
          operationId: OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")
        },
        {
          hostname: "h1",
          uuid,
          libvirtVersion: "9.0.0",
          resources: { cpu: 8, ram: 1024, disk: 100 },
          arch: "x86_64",
          domainType: "qemu",
          network: "default"
        }
      )
      yield* client.call("DOMAIN_DEFINE_XML_FLAGS", { xml: yield* Xml.render(spec), flags: 1 })
      yield* start
      const { pool } = yield* client.call("STORAGE_POOL_LOOKUP_BY_NAME", { name: "p" })
      const letters = Array.from({ length: slots + 1 }, (_, index) => String.fromCharCode(98 + index))
      for (const letter of letters) {
        yield* client.call("STORAGE_VOL_CREATE_XML", {
          pool,
          xml: `<volume><name>${letter}</name><capacity>1048576</capacity><target><format type='qcow2'/></target></volume>`,
          flags: 0
        })
      }
      for (const letter of letters.slice(0, slots)) yield* attach(fileDisk(letter, `vd${letter}`), 3)
      const last = letters.at(-1)!
      const refused = yield* Effect.flip(attach(fileDisk(last, `vd${last}`), 3))
      assert.deepInclude(refused, { code: 1, message: "internal error: No more available PCI slots" })
      for (const flags of [0, 2]) assert.strictEqual((yield* targets(flags)).length, slots + 1)
    })
)

it.scopedLive("a secret that is ephemeral ends with the daemon, any other does not", () =>
  Effect.gen(function* () {
    const { client, connect, host } = yield* make()
    for (const [ephemeral, name] of [
      ["yes", "a"],
      ["no", "b"]
    ]) {
      yield* client.call("SECRET_DEFINE_XML", {
        xml: `<secret ephemeral='${ephemeral}'><usage type='ceph'><name>${name}</name></usage></secret>`,
        flags: 0
      })
    }
    yield* host.faults.stopLibvirtd
    yield* host.faults.startLibvirtd
    const again = yield* connect
    const { secrets } = yield* again.call("CONNECT_LIST_ALL_SECRETS", { need_results: 1, flags: 0 })
    assert.deepStrictEqual(
      secrets.map(({ usageID }) => usageID),
      ["b"]
    )
  })
)
