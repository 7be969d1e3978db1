/**
 * Time that passes only when there is nothing left to do, and chance that a seed decides.
 *
 * `Virtual.run(seed, effect)` runs an effect, and whatever it forks, with a clock, a scheduler, random numbers and UUIDs of its own. Whoever
 * waits for ten minutes waits no longer than it takes to see that nothing else is to be done, so a day passes as fast as the processor
 * allows; and because nothing depends on real time, on the system's random numbers or on the network, the same seed does the same things in
 * the same order.
 *
 * ```ts
 * const log: Array<string> = []
 * const outcome = yield* Effect.gen(function* () {
 *   const fleet = yield* Fleet.sized({ hosts: 10, seed: 7 })
 *   const vms = yield* Vms.Vms // …
 * }).pipe(
 *   Effect.provide(AppLive.layer({ fleet: fleet.config, database: ":memory:" }).pipe(Layer.provide(SimulatedFleet.layerMemory(fleet)))),
 *   Effect.scoped,
 *   Effect.provide(Virtual.recording((line) => log.push(line))),
 *   (effect) => Virtual.run(7, effect)
 * )
 * ```
 *
 * Everything has to be made inside: a layer, a fleet or a fiber from outside has another clock. SSH's cryptography is not for it (ssh2 reads
 * the system's clock and random numbers): `SimulatedFleet.layerMemory` is the way to the hosts. SQLite may be a file or in memory. Files may be
 * read and written, time stands still meanwhile; other real input and output (sockets, child processes) is not waited for.
 *
 * A run that waits for something that will never come fails with `Stuck`; any failure is logged with its seed, which brings it about again.
 *
 * @since 0.3.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Inspectable from "effect/Inspectable"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import { Uuids } from "../domain/Uuid.ts"
import { newUuid, randomFrom } from "./HostState.ts"
import * as Soon from "./Soon.ts"

/** Everything waits, and nothing is left that would wake anybody. @since 0.3.0 @category errors */
export class Stuck extends Data.TaggedError("Stuck")<{ readonly seed: number; readonly at: string }> {
  override get message(): string {
    return `the run with seed ${this.seed} waits at ${this.at} for something that will never come`
  }
}

/** 2030-01-01T00:00:00Z: when every run begins. @since 0.3.0 @category constants */
export const epoch = 1_893_456_000_000

/** How far the time of a run has come, as in `+12.345s`. @since 0.3.0 @category formatting */
export const formatTime = (milliseconds: number): string => `+${((milliseconds - epoch) / 1000).toFixed(3)}s`

/** Rounds of the event loop without anything done after which nothing more is taken to come. */
const quietRounds = 3
/** The same, once nobody has even asked to be woken. */
const stuckRounds = 20_000

interface Sleeper {
  readonly at: number
  /** those for the same moment are woken in the order in which they went to sleep */
  readonly number: number
  wake: (() => void) | undefined
}

const earlier = (a: Sleeper, b: Sleeper): boolean => a.at < b.at || (a.at === b.at && a.number < b.number)

/** Sleepers, the next one to be woken first. A binary heap. */
class Sleepers {
  private readonly heap: Array<Sleeper> = []
  private dead = 0

  add(sleeper: Sleeper): void {
    let at = this.heap.length
    this.heap.push(sleeper)
    while (at > 0) {
      const above = (at - 1) >> 1
      const parent = this.heap[above]
      if (parent === undefined || !earlier(sleeper, parent)) break
      this.heap[at] = parent
      at = above
    }
    this.heap[at] = sleeper
  }

  /** It need not be woken any more. Timeouts that were not needed are most of what there is, so they are thrown out now and then. */
  forget(sleeper: Sleeper): void {
    sleeper.wake = undefined
    this.dead++
    if (this.dead < 1024 || this.dead * 2 < this.heap.length) return
    const alive = this.heap.filter(({ wake }) => wake !== undefined)
    this.heap.length = 0
    this.dead = 0
    for (const one of alive) this.add(one)
  }

  /** The earliest that still sleeps. */
  get first(): Sleeper | undefined {
    for (;;) {
      const first = this.heap[0]
      if (first === undefined || first.wake !== undefined) return first
      this.takeFirst()
      this.dead--
    }
  }

  takeFirst(): void {
    const last = this.heap.pop()
    if (last === undefined || this.heap.length === 0) return
    let at = 0
    for (;;) {
      const left = this.heap[2 * at + 1]
      const right = this.heap[2 * at + 2]
      const least = left !== undefined && right !== undefined && earlier(right, left) ? right : left
      if (least === undefined || !earlier(least, last)) break
      this.heap[at] = least
      at = least === left ? 2 * at + 1 : 2 * at + 2
    }
    this.heap[at] = last
  }
}

/** The clock of one run. */
class VirtualClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  private now = epoch
  private count = 0
  private readonly sleepers = new Sleepers()

  unsafeCurrentTimeMillis(): number {
    // whole ones, as a real clock gives them
    return Math.floor(this.now)
  }
  unsafeCurrentTimeNanos(): bigint {
    return BigInt(Math.round(this.now * 1000)) * 1000n
  }
  readonly currentTimeMillis = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos = Effect.sync(() => this.unsafeCurrentTimeNanos())

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async((resume) => {
      const milliseconds = Duration.toMillis(duration)
      if (!Number.isFinite(milliseconds)) return
      const sleeper: Sleeper = {
        at: this.now + Math.max(0, milliseconds),
        number: this.count++,
        wake: () => resume(Effect.void)
      }
      this.sleepers.add(sleeper)
      return Effect.sync(() => {
        if (sleeper.wake !== undefined) this.sleepers.forget(sleeper)
      })
    })
  }

  /** Goes on to the next moment somebody waits for, and wakes all who do; false: nobody does. */
  advance(): boolean {
    const next = this.sleepers.first
    if (next === undefined) return false
    this.now = Math.max(this.now, next.at)
    for (let first = this.sleepers.first; first !== undefined && first.at <= this.now; first = this.sleepers.first) {
      this.sleepers.takeFirst()
      const wake = first.wake
      first.wake = undefined
      wake?.()
    }
    return true
  }
}

/** Effect's own order of tasks, without its real timers, and counted. */
class VirtualScheduler implements Scheduler.Scheduler {
  private readonly tasks = new Scheduler.PriorityBuckets()
  private busy = false
  private done = 0

  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    return Scheduler.defaultScheduler.shouldYield(fiber)
  }

  scheduleTask(task: Scheduler.Task, priority: number): void {
    this.tasks.scheduleTask(task, priority)
    if (this.busy) return
    this.busy = true
    queueMicrotask(this.drain)
  }

  private readonly drain = (): void => {
    // now and then all else has its turn too: a fiber that only ever yields must not keep the event loop to itself
    for (let round = 0; round < 256; round++) {
      const { buckets } = this.tasks
      if (buckets.length === 0) {
        this.busy = false
        return
      }
      this.tasks.buckets = []
      for (const [, tasks] of buckets) {
        this.done += tasks.length
        for (const task of tasks) task()
      }
    }
    setImmediate(this.drain)
  }

  get idle(): boolean {
    return !this.busy
  }
  get count(): number {
    return this.done
  }
}

/** Whether files are being read, written or closed, as Node names what it waits for. */
const filesInUse = (): boolean =>
  process.getActiveResourcesInfo().some((resource) => /^(FSReq|CloseReq)/.test(resource))

/** So many rounds in which files are waited for are soon over; after more of them it is only looked once a millisecond, which leaves the processor to others. */
const busyRounds = 200

/** Watches the event loop, and lets time pass when nothing else does. */
const drive = (clock: VirtualClock, scheduler: VirtualScheduler, stuck: () => void): (() => void) => {
  let stopped = false
  let seen = -1
  let quiet = 0
  const round = (): void => {
    if (stopped) return
    const done = scheduler.count + Soon.count()
    if (done !== seen || !scheduler.idle || Soon.pending() > 0) {
      seen = done
      quiet = 0
    } else quiet++
    if (quiet >= quietRounds) {
      if (filesInUse()) {
        if (quiet > busyRounds) return void setTimeout(round, 1)
      } else if (clock.advance()) quiet = 0
      else if (quiet === stuckRounds) stuck()
    }
    setImmediate(round)
  }
  setImmediate(round)
  return () => {
    stopped = true
  }
}

/**
 * Runs the effect in a time and with a chance of its own. The head of this file says what that takes.
 *
 * @since 0.3.0 @category combinators
 */
export const run = <A, E, R>(seed: number, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | Stuck, R> =>
  Effect.suspend(() => {
    const clock = new VirtualClock()
    const scheduler = new VirtualScheduler()
    const uuids = randomFrom(seed ^ 0x1d5)
    const stuck = Deferred.unsafeMake<never, Stuck>(FiberId.none)
    const at = () => formatTime(clock.unsafeCurrentTimeMillis())
    // what has not ended by then would not end for being interrupted either
    const untilStuck = Effect.raceWith(effect, Deferred.await(stuck), {
      onSelfDone: (exit, waiting) => Effect.zipRight(Fiber.interruptFork(waiting), exit),
      onOtherDone: (exit, running) => Effect.zipRight(Fiber.interruptFork(running), exit)
    })
    return Effect.acquireUseRelease(
      Effect.sync(() =>
        drive(clock, scheduler, () => Deferred.unsafeDone(stuck, Effect.fail(new Stuck({ seed, at: at() }))))
      ),
      () =>
        untilStuck.pipe(
          Effect.tapErrorCause((cause) =>
            Cause.isInterruptedOnly(cause)
              ? Effect.void
              : Effect.logError(`the run with seed ${seed} failed at ${at()}; the same seed brings it about again`)
          ),
          Effect.provideService(Uuids, { next: () => newUuid(uuids) }),
          Effect.withTracerEnabled(false),
          Effect.withRandom(Random.make(seed)),
          Effect.withClock(clock),
          Effect.withScheduler(scheduler)
        ),
      (stop) => Effect.sync(stop)
    )
  })

const messagesOf = (message: unknown): string =>
  (Array.isArray(message) ? message : [message])
    .map((part: unknown) => (typeof part === "string" ? part : Inspectable.toStringUnknown(part, 0)))
    .join(" ")

/**
 * Logs to `sink` and nowhere else, a line for each: time since the run began, level, message, annotations, what failed. There is nothing in it
 * that a second run with the same seed would not have.
 *
 * @since 0.3.0 @category layers
 */
export const recording = (sink: (line: string) => void): Layer.Layer<never> =>
  Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ annotations, cause, date, logLevel, message }) => {
      const words = [...annotations].map(([key, value]) => `${key}=${Inspectable.toStringUnknown(value, 0)}`)
      const failed = Cause.prettyErrors(cause).map((error) => `cause="${error.message}"`)
      sink([formatTime(date.getTime()), logLevel.label, messagesOf(message), ...words.toSorted(), ...failed].join(" "))
    })
  )
