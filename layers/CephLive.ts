/**
 * Ceph through one program on a machine that has it: one session for all calls, and one of its own for each image that is imported.
 *
 * @since 0.2.0
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import * as LocalProgram from "../src/ceph/LocalProgram.ts"
import * as Pieces from "../src/ceph/Pieces.ts"
import * as Program from "../src/ceph/Program.ts"
import { type Args, type Description, type Look, type Request, requests } from "../src/ceph/Protocol.ts"
import * as SessionClient from "../src/ceph/SessionClient.ts"
import { formatAddress, type HostAddress } from "../src/domain/Host.ts"
import type { Piece } from "../src/domain/Image.ts"
import * as Places from "../src/domain/Places.ts"
import * as Trail from "../src/observability/Trail.ts"
import { Ceph, CephError, CephSilent, type Changes, type Image, type Monitor } from "../src/services/Ceph.ts"
import { Ssh } from "../src/services/Ssh.ts"
import * as SingleFlight from "./SingleFlight.ts"

/** @since 0.2.0 @category models */
export interface Options {
  readonly pool: string
  /** without the `client.` before it */
  readonly client: string
  /** as in `/etc/ceph/ceph.conf`, on the machine the program runs on */
  readonly conf: string
  /** that machine; null: this one */
  readonly host: HostAddress | null
}

/** Limits that tests shorten. @since 0.2.0 @category models */
export interface Settings {
  readonly limits: SessionClient.Limits
  /** milliseconds between failed attempts to open a session: doubled from the first to the longest */
  readonly backoff: { readonly first: number; readonly longest: number }
  /** a session that is lost sooner counts as a failed attempt; milliseconds */
  readonly shortLived: number
}

const defaultSettings: Settings = {
  limits: SessionClient.defaultLimits,
  backoff: { first: 200, longest: 5000 },
  shortLived: 2000
}

/** images imported, and snapshots exported, at the same time; each takes a session's place on the host */
const imports = 2
const exported = 2

/** pieces of a snapshot that are there before they are taken */
const ahead = 2

/** `addr:port` of a monitor, `[addr]:port` with IPv6. QEMU and libvirt know the first version of Ceph's protocol only. */
const monitorOf = (addresses: Description["monitors"][number]): Option.Option<Monitor> => {
  const { addr = "" } = addresses.find(({ type }) => type === "v1") ?? addresses[0] ?? {}
  const [, bracketed, plain, port] = /^(?:\[(.*)\]|([^:]*)):(\d+)$/.exec(addr) ?? []
  const host = bracketed ?? plain
  return host === undefined ? Option.none() : Option.some({ host, port: Number(port) })
}

const listed: { readonly [C in keyof Changes]: Request<Changes[C], null> } = requests

/** What is being done, for messages. */
const inWords: { readonly [C in keyof Changes]: (args: Changes[C]) => string } = {
  absent: ({ image }) => `make image ${image}`,
  create: ({ image }) => `create image ${image}`,
  clone: ({ image, parent, snapshot }) => `clone ${parent}@${snapshot} as image ${image}`,
  grow: ({ image, size }) => `grow image ${image} to ${size} bytes`,
  write: ({ content, image }) => `write ${content.length} bytes to image ${image}`,
  setMetadata: ({ image, key }) => `set ${key} of image ${image}`,
  rename: ({ image, name }) => `rename image ${image} to ${name}`
}

const words = <C extends keyof Changes>(one: { readonly do: C; readonly args: Changes[C] }): string =>
  inWords[one.do](one.args)

const make = Effect.fnUntraced(function* (options: Options, settings: Settings) {
  const { client, conf, host, pool } = options
  const ssh = yield* Ssh
  const scope = yield* Effect.scope
  const where = host === null ? "this machine" : formatAddress(host)
  const single = SingleFlight.make<SessionClient.SessionClient, SessionClient.SessionFailure>(scope)
  const importing = yield* Places.make(imports)
  const exporting = yield* Places.make(exported)
  let session: SessionClient.SessionClient | undefined
  /** how often in a row there was none to be had, when it may be tried again, and what was wrong the last time */
  let failed:
    { readonly times: number; readonly until: number; readonly error: SessionClient.SessionFailure } | undefined

  const silent = (reason: string, cause?: unknown) =>
    new SessionClient.SessionFailure({
      reason: new CephSilent({ reason }),
      ...(cause === undefined ? {} : { cause })
    })

  const dial: Effect.Effect<Duplex, SessionClient.SessionFailure, Scope.Scope> =
    host === null
      ? LocalProgram.open
      : Effect.mapError(ssh.openProgram(host, Program.argv), (error) => silent(error.message, error))

  const connect = Effect.flatMap(dial, (duplex) =>
    SessionClient.make(duplex, { where, conf, client, pool, limits: settings.limits })
  ).pipe(
    Effect.timeoutFail({
      duration: settings.limits.read,
      onTimeout: () => silent(`it cannot be opened on ${where} within ${Duration.format(settings.limits.read)}`)
    })
  )

  const failedWith = (error: SessionClient.SessionFailure) =>
    Effect.gen(function* () {
      const times = (failed?.times ?? 0) + 1
      const wait = Math.min(settings.backoff.first * 2 ** (times - 1), settings.backoff.longest)
      const jitter = yield* Random.nextRange(0.8, 1.2)
      failed = { times, until: (yield* Clock.currentTimeMillis) + wait * jitter, error }
    })

  /** Holds the session open until it is lost, so that nothing of a lost one stays. */
  const keep = (opened: Deferred.Deferred<SessionClient.SessionClient, SessionClient.SessionFailure>) =>
    Effect.gen(function* () {
      const made = yield* connect.pipe(
        Effect.tapError(failedWith),
        Effect.tapErrorCause((cause) => Deferred.failCause(opened, cause))
      )
      const since = yield* Clock.currentTimeMillis
      session = made
      yield* Deferred.succeed(opened, made)
      const failure = yield* Effect.flip(made.lost)
      if (session === made) session = undefined
      if ((yield* Clock.currentTimeMillis) - since < settings.shortLived) yield* failedWith(failure)
      else failed = undefined
      yield* Effect.logDebug("ceph session lost").pipe(Effect.annotateLogs({ pool, where, reason: failure.message }))
    }).pipe(Effect.scoped)

  const open = Effect.gen(function* () {
    if (session !== undefined && !session.isLost()) return session
    if (failed !== undefined && (yield* Clock.currentTimeMillis) < failed.until) return yield* failed.error
    const opened = yield* Deferred.make<SessionClient.SessionClient, SessionClient.SessionFailure>()
    // its failure is the flight's, and its loss the next user's to see
    yield* keep(opened).pipe(Effect.catchAll(Effect.succeed), Effect.forkIn(scope))
    return yield* Deferred.await(opened)
  })

  /** The session: the open one, or a new one that everybody who asks meanwhile waits for. */
  const shared = Effect.suspend(() =>
    session !== undefined && !session.isLost()
      ? Effect.succeed(session)
      : single("session", open).pipe(
          // ours would not be seen here: it is the opening that was interrupted, by the end of the layer
          Effect.catchAllCause((cause) =>
            Cause.isInterruptedOnly(cause) ? Effect.fail(silent("the session was closed")) : Effect.failCause(cause)
          )
        )
  )

  const toError = (action: string) => (failure: SessionClient.SessionFailure) =>
    new CephError({
      pool,
      action,
      reason: failure.reason,
      ...(failure.cause === undefined ? {} : { cause: failure.cause })
    })

  const call = <A, R>(request: Request<A, R>, args: A, action: string): Effect.Effect<R, CephError> =>
    Effect.flatMap(shared, (session) => session.call(request, args)).pipe(
      Effect.mapError(toError(action)),
      Trail.span(`Ceph.${request.operation}`, { attributes: { pool, action } })
    )

  const change = <A>(request: Request<A, null>, args: A, action: string): Effect.Effect<void, CephError> =>
    Effect.asVoid(call(request, args, action))

  const alone = <C extends keyof Changes>(one: { readonly do: C; readonly args: Changes[C] }) =>
    change(listed[one.do], one.args, words(one))

  const inOrder: Ceph["Type"]["inOrder"] = (changes) => {
    const action = changes.map(words).join(", ")
    const actionOf = ({ reason }: SessionClient.SessionFailure) => {
      const refused = reason._tag === "CephRefused" ? changes[reason.done ?? 0] : undefined
      return refused === undefined ? action : words(refused)
    }
    return Effect.flatMap(shared, (session) => session.call(requests.inOrder, { changes })).pipe(
      Effect.mapError((failure) => toError(actionOf(failure))(failure)),
      Trail.span("Ceph.inOrder", { attributes: { pool, action } }),
      Effect.asVoid
    )
  }

  const imageOf = (look: Look): Image => {
    const { parent, watchers, ...rest } = look
    return {
      ...rest,
      parent: parent === null ? null : { image: inPool(parent.pool, parent.image), snapshot: parent.snapshot },
      watchers: watchers.map((address) => ({ address }))
    }
  }

  /** An image of another pool is named by both. */
  const inPool = (itsPool: string, image: string): string => (itsPool === pool ? image : `${itsPool}/${image}`)

  const importImage: Ceph["Type"]["importImage"] = (image, file) => {
    const args: Args<"importImage"> = { image, size: file.size, format: file.format }
    const action = `import image ${image}`
    return Effect.flatMap(connect, (session) =>
      session.importImage(args, file.format === "raw" ? Pieces.sparse(file.bytes) : Pieces.whole(file.bytes))
    ).pipe(
      Effect.scoped,
      Effect.mapError((error) => (error instanceof SessionClient.SessionFailure ? toError(action)(error) : error)),
      importing.within,
      Effect.withSpan("Ceph.importImage", { attributes: { pool, image, format: file.format, size: file.size } })
    )
  }

  const exportSnapshot: Ceph["Type"]["exportSnapshot"] = (image, { name: snapshot, size }) => {
    const action = `read ${image}@${snapshot}`
    const pieces = (session: SessionClient.SessionClient) =>
      Stream.paginateChunkEffect(0, (from) =>
        Effect.map(session.call(requests.readSnapshot, { image, snapshot, from }), ({ next, piece }) => [
          piece === null
            ? Chunk.empty<Piece>()
            : Chunk.of<Piece>({ offset: piece.offset, bytes: Buffer.from(piece.content, "base64") }),
          next < size ? Option.some(next) : Option.none<number>()
        ])
      ).pipe(Stream.bufferChunks({ capacity: ahead }))
    return Stream.unwrapScoped(
      Effect.gen(function* () {
        yield* exporting.hold
        return pieces(yield* connect)
      })
    ).pipe(
      Stream.mapError(toError(action)),
      Stream.withSpan("Ceph.exportSnapshot", { attributes: { pool, image, snapshot, size } })
    )
  }

  return Ceph.of({
    pool,
    cluster: Effect.map(call(requests.cluster, {}, "describe its cluster"), ({ fsid, key, monitors, version }) => ({
      fsid,
      key,
      client,
      monitors: monitors.flatMap((addresses) => Option.toArray(monitorOf(addresses))),
      version: /^ceph version (\S+)/.exec(version)?.[1] ?? version
    })),
    usage: Effect.map(call(requests.usage, {}, "tell how full it is"), ({ available, quota, stored }) => {
      const left = quota === 0 ? available : Math.min(available, Math.max(0, quota - stored))
      return { capacity: stored + left, used: stored, available: left }
    }),
    list: call(requests.list, {}, "list its images"),
    look: (image) =>
      Effect.map(call(requests.look, { image }, `look at image ${image}`), (look) => Option.some(imageOf(look))).pipe(
        Effect.catchIf(
          (error) => error.refusedWith("ENOENT"),
          () => Effect.succeedNone
        )
      ),
    create: (image, size) => alone({ do: "create", args: { image, size } }),
    clone: (from, image) => alone({ do: "clone", args: { parent: from.image, snapshot: from.snapshot, image } }),
    grow: (image, size) => alone({ do: "grow", args: { image, size } }),
    write: (image, content) => alone({ do: "write", args: { image, content } }),
    setMetadata: (image, key, value) => alone({ do: "setMetadata", args: { image, key, value } }),
    rename: (image, name) => alone({ do: "rename", args: { image, name } }),
    inOrder,
    remove: (image) => change(requests.remove, { image }, `remove image ${image}`),
    createSnapshot: (image, snapshot) =>
      change(requests.createSnapshot, { image, snapshot }, `create snapshot ${image}@${snapshot}`),
    protectSnapshot: (image, snapshot) =>
      change(requests.protectSnapshot, { image, snapshot }, `protect snapshot ${image}@${snapshot}`),
    removeSnapshot: (image, snapshot) =>
      change(requests.removeSnapshot, { image, snapshot }, `remove snapshot ${image}@${snapshot}`),
    rollback: (image, snapshot) =>
      change(requests.rollback, { image, snapshot }, `roll image ${image} back to ${snapshot}`),
    children: (image, snapshot) =>
      Effect.map(call(requests.children, { image, snapshot }, `list the clones of ${image}@${snapshot}`), (children) =>
        children.map((child) => inPool(child.pool, child.image))
      ),
    trash: call(requests.trash, {}, "list its trash"),
    moveToTrash: (image, delay) => change(requests.moveToTrash, { image, delay }, `move image ${image} to the trash`),
    restore: (id, image) => change(requests.restore, { id, image }, `restore ${id} as image ${image}`),
    purge: (id) => change(requests.purge, { id }, `purge ${id} from the trash`),
    importImage,
    exportSnapshot
  })
})

/** @since 0.2.0 @category layers */
export const layer = (options: Options, settings: Partial<Settings> = {}): Layer.Layer<Ceph, never, Ssh> =>
  Layer.scoped(Ceph, make(options, { ...defaultSettings, ...settings }))
