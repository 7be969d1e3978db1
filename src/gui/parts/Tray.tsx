/**
 * What was asked for here, until it has ended and was seen.
 *
 * @since 0.7.0
 */
import { useAtomSet, useAtomValue } from "@effect-atom/atom-react"
import { Link } from "@tanstack/react-router"
import { lazy, Suspense, useEffect } from "react"
import { bulksAtom } from "../state/Bulk.ts"
import { dismissAtom, type Task, tasksAtom, type TaskState } from "../state/Tasks.ts"
import { again } from "./Again.ts"
import { Failure, State } from "./Parts.tsx"
import { counted, isCancelled, operationState, type Shown, stepOf } from "./Words.ts"

const shown = (state: TaskState): Shown => {
  switch (state._tag) {
    case "asking":
      return { tone: "busy", word: "asking", why: null }
    case "done":
      return { tone: "ok", word: "done", why: null }
    case "refused":
      return { tone: "bad", word: "refused", why: null }
    case "begun":
      return operationState(state.operation)
  }
}

const One = ({ task: { key, label, state } }: { readonly task: Task }) => {
  const dismiss = useAtomSet(dismissAtom)
  const over =
    state._tag === "done" ||
    (state._tag === "begun" && (state.operation.state === "done" || isCancelled(state.operation)))
  useEffect(() => {
    if (!over) return
    const timer = setTimeout(() => dismiss(key), 6000)
    return () => clearTimeout(timer)
  }, [over, key, dismiss])
  const operation = state._tag === "begun" ? state.operation : null
  const { why, ...told } = shown(state)
  return (
    <li className="task">
      <div className="top">
        <strong className="cut">{label}</strong>
        <State {...told} why={null} />
        <button type="button" className="button plain tiny" onClick={() => dismiss(key)}>
          <span aria-hidden="true">✕</span>
          <span className="sr">Dismiss {label}</span>
        </button>
      </div>
      {state._tag === "refused" ? <Failure words={state.words} /> : null}
      {operation === null ? null : (
        <>
          {operation.progress === null ? null : (
            <>
              <progress
                aria-label={`Steps of ${label}`}
                max={operation.progress.of}
                value={operation.progress.number - 1 + (operation.progress.percent ?? 0) / 100}
              />
              <span className="quiet small">{stepOf(operation.progress)}</span>
            </>
          )}
          {why === null ? null : <p>{why}</p>}
          {operation.outcome === null ? null : <p className="quiet">{operation.outcome}</p>}
          <Link to="/operations/$id" params={{ id: operation.id }} className="small">
            Show the operation
          </Link>
        </>
      )}
    </li>
  )
}

const BulkTask = lazy(() => again(() => import("./BulkTask.tsx")).then((module) => ({ default: module.BulkTask })))

/** Told to who does not see it: that it is begun, and what it came to. What is refused is an alert by itself. */
const told = ({ label, state }: Task): string => {
  if (state._tag === "asking" || state._tag === "refused") return ""
  const { why, word } = shown(state)
  return state._tag === "begun" && state.operation.endedAt === null
    ? `${label}: begun`
    : `${label}: ${word}${why === null ? "" : `, ${why}`}`
}

/** @since 0.7.0 @category components */
export const Tray = () => {
  const tasks = useAtomValue(tasksAtom)
  const bulks = useAtomValue(bulksAtom)
  return (
    <>
      <div className="sr" aria-live="polite">
        {bulks.map(({ key, name, vms }) => (
          <p key={`bulk ${key}`}>{`${name} ${counted(vms.size, "VM")}: begun`}</p>
        ))}
        {tasks.map((task) => (
          <p key={task.key} aria-atomic>
            {told(task)}
          </p>
        ))}
      </div>
      <section className="tray" aria-label="Tasks">
        <ul className="tasks" aria-label="What was asked for">
          {bulks.map((bulk) => (
            <Suspense key={`bulk ${bulk.key}`}>
              <BulkTask bulk={bulk} />
            </Suspense>
          ))}
          {tasks.map((task) => (
            <One key={task.key} task={task} />
          ))}
        </ul>
      </section>
    </>
  )
}
