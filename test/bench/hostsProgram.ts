/**
 * SIMULATED hosts in a process of their own, with sshd and all, for the process that forked it: its connections come to the socket that it is
 * given, with a line ahead of SSH that names the host they are for.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import { createServer, type Socket } from "node:net"
import { pipeline } from "node:stream"
import { parseArgs } from "node:util"
import * as AppLive from "../../layers/AppLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import type * as SimulatedHost from "../../src/simulator/SimulatedHost.ts"
import * as ScaleFleet from "./ScaleFleet.ts"

const { values } = parseArgs({
  options: {
    hosts: { type: "string", default: "1000" },
    socket: { type: "string", default: "" },
    /** written, with as many VMs as there are to be */
    database: { type: "string", default: "" },
    standing: { type: "string", default: "0" }
  }
})

const newline = 0x0a

/** A stream to the host's sshd, for as long as the client's lives. */
const bridge = (socket: Socket, host: SimulatedHost.SimulatedHost) =>
  Effect.scoped(
    Effect.flatMap(host.dial, (sshd) =>
      Effect.async<void>((resume) => {
        pipeline(socket, sshd, socket, () => resume(Effect.void))
      })
    )
  ).pipe(
    Effect.catchTag("DialRefused", () => Effect.void),
    Effect.ensuring(Effect.sync(() => socket.destroy()))
  )

const main = Effect.gen(function* () {
  const standing = Number(values.standing)
  const fleet = yield* Fleet.describe(ScaleFleet.file({ hosts: Number(values.hosts), standing: standing > 0 }))
  if (standing > 0)
    yield* Effect.provide(SimulatedFleet.populate(fleet, standing), AppLive.persistence(values.database))
  const run = Runtime.runFork(yield* Effect.runtime())
  const serve = (socket: Socket) => {
    socket.on("error", () => {})
    let head = Buffer.alloc(0)
    const read = (chunk: Buffer) => {
      head = Buffer.concat([head, chunk])
      const end = head.indexOf(newline)
      if (end === -1) return
      socket.off("data", read)
      socket.pause()
      const host = fleet.host(head.subarray(0, end).toString())
      socket.unshift(head.subarray(end + 1))
      if (host === undefined) socket.destroy()
      else run(bridge(socket, host))
    }
    socket.on("data", read)
  }
  yield* Effect.acquireRelease(
    Effect.async<ReturnType<typeof createServer>>((resume) => {
      const server = createServer(serve)
      server.listen(values.socket, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  process.on("message", (asked) => {
    if (asked === ScaleFleet.cpuAsked) return void process.send?.(process.cpuUsage())
    const some = fleet.hosts.slice(0, Number(asked))
    run(
      Effect.zipRight(
        Effect.forEach(some, ({ faults }) => faults.hang("all", true), { discard: true }),
        Effect.sync(() => process.send?.("hung"))
      )
    )
  })
  const { ceph, credentials } = fleet
  process.send?.(ScaleFleet.encode({ ...credentials, ceph, mebibytes: process.memoryUsage().rss / 1024 ** 2 }))
  // the other has ended, however it did
  yield* Effect.async<void>((resume) => void process.once("disconnect", () => resume(Effect.void)))
}).pipe(Effect.scoped)

NodeRuntime.runMain(main)
