/**
 * What is asked before something that was filled in is lost.
 *
 * @since 0.12.0
 */
import { useBlocker } from "@tanstack/react-router"
import { type ReactNode, useCallback, useLayoutEffect, useRef, useState } from "react"
import { Ask } from "./Ask.tsx"

/** @since 0.12.0 @category models */
export interface LeavingWords {
  readonly title: string
  readonly detail: string
  /** on the button that leaves */
  readonly leave: string
  /** on the other */
  readonly stay: string
}

/** @since 0.12.0 @category constants */
export const typedWords: LeavingWords = {
  title: "Leave without saving?",
  detail: "What you filled in here was not sent, and is lost.",
  leave: "Leave it",
  stay: "Go on with it"
}

/**
 * Asks before another page is gone to, as long as `isKept` says that something would be lost, and so does the browser before it leaves.
 * `ask` asks the same, and then does something else.
 *
 * @since 0.12.0 @category hooks
 */
export const useLeaving = (
  isKept: () => boolean,
  words: LeavingWords = typedWords
): readonly [shown: ReactNode, ask: (leave: () => void) => void] => {
  const [leave, setLeave] = useState<(() => void) | null>(null)
  const latest = useRef(isKept)
  useLayoutEffect(() => {
    latest.current = isKept
  })
  const enableBeforeUnload = useCallback(() => latest.current(), [])
  const shouldBlockFn = useCallback(
    // what only narrows a page leaves it where it is
    ({ current, next }: { readonly current: { pathname: string }; readonly next: { pathname: string } }) =>
      current.pathname !== next.pathname && latest.current(),
    []
  )
  const blocker = useBlocker({ shouldBlockFn, enableBeforeUnload, withResolver: true })
  const question = (onSure: () => void, onClose: () => void) => (
    <Ask
      title={words.title}
      button={words.leave}
      danger
      keep={words.stay}
      actions={[]}
      onClose={onClose}
      onSure={onSure}
    >
      <p>{words.detail}</p>
    </Ask>
  )
  const shown =
    blocker.status === "blocked"
      ? // the first answer counts
        question(blocker.proceed, blocker.reset)
      : leave === null
        ? null
        : question(leave, () => setLeave(null))
  return [shown, (then) => setLeave(() => then)]
}
