/**
 * How an operation may end that was under way when its controller was killed.
 */
import type { OperationKind } from "../../src/domain/Operation.ts"
import * as Kinds from "../../src/operations/Kinds.ts"

/** What is known of one. `passed`: all points that its kind passes, in their order; `point`: where it was. */
export interface Struck {
  readonly kind: OperationKind
  readonly passed: ReadonlyArray<string>
  readonly point: string
}

/** Whether all that it does was recorded as done by then, so that no host had to be asked for anything more. */
export const wasThrough = ({ kind, passed, point }: Struck): boolean => {
  const ends = Kinds.kinds[kind].steps.flatMap((step) => {
    const at = passed.findIndex((one) => one.includes(`do ${step} done`) && one.endsWith(": after"))
    return at === -1 ? [] : [at]
  })
  return ends.length > 0 && passed.indexOf(point) >= Math.max(...ends)
}

/**
 * Done, or undone because its host was taken for dead, as on a machine that leaves the next controller no time: a user expects that of what can be taken
 * back and was not through. What only goes forward waits for its host instead.
 */
export const isRight = (struck: Struck, state: string, error: string | null): boolean =>
  state === "done" ||
  (state === "failed" &&
    error !== null &&
    /^host [^:]* cannot be used: /.test(error) &&
    Kinds.kinds[struck.kind].goes === "both ways" &&
    !wasThrough(struck))
