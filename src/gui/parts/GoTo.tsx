/**
 * The button and the keys that open the palette.
 *
 * @since 0.7.0
 */
import { lazy, Suspense, useEffect, useState } from "react"
import { again } from "./Again.ts"

const PaletteBox = lazy(() => again(() => import("./Palette.tsx")).then((module) => ({ default: module.PaletteBox })))

/** Opened by Ctrl-K, or Cmd-K. @since 0.7.0 @category components */
export const GoTo = () => {
  const [open, setOpen] = useState(false)
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault()
        // whatever lies above the page would be lost with it
        if (document.querySelector(".dialog:not(.palette)") !== null) return
        setOpen((now) => !now)
      }
    }
    window.addEventListener("keydown", pressed)
    return () => window.removeEventListener("keydown", pressed)
  }, [])
  return (
    <>
      <button type="button" className="button tiny" onClick={() => setOpen(true)}>
        Go to… <kbd className="quiet hint">Ctrl K</kbd>
      </button>
      {open ? (
        <Suspense>
          <PaletteBox onClose={() => setOpen(false)} />
        </Suspense>
      ) : null}
    </>
  )
}
