/**
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Ids from "./Ids.ts"
import { Nic } from "./Nic.ts"
import { DriverName } from "./Pool.ts"
import * as Resources from "./Resources.ts"

/**
 * What a VM that is there is wanted to do. It stays so whatever its guest and its host do: one that was stopped or paused on purpose is not
 * started by anybody but who asks for it.
 *
 * @since 0.6.0 @category models
 */
export const WantedPower = Schema.Literal("running", "stopped", "paused")
/** @since 0.6.0 @category models */
export type WantedPower = typeof WantedPower.Type

/**
 * What the inventory wants of a VM. `failed`: its creation did not succeed and is, or will be, undone. `destroyed` and `failed` VMs
 * no longer exist for users; their rows remain so that a repeated destroy can be answered.
 *
 * @since 0.1.0 @category models
 */
export const VmState = Schema.Literal("creating", ...WantedPower.literals, "destroying", "destroyed", "failed")
/** @since 0.1.0 @category models */
export type VmState = typeof VmState.Type

/** Whether it is there, and nothing but its power is wanted of it. @since 0.6.0 @category predicates */
export const isSettled = (state: VmState): state is WantedPower => Schema.is(WantedPower)(state)

/**
 * What becomes of a VM whose guest crashed or whose QEMU died: nothing, or it is started again (a few times, then it is left for a person to
 * look at).
 *
 * @since 0.3.0 @category models
 */
export const OnCrash = Schema.Literal("leave", "restart")
/** @since 0.3.0 @category models */
export type OnCrash = typeof OnCrash.Type

/**
 * What the host says a VM is. `absent`: there is no such domain. `suspended`: by the guest's own power management.
 *
 * @since 0.3.0 @category models
 */
export const Power = Schema.Literal("running", "paused", "suspended", "stopped", "crashed", "absent")
/** @since 0.3.0 @category models */
export type Power = typeof Power.Type

/**
 * What was last seen of a VM on its host. It is as true as the host's status: of one that does not answer, it is what was seen before.
 *
 * @since 0.3.0 @category models
 */
export const VmSeen = Schema.Struct({
  power: Power,
  /** how it came to that, one clause as in `the guest shut itself down`; null: nothing to say */
  reason: Schema.NullOr(Schema.String),
  /** milliseconds since 1970: when it was first seen like this */
  since: Schema.Int
})
/** @since 0.3.0 @category models */
export type VmSeen = typeof VmSeen.Type

/** What our last operation on its domain made it. @since 0.3.0 @category models */
export const VmApplied = Schema.Struct({ name: Schema.String, cpu: Schema.Int, ram: Schema.Int })
/** @since 0.3.0 @category models */
export type VmApplied = typeof VmApplied.Type

/** A VM's name: 1 to 255 characters, no control characters, no blanks at the ends. @since 0.1.0 @category models */
export const VmName = Schema.String.pipe(
  Schema.minLength(1),
  Schema.maxLength(255),
  Schema.filter((name) => !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\uFFFE\uFFFF]/u.test(name) && name.trim() === name)
).annotations({ identifier: "VmName" })

/** @since 0.1.0 @category models */
export class Vm extends Schema.Class<Vm>("Vm")({
  id: Ids.VmId,
  uuid: Ids.DomainUuid,
  name: VmName,
  instanceType: Ids.InstanceTypeId,
  imageId: Ids.ImageId,
  hostId: Ids.HostId,
  /** what was promised to it, copied from its type when it was admitted */
  resources: Resources.Resources,
  /** what its root disk is kept with */
  driver: DriverName,
  /** by their numbers; what is about to come or to go is among them */
  nics: Schema.Array(Nic),
  state: VmState,
  onCrash: OnCrash.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => "leave" as const)
  ),
  /** null: not defined yet */
  applied: Schema.NullOr(VmApplied).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
  ),
  /** milliseconds since 1970: when it was admitted */
  createdAt: Schema.Int.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => 0)
  )
}) {
  /** the libvirt domain's name */
  get domainName(): string {
    return `vm-${this.id}`
  }

  /** of its first NIC; null: it has none */
  get mac(): string | null {
    return this.nics[0]?.mac ?? null
  }

  /** whether it has been made, and is not being destroyed */
  get settled(): boolean {
    return isSettled(this.state)
  }

  /** whether users see it */
  get exists(): boolean {
    return this.state !== "destroyed" && this.state !== "failed"
  }
}

/** What the guest sees as its seed's serial. @since 0.6.0 @category getters */
export const seedSerial = (id: Ids.VmId): string => {
  const full = `vm-${id}-seed`
  return full.length <= 20 ? full : `s-${id}`
}

/** What the guest sees as its root disk's serial: virtio-blk carries 20 characters. @since 0.3.0 @category getters */
export const rootSerial = (id: Ids.VmId): string => {
  const full = `vm-${id}-root`
  return full.length <= 20 ? full : `vm-${id}`
}
