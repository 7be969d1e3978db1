/**
 * Networks: what hosts have for the NICs of VMs, by names that mean the same on all of them.
 *
 * @since 0.6.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

/** @since 0.7.0 @category constants */
export const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,62}$/

/** @since 0.6.0 @category models */
export const NetworkName = Schema.String.pipe(Schema.pattern(namePattern)).annotations({
  identifier: "NetworkName"
})

/** An IEEE 802.1Q VLAN. @since 0.6.0 @category models */
export const Vlan = Schema.Int.pipe(Schema.between(1, 4094)).annotations({ identifier: "Vlan" })

/** What stands for the VLAN's number in the name of a bridge. @since 0.6.0 @category constants */
export const vlanMark = "{vlan}"

/**
 * Where a host's network is: a bridge of the host's own, or a network of its libvirt. With `{vlan}` in a bridge's name there is a bridge for
 * each VLAN.
 *
 * @since 0.6.0 @category models
 */
export const NetworkSource = Schema.Struct({
  kind: Schema.Literal("bridge", "libvirt"),
  name: Schema.String
}).pipe(
  Schema.filter(({ kind, name }) => {
    if (kind === "libvirt") return Schema.is(NetworkName)(name)
    const [before = "", ...after] = name.split(vlanMark)
    // what Linux takes for the name of an interface, with the longest VLAN in it
    const whole = [before, ...after].join("4094")
    return after.length <= 1 && /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/.test(whole)
  })
)
/** @since 0.6.0 @category models */
export type NetworkSource = typeof NetworkSource.Type

/**
 * A network that a host has, or should have.
 *
 * @since 0.6.0 @category models
 */
export const HostNetwork = Schema.Struct({
  name: NetworkName,
  source: NetworkSource,
  /** those it has bridges for; null: it is one network, without tags */
  vlans: Schema.NullOr(Schema.Array(Vlan)),
  /** why it cannot be used at the moment, one clause; null: it can */
  problem: Schema.NullOr(Schema.String)
})
/** @since 0.6.0 @category models */
export type HostNetwork = typeof HostNetwork.Type

/** What a NIC asks for; `network` null: the host's default. @since 0.6.0 @category models */
export interface Wish {
  readonly network: string | null
  readonly vlan: number | null
}

/** What a host says of its networks. @since 0.6.0 @category models */
export interface Offer {
  /** the default's name; null: it has none */
  readonly network: string | null
  readonly networks?: ReadonlyArray<HostNetwork> | undefined
}

/** All networks of a host; one that was last looked at by an earlier version has told of its default only. @since 0.6.0 @category getters */
export const offered = ({ network, networks }: Offer): ReadonlyArray<HostNetwork> =>
  networks ??
  (network === null ? [] : [{ name: network, source: { kind: "libvirt", name: network }, vlans: null, problem: null }])

/**
 * What a NIC is plugged into on a host. Right null: nothing, since it asks for the default and there is none. Left: why it cannot be, one clause
 * about the host.
 *
 * @since 0.6.0 @category getters
 */
export const connect = (offer: Offer, { network, vlan }: Wish): Either.Either<NetworkSource | null, string> => {
  const name = network ?? offer.network
  if (name === null) return vlan === null ? Either.right(null) : Either.left("it has no default network")
  const found = offered(offer).find((one) => one.name === name)
  if (found === undefined) return Either.left(`it has no network ${name}`)
  const { problem, source, vlans } = found
  if (problem !== null) return Either.left(`its network ${name} cannot be used: ${problem}`)
  if (vlan === null) {
    return vlans === null
      ? Either.right(source)
      : Either.left(`its network ${name} is one of VLANs, and needs the number of one (it has ${list(vlans)})`)
  }
  if (vlans === null) {
    return Either.left(
      `its network ${name} takes no VLAN tags: only one with a bridge for each VLAN does, as network.${name}=bridge:br${vlanMark} says it`
    )
  }
  return vlans.includes(vlan)
    ? Either.right({ ...source, name: source.name.replace(vlanMark, String(vlan)) })
    : Either.left(`its network ${name} has no bridge ${source.name.replace(vlanMark, String(vlan))} for VLAN ${vlan}`)
}

const list = (vlans: ReadonlyArray<number>): string => (vlans.length === 0 ? "none" : vlans.join(", "))

/** As the machine file has it: `bridge:br0`. @since 0.6.0 @category formatting */
export const formatSource = ({ kind, name }: NetworkSource): string => `${kind}:${name}`

const isSource = Schema.is(NetworkSource)

/** From `bridge:br0` or `libvirt:default`; undefined: it is neither. @since 0.6.0 @category parsing */
export const parseSource = (text: string): NetworkSource | undefined => {
  const colon = text.indexOf(":")
  const source = { kind: text.slice(0, colon), name: text.slice(colon + 1) }
  return isSource(source) ? source : undefined
}

/** As in `lan`, or `lan, VLAN 12`. @since 0.6.0 @category formatting */
export const showWish = ({ network, vlan }: Wish): string =>
  `${network ?? "the default network"}${vlan === null ? "" : `, VLAN ${vlan}`}`
