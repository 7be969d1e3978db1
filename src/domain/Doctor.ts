/**
 * What is found when hosts are examined.
 *
 * @since 0.7.0
 */
import * as Schema from "effect/Schema"
import * as Ids from "./Ids.ts"

/**
 * - `ssh`: its sshd answers, its key is known, and it lets us in
 * - `libvirt`: its daemon answers, and we may use it
 * - `version`: its libvirt and QEMU are not too old
 * - `guest`: a tiny guest of the kind that VMs would be runs there: what its firmware does is seen
 * - `machine`: the machine type that VMs get is one that all other hosts have, too
 * - `vms`: the machine types of the VMs that are there are ones that it has
 * - `cpu`: its processor is the same as those of the others, or libvirt finds one that guests could have on all of them
 * - `disk`: there is room in the folder for images and disks, and for more files
 * - `clock`: it tells the time that the controller has
 * - `network`: a bridge that its settings name is there
 * - `mtu`: the bridge of a network takes frames as large as on the other hosts
 * - `path`: other hosts reach its sshd, as migrations need it
 * - `ceph`: it reaches the monitors of the pool for VMs' disks; the key that hosts get makes, writes and opens images there; there is room
 *
 * @since 0.7.0 @category models
 */
export const Check = Schema.Literal(
  "ssh",
  "libvirt",
  "version",
  "guest",
  "machine",
  "vms",
  "cpu",
  "disk",
  "clock",
  "network",
  "mtu",
  "path",
  "ceph"
).annotations({ identifier: "Check" })
/** @since 0.7.0 @category models */
export type Check = typeof Check.Type

/** @since 0.7.0 @category models */
export const Level = Schema.Literal("ok", "warning", "failure").annotations({ identifier: "Level" })
/** @since 0.7.0 @category models */
export type Level = typeof Level.Type

/** One thing that was looked at. @since 0.7.0 @category models */
export const Finding = Schema.Struct({
  hostId: Ids.HostId,
  /** `user@host[:port]` */
  host: Schema.String,
  check: Check,
  level: Level,
  /** what was seen, one clause */
  seen: Schema.String,
  /** what it means, one sentence; null: all is well */
  means: Schema.NullOr(Schema.String),
  /** the command that mends it, to be run on the controller's machine; null: nothing has to be, or no command does */
  mend: Schema.NullOr(Schema.String)
})
/** @since 0.7.0 @category models */
export type Finding = typeof Finding.Type
