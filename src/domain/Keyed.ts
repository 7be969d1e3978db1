/**
 * What requests with a key make or change.
 *
 * @since 0.8.0
 */
import * as Schema from "effect/Schema"

/** What is no operation. @since 0.8.0 @category models */
export const ThingKind = Schema.Literal(
  "host",
  "image",
  "instance type",
  "user",
  "token",
  "webhook",
  "webhook secret",
  "cancellation"
)
/** @since 0.8.0 @category models */
export type ThingKind = typeof ThingKind.Type
