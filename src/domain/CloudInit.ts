/**
 * What a VM's guest is told at its first boot by cloud-init, or by whatever else in its image understands a NoCloud seed.
 *
 * @since 0.6.0
 */
import * as Schema from "effect/Schema"

/** Bytes of UTF-8 that user data, or a network configuration, may have at most. @since 0.6.0 @category constants */
export const mostBytes = 64 * 1024

/** How many keys a VM can have at most. @since 0.6.0 @category constants */
export const mostKeys = 64

/** Characters that a key's line may have at most. @since 0.6.0 @category constants */
export const longestKey = 8192

/**
 * All of it as it was last asked for. User data is likely to carry secrets: it is shown to who asks for it, and to nobody else.
 *
 * @since 0.6.0 @category models
 */
export const CloudInit = Schema.Struct({
  /** `#cloud-config` YAML, a script, or MIME; null: none */
  userData: Schema.NullOr(Schema.Redacted(Schema.String)),
  /** lines as in `authorized_keys`, for the image's own user */
  sshKeys: Schema.Array(Schema.String),
  /** null: made of the VM's name */
  hostname: Schema.NullOr(Schema.String),
  /** cloud-init's network-config, version 1 or 2, as YAML; null: cloud-init's own, which is DHCP */
  networkConfig: Schema.NullOr(Schema.String),
  /** from 1 on, one more with every change */
  revision: Schema.Int,
  /** the revision that was last to be applied as a new instance: then cloud-init does all of it again */
  instance: Schema.Int
})
/** @since 0.6.0 @category models */
export type CloudInit = typeof CloudInit.Type

/** What a VM has that is created without a word of it. @since 0.6.0 @category constants */
export const usual: CloudInit = {
  userData: null,
  sshKeys: [],
  hostname: null,
  networkConfig: null,
  revision: 1,
  instance: 1
}

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i

/** RFC 1123: labels of letters, digits and hyphens, 253 characters in all. @since 0.6.0 @category predicates */
export const isHostname = (text: string): boolean =>
  text.length <= 253 && text.split(".").every((part) => label.test(part)) && !/^[0-9.]*$/.test(text)

/**
 * The hostname of a VM that was given none: its name, if that is one, and else what is left of it when everything that a hostname cannot have
 * has become a hyphen; `vm-<vmid>` when nothing is.
 *
 * @since 0.6.0 @category getters
 */
export const hostnameOf = (vm: { readonly id: number; readonly name: string }): string => {
  const name = vm.name.toLowerCase()
  if (isHostname(name)) return name
  const legal = name
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 63)
    .replace(/^-+|-+$/g, "")
  return isHostname(legal) ? legal : `vm-${vm.id}`
}
