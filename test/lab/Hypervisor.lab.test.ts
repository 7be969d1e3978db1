import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import * as CephLive from "../../layers/CephLive.ts"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import { Host } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId, VolumeId } from "../../src/domain/Ids.ts"
import { volumeSerial } from "../../src/domain/Volume.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import { type DiskSource, type DomainRef, Hypervisor, volumeSlots } from "../../src/services/Hypervisor.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import { Ssh } from "../../src/services/Ssh.ts"
import { Storage } from "../../src/services/Storage.ts"
import { type Attachable, hypervisorContract } from "../contracts/HypervisorContract.ts"
import * as LiveWorld from "../hypervisor/LiveWorld.ts"
import * as ScriptedImages from "../storage/ScriptedImages.ts"
import * as Hosts from "./Hosts.ts"
import * as Lab from "./Lab.ts"

const host = Hosts.host(1)
const nameOfHost = Lab.status.hosts[1]!.name
const given: ReadonlyArray<ScriptedImages.Given> = [
  { name: "guest", bytes: readFileSync(`${Lab.status.dir}/images/guest.img`) },
  // nothing boots from it: such a guest stays in its firmware
  { name: "blank", bytes: new Uint8Array(1024 * 1024) }
]
const [guest, blank] = given.map((one, index) => ScriptedImages.imageOf(one, 100 + index))
if (guest === undefined || blank === undefined) throw new Error("no image")

const { client, conf, pool } = Lab.status.ceph

// an emulated guest is slow beside other work
const patient = { ...HypervisorLive.defaults.release, within: "120 seconds" } as const

const driversWith = (options: Partial<HypervisorLive.Options>) =>
  HypervisorLive.layerWith(options).pipe(
    Layer.provideMerge(StorageLive.layerRbd),
    Layer.provideMerge(ScriptedImages.layer(given)),
    Layer.provideMerge(CephLive.layer({ pool, client, conf, host: null })),
    Layer.provideMerge(Hosts.libvirt)
  )
const drivers = driversWith({ release: patient })
const hasty = driversWith({ release: { within: "3 seconds", askEvery: "1 seconds", lookEvery: "1 seconds" } })

/** What the domain's guest has printed. */
const serialOf = (domain: DomainRef) =>
  Effect.flatMap(Ssh, (ssh) => ssh.exec(host.config.address, ["cat", DomainXml.serialLog(domain.domainName)])).pipe(
    Effect.map(({ stdout }) => new TextDecoder().decode(stdout))
  )
const forgetSerial = (domainName: string) =>
  Effect.flatMap(Ssh, (ssh) => ssh.exec(host.config.address, ["rm", "-f", DomainXml.serialLog(domainName)]))

const booted = (domain: DomainRef, times = 1) =>
  Lab.eventually(
    "the guest is ready",
    serialOf(domain),
    (text) => text.split("GUEST READY").length > times,
    "300 seconds"
  )

const says = (domain: DomainRef, line: string, within: `${number} seconds` = "60 seconds") =>
  serialOf(domain).pipe(
    Effect.repeat({ until: (text) => text.includes(line), schedule: Schedule.spaced("50 millis") }),
    Effect.timeoutFail({
      duration: within,
      onTimeout: () => new Lab.LabError({ message: `the guest did not say within ${within}: ${line}` })
    })
  )

const contractDrivers = HypervisorLive.layerWith({ release: patient }).pipe(
  Layer.provideMerge(StorageLive.layerDir),
  Layer.provideMerge(ScriptedImages.layer(given)),
  Layer.provideMerge(Hosts.libvirt)
)

hypervisorContract(
  "libvirt on a real host",
  Layer.unwrapEffect(
    Effect.map(Effect.context<Ssh>(), (context) =>
      LiveWorld.layer({
        host,
        unreachable: Hosts.unreachable,
        network: "default",
        bridge: "br-lan",
        trunk: "br-lan{vlan}",
        image: guest,
        booted: (domain, times) => Effect.provide(booted(domain, times), context),
        kill: ({ domainName }) =>
          Lab.onHost(nameOfHost, "sh", "-c", `kill -9 $(cat /run/libvirt/qemu/${domainName}.pid)`),
        // what an earlier domain of that name has printed
        anew: (domainName) => Effect.provide(forgetSerial(domainName), context)
      })
    )
  ).pipe(Layer.provideMerge(contractDrivers))
)

/** A VM that runs, with its root disk in `driver`; cleared away in the end, with the volumes made before it. */
const vm = Effect.fn(function* (
  id: number,
  given: { readonly driver?: string; readonly image?: typeof guest; readonly size?: number; readonly cpu?: number }
) {
  const hypervisor = yield* Hypervisor
  const storage = (yield* Storage).driver(given.driver ?? "dir")
  const known = new Host({ ...host, facts: yield* hypervisor.facts(host) })
  const vmId = VmId.make(id)
  const domain = { uuid: DomainUuid.make(randomUUID()), domainName: `vm-${id}` }
  const operationId = OperationId.make(randomUUID())
  const size = given.size ?? 1
  const image = given.image ?? guest
  yield* forgetSerial(domain.domainName)
  yield* Effect.acquireRelease(
    Effect.gen(function* () {
      yield* storage.ensureImage(known, image)
      const root = yield* storage.createRoot(known, { vmId, image, size, operationId })
      const resources = { cpu: given.cpu ?? 1, ram: 128, disk: size }
      const nics = [
        {
          alias: "ua-nic-1",
          mac: `52:54:00:00:02:${id.toString(16).padStart(2, "0")}`,
          source: { kind: "libvirt", name: "default" },
          model: "virtio",
          link: "up"
        }
      ] as const
      yield* hypervisor.define(known, { ...domain, vmId, title: "a guest", resources, nics, root, operationId })
      yield* hypervisor.start(known, domain)
    }),
    () =>
      hypervisor
        .powerOff(known, domain)
        .pipe(
          Effect.zipRight(hypervisor.undefine(known, domain)),
          Effect.zipRight(storage.deleteRoot(known, vmId)),
          Effect.orDie
        )
  )
  return { known, domain, vmId, storage, image, hypervisor }
})

/** A volume of 1 GiB, for a domain that is there or will be. */
const volume = Effect.fn(function* (
  id: number,
  domainName: string,
  options: { driver?: string; target?: string } = {}
) {
  const storage = (yield* Storage).driver(options.driver ?? "dir")
  const at = { id: VolumeId.make(id), host: storage.pool === null ? host : null }
  const operationId = OperationId.make(randomUUID())
  yield* Effect.acquireRelease(storage.createVolume(at, { size: 1, name: "data", operationId, source: null }), () =>
    Effect.orDie(storage.discardVolume(at, operationId))
  )
  const source = yield* storage.openVolume(at, { host, domainName, held: false })
  return { alias: `ua-${volumeSerial(at.id)}`, target: options.target ?? "vdb", source } satisfies Attachable
})

const presence = (known: Host, domain: DomainRef, disk: Attachable) =>
  Effect.flatMap(Hypervisor, (hypervisor) =>
    Effect.map(hypervisor.diskPresence(known, domain, disk), Option.getOrThrow)
  )

const gibibyte = 1024 ** 3

// the scope closes before the layer does, so that what is cleared up still has it
const test = <A, E>(
  title: string,
  body: () => Effect.Effect<A, E, Layer.Layer.Success<typeof drivers> | Scope.Scope>,
  layer = drivers
) => it.live(title, () => body().pipe(Effect.scoped, Effect.provide(layer)))

describe("a guest", () => {
  test("boots from its root disk, and sees the size of its type", () =>
    Effect.gen(function* () {
      const { domain, image, known, storage, vmId } = yield* vm(51, { size: 3, cpu: 2 })
      yield* booted(domain)
      assert.match(yield* serialOf(domain), /GUEST READY vda=3221225472 cpus=2/)
      // it runs from the disk: that cannot be taken away
      const error = yield* Effect.flip(storage.deleteRoot(known, vmId))
      assert.include(error.message, "vm-51 runs from it")
      const again = { vmId, image, size: 4, operationId: OperationId.make(randomUUID()) }
      const other = yield* Effect.flip(storage.createRoot(known, again))
      assert.include(other.message, "vm-51")
    }))

  for (const driver of ["dir", "rbd"]) {
    test(`sees a disk of ${driver} come, grow and go`, () =>
      Effect.gen(function* () {
        const disk = yield* volume(71, "vm-51", { driver })
        const { domain, hypervisor, known } = yield* vm(51, { driver, size: 2 })
        yield* booted(domain)
        assert.include(yield* serialOf(domain), "GUEST READY vda=2147483648")
        yield* hypervisor.attachDisk(known, domain, disk)
        yield* says(domain, `GUEST DISK + vdb size=${gibibyte} serial=volume-71`)
        yield* hypervisor.growDisk(known, domain, disk, 2 * gibibyte)
        yield* says(domain, `GUEST DISK = vdb size=${2 * gibibyte} serial=volume-71`)
        yield* hypervisor.detachDisk(known, domain, disk)
        yield* says(domain, `GUEST DISK - vdb size=${2 * gibibyte} serial=volume-71`)
        // started anew with one that was put into its definition
        yield* hypervisor.powerOff(known, domain)
        yield* hypervisor.attachDisk(known, domain, disk)
        yield* forgetSerial(domain.domainName)
        yield* hypervisor.start(known, domain)
        yield* booted(domain)
        assert.include(yield* serialOf(domain), `GUEST READY vda=2147483648 vdb=${2 * gibibyte}`)
      }))
  }

  test("sees as many disks as there are slots", () =>
    Effect.gen(function* () {
      const disks = yield* Effect.forEach(Array.from({ length: volumeSlots }).keys(), (index) =>
        volume(100 + index, "vm-51", { target: `vd${String.fromCharCode("b".charCodeAt(0) + index)}` })
      )
      const { domain, hypervisor, known } = yield* vm(51, {})
      yield* booted(domain)
      for (const disk of disks) yield* hypervisor.attachDisk(known, domain, disk)
      for (const disk of disks) yield* says(domain, `size=${gibibyte} serial=${disk.source.serial}`)
      for (const disk of disks) yield* hypervisor.detachDisk(known, domain, disk)
      assert.deepStrictEqual(yield* presence(known, domain, disks[0]!), { live: false, persistent: false })
    }))

  test("that is paused lets go when it goes on and is asked again", () =>
    Effect.gen(function* () {
      const disk = yield* volume(71, "vm-51")
      const { domain, hypervisor, known } = yield* vm(51, {})
      const libvirt = yield* Libvirt
      yield* booted(domain)
      const dom = { name: domain.domainName, uuid: domain.uuid, id: -1 }
      yield* libvirt.call(host.config.address, "DOMAIN_SUSPEND", { dom })
      yield* hypervisor.attachDisk(known, domain, disk)
      const began = yield* Clock.currentTimeMillis
      assert.strictEqual((yield* Effect.flip(hypervisor.detachDisk(known, domain, disk)))._tag, "GuestHoldsDevice")
      assert.isBelow((yield* Clock.currentTimeMillis) - began, 30_000)
      yield* hypervisor.start(known, domain)
      yield* says(domain, `GUEST DISK + vdb size=${gibibyte} serial=volume-71`)
      yield* hypervisor.detachDisk(known, domain, disk)
      yield* says(domain, `GUEST DISK - vdb size=${gibibyte} serial=volume-71`)
    }))

  test("that is still in its firmware lets go as soon as its system is there", () =>
    Effect.gen(function* () {
      const disk = yield* volume(71, "vm-51")
      const { domain, hypervisor, known } = yield* vm(51, {})
      yield* hypervisor.attachDisk(known, domain, disk)
      yield* hypervisor.detachDisk(known, domain, disk)
      assert.deepStrictEqual(yield* presence(known, domain, disk), { live: false, persistent: false })
      yield* booted(domain)
    }))

  test(
    "that never has a system keeps it, until it is stopped",
    () =>
      Effect.gen(function* () {
        const disk = yield* volume(71, "vm-51")
        const { domain, hypervisor, known } = yield* vm(51, { image: blank })
        yield* hypervisor.attachDisk(known, domain, disk)
        const began = yield* Clock.currentTimeMillis
        const error = yield* Effect.flip(hypervisor.detachDisk(known, domain, disk))
        assert.strictEqual(
          error.message,
          "the guest of vm-51 does not let go of volume-71: it was asked for 3 seconds: let the guest's system release it " +
            "(unmount it), or stop the VM, and detach again"
        )
        const took = (yield* Clock.currentTimeMillis) - began
        assert.isAtLeast(took, 3000)
        assert.isBelow(took, 30_000)
        assert.deepStrictEqual(yield* presence(known, domain, disk), { live: true, persistent: true })
        // stopped while it is waited for
        const waiting = yield* Effect.fork(hypervisor.detachDisk(known, domain, disk))
        yield* Effect.zipRight(Effect.sleep("500 millis"), hypervisor.powerOff(known, domain))
        yield* Fiber.join(waiting)
        assert.deepStrictEqual(yield* presence(known, domain, disk), { live: null, persistent: false })
      }),
    hasty
  )
})

describe("a disk that cannot be opened", () => {
  const refused = (source: DiskSource) =>
    Effect.gen(function* () {
      const { domain, hypervisor, known } = yield* vm(52, { image: blank })
      const disk = { alias: `ua-${source.serial}`, target: "vdb", source }
      const error = yield* Effect.flip(hypervisor.attachDisk(known, domain, disk))
      assert.strictEqual(error._tag, "HostFailure")
      assert.deepStrictEqual(yield* presence(known, domain, disk), { live: false, persistent: false })
      return error.message
    }).pipe(Effect.scoped)
  const fileOf = (source: DiskSource) => {
    assert(source._tag === "File")
    return source
  }

  test("is named when its file is not there", () =>
    Effect.gen(function* () {
      const { source } = yield* volume(72, "vm-52")
      const path = `${host.config.path}/no-such.qcow2`
      assert.include(
        yield* refused({ ...fileOf(source), path }),
        `failed to attach volume-72 to vm-52: ${path} is not there`
      )
    }))

  test("is named when another VM has it", () =>
    Effect.gen(function* () {
      const disk = yield* volume(72, "vm-52")
      const { domain, hypervisor, known } = yield* vm(51, { image: blank })
      yield* hypervisor.attachDisk(known, domain, disk)
      const { path } = fileOf(disk.source)
      assert.include(yield* refused(disk.source), `${path} is open in another VM or program: close it there first`)
    }))

  test("is named when Ceph has no such image, and the client when Ceph does not know it", () =>
    Effect.gen(function* () {
      const { source } = yield* volume(72, "vm-52", { driver: "rbd" })
      assert(source._tag === "Rbd")
      assert.include(yield* refused({ ...source, image: "no-such" }), `${pool}/no-such in Ceph is not there`)
      assert.include(
        yield* refused({ ...source, client: "nobody" }),
        "Ceph does not let its QEMU in as client nobody ("
      )
      assert.include(
        yield* refused({ ...source, secret: randomUUID() }),
        `its libvirt has no key for Ceph client ${client} (`
      )
    }))
})
