/**
 * Ways into VMs: tickets, and the WebSockets that they open.
 *
 * @since 0.7.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { ConsoleKind } from "../domain/Console.ts"
import * as Ids from "../domain/Ids.ts"
import { Recorded } from "./Access.ts"
import { documented, field, id, oneOf, optional, strict, Time } from "./Common.ts"
import * as Problem from "./Problem.ts"

/** @since 0.7.0 @category schemas */
export const NewConsoleTicket = Schema.Struct({
  kind: field(
    oneOf(ConsoleKind.literals, "ConsoleKind"),
    "`serial`: its first serial port, a terminal; `vnc`: its screen and keyboard"
  ),
  force: optional(
    Schema.Boolean,
    "of `serial`: take it from whoever has it, who is told; absent: false. A screen is for any number at a time"
  )
}).annotations({
  identifier: "NewConsoleTicket",
  description: "What a ticket is to open.",
  examples: [{ kind: "serial" }],
  ...strict
})
/** @since 0.7.0 @category schemas */
export type NewConsoleTicket = typeof NewConsoleTicket.Type

/** @since 0.7.0 @category schemas */
export const ConsoleTicket = Schema.Struct({
  ticket: field(
    Schema.Redacted(Schema.String).annotations({ identifier: "TicketSecret" }),
    "for the WebSocket's `Sec-WebSocket-Protocol`. It is good once, for whoever asked for it, and not told again"
  ),
  path: field(Schema.String, "where the WebSocket is"),
  expiresAt: field(Time, "until when it can be used")
}).annotations({
  identifier: "ConsoleTicket",
  description: "What opens a console, once.",
  examples: [
    {
      ticket: Redacted.make("vmc_…"),
      path: "/api/v1/vms/7/console",
      expiresAt: DateTime.unsafeMake("2026-01-02T03:04:35.006Z")
    }
  ]
})

const byId = Schema.Struct({ id: id(Ids.VmId) })

/** The protocol that a console's WebSocket speaks. @since 0.8.0 @category constants */
export const protocol = "vmfabric.console"

const ticketProtocol = "vmfabric.ticket."

/**
 * What a WebSocket is opened with: the ticket is a protocol beside the real one, since a browser lets scripts say nothing else with it, and an
 * address is kept in logs. The real one is first, and alone is answered.
 *
 * @since 0.8.0 @category conversions
 */
export const protocolsOf = (ticket: string): readonly [real: string, ticket: string] => [
  protocol,
  `${ticketProtocol}${ticket}`
]

/** The ticket in what a WebSocket is opened with. @since 0.8.0 @category conversions */
export const ticketIn = (protocols: string): string =>
  protocols.slice(protocols.indexOf(ticketProtocol) + ticketProtocol.length)

const Opening = Schema.Struct({
  "sec-websocket-protocol": field(
    Schema.String.pipe(Schema.pattern(/^vmfabric\.console, ?vmfabric\.ticket\.vmc_[A-Za-z0-9_-]{43}$/)).annotations({
      message: () => ({
        message: "expected vmfabric.console, vmfabric.ticket.TICKET with the ticket of an answer of /console-tickets",
        override: true
      })
    }),
    "`vmfabric.console, vmfabric.ticket.TICKET`, with the ticket as POST `/vms/{id}/console-tickets` gave it; `vmfabric.console` is answered"
  )
})

/** Codes above 4000 are an application's own (RFC 6455). @since 0.7.0 @category constants */
export const closeCodes = {
  /** the guest's side has ended: the VM is off, gone or elsewhere */
  ended: 1000,
  /** more came than a line takes */
  tooBig: 1009,
  /** the guest's side failed */
  failed: 4000,
  /** taken over, or idle */
  closed: 4001,
  /** whoever opened it would not be let in any more */
  notAllowed: 4003
} as const

const closing =
  `It is closed with a reason in words, and the code ${closeCodes.ended} when the guest's side has ended (the VM is off, gone or elsewhere), ` +
  `${closeCodes.closed} when it was taken over or nothing passed for half an hour, ${closeCodes.notAllowed} when whoever opened it would not be let in any ` +
  `more, ${closeCodes.failed} when the host fails.`

const socket =
  "Whoever asks says who they are as ever, by a token or a session, and has to be the one that the ticket was given to. A page of another site is refused " +
  "by its `Origin`. Closing it lets go of the console."

const switching = HttpApiSchema.Empty(101).annotations({
  identifier: "SwitchingProtocols",
  description: "It is a WebSocket from here on."
})

/** @since 0.7.0 @category groups */
export const group = HttpApiGroup.make("consoles")
  .add(
    HttpApiEndpoint.post("createConsoleTicket", "/vms/:id/console-tickets")
      .setPath(byId)
      .setPayload(NewConsoleTicket)
      .addSuccess(ConsoleTicket, { status: 201 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.TooLarge)
      .annotateContext(
        documented(
          "operator",
          "Get a ticket for a console",
          "Good once, for 30 seconds, for whoever asks and for this very VM. 409 `vm_conflict` when it does not run, `console_busy` when somebody has its " +
            "serial console, which takes one at a time: `detail` says who, and `force` takes it over."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("openConsole", "/vms/:id/console")
      .setPath(byId)
      .setHeaders(Opening)
      .addSuccess(switching)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .annotateContext(
        documented(
          "operator",
          "Open a VM's serial console",
          `A WebSocket with the raw bytes of a terminal both ways, in binary messages (text is taken as UTF-8). ${socket} ${closing}`
        )
      )
      .annotate(Recorded, true)
  )
  .add(
    HttpApiEndpoint.get("openVnc", "/vms/:id/vnc")
      .setPath(byId)
      .setHeaders(Opening)
      .addSuccess(switching)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .annotateContext(
        documented(
          "operator",
          "Open a VM's screen by VNC",
          `A WebSocket with VNC's protocol (RFB) in binary messages, as noVNC and websockify speak it. ${socket} ${closing} 409 \`vm_conflict\` when its ` +
            "domain was made without a screen by VNC."
        )
      )
      .annotate(Recorded, true)
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Consoles")
  .annotate(OpenApi.Description, "Ways into VMs: their serial port, and their screen by VNC.")
