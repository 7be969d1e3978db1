/**
 * NICs of VMs.
 *
 * @since 0.6.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import * as Ids from "../domain/Ids.ts"
import * as Network from "../domain/Network.ts"
import * as Domain from "../domain/Nic.ts"
import {
  acting,
  amountInBody,
  changing,
  documented,
  field,
  id,
  Int,
  means,
  oneOf,
  optional,
  strict,
  usually
} from "./Common.ts"
import { begun, planning } from "./Plans.ts"
import * as Problem from "./Problem.ts"

const says = (message: string) => ({ message: () => ({ message, override: true }) })

const Model = oneOf(Domain.NicModel.literals, "NicModel")
const Link = oneOf(Domain.LinkState.literals, "LinkState")

const NetworkName = Schema.String.annotations({
  description: "the name of a network, as the list of networks has it",
  jsonSchema: { type: "string", maxLength: 63 }
})
const Vlan = amountInBody(Network.Vlan, "a whole number from 1 to 4094")
const isMac = Schema.is(Domain.MacAddress)
const Mac = Schema.String.pipe(Schema.filter((mac) => isMac(Domain.normalMac(mac)))).annotations({
  description: "the address of one card; kept in lower case, however it is written",
  jsonSchema: { type: "string", pattern: "^[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}$" },
  ...means((mac) => (typeof mac === "string" ? Domain.normalMac(mac) : mac)),
  ...says("expected the address of one card, as 52:54:00:12:34:56")
})

const modelMeans =
  "what the guest takes it for: `virtio` is fast, `e1000e` is Intel's, for systems that have no virtio driver by themselves"

const like = {
  network: optional(NetworkName, "absent: the default network of the VM's host"),
  vlan: optional(Vlan, "a VLAN of that network; only for networks that have a bridge for each VLAN"),
  model: optional(Model, `${modelMeans}; absent: \`virtio\``)
}

const usual = { model: "virtio" }

/** @since 0.6.0 @category schemas */
export const NewNic = Schema.Struct({
  ...like,
  mac: optional(Mac, "of no other NIC of the fleet; absent: one is made up")
}).annotations({
  identifier: "NewNic",
  description: "A NIC to be attached.",
  examples: [{ network: "lan", vlan: 12 }],
  ...usually(usual),
  ...strict
})

/** Of VMs that are made many at a time: their addresses are made up. @since 0.6.0 @category schemas */
export const NewNicOfMany = Schema.Struct(like).annotations({
  identifier: "NewNicOfMany",
  description: "A NIC that each of them has.",
  ...usually(usual),
  ...strict
})

/** @since 0.6.0 @category schemas */
export const VmNic = Schema.Struct({
  id: field(Domain.NicId, "its number within the VM"),
  mac: field(Schema.String, "its address for its whole life"),
  network: field(Schema.NullOr(Schema.String), "null: the default network of the VM's host"),
  vlan: field(Schema.NullOr(Int), "null: none"),
  model: field(Model, modelMeans),
  link: field(Link, "`down`: as with its cable unplugged"),
  state: field(oneOf(Domain.NicState.literals, "NicState"), "`detaching`: its guest is asked to let go of it"),
  releaseAsked: field(
    Schema.Boolean,
    "whether it was to be removed and its guest did not let go of it: it is removed when it does"
  )
}).annotations({ identifier: "VmNic", description: "A NIC of a VM, as it is wanted." })

/** @since 0.6.0 @category schemas */
export const GuestAddress = Schema.Struct({
  mac: field(Schema.NullOr(Schema.String), "of the NIC that has it; null: the guest has not said"),
  address: field(Schema.String, "IPv4 or IPv6"),
  prefix: field(Int, "bits of the network's part"),
  source: field(
    oneOf(["agent", "lease", "arp"], "AddressSource"),
    "who says so: the guest's agent, the DHCP server of the host's libvirt, or the host's table of neighbours"
  )
}).annotations({ identifier: "GuestAddress", description: "An address that a guest has." })

/** @since 0.6.0 @category schemas */
export const Nic = Schema.Struct({
  ...VmNic.fields,
  source: field(
    Schema.NullOr(Schema.String),
    "what it is plugged into on its host, as in `bridge:br0` or `libvirt:default`; null: nothing"
  ),
  addresses: field(Schema.Array(GuestAddress), "as they are at this moment")
}).annotations({ identifier: "Nic", description: "A NIC of a VM, with the addresses that its guest has there." })
/** @since 0.6.0 @category schemas */
export type Nic = typeof Nic.Type

/** @since 0.6.0 @category schemas */
export const NicList = Schema.Struct({
  items: Schema.Array(Nic),
  unread: field(Schema.NullOr(Schema.String), "why addresses could not be read; null: they were")
}).annotations({
  identifier: "NicList",
  examples: [
    {
      items: [
        {
          id: Domain.NicId.make(1),
          mac: "52:54:00:12:34:56",
          network: "lan",
          vlan: null,
          model: "virtio",
          link: "up",
          state: "attached",
          releaseAsked: false,
          source: "bridge:br0",
          addresses: [{ mac: "52:54:00:12:34:56", address: "10.0.0.17", prefix: 24, source: "agent" }]
        }
      ],
      unread: null
    }
  ]
})

/** @since 0.6.0 @category schemas */
export const NicChange = Schema.Struct({ link: field(Link, "`down`: as if its cable were unplugged") }).annotations({
  identifier: "NicChange",
  description: "What is to be different.",
  examples: [{ link: "down" }],
  ...strict
})

const ofVm = Schema.Struct({ id: id(Ids.VmId) })
const one = Schema.Struct({ id: id(Ids.VmId), nic: id(Domain.NicId) })

/** @since 0.6.0 @category groups */
export const group = HttpApiGroup.make("nics")
  .add(
    HttpApiEndpoint.get("listNics", "/vms/:id/nics")
      .setPath(ofVm)
      .addSuccess(NicList)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "viewer",
          "List a VM's NICs",
          "With the addresses that its guest has, which are asked for on its host: first of the guest's agent, then of the DHCP server of the " +
            "host's libvirt, then of the host's table of neighbours, and whoever knows any is believed. A guest whose agent is silent takes 5 s."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("addNic", "/vms/:id/nics")
      .setPath(ofVm)
      .setUrlParams(planning)
      .setHeaders(acting)
      .setPayload(NewNic)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Add a NIC to a VM",
          "Into the running guest, too. Refused when the VM's host cannot plug it in, when another VM has its address, or when the VM has " +
            `${Domain.nicSlots} NICs.`
        )
      )
  )
  .add(
    HttpApiEndpoint.patch("changeNic", "/vms/:id/nics/:nic")
      .setPath(one)
      .setUrlParams(planning)
      .setHeaders(changing)
      .setPayload(NicChange)
      .pipe(begun)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Plug a NIC's cable in or out",
          "Its guest sees that the link is up or down. `If-Match` is about the VM. 204: it is so already."
        )
      )
  )
  .add(
    HttpApiEndpoint.del("removeNic", "/vms/:id/nics/:nic")
      .setPath(one)
      .setUrlParams(planning)
      .setHeaders(changing)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(
        documented(
          "operator",
          "Remove a NIC from a VM",
          "Waits until the guest lets go; when it does not in time, the NIC stays, and the operation says so. `If-Match` is about the VM."
        )
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "NICs")
  .annotate(OpenApi.Description, "NICs (network interface cards) of VMs, which come and go while the VMs run.")
