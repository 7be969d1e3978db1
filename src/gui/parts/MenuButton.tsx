/**
 * A button with what can be done with something.
 *
 * @since 0.8.0
 */
import { lazy, Suspense, useEffect, useRef, useState } from "react"
import { type Render, useAbove } from "./Above.tsx"
import { again } from "./Again.ts"
import type { MenuEntry } from "./Menu.tsx"

const MenuBox = lazy(() => again(() => import("./Menu.tsx")).then((module) => ({ default: module.MenuBox })))

/** @since 0.8.0 @category components */
export const MenuButton = ({
  entries,
  label,
  note,
  shown
}: {
  /** of the menu, as in `Actions of web-1` */
  readonly label: string
  /** on the button; absent: three dots */
  readonly shown?: string | undefined
  /** asked when it is opened: a list has many of these, and few are opened */
  readonly entries: () => ReadonlyArray<ReadonlyArray<MenuEntry>>
  /** said above them, as why they cannot be chosen @since 0.12.0 */
  readonly note?: string | undefined
}) => {
  const button = useRef<HTMLButtonElement>(null)
  const [open, setOpen] = useState(false)
  const above = useAbove()
  const menu: Render = (close) => (
    <Suspense>
      <MenuBox
        label={label}
        anchor={button.current}
        entries={entries()}
        note={note}
        onClose={() => {
          setOpen(false)
          close()
        }}
      />
    </Suspense>
  )
  // as it is now; a row that goes leaves it as it was
  useEffect(() => {
    if (open) above(menu)
  })
  return (
    <button
      ref={button}
      type="button"
      className={`button ${shown === undefined ? "plain tiny" : ""}`}
      aria-haspopup="menu"
      aria-expanded={open}
      onClick={() => setOpen(true)}
    >
      {shown ?? <span aria-hidden="true">⋯</span>}
      {shown === undefined ? <span className="sr">{label}</span> : null}
    </button>
  )
}
