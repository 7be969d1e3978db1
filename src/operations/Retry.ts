/**
 * Trying again, for all operations in this one place: how often, how far apart, and when not at all.
 *
 * - A host that is not up is not asked: the monitor asks it, and tells when it is back.
 * - Who does not answer is tried a few times within seconds, then given up or waited for, as the policy says.
 * - A host that is declared lost is not waited for: what had to be undone there is gone, and all else fails.
 * - All that is given up some time is given up at the latest when the operation's budget of tries is used up.
 *
 * @since 0.3.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import {
  type GuestHoldsDevice,
  type GuestIgnores,
  type HostError,
  type HostUnreachable,
  type ImageRefused,
  OperationTimeout,
  type PersistenceError,
  type StorageError,
  type StorageUnreachable,
  type VolumeConflict
} from "../domain/Errors.ts"
import type { HostId } from "../domain/Ids.ts"
import type { HostMonitor } from "../services/HostMonitor.ts"
import type { Watchdog } from "./Watchdog.ts"

/** What a step can fail with. @since 0.3.0 @category errors */
export type StepError =
  | HostError
  | StorageError
  | ImageRefused
  | GuestHoldsDevice
  | GuestIgnores
  | VolumeConflict
  | OperationTimeout
  | PersistenceError

/** Somebody asked for it. @since 0.3.0 @category errors */
export class Cancelled extends Data.TaggedError("Cancelled") {
  override get message(): string {
    return "it was cancelled"
  }
}

/** @since 0.3.0 @category models */
export type Hosts = ReadonlyArray<{ readonly id: HostId; readonly name: string }>

/**
 * `silence`: of who does not answer; `refusal`: of who does. `never` again, a `few` times within seconds, or `always`, for as long as it
 * takes.
 *
 * @since 0.3.0 @category models
 */
export interface Policy {
  readonly silence: "few" | "always"
  readonly refusal: "never" | "few" | "always" | "always unless held"
}

/** @since 0.3.0 @category models */
export interface Work {
  /** as in `step define` */
  readonly what: string
  readonly effect: Effect.Effect<void, StepError>
  /** that it works on, and that have to be up */
  readonly hosts: Hosts
  /** of one try */
  readonly limit: Duration.DurationInput
  readonly policy: Policy
  /** fails as soon as going on is no use any more; null: nothing ends it from outside */
  readonly halted: Effect.Effect<never, Cancelled | OperationTimeout> | null
  /** whether that also interrupts a try; else it is for the waits only */
  readonly interruptible: boolean
}

/** What cannot go on for now. `waitsFor` null: there is an answer, and it is no. @since 0.3.0 @category models */
export interface Stuck {
  readonly reason: string
  readonly waitsFor: "host" | "storage" | null
  /** who is waited for, when that is a host */
  readonly host: HostId | null
}

/** @since 0.3.0 @category models */
export interface Listener {
  readonly onTry: Effect.Effect<void>
  /** what is waited for before the next try, in words; null: nothing any more */
  readonly onWait: (words: string | null) => Effect.Effect<void>
  /** null: it goes on again */
  readonly onStuck: (stuck: Stuck | null) => Effect.Effect<void>
}

/** How many tries of an operation may fail in all. @since 0.3.0 @category constants */
export const budget = 24

/** How often somebody may refuse what has to succeed some time before those who wait are told. */
const patience = 3

/** For a daemon that is being restarted or a connection that just broke. */
const quickLimit = Duration.seconds(6)

/** A few quick tries. One that answers only by the end of a time limit is not asked five times. */
const quickly = Schedule.exponential("250 millis", 2).pipe(
  Schedule.jittered,
  Schedule.intersect(Schedule.recurs(4)),
  Schedule.upTo(quickLimit)
)

/** Between tries of what nobody watches for us. */
const pause = Duration.seconds(3)

/** For what is refused and has to succeed some time, and must not load the host meanwhile. */
const patiently = Schedule.exponential("500 millis", 2).pipe(
  Schedule.jittered,
  Schedule.union(Schedule.spaced("1 minute"))
)

/** How long a runner waits before it is started again after the database failed. @since 0.3.0 @category schedules */
export const databaseRetry = Schedule.exponential("200 millis", 2).pipe(
  Schedule.jittered,
  Schedule.union(Schedule.spaced("10 seconds"))
)

/** @since 0.3.0 @category predicates */
export const isUnreachable = (error: StepError): error is HostUnreachable | StorageUnreachable =>
  error._tag === "HostUnreachable" || error._tag === "StorageUnreachable"

/** The host that does not answer; null: it is not a host. @since 0.3.0 @category getters */
export const silentHost = (hosts: Hosts, error: StepError): HostId | null =>
  error._tag === "HostUnreachable" ? ((hosts.find(({ name }) => name === error.host) ?? hosts[0])?.id ?? null) : null

/** As in `5 minutes`. @since 0.3.0 @category conversions */
export const inWords = (input: Duration.DurationInput): string => {
  const seconds = Math.round(Duration.toSeconds(input))
  const units = [
    [3600, "hour"],
    [60, "minute"]
  ] as const
  const [size, unit] = units.find(([size]) => seconds >= size && seconds % size === 0) ?? [1, "second"]
  return `${seconds / size} ${unit}${seconds === size ? "" : "s"}`
}

/** One sentence: the failure's own message; a defect is named as such and stays whole in the log. @since 0.3.0 @category conversions */
export const describe = (cause: Cause.Cause<{ readonly message: string }>): string => {
  const failure = Cause.failureOption(cause)
  if (failure._tag === "Some") return failure.value.message
  const defect = Cause.squash(cause)
  return `internal error: ${defect instanceof Error ? defect.message : String(defect)}`
}

const waitingFor = (error: StepError): string => {
  switch (error._tag) {
    case "HostUnreachable":
      return `host ${error.host} does not answer: ${error.reason}`
    case "StorageUnreachable":
      return `${error.storage} does not answer: ${error.reason}`
    default:
      return `it is tried again: ${error.message}`
  }
}

/** What is needed seldom: made when it is needed for the first time. */
const once = <A>(make: Effect.Effect<A>): Effect.Effect<A> => {
  let made: Option.Option<A> = Option.none()
  return Effect.suspend(() =>
    Option.isSome(made)
      ? Effect.succeed(made.value)
      : Effect.tap(make, (value) => Effect.sync(() => void (made = Option.some(value))))
  )
}

/**
 * Tries the work of one operation. `failed`: how many tries of it have failed already.
 *
 * @since 0.3.0 @category constructors
 */
export const make = (
  { monitor, watchdog }: { readonly monitor: HostMonitor["Type"]; readonly watchdog: Watchdog },
  failed: number,
  { onStuck, onTry, onWait }: Listener
) => {
  let left = Math.max(1, budget - failed)

  /** The first of the hosts that is not up, and may come back: of one that is lost, what is there to be removed is gone, and all else is refused. */
  const closed = Effect.fnUntraced(function* (hosts: Hosts) {
    for (const { id } of hosts) {
      const answer = yield* Effect.either(monitor.check(id))
      if (answer._tag === "Left" && answer.left._tag === "HostUnreachable") return { id, error: answer.left }
    }
    return null
  })

  const run = Effect.fnUntraced(function* (work: Work) {
    const { halted, hosts, limit, policy, what } = work
    const late = Effect.suspend(() => new OperationTimeout({ what, limit: inWords(limit) }))
    const limited = watchdog.within(work.effect, limit, late)
    const attempt = work.interruptible && halted !== null ? Effect.raceFirst(limited, halted) : limited
    let quickUntil: number | null = null
    let refusals = 0
    /** what a host that is not up answered to the work itself, if it was asked */
    let silence: HostUnreachable | null = null

    const pauses = once(Schedule.driver(quickly))
    const waits = once(Schedule.driver(patiently))

    const waiting = <A>(words: string, wait: Effect.Effect<A>) =>
      onWait(words).pipe(
        Effect.zipRight(halted === null ? wait : Effect.raceFirst(wait, halted)),
        Effect.zipLeft(onWait(null))
      )

    /** Those who wait are told that this may take. */
    const stuck = Effect.fnUntraced(function* (error: StepError, host: HostId | null, wait: Effect.Effect<void>) {
      const waitsFor = hosts.length === 0 || error._tag === "StorageUnreachable" ? "storage" : "host"
      yield* Effect.logWarning(`${what} waits: ${error.message}`)
      yield* onStuck({ reason: error.message, waitsFor, host })
      yield* waiting(waitingFor(error), wait)
      yield* onStuck(null)
      quickUntil = null
      silence = null
      yield* Effect.flatMap(pauses, (driver) => driver.reset)
    })

    /** What is left of the time for quick tries, which begins with the first failure. */
    const quickLeft = Effect.map(Clock.currentTimeMillis, (now) => {
      quickUntil ??= now + Duration.toMillis(quickLimit)
      return Math.max(0, quickUntil - now)
    })

    /** Whether there is another quick try, after a pause. */
    const again = Effect.fnUntraced(function* (error: StepError) {
      if ((yield* quickLeft) === 0) return false
      return Option.isSome(
        yield* waiting(waitingFor(error), Effect.option(Effect.flatMap(pauses, (driver) => driver.next(undefined))))
      )
    })

    /** Whether one more failure is within the budget. */
    const afford = () => --left > 0

    while (true) {
      const down = yield* closed(hosts)
      if (down !== null) {
        const back = yield* waiting(
          waitingFor(down.error),
          Effect.timeoutOption(monitor.awaitUp(down.id), yield* quickLeft)
        )
        if (Option.isSome(back)) continue
        if (policy.silence === "few") return yield* silence ?? down.error
        yield* stuck(silence ?? down.error, down.id, monitor.awaitUp(down.id))
        continue
      }

      yield* onTry
      const exit = yield* Effect.exit(attempt)
      if (Exit.isSuccess(exit)) return
      const failure = Cause.failureOption(exit.cause)
      if (failure._tag === "None") {
        // the process stops, or something is broken
        const ends = policy.refusal === "never" || policy.refusal === "few"
        if (ends || Cause.isInterrupted(exit.cause)) return yield* exit
        yield* Effect.logError(`${what} is tried again after a defect`, exit.cause)
      } else if (failure.value._tag === "Cancelled") {
        return yield* exit
      } else if (isUnreachable(failure.value)) {
        const error = failure.value
        const host = silentHost(hosts, error)
        if (host !== null && error._tag === "HostUnreachable") {
          silence = error
          yield* monitor.suspect(host, error.reason)
        }
        if (policy.silence === "few" && !afford()) return yield* exit
        if (yield* again(error)) continue
        if (policy.silence === "few") return yield* exit
        // one that is taken for up all the same is not asked again at once
        const known = host !== null && (yield* closed(hosts))?.id === host
        yield* stuck(error, host, known ? monitor.awaitUp(host) : Effect.sleep(pause))
        continue
      } else if (failure.value._tag === "OperationTimeout" && policy.silence === "always") {
        yield* stuck(failure.value, null, Effect.sleep(pause))
        continue
      } else if (failure.value._tag === "HostFailure" && failure.value.lost === true) {
        // nothing makes it allow that; and what would have to be so there in the end is gone with it
        return policy.refusal === "always" || policy.refusal === "always unless held" ? undefined : yield* exit
      } else if (policy.refusal === "never" || failure.value._tag === "OperationTimeout") {
        return yield* exit
      } else if (policy.refusal === "always unless held" && failure.value._tag === "GuestHoldsDevice") {
        return yield* exit
      } else if (policy.refusal === "few") {
        // a guest that was waited for has had its time
        if (failure.value._tag !== "GuestHoldsDevice" && afford() && (yield* again(failure.value))) continue
        return yield* exit
      }

      const reason = describe(exit.cause)
      yield* Effect.logWarning(`${what} failed and is tried again: ${reason}`)
      if (++refusals === patience) yield* onStuck({ reason, waitsFor: null, host: null })
      yield* waiting(
        `it is tried again: ${reason}`,
        Effect.orDie(Effect.flatMap(waits, (driver) => driver.next(undefined)))
      )
    }
  })

  return {
    run,
    /** whether it was given up because nothing was left of the budget */
    get usedUp(): boolean {
      return left === 0
    }
  }
}
