/**
 * The inventory's database: one SQLite file that one process owns, and one writer that groups commits.
 *
 * - A write is durable when its effect ends: WAL with `synchronous=FULL`, and the caller waits for the commit.
 * - Writes that arrive together share a commit. Each runs in a savepoint of its own, so one that fails takes nothing with it.
 * - Reads never see what is not committed: while a group is open they wait for it.
 * - Whatever goes wrong at a commit, the connection leaves the transaction and every write of that group fails.
 *
 * @since 0.1.0
 */
import * as SqlClient from "@effect/sql/SqlClient"
import { SqlError } from "@effect/sql/SqlError"
import type { Connection } from "@effect/sql/SqlConnection"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Layer from "effect/Layer"
import type { PersistenceError } from "../src/domain/Errors.ts"
import * as Places from "../src/domain/Places.ts"
import * as Locally from "../src/observability/Locally.ts"
import * as Paced from "../src/observability/Paced.ts"
import * as Meters from "../src/observability/Meters.ts"
import { Readiness } from "../src/observability/Readiness.ts"
import * as DatabaseFile from "./DatabaseFile.ts"
import type { Row } from "./sql/Rows.ts"

/**
 * `action` completes the sentence "the database failed to …". Bodies use `sql` and `statement` only, do no other I/O and do not wait for
 * anything: everybody else waits for them.
 *
 * @since 0.1.0 @category services
 */
export class Database extends Context.Tag("vmfabric/Database")<
  Database,
  {
    readonly filename: string
    readonly sql: SqlClient.SqlClient
    /**
     * A statement for bodies that run often: a fraction of the cost of one of `sql`, which makes its text anew each time and asks which
     * connection it is for. Outside a body it would get between other people's statements; and in a body one follows the other.
     */
    readonly statement: (text: string) => (...parameters: ReadonlyArray<Parameter>) => Effect.Effect<Rows, SqlError>
    /** Statements on committed data, with no write in between. */
    readonly read: <A, E>(
      action: string,
      body: Effect.Effect<A, E>
    ) => Effect.Effect<A, Exclude<E, SqlError> | PersistenceError>
    /**
     * A transaction. `committed` is called with the body's result right after the commit, before anybody is told of it and in the order
     * in which the writes took effect: the place to keep memory in step. `ahead` is called before the next body of the same transaction is
     * run, and what it says is void when that transaction is not committed: see `transaction`.
     */
    readonly write: <A, E>(
      action: string,
      body: Effect.Effect<A, E>,
      committed?: (result: A) => void,
      ahead?: (result: A) => void
    ) => Effect.Effect<A, Exclude<E, SqlError> | PersistenceError>
    /**
     * The same for a body that is made of others' writes, which are parts of it then: all of them, or none. Elsewhere a write in a body is a
     * defect.
     */
    readonly together: <A, E>(
      action: string,
      body: Effect.Effect<A, E>
    ) => Effect.Effect<A, Exclude<E, SqlError> | PersistenceError>
    /**
     * Makes a database of that name, in a folder that is there, of all that is committed when it ends. SQLite copies some pages between others' transactions, and
     * what these write meanwhile is written to the copy, too: nobody waits. It cannot be interrupted.
     */
    readonly copyTo: (filename: string) => Effect.Effect<void, PersistenceError>
    /** For what is a part of somebody else's transaction: a defect where there is none. */
    readonly mustBeInside: (action: string) => Effect.Effect<void>
    /** The number of the transaction that is open, or was last. */
    readonly transaction: () => number
    /** Called after every commit, whoever's it was. They wake somebody, and do nothing themselves. */
    readonly afterCommit: Set<() => void>
    /**
     * The same for a body that needs nothing of its caller: no clock, no random numbers, no span. The writer runs it itself, instead of handing
     * the turn to the caller and waiting for it to come back.
     */
    readonly writeSimply: <A, E>(
      action: string,
      body: Effect.Effect<A, E>,
      committed?: (result: A) => void,
      ahead?: (result: A) => void
    ) => Effect.Effect<A, Exclude<E, SqlError> | PersistenceError>
  }
>() {}

/** What SQLite takes. @since 0.3.0 @category models */
export type Parameter = string | number | null

type Rows = ReadonlyArray<Row>

/** `filename`: an absolute or relative path, or `:memory:`. @since 0.1.0 @category models */
export interface DatabaseConfig {
  readonly filename: string
}

/** More than this many writes in one commit would only make the first of them wait. */
const largestGroup = 256

/** A write on its way. */
interface Ticket {
  /** Its part of the transaction; gives what is to be called after the commit. Fails when nothing of the group can be committed any more. */
  readonly turn: () => Effect.Effect<() => void, SqlError>
  /** How the commit went, or why the turn never came. */
  readonly settle: (outcome: Exit.Exit<void, SqlError>) => void
}

const nothing = (): void => undefined

/**
 * A commit holds up the whole process until the disk has it. What arrived meanwhile (answers of hosts, requests) is heard first, so that the
 * writes it leads to share the next commit instead of each having one.
 */
const whatElseArrived = Paced.others

/**
 * A statement that is prepared when it is used for the first time, and kept. The client's own `execute` looks it up in a cache at each use, which costs
 * more than most statements; what it does not look up it prepares at once, and reads the parameters whenever it is run. So one use has to end
 * before the next is begun, as they do in a body.
 */
const prepared = (connection: Connection, text: string) => {
  const given: Array<Parameter> = []
  let execution: Effect.Effect<Rows, SqlError> | undefined
  return (...parameters: ReadonlyArray<Parameter>): Effect.Effect<Rows, SqlError> =>
    Effect.suspend(() => {
      try {
        execution ??= connection.executeUnprepared(text, given, undefined)
      } catch (cause) {
        return Effect.fail(new SqlError({ cause, message: "Failed to prepare statement" }))
      }
      given.splice(0, given.length, ...parameters)
      return execution
    })
}

const make = Effect.fnUntraced(function* ({ filename }: DatabaseConfig) {
  const opening = DatabaseFile.opening(filename)
  const sql = yield* opening(DatabaseFile.connect(filename))
  const own = yield* opening(Effect.scoped(sql.reserve))
  const told = DatabaseFile.typed(filename)

  /** The client's own line, for the same, has all who wait look up whenever it moves. */
  const turn = Places.unsafeMake(1)

  const begin = prepared(own, "BEGIN IMMEDIATE")()
  const commit = prepared(own, "COMMIT")()
  const rollback = prepared(own, "ROLLBACK")()
  const save = prepared(own, "SAVEPOINT turn")()
  const release = prepared(own, "RELEASE turn")()
  const rollbackToSaved = prepared(own, "ROLLBACK TO turn")()

  /** Leaves the transaction, whether or not SQLite has already done so by itself (it does on some errors). */
  const leave = rollback.pipe(
    // "no transaction is active" is the expected answer in that case; if it is another, the next BEGIN fails and says so
    Effect.catchAll((error) => Effect.logDebug("rollback", error.cause))
  )

  /** Whether the fiber's statements already run on our connection, inside a transaction. */
  const isInside = ({ currentContext }: Fiber.RuntimeFiber<unknown, unknown>): boolean => {
    const transaction = Context.getOption(currentContext, SqlClient.TransactionConnection)
    return transaction._tag === "Some" && transaction.value[0] === own
  }

  /**
   * The connection is named for each body. Otherwise a caller inside another client's transaction would have our statements run on that
   * client's database: all clients share one tag. And a span for each statement would cost more than the statement; whoever reads or writes has one
   * for the whole. To be run where nothing but the body can be interrupted.
   */
  const run = Locally.within(Locally.service(SqlClient.TransactionConnection, [own, 0]), Locally.untraced)

  const read = <A, E>(
    action: string,
    body: Effect.Effect<A, E>
  ): Effect.Effect<A, Exclude<E, SqlError> | PersistenceError> =>
    Effect.withFiberRuntime<A, E>((fiber) =>
      // who has the turn has the connection
      isInside(fiber)
        ? body
        : Effect.uninterruptibleMask((restore) =>
            Effect.zipRight(
              turn.enter(restore),
              Effect.flatMap(Effect.exit(run(restore(body))), (exit) => Effect.zipRight(turn.leave, exit))
            )
          )
    ).pipe(told(action))

  const waiting: Array<Ticket> = []
  const anyWaiting = yield* Effect.makeLatch(false)
  let closed = false
  let transactions = 0
  const afterCommit = new Set<() => void>()

  /** Gives turns until nobody waits, commits, and tells everybody. */
  const group = Effect.gen(function* () {
    const members: Array<Ticket> = []
    const hooks: Array<() => void> = []
    const turns = Effect.gen(function* () {
      // held until everybody has been told: reads wait
      yield* turn.hold
      yield* sql.reserve
      yield* begin
      transactions++
      while (members.length < largestGroup) {
        const ticket = waiting.shift()
        if (ticket === undefined) break
        members.push(ticket)
        hooks.push(yield* ticket.turn())
      }
      yield* Meters.commit(commit, members.length)
    })
    const ended = yield* Effect.exit(turns)
    if (Exit.isFailure(ended)) Meters.commitFailed()
    if (Exit.isFailure(ended)) yield* leave
    else for (const wake of afterCommit) wake()
    const outcome = Exit.isFailure(ended)
      ? ended
      : yield* Effect.exit(Effect.sync(() => hooks.forEach((committed) => committed())))
    // not even begun: those that wait would wait for nothing
    for (const ticket of members.length === 0 ? waiting.splice(0) : members) ticket.settle(outcome)
  }).pipe(Effect.scoped)

  const writer = Effect.uninterruptibleMask((restore) =>
    Effect.sync(() => {
      if (waiting.length === 0) anyWaiting.unsafeClose()
    }).pipe(
      Effect.zipRight(restore(anyWaiting.await)),
      Effect.zipRight(restore(whatElseArrived)),
      Effect.zipRight(group),
      Effect.forever
    )
  )

  const join = (ticket: Ticket): boolean => {
    if (closed) return false
    waiting.push(ticket)
    anyWaiting.unsafeOpen()
    return true
  }

  /** What the writes in the body of `together` that has the turn are to be told; null: there is no such body. */
  let parts: Array<{ readonly ahead: () => void; readonly committed: () => void }> | null = null

  /** A write in a body is a part of that; where it is to be one of its own it would wait for itself. */
  const joined =
    <A, E>(action: string, body: Effect.Effect<A, E>, committed: (result: A) => void, ahead: (result: A) => void) =>
    <E2>(write: Effect.Effect<A, E2>): Effect.Effect<A, E | E2> =>
      Effect.withFiberRuntime<A, E | E2>((fiber) => {
        if (!isInside(fiber)) return write
        const others = parts
        if (others === null) return Effect.dieMessage(`${action}: a write inside another write of the same database`)
        return Effect.tap(body, (result) =>
          Effect.sync(() => others.push({ ahead: () => ahead(result), committed: () => committed(result) }))
        )
      })

  /** How the body ends, in a savepoint of its own. The outer failure: the whole transaction is lost. */
  const guarded = <A, E>(body: Effect.Effect<A, E>): Effect.Effect<Exit.Exit<A, E>, SqlError> =>
    Effect.flatMap(Effect.zipRight(save, Effect.exit(body)), (exit) =>
      Effect.matchCauseEffect(Exit.isSuccess(exit) ? release : Effect.zipRight(rollbackToSaved, release), {
        // it is gone when SQLite gave up the transaction (disk full, I/O error), and why is what the body was told
        onFailure: (cause) => Effect.failCause(sqlErrorOf(exit) ?? cause),
        onSuccess: () => Effect.succeed(exit)
      })
    )

  const write = <A, E>(
    action: string,
    body: Effect.Effect<A, E>,
    committed: (result: A) => void = nothing,
    ahead: (result: A) => void = nothing
  ): Effect.Effect<A, Exclude<E, SqlError> | PersistenceError> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const turn = Deferred.unsafeMake<void, SqlError>(FiberId.none)
        const through = Deferred.unsafeMake<() => void, SqlError>(FiberId.none)
        const settled = Deferred.unsafeMake<void, SqlError>(FiberId.none)
        const hasJoined = join({
          turn: () => {
            Deferred.unsafeDone(turn, Effect.void)
            return Deferred.await(through)
          },
          settle: (outcome) => {
            Deferred.unsafeDone(turn, outcome)
            Deferred.unsafeDone(settled, outcome)
          }
        })
        if (!hasJoined) return yield* closedError
        yield* restore(Deferred.await(turn)).pipe(
          // whoever gives up while waiting must not hold up the others
          Effect.onError(() => Deferred.succeed(through, nothing))
        )
        const done = yield* Effect.exit(guarded(run(restore(body))))
        const result = Exit.flatten(done)
        if (Exit.isSuccess(result)) ahead(result.value)
        const hook = Exit.isSuccess(result) ? () => committed(result.value) : nothing
        Deferred.unsafeDone(
          through,
          Exit.map(done, () => hook)
        )
        // also after a failure: what it was decided on may not be committed yet
        yield* Deferred.await(settled)
        return yield* result
      })
    ).pipe(joined(action, body, committed, ahead), told(action))

  const together = <A, E>(action: string, body: Effect.Effect<A, E>) =>
    write(
      action,
      Effect.suspend(() => {
        const others: NonNullable<typeof parts> = []
        parts = others
        return body.pipe(
          Effect.map((result) => ({ result, others })),
          Effect.ensuring(Effect.sync(() => (parts = null)))
        )
      }),
      ({ others }) => others.forEach(({ committed }) => committed()),
      ({ others }) => others.forEach(({ ahead }) => ahead())
    ).pipe(Effect.map(({ result }) => result))

  const writeSimply = <A, E>(
    action: string,
    body: Effect.Effect<A, E>,
    committed: (result: A) => void = nothing,
    ahead: (result: A) => void = nothing
  ): Effect.Effect<A, Exclude<E, SqlError> | PersistenceError> =>
    Effect.async<A, E | SqlError>((resume) => {
      let exit: Exit.Exit<A, E | SqlError> | undefined
      let begun = false
      let abandoned = false
      let ended = false
      let settled: (() => void) | undefined
      const hasJoined = join({
        turn: () => {
          if (abandoned) return Effect.succeed(nothing)
          begun = true
          return Effect.map(guarded(body), (done) => {
            exit = done
            if (Exit.isFailure(done)) return nothing
            ahead(done.value)
            return () => committed(done.value)
          })
        },
        settle: (outcome) => {
          ended = true
          if (Exit.isFailure(outcome)) resume(Effect.failCause(outcome.cause))
          else if (exit !== undefined) resume(exit)
          settled?.()
        }
      })
      if (!hasJoined) resume(closedError)
      // what has been begun may be committed, so it is waited for
      return Effect.async<void>((done) => {
        abandoned = true
        // it may have ended between the interruption and its being heard
        if (begun && !ended) settled = () => done(Effect.void)
        else done(Effect.void)
      })
    }).pipe(joined(action, body, committed, ahead), told(action))

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closed = true
      for (const ticket of waiting.splice(0)) ticket.settle(Exit.fail(closedError))
    })
  )
  yield* Effect.forkScoped(run(writer))
  // written for real, also when it says what it said before
  const proof = Effect.asVoid(writeSimply("be written", prepared(own, "PRAGMA user_version = 1")()))
  const problem = Effect.match(proof, { onFailure: ({ message }) => message, onSuccess: () => null })
  yield* Effect.flatMap(Readiness, (readiness) => readiness.register("database", problem))
  return Database.of({
    filename,
    sql,
    copyTo: (name) => told("be copied")(Effect.uninterruptible(Effect.asVoid(sql.backup(name)))),
    statement: (text) => prepared(own, text),
    read,
    write,
    writeSimply,
    together,
    mustBeInside: (action) =>
      Effect.withFiberRuntime((fiber) =>
        isInside(fiber) ? Effect.void : Effect.dieMessage(`${action}: outside a write of the same database`)
      ),
    transaction: () => transactions,
    afterCommit
  })
})

const closedError = new SqlError({ cause: new Error("it is closed"), message: "closed" })

const sqlErrorOf = (exit: Exit.Exit<unknown, unknown>): Cause.Cause<SqlError> | null => {
  if (Exit.isSuccess(exit)) return null
  const failure = Cause.failureOption(exit.cause)
  return failure._tag === "Some" && failure.value instanceof SqlError ? Cause.fail(failure.value) : null
}

/**
 * Opens or creates the database, mode 0600, and brings its tables up to date. Fails when the folder does not exist, the file cannot be
 * used, it is not ours, or another process has it open; the message names the file.
 *
 * @since 0.1.0 @category layers
 */
export const layer = (config: DatabaseConfig): Layer.Layer<Database, PersistenceError> =>
  Layer.scoped(Database, make(config))
