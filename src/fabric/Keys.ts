/**
 * Idempotency keys, as clients give them.
 *
 * @since 0.3.0
 */
import * as Effect from "effect/Effect"
import { InvalidArgument } from "../domain/Errors.ts"
import type { OperationId } from "../domain/Ids.ts"
import type { RequestKey } from "../services/Inventory.ts"
import { Asker } from "./Asker.ts"

const isKey = (key: string): boolean => /^[\x21-\x7e]{1,255}$/.test(key)

/** All that a request says, in a fixed order. */
type Said = ReadonlyArray<string | number | null>

/**
 * What the inventory keeps of a request's key, which is whoever asks's; undefined: it has none. `request`: all that the request says, in a fixed order; `among`:
 * which of many it is that are asked for with that key, and all that these say.
 *
 * @since 0.3.0 @category constructors
 */
export const make = (
  key: string | undefined,
  request: Said,
  among?: { readonly number: number; readonly request: Said }
): Effect.Effect<RequestKey | undefined, InvalidArgument> => {
  if (key === undefined) return Effect.succeed(key)
  if (isKey(key)) {
    return Effect.map(Asker, (asker) => ({
      key,
      asker,
      fingerprint: JSON.stringify(request),
      ...(among === undefined ? {} : { among: { number: among.number, fingerprint: JSON.stringify(among.request) } })
    }))
  }
  return new InvalidArgument({
    field: "Idempotency-Key",
    problem:
      key === ""
        ? "is empty"
        : key.length > 255
          ? `has ${key.length} characters`
          : "has blanks or characters that are not ASCII",
    expected: "1 to 255 visible ASCII characters"
  })
}

/** The fields of a request with that key. @since 0.3.0 @category conversions */
export const field = (key: RequestKey | undefined, replaces?: OperationId): { readonly key?: RequestKey } =>
  key === undefined ? {} : { key: replaces === undefined ? key : { ...key, replaces } }
