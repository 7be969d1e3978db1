/**
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { UserName } from "./Identity.ts"
import * as Ids from "./Ids.ts"
import { Nic } from "./Nic.ts"
import { Placement } from "./Placement.ts"
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

/** Those of VMs that exist for users, and so are in lists. @since 0.8.0 @category models */
export const ListedVmState = VmState.pipe(Schema.pickLiteral("creating", ...WantedPower.literals, "destroying"))

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

/**
 * How libvirt's words are told of one whose power somebody took, or who paused it. It does not know who that was: ours are told so by the operations
 * themselves.
 *
 * @since 0.9.0 @category constants
 */
export const byHand = { stopped: "somebody powered it off", paused: "paused by somebody" } as const
/** The same where it was an operation. @since 0.9.0 @category constants */
export const byOperation = { stopped: "an operation powered it off", paused: "paused by an operation" } as const

/** Whether what is told of it comes from libvirt alone, who cannot tell whether it was us. @since 0.9.0 @category predicates */
export const isByHand = ({ power, reason }: Pick<VmSeen, "power" | "reason">): boolean =>
  (power === "stopped" || power === "paused") && reason === byHand[power]

/** Whether an operation has told that it was that. @since 0.9.0 @category predicates */
export const isByOperation = ({ power, reason }: Pick<VmSeen, "power" | "reason">): boolean =>
  (power === "stopped" || power === "paused") && reason === byOperation[power]

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

const noControls = (text: string) => !/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\uFFFE\uFFFF]/u.test(text)
const word = /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/
const key = /^[a-z0-9](?:[a-z0-9._/-]{0,61}[a-z0-9])?$/

/** Most tags and most labels that a VM has. @since 0.6.0 @category constants */
export const most = { tags: 32, labels: 64, description: 4096, labelValue: 255 } as const

/** A short word on a VM: 1 to 63 of a-z, 0-9, `.`, `_` and `-`, a letter or digit at its ends. @since 0.6.0 @category models */
export const Tag = Schema.String.pipe(Schema.pattern(word)).annotations({ identifier: "Tag" })

/** Each once; their order means nothing. @since 0.6.0 @category models */
export const Tags = Schema.Array(Tag).pipe(
  Schema.maxItems(most.tags),
  Schema.filter((tags) => new Set(tags).size === tags.length)
)

/** As a tag, and `/` within it. @since 0.6.0 @category models */
export const LabelKey = Schema.String.pipe(Schema.pattern(key)).annotations({ identifier: "LabelKey" })

/** At most 255 characters, none of them a control character. @since 0.6.0 @category models */
export const LabelValue = Schema.String.pipe(Schema.maxLength(most.labelValue), Schema.filter(noControls)).annotations({
  identifier: "LabelValue"
})

/** @since 0.6.0 @category models */
export const Labels = Schema.Record({ key: LabelKey, value: LabelValue }).pipe(
  Schema.filter((labels) => Object.keys(labels).length <= most.labels)
)
/** @since 0.6.0 @category models */
export type Labels = typeof Labels.Type

/** Text of several lines for people: at most 4096 characters, no control characters but line ends and tabs. @since 0.6.0 @category models */
export const Description = Schema.String.pipe(
  Schema.maxLength(most.description),
  Schema.filter((text) => noControls(text.replace(/[\n\t]/g, "")))
).annotations({ identifier: "Description" })

/** What people say of a VM, and may change at any time. @since 0.6.0 @category models */
export interface VmSettings {
  readonly name: string
  readonly onCrash: OnCrash
  /** not destroyed until that is lifted */
  readonly protected: boolean
  /** its host starts it when it boots, unless it was stopped on purpose */
  readonly autostart: boolean
  readonly description: string
  readonly tags: ReadonlyArray<string>
  readonly labels: Labels
  /** where it is to be; it stays where it is when that changes. null: nothing is said */
  readonly placement: Placement | null
}

/** What a VM has of which nothing is said. @since 0.10.0 @category constants */
export const unsaid: Omit<VmSettings, "name"> = {
  onCrash: "leave",
  protected: false,
  autostart: false,
  description: "",
  tags: [],
  labels: {},
  placement: null
}

/** What is to be different; of labels those that are named, and null takes one away. @since 0.6.0 @category models */
export interface VmChange extends Partial<Omit<VmSettings, "labels">> {
  readonly labels?: Readonly<Record<string, string | null>>
}

/** As it is after the change. @since 0.6.0 @category conversions */
export const changed = (now: VmSettings, { labels, ...change }: VmChange): VmSettings => ({
  name: now.name,
  onCrash: now.onCrash,
  protected: now.protected,
  autostart: now.autostart,
  description: now.description,
  placement: now.placement,
  ...change,
  tags: (change.tags ?? now.tags).toSorted(),
  labels: Object.fromEntries(
    Object.entries({ ...now.labels, ...labels })
      .flatMap(([name, value]): ReadonlyArray<readonly [string, string]> => (value === null ? [] : [[name, value]]))
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
  )
})

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
  protected: Schema.Boolean.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => false)
  ),
  autostart: Schema.Boolean.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => false)
  ),
  description: Description.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => "")
  ),
  tags: Tags.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => [])
  ),
  labels: Labels.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => ({}))
  ),
  /** where it is to be; null: nothing is said */
  placement: Schema.NullOr(Placement).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
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
  ),
  /** who had it made, and in whose quota it counts; null: nobody that is known */
  owner: Schema.NullOr(UserName).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
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

  /** whether its host is to start it when it boots: one that was stopped on purpose it is not */
  get startsWithHost(): boolean {
    return this.autostart && this.state !== "stopped"
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
