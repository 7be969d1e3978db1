/**
 * What becomes of what is done with many VMs at once.
 *
 * @since 0.12.0
 */
import { useAtomSet } from "@effect-atom/atom-react"
import { Link } from "@tanstack/react-router"
import { useEffect } from "react"
import { askingOf, type Bulk, bulkDismissAtom, bulkSeenAtom, bulkStopAtom } from "../state/Bulk.ts"
import { useSnapshot } from "./Parts.tsx"
import { count, counted } from "./Words.ts"

const mostNamed = 10

/** In the tray until it was seen, on whatever page. @since 0.12.0 @category components */
export const BulkTask = ({ bulk }: { readonly bulk: Bulk }) => {
  const stop = useAtomSet(bulkStopAtom)
  const dismiss = useAtomSet(bulkDismissAtom)
  const seen = useAtomSet(bulkSeenAtom)
  const { operations } = useSnapshot()
  useEffect(() => seen(operations), [bulk, operations, seen])
  const byId = new Map(operations.map((one) => [one.id, one]))
  const all = [...bulk.vms.values()]
  const found = all.flatMap(({ name, state }) =>
    state._tag === "begun" && state.operationId !== null
      ? [{ name, operation: state.ended ?? byId.get(state.operationId) ?? null }]
      : []
  )
  const failed = found.filter(({ operation }) => operation?.state === "failed")
  const refused = all.flatMap(({ name, state }) => (state._tag === "refused" ? [{ name, words: state.words }] : []))
  const lost = found.filter(({ operation }) => operation === null).length
  const left = all.filter(({ state }) => state._tag === "left").length
  const asking = askingOf(bulk)
  const open = asking + found.filter(({ operation }) => operation !== null && operation.endedAt === null).length
  const done = all.length - open - failed.length - refused.length - lost - left
  const what = `${bulk.name} ${counted(all.length, "VM")}`
  const far = [
    `${bulk.name}: ${count(done)} of ${counted(all.length, "VM")} done`,
    ...(open === 0 ? [] : [`${count(open)} under way`]),
    ...(failed.length === 0 ? [] : [`${count(failed.length)} failed`]),
    ...(refused.length === 0 ? [] : [`${count(refused.length)} refused`]),
    ...(lost === 0 ? [] : [`${count(lost)} begun`]),
    ...(left === 0 ? [] : [`${count(left)} not asked for`])
  ].join(", ")
  return (
    <li className="task">
      <div className="top">
        <strong>{far}</strong>
        <span className="sr" aria-live="polite">
          {open === 0 ? `Ended: ${far}` : ""}
        </span>
        {asking > 0 ? (
          <button type="button" className="button tiny" disabled={bulk.stopped} onClick={() => stop(bulk.key)}>
            Stop<span className="sr"> {what}</span>
          </button>
        ) : (
          <button type="button" className="button plain tiny" onClick={() => dismiss(bulk.key)}>
            <span aria-hidden="true">✕</span>
            <span className="sr">Dismiss {what}</span>
          </button>
        )}
      </div>
      {open === 0 ? null : <progress aria-label={`${what}, done`} max={all.length} value={all.length - open} />}
      {failed.length + refused.length === 0 ? null : (
        <ul className="list">
          {refused.slice(0, mostNamed).map(({ name, words }) => (
            <li key={name}>
              <strong>{name}</strong>
              <span>{words.detail}</span>
            </li>
          ))}
          {failed.slice(0, mostNamed).map(({ name, operation }) =>
            operation === null ? null : (
              <li key={name}>
                <Link to="/operations/$id" params={{ id: operation.id }}>
                  {name}
                </Link>
                <span>{operation.error}</span>
              </li>
            )
          )}
        </ul>
      )}
    </li>
  )
}
