/**
 * What somebody is filling in while what it is about changes.
 *
 * @since 0.12.0
 */

/**
 * A form that began as `before`, over what it would begin as by now: what was filled in stays, and all else is as it is now.
 *
 * @since 0.12.0 @category conversions
 */
export const rebased = <Form extends object>(form: Form, before: Form, now: Form): Form => {
  const next = { ...now }
  for (const key in form) if (form[key] !== before[key]) next[key] = form[key]
  return next
}
