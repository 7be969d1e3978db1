/**
 * Who are you? Above the page of somebody whose session has ended, which is there again then. Loaded when it is needed.
 *
 * @since 0.12.0
 */
import * as Ariakit from "@ariakit/react"
import { useRef } from "react"
import { SignInFields } from "../pages/SignIn.tsx"

/** @since 0.12.0 @category components */
export const SignInAgainBox = () => {
  const first = useRef<HTMLElement>(null)
  return (
    <Ariakit.Dialog
      ref={(shown) => {
        first.current = shown?.querySelector<HTMLElement>("input[type=password]") ?? null
      }}
      open
      initialFocus={first}
      // there is no way around it
      hideOnEscape={false}
      hideOnInteractOutside={false}
      onClose={(event) => event.preventDefault()}
      className="dialog sign-in-again"
      backdrop={<div className="backdrop thick" />}
    >
      <Ariakit.DialogHeading>Sign in again</Ariakit.DialogHeading>
      <p>
        Your session has ended: its time was over, it was ended elsewhere, or your role or password is another now. What
        you filled in is kept.
      </p>
      <SignInFields />
    </Ariakit.Dialog>
  )
}
