/**
 * What a guest says of itself, by its agent. All of it is the guest's own word: shortened, and without control characters.
 *
 * @since 0.7.0
 */

/** @since 0.7.0 @category models */
export interface GuestOs {
  /** as in `debian`, of os-release */
  readonly id: string | null
  /** for people, as in `Debian GNU/Linux 12 (bookworm)` */
  readonly name: string | null
  readonly version: string | null
  /** its kernel's release, as in `6.1.0-18-cloud-amd64` */
  readonly kernel: string | null
  /** as in `x86_64` */
  readonly machine: string | null
}

/** Somebody who is logged in. @since 0.7.0 @category models */
export interface GuestUser {
  readonly name: string
  /** milliseconds since 1970; null: it is not said */
  readonly since: number | null
}

/** A file system that is mounted. Bytes; null: it is not said. @since 0.7.0 @category models */
export interface GuestFilesystem {
  readonly mountpoint: string
  /** as the guest names it, as in `vda2` */
  readonly device: string
  /** as in `ext4` */
  readonly type: string
  readonly size: number | null
  readonly used: number | null
}

/** @since 0.7.0 @category models */
export interface GuestInterface {
  /** as the guest names it */
  readonly name: string
  /** lower case; null: it has none, or none that is one */
  readonly mac: string | null
  readonly addresses: ReadonlyArray<{ readonly address: string; readonly prefix: number }>
}

/** Null, or empty: it is not said. @since 0.7.0 @category models */
export interface GuestFacts {
  readonly hostname: string | null
  readonly os: GuestOs | null
  /** `offset` in seconds, east of UTC */
  readonly timezone: { readonly name: string | null; readonly offset: number } | null
  readonly users: ReadonlyArray<GuestUser>
  readonly filesystems: ReadonlyArray<GuestFilesystem>
  readonly interfaces: ReadonlyArray<GuestInterface>
}

/** What an agent was asked; `Silent` says why it told nothing, in one clause, and what to do about it. @since 0.7.0 @category models */
export type GuestReading =
  { readonly _tag: "Told"; readonly facts: GuestFacts } | { readonly _tag: "Silent"; readonly reason: string }
