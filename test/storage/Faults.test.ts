/** What the storage does when a host does not do what it should. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import { Host } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, SnapshotId, VmId, VolumeId } from "../../src/domain/Ids.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { StepProgress } from "../../src/services/StepProgress.ts"
import { type DiskAt, Storage } from "../../src/services/Storage.ts"
import { HostFile } from "../../src/simulator/HostFiles.ts"
import * as Simulated from "../hypervisor/Simulated.ts"
import { given, imageNamed } from "./Given.ts"
import * as ScriptedImages from "./ScriptedImages.ts"

const { here: host } = Simulated
const image = imageNamed("small")
const vmId = VmId.make(7)
const operationId = OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")

const drivers = HypervisorLive.layer.pipe(Layer.provideMerge(StorageLive.layerDir))
const world = Layer.merge(ScriptedImages.layer(given), Simulated.libvirt).pipe(
  // failures that are provoked here are told to the log as well
  Layer.provideMerge(Logger.remove(Logger.defaultLogger))
)
const layer = drivers.pipe(Layer.provideMerge(world))

const at = Effect.all({
  storage: Storage,
  driver: Effect.map(Storage, ({ preferred }) => preferred),
  hypervisor: Hypervisor,
  simulated: Effect.map(Simulated.Simulated, ({ host }) => host),
  images: ScriptedImages.ScriptedImages
})

type At = Effect.Effect.Success<typeof at>

const test = <E>(title: string, body: (at: At) => Effect.Effect<void, E>) =>
  it.live(title, () => Effect.flatMap(at, body).pipe(Effect.provide(layer)))

const imageFiles = ({ simulated }: At) =>
  simulated.state.files
    .inFolder(host.config.path)
    .map(([name]) => name.replace(/[0-9a-f]{64}/, "*"))
    .filter((name) => name.startsWith("image-"))
    .toSorted()

/** A VM that runs from its root disk. */
const running = Effect.fn(function* ({ driver, hypervisor }: At) {
  const known = new Host({ ...host, facts: yield* hypervisor.facts(host) })
  const root = yield* driver.createRoot(host, { vmId, operationId, image, size: 1 })
  const domain = { uuid: DomainUuid.make("7b2f6e0a-6a5e-4a53-9d0c-3f1d2b7c9a07"), domainName: "vm-7" }
  yield* hypervisor.define(known, {
    ...domain,
    vmId,
    title: "web",
    resources: { cpu: 1, ram: 128, disk: 1 },
    nics: [],
    root,
    operationId
  })
  yield* hypervisor.start(known, domain)
  return domain
})

describe("the pool", () => {
  test("is defined once, however many ask at the same time", ({ driver, simulated }) =>
    Effect.gen(function* () {
      yield* Effect.all(
        Array.from({ length: 20 }, () => driver.listRoots(host)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(yield* simulated.faults.calls("STORAGE_POOL_DEFINE_XML"), 1)
      const [pool] = [...simulated.state.pools.values()]
      assert.deepInclude(pool, { name: "vmfabric", path: host.config.path, active: true, autostart: true })
    }))

  test("is taken up where an earlier process left it: defined, but neither built nor started", ({
    driver,
    simulated,
    storage
  }) =>
    Effect.gen(function* () {
      yield* simulated.faults.fail("STORAGE_POOL_BUILD", { code: 1, message: "internal error: not today", nth: 1 })
      const error = yield* Effect.flip(storage.prepare(host))
      assert.include(error.message, "failed to prepare its storage: internal error: not today")
      assert.deepStrictEqual(yield* driver.listRoots(host), [])
    }))

  test("is started again after somebody stopped it, also when its folder has gone", ({ driver, simulated, storage }) =>
    Effect.gen(function* () {
      yield* driver.createRoot(host, { vmId, operationId, image, size: 1 })
      for (const pool of simulated.state.pools.values()) pool.active = false
      assert.deepStrictEqual(yield* driver.listRoots(host), [vmId])
      for (const [name] of simulated.state.files.inFolder(host.config.path)) {
        simulated.state.files.files.delete(`${host.config.path}/${name}`)
      }
      simulated.state.files.folders.delete(host.config.path)
      // libvirt stops a pool whose folder it cannot read
      for (const pool of simulated.state.pools.values()) pool.active = false
      yield* storage.prepare(host)
      assert.deepStrictEqual(yield* driver.listRoots(host), [])
    }))

  test("is as good as it gets while somebody writes into it", ({ driver, simulated, storage }) =>
    Effect.gen(function* () {
      yield* storage.prepare(host)
      yield* simulated.faults.fail("STORAGE_POOL_REFRESH", {
        code: 1,
        domain: 18,
        message: "internal error: pool 'vmfabric' has asynchronous jobs running."
      })
      yield* storage.prepare(host)
      yield* driver.createRoot(host, { vmId, operationId, image, size: 1 })
    }))
})

describe("an image", () => {
  test("that broke off leaves nothing", (at) =>
    Effect.gen(function* () {
      yield* at.images.breakNext
      yield* Effect.flip(at.driver.ensureImage(host, image))
      assert.deepStrictEqual(imageFiles(at), [])
    }))

  test("that the host cannot hold is refused in the host's words, and leaves nothing", (at) =>
    Effect.gen(function* () {
      yield* at.storage.prepare(host)
      yield* at.simulated.faults.fillDisk(at.simulated.state.files.capacity - 300 * 1024)
      const error = yield* Effect.flip(at.driver.ensureImage(host, image))
      assert.strictEqual(error._tag, "HostFailure")
      assert.include(error.message, "failed to receive image small")
      assert.include(error.message, "No space left on device")
      assert.deepStrictEqual(imageFiles(at), [])
      yield* at.simulated.faults.fillDisk(0)
      yield* at.driver.ensureImage(host, image)
      assert.deepStrictEqual(imageFiles(at), ["image-*.complete", "image-*.raw"])
    }))

  test("is sent again when the connection broke while it was on its way", (at) =>
    Effect.gen(function* () {
      yield* at.images.hold
      const sending = yield* Effect.fork(Effect.flip(at.driver.ensureImage(host, image)))
      yield* at.images.reading
      yield* at.simulated.faults.dropConnections
      yield* at.images.release
      assert.strictEqual((yield* sending)._tag, "HostUnreachable")
      yield* at.driver.ensureImage(host, image)
      assert.deepStrictEqual(imageFiles(at), ["image-*.complete", "image-*.raw"])
    }))

  test("without its marker is not trusted", (at) =>
    Effect.gen(function* () {
      yield* at.driver.ensureImage(host, image)
      const { files } = at.simulated.state.files
      for (const path of files.keys()) if (path.endsWith(".complete")) files.delete(path)
      for (const [path, file] of files) if (path.endsWith(".raw")) file.write(0, new Uint8Array(512))
      yield* at.storage.prepare(host)
      yield* at.driver.createRoot(host, { vmId, operationId, image, size: 1 })
      assert.strictEqual(yield* at.simulated.faults.calls("STORAGE_VOL_UPLOAD"), 2)
    }))

  it.live("is sent again by the next process when the first ended on the way", () =>
    Effect.gen(function* () {
      const images = yield* ScriptedImages.ScriptedImages
      const { host: simulated } = yield* Simulated.Simulated
      yield* images.hold
      const process = yield* Scope.make()
      const driver = Context.get(yield* Layer.buildWithScope(StorageLive.layerDir, process), Storage).preferred
      yield* Effect.fork(driver.ensureImage(host, image))
      yield* images.reading
      yield* Scope.close(process, Exit.void)
      yield* images.release
      yield* Effect.flatMap(Storage, ({ preferred }) => preferred.ensureImage(host, image)).pipe(
        Effect.provide(StorageLive.layerDir)
      )
      assert.strictEqual(yield* simulated.faults.calls("STORAGE_VOL_UPLOAD"), 2)
      const sent = [...simulated.state.files.files].find(([path]) => path.endsWith(".raw"))
      assert.strictEqual(sent?.[1].size, given[0]?.bytes.length)
    }).pipe(Effect.provide(world))
  )
})

describe("a root disk", () => {
  test("that a guest runs from is neither deleted nor replaced", (at) =>
    Effect.gen(function* () {
      const domain = yield* running(at)
      const { driver, hypervisor } = at
      assert.include((yield* Effect.flip(driver.deleteRoot(host, vmId))).message, "vm-7 runs from it")
      const replaced = yield* Effect.flip(driver.createRoot(host, { vmId, operationId, image, size: 2 }))
      assert.include(replaced.message, "the running domain vm-7 uses it")
      yield* driver.createRoot(host, { vmId, operationId, image, size: 1 })
      yield* hypervisor.powerOff(host, domain)
      yield* driver.deleteRoot(host, vmId)
      assert.deepStrictEqual(yield* driver.listRoots(host), [])
    }))

  test("is deleted although another's domain has the VM's name", (at) =>
    Effect.gen(function* () {
      yield* running(at)
      const { driver, simulated } = at
      yield* driver.createRoot(host, { vmId: VmId.make(8), operationId, image, size: 1 })
      for (const domain of simulated.state.domains.values()) domain.name = "vm-8"
      yield* driver.deleteRoot(host, VmId.make(8))
      assert.deepStrictEqual(yield* driver.listRoots(host), [vmId])
    }))

  test("whose creation was not answered is there when it is asked for again", ({ driver, simulated }) =>
    Effect.gen(function* () {
      yield* driver.ensureImage(host, image)
      // its marker, then the disk itself
      for (const _ of [1, 2]) {
        yield* simulated.faults.onCall("STORAGE_VOL_CREATE_XML", "after", simulated.faults.dropConnections)
        const error = yield* Effect.flip(driver.createRoot(host, { vmId, operationId, image, size: 1 }))
        assert.strictEqual(error._tag, "HostUnreachable")
        yield* simulated.faults.clear
      }
      yield* driver.createRoot(host, { vmId, operationId, image, size: 1 })
      assert.strictEqual(yield* simulated.faults.calls("STORAGE_VOL_DELETE"), 0)
    }))

  test("that was made although its creation was refused is its operation's", ({ driver, simulated }) =>
    Effect.gen(function* () {
      yield* driver.ensureImage(host, image)
      const refused = { code: 38, message: "no more", effect: true }
      for (const after of ["it is asked for again", "it is given up"]) {
        // its marker is the first, the disk the second, and there is one more try
        for (const nth of [2, 3]) yield* simulated.faults.fail("STORAGE_VOL_CREATE_XML", { ...refused, nth })
        yield* Effect.ignore(driver.createRoot(host, { vmId, operationId, image, size: 1 }))
        yield* simulated.faults.clear
        assert.deepStrictEqual(yield* driver.listRoots(host), [vmId], after)
        if (after === "it is asked for again") yield* driver.createRoot(host, { vmId, operationId, image, size: 1 })
        yield* driver.deleteRoot(host, vmId, operationId)
        assert.deepStrictEqual(yield* driver.listRoots(host), [], after)
      }
    }))

  test("that somebody puts there by hand is not taken over, not even the second time", (at) =>
    Effect.gen(function* () {
      yield* at.driver.ensureImage(host, image)
      const path = `${host.config.path}/vm-7-root.qcow2`
      byHand(at, path)
      for (const size of [1, 2]) {
        const error = yield* Effect.flip(at.driver.createRoot(host, { vmId, operationId, image, size }))
        assert.include(error.message, `${path} is there already and was not made by this operation`)
        yield* at.driver.deleteRoot(host, vmId, operationId)
      }
      assert.isTrue(at.simulated.state.files.files.has(path))
    }))
})

const byHand = ({ simulated }: At, path: string, size = 512) =>
  simulated.state.files.files.set(path, new HostFile(0, new Uint8Array(size).fill(1)))

const volumeId = VolumeId.make(7)
const snapshot = SnapshotId.make(3)
const volume = { id: volumeId, host }
const request = { size: 1, name: "data", operationId, source: null }

/** what is in the file, where the first bytes behind its header are */
const contentOf = ({ simulated }: At, name: string) =>
  simulated.state.files.files.get(`${host.config.path}/${name}`)?.read(32 * 1024, 1)[0]

const write = ({ simulated }: At, name: string, byte: number) =>
  simulated.state.files.files.get(`${host.config.path}/${name}`)!.write(32 * 1024, new Uint8Array(512).fill(byte))

const volumeFiles = ({ simulated }: At) =>
  simulated.state.files
    .inFolder(host.config.path)
    .map(([name]) => name)
    .filter((name) => name.startsWith("volume-"))
    .toSorted()

describe("a volume", () => {
  test("leaves nothing when it is discarded or purged", (at) =>
    Effect.gen(function* () {
      const { driver } = at
      yield* driver.createVolume(volume, request)
      assert.deepStrictEqual(volumeFiles(at), [
        "volume-7.complete",
        `volume-7.operation-${operationId}`,
        "volume-7.qcow2"
      ])
      yield* driver.discardVolume(volume, operationId)
      assert.deepStrictEqual(volumeFiles(at), [])
      yield* driver.createVolume(volume, request)
      yield* driver.createSnapshot(volume, snapshot)
      yield* driver.trashVolume(volume, 60)
      yield* driver.purgeVolume(volume)
      assert.deepStrictEqual(volumeFiles(at), [])
    }))

  test("that was made although its creation was refused is its operation's", (at) =>
    Effect.gen(function* () {
      const { driver, simulated } = at
      for (const after of ["it is asked for again", "it is given up"]) {
        yield* simulated.faults.fail("STORAGE_VOL_CREATE_XML", { code: 38, message: "no more", effect: true, nth: 2 })
        assert.include((yield* Effect.flip(driver.createVolume(volume, request))).message, "no more")
        assert.include(volumeFiles(at), "volume-7.qcow2", after)
        if (after === "it is asked for again") yield* driver.createVolume(volume, request)
        yield* driver.discardVolume(volume, operationId)
        assert.deepStrictEqual(volumeFiles(at), [], after)
      }
    }))

  test("is gone, back or purged when that is refused after it was done", (at) =>
    Effect.gen(function* () {
      const { driver, simulated } = at
      const refuse = (procedure: "STORAGE_VOL_CREATE_XML" | "STORAGE_VOL_DELETE") =>
        simulated.faults.fail(procedure, { code: 38, message: "no more", effect: true, nth: 1 })
      yield* driver.createVolume(volume, request)
      yield* refuse("STORAGE_VOL_CREATE_XML")
      yield* driver.trashVolume(volume, 60)
      assert.include(volumeFiles(at), "volume-7.deleted")
      yield* refuse("STORAGE_VOL_DELETE")
      yield* driver.restoreVolume(volume)
      assert.notInclude(volumeFiles(at), "volume-7.deleted")
      yield* driver.trashVolume(volume, 60)
      yield* refuse("STORAGE_VOL_DELETE")
      yield* driver.purgeVolume(volume)
      assert.deepStrictEqual(volumeFiles(at), [])
    }))

  test("that somebody puts there by hand is not taken over, not even the second time", (at) =>
    Effect.gen(function* () {
      const { driver } = at
      yield* driver.createVolume({ ...volume, id: VolumeId.make(8) }, request)
      const path = `${host.config.path}/volume-7.qcow2`
      byHand(at, path)
      for (const _ of [1, 2]) {
        const error = yield* Effect.flip(driver.createVolume(volume, request))
        assert.include(
          error.message,
          "volume-7.qcow2 is in /var/lib/vmfabric already and was not made by this operation"
        )
        yield* driver.discardVolume(volume, operationId)
      }
      assert.deepStrictEqual(yield* driver.listVolumes(host), [VolumeId.make(8)])
      assert.isTrue(at.simulated.state.files.files.has(path))
      // nor one that comes after the folder was looked at
      yield* at.simulated.faults.onCall(
        "STORAGE_POOL_REFRESH",
        "after",
        Effect.sync(() => byHand(at, `${host.config.path}/volume-9.qcow2`))
      )
      const nine = { ...volume, id: VolumeId.make(9) }
      assert.include((yield* Effect.flip(driver.createVolume(nine, request))).message, "already exists")
      yield* driver.discardVolume(nine, operationId)
      assert.include((yield* Effect.flip(driver.createVolume(nine, request))).message, "so it is left alone")
      assert.isTrue(at.simulated.state.files.files.has(`${host.config.path}/volume-9.qcow2`))
    }))

  test("whose disk has no room is refused with a sentence that says so, and leaves nothing", (at) =>
    Effect.gen(function* () {
      const { driver, simulated } = at
      yield* at.storage.prepare(host)
      yield* simulated.faults.fillDisk(simulated.state.files.capacity - 4096)
      const error = yield* Effect.flip(driver.createVolume(volume, request))
      assert.strictEqual(error._tag, "HostFailure")
      assert.include(error.message, "failed to create volume-7: the disk behind /var/lib/vmfabric is full")
      yield* driver.discardVolume(volume, operationId)
      yield* simulated.faults.fillDisk(0)
      assert.deepStrictEqual(volumeFiles(at), [])
    }))

  test("whose file has been taken away is not opened", (at) =>
    Effect.gen(function* () {
      const { driver, simulated } = at
      yield* driver.createVolume(volume, request)
      simulated.state.files.files.delete(`${host.config.path}/volume-7.qcow2`)
      yield* at.storage.prepare(host)
      const error = yield* Effect.flip(driver.openVolume(volume, { host, domainName: "vm-7", held: false }))
      assert.include(error.message, "failed to open volume-7: there is no whole volume-7.qcow2 in /var/lib/vmfabric")
    }))

  test("is not moved to where a qcow2 file is of another making", (at) =>
    Effect.gen(function* () {
      const { driver, simulated } = at
      yield* driver.createVolume(volume, request)
      const path = `${host.config.path}/volume-7.qcow2`
      simulated.state.files.files.set(path, new HostFile(0, new Uint8Array(4096)))
      yield* at.storage.prepare(host)
      const error = yield* Effect.flip(driver.openVolume(volume, { host, domainName: "vm-7", held: false }))
      assert.include(error.message, "is not a qcow2 file of its own any more")
    }))
})

/** Everything that an operation asks of the daemon that leaves something behind. */
const changing = [
  "STORAGE_VOL_CREATE_XML",
  "STORAGE_VOL_CREATE_XML_FROM",
  "STORAGE_VOL_DELETE",
  "STORAGE_VOL_RESIZE"
] as const

describe("done again after a crash at any call", () => {
  const clone = { id: VolumeId.make(8), host }
  const cases: ReadonlyArray<{
    readonly name: string
    readonly given?: (at: At) => Effect.Effect<void, unknown>
    readonly act: (at: At) => Effect.Effect<void, unknown>
    readonly after: (at: At) => Effect.Effect<void, unknown>
  }> = [
    {
      name: "a volume is whole",
      act: ({ driver }) => driver.createVolume(volume, request),
      after: ({ driver }) =>
        Effect.map(driver.volumeSize(volume), (size) => assert.deepStrictEqual(size, Option.some(1024 ** 3)))
    },
    {
      name: "a clone has all of its snapshot",
      given: (at) =>
        Effect.gen(function* () {
          yield* at.driver.createVolume(volume, request)
          write(at, "volume-7.qcow2", 0x11)
          yield* at.driver.createSnapshot(volume, snapshot)
        }),
      act: ({ driver }) =>
        driver.createVolume(clone, { ...request, size: 2, source: { volumeId, snapshotId: snapshot } }),
      after: (at) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* at.driver.volumeSize(clone), Option.some(2 * 1024 ** 3))
          assert.strictEqual(contentOf(at, "volume-8.qcow2"), 0x11)
        })
    },
    {
      name: "a discarded volume is gone",
      given: ({ driver }) => driver.createVolume(volume, request),
      act: ({ driver }) => driver.discardVolume(volume, operationId),
      after: (at) => Effect.sync(() => assert.deepStrictEqual(volumeFiles(at), []))
    },
    {
      name: "a snapshot is whole",
      given: (at) => Effect.map(at.driver.createVolume(volume, request), () => write(at, "volume-7.qcow2", 0x11)),
      act: ({ driver }) => driver.createSnapshot(volume, snapshot),
      after: (at) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* at.driver.listSnapshots(volume), [snapshot])
          assert.strictEqual(contentOf(at, "volume-7-snapshot-3.qcow2"), 0x11)
        })
    },
    {
      name: "a volume is back at its snapshot, which is as it was",
      given: (at) =>
        Effect.gen(function* () {
          yield* at.driver.createVolume(volume, request)
          write(at, "volume-7.qcow2", 0x11)
          yield* at.driver.createSnapshot(volume, snapshot)
          write(at, "volume-7.qcow2", 0x22)
        }),
      act: ({ driver }) => driver.revertVolume(volume, snapshot),
      after: (at) =>
        Effect.gen(function* () {
          assert.strictEqual(contentOf(at, "volume-7.qcow2"), 0x11)
          assert.strictEqual(contentOf(at, "volume-7-snapshot-3.qcow2"), 0x11)
          assert.deepStrictEqual(yield* at.driver.listVolumes(host), [volumeId])
          assert.isFalse(volumeFiles(at).some((name) => name.includes("reverting")))
        })
    },
    {
      name: "a purged volume is gone",
      given: ({ driver }) =>
        Effect.gen(function* () {
          yield* driver.createVolume(volume, request)
          yield* driver.createSnapshot(volume, snapshot)
          yield* driver.trashVolume(volume, 60)
        }),
      act: ({ driver }) => driver.purgeVolume(volume),
      after: (at) => Effect.sync(() => assert.deepStrictEqual(volumeFiles(at), []))
    },
    {
      name: "an image's copy is gone",
      given: ({ driver }) => driver.ensureImage(host, image),
      act: ({ driver }) =>
        Effect.flatMap(driver.listImages(host), (all) =>
          Effect.forEach(all, (sha256) => driver.removeImage(host, sha256), { discard: true })
        ),
      after: ({ simulated }) =>
        Effect.sync(() => assert.deepStrictEqual(simulated.state.files.inFolder(host.config.path), []))
    },
    {
      name: "a root disk is deleted",
      given: ({ driver }) => Effect.asVoid(driver.createRoot(host, { vmId, operationId, image, size: 1 })),
      act: ({ driver }) => driver.deleteRoot(host, vmId, operationId),
      after: ({ simulated }) =>
        Effect.sync(() =>
          assert.deepStrictEqual(
            simulated.state.files.inFolder(host.config.path).filter(([name]) => name.startsWith("vm-")),
            []
          )
        )
    }
  ]

  for (const { act, after, given = () => Effect.void, name } of cases) {
    test(name, (at) =>
      Effect.gen(function* () {
        const { driver, simulated } = at
        const { faults } = simulated
        const clear = Effect.forEach([volume, clone], (one) =>
          Effect.zipRight(driver.trashVolume(one, 0), driver.purgeVolume(one))
        ).pipe(Effect.zipRight(driver.deleteRoot(host, vmId)))
        const counts = Effect.forEach(changing, (procedure) => faults.calls(procedure))
        yield* given(at)
        const before = yield* counts
        yield* act(at)
        const made = (yield* counts).map((count, index) => count - before[index]!)
        yield* after(at)
        yield* clear
        let crashes = 0
        for (const [index, procedure] of changing.entries()) {
          for (const moment of ["before", "after"] as const) {
            for (let nth = 1; nth <= made[index]!; nth++) {
              yield* given(at)
              yield* faults.onCall(procedure, moment, faults.dropConnections, { nth })
              const first = yield* Effect.either(act(at))
              yield* faults.clear
              if (first._tag === "Left") {
                crashes++
                yield* act(at)
              }
              yield* after(at)
              yield* clear
            }
          }
        }
        assert.isAbove(crashes, 3)
      })
    )
  }

  test("nothing but the snapshot is of use while a revert has not ended", (at) =>
    Effect.gen(function* () {
      const { driver, simulated } = at
      yield* driver.createVolume(volume, request)
      yield* driver.createSnapshot(volume, snapshot)
      yield* simulated.faults.onCall("STORAGE_VOL_CREATE_XML_FROM", "before", simulated.faults.dropConnections)
      yield* Effect.flip(driver.revertVolume(volume, snapshot))
      yield* simulated.faults.clear
      assert.deepStrictEqual(yield* driver.listVolumes(host), [volumeId])
      assert.deepStrictEqual(yield* driver.volumeSize(volume), Option.some(1024 ** 3))
      const use = { host, domainName: "vm-7", held: false }
      for (const one of [
        driver.openVolume(volume, use),
        driver.createSnapshot(volume, SnapshotId.make(4)),
        driver.growVolume(volume, 2)
      ]) {
        assert.include((yield* Effect.flip(one)).message, "going back to its snapshot-3 has not ended")
      }
      assert.include(
        (yield* Effect.flip(driver.deleteSnapshot(volume, snapshot))).message,
        "nothing else has its content"
      )
      yield* driver.revertVolume(volume, snapshot)
      yield* driver.openVolume(volume, use)
      yield* driver.deleteSnapshot(volume, snapshot)
    }))

  test("a revert that there is no room for has given nothing up", (at) =>
    Effect.gen(function* () {
      const { driver, simulated } = at
      yield* driver.createVolume(volume, request)
      yield* driver.createSnapshot(volume, snapshot)
      write(at, "volume-7.qcow2", 0x22)
      simulated.state.files.files.get(`${host.config.path}/volume-7-snapshot-3.qcow2`)!.allocation += 1024 ** 2
      const { capacity, other, used } = simulated.state.files
      yield* simulated.faults.fillDisk(capacity - (used - other) - 4096)
      const error = yield* Effect.flip(driver.revertVolume(volume, snapshot))
      assert.include(error.message, "has no room for another copy of volume-7-snapshot-3.qcow2")
      assert.strictEqual(contentOf(at, "volume-7.qcow2"), 0x22)
      yield* driver.openVolume(volume, { host, domainName: "vm-7", held: false })
    }))
})

describe("a root disk that is published", () => {
  const disk: DiskAt = { _tag: "Root", host, vmId }
  const copies = ({ simulated }: At) =>
    simulated.state.files.inFolder(host.config.path).flatMap(([name]) => (name.startsWith("publish-") ? [name] : []))

  test("is not copied while its VM runs, nor where the copy would take the room that is left", (at) =>
    Effect.gen(function* () {
      const { driver, hypervisor, simulated } = at
      const domain = yield* running(at)
      const inUse = yield* Effect.flip(driver.holdDisk(disk, operationId))
      assert.include(inUse.message, "vm-7 has it open, and of a file nothing can be read that is of one moment")
      yield* hypervisor.powerOff(host, domain)
      const { capacity, other, used } = simulated.state.files
      yield* simulated.faults.fillDisk(capacity - (used - other) - 4096)
      const full = yield* Effect.flip(driver.holdDisk(disk, operationId))
      assert.include(full.message, "has no room for a copy of vm-7-root.qcow2")
      assert.deepStrictEqual(copies(at), [])
      yield* simulated.faults.fillDisk(other)
      yield* driver.holdDisk(disk, operationId)
      assert.lengthOf(copies(at), 2)
    }))

  test("needs as much room as its image shows, where that is a qcow2 file, which may be compressed", (at) =>
    Effect.gen(function* () {
      const { driver, simulated } = at
      yield* driver.createRoot(host, { vmId, operationId, image: imageNamed("large"), size: 3 })
      const { capacity, other, used } = simulated.state.files
      // twenty times as much as its file has
      yield* simulated.faults.fillDisk(capacity - (used - other) - 10 * 1024 ** 2)
      const full = yield* Effect.flip(driver.holdDisk(disk, operationId))
      assert.include(full.message, "has no room for a copy of vm-7-root.qcow2")
      assert.deepStrictEqual(copies(at), [])
    }))

  test("is copied anew where the copying broke off, and read only when all of it is there", (at) =>
    Effect.gen(function* () {
      const { driver, simulated } = at
      yield* driver.createRoot(host, { vmId, operationId, image, size: 1 })
      yield* simulated.faults.onCall("STORAGE_VOL_CREATE_XML_FROM", "after", simulated.faults.dropConnections)
      assert.strictEqual((yield* Effect.flip(driver.holdDisk(disk, operationId)))._tag, "HostUnreachable")
      yield* simulated.faults.clear
      assert.include((yield* Effect.flip(driver.readDisk(disk, operationId))).message, "there is no whole publish-")
      yield* driver.holdDisk(disk, operationId)
      const told: Array<number> = []
      const pieces = yield* driver.readDisk(disk, operationId)
      yield* Effect.provideService(Stream.runDrain(pieces), StepProgress, {
        tell: (percent) => Effect.sync(() => void told.push(percent))
      })
      assert.isAbove(told.at(-1) ?? 0, 90)
      yield* driver.releaseDisk(disk, operationId)
      assert.deepStrictEqual(copies(at), [])
    }))
})
