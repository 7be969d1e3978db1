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
import { type SshError, SshTimeout, SshUnreachable } from "../src/services/Ssh.ts"
import { SshDialer } from "../src/services/SshDialer.ts"
import { failure } from "./ssh/Connection.ts"

const limit = Duration.seconds(10)
/**
 * The kernel asks a host that does not answer again after 1, 3 and 7 seconds, and so could be the last to notice that it is back. A new socket
 * asks at once.
 */
const patience = Duration.seconds(2)

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
  failure(
    formatAddress(address),
    "connect",
    new SshUnreachable({ reason: `${explanations[cause.code ?? ""] ?? cause.message} (port ${address.port})` }),
    cause
  )

const late = (address: HostAddress): SshError =>
  failure(formatAddress(address), "connect", new SshTimeout({ after: Duration.format(limit) }))

/**
 * In real time, whatever the Clock, as the kernel's own. No effect for each step: a fleet that is not there is dialled for ever, and that is to cost
 * little more than the system's call.
 */
const connected = (address: HostAddress, opened: (socket: Socket) => void): Effect.Effect<Socket, SshError> =>
  Effect.async((resume) => {
    let again: NodeJS.Timeout | undefined
    let ended = false
    const begin = (): Socket => {
      const socket = connect({ host: address.host, port: address.port })
      opened(socket)
      // Nagle and delayed acknowledgements together cost 40 ms a request: 14 times slower
      socket.setNoDelay(true)
      socket.once("connect", () => {
        end()
        resume(Effect.succeed(socket))
      })
      // an error that nobody listens for would end the process; whoever holds the socket sees it close
      socket.on("error", (cause) => {
        if (ended || socket !== current) return
        end()
        resume(Effect.fail(refused(address, cause)))
      })
      const anew = () => {
        // the answer of a name server comes whether or not it is waited for
        if (ended) return
        again = setTimeout(() => {
          current.destroy()
          current = begin()
        }, Duration.toMillis(patience))
      }
      // when its address is known, at once if that was given
      if (isIP(address.host) === 0) socket.once("lookup", anew)
      else anew()
      return socket
    }
    const overdue = setTimeout(() => {
      end()
      current.destroy()
      resume(Effect.fail(late(address)))
    }, Duration.toMillis(limit))
    const end = () => {
      ended = true
      clearTimeout(again)
      clearTimeout(overdue)
    }
    let current = begin()
    return Effect.sync(() => {
      end()
      current.destroy()
    })
  })

const dial = (address: HostAddress): Effect.Effect<Socket, SshError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.suspend(() => {
      let last: Socket | undefined
      const close = Effect.sync(() => void last?.destroy())
      return restore(connected(address, (socket) => void (last = socket))).pipe(
        // also one that was connected in the moment of the interruption
        Effect.onError(() => close),
        Effect.zipLeft(Effect.addFinalizer(() => close))
      )
    })
  )

/** TCP without Nagle's delay; 10 seconds to connect. @since 0.1.0 @category layers */
export const layer: Layer.Layer<SshDialer> = Layer.succeed(SshDialer, SshDialer.of({ dial }))
