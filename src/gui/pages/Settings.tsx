/**
 * One's own account, and the tokens that open the door to programs.
 *
 * @since 0.8.0
 */
import { useAtomRefresh, useAtomValue } from "@effect-atom/atom-react"
import { Link } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type ReactNode, useState } from "react"
import { prefix } from "../../api/Api.ts"
import type { Me } from "../../api/Session.ts"
import { NewToken, type Token } from "../../api/Tokens.ts"
import { allows, localUser, type UserName } from "../../domain/Identity.ts"
import { calls, payloadOf } from "../state/Api.ts"
import { ifMatch, revised, useRevised } from "../state/Revised.ts"
import { knownAtom, ofWhoLooks } from "../state/Session.ts"
import { useAbove } from "../parts/Above.tsx"
import { means, meant, PasswordDialog, rolesWithin, Tabs } from "../parts/Accounts.tsx"
import type { Commanded } from "../parts/Commands.ts"
import { ChoiceField, TextField } from "../parts/Field.tsx"
import { FormDialog, Loaded, SecretDialog } from "../parts/FormDialog.tsx"
import { type Column, Table } from "../parts/Table.tsx"
import { Empty, Failure, useTitle } from "../parts/Parts.tsx"
import { Uses } from "../parts/QuotaFields.tsx"
import { briefly, moment } from "../parts/Words.ts"

/** Their owners' names, for an admin who is nobody's account. */
const ownersAtom = ofWhoLooks(Effect.flatMap(calls, ({ users }) => users.listUsers()))

/** How much of one's quota is used at this moment. */
const heldAtom = ofWhoLooks(Effect.flatMap(calls, ({ session }) => session.whoAmI()))

const tokensAtom = ofWhoLooks(Effect.flatMap(calls, ({ tokens }) => tokens.listTokens()))

const day = 86_400_000

const lives = [
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "a year"],
  ["", "for ever"]
] as const

const NewTokenDialog = ({
  me,
  onClose,
  onMade,
  owners
}: {
  readonly me: typeof Me.Type
  readonly owners: ReadonlyArray<UserName>
  readonly onClose: () => void
  readonly onMade: (name: string, secret: string) => void
}) => {
  const [name, setName] = useState("")
  const [role, setRole] = useState<string>("viewer")
  const [owner, setOwner] = useState<string>(me.user === localUser ? (owners[0] ?? "") : me.user)
  const [days, setDays] = useState("90")
  const [begun] = useState(() => Date.now())
  const body = {
    name,
    role,
    ...(owner === me.user ? {} : { owner }),
    ...(days === "" ? {} : { expiresAt: new Date(begun + Number(days) * day).toISOString() })
  }
  const action: Commanded = {
    label: `Create token ${name}`,
    method: "POST",
    path: "/tokens",
    body,
    words: [
      "token",
      "create",
      "--name",
      name === "" ? "NAME" : name,
      "--role",
      role,
      ...(owner === me.user ? [] : ["--owner", owner]),
      ...(days === "" ? [] : ["--days", days])
    ],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewToken, body)
      const { tokens } = yield* calls
      const made = yield* tokens.createToken({ payload })
      onMade(made.name, Redacted.value(made.secret))
    })
  }
  return (
    <FormDialog title="Create a token" button="Create token" action={action} ready={name !== ""} onClose={onClose}>
      <TextField
        label="What it is for"
        hint="As in: nightly builds"
        autoFocus
        required
        value={name}
        onChange={setName}
      />
      <ChoiceField
        label="What it may"
        hint={`${meant(role)}. Never more than its owner may; the least that does is best.`}
        value={role}
        onChange={setRole}
        options={rolesWithin(me.role)}
      />
      {me.role === "admin" && owners.length > 0 ? (
        <ChoiceField
          label="Whose it is"
          value={owner}
          onChange={setOwner}
          options={owners.map((one) => [one, one === me.user ? `${one}, you` : one])}
        />
      ) : null}
      <ChoiceField label="For how long" value={days} onChange={setDays} options={lives} />
    </FormDialog>
  )
}

/** One of them: the list has no revisions. */
const tokenAtom = revised((id: Token["id"]) =>
  Effect.flatMap(calls, ({ tokens }) => tokens.getToken({ path: { id }, withResponse: true }))
)

const RevokeDialog = ({
  onClose,
  onDone,
  token
}: {
  readonly token: Token
  readonly onClose: () => void
  readonly onDone: () => void
}) => {
  const { id, name } = token
  const { guarded, isRead, revision, words } = useRevised(tokenAtom(id), token)
  const headers = ifMatch(revision)
  const action: Commanded = {
    label: `Revoke ${name}`,
    method: "DELETE",
    path: `/tokens/${id}`,
    ...headers.shown,
    words: ["token", "revoke", `id:${id}`],
    run: guarded(Effect.flatMap(calls, ({ tokens }) => tokens.removeToken({ path: { id }, headers: headers.sent })))
  }
  return (
    <FormDialog title={`Revoke ${name}?`} danger action={action} ready={isRead} onClose={onClose} onDone={onDone}>
      {words === null ? null : <Failure words={words} />}
      <p>Whatever uses it is refused from that moment on. A token that was revoked does not come back.</p>
    </FormDialog>
  )
}

const columns = (me: typeof Me.Type, ask: (token: Token) => void): ReadonlyArray<Column<Token>> => [
  { key: "name", name: "For", tone: "main-cell", shown: ({ name }) => name, title: ({ name }) => name },
  { key: "owner", name: "Owner", shown: ({ owner }) => owner, className: "extra-phone" },
  { key: "role", name: "Role", shown: ({ role }) => role, className: "extra-phone" },
  {
    key: "expires",
    name: "Expires",
    tone: "quiet",
    className: "extra",
    shown: ({ expiresAt }) => (expiresAt === null ? "never" : moment(expiresAt))
  },
  {
    key: "used",
    name: "Last used",
    tone: "quiet",
    className: "extra",
    shown: ({ lastUsedAt }) => (lastUsedAt === null ? "never" : briefly(lastUsedAt))
  },
  {
    key: "actions",
    name: <span className="sr">Actions</span>,
    className: "end",
    shown: (token) => (
      <button type="button" className="button tiny" disabled={!allows(me.role, token.role)} onClick={() => ask(token)}>
        Revoke…<span className="sr"> {token.name}</span>
      </button>
    )
  }
]

const Tokens = ({ me, owners }: { readonly me: typeof Me.Type; readonly owners: ReadonlyArray<UserName> }) => {
  const refresh = useAtomRefresh(tokensAtom)
  const open = useAbove()
  const [secret, setSecret] = useState<{ readonly name: string; readonly secret: string } | null>(null)
  const nobody = me.user === localUser && owners.length === 0
  const ask = (token: Token) => open((close) => <RevokeDialog token={token} onClose={close} onDone={refresh} />)
  return (
    <>
      <div className="head">
        <h2>API tokens</h2>
        <div className="actions">
          <button
            type="button"
            className="button primary"
            disabled={nobody}
            onClick={() =>
              open((close) => (
                <NewTokenDialog
                  me={me}
                  owners={owners}
                  onClose={close}
                  onMade={(name, made) => {
                    refresh()
                    setSecret({ name, secret: made })
                  }}
                />
              ))
            }
          >
            Create token
          </button>
        </div>
      </div>
      <Loaded atom={tokensAtom}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No tokens yet">
              {nobody ? (
                <>
                  <p>A token is a user&apos;s, and there is no user yet.</p>
                  <Link to="/settings/users" className="button">
                    Create the first user
                  </Link>
                </>
              ) : (
                <p>A token lets a program in: a script, a pipeline, the command line on another machine.</p>
              )}
            </Empty>
          ) : (
            <Table
              kind="tokens"
              label="tokens"
              columns={columns(me, ask)}
              rows={items}
              keyOf={({ id }) => String(id)}
            />
          )
        }
      </Loaded>
      {secret === null ? null : (
        <SecretDialog title={`Token ${secret.name}`} secret={secret.secret} onClose={() => setSecret(null)}>
          <p>
            Programs send it as <code>Authorization: Bearer …</code>.
          </p>
        </SecretDialog>
      )}
    </>
  )
}

const Account = ({ me }: { readonly me: typeof Me.Type }) => {
  const open = useAbove()
  return (
    <section className="card" aria-labelledby="account">
      <header>
        <h2 id="account">Who you are</h2>
        {me.user === localUser ? null : (
          <button
            type="button"
            className="button tiny"
            onClick={() => open((close) => <PasswordDialog name={me.user} read={null} onClose={close} />)}
          >
            Change your password…
          </button>
        )}
      </header>
      <p>
        <strong>{me.user}</strong>, {means[me.role]}
      </p>
      {me.user === localUser || me.quota === undefined ? null : (
        <Loaded atom={heldAtom}>
          {(held) => (
            <p>
              Your quota: <Uses of={held} />
            </p>
          )}
        </Loaded>
      )}
      {me.user === localUser ? (
        <p className="quiet">
          Whoever is on the controller&apos;s own machine is an admin as long as nobody could sign in. That ends with
          the first user.
        </p>
      ) : null}
    </section>
  )
}

const Backup = () => (
  <section className="card" aria-labelledby="backup">
    <header>
      <h2 id="backup">Backup</h2>
      <a className="button tiny" href={`${prefix}/backup`} download>
        Download a backup
      </a>
    </header>
    <p>
      A copy of the controller&apos;s database, which goes on meanwhile; <code>vmfabric backup FILE</code> makes it
      every night. Keep it as a secret: it has the secrets of webhooks, and what VMs are told when they start.
    </p>
    <p className="quiet">Images that were uploaded are not in it: copy the controller&apos;s folder of images, too.</p>
  </section>
)

/** @since 0.8.0 @category components */
export const Settings = (): ReactNode => {
  useTitle("Settings")
  const me = useAtomValue(knownAtom)
  return (
    <div className="page fills">
      <h1>Settings</h1>
      <Tabs />
      {me === null ? null : (
        <>
          <Account me={me} />
          {me.role === "admin" ? <Backup /> : null}
          {me.role === "admin" ? (
            <Loaded atom={ownersAtom}>
              {({ items }) => <Tokens me={me} owners={items.map(({ name }) => name)} />}
            </Loaded>
          ) : (
            <Tokens me={me} owners={[]} />
          )}
        </>
      )}
    </div>
  )
}
