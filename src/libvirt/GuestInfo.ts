/**
 * What DOMAIN_GET_GUEST_INFO tells. libvirt passes on what the agent in the guest says, and who has the guest has its agent: nothing of it is believed to be
 * of any length, any number, or any kind.
 *
 * @since 0.7.0
 */
import { isIP } from "node:net"
import type { GuestFacts, GuestFilesystem, GuestInterface, GuestUser } from "../domain/Guest.ts"
import type { ParameterValue, TypedParameter } from "./Structs.ts"

/** Of each kind as many are read. */
const most = { users: 64, filesystems: 128, interfaces: 64, addresses: 32 } as const

/** Characters of a text. */
const longest = 255

/** Control characters, and those that change in which direction what follows is read. */
// eslint-disable-next-line no-control-regex
const unseen = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

/** Undefined: nothing that can be shown. */
const cleaned = (text: string): string | undefined => {
  // what is cut off in the middle of a character would be half of one
  const short = Array.from(text.slice(0, 4 * longest).replaceAll(unseen, ""))
    .slice(0, longest)
    .join("")
    .trim()
  return short === "" ? undefined : short
}

const reader = (parameters: ReadonlyArray<TypedParameter>) => {
  const values = new Map<string, ParameterValue>()
  for (const { field, value } of parameters) values.set(field, value)
  const text = (field: string): string | null => {
    const value = values.get(field)
    return value?.type === "string" ? (cleaned(value.value) ?? null) : null
  }
  /** A whole number from `least` on, as far as they are exact. */
  const number = (field: string, least = 0): number | null => {
    const value = values.get(field)
    if (value === undefined || value.type === "string" || value.type === "boolean") return null
    const plain = Number(value.value)
    return Number.isSafeInteger(plain) && plain >= least ? plain : null
  }
  const each = <A>(kind: string, limit: number, read: (prefix: string) => A | undefined): ReadonlyArray<A> =>
    Array.from({ length: Math.min(number(`${kind}.count`) ?? 0, limit) }, (_, index) => index).flatMap(
      (index) => read(`${kind}.${index}.`) ?? []
    )
  return { text, number, each }
}

const macOf = (text: string | null): string | null =>
  text !== null && /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(text) ? text.toLowerCase() : null

/** As much of it as is what it has to be. @since 0.7.0 @category conversions */
export const read = (parameters: ReadonlyArray<TypedParameter>): GuestFacts => {
  const { each, number, text } = reader(parameters)
  const os = {
    id: text("os.id"),
    name: text("os.pretty-name") ?? text("os.name"),
    version: text("os.version-id") ?? text("os.version"),
    kernel: text("os.kernel-release"),
    machine: text("os.machine")
  }
  const offset = number("timezone.offset", -86_400)
  return {
    hostname: text("hostname"),
    os: Object.values(os).every((value) => value === null) ? null : os,
    timezone: offset === null || offset > 86_400 ? null : { name: text("timezone.name"), offset },
    users: each("user", most.users, (prefix): GuestUser | undefined => {
      const name = text(`${prefix}name`)
      return name === null ? undefined : { name, since: number(`${prefix}login-time`) }
    }),
    filesystems: each("fs", most.filesystems, (prefix): GuestFilesystem | undefined => {
      const mountpoint = text(`${prefix}mountpoint`)
      if (mountpoint === null) return undefined
      return {
        mountpoint,
        device: text(`${prefix}name`) ?? "",
        type: text(`${prefix}fstype`) ?? "",
        size: number(`${prefix}total-bytes`),
        used: number(`${prefix}used-bytes`)
      }
    }),
    interfaces: each("if", most.interfaces, (prefix): GuestInterface | undefined => {
      const name = text(`${prefix}name`)
      if (name === null) return undefined
      return {
        name,
        mac: macOf(text(`${prefix}hwaddr`)),
        addresses: each(`${prefix}addr`, most.addresses, (at) => {
          const address = text(`${at}addr`)
          const family = address === null ? 0 : isIP(address)
          const bits = number(`${at}prefix`)
          return address === null || family === 0 || bits === null || bits > (family === 4 ? 32 : 128)
            ? undefined
            : { address, prefix: bits }
        })
      }
    })
  }
}
