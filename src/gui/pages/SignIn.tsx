/**
 * Who are you? In place of whatever page was asked for, which then is there.
 *
 * @since 0.7.0
 */
import { useAtomRefresh, useAtomSet, useAtomValue } from "@effect-atom/atom-react"
import * as Exit from "effect/Exit"
import { useState } from "react"
import { type Words, wordsOfCause } from "../state/Api.ts"
import { knownAtom, leftAtom, meAtom, signedInAtom, signInAtom } from "../state/Session.ts"
import { TextField } from "../parts/Field.tsx"
import { Failure, useTitle } from "../parts/Parts.tsx"

/** @since 0.12.0 @category components */
export const SignInFields = () => {
  const known = useAtomValue(knownAtom)
  const left = useAtomValue(leftAtom)
  const signIn = useAtomSet(signInAtom, { mode: "promiseExit" })
  const signedIn = useAtomSet(signedInAtom)
  const setLeft = useAtomSet(leftAtom)
  const refresh = useAtomRefresh(meAtom)
  const [name, setName] = useState<string>(known?.via === "session" && !left ? known.user : "")
  const [password, setPassword] = useState("")
  const [words, setWords] = useState<Words | null>(null)
  const [asking, setAsking] = useState(false)
  const submit = async () => {
    setAsking(true)
    const exit = await signIn({ name, password })
    setAsking(false)
    setPassword("")
    if (Exit.isFailure(exit)) {
      setWords(wordsOfCause(exit.cause))
      return
    }
    setLeft(false)
    signedIn((times) => times + 1)
    refresh()
  }
  return (
    <form
      className="fields"
      onSubmit={(event) => {
        event.preventDefault()
        void submit()
      }}
    >
      {words === null ? null : <Failure words={words} />}
      <TextField label="User" autoComplete="username" autoCapitalize="none" required value={name} onChange={setName} />
      <TextField
        label="Password"
        type="password"
        autoComplete="current-password"
        required
        value={password}
        onChange={setPassword}
      />
      <button type="submit" className="button primary" disabled={asking || name === "" || password === ""}>
        Sign in
      </button>
    </form>
  )
}

/** @since 0.7.0 @category components */
export const SignIn = () => {
  useTitle("Sign in")
  return (
    <main className="sign-in">
      <div className="card">
        <h1>Sign in to vmfabric</h1>
        <SignInFields />
        <p className="quiet small">
          Users and passwords are made with <code>vmfabric user create</code>.
        </p>
      </div>
    </main>
  )
}
