/**
 * What a page reads beside what there is.
 *
 * @since 0.8.0
 */
import { type Atom, type Result, useAtomRefresh, useAtomValue } from "@effect-atom/atom-react"
import { useEffect, useRef } from "react"

interface Last {
  readonly on: ReadonlyArray<unknown>
  /** in milliseconds since 1970 */
  readonly at: number
}

/** When each was read last, and for what. */
const readings = new WeakMap<object, Last>()

const same = (some: ReadonlyArray<unknown>, others: ReadonlyArray<unknown>): boolean =>
  some.length === others.length && some.every((one, index) => Object.is(one, others[index]))

/**
 * Read once when it is opened, and again whenever something of `on` is another: then at most once in `pause` milliseconds.
 *
 * @since 0.8.0 @category hooks
 */
export const useRead = <A, E>(
  atom: Atom.Atom<Result.Result<A, E>>,
  on: ReadonlyArray<unknown>,
  pause = 0
): Result.Result<A, E> => {
  const read = useAtomValue(atom)
  const refresh = useAtomRefresh(atom)
  const opened = useRef<object>(null)
  useEffect(() => {
    const last = readings.get(atom)
    const remember = () => readings.set(atom, { on, at: Date.now() })
    if (last === undefined || opened.current !== atom) {
      opened.current = atom
      remember()
      // a page that was left just now has not forgotten it yet
      if (last !== undefined && !read.waiting) refresh()
      return
    }
    if (same(last.on, on)) return
    const timer = setTimeout(
      () => {
        remember()
        refresh()
      },
      Math.max(0, last.at + pause - Date.now())
    )
    return () => clearTimeout(timer)
  })
  return read
}

/** In milliseconds. */
const often = 5000

/** Read again and again, as long as the window is looked at: what no event tells of. @since 0.13.0 @category hooks */
export const useOften = (refresh: () => void): void => {
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") refresh()
    }, often)
    return () => clearInterval(timer)
  }, [refresh])
}

/** As `useRead`, and again and again. @since 0.13.0 @category hooks */
export const useReadOften = <A, E>(
  atom: Atom.Atom<Result.Result<A, E>>,
  on: ReadonlyArray<unknown>
): Result.Result<A, E> => {
  const read = useRead(atom, on)
  useOften(useAtomRefresh(atom))
  return read
}
