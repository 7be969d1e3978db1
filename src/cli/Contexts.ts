/**
 * Which controllers there are, and with what token each is asked: a file of the user's own.
 *
 * @since 0.5.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { homedir } from "node:os"
import { dirname, isAbsolute, join } from "node:path"
import { Refused } from "./Failure.ts"
import * as Files from "./Files.ts"

/** One controller. `caFile`: PEM, the authority of its certificate. @since 0.5.0 @category models */
export const Entry = Schema.Struct({
  url: Schema.String,
  caFile: Schema.optionalWith(Schema.String, { exact: true }),
  /** who signed in */
  user: Schema.optionalWith(Schema.String, { exact: true }),
  token: Schema.optionalWith(Schema.Redacted(Schema.String), { exact: true })
})
/** @since 0.5.0 @category models */
export type Entry = typeof Entry.Type

/** The file. `current`: the one that is used when none is named; null: none is. @since 0.5.0 @category models */
export const Contexts = Schema.Struct({
  current: Schema.NullOr(Schema.String),
  contexts: Schema.Record({ key: Schema.String, value: Entry })
})
/** @since 0.5.0 @category models */
export type Contexts = typeof Contexts.Type

const Json = Schema.parseJson(Contexts, { space: 2 })
const decode = Schema.decode(Json)
const encode = Schema.encode(Json)

/** What was set up wrong around the program, in words. */
const refused = (why: "failed" | "usage", message: string) => new Refused({ why, message })

const unset = (error: ConfigError) => refused("usage", `the environment cannot be read: ${String(error)}`)

/** Where the file is: `~/.config/vmfabric/contexts.json`, or below `XDG_CONFIG_HOME`. @since 0.5.0 @category constructors */
export const file: Effect.Effect<string, Refused> = Config.option(Config.nonEmptyString("XDG_CONFIG_HOME")).pipe(
  // one that is relative is not to be heeded, by XDG's own rule
  Effect.map(Option.filter(isAbsolute)),
  Effect.map(Option.getOrElse(() => join(homedir(), ".config"))),
  Effect.map((folder) => join(folder, "vmfabric", "contexts.json")),
  Effect.mapError(unset)
)

/** Fails with the command that mends it when others than the user may read a file. @since 0.5.0 @category checks */
export const ownOnly = Effect.fn("Contexts.ownOnly")(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const { mode } = yield* Effect.mapError(fs.stat(path), Files.unreadable(path))
  if ((mode & 0o077) !== 0) {
    return yield* refused("usage", `${path} holds a secret and others may read it: run chmod 600 ${path}`)
  }
})

/** A file's text, without the blanks at its ends, such as a token; no others than the user may read it. @since 0.5.0 @category constructors */
export const secretIn = Effect.fn("Contexts.secretIn")(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  yield* ownOnly(path)
  return (yield* Effect.mapError(fs.readFileString(path), Files.unreadable(path))).trim()
})

/** Nothing is known before the first one is set. @since 0.5.0 @category constructors */
export const read: Effect.Effect<Contexts, Refused, FileSystem.FileSystem> = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* file
  if (!(yield* Effect.mapError(fs.exists(path), Files.unreadable(path)))) {
    return { current: null, contexts: {} }
  }
  // the cause would show what stands there, tokens too
  return yield* Effect.mapError(decode(yield* secretIn(path)), (error) =>
    error instanceof Refused
      ? error
      : refused("usage", `${path} is not a file of contexts: mend it, or remove it and sign in again`)
  )
})

/** In one go: whoever reads it meanwhile sees all of the old or all of the new. @since 0.5.0 @category programs */
export const write = Effect.fn("Contexts.write")(function* (contexts: Contexts) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* file
  const folder = dirname(path)
  const text = yield* Effect.orDie(encode(contexts))
  yield* Effect.gen(function* () {
    yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
    yield* fs.chmod(folder, 0o700)
    yield* Files.replace(path, new TextEncoder().encode(`${text}\n`))
  }).pipe(Effect.mapError((error) => refused("failed", `${path} cannot be written: ${error.message}`)))
})

/** One that was named. @since 0.5.0 @category constructors */
export const named = (contexts: Contexts, name: string): Effect.Effect<Entry, Refused> => {
  const entry = Object.hasOwn(contexts.contexts, name) ? contexts.contexts[name] : undefined
  const known = Object.keys(contexts.contexts).join(", ")
  return entry === undefined
    ? new Refused({
        why: "notFound",
        message: `there is no context ${JSON.stringify(name)}: ${known === "" ? "there is none yet; vmfabric context set NAME --url URL makes one" : `there are ${known}`}`,
        field: "context"
      })
    : Effect.succeed(entry)
}

/** Address without credentials, http or https only. @since 0.5.0 @category checks */
export const checkedUrl = (text: string): Effect.Effect<URL, Refused> => {
  const url = URL.canParse(text) ? new URL(text) : null
  return url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== ""
    ? new Refused({
        why: "usage",
        message: `expected an address as in https://fabric.example:8443, without a name or password in it`,
        field: "url"
      })
    : Effect.succeed(url)
}
