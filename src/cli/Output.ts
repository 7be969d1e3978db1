/**
 * Results on standard output: tables for people, the API's own words for programs.
 *
 * @since 0.5.0
 */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { Screen } from "./Screen.ts"
import { type Mode, Session } from "./Session.ts"
import * as Text from "./Text.ts"

/** One field of a thing. @since 0.5.0 @category models */
export interface Column<A> {
  readonly title: string
  readonly of: (item: A) => string | number | boolean | null
  /** in a list by `-o wide` only; one thing is shown with all */
  readonly wide?: true
  readonly tone?: (item: A) => Text.Tone | undefined
}

/** How things of a kind are shown. @since 0.5.0 @category models */
export interface View<A> {
  readonly columns: ReadonlyArray<Column<A>>
  /** what `-o name` says */
  readonly name: (item: A) => string | number
}

/** An answer, and the JSON it came as. @since 0.5.0 @category models */
export interface Answer<A> {
  readonly value: A
  readonly body: unknown
}

/** To the second, UTC. @since 0.5.0 @category constructors */
export const time = (at: DateTime.Utc | null): string | null =>
  at === null
    ? null
    : DateTime.formatIso(at)
        .replace("T", " ")
        .replace(/\.\d+Z$/, "Z")

/** Of states: what has gone well, badly, or has not ended. @since 0.5.0 @category constructors */
export const toneOf = (state: string): Text.Tone | undefined => {
  if (["running", "up", "done", "available", "attached", "ready", "usable"].includes(state)) return "good"
  if (["failed", "down", "crashed", "lost", "unusable"].includes(state)) return "bad"
  return /ing$|suspect|undoing/.test(state) ? "moving" : undefined
}

/** What a call says, with its body. @since 0.5.0 @category constructors */
export const answered = <A, E, R>(
  call: Effect.Effect<[A, HttpClientResponse.HttpClientResponse], E, R>
): Effect.Effect<Answer<A>, E, R> =>
  // it was decoded before, so that it is JSON
  Effect.flatMap(call, ([value, { json, status }]) =>
    Effect.map(status === 204 ? Effect.succeed(null) : Effect.orDie(json), (body) => ({ value, body }))
  )

const cellOf = <A>(item: A, { of, tone }: Column<A>): Text.Cell => {
  const value = of(item)
  const text = Text.plain(value === null || value === "" ? "-" : String(value))
  const colour = tone?.(item)
  return { text, right: typeof value === "number", ...(colour === undefined ? {} : { tone: colour }) }
}

const columnsFor = <A>({ columns }: View<A>, mode: Mode) =>
  columns.filter(({ wide }) => wide !== true || mode === "wide")

/** Everything that is a string keeps its meaning where it is written with escapes. */
const yaml = Effect.fnUntraced(function* (body: unknown) {
  // few ask for it
  const { Document, isScalar, Scalar, visit } = yield* Effect.promise(() => import("yaml"))
  const document = new Document(body)
  visit(document, (_, node) => {
    if (isScalar(node) && typeof node.value === "string" && !Text.isPlain(node.value)) node.type = Scalar.QUOTE_DOUBLE
  })
  return Text.plainLines(document.toString({ lineWidth: 0 }))
})

const asJson = (body: unknown, space?: number) => `${Text.plainLines(JSON.stringify(body, null, space))}\n`

/** The API's own words. @since 0.5.0 @category conversions */
export const written = (body: unknown, mode: "json" | "yaml") =>
  mode === "json" ? Effect.succeed(asJson(body, 2)) : yaml(body)

/** A table that goes on: its columns stay as wide as they were. @since 0.5.0 @category models */
export interface Table<A> {
  readonly head: string
  readonly row: (item: A) => string
}

/** @since 0.5.0 @category constructors */
export const table = <A>(view: View<A>, items: ReadonlyArray<A>, mode: Mode, colour: boolean): Table<A> => {
  const columns = columnsFor(view, mode)
  const rows = items.map((item) => columns.map((column) => cellOf(item, column)))
  const head = columns.map(({ title }, index): Text.Cell => ({
    text: title,
    tone: "head",
    right:
      rows.length > 0 &&
      rows.every((row) => row[index]?.right === true || row[index]?.text === "-") &&
      rows.some((row) => row[index]?.right === true)
  }))
  const wide = Text.widths([head, ...rows])
  const aligned = (row: ReadonlyArray<Text.Cell>) =>
    row.map((cell, index) => ({ ...cell, right: head[index]?.right === true }))
  return {
    head: Text.line(head, wide, colour),
    row: (item) => Text.line(aligned(columns.map((column) => cellOf(item, column))), wide, colour)
  }
}

/** A list. `none`: what is said, on standard error, when it is empty. @since 0.5.0 @category programs */
export const list = Effect.fn("Output.list")(function* <A>(
  view: View<A>,
  items: ReadonlyArray<A>,
  body: unknown,
  none: string
) {
  const { mode } = yield* Session
  const screen = yield* Screen
  if (mode === "json" || mode === "yaml") return yield* screen.out(yield* written(body, mode))
  if (mode === "name")
    return yield* screen.out(items.map((item) => `${Text.plain(String(view.name(item)))}\n`).join(""))
  if (items.length === 0) return yield* screen.err(`${none}\n`)
  const { head, row } = table(view, items, mode, screen.colour)
  yield* screen.out([head, ...items.map(row)].map((line) => `${line}\n`).join(""))
})

/** One thing, a field a line. @since 0.5.0 @category programs */
export const one = Effect.fn("Output.one")(function* <A>(view: View<A>, { body, value }: Answer<A>) {
  const { mode } = yield* Session
  const screen = yield* Screen
  if (mode === "json" || mode === "yaml") return yield* screen.out(yield* written(body, mode))
  if (mode === "name") return yield* screen.out(`${Text.plain(String(view.name(value)))}\n`)
  const rows = view.columns.map((column): ReadonlyArray<Text.Cell> => [
    { text: column.title.toLowerCase(), tone: "head" },
    { ...cellOf(value, column), right: false }
  ])
  const wide = Text.widths(rows)
  yield* screen.out(rows.map((row) => `${Text.line(row, wide, screen.colour)}\n`).join(""))
})

/** The one thing that a call answers. @since 0.5.0 @category programs */
export const ask = <A, E, R>(view: View<A>, call: Effect.Effect<[A, HttpClientResponse.HttpClientResponse], E, R>) =>
  Effect.flatMap(answered(call), (answer) => one(view, answer))

/** One of a sequence that has no end: a line each. @since 0.5.0 @category programs */
export const following = Effect.fn("Output.following")(function* <A>(
  view: View<A>,
  row: Table<A>,
  item: A,
  body: unknown
) {
  const { mode } = yield* Session
  const { out } = yield* Screen
  if (mode === "json") return yield* out(asJson(body))
  if (mode === "yaml") return yield* out(`---\n${yield* yaml(body)}`)
  yield* out(mode === "name" ? `${Text.plain(String(view.name(item)))}\n` : `${row.row(item)}\n`)
})

/** For people only, beside the result. @since 0.5.0 @category programs */
export const note = Effect.fn("Output.note")(function* (text: string) {
  const { err } = yield* Screen
  yield* err(`${Text.plain(text)}\n`)
})
