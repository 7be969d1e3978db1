/**
 * What is changed only as it was when it was looked at.
 *
 * @since 0.9.0
 */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { Atom, Result, useAtomRefresh } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import * as Problem from "../../api/Problem.ts"
import type { Client } from "../../client/Client.ts"
import type { VmId } from "../../domain/Ids.ts"
import { calls, runtime, type Words, wordsOfCause } from "./Api.ts"
import { useRead } from "./Read.ts"

/** Something, and the revision that it is of; null: of no known one. @since 0.9.0 @category models */
export interface Revised<A> {
  readonly value: A
  readonly revision: string | null
}

/** Each by what it is asked for with, from an answer with its `ETag`. @since 0.9.0 @category constructors */
export const revised = <K, A, E>(
  read: (key: K) => Effect.Effect<[A, HttpClientResponse.HttpClientResponse], E, Client>
): ((key: K) => Atom.Atom<Result.Result<Revised<A>, E>>) =>
  Atom.family((key: K) =>
    runtime.atom(
      Effect.map(read(key), ([value, { headers }]): Revised<A> => ({ value, revision: headers["etag"] ?? null }))
    )
  )

/** A VM as it is read, which the list is not. @since 0.12.0 @category atoms */
export const vmAtom = revised((id: VmId) =>
  Effect.flatMap(calls, ({ vms }) => vms.getVm({ path: { id }, withResponse: true }))
)

/** The headers of a request that is refused when it is another by now: as they are sent, and as commands show them. @since 0.9.0 @category conversions */
export const ifMatch = (revision: string | null) =>
  revision === null
    ? { sent: {}, shown: {} }
    : { sent: { "if-match": revision }, shown: { headers: { "If-Match": revision } } }

/** What a dialog has of it. @since 0.9.0 @category models */
export interface ReadNow<A> extends Revised<A> {
  /** false: it is being read, or could not be, and it is as the page has it, of no known revision */
  readonly isRead: boolean
  /** why it could not be read; null: it was, or is being */
  readonly words: Words | null
  /** of a request with that revision: when it was refused, what it is by now is read */
  readonly guarded: <B, F, R>(run: Effect.Effect<B, F, R>) => Effect.Effect<B, F, R>
}

/** Read when the dialog is opened, and again when something of `on` is another; `known` until then. @since 0.9.0 @category hooks */
export const useRevised = <A, E>(
  atom: Atom.Atom<Result.Result<Revised<A>, E>>,
  known: A,
  on: ReadonlyArray<unknown> = []
): ReadNow<A> => {
  const read = useRead(atom, on)
  const refresh = useAtomRefresh(atom)
  return {
    ...Result.getOrElse(read, (): Revised<A> => ({ value: known, revision: null })),
    isRead: Result.isSuccess(read) && !read.waiting,
    words: Result.isFailure(read) ? wordsOfCause(read.cause) : null,
    guarded: (run) =>
      Effect.tapError(run, (error) =>
        error instanceof Problem.PreconditionFailed ? Effect.sync(refresh) : Effect.void
      )
  }
}
