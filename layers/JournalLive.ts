/**
 * The journal, in the inventory's database.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Journal, type Phase } from "../src/services/Journal.ts"
import type { OperationId } from "../src/domain/Ids.ts"
import { Database } from "./Database.ts"
import * as Rows from "./sql/Rows.ts"

const make = Effect.gen(function* () {
  const { read, sql, write } = yield* Database

  const endStep = (id: OperationId, phase: Phase, name: string, state: "done" | "failed", error: string | null) =>
    write(
      `record step ${name} of operation ${id} as ${state}`,
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const rows = yield* sql<Rows.Row>`update operation_steps
          set state = ${state}, error = ${error}, finished_at = ${now}
          where operation_id = ${id} and phase = ${phase} and name = ${name} returning name`
        yield* Rows.only(rows, `operation ${id} has no ${phase} step ${name} that was started`)
      })
    )

  return Journal.of({
    unfinished: Effect.withSpan(
      read(
        "read the unfinished operations",
        Effect.flatMap(
          sql<Rows.Row>`select id, kind, vm_id, state, error from operations
            where state not in ('done', 'failed') order by seq`,
          Rows.operations.all
        )
      ),
      "Journal.unfinished"
    ),
    steps: Effect.fn("Journal.steps")((id) =>
      read(
        `read the steps of operation ${id}`,
        Effect.flatMap(
          sql<Rows.Row>`select phase, name, state, tries from operation_steps
            where operation_id = ${id} order by ordinal`,
          Rows.steps.all
        )
      )
    ),
    stepStarted: Effect.fn("Journal.stepStarted")((id, phase, name) =>
      write(
        `record step ${name} of operation ${id} as started`,
        Effect.gen(function* () {
          const now = yield* Clock.currentTimeMillis
          // `error` stays until the step ends again: it says why there is another try
          yield* sql`insert into operation_steps (operation_id, phase, name, ordinal, state, started_at)
            values (${id}, ${phase}, ${name},
              (select coalesce(max(ordinal), 0) + 1 from operation_steps where operation_id = ${id}), 'started', ${now})
            on conflict (operation_id, phase, name)
              do update set state = 'started', tries = tries + 1, finished_at = null`
        })
      )
    ),
    stepDone: Effect.fn("Journal.stepDone")((id, phase, name) => endStep(id, phase, name, "done", null)),
    stepFailed: Effect.fn("Journal.stepFailed")((id, phase, name, error) => endStep(id, phase, name, "failed", error)),
    setState: Effect.fn("Journal.setState")((id, state, error) =>
      write(
        `set operation ${id} to ${state}`,
        Effect.gen(function* () {
          const ended = state === "done" || state === "failed" ? yield* Clock.currentTimeMillis : null
          // what has ended stays ended; saying so once more changes nothing
          const rows = yield* sql<Rows.Row>`update operations
            set state = ${state}, error = coalesce(error, ${error ?? null}), finished_at = coalesce(finished_at, ${ended})
            where id = ${id} and (state not in ('done', 'failed') or state = ${state}) returning id`
          yield* Rows.only(rows, `operation ${id} does not exist or has ended, so it cannot become ${state}`)
        })
      )
    )
  })
})

/** @since 0.1.0 @category layers */
export const layer: Layer.Layer<Journal, never, Database> = Layer.effect(Journal, make)
