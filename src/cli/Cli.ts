/**
 * The `vmfabric` command line: what may be said, not what is done about it.
 *
 * @since 0.1.0
 */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as Options from "@effect/cli/Options"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type * as Either from "effect/Either"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as AppConfig from "../config/AppConfig.ts"
import type { InputPaths } from "../config/InputFiles.ts"
import type { InvalidArgument } from "../domain/Errors.ts"

/** What was asked for. `files` none: the simulated fleet. @since 0.1.0 @category models */
export interface Settings {
  readonly files: Option.Option<InputPaths>
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
  // the library's own flag of this name is only found before all others
  logLevel: setting(
    "log-level",
    "LEVEL",
    `The least that is logged: ${AppConfig.logLevels.join(", ")}. Default info. [VMFABRIC_LOG_LEVEL]`,
    AppConfig.parseLogLevel
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

/**
 * The command. `run` gets what the flags say, else the environment, else the defaults.
 *
 * @since 0.1.0 @category commands
 */
export const command = <E, R>(run: (settings: Settings) => Effect.Effect<void, E, R>) =>
  Command.make("vmfabric", { files, ...options }, ({ database, files, knownHosts, listen, logLevel, sshKey }) =>
    Effect.flatMap(AppConfig.config, (env) =>
      run({
        files,
        config: {
          listen: Option.getOrElse(listen, () => env.listen),
          database: Option.orElse(database, () => env.database),
          sshKey: Option.orElse(sshKey, () => env.sshKey),
          knownHosts: Option.getOrElse(knownHosts, () => env.knownHosts),
          logLevel: Option.getOrElse(logLevel, () => env.logLevel)
        }
      }).pipe(Option.isSome(logLevel) ? Logger.withMinimumLogLevel(logLevel.value) : identity)
    )
  ).pipe(
    Command.withDescription(
      "Serves the REST API of a fabric of servers with sshd and libvirt. Each flag can also be given by the environment variable in " +
        "brackets. There are also --help, --version and --completions sh|bash|fish|zsh."
    )
  )
