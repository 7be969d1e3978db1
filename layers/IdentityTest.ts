/**
 * Users, tokens, sessions and the audit log for tests: the live code, unchanged, on a database in memory.
 *
 * @since 0.4.0
 */
import * as Layer from "effect/Layer"
import type { PersistenceError } from "../src/domain/Errors.ts"
import type { Identity } from "../src/services/Identity.ts"
import * as Database from "./Database.ts"
import * as IdentityLive from "./IdentityLive.ts"

/** Nobody is known. Each build of the layer has a database of its own. @since 0.4.0 @category layers */
export const layer: Layer.Layer<Identity, PersistenceError> = IdentityLive.layer.pipe(
  Layer.provide(Database.layer({ filename: ":memory:" }))
)
