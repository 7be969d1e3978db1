/**
 * What an SSH server says first, before anybody has to log in: proof that one runs there.
 *
 * @since 0.3.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { Duplex } from "node:stream"

/** The stream ended or broke before anything was heard. @since 0.3.0 @category errors */
export class NoBanner extends Data.TaggedError("NoBanner")<{ readonly cause?: unknown }> {}

/** Waits for its first words; the stream is the caller's to close. @since 0.3.0 @category constructors */
export const heard = (duplex: Duplex): Effect.Effect<void, NoBanner> =>
  Effect.async((resume) => {
    const stop = () => {
      duplex.off("data", onData).off("end", onEnd).off("close", onEnd).off("error", onError)
    }
    const onData = () => {
      stop()
      resume(Effect.void)
    }
    const onEnd = () => {
      stop()
      resume(new NoBanner({}))
    }
    const onError = (cause: Error) => {
      stop()
      resume(new NoBanner({ cause }))
    }
    duplex.on("data", onData).on("end", onEnd).on("close", onEnd).on("error", onError)
    if (duplex.destroyed || duplex.readableEnded) onEnd()
    return Effect.sync(stop)
  })
