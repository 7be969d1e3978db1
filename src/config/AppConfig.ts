/**
 * The controller's settings. Each can be given on the command line, else in the environment (`VMFABRIC_LISTEN`, …), else it has a
 * default.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import { isIPv4, isIPv6 } from "node:net"
import { homedir } from "node:os"
import { InvalidArgument } from "../domain/Errors.ts"

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
    /** an SQLite file or `:memory:`; none: `databaseFor` decides */
    readonly database: Option.Option<string>
    /** the private key that hosts know; none: the SSH agent and the usual files in ~/.ssh */
    readonly sshKey: Option.Option<string>
    readonly knownHosts: string
    readonly logLevel: LogLevel.LogLevel
  }
>() {}

/** @since 0.1.0 @category defaults */
export const defaults: AppConfig["Type"] = {
  listen: { host: "127.0.0.1", port: 8080 },
  database: Option.none(),
  sshKey: Option.none(),
  knownHosts: `${homedir()}/.ssh/known_hosts`,
  logLevel: LogLevel.Info
}

/**
 * The database to open: the one that was named, else a file in the current folder for real machines, and memory for the simulated
 * fleet, which is gone itself when the process ends.
 *
 * @since 0.1.0 @category defaults
 */
export const databaseFor = (named: Option.Option<string>, fleet: "real" | "simulated"): string =>
  Option.getOrElse(named, () => (fleet === "real" ? "vmfabric.sqlite" : ":memory:"))

// --- parsing --------------------------------------------------------------------------------------------------------

type Parsed<A> = Either.Either<A, InvalidArgument>

const invalid = (field: string, text: string, expected: string) =>
  Either.left(new InvalidArgument({ field, problem: `is ${JSON.stringify(text)}`, expected }))

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

/** All settings; what the provider does not have is the default, what it has and cannot be used fails. @since 0.1.0 @category config */
export const config: Config.Config<AppConfig["Type"]> = Config.all({
  listen: Config.withDefault(listen, defaults.listen),
  database: Config.option(database),
  sshKey: Config.option(sshKey),
  knownHosts: Config.withDefault(knownHosts, defaults.knownHosts),
  logLevel: Config.withDefault(logLevel, defaults.logLevel)
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
