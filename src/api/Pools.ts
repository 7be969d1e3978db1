/**
 * Pools: storage that all hosts share.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { documented, field, listOf } from "./Common.ts"
import * as Problem from "./Problem.ts"

/** @since 0.4.0 @category schemas */
export const Pool = Schema.Struct({
  name: Schema.String,
  driver: field(Schema.String, "`rbd`, or a driver of one's own"),
  capacity: field(Schema.Number, "GiB it could hold in all, without replicas"),
  used: field(Schema.Number, "GiB that have been written"),
  available: field(Schema.Number, "GiB that can still be written"),
  promised: field(Schema.Number, "GiB that are promised to root disks and volumes, those in the trash too"),
  overcommit: field(Schema.Number, "how many times the capacity may be promised")
}).annotations({
  identifier: "Pool",
  description: "Storage that all hosts share, as it was when it was last looked at."
})
/** @since 0.4.0 @category schemas */
export type Pool = typeof Pool.Type

/** @since 0.4.0 @category schemas */
export const PoolList = listOf(Pool, "PoolList", [
  { name: "vms", driver: "rbd", capacity: 3000, used: 120.5, available: 2879.5, promised: 800, overcommit: 1.5 }
])

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("pools")
  .add(
    HttpApiEndpoint.get("listPools", "/pools")
      .addSuccess(PoolList)
      .annotateContext(
        documented(
          "viewer",
          "List pools",
          "Looked at just now; what cannot be reached is as it was when it last could."
        )
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Pools")
  .annotate(OpenApi.Description, "Storage that all hosts share.")
