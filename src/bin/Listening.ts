/**
 * Why the server cannot listen where it was told to.
 *
 * @since 0.8.0
 */
import * as Data from "effect/Data"
import * as Match from "effect/Match"
import * as Predicate from "effect/Predicate"
import * as AppConfig from "../config/AppConfig.ts"

/** @since 0.8.0 @category errors */
export class NotListening extends Data.TaggedError("NotListening")<{
  /** one sentence: where, why not, and how to go on */
  readonly message: string
  readonly cause: unknown
}> {}

const another = "choose another with --listen"

/** The server's own error has no words, and `cause`, which is Node's, has its system's. @since 0.8.0 @category constructors */
export const explained = (listen: AppConfig.AppConfig["Type"]["listen"], cause: unknown): NotListening => {
  const at = AppConfig.formatListen(listen)
  const code = Predicate.hasProperty(cause, "code") ? cause.code : undefined
  const message = Match.value(code).pipe(
    Match.when("EADDRINUSE", () => `${at} is in use: stop what listens there, or ${another}`),
    Match.when("EADDRNOTAVAIL", () => `${at} is no address of this machine: ${another}`),
    Match.when("EACCES", () => `${at} is not allowed to this user, as ports below 1024 are not: ${another}`),
    Match.whenOr("ENOTFOUND", "EAI_AGAIN", () => `${at} cannot be listened on, for its name leads nowhere: ${another}`),
    Match.orElse(
      () => `${at} cannot be listened on (${cause instanceof Error ? cause.message : String(cause)}): ${another}`
    )
  )
  return new NotListening({ message, cause })
}
