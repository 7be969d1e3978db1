/**
 * A process of its own for what is measured of the web interface: the whole controller, which serves it, over SIMULATED hosts in yet another process. So neither what
 * the controller does nor the page has to share a thread with the hosts.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import * as AppLive from "../../layers/AppLive.ts"
import * as SshLive from "../../layers/SshLive.ts"
import * as Router from "../../src/http/Router.ts"
import * as Server from "../../src/http/Server.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as ScaleFleet from "./ScaleFleet.ts"

const { values } = parseArgs({
  options: {
    hosts: { type: "string", default: "200" },
    vms: { type: "string", default: "10000" }
  }
})

/** Of one processor. */
const atRest = 0.5

/** What share of a processor the two processes use, measured for a second. */
const load = <E, R>(hostsCpu: Effect.Effect<number, E, R>) =>
  Effect.gen(function* () {
    const before = yield* hostsCpu
    const own = process.cpuUsage()
    const began = performance.now()
    yield* Effect.sleep("1 second")
    const { system, user } = process.cpuUsage(own)
    return ((yield* hostsCpu) - before + (user + system) / 1000) / (performance.now() - began)
  })

const main = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-gui-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const database = join(folder, "vmfabric.sqlite")
  const hosts = Number(values.hosts)
  const standing = Number(values.vms)
  const fleet = yield* ScaleFleet.make({ hosts, socket: join(folder, "hosts.sock"), database, standing })
  const app = AppLive.layer({
    fleet: Fleet.configOf(ScaleFleet.file({ hosts, standing: standing > 0 })),
    database,
    ceph: fleet.ceph
  }).pipe(Layer.provide(SshLive.layerWith(fleet).pipe(Layer.provide(fleet.dialer))), Layer.provide(NodeContext.layer))
  const announce = Layer.effectDiscard(
    Effect.gen(function* () {
      // what comes first is that all hosts are reached and looked at, which keeps both processes busy and is none of what is measured
      yield* Effect.flatMap(HostMonitor, (monitor) => monitor.settled)
      yield* Effect.repeat(load(fleet.cpu), { until: (share) => share < atRest, schedule: Schedule.recurs(60) })
      const { address } = yield* HttpServer.HttpServer
      if (address._tag !== "TcpAddress") return yield* Effect.dieMessage("it listens on no port")
      process.stdout.write(`listening on http://127.0.0.1:${address.port}\n`)
    })
  )
  yield* announce.pipe(
    // one browser asks for more than one person does
    Layer.provide(Router.layerWith({ loopback: true, publicNames: [], rateLimit: 1_000_000 })),
    Layer.provide(app),
    Layer.provide(Server.layer({ host: "127.0.0.1", port: 0 })),
    Layer.launch
  )
}).pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.Error))

NodeRuntime.runMain(main)
