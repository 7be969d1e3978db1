/**
 * All commands of a client: how their words are read, their help, and how they are run.
 *
 * @since 0.5.0
 */
import type * as CliApp from "@effect/cli/CliApp"
import * as CliConfig from "@effect/cli/CliConfig"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import packageJson from "../../package.json" with { type: "json" }
import * as Accounts from "./Accounts.ts"
import * as Backup from "./Backup.ts"
import * as Cli from "./Cli.ts"
import * as Completions from "./Completions.ts"
import * as Consoles from "./Consoles.ts"
import * as Drift from "./Drift.ts"
import * as Events from "./Events.ts"
import { document, exit, lines, Refused, type Failure, statuses, statusOf } from "./Failure.ts"
import * as Flags from "./Flags.ts"
import * as Help from "./Help.ts"
import * as Hosts from "./Hosts.ts"
import * as Images from "./Images.ts"
import * as Networks from "./Networks.ts"
import * as Operations from "./Operations.ts"
import * as Placements from "./Placements.ts"
import * as Rebalancing from "./Rebalancing.ts"
import { Screen } from "./Screen.ts"
import type { Needs } from "./Session.ts"
import * as Settings from "./Settings.ts"
import * as Ssh from "./Ssh.ts"
import * as Text from "./Text.ts"
import * as Verb from "./Verb.ts"
import * as Vms from "./Vms.ts"
import * as Volumes from "./Volumes.ts"
import * as Webhooks from "./Webhooks.ts"
import { connecting, controllers } from "./Words.ts"

/** @since 0.5.0 @category constants */
export const nouns: ReadonlyArray<Verb.Noun> = [
  Vms.noun,
  Networks.nic,
  Networks.network,
  Volumes.noun,
  Volumes.snapshot,
  Hosts.noun,
  Images.noun,
  Hosts.type,
  Hosts.pool,
  Placements.fits,
  Rebalancing.noun,
  Operations.noun,
  Events.noun,
  Drift.noun,
  Drift.foreign,
  Webhooks.noun,
  Consoles.consoleNoun,
  Consoles.vncNoun,
  Ssh.noun,
  Accounts.user,
  Accounts.token,
  Events.audit,
  Accounts.login,
  Accounts.logout,
  Accounts.whoami,
  Backup.noun,
  Settings.noun
]

/** One that needs no verb beside its noun. */
const alone = ({ name, verbs }: Verb.Noun): Verb.Verb | undefined => (verbs[0]?.name === name ? verbs[0] : undefined)

// ------------------------------------------------------------------------------------------------------------------ words

/** What was asked for: a command with its words in the order the library takes them, or help. @since 0.5.0 @category models */
export type Asked =
  | { readonly _tag: "Run"; readonly path: string; readonly verb: Verb.Verb; readonly args: ReadonlyArray<string> }
  | { readonly _tag: "Help"; readonly noun: Verb.Noun | null }
  | {
      readonly _tag: "HelpOfController"
      readonly name: string
      readonly descriptor: CommandDescriptor.Command<unknown>
    }
  | { readonly _tag: "Version" }
  | { readonly _tag: "Completions"; readonly shell: string }
  | { readonly _tag: "Wrong"; readonly message: string }

/** `help`: where words are looked up. */
const near = (word: string, known: ReadonlyArray<string>, help: string): string => {
  const found = word === "help" ? help : Flags.nearest(word, known)
  return found === undefined ? `there are ${known.join(", ")}` : `did you mean ${found}?`
}

const isHelp = (word: string | undefined) => word === "--help" || word === "-h"

const noCommand = (word: string, known: ReadonlyArray<string>): string =>
  word === ""
    ? "what is to be done is missing"
    : word.startsWith("-")
      ? `there is no flag ${word} before a command`
      : `there is no command ${JSON.stringify(word)}: ${near(word, [...known, ...controllers], "vmfabric --help")}`

/** Without a noun: of the whole program, or of what a controller is started with. */
const helpOf = (words: ReadonlyArray<string>): Asked => {
  const name = words.find((word) => controllers.some((controller) => word === controller))
  const descriptor = name === undefined ? undefined : HashMap.get(CommandDescriptor.getSubcommands(server), name)
  return name === undefined || descriptor === undefined || Option.isNone(descriptor)
    ? { _tag: "Help", noun: null }
    : { _tag: "HelpOfController", name, descriptor: descriptor.value }
}

/** Flags, each with its value, before all else: the library knows none after the first other word. */
const arranged = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const flags: Array<string> = []
  const others: Array<string> = []
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? ""
    if (word === "--") {
      others.push(...args.slice(index + 1))
      break
    }
    if (!word.startsWith("-") || word === "-") {
      others.push(word)
      continue
    }
    const short = /^-o(.+)$/.exec(word)?.[1]
    if (short !== undefined) {
      flags.push("-o", short.replace(/^=/, ""))
      continue
    }
    const equals = word.startsWith("--") ? word.indexOf("=") : -1
    const isSwitch = Verb.switches.some((name) => word === `--${name}` || word.startsWith(`--${name}=`))
    if (equals !== -1 && !isSwitch) {
      flags.push(word.slice(0, equals), word.slice(equals + 1))
      continue
    }
    flags.push(word)
    const value = args[index + 1]
    if (isSwitch || isHelp(word) || value === undefined) continue
    flags.push(value)
    index += 1
  }
  return others.length === 0 ? flags : [...flags, "--", ...others]
}

/** Flags that stand before the noun, and all else. */
const leading = (args: ReadonlyArray<string>): readonly [flags: ReadonlyArray<string>, rest: ReadonlyArray<string>] => {
  let index = 0
  while (index < args.length) {
    const word = args[index] ?? ""
    if (connecting.includes(word)) index += 2
    else if (connecting.some((flag) => word.startsWith(`${flag}=`))) index += 1
    else break
  }
  return [args.slice(0, index), args.slice(index)]
}

/** @since 0.5.0 @category conversions */
export const read = (all: ReadonlyArray<string>): Asked => {
  const [flags, [first = "", ...rest]] = leading(all)
  if (isHelp(first)) return { _tag: "Help", noun: null }
  if (all.some(isHelp) && (first.startsWith("-") || controllers.some((controller) => controller === first)))
    return helpOf(all)
  if (first === "--version") return { _tag: "Version" }
  if (first === "--completions") return { _tag: "Completions", shell: rest[0] ?? "" }
  if (first.startsWith("--completions=")) return { _tag: "Completions", shell: first.slice("--completions=".length) }
  const noun = nouns.find(({ name }) => name === first)
  const known = nouns.map(({ name }) => name)
  if (noun === undefined) {
    // one word may have been meant as a file
    const files =
      rest.length > 0 ? "" : "; a controller takes three files, physicalMachine_file image_file vm_types, or none"
    return { _tag: "Wrong", message: noCommand(first, known) + files }
  }
  const single = alone(noun)
  if (single !== undefined) return { _tag: "Run", path: noun.name, verb: single, args: arranged([...flags, ...rest]) }
  const [more, [second = "", ...others]] = leading(rest)
  if (isHelp(second)) return { _tag: "Help", noun }
  const verb = noun.verbs.find(({ name }) => name === second)
  if (verb === undefined) {
    const verbs = noun.verbs.map(({ name }) => name)
    const problem =
      second === ""
        ? `what is to be done with ${noun.name} is missing`
        : `${noun.name} has no ${JSON.stringify(second)}`
    return { _tag: "Wrong", message: `${problem}: ${near(second, verbs, `vmfabric ${noun.name} --help`)}` }
  }
  return { _tag: "Run", path: `${noun.name} ${verb.name}`, verb, args: arranged([...flags, ...more, ...others]) }
}

// ------------------------------------------------------------------------------------------------------------------- help

const server = Cli.command(() => Effect.void).descriptor

/** Everything in one tree, for the shells. */
const whole = () => {
  const [first, ...rest] = nouns.map((noun) => {
    const single = alone(noun)
    if (single !== undefined) return [noun.name, single.descriptor] as const
    const [verb, ...verbs] = noun.verbs.map(({ descriptor, name }) => [name, descriptor] as const)
    const parent = CommandDescriptor.make(noun.name).pipe(CommandDescriptor.withDescription(noun.about))
    return [
      noun.name,
      verb === undefined ? parent : CommandDescriptor.withSubcommands(parent, [verb, ...verbs])
    ] as const
  })
  const ofServer = [...HashMap.entries(CommandDescriptor.getSubcommands(server))]
  const root = CommandDescriptor.make("vmfabric")
  return first === undefined ? root : CommandDescriptor.withSubcommands(root, [first, ...rest, ...ofServer])
}

const rows = (pairs: ReadonlyArray<readonly [string, string]>): HelpDoc.HelpDoc => {
  const width = Math.max(...pairs.map(([name]) => name.length))
  const [first = HelpDoc.empty, ...rest] = pairs.map(([name, about]) => HelpDoc.p(`${name.padEnd(width)}  ${about}`))
  return HelpDoc.enumeration([first, ...rest])
}

const section = (title: string, ...blocks: ReadonlyArray<HelpDoc.HelpDoc>) =>
  blocks.reduce((before, block) => HelpDoc.sequence(before, block), HelpDoc.h1(title))

/** Of all commands. */
const manual = () =>
  HelpDoc.blocks([
    HelpDoc.h1("vmfabric"),
    HelpDoc.p(`vmfabric ${packageJson.version}`),
    section(
      "USAGE",
      HelpDoc.p("$ vmfabric NOUN VERB [...]    asks a controller"),
      HelpDoc.p("$ vmfabric [...] [physicalMachine_file image_file vm_types]    is a controller, and serves"),
      HelpDoc.p("$ vmfabric simulate [...]    serves a simulated fleet"),
      HelpDoc.p("$ vmfabric bootstrap [...]    creates the first admin")
    ),
    section(
      "NOUNS AND THEIR VERBS",
      rows(
        nouns.map((noun) => [
          noun.name,
          alone(noun) === undefined ? `${noun.verbs.map(({ name }) => name).join(", ")}: ${noun.about}` : noun.about
        ])
      ),
      HelpDoc.p(
        "vmfabric NOUN --help and vmfabric NOUN VERB --help tell more; so do vmfabric simulate --help and vmfabric bootstrap --help."
      ),
      HelpDoc.p(
        "Things are meant by id or name: a whole number is an id, all else a name; id:7 and name:7 say which it is. What changes something waits " +
          "for its end; --no-wait does not."
      )
    ),
    section(
      "WHICH CONTROLLER",
      HelpDoc.p(
        "By --url or --context, else by VMFABRIC_URL or VMFABRIC_CONTEXT, else the current context of ~/.config/vmfabric/contexts.json " +
          "(XDG_CONFIG_HOME is heeded), else http://127.0.0.1:8080. Tokens are in the context (vmfabric login), in VMFABRIC_TOKEN, or in the " +
          "file of --token-file."
      )
    ),
    section("EXIT STATUS", rows(statuses.map(([status, meaning]) => [String(status), meaning]))),
    section(
      "THE CONTROLLER ITSELF",
      Help.tidied(CommandDescriptor.getHelp(server, CliConfig.make({ showBuiltIns: false })))
    )
  ])

const ofNoun = ({ about, name, verbs }: Verb.Noun) =>
  HelpDoc.blocks([
    HelpDoc.h1(`vmfabric ${name}`),
    HelpDoc.p(about),
    section("VERBS", rows(verbs.map((verb) => [verb.name, verb.about]))),
    HelpDoc.p(`vmfabric ${name} VERB --help tells more.`)
  ])

// -------------------------------------------------------------------------------------------------------------------- run

const wordsOf = (error: ValidationError.ValidationError, asked: Asked) => {
  const text = Help.uncoloured(HelpDoc.toAnsiText(error.error)).replace(/\s+/g, " ").trim().replace(/\.$/, "")
  const missing = /^Missing argument <(.+)>$/.exec(text)?.[1]
  if (missing === undefined || asked._tag !== "Run") return text
  // one that may be meant for it is a flag of every command
  const url = asked.args.includes("--url") ? "; --url is the address of the controller" : ""
  return `${missing} is missing: expected vmfabric ${asked.path} ${missing.toUpperCase()}${url}`
}

const asksForJson = (args: ReadonlyArray<string>) =>
  args.some(
    (word, index) =>
      /^(-o=?|--output=)json$/.test(word) || (word === "json" && /^(-o|--output)$/.test(args[index - 1] ?? ""))
  )

const tell = (failure: Failure, json: boolean) =>
  Effect.flatMap(Screen, ({ err }) =>
    err(
      json
        ? `${Text.plainLines(JSON.stringify(document(failure), null, 2))}\n`
        : `vmfabric: ${lines(failure).join("\n")}\n`
    )
  )

const config = CliConfig.make({ showBuiltIns: false, isCaseSensitive: true })

/** What may be typed: the program, its nouns and what each of them takes. */
const commands = (): ReadonlyArray<Completions.Command> => {
  const leaf = (path: string, descriptor: CommandDescriptor.Command<unknown>): Completions.Command => ({
    path,
    flags: Flags.of(CommandDescriptor.getUsage(descriptor)),
    next: []
  })
  return [
    { ...leaf("", server), next: [...nouns.map(({ name }) => name), ...controllers] },
    ...HashMap.toEntries(CommandDescriptor.getSubcommands(server)).map(([name, descriptor]) => leaf(name, descriptor)),
    ...nouns.flatMap((noun) => {
      const single = alone(noun)
      if (single !== undefined) return [leaf(noun.name, single.descriptor)]
      return [
        { path: noun.name, flags: [], next: noun.verbs.map(({ name }) => name) },
        ...noun.verbs.map(({ descriptor, name }) => leaf(`${noun.name} ${name}`, descriptor))
      ]
    })
  ]
}

const completions = (shell: string) => {
  switch (shell) {
    case "sh":
    case "bash":
      return Effect.succeed(Completions.bash(commands()))
    case "fish":
      return Effect.map(CommandDescriptor.getFishCompletions(whole(), "vmfabric"), Completions.trimmed)
    case "zsh":
      return Effect.map(CommandDescriptor.getZshCompletions(whole(), "vmfabric"), Completions.trimmed)
    default:
      return new Refused({ why: "usage", message: "--completions: expected sh, bash, fish or zsh" })
  }
}

const ofCommand = (path: string, descriptor: CommandDescriptor.Command<unknown>) => {
  const usage = Help.usage(CommandDescriptor.getUsage(descriptor))
  return HelpDoc.blocks([
    HelpDoc.h1(`vmfabric ${path}`),
    section("USAGE", HelpDoc.p(`$ vmfabric ${path.slice(0, path.lastIndexOf(" ") + 1)}${usage}`)),
    Help.tidied(CommandDescriptor.getHelp(descriptor, config))
  ])
}

const print = (doc: HelpDoc.HelpDoc) =>
  Effect.flatMap(Screen, ({ colour, out }) => {
    const text = HelpDoc.toAnsiText(doc)
    return out(`${(colour ? text : Help.uncoloured(text)).trimEnd()}\n`)
  })

const perform = (
  asked: Asked
): Effect.Effect<void, Failure | ValidationError.ValidationError, Needs | Screen | CliApp.CliApp.Environment> =>
  Effect.gen(function* () {
    const { out } = yield* Screen
    switch (asked._tag) {
      case "Help":
        return yield* print(asked.noun === null ? manual() : ofNoun(asked.noun))
      case "HelpOfController":
        return yield* print(ofCommand(asked.name, asked.descriptor))
      case "Version":
        return yield* out(`${packageJson.version}\n`)
      case "Completions":
        return yield* out(`${(yield* completions(asked.shell)).join("\n")}\n`)
      case "Wrong":
        return yield* new Refused({ why: "usage", message: `${asked.message} (vmfabric --help)` })
      case "Run": {
        if (asked.args.some(isHelp)) return yield* print(ofCommand(asked.path, asked.verb.descriptor))
        // the library would take a flag it does not know for an argument
        const usage = CommandDescriptor.getUsage(asked.verb.descriptor)
        const [noun = ""] = asked.path.split(" ")
        const problem = Flags.problem(Flags.of(usage), asked.args, Flags.bareOf(usage), noun)
        if (problem !== undefined)
          return yield* new Refused({ why: "usage", message: `${problem} (vmfabric ${asked.path} --help)` })
        const parsed = yield* CommandDescriptor.parse(asked.verb.descriptor, [asked.verb.name, ...asked.args], config)
        const unknown = parsed._tag === "BuiltIn" ? parsed._tag : parsed.leftover.find((word) => word !== "--")
        if (unknown !== undefined || parsed._tag === "BuiltIn") {
          return yield* new Refused({
            why: "usage",
            message: `${JSON.stringify(unknown)} is not known here (vmfabric ${asked.path} --help)`
          })
        }
        return yield* parsed.value
      }
    }
  })

/** Runs a command to its exit status; what went wrong is told on standard error. @since 0.5.0 @category programs */
export const run = (
  args: ReadonlyArray<string>
): Effect.Effect<number, never, Needs | Screen | CliApp.CliApp.Environment> =>
  Effect.gen(function* () {
    const asked = read(args)
    const known = asked._tag === "Run" ? ` (vmfabric ${asked.path} --help)` : ""
    return yield* perform(asked).pipe(
      Effect.as<number>(exit.done),
      Effect.catchAll((error) => {
        const failure: Failure = ValidationError.isValidationError(error)
          ? new Refused({ why: "usage", message: `${wordsOf(error, asked)}${known}` })
          : error
        const told = failure._tag === "Ended" ? Effect.void : tell(failure, asksForJson(args))
        return Effect.as(told, statusOf(failure))
      })
    )
  })
