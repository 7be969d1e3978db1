/**
 * A plain question before something is done.
 *
 * @since 0.12.0
 */
import type { ReactNode } from "react"
import type { Command } from "./Commands.ts"
import { Dialog } from "./Parts.tsx"

/** Whoever presses Enter at once has done nothing: that is the other button. @since 0.12.0 @category components */
export const Ask = ({
  actions,
  button,
  children,
  danger = false,
  keep = "Cancel",
  onClose,
  onSure,
  ready = true,
  title
}: {
  readonly title: string
  readonly button: string
  readonly danger?: boolean
  /** whether there is still something to be done @since 0.13.0 */
  readonly ready?: boolean
  /** on the button that does nothing */
  readonly keep?: string
  /** what is done then */
  readonly actions: ReadonlyArray<Command>
  readonly onClose: () => void
  readonly onSure: () => void
  readonly children: ReactNode
}) => (
  <Dialog title={title} actions={actions} onClose={onClose}>
    {children}
    <div className="row">
      <button
        type="button"
        disabled={!ready}
        className={`button ${danger ? "danger" : "primary"}`}
        onClick={() => {
          onSure()
          onClose()
        }}
      >
        {button}
      </button>
      <button type="button" className="button" data-safe onClick={onClose}>
        {keep}
      </button>
    </div>
  </Dialog>
)
