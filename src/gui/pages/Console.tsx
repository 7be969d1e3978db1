/**
 * A VM's serial console: what its guest has printed, and then what it prints and is typed.
 *
 * @since 0.8.0
 */
import { useAtomSet } from "@effect-atom/atom-react"
import { Link } from "@tanstack/react-router"
import { FitAddon } from "@xterm/addon-fit"
import { Terminal } from "@xterm/xterm"
import "@xterm/xterm/css/xterm.css"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type ReactNode, useCallback, useEffect, useRef, useState } from "react"
import type { Vm } from "../../api/Vms.ts"
import type { VmId } from "../../domain/Ids.ts"
import * as AdoptedStyle from "../console/AdoptedStyle.ts"
import { ForVm, Frame, leaves, useFullScreen } from "../console/Frame.tsx"
import { useLine } from "../console/Line.ts"
import { isFocusFree } from "../parts/Kept.ts"
import { calls, runtime, wordsOfCause } from "../state/Api.ts"

const logAtom = runtime.fn((id: VmId) =>
  Effect.flatMap(calls, ({ inspections }) => inspections.getConsoleLog({ path: { id }, urlParams: {} }))
)

/** As guests know them: a terminal is dark whatever is around it. */
const theme = { background: "#0d1015", foreground: "#e8ebf0", cursor: "#8db4ff", selectionBackground: "#3b5a94" }

const fontFamily = '"SF Mono", "Cascadia Mono", "DejaVu Sans Mono", monospace'

/** A message of the WebSocket is no longer than that, so that a pasted book does not flood a line. */
const piece = 16 * 1024

/** How much of the end of the log is also the beginning of what came live. */
const overlap = (log: Uint8Array, live: Uint8Array): number => {
  for (let length = Math.min(log.length, live.length); length > 0; length--) {
    const from = log.length - length
    let same = 0
    while (same < length && log[from + same] === live[same]) same++
    if (same === length) return length
  }
  return 0
}

const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** What the page does with its terminal. */
class Screen {
  readonly terminal = new Terminal({ theme, fontFamily, fontSize: 13, scrollback: 10_000, cursorBlink: false })
  readonly #fit = new FitAddon()
  #socket: WebSocket | undefined
  /** a guest of then may have asked the terminal something: nothing is answered to the guest of now */
  #replaying = 0

  constructor(box: HTMLElement, label: string, leave: () => void, copied: () => void) {
    AdoptedStyle.define()
    this.terminal.loadAddon(this.#fit)
    this.terminal.open(box)
    this.terminal.textarea?.setAttribute("aria-label", label)
    const text = new TextEncoder()
    this.terminal.onData((typed) => this.#send(text.encode(typed)))
    this.terminal.onBinary((typed) => this.#send(Uint8Array.from(typed, (letter) => letter.charCodeAt(0))))
    this.terminal.attachCustomKeyEventHandler((event) => {
      if (leaves(event)) {
        if (event.type === "keydown") leave()
        return false
      }
      // as terminals have it; Ctrl-C and Ctrl-V are the guest's
      if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true
      if (event.code === "KeyC") {
        event.preventDefault()
        copied()
        return false
      }
      return event.code !== "KeyV"
    })
    this.fit()
  }

  fit(): void {
    this.#fit.fit()
  }

  /** What is selected, or everything. */
  async copy(): Promise<void> {
    const selected = this.terminal.getSelection()
    if (selected !== "") return navigator.clipboard.writeText(selected)
    this.terminal.selectAll()
    const all = this.terminal.getSelection()
    this.terminal.clearSelection()
    return navigator.clipboard.writeText(all)
  }

  /** Shows what was printed, and then what came since the line was open. */
  show(log: Uint8Array, live: Uint8Array): void {
    this.terminal.reset()
    this.#replaying++
    this.terminal.write(log.subarray(0, log.length - overlap(log, live)), () => {
      this.#replaying--
    })
    // not only then: what comes meanwhile comes after it
    this.terminal.write(live)
  }

  attach(socket: WebSocket): void {
    this.#socket = socket
  }

  detach(socket: WebSocket): void {
    if (this.#socket === socket) this.#socket = undefined
  }

  #send(bytes: Uint8Array<ArrayBuffer>): void {
    const socket = this.#socket
    if (socket?.readyState !== WebSocket.OPEN || this.#replaying > 0) return
    for (let from = 0; from < bytes.length; from += piece) socket.send(bytes.subarray(from, from + piece))
  }
}

const Serial = ({ vm }: { readonly vm: Vm }) => {
  const box = useRef<HTMLDivElement>(null)
  const out = useRef<HTMLButtonElement>(null)
  const screen = useRef<Screen>(null)
  const readLog = useAtomSet(logAtom, { mode: "promiseExit" })
  const [note, setNote] = useState<string | null>(null)
  const [spoken, setSpoken] = useState(false)
  const { full, toggle } = useFullScreen(box)
  const { id, name } = vm

  const copy = useCallback(async () => {
    try {
      await screen.current?.copy()
      setNote("It is copied.")
    } catch {
      setNote("The browser does not let it be copied.")
    }
  }, [])

  useEffect(() => {
    const at = box.current
    if (at === null) return
    const made = new Screen(
      at,
      `Terminal of ${name}`,
      () => out.current?.focus(),
      () => void copy()
    )
    screen.current = made
    const observer = new ResizeObserver(() => made.fit())
    observer.observe(at)
    return () => {
      observer.disconnect()
      made.terminal.dispose()
      screen.current = null
    }
  }, [copy, name])

  const attach = useCallback(
    (socket: WebSocket) => {
      /** what came before the log was read; null: it is shown */
      let before: Array<Uint8Array> | null = []
      let closed = false
      const showAll = async () => {
        const exit = await readLog(id)
        if (closed) return
        const live = joined(before ?? [])
        before = null
        const failed = Exit.isSuccess(exit) ? null : wordsOfCause(exit.cause).detail
        setNote(failed === null ? null : `What was printed before cannot be read: ${failed}`)
        screen.current?.show(Exit.isSuccess(exit) ? exit.value : new Uint8Array(0), live)
      }
      screen.current?.attach(socket)
      socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
        if (!(data instanceof ArrayBuffer)) return
        const bytes = new Uint8Array(data)
        if (before === null) screen.current?.terminal.write(bytes)
        else before.push(bytes)
      })
      socket.addEventListener("open", () => {
        // what is typed as soon as it says to be connected is the guest's
        if (isFocusFree()) screen.current?.terminal.focus()
        // only now: what is printed in between would be in neither
        void showAll()
      })
      return () => {
        closed = true
        screen.current?.detach(socket)
      }
    },
    [id, readLog]
  )
  const line = useLine(vm, "serial", attach)
  const isOpen = line.state._tag === "open"

  // also of one that does not run, or that somebody else has
  const isShut = line.state._tag === "waiting" || line.state._tag === "busy"
  useEffect(() => {
    if (!isShut) return
    let over = false
    const showLog = async () => {
      const exit = await readLog(id)
      if (!over && Exit.isSuccess(exit)) screen.current?.show(exit.value, new Uint8Array(0))
    }
    void showLog()
    return () => {
      over = true
    }
  }, [id, isShut, readLog])

  const paste = async () => {
    try {
      screen.current?.terminal.paste(await navigator.clipboard.readText())
      screen.current?.terminal.focus()
    } catch {
      setNote("The browser does not let the clipboard be read: press Ctrl+Shift+V in the terminal.")
    }
  }
  const tellSize = () => {
    const terminal = screen.current?.terminal
    terminal?.input(`stty rows ${terminal.rows} cols ${terminal.cols}\r`)
    terminal?.focus()
  }
  return (
    <Frame
      vm={vm}
      line={line}
      title="Serial console"
      other={
        <Link to="/vms/$id/screen" params={{ id: String(id) }} className="button">
          Screen
        </Link>
      }
      tools={
        <>
          <button
            ref={out}
            type="button"
            className="button tiny"
            disabled={!isOpen}
            onClick={() => screen.current?.terminal.focus()}
          >
            Type
          </button>
          <button type="button" className="button tiny" onClick={() => void copy()}>
            Copy
          </button>
          <button type="button" className="button tiny" disabled={!isOpen} onClick={() => void paste()}>
            Paste
          </button>
          <button
            type="button"
            className="button tiny"
            disabled={!isOpen}
            title="a serial line does not tell its guest how large the terminal is: this types the command that does"
            onClick={tellSize}
          >
            Type the size
          </button>
          <button type="button" className="button tiny" aria-pressed={full} onClick={toggle}>
            Full screen
          </button>
          <button
            type="button"
            className="button tiny"
            aria-pressed={spoken}
            onClick={() => {
              if (screen.current !== null) screen.current.terminal.options.screenReaderMode = !spoken
              setSpoken(!spoken)
            }}
          >
            Screen reader
          </button>
          <span className="quiet small extra-phone">
            <kbd>Shift</kbd> <kbd>F6</kbd> leaves the terminal
          </span>
          <span className="small" role="status">
            {note ?? ""}
          </span>
        </>
      }
    >
      <div className="serial" ref={box} />
    </Frame>
  )
}

/** @since 0.8.0 @category components */
export const Console = (): ReactNode => (
  <ForVm from="/vms/$id/console">{(vm) => <Serial key={vm.uuid} vm={vm} />}</ForVm>
)
