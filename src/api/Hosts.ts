/**
 * Hosts: the servers VMs run on.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import * as Domain from "../domain/Host.ts"
import * as Ids from "../domain/Ids.ts"
import { Amounts, documented, field, id, IfMatch, Int, listOf, strict, Time } from "./Common.ts"
import { Plan, planning } from "./Plans.ts"
import * as Problem from "./Problem.ts"
import * as Vms from "./Vms.ts"

const Sign = Schema.Literal("unknown", "answers", "refuses", "silent").annotations({ identifier: "Sign" })

/** @since 0.4.0 @category schemas */
export const Signs = Schema.Struct({
  ssh: field(Sign, "its sshd, asked from the controller"),
  libvirt: field(Sign, "its libvirt daemon"),
  peers: field(Sign, "its sshd, asked from other hosts that are up")
}).annotations({ identifier: "Signs", description: "Ways of asking a host whether it lives, and the answers." })

/** @since 0.4.0 @category schemas */
export const Host = Schema.Struct({
  id: Ids.HostId,
  name: field(Schema.String, "`user@host`, with `:port` when that is not 22"),
  address: Domain.HostAddress,
  status: field(
    Schema.Literal("connecting", "up", "suspect", "down"),
    "`suspect`: something went wrong, and it is being found out what; `down`: more than one sign says that it cannot be used"
  ),
  reason: field(Schema.NullOr(Schema.String), "why it is suspect or down; null: it is neither"),
  since: field(Schema.NullOr(Time), "since when it is suspect or down; null: it is neither"),
  signs: field(Schema.NullOr(Signs), "null: it is neither suspect nor down"),
  maintenance: field(Schema.Boolean, "nothing new is placed on it; what is there stays, and can be worked on"),
  capacity: field(
    Amounts,
    "what may be promised in all, overcommit included; zero until it was reached for the first time"
  ),
  promised: field(Amounts, "what is promised to VMs and volumes"),
  free: field(Amounts, "what can still be promised"),
  vms: field(Int, "how many VMs it has"),
  facts: field(Schema.NullOr(Domain.HostFacts), "what it said of itself when it was last reached; null: it never was"),
  labels: field(Schema.Record({ key: Schema.String, value: Schema.String }), "as the machine file has them")
}).annotations({ identifier: "Host", description: "A server VMs run on." })
/** @since 0.4.0 @category schemas */
export type Host = typeof Host.Type

/** @since 0.4.0 @category schemas */
export const HostList = listOf(Host, "HostList", [
  {
    id: Ids.HostId.make(2),
    name: "root@h2",
    address: { user: "root", host: "h2", port: 22 },
    status: "down",
    reason: "sshd does not answer, from pm 1 neither",
    since: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
    signs: { ssh: "silent", libvirt: "unknown", peers: "silent" },
    maintenance: false,
    capacity: { cpu: 64, ram: 65536, disk: 2000 },
    promised: { cpu: 2, ram: 4096, disk: 20 },
    free: { cpu: 62, ram: 61440, disk: 1980 },
    vms: 1,
    facts: null,
    labels: {}
  }
])

/** @since 0.4.0 @category schemas */
export const HostChange = Schema.Struct({
  maintenance: field(Schema.Boolean, "`true`: nothing new is placed on it; what is there stays, and can be worked on")
}).annotations({
  identifier: "HostChange",
  description: "What is to be different.",
  examples: [{ maintenance: true }],
  ...strict
})

const byId = Schema.Struct({ id: id(Ids.HostId) })

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("hosts")
  .add(
    HttpApiEndpoint.get("listHosts", "/hosts")
      .addSuccess(HostList)
      .annotateContext(documented("viewer", "List hosts", "All of them, by id: as the machine file has them."))
  )
  .add(
    HttpApiEndpoint.get("getHost", "/hosts/:id")
      .setPath(byId)
      .addSuccess(Host)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "viewer",
          "Get a host",
          "`ETag` is of what the machine file says and of `maintenance`, not of what is seen."
        )
      )
  )
  .add(
    HttpApiEndpoint.patch("changeHost", "/hosts/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(Schema.Struct(IfMatch))
      .setPayload(HostChange)
      .addSuccess(Host)
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "admin",
          "Put a host into maintenance",
          "Or out of it; at once, and kept when the controller starts again."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("lookAtHost", "/hosts/:id/look")
      .setPath(byId)
      .addSuccess(Host)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "operator",
          "Look at a host",
          "At everything on it, closely, now; the answer comes when that is done."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("listHostVms", "/hosts/:id/vms")
      .setPath(byId)
      .setUrlParams(Schema.Struct(Vms.listing).annotations(strict))
      .addSuccess(Vms.VmPage)
      .addError(Problem.NotFound)
      .annotateContext(documented("viewer", "List a host's VMs", "A page at a time, as all VMs are listed."))
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Hosts")
  .annotate(OpenApi.Description, "The servers VMs run on; they are given in the machine file.")
