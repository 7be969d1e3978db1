/**
 * What pages of the settings have in common.
 *
 * @since 0.8.0
 */
import { useAtomRefresh } from "@effect-atom/atom-react"
import { Link } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import { type ReactNode, useState } from "react"
import { NewPassword, type User } from "../../api/Users.ts"
import { allows, Role, type UserName } from "../../domain/Identity.ts"
import { calls, payloadOf } from "../state/Api.ts"
import { ifMatch, type ReadNow } from "../state/Revised.ts"
import { meAtom } from "../state/Session.ts"
import type { Commanded } from "./Commands.ts"
import { TextField } from "./Field.tsx"
import { FormDialog } from "./FormDialog.tsx"
import { Empty, Failure, useRole } from "./Parts.tsx"

/** Pages of the settings, those that the role has. @since 0.8.0 @category components */
export const Tabs = () => {
  const admin = useRole() === "admin"
  const current = { "aria-current": "page" } as const
  return (
    <nav className="tabs" aria-label="Settings">
      <Link to="/settings" activeOptions={{ exact: true }} activeProps={current}>
        Account
      </Link>
      {admin ? (
        <>
          <Link to="/settings/users" activeProps={current}>
            Users
          </Link>
          <Link to="/settings/webhooks" activeProps={current}>
            Webhooks
          </Link>
        </>
      ) : null}
    </nav>
  )
}

/** @since 0.8.0 @category constants */
export const means = {
  viewer: "viewer: sees everything but secrets",
  operator: "operator: also changes VMs, volumes and images",
  admin: "admin: also hosts, users and webhooks"
} as const

/** Those that somebody may give, the least first. @since 0.8.0 @category formatting */
export const rolesWithin = (role: Role): ReadonlyArray<readonly [value: Role, shown: string]> =>
  Role.literals.filter((one) => allows(role, one)).map((one) => [one, one])

/** Below a choice of those, which has no room for it on a phone. @since 0.9.0 @category formatting */
export const meant = (role: string): string => {
  const found = Role.literals.find((one) => one === role)
  return found === undefined ? "" : means[found]
}

/** Somebody's, or with the present one one's own. @since 0.8.0 @category components */
export const PasswordDialog = ({
  name,
  onClose,
  onDone,
  read
}: {
  readonly name: UserName
  /** null: it is one's own, which is changed whatever else is */
  readonly read: ReadNow<User> | null
  readonly onClose: () => void
  readonly onDone?: () => void
}) => {
  const own = read === null
  const headers = ifMatch(read?.revision ?? null)
  const refresh = useAtomRefresh(meAtom)
  const [current, setCurrent] = useState("")
  const [password, setPassword] = useState("")
  const [again, setAgain] = useState("")
  const action: Commanded = {
    label: `Set the password of ${name}`,
    method: "PUT",
    path: `/users/${name}/password`,
    ...headers.shown,
    body: {},
    secrets: { password: "PASSWORD", ...(own ? { current: "CURRENT_PASSWORD" } : {}) },
    // the new one is asked for, or read from its standard input
    words: ["user", "password", name, ...(own ? ["--current-file", "CURRENT_PASSWORD_FILE"] : [])],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewPassword, { password, ...(current === "" ? {} : { current }) })
      const { users } = yield* calls
      yield* users.setPassword({ path: { name }, payload, headers: headers.sent })
    }).pipe(read?.guarded ?? identity)
  }
  return (
    <FormDialog
      title={own ? "Your password" : `Password of ${name}`}
      button="Set the password"
      action={action}
      ready={password !== "" && password === again && (own || read.isRead)}
      onClose={onClose}
      onDone={() => {
        if (own) refresh()
        onDone?.()
      }}
    >
      {own || read.words === null ? null : <Failure words={read.words} />}
      <p className="quiet">{own ? "You" : "They"} have to sign in again everywhere. Tokens stay as they are.</p>
      {own ? (
        <TextField
          label="Present password"
          hint="Nothing, if there is none yet."
          type="password"
          autoComplete="current-password"
          autoFocus
          value={current}
          onChange={setCurrent}
        />
      ) : null}
      <TextField
        label="New password"
        hint="12 to 256 characters"
        type="password"
        autoComplete="new-password"
        value={password}
        onChange={setPassword}
      />
      <TextField
        label="New password again"
        type="password"
        autoComplete="new-password"
        wrong={again !== "" && again !== password ? "It is not the same." : null}
        value={again}
        onChange={setAgain}
      />
    </FormDialog>
  )
}

/** What needs the role admin. @since 0.8.0 @category components */
export const AdminsOnly = ({ children }: { readonly children: ReactNode }) =>
  useRole() === "admin" ? (
    children
  ) : (
    <Empty title="This needs the role admin">
      <p>Ask an admin of this controller for what you need.</p>
    </Empty>
  )
