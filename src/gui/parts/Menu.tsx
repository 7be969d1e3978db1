/**
 * A menu below its button. Loaded when it is first opened.
 *
 * @since 0.7.0
 */
import * as Ariakit from "@ariakit/react"
import { useRef } from "react"

/** @since 0.7.0 @category models */
export interface MenuEntry {
  readonly name: string
  readonly disabled: boolean
  readonly danger?: boolean
  readonly act: () => void
}

/** @since 0.7.0 @category models */
export interface MenuProps {
  readonly label: string
  readonly anchor: HTMLElement | null
  /** in groups, with a line between them */
  readonly entries: ReadonlyArray<ReadonlyArray<MenuEntry>>
  /** said above them, as why they cannot be chosen @since 0.12.0 */
  readonly note?: string | undefined
  readonly onClose: () => void
}

/** @since 0.7.0 @category components */
export const MenuBox = ({ anchor, entries, label, note, onClose }: MenuProps) => {
  // where its button was, should that be gone
  const last = useRef<DOMRect>(null)
  return (
    <Ariakit.MenuProvider
      open
      setOpen={(open) => {
        if (!open) onClose()
      }}
    >
      <Ariakit.Menu
        className="menu"
        aria-label={label}
        gutter={4}
        portal
        modal
        autoFocusOnShow
        getAnchorRect={() => {
          if (anchor?.isConnected === true) last.current = anchor.getBoundingClientRect()
          return last.current
        }}
        finalFocus={anchor}
      >
        <Ariakit.MenuGroup>
          {note === undefined ? null : <Ariakit.MenuGroupLabel className="menu-note">{note}</Ariakit.MenuGroupLabel>}
          {entries.map((group, i) => [
            i === 0 ? null : <hr key={`line ${i}`} />,
            ...group.map(({ act, danger, disabled, name }) => (
              <Ariakit.MenuItem
                key={name}
                className={`menu-item ${danger === true ? "danger" : ""}`}
                disabled={disabled}
                onClick={act}
              >
                {name}
              </Ariakit.MenuItem>
            ))
          ])}
        </Ariakit.MenuGroup>
      </Ariakit.Menu>
    </Ariakit.MenuProvider>
  )
}
