/**
 * What a process that soaks sources with a bug has found.
 */

export interface Finding {
  /** null: not found, for the reason in `told` */
  readonly invariant: string | null
  readonly seed: string
  readonly requests: string
  readonly told: string
}

/** How it ended: by itself or by somebody's signal, or because it was not over after so many minutes. */
export type End =
  { readonly code: number | null; readonly signal: NodeJS.Signals | null } | { readonly minutes: number }

const violation =
  /seed (?<seed>[0-9]+), after (?<requests>[0-9]+) requests, against "(?<invariant>[^"]+)": (?<told>[^\n]*)/
const stuck = /the run with seed (?<seed>[0-9]+) (?<told>waits at .* for something that will never come)/
const green = /^seed [0-9]+: /gm

/** By what it said. One that cannot even begin, or is ended before the last of its seeds, has found nothing. */
export const read = (said: string, seeds: number, end: End): Finding => {
  const {
    invariant = null,
    requests = "",
    seed = "",
    told = ""
  } = (violation.exec(said) ?? stuck.exec(said))?.groups ?? {}
  if (invariant !== null) return { invariant, seed, requests, told }
  if (told !== "") return { invariant: "something happens", seed, requests, told }
  const over = said.match(green)?.length ?? 0
  return { invariant: null, seed, requests, told: reason(said, seeds, over, end) }
}

/** What is told of a run that has found nothing, for there was nothing. */
export const allGreen = "every seed is green"

const reason = (said: string, seeds: number, over: number, end: End): string => {
  if ("minutes" in end) return `not over after ${end.minutes} minutes, ${over} of ${seeds} seeds are green`
  if (end.signal !== null) return `ended by ${end.signal} after ${over} of ${seeds} seeds`
  // Node ends so by itself when it was asked to by a signal
  if (end.code === 0 || end.code === 130 || end.code === 143) {
    return over === seeds ? allGreen : `ended after ${over} of ${seeds} seeds`
  }
  return `the soak itself failed: ${said.slice(-1000)}`
}
