/**
 * Who looks at it.
 *
 * @since 0.7.0
 */
import { Atom, Result } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { Me } from "../../api/Session.ts"
import type { Client } from "../../client/Client.ts"
import { calls, runtime } from "./Api.ts"

/** Fails with `Unauthenticated` when somebody has to sign in. @since 0.7.0 @category atoms */
export const meAtom: Atom.Atom<Result.Result<typeof Me.Type, unknown>> = Atom.keepAlive(
  runtime.atom(Effect.flatMap(calls, (client) => client.session.whoAmI()))
)

/** Who looks, also when their session has ended meanwhile; null: it is not known yet. @since 0.12.0 @category atoms */
export const knownAtom = Atom.keepAlive(
  Atom.make((get): typeof Me.Type | null => Option.getOrNull(Result.value(get(meAtom))))
)

/** The same user in the same role is nobody else. */
const whoAtom = Atom.keepAlive(
  Atom.make((get) => {
    const known = get(knownAtom)
    return known === null ? "" : `${known.role} ${known.user}`
  })
)

/** Whether somebody has signed out here: then nothing of the page is kept for them. @since 0.12.0 @category atoms */
export const leftAtom = Atom.keepAlive(Atom.make(false))

/** How often somebody has signed in here. @since 0.12.0 @category atoms */
export const signedInAtom = Atom.keepAlive(Atom.make(0))

/** What is read anew when somebody else looks: it is answered by who one is. @since 0.8.0 @category constructors */
export const ofWhoLooks = <A, E>(read: Effect.Effect<A, E, Client>): Atom.Atom<Result.Result<A, unknown>> =>
  runtime.atom((get) => {
    get(whoAtom)
    return read
  })

/** @since 0.7.0 @category atoms */
export const signInAtom = runtime.fn((given: { readonly name: string; readonly password: string }) =>
  Effect.flatMap(calls, (client) =>
    client.session.signIn({ payload: { name: given.name, password: Redacted.make(given.password) } })
  )
)

/** @since 0.7.0 @category atoms */
export const signOutAtom = runtime.fn<void>()(() => Effect.flatMap(calls, (client) => client.session.signOut()))
