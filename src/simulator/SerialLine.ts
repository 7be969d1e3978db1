/**
 * Guests' serial ports: what they print goes to their log and to whoever is on the line, and what is typed there is run by a shell of one command.
 *
 * @since 0.7.0
 */
import { type LiveDomain, type SimulatedDomain, state } from "./HostState.ts"

/** Whoever is on the line. @since 0.7.0 @category models */
export interface Listener {
  readonly output: (bytes: Uint8Array) => void
  /** `off`: the domain has stopped; `taken`: somebody else is on the line now */
  readonly end: (why: "off" | "taken") => void
}

const listeners = new WeakMap<LiveDomain, Listener>()
const stopping = new WeakMap<LiveDomain, Set<() => void>>()
const watching = new WeakMap<LiveDomain, Set<() => void>>()
const shells = new WeakMap<LiveDomain, Shell>()

/** There is something else to see of the guest. @since 0.8.0 @category combinators */
export const changed = (live: LiveDomain): void => {
  for (const then of watching.get(live) ?? []) then()
}

/** Calls `then` when there may be something else to see of the guest; gives what takes that back. @since 0.8.0 @category combinators */
export const onChange = (live: LiveDomain, then: () => void): (() => void) => {
  const all = watching.get(live) ?? new Set()
  watching.set(live, all)
  all.add(then)
  return () => void all.delete(then)
}

/** The guest prints a line. @since 0.7.0 @category combinators */
export const print = (live: LiveDomain, line: string): void => {
  live.serial.push(line)
  listeners.get(live)?.output(Buffer.from(`${line}\r\n`))
  changed(live)
}

/** Calls `then` when the domain stops; gives what takes that back. @since 0.7.0 @category combinators */
export const onStop = (live: LiveDomain, then: () => void): (() => void) => {
  const all = stopping.get(live) ?? new Set()
  stopping.set(live, all)
  all.add(then)
  return () => void all.delete(then)
}

/** The domain has stopped: nobody is on its line any more. @since 0.7.0 @category combinators */
export const stopped = (live: LiveDomain | null): void => {
  if (live === null) return
  const listener = listeners.get(live)
  listeners.delete(live)
  listener?.end("off")
  for (const then of stopping.get(live) ?? []) then()
  stopping.delete(live)
}

/** Whether the line is now the listener's; without `force` it is not when somebody is on it. @since 0.7.0 @category combinators */
export const open = (live: LiveDomain, force: boolean, listener: Listener): boolean => {
  const before = listeners.get(live)
  if (before !== undefined && !force) return false
  listeners.set(live, listener)
  before?.end("taken")
  return true
}

/** The listener hangs up. @since 0.7.0 @category combinators */
export const close = (live: LiveDomain, listener: Listener): void => {
  if (listeners.get(live) === listener) listeners.delete(live)
}

/** As much as a line of a terminal takes. */
const longest = 4095

/** A shell that knows `echo`, and is silent of what it is typed. @since 0.7.0 @category models */
export class Shell {
  private line = ""

  /** What it prints of what was typed. */
  typed(bytes: Uint8Array): ReadonlyArray<string> {
    const lines = (this.line + Buffer.from(bytes).toString("latin1")).split(/\r\n|\r|\n/)
    this.line = (lines.pop() ?? "").slice(0, longest)
    return lines.flatMap((line) => {
      const [word = "", ...words] = line.trim().split(/\s+/)
      if (word === "") return []
      return word === "echo" ? [words.join(" ").replaceAll(/["']/g, "")] : [`sh: ${word}: not found`]
    })
  }
}

/** Somebody types; a guest that is not up, or stands still, does not hear it. @since 0.7.0 @category combinators */
export const type = ({ live, state: at }: SimulatedDomain, bytes: Uint8Array): void => {
  if (live === null || live.guest.phase !== "up" || at === state.paused) return
  const shell = shells.get(live) ?? new Shell()
  shells.set(live, shell)
  for (const line of shell.typed(bytes)) print(live, line)
}
