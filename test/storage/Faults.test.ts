/** What the storage does when a host does not do what it should. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import { Host } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { Storage } from "../../src/services/Storage.ts"
import * as Simulated from "../hypervisor/Simulated.ts"
import { given, imageNamed } from "./Given.ts"
import * as ScriptedImages from "./ScriptedImages.ts"

const { here: host } = Simulated
const image = imageNamed("small")
const vmId = VmId.make(7)

const drivers = HypervisorLive.layer.pipe(Layer.provideMerge(StorageLive.layerDir))
const world = Layer.merge(ScriptedImages.layer(given), Simulated.libvirt).pipe(
  // failures that are provoked here are told to the log as well
  Layer.provideMerge(Logger.remove(Logger.defaultLogger))
)
const layer = drivers.pipe(Layer.provideMerge(world))

const at = Effect.all({
  storage: Storage,
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
const running = Effect.fn(function* ({ hypervisor, storage }: At) {
  const known = new Host({ ...host, facts: yield* hypervisor.facts(host) })
  const root = yield* storage.createRoot(host, { vmId, image, size: 1 })
  const domain = { uuid: DomainUuid.make("7b2f6e0a-6a5e-4a53-9d0c-3f1d2b7c9a07"), domainName: "vm-7" }
  yield* hypervisor.define(known, {
    ...domain,
    vmId,
    title: "web",
    resources: { cpu: 1, ram: 128, disk: 1 },
    mac: "52:54:00:12:34:07",
    root,
    operationId: OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")
  })
  yield* hypervisor.start(known, domain)
  return domain
})

describe("the pool", () => {
  test("is defined once, however many ask at the same time", ({ simulated, storage }) =>
    Effect.gen(function* () {
      yield* Effect.all(
        Array.from({ length: 20 }, () => storage.listRoots(host)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(yield* simulated.faults.calls("STORAGE_POOL_DEFINE_XML"), 1)
      const [pool] = [...simulated.state.pools.values()]
      assert.deepInclude(pool, { name: "vmfabric", path: host.config.path, active: true, autostart: true })
    }))

  test("is taken up where an earlier process left it: defined, but neither built nor started", ({
    simulated,
    storage
  }) =>
    Effect.gen(function* () {
      yield* simulated.faults.fail("STORAGE_POOL_BUILD", { code: 1, message: "internal error: not today", nth: 1 })
      const error = yield* Effect.flip(storage.prepare(host))
      assert.include(error.message, "failed to prepare its storage: internal error: not today")
      assert.deepStrictEqual(yield* storage.listRoots(host), [])
    }))

  test("is started again after somebody stopped it, also when its folder has gone", ({ simulated, storage }) =>
    Effect.gen(function* () {
      yield* storage.createRoot(host, { vmId, image, size: 1 })
      for (const pool of simulated.state.pools.values()) pool.active = false
      assert.deepStrictEqual(yield* storage.listRoots(host), [vmId])
      for (const [name] of simulated.state.files.inFolder(host.config.path)) {
        simulated.state.files.files.delete(`${host.config.path}/${name}`)
      }
      simulated.state.files.folders.delete(host.config.path)
      // libvirt stops a pool whose folder it cannot read
      for (const pool of simulated.state.pools.values()) pool.active = false
      yield* storage.prepare(host)
      assert.deepStrictEqual(yield* storage.listRoots(host), [])
    }))

  test("is as good as it gets while somebody writes into it", ({ simulated, storage }) =>
    Effect.gen(function* () {
      yield* storage.prepare(host)
      yield* simulated.faults.fail("STORAGE_POOL_REFRESH", {
        code: 1,
        domain: 18,
        message: "internal error: pool 'vmfabric' has asynchronous jobs running."
      })
      yield* storage.prepare(host)
      yield* storage.createRoot(host, { vmId, image, size: 1 })
    }))
})

describe("an image", () => {
  test("that broke off leaves nothing", (at) =>
    Effect.gen(function* () {
      yield* at.images.breakNext
      yield* Effect.flip(at.storage.ensureImage(host, image))
      assert.deepStrictEqual(imageFiles(at), [])
    }))

  test("that the host cannot hold is refused in the host's words, and leaves nothing", (at) =>
    Effect.gen(function* () {
      yield* at.storage.prepare(host)
      yield* at.simulated.faults.fillDisk(at.simulated.state.files.capacity - 300 * 1024)
      const error = yield* Effect.flip(at.storage.ensureImage(host, image))
      assert.strictEqual(error._tag, "HostFailure")
      assert.include(error.message, "failed to receive image small")
      assert.include(error.message, "No space left on device")
      assert.deepStrictEqual(imageFiles(at), [])
      yield* at.simulated.faults.fillDisk(0)
      yield* at.storage.ensureImage(host, image)
      assert.deepStrictEqual(imageFiles(at), ["image-*.complete", "image-*.raw"])
    }))

  test("is sent again when the connection broke while it was on its way", (at) =>
    Effect.gen(function* () {
      yield* at.images.hold
      const sending = yield* Effect.fork(Effect.flip(at.storage.ensureImage(host, image)))
      yield* at.images.reading
      yield* at.simulated.faults.dropConnections
      yield* at.images.release
      assert.strictEqual((yield* sending)._tag, "HostUnreachable")
      yield* at.storage.ensureImage(host, image)
      assert.deepStrictEqual(imageFiles(at), ["image-*.complete", "image-*.raw"])
    }))

  test("without its marker is not trusted", (at) =>
    Effect.gen(function* () {
      yield* at.storage.ensureImage(host, image)
      const { files } = at.simulated.state.files
      for (const path of files.keys()) if (path.endsWith(".complete")) files.delete(path)
      for (const [path, file] of files) if (path.endsWith(".raw")) file.write(0, new Uint8Array(512))
      yield* at.storage.prepare(host)
      yield* at.storage.createRoot(host, { vmId, image, size: 1 })
      assert.strictEqual(yield* at.simulated.faults.calls("STORAGE_VOL_UPLOAD"), 2)
    }))

  it.live("is sent again by the next process when the first ended on the way", () =>
    Effect.gen(function* () {
      const images = yield* ScriptedImages.ScriptedImages
      const { host: simulated } = yield* Simulated.Simulated
      yield* images.hold
      const process = yield* Scope.make()
      const storage = Context.get(yield* Layer.buildWithScope(StorageLive.layerDir, process), Storage)
      yield* Effect.fork(storage.ensureImage(host, image))
      yield* images.reading
      yield* Scope.close(process, Exit.void)
      yield* images.release
      yield* Effect.flatMap(Storage, (next) => next.ensureImage(host, image)).pipe(Effect.provide(StorageLive.layerDir))
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
      const { hypervisor, storage } = at
      assert.include((yield* Effect.flip(storage.deleteRoot(host, vmId))).message, "vm-7 runs from it")
      const replaced = yield* Effect.flip(storage.createRoot(host, { vmId, image, size: 2 }))
      assert.include(replaced.message, "the running domain vm-7 uses it")
      yield* storage.createRoot(host, { vmId, image, size: 1 })
      yield* hypervisor.powerOff(host, domain)
      yield* storage.deleteRoot(host, vmId)
      assert.deepStrictEqual(yield* storage.listRoots(host), [])
    }))

  test("is deleted although another's domain has the VM's name", (at) =>
    Effect.gen(function* () {
      yield* running(at)
      const { simulated, storage } = at
      yield* storage.createRoot(host, { vmId: VmId.make(8), image, size: 1 })
      for (const domain of simulated.state.domains.values()) domain.name = "vm-8"
      yield* storage.deleteRoot(host, VmId.make(8))
      assert.deepStrictEqual(yield* storage.listRoots(host), [vmId])
    }))

  test("whose creation was not answered is there when it is asked for again", ({ simulated, storage }) =>
    Effect.gen(function* () {
      yield* storage.ensureImage(host, image)
      yield* simulated.faults.onCall("STORAGE_VOL_CREATE_XML", "after", simulated.faults.dropConnections, { nth: 1 })
      const error = yield* Effect.flip(storage.createRoot(host, { vmId, image, size: 1 }))
      assert.strictEqual(error._tag, "HostUnreachable")
      yield* storage.createRoot(host, { vmId, image, size: 1 })
      assert.strictEqual(yield* simulated.faults.calls("STORAGE_VOL_DELETE"), 0)
    }))
})
