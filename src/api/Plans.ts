/**
 * Plans: what a request that changes something would do, before it does it.
 *
 * @since 0.5.0
 */
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import type { HttpMethod } from "@effect/platform/HttpMethod"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import * as Ids from "../domain/Ids.ts"
import { accepted, field, Flag, Int, optional, strict, Time } from "./Common.ts"
import { Kind, Operation } from "./Operations.ts"
import { Violation } from "./Placement.ts"
import * as Problem from "./Problem.ts"

const PlanId = Schema.String.pipe(
  Schema.pattern(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
  Schema.annotations({ message: () => ({ message: "expected the id of a plan", override: true }) })
)

/** What every endpoint is asked with that changes something. @since 0.5.0 @category parameters */
export const planning = Schema.Struct({
  plan: optional(
    Flag,
    "`true`: nothing is done, and the answer is a `Plan`, or the problem that the request would be answered with. An `Idempotency-Key` " +
      "is looked at, and not used: the plan tells when it is malformed or another request's"
  ),
  plan_id: optional(
    PlanId,
    "id of a plan of this same request, which is then done as planned; `plan_outdated`: it cannot be any more, `moved` says why, and nothing " +
      "was done; `plan_applied`: it was already. A plan can be applied once, within 10 minutes, by whoever made it"
  )
}).annotations(strict)
/** @since 0.5.0 @category parameters */
export type Planning = typeof planning.Type

/** @since 0.5.0 @category schemas */
export const ConsideredHost = Schema.Struct({
  hostId: Ids.HostId,
  host: field(Schema.String, "its name"),
  chosen: Schema.Boolean,
  reason: field(Schema.String, "why it was chosen, or was not; one clause")
}).annotations({ identifier: "ConsideredHost", description: "A host that was looked at for something." })

/** @since 0.5.0 @category schemas */
export const Placement = Schema.Struct({
  name: field(Schema.String, "of what goes there"),
  hostId: Ids.HostId,
  host: field(Schema.String, "name of the host"),
  considered: field(Schema.Array(ConsideredHost), "the chosen one, then those that cannot take it; at most 20"),
  total: field(Int, "how many were considered in all")
}).annotations({ identifier: "Placement", description: "Where something would go." })

/** @since 0.5.0 @category schemas */
export const PlannedStep = Schema.Struct({
  number: field(Int, "from 1 on"),
  operation: field(Kind, "the kind of operation it is a step of"),
  name: field(Schema.String, "as `progress` of the operation names it"),
  description: field(Schema.String, "what it does, one sentence"),
  host: field(Schema.NullOr(Schema.String), "where; null: in storage that all hosts share")
}).annotations({ identifier: "PlannedStep", description: "A step of an operation that would be begun." })

/** @since 0.5.0 @category schemas */
export const PlannedChange = Schema.Struct({
  target: field(Schema.String, "what would be different, as in `domain vm-{vmid} on root@h1`"),
  kind: field(
    Schema.Literal("domain", "disk", "nic", "root disk", "seed", "volume", "snapshot", "record", "power"),
    "`record`: only what the controller knows; `seed`: what cloud-init reads, without what may be secret; `disk`, `nic`: a device of a domain; `domain`: its text is libvirt's XML where it is created"
  ),
  action: Schema.Literal("create", "change", "remove"),
  before: field(Schema.NullOr(Schema.String), "null: it is not there"),
  after: field(Schema.NullOr(Schema.String), "null: it is not there any more"),
  diff: field(Schema.String, "from `before` to `after`, as a unified diff")
}).annotations({ identifier: "PlannedChange", description: "One thing that would be different." })

/** @since 0.9.0 @category schemas */
export const PlannedViolation = Schema.Struct({
  vmId: Ids.VmId,
  name: field(Schema.String, "of the VM"),
  ...Violation.fields
}).annotations({ identifier: "PlannedViolation", description: "A rule that would not hold where its VM is." })

/** @since 0.5.0 @category schemas */
export const Plan = Schema.Struct({
  id: field(PlanId, "for `plan_id`"),
  expiresAt: field(Time, "until then it can be applied, as long as the controller is not started anew"),
  request: field(
    Schema.Struct({
      method: Schema.String,
      path: Schema.String,
      summary: field(Schema.String, "what it asks for, one sentence")
    }),
    "what was planned"
  ),
  placements: field(Schema.Array(Placement), "where what is new goes; none where no host is chosen"),
  violations: field(
    Schema.Array(PlannedViolation),
    "of a VM that is there and gets other rules: those that would not hold where it is, for it stays there"
  ),
  steps: field(Schema.Array(PlannedStep), "what would be done, in this order; none where nothing has to be begun"),
  changes: field(
    Schema.Array(PlannedChange),
    "ids that are only given when it is done are shown as `{vmid}`, `{volumeid}`, `{snapshotid}`, `{uuid}`, `{mac}` and `{operation}`"
  ),
  alike: field(Int, "of a batch of VMs: how many more are made, beside those that are shown (at most 20)"),
  refused: field(
    Schema.NullOr(
      Schema.Struct({
        count: field(Int, "how many would not be begun"),
        problem: field(Problem.Problem, "why, as the first of them would be told")
      })
    ),
    "of a batch of VMs; null: all would be begun"
  )
}).annotations({
  identifier: "Plan",
  description:
    "What a request would do. It holds nothing and promises nothing: whether it can still be done is found out when it is applied.",
  examples: [
    {
      id: "0b0c6d0a-7f0e-4b63-9a53-7a3f2f1f5b11",
      expiresAt: DateTime.unsafeMake("2026-01-02T03:14:05.006Z"),
      request: { method: "PATCH", path: "/api/v1/volumes/3", summary: "Rename or grow a volume" },
      placements: [],
      violations: [],
      steps: [
        {
          number: 1,
          operation: "RenameVolume",
          name: "rename",
          description: 'Tell the storage that volume-3 is called "archive".',
          host: null
        }
      ],
      changes: [
        {
          target: "volume 3 (data)",
          kind: "volume",
          action: "change",
          before: "name: data\nsize: 100 GiB\nstate: available\nat: vms/volume-3\n",
          after: "name: archive\nsize: 100 GiB\nstate: available\nat: vms/volume-3\n",
          diff:
            "--- volume 3 (data)\n+++ volume 3 (data)\n@@ -1,4 +1,4 @@\n-name: data\n+name: archive\n" +
            " size: 100 GiB\n state: available\n at: vms/volume-3\n"
        }
      ],
      alike: 0,
      refused: null
    }
  ]
})
/** @since 0.5.0 @category schemas */
export type Plan = typeof Plan.Type

/**
 * An endpoint that begins an operation, and can be planned: 202 with it, 200 when it has ended and was waited for, or the plan of it.
 *
 * @since 0.6.0 @category combinators
 */
export const begun = <
  Name extends string,
  Method extends HttpMethod,
  Path,
  UrlParams,
  Payload,
  Headers,
  Success,
  E,
  R,
  RE
>(
  endpoint: HttpApiEndpoint.HttpApiEndpoint<Name, Method, Path, UrlParams, Payload, Headers, Success, E, R, RE>
) => endpoint.addSuccess(accepted(Operation, "Operation")).addSuccess(Operation).addSuccess(Plan)
