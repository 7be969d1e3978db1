/**
 * The HTTP server, able to stop.
 *
 * @since 0.1.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { EventEmitter } from "node:events"
import { createServer, IncomingMessage, type Server, ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { Socket } from "node:net"
import { createSecureContext } from "node:tls"

/** How long answers that are under way may take once the server has been told to stop. @since 0.1.0 @category constants */
export const drainTime = Duration.seconds(2)

interface Listen {
  readonly host: string
  readonly port: number
}

/** Where certificate (with those between it and the authority) and key are, in PEM. @since 0.4.0 @category models */
export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

/** @since 0.4.0 @category errors */
export class TlsError extends Data.TaggedError("TlsError")<{ readonly message: string; readonly cause?: unknown }> {}

/** Whether it has answered the request; one that it has not is left to the application. @since 0.9.0 @category models */
export type Answers = (request: IncomingMessage, response: ServerResponse) => boolean

/**
 * Has requests be answered where they come in, before there is a fiber for them, as long as the scope lives. There is one such way at most: the last
 * that was given.
 *
 * @since 0.9.0 @category services
 */
export class ShortWay extends Context.Tag("vmfabric/http/Server/ShortWay")<
  ShortWay,
  (answers: Answers) => Effect.Effect<void, never, Scope.Scope>
>() {}

const shortWayOf = (server: Server): ShortWay["Type"] => {
  const nobody: Answers = () => false
  let answers = nobody
  const emitter: EventEmitter = server
  const emit = emitter.emit.bind(server)
  server.emit = (event: string, ...values: Array<unknown>): boolean => {
    const [request, response] = values
    return event === "request" && request instanceof IncomingMessage && response instanceof ServerResponse
      ? answers(request, response) || emit(event, ...values)
      : emit(event, ...values)
  }
  return (given) =>
    Effect.acquireRelease(
      Effect.sync(() => void (answers = given)),
      () => Effect.sync(() => void (answers = nobody))
    )
}

/** It listens before anybody serves: what comes in between waits, where Node would drop it and leave its client without an answer for ever. */
const keepEarly = (server: Server): void => {
  const early: Array<readonly [IncomingMessage, ServerResponse]> = []
  const keep = (request: IncomingMessage, response: ServerResponse) => void early.push([request, response])
  server.on("request", keep)
  const served = (event: string) => {
    if (event !== "request") return
    server.off("newListener", served).off("request", keep)
    // when the listener is there
    process.nextTick(() => {
      for (const [request, response] of early.splice(0)) server.emit("request", request, response)
    })
  }
  server.on("newListener", served)
}

/**
 * A node server whose `close` ends within the drain time. Node's own waits for every connection to end by itself, which an open event
 * stream or a client that sends nothing never does; nor does it know connections that have not ended their TLS handshake.
 */
const draining = (server: Server): Server => {
  keepEarly(server)
  const sockets = new Set<Socket>()
  server.on("connection", (socket: Socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
  })
  const close = server.close.bind(server)
  server.close = (callback) => {
    setTimeout(() => {
      for (const socket of sockets) socket.destroy()
    }, Duration.toMillis(drainTime)).unref()
    return close(callback)
  }
  return server
}

const serving = (make: () => Server, listen: Listen) =>
  Layer.suspend(() => {
    const server = draining(make())
    return Layer.merge(
      NodeHttpServer.layer(() => server, listen),
      Layer.succeed(ShortWay, shortWayOf(server))
    )
  })

/** Listens at once; fails when the address is taken. @since 0.1.0 @category layers */
export const layer = (listen: Listen) => serving(createServer, listen)

const readPem = (what: string, file: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(file)).pipe(
    Effect.mapError((cause) => new TlsError({ message: `the TLS ${what} ${file} cannot be read`, cause }))
  )

/** TLS 1.2 or newer. @since 0.4.0 @category layers */
export const layerTls = (listen: Listen, files: TlsFiles) =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      const pem = { cert: yield* readPem("certificate", files.cert), key: yield* readPem("key", files.key) }
      yield* Effect.try({
        try: () => createSecureContext(pem),
        catch: (cause) =>
          new TlsError({
            message:
              `the TLS certificate ${files.cert} and the key ${files.key} cannot be used together: ` +
              (cause instanceof Error ? cause.message : String(cause)),
            cause
          })
      })
      const options = { ...pem, minVersion: "TLSv1.2" as const, handshakeTimeout: 10_000 }
      return serving(() => createTlsServer(options), listen)
    })
  )
