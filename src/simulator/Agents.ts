/**
 * Guests' agents: what those that have one say.
 *
 * @since 0.7.0
 */
import * as Either from "effect/Either"
import { isIPv6 } from "node:net"
import * as GuestInfo from "../libvirt/GuestInfo.ts"
import type { DomainInterface, TypedParameter } from "../libvirt/Structs.ts"
import type * as Xdr from "../libvirt/Xdr.ts"
import { type HostState, type SimulatedDomain, state } from "./HostState.ts"
import { code, from, refuse, type Refusal } from "./Refusal.ts"

const agents = new WeakMap<HostState, Map<string, ReadonlyArray<TypedParameter>>>()

/** The guest of that name has an agent from now on, which says this; null: it has none, as in the beginning. @since 0.7.0 @category combinators */
export const set = (host: HostState, name: string, says: ReadonlyArray<TypedParameter> | null): void => {
  const all = agents.get(host) ?? new Map<string, ReadonlyArray<TypedParameter>>()
  agents.set(host, all)
  if (says === null) all.delete(name)
  else all.set(name, says)
}

/** DOMAIN_GET_GUEST_INFO. @since 0.7.0 @category procedures */
export const info = (
  host: HostState,
  domain: SimulatedDomain
): Either.Either<ReadonlyArray<TypedParameter>, Refusal> => {
  if (domain.live === null) return Either.left(refuse(code.operationInvalid, from.domain, "domain is not running"))
  const says = agents.get(host)?.get(domain.name)
  return says === undefined || domain.live.guest.phase !== "up" || domain.state === state.paused
    ? Either.left(
        refuse(code.agentUnresponsive, from.qemu, "Guest agent is not responding: QEMU guest agent is not connected")
      )
    : Either.right(says)
}

/** What DOMAIN_INTERFACE_ADDRESSES tells of the same. @since 0.7.0 @category procedures */
export const interfaces = (
  host: HostState,
  domain: SimulatedDomain
): Either.Either<ReadonlyArray<Xdr.Type<typeof DomainInterface>>, Refusal> =>
  Either.map(info(host, domain), (says) =>
    GuestInfo.read(says).interfaces.map(({ addresses, mac, name }) => ({
      name,
      hwaddr: mac,
      addrs: addresses.map(({ address, prefix }) => ({ type: isIPv6(address) ? 1 : 0, addr: address, prefix }))
    }))
  )
