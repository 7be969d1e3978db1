/**
 * Errors that are answers like others, and are made as often.
 *
 * An engine notes the calls that led to an error when it is made. Within an effect these say nothing but that a fiber ran, cost more than all else
 * about the error, and hold what they were called on: the fiber, with all it had, for as long as somebody keeps the error.
 *
 * @since 0.10.0
 */

/** What `make` makes, without a stack. @since 0.10.0 @category constructors */
export const make = <A>(make: () => A): A => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = limit
  }
}
