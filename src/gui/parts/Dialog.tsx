/**
 * What lies above a page. Loaded when it is first opened.
 *
 * @since 0.7.0
 */
import * as Ariakit from "@ariakit/react"
import { type ReactNode, useRef } from "react"
import { type LeavingWords, typedWords, useLeaving } from "./Leaving.tsx"

/** @since 0.7.0 @category models */
export interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  /** whether something was filled in that would be lost, which is asked before; absent: never */
  readonly isChanged?: () => boolean
  /** what it tells is not told again: only its own button closes it */
  readonly once?: boolean
  readonly children: ReactNode
}

const onceWords: LeavingWords = {
  title: "Leave without it?",
  detail: "What is told here is not told again.",
  leave: "Leave it",
  stay: "Go back to it"
}

/** What is typed goes into the first field; where there is none, Enter does nothing that cannot be undone. */
const firstOf = (dialog: HTMLElement): HTMLElement =>
  [...dialog.querySelectorAll<HTMLElement>("input, select, textarea")].find(
    (field) => !field.matches(":disabled") && field.closest("details:not([open])") === null
  ) ??
  dialog.querySelector<HTMLElement>("[data-safe]") ??
  dialog

/** @since 0.7.0 @category components */
export const DialogBox = ({ children, isChanged = () => false, onClose, once = false, title }: DialogProps) => {
  const first = useRef<HTMLElement>(null)
  const isKept = once ? () => true : isChanged
  const [question, ask] = useLeaving(isKept, once ? onceWords : typedWords)
  return (
    <Ariakit.Dialog
      ref={(shown) => {
        first.current = shown === null ? null : firstOf(shown)
      }}
      open
      // by Escape, a click beside it, or its own sign for that
      onClose={(event) => {
        if (!isKept()) return onClose()
        event.preventDefault()
        ask(onClose)
      }}
      hideOnEscape={!once}
      // who signs in again does that above it
      hideOnInteractOutside={() => !once && document.querySelector(".dialog.sign-in-again") === null}
      initialFocus={first}
      className="dialog"
      backdrop={<div className="backdrop" />}
    >
      <div className="head">
        <Ariakit.DialogHeading>{title}</Ariakit.DialogHeading>
        {once ? null : (
          <Ariakit.DialogDismiss className="button plain actions" aria-label="Close">
            ✕
          </Ariakit.DialogDismiss>
        )}
      </div>
      {children}
      {question}
    </Ariakit.Dialog>
  )
}
