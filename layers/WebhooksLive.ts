/**
 * Webhooks over the event log, in the inventory's database: what each of them has got is as durable as the events themselves.
 *
 * @since 0.5.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomBytes, randomUUID } from "node:crypto"
import * as Errors from "../src/domain/Errors.ts"
import { type Event, EventId } from "../src/domain/Event.ts"
import { type DeliveryType, Webhook, type WebhookId, type WebhookReport } from "../src/domain/Webhook.ts"
import * as Meters from "../src/observability/Meters.ts"
import { EventLog } from "../src/services/EventLog.ts"
import { Webhooks } from "../src/services/Webhooks.ts"
import { Database } from "./Database.ts"
import * as Sql from "./sql/Webhooks.ts"
import * as Sender from "./WebhookSender.ts"

const mostHooks = 100

/** For so long the former secret signs, too. */
const rotation = Duration.toMillis("24 hours")

const day = Duration.toMillis("24 hours")

/** Between two tries: at first doubled each time, from and up to; then, when it has been failing for a day. In milliseconds. */
const pauses = { first: 1000, longest: Duration.toMillis("1 hour"), slow: Duration.toMillis("6 hours") }

/** When nothing is to be sent, the cursor is stored every so many events: far fewer than the log keeps. */
const farBehind = 1000

/** What cannot be read or stored now is tried again after this. */
const patience = "5 seconds"

/** One that is served. All but the row is gone with the process. */
interface Hook {
  row: Sql.WebhookRow
  /** all up to this one is dealt with: it arrived, or was of another type */
  position: EventId
  /** there was nothing to send when it was last looked */
  idle: boolean
  tries: number
  nextTryAt: number | null
  /** opened when what it waits for need not be waited for */
  readonly wake: Effect.Latch
}

/** What is to be sent next, and where the cursor is when it has arrived. */
interface Due {
  readonly id: string
  readonly type: DeliveryType
  readonly body: string
  readonly cursor: EventId
}

const newSecret = (): string => Sender.secretPrefix + randomBytes(32).toString("base64")

const time = (milliseconds: number): string => new Date(milliseconds).toISOString()

const webhookOf = ({ createdAt, id, types, url }: Sql.WebhookRow): Webhook => new Webhook({ id, url, types, createdAt })

/** The same at each try, and another for each webhook, also for one of an earlier database. */
const messageId = ({ createdAt, id }: Sql.WebhookRow, what: string): string => `${what}-${id}-${createdAt.toString(36)}`

const eventDue = (row: Sql.WebhookRow, event: Event): Due => ({
  id: `${messageId(row, "event")}-${event.id}`,
  type: event.type,
  // as the events API has it
  body: JSON.stringify({ ...event, time: time(event.time) }),
  cursor: event.id
})

const gapDue = (row: Sql.WebhookRow, { cursor, oldest }: Errors.EventsLost, now: number): Due => ({
  id: `${messageId(row, "gap")}-${cursor}`,
  type: "gap",
  body: JSON.stringify({ type: "gap", time: time(now), after: cursor, next: oldest }),
  cursor: EventId.make(oldest - 1)
})

const statusOf = ({ failingSince }: Sql.WebhookRow, now: number) =>
  failingSince === null ? "delivering" : now - failingSince < day ? "retrying" : "failing"

const make = Effect.fnUntraced(function* (
  send: Sender.Send,
  usable: (url: string) => ReturnType<typeof Sender.parseUrl>
) {
  const { read, statement, writeSimply } = yield* Database
  const log = yield* EventLog
  const stored = Sql.make(statement)
  const hooks = new Map<WebhookId, Hook>()
  const served = yield* FiberMap.make<WebhookId>()

  const notFound = (id: WebhookId) => new Errors.WebhookNotFound({ webhookId: id })
  const hookOf = (id: WebhookId) =>
    Effect.suspend(() => {
      const hook = hooks.get(id)
      return hook === undefined ? notFound(id) : Effect.succeed(hook)
    })
  /** In step with what is committed. */
  const keep = (row: Sql.WebhookRow | null): void => {
    const hook = row === null ? undefined : hooks.get(row.id)
    if (hook !== undefined && row !== null) hook.row = row
  }

  // --- one delivery ---------------------------------------------------------------------------------------------------

  const deliver = Effect.fnUntraced(function* (
    { previousSecret, previousUntil, secret, url }: Sql.WebhookRow,
    due: Due
  ) {
    const now = yield* Clock.currentTimeMillis
    const secrets = [secret, ...(previousSecret !== null && now < (previousUntil ?? 0) ? [previousSecret] : [])]
    const headers = Sender.signed(secrets.map(Redacted.value), due.id, Math.floor(now / 1000), due.body)
    const outcome = yield* send({ url, headers, body: due.body }).pipe(
      Effect.tapBoth({
        onSuccess: () => Effect.sync(() => Meters.webhookDelivery("delivered")),
        onFailure: ({ kind }) => Effect.sync(() => Meters.webhookDelivery(kind))
      }),
      Effect.either
    )
    const tried: Sql.Tried = {
      message: due.id,
      type: due.type,
      cursor: due.type === "ping" ? null : due.cursor,
      at: now,
      milliseconds: (yield* Clock.currentTimeMillis) - now,
      ...Either.match(outcome, {
        onLeft: ({ reason, status }) => ({ status, reason }),
        onRight: (status) => ({ status, reason: null })
      }),
      nextTryAt: null
    }
    return { outcome, tried }
  })

  /** With what it changes of its webhook; of one that is gone by then nothing is kept. */
  const withTried = (change: Effect.Effect<Sql.WebhookRow | null, SqlError>, tried: Sql.Tried) =>
    Effect.tap(change, (row) => (row === null ? Effect.void : stored.tried(row.id, tried)))

  // --- one webhook ----------------------------------------------------------------------------------------------------

  const filterOf = ({ types }: Sql.WebhookRow) => (types === null ? {} : { types })

  /** Null: there is nothing. */
  const next = (hook: Hook): Effect.Effect<Due | null, Errors.PersistenceError> =>
    Effect.gen(function* () {
      const { position, row } = hook
      // all up to this one is looked at below
      const latest = yield* log.latest
      const [event] = yield* log.after(position, 1, filterOf(row))
      if (event !== undefined) return eventDue(row, event)
      // of another filter by now
      if (hook.row.types !== row.types) return yield* next(hook)
      hook.position = EventId.make(Math.max(position, latest))
      return null
    }).pipe(
      Effect.catchTag("EventsLost", (lost) => Effect.map(Clock.currentTimeMillis, (now) => gapDue(hook.row, lost, now)))
    )

  /** Tried until it is stored: what arrived is not sent again while the process lives. */
  const store = (action: string, body: Effect.Effect<Sql.WebhookRow | null, SqlError>) =>
    writeSimply(action, body, keep).pipe(
      Effect.tapError((error) => Effect.logWarning(error.message)),
      Effect.retry(Schedule.spaced(patience))
    )

  /** Until there may be something to send. */
  const idle = (hook: Hook) =>
    Effect.gen(function* () {
      const { position, row } = hook
      if (position - row.cursor >= farBehind) {
        yield* store("store what a webhook has got", stored.passed(row.id, position))
      }
      hook.idle = true
      const news = log.follow(position, filterOf(row)).pipe(
        Stream.runHead,
        // looked at again by whoever asks next
        Effect.catchTag("EventsLost", () => Effect.void)
      )
      // now and then also without news: the cursor goes on past events of other types
      yield* Effect.raceAll([Effect.asVoid(news), hook.wake.await, Effect.sleep("1 minute")])
    }).pipe(Effect.ensuring(Effect.sync(() => void (hook.idle = false))))

  const pauseAfter = (hook: Hook, { retryAfter }: Sender.DeliveryFailed, now: number) =>
    Effect.map(Random.next, (random) => {
      const usual = Math.min(pauses.first * 2 ** (hook.tries - 1), pauses.longest)
      const pause = statusOf(hook.row, now) === "failing" ? pauses.slow : usual
      // those that failed together do not come back together
      return Math.round(Math.max(pause * (0.5 + random), Math.min((retryAfter ?? 0) * 1000, pauses.longest)))
    })

  const failed = (hook: Hook, error: Sender.DeliveryFailed, tried: Sql.Tried) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const before = hook.row.failingSince === null ? "delivering" : statusOf(hook.row, hook.row.lastFailureAt ?? now)
      hook.tries++
      const pause = yield* pauseAfter(hook, error, now)
      yield* store(
        "store how a delivery failed",
        withTried(stored.failed(hook.row.id, error.reason, now), { ...tried, nextTryAt: now + pause })
      )
      const status = statusOf(hook.row, now)
      if (status !== before) yield* Effect.logWarning(`webhook ${hook.row.id} is ${status}: ${error.reason}`)
      hook.nextTryAt = now + pause
      yield* Effect.race(Effect.sleep(pause), hook.wake.await)
    }).pipe(Effect.ensuring(Effect.sync(() => void (hook.nextTryAt = null))))

  const arrived = (hook: Hook, { cursor }: Due, tried: Sql.Tried) =>
    Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      if (hook.row.failingSince !== null) yield* Effect.log(`webhook ${hook.row.id} delivers again`)
      hook.tries = 0
      hook.position = cursor
      yield* store("store what a webhook has got", withTried(stored.arrived(hook.row.id, cursor, now), tried))
    })

  const step = (hook: Hook) =>
    Effect.gen(function* () {
      yield* hook.wake.close
      const due = yield* next(hook)
      if (due === null) return yield* idle(hook)
      const { outcome, tried } = yield* deliver(hook.row, due)
      yield* Either.match(outcome, {
        onLeft: (error) => failed(hook, error, tried),
        onRight: () => arrived(hook, due, tried)
      })
    }).pipe(
      Effect.catchTag("PersistenceError", (error) =>
        Effect.zipRight(Effect.logWarning(error.message), Effect.sleep(patience))
      ),
      // a span for each would be all that is sent, where traces are
      Effect.withTracerEnabled(false)
    )

  const serve = (row: Sql.WebhookRow) =>
    Effect.gen(function* () {
      const hook: Hook = {
        row,
        position: row.cursor,
        idle: false,
        tries: 0,
        nextTryAt: null,
        wake: yield* Effect.makeLatch(false)
      }
      hooks.set(row.id, hook)
      yield* FiberMap.run(served, row.id, Effect.forever(step(hook)))
      return hook
    })

  yield* Effect.flatMap(read("read webhooks", stored.all), (rows) => Effect.forEach(rows, serve, { discard: true }))

  // --- what is asked --------------------------------------------------------------------------------------------------

  const reportOf = (hook: Hook, latest: EventId, now: number): WebhookReport => ({
    webhook: webhookOf(hook.row),
    status: statusOf(hook.row, now),
    lastSuccessAt: hook.row.lastSuccessAt,
    lastFailureAt: hook.row.lastFailureAt,
    lastFailure: hook.row.lastFailure,
    behind: hook.idle ? 0 : Math.max(0, latest - hook.position),
    nextTryAt: hook.nextTryAt
  })
  const report = (hook: Hook) =>
    Effect.zipWith(log.latest, Clock.currentTimeMillis, (latest, now) => reportOf(hook, latest, now))

  const urlOf = (given: string) => Effect.suspend(() => usable(given))

  return Webhooks.of({
    list: Effect.zipWith(log.latest, Clock.currentTimeMillis, (latest, now) =>
      [...hooks.values()].map((hook) => reportOf(hook, latest, now)).toSorted((a, b) => a.webhook.id - b.webhook.id)
    ),

    get: (id) => Effect.flatMap(hookOf(id), report),

    create: Effect.fn("Webhooks.create")(function* ({ types, url }, confirm) {
      const used = yield* urlOf(url)
      if (hooks.size >= mostHooks) {
        return yield* new Errors.NotAllowed({ reason: `there are ${mostHooks} webhooks: remove one first` })
      }
      const createdAt = yield* Clock.currentTimeMillis
      const cursor = yield* log.latest
      const secret = newSecret()
      const hook = yield* writeSimply(
        "create a webhook",
        Effect.tap(stored.insert({ url: used, types, secret, cursor, createdAt }), (row) =>
          confirm === undefined ? Effect.void : confirm(webhookOf(row))
        )
      ).pipe(Effect.flatMap(serve), Effect.uninterruptible)
      return { report: yield* report(hook), secret: Redacted.make(secret) }
    }),

    change: Effect.fn("Webhooks.change")(function* (id, change, check, confirm) {
      const url = change.url === undefined ? undefined : yield* urlOf(change.url)
      yield* writeSimply(
        `change webhook ${id}`,
        Effect.gen(function* () {
          const before = yield* stored.get(id)
          if (before === null) return yield* notFound(id)
          if (check !== undefined) yield* check(webhookOf(before))
          const types = change.types === undefined ? before.types : change.types
          const row = yield* stored.update({ id, url: url ?? before.url, types })
          if (row !== null && confirm !== undefined) {
            yield* confirm({ before: webhookOf(before), after: webhookOf(row) })
          }
          return row
        }),
        keep
      )
      const hook = yield* hookOf(id)
      yield* hook.wake.open
      return yield* report(hook)
    }),

    rotate: Effect.fn("Webhooks.rotate")(function* (id, confirm) {
      const secret = newSecret()
      const until = (yield* Clock.currentTimeMillis) + rotation
      yield* writeSimply(
        `give webhook ${id} a new secret`,
        Effect.gen(function* () {
          const before = yield* stored.get(id)
          if (before === null) return yield* notFound(id)
          const row = yield* stored.reseal(id, secret, until)
          if (confirm !== undefined) yield* confirm(webhookOf(before))
          return row
        }),
        keep
      )
      return { report: yield* Effect.flatMap(hookOf(id), report), secret: Redacted.make(secret) }
    }),

    remove: Effect.fn("Webhooks.remove")((id, check, confirm) =>
      writeSimply(
        `remove webhook ${id}`,
        Effect.gen(function* () {
          const before = yield* stored.get(id)
          if (before === null) return yield* notFound(id)
          if (check !== undefined) yield* check(webhookOf(before))
          yield* stored.remove(id)
          if (confirm !== undefined) yield* confirm(webhookOf(before))
        }),
        () => void hooks.delete(id)
      ).pipe(Effect.zipRight(FiberMap.remove(served, id)), Effect.uninterruptible)
    ),

    ping: Effect.fn("Webhooks.ping")(function* (id) {
      const hook = yield* hookOf(id)
      const began = yield* Clock.currentTimeMillis
      const due: Due = {
        id: `ping-${id}-${randomUUID()}`,
        type: "ping",
        body: JSON.stringify({ type: "ping", time: time(began), webhookId: id }),
        cursor: hook.position
      }
      const { tried } = yield* deliver(hook.row, due)
      yield* writeSimply(`store the test of webhook ${id}`, withTried(stored.get(id), tried))
      const { milliseconds, reason, status } = tried
      if (reason === null) yield* hook.wake.open
      return { delivered: reason === null, status, reason, milliseconds }
    }),

    deliveries: Effect.fn("Webhooks.deliveries")(function* (id) {
      yield* hookOf(id)
      return yield* read(`read the deliveries of webhook ${id}`, stored.deliveries(id))
    })
  })
})

/** Over another way of sending. @since 0.5.0 @category layers */
export const layerOver = <E, R>(
  send: Effect.Effect<Sender.Send, E, R>,
  options: Sender.Options
): Layer.Layer<Webhooks, E | Errors.PersistenceError, Database | EventLog | Exclude<R, Scope.Scope>> =>
  Layer.scoped(
    Webhooks,
    Effect.flatMap(send, (send) => make(send, (url) => Sender.parseUrl(url, options)))
  )

/** @since 0.5.0 @category layers */
export const layerWith = (
  options: Sender.Options
): Layer.Layer<Webhooks, Errors.PersistenceError, Database | EventLog> => layerOver(Sender.make(options), options)

/** To public addresses only. @since 0.5.0 @category layers */
export const layer: Layer.Layer<Webhooks, Errors.PersistenceError, Database | EventLog> = layerWith({ allow: [] })
