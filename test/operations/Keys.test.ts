/**
 * Requests that are repeated with an idempotency key: on the real inventory, with hosts in memory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as InventoryTest from "../../layers/InventoryTest.ts"
import * as OperationsLive from "../../layers/OperationsLive.ts"
import * as SchedulerLive from "../../layers/SchedulerLive.ts"
import * as Errors from "../../src/domain/Errors.ts"
import type { HostStatus } from "../../src/domain/Host.ts"
import { HostId, type HostId as Id, InstanceTypeId } from "../../src/domain/Ids.ts"
import * as Pools from "../../src/fabric/Pools.ts"
import * as Vms from "../../src/fabric/Vms.ts"
import * as Volumes from "../../src/fabric/Volumes.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import { ImageStore } from "../../src/services/ImageStore.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal } from "../../src/services/Journal.ts"
import { Storage } from "../../src/services/Storage.ts"
import { facts, fleet } from "../inventory/Fleet.ts"
import { driverWith } from "./Driver.ts"

const type = InstanceTypeId.make(1)
const request = { name: "web", instanceType: type, idempotencyKey: "key-1" }

const make = () => {
  const down = new Set<Id>()
  let startFails: Effect.Effect<void, Errors.HostFailure> = Effect.void
  const up = Deferred.unsafeMake<void>(FiberId.none)
  const statuses = (): ReadonlyMap<Id, HostStatus> =>
    new Map(
      fleet.hosts.map((_, index) => {
        const id = HostId.make(index + 1)
        const signs = { ssh: "silent", libvirt: "silent", peers: "silent" } as const
        return [id, down.has(id) ? { _tag: "Down", reason: "no route", signs, since: 0 } : { _tag: "Up" }]
      })
    )
  const check = ({
    config,
    id
  }: {
    readonly id: Id
    readonly config: { readonly address: { readonly host: string } }
  }) =>
    Effect.suspend(() =>
      down.has(id)
        ? new Errors.HostUnreachable({ host: `root@${config.address.host}`, reason: "no route" })
        : Effect.void
    )
  const driver = driverWith({
    ensureImage: check,
    createRoot: (host) => Effect.as(check(host), { _tag: "File", path: "/a", format: "qcow2", serial: "vm" } as const),
    deleteRoot: check,
    writeSeed: (host) => Effect.as(check(host), { _tag: "File", path: "/s", format: "raw", serial: "seed" } as const),
    describeSeed: () => Effect.succeed({ _tag: "File", path: "/s", format: "raw", serial: "seed" } as const),
    deleteSeed: check,
    createVolume: () => Effect.void
  })
  const ports = Layer.mergeAll(
    InventoryTest.layerFleet(fleet, ({ address }) =>
      facts({ cpu: 80, ram: 80_000, disk: 8000 }, `uuid-${address.host}`)
    ),
    SchedulerLive.layer,
    Layer.mock(HostMonitor, {
      statuses: Effect.sync(statuses),
      settled: Effect.void,
      check: (id) =>
        Effect.suspend(() =>
          down.has(id) ? new Errors.HostUnreachable({ host: `root@${id}`, reason: "no route" }) : Effect.void
        ),
      awaitUp: (id) => Effect.suspend(() => (down.has(id) ? Deferred.await(up) : Effect.void)),
      suspect: () => Effect.void
    }),
    Layer.mock(Hypervisor, {
      define: check,
      start: (host) =>
        Effect.zipRight(
          check(host),
          Effect.suspend(() => startFails)
        ),
      powerOff: check,
      undefine: check,
      power: (_, { domainName, uuid }) =>
        Effect.succeed(Option.some({ uuid, name: domainName, power: "running", reason: null }))
    }),
    Layer.mock(ImageStore, {}),
    Layer.mock(ImageLibrary, {}),
    Layer.succeed(
      Storage,
      Storage.of({ prepare: () => Effect.succeed({ capacity: 0 }), preferred: driver, driver: () => driver })
    )
  )
  return {
    down,
    failStart: (failure: Errors.HostFailure) => void (startFails = failure),
    layer: Layer.merge(Vms.layer, Volumes.layer({ undoWindow: 60 })).pipe(
      Layer.provide(Pools.layer({ overcommit: 1 })),
      Layer.provide(OperationsLive.layer),
      Layer.provideMerge(ports),
      Layer.provide(Logger.minimumLogLevel(LogLevel.None))
    )
  }
}

/** How many operations there are. */
const operations = Effect.flatMap(Journal, (journal) => journal.list({ limit: 1000 }))

describe("a request with a key", () => {
  it.live("makes one VM, however often it is repeated, at once or later", () =>
    Effect.gen(function* () {
      const vms = yield* Vms.Vms
      const made = yield* Effect.all(
        Array.from({ length: 50 }, () => vms.create(request)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(made.map(({ id }) => id)).size, 1)
      assert.strictEqual((yield* vms.create(request)).id, made[0]!.id)
      assert.strictEqual((yield* vms.list()).length, 1)
      assert.strictEqual((yield* operations).length, 1)
      // another key, and none, are other requests
      yield* vms.create({ ...request, idempotencyKey: "key-2" })
      yield* vms.create({ name: "web", instanceType: type })
      assert.strictEqual((yield* vms.list()).length, 3)
    }).pipe(Effect.provide(make().layer))
  )

  it.live("gives the same failure when it is repeated", () =>
    Effect.gen(function* () {
      const world = make()
      const refusal = new Errors.HostFailure({ host: "root@a", action: "start the VM", reason: "no memory" })
      world.failStart(refusal)
      yield* Effect.gen(function* () {
        const vms = yield* Vms.Vms
        const failed = yield* Effect.all(
          Array.from({ length: 10 }, () => Effect.flip(vms.create(request))),
          { concurrency: "unbounded" }
        )
        failed.push(yield* Effect.flip(vms.create(request)))
        assert.deepStrictEqual([...new Set(failed.map(({ message }) => message))], [refusal.message])
        assert.strictEqual((yield* operations).length, 1)
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.live("is refused for another request, and a repetition says all that the first one said", () =>
    Effect.gen(function* () {
      const vms = yield* Vms.Vms
      yield* vms.create({ ...request, onCrash: "restart" })
      for (const other of [
        { ...request, onCrash: "restart", name: "db" },
        { ...request, onCrash: "restart", instanceType: InstanceTypeId.make(2) },
        { ...request, onCrash: "leave" },
        request
      ] as const) {
        const error = yield* Effect.flip(vms.create(other))
        assert.strictEqual(error._tag, "KeyReused")
      }
      const volumes = yield* Volumes.Volumes
      const error = yield* Effect.flip(volumes.create({ name: "web", size: 1, idempotencyKey: "key-1" }))
      assert.strictEqual(error._tag, "KeyReused")
      assert.strictEqual((yield* vms.list())[0]?.onCrash, "restart")
    }).pipe(Effect.provide(make().layer))
  )

  it.effect("follows the VM to another host when the first one falls silent", () =>
    Effect.gen(function* () {
      const world = make()
      yield* Effect.gen(function* () {
        const vms = yield* Vms.Vms
        const inventory = yield* Inventory
        const waiting = yield* Effect.fork(
          Effect.all(
            Array.from({ length: 20 }, () => vms.create(request)),
            { concurrency: "unbounded" }
          )
        )
        // as soon as the VM is admitted its host is gone
        const first = yield* Effect.repeat(Effect.zipRight(Effect.yieldNow(), inventory.vms()), {
          until: (found) => found.length > 0
        })
        world.down.add(first[0]!.hostId)
        yield* TestClock.adjust("10 seconds")
        const made = yield* Fiber.join(waiting)
        assert.strictEqual(new Set(made.map(({ id }) => id)).size, 1)
        assert.notStrictEqual(made[0]!.hostId, first[0]!.hostId)
        assert.strictEqual((yield* operations).length, 2)
        // whoever asks later is told of the VM that there is
        assert.strictEqual((yield* vms.create(request)).id, made[0]!.id)
      }).pipe(Effect.provide(world.layer))
    })
  )

  it.live("makes one volume, however often it is repeated", () =>
    Effect.gen(function* () {
      const volumes = yield* Volumes.Volumes
      const asked = { name: "data", size: 2, idempotencyKey: "!key~" }
      const made = yield* Effect.all(
        Array.from({ length: 50 }, () => volumes.create(asked)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(made.map(({ id }) => id)).size, 1)
      assert.strictEqual((yield* volumes.list()).length, 1)
      assert.strictEqual((yield* Effect.flip(volumes.create({ ...asked, size: 3 })))._tag, "KeyReused")
    }).pipe(Effect.provide(make().layer))
  )

  it.live("has a key of 1 to 255 visible ASCII characters, or is refused before anything is made", () =>
    Effect.gen(function* () {
      const vms = yield* Vms.Vms
      const volumes = yield* Volumes.Volumes
      for (const key of ["", " ", "a b", "a\n", "é", "\u007f", "x".repeat(256)]) {
        const error = yield* Effect.flip(vms.create({ ...request, idempotencyKey: key }))
        assert.deepInclude(error, { _tag: "InvalidArgument", field: "Idempotency-Key" })
        const same = yield* Effect.flip(volumes.create({ name: "data", size: 1, idempotencyKey: key }))
        assert.strictEqual(same.message, error.message)
      }
      assert.deepStrictEqual(yield* operations, [])
      yield* vms.create({ ...request, idempotencyKey: "x".repeat(255) })
      assert.strictEqual((yield* operations).length, 1)
    }).pipe(Effect.provide(make().layer))
  )
})
