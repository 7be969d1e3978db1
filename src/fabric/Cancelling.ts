/**
 * Asking an operation to stop, so that it can be planned and repeated.
 *
 * @since 0.8.0
 */
import * as Effect from "effect/Effect"
import type { OperationId } from "../domain/Ids.ts"
import { Operations } from "../services/Operations.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"

/** Gives it as it then is. @since 0.8.0 @category use cases */
export const cancel = Effect.fn("Cancelling.cancel")(function* (id: OperationId) {
  const operations = yield* Operations
  const intent = yield* Intent.Intent
  return yield* operations.cancel(id, (cancelled) =>
    Effect.zipRight(
      intent.depends(() => Facts.ofOperation(cancelled)),
      intent.confirm(() => ({ operation: null, cancelled }))
    )
  )
})
