/**
 * Images of disks that are there: of a VM's root disk, of a volume, or of a snapshot.
 *
 * Such an image is one as any other from the moment on at which its operation has ended. Until then it is in quarantine, and when the operation fails
 * there has never been one.
 *
 * @since 0.7.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Errors from "../domain/Errors.ts"
import type { SnapshotId, VmId, VolumeId } from "../domain/Ids.ts"
import type { Image } from "../domain/Image.ts"
import { isSettled, type Vm } from "../domain/Vm.ts"
import type { Volume } from "../domain/Volume.ts"
import { ImageStore } from "../services/ImageStore.ts"
import { Inventory, type Publishable, type Published, type PublishView } from "../services/Inventory.ts"
import { Operations } from "../services/Operations.ts"
import { Storage } from "../services/Storage.ts"
import * as Begun from "./Begun.ts"
import * as Facts from "./Facts.ts"
import { checkName } from "./ImageIntake.ts"
import * as Intent from "./Intent.ts"
import * as Queue from "./Queue.ts"
import * as Rules from "./VolumeRules.ts"

/** An image to be made of one of `vm`, `volume` and `snapshot`. @since 0.7.0 @category models */
export interface PublishImage {
  readonly name: string
  readonly vm?: VmId
  readonly volume?: VolumeId
  readonly snapshot?: SnapshotId
}

/** @since 0.7.0 @category errors */
export type PublishError =
  | Errors.InvalidArgument
  | Errors.VmNotFound
  | Errors.VmConflict
  | Errors.VolumeNotFound
  | Errors.VolumeConflict
  | Errors.SnapshotNotFound
  | Errors.ImageConflict
  | Errors.OperationFailed
  | Errors.PersistenceError

/** @since 0.7.0 @category services */
export class ImagePublishing extends Context.Tag("vmfabric/ImagePublishing")<
  ImagePublishing,
  {
    /**
     * Begins when what else is being done with the VM or the volume has ended, and waits for its own end; until then nothing else is begun there. In a pool
     * it is what a running guest's disk holds at that moment, as after a power cut; of a disk that is a file on a host and that a running
     * guest has it is refused.
     */
    readonly publish: (image: PublishImage) => Effect.Effect<Image, PublishError>
  }
>() {}

const only = ({ snapshot, vm, volume }: PublishImage): Effect.Effect<Publishable, Errors.InvalidArgument> => {
  const given: ReadonlyArray<Publishable> = [
    ...(vm === undefined ? [] : [{ vm }]),
    ...(volume === undefined ? [] : [{ volume }]),
    ...(snapshot === undefined ? [] : [{ snapshot }])
  ]
  const [first, ...more] = given
  return first !== undefined && more.length === 0
    ? Effect.succeed(first)
    : new Errors.InvalidArgument({
        field: "vm",
        problem: first === undefined ? "is missing, and so are volume and snapshot" : "is not the only one",
        expected: "just one of vm, volume and snapshot"
      })
}

const make = Effect.gen(function* () {
  const inventory = yield* Inventory
  const operations = yield* Operations
  const queue = yield* Queue.Queue
  const storage = yield* Storage
  const store = yield* ImageStore

  const checkVm = (vm: Vm): Effect.Effect<void, Errors.VmConflict> => {
    const conflict = (reason: string) => new Errors.VmConflict({ vmId: vm.id, called: vm.name, reason })
    if (!isSettled(vm.state)) return conflict(`is ${vm.state}: it can only be destroyed`)
    return storage.driver(vm.driver).pool !== null || vm.state === "stopped"
      ? Effect.void
      : conflict(`is ${vm.state}, and of a disk that is a file there is no copy of one moment then: shut it down first`)
  }

  const checkVolume = (volume: Volume, { snapshot, vm }: PublishView) => {
    // a snapshot is a file of its own
    const user = storage.driver(volume.driver).pool !== null || snapshot !== null || vm?.state === "stopped" ? null : vm
    return Rules.publish(volume, user)
  }

  const about = (of: Publishable) =>
    "vm" in of
      ? Effect.succeed({ vmId: of.vm })
      : Effect.map(
          "volume" in of ? Effect.succeed(of.volume) : Effect.map(inventory.snapshot(of.snapshot), (it) => it.volumeId),
          (volumeId) => ({ volumeId })
        )

  const publish = Effect.fn("ImagePublishing.publish")(function* (request: PublishImage) {
    const { name } = request
    yield* checkName(name)
    const of = yield* only(request)
    const intent = yield* Intent.Intent
    // how much it will be is not known before it was read
    const source = yield* store.place(name, 0)
    const decide = Effect.fnUntraced(function* (view: PublishView) {
      const { snapshot, vm, volume } = view
      yield* intent.depends(() => ({
        ...(vm === null ? {} : Facts.ofVm(vm)),
        ...(volume === null ? {} : Facts.ofVolume(volume)),
        ...(snapshot === null || volume === null ? {} : Facts.ofSource(snapshot, volume))
      }))
      if (volume !== null) yield* checkVolume(volume, view)
      else if (vm !== null) yield* checkVm(vm)
      return { source, name, format: "qcow2" as const }
    })
    const confirm = ({ image, operation, snapshot, vm, volume }: Published) =>
      intent.confirm(() => ({
        operation,
        image: { before: null, after: image },
        ...(vm === null ? {} : { vm: { before: vm, after: vm } }),
        ...(volume === null ? {} : { volume: { before: volume, after: volume } }),
        snapshot
      }))
    const { image, operation } = yield* queue.whenFree(
      yield* about(of),
      inventory.publishImage(of, decide, confirm).pipe(
        Effect.tap(({ operation }) => Begun.start(operations, operation)),
        Effect.uninterruptible
      )
    )
    yield* Effect.annotateCurrentSpan({ imageId: image.id })
    yield* operations.await(operation.id)
    return yield* Effect.orDie(inventory.image(image.id))
  })

  return ImagePublishing.of({ publish })
})

/** @since 0.7.0 @category layers */
export const layer = Layer.effect(ImagePublishing, make).pipe(Layer.provide(Queue.layer))
