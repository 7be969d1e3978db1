/**
 * Going where somebody's URL leads, and not where they may not reach themselves: the addresses of a name are judged when it is connected to, so
 * that what is checked is what is connected to, whatever the name leads to a moment later.
 *
 * @since 0.7.0
 */
import { Resolver } from "node:dns/promises"
import { isIPv6, type LookupFunction } from "node:net"
import { callbackify } from "node:util"

/** The addresses of a name. @since 0.7.0 @category models */
export type Resolve = (name: string) => Promise<ReadonlyArray<string>>

/** A name, or an address, none of whose addresses may be reached. @since 0.7.0 @category errors */
export class Forbidden extends Error {}

/** The host of a URL, without the brackets of an IPv6 address. @since 0.7.0 @category getters */
export const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, "")

/** @since 0.7.0 @category predicates */
export const isLocalName = (name: string): boolean => /(?:^|\.)localhost\.?$/i.test(name)

/** @since 0.7.0 @category constants */
export const loopback = ["127.0.0.1", "::1"]

/**
 * By DNS itself: what the operating system offers holds a thread of few for as long as a server does not answer, and with some dead names nobody
 * could sign in any more.
 *
 * @since 0.7.0 @category resolvers
 */
export const byDns: Resolve = async (name) => {
  const resolver = new Resolver({ timeout: 2000, tries: 2 })
  const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
  const addresses = found.flatMap((one) => (one.status === "fulfilled" ? one.value : []))
  const [first] = found
  if (addresses.length === 0 && first.status === "rejected") throw first.reason
  return addresses
}

/**
 * Asked at each connection: only addresses that may be reached are told. `refusal`: why none of them may be, in words.
 *
 * @since 0.7.0 @category constructors
 */
export const lookup = (
  resolve: Resolve,
  mayReach: (address: string) => boolean,
  refusal: (name: string, addresses: ReadonlyArray<string>) => string
): LookupFunction => {
  const reachable = callbackify(async (name: string) => {
    const addresses = isLocalName(name) ? loopback : await resolve(name)
    const found = addresses.filter(mayReach).map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }))
    if (found.length === 0) throw new Forbidden(refusal(name, addresses))
    return found
  })
  return (name, { all }, callback) =>
    reachable(name, (error, found = []) => {
      const [first = { address: "", family: 0 }] = found
      if (all === true) callback(error, found)
      else callback(error, first.address, first.family)
    })
}

const words: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refuses the connection",
  ECONNRESET: "has closed the connection",
  EPIPE: "has closed the connection",
  ENOTFOUND: "is a name without an address",
  ENODATA: "is a name without an address",
  EHOSTUNREACH: "cannot be reached from here",
  ENETUNREACH: "cannot be reached from here",
  ETIMEDOUT: "does not answer"
}

/** @since 0.7.0 @category getters */
export const codeOf = (error: Error): string => ("code" in error && typeof error.code === "string" ? error.code : "")

/** Of several addresses each has its own reason. */
const innermost = (error: Error): Error =>
  error instanceof AggregateError && error.errors[0] instanceof Error ? innermost(error.errors[0]) : error

/** Why nothing came of it, in words, and whether that is because it may not be. @since 0.7.0 @category formatting */
export const failure = (host: string, outer: Error): { readonly forbidden: boolean; readonly reason: string } => {
  const error = innermost(outer)
  if (error instanceof Forbidden) return { forbidden: true, reason: error.message }
  const code = codeOf(error)
  return { forbidden: false, reason: `${host} ${words[code] ?? `cannot be talked to: ${error.message || code}`}` }
}
