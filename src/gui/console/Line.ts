/**
 * A way into a VM, by a ticket and the WebSocket that it opens: kept open for as long as its page is, also when the VM starts anew or the connection is lost.
 *
 * @since 0.8.0
 */
import { useAtomSet } from "@effect-atom/atom-react"
import * as Cause from "effect/Cause"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { useCallback, useEffect, useRef, useState } from "react"
import { closeCodes, protocolsOf } from "../../api/Consoles.ts"
import * as Problem from "../../api/Problem.ts"
import type { Vm } from "../../api/Vms.ts"
import { UnexpectedAnswer, Unreachable } from "../../client/Errors.ts"
import type { ConsoleKind } from "../../domain/Console.ts"
import type { VmId } from "../../domain/Ids.ts"
import { moment } from "../parts/Words.ts"
import { calls, runtime, wordsOf } from "../state/Api.ts"

/**
 * `waiting`: it is tried again by itself; `busy`: somebody has it; `closed`: it stays so until it is asked for.
 *
 * @since 0.8.0 @category models
 */
export type LineState =
  | { readonly _tag: "connecting" }
  | { readonly _tag: "open" }
  | { readonly _tag: "waiting"; readonly words: string }
  | { readonly _tag: "busy"; readonly words: string }
  | { readonly _tag: "closed"; readonly words: string }

const ticketAtom = runtime.fn(
  ({ force, id, kind }: { readonly id: VmId; readonly kind: ConsoleKind; readonly force: boolean }) =>
    Effect.flatMap(calls, ({ consoles }) =>
      consoles.createConsoleTicket({ path: { id }, payload: { kind, ...(force ? { force } : {}) } })
    )
)

/** Milliseconds between two tries. */
const pauses = [500, 1000, 2000, 4000] as const

/** A controller lets go of what a page had a moment after that is closed, as when it is loaded again. */
const settling = { tries: 4, every: 300 } as const

/** A WebSocket that is refused is not told why; after so many there is something that trying again does not mend. */
const mostRefusals = 4

const device = { serial: "serial port", vnc: "screen by VNC" } as const

/** Times as the API words them, in the viewer's zone. */
const inZone = (words: string): string =>
  words.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (time) => moment(DateTime.unsafeMake(time)))

const passes = (error: unknown): boolean =>
  error instanceof Unreachable ||
  error instanceof UnexpectedAnswer ||
  error instanceof Problem.Unavailable ||
  (error instanceof Problem.Conflict && error.code === "vm_conflict")

/** Whether there is a QEMU to reach. @since 0.8.0 @category predicates */
export const isAlive = ({ seen, state }: Vm): boolean => {
  const power = seen?.power ?? state
  return power === "running" || power === "paused" || power === "suspended"
}

/** @since 0.8.0 @category models */
export interface Line {
  readonly state: LineState
  /** Opens it again, from whoever has it. */
  readonly take: () => void
  readonly again: () => void
}

/**
 * `attach` is given each WebSocket before it is open, and gives what is called once it is closed. It has to stay the same from one rendering to the next.
 *
 * @since 0.8.0 @category hooks
 */
export const useLine = (vm: Vm, kind: ConsoleKind, attach: (socket: WebSocket) => () => void): Line => {
  const ask = useAtomSet(ticketAtom, { mode: "promiseExit" })
  const [state, setState] = useState<LineState>({ _tag: "connecting" })
  const [attempt, setAttempt] = useState({ force: false })
  const failures = useRef(0)
  const refusals = useRef(0)
  const busy = useRef(0)
  const { id, name, uuid } = vm
  const alive = isAlive(vm)

  useEffect(() => {
    if (!alive) {
      setState({ _tag: "waiting", words: `${name} does not run. When it does, this connects by itself.` })
      return
    }
    let over = false
    let timer: ReturnType<typeof setTimeout> | undefined
    let close = () => {}

    const later = (milliseconds: number) => {
      timer = setTimeout(() => setAttempt({ force: false }), milliseconds)
    }
    const again = (words: string) => {
      setState({ _tag: "waiting", words: `${words}. It is tried again.` })
      later(pauses[Math.min(failures.current++, pauses.length - 1)] ?? 4000)
    }

    const refused = (error: unknown) => {
      const { detail } = wordsOf(error)
      if (error instanceof Problem.Conflict && error.code === "console_busy") {
        if (busy.current++ < settling.tries) later(settling.every)
        else setState({ _tag: "busy", words: inZone(detail) })
      } else if (passes(error)) again(detail)
      else setState({ _tag: "closed", words: detail })
    }

    const open = (path: string, ticket: string) => {
      const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${path}`, [...protocolsOf(ticket)])
      socket.binaryType = "arraybuffer"
      const detach = attach(socket)
      let opened = false
      close = () => {
        socket.close()
        detach()
      }
      socket.addEventListener("open", () => {
        if (over) return
        opened = true
        failures.current = 0
        refusals.current = 0
        busy.current = 0
        setState({ _tag: "open" })
      })
      socket.addEventListener("close", ({ code, reason }) => {
        if (over) return
        close = () => {}
        detach()
        if (code === closeCodes.closed || code === closeCodes.notAllowed || code === closeCodes.tooBig) {
          setState({ _tag: "closed", words: reason })
        } else if (!opened && ++refusals.current >= mostRefusals) {
          setState({
            _tag: "closed",
            words: `It cannot be opened: ${name} may have been made without a ${device[kind]}, or all that its host can have are open.`
          })
        } else again(reason === "" ? "The connection is lost" : reason)
      })
    }

    setState((now) => (now._tag === "waiting" ? now : { _tag: "connecting" }))
    const begin = async () => {
      const exit = await ask({ id, kind, force: attempt.force })
      if (over) return
      if (Exit.isSuccess(exit)) open(exit.value.path, Redacted.value(exit.value.ticket))
      else refused(Option.getOrElse(Cause.failureOption(exit.cause), () => Cause.squash(exit.cause)))
    }
    void begin()
    return () => {
      over = true
      clearTimeout(timer)
      close()
    }
    // another VM of the same name and number would be another uuid
  }, [alive, ask, attach, attempt, id, kind, name, uuid])

  const restart = useCallback((force: boolean) => {
    failures.current = 0
    refusals.current = 0
    busy.current = 0
    setState({ _tag: "connecting" })
    setAttempt({ force })
  }, [])
  return {
    state,
    take: useCallback(() => restart(true), [restart]),
    again: useCallback(() => restart(false), [restart])
  }
}
