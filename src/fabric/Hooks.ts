/**
 * What can be done with webhooks, so that it can be planned, repeated, and made to depend on what was read.
 *
 * @since 0.8.0
 */
import * as Effect from "effect/Effect"
import type { Webhook, WebhookId } from "../domain/Webhook.ts"
import { Webhooks } from "../services/Webhooks.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Revision from "./Revision.ts"

type Service = Webhooks["Type"]

const checked = (intent: Intent.Mode, expect: Revision.Expect | undefined) => {
  const check = Revision.checkWebhook(expect)
  return (before: Webhook) =>
    Effect.zipRight(
      intent.depends(() => Facts.ofWebhook(before)),
      check === undefined ? Effect.void : check(before)
    )
}

/** @since 0.8.0 @category use cases */
export const create = Effect.fn("Hooks.create")(function* (webhook: Parameters<Service["create"]>[0]) {
  const webhooks = yield* Webhooks
  const intent = yield* Intent.Intent
  return yield* webhooks.create(webhook, (after) =>
    intent.confirm(() => ({ operation: null, webhook: { before: null, after } }))
  )
})

/** @since 0.8.0 @category use cases */
export const change = Effect.fn("Hooks.change")(function* (
  id: WebhookId,
  change: Parameters<Service["change"]>[1],
  expect?: Revision.Expect
) {
  const webhooks = yield* Webhooks
  const intent = yield* Intent.Intent
  return yield* webhooks.change(id, change, checked(intent, expect), (webhook) =>
    intent.confirm(() => ({ operation: null, webhook }))
  )
})

/** @since 0.8.0 @category use cases */
export const rotate = Effect.fn("Hooks.rotate")(function* (id: WebhookId) {
  const webhooks = yield* Webhooks
  const intent = yield* Intent.Intent
  return yield* webhooks.rotate(id, (webhook) =>
    Effect.zipRight(
      intent.depends(() => Facts.ofWebhook(webhook)),
      intent.confirm(() => ({ operation: null, webhook: { before: webhook, after: webhook, secret: true } }))
    )
  )
})

/** @since 0.8.0 @category use cases */
export const remove = Effect.fn("Hooks.remove")(function* (id: WebhookId, expect?: Revision.Expect) {
  const webhooks = yield* Webhooks
  const intent = yield* Intent.Intent
  yield* webhooks.remove(id, checked(intent, expect), (before) =>
    intent.confirm(() => ({ operation: null, webhook: { before, after: null } }))
  )
})
