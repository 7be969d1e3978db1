/**
 * NICs of VMs.
 *
 * @since 0.6.0
 */
import * as Schema from "effect/Schema"
import { NetworkName, Vlan } from "./Network.ts"

/** A NIC's number within its VM, from 1 on; never given twice in the VM's life. @since 0.6.0 @category models */
export const NicId = Schema.Int.pipe(Schema.between(1, 1_000_000), Schema.brand("NicId")).annotations({
  identifier: "NicId"
})
/** @since 0.6.0 @category models */
export type NicId = typeof NicId.Type

/** `52:54:00:12:34:56`: lower case, of one card and not of a group. @since 0.6.0 @category models */
export const MacAddress = Schema.String.pipe(
  Schema.pattern(/^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/),
  Schema.filter((mac) => mac !== "00:00:00:00:00:00")
).annotations({ identifier: "MacAddress" })

/** As it is kept: many devices print theirs in capitals. @since 0.10.0 @category conversions */
export const normalMac = (mac: string): string => mac.toLowerCase()

/**
 * What the guest takes it for: `virtio` is fast and needs a driver that Windows has not got by itself; `e1000e` is Intel's, which every system
 * knows. Both are PCI Express, as all slots of our domains are.
 *
 * @since 0.6.0 @category models
 */
export const NicModel = Schema.Literal("virtio", "e1000e")
/** @since 0.6.0 @category models */
export type NicModel = typeof NicModel.Type

/** `down`: as with its cable unplugged. @since 0.6.0 @category models */
export const LinkState = Schema.Literal("up", "down")
/** @since 0.6.0 @category models */
export type LinkState = typeof LinkState.Type

/** @since 0.6.0 @category models */
export const NicState = Schema.Literal("attaching", "attached", "detaching")
/** @since 0.6.0 @category models */
export type NicState = typeof NicState.Type

/** @since 0.6.0 @category models */
export const Nic = Schema.Struct({
  id: NicId,
  /** for its whole life, and of no other VM's */
  mac: MacAddress,
  /** null: the default network of whatever host the VM is on, and no NIC where that has none */
  network: Schema.NullOr(NetworkName),
  /** null: the network itself, without a tag */
  vlan: Schema.NullOr(Vlan),
  model: NicModel,
  link: LinkState,
  state: NicState,
  /** it was to be removed, which the guest has not obeyed yet */
  releaseAsked: Schema.optionalWith(Schema.Boolean, { default: () => false })
})
/** @since 0.6.0 @category models */
export type Nic = typeof Nic.Type

/** What is asked of a new NIC; what is absent is decided for it. @since 0.6.0 @category models */
export interface NewNic {
  readonly network?: string | null
  readonly vlan?: number | null
  /** kept in lower case, however it is written */
  readonly mac?: string
  readonly model?: NicModel
}

/** How many NICs a VM can have: each takes a PCI Express port of its own. @since 0.6.0 @category constants */
export const nicSlots = 8

/** The NIC that a VM has when nothing else is said: on the default network. @since 0.6.0 @category constructors */
export const usual = (mac: string, id = 1): Nic => ({
  id: NicId.make(id),
  mac,
  network: null,
  vlan: null,
  model: "virtio",
  link: "up",
  state: "attached",
  releaseAsked: false
})

/** The alias of its device, of the user's own in libvirt's sense: device events carry it. @since 0.6.0 @category getters */
export const aliasOf = (nic: Pick<Nic, "id">): string => `ua-nic-${nic.id}`

const alias = /^ua-nic-([1-9][0-9]{0,6})$/
const isId = Schema.is(NicId)

/** The NIC's number; undefined: the alias is none of ours. @since 0.8.0 @category getters */
export const nicOfAlias = (name: string): NicId | undefined => {
  const number = Number(alias.exec(name)?.[1])
  return isId(number) ? number : undefined
}

/** As in `NIC 2 (52:54:00:12:34:56)`. @since 0.6.0 @category formatting */
export const show = ({ id, mac }: Pick<Nic, "id" | "mac">): string => `NIC ${id} (${mac})`
