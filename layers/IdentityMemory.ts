/**
 * Users, tokens and sessions in memory, and who somebody is by them: every request asks for it.
 *
 * @since 0.12.0
 */
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { createHash, timingSafeEqual } from "node:crypto"
import { lesser, type Principal, type Role, type TokenId, type UserName } from "../src/domain/Identity.ts"
import type * as Identities from "./sql/Identities.ts"

const minute = 60_000

/** To the minute: once in a minute a use is something new. @since 0.12.0 @category conversions */
export const toTheMinute = (now: number): number => now - (now % minute)

/** SHA-256. @since 0.12.0 @category conversions */
export const digest = (secret: Redacted.Redacted): Buffer =>
  createHash("sha256").update(Redacted.value(secret)).digest()

/** What is found by the hash of a secret. In constant time: that there is a hash that begins alike tells nothing. */
class Secrets<A extends { readonly hash: string }> {
  private readonly known = new Map<string, { readonly hash: Buffer; readonly value: A }>()

  set(value: A): void {
    const hash = Buffer.from(value.hash, "hex")
    this.known.set(hash.toString("latin1"), { hash, value })
  }
  find(secret: Redacted.Redacted): A | undefined {
    const hash = digest(secret)
    const found = this.known.get(hash.toString("latin1"))
    return found !== undefined && timingSafeEqual(found.hash, hash) ? found.value : undefined
  }
  /** Takes out those that are meant. */
  remove(meant: (value: A) => boolean): void {
    for (const [key, { value }] of this.known) if (meant(value)) this.known.delete(key)
  }
  values(): ReadonlyArray<A> {
    return Array.from(this.known.values(), ({ value }) => value)
  }
}

/** When each was last used, and which of that is not stored yet. */
class Uses<Key> {
  private readonly last = new Map<Key, number>()
  private unsaved = new Set<Key>()

  note(key: Key, now: number): void {
    const at = toTheMinute(now)
    if (this.last.get(key) === at) return
    this.last.set(key, at)
    this.unsaved.add(key)
  }
  get(key: Key): number | null {
    return this.last.get(key) ?? null
  }
  load(key: Key, at: number): void {
    this.last.set(key, at)
  }
  forget(key: Key): void {
    this.last.delete(key)
    this.unsaved.delete(key)
  }
  /** Those that are not stored yet; they count as stored from now on. */
  take(): ReadonlyArray<readonly [Key, number]> {
    const taken = [...this.unsaved].flatMap((key) => {
      const at = this.last.get(key)
      return at === undefined ? [] : [[key, at] as const]
    })
    this.unsaved = new Set()
    return taken
  }
  /** They were not stored after all. */
  giveBack(taken: ReadonlyArray<readonly [Key, number]>): void {
    for (const [key] of taken) if (this.last.has(key)) this.unsaved.add(key)
  }
}

/** @since 0.12.0 @category conversions */
export const principal = (
  user: UserName,
  role: Role,
  via: Principal["via"],
  token: { readonly id: TokenId; readonly name: string } | null
): Principal => ({
  user,
  role,
  via,
  tokenId: token?.id ?? null,
  ...(token === null ? {} : { tokenName: token.name })
})

/** In step with what is committed, as far as it is told: nothing, in the beginning. @since 0.12.0 @category constructors */
export const make = () => {
  const users = new Map<UserName, Identities.UserRow>()
  const tokens = new Secrets<Identities.TokenRow>()
  const sessions = new Secrets<Identities.SessionRow>()
  const tokenUses = new Uses<TokenId>()
  const sessionUses = new Uses<string>()
  /** what `anybody` looks at: users with a password, and when the last token expires (0: there is none) */
  let withPassword = 0
  let lastExpiry = 0

  const count = (): void => {
    withPassword = 0
    for (const { passwordHash } of users.values()) if (passwordHash !== null) withPassword++
    lastExpiry = tokens
      .values()
      .reduce((latest, { expiresAt }) => Math.max(latest, expiresAt ?? Number.MAX_SAFE_INTEGER), 0)
  }

  const keepUser = (row: Identities.UserRow): void => {
    users.set(row.name, row)
    count()
  }
  const setToken = (row: Identities.TokenRow): void => {
    tokens.set(row)
    if (row.lastUsedAt !== null) tokenUses.load(row.id, row.lastUsedAt)
  }
  const keepToken = (row: Identities.TokenRow): void => {
    setToken(row)
    count()
  }
  const keepSession = (row: Identities.SessionRow): void => {
    sessions.set(row)
    sessionUses.load(row.hash, row.lastUsedAt)
  }
  const dropTokens = (meant: (token: Identities.TokenRow) => boolean): void => {
    tokens.remove((token) => {
      const gone = meant(token)
      if (gone) tokenUses.forget(token.id)
      return gone
    })
    count()
  }
  const dropSessions = (meant: (session: Identities.SessionRow) => boolean): void =>
    sessions.remove((session) => {
      const gone = meant(session)
      if (gone) sessionUses.forget(session.hash)
      return gone
    })

  return {
    users,
    tokens,
    sessions,
    tokenUses,
    sessionUses,
    keepUser,
    keepToken,
    keepSession,
    dropTokens,
    dropSessions,
    /** With all that are theirs. */
    dropUser: (name: UserName): void => {
      users.delete(name)
      dropTokens(({ owner }) => owner === name)
      dropSessions(({ user }) => user === name)
    },
    load: (all: {
      readonly users: ReadonlyArray<Identities.UserRow>
      readonly tokens: ReadonlyArray<Identities.TokenRow>
      readonly sessions: ReadonlyArray<Identities.SessionRow>
    }): void => {
      for (const row of all.users) users.set(row.name, row)
      for (const row of all.tokens) setToken(row)
      for (const row of all.sessions) keepSession(row)
      count()
    },
    /** Whether there is somebody who can sign in. */
    anybody: (now: number): boolean => withPassword > 0 || lastExpiry > now,
    byToken: (secret: Redacted.Redacted, now: number): Option.Option<Principal> => {
      const token = tokens.find(secret)
      if (token === undefined || (token.expiresAt !== null && token.expiresAt <= now)) return Option.none()
      const owner = users.get(token.owner)
      if (owner === undefined || owner.disabled) return Option.none()
      tokenUses.note(token.id, now)
      return Option.some(principal(owner.name, lesser(token.role, owner.role), "token", token))
    },

    bySession: (secret: Redacted.Redacted, now: number): Option.Option<Principal> => {
      const session = sessions.find(secret)
      if (session === undefined || session.expiresAt <= now) return Option.none()
      const user = users.get(session.user)
      if (user === undefined || user.disabled) return Option.none()
      sessionUses.note(session.hash, now)
      return Option.some(principal(user.name, user.role, "session", null))
    }
  }
}
