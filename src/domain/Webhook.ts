/**
 * Webhooks: addresses of other programs to which events are sent.
 *
 * @since 0.5.0
 */
import * as Schema from "effect/Schema"
import { type EventId, EventType } from "./Event.ts"

/** @since 0.5.0 @category ids */
export const WebhookId = Schema.Int.pipe(
  Schema.between(1, Number.MAX_SAFE_INTEGER),
  Schema.brand("WebhookId"),
  Schema.annotations({ identifier: "WebhookId" })
)
/** @since 0.5.0 @category ids */
export type WebhookId = typeof WebhookId.Type

/** What is wanted of one; its secret is told once, when it is made. Times in milliseconds since 1970. @since 0.5.0 @category models */
export class Webhook extends Schema.Class<Webhook>("Webhook")({
  id: WebhookId,
  url: Schema.String,
  /** events of these types only; null: of all */
  types: Schema.NullOr(Schema.Array(EventType)),
  createdAt: Schema.Int
}) {}

/**
 * - `delivering`: the last delivery arrived, or there was none yet
 * - `retrying`: the last delivery failed, and is tried again, after longer and longer times
 * - `failing`: it has been failing for a day, and is now tried a few times a day
 *
 * @since 0.5.0 @category models
 */
export const WebhookStatus = Schema.Literal("delivering", "retrying", "failing")
/** @since 0.5.0 @category models */
export type WebhookStatus = typeof WebhookStatus.Type

/** A webhook, and how its deliveries go. Times in milliseconds since 1970; null: there is none. @since 0.5.0 @category models */
export interface WebhookReport {
  readonly webhook: Webhook
  readonly status: WebhookStatus
  readonly lastSuccessAt: number | null
  readonly lastFailureAt: number | null
  /** why the last one that failed did, in words */
  readonly lastFailure: string | null
  /** so many events have not been looked at yet, those of other types included */
  readonly behind: number
  readonly nextTryAt: number | null
}

/** What is sent: an event, a gap between events, or a test. @since 0.8.0 @category models */
export const DeliveryType = Schema.Literal(...EventType.literals, "gap", "ping")
/** @since 0.8.0 @category models */
export type DeliveryType = typeof DeliveryType.Type

/** So many of a webhook's last deliveries are kept. @since 0.8.0 @category constants */
export const mostDeliveries = 100

/**
 * One try to send something, without what was sent. Times in milliseconds since 1970.
 *
 * @since 0.8.0 @category models
 */
export interface WebhookDelivery {
  readonly id: number
  /** what its header `webhook-id` says: the same at each try */
  readonly message: string
  readonly type: DeliveryType
  /** of the event; of a gap: of the last event that is lost; null: of none */
  readonly cursor: EventId | null
  /** from 1 on */
  readonly try: number
  readonly at: number
  readonly milliseconds: number
  /** of the HTTP answer; null: there was none */
  readonly status: number | null
  /** why it did not arrive; null: it did */
  readonly reason: string | null
  /** null: it is not tried again */
  readonly nextTryAt: number | null
}

/** What came of a test. `status`: of the HTTP answer; null: there was none. `reason` null: it arrived. @since 0.5.0 @category models */
export interface WebhookPing {
  readonly delivered: boolean
  readonly status: number | null
  readonly reason: string | null
  readonly milliseconds: number
}
