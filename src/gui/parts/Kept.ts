/**
 * Where one is with the keyboard, when what had the focus goes.
 *
 * @since 0.13.0
 */
import { useEffect } from "react"

/** Nothing that somebody would use has the focus: a page may take it for what it is about. @since 0.13.0 @category predicates */
export const isFocusFree = (): boolean => {
  const { activeElement } = document
  // the page itself has it where what was used there is gone
  return activeElement === null || activeElement === document.body || activeElement.id === "main"
}

/**
 * Gives the focus back: to what had it before a dialog or a menu that is gone, and where that is gone, too, to what is still there around
 * it, as the list that a row was in. Otherwise the browser begins at the top of the page again.
 *
 * @since 0.13.0
 * @category hooks
 */
export const useFocusKept = (): void => {
  useEffect(() => {
    // what had it last, and all around that, from within
    let way: ReadonlyArray<HTMLElement> = []
    const isLost = () => document.activeElement === null || document.activeElement === document.body
    const onFocus = ({ target }: FocusEvent) => {
      if (!(target instanceof HTMLElement) || target.closest(".frame") === null) return
      const all: Array<HTMLElement> = []
      for (let one: HTMLElement | null = target; one !== null; one = one.parentElement) all.push(one)
      way = all
    }
    const onBlur = ({ target }: FocusEvent) =>
      // who clicks beside it has let go of it; what goes is not there any more by then
      queueMicrotask(() => {
        if (target === way[0] && way[0]?.isConnected === true && isLost()) way = []
      })
    const giveBack = () => {
      const [last, ...around] = way
      if (last === undefined || !isLost() || document.querySelector("[role=dialog], [role=menu]") !== null) return
      const next = last.isConnected ? last : around.find((one) => one.isConnected && one.hasAttribute("tabindex"))
      next?.focus({ preventScroll: true })
    }
    const watched = new MutationObserver(giveBack)
    watched.observe(document.body, { childList: true, subtree: true })
    document.addEventListener("focusin", onFocus)
    document.addEventListener("focusout", onBlur)
    return () => {
      watched.disconnect()
      document.removeEventListener("focusin", onFocus)
      document.removeEventListener("focusout", onBlur)
    }
  }, [])
}
