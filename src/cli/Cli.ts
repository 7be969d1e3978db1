/**
 * The `vmfabric` command line: what may be said, not what is done about it.
 *
 * @since 0.1.0
 */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Addresses from "../config/Addresses.ts"
import * as AppConfig from "../config/AppConfig.ts"
import * as FaultScript from "../config/FaultScript.ts"
import type { InputPaths } from "../config/InputFiles.ts"
import type { InvalidArgument } from "../domain/Errors.ts"
import { UserName } from "../domain/Identity.ts"
import * as Flags from "./Flags.ts"
import { controllers, words } from "./Words.ts"

/** A fleet that exists in this process only. @since 0.3.0 @category models */
export interface Simulation {
  /** machines of one kind, unless a file describes the fleet */
  readonly hosts: number
  /** VMs that run when it begins; none: what the file says */
  readonly vms: Option.Option<number>
  /** path of a file that describes it */
  readonly fleet: Option.Option<string>
  /** path of a fault script */
  readonly faults: Option.Option<string>
  /** none: the file's */
  readonly seed: Option.Option<number>
}

/** How a strategy's own name is written. @since 0.7.0 @category constants */
export const strategies = [
  "pack",
  "balance",
  "spread",
  "first-fit",
  "best-fit",
  "worst-fit",
  "dot-product",
  "fgd"
] as const

/** A trace that is played on hosts, and nothing is served. @since 0.7.0 @category models */
export interface Play {
  /** path of a file; none: the synthetic one */
  readonly trace: Option.Option<string>
  /** in the order in which they are shown, each once */
  readonly strategies: ReadonlyArray<(typeof strategies)[number]>
  /** machines of one kind; none: it depends on the trace */
  readonly hosts: Option.Option<number>
  /** of each host: vCPUs that may be promised, and MiB of memory */
  readonly host: { readonly vcpus: number; readonly memory: number }
  readonly seed: number
  /** its sizes are drawn until the fleet is full, and none leaves */
  readonly fill: boolean
  readonly output: "table" | "json"
}

/** What was asked for. `files` none: a simulated fleet, the one for trying things out unless `simulation` says which. @since 0.1.0 @category models */
export interface Settings {
  readonly files: Option.Option<InputPaths>
  readonly simulation: Option.Option<Simulation>
  readonly config: AppConfig.AppConfig["Type"]
}

/** A flag that takes a text, checked by the parser its environment variable has too. */
const setting = <A>(
  name: string,
  pseudoName: string,
  description: string,
  parse: (text: string) => Either.Either<A, InvalidArgument>
): Options.Options<Option.Option<A>> =>
  Options.text(name).pipe(
    Options.withPseudoName(pseudoName),
    Options.withDescription(description),
    Options.mapEffect((text) =>
      Effect.mapError(parse(text), (error) => ValidationError.invalidValue(HelpDoc.p(`--${name}: ${error.message}`)))
    ),
    Options.optional
  )

const options = {
  listen: setting(
    "listen",
    "HOST:PORT",
    "Where to serve HTTP; port 0 takes any that is free. Default 127.0.0.1:8080. [VMFABRIC_LISTEN]",
    AppConfig.parseListen
  ),
  publicNames: setting(
    "public-name",
    "NAME,…",
    "Names, beside addresses, by which clients may call the controller: a request for another name is refused, so that no foreign page " +
      "can lead its name here. Default: localhost, when it listens there. [VMFABRIC_PUBLIC_NAME]",
    AppConfig.parseNames("public-name")
  ),
  tlsCert: setting(
    "tls-cert",
    "FILE",
    "The server's certificate, PEM, with those between it and the authority. Needed to listen on anything but loopback. " +
      "[VMFABRIC_TLS_CERT]",
    AppConfig.parsePath("tls-cert")
  ),
  tlsKey: setting("tls-key", "FILE", "The certificate's key, PEM. [VMFABRIC_TLS_KEY]", AppConfig.parsePath("tls-key")),
  rateLimit: setting(
    "rate-limit",
    "N",
    "Requests a second that one user may make, twice as many at once. Default 1000. [VMFABRIC_RATE_LIMIT]",
    AppConfig.parseRate("rate-limit")
  ),
  database: setting(
    "database",
    "FILE",
    "SQLite file that keeps hosts, images, VMs and unfinished work. Default vmfabric.sqlite in the current folder; " +
      "for the simulated fleet: memory, gone with the process. [VMFABRIC_DATABASE]",
    AppConfig.parseDatabase
  ),
  sshKey: setting(
    "ssh-key",
    "FILE",
    "Private key for the hosts. Default: id_ed25519, id_ecdsa, id_rsa in ~/.ssh, then the agent. [VMFABRIC_SSH_KEY]",
    AppConfig.parsePath("ssh-key")
  ),
  knownHosts: setting(
    "known-hosts",
    "FILE",
    "File with the hosts' public keys; a host that is not in it is refused. Default ~/.ssh/known_hosts. [VMFABRIC_KNOWN_HOSTS]",
    AppConfig.parsePath("known-hosts")
  ),
  cephPool: setting(
    "ceph-pool",
    "POOL",
    "Ceph pool for root disks and volumes. Without it they are files on the hosts. [VMFABRIC_CEPH_POOL]",
    AppConfig.parseCephName("ceph-pool")
  ),
  cephClient: setting(
    "ceph-client",
    "NAME",
    "The cephx client that may use the pool (profile rbd), without client. Default libvirt. [VMFABRIC_CEPH_CLIENT]",
    AppConfig.parseCephName("ceph-client")
  ),
  cephConf: setting(
    "ceph-conf",
    "FILE",
    "Ceph's configuration where its commands run; it says where the client's keyring is. Default /etc/ceph/ceph.conf. " +
      "[VMFABRIC_CEPH_CONF]",
    AppConfig.parsePath("ceph-conf")
  ),
  cephHost: setting(
    "ceph-host",
    "USER@HOST[:PORT]",
    "Where Ceph's commands run; it needs python3-rbd, which comes with ceph-common. Default: this machine. [VMFABRIC_CEPH_HOST]",
    AppConfig.parseHost("ceph-host")
  ),
  cephOvercommit: setting(
    "ceph-overcommit",
    "RATIO",
    "How many times the pool's capacity may be promised to disks and volumes. Default 1. [VMFABRIC_CEPH_OVERCOMMIT]",
    AppConfig.parseRatio("ceph-overcommit")
  ),
  undoWindow: setting(
    "undo-window",
    "TIME",
    "For how long a destroyed volume can be had back, as in 90s, 30m, 24h or 7d; 0: not at all. Default 24h. [VMFABRIC_UNDO_WINDOW]",
    AppConfig.parseWindow("undo-window")
  ),
  drift: setting(
    "drift",
    "KIND=POLICY,…",
    "What is done where a VM on its host is not what it should be: ignore, report or repair; kinds are power, definition, disks and " +
      "network. Default: all are reported. [VMFABRIC_DRIFT]",
    AppConfig.parseDrift("drift")
  ),
  webhookAllow: setting(
    "webhook-allow",
    "ADDRESS-RANGE,…",
    "Addresses that are not public, and yet webhooks may lead there, as in 127.0.0.1,10.1.0.0/16; without TLS only those of them that are " +
      "loopback. Default: none. [VMFABRIC_WEBHOOK_ALLOW]",
    Addresses.parseRanges("webhook-allow")
  ),
  imageDir: setting(
    "image-dir",
    "FOLDER",
    "Where images are kept that are sent or fetched. Default: beside the database, its name with .images. [VMFABRIC_IMAGE_DIR]",
    AppConfig.parsePath("image-dir")
  ),
  imagePaths: setting(
    "image-path",
    "FOLDER,…",
    "Folders of this machine from whose files images may be made by requests, as in /srv/images. Default: none. [VMFABRIC_IMAGE_PATH]",
    AppConfig.parseFolders("image-path")
  ),
  imageAllow: setting(
    "image-allow",
    "ADDRESS-RANGE,…",
    "Addresses that are not public, and yet images may be fetched from there, as in 10.1.0.0/16. Default: none. [VMFABRIC_IMAGE_ALLOW]",
    Addresses.parseRanges("image-allow")
  ),
  otlpEndpoint: setting(
    "otlp-endpoint",
    "URL",
    "Where a collector takes traces, OTLP in JSON over HTTP, as in http://localhost:4318. Default: nothing is traced. " +
      "[VMFABRIC_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT]",
    AppConfig.parseCollector("otlp-endpoint")
  ),
  drain: setting(
    "drain",
    "TIME",
    "For how long it goes on serving once it was told to stop (SIGTERM), while /readyz says that it is not ready, so that balancers turn to " +
      "others, as in 10s. Default 5s; on loopback 0. [VMFABRIC_DRAIN]",
    AppConfig.parseDrain("drain")
  ),
  // the library's own flag of this name is only found before all others
  logLevel: setting(
    "log-level",
    "LEVEL",
    `The least that is logged: ${AppConfig.logLevels.join(", ")}. Default info. [VMFABRIC_LOG_LEVEL]`,
    AppConfig.parseLogLevel
  ),
  logFormat: setting(
    "log-format",
    "FORMAT",
    "How the log is written: text (with colours on a terminal, else logfmt) or json. Default text. [VMFABRIC_LOG_FORMAT]",
    AppConfig.parseLogFormat
  )
}

const files = Args.text({ name: "physicalMachine_file image_file vm_types" }).pipe(
  Args.withDescription(
    "The machines to use, one user@host[:port] a line; the images, one /path or user@host:/path a line; the VM types, as JSON. " +
      "All three, or none for a simulated fleet in this process."
  ),
  Args.repeated,
  Args.mapEffect(([machines, images, types, ...more]) => {
    if (machines === undefined) return Effect.succeed(Option.none<InputPaths>())
    if (images === undefined || types === undefined || more.length > 0) {
      return Effect.fail(
        HelpDoc.p("Expected three files, physicalMachine_file image_file vm_types, or none for the simulated fleet")
      )
    }
    return Effect.succeed(Option.some<InputPaths>({ machines, images, types }))
  })
)

/** Flags of the command itself, as its library gives them. */
type Flags = {
  readonly [K in keyof typeof options]: (typeof options)[K] extends Options.Options<infer A> ? A : never
}

/** What the flags say, else the environment, else the defaults. */
const settingsOf = (flags: Flags) =>
  Effect.map(AppConfig.config, (env): AppConfig.AppConfig["Type"] => ({
    listen: Option.getOrElse(flags.listen, () => env.listen),
    publicNames: Option.getOrElse(flags.publicNames, () => env.publicNames),
    tlsCert: Option.orElse(flags.tlsCert, () => env.tlsCert),
    tlsKey: Option.orElse(flags.tlsKey, () => env.tlsKey),
    rateLimit: Option.getOrElse(flags.rateLimit, () => env.rateLimit),
    database: Option.orElse(flags.database, () => env.database),
    sshKey: Option.orElse(flags.sshKey, () => env.sshKey),
    knownHosts: Option.getOrElse(flags.knownHosts, () => env.knownHosts),
    logLevel: Option.getOrElse(flags.logLevel, () => env.logLevel),
    logFormat: Option.getOrElse(flags.logFormat, () => env.logFormat),
    cephPool: Option.orElse(flags.cephPool, () => env.cephPool),
    cephClient: Option.getOrElse(flags.cephClient, () => env.cephClient),
    cephConf: Option.getOrElse(flags.cephConf, () => env.cephConf),
    cephHost: Option.orElse(flags.cephHost, () => env.cephHost),
    cephOvercommit: Option.getOrElse(flags.cephOvercommit, () => env.cephOvercommit),
    undoWindow: Option.getOrElse(flags.undoWindow, () => env.undoWindow),
    drift: Option.getOrElse(flags.drift, () => env.drift),
    webhookAllow: Option.getOrElse(flags.webhookAllow, () => env.webhookAllow),
    imageDir: Option.orElse(flags.imageDir, () => env.imageDir),
    imagePaths: Option.getOrElse(flags.imagePaths, () => env.imagePaths),
    imageAllow: Option.getOrElse(flags.imageAllow, () => env.imageAllow),
    otlpEndpoint: Option.orElse(flags.otlpEndpoint, () => env.otlpEndpoint),
    drain: Option.orElse(flags.drain, () => env.drain)
  }))

const atLevel = (level: Flags["logLevel"]) =>
  Option.isSome(level) ? Logger.withMinimumLogLevel(level.value) : identity

/** What has a meaning without machines, keys and pools of its own. */
const ofAnyFleet = {
  cephOvercommit: options.cephOvercommit,
  database: options.database,
  drain: options.drain,
  drift: options.drift,
  imageAllow: options.imageAllow,
  imageDir: options.imageDir,
  imagePaths: options.imagePaths,
  listen: options.listen,
  logFormat: options.logFormat,
  logLevel: options.logLevel,
  otlpEndpoint: options.otlpEndpoint,
  publicNames: options.publicNames,
  rateLimit: options.rateLimit,
  tlsCert: options.tlsCert,
  tlsKey: options.tlsKey,
  undoWindow: options.undoWindow,
  webhookAllow: options.webhookAllow
}

const invalid = (text: string) => ValidationError.invalidValue(HelpDoc.p(text))

/** What a command finds out about its own flags: the library tells only what it finds out itself. */
const refused = (text: string) => Effect.zipRight(Console.error(text), Effect.fail(invalid(text)))

const amount = (name: string, description: string, least: number, most: number) =>
  Options.integer(name).pipe(
    Options.withPseudoName("N"),
    Options.withDescription(description),
    Options.filterMap(
      (number) => (number >= least && number <= most ? Option.some(number) : Option.none()),
      `--${name}: expected a number from ${least} to ${most}`
    ),
    Options.optional
  )

const file = (name: string, description: string) =>
  Options.text(name).pipe(Options.withPseudoName("FILE"), Options.withDescription(description), Options.optional)

const simulated = {
  hosts: amount(
    "hosts",
    "How many machines, all of one kind. Default 10; with --trace 100 for a synthetic one, and for a file as many as have nine tenths of " +
      "what it wants at its height, or of --fill 100.",
    1,
    10_000
  ),
  vms: amount("vms", "How many VMs run when it begins. Default: what the fleet's file says, else 0.", 0, 1_000_000),
  fleet: file("fleet", "JSON that describes machines, images, types and a Ceph pool; see fixtures/fleet/README.md."),
  faults: file("faults", "A fault script."),
  seed: amount(
    "seed",
    "Decides everything random about it. Default: what the fleet's file says, else 1.",
    0,
    2 ** 31 - 1
  )
}

const defaultHosts = 10

/** What is said of a trace; without `--trace` nothing of it may be. */
const played = {
  trace: Options.text("trace").pipe(
    Options.withPseudoName("FILE|synthetic"),
    Options.withDescription(
      "Serve nothing: play a trace of VMs that come and go on --hosts, and tell how full they become. A CSV file with a header " +
        "arrival,departure,vcpus,memory_mib (seconds, and MiB), or one of Alibaba's openb pod lists; or synthetic: VMs as public clouds " +
        "have them, decided by --seed, that come to want a fifth more than the hosts have."
    ),
    Options.optional
  ),
  policy: Options.text("policy").pipe(
    Options.withPseudoName("NAME,…"),
    Options.withDescription(`With --trace: who chooses the hosts, of ${strategies.join(", ")}. Default: each of them.`),
    Options.mapEffect((text) => {
      const names = [...new Set(text.split(","))]
      const known = names.flatMap((name) => strategies.filter((strategy) => strategy === name))
      return known.length === names.length
        ? Effect.succeed(known)
        : Effect.fail(invalid(`--policy: expected names with commas between them, of ${strategies.join(", ")}`))
    }),
    Options.optional
  ),
  hostVcpus: amount("host-vcpus", "With --trace: how many vCPUs each host may promise. Default 96.", 1, 1_000_000),
  hostMemory: amount("host-memory", "With --trace: MiB of memory of each host. Default 393216.", 1, 1_000_000_000),
  fill: Options.boolean("fill").pipe(
    Options.withDescription("With --trace: draw sizes of the trace by --seed until the hosts are full; nobody leaves.")
  ),
  output: Options.choice("output", ["table", "json"]).pipe(
    Options.withAlias("o"),
    Options.withDescription("With --trace: table for people, json for programs. Default table."),
    Options.optional
  )
}

/** The first admin of a database, made while no controller runs on it. @since 0.4.0 @category models */
export interface Bootstrap {
  readonly database: string
  readonly user: UserName
}

const decodeUserName = Schema.decodeUnknownOption(UserName)

/**
 * The command. `run` gets what the flags say, else the environment, else the defaults; `play` a trace that is to be played.
 *
 * @since 0.1.0 @category commands
 */
export const command = <E, R, EB = never, RB = never, EP = never, RP = never>(
  run: (settings: Settings) => Effect.Effect<void, E, R>,
  bootstrap: (asked: Bootstrap) => Effect.Effect<void, EB, RB> = () => Effect.dieMessage("there is no bootstrap here"),
  play: (asked: Play) => Effect.Effect<void, EP, RP> = () => Effect.dieMessage("no trace is played here")
) => {
  const main = Command.make("vmfabric", { files, ...options }, ({ files, ...flags }) =>
    Effect.flatMap(settingsOf(flags), (config) => run({ files, simulation: Option.none(), config })).pipe(
      atLevel(flags.logLevel)
    )
  ).pipe(
    Command.withDescription(
      "Serves the REST API of a fabric of servers with sshd and libvirt. Each flag can also be given by the environment variable in " +
        "brackets. There are also --help, --version and --completions sh|bash|fish|zsh."
    )
  )
  const simulate = Command.make(
    "simulate",
    { ...simulated, ...played, ...ofAnyFleet },
    ({ faults, fill, fleet, hostMemory, hostVcpus, hosts, output, policy, seed, trace, vms, ...own }) =>
      Effect.gen(function* () {
        const { files, ...outer } = yield* main
        if (Option.isSome(files))
          return yield* refused("Expected no files before simulate: its hosts are none of theirs")
        if (Option.isSome(fleet) && Option.isSome(hosts)) {
          return yield* refused("Expected --hosts or --fleet, not both: the file says how many there are")
        }
        if (Option.isSome(trace)) {
          const { logFormat: _format, logLevel: _level, ...serving } = own
          if ([fleet, faults, vms, ...Object.values(serving)].some((given) => Option.isSome<unknown>(given))) {
            return yield* refused(
              `With --trace nothing is served: expected only ${["hosts", "seed", ...Object.keys(played)]
                .map((name) => `--${name.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}`)
                .join(", ")}`
            )
          }
          return yield* play({
            trace: trace.value === "synthetic" ? Option.none() : trace,
            strategies: Option.getOrElse(policy, () => strategies),
            hosts,
            host: { vcpus: Option.getOrElse(hostVcpus, () => 96), memory: Option.getOrElse(hostMemory, () => 393_216) },
            seed: Option.getOrElse(seed, () => 1),
            fill,
            output: Option.getOrElse(output, () => "table" as const)
          })
        }
        if (fill || [policy, hostVcpus, hostMemory, output].some((given) => Option.isSome<unknown>(given))) {
          return yield* refused(
            "Expected --trace with --policy, --host-vcpus, --host-memory, --fill or --output: they are about a trace"
          )
        }
        const flags: Flags = {
          ...outer,
          listen: Option.orElse(own.listen, () => outer.listen),
          publicNames: Option.orElse(own.publicNames, () => outer.publicNames),
          tlsCert: Option.orElse(own.tlsCert, () => outer.tlsCert),
          tlsKey: Option.orElse(own.tlsKey, () => outer.tlsKey),
          rateLimit: Option.orElse(own.rateLimit, () => outer.rateLimit),
          database: Option.orElse(own.database, () => outer.database),
          cephOvercommit: Option.orElse(own.cephOvercommit, () => outer.cephOvercommit),
          undoWindow: Option.orElse(own.undoWindow, () => outer.undoWindow),
          drift: Option.orElse(own.drift, () => outer.drift),
          webhookAllow: Option.orElse(own.webhookAllow, () => outer.webhookAllow),
          imageDir: Option.orElse(own.imageDir, () => outer.imageDir),
          imagePaths: Option.orElse(own.imagePaths, () => outer.imagePaths),
          imageAllow: Option.orElse(own.imageAllow, () => outer.imageAllow),
          otlpEndpoint: Option.orElse(own.otlpEndpoint, () => outer.otlpEndpoint),
          drain: Option.orElse(own.drain, () => outer.drain),
          logLevel: Option.orElse(own.logLevel, () => outer.logLevel),
          logFormat: Option.orElse(own.logFormat, () => outer.logFormat)
        }
        const config = yield* settingsOf(flags)
        const simulation = { hosts: Option.getOrElse(hosts, () => defaultHosts), vms, fleet, faults, seed }
        yield* run({ files, simulation: Option.some(simulation), config }).pipe(atLevel(flags.logLevel))
      })
  ).pipe(
    Command.withDescription(
      HelpDoc.blocks([
        HelpDoc.p(
          "Serves the same API over a simulated fleet of any size, in this process and in real time: hosts and guests are SIMULATED, all " +
            "else is what runs real machines. With --trace it serves nothing, and tells how well placement packs a trace of VMs."
        ),
        ...FaultScript.help.split("\n\n").map((paragraph) => HelpDoc.p(paragraph))
      ])
    )
  )
  const first = Command.make(
    "bootstrap",
    {
      database: options.database,
      user: Options.text("user").pipe(
        Options.withPseudoName("NAME"),
        Options.withDescription("The admin's name. Default admin."),
        Options.withDefault("admin"),
        Options.filterMap(decodeUserName, "--user: expected 1 to 64 of a-z 0-9 _ . @ -, beginning with a letter")
      )
    },
    (own) =>
      Effect.gen(function* () {
        const outer = yield* main
        if (Option.isSome(outer.files)) return yield* refused("Expected no files before bootstrap")
        const env = yield* AppConfig.config
        const named = own.database.pipe(
          Option.orElse(() => outer.database),
          Option.orElse(() => env.database)
        )
        const database = AppConfig.databaseFor(named, "real")
        if (database === ":memory:") {
          return yield* refused("Expected --database FILE: what is in memory is gone when this command ends")
        }
        yield* bootstrap({ database, user: own.user })
      })
  ).pipe(
    Command.withDescription(
      "Creates an admin in the database of a controller that does not run now, and prints a token of that admin: alone on standard output, " +
        "and never again. For an admin that exists it is one more token."
    )
  )
  return Command.withSubcommands(main, [simulate, first])
}

const descriptor = command(() => Effect.void).descriptor

/**
 * What is like a word of a client's, where a controller's first file would be; undefined: it may be a file. To be asked where there is no file of
 * that name.
 *
 * @since 0.9.0 @category conversions
 */
export const misspelt = ([first = "", second = ""]: ReadonlyArray<string>): string | undefined => {
  if (!/^[a-z][a-z-]*$/.test(first) || controllers.some((word) => word === first)) return undefined
  const meant = Flags.nearest(first, words)
  if (meant === undefined) return undefined
  const whole = /^[a-z][a-z-]*$/.test(second) ? `${meant} ${second}` : meant
  return `there is no command ${first}, and no file of that name: did you mean ${whole}? (vmfabric --help)`
}

/** What is wrong with the flags in a controller's words, before and after its command; undefined: nothing. @since 0.8.0 @category conversions */
export const problem = (args: ReadonlyArray<string>): string | undefined => {
  const subcommands = CommandDescriptor.getSubcommands(descriptor)
  const flags = Flags.of(CommandDescriptor.getUsage(descriptor))
  const at = Flags.positions(flags, args)[0] ?? args.length
  const name = args[at] ?? ""
  return Option.match(HashMap.get(subcommands, name), {
    onNone: () => {
      const found = Flags.problem(flags, args)
      return found === undefined ? undefined : `${found} (vmfabric --help)`
    },
    onSome: (subcommand) => {
      const own = Flags.of(CommandDescriptor.getUsage(subcommand))
      const after = args.slice(at + 1)
      const stray = after[Flags.positions(own, after)[0] ?? after.length]
      const found =
        Flags.problem(flags, args.slice(0, at)) ??
        Flags.problem(own, after) ??
        (stray === undefined ? undefined : `${JSON.stringify(stray)} is not known here`)
      return found === undefined ? undefined : `${found} (vmfabric ${name} --help)`
    }
  })
}
