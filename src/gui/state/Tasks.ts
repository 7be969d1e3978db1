/**
 * What was asked for here, until it has ended.
 *
 * @since 0.7.0
 */
import { Atom } from "@effect-atom/atom-react"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Operation } from "../../api/Operations.ts"
import type { Client } from "../../client/Client.ts"
import type { OperationId } from "../../domain/Ids.ts"
import { calls, isUnknown, runtime, type Words, wordsOf } from "./Api.ts"
import { meAtom } from "./Session.ts"

/** `asking`: the controller has not answered yet; `begun`: an operation does it; `done`: there was nothing to begin, and it is so. @since 0.7.0 @category models */
export type TaskState =
  | { readonly _tag: "asking" }
  | { readonly _tag: "begun"; readonly operation: Operation }
  | { readonly _tag: "done" }
  | { readonly _tag: "refused"; readonly words: Words }

/** @since 0.7.0 @category models */
export interface Task {
  readonly key: number
  /** what is done, as in `Start web-1` */
  readonly label: string
  readonly state: TaskState
}

/** A request that changes something. What it gives that is no operation is done at once. @since 0.7.0 @category models */
export interface Action {
  readonly label: string
  /** its refusal is told where it was asked for, and not in the tray */
  readonly refusedHere?: boolean
  /** so is what it came to, unless an operation does it */
  readonly doneHere?: boolean
  readonly run: Effect.Effect<{ readonly id: unknown; readonly kind?: unknown } | void, unknown, Client>
}

/** The newest last. @since 0.7.0 @category atoms */
export const tasksAtom = Atom.keepAlive(Atom.make<ReadonlyArray<Task>>([]))

let last = 0

/** Whether an answer is one that goes on. @since 0.8.0 @category predicates */
export const isOperation = (value: unknown): value is Operation =>
  typeof value === "object" && value !== null && "kind" in value && "cancelAsked" in value

const ended = ({ state }: Operation): boolean => state === "done" || state === "failed"

/** Asks for it, and follows the operation until that has ended. Gives the operation as it was begun; null: there was none, or it was refused. @since 0.7.0 @category atoms */
export const beginAtom = Atom.keepAlive(
  runtime.fn<Action>()(
    ({ doneHere = false, label, refusedHere = false, run }, get) =>
      Effect.gen(function* () {
        const key = ++last
        const put = (state: TaskState) =>
          Effect.sync(() => {
            const others = get.registry.get(tasksAtom)
            const task = { key, label, state }
            get.registry.set(
              tasksAtom,
              others.some((one) => one.key === key)
                ? others.map((one) => (one.key === key ? task : one))
                : [...others, task].slice(-8)
            )
          })
        const drop = Effect.sync(() =>
          get.registry.set(
            tasksAtom,
            get.registry.get(tasksAtom).filter((task) => task.key !== key)
          )
        )
        yield* put({ _tag: "asking" })
        const answer = yield* Effect.tapErrorCause(run, (cause) => {
          const error = Option.getOrElse(Cause.failureOption(cause), () => Cause.squash(cause))
          if (isUnknown(error)) get.registry.refresh(meAtom)
          return refusedHere ? drop : put({ _tag: "refused", words: wordsOf(error) })
        })
        if (!isOperation(answer)) {
          yield* doneHere ? drop : put({ _tag: "done" })
          return null
        }
        yield* put({ _tag: "begun", operation: answer })
        yield* Effect.forkDaemon(watch(answer.id, (operation) => put({ _tag: "begun", operation })))
        return answer
      }),
    { concurrent: true }
  )
)

/** How far it is: events tell that it goes on, but not at which step it is. */
const watch = (
  id: OperationId,
  show: (operation: Operation) => Effect.Effect<void>
): Effect.Effect<void, never, Client> =>
  Effect.flatMap(calls, (client) => client.operations.getOperation({ path: { id } })).pipe(
    Effect.matchEffect({
      // shown as it was last: whether the controller answers is told elsewhere
      onFailure: () => Effect.succeed(false),
      onSuccess: (operation) => Effect.as(show(operation), ended(operation))
    }),
    Effect.flatMap((over) => (over ? Effect.void : Effect.delay(watch(id, show), "500 millis")))
  )

/** @since 0.7.0 @category atoms */
export const dismissAtom = Atom.fnSync((key: number, get) => {
  get.set(
    tasksAtom,
    get(tasksAtom).filter((task) => task.key !== key)
  )
})
