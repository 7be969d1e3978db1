/**
 * Sends events to other programs: signed, in order, each at least once, for as long as the event log keeps them.
 *
 * Each webhook is served by itself: one that is slow or dead holds up nobody else. What the log has dropped before it could be sent is
 * told by a delivery of its own, never silently skipped.
 *
 * @since 0.5.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { HasChanged, InvalidArgument, NotAllowed, PersistenceError, WebhookNotFound } from "../domain/Errors.ts"
import type { EventType } from "../domain/Event.ts"
import type { Webhook, WebhookDelivery, WebhookId, WebhookPing, WebhookReport } from "../domain/Webhook.ts"
import type { Confirm } from "./Inventory.ts"

/** One whose secret was just made: the only time it is told. @since 0.5.0 @category models */
export interface Sealed {
  readonly report: WebhookReport
  /** `whsec_` and 44 characters of base64: 32 bytes */
  readonly secret: Redacted.Redacted
}

/** Looks at what is to be changed in the transaction that changes it. @since 0.5.0 @category models */
export type Check = (now: Webhook) => Effect.Effect<void, HasChanged>

/** What a webhook was, and became. @since 0.8.0 @category models */
export interface WebhookChanged {
  readonly before: Webhook
  readonly after: Webhook
}

/** @since 0.5.0 @category services */
export class Webhooks extends Context.Tag("vmfabric/Webhooks")<
  Webhooks,
  {
    /** By id. */
    readonly list: Effect.Effect<ReadonlyArray<WebhookReport>, PersistenceError>
    readonly get: (id: WebhookId) => Effect.Effect<WebhookReport, WebhookNotFound | PersistenceError>
    /**
     * Events from now on are sent there. `InvalidArgument`: nothing may be sent to such an address. `NotAllowed`: there are 100 already.
     */
    readonly create: (
      webhook: {
        readonly url: string
        readonly types: ReadonlyArray<EventType> | null
      },
      confirm?: Confirm<Webhook>
    ) => Effect.Effect<Sealed, InvalidArgument | NotAllowed | PersistenceError>
    /** What is absent stays. What was waiting for its next try is tried at once. */
    readonly change: (
      id: WebhookId,
      change: { readonly url?: string; readonly types?: ReadonlyArray<EventType> | null },
      check?: Check,
      confirm?: Confirm<WebhookChanged>
    ) => Effect.Effect<WebhookReport, InvalidArgument | WebhookNotFound | HasChanged | PersistenceError>
    /** A new secret. For 24 hours the one before signs beside it, so that the receiver can change over. */
    readonly rotate: (
      id: WebhookId,
      confirm?: Confirm<Webhook>
    ) => Effect.Effect<Sealed, WebhookNotFound | PersistenceError>
    /** Nothing is sent there any more. */
    readonly remove: (
      id: WebhookId,
      check?: Check,
      confirm?: Confirm<Webhook>
    ) => Effect.Effect<void, WebhookNotFound | HasChanged | PersistenceError>
    /** Sends something that is no event. When it arrives, what was waiting for its next try is tried at once. */
    readonly ping: (id: WebhookId) => Effect.Effect<WebhookPing, WebhookNotFound | PersistenceError>
    /** The last 100, tests among them, the newest first; also those of before a restart. */
    readonly deliveries: (
      id: WebhookId
    ) => Effect.Effect<ReadonlyArray<WebhookDelivery>, WebhookNotFound | PersistenceError>
  }
>() {}
