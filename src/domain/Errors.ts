/**
 * Errors a user can meet. Each one's `message` is the one sentence that is shown.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Refusal, showBarred } from "./Explanation.ts"
import * as Ids from "./Ids.ts"
import * as Quota from "./Quota.ts"

export { InvalidArgument } from "./InvalidArgument.ts"

/** Nothing has the id, of whatever kind: no id is as large. @since 0.8.0 @category errors */
export class NoSuchId extends Schema.TaggedError<NoSuchId>()("NoSuchId", {
  /** the parameter it came as */
  field: Schema.String,
  /** as it was sent, in decimal digits, cut off where it is long */
  value: Schema.String
}) {
  override get message(): string {
    return `${this.field} : ${this.value} does not exist`
  }
}

/** What has an id, with the name that people know it by where that is at hand, as in `VM 7 (web)`. */
const withName = (what: string, id: number, called: string | undefined): string =>
  called === undefined ? `${what} ${id}` : `${what} ${id} (${called})`

/** The name of what it is about, for `name` is every error's own; absent: it was not at hand. */
const called = Schema.optionalWith(Schema.String, { exact: true })

/** @since 0.1.0 @category errors */
export class VmNotFound extends Schema.TaggedError<VmNotFound>()("VmNotFound", { vmId: Schema.Number }) {
  override get message(): string {
    return `VM ${this.vmId} does not exist`
  }
}

/** @since 0.1.0 @category errors */
export class HostNotFound extends Schema.TaggedError<HostNotFound>()("HostNotFound", { hostId: Schema.Number }) {
  override get message(): string {
    return `host ${this.hostId} does not exist`
  }
}

/** @since 0.1.0 @category errors */
export class ImageNotFound extends Schema.TaggedError<ImageNotFound>()("ImageNotFound", {
  imageId: Schema.Number,
  known: Schema.Array(Schema.Number)
}) {
  override get message(): string {
    return `image ${this.imageId} does not exist${among(this.known)}`
  }
}

/** @since 0.1.0 @category errors */
export class InstanceTypeNotFound extends Schema.TaggedError<InstanceTypeNotFound>()("InstanceTypeNotFound", {
  tid: Schema.Number,
  known: Schema.Array(Schema.Number)
}) {
  override get message(): string {
    return `instance type ${this.tid} does not exist${among(this.known)}`
  }
}

const among = (known: ReadonlyArray<number>): string =>
  known.length === 0 ? "" : `; there are ${known.slice(0, 20).join(", ")}${known.length > 20 ? ", …" : ""}`

/** Why one host did not do, one clause. @since 0.1.0 @category models */
export const HostRefusal = Schema.Struct({ hostId: Ids.HostId, host: Schema.String, reason: Schema.String })
/** @since 0.1.0 @category models */
export type HostRefusal = typeof HostRefusal.Type

/**
 * No host can take what was to be placed; `refusals` has one entry for every host. `what` absent: a VM. `why`: the same grouped, with what would
 * help.
 *
 * @since 0.1.0 @category errors
 */
export class NoFeasibleHost extends Schema.TaggedError<NoFeasibleHost>()("NoFeasibleHost", {
  refusals: Schema.Array(HostRefusal),
  what: Schema.optionalWith(Schema.Literal("VM", "volume"), { exact: true }),
  /** whether it was refused with rules of its own: then hosts with the same reason are told together. Absent: it was not */
  ruled: Schema.optionalWith(Schema.Boolean, { exact: true }),
  /** which of how many that are created all or none. Absent: it is alone */
  together: Schema.optionalWith(Schema.Struct({ number: Schema.Int, of: Schema.Int }), { exact: true }),
  /** after how many steps it was given up to arrange those otherwise. Absent: there is no arrangement, or none was looked for */
  cut: Schema.optionalWith(Schema.Int, { exact: true }),
  why: Schema.optionalWith(Refusal, { exact: true })
}) {
  /** The same of one that is created with others, all or none. @since 0.9.0 */
  beside(number: number, of: number): NoFeasibleHost {
    const { cut, refusals, ruled = false, why } = this
    return new NoFeasibleHost({
      refusals,
      ruled,
      ...(cut === undefined ? {} : { cut }),
      ...(why === undefined ? {} : { why }),
      together: { number, of }
    })
  }

  /** What is refused, in a few words. @since 0.7.0 */
  get problem(): string {
    const { together: group } = this
    if (group === undefined) return `no host can take the ${this.what ?? "VM"}`
    const said = `none of the ${group.of} VMs is created, for no host can take number ${group.number} beside those before it`
    return this.cut === undefined
      ? said
      : `${said}, and no other arrangement of them was found within ${this.cut} steps (there may be one)`
  }

  override get message(): string {
    const { problem } = this
    if (this.refusals.length === 0)
      return `${problem}: the fabric has no hosts yet, and POST /api/v1/hosts or vmfabric host add adds one`
    return `${problem}: ${together(this.refusals, this.ruled === true ? named : numbered)}`
  }

  /** The same by what bars the hosts, and the first thing that would help. @since 0.7.0 */
  get sentence(): string {
    if (this.why === undefined || this.why.hosts === 0) return this.message
    const { barred, repairs, unnamed } = this.why
    const others = unnamed === 0 ? [] : [`${unnamed} more hosts: other reasons`]
    const [first] = repairs
    const help = first === undefined ? [] : [`what would help: ${first.text}`]
    return `${this.problem}: ${[...barred.map(showBarred), ...others, ...help].join("; ")}`
  }
}

const named = ({ host }: HostRefusal): string => host

const numbered = ({ host, hostId }: HostRefusal): string => `host ${hostId} (${host})`

/** By reason, the one of most hosts first. */
const together = (refusals: ReadonlyArray<HostRefusal>, nameOf: (refusal: HostRefusal) => string): string => {
  const groups = new Map<string, Array<string>>()
  for (const refusal of refusals) {
    const hosts = groups.get(refusal.reason)
    if (hosts === undefined) groups.set(refusal.reason, [nameOf(refusal)])
    else hosts.push(nameOf(refusal))
  }
  const shown = [...groups]
    .toSorted(([, a], [, b]) => b.length - a.length)
    .slice(0, 20)
    .map(([reason, hosts]) => {
      const few = `${hosts.slice(0, 5).join(", ")}${hosts.length > 5 ? ", …" : ""}`
      return hosts.length === 1 ? `${few}: ${reason}` : `${hosts.length} hosts (${few}): ${reason}`
    })
  return `${shown.join("; ")}${groups.size > shown.length ? `; and ${groups.size - shown.length} more reasons` : ""}`
}

/** A host that does not answer, or whose libvirt does not. @since 0.1.0 @category errors */
export class HostUnreachable extends Schema.TaggedError<HostUnreachable>()("HostUnreachable", {
  host: Schema.String,
  reason: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `host ${this.host} cannot be used: ${this.reason}`
  }
}

/** A host answered, and refused or failed. @since 0.1.0 @category errors */
export class HostFailure extends Schema.TaggedError<HostFailure>()("HostFailure", {
  host: Schema.String,
  /** what was being done, as in `define vm-7` */
  action: Schema.String,
  reason: Schema.String,
  /** it was not asked: it is declared lost */
  lost: Schema.optionalWith(Schema.Literal(true), { exact: true }),
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `host ${this.host} failed to ${this.action}: ${this.reason}`
  }
}

/** What every port that works on hosts can fail with. @since 0.1.0 @category errors */
export const HostError = Schema.Union(HostUnreachable, HostFailure)
/** @since 0.1.0 @category errors */
export type HostError = typeof HostError.Type

/** Storage that all hosts share does not answer. @since 0.2.0 @category errors */
export class StorageUnreachable extends Schema.TaggedError<StorageUnreachable>()("StorageUnreachable", {
  /** as in `Ceph pool vms` */
  storage: Schema.String,
  reason: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `${this.storage} cannot be used: ${this.reason}`
  }
}

/** Storage that all hosts share answered, and refused or failed. @since 0.2.0 @category errors */
export class StorageFailure extends Schema.TaggedError<StorageFailure>()("StorageFailure", {
  storage: Schema.String,
  /** what was being done, as in `create volume-7` */
  action: Schema.String,
  reason: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `${this.storage} failed to ${this.action}: ${this.reason}`
  }
}

/** What storage that all hosts share can fail with. @since 0.2.0 @category errors */
export const StorageError = Schema.Union(StorageUnreachable, StorageFailure)
/** @since 0.2.0 @category errors */
export type StorageError = typeof StorageError.Type

/** A guest was asked to let go of a device and has not done so in time: it still has it. @since 0.2.0 @category errors */
export class GuestHoldsDevice extends Schema.TaggedError<GuestHoldsDevice>()("GuestHoldsDevice", {
  /** the domain's name */
  domain: Schema.String,
  /** as in `volume-7` */
  device: Schema.String,
  /** what the guest is doing, and what to do about it */
  reason: Schema.String
}) {
  override get message(): string {
    return `the guest of ${this.domain} does not let go of ${this.device}: ${this.reason}`
  }
}

/** A guest was asked to shut down or to start anew and has not done so in time; it goes on as it was. @since 0.6.0 @category errors */
export class GuestIgnores extends Schema.TaggedError<GuestIgnores>()("GuestIgnores", {
  /** the domain's name */
  domain: Schema.String,
  /** what it was asked for, as in `shut down` */
  asked: Schema.String,
  /** as in `90 seconds` */
  within: Schema.String,
  /** what else can be done */
  instead: Schema.String
}) {
  override get message(): string {
    return `the guest of ${this.domain} has not ${this.asked} within ${this.within} although it was asked to: ${this.instead}`
  }
}

/** @since 0.2.0 @category errors */
export class VolumeNotFound extends Schema.TaggedError<VolumeNotFound>()("VolumeNotFound", {
  volumeId: Schema.Number
}) {
  override get message(): string {
    return `volume ${this.volumeId} does not exist`
  }
}

/** @since 0.2.0 @category errors */
export class SnapshotNotFound extends Schema.TaggedError<SnapshotNotFound>()("SnapshotNotFound", {
  snapshotId: Schema.Number
}) {
  override get message(): string {
    return `snapshot ${this.snapshotId} does not exist`
  }
}

/** Another operation on the same volume has not ended yet. @since 0.2.0 @category errors */
export class VolumeBusy extends Schema.TaggedError<VolumeBusy>()("VolumeBusy", {
  volumeId: Ids.VolumeId,
  called,
  operationId: Ids.OperationId,
  doing: Schema.String
}) {
  override get message(): string {
    return `${withName("volume", this.volumeId, this.called)} is busy (${this.doing}): try again when that has ended`
  }
}

/** What was asked of a volume or snapshot cannot be done in the state it is in; nothing was changed. @since 0.2.0 @category errors */
export class VolumeConflict extends Schema.TaggedError<VolumeConflict>()("VolumeConflict", {
  volumeId: Ids.VolumeId,
  called,
  /** why, and what to do about it */
  reason: Schema.String
}) {
  override get message(): string {
    return `${withName("volume", this.volumeId, this.called)} ${this.reason}`
  }
}

/** @since 0.6.0 @category errors */
export class NicNotFound extends Schema.TaggedError<NicNotFound>()("NicNotFound", {
  vmId: Ids.VmId,
  called,
  nic: Schema.Int
}) {
  override get message(): string {
    return `${withName("VM", this.vmId, this.called)} has no NIC ${this.nic}: its list of NICs shows which it has`
  }
}

/** `known`: by name. @since 0.6.0 @category errors */
export class NetworkNotFound extends Schema.TaggedError<NetworkNotFound>()("NetworkNotFound", {
  network: Schema.String,
  known: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const all = this.known.slice(0, 20).join(", ")
    return `no host has a network ${JSON.stringify(this.network)} (there are: ${all === "" ? "none" : all})`
  }
}

/** @since 0.6.0 @category errors */
export class MacTaken extends Schema.TaggedError<MacTaken>()("MacTaken", {
  mac: Schema.String,
  /** who has it */
  vmId: Ids.VmId,
  called
}) {
  override get message(): string {
    return `${withName("VM", this.vmId, this.called)} has a NIC with the address ${this.mac}: give another one, or none to have one made`
  }
}

/** What was asked of a VM's NICs cannot be done as things are; nothing was changed. @since 0.6.0 @category errors */
export class NicConflict extends Schema.TaggedError<NicConflict>()("NicConflict", {
  vmId: Ids.VmId,
  called,
  /** why, and what to do about it */
  reason: Schema.String
}) {
  override get message(): string {
    return `${withName("VM", this.vmId, this.called)} ${this.reason}`
  }
}

/** Somebody else has the VM's serial console, which takes one at a time. @since 0.7.0 @category errors */
export class ConsoleBusy extends Schema.TaggedError<ConsoleBusy>()("ConsoleBusy", {
  vmId: Ids.VmId,
  /** as in `ada, since 2026-01-02T03:04:05.006Z,` */
  holder: Schema.String
}) {
  override get message(): string {
    return `${this.holder} has the serial console of VM ${this.vmId}, which takes one at a time: it can be taken over (with force)`
  }
}

/** A ticket opens nothing: `reason` says why, in one clause that gives nothing away. @since 0.7.0 @category errors */
export class TicketRefused extends Schema.TaggedError<TicketRefused>()("TicketRefused", { reason: Schema.String }) {
  override get message(): string {
    return `the ticket opens nothing: ${this.reason}; get another by POST /api/v1/vms/ID/console-tickets`
  }
}

/** A shared pool has not enough room for what was asked. Sizes in GiB. @since 0.2.0 @category errors */
export class PoolFull extends Schema.TaggedError<PoolFull>()("PoolFull", {
  pool: Schema.String,
  wanted: Schema.Number,
  promised: Schema.Number,
  /** what may be promised in all */
  limit: Schema.Number,
  /** what can really be written at this moment */
  available: Schema.Number
}) {
  override get message(): string {
    const free = "destroy VMs that are not needed, and destroy and purge such volumes (the trash counts)"
    return this.promised + this.wanted > this.limit
      ? `pool ${this.pool} has no room for ${this.wanted} GiB: ${this.promised} of ${this.limit} GiB are promised: ask for less, ${free}, or have the controller started with a higher --ceph-overcommit`
      : `pool ${this.pool} is full: only ${this.available} GiB can still be written: ${free}, or add disks to Ceph`
  }
}

/** More is asked for than a user may have. @since 0.9.0 @category errors */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>()("QuotaExceeded", {
  /** whose quota it is: who is asking, or whose VM or volume is to be larger */
  user: Schema.String,
  /** at least one */
  short: Schema.Array(Quota.Shortage)
}) {
  override get message(): string {
    const each = this.short.map(({ asked, has, resource, used }) => {
      const told = (amount: number) => Quota.quantity(resource, amount)
      return `${Quota.show(resource, has)} (${told(used)} used, ${told(asked)} more asked for)`
    })
    const vms = this.short.some(({ resource }) => resource !== "volumes" && resource !== "volumeSize")
    const volumes = this.short.some(({ resource }) => resource === "volumes" || resource === "volumeSize")
    const free = [...(vms ? ["destroy VMs"] : []), ...(volumes ? ["destroy and purge volumes"] : [])].join(" and ")
    return `the quota of ${this.user} has ${each.join(" and ")}: ask for less, ${free} that ${this.user} does not need, or have an admin raise the quota`
  }
}

/** What was asked of an instance type cannot be; nothing was changed. @since 0.7.0 @category errors */
export class InstanceTypeConflict extends Schema.TaggedError<InstanceTypeConflict>()("InstanceTypeConflict", {
  tid: Ids.InstanceTypeId,
  /** why, and what to do about it */
  reason: Schema.String
}) {
  override get message(): string {
    return `instance type ${this.tid} ${this.reason}`
  }
}

/** An image that cannot be used: unreadable, of a refused format, or changed under us. @since 0.1.0 @category errors */
export class ImageRefused extends Schema.TaggedError<ImageRefused>()("ImageRefused", {
  image: Schema.String,
  reason: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `image ${this.image} cannot be used: ${this.reason}`
  }
}

/** What was asked of an image cannot be done as things are; nothing was changed. @since 0.7.0 @category errors */
export class ImageConflict extends Schema.TaggedError<ImageConflict>()("ImageConflict", {
  /** its id, or what it would be made of */
  image: Schema.String,
  /** why, and what to do about it */
  reason: Schema.String
}) {
  override get message(): string {
    return `image ${this.image} ${this.reason}`
  }
}

/** Another operation on the same VM has not ended yet. @since 0.1.0 @category errors */
export class VmBusy extends Schema.TaggedError<VmBusy>()("VmBusy", {
  vmId: Ids.VmId,
  called,
  operationId: Ids.OperationId,
  doing: Schema.String
}) {
  override get message(): string {
    return `${withName("VM", this.vmId, this.called)} is busy (${this.doing}): try again when that has ended`
  }
}

/** A VM that is not to be destroyed; nothing was changed. @since 0.6.0 @category errors */
export class VmProtected extends Schema.TaggedError<VmProtected>()("VmProtected", { vmId: Ids.VmId, called }) {
  override get message(): string {
    return `${withName("VM", this.vmId, this.called)} is protected against destruction: lift that first (PATCH /api/v1/vms/${this.vmId} with {"protected":false}, or vmfabric vm set ${this.vmId} --unprotect)`
  }
}

/** What was asked of a VM cannot be done in the state it is in; nothing was changed. @since 0.6.0 @category errors */
export class VmConflict extends Schema.TaggedError<VmConflict>()("VmConflict", {
  vmId: Ids.VmId,
  called,
  /** why, and what to do about it */
  reason: Schema.String
}) {
  override get message(): string {
    return `${withName("VM", this.vmId, this.called)} ${this.reason}`
  }
}

/** What was asked of a host cannot be done as things are; nothing was changed. @since 0.7.0 @category errors */
export class HostConflict extends Schema.TaggedError<HostConflict>()("HostConflict", {
  /** `user@host[:port]` */
  host: Schema.String,
  /** why, and what to do about it */
  reason: Schema.String
}) {
  override get message(): string {
    return `host ${this.host} ${this.reason}`
  }
}

/** An operation that ended in failure; `reason` is the sentence of what failed first. @since 0.1.0 @category errors */
export class OperationFailed extends Schema.TaggedError<OperationFailed>()("OperationFailed", {
  operationId: Ids.OperationId,
  reason: Schema.String,
  /** whether everything it had made is gone again; false: the undo goes on in the background */
  undone: Schema.Boolean,
  /** the host it could not reach, when that was the reason */
  unreachableHost: Schema.NullOr(Ids.HostId)
}) {
  override get message(): string {
    return this.reason
  }
}

/** @since 0.3.0 @category errors */
export class OperationNotFound extends Schema.TaggedError<OperationNotFound>()("OperationNotFound", {
  operationId: Schema.String
}) {
  override get message(): string {
    return `operation ${this.operationId} does not exist`
  }
}

/** An operation that cannot be cancelled (any more). @since 0.3.0 @category errors */
export class NotCancellable extends Schema.TaggedError<NotCancellable>()("NotCancellable", {
  operationId: Ids.OperationId,
  /** one clause, as in `it has ended` */
  reason: Schema.String
}) {
  override get message(): string {
    return `operation ${this.operationId} cannot be cancelled: ${this.reason}`
  }
}

/** An operation whose request cannot be done once more. @since 0.8.0 @category errors */
export class NotRetryable extends Schema.TaggedError<NotRetryable>()("NotRetryable", {
  operationId: Ids.OperationId,
  /** one clause that says what to do instead */
  reason: Schema.String,
  /** the operation that did the same once more already; null: none did */
  by: Schema.NullOr(Ids.OperationId)
}) {
  override get message(): string {
    return `operation ${this.operationId} cannot be retried: ${this.reason}`
  }
}

/** A step, or a whole operation, took longer than it may. @since 0.3.0 @category errors */
export class OperationTimeout extends Schema.TaggedError<OperationTimeout>()("OperationTimeout", {
  /** as in `step define`, `the whole operation` */
  what: Schema.String,
  /** as in `5 minutes` */
  limit: Schema.String
}) {
  override get message(): string {
    return `${this.what} did not end within ${this.limit}`
  }
}

/** The same idempotency key came with another request. @since 0.3.0 @category errors */
export class KeyReused extends Schema.TaggedError<KeyReused>()("KeyReused", { key: Schema.String }) {
  override get message(): string {
    return `Idempotency-Key ${this.key} was used for another request before: take a new key for a new request`
  }
}

/** What a request with that key has made is there no more. @since 0.8.0 @category errors */
export class KeySpent extends Schema.TaggedError<KeySpent>()("KeySpent", {
  key: Schema.String,
  /** as in `user ada` */
  made: Schema.String
}) {
  override get message(): string {
    return `the request with Idempotency-Key ${this.key} was done before: what it made, ${this.made}, is there no more; take a new key to have another made`
  }
}

/** A secret that was told once, to a request with that key, and is not kept. @since 0.8.0 @category errors */
export class SecretNotKept extends Schema.TaggedError<SecretNotKept>()("SecretNotKept", {
  key: Schema.String,
  /** as in `token 7 (nightly builds)` */
  made: Schema.String,
  /** what to do when it did not arrive, one clause */
  instead: Schema.String
}) {
  override get message(): string {
    return `the request with Idempotency-Key ${this.key} has made ${this.made} before, whose secret was told then and is not kept: if it did not arrive, ${this.instead}`
  }
}

/** The database could not be read or written. @since 0.1.0 @category errors */
export class PersistenceError extends Schema.TaggedError<PersistenceError>()("PersistenceError", {
  action: Schema.String,
  cause: Schema.Defect,
  /** whether it stays so until somebody has done what the cause says. Absent: trying again may do */
  lasting: Schema.optionalWith(Schema.Boolean, { exact: true })
}) {
  override get message(): string {
    return `the database failed to ${this.action}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/**
 * Events between the cursor and the oldest that is kept are gone; or the cursor is ahead of all there are, as it is where the database was put back to
 * what it was before. Look at everything anew, then go on from the newest.
 *
 * @since 0.4.0 @category errors
 */
export class EventsLost extends Schema.TaggedError<EventsLost>()("EventsLost", {
  cursor: Schema.Number,
  /** the oldest that is still kept */
  oldest: Schema.Number,
  /** the newest that there is */
  latest: Schema.Number
}) {
  /** Whether it is of another log than this one. */
  get isAhead(): boolean {
    return this.cursor > this.latest
  }

  override get message(): string {
    if (this.isAhead) {
      return (
        `events up to ${this.cursor} have not happened here, the newest is ${this.latest}: the database is another, or was put back to an earlier ` +
        "state; list what you follow anew, then go on from the newest event"
      )
    }
    return `events after ${this.cursor} are no longer kept, the oldest is ${this.oldest}: list what you follow anew, then go on from the newest event`
  }
}

/** What was expected of something is no longer so: it has changed meanwhile. Nothing was done. @since 0.4.0 @category errors */
export class HasChanged extends Schema.TaggedError<HasChanged>()("HasChanged", {
  /** as in `volume 7` */
  what: Schema.String
}) {
  override get message(): string {
    return `${this.what} has changed since it was read: read it again, then decide anew`
  }
}

/** What a plan depended on and is no longer so: `planned` and `now` in words. @since 0.5.0 @category errors */
export const Moved = Schema.Struct({ what: Schema.String, planned: Schema.String, now: Schema.String })
/** @since 0.5.0 @category errors */
export type Moved = typeof Moved.Type

/** The world is no longer as a plan found it, so it was not applied; nothing was done. @since 0.5.0 @category errors */
export class PlanOutdated extends Schema.TaggedError<PlanOutdated>()("PlanOutdated", {
  planId: Schema.String,
  moved: Schema.Array(Moved),
  /** whether it is only that the plan was applied, which changes what it depended on */
  applied: Schema.optionalWith(Schema.Boolean, { exact: true })
}) {
  override get message(): string {
    if (this.applied === true) return `plan ${this.planId} has been applied already, which is done once: make a new one`
    const shown = this.moved.slice(0, 5).map(({ now, planned, what }) => `${what}: planned ${planned}, now ${now}`)
    const more = this.moved.length - shown.length
    return `plan ${this.planId} can no longer be applied (${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""}): plan again`
  }
}

/** A plan that is not known, or no longer, or is somebody else's. @since 0.5.0 @category errors */
export class PlanNotFound extends Schema.TaggedError<PlanNotFound>()("PlanNotFound", { planId: Schema.String }) {
  override get message(): string {
    return `plan ${this.planId} is not known: plans are kept for 10 minutes, by the process that made them, for the user who asked; plan again`
  }
}

/** A plan of another request than the one it came with; nothing was done. @since 0.5.0 @category errors */
export class PlanMismatch extends Schema.TaggedError<PlanMismatch>()("PlanMismatch", {
  planId: Schema.String,
  /** the request it is of, as in `DELETE /api/v1/vms/7` */
  planned: Schema.String
}) {
  override get message(): string {
    return `plan ${this.planId} is of another request: send ${this.planned} with the body that was planned, or plan this one`
  }
}

/** @since 0.4.0 @category errors */
export class UserNotFound extends Schema.TaggedError<UserNotFound>()("UserNotFound", { name: Schema.String }) {
  override get message(): string {
    return `user ${this.name} does not exist`
  }
}

/** What was asked of a user cannot be: the name is taken, or nobody would be left to administer. @since 0.4.0 @category errors */
export class UserConflict extends Schema.TaggedError<UserConflict>()("UserConflict", {
  name: Schema.String,
  /** why, and what to do about it */
  reason: Schema.String
}) {
  override get message(): string {
    return `user ${this.name} ${this.reason}`
  }
}

/** @since 0.4.0 @category errors */
export class TokenNotFound extends Schema.TaggedError<TokenNotFound>()("TokenNotFound", { tokenId: Schema.Number }) {
  override get message(): string {
    return `token ${this.tokenId} does not exist`
  }
}

/** @since 0.5.0 @category errors */
export class WebhookNotFound extends Schema.TaggedError<WebhookNotFound>()("WebhookNotFound", {
  webhookId: Schema.Number
}) {
  override get message(): string {
    return `webhook ${this.webhookId} does not exist`
  }
}

/** Known who asks, and they may not. @since 0.4.0 @category errors */
export class NotAllowed extends Schema.TaggedError<NotAllowed>()("NotAllowed", {
  /** why, and what would be needed */
  reason: Schema.String
}) {
  override get message(): string {
    return this.reason
  }
}

/** New input files that cannot be applied to what exists. @since 0.1.0 @category errors */
export class FleetConflict extends Schema.TaggedError<FleetConflict>()("FleetConflict", {
  problems: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return this.problems.join("; ")
  }
}
