/**
 * Who an operation is by: whoever asked for it, or the controller itself, and then why.
 *
 * @since 0.13.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Operation } from "../domain/Operation.ts"

/** @since 0.13.0 @category models */
export type Authorship = Pick<Operation, "user" | "token" | "cause">

/** Null: it is not said, and whoever asks (`Asker`) is who it is by. @since 0.13.0 @category services */
export class Author extends Context.Reference<Author>()("vmfabric/Author", {
  defaultValue: (): Authorship | null => null
}) {}

/** The controller begins it by itself; `cause` says why, in one clause. @since 0.13.0 @category combinators */
export const byItself =
  (cause: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.provideService(effect, Author, { user: null, token: null, cause })
