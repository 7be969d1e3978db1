/**
 * Images and instance types on offer.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Errors from "../domain/Errors.ts"
import type { Image } from "../domain/Image.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import type { ImageId, InstanceTypeId } from "../domain/Ids.ts"
import { Inventory } from "../services/Inventory.ts"

/** @since 0.1.0 @category services */
export class Images extends Context.Tag("vmfabric/Images")<
  Images,
  {
    readonly list: Effect.Effect<ReadonlyArray<Image>, Errors.PersistenceError>
    /** Also one that is no longer offered. */
    readonly get: (id: ImageId) => Effect.Effect<Image, Errors.ImageNotFound | Errors.PersistenceError>
    readonly types: Effect.Effect<ReadonlyArray<InstanceType>, Errors.PersistenceError>
    readonly type: (
      tid: InstanceTypeId
    ) => Effect.Effect<InstanceType, Errors.InstanceTypeNotFound | Errors.PersistenceError>
  }
>() {}

/** @since 0.1.0 @category layers */
export const layer = Layer.effect(
  Images,
  Effect.map(Inventory, ({ image, images, type, types }) => Images.of({ list: images, get: image, types, type }))
)
