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
import * as Domain from "../domain/InstanceType.ts"
import { HostLabel, HostLabelValue, most, Required, Values, words } from "../domain/Placement.ts"
import {
  amountInBody,
  asSet,
  documented,
  field,
  Flag,
  id,
  idInBody,
  IfMatch,
  Int,
  listOf,
  making,
  optional,
  strict,
  usually
} from "./Common.ts"
import { Plan, planning } from "./Plans.ts"
import * as Problem from "./Problem.ts"

const Origin = Domain.TypeOrigin.annotations({ identifier: "InstanceTypeOrigin" })

/** @since 0.4.0 @category schemas */
export const InstanceType = Schema.Struct({
  id: Ids.InstanceTypeId,
  cpu: field(Int, "vCPUs"),
  ram: field(Int, "MiB"),
  disk: field(Int, "GiB of the root disk"),
  requires: field(
    Required,
    "what a host has to have for VMs of this type: of each of these labels, those that hosts have by themselves among them, one of the values. Empty: nothing"
  ),
  origin: field(Origin, "`file`: the types file has it; `api`: it was made by a request"),
  retired: field(Schema.Boolean, "new VMs cannot have it; those that have it keep what they were made with")
}).annotations({ identifier: "InstanceType", description: "A size a VM can have." })
/** @since 0.4.0 @category schemas */
export type InstanceType = typeof InstanceType.Type

/** @since 0.4.0 @category schemas */
export const InstanceTypeList = listOf(InstanceType, "InstanceTypeList", [
  { id: Ids.InstanceTypeId.make(1), cpu: 2, ram: 4096, disk: 20, requires: {}, origin: "file", retired: false }
])

/** One value may stand for a list of it, as in the types file. */
const AskedValues = Schema.transform(Schema.Union(HostLabelValue, Values), Values, {
  strict: true,
  decode: (asked) => (typeof asked === "string" ? [asked] : asked),
  encode: (values) => values
})

const isLabel = Schema.is(HostLabel)

const AskedRequired = Schema.Record({
  key: Schema.String,
  value: amountInBody(AskedValues, `a value, or ${words.values}`).annotations(asSet)
}).pipe(
  Schema.filter((labels) => {
    const wrong = Object.keys(labels).find((label) => !isLabel(label))
    // a key that its own schema refuses is told as a field that nobody knows
    if (wrong !== undefined) return { path: [wrong], message: `expected ${words.label}` }
    return Object.keys(labels).length <= most.required || `expected at most ${most.required} labels`
  })
)

/** @since 0.7.0 @category schemas */
export const NewInstanceType = Schema.Struct({
  cpu: field(amountInBody(Domain.InstanceType.fields.cpu, "a whole number from 1 to 1024"), "vCPUs"),
  ram: field(amountInBody(Domain.InstanceType.fields.ram, "a whole number from 16 to 67108864"), "MiB"),
  disk: field(
    amountInBody(Domain.InstanceType.fields.disk, "a whole number from 1 to 1048576"),
    "GiB of the root disk"
  ),
  requires: optional(
    AskedRequired,
    "what a host has to have for VMs of this type: by labels, those that hosts have by themselves among them, a value or a list of values, one of which it has to " +
      `be; at most ${most.required} labels. Absent: nothing`
  ),
  id: optional(idInBody(Ids.InstanceTypeId), "absent: the next that was never given")
}).annotations({
  identifier: "NewInstanceType",
  description: "A size that VMs are to have.",
  examples: [
    { cpu: 2, ram: 4096, disk: 20 },
    { cpu: 8, ram: 16_384, disk: 50, requires: { "host.virt": ["kvm"], "host.cpu.feature.avx512f": ["yes"] } }
  ],
  ...usually({ requires: {} }),
  ...strict
})

const byId = Schema.Struct({ id: id(Ids.InstanceTypeId) })

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("instanceTypes")
  .add(
    HttpApiEndpoint.get("listInstanceTypes", "/instance-types")
      .setUrlParams(
        Schema.Struct({
          retired: optional(Flag, "`true`: also those that new VMs cannot have any more")
        }).annotations(strict)
      )
      .addSuccess(InstanceTypeList)
      .annotateContext(documented("viewer", "List instance types", "Those on offer, by id."))
  )
  .add(
    HttpApiEndpoint.post("createInstanceType", "/instance-types")
      .setUrlParams(planning)
      .setHeaders(making)
      .setPayload(NewInstanceType)
      .addSuccess(InstanceType, { status: 201 })
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "admin",
          "Create an instance type",
          "At once, and kept when the controller starts again. It is never changed: whoever wants another size, or other hosts for it, makes another type. What " +
            "it requires are must-rules of its VMs. Refused for an id that there is, or was."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getInstanceType", "/instance-types/:id")
      .setPath(byId)
      .addSuccess(InstanceType)
      .addError(Problem.NotFound)
      .annotateContext(documented("viewer", "Get an instance type", "Also one that is retired."))
  )
  .add(
    HttpApiEndpoint.del("retireInstanceType", "/instance-types/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(Schema.Struct(IfMatch))
      .addSuccess(InstanceType)
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(
        documented(
          "admin",
          "Retire an instance type",
          "New VMs cannot have it any more, also when the types file goes on having it; VMs that have it keep what they were made with. Repeating it is fine."
        )
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Instance types")
  .annotate(
    OpenApi.Description,
    "The sizes VMs can have: those of the types file, and those made by requests. Both can require something of hosts."
  )
