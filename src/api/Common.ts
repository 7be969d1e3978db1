/**
 * What endpoints have in common: parameters, headers, pages, and how they are described.
 *
 * @since 0.4.0
 */
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Context from "effect/Context"
import * as Schema from "effect/Schema"
import type { Role } from "../domain/Identity.ts"
import { VmName } from "../domain/Vm.ts"
import { BodyOptional, Needs } from "./Access.ts"

/** What an endpoint is for, and whom it is for. @since 0.4.0 @category annotations */
export const documented = (needs: Role | "nobody", summary: string, description: string) =>
  Context.make(Needs, needs).pipe(Context.add(OpenApi.Summary, summary), Context.add(OpenApi.Description, description))

/** The body may be left out: what is in it has defaults. @since 0.8.0 @category annotations */
export const bodyOptional = Context.make(BodyOptional, true).pipe(
  Context.add(OpenApi.Transform, ({ requestBody, ...operation }) => ({
    ...operation,
    requestBody: { ...requestBody, required: false }
  }))
)

/** An answer as it is, byte for byte. @since 0.13.0 @category schemas */
export const binary = (identifier: string, contentType: string, description: string) =>
  Schema.Uint8ArrayFromSelf.annotations({
    ...HttpApiSchema.annotations({}),
    identifier,
    description,
    jsonSchema: { type: "string", format: "binary", description }
  }).pipe(HttpApiSchema.withEncoding({ kind: "Uint8Array", contentType }))

/** A field with what it means there, whatever else its schema says. @since 0.4.0 @category schemas */
export const field = <A, I>(schema: Schema.Schema<A, I>, description: string) =>
  Schema.propertySignature(schema).annotations({ description })

/** One that may be absent. @since 0.4.0 @category schemas */
export const optional = <A, I>(schema: Schema.Schema<A, I>, description: string) =>
  Schema.optionalWith(schema, { exact: true }).annotations({ description })

/** Nothing beside what is known: a name that was misspelt must not pass for one that was not given. @since 0.4.0 @category annotations */
export const strict = { parseOptions: { onExcessProperty: "error" } } as const

/** Key of the annotation that `usually` makes. @since 0.11.0 @category annotations */
export const Usual = Symbol.for("vmfabric/api/Usual")

/**
 * Of a struct that a request has as its body, or within it: what those of its fields are taken for that may be absent. Whoever says so explicitly says
 * the same, to a key and to a plan.
 *
 * @since 0.11.0 @category annotations
 */
export const usually = (fields: Readonly<Record<string, unknown>>) => ({ [Usual]: fields })

/** Key of the annotation that `means` makes. @since 0.11.0 @category annotations */
export const Meaning = Symbol.for("vmfabric/api/Meaning")

/** Of what may be written in several ways: in one, by which a key and a plan compare it. @since 0.11.0 @category annotations */
export const means = (meaning: (value: unknown) => unknown) => ({ [Meaning]: meaning })

/** Of a list whose order says nothing. @since 0.11.0 @category annotations */
export const asSet = means((value) => (Array.isArray(value) ? value.toSorted() : value))

/** Words in place of what a decoder would say. */
const says = (message: string) => ({ message: () => ({ message, override: true }) })

/** A whole number, without a name of its own. @since 0.4.0 @category schemas */
export const Int = Schema.Number.pipe(Schema.int())

/** @since 0.4.0 @category schemas */
export const Time = Schema.DateTimeUtc.annotations({
  identifier: "Time",
  description: "ISO 8601, UTC",
  jsonSchema: { type: "string", format: "date-time" }
})

/** @since 0.4.0 @category schemas */
export const Name = VmName.annotations({
  identifier: "Name",
  description: "1 to 255 characters without control characters, and no blanks at the ends",
  ...says("expected 1 to 255 characters without control characters, and no blanks at the ends")
})

const digits = Schema.String.pipe(Schema.pattern(/^[0-9]{1,16}$/))

const fromDigits = <A>(schema: Schema.Schema<A, number>, least: number, most: number) => {
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`
  return Schema.transform(digits, schema, { strict: true, decode: Number, encode: String }).annotations({
    ...says(`expected a whole number ${range}`),
    jsonSchema: { type: "integer", minimum: least, maximum: most }
  })
}

/** A number of a path or a query, within bounds. @since 0.6.0 @category parameters */
export const within = (least: number, most: number) =>
  fromDigits(Schema.Int.pipe(Schema.between(least, most)), least, most)

/** An id in a path or a query. @since 0.4.0 @category parameters */
export const id = <A>(schema: Schema.Schema<A, number>) => fromDigits(schema, 1, Number.MAX_SAFE_INTEGER)

const mostIds = 100

/** Some ids in a query, with commas between them. @since 0.14.0 @category parameters */
export const ids = <A>(one: Schema.Schema<A, string>) =>
  Schema.transform(Schema.String, Schema.Array(one).pipe(Schema.maxItems(mostIds)), {
    strict: true,
    decode: (text) => text.split(","),
    encode: (all) => all.join(",")
  }).annotations({
    ...says(`expected ids with commas between them, ${mostIds} at most`),
    jsonSchema: { type: "string", pattern: "^[0-9a-f-]+(,[0-9a-f-]+)*$" }
  })

/** `true` or `false` in a query. @since 0.4.0 @category parameters */
export const Flag = Schema.BooleanFromString.annotations({
  ...says("expected true or false"),
  jsonSchema: { type: "boolean" }
})

/** One of a few words in a query or a body. @since 0.4.0 @category parameters */
export const oneOf = <const L extends readonly [string, ...Array<string>]>(literals: L, identifier?: string) =>
  Schema.Literal(...literals).annotations({
    ...(identifier === undefined ? {} : { identifier }),
    ...says(`expected ${literals.join(" or ")}`)
  })

/** An id in a body, with words of our own for what it is not. @since 0.4.0 @category schemas */
export const idInBody = <A, I>(schema: Schema.Schema<A, I>): Schema.Schema<A, I> =>
  schema.annotations(says("expected a whole number from 1 on"))

/** @since 0.4.0 @category schemas */
export const amountInBody = <A, I>(schema: Schema.Schema<A, I>, range: string): Schema.Schema<A, I> =>
  schema.annotations(says(`expected ${range}`))

/** The same as an answer of status 202. @since 0.4.0 @category schemas */
export const accepted = <A, I>(schema: Schema.Schema<A, I>, identifier: string) =>
  schema.annotations(HttpApiSchema.annotations({ status: 202, identifier }))

// ------------------------------------------------------------------------------------------------------------------ pages

const most = 1000

/** @since 0.4.0 @category parameters */
export const paging = {
  limit: Schema.optionalWith(fromDigits(Schema.Int.pipe(Schema.between(1, most)), 1, most), {
    exact: true
  }).annotations({ description: "how many at most; 100 unless it is said" }),
  cursor: Schema.optionalWith(
    Schema.String.pipe(Schema.pattern(/^[A-Za-z0-9_-]{1,2000}$/)).annotations(says("expected the next of an answer")),
    { exact: true }
  ).annotations({ description: "`next` of the page before; the other parameters stay as they were" })
}

/** Everything at once. @since 0.4.0 @category schemas */
export const listOf = <A, I>(item: Schema.Schema<A, I>, identifier: string, examples: ReadonlyArray<NoInfer<A>> = []) =>
  Schema.Struct({ items: Schema.Array(item) }).annotations({
    identifier,
    ...(examples.length === 0 ? {} : { examples: [{ items: examples }] })
  })

/** @since 0.4.0 @category schemas */
export const pageOf = <A, I>(item: Schema.Schema<A, I>, identifier: string, example: NoInfer<A>) =>
  Schema.Struct({
    items: Schema.Array(item),
    next: field(Schema.NullOr(Schema.String), "cursor of the page after this one; null: there is none"),
    total: field(Int, "how many there are on all pages, at this moment")
  }).annotations({ identifier, examples: [{ items: [example], next: null, total: 1 }] })

// ---------------------------------------------------------------------------------------------------------------- headers

const header = (description: string) => Schema.optionalWith(Schema.String, { exact: true }).annotations({ description })

/** @since 0.4.0 @category parameters */
export const Prefer = {
  prefer: header(
    "`wait=N`: answer when the operation has ended, or after N seconds (at most 300; 30 unless it is said) if it has not. What is no " +
      "whole number is passed over (RFC 7240); `Preference-Applied` of the answer says for how long it waited"
  )
}

/** @since 0.4.0 @category parameters */
export const IfMatch = {
  "if-match": header("the `ETag` it had when it was read: nothing is done when it is another by now")
}

/** @since 0.4.0 @category parameters */
export const IdempotencyKey = {
  "idempotency-key": header(
    "1 to 255 visible ASCII characters, made up by the client: repeating the request with the same key leads to what it led to before. " +
      "Kept for a week, for each user apart"
  )
}

/** Of what is made at once, without an operation. @since 0.8.0 @category parameters */
export const making = Schema.Struct(IdempotencyKey)
/** @since 0.4.0 @category parameters */
export const creating = Schema.Struct({ ...IdempotencyKey, ...Prefer })
/** Of what is done to something. @since 0.9.0 @category parameters */
export const acting = Schema.Struct({ ...IdempotencyKey, ...IfMatch, ...Prefer })
/** @since 0.4.0 @category parameters */
export const changing = Schema.Struct({ ...IfMatch, ...Prefer })
