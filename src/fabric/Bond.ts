/**
 * Bonds: what a use case makes or begins belongs to whatever asked for it, from the transaction on that writes it.
 *
 * Whoever asks for the same comes in turn, and may look for the bond as soon as it is there: so nothing is begun twice, and nothing is begun that nobody
 * finds again.
 *
 * @since 0.8.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Operation } from "../domain/Operation.ts"
import * as Begun from "./Begun.ts"
import * as Intent from "./Intent.ts"

/** @since 0.8.0 @category models */
export interface Bond<E> {
  /** Written with what was made, in its transaction; a failure takes that back. */
  readonly write: (made: Intent.Made) => Effect.Effect<void, E>
  /** The operation as those hear of it who wait for its beginning. */
  readonly shown?: (begun: Operation) => Operation
  /** The next in turn may come: the bond can be found. */
  readonly leave: Effect.Effect<void>
}

/** Carried past the use case's own errors, as a defect. */
class Refused<E> extends Data.Error<{ readonly error: E }> {}

/** Runs the use case, and binds what it makes. @since 0.8.0 @category combinators */
export const tie = Effect.fnUntraced(function* <A, E, R, E2>(
  useCase: Effect.Effect<A, E, R>,
  { leave, shown, write }: Bond<E2>
): Effect.fn.Return<A, E | E2, R> {
  const outer = yield* Intent.Intent
  const tell = yield* Begun.Begun
  let refused: Refused<E2> | null = null
  const confirm = (made: () => Intent.Made) =>
    write(made()).pipe(
      Effect.catchAll((error) => Effect.suspend(() => Effect.die((refused = new Refused({ error }))))),
      Effect.zipRight(outer.confirm(made))
    )
  return yield* useCase.pipe(
    Effect.provideService(Intent.Intent, { ...outer, confirm }),
    Effect.provideService(Begun.Begun, (begun) =>
      Effect.zipRight(leave, tell(shown === undefined ? begun : shown(begun)))
    ),
    Effect.catchSomeDefect((defect) =>
      defect === refused && refused !== null ? Option.some(Effect.fail(refused.error)) : Option.none()
    )
  )
})
