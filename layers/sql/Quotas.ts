/**
 * How much users have, and may have. It is counted from what is there, in the transaction that would make more of it: nothing is kept that could differ.
 *
 * @since 0.9.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { QuotaExceeded } from "../../src/domain/Errors.ts"
import { UserName } from "../../src/domain/Identity.ts"
import type { OperationId } from "../../src/domain/Ids.ts"
import * as Quota from "../../src/domain/Quota.ts"
import type { Database } from "../Database.ts"
import * as Rows from "./Rows.ts"

const quotaRows = Rows.table("users", "name", Schema.Struct({ quota: Rows.QuotaJson }))

const Count = Schema.Int.pipe(Schema.between(0, Number.MAX_SAFE_INTEGER))
const useRows = Rows.tableOf(
  "(use)",
  "owner",
  Schema.Struct({ owner: UserName, vms: Count, cpu: Count, ram: Count, volumes: Count, volumeSize: Count }),
  ({ owner, ...use }) => ({ owner, use })
)

/** Of everybody who has something, or of one. */
const select = (
  ofOne: boolean
) => `select owner, sum(vms) as vms, sum(cpu) as cpu, sum(ram) as ram, sum(volumes) as volumes,
    sum(size) as volumeSize from (
    select owner, count(*) as vms, sum(cpu) as cpu, sum(ram) as ram, 0 as volumes, 0 as size
      from reservations where owner is not null ${ofOne ? "and owner = ?" : ""} group by owner
    union all
    select owner, 0, 0, 0, count(*), sum(size) from volumes
      where owner is not null and state not in ('purged', 'failed') ${ofOne ? "and owner = ?" : ""} group by owner
  ) group by owner`

/** @since 0.9.0 @category models */
export interface Quotas {
  /** What the user has. */
  readonly used: (user: UserName) => Effect.Effect<Quota.Use, SqlError>
  /** What each user has who has something. */
  readonly all: Effect.Effect<ReadonlyMap<UserName, Quota.Use>, SqlError>
  /**
   * Fails when the user may not have so much more. `planned`: what is not there, and counts as if it were. Nobody in particular, and whoever is no user,
   * may have as much as there is.
   */
  readonly check: (
    user: UserName | null,
    asked: Quota.Use,
    planned?: Quota.Use
  ) => Effect.Effect<void, QuotaExceeded | SqlError>
  /** The VM of a creation that another one takes the place of counts no more: it is being undone. */
  readonly disown: (creation: OperationId) => Effect.Effect<void, SqlError>
}

/** Run in the caller's transaction. @since 0.9.0 @category constructors */
export const make = (statement: Database["Type"]["statement"]): Quotas => {
  const selectQuota = statement("select name, quota from users where name = ? and quota is not null")
  const selectUse = statement(select(true))
  const selectUses = statement(select(false))
  const updateOwner = statement(
    "update reservations set owner = null where vm_id = (select vm_id from operations where id = ?)"
  )

  const used = (user: UserName) =>
    Effect.flatMap(selectUse(user, user), ([row]) =>
      row === undefined ? Effect.succeed(Quota.nothing) : Effect.map(useRows.one(row), ({ use }) => use)
    )

  return {
    used,
    all: Effect.map(
      Effect.flatMap(selectUses(), useRows.all),
      (rows) => new Map(rows.map(({ owner, use }) => [owner, use]))
    ),
    check: Effect.fnUntraced(function* (user, asked, planned = Quota.nothing) {
      if (user === null) return
      const [row] = yield* selectQuota(user)
      if (row === undefined) return
      const { quota } = yield* quotaRows.one(row)
      const short = Quota.shortages(quota, Quota.plus(yield* used(user), planned), asked)
      if (short.length > 0) return yield* new QuotaExceeded({ user, short })
    }),
    disown: (creation) => Effect.asVoid(updateOwner(creation))
  }
}
