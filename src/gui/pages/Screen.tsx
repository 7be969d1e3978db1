/**
 * A VM's screen, keyboard and mouse, by VNC.
 *
 * @since 0.8.0
 */
import RFB from "@novnc/novnc"
import { Link } from "@tanstack/react-router"
import { type ReactNode, useCallback, useEffect, useRef, useState } from "react"
import type { Vm } from "../../api/Vms.ts"
import { ForVm, Frame, leaves, useFullScreen } from "../console/Frame.tsx"
import { useLine } from "../console/Line.ts"
import { isFocusFree } from "../parts/Kept.ts"

/** X11's keysyms that have no letter. */
const keysyms = { tab: 0xff09, enter: 0xff0d, shift: 0xffe1 } as const

const keysymOf = (letter: string): number => {
  if (letter === "\n") return keysyms.enter
  if (letter === "\t") return keysyms.tab
  const point = letter.codePointAt(0) ?? 0
  return point < 0x100 ? point : 0x0100_0000 + point
}

/** What has to be shifted on the keyboard that QEMU takes a viewer's for. */
const isShifted = (letter: string): boolean => /[A-Z~!@#$%^&*()_+{}|:"<>?]/.test(letter)

/** Types a text as keys, for guests that know no clipboard. */
const typeInto = (rfb: RFB, text: string): void => {
  for (const letter of text.replaceAll("\r\n", "\n")) {
    const shifted = isShifted(letter)
    if (shifted) rfb.sendKey(keysyms.shift, "ShiftLeft", true)
    rfb.sendKey(keysymOf(letter), null)
    if (shifted) rfb.sendKey(keysyms.shift, "ShiftLeft", false)
  }
}

const Clipboard = ({ fromGuest, rfb }: { readonly fromGuest: string; readonly rfb: RFB | null }) => {
  const [text, setText] = useState(fromGuest)
  useEffect(() => setText(fromGuest), [fromGuest])
  return (
    <div className="card">
      <div className="field">
        <label htmlFor="clipboard">Clipboard</label>
        <textarea
          id="clipboard"
          className="input"
          rows={3}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
      </div>
      <div className="row">
        <button
          type="button"
          className="button tiny"
          disabled={rfb === null}
          onClick={() => rfb?.clipboardPasteFrom(text)}
        >
          Give it to the guest
        </button>
        <button
          type="button"
          className="button tiny"
          disabled={rfb === null}
          title="as keys of a US keyboard, for guests that know no clipboard"
          onClick={() => rfb !== null && typeInto(rfb, text)}
        >
          Type it
        </button>
        <span className="quiet small">What the guest copies is shown here.</span>
      </div>
    </div>
  )
}

const Graphical = ({ vm }: { readonly vm: Vm }) => {
  const box = useRef<HTMLDivElement>(null)
  const out = useRef<HTMLButtonElement>(null)
  const [rfb, setRfb] = useState<RFB | null>(null)
  const [fits, setFits] = useState(true)
  const [clipboard, setClipboard] = useState(false)
  const [copied, setCopied] = useState("")
  const [refusal, setRefusal] = useState<string | null>(null)
  const { full, toggle } = useFullScreen(box)

  const attach = useCallback((socket: WebSocket) => {
    const at = box.current
    if (at === null) return () => {}
    const made = new RFB(at, socket, { shared: true })
    made.background = "transparent"
    let ended = false
    made.addEventListener("connect", () => {
      setRefusal(null)
      setRfb(made)
      if (isFocusFree()) made.focus()
    })
    made.addEventListener("disconnect", () => {
      ended = true
    })
    made.addEventListener("credentialsrequired", () => {
      setRefusal(
        "Its host asks for a password of its own, which this page has no place for: take it out of the domain's XML."
      )
    })
    made.addEventListener("securityfailure", ({ detail: { reason } }) =>
      setRefusal(`Its host refuses${reason === undefined ? "" : `: ${reason}`}`)
    )
    made.addEventListener("clipboard", ({ detail: { text } }) => setCopied(text))
    return () => {
      setRfb((now) => (now === made ? null : now))
      if (!ended) made.disconnect()
    }
  }, [])
  const line = useLine(vm, "vnc", attach)

  useEffect(() => {
    if (rfb === null) return
    rfb.scaleViewport = fits
    rfb.clipViewport = !fits
    rfb.dragViewport = false
  }, [rfb, fits])

  // before noVNC, which keeps all keys to itself
  useEffect(() => {
    const at = box.current
    const leave = (event: KeyboardEvent) => {
      if (!leaves(event)) return
      event.preventDefault()
      event.stopPropagation()
      out.current?.focus()
    }
    at?.addEventListener("keydown", leave, true)
    return () => at?.removeEventListener("keydown", leave, true)
  }, [])

  return (
    <Frame
      vm={vm}
      line={line}
      title="Screen"
      other={
        <Link to="/vms/$id/console" params={{ id: String(vm.id) }} className="button">
          Serial console
        </Link>
      }
      tools={
        <>
          <button ref={out} type="button" className="button tiny" disabled={rfb === null} onClick={() => rfb?.focus()}>
            Type
          </button>
          <button
            type="button"
            className="button tiny"
            disabled={rfb === null}
            onClick={() => {
              rfb?.sendCtrlAltDel()
              rfb?.focus()
            }}
          >
            Ctrl-Alt-Del
          </button>
          <button
            type="button"
            className="button tiny"
            aria-expanded={clipboard}
            onClick={() => setClipboard(!clipboard)}
          >
            Clipboard
          </button>
          <button type="button" className="button tiny" aria-pressed={fits} onClick={() => setFits(!fits)}>
            Fit the window
          </button>
          <button type="button" className="button tiny" aria-pressed={full} onClick={toggle}>
            Full screen
          </button>
          <span className="quiet small extra-phone">
            <kbd>Shift</kbd> <kbd>F6</kbd> leaves the screen
          </span>
        </>
      }
    >
      {refusal === null ? null : (
        <div className="note bad" role="alert">
          <p>{refusal}</p>
        </div>
      )}
      {clipboard ? <Clipboard fromGuest={copied} rfb={rfb} /> : null}
      <div className="vnc" ref={box} role="application" aria-label={`Screen of ${vm.name}`} />
    </Frame>
  )
}

/** @since 0.8.0 @category components */
export const Screen = (): ReactNode => (
  <ForVm from="/vms/$id/screen">{(vm) => <Graphical key={vm.uuid} vm={vm} />}</ForVm>
)
