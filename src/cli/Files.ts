/**
 * Files of this machine that a command reads or writes.
 *
 * @since 0.8.0
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { dirname } from "node:path"
import { Refused } from "./Failure.ts"

/** Whole under its name, for its owner alone, or not at all: what was there before stays until then. @since 0.13.0 @category writing */
export const replace = Effect.fnUntraced(function* (file: string, bytes: Uint8Array) {
  const fs = yield* FileSystem.FileSystem
  // the scope ends with a folder that is empty
  const fresh = yield* fs.makeTempFileScoped({ directory: dirname(file), prefix: ".vmfabric-" })
  yield* fs.chmod(fresh, 0o600)
  yield* Effect.scoped(
    Effect.gen(function* () {
      const written = yield* fs.open(fresh, { flag: "w" })
      yield* written.writeAll(bytes)
      yield* written.sync
    })
  )
  yield* fs.rename(fresh, file)
}, Effect.scoped)

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
