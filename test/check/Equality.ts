/** What assertions take for equal, set up for every test file by vitest's configurations. */
import { config, util } from "chai"
import * as Redacted from "effect/Redacted"
import { YieldWrap } from "effect/Utils"

/**
 * Where chai by itself takes for equal what is not. `null` leaves it to chai.
 *
 * - An Option, Either, Exit or any other effect: chai compares keys only of two with as many, else what their iterators give, and
 *   those give wraps that hide all they hold. So `some` was `none`.
 * - A Redacted hides what it holds as well, and has no keys.
 * - Of an error it looks at name, message and code only, not at the fields that it has been given.
 * - The parameters of a URL and headers have no keys of their own.
 */
const comparator = (left: unknown, right: unknown): boolean | null => {
  if (left === right) return null
  if (left instanceof YieldWrap || right instanceof YieldWrap) return false
  if (Redacted.isRedacted(left) && Redacted.isRedacted(right)) {
    return isEqual(Redacted.value(left), Redacted.value(right))
  }
  if (left instanceof Error && right instanceof Error) {
    return (
      left.name === right.name && left.message === right.message && isEqual(Object.entries(left), Object.entries(right))
    )
  }
  if (
    (left instanceof URLSearchParams && right instanceof URLSearchParams) ||
    (left instanceof Headers && right instanceof Headers)
  ) {
    return isEqual([...left], [...right])
  }
  return null
}

const isEqual = (left: unknown, right: unknown): boolean => util.eql(left, right, { comparator })

config.deepEqual = isEqual

/** For what runs outside of vitest as well: its own `assert` is the same one. */
export { assert } from "chai"
