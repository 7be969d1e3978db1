/**
 * Events sent to other programs.
 *
 * @since 0.8.0
 */
import { Atom, useAtomRefresh } from "@effect-atom/atom-react"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type ReactNode, useEffect, useState } from "react"
import {
  NewWebhook,
  type SealedWebhook,
  type Webhook,
  WebhookChange,
  type WebhookDelivery,
  type WebhookPing
} from "../../api/Webhooks.ts"
import { EventType } from "../../domain/Event.ts"
import type { WebhookId } from "../../domain/Webhook.ts"
import { calls, payloadOf, runtime } from "../state/Api.ts"
import { useRead } from "../state/Read.ts"
import { ofWhoLooks } from "../state/Session.ts"
import { AdminsOnly, Tabs } from "../parts/Accounts.tsx"
import type { Commanded } from "../parts/Commands.ts"
import { CheckField, TextField } from "../parts/Field.tsx"
import { FormDialog, Loaded, SecretDialog } from "../parts/FormDialog.tsx"
import { MenuButton } from "../parts/MenuButton.tsx"
import { CommandsButton, Empty, State, useBegin, useTitle, useDialog } from "../parts/Parts.tsx"
import { briefly, count, type Shown } from "../parts/Words.ts"

const webhooksAtom = ofWhoLooks(Effect.flatMap(calls, ({ webhooks }) => webhooks.listWebhooks()))

const stateOf = ({ lastFailure, status }: Webhook): Shown => {
  switch (status) {
    case "delivering":
      return { tone: "ok", word: "delivering", why: null }
    case "retrying":
      return { tone: "warn", word: "retrying", why: lastFailure }
    case "failing":
      return { tone: "bad", word: "failing", why: lastFailure }
  }
}

type Sealed = typeof SealedWebhook.Type

/** Where to, and which; a new one when there is none. */
const WebhookDialog = ({
  onClose,
  onDone,
  onMade,
  webhook
}: {
  readonly webhook: Webhook | null
  readonly onClose: () => void
  readonly onDone: () => void
  readonly onMade: (sealed: Sealed) => void
}) => {
  const [url, setUrl] = useState(webhook?.url ?? "")
  const [types, setTypes] = useState<ReadonlyArray<EventType> | null>(webhook?.types ?? null)
  const flags = (types ?? []).flatMap((type) => ["--type", type])
  const action: Commanded =
    webhook === null
      ? {
          label: "Create webhook",
          method: "POST",
          path: "/webhooks",
          body: { url, ...(types === null ? {} : { types }) },
          words: ["webhook", "create", url === "" ? "URL" : url, ...flags],
          run: Effect.gen(function* () {
            const payload = yield* payloadOf(NewWebhook, { url, ...(types === null ? {} : { types }) })
            const { webhooks } = yield* calls
            onMade(yield* webhooks.createWebhook({ payload }))
          })
        }
      : {
          label: `Change webhook ${webhook.id}`,
          method: "PATCH",
          path: `/webhooks/${webhook.id}`,
          body: { url, types },
          words: ["webhook", "set", `id:${webhook.id}`, "--address", url, ...flags],
          run: Effect.gen(function* () {
            const payload = yield* payloadOf(WebhookChange, { url, types })
            const { webhooks } = yield* calls
            yield* webhooks.changeWebhook({ path: { id: webhook.id }, payload })
          })
        }
  return (
    <FormDialog
      title={webhook === null ? "New webhook" : `Webhook ${webhook.id}`}
      action={action}
      ready={url !== "" && (types === null || types.length > 0)}
      onClose={onClose}
      onDone={onDone}
    >
      <TextField
        label="Address"
        hint="https, without user name and password. Each event is a POST there, signed."
        type="url"
        placeholder="https://receiver.example/hooks"
        autoFocus
        required
        value={url}
        onChange={setUrl}
      />
      <CheckField label="All events" checked={types === null} onChange={(all) => setTypes(all ? null : [])} />
      {types === null ? null : (
        <fieldset className="checks">
          <legend className="label">Only these</legend>
          {EventType.literals.map((type) => (
            <CheckField
              key={type}
              label={type}
              checked={types.includes(type)}
              onChange={(checked) => setTypes(checked ? [...types, type] : types.filter((one) => one !== type))}
            />
          ))}
        </fieldset>
      )}
    </FormDialog>
  )
}

type Pinged = typeof WebhookPing.Type

const ping = ({ id }: Webhook, onPinged: (pinged: Pinged) => void): Commanded => ({
  label: `Test webhook ${id}`,
  method: "POST",
  path: `/webhooks/${id}/ping`,
  words: ["webhook", "ping", `id:${id}`],
  doneHere: true,
  run: Effect.gen(function* () {
    const { webhooks } = yield* calls
    onPinged(yield* webhooks.pingWebhook({ path: { id } }))
  })
})

const rotate = ({ id }: Webhook, onMade: (sealed: Sealed) => void): Commanded => ({
  label: `Give webhook ${id} a new secret`,
  method: "POST",
  path: `/webhooks/${id}/secret`,
  words: ["webhook", "rotate", `id:${id}`],
  run: Effect.gen(function* () {
    const { webhooks } = yield* calls
    onMade(yield* webhooks.rotateWebhookSecret({ path: { id } }))
  })
})

const remove = ({ id }: Webhook): Commanded => ({
  label: `Remove webhook ${id}`,
  method: "DELETE",
  path: `/webhooks/${id}`,
  words: ["webhook", "remove", `id:${id}`],
  run: Effect.flatMap(calls, ({ webhooks }) => webhooks.removeWebhook({ path: { id } }))
})

const deliveriesAtom = Atom.family((id: WebhookId) =>
  runtime.atom(Effect.flatMap(calls, ({ webhooks }) => webhooks.listWebhookDeliveries({ path: { id } })))
)

const aboutOf = ({ cursor, type }: WebhookDelivery): string =>
  type === "ping" ? "test" : type === "gap" ? "lost events" : cursor === null ? type : `${type}, event ${cursor}`

/** Each try, the newest first. `on`: what tells that there was another. */
const Deliveries = ({ id, on }: { readonly id: WebhookId; readonly on: ReadonlyArray<unknown> }) => {
  const atom = deliveriesAtom(id)
  useRead(atom, on)
  return (
    <Loaded atom={atom}>
      {({ items }) =>
        items.length === 0 ? (
          <p className="quiet">Nothing was sent yet.</p>
        ) : (
          <div className="deliveries" role="region" aria-label={`Deliveries of webhook ${id}`} tabIndex={0}>
            <ol className="list">
              {items.map((one) => (
                <li key={one.id}>
                  <State
                    tone={one.reason === null ? "ok" : "bad"}
                    word={one.reason === null ? "arrived" : "failed"}
                    why={null}
                  />
                  <span>{aboutOf(one)}</span>
                  {one.try === 1 ? null : <span className="quiet">try {count(one.try)}</span>}
                  <span className="quiet small end">
                    <time dateTime={DateTime.formatIso(one.at)}>{briefly(one.at)}</time>
                    {`, ${one.status === null ? "no answer" : one.status} after ${count(one.milliseconds)} ms`}
                  </span>
                  {one.reason === null ? null : (
                    <span className="whole small">
                      {one.reason}
                      {one.nextTryAt === null ? "" : `; to be tried again at ${briefly(one.nextTryAt)}`}
                    </span>
                  )}
                </li>
              ))}
            </ol>
          </div>
        )
      }
    </Loaded>
  )
}

const One = ({
  onChange,
  onMade,
  webhook
}: {
  readonly webhook: Webhook
  readonly onChange: () => void
  readonly onMade: (sealed: Sealed) => void
}) => {
  const begin = useBegin()
  const [dialog, open] = useDialog()
  const [pinged, setPinged] = useState<Pinged | null>(null)
  const [shown, show] = useState(false)
  const test = ping(webhook, setPinged)
  const { behind, id, lastFailure, lastFailureAt, lastSuccessAt, nextTryAt, status, types, url } = webhook
  return (
    <section className="card" aria-label={`Webhook ${id}`}>
      <header>
        <h3 className="cut">{url}</h3>
        <State {...stateOf(webhook)} />
      </header>
      {status === "delivering" ? null : (
        <div className={`note ${status === "failing" ? "bad" : "warn"}`}>
          <strong>{lastFailure ?? "Nothing arrives"}</strong>
          {nextTryAt === null ? null : <p>It is tried again at {briefly(nextTryAt)}.</p>}
        </div>
      )}
      <dl className="facts">
        <dt>Events</dt>
        <dd>{types === null ? "all" : types.join(", ")}</dd>
        <dt>Last arrived</dt>
        <dd>{lastSuccessAt === null ? "none yet" : briefly(lastSuccessAt)}</dd>
        {lastFailureAt === null ? null : (
          <>
            <dt>Last failed</dt>
            <dd>
              {briefly(lastFailureAt)}
              {status === "delivering" ? `: ${lastFailure ?? ""}` : ""}
            </dd>
          </>
        )}
        <dt>Waiting</dt>
        <dd>{behind === 0 ? "none" : `${count(behind)} not looked at yet`}</dd>
      </dl>
      {pinged === null ? null : (
        <p className={`note ${pinged.delivered ? "" : "bad"}`} role="status">
          {pinged.delivered
            ? `The test arrived, answered by ${pinged.status ?? "a success"} after ${count(pinged.milliseconds)} ms.`
            : `The test did not arrive: ${pinged.reason ?? "it is not known why"}.`}
        </p>
      )}
      <details onToggle={({ currentTarget }) => show(currentTarget.open)}>
        <summary>Last deliveries</summary>
        {shown ? (
          <Deliveries
            id={id}
            on={[lastSuccessAt?.epochMillis, lastFailureAt?.epochMillis, nextTryAt?.epochMillis, pinged]}
          />
        ) : null}
      </details>
      <div className="row">
        <button type="button" className="button" onClick={() => void begin(test).then(onChange)}>
          Test
        </button>
        <CommandsButton actions={[test, rotate(webhook, onMade), remove(webhook)]} />
        <MenuButton
          label={`Actions of webhook ${id}`}
          shown="More"
          entries={() => [
            [
              {
                name: "Change…",
                disabled: false,
                act: () =>
                  open((close) => <WebhookDialog webhook={webhook} onClose={close} onDone={onChange} onMade={onMade} />)
              },
              {
                name: "New secret…",
                disabled: false,
                act: () =>
                  open((close) => (
                    <FormDialog
                      title="A new secret?"
                      action={rotate(webhook, onMade)}
                      onClose={close}
                      onDone={onChange}
                    >
                      <p>
                        For 24 hours deliveries have two signatures, by the new and by the present secret, so that the
                        receiver can change over.
                      </p>
                    </FormDialog>
                  ))
              }
            ],
            [
              {
                name: "Remove…",
                danger: true,
                disabled: false,
                act: () =>
                  open((close) => (
                    <FormDialog
                      title={`Remove webhook ${id}?`}
                      danger
                      action={remove(webhook)}
                      onClose={close}
                      onDone={onChange}
                    >
                      <p>
                        Nothing is sent to {url} any more
                        {behind === 0 ? "." : `, and what waits is not sent either.`}
                      </p>
                    </FormDialog>
                  ))
              }
            ]
          ]}
        />
      </div>
      {dialog}
    </section>
  )
}

/** How deliveries go is no event: it is asked for again while it is looked at. */
const often = 5000

const All = ({ webhooks }: { readonly webhooks: ReadonlyArray<Webhook> }) => {
  const refresh = useAtomRefresh(webhooksAtom)
  const [dialog, open] = useDialog()
  const [sealed, setSealed] = useState<Sealed | null>(null)
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") refresh()
    }, often)
    return () => clearInterval(timer)
  }, [refresh])
  return (
    <>
      <div className="head">
        <h2>Webhooks</h2>
        <div className="actions">
          <button
            type="button"
            className="button primary"
            onClick={() =>
              open((close) => <WebhookDialog webhook={null} onClose={close} onDone={refresh} onMade={setSealed} />)
            }
          >
            New webhook
          </button>
        </div>
      </div>
      {webhooks.length === 0 ? (
        <Empty title="No webhooks yet">
          <p>A webhook sends what happens to another program, each event at least once, in order, and signed.</p>
        </Empty>
      ) : (
        <div className="grid wide">
          {webhooks.map((webhook) => (
            <One key={webhook.id} webhook={webhook} onChange={refresh} onMade={setSealed} />
          ))}
        </div>
      )}
      {dialog}
      {sealed === null ? null : (
        <SecretDialog
          title={`The secret of webhook ${sealed.id}`}
          secret={Redacted.value(sealed.secret)}
          onClose={() => setSealed(null)}
        >
          <p>What is sent to {sealed.url} is signed with it.</p>
        </SecretDialog>
      )}
    </>
  )
}

/** @since 0.8.0 @category components */
export const Webhooks = (): ReactNode => {
  useTitle("Webhooks")
  return (
    <div className="page narrow">
      <h1>Settings</h1>
      <Tabs />
      <AdminsOnly>
        <Loaded atom={webhooksAtom}>{({ items }) => <All webhooks={items} />}</Loaded>
      </AdminsOnly>
    </div>
  )
}
