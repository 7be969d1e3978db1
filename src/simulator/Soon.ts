/**
 * What a simulated host does after the one who asked has gone on: in the event loop's next round, and counted, so that a virtual clock knows
 * whether anything is still to come.
 *
 * @since 0.3.0
 */
let waiting = 0
let done = 0

/** Calls it in the event loop's next round, after those that were asked for before. @since 0.3.0 @category constructors */
export const soon = (act: () => void): void => {
  waiting++
  setImmediate(() => {
    waiting--
    done++
    act()
  })
}

/** How many are still to be called. @since 0.3.0 @category getters */
export const pending = (): number => waiting

/** How many have been called since the process began. @since 0.3.0 @category getters */
export const count = (): number => done
