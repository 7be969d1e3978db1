/**
 * What the doctor's checks have in common: what they say, and in what time.
 *
 * @since 0.7.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Level } from "../src/domain/Doctor.ts"
import type { Host } from "../src/domain/Host.ts"
import * as Quote from "../src/ssh/Quote.ts"

/** What one check takes at most: of a host that hangs each takes so long, all at the same time. @since 0.7.0 @category constants */
export const limit = Duration.seconds(20)

/** What is left of a file system or pool: shares, and GiB. @since 0.7.0 @category constants */
export const room = { warning: 0.1, failure: 0.02, leastGib: 1 }

/** How ill it is that so much of all is left; GiB. @since 0.7.0 @category conversions */
export const roomLevel = (available: number, all: number): Level => {
  const share = all === 0 ? 0 : available / all
  return share < room.failure || available < room.leastGib ? "failure" : share < room.warning ? "warning" : "ok"
}

/** A finding without whose it is. @since 0.7.0 @category models */
export interface Verdict {
  readonly level: Level
  readonly seen: string
  readonly means?: string
  readonly mend?: string
}

/** @since 0.7.0 @category models */
export interface Told {
  readonly host: Host
  readonly verdict: Verdict
}

/** @since 0.7.0 @category constructors */
export const well = (seen: string): Verdict => ({ level: "ok", seen })

/** It was asked and nothing was learned. @since 0.7.0 @category constructors */
export const unknown = (error: { readonly message: string }): Verdict => ({
  level: "failure",
  seen: error.message,
  means: "It could not be found out."
})

/** The command that somebody logs in to it with. @since 0.7.0 @category conversions */
export const login = ({ config: { address } }: Host): string =>
  `ssh${address.port === 22 ? "" : ` -p ${address.port}`} ${address.user}@${address.host}`

/** A command for somebody at the controller's machine that runs there. @since 0.7.0 @category conversions */
export const there = (host: Host, command: string): string => `${login(host)} ${Quote.display([command])}`

/** Comes to an end in time, with what there is to say when it has not. @since 0.7.0 @category combinators */
export const bounded = <E extends { readonly message: string }>(
  check: Effect.Effect<Verdict, E>,
  within = limit
): Effect.Effect<Verdict> =>
  check.pipe(
    Effect.catchAll((error) => Effect.succeed(unknown(error))),
    Effect.timeoutTo({
      duration: within,
      onSuccess: (verdict) => verdict,
      onTimeout: (): Verdict => ({
        level: "failure",
        seen: `no answer within ${Duration.format(within)}`,
        means: "The host hangs, or has much more to do than it can."
      })
    })
  )
