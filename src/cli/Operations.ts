/**
 * `vmfabric operation`, and what commands do with operations that they begin.
 *
 * @since 0.5.0
 */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import { Kind, type Operation, State, type Step } from "../api/Operations.ts"
import { byWhom } from "../domain/Operation.ts"
import { type Answer, answered, ask, list, note, one, time, toneOf, type View } from "./Output.ts"
import * as Pages from "./Pages.ts"
import * as Progress from "./Progress.ts"
import * as Resolve from "./Resolve.ts"
import { client, Session } from "./Session.ts"
import * as Verb from "./Verb.ts"

const about = ({ imageId, snapshotId, vmId, volumeId }: Operation): string =>
  [
    [vmId, "vm"],
    [volumeId, "volume"],
    [snapshotId, "snapshot"],
    [imageId, "image"]
  ]
    .flatMap(([id, what]) => (id === null ? [] : [`${what} ${id}`]))
    .join(", ")

/** @since 0.5.0 @category views */
export const view: View<Operation> = {
  name: ({ id }) => id,
  columns: [
    { title: "ID", of: ({ id }) => id },
    { title: "KIND", of: ({ kind }) => kind },
    { title: "ABOUT", of: about },
    { title: "STATE", of: ({ state }) => state, tone: ({ state }) => toneOf(state) },
    {
      title: "STEP",
      of: ({ progress }) => (progress === null ? null : `${progress.number}/${progress.of} ${progress.step}`)
    },
    { title: "BY", of: byWhom },
    { title: "CREATED", of: ({ createdAt }) => time(createdAt) },
    { title: "ERROR", of: ({ error }) => error },
    { title: "TOKEN", of: ({ token = null }) => token, wide: true },
    { title: "CAUSE", of: ({ cause = null }) => cause, wide: true },
    { title: "OUTCOME", of: ({ outcome }) => outcome, wide: true },
    { title: "ENDED", of: ({ endedAt }) => time(endedAt), wide: true },
    { title: "DOES", of: ({ progress }) => progress?.description ?? null, wide: true },
    { title: "WAITS", of: ({ progress }) => progress?.waiting ?? null, wide: true },
    { title: "CANCEL ASKED", of: ({ cancelAsked }) => cancelAsked, wide: true },
    { title: "REPLACED BY", of: ({ replacedBy }) => replacedBy, wide: true },
    { title: "RETRY OF", of: ({ retryOf }) => retryOf, wide: true },
    { title: "RETRIED BY", of: ({ retriedBy }) => retriedBy, wide: true }
  ]
}

const steps: View<Step> = {
  name: ({ name }) => name,
  columns: [
    { title: "PHASE", of: ({ phase }) => phase },
    { title: "STEP", of: ({ name }) => name },
    { title: "STATE", of: ({ state }) => state, tone: ({ state }) => toneOf(state) },
    { title: "TRIES", of: ({ tries }) => tries },
    { title: "STARTED", of: ({ startedAt }) => time(startedAt) },
    { title: "ENDED", of: ({ endedAt }) => time(endedAt) },
    { title: "ERROR", of: ({ error }) => error }
  ]
}

/**
 * Begins something, waits for its end unless that is not wanted, and shows what there is then: by `show`, or the operation where the thing is gone.
 *
 * @since 0.5.0 @category programs
 */
export const begin = Effect.fnUntraced(function* <E, R, E2, R2>(
  noWait: boolean,
  call: Effect.Effect<[Operation | void, HttpClientResponse.HttpClientResponse], E, R>,
  show: (operation: Operation | undefined) => Effect.Effect<void, E2, R2>
) {
  const { body, value } = yield* answered(call)
  if (value === undefined) {
    yield* note("nothing to do: it is like that already")
    return yield* show(undefined)
  }
  yield* settle(noWait, { body, value }, show)
})

/** The same of one that was begun. @since 0.6.0 @category programs */
export const settle = Effect.fnUntraced(function* <E2, R2>(
  noWait: boolean,
  { body, value }: Answer<Operation>,
  show: (operation: Operation) => Effect.Effect<void, E2, R2>
) {
  if (noWait) return yield* one(view, { value, body })
  const ended = value.endedAt === null || value.state === "failed" ? yield* Progress.wait(value) : value
  yield* show(ended)
})

/** Shows an operation as it is now. @since 0.5.0 @category programs */
export const shown = Effect.fn("Operations.shown")(function* (operation: Operation | undefined) {
  if (operation === undefined) return
  const { operations } = yield* client
  yield* ask(view, operations.getOperation({ path: { id: operation.id }, withResponse: true }))
})

/** The thing itself, or the operation that ended it. @since 0.5.0 @category combinators */
export const orOperation = <A, E, R>(operation: Operation | undefined, thing: Effect.Effect<A, E, R>) =>
  Effect.catchIf(
    thing,
    (error) => typeof error === "object" && error !== null && "_tag" in error && error._tag === "NotFound",
    () => shown(operation)
  )

const id = Verb.word("operation", "The operation's id.")

const get = (text: string) =>
  Effect.gen(function* () {
    const id = yield* Resolve.operation(text)
    const { operations } = yield* client
    return yield* answered(operations.getOperation({ path: { id }, withResponse: true }))
  })

const verbs: ReadonlyArray<Verb.Verb> = [
  Verb.make({
    name: "list",
    about: "List operations, the newest first.",
    endpoints: ["listOperations"],
    options: Options.all({
      page: Pages.options,
      ids: Pages.ids,
      vm: Options.optional(Verb.text("vm", "VM", "Only those about this VM.")),
      volume: Options.optional(Verb.text("volume", "VOLUME", "Only those about this volume.")),
      kind: Options.optional(Verb.choice("kind", Kind.literals, "Only those of this kind.")),
      state: Options.optional(Verb.choice("state", State.literals, "Only those in this state.")),
      user: Options.optional(Verb.text("user", "USER", "Only those that this user asked for.")),
      ended: Options.optional(Verb.choice("ended", ["true", "false"], "Only those that have ended, or that have not.")),
      watch: Verb.watch
    }),
    args: Args.none,
    run: ({ ended, ids, kind, page, state, user, vm, volume, watch }) =>
      Effect.gen(function* () {
        const { client } = yield* Session
        const { operations } = yield* client
        const filter = {
          ...(yield* Resolve.maybe("ids", ids, Resolve.operationIds)),
          ...(yield* Resolve.maybe("vm", vm, Resolve.vm)),
          ...(yield* Resolve.maybe("volume", volume, Resolve.volume)),
          ...Verb.given("kind", kind),
          ...Verb.given("state", state),
          ...(yield* Resolve.maybe("user", user, Resolve.user)),
          ...(ended._tag === "None" ? {} : { ended: ended.value === "true" })
        }
        yield* Pages.show(
          view,
          page,
          watch,
          { types: ["operation.created", "operation.changed"] },
          "there are no such operations",
          (at) => operations.listOperations({ urlParams: { ...filter, ...at }, withResponse: true })
        )
      })
  }),
  Verb.make({
    name: "get",
    about: "Show an operation and how far it is.",
    endpoints: ["getOperation"],
    options: Verb.noOptions,
    args: id,
    run: (_, id) => Effect.flatMap(get(id), (answer) => one(view, answer))
  }),
  Verb.make({
    name: "steps",
    about: "List an operation's steps: when each was, and why it failed.",
    endpoints: ["listOperationSteps"],
    options: Verb.noOptions,
    args: id,
    run: (_, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.operation(text)
        const { operations } = yield* client
        const { body, value } = yield* answered(operations.listOperationSteps({ path: { id }, withResponse: true }))
        yield* list(steps, value.items, body, "it has not been taken up yet")
      })
  }),
  Verb.make({
    name: "watch",
    about: "Wait for an operation's end, and tell how far it is meanwhile.",
    endpoints: ["getOperation"],
    options: Verb.noOptions,
    args: id,
    run: (_, id) =>
      Effect.gen(function* () {
        const { value } = yield* get(id)
        const ended = value.state === "done" ? value : yield* Progress.wait(value)
        yield* shown(ended)
      })
  }),
  Verb.make({
    name: "cancel",
    about: "Stop an operation; what it made is undone, and then it has failed.",
    endpoints: ["cancelOperation"],
    options: Options.all({ noWait: Verb.noWait }),
    args: id,
    run: ({ noWait }, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.operation(text)
        const { client, patient } = yield* Session
        const { operations } = yield* client
        const asked = yield* answered(operations.cancelOperation({ path: { id }, withResponse: true }))
        if (noWait) return yield* one(view, asked)
        // that it has failed is what was wanted
        yield* Progress.wait(asked.value).pipe(
          Effect.catchTag("OperationFailed", ({ operation }) => Effect.succeed(operation))
        )
        const { operations: patiently } = yield* patient
        yield* ask(view, patiently.getOperation({ path: { id }, withResponse: true }))
      })
  }),
  Verb.make({
    name: "retry",
    about: "Do what a failed operation was to do once more, as a new operation.",
    endpoints: ["retryOperation"],
    options: Options.all({ noWait: Verb.noWait }),
    args: id,
    run: ({ noWait }, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.operation(text)
        const { operations } = yield* client
        yield* begin(
          noWait,
          operations.retryOperation({ path: { id }, headers: {}, urlParams: {}, withResponse: true }),
          shown
        )
      })
  })
]

/** @since 0.5.0 @category nouns */
export const noun: Verb.Noun = { name: "operation", about: "work in progress, and how it ended", verbs }
