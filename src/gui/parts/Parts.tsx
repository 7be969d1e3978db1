/**
 * Small parts that pages are made of.
 *
 * @since 0.7.0
 */
import { Atom, useAtomSet, useAtomValue } from "@effect-atom/atom-react"
import { Link } from "@tanstack/react-router"
import * as Exit from "effect/Exit"
import { lazy, type ReactNode, Suspense, useEffect, useState } from "react"
import { useAbove } from "./Above.tsx"
import { again } from "./Again.ts"
import type { Operation } from "../../api/Operations.ts"
import type { Words } from "../state/Api.ts"
import { knownAtom } from "../state/Session.ts"
import { beginAtom } from "../state/Tasks.ts"
import { type Snapshot, snapshotAtom } from "../state/Live.ts"
import { cli, type Command, type Commanded, curl } from "./Commands.ts"
import type { DialogProps } from "./Dialog.tsx"
import type { Shown } from "./Words.ts"

/** What there is now. @since 0.7.0 @category hooks */
export const useSnapshot = (): Snapshot => useAtomValue(snapshotAtom)

/** Whether it may change something; what it may not is not offered. @since 0.7.0 @category hooks */
export const useRole = (): "viewer" | "operator" | "admin" => useAtomValue(knownAtom)?.role ?? "viewer"

/** Why what needs a role cannot be done by who looks, as a `title`; absent: it can. @since 0.12.0 @category hooks */
export const useLack = (needed: "operator" | "admin"): string | undefined => {
  const role = useRole()
  return role === "admin" || role === needed ? undefined : `this needs the role ${needed}`
}

/** Begins something, and shows what becomes of it. Gives the operation; null: there is none. @since 0.7.0 @category hooks */
export const useBegin = () => {
  const begin = useAtomSet(beginAtom, { mode: "promiseExit" })
  return async (action: Commanded): Promise<Operation | null> => {
    const exit = await begin(action)
    return Exit.isSuccess(exit) ? exit.value : null
  }
}

/** Of the page that is shown; the browser tells the first one itself. */
const titleAtom = Atom.keepAlive(Atom.make({ title: "", isFirst: true }))

/** @since 0.7.0 @category hooks */
export const useTitle = (title: string): void => {
  const set = useAtomSet(titleAtom)
  useEffect(() => {
    document.title = `${title} · vmfabric`
    set((before) => ({ title, isFirst: before.title === "" }))
  }, [set, title])
}

/** Tells who does not see it that another page is shown. @since 0.13.0 @category components */
export const TitleTold = () => {
  const { isFirst, title } = useAtomValue(titleAtom)
  return (
    <p className="sr" aria-live="polite">
      {isFirst ? "" : title}
    </p>
  )
}

/** Text that is not the last of it yet. @since 0.7.0 @category hooks */
export const useSettled = <A,>(value: A, milliseconds: number): A => {
  const [settled, set] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => set(value), milliseconds)
    return () => clearTimeout(timer)
  }, [value, milliseconds])
  return settled
}

/** @since 0.7.0 @category components */
export const State = ({ tone, why, word }: Shown) => (
  <span className={`state ${tone}`} {...(why === null ? {} : { title: why })}>
    {word}
  </span>
)

/** @since 0.7.0 @category components */
export const Failure = ({ words }: { readonly words: Words }) => (
  <div className="note bad" role="alert">
    <strong>{words.title}</strong>
    {/* the list below says the rest of the sentence */}
    <p>{words.refusal?.problem ?? words.detail}</p>
    {words.refusal === null ? null : <Refusal refusal={words.refusal} />}
  </div>
)

/** Where it can be changed, as with what keeps VMs off it. */
const HostCalled = ({ name }: { readonly name: string }) => {
  const host = [...useSnapshot().hosts.values()].find((one) => one.name === name)
  return host === undefined ? (
    name
  ) : (
    <Link to="/hosts/$id" params={{ id: String(host.id) }}>
      {name}
    </Link>
  )
}

/** Which hosts will not do, and what would help. @since 0.7.0 @category components */
export const Refusal = ({
  helps = "What would help",
  refusal
}: {
  readonly refusal: NonNullable<Words["refusal"]>
  /** what is said above what would help */
  readonly helps?: string | undefined
}) => (
  <>
    <ul className="list">
      {refusal.barred.map(({ count, host, reasons }) => (
        <li key={host}>
          <span>
            <HostCalled name={host} />
            {count === 1 ? "" : ` and ${count - 1} more`}
          </span>
          <span>{reasons.join(", ")}</span>
        </li>
      ))}
    </ul>
    {refusal.repairs.length === 0 ? null : (
      <>
        <strong>{helps}</strong>
        <ul className="list">
          {refusal.repairs.map(({ text }) => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      </>
    )}
  </>
)

/** The first of a page: what it is, and what can be done with all of it. @since 0.9.0 @category components */
export const Head = ({ actions, title }: { readonly title: string; readonly actions: ReactNode }) => (
  <div className="head">
    <h1>{title}</h1>
    <div className="actions">{actions}</div>
  </div>
)

/** @since 0.7.0 @category components */
export const Empty = ({ children, title }: { readonly title: string; readonly children: ReactNode }) => (
  <div className="empty">
    <h2>{title}</h2>
    {children}
  </div>
)

const kinds = {
  VM: { to: "/vms", all: "Show all VMs", why: "It was destroyed, its creation failed, or it never was." },
  host: { to: "/hosts", all: "Show all hosts", why: "It was removed, or it never was." },
  volume: { to: "/volumes", all: "Show all volumes", why: "It was purged, its creation failed, or it never was." },
  network: {
    to: "/networks",
    all: "Show all networks",
    why: "No host has it and no VM is on it, or it never was: the address may be mistyped."
  },
  image: { to: "/images", all: "Show all images", why: "It was deleted, or it never was." },
  "instance type": {
    to: "/types",
    all: "Show all instance types",
    why: "It never was: the address may be mistyped. Those that are retired stay."
  },
  operation: { to: "/operations", all: "Show all operations", why: "It never was: the address may be mistyped." }
} as const

/** What an address names that is not there, or not any more. @since 0.8.0 @category components */
export const Missing = ({ what }: { readonly what: keyof typeof kinds }) => (
  <Empty title={`There is no such ${what}`}>
    <p>{kinds[what].why}</p>
    <Link to={kinds[what].to} className="button">
      {kinds[what].all}
    </Link>
  </Empty>
)

/** As large as what comes, so that nothing jumps. @since 0.7.0 @category components */
export const Loading = () => <div className="placeholder" role="status" aria-label="Loading" />

/** @since 0.7.0 @category components */
export const Meter = ({
  capacity,
  label,
  shown,
  used
}: {
  readonly label: string
  readonly used: number
  readonly capacity: number
  /** `beside`: the amount that is told with it */
  readonly shown: (value: number, beside: number) => string
}) => (
  <div className="meter">
    <div className="words small">
      <span>{label}</span>
      <span className="quiet">
        {shown(used, capacity)} of {shown(capacity, used)} promised
      </span>
    </div>
    <meter
      aria-label={`${label} promised`}
      min={0}
      max={Math.max(1, capacity)}
      low={Math.max(1, capacity) * 0.8}
      high={Math.max(1, capacity) * 0.95}
      optimum={0}
      value={used}
    />
  </div>
)

/** Whether that text was taken along just now, and what takes it. @since 0.13.0 @category hooks */
export const useCopied = (text: string): readonly [copied: boolean, copy: () => void] => {
  const [copied, setCopied] = useState<string | null>(null)
  useEffect(() => {
    if (copied === null) return
    const timer = setTimeout(() => setCopied(null), 2000)
    return () => clearTimeout(timer)
  }, [copied])
  return [copied === text, () => void navigator.clipboard.writeText(text).then(() => setCopied(text))]
}

/** Takes a text along. @since 0.8.0 @category components */
export const CopyButton = ({ text, what }: { readonly text: string; readonly what: string }) => {
  const [copied, copy] = useCopied(text)
  return (
    <button type="button" className="button tiny" onClick={copy}>
      {copied ? "Copied" : "Copy"}
      <span className="sr"> {what}</span>
    </button>
  )
}

const Copied = ({ text, what }: { readonly text: string; readonly what: string }) => (
  <>
    <span className="small quiet">{what}</span>
    <span />
    <pre>{text}</pre>
    <CopyButton text={text} what={`as ${what}`} />
  </>
)

/** Actions as `curl` and as the command line have them, one after the other. @since 0.8.0 @category components */
export const CommandLines = ({ actions }: { readonly actions: ReadonlyArray<Command> }) => {
  const needsToken = useAtomValue(knownAtom)?.via !== "loopback"
  return (
    <div className="command">
      <Copied what="curl" text={actions.map((action) => curl(action, needsToken)).join("\n")} />
      <Copied what="CLI" text={actions.map(cli).join("\n")} />
    </div>
  )
}

/** Several of them. @since 0.7.0 @category components */
export const Commands = ({
  actions,
  onClose
}: {
  readonly actions: ReadonlyArray<Command>
  readonly onClose: () => void
}) => (
  <Dialog title="As commands" actions={[]} onClose={onClose}>
    {actions.map((action) => (
      <section key={action.label} aria-label={action.label}>
        <h2>{action.label}</h2>
        <CommandLines actions={[action]} />
      </section>
    ))}
  </Dialog>
)

/** @since 0.7.0 @category components */
export const CommandsButton = ({ actions }: { readonly actions: ReadonlyArray<Command> }) => {
  const open = useAbove()
  return (
    <button
      type="button"
      className="button"
      onClick={() => open((close) => <Commands actions={actions} onClose={close} />)}
    >
      Copy as…
    </button>
  )
}

const DialogBox = lazy(() => again(() => import("./Dialog.tsx")).then((module) => ({ default: module.DialogBox })))

/** @since 0.7.0 @category components */
export const Dialog = ({
  actions,
  children,
  ...box
}: DialogProps & {
  /** what can be done in it, which it shows as commands, too; none: it only tells something */
  readonly actions: ReadonlyArray<Command>
}) => (
  <Suspense>
    <DialogBox {...box}>
      {children}
      {actions.length === 0 ? null : (
        <details>
          <summary className="quiet small">As commands</summary>
          <CommandLines actions={actions} />
        </details>
      )}
    </DialogBox>
  </Suspense>
)

/** Something that cannot be taken back: only who types a word is sure. @since 0.8.0 @category components */
export const Typed = ({
  actions,
  button,
  children,
  onClose,
  onSure,
  ready = true,
  title,
  word
}: {
  readonly title: string
  readonly button: string
  readonly word: string
  /** whether what it needs is there */
  readonly ready?: boolean
  /** what is done then */
  readonly actions: ReadonlyArray<Command>
  readonly onClose: () => void
  readonly onSure: () => void
  readonly children: ReactNode
}) => {
  const [typed, setTyped] = useState("")
  return (
    <Dialog title={title} actions={actions} onClose={onClose}>
      {children}
      <form
        className="field"
        onSubmit={(event) => {
          event.preventDefault()
          if (typed !== word || !ready) return
          onClose()
          onSure()
        }}
      >
        <label htmlFor="sure">
          Type <code>{word}</code> to be sure
        </label>
        <input
          id="sure"
          className="input"
          autoFocus
          autoComplete="off"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
        <div className="row">
          <button type="submit" className="button danger" disabled={typed !== word || !ready}>
            {button}
          </button>
          <button type="button" className="button" onClick={onClose}>
            Leave it
          </button>
        </div>
      </form>
    </Dialog>
  )
}

/** An action on one thing, whose name is typed. @since 0.7.0 @category components */
export const Sure = ({
  action,
  children,
  name,
  onClose,
  onDone,
  ready = true
}: {
  readonly action: Commanded
  readonly name: string
  /** whether what it needs is there */
  readonly ready?: boolean
  readonly onClose: () => void
  /** when it was answered */
  readonly onDone?: () => void
  readonly children: ReactNode
}) => {
  const begin = useBegin()
  return (
    <Typed
      title={`${action.label}?`}
      actions={[action]}
      button={action.label}
      word={name}
      ready={ready}
      onClose={onClose}
      onSure={() => void begin(action).then(onDone)}
    >
      {children}
    </Typed>
  )
}
