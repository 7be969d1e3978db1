/**
 * Cursors: where a page ended, as text that means nothing to its reader.
 *
 * @since 0.4.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { InvalidArgument } from "../../domain/Errors.ts"
import type { Page, Position } from "../../services/Inventory.ts"

/** How many there are on a page unless it is said. @since 0.4.0 @category constants */
export const usual = 100

const Cursor = Schema.parseJson(
  Schema.Tuple(Schema.String, Schema.Union(Schema.String, Schema.Number), Schema.Int.pipe(Schema.positive()))
)
const decode = Schema.decodeEither(Cursor)
const encode = Schema.encodeSync(Cursor)

/** @since 0.4.0 @category errors */
export const notOfThisList = new InvalidArgument({
  field: "cursor",
  problem: "is not of this list",
  expected: "the next of an answer to the same request"
})

/** `order`: a name for what it is by; cursors of another one are refused. @since 0.4.0 @category parsing */
export const position = (
  cursor: string | undefined,
  order: string,
  value: "string" | "number"
): Effect.Effect<Position | null, InvalidArgument> => {
  if (cursor === undefined) return Effect.succeed(null)
  const decoded = decode(Buffer.from(cursor, "base64url").toString("utf8"))
  if (Either.isLeft(decoded)) return notOfThisList
  const [of, at, id] = decoded.right
  return of === order && typeof at === value ? Effect.succeed({ value: at, id }) : notOfThisList
}

/** @since 0.4.0 @category conversions */
export const view = <A, B>(page: Page<A>, order: string, item: (one: A) => B) => ({
  items: page.items.map(item),
  next: page.next === null ? null : Buffer.from(encode([order, page.next.value, page.next.id])).toString("base64url"),
  total: page.total
})
