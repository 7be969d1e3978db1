/**
 * What can go wrong with a simulated Ceph cluster, on demand.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import type { Operation } from "../ceph/Protocol.ts"
import type { Moment } from "./Faults.ts"

/** What a client is refused with: the errno's name, as in `ENOENT`, what Ceph says, and what it was at, or after how many of a list. @since 0.2.0 @category errors */
export interface Refusal {
  readonly errno: string
  readonly detail: string
  readonly at?: string
  readonly done?: number
}

/** @since 0.2.0 @category models */
export interface Failure {
  /** as in `EBUSY` */
  readonly errno: string
  readonly detail?: string
  /** only the nth call from now on, counted from 1; absent: every one */
  readonly nth?: number
  /** whether the call takes effect all the same; default: it does not */
  readonly effect?: boolean
}

/** Calls are counted from the cluster's start. @since 0.2.0 @category models */
export interface ClusterFaults {
  /** Nobody serves the data: calls are not answered, and images cannot be opened, until it is switched off again. */
  readonly osdsDead: (on: boolean) => Effect.Effect<void>
  /** Other things take this much of the pool (bytes). */
  readonly fill: (bytes: number) => Effect.Effect<void>
  /** Calls are not answered until this is switched off again; then they go on. */
  readonly hang: (which: Operation | "all", on: boolean, moment?: Moment) => Effect.Effect<void>
  readonly fail: (operation: Operation, failure: Failure) => Effect.Effect<void>
  /** Runs with every call (or only the nth from now on) until `clear`; the call waits for it. */
  readonly onCall: (
    operation: Operation,
    moment: Moment,
    effect: Effect.Effect<void>,
    options?: { readonly nth?: number }
  ) => Effect.Effect<void>
  /** Every session's process is killed: what it was doing is not answered any more. */
  readonly killSessions: Effect.Effect<void>
  /** How many calls have arrived. */
  readonly calls: (operation: Operation) => Effect.Effect<number>
  /** Takes back everything above; hanging calls go on. */
  readonly clear: Effect.Effect<void>
}

/** What the cluster asks of the faults. @since 0.2.0 @category models */
export interface Gate {
  readonly faults: ClusterFaults
  /** The call with everything around it that was asked for. */
  readonly around: <A>(operation: Operation, call: Effect.Effect<A, Refusal>) => Effect.Effect<A, Refusal>
  /** bytes that other things take */
  readonly filled: () => number
  readonly osdsAreDead: () => boolean
  /** Told of each session, with what kills it; gives what takes it away again. */
  readonly session: (kill: () => void) => () => void
}

interface Counted {
  readonly operation: Operation
  readonly nth: number | undefined
  seen: number
}

const due = (counted: Counted): boolean => {
  counted.seen++
  return counted.nth === undefined || counted.seen === counted.nth
}

/** what monitors and managers answer */
const needsNoOsd: ReadonlyArray<Operation> = ["open", "cluster", "usage"]

/** @since 0.2.0 @category constructors */
export const make: Effect.Effect<Gate> = Effect.sync(() => {
  const counts = new Map<Operation, number>()
  const hanging = new Map<Operation | "all", { readonly moment: Moment; readonly latch: Effect.Latch }>()
  const failures: Array<Counted & { readonly failure: Failure }> = []
  const hooks: Array<Counted & { readonly moment: Moment; readonly effect: Effect.Effect<void> }> = []
  const sessions = new Set<() => void>()
  const osds = Effect.unsafeMakeLatch(true)
  let dead = false
  let filled = 0

  const waitFor = (which: Operation | "all", moment: Moment): Effect.Effect<void> => {
    const held = hanging.get(which)
    return held !== undefined && held.moment === moment ? held.latch.await : Effect.void
  }

  const hookAt = (operation: Operation, moment: Moment): Effect.Effect<void> =>
    Effect.forEach(
      hooks.filter((hook) => hook.operation === operation && hook.moment === moment),
      (hook) => (due(hook) ? hook.effect : Effect.void),
      { discard: true }
    )

  const release = (which: Operation | "all"): Effect.Effect<void> =>
    Effect.suspend(() => {
      const held = hanging.get(which)
      hanging.delete(which)
      return held === undefined ? Effect.void : Effect.asVoid(held.latch.open)
    })

  const osdsDead: ClusterFaults["osdsDead"] = (on) =>
    Effect.suspend(() => {
      dead = on
      return Effect.asVoid(on ? osds.close : osds.open)
    })

  const faults: ClusterFaults = {
    osdsDead,
    fill: (bytes) =>
      Effect.sync(() => {
        filled = bytes
      }),
    hang: (which, on, moment = "before") =>
      on
        ? Effect.zipRight(
            release(which),
            Effect.sync(() => {
              hanging.set(which, { moment, latch: Effect.unsafeMakeLatch(false) })
            })
          )
        : release(which),
    fail: (operation, failure) =>
      Effect.sync(() => {
        failures.push({ operation, failure, nth: failure.nth, seen: 0 })
      }),
    onCall: (operation, moment, effect, options) =>
      Effect.sync(() => {
        hooks.push({ operation, moment, effect, nth: options?.nth, seen: 0 })
      }),
    killSessions: Effect.sync(() => {
      for (const kill of sessions) kill()
    }),
    calls: (operation) => Effect.sync(() => counts.get(operation) ?? 0),
    clear: Effect.suspend(() => {
      failures.length = 0
      hooks.length = 0
      filled = 0
      return Effect.zipRight(osdsDead(false), Effect.forEach([...hanging.keys()], release, { discard: true }))
    })
  }

  const around: Gate["around"] = (operation, call) =>
    Effect.gen(function* () {
      counts.set(operation, (counts.get(operation) ?? 0) + 1)
      yield* hookAt(operation, "before")
      const failing = failures.filter((entry) => entry.operation === operation).filter(due)[0]?.failure
      const refusal =
        failing === undefined ? undefined : { errno: failing.errno, detail: failing.detail ?? "refused on demand" }
      yield* waitFor("all", "before")
      yield* waitFor(operation, "before")
      if (!needsNoOsd.includes(operation)) yield* osds.await
      if (refusal !== undefined && failing?.effect !== true) return yield* Effect.fail(refusal)
      const reply = yield* call
      yield* waitFor("all", "after")
      yield* waitFor(operation, "after")
      yield* hookAt(operation, "after")
      return refusal === undefined ? reply : yield* Effect.fail(refusal)
    })

  return {
    faults,
    around,
    filled: () => filled,
    osdsAreDead: () => dead,
    session: (kill) => {
      sessions.add(kill)
      return () => sessions.delete(kill)
    }
  }
})
