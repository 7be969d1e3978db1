/**
 * Events sent to other programs.
 *
 * @since 0.8.0
 */
import { Atom, useAtomRefresh } from "@effect-atom/atom-react"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type ReactNode, useState } from "react"
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
import { useOften, useRead } from "../state/Read.ts"
import { ifMatch, revised, useRevised } from "../state/Revised.ts"
import { ofWhoLooks } from "../state/Session.ts"
import { useAbove } from "../parts/Above.tsx"
import { AdminsOnly, Tabs } from "../parts/Accounts.tsx"
import type { Commanded } from "../parts/Commands.ts"
import { CheckField, TextField } from "../parts/Field.tsx"
import { FormDialog, Loaded, SecretDialog } from "../parts/FormDialog.tsx"
import { MenuButton } from "../parts/MenuButton.tsx"
import { CommandsButton, Empty, Failure, State, useBegin, useTitle } from "../parts/Parts.tsx"
import { rebased } from "../parts/Rebased.ts"
import { briefly, count, type Shown } from "../parts/Words.ts"

const webhooksAtom = ofWhoLooks(Effect.flatMap(calls, ({ webhooks }) => webhooks.listWebhooks()))

/** One of them: the list has no revisions. */
const webhookAtom = revised((id: WebhookId) =>
  Effect.flatMap(calls, ({ webhooks }) => webhooks.getWebhook({ path: { id }, withResponse: true }))
)

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

/** What there is to say of one. */
interface Form {
  readonly url: string
  /** null: all of them */
  readonly types: ReadonlyArray<EventType> | null
}

const flagsOf = ({ types }: Form) => (types ?? []).flatMap((type) => ["--type", type])

const isSaid = ({ types, url }: Form): boolean => url !== "" && (types === null || types.length > 0)

const labels = { url: "Address", types: "Only these" }

/** Where to, and which. */
const FormFields = ({
  form: { types, url },
  put
}: {
  readonly form: Form
  readonly put: (change: Partial<Form>) => void
}) => (
  <>
    <TextField
      label={labels.url}
      hint="https, without user name and password. Each event is a POST there, signed."
      type="url"
      placeholder="https://receiver.example/hooks"
      autoFocus
      required
      value={url}
      onChange={(url) => put({ url })}
    />
    <CheckField label="All events" checked={types === null} onChange={(all) => put({ types: all ? null : [] })} />
    {types === null ? null : (
      <fieldset className="checks">
        <legend className="label">{labels.types}</legend>
        {EventType.literals.map((type) => (
          <CheckField
            key={type}
            label={type}
            checked={types.includes(type)}
            onChange={(checked) => put({ types: checked ? [...types, type] : types.filter((one) => one !== type) })}
          />
        ))}
      </fieldset>
    )}
  </>
)

const NewWebhookDialog = ({
  onClose,
  onDone,
  onMade
}: {
  readonly onClose: () => void
  readonly onDone: () => void
  readonly onMade: (sealed: Sealed) => void
}) => {
  const [form, setForm] = useState<Form>({ url: "", types: null })
  const { types, url } = form
  const body = { url, ...(types === null ? {} : { types }) }
  const action: Commanded = {
    label: "Create webhook",
    method: "POST",
    path: "/webhooks",
    body,
    words: ["webhook", "create", url === "" ? "URL" : url, ...flagsOf(form)],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewWebhook, body)
      const { webhooks } = yield* calls
      onMade(yield* webhooks.createWebhook({ payload }))
    })
  }
  return (
    <FormDialog
      title="Create a webhook"
      labels={labels}
      action={action}
      ready={isSaid(form)}
      onClose={onClose}
      onDone={onDone}
    >
      <FormFields form={form} put={(change) => setForm((now) => ({ ...now, ...change }))} />
    </FormDialog>
  )
}

const formOf = ({ types, url }: Webhook): Form => ({ url, types })

const isSame = (one: Form, other: Form): boolean =>
  one.url === other.url && JSON.stringify(one.types) === JSON.stringify(other.types)

/** Refused when somebody else has changed it since it was read; then it is read again. */
const ChangeWebhookDialog = ({
  onClose,
  onDone,
  webhook
}: {
  readonly webhook: Webhook
  readonly onClose: () => void
  readonly onDone: () => void
}) => {
  const { id } = webhook
  const { guarded, isRead, revision, value, words } = useRevised(webhookAtom(id), webhook)
  const [held, hold] = useState(() => ({ read: webhook, was: formOf(webhook), form: formOf(webhook), news: "" }))
  // once it is read anew, what was not touched here is as it is now
  if (isRead && value !== held.read) {
    const { was } = held
    const is = formOf(value)
    // a list that says the same is not another one
    const now = isSame({ ...was, url: is.url }, is) ? { ...is, types: was.types } : is
    hold({
      read: value,
      was: now,
      form: rebased(held.form, was, now),
      news: isSame(was, is)
        ? held.news
        : `By now it is of ${is.types === null ? "all events" : is.types.join(", ")}, to ${is.url}.`
    })
  }
  const { form, news } = held
  const headers = ifMatch(revision)
  const action: Commanded = {
    label: `Change webhook ${id}`,
    method: "PATCH",
    path: `/webhooks/${id}`,
    ...headers.shown,
    body: form,
    words: [
      "webhook",
      "set",
      `id:${id}`,
      "--address",
      form.url,
      ...(form.types === null ? ["--all-types"] : flagsOf(form))
    ],
    run: guarded(
      Effect.gen(function* () {
        const payload = yield* payloadOf(WebhookChange, form)
        const { webhooks } = yield* calls
        yield* webhooks.changeWebhook({ path: { id }, payload, headers: headers.sent })
      })
    )
  }
  return (
    <FormDialog
      title={`Webhook ${id}`}
      labels={labels}
      action={action}
      ready={isRead && isSaid(form)}
      onClose={onClose}
      onDone={onDone}
    >
      {words === null ? null : <Failure words={words} />}
      {news === "" ? null : <p className="note warn">{news}</p>}
      <FormFields form={form} put={(change) => hold((now) => ({ ...now, form: { ...now.form, ...change } }))} />
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
  const open = useAbove()
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
                act: () => open((close) => <ChangeWebhookDialog webhook={webhook} onClose={close} onDone={onChange} />)
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
    </section>
  )
}

const All = ({ webhooks }: { readonly webhooks: ReadonlyArray<Webhook> }) => {
  const refresh = useAtomRefresh(webhooksAtom)
  const open = useAbove()
  const [sealed, setSealed] = useState<Sealed | null>(null)
  // how deliveries go is no event
  useOften(refresh)
  return (
    <>
      <div className="head">
        <h2>Webhooks</h2>
        <div className="actions">
          <button
            type="button"
            className="button primary"
            onClick={() => open((close) => <NewWebhookDialog onClose={close} onDone={refresh} onMade={setSealed} />)}
          >
            Create webhook
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
