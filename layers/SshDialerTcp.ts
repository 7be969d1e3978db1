/**
 * `SshDialer` over TCP.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { connect, isIP, type Socket } from "node:net"
import { formatAddress, type HostAddress } from "../src/domain/Host.ts"
import { SshError, SshTimeout, SshUnreachable } from "../src/services/Ssh.ts"
import { SshDialer } from "../src/services/SshDialer.ts"

const limit = Duration.seconds(10)
/**
 * The kernel asks a host that does not answer again after 1, 3 and 7 seconds, and so could be the last to notice that it is back. A new socket
 * asks at once.
 */
const anew = Duration.seconds(2)

const explanations: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ECONNRESET: "the connection was reset",
  EHOSTUNREACH: "there is no route to the host",
  ENETUNREACH: "there is no route to its network",
  ENOTFOUND: "its name does not resolve",
  EAI_AGAIN: "its name could not be resolved for now",
  ETIMEDOUT: "it does not answer"
}

const refused = (address: HostAddress, cause: NodeJS.ErrnoException): SshError =>
  new SshError({
    host: formatAddress(address),
    action: "connect",
    reason: new SshUnreachable({
      reason: `${explanations[cause.code ?? ""] ?? cause.message} (port ${address.port})`
    }),
    cause
  })

const opened = (address: HostAddress, socket: Socket): Effect.Effect<void, SshError> =>
  Effect.async<void, SshError>((resume) => {
    const onConnect = () => {
      socket.off("error", onError)
      resume(Effect.void)
    }
    const onError = (cause: Error) => {
      socket.off("connect", onConnect)
      resume(Effect.fail(refused(address, cause)))
    }
    socket.once("connect", onConnect)
    socket.once("error", onError)
    return Effect.sync(() => {
      socket.off("connect", onConnect)
      socket.off("error", onError)
    })
  })

const late = (address: HostAddress, after: Duration.Duration): SshError =>
  new SshError({
    host: formatAddress(address),
    action: "connect",
    reason: new SshTimeout({ after: Duration.format(after) })
  })

/** When its address is known, at once if that was given. */
const resolved = (address: HostAddress, socket: Socket): Effect.Effect<void> =>
  isIP(address.host) !== 0
    ? Effect.void
    : Effect.async((resume) => {
        const onLookup = () => resume(Effect.void)
        socket.once("lookup", onLookup)
        return Effect.sync(() => socket.off("lookup", onLookup))
      })

const attempt = (address: HostAddress): Effect.Effect<Socket, SshError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = connect({ host: address.host, port: address.port })
      // Nagle and delayed acknowledgements together cost 40 ms a request: 14 times slower
      socket.setNoDelay(true)
      // an error between two listeners would end the process; whoever holds the socket sees it close
      socket.on("error", () => {})
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  ).pipe(
    Effect.tap((socket) =>
      opened(address, socket).pipe(
        Effect.raceFirst(Effect.zipRight(resolved(address, socket), Effect.delay(late(address, anew), anew))),
        Effect.onError(() => Effect.sync(() => socket.destroy()))
      )
    )
  )

const dial = (address: HostAddress): Effect.Effect<Socket, SshError, Scope.Scope> =>
  attempt(address).pipe(
    Effect.retry({ while: ({ reason }) => reason._tag === "SshTimeout" }),
    Effect.timeoutFail({ duration: limit, onTimeout: () => late(address, limit) })
  )

/** TCP without Nagle's delay; 10 seconds to connect. @since 0.1.0 @category layers */
export const layer: Layer.Layer<SshDialer> = Layer.succeed(SshDialer, SshDialer.of({ dial }))
