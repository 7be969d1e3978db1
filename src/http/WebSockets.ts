/**
 * WebSockets of this server, with what `@effect/platform`'s leave to whoever uses them: neither side waits in memory for the other, and the end is said in
 * words.
 *
 * @since 0.7.0
 */
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as Socket from "@effect/platform/Socket"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Mailbox from "effect/Mailbox"
import * as Stream from "effect/Stream"
import { IncomingMessage } from "node:http"
import type { Socket as NetSocket } from "node:net"

/** Why a WebSocket is closed. @since 0.7.0 @category models */
export interface Closing {
  readonly code: number
  readonly reason: string
}

/** Bytes from the client that may wait for the other side before its connection is paused, and below which it goes on. */
const readAhead = { pause: 64 * 1024, resume: 32 * 1024 }

/** No more than this in one message, nor in all that wait: nobody types so much, and pasted text is sent in pieces. */
const most = 1024 * 1024

/** How long a client has to answer that it is closed. */
const farewell = "2 seconds"

/** What a close frame can hold, in bytes of UTF-8. */
const longestReason = 123

const fitting = (reason: string): string => {
  let text = reason
  while (Buffer.byteLength(text) > longestReason) text = text.slice(0, -1)
  return text
}

/** The connection beneath; undefined: this request is none for a WebSocket. @since 0.7.0 @category getters */
export const connectionOf = ({ headers, source }: HttpServerRequest.HttpServerRequest): NetSocket | undefined =>
  (headers["upgrade"] ?? "").toLowerCase() === "websocket" && source instanceof IncomingMessage
    ? source.socket
    : undefined

const drained = (connection: NetSocket) =>
  Effect.async<void>((resume) => {
    if (!connection.writableNeedDrain || connection.destroyed) return resume(Effect.void)
    const done = () => {
      connection.off("drain", done).off("close", done)
      resume(Effect.void)
    }
    connection.once("drain", done).once("close", done)
    return Effect.sync(() => connection.off("drain", done).off("close", done))
  })

/**
 * Makes the request a WebSocket and carries bytes both ways until the client goes away, or one of the others ends: `incoming` towards the client,
 * `send`, which takes what the client sends, or `closed`. Whatever it was, it is said to the client.
 *
 * @since 0.7.0 @category conversions
 */
export const carry = <R>(
  request: HttpServerRequest.HttpServerRequest,
  connection: NetSocket,
  line: {
    readonly incoming: Stream.Stream<Uint8Array, Closing, R>
    readonly send: (bytes: Uint8Array) => Effect.Effect<void, Closing, R>
    /** when `incoming` has ended */
    readonly ended: Effect.Effect<Closing, never, R>
    readonly closed: Effect.Effect<Closing, never, R>
  }
) =>
  Effect.gen(function* () {
    const socket = yield* request.upgrade
    const write = yield* socket.writer
    const typed = yield* Mailbox.make<Uint8Array>()
    const flooded = yield* Deferred.make<Closing>()
    let waiting = 0
    let readAtMessage = connection.bytesRead

    const flood = () =>
      Deferred.unsafeDone(
        flooded,
        Effect.succeed({ code: 1009, reason: `more than ${most} bytes came at once: send less` })
      )
    const received = (message: string | Uint8Array): void => {
      const bytes = typeof message === "string" ? Buffer.from(message) : new Uint8Array(message)
      readAtMessage = connection.bytesRead
      waiting += bytes.length
      typed.unsafeOffer(bytes)
      if (waiting > most) flood()
      if (waiting > readAhead.pause) connection.pause()
    }
    // a message is collected before it is told: one that never ends must not be
    const watch = () => {
      if (connection.bytesRead - readAtMessage <= 2 * most) return
      flood()
      connection.destroy()
    }
    // a client that vanished is noticed, too
    connection.setKeepAlive(true, 30_000)
    yield* Effect.acquireRelease(
      Effect.sync(() => connection.on("data", watch)),
      () => Effect.sync(() => connection.off("data", watch))
    )
    const reading = yield* Effect.forkScoped(Effect.exit(socket.runRaw(received)))

    const sending = Stream.runForEach(Mailbox.toStream(typed), (bytes) =>
      Effect.zipRight(
        line.send(bytes),
        Effect.sync(() => {
          waiting -= bytes.length
          if (waiting < readAhead.resume && connection.isPaused()) connection.resume()
        })
      )
    )
    const telling = Stream.runForEach(line.incoming, (bytes) =>
      Effect.zipRight(Effect.orDie(write(bytes)), drained(connection))
    )

    const orWhy = Effect.catchAll((failed: Closing) => Effect.succeed(failed))
    const closing = Effect.raceAll([
      orWhy(Effect.zipRight(telling, line.ended)),
      orWhy(Effect.zipRight(sending, Effect.never)),
      line.closed,
      Deferred.await(flooded)
    ])

    yield* Effect.raceFirst(
      Fiber.await(reading),
      Effect.flatMap(closing, ({ code, reason }) => {
        // what it still sends is of no more use, but its goodbye is among it
        connection.resume()
        return Effect.zipRight(
          write(new Socket.CloseEvent(code, fitting(reason))),
          Effect.timeoutOption(Fiber.await(reading), farewell)
        )
      })
    )
    connection.end()
  }).pipe(Effect.scoped)
