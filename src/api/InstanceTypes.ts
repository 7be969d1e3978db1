/**
 * Instance types: the sizes VMs can have.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import * as Ids from "../domain/Ids.ts"
import { documented, field, id, Int, listOf } from "./Common.ts"
import * as Problem from "./Problem.ts"

/** @since 0.4.0 @category schemas */
export const InstanceType = Schema.Struct({
  id: Ids.InstanceTypeId,
  cpu: field(Int, "vCPUs"),
  ram: field(Int, "MiB"),
  disk: field(Int, "GiB of the root disk")
}).annotations({ identifier: "InstanceType", description: "A size a VM can have." })
/** @since 0.4.0 @category schemas */
export type InstanceType = typeof InstanceType.Type

/** @since 0.4.0 @category schemas */
export const InstanceTypeList = listOf(InstanceType, "InstanceTypeList", [
  { id: Ids.InstanceTypeId.make(1), cpu: 2, ram: 4096, disk: 20 }
])

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("instanceTypes")
  .add(
    HttpApiEndpoint.get("listInstanceTypes", "/instance-types")
      .addSuccess(InstanceTypeList)
      .annotateContext(documented("viewer", "List instance types", "Those on offer, as the types file has them."))
  )
  .add(
    HttpApiEndpoint.get("getInstanceType", "/instance-types/:id")
      .setPath(Schema.Struct({ id: id(Ids.InstanceTypeId) }))
      .addSuccess(InstanceType)
      .addError(Problem.NotFound)
      .annotateContext(documented("viewer", "Get an instance type", "One that is on offer."))
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Instance types")
  .annotate(OpenApi.Description, "The sizes VMs can have; they are given in the types file.")
