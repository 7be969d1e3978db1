/**
 * Waiting for operations, and how far they are, on standard error.
 *
 * @since 0.5.0
 */
import * as Effect from "effect/Effect"
import type { Operation } from "../api/Operations.ts"
import type { OperationId } from "../domain/Ids.ts"
import { Screen } from "./Screen.ts"
import { patient } from "./Session.ts"
import * as Text from "./Text.ts"

/** How often it is asked how far an operation is; that it has ended is told by its events. */
const often = "300 millis"

const bar = ({ number, of, percent }: NonNullable<Operation["progress"]>): string => {
  const width = 20
  const full = Math.min(width, Math.floor(((number - 1 + (percent ?? 0) / 100) / Math.max(of, 1)) * width))
  return `[${"#".repeat(full)}${".".repeat(width - full)}]`
}

/** What an operation does now, in one line: its step in words, as the web interface has it. @since 0.5.0 @category conversions */
export const line = ({ cancelAsked, endedAt, kind, progress, state }: Operation): string => {
  if (progress === null) return `${kind}: ${endedAt === null ? "begun" : state}`
  const { description, number, of, percent, phase, step, tries, waiting } = progress
  const undoing = phase === "undo" ? (cancelAsked ? " cancelled, undoing" : " failed, undoing") : ""
  const does = waiting === null ? (description ?? step).replace(/\.$/, "") : `waits: ${waiting}`
  return (
    `${kind}:${undoing} step ${number} of ${of}` +
    `${percent === null ? "" : `, ${Math.round(percent)} %`}${tries > 1 ? `, try ${tries}` : ""}: ${does}`
  )
}

/** A line that is written over on a terminal; elsewhere a new one whenever something but the percentage changes. */
const shower = Effect.gen(function* () {
  const { columns, err, live } = yield* Screen
  let last = ""
  return {
    show: (operation: Operation) => {
      const text = Text.plain(line(operation))
      const key = live ? text : text.replace(/, \d+ %/, "")
      if (key === last) return Effect.void
      last = key
      const drawn = operation.progress === null ? text : `${bar(operation.progress)} ${text}`
      // of a line that goes on below only the last part would be written over
      return live ? Effect.flatMap(columns, (most) => err(`\r\u001b[K${Text.cut(drawn, most - 1)}`)) : err(`${text}\n`)
    },
    clear: live ? err("\r\u001b[K") : Effect.void
  }
})

/**
 * The operation when it is done; fails when it has failed. Interrupting it ends the waiting only, and says how to go on.
 *
 * @since 0.5.0 @category programs
 */
export const wait = Effect.fn("Progress.wait")(function* (begun: Operation) {
  const { operations, wait } = yield* patient
  const { err } = yield* Screen
  const { clear, show } = yield* shower
  let id: OperationId = begun.id
  const looking = operations.getOperation({ path: { id } }).pipe(
    Effect.tap(show),
    Effect.tap((operation) => {
      id = operation.replacedBy ?? id
    }),
    Effect.delay(often),
    Effect.forever
  )
  return yield* show(begun).pipe(
    Effect.zipRight(Effect.raceFirst(wait(begun), looking)),
    Effect.ensuring(clear),
    Effect.onInterrupt(() => err(`operation ${id} goes on; vmfabric operation watch ${id} waits for it\n`))
  )
})

/** The same for several at once, of which the first failure is told when all have ended. @since 0.5.0 @category programs */
export const waitAll = Effect.fn("Progress.waitAll")(function* (begun: ReadonlyArray<Operation>) {
  const { wait } = yield* patient
  const { err, live } = yield* Screen
  let ended = 0
  const tell = Effect.suspend(() =>
    err(live ? `\r\u001b[K${ended} of ${begun.length} have ended` : `${ended} of ${begun.length} have ended\n`)
  )
  const waiting = Effect.forEach(
    begun,
    (operation) =>
      Effect.exit(wait(operation)).pipe(
        Effect.tap(() => {
          ended += 1
          return tell
        })
      ),
    { concurrency: 32 }
  )
  return yield* Effect.zipRight(tell, waiting).pipe(
    Effect.ensuring(live ? err("\r\u001b[K") : Effect.void),
    Effect.onInterrupt(() => err("the operations go on; vmfabric operation list --ended false shows them\n"))
  )
})
