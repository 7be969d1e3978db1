/**
 * Ways into VMs, by WebSockets.
 *
 * @since 0.7.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import type * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { CurrentPrincipal } from "../../api/Access.ts"
import { api, prefix } from "../../api/Api.ts"
import { closeCodes, ticketIn } from "../../api/Consoles.ts"
import * as Problem from "../../api/Problem.ts"
import type { ConsoleKind } from "../../domain/Console.ts"
import type { VmId } from "../../domain/Ids.ts"
import { Reach } from "../../fabric/Reach.ts"
import { Identity } from "../../services/Identity.ts"
import * as Guard from "../Guard.ts"
import * as WebSockets from "../WebSockets.ts"
import { told } from "./Problems.ts"

/** How often it is looked whether whoever opened one would still be let in. */
const trust = "5 seconds"

const paths = { serial: "console", vnc: "vnc" } as const

const noWebSocket = new Problem.InvalidRequest({
  status: 400,
  code: "invalid_header",
  title: "A header cannot be used",
  detail: "Upgrade: expected websocket; this is a WebSocket's address, and the ticket was not used",
  field: "Upgrade"
})

/** @since 0.7.0 @category layers */
export const layer = HttpApiBuilder.group(api, "consoles", (handlers) =>
  Effect.gen(function* () {
    const reach = yield* Reach
    const identity = yield* Identity

    /** The guard lets in nobody whom it does not know. */
    const asker = Effect.flatMap(CurrentPrincipal, (who) =>
      who === null ? Effect.dieMessage("a console is asked for by nobody that is known") : Effect.succeed(who)
    )

    const open = (
      id: VmId,
      kind: ConsoleKind,
      headers: { readonly "sec-websocket-protocol": string },
      request: HttpServerRequest.HttpServerRequest
    ) =>
      Effect.gen(function* () {
        const connection = WebSockets.connectionOf(request)
        if (connection === undefined) return yield* noWebSocket
        const ticket = Redacted.make(ticketIn(headers["sec-websocket-protocol"]))
        const session = yield* told(reach.open(yield* asker, id, kind, ticket))
        const failed = ({ message }: { readonly message: string }) => ({ code: closeCodes.failed, reason: message })
        const revoked = Guard.isStillGood(request, "operator").pipe(
          Effect.provideService(Identity, identity),
          // one that cannot be looked up now may be good
          Effect.catchAll(() => Effect.succeed(true)),
          Effect.repeat({ schedule: Schedule.spaced(trust), while: (still) => still }),
          Effect.as({ code: closeCodes.notAllowed, reason: "whoever opened this would not be let in any more" })
        )
        yield* WebSockets.carry(request, connection, {
          incoming: Stream.mapError(session.incoming, failed),
          send: (bytes) => Effect.mapError(session.send(bytes), failed),
          ended: Effect.map(session.ended, (reason) => ({ code: closeCodes.ended, reason })),
          closed: Effect.raceFirst(
            Effect.map(session.closed, (reason) => ({ code: closeCodes.closed, reason })),
            revoked
          )
        }).pipe(Effect.orDie)
        return HttpServerResponse.empty({ status: 101 })
      }).pipe(Effect.scoped)

    return handlers
      .handle("createConsoleTicket", ({ path, payload }) =>
        Effect.gen(function* () {
          const { expiresAt, secret } = yield* told(reach.ticket(yield* asker, path.id, payload))
          return {
            ticket: secret,
            path: `${prefix}/vms/${path.id}/${paths[payload.kind]}`,
            expiresAt: DateTime.unsafeMake(expiresAt)
          }
        })
      )
      .handle("openConsole", ({ headers, path, request }) => open(path.id, "serial", headers, request))
      .handle("openVnc", ({ headers, path, request }) => open(path.id, "vnc", headers, request))
  })
)
