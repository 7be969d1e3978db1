/**
 * What lies above a page. Loaded when it is first opened.
 *
 * @since 0.7.0
 */
import * as Ariakit from "@ariakit/react"
import type { ReactNode } from "react"

/** @since 0.7.0 @category models */
export interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  readonly children: ReactNode
}

/** @since 0.7.0 @category components */
export const DialogBox = ({ children, onClose, title }: DialogProps) => (
  <Ariakit.Dialog open onClose={onClose} className="dialog" backdrop={<div className="backdrop" />}>
    <div className="head">
      <Ariakit.DialogHeading>{title}</Ariakit.DialogHeading>
      <Ariakit.DialogDismiss className="button plain actions" aria-label="Close">
        ✕
      </Ariakit.DialogDismiss>
    </div>
    {children}
  </Ariakit.Dialog>
)
