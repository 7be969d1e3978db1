/**
 * libvirt on every host: one shared session a host for calls and events, one of its own for each stream of bulk data.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { connect } from "node:net"
import type { Duplex } from "node:stream"
import { formatAddress, type HostAddress } from "../src/domain/Host.ts"
import * as RpcClient from "../src/libvirt/RpcClient.ts"
import {
  Libvirt,
  LibvirtDisconnected,
  LibvirtError,
  type LibvirtErrorReason,
  LibvirtTimeout
} from "../src/services/Libvirt.ts"
import { Ssh, type SshError } from "../src/services/Ssh.ts"

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

const failure = (address: HostAddress, procedure: string) => (reason: LibvirtErrorReason) =>
  new LibvirtError({ host: formatAddress(address), procedure, reason })

const disconnected = (address: HostAddress, reason: string, ssh?: SshError) =>
  new LibvirtError({
    host: formatAddress(address),
    procedure: "connect",
    reason: new LibvirtDisconnected({ reason, ...(ssh === undefined ? {} : { ssh }) }),
    ...(ssh === undefined ? {} : { cause: ssh })
  })

/** A failed attempt is not repeated at once by everybody who wants the host. */
const backoff = { first: 200, longest: 5000 }
const openLimit = Duration.seconds(15)
/** uploads and other streams to one host at the same time */
const bulkConnections = 2
const pingLimit = Duration.seconds(10)

interface HostSession {
  readonly lock: Effect.Semaphore
  readonly bulk: Effect.Semaphore
  session: { readonly client: RpcClient.RpcClient; readonly scope: Scope.CloseableScope } | undefined
  /** how often in a row it could not be opened, when it may be tried again, and what was wrong the last time */
  failed: { readonly times: number; readonly until: number; readonly error: LibvirtError } | undefined
}

const make = Effect.fnUntraced(function* (dial: Dial, { uri }: Options) {
  const scope = yield* Effect.scope
  const hosts = new Map<string, HostSession>()

  const hostOf = (address: HostAddress): HostSession => {
    const key = formatAddress(address)
    const known = hosts.get(key)
    if (known !== undefined) return known
    const host: HostSession = {
      lock: Effect.unsafeMakeSemaphore(1),
      bulk: Effect.unsafeMakeSemaphore(bulkConnections),
      session: undefined,
      failed: undefined
    }
    hosts.set(key, host)
    return host
  }

  /** A session of its own, closed with the scope. */
  const connectTo = (address: HostAddress): Effect.Effect<RpcClient.RpcClient, LibvirtError, Scope.Scope> =>
    Effect.flatMap(dial(address), (duplex) =>
      Effect.mapError(RpcClient.make(duplex, { uri }), failure(address, "connect"))
    ).pipe(
      Effect.timeoutFail({
        duration: openLimit,
        onTimeout: () => failure(address, "connect")(new LibvirtTimeout({ after: Duration.format(openLimit) }))
      })
    )

  const openShared = (address: HostAddress, host: HostSession) =>
    Effect.gen(function* () {
      if (host.session !== undefined) {
        yield* Scope.close(host.session.scope, Exit.void)
        host.session = undefined
      }
      const now = yield* Clock.currentTimeMillis
      if (host.failed !== undefined && now < host.failed.until) return yield* host.failed.error
      return yield* Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          const child = yield* Scope.fork(scope, ExecutionStrategy.sequential)
          const client = yield* restore(Scope.extend(connectTo(address), child)).pipe(
            Effect.onError((cause) => Scope.close(child, Exit.failCause(cause)))
          )
          host.session = { client, scope: child }
          host.failed = undefined
          return client
        })
      ).pipe(
        Effect.tapError((error) =>
          Effect.gen(function* () {
            const times = (host.failed?.times ?? 0) + 1
            const wait = Math.min(backoff.first * 2 ** (times - 1), backoff.longest)
            const jitter = yield* Random.nextRange(0.8, 1.2)
            host.failed = { times, until: (yield* Clock.currentTimeMillis) + wait * jitter, error }
          })
        )
      )
    })

  /** The host's session: the open one, or a new one that everybody who asks meanwhile waits for. */
  const shared = (address: HostAddress): Effect.Effect<RpcClient.RpcClient, LibvirtError> =>
    Effect.suspend(() => {
      const host = hostOf(address)
      const open = () => (host.session !== undefined && !host.session.client.isLost() ? host.session.client : undefined)
      const client = open()
      if (client !== undefined) return Effect.succeed(client)
      return host.lock.withPermits(1)(
        Effect.suspend(() => {
          const opened = open()
          return opened === undefined ? openShared(address, host) : Effect.succeed(opened)
        })
      )
    })

  const call: Libvirt["Type"]["call"] = (address, procedure, args) =>
    Effect.flatMap(shared(address), (client) =>
      Effect.mapError(client.call(procedure, args), failure(address, procedure))
    )

  const openStream: Libvirt["Type"]["open"] = (address, procedure, args) =>
    Effect.gen(function* () {
      const fail = failure(address, procedure)
      const client = yield* connectTo(address)
      const stream = yield* Effect.mapError(client.open(procedure, args), fail)
      return {
        reply: stream.reply,
        send: (bytes) => Effect.mapError(stream.send(bytes), fail),
        incoming: Stream.mapError(stream.incoming, fail)
      }
    })

  return Libvirt.of({
    call,
    open: openStream,
    upload: (address, procedure, args, source) => {
      const fail = failure(address, procedure)
      return Effect.scoped(
        Effect.gen(function* () {
          const client = yield* connectTo(address)
          const stream = yield* Effect.mapError(client.open(procedure, args), fail)
          yield* Stream.runForEach(source, (bytes) => Effect.mapError(stream.send(bytes), fail))
          yield* Effect.mapError(stream.finish, fail)
        })
      ).pipe(hostOf(address).bulk.withPermits(1))
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

/** Through SSH: the first of the sockets that is there, or `virt-ssh-helper` where sshd forbids forwarding. */
const dialOver =
  (ssh: Ssh["Type"], uri: string): Dial =>
  (address) => {
    const fail = (error: SshError) => disconnected(address, error.message, error)
    const refusedWith = (code: number) => (error: SshError) =>
      error.reason._tag === "SshChannelRefused" && error.reason.code === code
    const [monolithic, modular] = socketPaths
    return ssh.openSocket(address, monolithic).pipe(
      Effect.catchIf(refusedWith(connectFailed), () => ssh.openSocket(address, modular)),
      Effect.catchIf(refusedWith(prohibited), () => ssh.openProgram(address, ["virt-ssh-helper", uri])),
      Effect.mapError((error) =>
        refusedWith(connectFailed)(error)
          ? disconnected(address, `libvirt does not listen on ${monolithic} nor ${modular}: is it running?`)
          : fail(error)
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
          Effect.async<Duplex, LibvirtError>((resume) => {
            const socket = connect(path)
            socket.once("connect", () => resume(Effect.succeed(socket)))
            socket.once("error", (error) => resume(Effect.fail(disconnected(address, `${path}: ${error.message}`))))
            return Effect.sync(() => socket.destroy())
          }),
          (socket) => Effect.sync(() => socket.destroy())
        ),
      { ...defaults, ...options }
    )
  )
