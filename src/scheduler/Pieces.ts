/**
 * Long computations in pieces, between which whoever asks for them may let others in.
 *
 * @since 0.8.0
 */

/** @since 0.8.0 @category models */
export type Pieces<A> = Generator<void, A, void>

/** All pieces at once. @since 0.8.0 @category getters */
export const whole = <A>(pieces: Pieces<A>): A => {
  for (let next = pieces.next(); ; next = pieces.next()) if (next.done === true) return next.value
}

/** Does it to each, and pauses after so many. @since 0.8.0 @category constructors */
export const each = function* <A>(items: Iterable<A>, atOnce: number, use: (item: A) => void): Pieces<void> {
  let left = atOnce
  for (const item of items) {
    use(item)
    if (--left > 0) continue
    left = atOnce
    yield
  }
}
