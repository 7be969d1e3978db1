/**
 * What is open above a page, whatever becomes of the row that it was opened from.
 *
 * @since 0.13.0
 */
import { Atom, RegistryContext, useAtom } from "@effect-atom/atom-react"
import { useLocation } from "@tanstack/react-router"
import { Fragment, type ReactNode, useCallback, useContext, useEffect, useId } from "react"

/** @since 0.13.0 @category models */
export type Render = (close: () => void) => ReactNode

interface Held {
  readonly key: string
  readonly render: Render
}

const heldAtom = Atom.keepAlive(Atom.make<ReadonlyArray<Held>>([]))

/** Shows something above the page, until it closes itself or another page is gone to; shown again by the same, it is that instead. @since 0.13.0 @category hooks */
export const useAbove = (): ((render: Render) => void) => {
  const registry = useContext(RegistryContext)
  const key = useId()
  return useCallback(
    (render) => {
      const all = registry.get(heldAtom)
      const held = { key, render }
      registry.set(
        heldAtom,
        all.some((one) => one.key === key) ? all.map((one) => (one.key === key ? held : one)) : [...all, held]
      )
    },
    [key, registry]
  )
}

/** Where it is shown. @since 0.13.0 @category components */
export const Above = () => {
  const [held, set] = useAtom(heldAtom)
  const { pathname } = useLocation()
  useEffect(() => () => set([]), [pathname, set])
  return held.map(({ key, render }) => (
    <Fragment key={key}>{render(() => set((all) => all.filter((one) => one.key !== key)))}</Fragment>
  ))
}
