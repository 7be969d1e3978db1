/**
 * The file that the inventory's database is: made, opened and brought up to date, and what its failures say to whoever can mend them.
 *
 * @since 0.12.0
 */
import * as Reactivity from "@effect/experimental/Reactivity"
import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import * as Migrator from "@effect/sql/Migrator"
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { PersistenceError } from "../src/domain/Errors.ts"
import * as Migrations from "./sql/Migrations.ts"
import type { Row } from "./sql/Rows.ts"

const isOther = <E>(error: E): error is Exclude<E, SqlError> => !(error instanceof SqlError)

/** What goes wrong with that file, in words of its own; `action` completes the sentence "the database failed to …". @since 0.12.0 @category errors */
export const typed =
  (filename: string) =>
  (action: string) =>
  <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, Exclude<E, SqlError> | PersistenceError> =>
    Effect.mapError(effect, (error) =>
      isOther(error)
        ? error
        : // the driver's own error says more than the client's around it
          failed(action, filename, error instanceof SqlError ? (error.cause ?? error) : error)
    )

/** A reason of ours, in place of the driver's. */
class Unusable extends Data.TaggedError("Unusable")<{ readonly message: string; readonly cause?: unknown }> {}

/** Everything that goes wrong before there is a database to speak of, defects of the driver included. @since 0.12.0 @category errors */
export const opening = (filename: string) => {
  const fail = (cause: unknown) => failed(`open ${filename}`, filename, explain(cause))
  return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, PersistenceError, R> =>
    effect.pipe(
      Effect.mapError((error) => (error instanceof PersistenceError ? error : fail(error))),
      Effect.catchAllDefect((defect) => fail(defect))
    )
}

/** The innermost reason: the driver's own error stands under those of the SQL client and of the migrator. */
const explain = (error: unknown): unknown => {
  let inner = error
  while (inner instanceof SqlError || inner instanceof Migrator.MigrationError) {
    if (inner.cause === undefined) return inner
    inner = inner.cause
  }
  switch (codeOf(inner)) {
    case "SQLITE_BUSY":
      return new Unusable({
        message: "another process has it open, and one database serves one controller only",
        cause: error
      })
    case "SQLITE_NOTADB":
      return new Unusable({ message: "it is not a SQLite database", cause: error })
    case "SQLITE_CANTOPEN":
      return new Unusable({
        message: `it, or what SQLite keeps beside it (-wal), is no file that can be opened: ${another}`,
        cause: error
      })
    default:
      return inner
  }
}

const another = "name another by --database"

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined

/** What may come at any time, and to do about it: a file that was cut off or written over, a disk that is full or fails. null: it is none of these. */
const help = (error: unknown, filename: string): string | null => {
  const code = codeOf(error) ?? ""
  const folder = filename === ":memory:" ? null : path.dirname(path.resolve(filename))
  if (code.startsWith("SQLITE_CORRUPT")) {
    return (
      "it is damaged (sqlite3 FILE 'PRAGMA integrity_check' tells where): end the controller and put a copy of it back, " +
      "without the -wal and -shm files beside it, or save what is left by sqlite3 FILE .recover"
    )
  }
  if (folder === null) return null
  if (code === "SQLITE_FULL") return `the disk that its folder ${folder} is on is full: make room there`
  if (code.startsWith("SQLITE_IOERR")) {
    return `its folder ${folder} cannot be read or written (${code}): make room there if its disk is full, or else have the disk looked after`
  }
  return null
}

/** `action`: as of `typed`. @since 0.13.0 @category errors */
export const failed = (action: string, filename: string, error: unknown): PersistenceError => {
  const message = help(error, filename)
  return message === null
    ? new PersistenceError({ action, cause: error })
    : new PersistenceError({ action, cause: new Unusable({ message, cause: error }), lasting: true })
}

/** The system's own words, without the call and the name that stand around them. */
const systemWords = (error: NodeJS.ErrnoException) => error.message.replace(/^[A-Z]+: (.*?), \w+(?: '.*')?$/s, "$1")

/** Why the file's mode cannot be set: but for a system that is read-only, it is somebody else's. */
const notOurs = async (filename: string, error: NodeJS.ErrnoException): Promise<Unusable> => {
  if (error.code !== "EPERM") {
    return new Unusable({ message: `it cannot be kept from others (${systemWords(error)}): ${another}`, cause: error })
  }
  const { uid } = await fs.stat(filename)
  const own = process.geteuid?.()
  return new Unusable({
    message: `it is the file of user ${uid}, and this is user ${own}: run as that user, or have it given to this one (chown ${own}), or ${another}`,
    cause: error
  })
}

/** Made before SQLite sees it, so that at no moment others can read it. */
const prepareFile = (filename: string) =>
  Effect.tryPromise({
    try: async () => {
      if (filename === "") throw new Unusable({ message: "its name is empty" })
      const folder = path.dirname(path.resolve(filename))
      const isFolder = await fs.stat(folder).then(
        (stat) => stat.isDirectory(),
        (error: NodeJS.ErrnoException) => {
          if (error.code === "ENOENT")
            throw new Unusable({ message: `the folder ${folder} does not exist`, cause: error })
          throw new Unusable({
            message: `the folder ${folder} cannot be looked at (${systemWords(error)}): ${another}`,
            cause: error
          })
        }
      )
      if (!isFolder) throw new Unusable({ message: `${folder} is not a folder` })
      const created = await fs.open(filename, "wx", 0o600).then(
        async (file) => {
          await file.close()
          return true
        },
        (error: NodeJS.ErrnoException) => {
          if (error.code === "EEXIST") return false
          throw new Unusable({
            message: `no file can be made in ${folder} (${systemWords(error)}): ${another}`,
            cause: error
          })
        }
      )
      if (created) return
      const found = await fs.stat(filename)
      if (found.isDirectory()) throw new Unusable({ message: `it is a folder: ${another}, of a file` })
      if (!found.isFile()) throw new Unusable({ message: `it is no regular file: ${another}` })
      // by name: opening and closing a database that this process has open would drop SQLite's locks on it
      await fs.chmod(filename, 0o600).catch(async (error: NodeJS.ErrnoException) => {
        throw await notOurs(filename, error)
      })
    },
    catch: (cause) => cause
  })

/** What folders begin with that a copy of the database is made in: beside it, where there is room for the like of it. @since 0.13.0 @category constructors */
export const copies = (filename: string): string =>
  filename === ":memory:"
    ? path.join(os.tmpdir(), "vmfabric-copy-")
    : path.join(path.dirname(path.resolve(filename)), `.${path.basename(filename)}.copy-`)

/** What a process left that was killed while it made one. */
const removeCopies = (filename: string) =>
  Effect.tryPromise(async () => {
    const prefix = copies(filename)
    for (const name of await fs.readdir(path.dirname(prefix))) {
      if (!name.startsWith(path.basename(prefix))) continue
      await fs.rm(path.join(path.dirname(prefix), name), { recursive: true, force: true })
    }
  }).pipe(
    // it takes room, and nothing else
    Effect.catchAll((error) => Effect.logWarning("copies of the database that were not finished are left", error))
  )

const pragma = (sql: SqlClient.SqlClient, statement: string) =>
  Effect.map(sql.unsafe<Row>(`PRAGMA ${statement}`), (rows) => Object.values(rows[0] ?? {})[0])

const expectPragma = Effect.fnUntraced(function* (sql: SqlClient.SqlClient, statement: string, expected: unknown) {
  const found = yield* pragma(sql, statement)
  if (found !== expected) return yield* new Unusable({ message: `PRAGMA ${statement} gave ${String(found)}` })
})

/** Its one connection, the tables as this version has them. Nobody else can have it open. @since 0.12.0 @category constructors */
export const connect = Effect.fnUntraced(function* (filename: string) {
  const memory = filename === ":memory:"
  if (!memory) yield* prepareFile(filename)
  // WAL is switched on below: the lock has to be asked for before the file is touched for the first time
  const sql = yield* SqliteClient.make({ filename, disableWAL: true }).pipe(
    Effect.provideServiceEffect(Reactivity.Reactivity, Reactivity.make)
  )
  // waiting blocks the whole process, and whoever holds the file holds it for long
  yield* pragma(sql, "busy_timeout = 200")
  if (!memory) {
    yield* expectPragma(sql, "locking_mode = exclusive", "exclusive")
    yield* expectPragma(sql, "journal_mode = wal", "wal")
    // nobody else has the database, so nobody is making one
    yield* removeCopies(filename)
  }
  yield* pragma(sql, "synchronous = full")
  yield* expectPragma(sql, "synchronous", 2)
  yield* pragma(sql, "foreign_keys = on")
  yield* expectPragma(sql, "foreign_keys", 1)

  yield* Migrator.make({})({ loader: Migrator.fromRecord(Migrations.migrations) }).pipe(
    Effect.provideService(SqlClient.SqlClient, sql)
  )
  const [applied] = yield* sql<Row>`select max(migration_id) as latest from effect_sql_migrations`
  if (applied?.latest !== Migrations.latest) {
    return yield* new Unusable({
      message: `it was written by a newer version (migration ${String(applied?.latest)}, known ${Migrations.latest})`
    })
  }
  return sql
})
