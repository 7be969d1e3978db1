/** What the storage does when a Ceph does not do what it should, and what it leaves in the pool. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { inspect } from "node:util"
import { OperationId, SnapshotId, VmId, VolumeId } from "../../src/domain/Ids.ts"
import { Ceph } from "../../src/services/Ceph.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { Storage, type StorageDriver } from "../../src/services/Storage.ts"
import { type Call, type Cluster } from "../../src/simulator/Cluster.ts"
import * as StorageRbd from "../../layers/StorageRbd.ts"
import { StorageWorld } from "../contracts/StorageContract.ts"
import * as World from "../fabric/World.ts"
import * as Simulated from "../hypervisor/Simulated.ts"
import { imageNamed } from "./Given.ts"
import * as Holder from "./Holder.ts"
import * as RbdWorld from "./RbdWorld.ts"
import * as ScriptedImages from "./ScriptedImages.ts"
import * as SimulatedCeph from "./SimulatedCeph.ts"

const { here: host } = SimulatedCeph
const image = imageNamed("small")
const vmId = VmId.make(7)
const operationId = OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6b")
const other = OperationId.make("0d9e8c7b-6a5f-4e3d-8c2b-1a0f9e8d7c6c")
const root = { vmId, image, size: 2, operationId }
const volumeId = VolumeId.make(7)
const volume = { id: volumeId, host: null }
const clone = { id: VolumeId.make(8), host: null }
const snapshot = SnapshotId.make(3)
const seed = { vmId, operationId, content: new Uint8Array(2048).fill(0x5e), replaces: false }
const request = { size: 1, name: "data", operationId, source: null }
const use = { host, domainName: "vm-99", held: false }

const layer = SimulatedCeph.world.pipe(
  Layer.provideMerge(SimulatedCeph.drivers({ patience: "300 millis" })),
  // failures that are provoked here are told to the log as well
  Layer.provideMerge(Logger.remove(Logger.defaultLogger))
)

interface At {
  readonly driver: StorageDriver
  readonly ceph: Ceph["Type"]
  readonly cluster: Cluster
  readonly simulated: Simulated.Simulated["Type"]["host"]
  readonly images: ScriptedImages.ScriptedImages["Type"]
  readonly world: StorageWorld["Type"]
  readonly hypervisor: Hypervisor["Type"]
}

const at: Effect.Effect<
  At,
  never,
  | Storage
  | Ceph
  | SimulatedCeph.SimulatedCluster
  | Simulated.Simulated
  | ScriptedImages.ScriptedImages
  | StorageWorld
  | Hypervisor
> = Effect.all({
  driver: Effect.map(Storage, ({ preferred }) => preferred),
  ceph: Ceph,
  cluster: SimulatedCeph.SimulatedCluster,
  simulated: Effect.map(Simulated.Simulated, ({ host }) => host),
  images: ScriptedImages.ScriptedImages,
  world: StorageWorld,
  hypervisor: Hypervisor
})

const test = <E>(title: string, body: (at: At) => Effect.Effect<void, E, Scope.Scope>) =>
  it.live(title, () => Effect.flatMap(at, body).pipe(Effect.scoped, Effect.provide(layer)))

/** every image, those in the trash in parentheses, hashes as `*` */
const pool = ({ ceph }: At) =>
  Effect.zipWith(ceph.list, ceph.trash, (images, trash) =>
    [...images, ...trash.map(({ name }) => `(${name})`)].map((name) => name.replace(/[0-9a-f]{64}/, "*")).toSorted()
  )

/** The process that was working on it is killed, with all others. */
const killed = ({ cluster }: At) => Effect.zipRight(cluster.faults.killSessions, Effect.never)

/** Somebody opens the image, until the scope ends or what is given is run. */
const opened = ({ cluster }: At, image: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.orDieWith(cluster.openForWriting(image, "192.0.2.9:0/17"), (errno) => new Error(errno)),
      (open) => Effect.sync(open.close)
    ),
    (open) => Effect.sync(open.close)
  )

const sentence = <A, E extends { readonly message: string }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

describe("an image", () => {
  test("that broke off leaves nothing", (at) =>
    Effect.gen(function* () {
      yield* at.images.breakNext
      yield* Effect.flip(at.driver.ensureImage(host, image))
      assert.deepStrictEqual(yield* pool(at), [])
    }))

  test("whose import was killed leaves nothing, also when nobody needs it again", (at) =>
    Effect.gen(function* () {
      yield* at.images.hold
      const importing = yield* Effect.fork(Effect.flip(at.driver.ensureImage(host, image)))
      yield* at.images.reading
      yield* at.cluster.faults.killSessions
      yield* at.images.release
      assert.strictEqual((yield* Fiber.join(importing))._tag, "StorageUnreachable")
      yield* World.eventually(Effect.map(pool(at), (left) => assert.deepStrictEqual(left, [])))
      yield* at.driver.ensureImage(host, image)
      assert.deepStrictEqual(yield* pool(at), ["image-*"])
    }))

  test("of which a part could not be removed leaves nothing when that is possible again", (at) =>
    Effect.gen(function* () {
      yield* at.cluster.faults.fail("remove", { errno: "EIO", nth: 1 })
      yield* at.images.breakNext
      yield* Effect.flip(at.driver.ensureImage(host, image))
      assert.match((yield* pool(at)).join(), /^image-\*\.new-[0-9a-f-]{36}$/)
      yield* World.eventually(Effect.map(pool(at), (left) => assert.deepStrictEqual(left, [])))
    }))

  it.live("that an earlier life was sending leaves nothing, and what others named stays", () =>
    Effect.gen(function* () {
      const ceph = yield* Ceph
      for (const name of [`image-${"0a".repeat(32)}.new-1`, "image-mine.new-1", "vm-7-root.new-1"]) {
        yield* ceph.create(name, 1024)
      }
      yield* StorageRbd.make({ patience: "300 millis" })
      yield* World.eventually(
        Effect.map(ceph.list, (left) => assert.deepStrictEqual(left, ["image-mine.new-1", "vm-7-root.new-1"]))
      )
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  test("has its name only once it is whole, wherever a process ends on the way", (at) =>
    Effect.gen(function* () {
      const { ceph, cluster, driver } = at
      for (const operation of ["importImage", "createSnapshot", "protectSnapshot", "rename"] as const) {
        for (const moment of ["before", "after"] as const) {
          yield* cluster.faults.onCall(operation, moment, killed(at))
          yield* Effect.flip(driver.ensureImage(host, image))
          yield* cluster.faults.clear
          const named = (yield* ceph.list).filter((name) => !name.includes("."))
          assert.lengthOf(named, operation === "rename" && moment === "after" ? 1 : 0)
          yield* driver.ensureImage(host, image)
          assert.deepStrictEqual(yield* pool(at), ["image-*"])
          yield* at.world.loseImage(image)
        }
      }
    }))

  test("that another controller has imported meanwhile is taken, and nothing stays of ours", (at) =>
    Effect.gen(function* () {
      const { ceph, cluster, driver } = at
      yield* cluster.faults.onCall(
        "rename",
        "before",
        Effect.orDie(
          Effect.gen(function* () {
            const [part] = yield* ceph.list
            const name = part!.replace(/\.new-.*/, "")
            yield* ceph.create(name, ScriptedImages.noise(1024 * 1024 + 512, 1).length)
            yield* ceph.createSnapshot(name, "base")
            yield* ceph.protectSnapshot(name, "base")
          })
        ),
        { nth: 1 }
      )
      yield* driver.ensureImage(host, image)
      assert.deepStrictEqual(yield* pool(at), ["image-*"])
    }))

  test("gets its snapshot again when somebody has taken it away", (at) =>
    Effect.gen(function* () {
      const { ceph, driver } = at
      yield* driver.ensureImage(host, image)
      const [name] = yield* ceph.list
      yield* ceph.removeSnapshot(name!, "base")
      yield* driver.createRoot(host, root)
      assert.deepStrictEqual(yield* pool(at), ["image-*", "vm-7-root"])
    }))

  test("of another size than its name says is not used", (at) =>
    Effect.gen(function* () {
      const { ceph, driver } = at
      yield* driver.ensureImage(host, image)
      const [name] = yield* ceph.list
      yield* ceph.grow(name!, 1024 ** 3)
      assert.include(yield* sentence(driver.ensureImage(host, image)), "is not what its name says: remove it")
    }))
})

describe("in its metadata", () => {
  const metadataOf = ({ ceph }: At, name: string) =>
    Effect.map(ceph.look(name), (found): unknown => JSON.parse(Option.getOrThrow(found).metadata["vmfabric"] ?? "null"))

  test("a disk says whose it is", (at) =>
    Effect.gen(function* () {
      yield* at.driver.createRoot(host, root)
      assert.deepStrictEqual(yield* metadataOf(at, "vm-7-root"), { vm: 7, operation: operationId })
      yield* at.driver.createVolume(volume, request)
      assert.deepStrictEqual(yield* metadataOf(at, "volume-7"), { volume: 7, operation: operationId, name: "data" })
      yield* at.driver.renameVolume(volume, "neu \u{1f4be}")
      assert.deepStrictEqual(yield* metadataOf(at, "volume-7"), {
        volume: 7,
        operation: operationId,
        name: "neu \u{1f4be}"
      })
    }))

  test("what says nothing is left alone", (at) =>
    Effect.gen(function* () {
      const { ceph, driver } = at
      yield* ceph.create("vm-7-root", 1024)
      yield* ceph.create("volume-7", 1024)
      yield* ceph.setMetadata("volume-7", "vmfabric", "{]")
      const left = "was not made by this operation, so it is left alone"
      assert.include(yield* sentence(driver.createRoot(host, root)), `image vm-7-root is there already and ${left}`)
      assert.include(
        yield* sentence(driver.createVolume(volume, request)),
        `image volume-7 is there already and ${left}`
      )
      assert.include(yield* sentence(driver.renameVolume(volume, "mine")), "so it is left alone")
      yield* driver.deleteRoot(host, vmId, operationId)
      yield* driver.discardVolume(volume, operationId)
      assert.deepStrictEqual(yield* pool(at), ["vm-7-root", "volume-7"])
    }))
})

describe("done again after the session was killed at any call", () => {
  const cases: ReadonlyArray<{
    readonly name: string
    readonly calls: ReadonlyArray<Call | "inOrder">
    readonly given?: (at: At) => Effect.Effect<void, unknown>
    readonly act: (at: At) => Effect.Effect<unknown, unknown>
    readonly after: (at: At) => Effect.Effect<void, unknown>
  }> = [
    {
      name: "a root disk is whole",
      calls: ["absent", "clone", "grow", "setMetadata", "rename", "inOrder", "cluster"],
      act: ({ driver }) => driver.createRoot(host, root),
      after: (at) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* pool(at), ["image-*", "vm-7-root"])
          assert.strictEqual(yield* at.world.capacityOf(vmId), 2 * 1024 ** 3)
        })
    },
    {
      name: "a seed is whole",
      calls: ["absent", "create", "write", "setMetadata", "rename", "inOrder"],
      act: ({ driver }) => driver.writeSeed(host, seed),
      after: (at) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* pool(at), ["vm-7-seed"])
          assert.deepStrictEqual((yield* at.world.seedOf(vmId))?.slice(0, seed.content.length), seed.content)
          yield* at.driver.deleteSeed(host, vmId)
        })
    },
    {
      name: "a root disk is gone",
      calls: ["look", "remove"],
      given: ({ driver }) => Effect.asVoid(driver.createRoot(host, root)),
      act: ({ driver }) => driver.deleteRoot(host, vmId, operationId),
      after: (at) => Effect.map(pool(at), (all) => assert.deepStrictEqual(all, ["image-*"]))
    },
    {
      name: "an image's copy is gone",
      calls: ["removeSnapshot", "remove"],
      given: ({ driver }) => driver.ensureImage(host, image),
      act: ({ driver }) =>
        Effect.flatMap(driver.listImages(host), (all) =>
          Effect.forEach(all, (sha256) => driver.removeImage(host, sha256), { discard: true })
        ),
      after: (at) => Effect.map(pool(at), (all) => assert.deepStrictEqual(all, []))
    },
    {
      name: "a volume is whole",
      calls: ["trash", "absent", "create", "setMetadata", "rename", "inOrder"],
      act: ({ driver }) => driver.createVolume(volume, request),
      after: (at) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* pool(at), ["volume-7"])
          assert.deepStrictEqual(yield* at.driver.volumeSize(volume), Option.some(1024 ** 3))
        })
    },
    {
      name: "a clone is whole",
      calls: ["look", "clone", "grow", "setMetadata", "rename", "inOrder"],
      given: ({ driver, world }) =>
        Effect.gen(function* () {
          yield* driver.createVolume(volume, request)
          yield* world.write(volume, 0x11)
          yield* driver.createSnapshot(volume, snapshot)
        }),
      act: ({ driver }) =>
        driver.createVolume(clone, { ...request, size: 2, source: { volumeId, snapshotId: snapshot } }),
      after: (at) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* pool(at), ["volume-7", "volume-8"])
          assert.deepStrictEqual(yield* at.driver.volumeSize(clone), Option.some(2 * 1024 ** 3))
          assert.strictEqual(yield* at.world.read(clone), 0x11)
        })
    },
    {
      name: "a volume is gone whose creation was given up",
      calls: ["look", "remove"],
      given: ({ ceph, driver }) =>
        Effect.gen(function* () {
          yield* ceph.create(`volume-7.new-${operationId}`, 1024)
          yield* driver.createVolume(clone, request)
        }),
      act: ({ driver }) =>
        Effect.zipRight(driver.discardVolume(volume, operationId), driver.discardVolume(clone, operationId)),
      after: (at) => Effect.map(pool(at), (all) => assert.deepStrictEqual(all, []))
    },
    {
      name: "a snapshot is protected",
      calls: ["createSnapshot", "protectSnapshot"],
      given: ({ driver }) => driver.createVolume(volume, request),
      act: ({ driver }) => driver.createSnapshot(volume, snapshot),
      after: ({ ceph, driver }) =>
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* driver.listSnapshots(volume), [snapshot])
          assert.isTrue(Option.getOrThrow(yield* ceph.look("volume-7")).snapshots[0]?.protected)
        })
    },
    {
      name: "a volume is back at its snapshot",
      calls: ["look", "rollback"],
      given: ({ driver, world }) =>
        Effect.gen(function* () {
          yield* driver.createVolume(volume, request)
          yield* world.write(volume, 0x11)
          yield* driver.createSnapshot(volume, snapshot)
          yield* world.write(volume, 0x22)
        }),
      act: ({ driver }) => driver.revertVolume(volume, snapshot),
      after: ({ world }) => Effect.map(world.read(volume), (byte) => assert.strictEqual(byte, 0x11))
    },
    {
      name: "a volume is put aside once",
      calls: ["look", "moveToTrash"],
      given: ({ driver }) => driver.createVolume(volume, request),
      act: ({ driver }) => driver.trashVolume(volume, 60),
      after: (at) => Effect.map(pool(at), (all) => assert.deepStrictEqual(all, ["(volume-7)"]))
    },
    {
      name: "a volume is brought back",
      calls: ["look", "trash", "restore"],
      given: ({ driver }) => Effect.zipRight(driver.createVolume(volume, request), driver.trashVolume(volume, 60)),
      act: ({ driver }) => driver.restoreVolume(volume),
      after: (at) => Effect.map(pool(at), (all) => assert.deepStrictEqual(all, ["volume-7"]))
    },
    {
      name: "a volume is purged",
      calls: ["trash", "purge"],
      given: ({ driver }) =>
        Effect.gen(function* () {
          yield* driver.createVolume(volume, request)
          yield* driver.createSnapshot(volume, snapshot)
          yield* driver.trashVolume(volume, 60)
        }),
      act: ({ driver }) => driver.purgeVolume(volume),
      after: (at) => Effect.map(pool(at), (all) => assert.deepStrictEqual(all, []))
    }
  ]

  for (const { act, after, calls, given = () => Effect.void, name } of cases) {
    test(name, (at) =>
      Effect.gen(function* () {
        const { ceph, cluster, driver } = at
        for (const operation of calls) {
          let crashes = 0
          for (const moment of ["before", "after"] as const) {
            for (let nth = 1; nth < 20; nth++) {
              yield* given(at)
              yield* cluster.faults.onCall(operation, moment, killed(at), { nth })
              const first = yield* Effect.either(act(at))
              yield* cluster.faults.clear
              if (first._tag === "Left") {
                crashes++
                assert.deepInclude(first.left, { _tag: "StorageUnreachable" })
                yield* act(at)
              }
              yield* after(at)
              yield* driver.deleteRoot(host, vmId)
              yield* RbdWorld.clear(ceph, (name) => name.startsWith("volume-"))
              if (first._tag === "Right") break
            }
          }
          assert.isAtLeast(crashes, 1, operation)
        }
      })
    )
  }
})

describe("what belongs together", () => {
  test("is asked for at once, and what was done is not done again when only the answer was lost", (at) =>
    Effect.gen(function* () {
      const { ceph, cluster, driver } = at
      yield* driver.ensureImage(host, image)
      const { calls, clear, onCall } = cluster.faults
      const changed = Effect.all(
        (["look", "absent", "create", "clone", "grow", "write", "setMetadata", "rename"] as const).map(calls)
      )
      for (const [name, make] of [
        ["vm-7-root", driver.createRoot(host, root)],
        ["vm-7-seed", driver.writeSeed(host, seed)],
        ["volume-7", driver.createVolume(volume, request)]
      ] as const) {
        const requests = yield* calls("inOrder")
        const looks = yield* calls("look")
        yield* onCall("inOrder", "after", killed(at), { nth: 1 })
        assert.strictEqual((yield* Effect.flip(make))._tag, "StorageUnreachable", name)
        yield* clear
        const [id, before] = [Option.getOrThrow(yield* ceph.look(name)).id, yield* changed]
        yield* make
        assert.strictEqual(Option.getOrThrow(yield* ceph.look(name)).id, id, `${name} is the same`)
        const [, , ...made] = yield* changed
        // a seed is written over, with the same
        assert.deepStrictEqual(
          made.toSpliced(3, 1),
          before.slice(2).toSpliced(3, 1),
          `nothing of ${name} is made again`
        )
        assert.strictEqual((yield* calls("inOrder")) - requests, 2, name)
        assert.isAtLeast((yield* calls("look")) - looks, 1, name)
      }
    }))

  test("is undone as a whole, wherever it was refused", (at) =>
    Effect.gen(function* () {
      const { cluster, driver } = at
      yield* driver.ensureImage(host, image)
      for (const effect of [false, true]) {
        for (const operation of ["clone", "grow", "setMetadata", "rename"] as const) {
          yield* cluster.faults.fail(operation, { errno: "EIO", nth: 1, effect })
          assert.include(yield* sentence(driver.createRoot(host, root)), "refused on demand (EIO)", operation)
          yield* driver.deleteRoot(host, vmId, operationId)
          assert.deepStrictEqual(yield* pool(at), ["image-*"], operation)
        }
      }
    }))

  test("leaves nothing of ours when another one has the name meanwhile", (at) =>
    Effect.gen(function* () {
      const { ceph, cluster, driver } = at
      yield* driver.ensureImage(host, image)
      yield* cluster.faults.onCall("grow", "before", Effect.orDie(ceph.create("vm-7-root", 1024)), { nth: 1 })
      assert.include(yield* sentence(driver.createRoot(host, root)), "was not made by this operation")
      assert.deepStrictEqual(yield* pool(at), ["image-*", "vm-7-root"])
    }))
})

describe("a disk in use", () => {
  const boots = ({ driver, hypervisor }: At) =>
    driver.createRoot(host, { ...root, vmId: VmId.make(99) }).pipe(
      Effect.flatMap((disk) => Holder.hold(host, disk)),
      Effect.provideService(Hypervisor, hypervisor)
    )

  test("of a VM that runs is not deleted, and that is said at once", (at) =>
    Effect.gen(function* () {
      yield* boots(at)
      assert.include(
        yield* sentence(at.driver.deleteRoot(host, VmId.make(99))),
        "failed to delete the root disk of vm-99: vm-99 runs from it on root@sim-1"
      )
      // its host silent, it is Ceph that knows
      assert.match(
        yield* sentence(at.driver.deleteRoot(SimulatedCeph.unreachable, VmId.make(99))),
        /vm-99-root is open on [0-9.]+: stop what uses it first/
      )
    }))

  test("of another size than is wanted is not replaced", (at) =>
    Effect.gen(function* () {
      yield* boots(at)
      const larger = { ...root, vmId: VmId.make(99), size: 3 }
      assert.match(
        yield* sentence(at.driver.createRoot(host, larger)),
        /image vm-99-root is there already with another size or image, and is open on [0-9.]+/
      )
    }))

  test("that somebody lets go of meanwhile is deleted after all", (at) =>
    Effect.gen(function* () {
      const { cluster, driver } = at
      yield* driver.createRoot(host, root)
      const close = yield* opened(at, "vm-7-root")
      yield* cluster.faults.onCall("remove", "before", close, { nth: 3 })
      yield* driver.deleteRoot(host, vmId)
      assert.deepStrictEqual(yield* pool(at), ["image-*"])
    }))

  test("by more than the domain that has it is not opened for it", (at) =>
    Effect.gen(function* () {
      const { driver, world } = at
      yield* driver.createVolume(volume, request)
      const domainName = yield* world.hold(volume)
      yield* driver.openVolume(volume, { host, domainName, held: true })
      const close = yield* opened(at, "volume-7")
      assert.match(
        yield* sentence(driver.openVolume(volume, { host, domainName, held: true })),
        /open on [0-9.]+, 192\.0\.2\.9, not by vm-99 on root@sim-1 alone/
      )
      yield* close
      yield* driver.openVolume(volume, { host, domainName, held: true })
    }))
})

describe("the trash", () => {
  test("with two of a name says that it cannot know which is meant", (at) =>
    Effect.gen(function* () {
      const { ceph, driver } = at
      for (const _ of [1, 2]) {
        yield* ceph.create("volume-7", 1024)
        yield* ceph.moveToTrash("volume-7", 0)
      }
      for (const act of [driver.restoreVolume(volume), driver.purgeVolume(volume)]) {
        assert.match(yield* sentence(act), /the trash has several images of that name, with the ids \S+, \S+: remove/)
      }
      assert.deepStrictEqual(yield* pool(at), ["(volume-7)", "(volume-7)"])
    }))

  test("of an earlier life keeps what is in it", (at) =>
    Effect.gen(function* () {
      const { driver } = at
      yield* driver.createVolume(volume, request)
      yield* driver.trashVolume(volume, 60)
      for (const operationId of [request.operationId, other]) {
        assert.match(
          yield* sentence(driver.createVolume(volume, { ...request, operationId })),
          /image volume-7 \(id \S+\) in the trash is there already and was not made by this operation/
        )
      }
      assert.deepStrictEqual(yield* pool(at), ["(volume-7)"])
    }))
})

test("what is refused after it was done is done", (at) =>
  Effect.gen(function* () {
    const { cluster, driver } = at
    const snapshot = SnapshotId.make(3)
    yield* driver.createVolume(volume, request)
    yield* driver.createSnapshot(volume, snapshot)
    const steps = [
      ["removeSnapshot", driver.deleteSnapshot(volume, snapshot), ["volume-7"]],
      ["moveToTrash", driver.trashVolume(volume, 60), ["(volume-7)"]],
      ["restore", driver.restoreVolume(volume), ["volume-7"]],
      ["moveToTrash", driver.trashVolume(volume, 60), ["(volume-7)"]],
      ["purge", driver.purgeVolume(volume), []]
    ] as const
    for (const [call, act, there] of steps) {
      const refuse = (effect: boolean) => cluster.faults.fail(call, { errno: "EIO", nth: 1, effect })
      const before = yield* pool(at)
      yield* refuse(false)
      assert.match(yield* sentence(act), /EIO/, call)
      assert.deepStrictEqual(yield* pool(at), before, call)
      yield* refuse(true)
      yield* act
      assert.deepStrictEqual(yield* pool(at), [...there], call)
    }
    assert.deepStrictEqual(yield* driver.listSnapshots(volume), [])
  }))

describe("a Ceph", () => {
  test("whose OSDs do not answer opens no volume, instead of letting QEMU hang", (at) =>
    Effect.gen(function* () {
      const { cluster, driver } = at
      yield* driver.createVolume(volume, request)
      yield* cluster.faults.osdsDead(true)
      const error = yield* Effect.flip(driver.openVolume(volume, use))
      assert.strictEqual(error._tag, "StorageUnreachable")
      assert.match(error.message, /^Ceph pool vms cannot be used: \S/)
      yield* cluster.faults.osdsDead(false)
      yield* driver.openVolume(volume, use)
    }))

  test("that is full says so", (at) =>
    Effect.gen(function* () {
      const { cluster, driver } = at
      for (const errno of ["ENOSPC", "EDQUOT"]) {
        yield* cluster.faults.fail("create", { errno, detail: "no space" })
        const error = yield* Effect.flip(driver.createVolume(volume, request))
        assert.strictEqual(error._tag, "StorageFailure")
        assert.strictEqual(
          error.message,
          `Ceph pool vms failed to create volume-7: it is full, make room in it: no space (${errno})`
        )
        yield* cluster.faults.clear
      }
    }))
})

describe("the secret", () => {
  test("is on each host once, private, and again when it was taken away", (at) =>
    Effect.gen(function* () {
      const { driver, simulated } = at
      const { calls } = simulated.faults
      yield* driver.createVolume(volume, request)
      const disk = yield* driver.openVolume(volume, use)
      yield* driver.openVolume(volume, use)
      yield* driver.createRoot(host, root)
      assert.strictEqual(yield* calls("SECRET_DEFINE_XML"), 1)
      assert.strictEqual(yield* calls("SECRET_SET_VALUE"), 1)
      const [secret] = [...simulated.state.secrets.values()]
      assert.deepInclude(secret, { uuid: disk._tag === "Rbd" ? disk.secret : "", private: true })
      simulated.state.secrets.clear()
      assert.deepStrictEqual(yield* driver.openVolume(volume, use), disk)
      assert.strictEqual(yield* calls("SECRET_SET_VALUE"), 2)
      assert.strictEqual(simulated.state.secrets.size, 1)
      const elsewhere = { ...use, host: SimulatedCeph.elsewhere }
      assert.deepStrictEqual(yield* driver.openVolume(volume, elsewhere), disk)
    }))

  test("is looked for, and the cluster asked, once for a VM that is made", (at) =>
    Effect.gen(function* () {
      const { cluster, driver, simulated } = at
      yield* driver.createRoot(host, root)
      yield* driver.writeSeed(host, { vmId, operationId, content: new Uint8Array(2048), replaces: false })
      yield* driver.describeSeed(host, vmId)
      assert.strictEqual(yield* simulated.faults.calls("SECRET_LOOKUP_BY_UUID"), 1)
      assert.strictEqual(yield* cluster.faults.calls("cluster"), 1)
      // another VM is made with what the cluster says then
      yield* driver.createRoot(host, { ...root, vmId: VmId.make(9) })
      assert.strictEqual(yield* cluster.faults.calls("cluster"), 2)
    }))

  test("that was taken away, and was made anew without its value, is given it the next time", (at) =>
    Effect.gen(function* () {
      const { driver, simulated } = at
      yield* driver.createVolume(volume, request)
      yield* driver.openVolume(volume, use)
      const valueOf = () => [...simulated.state.secrets.values()][0]?.value ?? null
      const before = valueOf()
      simulated.state.secrets.clear()
      yield* simulated.faults.fail("SECRET_SET_VALUE", { code: 1, message: "not now", nth: 1 })
      assert.strictEqual((yield* Effect.flip(driver.openVolume(volume, use)))._tag, "HostFailure")
      assert.isNull(valueOf())
      yield* driver.openVolume(volume, use)
      assert.deepStrictEqual(valueOf(), before)
    }))

  test("that cannot be set is an error of the host's, without the key", (at) =>
    Effect.gen(function* () {
      const { ceph, driver, simulated } = at
      const key = Redacted.value((yield* ceph.cluster).key)
      yield* driver.createVolume(volume, request)
      yield* simulated.faults.fail("SECRET_SET_VALUE", { code: 1, message: "internal error: not today" })
      const error = yield* Effect.flip(driver.openVolume(volume, use))
      assert.strictEqual(error._tag, "HostFailure")
      assert.include(error.message, "failed to open volume-7: internal error: not today")
      const shown = inspect(error, { depth: 20 }) + JSON.stringify(error)
      assert.notInclude(shown, key)
      assert.notInclude(shown, Buffer.from(key, "base64").toString("hex"))
    }))
})
