/**
 * Handlers of webhooks.
 *
 * @since 0.5.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { api } from "../../api/Api.ts"
import type { WebhookDelivery, WebhookReport } from "../../domain/Webhook.ts"
import * as Revision from "../../fabric/Revision.ts"
import { type Sealed, Webhooks } from "../../services/Webhooks.ts"
import { told } from "./Problems.ts"
import { expectation, tagged } from "./Revisions.ts"

const timeOrNull = (milliseconds: number | null) => (milliseconds === null ? null : DateTime.unsafeMake(milliseconds))

const view = ({ webhook, ...report }: WebhookReport) => ({
  id: webhook.id,
  url: webhook.url,
  types: webhook.types,
  createdAt: DateTime.unsafeMake(webhook.createdAt),
  status: report.status,
  lastSuccessAt: timeOrNull(report.lastSuccessAt),
  lastFailureAt: timeOrNull(report.lastFailureAt),
  lastFailure: report.lastFailure,
  behind: report.behind,
  nextTryAt: timeOrNull(report.nextTryAt)
})

const delivery = ({ at, nextTryAt, ...tried }: WebhookDelivery) => ({
  ...tried,
  at: DateTime.unsafeMake(at),
  nextTryAt: timeOrNull(nextTryAt)
})

const one = (report: WebhookReport) => Effect.as(tagged(Revision.ofWebhook(report.webhook)), view(report))

const sealed = ({ report, secret }: Sealed) => ({ ...view(report), secret })

/** @since 0.5.0 @category layers */
export const layer = HttpApiBuilder.group(api, "webhooks", (handlers) =>
  Effect.map(Webhooks, (webhooks) =>
    handlers
      .handle("listWebhooks", () => told(Effect.map(webhooks.list, (all) => ({ items: all.map(view) }))))
      .handle("createWebhook", ({ payload: { types = null, url } }) =>
        told(Effect.map(webhooks.create({ url, types }), sealed))
      )
      .handle("getWebhook", ({ path }) => told(Effect.flatMap(webhooks.get(path.id), one)))
      .handle("changeWebhook", ({ headers, path, payload }) =>
        told(
          Effect.gen(function* () {
            const expect = yield* expectation(headers["if-match"])
            return yield* one(yield* webhooks.change(path.id, payload, Revision.checkWebhook(expect)))
          })
        )
      )
      .handle("rotateWebhookSecret", ({ path }) => told(Effect.map(webhooks.rotate(path.id), sealed)))
      .handle("pingWebhook", ({ path }) => told(webhooks.ping(path.id)))
      .handle("listWebhookDeliveries", ({ path }) =>
        told(Effect.map(webhooks.deliveries(path.id), (all) => ({ items: all.map(delivery) })))
      )
      .handle("removeWebhook", ({ headers, path }) =>
        told(
          Effect.gen(function* () {
            const expect = yield* expectation(headers["if-match"])
            yield* webhooks.remove(path.id, Revision.checkWebhook(expect))
          })
        )
      )
  )
)
