/**
 * A copy of all that the controller keeps, made while it goes on.
 *
 * @since 0.13.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { PersistenceError } from "../domain/Errors.ts"

/** What was kept at one moment. @since 0.13.0 @category models */
export interface Copy {
  /** in bytes */
  readonly size: number
  /** an SQLite database, to be read once */
  readonly bytes: Stream.Stream<Uint8Array, PersistenceError>
}

/** @since 0.13.0 @category services */
export class Backup extends Context.Tag("vmfabric/Backup")<
  Backup,
  {
    /**
     * The inventory, the journal, events, users and webhooks as they were at one moment after it was asked for: what was acknowledged before is in it.
     * Others are served meanwhile; a second one waits for the first. It is there as long as the scope, and takes as much disk as it is large.
     */
    readonly copy: Effect.Effect<Copy, PersistenceError, Scope.Scope>
  }
>() {}
