/**
 * VMs.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import * as Ids from "../domain/Ids.ts"
import { UserName } from "../domain/Identity.ts"
import { NicId, nicSlots } from "../domain/Nic.ts"
import * as Domain from "../domain/Vm.ts"
import { Resources } from "../domain/Resources.ts"
import {
  accepted,
  amountInBody,
  asSet,
  bodyOptional,
  acting,
  changing,
  creating,
  documented,
  field,
  id,
  idInBody,
  ids,
  Int,
  Name,
  oneOf,
  optional,
  pageOf,
  paging,
  strict,
  Time,
  usually
} from "./Common.ts"
import { CloudInit, CloudInitChange, given } from "./CloudInit.ts"
import { DriftList } from "./Drift.ts"
import { GuestAddress, NewNic, NewNicOfMany, VmNic } from "./Nics.ts"
import { Operation } from "./Operations.ts"
import { NewPlacement, Placement, Violation } from "./Placement.ts"
import { begun, Plan, planning } from "./Plans.ts"
import * as Problem from "./Problem.ts"
import { ownedBy, ownerMeans } from "./Quotas.ts"

const State = oneOf(Domain.VmState.literals, "VmState")
const ListedState = oneOf(Domain.ListedVmState.literals, "ListedVmState")
const OnCrash = oneOf(Domain.OnCrash.literals, "OnCrash")

const onCrashMeans =
  "what becomes of it when its guest crashes or its QEMU dies: nothing, or it is started again, at most 5 times within 10 minutes and each after a " +
  "longer pause; one that was stopped on purpose stays so"
const protectedMeans = "whether destroying it is refused until this is lifted"
const autostartMeans =
  "whether its host starts it when it boots, also while no controller is there; one that was stopped on purpose it does not"

const tagMeans = "1 to 63 of a-z, 0-9, ., _ and -, with a letter or digit at its ends"
const Tags = amountInBody(
  Schema.Array(amountInBody(Domain.Tag, tagMeans)).pipe(Schema.maxItems(Domain.most.tags)),
  `at most ${Domain.most.tags} tags, each of them ${tagMeans}`
).annotations(asSet)
const LabelValue = amountInBody(
  Domain.LabelValue,
  `at most ${Domain.most.labelValue} characters without control characters`
)
const Description = amountInBody(
  Domain.Description,
  `at most ${Domain.most.description} characters, none of them a control character but line ends and tabs`
)
const tagsMean = `short words on it, at most ${Domain.most.tags}: each ${tagMeans}`
const labelsMean = `words on it by what they are about, at most ${Domain.most.labels}; keys are as tags, and may have / within`

/** @since 0.4.0 @category schemas */
export const VmSeen = Schema.Struct({
  power: field(Domain.Power, "`absent`: there is no such domain; `suspended`: by the guest's own power management"),
  reason: field(Schema.NullOr(Schema.String), "how it came to that, as in `the guest shut itself down`"),
  since: field(Time, "when it was first seen like this")
}).annotations({ identifier: "VmSeen", description: "What a host says a VM is." })

/** @since 0.4.0 @category schemas */
export const Vm = Schema.Struct({
  id: Ids.VmId,
  name: Name,
  state: field(State, "what is wanted of it; `destroyed` and `failed` ones no longer exist"),
  instanceType: Ids.InstanceTypeId,
  imageId: Ids.ImageId,
  hostId: Ids.HostId,
  resources: field(Resources, "what is promised to it: `cpu` in vCPUs, `ram` in MiB, `disk` in GiB"),
  driver: field(Schema.String, "what its root disk is kept with: `dir`, `rbd`, or a driver of one's own"),
  uuid: field(Schema.String, "of its libvirt domain"),
  mac: field(Schema.NullOr(Schema.String), "of its first NIC; null: it has none"),
  nics: field(Schema.Array(VmNic), "by their numbers"),
  addresses: field(
    Schema.NullOr(Schema.Array(GuestAddress)),
    "of its guest, when its NICs were last listed, which is what reads them; null: they have not been since the controller was started"
  ),
  onCrash: field(OnCrash, onCrashMeans),
  protected: field(Schema.Boolean, protectedMeans),
  autostart: field(Schema.Boolean, autostartMeans),
  description: field(Schema.String, "what people say of it"),
  tags: field(Schema.Array(Schema.String), "short words on it"),
  labels: field(Schema.Record({ key: Schema.String, value: Schema.String }), "words on it by what they are about"),
  placement: field(Schema.NullOr(Placement), "where it is to be; null: wherever there is room"),
  violations: field(
    Schema.Array(Violation),
    "its rules that do not hold where it is, at this moment: they may have been changed, or its host's labels, or others of its group"
  ),
  createdAt: field(Time, "when it was admitted"),
  owner: optional(Schema.NullOr(UserName), ownerMeans),
  seen: field(Schema.NullOr(VmSeen), "as true as `hostStatus`; null: it was never seen yet"),
  hostStatus: field(
    Schema.Literal("connecting", "up", "suspect", "down", "lost"),
    "of its host; when that is not up, `seen` is what was seen before"
  ),
  hostReason: field(Schema.NullOr(Schema.String), "why its host is not up; null: it is, or it is not known yet"),
  drift: field(Int, "how many of its fields differ from what they should be")
}).annotations({ identifier: "Vm", description: "A VM: what is wanted of it, and what was last seen." })
/** @since 0.4.0 @category schemas */
export type Vm = typeof Vm.Type

const example: Vm = {
  id: Ids.VmId.make(7),
  name: "web-1",
  state: "running",
  instanceType: Ids.InstanceTypeId.make(1),
  imageId: Ids.ImageId.make(100),
  hostId: Ids.HostId.make(2),
  resources: { cpu: 2, ram: 4096, disk: 20 },
  driver: "rbd",
  uuid: "6f1d8c1e-2b41-4c0e-9d5c-0b6b8e0f5a11",
  mac: "52:54:00:12:34:56",
  nics: [
    {
      id: NicId.make(1),
      mac: "52:54:00:12:34:56",
      network: "lan",
      vlan: null,
      model: "virtio",
      link: "up",
      state: "attached",
      releaseAsked: false
    }
  ],
  addresses: [{ mac: "52:54:00:12:34:56", address: "10.0.0.17", prefix: 24, source: "agent" }],
  onCrash: "restart",
  protected: false,
  autostart: true,
  description: "the shop's front",
  tags: ["prod", "web"],
  labels: { team: "shop" },
  placement: { group: "web", rules: [{ strength: "must", kind: "apart", group: "web", over: "rack" }] },
  violations: [
    {
      rule: "must be apart from web over rack",
      strength: "must",
      reason: "rack r1 has VM 9 (web-3) of web, too"
    }
  ],
  createdAt: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
  seen: { power: "running", reason: null, since: DateTime.unsafeMake("2026-01-02T03:04:09.000Z") },
  hostStatus: "up",
  hostReason: null,
  drift: 0
}

/** @since 0.4.0 @category schemas */
export const VmPage = pageOf(Vm, "VmPage", example)

const wanted = {
  instanceType: field(idInBody(Ids.InstanceTypeId), "id of its instance type"),
  image: optional(idInBody(Ids.ImageId), "id of the image it starts from; absent: the first"),
  onCrash: optional(OnCrash, `${onCrashMeans}; absent: nothing`),
  protected: optional(Schema.Boolean, `${protectedMeans}; absent: no`),
  autostart: optional(Schema.Boolean, `${autostartMeans}; absent: no`),
  description: optional(Description, "what people say of it"),
  tags: optional(Tags, tagsMean),
  labels: optional(Schema.Record({ key: Schema.String, value: LabelValue }), labelsMean),
  placement: optional(Schema.NullOr(NewPlacement), "where it is to be; absent or null: wherever there is room"),
  ...given
}

/** An image is none of it: which one is the first may change. */
const unsaid = { ...Domain.unsaid, nics: [{}], sshKeys: [] }

const nicsOf = <A, I>(nic: Schema.Schema<A, I>) => Schema.Array(nic).pipe(Schema.maxItems(nicSlots))

const nicsMean =
  "absent: one on the default network of its host, which is left out where there is none. Their networks decide which hosts it can go to"

/** @since 0.4.0 @category schemas */
export const NewVm = Schema.Struct({ name: Name, ...wanted, nics: optional(nicsOf(NewNic), nicsMean) }).annotations({
  identifier: "NewVm",
  description: "A VM to be created.",
  examples: [
    {
      name: "web-1",
      instanceType: Ids.InstanceTypeId.make(1),
      onCrash: "restart",
      nics: [{ network: "lan", vlan: 12 }]
    }
  ],
  ...usually(unsaid),
  ...strict
})
/** @since 0.4.0 @category schemas */
export type NewVm = typeof NewVm.Type

/** @since 0.4.0 @category schemas */
export const NewVms = Schema.Struct({
  count: field(amountInBody(Schema.Int.pipe(Schema.between(1, 1000)), "a whole number from 1 to 1000"), "how many"),
  name: field(Name, "of all of them, followed by `-1`, `-2`, …"),
  ...wanted,
  nics: optional(nicsOf(NewNicOfMany), nicsMean)
}).annotations({
  identifier: "NewVms",
  description: "VMs to be created, all alike.",
  examples: [{ count: 100, name: "web", instanceType: Ids.InstanceTypeId.make(1) }],
  ...usually(unsaid),
  ...strict
})

/** @since 0.4.0 @category schemas */
export const Batch = Schema.Struct({
  operations: field(Schema.Array(Operation), "the creations that were begun"),
  refused: field(
    Schema.NullOr(
      Schema.Struct({
        count: field(Int, "how many were not begun"),
        problem: field(Problem.Problem, "why, as the first of them was told")
      })
    ),
    "null: all were begun"
  )
}).annotations({ identifier: "Batch", description: "What became of VMs that were asked for together." })

/** @since 0.4.0 @category schemas */
export const VmChange = Schema.Struct({
  name: optional(Name, "another name; its domain has it as its title at once"),
  onCrash: optional(OnCrash, onCrashMeans),
  protected: optional(Schema.Boolean, protectedMeans),
  autostart: optional(Schema.Boolean, autostartMeans),
  description: optional(Description, "what people say of it"),
  tags: optional(Tags, `${tagsMean}; in place of those that are there`),
  labels: optional(
    Schema.Record({ key: Schema.String, value: Schema.NullOr(LabelValue) }),
    `${labelsMean}; those that are not named stay, and null takes one away`
  ),
  placement: optional(
    Schema.NullOr(NewPlacement),
    "in place of the one that is there; null takes it away. The VM stays where it is: `violations` then says what does not hold"
  )
}).annotations({
  identifier: "VmChange",
  description: "What is to be different; what is absent stays.",
  examples: [{ onCrash: "restart" }, { name: "web-2", tags: ["prod"], labels: { team: "shop", old: null } }],
  ...strict
})

/** Filters and order, which `/hosts/{id}/vms` has too. @since 0.4.0 @category parameters */
export const listing = {
  ...paging,
  ids: optional(
    ids(id(Ids.VmId)),
    "only these of them, in one answer: what is not there, or not any more, is left out"
  ),
  name: optional(Schema.String.pipe(Schema.maxLength(255)), "only those whose name begins like this"),
  state: optional(ListedState, "only those in this state"),
  type: optional(id(Ids.InstanceTypeId), "only those of this instance type"),
  owner: optional(ownedBy, "only those that this user had made"),
  tag: optional(
    Schema.String.pipe(Schema.pattern(/^[a-z0-9._-]{1,63}(?:,[a-z0-9._-]{1,63}){0,31}$/)).annotations({
      message: () => ({ message: "expected a tag, or several with commas between them", override: true })
    }),
    "only those with this tag; of several with commas between them all"
  ),
  label: optional(
    Schema.String.pipe(Schema.pattern(/^[a-z0-9._/-]{1,63}(?:=.{0,255})?$/u)).annotations({
      message: () => ({ message: "expected KEY=VALUE, or KEY for any value", override: true })
    }),
    "`KEY=VALUE`: only those with this label; `KEY`: whatever its value is"
  ),
  sort: optional(
    oneOf(["id", "-id", "name", "-name", "created", "-created", "owner", "-owner"], "VmSort"),
    "by what; `-`: descending. `id` unless it is said; names are compared by code point, and those that are nobody's are the least by owner"
  )
}

const byId = Schema.Struct({ id: id(Ids.VmId) })

/** @since 0.8.0 @category schemas */
export const NewSize = Schema.Struct({
  instanceType: field(idInBody(Ids.InstanceTypeId), "id of the instance type whose vCPUs and memory it is to have")
}).annotations({
  identifier: "NewSize",
  description: "How large a VM is to be.",
  examples: [{ instanceType: Ids.InstanceTypeId.make(2) }],
  ...strict
})

/** How long a guest has for what it is asked. @since 0.6.0 @category schemas */
export const Patience = Schema.Struct({
  within: optional(
    amountInBody(Schema.Int.pipe(Schema.between(1, 3600)), "a whole number from 1 to 3600"),
    "how many seconds its guest has for it; 90 unless it is said"
  ),
  force: optional(
    Schema.Boolean,
    "whether it is done without the guest when those are over, `true` unless it is said; else the operation has failed, and the guest goes on"
  )
}).annotations({
  identifier: "Patience",
  description: "How long a guest has for what it is asked.",
  examples: [{}, { within: 300, force: false }],
  ...usually({ within: 90, force: true }),
  ...strict
})

/** An endpoint that turns a VM on or off. */
const power = <const Name extends string>(name: Name, path: `/vms/:id/${string}`) =>
  HttpApiEndpoint.post(name, path)
    .setPath(byId)
    .setUrlParams(planning)
    .setHeaders(acting)
    .pipe(begun)
    .addError(Problem.NotFound)
    .addError(Problem.Conflict)
    .addError(Problem.PreconditionFailed)

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("vms")
  .add(
    HttpApiEndpoint.get("listVms", "/vms")
      .setUrlParams(
        Schema.Struct({ ...listing, host: optional(id(Ids.HostId), "only those on this host") }).annotations(strict)
      )
      .addSuccess(VmPage)
      .annotateContext(
        documented(
          "viewer",
          "List VMs",
          "A page at a time. A VM that exists all the time is on exactly one page, whatever else comes and goes meanwhile."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("createVm", "/vms")
      .setUrlParams(planning)
      .setHeaders(creating)
      .setPayload(NewVm)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Create a VM",
          "Places it on a host, where room for it is promised at once. A host that falls silent meanwhile is left, and the VM made anew on " +
            "another one: `replacedBy` of the operation leads there. The operation's `vmId` is the VM's id."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("createVms", "/vms/batch")
      .setUrlParams(planning)
      .setHeaders(creating)
      .setPayload(NewVms)
      .addSuccess(accepted(Batch, "Batch"))
      .addSuccess(Batch)
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Create many VMs",
          "As many as there is room for; when that is for none of them, it fails. With rules in `placement` it is all of them, admitted at one " +
            "moment, or none. With an `Idempotency-Key` those " +
            "that were begun are not begun again, and those that were refused are tried again; a key that another request had makes none."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getVm", "/vms/:id")
      .setPath(byId)
      .addSuccess(Vm)
      .addError(Problem.NotFound)
      .annotateContext(
        documented("viewer", "Get a VM", "Of its `ETag`, `If-Match` compares what is wanted of it, not what is seen.")
      )
  )
  .add(
    HttpApiEndpoint.patch("changeVm", "/vms/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(changing)
      .setPayload(VmChange)
      .addSuccess(Vm)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Change a VM",
          "What people say of it. Where its host has to be told (`name`, `autostart`) that is an operation, begun when what else is being done with the VM " +
            "has ended; all else is done at once, and answered by the VM as it is then."
        )
      )
  )
  .add(
    HttpApiEndpoint.del("destroyVm", "/vms/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(changing)
      .pipe(begun)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(
        documented(
          "operator",
          "Destroy a VM",
          "Whatever its state; begun when what else is being done with it has ended. Its volumes stay, and are available again. Refused as long as it is `protected`. 204: it is " +
            "destroyed already."
        )
      )
  )
  .add(
    power("resizeVm", "/vms/:id/resize")
      .setPayload(NewSize)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Resize a VM",
          "The VM gets the vCPUs and the memory of another instance type; its root disk stays as large as it is. It has to be off, and stays on its host, which has to " +
            "have room for what is more: else it is refused, and the answer says what is lacking."
        )
      )
  )
  .add(
    power("startVm", "/vms/:id/start").annotateContext(
      documented(
        "operator",
        "Start a VM",
        "One that runs is left running, one that is paused goes on. From then on it is wanted to run."
      )
    )
  )
  .add(
    power("shutDownVm", "/vms/:id/shut-down")
      .setPayload(Patience)
      .addError(Problem.TooLarge)
      .annotateContext(bodyOptional)
      .annotateContext(
        documented(
          "operator",
          "Shut a VM down",
          "Its guest is asked to, by its agent or its power button. `outcome` of the operation says whether it has, or its power was taken. While the " +
            "guest is waited for the operation can be cancelled. What is promised to the VM stays promised, and it is started by nobody but who asks for it."
        )
      )
  )
  .add(
    power("powerOffVm", "/vms/:id/power-off").annotateContext(
      documented(
        "operator",
        "Power a VM off",
        "At once and without asking its guest, whose last writes may be lost. As after a shutdown it is then wanted to be stopped."
      )
    )
  )
  .add(
    power("rebootVm", "/vms/:id/reboot")
      .setPayload(Patience)
      .addError(Problem.TooLarge)
      .annotateContext(bodyOptional)
      .annotateContext(
        documented(
          "operator",
          "Reboot a VM",
          "Its guest is asked to start anew. `outcome` of the operation says whether it has, or was reset. Its QEMU stays the same: what takes effect " +
            "with the next start only does not."
        )
      )
  )
  .add(
    power("resetVm", "/vms/:id/reset").annotateContext(
      documented(
        "operator",
        "Reset a VM",
        "Its guest begins anew at once and without being asked; its last writes may be lost. One that is paused stays paused."
      )
    )
  )
  .add(
    power("pauseVm", "/vms/:id/pause").annotateContext(
      documented(
        "operator",
        "Pause a VM",
        "Its guest stands still, its clock too, and keeps its memory. From then on it is wanted to be paused."
      )
    )
  )
  .add(
    power("resumeVm", "/vms/:id/resume").annotateContext(
      documented(
        "operator",
        "Resume a VM",
        "Its guest goes on from where it stood. Where it had been paused by an error, `outcome` of the operation says so."
      )
    )
  )
  .add(
    HttpApiEndpoint.post("repairVm", "/vms/:id/repair")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(acting)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(
        documented(
          "operator",
          "Repair a VM",
          "Makes its domain what it should be, as far as nothing is taken from a running guest: title, vCPUs and memory of its definition, " +
            "volumes that are missing, and started when it should run and does not. A domain that is gone is defined anew over the VM's root " +
            "disk; without that disk it fails, and says so."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getCloudInit", "/vms/:id/cloud-init")
      .setPath(byId)
      .addSuccess(CloudInit)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "operator",
          "Get what a VM is told by cloud-init",
          "Not for viewers, for user data may carry secrets. `ETag` is of this alone."
        )
      )
  )
  .add(
    HttpApiEndpoint.patch("changeCloudInit", "/vms/:id/cloud-init")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(changing)
      .setPayload(CloudInitChange)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Change what a VM is told by cloud-init",
          "From its next boot on. cloud-init does most of what it does once for an instance, so unless `reapply` is false the guest is a new instance then: " +
            "hostname, keys and scripts are applied again; its SSH host keys stay."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("listVmDrift", "/vms/:id/drift")
      .setPath(byId)
      .addSuccess(DriftList)
      .addError(Problem.NotFound)
      .annotateContext(
        documented("viewer", "List a VM's differences", "Its fields that differ from what they should be.")
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "VMs")
  .annotate(OpenApi.Description, "Virtual machines: what is wanted of them, and what is seen of them.")
