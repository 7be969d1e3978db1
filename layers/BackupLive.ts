/**
 * Copies of the database by SQLite's own online backup (https://www.sqlite.org/backup.html), while others read and write.
 *
 * @since 0.13.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as fs from "node:fs/promises"
import { Backup } from "../src/services/Backup.ts"
import { Database } from "./Database.ts"
import * as DatabaseFile from "./DatabaseFile.ts"

/** How much is read at once, in bytes. */
const part = 256 * 1024

/** @since 0.13.0 @category layers */
export const layer: Layer.Layer<Backup, never, Database> = Layer.effect(
  Backup,
  Effect.gen(function* () {
    const database = yield* Database
    const alone = yield* Effect.makeSemaphore(1)

    const tried = <A>(work: () => Promise<A>) =>
      Effect.tryPromise({ try: work, catch: (cause) => DatabaseFile.failed("be copied", database.filename, cause) })

    const folder = Effect.acquireRelease(
      tried(() => fs.mkdtemp(DatabaseFile.copies(database.filename))),
      (folder) => Effect.orDie(tried(() => fs.rm(folder, { recursive: true, force: true })))
    )

    /** Open as long as the scope, and without a name any more: whatever becomes of this process, it is gone. */
    const opened = (whole: Scope.Scope) =>
      Effect.scoped(
        Effect.gen(function* () {
          const name = `${yield* folder}/copy`
          yield* database.copyTo(name)
          const file = Effect.acquireRelease(
            tried(() => fs.open(name, "r")),
            (file) => Effect.orDie(tried(() => file.close()))
          )
          return yield* Scope.extend(file, whole)
        })
      )

    const copy = Effect.gen(function* () {
      const file = yield* Effect.flatMap(Effect.scope, (whole) => alone.withPermits(1)(opened(whole)))
      const { size } = yield* tried(() => file.stat())
      const bytes = Stream.unfoldEffect(0, (at) =>
        Effect.map(
          tried(() => file.read(new Uint8Array(part), 0, part, at)),
          ({ buffer, bytesRead }) =>
            bytesRead === 0 ? Option.none() : Option.some([buffer.subarray(0, bytesRead), at + bytesRead] as const)
        )
      )
      return { size, bytes }
    }).pipe(Effect.withSpan("Backup.copy"))
    return Backup.of({ copy })
  })
)
