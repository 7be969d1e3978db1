/**
 * Asks before what cannot be taken back, where somebody is there to be asked; scripts are not.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Failure, Refused } from "./Failure.ts"
import type { Planning } from "./Planning.ts"
import { Screen } from "./Screen.ts"
import { plain } from "./Text.ts"
import * as Verb from "./Verb.ts"

/** @since 0.7.0 @category options */
export const yes = Verb.toggle("yes", "Do not ask first, as on a terminal it does.")

/** What the command was told of it. @since 0.7.0 @category models */
export interface Given {
  readonly yes: boolean
  readonly planning: Planning
}

/**
 * Goes on when the answer is yes. `losses`: whole sentences, of what goes and what stays. Nobody is asked with `--yes`, by a plan, which does
 * nothing, and for one, which has been read.
 *
 * @since 0.7.0 @category effects
 */
export const ask = <R>(
  given: Given,
  losses: Effect.Effect<ReadonlyArray<string>, Failure, R>
): Effect.Effect<void, Failure, R | Screen> =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (!screen.attended || given.yes || given.planning.plan || Option.isSome(given.planning.planId)) return
    for (const sentence of yield* losses) yield* screen.err(`${plain(sentence)}\n`)
    const answer = yield* screen.ask("Go on? [y/N] ")
    if (/^y(es)?$/i.test(answer.trim())) return
    return yield* new Refused({ why: "failed", message: "nothing was done: the answer was not yes" })
  })
