/**
 * `vmfabric webhook`: events sent to other programs.
 *
 * @since 0.5.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { SealedWebhook, Webhook, WebhookDelivery, WebhookPing } from "../api/Webhooks.ts"
import { EventType } from "../domain/Event.ts"
import { WebhookId } from "../domain/Webhook.ts"
import { Refused } from "./Failure.ts"
import { type Answer, answered, ask, list, note, one, time, toneOf, type View } from "./Output.ts"
import * as Pages from "./Pages.ts"
import { Screen } from "./Screen.ts"
import * as Session from "./Session.ts"
import * as Verb from "./Verb.ts"

const client = Effect.map(Session.client, ({ webhooks }) => webhooks)

const view: View<Webhook> = {
  name: ({ id }) => id,
  columns: [
    { title: "ID", of: ({ id }) => id },
    { title: "URL", of: ({ url }) => url },
    { title: "TYPES", of: ({ types }) => types?.join(",") ?? "all" },
    { title: "STATUS", of: ({ status }) => status },
    { title: "BEHIND", of: ({ behind }) => behind },
    { title: "LAST FAILURE", of: ({ lastFailure }) => lastFailure },
    { title: "NEXT TRY", of: ({ nextTryAt }) => time(nextTryAt), wide: true },
    { title: "LAST SUCCESS", of: ({ lastSuccessAt }) => time(lastSuccessAt), wide: true },
    { title: "CREATED", of: ({ createdAt }) => time(createdAt), wide: true }
  ]
}

const pingView: View<typeof WebhookPing.Type> = {
  name: ({ delivered }) => String(delivered),
  columns: [
    { title: "DELIVERED", of: ({ delivered }) => delivered },
    { title: "STATUS", of: ({ status }) => status },
    { title: "REASON", of: ({ reason }) => reason },
    { title: "MILLISECONDS", of: ({ milliseconds }) => milliseconds }
  ]
}

const deliveries: View<WebhookDelivery> = {
  name: ({ id }) => id,
  columns: [
    { title: "AT", of: ({ at }) => time(at) },
    { title: "WHAT", of: ({ type }) => type },
    { title: "EVENT", of: ({ cursor }) => cursor },
    { title: "TRY", of: (one) => one.try },
    {
      title: "RESULT",
      of: ({ reason }) => (reason === null ? "arrived" : "failed"),
      tone: ({ reason }) => toneOf(reason === null ? "done" : "failed")
    },
    { title: "STATUS", of: ({ status }) => status },
    { title: "MILLISECONDS", of: ({ milliseconds }) => milliseconds },
    { title: "REASON", of: ({ reason }) => reason },
    { title: "NEXT TRY", of: ({ nextTryAt }) => time(nextTryAt) },
    { title: "MESSAGE", of: ({ message }) => message, wide: true }
  ]
}

const word = Verb.word("webhook", "Id of the webhook.")
const types = Options.repeated(
  Verb.choice("type", EventType.literals, "Events of this type only; may be given several times.")
)

const decode = Schema.decodeOption(WebhookId)

/** Webhooks have ids only. */
const idOf = (text: string) =>
  Option.match(decode(Number(text.replace(/^id:/, ""))), {
    onNone: () =>
      new Refused({
        why: "usage",
        message: `${JSON.stringify(text)} is no webhook: expected its id, as vmfabric webhook list shows it`,
        field: "webhook"
      }),
    onSome: Effect.succeed
  })

/** The id that is meant, and the calls to ask about it. */
const existing = (text: string) => Effect.all([idOf(text), client])

/** For people the secret stands alone on standard output. */
const sealed = (answer: Answer<typeof SealedWebhook.Type>) =>
  Effect.gen(function* () {
    const { mode } = yield* Session.Session
    if (mode !== "table" && mode !== "wide") return yield* one(view, answer)
    const { id, secret, url } = answer.value
    yield* note(`events go to ${url} by webhook ${id}; this is the secret they are signed with, shown this once:`)
    const { out } = yield* Screen
    yield* out(`${Redacted.value(secret)}\n`)
  })

/** @since 0.5.0 @category nouns */
export const noun: Verb.Noun = {
  name: "webhook",
  about: "events sent to other programs",
  verbs: [
    Verb.make({
      name: "list",
      about: "List webhooks, and how their deliveries go.",
      endpoints: ["listWebhooks"],
      options: Verb.noOptions,
      args: Args.none,
      run: () =>
        Effect.flatMap(client, (webhooks) =>
          Pages.whole(view, false, {}, "there are no webhooks", webhooks.listWebhooks({ withResponse: true }))
        )
    }),
    Verb.make({
      name: "get",
      about: "Show a webhook, and how its deliveries go.",
      endpoints: ["getWebhook"],
      options: Verb.noOptions,
      args: word,
      run: (_, text) =>
        Effect.gen(function* () {
          const [id, webhooks] = yield* existing(text)
          yield* ask(view, webhooks.getWebhook({ path: { id }, withResponse: true }))
        })
    }),
    Verb.make({
      name: "create",
      about: "Send events from now on to a program, and print the secret that signs them, this once.",
      endpoints: ["createWebhook"],
      options: Options.all({ types }),
      args: Verb.word("address", "Where to, as in https://receiver.example/hooks."),
      run: ({ types }, url) =>
        Effect.gen(function* () {
          const webhooks = yield* client
          const payload = { url, ...(types.length === 0 ? {} : { types }) }
          yield* sealed(yield* answered(webhooks.createWebhook({ payload, withResponse: true })))
        })
    }),
    Verb.make({
      name: "set",
      about: "Change where events go, or which.",
      endpoints: ["changeWebhook"],
      options: Options.all({
        address: Options.optional(Verb.text("address", "URL", "Where events go from now on.")),
        types,
        all: Verb.toggle("all-types", "Events of every type from now on.")
      }),
      args: word,
      run: ({ address, all, types }, text) =>
        Effect.gen(function* () {
          if (all && types.length > 0) {
            return yield* new Refused({
              why: "usage",
              message: "--type and --all-types are given both: which events are to go there?",
              field: "all-types"
            })
          }
          const [id, webhooks] = yield* existing(text)
          const asked = all ? { types: null } : types.length === 0 ? {} : { types }
          const payload = { ...Verb.given("url", address), ...asked }
          yield* ask(view, webhooks.changeWebhook({ path: { id }, payload, withResponse: true }))
        })
    }),
    Verb.make({
      name: "rotate",
      about: "Give a webhook a new secret, and print it, this once; the one before signs for another 24 hours, too.",
      endpoints: ["rotateWebhookSecret"],
      options: Verb.noOptions,
      args: word,
      run: (_, text) =>
        Effect.gen(function* () {
          const [id, webhooks] = yield* existing(text)
          yield* sealed(yield* answered(webhooks.rotateWebhookSecret({ path: { id }, withResponse: true })))
        })
    }),
    Verb.make({
      name: "ping",
      about: "Send a test now, and say what came of it.",
      endpoints: ["pingWebhook"],
      options: Verb.noOptions,
      args: word,
      run: (_, text) =>
        Effect.gen(function* () {
          const [id, webhooks] = yield* existing(text)
          const answer = yield* answered(webhooks.pingWebhook({ path: { id }, withResponse: true }))
          yield* one(pingView, answer)
          if (!answer.value.delivered) {
            return yield* new Refused({
              why: "failed",
              message: `the test did not arrive: ${answer.value.reason ?? "no reason is known"}`
            })
          }
        })
    }),
    Verb.make({
      name: "deliveries",
      about: "List the last 100 tries to send something, tests among them, the newest first.",
      endpoints: ["listWebhookDeliveries"],
      options: Verb.noOptions,
      args: word,
      run: (_, text) =>
        Effect.gen(function* () {
          const [id, webhooks] = yield* existing(text)
          const { body, value } = yield* answered(webhooks.listWebhookDeliveries({ path: { id }, withResponse: true }))
          yield* list(deliveries, value.items, body, "nothing was sent yet")
        })
    }),
    Verb.make({
      name: "remove",
      about: "Send nothing there any more.",
      endpoints: ["removeWebhook"],
      options: Verb.noOptions,
      args: word,
      run: (_, text) =>
        Effect.gen(function* () {
          const [id, webhooks] = yield* existing(text)
          yield* webhooks.removeWebhook({ path: { id } })
          yield* note(`webhook ${id} is removed`)
        })
    })
  ]
}
