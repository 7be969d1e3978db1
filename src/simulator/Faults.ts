/**
 * What can go wrong on a simulated host, on demand.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Args, ProcedureName, Reply } from "../libvirt/Procedures.ts"
import { Refusal } from "./Refusal.ts"

/** Which calls a fault is about. @since 0.1.0 @category models */
export type Which = ProcedureName | "all"

/** `before`: the call has done nothing yet; `after`: it has taken effect and its reply is not on the way yet. @since 0.1.0 @category models */
export type Moment = "before" | "after"

/** @since 0.1.0 @category models */
export interface Failure {
  /** virErrorNumber */
  readonly code: number
  readonly message: string
  /** virErrorDomain, 10 (QEMU) unless said */
  readonly domain?: number
  /** errno, for code 38 */
  readonly int1?: number
  /** only the nth call from now on, counted from 1; absent: every one */
  readonly nth?: number
  /** whether the call takes effect all the same; default: it does not */
  readonly effect?: boolean
}

/** What befalls one call among many. @since 0.3.0 @category models */
export interface Mishap {
  /** from 0 to 1: how many of the calls */
  readonly share: number
  /** from 0 to 1: decides about each call */
  readonly random: () => number
  /** the call begins only after this time, or it fails and has done nothing */
  readonly what: Duration.Duration | Pick<Failure, "code" | "message">
}

/**
 * Faults of calls to the daemon. Procedures are counted from the host's start; nothing here is reset by a daemon's restart.
 *
 * @since 0.1.0 @category models
 */
export interface CallFaults {
  /** Calls are not answered until this is switched off again; then they go on. */
  readonly hang: (which: Which, on: boolean, moment?: Moment) => Effect.Effect<void>
  /** Calls begin only after this time; zero: at once again. */
  readonly slow: (which: Which, by: Duration.DurationInput) => Effect.Effect<void>
  readonly fail: (procedure: ProcedureName, failure: Failure) => Effect.Effect<void>
  /** Befalls some of all calls; gives what takes it back. */
  readonly befall: (mishap: Mishap) => Effect.Effect<Effect.Effect<void>>
  /** Replies are changed on their way out; the host's state is not. */
  readonly lieAbout: <P extends ProcedureName>(
    procedure: P,
    lie: (truth: Reply<P>, args: Args<P>) => Reply<P>
  ) => Effect.Effect<void>
  /** Runs with every call (or only the nth from now on) until `clear`; the call waits for it. */
  readonly onCall: (
    procedure: ProcedureName,
    moment: Moment,
    effect: Effect.Effect<void>,
    options?: { readonly nth?: number }
  ) => Effect.Effect<void>
  /** Runs once, as soon as this many more bytes of uploads have arrived; the stream waits for it. */
  readonly onUploaded: (bytes: number, effect: Effect.Effect<void>) => Effect.Effect<void>
  /** The next reply of the daemon cannot be decoded. */
  readonly corruptNextReply: Effect.Effect<void>
  /** How many calls have arrived. */
  readonly calls: (procedure: ProcedureName) => Effect.Effect<number>
  /** Takes back everything above; hanging calls go on. */
  readonly clear: Effect.Effect<void>
}

type Lies = { [P in ProcedureName]?: (truth: Reply<P>, args: Args<P>) => Reply<P> }

interface Counted {
  seen: number
  readonly nth: number | undefined
}

/** What the daemon asks of the faults at each call. @since 0.1.0 @category models */
export interface Gate {
  readonly faults: CallFaults
  /** The handler with everything around it that was asked for; `inTurn` is what may have to wait for other calls. */
  readonly around: <P extends ProcedureName>(
    procedure: P,
    args: Args<P>,
    handler: Effect.Effect<Reply<P>, Refusal>,
    inTurn: <A>(job: Effect.Effect<A, Refusal>) => Effect.Effect<A, Refusal>
  ) => Effect.Effect<Reply<P>, Refusal>
  /** Told of every stream packet that has arrived. */
  readonly streamed: (bytes: number) => Effect.Effect<void>
  /** Whether this reply is the one to corrupt. */
  readonly takeCorruption: () => boolean
}

const due = (counted: Counted): boolean => {
  counted.seen++
  return counted.nth === undefined || counted.seen === counted.nth
}

/** @since 0.1.0 @category constructors */
export const make: Effect.Effect<Gate> = Effect.sync(() => {
  const counts = new Map<ProcedureName, number>()
  const hanging = new Map<string, { readonly moment: Moment; readonly latch: Effect.Latch }>()
  const delays = new Map<Which, Duration.Duration>()
  const failures: Array<Counted & { readonly procedure: ProcedureName; readonly failure: Failure }> = []
  const hooks: Array<
    Counted & { readonly procedure: ProcedureName; readonly moment: Moment; readonly effect: Effect.Effect<void> }
  > = []
  const mishaps = new Set<Mishap>()
  let lies: Lies = {}
  let corrupt = false
  let uploads: Array<{ left: number; readonly effect: Effect.Effect<void> }> = []

  const waitFor = (which: Which, moment: Moment): Effect.Effect<void> => {
    const held = hanging.get(which)
    return held !== undefined && held.moment === moment ? held.latch.await : Effect.void
  }

  const hookAt = (procedure: ProcedureName, moment: Moment): Effect.Effect<void> =>
    Effect.forEach(
      hooks.filter((hook) => hook.procedure === procedure && hook.moment === moment),
      (hook) => (due(hook) ? hook.effect : Effect.void),
      { discard: true }
    )

  const release = (which: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const held = hanging.get(which)
      hanging.delete(which)
      return held === undefined ? Effect.void : Effect.asVoid(held.latch.open)
    })

  const faults: CallFaults = {
    hang: (which, on, moment = "before") =>
      on
        ? Effect.zipRight(
            release(which),
            Effect.sync(() => {
              hanging.set(which, { moment, latch: Effect.unsafeMakeLatch(false) })
            })
          )
        : release(which),
    slow: (which, by) =>
      Effect.sync(() => {
        const delay = Duration.decode(by)
        if (Duration.equals(delay, Duration.zero)) delays.delete(which)
        else delays.set(which, delay)
      }),
    fail: (procedure, failure) =>
      Effect.sync(() => {
        failures.push({ procedure, failure, nth: failure.nth, seen: 0 })
      }),
    befall: (mishap) =>
      Effect.sync(() => {
        mishaps.add(mishap)
        return Effect.sync(() => void mishaps.delete(mishap))
      }),
    lieAbout: (procedure, lie) =>
      Effect.sync(() => {
        lies = { ...lies, [procedure]: lie }
      }),
    onCall: (procedure, moment, effect, options) =>
      Effect.sync(() => {
        hooks.push({ procedure, moment, effect, nth: options?.nth, seen: 0 })
      }),
    onUploaded: (bytes, effect) =>
      Effect.sync(() => {
        uploads.push({ left: bytes, effect })
      }),
    corruptNextReply: Effect.sync(() => {
      corrupt = true
    }),
    calls: (procedure) => Effect.sync(() => counts.get(procedure) ?? 0),
    clear: Effect.suspend(() => {
      delays.clear()
      failures.length = 0
      hooks.length = 0
      mishaps.clear()
      lies = {}
      corrupt = false
      uploads = []
      return Effect.forEach([...hanging.keys()], release, { discard: true })
    })
  }

  const refusal = (failing: Failure): Refusal =>
    new Refusal({
      code: failing.code,
      domain: failing.domain ?? 10,
      message: failing.message,
      str1: "%s",
      str2: failing.message,
      int1: failing.int1 ?? -1
    })

  /** What chance has for this call. */
  const suffer: Effect.Effect<void, Refusal> = Effect.suspend(() => {
    const hit = [...mishaps].filter(({ random, share }) => random() < share)
    return Effect.forEach(hit, ({ what }) => (Duration.isDuration(what) ? Clock.sleep(what) : refusal(what)), {
      discard: true
    })
  })

  const around: Gate["around"] = (procedure, args, handler, inTurn) =>
    Effect.gen(function* () {
      counts.set(procedure, (counts.get(procedure) ?? 0) + 1)
      yield* hookAt(procedure, "before")
      const failing = failures.filter((entry) => entry.procedure === procedure).filter(due)[0]?.failure
      const failure = failing === undefined ? undefined : refusal(failing)
      const reply = yield* inTurn(
        Effect.gen(function* () {
          const delay = delays.get(procedure) ?? delays.get("all")
          if (delay !== undefined) yield* Clock.sleep(delay)
          if (mishaps.size > 0) yield* suffer
          yield* waitFor("all", "before")
          yield* waitFor(procedure, "before")
          if (failure !== undefined && failing?.effect !== true) return yield* failure
          const reply = yield* handler
          yield* waitFor("all", "after")
          yield* waitFor(procedure, "after")
          return reply
        })
      )
      yield* hookAt(procedure, "after")
      if (failure !== undefined) return yield* failure
      const lie = lies[procedure]
      return lie === undefined ? reply : lie(reply, args)
    })

  return {
    faults,
    around,
    streamed: (bytes) =>
      Effect.suspend(() => {
        for (const entry of uploads) entry.left -= bytes
        const reached = uploads.filter(({ left }) => left <= 0)
        uploads = uploads.filter(({ left }) => left > 0)
        return Effect.forEach(reached, ({ effect }) => effect, { discard: true })
      }),
    takeCorruption: () => {
      const now = corrupt
      corrupt = false
      return now
    }
  }
})
