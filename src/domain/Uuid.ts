/**
 * Where new UUIDs come from: the system's random numbers, unless a simulation brings its own.
 *
 * @since 0.3.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** @since 0.3.0 @category services */
export class Uuids extends Context.Reference<Uuids>()("vmfabric/Uuids", {
  defaultValue: (): { readonly next: () => string } => ({ next: () => globalThis.crypto.randomUUID() })
}) {}

/** A new one, lower case with dashes. @since 0.3.0 @category constructors */
export const make: Effect.Effect<string> = Effect.map(Uuids, (uuids) => uuids.next())
