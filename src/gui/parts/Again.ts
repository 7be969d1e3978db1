/**
 * Parts of the interface that are fetched when they are needed.
 *
 * @since 0.8.0
 */

/** Milliseconds between two tries, and how many there are: what is not there after that has gone with another version. */
const pause = 500
const tries = 60

/**
 * Fetches it again when that failed: a connection that is lost just then would leave nothing of the page for ever.
 *
 * @since 0.8.0 @category constructors
 */
export const again = <A>(load: () => Promise<A>, left: number = tries): Promise<A> =>
  load().catch((cause: unknown) => {
    if (left <= 1) throw cause
    return new Promise<void>((resolve) => setTimeout(resolve, pause)).then(() => again(load, left - 1))
  })
