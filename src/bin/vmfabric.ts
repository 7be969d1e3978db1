#!/usr/bin/env -S node --max-semi-space-size=2
/**
 * The program: reads its settings, puts the layers together and serves.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/cli/Command"
import * as CliConfig from "@effect/cli/CliConfig"
import * as ValidationError from "@effect/cli/ValidationError"
import * as HttpServer from "@effect/platform/HttpServer"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { homedir } from "node:os"
import * as AppLive from "../../layers/AppLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import packageJson from "../../package.json" with { type: "json" }
import * as Cli from "../cli/Cli.ts"
import * as AppConfig from "../config/AppConfig.ts"
import * as InputFiles from "../config/InputFiles.ts"
import * as Router from "../http/Router.ts"
import * as Server from "../http/Server.ts"

const announce = (listen: AppConfig.Listen) =>
  Layer.effectDiscard(
    Effect.gen(function* () {
      const { address } = yield* HttpServer.HttpServer
      const port = address._tag === "TcpAddress" ? address.port : listen.port
      yield* Effect.log(`listening on http://${AppConfig.formatListen({ ...listen, port })}`)
      if (!AppConfig.isLoopback(listen)) {
        yield* Effect.logWarning(
          "anybody who reaches this address can create and destroy VMs: there is no authentication yet"
        )
      }
    })
  )

/** Real machines by TCP, with the keys and known hosts of the settings. */
const real = (paths: InputFiles.InputPaths, config: AppConfig.AppConfig["Type"]) =>
  Effect.gen(function* () {
    const files = yield* InputFiles.read(paths)
    const agentSocket = yield* Config.option(Config.string("SSH_AUTH_SOCK"))
    const ssh = SshLive.layer({
      keyFile: config.sshKey,
      knownHostsFile: config.knownHosts,
      agentSocket,
      homeDirectory: homedir()
    }).pipe(Layer.provide(SshDialerTcp.layer))
    return AppLive.layer({ ...files, database: AppConfig.databaseFor(config.database, "real") }).pipe(
      Layer.provide(ssh)
    )
  })

/** Hosts in this process: everything but the network cable and the guests is the real thing. */
const simulated = (config: AppConfig.AppConfig["Type"]) =>
  Effect.gen(function* () {
    yield* Effect.logWarning(
      "SIMULATED: no files were given, so the hosts, images and VMs exist in this process only; see --help"
    )
    // loaded only here: who runs real machines need not hold simulated ones in memory
    const SimulatedFleet = yield* Effect.promise(() => import("../../layers/SimulatedFleet.ts"))
    const fleet = yield* SimulatedFleet.make()
    return AppLive.layer({ fleet: fleet.config, database: AppConfig.databaseFor(config.database, "simulated") }).pipe(
      Layer.provide(fleet.ssh)
    )
  })

const run = Effect.fn("vmfabric")(function* ({ config, files }: Cli.Settings) {
  const app = yield* Option.match(files, {
    onNone: () => simulated(config),
    onSome: (paths) => real(paths, config)
  })
  yield* announce(config.listen).pipe(
    Layer.provide(Router.layer),
    Layer.provide(app),
    Layer.provide(Server.layer(config.listen)),
    Layer.launch
  )
}, Effect.scoped)

const cli = Command.run(Cli.command(run), { name: "vmfabric", version: packageJson.version })

/** One sentence for each failure a user can mend; the stack of a defect is for the log. */
const tell = (error: { readonly message: string }) => Effect.logError(error.message)

const main = Effect.gen(function* () {
  const level = yield* Config.withDefault(AppConfig.logLevel, AppConfig.defaults.logLevel)
  yield* cli(process.argv).pipe(Logger.withMinimumLogLevel(level))
}).pipe(
  Effect.tapError((error) => (ValidationError.isValidationError(error) ? Effect.void : tell(error))),
  Effect.provide([NodeContext.layer, CliConfig.layer({ showBuiltIns: false })]),
  Effect.provide(process.stdout.isTTY ? Logger.pretty : Logger.logFmt)
)

NodeRuntime.runMain(main, { disableErrorReporting: true, disablePrettyLogger: true })
