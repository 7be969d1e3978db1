/**
 * Handlers of webhooks.
 *
 * @since 0.5.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { api } from "../../api/Api.ts"
import { type WebhookDelivery, WebhookId, type WebhookReport } from "../../domain/Webhook.ts"
import * as Hooks from "../../fabric/Hooks.ts"
import * as Revision from "../../fabric/Revision.ts"
import * as Told from "../../fabric/Told.ts"
import { type Sealed, Webhooks } from "../../services/Webhooks.ts"
import * as Answers from "./Answers.ts"
import { told as problems } from "./Problems.ts"
import { tagged, withExpectation } from "./Revisions.ts"

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

const idOf = ({ report }: Sealed) => String(report.webhook.id)

const noContent = Effect.as(HttpServerResponse.empty({ status: 204 }))

/** @since 0.5.0 @category layers */
export const layer = HttpApiBuilder.group(api, "webhooks", (handlers) =>
  Effect.gen(function* () {
    const webhooks = yield* Webhooks
    const answers = yield* Answers.make
    const told = Told.make<Sealed>()
    /** What the secret of a webhook is of; null: it is there no more. */
    const named = (instead: string) => (id: string) =>
      webhooks.get(WebhookId.make(Number(id))).pipe(
        Effect.map(({ webhook }) => ({ made: `webhook ${webhook.id} (${webhook.url})`, instead })),
        Effect.catchTag("WebhookNotFound", () => Effect.succeed(null))
      )
    return handlers
      .handle("listWebhooks", () => problems(Effect.map(webhooks.list, (all) => ({ items: all.map(view) }))))
      .handle("createWebhook", (asked) => {
        const { types = null, url } = asked.payload
        const create = Hooks.create({ url, types })
        return problems(
          answers.decide(
            asked,
            answers.sealed(asked, told, create, idOf, named("give it a new secret, or remove it and make another")),
            Effect.map(sealed)
          )
        )
      })
      .handle("getWebhook", ({ path }) => problems(Effect.flatMap(webhooks.get(path.id), one)))
      .handle("changeWebhook", (asked) =>
        problems(
          answers.decide(
            asked,
            withExpectation(asked, (expect) => Hooks.change(asked.path.id, asked.payload, expect)),
            Effect.flatMap(one)
          )
        )
      )
      .handle("rotateWebhookSecret", (asked) =>
        problems(
          answers.decide(
            asked,
            answers.sealed(
              asked,
              told,
              Hooks.rotate(asked.path.id),
              idOf,
              named("give it another one, and the receiver that: the one from before this request ends by it")
            ),
            Effect.map(sealed)
          )
        )
      )
      .handle("pingWebhook", ({ path }) => problems(webhooks.ping(path.id)))
      .handle("listWebhookDeliveries", ({ path }) =>
        problems(Effect.map(webhooks.deliveries(path.id), (all) => ({ items: all.map(delivery) })))
      )
      .handle("removeWebhook", (asked) =>
        problems(
          answers.decide(
            asked,
            withExpectation(asked, (expect) => Hooks.remove(asked.path.id, expect)),
            noContent
          )
        )
      )
  })
)
