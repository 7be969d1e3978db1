/**
 * What the API would say to a part of a request, before it is sent.
 *
 * @since 0.12.0
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { issueOf } from "../../client/Errors.ts"

/** `field`: as the API names it; empty: the part as a whole. @since 0.12.0 @category models */
export interface Wrong {
  readonly field: string
  readonly text: string
}

/** What is wrong first; null: nothing is. @since 0.12.0 @category predicates */
export const wrongWith = <A, I>(schema: Schema.Schema<A, I>): ((part: unknown) => Wrong | null) => {
  const decode = Schema.decodeUnknownEither(schema)
  return (part) => Either.match(decode(part), { onLeft: issueOf, onRight: () => null })
}
