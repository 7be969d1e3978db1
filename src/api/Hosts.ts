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
import * as Doctor from "../domain/Doctor.ts"
import * as Domain from "../domain/Host.ts"
import * as Ids from "../domain/Ids.ts"
import * as Network from "../domain/Network.ts"
import { Resources } from "../domain/Resources.ts"
import {
  documented,
  field,
  id,
  IfMatch,
  Int,
  listOf,
  making,
  means,
  optional,
  strict,
  Time,
  usually
} from "./Common.ts"
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

const Networks = Schema.Record({
  key: Schema.String.pipe(Schema.pattern(Network.namePattern)),
  value: Network.NetworkSource
})

/** @since 0.4.0 @category schemas */
export const Host = Schema.Struct({
  id: Ids.HostId,
  name: field(Schema.String, "`user@host`, with `:port` when that is not 22"),
  address: Domain.HostAddress,
  status: field(
    Schema.Literal("connecting", "up", "suspect", "down", "lost"),
    "`suspect`: something went wrong, and it is being found out what; `down`: more than one sign says that it cannot be used; `lost`: somebody has " +
      "declared that it never comes back"
  ),
  reason: field(Schema.NullOr(Schema.String), "why it is suspect, down or lost; null: it is none of these"),
  since: field(Schema.NullOr(Time), "since when it is suspect, down or lost; null: it is none of these"),
  signs: field(Schema.NullOr(Signs), "null: it is neither suspect nor down"),
  maintenance: field(Schema.Boolean, "nothing new is placed on it; what is there stays, and can be worked on"),
  capacity: field(
    Resources,
    "what may be promised in all, overcommit included and without what is reserved; zero until it was reached for the first time"
  ),
  promised: field(Resources, "what is promised to VMs and volumes"),
  free: field(Resources, "what can still be promised"),
  vms: field(Int, "how many VMs it has"),
  facts: field(
    Schema.NullOr(Domain.HostFacts),
    "what it said of itself when it was last reached; null: it never was. Lists of hosts leave out its `features`"
  ),
  origin: field(
    Domain.HostOrigin,
    "`file`: its settings are in the machine file, and are changed there; `api`: it was added, and is changed and removed, here"
  ),
  virt: field(Domain.VirtualizationType, "how guests run; `auto`: by what libvirt offers"),
  overcommit: field(Domain.HostConfig.fields.overcommit, "how many times what it has may be promised"),
  limit: field(Domain.HostConfig.fields.limit, "at most so much of the machine is used; what is absent: all it has"),
  reserved: field(Resources, "of what may be promised with overcommit, so much is kept free: vCPUs, MiB, GiB"),
  network: field(
    Schema.NullOr(Network.NetworkName),
    "the network of NICs that name none; null: libvirt's `default` where it is active"
  ),
  networks: field(Networks, "what it has for networks by these names, beside libvirt's own"),
  path: field(Schema.String, "folder on the host for images and disks"),
  labels: field(Schema.Record({ key: Schema.String, value: Schema.String }), "free"),
  traits: field(
    Schema.Record({ key: Schema.String, value: Schema.String }),
    "labels that it has by itself, as it said when it was last reached: `host.arch`, `host.virt` (`kvm` or `qemu`, by which its guests run), " +
      "`host.cpu.model` and `host.cpu.vendor`. Rules ask for them as for labels, and for each of `features` as `host.cpu.feature.NAME`, which is `yes` or not there"
  )
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
    reason: "sshd does not answer, from host 1 neither",
    since: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
    signs: { ssh: "silent", libvirt: "unknown", peers: "silent" },
    maintenance: false,
    capacity: { cpu: 64, ram: 65536, disk: 2000 },
    promised: { cpu: 2, ram: 4096, disk: 20 },
    free: { cpu: 62, ram: 61440, disk: 1980 },
    vms: 1,
    facts: null,
    origin: "file",
    virt: "kvm",
    overcommit: { cpu: 4, ram: 1, disk: 1 },
    limit: {},
    reserved: { cpu: 0, ram: 0, disk: 0 },
    network: "lan",
    networks: { lan: { kind: "bridge", name: "br0" } },
    path: "/var/lib/vmfabric",
    labels: {},
    traits: {}
  }
])

const says = (message: string) => ({ message: () => ({ message, override: true }) })

const fields = Domain.HostConfig.fields
const ratio = Schema.Number.pipe(Schema.finite(), Schema.between(0.1, 1000)).annotations(
  says("expected a number from 0.1 to 1000")
)
const amount = (unit: string) =>
  Schema.Int.pipe(Schema.between(1, Number.MAX_SAFE_INTEGER)).annotations(
    says(`expected a whole number of ${unit}, 1 or more`)
  )
const kept = (unit: string) =>
  Schema.Int.pipe(Schema.between(0, Number.MAX_SAFE_INTEGER)).annotations(
    says(`expected a whole number of ${unit}, 0 or more`)
  )
const label = Schema.Record({
  key: Schema.String.pipe(Schema.pattern(Domain.labelPattern)),
  value: Schema.String.pipe(Schema.pattern(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,255}$/u))
}).annotations(
  says(
    "expected labels, each with a key of letters, digits, and any of _ . / - inside (63 at most; host. at the start is for what hosts say of themselves), and a text of 1 to 255 characters"
  )
)

/** All of them may be absent. */
const settings = {
  virt: optional(
    fields.virt.annotations(says("expected auto, kvm or qemu")),
    "how guests run; `auto`: by what libvirt's capabilities offer"
  ),
  overcommit: optional(
    Schema.Struct({ cpu: ratio, ram: ratio, disk: ratio }).annotations(strict),
    "how many times what it has may be promised; of a new host 4, 1 and 1"
  ),
  limit: optional(
    Schema.partialWith(Schema.Struct({ cpu: amount("vCPUs"), ram: amount("MiB"), disk: amount("GiB") }), {
      exact: true
    }).annotations(strict),
    "at most so much of the machine is used; what is absent in it: all it has"
  ),
  reserved: optional(
    Schema.partialWith(Schema.Struct({ cpu: kept("vCPUs"), ram: kept("MiB"), disk: kept("GiB") }), {
      exact: true
    }).annotations(strict),
    "of what may be promised, overcommit included, so much is kept free; what is absent in it: nothing. What is there already stays"
  ),
  network: optional(
    Schema.NullOr(
      Network.NetworkName.annotations(
        says("expected the name of a network: letters, digits, and any of _ . : - (not at the start), 63 at most")
      )
    ),
    "the network of NICs that name none; null: libvirt's `default` where it is active, else none"
  ),
  networks: optional(
    Networks.annotations(
      says(
        "expected networks by name, each a bridge (its name has 15 characters at most; with {vlan} in it there is one for each VLAN) or a network of libvirt"
      )
    ),
    "what it has for networks by these names; libvirt's own are offered besides"
  ),
  path: optional(
    fields.path.annotations(
      says("expected the full path of a folder: letters, digits, and any of _ . - /, no .. in it, 201 at most")
    ),
    "folder on the host for images and disks"
  ),
  labels: optional(label, "free; all of them")
}

const user = Domain.HostAddress.fields.user.annotations(
  says("expected a user of letters, digits, and any of _ . - (not at the start), 32 at most")
)

const { address: _, ...unsaid } = Domain.defaultConfig({ user: "root", host: "h", port: 22 })

/** @since 0.7.0 @category schemas */
export const NewHost = Schema.Struct({
  address: field(
    Schema.Struct({
      user,
      host: Domain.HostAddress.fields.host.pipe(Schema.filter(Domain.isHostName)).annotations({
        ...says("expected a host name, an IPv4 address, or an IPv6 address without brackets and without a zone"),
        ...means((host) => (typeof host === "string" ? Domain.canonicalHost(host) : host))
      }),
      port: optional(
        Domain.HostAddress.fields.port.annotations(says("expected a port from 1 to 65535")),
        "of its sshd; 22 unless it is said"
      )
    }).annotations({ ...usually({ port: 22 }), ...strict }),
    "where its sshd answers; the controller's key opens it, and its host key is known there"
  ),
  ...settings
}).annotations({
  identifier: "NewHost",
  description: "A server, with what a line of the machine file can say.",
  examples: [
    { address: { user: "root", host: "h4.example" } },
    {
      address: { user: "root", host: "10.0.0.5", port: 2222 },
      virt: "kvm",
      networks: { lan: { kind: "bridge", name: "br0" } },
      labels: { rack: "7" }
    }
  ],
  ...usually({ ...unsaid, reserved: {}, network: null, networks: {} }),
  ...strict
})
/** @since 0.7.0 @category schemas */
export type NewHost = typeof NewHost.Type

/** @since 0.4.0 @category schemas */
export const HostChange = Schema.Struct({
  maintenance: optional(
    Schema.Boolean,
    "`true`: nothing new is placed on it; what is there stays, and can be worked on"
  ),
  lost: optional(
    Schema.Boolean,
    "`true`: it never comes back, as when its machine is broken for good; only of a host that is `down`. Nothing connects to it any more, and what was on it " +
      "counts as gone: operations that wait for it go on, its VMs and volumes can be destroyed, and volumes of a pool detached. Take its power away first: what " +
      "still runs there would go on, unseen. `false`: it is watched again; domains there whose VMs were destroyed meanwhile are removed, and disks are listed " +
      "as foreign"
  ),
  user: optional(user, "who logs in there"),
  ...settings
}).annotations({
  identifier: "HostChange",
  description:
    "What is to be different. What is absent stays; `overcommit`, `limit`, `reserved`, `networks` and `labels` are replaced as a whole. Of a host of the machine file only " +
    "`maintenance` and `lost` can be changed.",
  examples: [{ maintenance: true }, { network: "lan", labels: { rack: "7" } }, { reserved: { cpu: 2, ram: 4096 } }],
  ...strict
})
/** @since 0.7.0 @category schemas */
export type HostChange = typeof HostChange.Type

/** @since 0.7.0 @category schemas */
export const Finding = Schema.Struct({
  hostId: Ids.HostId,
  host: field(Schema.String, "its name"),
  check: field(Doctor.Check, "what was looked at"),
  level: field(Doctor.Level, "`failure`: something does not work; `warning`: something will not, some day"),
  seen: field(Schema.String, "what was seen, one clause"),
  means: field(Schema.NullOr(Schema.String), "what it means, one sentence; null: all is well"),
  mend: field(
    Schema.NullOr(Schema.String),
    "the command that mends it, for a shell of the controller's machine; null: nothing has to be mended, or no command does it"
  )
}).annotations({ identifier: "Finding", description: "One thing that was looked at on a host." })
/** @since 0.7.0 @category schemas */
export type Finding = typeof Finding.Type

/** @since 0.7.0 @category schemas */
export const FindingList = listOf(Finding, "FindingList", [
  {
    hostId: Ids.HostId.make(2),
    host: "root@h2",
    check: "libvirt",
    level: "failure",
    seen: "root@h2 cannot be reached: libvirt does not listen on /run/libvirt/libvirt-sock",
    means: "Nothing can be done with VMs there as long as its libvirt does not answer.",
    mend: "ssh root@h2 'systemctl restart libvirtd'"
  }
])

const byId = Schema.Struct({ id: id(Ids.HostId) })

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("hosts")
  .add(
    HttpApiEndpoint.get("listHosts", "/hosts")
      .addSuccess(HostList)
      .annotateContext(
        documented("viewer", "List hosts", "All of them, by id: those of the machine file, and those that were added.")
      )
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
          "Of its `ETag`, `If-Match` compares its settings, `maintenance` and whether it is lost, not what is seen."
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
          "Change a host",
          "Its settings, or put it into maintenance or out of it, or declare it lost; at once, and kept when the controller starts again. 409 `host_conflict`: its " +
            "settings are the machine file's, its path would change while disks are there, or it is to be lost and is not down."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("addHost", "/hosts")
      .setUrlParams(planning)
      .setHeaders(making)
      .setPayload(NewHost)
      .addSuccess(Host, { status: 201 })
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "admin",
          "Add a host",
          "It is kept in the database, beside those of the machine file, and used as soon as it is reached: `status` and `reason` tell. 409 `host_conflict`: the " +
            "address is a host's already. One that was removed comes back under its old id."
        )
      )
  )
  .add(
    HttpApiEndpoint.del("removeHost", "/hosts/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(Schema.Struct(IfMatch))
      .addSuccess(Plan)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(
        documented(
          "admin",
          "Remove a host",
          "Nothing is done on the host itself, and nothing connects to it any more. 409 `host_conflict`: VMs or volumes are there, which are named, or it is the " +
            "machine file's."
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
    HttpApiEndpoint.post("examineHosts", "/doctor")
      .setUrlParams(
        Schema.Struct({ host: optional(id(Ids.HostId), "this one only; it is compared with all others") }).annotations(
          strict
        )
      )
      .addSuccess(FindingList)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "operator",
          "Examine hosts",
          "All at the same time, and everything that has to be right with them; the answer comes when that is done, after a minute at most. Nothing is changed there, " +
            "but that a tiny guest runs for a moment, and a tiny image is in the Ceph pool, if there is one."
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
  .annotate(
    OpenApi.Description,
    "The servers VMs run on: those of the machine file, whose settings are changed there, and those that are added and removed here."
  )
