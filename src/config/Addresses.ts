/**
 * Addresses somebody else may name, and which of them the controller may be made to connect to.
 *
 * @since 0.5.0
 */
import * as Either from "effect/Either"
import ipaddr from "ipaddr.js"
import { InvalidArgument } from "../domain/Errors.ts"

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** Those whose first `bits` are as the address has them. @since 0.5.0 @category models */
export interface AddressRange {
  readonly address: string
  readonly bits: number
}

/** Null: it is none. An IPv4 address in an IPv6 one (`::ffff:…`) is that IPv4 address, and a zone is no part of it. */
const parse = (text: string): Address | null => {
  const [bare = ""] = text.split("%")
  // without it what only begins like an address, or has fewer than four parts, would be one
  const written = ipaddr.IPv4.isValidFourPartDecimal(bare) || ipaddr.IPv6.isValid(bare)
  return written ? ipaddr.process(bare) : null
}

/** Of public addresses, those that are the cloud's own within any machine of it: Azure's agent. */
const metadata = new Set(["168.63.129.16"])

/** All that is given out to the world. */
const globalUnicast = ipaddr.IPv6.parseCIDR("2000::/3")

/**
 * Whether anybody's machine on the Internet may have it: not this machine, no network of one's own, no link, no group, nobody's metadata, no
 * translation of another address, nothing reserved.
 *
 * @since 0.5.0 @category predicates
 */
export const isPublic = (text: string): boolean => {
  const address = parse(text)
  if (address === null || address.range() !== "unicast") return false
  return address instanceof ipaddr.IPv6 ? address.match(globalUnicast) : !metadata.has(address.toString())
}

/** Whether it is this machine. @since 0.5.0 @category predicates */
export const isLoopback = (text: string): boolean => parse(text)?.range() === "loopback"

const expected = "addresses or ranges of them with commas between them, as in 127.0.0.1,10.1.0.0/16,fd00::/8"

const parseRange = (text: string): AddressRange | null => {
  const [given = "", bits, ...more] = text.split("/")
  const address = given.includes("%") ? null : parse(given)
  if (address === null || more.length > 0) return null
  const most = address.kind() === "ipv4" ? 32 : 128
  // the bits of an IPv4 address that is written as an IPv6 one would be of the latter
  if (bits !== undefined && (!/^[0-9]{1,3}$/.test(bits) || Number(bits) > most || !sameKind(given, address)))
    return null
  return { address: address.toString(), bits: bits === undefined ? most : Number(bits) }
}

const sameKind = (given: string, address: Address): boolean => given.includes(":") === (address.kind() === "ipv6")

/** Single addresses and ranges, with commas between them. @since 0.5.0 @category parsing */
export const parseRanges =
  (field: string) =>
  (text: string): Either.Either<ReadonlyArray<AddressRange>, InvalidArgument> => {
    const ranges = text.split(",").map(parseRange)
    const known = ranges.filter((range) => range !== null)
    return known.length === ranges.length
      ? Either.right(known)
      : Either.left(new InvalidArgument({ field, problem: `is ${JSON.stringify(text.slice(0, 80))}`, expected }))
  }

/** @since 0.5.0 @category predicates */
export const isWithin = (ranges: ReadonlyArray<AddressRange>, text: string): boolean => {
  const address = parse(text)
  return (
    address !== null &&
    ranges.some((range) => {
      const first = ipaddr.parse(range.address)
      return first.kind() === address.kind() && address.match(first, range.bits)
    })
  )
}
