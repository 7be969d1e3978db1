/**
 * Dark or light: as the system has it, or as it was chosen here.
 *
 * @since 0.7.0
 */
import { Atom } from "@effect-atom/atom-react"

/** @since 0.7.0 @category models */
export const themes = ["system", "light", "dark"] as const
/** @since 0.7.0 @category models */
export type Theme = (typeof themes)[number]

const key = "vmfabric-theme"

const stored = (): Theme => themes.find((theme) => theme === localStorage.getItem(key)) ?? "system"

const show = (theme: Theme) => {
  if (theme === "system") delete document.documentElement.dataset["theme"]
  else document.documentElement.dataset["theme"] = theme
}

show(stored())

/** Kept in this browser. @since 0.7.0 @category atoms */
export const themeAtom = Atom.keepAlive(
  Atom.writable(stored, (get, theme: Theme) => {
    localStorage.setItem(key, theme)
    show(theme)
    get.setSelf(theme)
  })
)
