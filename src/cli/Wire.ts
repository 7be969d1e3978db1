/**
 * WebSockets to a controller.
 *
 * @since 0.7.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import { protocolsOf } from "../api/Consoles.ts"
import * as Problem from "../api/Problem.ts"
import { reasonOf, Unreachable } from "../client/Errors.ts"
import { Refused } from "./Failure.ts"
import { authorityOf, type Target } from "./Session.ts"

/** How the other side closed it. @since 0.7.0 @category models */
export interface Closed {
  readonly code: number
  /** empty: none was given */
  readonly reason: string
}

/** @since 0.7.0 @category models */
export interface Wire {
  /** one side waits for the other, not in memory; it never errors, since `closed` tells what became of it */
  readonly duplex: Duplex
  readonly closed: Effect.Effect<Closed>
}

/** @since 0.7.0 @category errors */
export type WireError = Refused | Unreachable | Problem.Problem

const decodeProblem = Schema.decodeOption(Schema.parseJson(Problem.Problem))

/** Much more than any problem has, in bytes. */
const longestProblem = 64 * 1024

const patience = 10_000

/** The path is of the controller's address, as it gave it. Closed with the scope. @since 0.7.0 @category constructors */
export const open = Effect.fn("Wire.open")(function* (
  { caFile, token, url }: Target,
  path: string,
  ticket: Redacted.Redacted<string>
): Effect.fn.Return<Wire, WireError, Scope.Scope | FileSystem.FileSystem> {
  // few commands need it, and all would load it
  const { createWebSocketStream, WebSocket } = yield* Effect.promise(() => import("ws"))
  const ca = yield* authorityOf(caFile)
  const address = `${url.replace(/^http/, "ws").replace(/\/+$/, "")}${path}`
  const closed = yield* Deferred.make<Closed>()
  const socket = yield* Effect.acquireRelease(
    Effect.sync(
      () =>
        new WebSocket(address, [...protocolsOf(Redacted.value(ticket))], {
          headers: token === undefined ? {} : { authorization: `Bearer ${Redacted.value(token)}` },
          // a controller that sends its users elsewhere would be given their token there
          followRedirects: false,
          perMessageDeflate: false,
          handshakeTimeout: patience,
          ...(ca === undefined ? {} : { ca })
        })
    ),
    (socket) =>
      Effect.async<void>((resume) => {
        if (socket.readyState === WebSocket.CLOSED) return resume(Effect.void)
        socket.once("close", () => resume(Effect.void))
        if (socket.readyState === WebSocket.CONNECTING) socket.terminate()
        else socket.close(1000)
      }).pipe(Effect.timeoutOption("2 seconds"), Effect.zipRight(Effect.sync(() => socket.terminate())))
  )
  socket.on("close", (code, reason) =>
    Deferred.unsafeDone(closed, Effect.succeed({ code, reason: reason.toString("utf8") }))
  )
  // before it is open: what comes with the opening would be lost
  const duplex = createWebSocketStream(socket, { highWaterMark: 64 * 1024 })
  duplex.on("error", () => {})
  yield* Effect.async<void, WireError>((resume) => {
    socket.once("open", () => resume(Effect.void))
    // stays: what it reports after that, its close does, too
    socket.on("error", (error) => resume(new Unreachable({ reason: reasonOf(error), cause: error })))
    socket.once("unexpected-response", (_request, response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (text: string) => {
        if (body.length < longestProblem) body += text
      })
      response.once("close", () =>
        resume(
          Option.match(decodeProblem(body), {
            onNone: () =>
              new Refused({
                why: "failed",
                message: `the controller answered ${response.statusCode ?? "nothing"} and no WebSocket: is something in between that does not pass them on?`
              }),
            onSome: Effect.fail
          })
        )
      )
    })
  })
  return { duplex, closed: Deferred.await(closed) }
})
