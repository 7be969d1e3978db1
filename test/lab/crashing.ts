/**
 * The controller, but it ends by SIGKILL before or after a write to its database: `CRASH_AT` names the point, `POINTS` a file to which every
 * point that is reached is appended. As in `record do define done, do start started: before`: the effect has happened, and is not
 * written yet.
 *
 * Or, with `HOLD`, a folder: as soon as a file `plan` is there, operations stand still for good at a point that it names for their kind, each told by
 * a line in a file `held`, and all that their kinds pass until then is appended to `passed`. Who has started it ends it.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Command from "@effect/cli/Command"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as FileSystem from "@effect/platform/FileSystem"
import { appendFileSync } from "node:fs"
import { homedir } from "node:os"
import * as AppLive from "../../layers/AppLive.ts"
import * as ImageStoreLive from "../../layers/ImageStoreLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import * as Cli from "../../src/cli/Cli.ts"
import * as AppConfig from "../../src/config/AppConfig.ts"
import * as InputFiles from "../../src/config/InputFiles.ts"
import * as Router from "../../src/http/Router.ts"
import * as Server from "../../src/http/Server.ts"
import type { Hypervisor } from "../../src/services/Hypervisor.ts"
import type { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import type { ImageStore } from "../../src/services/ImageStore.ts"
import type { Inventory } from "../../src/services/Inventory.ts"
import type { Ssh } from "../../src/services/Ssh.ts"
import type { Storage } from "../../src/services/Storage.ts"
import * as Hold from "../crash/Hold.ts"
import * as Writes from "../fabric/Writes.ts"

/** Of several operations each stands still at its own point. */
const holding = (folder: string) => {
  const held = new Set<string>()
  let plan: Hold.Plan | null = null
  return Writes.make((label, moment, kind) =>
    Effect.suspend(() => {
      if (Option.isNone(kind)) return Effect.void
      plan ??= Hold.read(folder)
      if (plan === null) return Effect.void
      const point = Writes.pointOf(label, moment)
      Hold.passed(folder, kind.value, point)
      if (plan[kind.value] !== point || held.has(kind.value)) return Effect.void
      held.add(kind.value)
      Hold.held(folder, kind.value)
      return Effect.never
    })
  )
}

/** Counted from the first request on: what an earlier life has left is finished before that. */
const crashing = (crashAt: Option.Option<string>, points: Option.Option<string>) => {
  let asked = false
  return Writes.make((label, moment) =>
    Effect.suspend(() => {
      asked ||= Writes.isRequest(label)
      if (!asked) return Effect.void
      const point = Writes.pointOf(label, moment)
      if (Option.isSome(points)) appendFileSync(points.value, `${point}\n`)
      if (!Option.contains(crashAt, point)) return Effect.void
      process.kill(process.pid, "SIGKILL")
      return Effect.never
    })
  )
}

const announce = Layer.effectDiscard(
  Effect.flatMap(HttpServer.HttpServer, ({ address }) =>
    Effect.log(`listening on http://127.0.0.1:${address._tag === "TcpAddress" ? address.port : 0}`)
  )
)

const run = Effect.fn(function* ({ config, files }: Cli.Settings) {
  const read = yield* InputFiles.read(Option.getOrThrow(files))
  const crashAt = yield* Config.option(Config.string("CRASH_AT"))
  const points = yield* Config.option(Config.string("POINTS"))
  const hold = yield* Config.option(Config.string("HOLD"))
  const writes = Option.match(hold, { onNone: () => crashing(crashAt, points), onSome: holding })
  const imageDir = AppConfig.imageFolderFor(config.imageDir, AppConfig.databaseFor(config.database, "real"))
  const ssh = SshLive.layer({
    keyFile: config.sshKey,
    knownHostsFile: config.knownHosts,
    agentSocket: Option.none(),
    homeDirectory: homedir()
  }).pipe(Layer.provide(SshDialerTcp.layer))
  const persistence = AppLive.persistence(AppConfig.databaseFor(config.database, "real"))
  const store = ImageStoreLive.layer({ folder: imageDir ?? "images", paths: [], allow: [] })
  const app = AppLive.layerOver<
    Hypervisor | Storage | ImageLibrary | ImageStore,
    never,
    Ssh | Inventory | FileSystem.FileSystem
  >({
    ...read,
    persistence: writes.watched(persistence),
    drivers: AppLive.drivers(AppConfig.cephOf(config)).pipe(Layer.merge(store)),
    images: store,
    volumes: { undoWindow: config.undoWindow, poolOvercommit: config.cephOvercommit }
  }).pipe(Layer.provide(ssh))
  yield* announce.pipe(
    Layer.provide(Router.layer),
    Layer.provide(app),
    Layer.provide(Server.layer(config.listen)),
    Layer.launch
  )
}, Effect.scoped)

Command.run(Cli.command(run), { name: "crashing", version: "0" })(process.argv).pipe(
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain
)
