/**
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Ids from "./Ids.ts"
import * as Resources from "./Resources.ts"

/**
 * What the inventory wants of a VM. `failed`: its creation did not succeed and is, or will be, undone. `destroyed` and `failed` VMs
 * no longer exist for users; their rows remain so that a repeated destroy can be answered.
 *
 * @since 0.1.0 @category models
 */
export const VmState = Schema.Literal("creating", "running", "destroying", "destroyed", "failed")
/** @since 0.1.0 @category models */
export type VmState = typeof VmState.Type

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
  /** `52:54:00:…`, the NIC's address for the VM's whole life */
  mac: Schema.String.pipe(Schema.pattern(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/)),
  state: VmState
}) {
  /** the libvirt domain's name */
  get domainName(): string {
    return `vm-${this.id}`
  }

  /** whether users see it */
  get exists(): boolean {
    return this.state !== "destroyed" && this.state !== "failed"
  }
}
