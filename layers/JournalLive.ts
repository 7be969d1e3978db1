/**
 * The journal, in the inventory's database.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Entry, Journal } from "../src/services/Journal.ts"
import type { OperationId, VmId } from "../src/domain/Ids.ts"
import { Database } from "./Database.ts"
import * as Rows from "./sql/Rows.ts"

const nobody: ReadonlySet<VmId> = new Set()

const make = Effect.gen(function* () {
  const { read, sql, statement, together, writeSimply } = yield* Database
  const columns = sql.literal(Rows.operationColumns)

  const selectSteps = statement(`select phase, name, state, tries from operation_steps
    where operation_id = ? order by ordinal`)

  const selectHistory = statement(`select phase, name, state, tries, started_at, finished_at, error from operation_steps
    where operation_id = ? order by ordinal`)

  const endStep = statement(`update operation_steps set state = ?, error = ?, finished_at = ?
    where operation_id = ? and phase = ? and name = ? returning name`)

  // what has ended stays ended; saying so once more changes nothing
  const setState = statement(`update operations
    set state = ?, error = coalesce(error, ?), finished_at = coalesce(finished_at, ?)
    where id = ? and (state not in ('done', 'failed') or state = ?) returning id`)

  // `error` stays until the step ends again: it says why there is another try
  const startStep = statement(`insert into operation_steps (operation_id, phase, name, ordinal, state, started_at)
    values (?, ?, ?, (select coalesce(max(ordinal), 0) + 1 from operation_steps where operation_id = ?), 'started', ?)
    on conflict (operation_id, phase, name) do update set state = 'started', tries = tries + 1, finished_at = null`)

  const record = (id: OperationId, { ended, started, state }: Entry, now: number) =>
    Effect.gen(function* () {
      if (ended !== undefined) {
        const { error = null, name, phase } = ended
        const rows = yield* endStep(ended.state, error, now, id, phase, name)
        yield* Rows.only(rows, `operation ${id} has no ${phase} step ${name} that was started`)
      }
      if (state !== undefined) {
        const { error = null, to } = state
        const rows = yield* setState(to, error, to === "done" || to === "failed" ? now : null, id, to)
        yield* Rows.only(rows, `operation ${id} does not exist or has ended, so it cannot become ${to}`)
      }
      if (started !== undefined) yield* startStep(id, started.phase, started.name, id, now)
    })

  const selectUnfinished = statement(`select ${Rows.operationColumns} from operations
    where state not in ('done', 'failed') order by seq`)

  // of each of the two kinds there is an index: what it costs does not grow with what is unfinished
  const selectBusy = statement(`with asked (id) as (select value from json_each(?))
    select vm_id from operations
      where vm_id in asked and volume_id is null and state not in ('done', 'failed')
    union
    select vm_id from operations
      where vm_id in asked and volume_id is not null and state not in ('done', 'failed')`)

  return Journal.of({
    unfinished: Effect.withSpan(
      read("read the unfinished operations", Effect.flatMap(selectUnfinished(), Rows.operations.all)),
      "Journal.unfinished"
    ),
    // the hot path: no spans, and the writer itself does what is written
    busy: (vms) =>
      vms.length === 0
        ? Effect.succeed(nobody)
        : read(
            "read which VMs are busy",
            Effect.map(
              Effect.flatMap(selectBusy(JSON.stringify(vms)), Rows.busy.all),
              (rows) => new Set(rows.map(({ vm_id }) => vm_id))
            )
          ),
    steps: (id) => read(`read the steps of operation ${id}`, Effect.flatMap(selectSteps(id), Rows.steps.all)),
    history: Effect.fn("Journal.history")((id) =>
      read(`read what the steps of operation ${id} came to`, Effect.flatMap(selectHistory(id), Rows.stepReports.all))
    ),
    record: (id, entry, also) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const action = `record what happened to operation ${id}`
        const recorded = record(id, entry, now)
        return also === undefined ? writeSimply(action, recorded) : together(action, Effect.zipRight(also, recorded))
      }),
    askCancel: Effect.fn("Journal.askCancel")((id, confirm) =>
      writeSimply(
        `ask operation ${id} to be cancelled`,
        Effect.gen(function* () {
          yield* sql`update operations set cancel_asked = 1 where id = ${id} and state in ('pending', 'running')`
          const [row] = yield* sql<Rows.Row>`select ${columns} from operations where id = ${id}`
          if (row === undefined) return Option.none()
          const operation = yield* Rows.operations.one(row)
          if (confirm !== undefined) yield* confirm(operation)
          return Option.some(operation)
        })
      )
    ),
    list: Effect.fn("Journal.list")(({ before, ended, ids, kind, limit, state, user, vmId, volumeId }) => {
      const conditions = [
        ...(vmId === undefined ? [] : [sql`vm_id = ${vmId}`]),
        ...(volumeId === undefined ? [] : [sql`volume_id = ${volumeId}`]),
        ...(kind === undefined ? [] : [sql`kind = ${kind}`]),
        ...(user === undefined ? [] : [sql`user = ${user}`]),
        ...(ids === undefined ? [] : [sql.in("id", ids)]),
        // a literal, so that the indexes of those states are found
        ...(state === undefined ? [] : [sql.literal(`state = '${state}'`)]),
        ...(state === "pending" || state === "running" || state === "undoing"
          ? [sql.literal("state not in ('done', 'failed')")]
          : []),
        ...(before === undefined ? [] : [sql`seq < (select seq from operations where id = ${before})`]),
        ...(ended === undefined ? [] : [sql.literal(`state ${ended ? "" : "not "}in ('done', 'failed')`)])
      ]
      return read(
        "read operations",
        Effect.flatMap(
          sql<Rows.Row>`select ${columns} from operations where ${sql.and(conditions)} order by seq desc limit ${limit}`,
          Rows.operations.all
        )
      )
    })
  })
})

/** @since 0.1.0 @category layers */
export const layer: Layer.Layer<Journal, never, Database> = Layer.effect(Journal, make)
