/**
 * What differs on the hosts from what should be, and what is there that nobody here knows.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import { DriftKind } from "../domain/Drift.ts"
import * as Ids from "../domain/Ids.ts"
import { documented, field, listOf, Time } from "./Common.ts"
import * as Problem from "./Problem.ts"

const value = Schema.NullOr(Schema.String)

/** @since 0.4.0 @category schemas */
export const Drift = Schema.Struct({
  vmId: Ids.VmId,
  kind: field(
    DriftKind,
    "what it is about: whether the VM runs, its domain itself, its root disk and volumes, or its NIC"
  ),
  field: field(Schema.String, "as in `vcpus`, `vcpus (running)`, `volume-7`, `disk vdq`"),
  wanted: field(value, "what it should be; null: nothing"),
  applied: field(value, "what our last operation made it, which tells a change by hand from a change of mind"),
  seen: field(value, "what it is; null: nothing"),
  since: field(Time, "when it was first seen to differ")
}).annotations({ identifier: "Drift", description: "One field that differs." })

/** @since 0.4.0 @category schemas */
export const DriftList = listOf(Drift, "DriftList", [
  {
    vmId: Ids.VmId.make(7),
    kind: "definition",
    field: "vcpus",
    wanted: "1",
    applied: "1",
    seen: "4",
    since: DateTime.unsafeMake("2026-01-02T03:04:05.006Z")
  }
])

/** @since 0.4.0 @category schemas */
export const Foreign = Schema.Struct({
  hostId: field(Schema.NullOr(Ids.HostId), "null: in the pool that all hosts share"),
  what: Schema.Literal("domain", "root disk", "volume"),
  name: field(Schema.String, "as in `vm-7`, `web-old`, `volume-3`"),
  uuid: field(Schema.NullOr(Schema.String), "a domain's; null: it is none"),
  reason: field(Schema.String, "why it is taken for foreign, in words")
}).annotations({
  identifier: "Foreign",
  description: "Something on a host, or in the pool, that is not in the inventory. It is listed, and never touched."
})

/** @since 0.4.0 @category schemas */
export const ForeignList = listOf(Foreign, "ForeignList", [
  { hostId: Ids.HostId.make(1), what: "domain", name: "web-old", uuid: null, reason: "no VM has this uuid" }
])

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("reality")
  .add(
    HttpApiEndpoint.get("listDrift", "/drift")
      .addSuccess(DriftList)
      .annotateContext(
        documented("viewer", "List differences", "All fields of all VMs that differ from what they should be.")
      )
  )
  .add(
    HttpApiEndpoint.get("listForeign", "/foreign")
      .addSuccess(ForeignList)
      .annotateContext(
        documented(
          "viewer",
          "List what is foreign",
          "What the inventory does not know, on the hosts that can be reached and in the pool."
        )
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Drift")
  .annotate(OpenApi.Description, "What is on the hosts, beside what should be.")
