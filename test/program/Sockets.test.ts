/** What the program listens at, as the kernel tells it: where it was told to, and nowhere else. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { WebSocket } from "ws"
import * as World from "../fabric/World.ts"
import * as Contract from "../http/v1/Contract.ts"
import * as Listening from "./Listening.ts"
import * as Program from "./Program.ts"

const json = async (url: string, init: RequestInit = {}) => Contract.members(await (await fetch(url, init)).json())

const post = (program: Program.Program, path: string, body: object) =>
  Effect.promise(() =>
    json(`${program.url}/api/v1${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", prefer: "wait=60" },
      body: JSON.stringify(body)
    })
  )

/** A console that has said something. */
const console = (program: Program.Program, vm: unknown, kind: "serial" | "vnc") =>
  Effect.gen(function* () {
    const { path, ticket } = yield* post(program, `/vms/${String(vm)}/console-tickets`, { kind })
    return yield* Effect.acquireRelease(
      Effect.async<WebSocket>((resume) => {
        const socket = new WebSocket(`${program.url.replace("http", "ws")}${String(path)}`, [
          "vmfabric.console",
          `vmfabric.ticket.${String(ticket)}`
        ])
        socket.on("error", (error) => resume(Effect.die(error)))
        if (kind === "serial") socket.on("open", () => socket.send("\r"))
        socket.on("message", () => resume(Effect.succeed(socket)))
      }),
      (socket) => Effect.sync(() => socket.terminate())
    )
  })

describe("sockets that listen", () => {
  it.scopedLive(
    "are the one that it was told, also while consoles are open",
    () =>
      Effect.gen(function* () {
        const program = yield* Program.start(["--otlp-endpoint", "http://127.0.0.1:9"])
        const told = [`tcp ${new URL(program.url).host}`]
        assert.deepStrictEqual(Listening.of(program.pid), told)
        const made = yield* post(program, "/vms", { name: "web", instanceType: 1 })
        assert.deepInclude(made, { state: "done" })
        // the guest has to be up before its shell answers
        const serial = yield* console(program, made.vmId, "serial")
        const vnc = yield* console(program, made.vmId, "vnc")
        for (const one of [serial, vnc]) assert.strictEqual(one.readyState, WebSocket.OPEN)
        assert.strictEqual((yield* program.get("/readyz"))["ready"], true)
        assert.deepStrictEqual(Listening.of(program.pid), told)
        for (const one of [serial, vnc]) one.close()
        yield* World.eventually(
          Effect.sync(() => {
            for (const one of [serial, vnc]) assert.strictEqual(one.readyState, WebSocket.CLOSED)
          })
        )
        assert.deepStrictEqual(Listening.of(program.pid), told)
      }),
    120_000
  )
})
