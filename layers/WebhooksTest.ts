/**
 * Webhooks for tests: the live code on a database in memory. Nothing is sent; who was to get what is a value to look into, and what they
 * answer is decided by the test.
 *
 * @since 0.5.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { PersistenceError } from "../src/domain/Errors.ts"
import type { EventLog } from "../src/services/EventLog.ts"
import type { Webhooks } from "../src/services/Webhooks.ts"
import * as Database from "./Database.ts"
import * as Sender from "./WebhookSender.ts"
import * as WebhooksLive from "./WebhooksLive.ts"

/** @since 0.5.0 @category services */
export class WebhookReceivers extends Context.Tag("vmfabric/WebhookReceivers")<
  WebhookReceivers,
  {
    /** All that was sent to anybody, the oldest first, also what was not taken. */
    readonly received: Effect.Effect<ReadonlyArray<Sender.Message>>
    /** Decides from now on what becomes of what is sent. Until it is said, all of it arrives. */
    readonly answer: (by: Sender.Send) => Effect.Effect<void>
  }
>() {}

const receivers = Effect.sync(() => {
  const received: Array<Sender.Message> = []
  let answer: Sender.Send = () => Effect.succeed(204)
  const send: Sender.Send = (message) =>
    Effect.suspend(() => {
      received.push(message)
      return answer(message)
    })
  return {
    send,
    service: WebhookReceivers.of({
      received: Effect.sync(() => [...received]),
      answer: (by) => Effect.sync(() => void (answer = by))
    })
  }
})

/** Those of a database. @since 0.8.0 @category layers */
export const layerOn: Layer.Layer<Webhooks | WebhookReceivers, PersistenceError, EventLog | Database.Database> =
  Layer.unwrapEffect(
    Effect.map(receivers, ({ send, service }) =>
      Layer.merge(WebhooksLive.layerOver(Effect.succeed(send), { allow: [] }), Layer.succeed(WebhookReceivers, service))
    )
  )

/** There are none yet. Each build of the layer has a database of its own. @since 0.5.0 @category layers */
export const layer: Layer.Layer<Webhooks | WebhookReceivers, PersistenceError, EventLog> = Layer.provide(
  layerOn,
  Database.layer({ filename: ":memory:" })
)
