/**
 * In a module of its own: what browsers read of the domain has this one error, and would have all of them.
 *
 * @since 0.9.0
 */
import * as Schema from "effect/Schema"

/** A parameter that cannot be used. @since 0.1.0 @category errors */
export class InvalidArgument extends Schema.TaggedError<InvalidArgument>()("InvalidArgument", {
  field: Schema.String,
  /** what is wrong with it */
  problem: Schema.String,
  /** what would be right */
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.field} ${this.problem}: expected ${this.expected}`
  }
}
