/** What the hypervisor tells of a host that does not do what it should. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import { Host, type HostConfig } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId, VolumeId } from "../../src/domain/Ids.ts"
import type { ProcedureName } from "../../src/libvirt/Procedures.ts"
import { type DiskSource, type DomainSpec, Hypervisor } from "../../src/services/Hypervisor.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import { Storage } from "../../src/services/Storage.ts"
import { given, imageNamed } from "../storage/Given.ts"
import * as ScriptedImages from "../storage/ScriptedImages.ts"
import * as Processors from "../../src/simulator/Processors.ts"
import * as Simulated from "./Simulated.ts"

const { here: host } = Simulated
const layerWith = (options: Partial<HypervisorLive.Options>) =>
  HypervisorLive.layerWith(options).pipe(
    Layer.provideMerge(StorageLive.layerDir),
    Layer.provideMerge(ScriptedImages.layer(given)),
    Layer.provideMerge(Simulated.libvirt),
    Layer.provideMerge(Logger.remove(Logger.defaultLogger))
  )
const layer = layerWith({})

const at = Effect.all({
  hypervisor: Hypervisor,
  libvirt: Libvirt,
  storage: Storage,
  simulated: Effect.map(Simulated.Simulated, ({ host }) => host)
})
type At = Effect.Effect.Success<typeof at>

const test = <E>(title: string, body: (at: At) => Effect.Effect<void, E>, over = layer) =>
  it.live(title, () => Effect.flatMap(at, body).pipe(Effect.provide(over)))

const configured = (change: Partial<HostConfig>) => Simulated.host("sim-1", change)

const defined = Effect.fn(function* ({ hypervisor, storage }: At) {
  const known = new Host({ ...host, facts: yield* hypervisor.facts(host) })
  const operationId = OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")
  const vmId = VmId.make(7)
  const image = imageNamed("small")
  yield* storage.preferred.ensureImage(host, image)
  const spec: DomainSpec = {
    vmId,
    uuid: DomainUuid.make("7b2f6e0a-6a5e-4a53-9d0c-3f1d2b7c9a07"),
    domainName: "vm-7",
    title: "web",
    resources: { cpu: 1, ram: 128, disk: 1 },
    nics: [],
    root: yield* storage.preferred.createRoot(host, { vmId, image, size: 1, operationId }),
    operationId
  }
  yield* hypervisor.define(known, spec)
  return { known, spec }
})

describe("facts", () => {
  test("are the machine's", ({ hypervisor, simulated }) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* hypervisor.facts(host), {
        hostname: "sim-1",
        uuid: simulated.uuid,
        libvirtVersion: "9.0.0",
        resources: { cpu: 8, ram: 32 * 1024, disk: 500 },
        arch: "x86_64",
        processor: { model: "EPYC-Rome", vendor: "AMD" },
        features: [...Processors.featuresOf("EPYC-Rome")],
        domainType: "kvm",
        network: "default",
        networks: [{ name: "default", source: { kind: "libvirt", name: "default" }, vlans: null, problem: null }]
      })
    }))

  test("no network: none unless the machine file names one", ({ hypervisor, simulated }) =>
    Effect.gen(function* () {
      for (const network of simulated.state.networks.values()) network.active = false
      assert.strictEqual((yield* hypervisor.facts(host)).network, null)
      const inactive = yield* Effect.flip(hypervisor.facts(configured({ network: "default" })))
      assert.include(inactive.message, 'its libvirt network "default" is not active')
      simulated.state.networks.clear()
      assert.strictEqual((yield* hypervisor.facts(host)).network, null)
    }))

  test("of guests' processors are those of what they run on; a libvirt that cannot name a model's leaves what capabilities name", ({
    hypervisor,
    simulated
  }) =>
    Effect.gen(function* () {
      const features = Effect.map(hypervisor.facts(host), (facts) => facts.features)
      assert.include((yield* features) ?? [], "avx2")
      const emulated = yield* hypervisor.facts(configured({ virt: "qemu" }))
      assert.deepStrictEqual(emulated.features, [...Processors.featuresOf("Nehalem")])
      assert.notInclude(emulated.features ?? [], "avx2")

      yield* simulated.faults.fail("CONNECT_BASELINE_CPU", { code: 3, message: "not for this architecture" })
      assert.isUndefined(yield* features)
      yield* simulated.faults.lieAbout("CONNECT_GET_CAPABILITIES", ({ capabilities }) => ({
        capabilities: capabilities.replace("</vendor>", "</vendor><feature name='vme'/><feature name='aes'/>")
      }))
      yield* simulated.faults.fail("CONNECT_BASELINE_CPU", { code: 3, message: "not for this architecture" })
      assert.deepStrictEqual(yield* features, ["aes", "vme"])
    }))

  test("a virtualization that is not there is refused", ({ hypervisor, simulated }) =>
    Effect.gen(function* () {
      yield* simulated.faults.lieAbout("CONNECT_GET_CAPABILITIES", ({ capabilities }) => ({
        capabilities: capabilities.replaceAll(/<domain type=['"]kvm['"]\/?>/g, "")
      }))
      assert.strictEqual((yield* hypervisor.facts(host)).domainType, "qemu")
      const error = yield* Effect.flip(hypervisor.facts(configured({ virt: "kvm" })))
      assert.include(error.message, "does not offer kvm for x86_64 guests, only qemu")
    }))

  test("what is no XML, another one or a bomb is refused, not believed", ({ hypervisor, simulated }) =>
    Effect.gen(function* () {
      for (const capabilities of [
        "",
        "<capabilities>",
        "<pool/>",
        '<!DOCTYPE a [<!ENTITY b "c">]><capabilities>&b;</capabilities>',
        `<capabilities>${"<a>".repeat(1000)}${"</a>".repeat(1000)}</capabilities>`
      ]) {
        yield* simulated.faults.lieAbout("CONNECT_GET_CAPABILITIES", () => ({ capabilities }))
        const error = yield* Effect.flip(hypervisor.facts(host))
        assert.strictEqual(error._tag, "HostFailure")
        assert.include(error.message, "libvirt sent")
      }
    }))
})

describe("a daemon", () => {
  test("that is stopped makes the host unreachable, and says so", ({ hypervisor, simulated }) =>
    Effect.gen(function* () {
      yield* hypervisor.list(host)
      yield* simulated.faults.stopLibvirtd
      const error = yield* Effect.flip(hypervisor.list(host))
      assert.strictEqual(error._tag, "HostUnreachable")
      // the host's name is said once
      assert.strictEqual(error.message.split("root@sim-1").length, 2)
      yield* simulated.faults.startLibvirtd
      yield* hypervisor.list(host)
    }))

  test("that refuses is quoted", (at) =>
    Effect.gen(function* () {
      const { known, spec } = yield* defined(at)
      yield* at.simulated.faults.fail("DOMAIN_CREATE_WITH_FLAGS", {
        code: 1,
        message: "internal error: no memory left"
      })
      const error = yield* Effect.flip(at.hypervisor.start(known, spec))
      assert.strictEqual(error.message, "host root@sim-1 failed to start vm-7: internal error: no memory left")
    }))

  test("whose answer is lost leaves it open what happened; asking again finds it done", (at) =>
    Effect.gen(function* () {
      const { known, spec } = yield* defined(at)
      const { faults } = at.simulated
      for (const [procedure, act] of [
        ["DOMAIN_CREATE_WITH_FLAGS", at.hypervisor.start(known, spec)],
        ["DOMAIN_DESTROY", at.hypervisor.powerOff(known, spec)],
        ["DOMAIN_UNDEFINE_FLAGS", at.hypervisor.undefine(known, spec)],
        ["DOMAIN_DEFINE_XML_FLAGS", at.hypervisor.define(known, spec)]
      ] as const) {
        yield* faults.clear
        yield* faults.onCall(procedure, "after", faults.dropConnections, { nth: 1 })
        assert.strictEqual((yield* Effect.flip(act))._tag, "HostUnreachable")
        yield* act
      }
      assert.strictEqual(Option.getOrThrow(yield* at.hypervisor.status(known, spec)).state, "shutoff")
    }))

  test("that goes away ends the stream of changes with a failure", (at) =>
    Effect.gen(function* () {
      const { known, spec } = yield* defined(at)
      const listening = yield* Deferred.make<void>()
      const changes = yield* at.hypervisor.changes(host).pipe(
        Stream.tap(() => Deferred.succeed(listening, undefined)),
        Stream.runDrain,
        Effect.flip,
        Effect.fork
      )
      yield* at.hypervisor
        .define(known, spec)
        .pipe(
          Effect.repeat({ until: () => Deferred.isDone(listening), schedule: Schedule.spaced("20 millis") }),
          Effect.timeout("10 seconds")
        )
      yield* at.simulated.faults.dropConnections
      assert.strictEqual((yield* changes)._tag, "HostUnreachable")
    }))
})

const volume = { alias: "ua-volume-1", target: "vdb" }
const volumeSize = 1024 ** 3

/** A domain and a disk for it. */
const withDisk = Effect.fn(function* (at: At) {
  const { known, spec } = yield* defined(at)
  const driver = at.storage.preferred
  const place = { id: VolumeId.make(1), host: known }
  yield* driver.createVolume(place, { size: 1, name: "data", operationId: spec.operationId, source: null })
  const source = yield* driver.openVolume(place, { host: known, domainName: spec.domainName, held: false })
  const { hypervisor } = at
  return {
    known,
    spec,
    disk: { ...volume, source },
    attach: hypervisor.attachDisk(known, spec, { ...volume, source }),
    detach: hypervisor.detachDisk(known, spec, volume),
    grow: (size: number) => hypervisor.growDisk(known, spec, volume, size),
    start: hypervisor.start(known, spec),
    stop: hypervisor.powerOff(known, spec),
    presence: Effect.map(hypervisor.diskPresence(known, spec, volume), Option.getOrThrow)
  }
})

/** The same, attached, in a guest that is up. */
const attached = Effect.fn(function* (at: At) {
  const all = yield* withDisk(at)
  yield* all.start
  yield* all.attach
  yield* Effect.sync(() => at.simulated.guests()).pipe(
    Effect.repeat({
      until: ([guest]) => guest?.disks.some(({ serial }) => serial === "volume-1") === true,
      schedule: Schedule.spaced("5 millis")
    }),
    Effect.timeout("10 seconds")
  )
  return all
})

const both = { live: true, persistent: true }
const neither = { live: false, persistent: false }

/** Looks so seldom that only events can be quick. */
const byEvents = layerWith({ release: { within: "20 seconds", askEvery: "5 seconds", lookEvery: "15 seconds" } })
const hasty = layerWith({ release: { within: "300 millis", askEvery: "100 millis", lookEvery: "20 millis" } })

describe("a guest", () => {
  test(
    "that does not let go is asked again and again, within the limit",
    (at) =>
      Effect.gen(function* () {
        const { detach, presence } = yield* attached(at)
        const { faults } = at.simulated
        yield* faults.holdDevices("vm-7", true)
        const error = yield* Effect.flip(detach)
        assert.strictEqual(error._tag, "GuestHoldsDevice")
        assert.match(
          error.message,
          /^the guest of vm-7 does not let go of volume-1: it was asked for \S+ seconds: .* and detach again$/
        )
        const asked = yield* faults.calls("DOMAIN_DETACH_DEVICE_ALIAS")
        assert.isAtLeast(asked, 2)
        assert.isAtMost(asked, 4)
        assert.deepStrictEqual(yield* presence, both)
        yield* faults.holdDevices("vm-7", false)
        yield* detach
        assert.deepStrictEqual(yield* presence, neither)
      }),
    hasty
  )

  test(
    "that lets go late is heard at once",
    (at) =>
      Effect.gen(function* () {
        const { detach, presence } = yield* attached(at)
        const { faults } = at.simulated
        yield* faults.holdDevices("vm-7", true)
        yield* faults.onCall("DOMAIN_DETACH_DEVICE_ALIAS", "after", faults.holdDevices("vm-7", false), { nth: 1 })
        yield* detach.pipe(Effect.timeout("5 seconds"))
        assert.deepStrictEqual(yield* presence, neither)
      }),
    byEvents
  )

  test(
    "that refuses is believed at once",
    (at) =>
      Effect.gen(function* () {
        const { detach, presence } = yield* attached(at)
        yield* at.simulated.faults.refuseDevices("vm-7", true)
        const error = yield* Effect.flip(detach).pipe(Effect.timeout("5 seconds"))
        assert.strictEqual(
          error.message,
          "the guest of vm-7 does not let go of volume-1: its system refused: unmount the disk there, or stop the VM, and detach again"
        )
        assert.deepStrictEqual(yield* presence, both)
      }),
    byEvents
  )

  test(
    "that is paused while it is waited for is not waited for any longer",
    (at) =>
      Effect.gen(function* () {
        const { detach, known, presence, spec } = yield* attached(at)
        const { faults } = at.simulated
        yield* faults.holdDevices("vm-7", true)
        const dom = { name: spec.domainName, uuid: spec.uuid, id: -1 }
        const pause = at.libvirt.call(known.config.address, "DOMAIN_SUSPEND", { dom })
        yield* faults.onCall("DOMAIN_DETACH_DEVICE_ALIAS", "after", Effect.orDie(pause), { nth: 1 })
        const error = yield* Effect.flip(detach).pipe(Effect.timeout("5 seconds"))
        assert.include(error.message, "it is paused: resume it")
        assert.deepStrictEqual(yield* presence, both)
      }),
    byEvents
  )

  test(
    "that dies while it is waited for has let go",
    (at) =>
      Effect.gen(function* () {
        const { detach, presence } = yield* attached(at)
        const { faults } = at.simulated
        yield* faults.holdDevices("vm-7", true)
        yield* faults.onCall("DOMAIN_DETACH_DEVICE_ALIAS", "after", Effect.asVoid(faults.crashGuest("vm-7")), {
          nth: 1
        })
        yield* detach.pipe(Effect.timeout("5 seconds"))
        assert.deepStrictEqual(yield* presence, { live: null, persistent: false })
      }),
    byEvents
  )

  test("that lets go is seen also where nothing tells of it", (at) =>
    Effect.gen(function* () {
      yield* at.simulated.faults.fail("CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", {
        code: 3,
        message: "this function is not supported by the connection driver"
      })
      const { detach, presence } = yield* attached(at)
      yield* detach.pipe(Effect.timeout("5 seconds"))
      assert.deepStrictEqual(yield* presence, neither)
    }))
})

describe("a disk", () => {
  test("whose attaching, growing or detaching was not answered is where it should be when asked again", (at) =>
    Effect.gen(function* () {
      const { attach, detach, grow, presence } = yield* attached(at)
      const { faults } = at.simulated
      for (const [procedure, act, expected] of [
        ["DOMAIN_DETACH_DEVICE_ALIAS", detach, neither],
        ["DOMAIN_ATTACH_DEVICE_FLAGS", attach, both],
        ["DOMAIN_BLOCK_RESIZE", grow(2 * volumeSize), both]
      ] as const) {
        yield* faults.clear
        yield* faults.onCall(procedure, "after", faults.dropConnections, { nth: 1 })
        assert.strictEqual((yield* Effect.flip(act))._tag, "HostUnreachable")
        yield* act
        assert.deepStrictEqual(yield* presence, expected)
      }
      assert.strictEqual(
        at.simulated.guests()[0]?.disks.find(({ serial }) => serial === "volume-1")?.size,
        2 * volumeSize
      )
    }))

  test("is not said to be gone while an attach that nobody waits for is still under way", (at) =>
    Effect.gen(function* () {
      const { attach, detach, presence, start } = yield* withDisk(at)
      yield* start
      const { faults } = at.simulated
      const arrived = (procedure: ProcedureName) =>
        faults
          .calls(procedure)
          .pipe(
            Effect.repeat({ until: (calls) => calls === 1, schedule: Schedule.spaced("5 millis") }),
            Effect.timeout("5 seconds")
          )
      yield* faults.hang("DOMAIN_ATTACH_DEVICE_FLAGS", true)
      const attaching = yield* Effect.fork(attach)
      yield* arrived("DOMAIN_ATTACH_DEVICE_FLAGS")
      yield* Fiber.interrupt(attaching)
      const detaching = yield* Effect.fork(detach)
      yield* arrived("DOMAIN_DETACH_DEVICE_ALIAS")
      assert.deepStrictEqual(yield* presence, neither)
      assert.isTrue(Option.isNone(yield* Fiber.poll(detaching)))
      yield* faults.hang("DOMAIN_ATTACH_DEVICE_FLAGS", false)
      yield* Fiber.join(detaching)
      assert.isAtLeast(yield* faults.calls("DOMAIN_DETACH_DEVICE_ALIAS"), 2)
      assert.deepStrictEqual(yield* presence, neither)
    }))

  test("ends in the definition of a domain that is stopped just before it is attached", (at) =>
    Effect.gen(function* () {
      const { attach, presence, start, stop } = yield* withDisk(at)
      yield* start
      yield* at.simulated.faults.onCall("DOMAIN_ATTACH_DEVICE_FLAGS", "before", Effect.orDie(stop), { nth: 1 })
      yield* attach
      assert.deepStrictEqual(yield* presence, { live: null, persistent: true })
    }))

  test("ends in a domain that is started just before it is attached to its definition, or taken from it", (at) =>
    Effect.gen(function* () {
      const { attach, detach, presence, start, stop } = yield* withDisk(at)
      const { faults } = at.simulated
      yield* faults.onCall("DOMAIN_ATTACH_DEVICE_FLAGS", "before", Effect.orDie(start), { nth: 1 })
      yield* attach
      assert.deepStrictEqual(yield* presence, both)
      yield* stop
      yield* faults.clear
      yield* faults.onCall("DOMAIN_DETACH_DEVICE_ALIAS", "before", Effect.orDie(start), { nth: 1 })
      yield* detach
      assert.deepStrictEqual(yield* presence, neither)
    }))

  test("is not attached to a domain that has it already by another name", (at) =>
    Effect.gen(function* () {
      const { disk, known, presence, spec } = yield* attached(at)
      const again = { ...disk, alias: "ua-volume-2", target: "vdc" }
      const error = yield* Effect.flip(at.hypervisor.attachDisk(known, spec, again))
      assert.include(error.message, "vm-7 has it already, at vdb")
      assert.deepStrictEqual(yield* presence, both)
    }))
})

test("a title reaches a domain that somebody starts just when it was seen not to run", (at) =>
  Effect.gen(function* () {
    const { known, spec } = yield* defined(at)
    const { hypervisor } = at
    const start = Effect.orDie(hypervisor.start(known, spec))
    yield* at.simulated.faults.onCall("DOMAIN_SET_METADATA", "before", start, { nth: 2 })
    yield* hypervisor.rename(known, spec, "new")
    const { defined: persistent, live } = yield* Effect.map(hypervisor.detail(known, spec.uuid), Option.getOrThrow)
    assert.deepStrictEqual([live?.title, persistent?.title], ["new", "new"])
  }))

// as a real libvirt 9.0.0 with QEMU 7.2 says it
describe("what libvirt says of a disk that it cannot attach", () => {
  const rbd: DiskSource = {
    _tag: "Rbd",
    pool: "vms",
    image: "volume-1",
    monitors: [
      { host: "10.0.0.2", port: 6789 },
      { host: "fd00::3", port: 3300 }
    ],
    client: "libvirt",
    secret: "7b2f6e0a-6a5e-4a53-9d0c-3f1d2b7c9a07",
    serial: "volume-1"
  }
  const file: DiskSource = { _tag: "File", path: "/srv/volume-1.qcow2", format: "qcow2", serial: "volume-1" }
  const qemu = "internal error: unable to execute QEMU command 'blockdev-add':"

  const said = [
    [
      rbd,
      66,
      `Secret not found: no secret with matching uuid '${rbd.secret}'`,
      `its libvirt has no key for Ceph client libvirt (Secret not found: no secret with matching uuid '${rbd.secret}'): has the secret been removed by hand? It is put back when the volume is attached again`
    ],
    [
      rbd,
      1,
      `${qemu} error reading header from volume-1: No such file or directory`,
      `vms/volume-1 in Ceph is not there (${qemu} error reading header from volume-1: No such file or directory)`
    ],
    [
      rbd,
      1,
      `${qemu} error connecting: Operation not permitted`,
      "Ceph does not let its QEMU in as client libvirt (Operation not permitted): is the key the client's, and may it use pool vms?"
    ],
    [
      rbd,
      1,
      `${qemu} error connecting: Connection timed out`,
      "no Ceph monitor answers it at 10.0.0.2 port 6789, fd00::3 port 3300: is the network between them up?"
    ],
    [
      file,
      38,
      "Cannot access storage file '/srv/volume-1.qcow2' (as uid:64055, gid:64055): No such file or directory",
      "/srv/volume-1.qcow2 is not there (Cannot access storage file '/srv/volume-1.qcow2' (as uid:64055, gid:64055): No such file or directory)"
    ],
    [
      file,
      1,
      `${qemu} Failed to get "write" lock`,
      `/srv/volume-1.qcow2 is open in another VM or program: close it there first (${qemu} Failed to get "write" lock)`
    ],
    [file, 1, `${qemu} Image is not in qcow2 format`, `${qemu} Image is not in qcow2 format`],
    [
      file,
      1,
      "internal error: No more available PCI slots",
      "vm-7 has no free slot: other devices have taken its PCI Express ports, detach a volume or one of them first"
    ]
  ] as const

  test("is told with what to do about it", (at) =>
    Effect.gen(function* () {
      const { known, spec } = yield* defined(at)
      for (const [source, code, message, reason] of said) {
        yield* at.simulated.faults.clear
        yield* at.simulated.faults.fail("DOMAIN_ATTACH_DEVICE_FLAGS", { code, message })
        const error = yield* Effect.flip(at.hypervisor.attachDisk(known, spec, { ...volume, source }))
        assert.strictEqual(error.message, `host root@sim-1 failed to attach volume-1 to vm-7: ${reason}`)
      }
    }))

  test("is told also when it is that another job has the domain", (at) =>
    Effect.gen(function* () {
      const { attach } = yield* withDisk(at)
      yield* at.simulated.faults.fail("DOMAIN_ATTACH_DEVICE_FLAGS", {
        code: 68,
        message: "Timed out during operation: cannot acquire state change lock"
      })
      assert.strictEqual(
        (yield* Effect.flip(attach)).message,
        "host root@sim-1 failed to attach volume-1 to vm-7: vm-7 is still busy with something else (Timed out during operation: " +
          "cannot acquire state change lock): does the storage of its disks answer? Try again when that has ended"
      )
      assert.strictEqual(yield* at.simulated.faults.calls("DOMAIN_ATTACH_DEVICE_FLAGS"), 1)
    }))
})
