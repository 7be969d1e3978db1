/**
 * Parameters of the original's routes: text that came with a URL or a form, checked before anything else sees it.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Errors from "../domain/Errors.ts"

/** As a URL or a form gives them: a name that was given twice has several values. @since 0.1.0 @category models */
export type Parameters = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** How much of a refused value is shown. */
const shown = 40

const short = (value: string): string => (value.length > shown ? `${value.slice(0, shown)}…` : value)

const quote = (value: string): string => JSON.stringify(short(value))

/** The text of a parameter; absent: `undefined`. @since 0.1.0 @category parsing */
export const text = (
  parameters: Parameters,
  field: string
): Either.Either<string | undefined, Errors.InvalidArgument> => {
  const value = parameters[field]
  return typeof value === "string" || value === undefined
    ? Either.right(value)
    : Either.left(
        new Errors.InvalidArgument({ field, problem: `is given ${value.length} times`, expected: `one ${field}` })
      )
}

/** The text of a parameter that has to be there. @since 0.1.0 @category parsing */
export const requiredText = (parameters: Parameters, field: string): Either.Either<string, Errors.InvalidArgument> =>
  Either.flatMap(text(parameters, field), (value) =>
    value === undefined
      ? Either.left(new Errors.InvalidArgument({ field, problem: "is missing", expected: `${field}=…` }))
      : Either.right(value)
  )

/** One of a few words; absent: `undefined`. @since 0.3.0 @category parsing */
export const choice = <const A extends string>(
  parameters: Parameters,
  field: string,
  choices: ReadonlyArray<A>
): Either.Either<A | undefined, Errors.InvalidArgument> =>
  Either.flatMap(text(parameters, field), (value) => {
    if (value === undefined) return Either.right(undefined)
    const found = choices.find((choice) => choice === value)
    return found === undefined
      ? Either.left(
          new Errors.InvalidArgument({ field, problem: `is ${quote(value)}`, expected: choices.join(" or ") })
        )
      : Either.right(found)
  })

const decimal = /^[0-9]+$/

/** Absent: `undefined`. `tooLarge`: what is said of a whole number that no schema takes. */
const number = <A, E>(
  parameters: Parameters,
  field: string,
  schema: Schema.Schema<A, number>,
  tooLarge: (value: string) => E
): Either.Either<A | undefined, E | Errors.InvalidArgument> =>
  Either.flatMap(text(parameters, field), (value) => {
    if (value === undefined) return Either.right(undefined)
    const number = decimal.test(value) ? Number(value) : Number.NaN
    return Either.mapLeft(Schema.decodeUnknownEither(schema)(number), () =>
      number > Number.MAX_SAFE_INTEGER
        ? tooLarge(value)
        : new Errors.InvalidArgument({
            field,
            problem: value === "" ? "is empty" : `is ${quote(value)}`,
            expected: "a whole number from 1 on, in decimal digits"
          })
    )
  })

const required = <A, E>(field: string, given: Either.Either<A | undefined, E>) =>
  Either.flatMap(given, (value) =>
    value === undefined
      ? Either.left(new Errors.InvalidArgument({ field, problem: "is missing", expected: `${field}=…` }))
      : Either.right(value)
  )

/** A public id: decimal digits, from 1 to 2^53-1, and what is larger is nobody's; absent: `undefined`. @since 0.1.0 @category parsing */
export const id = <A>(
  parameters: Parameters,
  field: string,
  schema: Schema.Schema<A, number>
): Either.Either<A | undefined, Errors.InvalidArgument | Errors.NoSuchId> =>
  number(parameters, field, schema, (value) => new Errors.NoSuchId({ field, value: short(value) }))

/** A public id that has to be there. @since 0.1.0 @category parsing */
export const requiredId = <A>(
  parameters: Parameters,
  field: string,
  schema: Schema.Schema<A, number>
): Either.Either<A, Errors.InvalidArgument | Errors.NoSuchId> => required(field, id(parameters, field, schema))

const Amount = Schema.Int.pipe(Schema.between(1, Number.MAX_SAFE_INTEGER))

/** A whole number from 1 on that is no id; absent: `undefined`. @since 0.8.0 @category parsing */
export const amount = (
  parameters: Parameters,
  field: string
): Either.Either<number | undefined, Errors.InvalidArgument> =>
  number(
    parameters,
    field,
    Amount,
    (value) =>
      new Errors.InvalidArgument({
        field,
        problem: `is ${quote(value)}`,
        expected: `a whole number from 1 to ${Number.MAX_SAFE_INTEGER}`
      })
  )

/** An amount that has to be there. @since 0.8.0 @category parsing */
export const requiredAmount = (parameters: Parameters, field: string): Either.Either<number, Errors.InvalidArgument> =>
  required(field, amount(parameters, field))
