/**
 * Users, tokens, sessions and the audit log as they are stored. All of it runs in the caller's transaction.
 *
 * @since 0.4.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { AuditEntry, Role, Token, TokenId, type User, UserName } from "../../src/domain/Identity.ts"
import { isUnlimited, unlimited } from "../../src/domain/Quota.ts"
import * as Rows from "./Rows.ts"

/** @since 0.4.0 @category rows */
export const UserRow = Schema.Struct({
  name: UserName,
  role: Role,
  passwordHash: Schema.propertySignature(Schema.NullOr(Schema.String)).pipe(Schema.fromKey("password_hash")),
  disabled: Rows.Flag,
  /** null: as much as there is */
  quota: Schema.NullOr(Rows.QuotaJson),
  createdAt: Schema.propertySignature(Schema.Int).pipe(Schema.fromKey("created_at"))
})
/** @since 0.4.0 @category rows */
export type UserRow = typeof UserRow.Type

/** @since 0.4.0 @category rows */
export const TokenRow = Schema.Struct({
  id: TokenId,
  hash: Schema.String,
  name: Schema.String,
  owner: UserName,
  role: Role,
  createdAt: Schema.propertySignature(Schema.Int).pipe(Schema.fromKey("created_at")),
  expiresAt: Schema.propertySignature(Schema.NullOr(Schema.Int)).pipe(Schema.fromKey("expires_at")),
  lastUsedAt: Schema.propertySignature(Schema.NullOr(Schema.Int)).pipe(Schema.fromKey("last_used_at"))
})
/** @since 0.4.0 @category rows */
export type TokenRow = typeof TokenRow.Type

/** @since 0.4.0 @category rows */
export const SessionRow = Schema.Struct({
  hash: Schema.String,
  user: UserName,
  expiresAt: Schema.propertySignature(Schema.Int).pipe(Schema.fromKey("expires_at")),
  lastUsedAt: Schema.propertySignature(Schema.Int).pipe(Schema.fromKey("last_used_at"))
})
/** @since 0.4.0 @category rows */
export type SessionRow = typeof SessionRow.Type

const AuditRow = Schema.Struct({
  id: Schema.Int,
  time: Schema.Int,
  user: AuditEntry.fields.user,
  via: AuditEntry.fields.via,
  tokenId: Schema.propertySignature(AuditEntry.fields.tokenId).pipe(Schema.fromKey("token_id")),
  from: Schema.propertySignature(Schema.String).pipe(Schema.fromKey("address")),
  method: Schema.String,
  path: Schema.String,
  status: Schema.Int,
  failed: Schema.NullOr(Schema.String)
})

const userRows = Rows.table("users", "name", UserRow)
const tokenRows = Rows.table("tokens", "id", TokenRow)
const sessionRows = Rows.table("sessions", "user", SessionRow)
const auditRows = Rows.table("audit", "id", AuditRow)

const columnsOf = (sql: SqlClient.SqlClient) => sql.literal("name, role, password_hash, disabled, quota, created_at")

const quotaColumn = ({ quota }: UserRow): string | null => (quota === null ? null : Rows.encodeQuota(quota))

/** @since 0.4.0 @category statements */
export const users = (sql: SqlClient.SqlClient) =>
  Effect.flatMap(sql<Rows.Row>`select ${columnsOf(sql)} from users`, userRows.all)

/** @since 0.4.0 @category statements */
export const tokens = (sql: SqlClient.SqlClient) => Effect.flatMap(sql<Rows.Row>`select * from tokens`, tokenRows.all)

/** @since 0.4.0 @category statements */
export const sessions = (sql: SqlClient.SqlClient) =>
  Effect.flatMap(sql<Rows.Row>`select hash, user, expires_at, last_used_at from sessions`, sessionRows.all)

/** Null: the name is taken. @since 0.4.0 @category statements */
export const insertUser = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, user: UserRow) {
  const [row] = yield* sql<Rows.Row>`insert into users (name, role, password_hash, quota, created_at)
    values (${user.name}, ${user.role}, ${user.passwordHash}, ${quotaColumn(user)}, ${user.createdAt})
    on conflict (name) do nothing returning ${columnsOf(sql)}`
  return row === undefined ? null : yield* userRows.one(row)
})

/** Null: there is no such user. @since 0.4.0 @category statements */
export const user = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, name: UserName) {
  const [row] = yield* sql<Rows.Row>`select ${columnsOf(sql)} from users where name = ${name}`
  return row === undefined ? null : yield* userRows.one(row)
})

/** Whether somebody else than this user is an admin, and not disabled. @since 0.4.0 @category statements */
export const otherAdmin = (sql: SqlClient.SqlClient, name: UserName) =>
  Effect.map(
    sql<Rows.Row>`select 1 from users where role = 'admin' and disabled = 0 and name <> ${name} limit 1`,
    (rows) => rows.length > 0
  )

/** Whether somebody has what lets them sign in, and no admin has. @since 0.9.0 @category statements */
export const isLockedOut = (sql: SqlClient.SqlClient, now: number) => {
  const good = sql`(t.expires_at is null or t.expires_at > ${now})`
  return Effect.map(
    sql<Rows.Row>`select count(*) as anybody, coalesce(sum(role = 'admin' and (
        password_hash is not null or exists (select 1 from tokens t where t.owner = u.name and t.role = 'admin' and ${good})
      )), 0) as admins
      from users u where u.disabled = 0
        and (password_hash is not null or exists (select 1 from tokens t where t.owner = u.name and ${good}))`,
    ([row]) => Number(row?.["anybody"] ?? 0) > 0 && Number(row?.["admins"] ?? 0) === 0
  )
}

/** @since 0.4.0 @category statements */
export const updateUser = (sql: SqlClient.SqlClient, user: UserRow) => {
  const { disabled, name, passwordHash, role } = user
  return sql`update users set role = ${role}, password_hash = ${passwordHash}, disabled = ${disabled ? 1 : 0},
    quota = ${quotaColumn(user)} where name = ${name}`
}

/** With tokens and sessions. @since 0.4.0 @category statements */
export const deleteUser = (sql: SqlClient.SqlClient, name: UserName) => sql`delete from users where name = ${name}`

/** @since 0.4.0 @category statements */
export const insertToken = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  token: Omit<TokenRow, "id" | "lastUsedAt">
) {
  const rows = yield* sql<Rows.Row>`insert into tokens (hash, name, owner, role, created_at, expires_at)
    values (${token.hash}, ${token.name}, ${token.owner}, ${token.role}, ${token.createdAt}, ${token.expiresAt})
    returning *`
  return yield* Effect.flatMap(Rows.only(rows, "a token was not stored"), tokenRows.one)
})

/** @since 0.4.0 @category statements */
export const countTokens = (sql: SqlClient.SqlClient, owner: UserName) =>
  Effect.map(sql<Rows.Row>`select count(*) as tokens from tokens where owner = ${owner}`, ([row]) =>
    Number(row?.["tokens"] ?? 0)
  )

/** Null: there is no such token. @since 0.8.0 @category statements */
export const token = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, id: TokenId) {
  const [row] = yield* sql<Rows.Row>`select * from tokens where id = ${id}`
  return row === undefined ? null : yield* tokenRows.one(row)
})

/** @since 0.4.0 @category statements */
export const deleteToken = (sql: SqlClient.SqlClient, id: TokenId) => sql`delete from tokens where id = ${id}`

/**
 * Only if the password is still the one that was looked at, and the user not disabled: else null. Gives the hashes of those that were dropped for it.
 *
 * @since 0.4.0 @category statements
 */
export const insertSession = (
  sql: SqlClient.SqlClient,
  session: SessionRow,
  passwordHash: string,
  /** how many of a user's are kept, the latest ones */
  most: number
) =>
  Effect.gen(function* () {
    const rows = yield* sql<Rows.Row>`insert into sessions (hash, user, created_at, expires_at, last_used_at)
      select ${session.hash}, name, ${session.lastUsedAt}, ${session.expiresAt}, ${session.lastUsedAt}
      from users where name = ${session.user} and password_hash = ${passwordHash} and disabled = 0 returning hash`
    if (rows.length === 0) return null
    const dropped = yield* sql<Rows.Row>`delete from sessions where user = ${session.user} and hash not in
      (select hash from sessions where user = ${session.user} order by expires_at desc, hash = ${session.hash} desc limit ${most})
      returning hash`
    return dropped.map(({ hash }) => String(hash))
  })

/** @since 0.4.0 @category statements */
export const deleteSession = (sql: SqlClient.SqlClient, hash: string) => sql`delete from sessions where hash = ${hash}`

/** @since 0.4.0 @category statements */
export const deleteSessionsOf = (sql: SqlClient.SqlClient, name: UserName) =>
  sql`delete from sessions where user = ${name}`

/** @since 0.4.0 @category statements */
export const deleteExpiredSessions = (sql: SqlClient.SqlClient, now: number) =>
  sql`delete from sessions where expires_at <= ${now}`

/** @since 0.4.0 @category statements */
export const tokenUsed = (sql: SqlClient.SqlClient, id: TokenId, at: number) =>
  sql`update tokens set last_used_at = ${at} where id = ${id}`

/** @since 0.4.0 @category statements */
export const sessionUsed = (sql: SqlClient.SqlClient, hash: string, at: number) =>
  sql`update sessions set last_used_at = ${at} where hash = ${hash}`

/**
 * And drops what is older than the newest `keep` of its kind: of whoever had signed in, or of strangers, who could else push out what others did by
 * asking with wrong passwords.
 *
 * @since 0.4.0 @category statements
 */
export const insertAudit = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  entry: Omit<AuditEntry, "id">,
  keep: number
) {
  const { failed, from, method, path, status, time, tokenId, user, via } = entry
  const alike = sql`(via is null) = ${via === null ? 1 : 0}`
  const rows = yield* sql<Rows.Row>`insert into audit
    (time, user, via, token_id, address, method, path, status, failed, nth)
    values (${time}, ${user}, ${via}, ${tokenId}, ${from}, ${method}, ${path}, ${status}, ${failed},
      1 + coalesce((select max(nth) from audit where ${alike}), 0)) returning nth`
  const { nth } = yield* Rows.only(rows, "a line of the audit log was not stored")
  // a look at one end of the index
  yield* sql`delete from audit where ${alike} and nth <= ${Number(nth) - keep}`
})

/** The newest first. @since 0.4.0 @category statements */
export const audited = (sql: SqlClient.SqlClient, before: number | null, limit: number) =>
  Effect.map(
    Effect.flatMap(
      sql<Rows.Row>`select * from audit where id < ${before ?? Number.MAX_SAFE_INTEGER} order by id desc limit ${limit}`,
      auditRows.all
    ),
    (all) => all.map((entry) => new AuditEntry(entry))
  )

/** @since 0.4.0 @category conversions */
export const tokenOf = (row: TokenRow, lastUsedAt: number | null): Token => {
  const { createdAt, expiresAt, id, name, owner, role } = row
  return new Token({ id, name, owner, role, createdAt, expiresAt, lastUsedAt })
}

/** @since 0.4.0 @category conversions */
export const userFields = ({
  createdAt,
  disabled,
  name,
  passwordHash,
  quota,
  role
}: UserRow): ConstructorParameters<typeof User>[0] => ({
  name,
  role,
  hasPassword: passwordHash !== null,
  disabled,
  createdAt,
  quota: quota ?? unlimited
})

/** As it is stored: one that limits nothing is none. @since 0.9.0 @category conversions */
export const quotaOf = (quota: User["quota"]): UserRow["quota"] => (isUnlimited(quota) ? null : quota)
