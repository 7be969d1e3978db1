/**
 * What is around a VM's console and its screen.
 *
 * @since 0.8.0
 */
import { Link, useParams } from "@tanstack/react-router"
import { type ReactNode, type RefObject, useEffect, useRef, useState } from "react"
import type { Vm } from "../../api/Vms.ts"
import { VmId } from "../../domain/Ids.ts"
import {
  CommandsButton,
  Empty,
  Loading,
  Missing,
  State,
  useBegin,
  useRole,
  useSnapshot,
  useTitle
} from "../parts/Parts.tsx"
import { powerOf } from "../parts/VmActions.ts"
import { type Shown, vmState } from "../parts/Words.ts"
import { isAlive, type Line, type LineState } from "./Line.ts"

const shown = (state: LineState): Shown => {
  switch (state._tag) {
    case "connecting":
      return { tone: "busy", word: "connecting", why: null }
    case "open":
      return { tone: "ok", word: "connected", why: null }
    case "waiting":
      return { tone: "warn", word: "waiting", why: state.words }
    case "busy":
      return { tone: "warn", word: "in use", why: state.words }
    case "closed":
      return { tone: "off", word: "closed", why: state.words }
  }
}

/** Turns full screen on and off for what `box` is. @since 0.8.0 @category hooks */
export const useFullScreen = (box: RefObject<HTMLElement | null>) => {
  const [full, setFull] = useState(false)
  useEffect(() => {
    const changed = () => setFull(document.fullscreenElement !== null && document.fullscreenElement === box.current)
    document.addEventListener("fullscreenchange", changed)
    return () => document.removeEventListener("fullscreenchange", changed)
  }, [box])
  const toggle = () => {
    // a browser that does not let it leaves it as it is
    if (document.fullscreenElement === null) void box.current?.requestFullscreen().catch(() => setFull(false))
    else void document.exitFullscreen()
  }
  return { full, toggle }
}

/** Whether keys go to a guest: they all do but this one, for who has no mouse has to get out. @since 0.8.0 @category predicates */
export const leaves = (event: { readonly key: string; readonly shiftKey: boolean }): boolean =>
  event.key === "F6" && event.shiftKey

const Told = ({ line, vm }: { readonly line: Line; readonly vm: Vm }) => {
  const begin = useBegin()
  const { again, state, take } = line
  if (state._tag === "open" || state._tag === "connecting") return null
  const start = powerOf(vm).find(({ name, possible }) => name === "Start" && possible)
  return (
    <div className="note warn">
      <p>{state.words}</p>
      <div className="row">
        {state._tag === "busy" ? (
          <>
            <button type="button" className="button primary" onClick={take}>
              Take it over
            </button>
            <button type="button" className="button" onClick={again}>
              Look again
            </button>
          </>
        ) : null}
        {state._tag === "closed" ? (
          <button type="button" className="button primary" onClick={again}>
            Connect again
          </button>
        ) : null}
        {state._tag === "waiting" && !isAlive(vm) && start !== undefined ? (
          <>
            <button type="button" className="button primary" onClick={() => void begin(start)}>
              Start {vm.name}
            </button>
            <CommandsButton actions={[start]} />
          </>
        ) : null}
      </div>
    </div>
  )
}

/** @since 0.8.0 @category components */
export const Frame = ({
  children,
  line,
  other,
  title,
  tools,
  vm
}: {
  readonly vm: Vm
  readonly line: Line
  readonly title: string
  /** the other way in */
  readonly other: ReactNode
  readonly tools: ReactNode
  readonly children: ReactNode
}) => {
  useTitle(`${title} of ${vm.name}`)
  return (
    <div className="page">
      <div className="head">
        <div>
          <div className="crumb">
            <Link to="/vms">VMs</Link>
            {" / "}
            <Link to="/vms/$id" params={{ id: String(vm.id) }}>
              {vm.name}
            </Link>
          </div>
          <h1>
            {title} <span className="sr">of {vm.name}</span>
          </h1>
        </div>
        <State {...vmState(vm)} />
        <span role="status">
          <State {...shown(line.state)} />
        </span>
        <div className="actions">{other}</div>
      </div>
      <div className="row" role="toolbar" aria-label={title}>
        {tools}
      </div>
      <Told line={line} vm={vm} />
      {children}
    </div>
  )
}

/** The VM that the address names, for those who may reach into it. @since 0.8.0 @category components */
export const ForVm = ({
  children,
  from
}: {
  readonly from: "/vms/$id/console" | "/vms/$id/screen"
  readonly children: (vm: Vm) => ReactNode
}) => {
  const { id } = useParams({ from })
  const { coming, connection, vms } = useSnapshot()
  const role = useRole()
  const number = Number(id)
  const found = Number.isSafeInteger(number) && number > 0 ? vms.get(VmId.make(number)) : undefined
  // one that is destroyed while it is looked at
  const last = useRef(found)
  useEffect(() => {
    if (found !== undefined) last.current = found
  }, [found])
  if (found !== undefined && role !== "viewer") return children(found)
  return (
    <div className="page narrow">
      <h1>{found?.name ?? last.current?.name ?? `VM ${id}`}</h1>
      {connection._tag === "loading" || coming.vms > 0 ? (
        <Loading />
      ) : found === undefined ? (
        <Missing what="VM" />
      ) : (
        <Empty title="Only operators reach into VMs">
          <p>What is typed and shown there may be secret. An admin can make you an operator.</p>
        </Empty>
      )}
    </div>
  )
}
