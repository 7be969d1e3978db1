/**
 * libvirt on every host: one session a host for calls and events, a few more for calls that take long, one of its own for each stream of
 * bulk data.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { connect } from "node:net"
import type { Duplex } from "node:stream"
import { formatAddress, type HostAddress } from "../src/domain/Host.ts"
import { asked } from "../src/domain/HostCalls.ts"
import * as Places from "../src/domain/Places.ts"
import * as Unstacked from "../src/domain/Unstacked.ts"
import { type Args, type ProcedureName, replyOf } from "../src/libvirt/Procedures.ts"
import * as RpcClient from "../src/libvirt/RpcClient.ts"
import type { Decoder } from "../src/libvirt/Xdr.ts"
import * as Meters from "../src/observability/Meters.ts"
import * as Trail from "../src/observability/Trail.ts"
import {
  Libvirt,
  LibvirtDisconnected,
  LibvirtError,
  type LibvirtErrorReason,
  LibvirtTimeout
} from "../src/services/Libvirt.ts"
import { Ssh, type SshError } from "../src/services/Ssh.ts"
import * as SingleFlight from "./SingleFlight.ts"

/** @since 0.1.0 @category models */
export interface Options {
  /** the hypervisor driver to open; `test:///default` is libvirt's own mock */
  readonly uri: string
}

const defaults: Options = { uri: "qemu:///system" }

/** The monolithic daemon, or virtproxyd in its place; then the modular QEMU daemon. */
const socketPaths = ["/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"] as const

/** SSH_OPEN_ADMINISTRATIVELY_PROHIBITED and SSH_OPEN_CONNECT_FAILED of RFC 4254. */
const prohibited = 1
const connectFailed = 2

/** Brings a byte stream to a host's daemon. */
type Dial = (address: HostAddress) => Effect.Effect<Duplex, LibvirtError, Scope.Scope>

const failure = (address: HostAddress, procedure: string) => (reason: LibvirtErrorReason) => {
  const cause = reason._tag === "LibvirtDisconnected" ? reason.ssh : undefined
  // refusals are answers like others, and made as often: they need not be checked against their own type
  return Unstacked.make(
    () =>
      new LibvirtError(
        { host: formatAddress(address), procedure, reason, ...(cause === undefined ? {} : { cause }) },
        { disableValidation: true }
      )
  )
}

const disconnected = (address: HostAddress, reason: string, ssh?: SshError) =>
  failure(address, "connect")(new LibvirtDisconnected({ reason, ...(ssh === undefined ? {} : { ssh }) }))

/** What a shell says of a program that is not there. */
const notFound = 127

/** Neither socket nor helper: that the helper is missing is not what the user has to know first. */
const noLibvirt = (address: HostAddress) => (reason: LibvirtErrorReason) => {
  const ssh = reason._tag === "LibvirtDisconnected" ? reason.ssh : undefined
  if (ssh?.reason._tag !== "SshCommandFailed" || ssh.reason.exitCode !== notFound) {
    return failure(address, "connect")(reason)
  }
  const sockets = socketPaths.join(" nor ")
  return new LibvirtError({
    host: formatAddress(address),
    procedure: "connect",
    reason: new LibvirtDisconnected({
      reason: `libvirt does not listen on ${sockets}, and there is no virt-ssh-helper: is it installed?`
    }),
    cause: ssh
  })
}

/** A failed attempt is not repeated at once by everybody who wants the host; nor is one that is back kept waiting. */
const backoff = { first: 200, longest: 500 }
const openLimit = Duration.seconds(15)
/** uploads to one host at the same time */
const bulkConnections = 2
/** of so few bytes that they do not wait for an image of many GiB */
const little = 1024n ** 2n
const smallConnections = 4
const pingLimit = Duration.seconds(10)

/**
 * Sessions beside the first for what takes the daemon long: it works on five requests of a client at a time, so on one session ten guests
 * would start four by four, with every other call behind them. Opened when they are needed.
 */
const slowSessions = 3
/** what one of them takes before the next is used */
const slowCalls = 4
const isSlow = <P extends ProcedureName>(procedure: P, args: Args<P>) =>
  // of more than states QEMU is asked, one domain after the other
  (procedure === "CONNECT_GET_ALL_DOMAIN_STATS" && Predicate.hasProperty(args, "stats") && args.stats !== 1) ||
  // a disk is opened, or its guest is waited for: QEMU, and with it all that asks it for something, hangs on a storage that does
  /^(DOMAIN_(CREATE|ATTACH|DETACH|BLOCK_RESIZE|GET_BLOCK_INFO|GET_GUEST_INFO)|STORAGE_VOL_(CREATE|DELETE)|STORAGE_POOL_REFRESH)/.test(
    procedure
  )

/**
 * A session's PINGs are answered by the daemon's main loop, also when all that would do the work hangs. So a call that waits for long makes us
 * ask something that takes no time, needs no guest and no storage, and has to be done by the same workers; on a session of its own, where
 * nothing is before it. Unanswered too, the daemon is past helping, and everybody is told so long before the limits of their calls.
 */
const askAfter = Duration.seconds(5)
const answerWithin = Duration.seconds(5)
const askOn = slowSessions + 1

/** What is known of a host's daemon beside its sessions. */
interface Daemon {
  /** calls without an answer, the oldest first */
  readonly waiting: Set<{ readonly procedure: ProcedureName; readonly since: number }>
  /** when it last answered a call */
  answered: number
  /** whether somebody looks after the calls that wait */
  watched: boolean
}

const isAnswer = <A>(exit: Exit.Exit<A, LibvirtErrorReason>): boolean =>
  Exit.match(exit, {
    onSuccess: () => true,
    onFailure: (cause) => Option.exists(Cause.failureOption(cause), ({ _tag }) => _tag === "LibvirtRefused")
  })

interface HostSession {
  readonly key: string
  readonly bulk: Places.Places
  readonly small: Places.Places
  /** slow calls under way */
  slow: number
  client: RpcClient.RpcClient | undefined
  /** how often in a row it could not be opened, when it may be tried again, and what was wrong the last time */
  failed: { readonly times: number; readonly until: number; readonly error: LibvirtError } | undefined
}

const make = Effect.fnUntraced(function* (dial: Dial, { uri }: Options) {
  const scope = yield* Effect.scope
  const clock = yield* Effect.clock
  const daemons = new Map<string, Daemon>()
  const hosts = new Map<string, HostSession>()
  const single = SingleFlight.make<RpcClient.RpcClient, LibvirtError>(scope)

  /** `index` 0: for calls and events; those from 1 on for slow calls, the last to ask whether it answers. */
  const hostOf = (address: HostAddress, index = 0): HostSession => {
    const key = `${formatAddress(address)} ${index}`
    const known = hosts.get(key)
    if (known !== undefined) return known
    const host: HostSession = {
      key,
      bulk: Places.unsafeMake(bulkConnections),
      small: Places.unsafeMake(smallConnections),
      slow: 0,
      client: undefined,
      failed: undefined
    }
    hosts.set(key, host)
    return host
  }

  /** A session of its own, closed with the scope; what a failed attempt has opened is closed at once. */
  const connectTo = (address: HostAddress): Effect.Effect<RpcClient.RpcClient, LibvirtError, Scope.Scope> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const attempt = yield* Scope.make()
        const client = yield* Effect.flatMap(dial(address), (duplex) =>
          Effect.mapError(RpcClient.make(duplex, { uri }), noLibvirt(address))
        ).pipe(
          Effect.timeoutFail({
            duration: openLimit,
            onTimeout: () => failure(address, "connect")(new LibvirtTimeout({ after: Duration.format(openLimit) }))
          }),
          Scope.extend(attempt),
          restore,
          Effect.onError((cause) => Scope.close(attempt, Exit.failCause(cause)))
        )
        yield* Effect.addFinalizer((exit) => Scope.close(attempt, exit))
        return client
      })
    )

  /** Holds a session open until it is lost, so that nothing of a lost one stays. */
  const keep = (
    address: HostAddress,
    host: HostSession,
    opened: Deferred.Deferred<RpcClient.RpcClient, LibvirtError>
  ) =>
    Effect.gen(function* () {
      const client = yield* Effect.tapErrorCause(connectTo(address), (cause) => Deferred.failCause(opened, cause))
      host.client = client
      host.failed = undefined
      yield* Deferred.succeed(opened, client)
      const reason = yield* Effect.flip(client.lost)
      if (host.client === client) host.client = undefined
      yield* Effect.logDebug("libvirt session lost", reason).pipe(
        Effect.annotateLogs("host", formatAddress(address)),
        Trail.apart
      )
    }).pipe(Effect.scoped)

  const openShared = (address: HostAddress, host: HostSession) =>
    Effect.gen(function* () {
      if (host.client !== undefined && !host.client.isLost()) return host.client
      const now = yield* Clock.currentTimeMillis
      if (host.failed !== undefined && now < host.failed.until) return yield* host.failed.error
      const opened = yield* Deferred.make<RpcClient.RpcClient, LibvirtError>()
      // its failure is the flight's, and its loss the next user's to see
      yield* keep(address, host, opened).pipe(Effect.catchAll(Effect.succeed), Effect.forkIn(scope))
      return yield* Effect.tapError(Deferred.await(opened), (error) =>
        Effect.gen(function* () {
          const times = (host.failed?.times ?? 0) + 1
          const wait = Math.min(backoff.first * 2 ** (times - 1), backoff.longest)
          const jitter = yield* Random.nextRange(0.8, 1.2)
          host.failed = { times, until: (yield* Clock.currentTimeMillis) + wait * jitter, error }
        })
      )
    })

  /** The host's session: the open one, or a new one that everybody who asks meanwhile waits for. */
  const shared = (address: HostAddress, host = hostOf(address)): Effect.Effect<RpcClient.RpcClient, LibvirtError> =>
    Effect.suspend(() => {
      return host.client !== undefined && !host.client.isLost()
        ? Effect.succeed(host.client)
        : single(host.key, openShared(address, host)).pipe(
            // ours would not be seen here: it is the opening that was interrupted, by the end of the layer
            Effect.catchAllCause((cause) =>
              Cause.isInterruptedOnly(cause)
                ? Effect.fail(disconnected(address, "libvirt's sessions have been closed"))
                : Effect.failCause(cause)
            )
          )
    })

  /** The first session for slow calls that is not full, or the least full one. */
  const slowHostOf = (address: HostAddress): HostSession => {
    let best = hostOf(address, 1)
    for (let index = 2; index <= slowSessions && best.slow >= slowCalls; index++) {
      const other = hostOf(address, index)
      if (other.slow < best.slow) best = other
    }
    return best
  }

  const daemonOf = (address: HostAddress): Daemon => {
    const key = formatAddress(address)
    const known = daemons.get(key)
    if (known !== undefined) return known
    const daemon: Daemon = { waiting: new Set(), answered: 0, watched: false }
    daemons.set(key, daemon)
    return daemon
  }

  /** Whether it answers anything at all. */
  const ask = (address: HostAddress, daemon: Daemon) =>
    Effect.flatMap(shared(address, hostOf(address, askOn)), (client) =>
      Effect.mapError(
        client.call("NODE_GET_CPU_MAP", { need_map: 0, need_online: 0, flags: 0 }),
        failure(address, "NODE_GET_CPU_MAP")
      )
    ).pipe(
      Effect.match({
        onSuccess: () => true,
        onFailure: ({ reason }) => (reason._tag === "LibvirtTimeout" ? false : reason._tag === "LibvirtRefused" || null)
      }),
      Effect.timeoutTo({ duration: answerWithin, onSuccess: (answers) => answers, onTimeout: () => false }),
      Effect.tap((answers) =>
        Effect.sync(() => {
          if (answers === true) daemon.answered = clock.unsafeCurrentTimeMillis()
        })
      )
    )

  /** As long as calls wait. */
  const watch = Effect.fnUntraced(function* (address: HostAddress, daemon: Daemon) {
    let wait = Duration.toMillis(askAfter)
    while (true) {
      yield* Effect.sleep(wait)
      const now = clock.unsafeCurrentTimeMillis()
      const [oldest] = daemon.waiting
      if (oldest === undefined) {
        daemon.watched = false
        return
      }
      wait = Math.max(oldest.since, daemon.answered) + Duration.toMillis(askAfter) - now
      if (wait > 0) continue
      wait = Duration.toMillis(askAfter)
      const answers = yield* ask(address, daemon)
      // null: it cannot be asked, which its sessions notice by themselves
      if (answers !== false || daemon.answered >= now) continue
      const reason = `libvirt does not answer when asked ${asked(oldest.procedure)}, nor anything else for ${Duration.format(answerWithin)}`
      yield* Effect.logWarning(reason).pipe(Effect.annotateLogs("host", formatAddress(address)))
      for (let index = 0; index <= askOn; index++) {
        const client = hostOf(address, index).client
        if (client !== undefined) yield* client.abandon(reason)
      }
    }
  })

  const watched = <A>(address: HostAddress, procedure: ProcedureName, call: Effect.Effect<A, LibvirtErrorReason>) =>
    Effect.uninterruptibleMask((restore) => {
      const daemon = daemonOf(address)
      const entry = { procedure, since: clock.unsafeCurrentTimeMillis() }
      const began = Meters.callBegan()
      daemon.waiting.add(entry)
      const ended = Effect.flatMap(Effect.exit(restore(call)), (exit) => {
        daemon.waiting.delete(entry)
        Meters.callEnded(procedure, began, exit)
        if (isAnswer(exit)) daemon.answered = clock.unsafeCurrentTimeMillis()
        return exit
      })
      if (daemon.watched) return ended
      daemon.watched = true
      return Effect.zipRight(Effect.forkIn(Effect.interruptible(watch(address, daemon)), scope), ended)
    })

  const callOn = <P extends ProcedureName, A>(
    address: HostAddress,
    host: HostSession,
    procedure: P,
    args: Args<P>,
    reply: Decoder<A>
  ) =>
    Effect.flatMap(shared(address, host), (client) =>
      Effect.mapError(watched(address, procedure, client.callFor(procedure, args, reply)), failure(address, procedure))
    ).pipe(Trail.span(`libvirt ${procedure}`, { kind: "client", attributes: { host: address.host, procedure } }))

  const callFor: Libvirt["Type"]["callFor"] = (address, procedure, args, reply) =>
    Effect.suspend(() => {
      if (!isSlow(procedure, args)) return callOn(address, hostOf(address), procedure, args, reply)
      const host = slowHostOf(address)
      host.slow++
      return Effect.ensuring(
        callOn(address, host, procedure, args, reply),
        Effect.sync(() => void host.slow--)
      )
    })

  const call: Libvirt["Type"]["call"] = (address, procedure, args) =>
    callFor(address, procedure, args, replyOf(procedure))

  const openStream: Libvirt["Type"]["open"] = (address, procedure, args) =>
    Effect.gen(function* () {
      const fail = failure(address, procedure)
      const client = yield* connectTo(address)
      const stream = yield* Effect.mapError(client.open(procedure, args), fail)
      return {
        reply: stream.reply,
        send: (bytes) => Effect.mapError(stream.send(bytes), fail),
        // ended as libvirt's own client does: a daemon (9.0) that had sent all was seen to die of an abort
        incoming: Stream.mapError(Stream.concat(stream.incoming, Stream.drain(stream.finish)), fail)
      }
    })

  return Libvirt.of({
    call,
    callFor,
    open: openStream,
    upload: (address, procedure, args, source) => {
      const fail = failure(address, procedure)
      // of length 0 it is as long as the source
      const isLittle = "length" in args && args.length > 0n && args.length <= little
      return Effect.scoped(
        Effect.gen(function* () {
          const client = yield* connectTo(address)
          const stream = yield* Effect.mapError(client.open(procedure, args), fail)
          // the daemon may refuse at any time, also while the source has nothing to give
          yield* Effect.raceFirst(
            Stream.runForEach(source, (bytes) => Effect.mapError(stream.send(bytes), fail)),
            Effect.mapError(stream.broken, fail)
          )
          yield* Effect.mapError(stream.finish, fail)
        })
      ).pipe((isLittle ? hostOf(address).small : hostOf(address).bulk).within)
    },
    events: (address) =>
      Stream.unwrap(
        Effect.map(shared(address), (client) => Stream.mapError(client.events, failure(address, "events")))
      ),
    ping: (address) =>
      call(address, "CONNECT_GET_LIB_VERSION", undefined).pipe(
        Effect.asVoid,
        Effect.timeoutFail({
          duration: pingLimit,
          onTimeout: () => failure(address, "ping")(new LibvirtTimeout({ after: Duration.format(pingLimit) }))
        })
      )
  })
})

/**
 * Through SSH: the first of the sockets that is there, else `virt-ssh-helper`. OpenSSH answers forwarding that it does not allow with the
 * code of a socket that is not there, so only the helper can tell the two apart; what it says is what the error says.
 */
const dialOver =
  (ssh: Ssh["Type"], uri: string): Dial =>
  (address) => {
    const refusedWith =
      (...codes: ReadonlyArray<number>) =>
      (error: SshError) =>
        error.reason._tag === "SshChannelRefused" && codes.includes(error.reason.code)
    const [monolithic, modular] = socketPaths
    return ssh.openSocket(address, monolithic).pipe(
      Effect.catchIf(refusedWith(connectFailed), () => ssh.openSocket(address, modular)),
      Effect.catchIf(refusedWith(prohibited, connectFailed), () => ssh.openProgram(address, ["virt-ssh-helper", uri])),
      Effect.mapError((error) =>
        refusedWith(connectFailed)(error)
          ? disconnected(address, `libvirt does not listen on ${monolithic} nor ${modular}: is it running?`)
          : disconnected(address, error.message, error)
      )
    )
  }

/** libvirt's daemons through SSH. @since 0.1.0 @category layers */
export const layerWith = (options: Partial<Options> = {}): Layer.Layer<Libvirt, never, Ssh> => {
  const all = { ...defaults, ...options }
  return Layer.scoped(
    Libvirt,
    Effect.flatMap(Ssh, (ssh) => make(dialOver(ssh, all.uri), all))
  )
}

/** @since 0.1.0 @category layers */
export const layer: Layer.Layer<Libvirt, never, Ssh> = layerWith()

/** The daemon behind a Unix socket of this machine, whatever address is asked for. @since 0.1.0 @category layers */
export const layerLocal = (path: string, options: Partial<Options> = {}): Layer.Layer<Libvirt> =>
  Layer.scoped(
    Libvirt,
    make(
      (address) =>
        Effect.acquireRelease(
          Effect.sync(() => connect(path)),
          (socket) => Effect.sync(() => socket.destroy())
        ).pipe(
          Effect.flatMap((socket) =>
            Effect.async<Duplex, LibvirtError>((resume) => {
              socket.once("connect", () => resume(Effect.succeed(socket)))
              // stays, for errors that come when nobody waits any more
              socket.on("error", (error) => resume(Effect.fail(disconnected(address, `${path}: ${error.message}`))))
            })
          )
        ),
      { ...defaults, ...options }
    )
  )
