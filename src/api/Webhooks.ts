/**
 * Webhooks: events sent to other programs.
 *
 * @since 0.5.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { EventId, EventType } from "../domain/Event.ts"
import * as Domain from "../domain/Webhook.ts"
import {
  asSet,
  documented,
  field,
  id,
  IfMatch,
  Int,
  listOf,
  making,
  oneOf,
  optional,
  strict,
  Time,
  usually
} from "./Common.ts"
import { Plan, planning } from "./Plans.ts"
import * as Problem from "./Problem.ts"

const Url = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(2000)).annotations({
  message: () => ({ message: "expected a URL of 1 to 2000 characters", override: true }),
  jsonSchema: { type: "string", format: "uri", minLength: 1, maxLength: 2000 }
})

/** At least one: a webhook that is told of nothing is a mistake. */
const Types = Schema.NullOr(
  Schema.Array(oneOf(EventType.literals))
    .pipe(Schema.minItems(1, { message: () => "expected at least one type of event" }))
    .annotations(asSet)
)

const fields = {
  id: Domain.WebhookId,
  url: field(Schema.String, "where events are sent"),
  types: field(Types, "events of these types only; null: of all"),
  createdAt: Time,
  status: field(
    Domain.WebhookStatus.annotations({ identifier: "WebhookStatus" }),
    "`delivering`: all is well; `retrying`: the last delivery failed and is tried again, after longer and longer times up to an hour; " +
      "`failing`: so for a day, and now tried every few hours"
  ),
  lastSuccessAt: field(Schema.NullOr(Time), "when an event last arrived; null: none has"),
  lastFailureAt: field(Schema.NullOr(Time), "when a delivery last failed; null: none has"),
  lastFailure: field(Schema.NullOr(Schema.String), "why that one failed"),
  behind: field(Int, "so many events have not been looked at for it yet, also those of other types"),
  nextTryAt: field(Schema.NullOr(Time), "when the delivery that failed is tried again; null: none waits for that")
}

/** @since 0.5.0 @category schemas */
export const Webhook = Schema.Struct(fields).annotations({
  identifier: "Webhook",
  description: "Where events are sent, and how that goes. Its secret is not among it."
})
/** @since 0.5.0 @category schemas */
export type Webhook = typeof Webhook.Type

const example: Webhook = {
  id: Domain.WebhookId.make(1),
  url: "https://receiver.example/hooks",
  types: ["vm.created", "vm.changed"],
  createdAt: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
  status: "retrying",
  lastSuccessAt: DateTime.unsafeMake("2026-01-02T04:05:06.007Z"),
  lastFailureAt: DateTime.unsafeMake("2026-01-02T04:05:09.100Z"),
  lastFailure: "receiver.example answers 503",
  behind: 3,
  nextTryAt: DateTime.unsafeMake("2026-01-02T04:05:11.321Z")
}

/** @since 0.5.0 @category schemas */
export const WebhookList = listOf(Webhook, "WebhookList", [example])

/** @since 0.5.0 @category schemas */
export const SealedWebhook = Schema.Struct({
  ...fields,
  secret: field(
    Schema.Redacted(Schema.String),
    "what its deliveries are signed with: `whsec_` and 32 bytes in base64, told this once"
  )
}).annotations({
  identifier: "SealedWebhook",
  description: "A webhook with the secret that was just made for it.",
  examples: [{ ...example, secret: Redacted.make("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=") }]
})

/** @since 0.5.0 @category schemas */
export const NewWebhook = Schema.Struct({
  url: field(Url, "`https`, without user name, password and fragment"),
  types: optional(Types, "events of these types only; absent or null: of all")
}).annotations({
  identifier: "NewWebhook",
  description: "Where events from now on are to be sent.",
  examples: [{ url: example.url, types: ["vm.created", "vm.changed"] }, { url: example.url }],
  ...usually({ types: null }),
  ...strict
})

/** @since 0.5.0 @category schemas */
export const WebhookChange = Schema.Struct({
  url: optional(Url, "where events are sent from now on; its secret stays"),
  types: optional(Types, "of which types; null: of all. Events that wait already are sent by it, too")
}).annotations({
  identifier: "WebhookChange",
  description: "What is to be different. What is absent stays.",
  examples: [{ url: example.url }, { types: null }],
  ...strict
})

/** @since 0.5.0 @category schemas */
export const WebhookPing = Schema.Struct({
  delivered: field(Schema.Boolean, "whether the answer came in time and was one of success"),
  status: field(Schema.NullOr(Int), "of the answer; null: there was none"),
  reason: field(Schema.NullOr(Schema.String), "why it did not arrive; null: it did"),
  milliseconds: field(Int, "how long it took")
}).annotations({
  identifier: "WebhookPing",
  description: "What came of a test.",
  examples: [{ delivered: false, status: 503, reason: "receiver.example answers 503", milliseconds: 21 }]
})

/** @since 0.8.0 @category schemas */
export const WebhookDelivery = Schema.Struct({
  id: field(Int, "higher for those that were later"),
  message: field(Schema.String, "what its header `webhook-id` says: the same at each try"),
  type: field(
    oneOf(Domain.DeliveryType.literals, "WebhookDeliveryType"),
    "of the event; `gap`: events were lost; `ping`: a test"
  ),
  cursor: field(
    Schema.NullOr(EventId),
    "of the event, as `/events` has it; of a gap: of the last event that is lost; null: it is about none"
  ),
  try: field(Int, "which try of it this was, from 1 on"),
  at: field(Time, "when it began"),
  milliseconds: field(Int, "how long it took"),
  status: field(Schema.NullOr(Int), "of the answer; null: there was none"),
  reason: field(Schema.NullOr(Schema.String), "why it did not arrive; null: it did"),
  nextTryAt: field(
    Schema.NullOr(Time),
    "when it was to be tried again, unless something makes it sooner; null: it was not"
  )
}).annotations({
  identifier: "WebhookDelivery",
  description: "One try to send something, without what was sent."
})
/** @since 0.8.0 @category schemas */
export type WebhookDelivery = typeof WebhookDelivery.Type

/** @since 0.8.0 @category schemas */
export const WebhookDeliveryList = listOf(WebhookDelivery, "WebhookDeliveryList", [
  {
    id: 12,
    message: "event-1-mjx2k3l4-41",
    type: "vm.created",
    cursor: EventId.make(41),
    try: 2,
    at: DateTime.unsafeMake("2026-01-02T04:05:09.100Z"),
    milliseconds: 21,
    status: 503,
    reason: "receiver.example answers 503",
    nextTryAt: DateTime.unsafeMake("2026-01-02T04:05:11.321Z")
  }
])

const byId = Schema.Struct({ id: id(Domain.WebhookId) })

/** @since 0.5.0 @category groups */
export const group = HttpApiGroup.make("webhooks")
  .add(
    HttpApiEndpoint.get("listWebhooks", "/webhooks")
      .addSuccess(WebhookList)
      .annotateContext(documented("admin", "List webhooks", "All of them, by id, and how their deliveries go."))
  )
  .add(
    HttpApiEndpoint.post("createWebhook", "/webhooks")
      .setUrlParams(planning)
      .setHeaders(making)
      .setPayload(NewWebhook)
      .addSuccess(SealedWebhook, { status: 201 })
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "admin",
          "Create a webhook",
          "Events from now on are sent there; the answer has the secret that they are signed with, this once: only the same request with " +
            "the same key has it again, for 10 minutes, from the same process; later it is `secret_not_kept`, and `detail` says what to do. 100 webhooks at most."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getWebhook", "/webhooks/:id")
      .setPath(byId)
      .addSuccess(Webhook)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "admin",
          "Get a webhook",
          "And how its deliveries go. Of its `ETag`, `If-Match` compares `url` and `types` only."
        )
      )
  )
  .add(
    HttpApiEndpoint.patch("changeWebhook", "/webhooks/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(Schema.Struct(IfMatch))
      .setPayload(WebhookChange)
      .addSuccess(Webhook)
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "admin",
          "Change a webhook",
          "What waits for its next try is tried at once. Nothing is sent twice for it."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("rotateWebhookSecret", "/webhooks/:id/secret")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(making)
      .addSuccess(SealedWebhook)
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .annotateContext(
        documented(
          "admin",
          "Give a webhook a new secret",
          "The answer has it, this once. For 24 hours deliveries have two signatures, the other by the secret before, so that nothing is lost " +
            "while the receiver changes over; doing it twice ends the oldest one at once. The same request with the same key " +
            "does it once; it has the secret again as that of creating one has it."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("pingWebhook", "/webhooks/:id/ping")
      .setPath(byId)
      .addSuccess(WebhookPing)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "admin",
          "Test a webhook",
          'Sends `{"type":"ping","time":…,"webhookId":…}` now, signed like an event, once, and says what came of it. When it arrives, what waits for ' +
            "its next try is tried at once."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("listWebhookDeliveries", "/webhooks/:id/deliveries")
      .setPath(byId)
      .addSuccess(WebhookDeliveryList)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "admin",
          "List deliveries of a webhook",
          `The last ${Domain.mostDeliveries} tries, tests among them, the newest first, also those of before a restart. What was sent is not among it.`
        )
      )
  )
  .add(
    HttpApiEndpoint.del("removeWebhook", "/webhooks/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(Schema.Struct(IfMatch))
      .addSuccess(Plan)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotateContext(documented("admin", "Remove a webhook", "Nothing is sent there any more."))
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Webhooks")
  .annotate(
    OpenApi.Description,
    "Events sent to other programs: one event a POST, its body as `/events` has it, in order, each at least once. It has arrived when the answer is 2xx within " +
      "10 seconds; redirects are not followed. What fails is tried again after longer and longer times for as long as the event is kept; with " +
      "what was dropped meanwhile comes a delivery " +
      '`{"type":"gap","time":…,"after":…,"next":…}`: events after `after` and before `next` are lost. Headers are those of Standard Webhooks: `webhook-id` (the same ' +
      "at each try: what was seen before can be skipped by it), `webhook-timestamp` (seconds since 1970), and `webhook-signature`, `v1,` and the " +
      "base64 of the HMAC-SHA256 of `id.timestamp.body`, several with blanks between them while a secret is being changed."
  )
