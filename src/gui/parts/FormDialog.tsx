/**
 * What has to be said before something is done, and what the controller says to that.
 *
 * @since 0.8.0
 */
import { Result, type Atom, useAtomSet, useAtomValue } from "@effect-atom/atom-react"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { type ReactNode, useRef, useState } from "react"
import type { Operation } from "../../api/Operations.ts"
import { isUnknown, type Words, wordsOfCause } from "../state/Api.ts"
import { beginAtom } from "../state/Tasks.ts"
import type { Commanded } from "./Commands.ts"
import { type FieldLabels, inLabels } from "./InLabels.ts"
import { Dialog, Failure, Loading, useCopied } from "./Parts.tsx"

/** Each field of it as it is filled in. */
const filledIn = (form: HTMLFormElement): string =>
  JSON.stringify(
    [...form.elements].map((field) =>
      field instanceof HTMLInputElement
        ? field.type === "checkbox" || field.type === "radio"
          ? field.checked
          : field.value
        : field instanceof HTMLSelectElement || field instanceof HTMLTextAreaElement
          ? field.value
          : null
    )
  )

/** Stays with what was typed when it is refused, and says why. @since 0.8.0 @category components */
export const FormDialog = ({
  action,
  button,
  children,
  danger = false,
  labels = {},
  onClose,
  onDone,
  onRefused,
  ready = true,
  title
}: {
  readonly title: string
  readonly action: Commanded
  /** as the action's label unless it is said */
  readonly button?: string
  readonly danger?: boolean
  /** what its fields are called, for what is said of them @since 0.13.0 */
  readonly labels?: FieldLabels
  /** whether what is needed was said */
  readonly ready?: boolean
  readonly onClose: () => void
  /** with the operation that does it; null: it is done */
  readonly onDone?: (operation: Operation | null) => void
  /** with what is said to it, for a form that tells it at its field, too; null: it is no longer what it says @since 0.12.0 */
  readonly onRefused?: (words: Words | null) => void
  readonly children: ReactNode
}) => {
  const begin = useAtomSet(beginAtom, { mode: "promiseExit" })
  const [words, setWords] = useState<Words | null>(null)
  const [asking, setAsking] = useState(false)
  const form = useRef<HTMLFormElement>(null)
  const first = useRef<string>(null)
  // what others change in it meanwhile was not filled in here
  const touched = useRef(false)
  const touch = () => {
    touched.current = true
  }
  const submit = async () => {
    if (!ready || asking) return
    setAsking(true)
    const exit = await begin({ ...action, refusedHere: true, doneHere: true })
    setAsking(false)
    if (Exit.isFailure(exit)) {
      const refusal = inLabels(wordsOfCause(exit.cause), labels)
      setWords(refusal)
      onRefused?.(refusal)
      return
    }
    touched.current = false
    onClose()
    onDone?.(exit.value)
  }
  return (
    <Dialog
      title={title}
      actions={[action]}
      onClose={onClose}
      isChanged={() => touched.current && form.current !== null && filledIn(form.current) !== first.current}
    >
      <form
        ref={(shown) => {
          form.current = shown
          if (shown !== null) first.current ??= filledIn(shown)
        }}
        className="fields"
        noValidate
        // what was refused is no longer what it says
        onChange={() => {
          touch()
          setWords(null)
          onRefused?.(null)
        }}
        onClick={touch}
        onSubmit={(event) => {
          event.preventDefault()
          void submit()
        }}
      >
        {words === null ? null : <Failure words={words} />}
        {children}
        <div className="row">
          <button type="submit" className={`button ${danger ? "danger" : "primary"}`} disabled={!ready || asking}>
            {button ?? action.label}
          </button>
          <button type="button" className="button" data-safe onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  )
}

/** Something that is told once. @since 0.8.0 @category components */
export const SecretDialog = ({
  children,
  onClose,
  secret,
  title
}: {
  readonly title: string
  readonly secret: string
  readonly onClose: () => void
  readonly children: ReactNode
}) => {
  const [copied, copy] = useCopied(secret)
  return (
    <Dialog title={title} actions={[]} onClose={onClose} once>
      <div className="note warn">
        <strong>Copy it now: it is not told again.</strong>
        {children}
      </div>
      <div className="command">
        <pre>{secret}</pre>
        <button type="button" className="button tiny" data-safe onClick={copy}>
          {copied ? "Copied" : "Copy the secret"}
        </button>
      </div>
      <div className="row">
        <button type="button" className="button primary" onClick={onClose}>
          I have it
        </button>
      </div>
    </Dialog>
  )
}

/** What has to be read first. @since 0.8.0 @category components */
export const Loaded = <A,>({
  atom,
  children
}: {
  readonly atom: Atom.Atom<Result.Result<A, unknown>>
  readonly children: (value: A) => ReactNode
}): ReactNode => {
  const read = useAtomValue(atom)
  if (Result.isSuccess(read)) return children(read.value)
  // as it was, while somebody signs in again
  if (Result.isFailure(read) && isUnknown(Cause.squash(read.cause)) && Option.isSome(read.previousSuccess)) {
    return children(read.previousSuccess.value.value)
  }
  return Result.isFailure(read) ? <Failure words={wordsOfCause(read.cause)} /> : <Loading />
}
