/**
 * Networks.
 *
 * @since 0.6.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import * as Ids from "../domain/Ids.ts"
import { documented, field, Int, listOf, oneOf } from "./Common.ts"
import * as Problem from "./Problem.ts"

/** @since 0.6.0 @category schemas */
export const NetworkOnHost = Schema.Struct({
  hostId: Ids.HostId,
  host: field(Schema.String, "its name"),
  source: field(
    Schema.String,
    "what it is there: `bridge:br0`, `bridge:br{vlan}` with a bridge for each VLAN, or `libvirt:default`"
  ),
  vlans: field(Schema.NullOr(Schema.Array(Int)), "those it has bridges for; null: it is one network, without tags"),
  default: field(Schema.Boolean, "whether NICs that name no network are on it there"),
  state: field(
    oneOf(["usable", "unusable", "unknown"], "NetworkState"),
    "`usable`: NICs can be plugged in there; `unusable`: it is not as it should be; `unknown`: the host was given it, and has not been reached since"
  ),
  problem: field(
    Schema.NullOr(Schema.String),
    "why it cannot be used there at the moment, or why that is not known; null: it can"
  )
}).annotations({ identifier: "NetworkOnHost", description: "A network as one host has it." })

/** @since 0.6.0 @category schemas */
export const Network = Schema.Struct({
  name: Schema.String,
  kind: field(
    Schema.Literal("bridge", "libvirt", "mixed"),
    "`bridge`: of the hosts' own; `libvirt`: of their libvirt; `mixed`: on some this, on some that"
  ),
  hosts: field(Schema.Array(NetworkOnHost), "those that have it, or should"),
  vms: field(Int, "how many VMs have a NIC on it")
}).annotations({
  identifier: "Network",
  description: "What hosts have for the NICs of VMs, by a name that means the same on all of them."
})
/** @since 0.6.0 @category schemas */
export type Network = typeof Network.Type

const example: Network = {
  name: "lan",
  kind: "bridge",
  hosts: [
    {
      hostId: Ids.HostId.make(1),
      host: "root@h1",
      source: "bridge:br0",
      vlans: null,
      default: false,
      state: "usable",
      problem: null
    }
  ],
  vms: 3
}

/** @since 0.6.0 @category schemas */
export const NetworkList = listOf(Network, "NetworkList", [example])

/** @since 0.6.0 @category schemas */
export const NetworkDetail = Schema.Struct({
  ...Network.fields,
  vmIds: field(Schema.Array(Ids.VmId), "of VMs with a NIC on it, the first 1000 by id")
}).annotations({
  identifier: "NetworkDetail",
  examples: [{ ...example, vmIds: [7, 8, 12].map((n) => Ids.VmId.make(n)) }]
})

/** @since 0.6.0 @category groups */
export const group = HttpApiGroup.make("networks")
  .add(
    HttpApiEndpoint.get("listNetworks", "/networks")
      .addSuccess(NetworkList)
      .annotateContext(
        documented(
          "viewer",
          "List networks",
          "By name, as the hosts were when they were last looked at: active networks of their libvirt, and what their settings name, also where the host has not been reached yet."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getNetwork", "/networks/:name")
      .setPath(Schema.Struct({ name: Schema.String }))
      .addSuccess(NetworkDetail)
      .addError(Problem.NotFound)
      .annotateContext(documented("viewer", "Get a network", "With the VMs that are on it."))
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Networks")
  .annotate(OpenApi.Description, "Networks of the hosts, to which NICs of VMs are plugged in.")
