/**
 * Errors a user can meet. Each one's `message` is the one sentence that is shown.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Ids from "./Ids.ts"

/** A parameter that cannot be used. @since 0.1.0 @category errors */
export class InvalidArgument extends Schema.TaggedError<InvalidArgument>()("InvalidArgument", {
  field: Schema.String,
  /** what is wrong with it */
  problem: Schema.String,
  /** what would be right */
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.field} ${this.problem}: expected ${this.expected}`
  }
}

/** @since 0.1.0 @category errors */
export class VmNotFound extends Schema.TaggedError<VmNotFound>()("VmNotFound", { vmId: Schema.Number }) {
  // word for word what the original program answers
  override get message(): string {
    return `vmid : ${this.vmId} does not exist`
  }
}

/** @since 0.1.0 @category errors */
export class HostNotFound extends Schema.TaggedError<HostNotFound>()("HostNotFound", { hostId: Schema.Number }) {
  override get message(): string {
    return `pmid : ${this.hostId} does not exist`
  }
}

/** @since 0.1.0 @category errors */
export class ImageNotFound extends Schema.TaggedError<ImageNotFound>()("ImageNotFound", {
  imageId: Schema.Number,
  known: Schema.Array(Schema.Number)
}) {
  override get message(): string {
    return `image_id : ${this.imageId} does not exist${among(this.known)}`
  }
}

/** @since 0.1.0 @category errors */
export class InstanceTypeNotFound extends Schema.TaggedError<InstanceTypeNotFound>()("InstanceTypeNotFound", {
  tid: Schema.Number,
  known: Schema.Array(Schema.Number)
}) {
  override get message(): string {
    return `instance_type : ${this.tid} does not exist${among(this.known)}`
  }
}

const among = (known: ReadonlyArray<number>): string =>
  known.length === 0 ? "" : `; there are ${known.slice(0, 20).join(", ")}${known.length > 20 ? ", …" : ""}`

/** Why one host did not do, one clause. @since 0.1.0 @category models */
export const HostRefusal = Schema.Struct({ hostId: Ids.HostId, host: Schema.String, reason: Schema.String })
/** @since 0.1.0 @category models */
export type HostRefusal = typeof HostRefusal.Type

/** No host can take the VM; `refusals` has one entry for every host. @since 0.1.0 @category errors */
export class NoFeasibleHost extends Schema.TaggedError<NoFeasibleHost>()("NoFeasibleHost", {
  refusals: Schema.Array(HostRefusal)
}) {
  override get message(): string {
    if (this.refusals.length === 0) return "no host can take the VM: the fabric has no hosts"
    const shown = this.refusals.slice(0, 20).map((r) => `pm ${r.hostId} (${r.host}): ${r.reason}`)
    const more = this.refusals.length - shown.length
    return `no host can take the VM: ${shown.join("; ")}${more > 0 ? `; and ${more} more hosts` : ""}`
  }
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

/** Another operation on the same VM has not ended yet. @since 0.1.0 @category errors */
export class VmBusy extends Schema.TaggedError<VmBusy>()("VmBusy", {
  vmId: Ids.VmId,
  operationId: Ids.OperationId,
  doing: Schema.String
}) {
  override get message(): string {
    return `vmid : ${this.vmId} is busy (${this.doing}): try again when that has ended`
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

/** The database could not be read or written. @since 0.1.0 @category errors */
export class PersistenceError extends Schema.TaggedError<PersistenceError>()("PersistenceError", {
  action: Schema.String,
  cause: Schema.Defect
}) {
  override get message(): string {
    return `the database failed to ${this.action}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
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
