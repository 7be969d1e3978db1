/** Which sizes a scheduler is told are usual, by what is created. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AppLive from "../../layers/AppLive.ts"
import * as AppTest from "../../layers/AppTest.ts"
import * as HypervisorTest from "../../layers/HypervisorTest.ts"
import * as ImageLibraryTest from "../../layers/ImageLibraryTest.ts"
import * as SchedulerLive from "../../layers/SchedulerLive.ts"
import * as StorageTest from "../../layers/StorageTest.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { InstanceTypes } from "../../src/fabric/InstanceTypes.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Scheduler, type UsualSize } from "../../src/services/Scheduler.ts"

const small = { tid: Ids.InstanceTypeId.make(1), cpu: 1, ram: 512, disk: 1 }
const large = { tid: Ids.InstanceTypeId.make(2), cpu: 4, ram: 2048, disk: 1 }

/** A controller over three hosts of 8 vCPUs, whose scheduler packs and tells here what it was told. */
const packing = (told: Array<ReadonlyArray<UsualSize>>) =>
  AppLive.layerOver({
    fleet: { ...AppTest.fleet, types: [small, large] },
    persistence: AppTest.persistence,
    drivers: Layer.merge(HypervisorTest.layer, StorageTest.layer).pipe(
      Layer.provideMerge(ImageLibraryTest.layer({ "/images/test.raw": new Uint8Array(8192) }))
    ),
    scheduler: Layer.effect(
      Scheduler,
      Effect.map(Scheduler, (real) => ({
        ...real,
        expect: (sizes: ReadonlyArray<UsualSize>) =>
          Effect.zipRight(
            Effect.sync(() => told.push(sizes)),
            real.expect?.(sizes) ?? Effect.die("packing minds sizes")
          )
      }))
    ).pipe(Layer.provide(SchedulerLive.layerPolicy("pack")))
  })

const size = ({ cpu, disk, ram }: typeof small) => ({ cpu, ram, disk })

describe("a scheduler that minds usual sizes", () => {
  it.effect("is told those of the types, and those of the VMs when the types are others or enough have come", () => {
    const told: Array<ReadonlyArray<UsualSize>> = []
    return Effect.gen(function* () {
      const vms = yield* Vms
      let number = 0
      const create = (instanceType: Ids.InstanceTypeId) => vms.create({ name: `vm-${number++}`, instanceType })
      yield* create(large.tid)
      for (let i = 0; i < 7; i++) yield* create(small.tid)
      assert.deepStrictEqual(told, [
        [
          { resources: size(small), share: 1 / 2 },
          { resources: size(large), share: 1 / 2 }
        ]
      ])
      const types = yield* InstanceTypes
      for (const [requires, field] of [
        [{ "a b": ["x"] }, "requires"],
        [{ rack: [] }, "requires.rack"],
        [Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`l${i}`, ["x"]])), "requires"]
      ] as const) {
        const refused = yield* Effect.flip(types.create({ cpu: 2, ram: 1024, disk: 1, requires }))
        assert.deepInclude({ ...refused }, { _tag: "InvalidArgument", field })
      }
      const middle = yield* types.create({ cpu: 2, ram: 1024, disk: 1 })
      yield* create(small.tid)
      // eight VMs, and each type once more
      assert.deepStrictEqual(told.slice(1), [
        [
          { resources: size(small), share: 8 / 11 },
          { resources: size(large), share: 2 / 11 },
          { resources: size(middle), share: 1 / 11 }
        ]
      ])
      for (let i = 0; i < 31; i++) yield* create(small.tid)
      assert.lengthOf(told, 2)
      yield* create(small.tid)
      assert.deepStrictEqual(told[2]?.[0], { resources: size(small), share: 40 / 43 })
    }).pipe(Effect.provide(packing(told)))
  })
})
