/**
 * Files of this machine that a command reads.
 *
 * @since 0.8.0
 */
import type { PlatformError } from "@effect/platform/Error"
import * as Predicate from "effect/Predicate"
import { Refused } from "./Failure.ts"

/** In few words. @since 0.9.0 @category conversions */
export const why = (error: PlatformError): string => {
  if (error._tag === "BadArgument") return "that is no name of a file"
  if (error.reason === "NotFound") return "there is no such file"
  if (error.reason === "PermissionDenied") return "you may not read it"
  const { cause, description } = error
  if (Predicate.hasProperty(cause, "code") && cause.code === "EISDIR") return "it is a folder"
  // the system's own words, without the call and the name that they end with
  return (description ?? error.reason).replace(/, \w+(?: '.*')?$/s, "")
}

/** A file that cannot be read, and why. `path`: as somebody gave it. @since 0.8.0 @category errors */
export const unreadable =
  (path: string, field?: string) =>
  (error: PlatformError): Refused =>
    new Refused({
      why: "usage",
      message: `${path === "-" ? "standard input" : path} cannot be read: ${why(error)}`,
      ...(field === undefined ? {} : { field })
    })
