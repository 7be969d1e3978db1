/**
 * Links as lists have many of.
 *
 * @since 0.15.0
 */
import { useRouter } from "@tanstack/react-router"
import type { MouseEvent, ReactNode } from "react"

/**
 * To the page of one thing. It goes there as a link of the router's does, without following where one is to be shown as the current one: this takes a
 * browser longer than the rest of a row.
 *
 * @since 0.15.0 @category components
 */
export const ListLink = ({
  children,
  id,
  title,
  to
}: {
  readonly to: "/hosts/$id" | "/vms/$id" | "/volumes/$id"
  readonly id: number
  readonly title?: string
  readonly children: ReactNode
}) => {
  const router = useRouter()
  const params = { id: String(id) }
  const go = (event: MouseEvent) => {
    // in another tab or window, or as the browser has it
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    event.preventDefault()
    void router.navigate({ to, params })
  }
  return (
    <a href={`${router.basepath}${to.replace("$id", params.id)}`} title={title} onClick={go}>
      {children}
    </a>
  )
}
