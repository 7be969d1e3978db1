/**
 * The controller's settings. Each can be given on the command line, else in the environment (`VMFABRIC_LISTEN`, …), else it has a
 * default.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { isIPv4, isIPv6 } from "node:net"
import { homedir } from "node:os"
import { resolve } from "node:path"
import { InvalidArgument } from "../domain/Errors.ts"
import { defaultPolicies, DriftKind, type DriftPolicies, DriftPolicy } from "../domain/Drift.ts"
import type { HostAddress } from "../domain/Host.ts"
import * as Addresses from "./Addresses.ts"
import * as InputFiles from "./InputFiles.ts"
import * as LocatedJson from "./LocatedJson.ts"

/** Where the HTTP server listens; port 0: any that is free. An IPv6 address stands without brackets. @since 0.1.0 @category models */
export interface Listen {
  readonly host: string
  readonly port: number
}

/** @since 0.1.0 @category services */
export class AppConfig extends Context.Tag("vmfabric/AppConfig")<
  AppConfig,
  {
    readonly listen: Listen
    /** names, beside addresses, by which clients may call the controller; in lower case */
    readonly publicNames: ReadonlyArray<string>
    /** the server's certificate, PEM; none: no TLS */
    readonly tlsCert: Option.Option<string>
    /** the certificate's key, PEM */
    readonly tlsKey: Option.Option<string>
    /** requests a second that one user may make, twice as many at once */
    readonly rateLimit: number
    /** an SQLite file or `:memory:`; none: `databaseFor` decides */
    readonly database: Option.Option<string>
    /** the private key that hosts know; none: the SSH agent and the usual files in ~/.ssh */
    readonly sshKey: Option.Option<string>
    readonly knownHosts: string
    readonly logLevel: LogLevel.LogLevel
    /** `text`: with colours on a terminal, else logfmt */
    readonly logFormat: "text" | "json"
    /** the Ceph pool that keeps root disks and volumes; none: folders on the hosts do */
    readonly cephPool: Option.Option<string>
    /** the cephx client, without the `client.` before it */
    readonly cephClient: string
    /** Ceph's configuration on the machine where Ceph's commands run */
    readonly cephConf: string
    /** the machine where Ceph's commands run; none: this one */
    readonly cephHost: Option.Option<HostAddress>
    /** how many times the pool's capacity may be promised */
    readonly cephOvercommit: number
    /** for how long a destroyed volume can be had back; zero: not at all */
    readonly undoWindow: Duration.Duration
    /** what is done where a VM on its host is not what it should be */
    readonly drift: DriftPolicies
    /** addresses that are not public, and yet webhooks may lead there */
    readonly webhookAllow: ReadonlyArray<Addresses.AddressRange>
    /** where images are kept that are added by requests; none: `imageFolderFor` decides */
    readonly imageDir: Option.Option<string>
    /** folders from whose files images may be made */
    readonly imagePaths: ReadonlyArray<string>
    /** addresses that are not public, and yet images may be fetched from there */
    readonly imageAllow: ReadonlyArray<Addresses.AddressRange>
    /** where a collector takes OTLP over HTTP, without `/v1/traces`; none: nothing is traced */
    readonly otlpEndpoint: Option.Option<string>
    /** for how long it goes on serving, not ready, once it was told to stop; none: `drainOf` decides */
    readonly drain: Option.Option<Duration.Duration>
  }
>() {}

/** @since 0.1.0 @category defaults */
export const defaults: AppConfig["Type"] = {
  listen: { host: "127.0.0.1", port: 8080 },
  publicNames: [],
  tlsCert: Option.none(),
  tlsKey: Option.none(),
  rateLimit: 1000,
  database: Option.none(),
  sshKey: Option.none(),
  knownHosts: `${homedir()}/.ssh/known_hosts`,
  logLevel: LogLevel.Info,
  logFormat: "text",
  cephPool: Option.none(),
  cephClient: "libvirt",
  cephConf: "/etc/ceph/ceph.conf",
  cephHost: Option.none(),
  cephOvercommit: 1,
  undoWindow: Duration.hours(24),
  drift: defaultPolicies,
  webhookAllow: [],
  imageDir: Option.none(),
  imagePaths: [],
  imageAllow: [],
  otlpEndpoint: Option.none(),
  drain: Option.none()
}

/**
 * The database to open: the one that was named, else a file in the current folder for real machines, and memory for the simulated
 * fleet, which is gone itself when the process ends.
 *
 * @since 0.1.0 @category defaults
 */
export const databaseFor = (named: Option.Option<string>, fleet: "real" | "simulated"): string =>
  Option.getOrElse(named, () => (fleet === "real" ? "vmfabric.sqlite" : ":memory:"))

/**
 * Where images are kept that are added by requests: the folder that was named, else one beside the database; null: nowhere, for the database is in
 * memory.
 *
 * @since 0.7.0 @category defaults
 */
export const imageFolderFor = (named: Option.Option<string>, database: string): string | null =>
  Option.match(named, {
    onSome: (folder) => resolve(folder),
    onNone: () => (database === ":memory:" ? null : resolve(`${database}.images`))
  })

/**
 * For how long it goes on serving once it was told to stop, so that balancers see that it is not ready: where only this machine can connect there are
 * none.
 *
 * @since 0.5.0 @category getters
 */
export const drainOf = ({ drain, listen }: AppConfig["Type"]): Duration.Duration =>
  Option.getOrElse(drain, () => (isLoopback(listen) ? Duration.zero : Duration.seconds(5)))

/** Certificate and key; null: no TLS. One without the other is of no use. @since 0.4.0 @category getters */
export const tlsOf = ({
  tlsCert,
  tlsKey
}: AppConfig["Type"]): Parsed<{ readonly cert: string; readonly key: string } | null> => {
  if (Option.isSome(tlsCert) && Option.isSome(tlsKey)) {
    return Either.right({ cert: tlsCert.value, key: tlsKey.value })
  }
  if (Option.isNone(tlsCert) && Option.isNone(tlsKey)) return Either.right(null)
  return Either.left(
    new InvalidArgument({
      field: Option.isSome(tlsCert) ? "tls-key" : "tls-cert",
      problem: "is missing",
      expected: "--tls-cert FILE and --tls-key FILE together"
    })
  )
}

/** The pool to use and how to reach it; null: none is configured. `host` null: Ceph's commands run on this machine. @since 0.2.0 @category getters */
export const cephOf = ({ cephClient, cephConf, cephHost, cephPool }: AppConfig["Type"]) =>
  Option.match(cephPool, {
    onNone: () => null,
    onSome: (pool) => ({ pool, client: cephClient, conf: cephConf, host: Option.getOrNull(cephHost) })
  })

// --- parsing --------------------------------------------------------------------------------------------------------

type Parsed<A> = Either.Either<A, InvalidArgument>

const invalid = (field: string, text: string, expected: string) =>
  Either.left(new InvalidArgument({ field, problem: `is ${LocatedJson.quote(text)}`, expected }))

const listenForm = "host:port or [IPv6 address]:port, as in 127.0.0.1:8080"

/** `host:port` or `[IPv6 address]:port`. @since 0.1.0 @category parsing */
export const parseListen = (text: string): Parsed<Listen> => {
  const match = /^(?:\[([^[\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(text)
  if (match === null) return invalid("listen", text, listenForm)
  const [, bracketed, plain = "", digits] = match
  const port = Number(digits)
  if (port > 65535) return invalid("listen", text, `${listenForm}, with a port from 0 to 65535`)
  if (bracketed !== undefined) {
    return isIPv6(bracketed) ? Either.right({ host: bracketed, port }) : invalid("listen", text, listenForm)
  }
  // a name that ends in a number is an address, or nothing
  const named = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i.test(plain) && !/(?:^|\.)[0-9]+$/.test(plain)
  return named || isIPv4(plain) ? Either.right({ host: plain, port }) : invalid("listen", text, listenForm)
}

/** As `parseListen` reads it. @since 0.1.0 @category formatting */
export const formatListen = ({ host, port }: Listen): string => `${host.includes(":") ? `[${host}]` : host}:${port}`

/** Whether only this machine can connect. @since 0.1.0 @category predicates */
export const isLoopback = ({ host }: Listen): boolean =>
  (isIPv4(host) && host.startsWith("127.")) ||
  (isIPv6(host) && new URL(`http://[${host}]`).hostname === "[::1]") ||
  host.toLowerCase() === "localhost"

/** A host name, or an address; an IPv6 address in brackets. */
const publicName = /^(?:(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9])?|\[[0-9a-f:.]+\])$/

/** Names with commas between them, in any case. @since 0.4.0 @category parsing */
export const parseNames =
  (field: string) =>
  (text: string): Parsed<ReadonlyArray<string>> => {
    const names = text.toLowerCase().split(",")
    return names.every((name) => publicName.test(name))
      ? Either.right(names)
      : invalid(field, text, "host names with commas between them, without ports, as in fabric.example.com,fabric")
  }

/** A whole number from 1 to 1,000,000. @since 0.4.0 @category parsing */
export const parseRate =
  (field: string) =>
  (text: string): Parsed<number> => {
    const rate = /^[0-9]{1,7}$/.test(text) ? Number(text) : 0
    return rate >= 1 && rate <= 1_000_000
      ? Either.right(rate)
      : invalid(field, text, "a whole number of requests a second, from 1 to 1000000")
  }

/** A path of an SQLite file, or `:memory:`. @since 0.1.0 @category parsing */
export const parseDatabase = (text: string): Parsed<string> =>
  text === "" || /\0/.test(text) || /^[a-z][a-z0-9+.-]*:\/\//i.test(text) || /^file:/i.test(text)
    ? invalid("database", text, "the path of an SQLite file, or :memory:")
    : Either.right(text === ":memory:" ? text : expandHome(text))

/** A path; `~/` at its start is the home folder, also where no shell has replaced it (a unit file). @since 0.1.0 @category parsing */
export const parsePath =
  (field: string) =>
  (text: string): Parsed<string> =>
    text === "" || /\0/.test(text) ? invalid(field, text, "the path of a file") : Either.right(expandHome(text))

/** Full paths of folders, with commas between them. @since 0.7.0 @category parsing */
export const parseFolders =
  (field: string) =>
  (text: string): Parsed<ReadonlyArray<string>> => {
    const folders = text.split(",").map(expandHome)
    return folders.every((folder) => /^\/[^\0]*$/.test(folder))
      ? Either.right(folders.map((folder) => resolve(folder)))
      : invalid(field, text, "full paths of folders with commas between them, as in /srv/images,/mnt/images")
  }

const expandHome = (path: string): string => (path.startsWith("~/") ? homedir() + path.slice(1) : path)

/** The names `parseLogLevel` knows. @since 0.1.0 @category constants */
export const logLevels = ["all", "trace", "debug", "info", "warning", "error", "fatal", "none"] as const

/** One of `logLevels`, in any case. @since 0.1.0 @category parsing */
export const parseLogLevel = (text: string): Parsed<LogLevel.LogLevel> => {
  const name = text.toLowerCase()
  const level = LogLevel.allLevels.find(
    ({ _tag }) => _tag.toLowerCase() === name && logLevels.some((known) => known === name)
  )
  return level === undefined ? invalid("log level", text, logLevels.join(", ")) : Either.right(level)
}

/** `text` or `json`. @since 0.4.0 @category parsing */
export const parseLogFormat = (text: string): Parsed<AppConfig["Type"]["logFormat"]> =>
  text === "text" || text === "json" ? Either.right(text) : invalid("log format", text, "text or json")

/** As Ceph allows names on its own command lines, and none that is taken for an option. */
const cephName = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/

/** A pool's or client's name. @since 0.2.0 @category parsing */
export const parseCephName =
  (field: string) =>
  (text: string): Parsed<string> =>
    cephName.test(text) ? Either.right(text) : invalid(field, text, "a name of letters, digits, _ . and -")

/** `user@host[:port]`. @since 0.2.0 @category parsing */
export const parseHost =
  (field: string) =>
  (text: string): Parsed<HostAddress> =>
    Either.mapLeft(
      InputFiles.parseAddress(text),
      ({ expected, problem }) => new InvalidArgument({ field, problem, expected })
    )

/** A number from 0.1 to 1000. @since 0.2.0 @category parsing */
export const parseRatio =
  (field: string) =>
  (text: string): Parsed<number> => {
    const ratio = /^[0-9]{1,4}(\.[0-9]{1,6})?$/.test(text) ? Number(text) : Number.NaN
    return ratio >= 0.1 && ratio <= 1000
      ? Either.right(ratio)
      : invalid(field, text, "a number from 0.1 to 1000, as in 1.5")
  }

const units: Readonly<Record<string, Duration.Duration>> = {
  s: Duration.seconds(1),
  m: Duration.minutes(1),
  h: Duration.hours(1),
  d: Duration.days(1)
}

/** A whole number with its unit, `90s`, `30m`, `24h`, `7d`, or `0`; a year at most. @since 0.2.0 @category parsing */
export const parseWindow =
  (field: string) =>
  (text: string): Parsed<Duration.Duration> => {
    const match = /^([0-9]{1,9})([smhd])$/.exec(text)
    const unit = units[match?.[2] ?? ""]
    const window =
      text === "0" ? Duration.zero : unit === undefined ? undefined : Duration.times(unit, Number(match?.[1]))
    return window !== undefined && Duration.lessThanOrEqualTo(window, Duration.days(366))
      ? Either.right(window)
      : invalid(field, text, "0, or a time of at most a year as in 90s, 30m, 24h or 7d")
  }

/** As `parseWindow`, ten minutes at most. @since 0.5.0 @category parsing */
export const parseDrain =
  (field: string) =>
  (text: string): Parsed<Duration.Duration> => {
    const window = parseWindow(field)(text)
    return Either.isRight(window) && Duration.lessThanOrEqualTo(window.right, Duration.minutes(10))
      ? window
      : invalid(field, text, "0, or a time of at most 10 minutes as in 10s or 1m")
  }

const isKind = Schema.is(DriftKind)
const isPolicy = Schema.is(DriftPolicy)

/** `KIND=POLICY`, several with commas between them; what is not named is reported. @since 0.3.0 @category parsing */
export const parseDrift =
  (field: string) =>
  (text: string): Parsed<DriftPolicies> => {
    let policies = defaultPolicies
    for (const word of text.split(",")) {
      const [kind, policy, ...more] = word.split("=")
      if (!isKind(kind) || !isPolicy(policy) || more.length > 0) {
        const kinds = DriftKind.literals.join(", ")
        return invalid(
          field,
          text,
          `KIND=POLICY, several with commas between them: kinds are ${kinds}, policies ${DriftPolicy.literals.join(", ")}`
        )
      }
      policies = { ...policies, [kind]: policy }
    }
    return Either.right(policies)
  }

/** The URL of a collector, without what opens it: that is in `OTEL_EXPORTER_OTLP_HEADERS`. @since 0.5.0 @category parsing */
export const parseCollector =
  (field: string) =>
  (text: string): Parsed<string> => {
    const url = URL.canParse(text) ? new URL(text) : null
    // the text is not shown then
    if (url !== null && url.username + url.password + url.search !== "") {
      return Either.left(
        new InvalidArgument({
          field,
          problem: "has more than a place in it",
          expected: "a URL as in http://localhost:4318, and what opens it in OTEL_EXPORTER_OTLP_HEADERS"
        })
      )
    }
    return url !== null && /^https?:$/.test(url.protocol) && url.hash === ""
      ? Either.right(text)
      : invalid(field, text, "a URL as in http://localhost:4318")
  }

// --- from the environment -------------------------------------------------------------------------------------------

const parsed = <A>(key: string, parse: (text: string) => Parsed<A>): Config.Config<A> =>
  Config.string(key).pipe(
    Config.mapOrFail((text) =>
      Either.mapLeft(parse(text), (error) =>
        ConfigError.InvalidData([], `VMFABRIC_${key} ${error.problem}: expected ${error.expected}`)
      )
    )
  )

/** `VMFABRIC_LISTEN` @since 0.1.0 @category config */
export const listen = parsed("LISTEN", parseListen).pipe(
  Config.withDescription("where the HTTP server listens, host:port"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_PUBLIC_NAME` @since 0.4.0 @category config */
export const publicNames = parsed("PUBLIC_NAME", parseNames("public name")).pipe(
  Config.withDescription("names, beside addresses, by which clients may call the controller"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_TLS_CERT` @since 0.4.0 @category config */
export const tlsCert = parsed("TLS_CERT", parsePath("TLS certificate")).pipe(
  Config.withDescription("the server's certificate, PEM"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_TLS_KEY` @since 0.4.0 @category config */
export const tlsKey = parsed("TLS_KEY", parsePath("TLS key")).pipe(
  Config.withDescription("the certificate's key, PEM"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_RATE_LIMIT` @since 0.4.0 @category config */
export const rateLimit = parsed("RATE_LIMIT", parseRate("rate limit")).pipe(
  Config.withDescription("requests a second that one user may make"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_DATABASE` @since 0.1.0 @category config */
export const database = parsed("DATABASE", parseDatabase).pipe(
  Config.withDescription("the path of an SQLite file, or :memory:"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_SSH_KEY` @since 0.1.0 @category config */
export const sshKey = parsed("SSH_KEY", parsePath("SSH key")).pipe(
  Config.withDescription("the private key that the hosts know"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_KNOWN_HOSTS` @since 0.1.0 @category config */
export const knownHosts = parsed("KNOWN_HOSTS", parsePath("known hosts")).pipe(
  Config.withDescription("the file with the hosts' public keys"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_LOG_LEVEL` @since 0.1.0 @category config */
export const logLevel = parsed("LOG_LEVEL", parseLogLevel).pipe(
  Config.withDescription(`the least level that is logged: ${logLevels.join(", ")}`),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_LOG_FORMAT` @since 0.4.0 @category config */
export const logFormat = parsed("LOG_FORMAT", parseLogFormat).pipe(
  Config.withDescription("how the log is written: text or json"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_CEPH_POOL` @since 0.2.0 @category config */
export const cephPool = parsed("CEPH_POOL", parseCephName("ceph pool")).pipe(
  Config.withDescription("the Ceph pool that keeps root disks and volumes"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_CEPH_CLIENT` @since 0.2.0 @category config */
export const cephClient = parsed("CEPH_CLIENT", parseCephName("ceph client")).pipe(
  Config.withDescription("the cephx client that may use the pool, without client."),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_CEPH_CONF` @since 0.2.0 @category config */
export const cephConf = parsed("CEPH_CONF", parsePath("ceph conf")).pipe(
  Config.withDescription("Ceph's configuration file on the machine where its commands run"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_CEPH_HOST` @since 0.2.0 @category config */
export const cephHost = parsed("CEPH_HOST", parseHost("ceph host")).pipe(
  Config.withDescription("the machine where Ceph's commands run, user@host[:port]"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_CEPH_OVERCOMMIT` @since 0.2.0 @category config */
export const cephOvercommit = parsed("CEPH_OVERCOMMIT", parseRatio("ceph overcommit")).pipe(
  Config.withDescription("how many times the pool's capacity may be promised"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_UNDO_WINDOW` @since 0.2.0 @category config */
export const undoWindow = parsed("UNDO_WINDOW", parseWindow("undo window")).pipe(
  Config.withDescription("for how long a destroyed volume can be had back"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_DRIFT` @since 0.3.0 @category config */
export const drift = parsed("DRIFT", parseDrift("drift")).pipe(
  Config.withDescription("what is done where a VM on its host is not what it should be, KIND=POLICY"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_WEBHOOK_ALLOW` @since 0.5.0 @category config */
export const webhookAllow = parsed("WEBHOOK_ALLOW", Addresses.parseRanges("webhook allow")).pipe(
  Config.withDescription("addresses and ranges that are not public, and yet webhooks may lead there"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_IMAGE_DIR` @since 0.7.0 @category config */
export const imageDir = parsed("IMAGE_DIR", parsePath("image dir")).pipe(
  Config.withDescription("where images are kept that are sent or fetched"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_IMAGE_PATH` @since 0.7.0 @category config */
export const imagePaths = parsed("IMAGE_PATH", parseFolders("image path")).pipe(
  Config.withDescription("folders from whose files images may be made"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_IMAGE_ALLOW` @since 0.7.0 @category config */
export const imageAllow = parsed("IMAGE_ALLOW", Addresses.parseRanges("image allow")).pipe(
  Config.withDescription("addresses and ranges that are not public, and yet images may be fetched from there"),
  Config.nested("VMFABRIC")
)

/** `VMFABRIC_OTLP_ENDPOINT`, else `OTEL_EXPORTER_OTLP_ENDPOINT` @since 0.5.0 @category config */
export const otlpEndpoint = parsed("OTLP_ENDPOINT", parseCollector("OTLP endpoint")).pipe(
  Config.nested("VMFABRIC"),
  Config.orElse(() =>
    Config.string("OTEL_EXPORTER_OTLP_ENDPOINT").pipe(
      Config.mapOrFail((text) =>
        Either.mapLeft(parseCollector("OTEL_EXPORTER_OTLP_ENDPOINT")(text), ({ message }) =>
          ConfigError.InvalidData([], message)
        )
      )
    )
  ),
  Config.withDescription("where a collector takes traces, OTLP over HTTP")
)

/** `VMFABRIC_DRAIN` @since 0.5.0 @category config */
export const drain = parsed("DRAIN", parseDrain("drain")).pipe(
  Config.withDescription("for how long it goes on serving once it was told to stop"),
  Config.nested("VMFABRIC")
)

/** All settings; what the provider does not have is the default, what it has and cannot be used fails. @since 0.1.0 @category config */
export const config: Config.Config<AppConfig["Type"]> = Config.all({
  listen: Config.withDefault(listen, defaults.listen),
  publicNames: Config.withDefault(publicNames, defaults.publicNames),
  tlsCert: Config.option(tlsCert),
  tlsKey: Config.option(tlsKey),
  rateLimit: Config.withDefault(rateLimit, defaults.rateLimit),
  database: Config.option(database),
  sshKey: Config.option(sshKey),
  knownHosts: Config.withDefault(knownHosts, defaults.knownHosts),
  logLevel: Config.withDefault(logLevel, defaults.logLevel),
  logFormat: Config.withDefault(logFormat, defaults.logFormat),
  cephPool: Config.option(cephPool),
  cephClient: Config.withDefault(cephClient, defaults.cephClient),
  cephConf: Config.withDefault(cephConf, defaults.cephConf),
  cephHost: Config.option(cephHost),
  cephOvercommit: Config.withDefault(cephOvercommit, defaults.cephOvercommit),
  undoWindow: Config.withDefault(undoWindow, defaults.undoWindow),
  drift: Config.withDefault(drift, defaults.drift),
  webhookAllow: Config.withDefault(webhookAllow, defaults.webhookAllow),
  imageDir: Config.option(imageDir),
  imagePaths: Config.withDefault(imagePaths, defaults.imagePaths),
  imageAllow: Config.withDefault(imageAllow, defaults.imageAllow),
  otlpEndpoint: Config.option(otlpEndpoint),
  drain: Config.option(drain)
})

/** @since 0.1.0 @category layers */
export const layer = (settings?: Partial<AppConfig["Type"]>): Layer.Layer<AppConfig> =>
  Layer.succeed(AppConfig, { ...defaults, ...settings })

/** What the environment (the current `ConfigProvider`) says, `settings` before it. @since 0.1.0 @category layers */
export const layerFromEnv = (settings?: Partial<AppConfig["Type"]>): Layer.Layer<AppConfig, ConfigError.ConfigError> =>
  Layer.effect(
    AppConfig,
    Effect.map(config, (fromEnv) => ({ ...fromEnv, ...settings }))
  )
