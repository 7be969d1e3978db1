/**
 * Lists by the page, or all of it.
 *
 * @since 0.5.0
 */
import * as Options from "@effect/cli/Options"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { EventOptions } from "../client/Client.ts"
import { Refused } from "./Failure.ts"
import { type Answer, answered, list, note, one, type View } from "./Output.ts"
import * as Resolve from "./Resolve.ts"
import { Session } from "./Session.ts"
import * as Verb from "./Verb.ts"
import * as Watch from "./Watch.ts"

/** Without them all pages are read, and shown as one. @since 0.5.0 @category options */
export const options = Options.all({
  limit: Options.optional(Verb.number("limit", "N", "At most so many, 1 to 1000; without it all of them.")),
  cursor: Options.optional(Verb.text("cursor", "CURSOR", "The page after the one that had this as its next."))
})

/** Of lists that can be asked for some by their ids. @since 0.15.0 @category options */
export const ids = Options.optional(
  Verb.text(
    "ids",
    "ID,…",
    "Only those with these ids, commas between them, 100 at most; what is not there is left out."
  )
)

const itemsOf = (body: unknown): unknown =>
  typeof body === "object" && body !== null && "items" in body ? body.items : []

/** @since 0.5.0 @category models */
export interface At {
  readonly limit?: number
  readonly cursor?: string
}

/** Shows a list of pages, and what changes of it when that is wanted. @since 0.5.0 @category programs */
export const show = Effect.fnUntraced(function* <
  I,
  P extends { readonly items: ReadonlyArray<I>; readonly next: string | null },
  E,
  R
>(
  view: View<I>,
  { cursor, limit }: { readonly limit: Option.Option<number>; readonly cursor: Option.Option<string> },
  watch: boolean,
  events: EventOptions,
  none: string,
  call: (at: At) => Effect.Effect<[P, HttpClientResponse.HttpClientResponse], E, R>
) {
  if (watch && (Option.isSome(limit) || Option.isSome(cursor))) {
    const name = Option.isSome(limit) ? "limit" : "cursor"
    return yield* new Refused({
      why: "usage",
      message: `--watch shows all that there is, and what becomes of it: give it without --${name}`,
      field: name
    })
  }
  if (watch || (Option.isNone(limit) && Option.isNone(cursor))) {
    const all = Resolve.allPages(call)
    const items = Effect.map(all, ({ body, value }): Answer<ReadonlyArray<I>> => ({
      value: value.items,
      body: itemsOf(body)
    }))
    if (watch) return yield* Watch.lists(view, events, items, none)
    const { body, value } = yield* all
    return yield* list(view, value.items, body, none)
  }
  const { body, value } = yield* answered(call({ ...Verb.given("limit", limit), ...Verb.given("cursor", cursor) }))
  yield* list(view, value.items, body, none)
  const { mode } = yield* Session
  if (value.next !== null && (mode === "table" || mode === "wide"))
    yield* note(`there are more: --cursor ${value.next}`)
})

/** The same of a list without pages. @since 0.5.0 @category programs */
export const whole = Effect.fnUntraced(function* <I, E, R>(
  view: View<I>,
  watch: boolean,
  events: EventOptions,
  none: string,
  call: Effect.Effect<[{ readonly items: ReadonlyArray<I> }, HttpClientResponse.HttpClientResponse], E, R>
) {
  const look = answered(call)
  if (watch) {
    return yield* Watch.lists(
      view,
      events,
      Effect.map(look, ({ body, value }) => ({ value: value.items, body: itemsOf(body) })),
      none
    )
  }
  const { body, value } = yield* look
  yield* list(view, value.items, body, none)
})

/** One thing, and how it changes when that is wanted. @since 0.5.0 @category programs */
export const single = Effect.fnUntraced(function* <A, E, R>(
  view: View<A>,
  watch: boolean,
  events: EventOptions,
  call: Effect.Effect<[A, HttpClientResponse.HttpClientResponse], E, R>
) {
  const look = answered(call)
  if (!watch) return yield* Effect.flatMap(look, (answer) => one(view, answer))
  yield* Watch.lists(
    view,
    events,
    Effect.map(look, ({ body, value }) => ({ value: [value], body: [body] })),
    "it is gone"
  )
})
