/**
 * `vmfabric console` and `vmfabric vnc`: into a VM by way of its controller.
 *
 * @since 0.7.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { createServer, type AddressInfo, type Socket } from "node:net"
import { pipeline } from "node:stream"
import { closeCodes } from "../api/Consoles.ts"
import type { ConsoleKind } from "../domain/Console.ts"
import type { VmId } from "../domain/Ids.ts"
import { Refused, sentence } from "./Failure.ts"
import { note } from "./Output.ts"
import * as Resolve from "./Resolve.ts"
import { Screen } from "./Screen.ts"
import { client, Session } from "./Session.ts"
import * as Text from "./Text.ts"
import * as Verb from "./Verb.ts"
import * as Wire from "./Wire.ts"

/** Ctrl-], as telnet and virsh have it. */
const escape = 0x1d

/** A ticket, and the WebSocket it opens. */
const enter = (id: VmId, kind: ConsoleKind, force: boolean) =>
  Effect.gen(function* () {
    const { target } = yield* Session
    const { consoles } = yield* client
    const { path, ticket } = yield* consoles.createConsoleTicket({
      path: { id },
      payload: { kind, ...(force ? { force } : {}) }
    })
    return yield* Wire.open(yield* target, path, ticket)
  })

const typed = (duplex: Wire.Wire["duplex"], bytes: Uint8Array) =>
  Effect.async<void>((resume) => {
    // what cannot be sent any more is told by the end of the wire
    duplex.write(bytes, () => resume(Effect.void))
  })

const console = Verb.make({
  name: "console",
  about: "Open a VM's serial console in this terminal; Ctrl-] leaves it.",
  endpoints: ["createConsoleTicket", "openConsole"],
  options: Options.all({
    force: Verb.toggle("force", "Take it from whoever has it, who is told: a serial console is for one at a time.")
  }),
  args: Verb.word("vm", "Id or name of the VM."),
  run: ({ force }, text) =>
    Effect.gen(function* () {
      const screen = yield* Screen
      const id = yield* Resolve.vm(text)
      const { closed, duplex } = yield* enter(id, "serial", force)
      // first: whoever reads that it is the guest's console types, and what is typed is then the guest's, Ctrl-C too
      const keys = yield* screen.keyboard
      yield* note(`on the serial console of VM ${id}: Ctrl-] leaves it`)
      const leaving = keys.pipe(
        Stream.flatMap((bytes) => {
          const at = bytes.indexOf(escape)
          return at === -1 ? Stream.make(bytes) : Stream.make(bytes.subarray(0, at), null)
        }),
        Stream.takeWhile((bytes) => bytes !== null),
        Stream.runForEach((bytes) => typed(duplex, bytes)),
        Effect.as(null)
      )
      const showing = NodeStream.fromReadable<null, Uint8Array>(
        () => duplex,
        () => null,
        { closeOnDone: false }
      ).pipe(
        Stream.runForEach((bytes) => screen.raw(bytes)),
        Effect.catchAll(() => Effect.void),
        Effect.zipRight(closed)
      )
      return yield* Effect.raceFirst(leaving, showing)
    }).pipe(
      // the terminal is as it was before anything more is said
      Effect.scoped,
      // a guest is rarely at the beginning of a line
      Effect.zipLeft(Effect.flatMap(Screen, ({ err }) => err("\n"))),
      Effect.flatMap((closed) => {
        if (closed === null) return note("left the console")
        const reason = Text.plain(closed.reason === "" ? "the connection was lost" : closed.reason)
        return closed.code === closeCodes.ended
          ? note(`the console has ended: ${reason}`)
          : new Refused({ why: "failed", message: `the console was closed: ${reason}` })
      })
    )
})

const loopback = "127.0.0.1"

const vnc = Verb.make({
  name: "vnc",
  about: "Serve a VM's screen to VNC viewers on this machine, until Ctrl-C.",
  endpoints: ["createConsoleTicket", "openVnc"],
  options: Options.all({
    port: Options.optional(
      Verb.number(
        "port",
        "PORT",
        "Of 127.0.0.1, for viewers: whoever has an account on this machine can connect to it meanwhile. A free one unless it is said."
      )
    )
  }),
  args: Verb.word("vm", "Id or name of the VM."),
  run: ({ port }, text) =>
    Effect.gen(function* () {
      const screen = yield* Screen
      const id = yield* Resolve.vm(text)
      const run = yield* FiberSet.makeRuntime<Session | Screen | FileSystem.FileSystem>()
      /** Each viewer comes by a ticket of its own. */
      const serve = (viewer: Socket) =>
        enter(id, "vnc", false).pipe(
          Effect.flatMap(({ closed, duplex }) =>
            Effect.async<void>((resume) => {
              pipeline(viewer, duplex, viewer, () => resume(Effect.void))
              return Effect.sync(() => viewer.destroy())
            }).pipe(
              Effect.zipRight(Effect.timeoutOption(closed, "2 seconds")),
              Effect.flatMap((how) =>
                Option.isSome(how) && how.value.reason !== ""
                  ? note(`the screen was closed: ${Text.plain(how.value.reason)}`)
                  : Effect.void
              )
            )
          ),
          Effect.scoped,
          Effect.catchAll((failure) => note(sentence(failure))),
          Effect.ensuring(Effect.sync(() => viewer.destroy()))
        )
      // what stands in the way is told now, and not to a viewer that has no words for it
      const { consoles } = yield* client
      yield* consoles.createConsoleTicket({ path: { id }, payload: { kind: "vnc" } })
      const address = yield* Effect.acquireRelease(
        Effect.async<{ readonly server: ReturnType<typeof createServer>; readonly port: number }, Refused>((resume) => {
          const server = createServer((viewer) => {
            viewer.setNoDelay(true)
            viewer.on("error", () => {})
            run(serve(viewer))
          })
          server.once("error", ({ message }) =>
            resume(new Refused({ why: "failed", message: `no viewer can be served: ${message}`, field: "port" }))
          )
          server.listen({ host: loopback, port: Option.getOrElse(port, () => 0), exclusive: true }, () =>
            resume(Effect.succeed({ server, port: portOf(server.address()) }))
          )
        }),
        ({ server }) => Effect.sync(() => server.close())
      )
      yield* screen.out(`${loopback}:${address.port}\n`)
      yield* note(
        `the screen of VM ${id} is at ${loopback} port ${address.port} (for viewers that count displays: ${loopback}::${address.port}); Ctrl-C ends it`
      )
      yield* Effect.never
    }).pipe(Effect.scoped)
})

const portOf = (address: string | AddressInfo | null): number =>
  address === null || typeof address === "string" ? 0 : address.port

/** @since 0.7.0 @category nouns */
export const consoleNoun: Verb.Noun = { name: "console", about: console.about, verbs: [console] }

/** @since 0.7.0 @category nouns */
export const vncNoun: Verb.Noun = { name: "vnc", about: vnc.about, verbs: [vnc] }
