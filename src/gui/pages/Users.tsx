/**
 * Who may sign in, and what they may.
 *
 * @since 0.8.0
 */
import { useAtomRefresh, useAtomValue } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import { type ReactNode, useState } from "react"
import { NewUser, type User } from "../../api/Users.ts"
import { Role, type UserName } from "../../domain/Identity.ts"
import * as Quota from "../../domain/Quota.ts"
import { calls, payloadOf } from "../state/Api.ts"
import { useOften } from "../state/Read.ts"
import { ifMatch, revised, useRevised } from "../state/Revised.ts"
import { knownAtom, meAtom, ofWhoLooks } from "../state/Session.ts"
import { useAbove } from "../parts/Above.tsx"
import { AdminsOnly, meant, PasswordDialog, rolesWithin, Tabs } from "../parts/Accounts.tsx"
import type { Commanded } from "../parts/Commands.ts"
import { ChoiceField, TextField } from "../parts/Field.tsx"
import { FormDialog, Loaded } from "../parts/FormDialog.tsx"
import { MenuButton } from "../parts/MenuButton.tsx"
import { type Column, Table } from "../parts/Table.tsx"
import { Empty, Failure, Sure, useTitle } from "../parts/Parts.tsx"
import {
  areLimits,
  changeOf,
  labels as quotaLabels,
  limitNewsOf,
  limitsOf,
  limitsOnto,
  QuotaFields,
  quotaWords,
  Uses,
  usesOf
} from "../parts/QuotaFields.tsx"
import { briefly } from "../parts/Words.ts"

const usersAtom = ofWhoLooks(Effect.flatMap(calls, ({ users }) => users.listUsers()))

/** One of them: the list has no revisions. */
const userAtom = revised((name: UserName) =>
  Effect.flatMap(calls, ({ users }) => users.getUser({ path: { name }, withResponse: true }))
)

const fieldLabels = {
  name: "Name",
  role: "Role",
  password: "Password",
  ...Object.fromEntries(Object.entries(quotaLabels).map(([field, label]) => [`quota.${field}`, label]))
}

const NewUserDialog = ({
  first,
  onClose,
  onDone
}: {
  readonly first: boolean
  readonly onClose: () => void
  readonly onDone: () => void
}) => {
  const [name, setName] = useState("")
  const [role, setRole] = useState<string>(first ? "admin" : "viewer")
  const [password, setPassword] = useState("")
  const [limits, setLimits] = useState(limitsOf())
  const change = changeOf(limits)
  const quota = Object.keys(change).length === 0 ? {} : { quota: change }
  const action: Commanded = {
    label: `Create user ${name}`,
    method: "POST",
    path: "/users",
    body: { name, role, ...quota },
    ...(password === "" ? {} : { secrets: { password: "PASSWORD" } }),
    words: [
      "user",
      "create",
      name === "" ? "NAME" : name,
      "--role",
      role,
      ...(password === "" ? [] : ["--password-file", "PASSWORD_FILE"]),
      ...quotaWords(change)
    ],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewUser, { name, role, ...(password === "" ? {} : { password }), ...quota })
      const { users } = yield* calls
      yield* users.createUser({ payload })
    }).pipe(Effect.asVoid)
  }
  return (
    <FormDialog
      title="Create a user"
      button="Create user"
      labels={fieldLabels}
      action={action}
      ready={name !== "" && (!first || password !== "") && areLimits(limits)}
      onClose={onClose}
      onDone={onDone}
    >
      {first ? (
        <p className="note warn">
          The first user is an admin, and ends that everybody on the controller&apos;s machine is one: you sign in with
          it next.
        </p>
      ) : null}
      <TextField
        label="Name"
        hint="1 to 64 of a-z 0-9 _ . @ -, beginning with a letter; it never changes."
        autoCapitalize="none"
        autoFocus
        required
        value={name}
        onChange={setName}
      />
      <ChoiceField
        label="Role"
        hint={meant(role)}
        value={role}
        onChange={setRole}
        options={rolesWithin("admin").filter(([one]) => !first || one === "admin")}
      />
      <TextField
        label="Password"
        hint={
          first
            ? "12 to 256 characters"
            : "12 to 256 characters; without one they cannot sign in, and only tokens open the door."
        }
        type="password"
        autoComplete="new-password"
        value={password}
        onChange={setPassword}
      />
      {/* the first one administers, and is not limited for it */}
      {first ? null : <QuotaFields limits={limits} onChange={setLimits} />}
    </FormDialog>
  )
}

/** What a dialog about a user is opened with. */
interface OfUser {
  readonly user: User
  readonly onClose: () => void
  readonly onDone: () => void
}

const QuotaDialog = ({ onClose, onDone, user }: OfUser) => {
  const { name } = user
  const { guarded, isRead, revision, value, words } = useRevised(userAtom(name), user)
  const { quota = Quota.unlimited, used } = value
  const headers = ifMatch(revision)
  const [held, hold] = useState(() => {
    const before = user.quota ?? Quota.unlimited
    return { before, limits: limitsOf(before), news: "" }
  })
  // once it is read anew, what was not touched here is as it is now
  if (isRead && quota !== held.before) {
    hold({
      before: quota,
      limits: limitsOnto(quota, held.before, held.limits),
      news: limitNewsOf(held.before, quota) || held.news
    })
  }
  const { limits, news } = held
  const change = changeOf(limits, quota)
  const action: Commanded = {
    label: `Set the quota of ${name}`,
    method: "PATCH",
    path: `/users/${name}`,
    ...headers.shown,
    body: { quota: change },
    words: ["user", "set", name, ...quotaWords(change)],
    run: Effect.flatMap(calls, ({ users }) =>
      users.changeUser({ path: { name }, payload: { quota: change }, headers: headers.sent })
    ).pipe(guarded, Effect.asVoid)
  }
  return (
    <FormDialog
      title={`Quota of ${name}`}
      button="Set the quota"
      labels={fieldLabels}
      action={action}
      ready={isRead && areLimits(limits) && Object.keys(change).length > 0}
      onClose={onClose}
      onDone={onDone}
    >
      {words === null ? null : <Failure words={words} />}
      {news === "" ? null : <p className="note warn">{news}</p>}
      <QuotaFields limits={limits} onChange={(limits) => hold((now) => ({ ...now, limits }))} used={used} />
    </FormDialog>
  )
}

const RoleDialog = ({ onClose, onDone, user }: OfUser) => {
  const [role, setRole] = useState<Role>(user.role)
  const { name } = user
  const { guarded, isRead, revision, value, words } = useRevised(userAtom(name), user)
  const headers = ifMatch(revision)
  const action: Commanded = {
    label: `Make ${name} ${role === "viewer" ? "a" : "an"} ${role}`,
    method: "PATCH",
    path: `/users/${name}`,
    ...headers.shown,
    body: { role },
    words: ["user", "set", name, "--role", role],
    run: Effect.flatMap(calls, ({ users }) =>
      users.changeUser({ path: { name }, payload: { role }, headers: headers.sent })
    ).pipe(guarded, Effect.asVoid)
  }
  return (
    <FormDialog
      title={`Role of ${name}`}
      action={action}
      ready={isRead && role !== value.role}
      onClose={onClose}
      onDone={onDone}
    >
      {words === null ? null : <Failure words={words} />}
      {value.role === user.role ? null : <p className="note warn">By now the role is {value.role}.</p>}
      <p className="quiet">They have to sign in again. Their tokens can never do more than they can.</p>
      <ChoiceField
        label="Role"
        hint={meant(role)}
        value={role}
        onChange={(value) => setRole(Role.literals.find((one) => one === value) ?? user.role)}
        options={rolesWithin("admin")}
      />
    </FormDialog>
  )
}

const DisableDialog = ({ onClose, onDone, user }: OfUser) => {
  const { name } = user
  const { guarded, isRead, revision, value, words } = useRevised(userAtom(name), user)
  const { disabled } = user
  const headers = ifMatch(revision)
  const verb = disabled ? "Enable" : "Disable"
  const action: Commanded = {
    label: `${verb} ${name}`,
    method: "PATCH",
    path: `/users/${name}`,
    ...headers.shown,
    body: { disabled: !disabled },
    words: ["user", disabled ? "enable" : "disable", name],
    run: Effect.flatMap(calls, ({ users }) =>
      users.changeUser({ path: { name }, payload: { disabled: !disabled }, headers: headers.sent })
    ).pipe(guarded, Effect.asVoid)
  }
  return (
    <FormDialog
      title={`${verb} ${name}`}
      button={verb}
      action={action}
      ready={isRead && value.disabled === disabled}
      onClose={onClose}
      onDone={onDone}
    >
      {words === null ? null : <Failure words={words} />}
      {value.disabled === disabled ? null : <p className="note warn">Somebody else has done it by now.</p>}
      <p>
        {disabled
          ? "They can sign in again, and all their tokens that have not expired are good again."
          : "They are shut out at once, wherever they are signed in, and none of their tokens is good. Nothing is lost: enabling them gives all of it back."}
      </p>
    </FormDialog>
  )
}

const OthersPassword = ({ onClose, onDone, user }: OfUser) => {
  const read = useRevised(userAtom(user.name), user)
  return <PasswordDialog name={user.name} read={read} onClose={onClose} onDone={onDone} />
}

const RemoveDialog = ({ onClose, onDone, user }: OfUser) => {
  const { name } = user
  const { isRead, revision, words } = useRevised(userAtom(name), user)
  const headers = ifMatch(revision)
  const action: Commanded = {
    label: `Remove ${name}`,
    method: "DELETE",
    path: `/users/${name}`,
    ...headers.shown,
    words: ["user", "remove", name],
    run: Effect.flatMap(calls, ({ users }) => users.removeUser({ path: { name }, headers: headers.sent }))
  }
  return (
    <Sure action={action} name={name} ready={isRead} onClose={onClose} onDone={onDone}>
      {words === null ? null : <Failure words={words} />}
      <p>All their tokens and sessions end at once. What they made stays.</p>
    </Sure>
  )
}

const All = ({ users }: { readonly users: ReadonlyArray<User> }) => {
  const refresh = useAtomRefresh(usersAtom)
  // no event tells of users, for those are told to everybody
  useOften(refresh)
  const again = useAtomRefresh(meAtom)
  const mine = useAtomValue(knownAtom)?.user
  const open = useAbove()
  const columns: ReadonlyArray<Column<User>> = [
    { key: "name", name: "Name", tone: "main-cell", shown: ({ name }) => name, title: ({ name }) => name },
    { key: "role", name: "Role", shown: ({ disabled, role }) => (disabled ? `disabled ${role}` : role) },
    {
      key: "password",
      name: "Signs in",
      tone: "quiet",
      className: "extra-phone",
      shown: ({ hasPassword }) => (hasPassword ? "with a password" : "no: only tokens")
    },
    { key: "quota", name: "Quota", className: "extra", title: usesOf, shown: (user) => <Uses of={user} /> },
    {
      key: "created",
      name: "Created",
      tone: "quiet",
      className: "extra",
      shown: ({ createdAt }) => briefly(createdAt)
    },
    {
      key: "actions",
      name: <span className="sr">Actions</span>,
      shown: (user) => (
        <MenuButton
          label={`Actions of ${user.name}`}
          entries={() => [
            [
              {
                name: "Change the role…",
                disabled: false,
                act: () => open((close) => <RoleDialog user={user} onClose={close} onDone={refresh} />)
              },
              {
                name: "Set the quota…",
                disabled: false,
                act: () => open((close) => <QuotaDialog user={user} onClose={close} onDone={refresh} />)
              },
              {
                name: "Set the password…",
                disabled: false,
                act: () => open((close) => <OthersPassword user={user} onClose={close} onDone={refresh} />)
              }
            ],
            [
              {
                name: user.disabled ? "Enable…" : "Disable…",
                disabled: user.name === mine,
                act: () => open((close) => <DisableDialog user={user} onClose={close} onDone={refresh} />)
              },
              {
                name: "Remove…",
                danger: true,
                disabled: user.name === mine,
                act: () => open((close) => <RemoveDialog user={user} onClose={close} onDone={refresh} />)
              }
            ]
          ]}
        />
      )
    }
  ]
  return (
    <>
      <div className="head">
        <h2>Users</h2>
        <div className="actions">
          <button
            type="button"
            className="button primary"
            onClick={() =>
              open((close) => (
                <NewUserDialog
                  first={users.length === 0}
                  onClose={close}
                  onDone={() => {
                    // whoever made the first one is nobody from now on
                    if (users.length === 0) again()
                    refresh()
                  }}
                />
              ))
            }
          >
            Create user
          </button>
        </div>
      </div>
      {users.length === 0 ? (
        <Empty title="No users yet">
          <p>
            Until there is one, whoever is on the controller&apos;s own machine is an admin, and nobody else gets in.
          </p>
        </Empty>
      ) : (
        <Table kind="users" label="users" columns={columns} rows={users} keyOf={({ name }) => name} />
      )}
    </>
  )
}

/** @since 0.8.0 @category components */
export const Users = (): ReactNode => {
  useTitle("Users")
  return (
    <div className="page fills">
      <h1>Settings</h1>
      <Tabs />
      <AdminsOnly>
        <Loaded atom={usersAtom}>{({ items }) => <All users={items} />}</Loaded>
      </AdminsOnly>
    </div>
  )
}
