/**
 * The server: reads its settings, puts the layers together and serves.
 *
 * @since 0.1.0
 */
import * as Command from "@effect/cli/Command"
import * as CliConfig from "@effect/cli/CliConfig"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import { isPlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Runtime from "@effect/platform/Runtime"
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { homedir } from "node:os"
import * as AppLive from "../../layers/AppLive.ts"
import * as ImageStoreLive from "../../layers/ImageStoreLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import packageJson from "../../package.json" with { type: "json" }
import * as Cli from "../cli/Cli.ts"
import { exit } from "../cli/Failure.ts"
import * as Files from "../cli/Files.ts"
import * as AppConfig from "../config/AppConfig.ts"
import * as InputFiles from "../config/InputFiles.ts"
import * as Router from "../http/Router.ts"
import * as Server from "../http/Server.ts"
import * as Logs from "../observability/Logs.ts"
import { Readiness } from "../observability/Readiness.ts"
import * as Admission from "./Admission.ts"
import * as Listening from "./Listening.ts"
import * as Stopping from "./Stopping.ts"

const logs = Logs.make(process.stdout.isTTY)

const announce = (config: AppConfig.AppConfig["Type"], scheme: "http" | "https") =>
  Layer.scopedDiscard(
    Effect.gen(function* () {
      const { listen } = config
      const drain = AppConfig.drainOf(config)
      const { stop } = yield* Readiness
      // before what is told first: it counts from the end of that
      yield* Stopping.bounded
      // built last, so it is told first
      yield* Effect.addFinalizer(() =>
        Effect.gen(function* () {
          yield* stop
          if (Duration.equals(drain, Duration.zero)) return
          yield* Effect.log(`stopping: not ready, and serving for another ${Duration.format(drain)}`)
          yield* Effect.sleep(drain)
        })
      )
      const { address } = yield* HttpServer.HttpServer
      const port = address._tag === "TcpAddress" ? address.port : listen.port
      yield* Effect.log(`listening on ${scheme}://${AppConfig.formatListen({ ...listen, port })}`)
    })
  )

const volumesOf = (config: AppConfig.AppConfig["Type"]): AppLive.VolumePolicy => ({
  undoWindow: config.undoWindow,
  poolOvercommit: config.cephOvercommit
})

/** Where images are kept: what is added to a fleet that is gone with the process goes with it. */
const imagesOf = (config: AppConfig.AppConfig["Type"], fleet: "real" | "simulated") =>
  Effect.gen(function* () {
    const { imageAllow: allow, imageDir, imagePaths: paths } = config
    const named = AppConfig.imageFolderFor(imageDir, AppConfig.databaseFor(config.database, fleet))
    const fs = yield* FileSystem.FileSystem
    const folder = named ?? (yield* fs.makeTempDirectoryScoped({ prefix: "vmfabric-images-" }))
    return { folder, paths, allow }
  })

/** Real machines by TCP, with the keys and known hosts of the settings. */
const real = (paths: InputFiles.InputPaths, config: AppConfig.AppConfig["Type"]) =>
  Effect.gen(function* () {
    const files = yield* InputFiles.read(paths)
    if (files.fleet.hosts.length === 0) {
      yield* Effect.log(
        `${paths.machines} names no machine, so the hosts are those that were added: with vmfabric host add root@h1, or on the page Hosts of /ui`
      )
    }
    const agentSocket = yield* Config.option(Config.string("SSH_AUTH_SOCK"))
    const ssh = SshLive.layer({
      keyFile: config.sshKey,
      knownHostsFile: config.knownHosts,
      agentSocket,
      homeDirectory: homedir()
    }).pipe(Layer.provide(SshDialerTcp.layer))
    return AppLive.layer({
      ...files,
      database: AppConfig.databaseFor(config.database, "real"),
      ceph: AppConfig.cephOf(config),
      volumes: volumesOf(config),
      drift: config.drift,
      webhooks: { allow: config.webhookAllow },
      images: yield* imagesOf(config, "real")
    }).pipe(Layer.provide(ssh))
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
    return AppLive.layer({
      fleet: fleet.config,
      database: AppConfig.databaseFor(config.database, "simulated"),
      ceph: fleet.ceph,
      volumes: volumesOf(config),
      drift: config.drift,
      webhooks: { allow: config.webhookAllow },
      images: yield* imagesOf(config, "simulated")
    }).pipe(Layer.provide(fleet.ssh))
  })

/** A file that has to be there, and its name for messages. */
const textOf = (path: Option.Option<string>) =>
  Option.match(path, {
    onNone: () => Effect.succeed(null),
    onSome: (file) =>
      Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(file)).pipe(
        Effect.map((text) => ({ file, text })),
        Effect.mapError(
          (cause) =>
            new InputFiles.InputFileError({
              problems: [{ file, problem: "it cannot be read", expected: "a readable file" }],
              cause
            })
        )
      )
  })

/** A fleet of any size, with what goes wrong there. */
const simulation = ({ faults, fleet, hosts, seed, vms }: Cli.Simulation, config: AppConfig.AppConfig["Type"]) =>
  Effect.gen(function* () {
    const texts = { fleet: yield* textOf(fleet), faults: yield* textOf(faults) }
    const SimulatedFleet = yield* Effect.promise(() => import("../../layers/SimulatedFleet.ts"))
    const made = yield* SimulatedFleet.simulate({
      ...texts,
      hosts,
      seed: Option.getOrNull(seed),
      vms: Option.getOrNull(vms)
    })
    yield* Effect.logWarning(
      `SIMULATED: ${made.fleet.hosts.length} hosts with ${made.vms} VMs and seed ${made.seed} exist in this process only`
    )
    const database = AppConfig.databaseFor(config.database, "simulated")
    const persistence = Layer.effectDiscard(SimulatedFleet.populate(made.fleet, made.vms)).pipe(
      Layer.provideMerge(AppLive.persistence(database, { allow: config.webhookAllow }))
    )
    const app = AppLive.layerOver({
      fleet: made.fleet.config,
      persistence,
      drivers: AppLive.drivers(made.fleet.ceph),
      images: ImageStoreLive.layer(yield* imagesOf(config, "simulated")),
      volumes: volumesOf(config),
      drift: config.drift
    }).pipe(Layer.provide(made.ssh))
    return Layer.merge(app, Layer.scopedDiscard(Effect.forkScoped(made.disturb)))
  })

/** Loaded only where it is asked for. */
const traces = ({ otlpEndpoint }: AppConfig.AppConfig["Type"]) =>
  Option.match(otlpEndpoint, {
    onNone: () => Layer.empty,
    onSome: (endpoint) =>
      Layer.unwrapEffect(
        Effect.map(
          Effect.promise(() => import("../observability/Otlp.ts")),
          (Otlp) => Otlp.layer({ endpoint })
        )
      )
  })

const run = Effect.fn("vmfabric")(function* ({ config, files, simulation: asked }: Cli.Settings) {
  yield* logs.use(config.logFormat)
  const fleet = Option.isSome(files) && Option.isNone(asked) ? "real" : "simulated"
  const tls = yield* Admission.tls(config, AppConfig.databaseFor(config.database, fleet))
  const guarding = {
    loopback: AppConfig.isLoopback(config.listen),
    publicNames: config.publicNames,
    rateLimit: config.rateLimit,
    traced: Option.isSome(config.otlpEndpoint)
  }
  const server = (tls === null ? Server.layer(config.listen) : Server.layerTls(config.listen, tls)).pipe(
    Layer.mapError((error) => {
      if (error._tag === "ServeError") return Listening.explained(config.listen, error.cause)
      return error._tag === "TlsError" && isPlatformError(error.cause)
        ? new Server.TlsError({ message: `${error.message}: ${Files.why(error.cause)}`, cause: error.cause })
        : error
    })
  )
  const serve = <E, R>(app: Layer.Layer<AppLive.App, E, R>) =>
    announce(config, tls === null ? "http" : "https").pipe(
      Layer.provide(Router.layerWith(guarding)),
      Layer.provide(app),
      Layer.provide(server),
      Layer.provide(traces(config)),
      Layer.launch
    )
  if (Option.isSome(asked)) {
    // in every line, for those who read only some of them
    return yield* Effect.flatMap(simulation(asked.value, config), serve).pipe(Effect.annotateLogs("fleet", "SIMULATED"))
  }
  yield* Option.match(files, {
    onNone: () => Effect.flatMap(simulated(config), serve),
    onSome: (paths) => Effect.flatMap(real(paths, config), serve)
  })
}, Effect.scoped)

/** Loaded only where it is asked for. */
const play = (asked: Cli.Play) =>
  Effect.flatMap(
    Effect.promise(() => import("./Play.ts")),
    (Play) => Play.run(asked)
  )

const cli = Command.run(Cli.command(run, Admission.bootstrap, play), { name: "vmfabric", version: packageJson.version })

/** One sentence for each failure a user can mend; the stack of a defect is for the log. */
const tell = (error: { readonly message: string }) => Effect.logError(error.message)

const main = Effect.gen(function* () {
  // the library takes a flag that it does not know for a file
  const args = process.argv.slice(2)
  const fs = yield* FileSystem.FileSystem
  const misspelt = Cli.misspelt(args)
  const isFile = misspelt !== undefined && (yield* Effect.orElseSucceed(fs.exists(args[0] ?? ""), () => false))
  const problem = (isFile ? undefined : misspelt) ?? Cli.problem(args)
  if (problem !== undefined) {
    yield* Console.error(`vmfabric: ${problem}`)
    return yield* Effect.fail(ValidationError.invalidValue(HelpDoc.p(problem)))
  }
  const level = yield* Config.withDefault(AppConfig.logLevel, AppConfig.defaults.logLevel)
  yield* Effect.flatMap(Config.withDefault(AppConfig.logFormat, AppConfig.defaults.logFormat), logs.use)
  yield* cli(process.argv).pipe(Logger.withMinimumLogLevel(level))
}).pipe(
  Effect.tapError((error) =>
    ValidationError.isValidationError(error) || error instanceof Admission.Told ? Effect.void : tell(error)
  ),
  Effect.provide([NodeContext.layer, CliConfig.layer({ showBuiltIns: false })]),
  Effect.provide(logs.layer)
)

/** By its status a script tells a wrong command from a controller that could not go on, as of a client's. */
const isWrong = (ended: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(ended) && Option.exists(Cause.failureOption(ended.cause), ValidationError.isValidationError)

NodeRuntime.runMain(main, {
  disableErrorReporting: true,
  disablePrettyLogger: true,
  teardown: (ended, onExit) => (isWrong(ended) ? onExit(exit.usage) : Runtime.defaultTeardown(ended, onExit))
})
