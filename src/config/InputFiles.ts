/**
 * The three input files: machines, images, VM types. Each parser is a pure function that reports every problem of its file at once.
 *
 * **Machine and image file.** One entry a line, made of words between blanks. A line may be empty; `#` at the start of a line or after a
 * blank begins a comment. `"…"` keeps blanks and `#` inside a word, anywhere in it; in quotes `\"` and `\\` stand for `"` and `\`.
 *
 * **Types file.** JSON: `{"types":[{"tid":1,"cpu":1,"ram":512,"disk":1}, …]}`.
 *
 * All are UTF-8; a byte order mark and CRLF line ends are accepted.
 *
 * @since 0.1.0
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { isIPv6 } from "node:net"
import * as Host from "../domain/Host.ts"
import * as Image from "../domain/Image.ts"
import { InstanceType } from "../domain/InstanceType.ts"
import {
  HostLabel,
  HostLabelValue,
  most,
  type Required,
  Values,
  words as placed,
  wrongRequirement
} from "../domain/Placement.ts"
import * as Network from "../domain/Network.ts"
import * as Resources from "../domain/Resources.ts"
import type { FleetConfig } from "../services/Inventory.ts"
import * as LocatedJson from "./LocatedJson.ts"

/** One thing that is wrong in an input file; `line` and `column` count from 1. @since 0.1.0 @category models */
export const InputProblem = Schema.Struct({
  file: Schema.String,
  line: Schema.optionalWith(Schema.Int, { exact: true }),
  column: Schema.optionalWith(Schema.Int, { exact: true }),
  /** what is wrong, one clause */
  problem: Schema.String,
  /** what would be right */
  expected: Schema.String
})
/** @since 0.1.0 @category models */
export type InputProblem = typeof InputProblem.Type

/** `file:line: problem: expected …` @since 0.1.0 @category formatting */
export const formatProblem = ({ column, expected, file, line, problem }: InputProblem): string =>
  `${[file, line, column].filter((part) => part !== undefined).join(":")}: ${problem}: expected ${expected}`

/** Input files that cannot be used; its message has one line for each problem (the first 100). @since 0.1.0 @category errors */
export class InputFileError extends Schema.TaggedError<InputFileError>()("InputFileError", {
  problems: Schema.NonEmptyArray(InputProblem),
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    const shown = this.problems.slice(0, 100).map(formatProblem)
    const more = this.problems.length - shown.length
    return [...shown, ...(more > 0 ? [`and ${more} more problems`] : [])].join("\n")
  }
}

type Parsed<A> = Either.Either<ReadonlyArray<A>, InputFileError>

/** An entry and where it stands. */
interface Located<A> {
  readonly line: number
  readonly value: A
}

const values = <A>(located: Parsed<Located<A>>): Parsed<A> =>
  Either.map(located, (entries) => entries.map(({ value }) => value))

const conclude = <A>(found: ReadonlyArray<A>, problems: ReadonlyArray<InputProblem>): Parsed<A> => {
  const [first, ...others] = problems
  return first === undefined ? Either.right(found) : Either.left(new InputFileError({ problems: [first, ...others] }))
}

/** quoted as JSON, so that control characters cannot act on a terminal; shortened */
const quote = (text: string): string => LocatedJson.quote(text.length > 80 ? `${text.slice(0, 79)}…` : text)

/** what one entry is found to be wrong with */
interface Fault {
  readonly problem: string
  readonly expected: string
}

// --- lines and words ------------------------------------------------------------------------------------------------

/** what looks like a blank or like nothing, and is a part of the word that it stands in */
const invisible = /(?! )[\p{Zs}\u200B\uFEFF]/u

const codeOf = (character: string): string =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`

const unseen = (character: string): Fault => ({
  problem: `there is an invisible character (${codeOf(character)})`,
  expected: "a blank in its place, or quotes around the word that it is a part of"
})

const words = (line: string): Either.Either<ReadonlyArray<string>, Fault> => {
  const control = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.exec(line.replaceAll("\t", " "))
  if (control !== null) {
    return Either.left({ problem: `there is a control character (${codeOf(control[0])})`, expected: "readable text" })
  }
  const found: Array<string> = []
  let word: string | undefined
  let quoted = false
  for (let i = 0; i < line.length; i++) {
    const c = line.charAt(i)
    if (quoted) {
      const next = line.charAt(i + 1)
      if (c === '"') quoted = false
      else if (c === "\\" && (next === '"' || next === "\\")) {
        word = (word ?? "") + next
        i++
      } else word = (word ?? "") + c
    } else if (c === '"') {
      quoted = true
      word ??= ""
    } else if (c === " " || c === "\t") {
      if (word !== undefined) found.push(word)
      word = undefined
    } else if (c === "#" && word === undefined) {
      return Either.right(found)
    } else if (invisible.test(c)) {
      return Either.left(unseen(c))
    } else word = (word ?? "") + c
  }
  if (quoted) return Either.left({ problem: "a quote is not closed", expected: 'a closing " on the same line' })
  if (word !== undefined) found.push(word)
  return Either.right(found)
}

/** as it has to be written so that `words` gives it back */
const writeWord = (word: string): string =>
  /[ \t"#]/.test(word) || invisible.test(word) || word === "" ? `"${word.replace(/["\\]/g, "\\$&")}"` : word

const withoutMark = (text: string): string => (text.startsWith("\uFEFF") ? text.slice(1) : text)

interface Entry {
  readonly line: number
  readonly words: Either.Either<readonly [string, ...Array<string>], Fault>
}

/** The lines that hold something, each as words or as the fault that keeps it from being words. */
const entries = (text: string): ReadonlyArray<Entry> =>
  withoutMark(text)
    .split("\n")
    .flatMap((line, index): ReadonlyArray<Entry> => {
      const split = words(line.endsWith("\r") ? line.slice(0, -1) : line)
      if (Either.isLeft(split)) return [{ line: index + 1, words: Either.left(split.left) }]
      const [first, ...others] = split.right
      return first === undefined ? [] : [{ line: index + 1, words: Either.right([first, ...others] as const) }]
    })

/** Splits `key=value` words; unknown and repeated keys are faults. */
const keyValues = (
  words: ReadonlyArray<string>,
  isKey: (key: string) => boolean,
  expected: string
): { readonly pairs: ReadonlyMap<string, string>; readonly faults: ReadonlyArray<Fault> } => {
  const pairs = new Map<string, string>()
  const faults: Array<Fault> = []
  for (const word of words) {
    const equals = word.indexOf("=")
    const key = equals === -1 ? word : word.slice(0, equals)
    if (equals === -1) faults.push({ problem: `${quote(word)} is not a key=value word`, expected })
    else if (!isKey(key)) faults.push({ problem: `${quote(key)} is not a key`, expected })
    else if (pairs.has(key)) faults.push({ problem: `${key} is given twice`, expected: "each key once" })
    else pairs.set(key, word.slice(equals + 1))
  }
  return { pairs, faults }
}

/** Runs `entry` on every line, collects values and problems, and refuses what `identities` says was there before. `empty` null: there need be none. */
const parseLines = <A>(
  file: string,
  text: string,
  empty: Fault | null,
  entry: (words: readonly [string, ...Array<string>], faults: Array<Fault>) => A | undefined,
  identities: (value: A) => ReadonlyArray<readonly [identity: string, said: string]>
): Parsed<Located<A>> => {
  const problems: Array<InputProblem> = []
  const found: Array<Located<A>> = []
  const seen = new Map<string, number>()
  const lines = entries(text)
  for (const { line, words } of lines) {
    if (Either.isLeft(words)) {
      problems.push({ file, line, ...words.left })
      continue
    }
    const faults: Array<Fault> = []
    const value = entry(words.right, faults)
    if (value !== undefined) {
      for (const [identity, said] of identities(value)) {
        const before = seen.get(identity)
        if (before === undefined) seen.set(identity, line)
        else faults.push({ problem: `${said} is already on line ${before}`, expected: "each only once" })
      }
      found.push({ line, value })
    }
    for (const fault of faults) problems.push({ file, line, ...fault })
  }
  if (lines.length === 0 && empty !== null) problems.push({ file, ...empty })
  return conclude(found, problems)
}

// --- machines -------------------------------------------------------------------------------------------------------

const isUser = Schema.is(Host.HostAddress.fields.user)
const isHost = Schema.is(Host.HostAddress.fields.host)
const isPort = Schema.is(Host.HostAddress.fields.port)

const addressForm = "user@host or user@host:port"

/**
 * `user@host`, `user@host:port`, `user@[IPv6 address]:port`; the port is 22 when it is absent.
 *
 * @since 0.1.0 @category parsing
 */
export const parseAddress = (text: string): Either.Either<Host.HostAddress, Fault> => {
  const fault = (problem: string, expected = addressForm) =>
    Either.left({ problem: `${quote(text)} ${problem}`, expected })
  const at = text.indexOf("@")
  if (at === -1) return fault("has no user")
  const user = text.slice(0, at)
  if (user === "") return fault("has no user")
  if (!isUser(user)) {
    return fault(
      `has the user ${quote(user)}`,
      "a user of letters, digits, and any of _ . - (not at the start), 32 characters at most"
    )
  }
  const rest = text.slice(at + 1)
  const split = /^(?:\[([^[\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(rest)
  if (isIPv6(rest)) return fault("has an IPv6 address without brackets", `brackets around it: ${user}@[${rest}]`)
  if (split === null) return fault("has no host that can be read")
  const [, bracketed, plain, port] = split
  const host = bracketed ?? plain ?? ""
  if (host === "") return fault("has no host")
  if (bracketed !== undefined ? !isIPv6(host) : !Host.isHostName(host)) {
    return fault(
      `has the host ${quote(host)}`,
      bracketed !== undefined
        ? "an IPv6 address in the brackets"
        : "a host name, an IPv4 address, or an IPv6 address in brackets"
    )
  }
  // [::1%eth0] is an IPv6 address to isIPv6
  if (!isHost(host)) return fault(`has the host ${quote(host)}`, "an address without a zone")
  if (port === undefined) return Either.right({ user, host, port: 22 })
  const number = wholeNumber(port)
  return number !== undefined && isPort(number)
    ? Either.right({ user, host, port: number })
    : fault(`has the port ${quote(port)}`, "a port from 1 to 65535")
}

const wholeNumber = (text: string): number | undefined =>
  /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : undefined

/** the identity of a host */
const endpoint = ({ host, port }: Host.HostAddress): string => `${Host.canonicalHost(host)} ${port}`

const networkKey = /^network\.[A-Za-z0-9_][A-Za-z0-9_.:-]{0,62}$/

const isLabel = (key: string): boolean => key.startsWith("label.") && Host.labelPattern.test(key.slice("label.".length))

const machineKeys = [
  "network",
  "virt",
  "path",
  ...Resources.names,
  ...Resources.names.map((name) => `overcommit.${name}`),
  ...Resources.names.map((name) => `reserved.${name}`)
]

const machineWords = `${machineKeys.join("=, ")}=, network.<name>=, or label.<key>=, with the key of letters, digits, and any of _ . / - inside, and not with host. at its start`

const isNetwork = Schema.is(Network.NetworkName)
const isLabelValue = Schema.is(HostLabelValue)
const isVirt = Schema.is(Host.VirtualizationType)
const isRatio = Schema.is(Host.HostConfig.fields.overcommit.fields.cpu)
const isPath = Schema.is(Host.HostConfig.fields.path)

const limitUnits: Record<Resources.Name, string> = { cpu: "vCPUs", ram: "MiB", disk: "GiB" }

/**
 * The machine file: `user@host[:port]`, then `key=value` words. One that names no machine is as good as any.
 *
 * | key | value | absent |
 * |---|---|---|
 * | `virt` | `auto`, `kvm` or `qemu` | `auto` |
 * | `network` | the network of NICs that name none: one of the next line's, or of libvirt's | libvirt's `default` if it is active, else none |
 * | `network.<name>` | what the host has for the network of that name: `bridge:br0`, `bridge:br{vlan}` with a bridge for each VLAN, or `libvirt:default` | libvirt's networks are offered by their own names |
 * | `path` | folder on the host for images and disks | `/var/lib/vmfabric` |
 * | `cpu`, `ram`, `disk` | at most so much of the machine is used (vCPUs, MiB, GiB) | all it has |
 * | `overcommit.cpu`, `.ram`, `.disk` | how many times that may be promised, 0.1 to 1000 | 4, 1, 1 |
 * | `reserved.cpu`, `.ram`, `.disk` | of that so much is kept free (vCPUs, MiB, GiB) | nothing |
 * | `label.<key>` | any text of 1 to 255 characters; keys that begin with `host.` are the host's own | |
 *
 * @since 0.1.0 @category parsing
 */
export const parseMachines = (text: string, file = "physicalMachine_file"): Parsed<Host.HostConfig> =>
  values(
    parseLines(
      file,
      text,
      // on the first day of a fabric there may be none yet: hosts can be added later
      null,
      machine,
      (host) => [[endpoint(host.address), `${host.address.host} with port ${host.address.port}`]]
    )
  )

const machine = (
  [first, ...others]: readonly [string, ...Array<string>],
  faults: Array<Fault>
): Host.HostConfig | undefined => {
  const address = parseAddress(first)
  const blank = invisible.exec(first)
  if (blank !== null) faults.push(unseen(blank[0]))
  else if (Either.isLeft(address)) {
    const { expected, problem } = address.left
    faults.push({ problem, expected: expected === addressForm ? `${addressForm}, then key=value words` : expected })
  }
  const isKey = (key: string) => machineKeys.includes(key) || networkKey.test(key) || isLabel(key)
  const { faults: wordFaults, pairs } = keyValues(others, isKey, machineWords)
  faults.push(...wordFaults)

  const given = <A>(key: string, read: (value: string) => A | undefined, expected: string): A | undefined => {
    const value = pairs.get(key)
    if (value === undefined) return undefined
    const result = read(value)
    if (result === undefined) faults.push({ problem: `${key} is ${quote(value)}`, expected })
    return result
  }
  const virt = given("virt", only(isVirt), "auto, kvm or qemu")
  const network = given(
    "network",
    only(isNetwork),
    "the name of a network: letters, digits, and any of _ . : - (not at the start), 63 characters at most"
  )
  const networks = [...pairs.keys()].flatMap((key) => {
    if (!networkKey.test(key)) return []
    const source = given(
      key,
      Network.parseSource,
      "bridge:br0, bridge:br{vlan} (a bridge for each VLAN), or libvirt:default; the name of a bridge has 15 characters at most"
    )
    return source === undefined ? [] : [[key.slice("network.".length), source] as const]
  })
  const path = given(
    "path",
    only(isPath),
    "the full path of a folder: letters, digits, and any of _ . - /, no .. in it, 201 characters at most"
  )
  const overcommit = (name: Resources.Name) =>
    given(
      `overcommit.${name}`,
      (value) => {
        const ratio = /^[0-9]{1,4}(?:\.[0-9]{1,6})?$/.test(value) ? Number(value) : undefined
        return ratio !== undefined && isRatio(ratio) ? ratio : undefined
      },
      "a number from 0.1 to 1000"
    )
  const limit = (name: Resources.Name) =>
    given(
      name,
      (value) => {
        const amount = wholeNumber(value)
        return amount !== undefined && amount > 0 && Number.isSafeInteger(amount) ? amount : undefined
      },
      `a whole number of ${limitUnits[name]}, 1 or more`
    )
  const reserve = (name: Resources.Name): readonly [Resources.Name, number] | undefined => {
    const amount = given(
      `reserved.${name}`,
      (value) => {
        const amount = wholeNumber(value)
        return amount !== undefined && Number.isSafeInteger(amount) ? amount : undefined
      },
      `a whole number of ${limitUnits[name]}, 0 or more`
    )
    return amount === undefined || amount === 0 ? undefined : [name, amount]
  }
  const [cpu, ram, disk] = [limit("cpu"), limit("ram"), limit("disk")]
  const reserves = Resources.names.flatMap((name) => {
    const reserved = reserve(name)
    return reserved === undefined ? [] : [reserved]
  })
  const ratios = { cpu: overcommit("cpu"), ram: overcommit("ram"), disk: overcommit("disk") }
  for (const key of pairs.keys()) {
    if (key.startsWith("label.")) given(key, only(isLabelValue), "a text of 1 to 255 characters")
  }
  if (Either.isLeft(address)) return undefined
  const defaults = Host.defaultConfig(address.right)
  return {
    ...defaults,
    virt: virt ?? defaults.virt,
    overcommit: Resources.map((name) => ratios[name] ?? defaults.overcommit[name]),
    limit: {
      ...(cpu !== undefined && { cpu }),
      ...(ram !== undefined && { ram }),
      ...(disk !== undefined && { disk })
    },
    ...(reserves.length > 0 && { reserved: Object.fromEntries(reserves) }),
    ...(network !== undefined && { network }),
    ...(networks.length > 0 && { networks: Object.fromEntries(networks) }),
    path: path ?? defaults.path,
    labels: Object.fromEntries(
      Array.from(pairs).flatMap(([key, value]) =>
        key.startsWith("label.") ? [[key.slice("label.".length), value]] : []
      )
    )
  }
}

const only =
  <A extends string>(is: (value: unknown) => value is A) =>
  (value: string): A | undefined =>
    is(value) ? value : undefined

/**
 * A host from the words of a line, each without quotes: the first is `user@host[:port]`, the others are `key=value`.
 *
 * @since 0.7.0 @category parsing
 */
export const parseMachineWords = (
  given: readonly [string, ...Array<string>],
  file: string
): Either.Either<Host.HostConfig, InputFileError> => {
  const faults: Array<Fault> = []
  const split = given.map((word) => words(writeWord(word)))
  for (const one of split) if (Either.isLeft(one)) faults.push(one.left)
  const found = machine(given, faults)
  const [first, ...others] = faults.map((fault) => ({ file, ...fault }))
  if (first !== undefined) return Either.left(new InputFileError({ problems: [first, ...others] }))
  return found === undefined
    ? Either.left(new InputFileError({ problems: [{ file, problem: "it is no host", expected: addressForm }] }))
    : Either.right(found)
}

/** The words of a line that `parseMachines` reads back as the same host, without quotes. @since 0.7.0 @category formatting */
export const machineWordsOf = (host: Host.HostConfig): readonly [string, ...Array<string>] => [
  Host.formatAddress(host.address),
  `virt=${host.virt}`,
  ...Resources.names.map((name) => `overcommit.${name}=${host.overcommit[name]}`),
  ...Resources.names.flatMap((name) => (host.limit[name] === undefined ? [] : [`${name}=${host.limit[name]}`])),
  ...Resources.names.flatMap((name) => {
    const reserved = host.reserved?.[name] ?? 0
    return reserved === 0 ? [] : [`reserved.${name}=${reserved}`]
  }),
  ...(host.network === undefined ? [] : [`network=${host.network}`]),
  ...Object.entries(host.networks ?? {}).map(([name, source]) => `network.${name}=${Network.formatSource(source)}`),
  `path=${host.path}`,
  ...Object.entries(host.labels).map(([key, value]) => `label.${key}=${value}`)
]

/** A line that `parseMachines` reads back as the same host. @since 0.1.0 @category formatting */
export const formatMachine = (host: Host.HostConfig): string => machineWordsOf(host).map(writeWord).join(" ")

// --- images ---------------------------------------------------------------------------------------------------------

const isFormat = Schema.is(Image.ImageFormat)
const isSourcePath = Schema.is(Image.ImageSource.fields.path)

const sourceForm = "/full/path, or user@host:/full/path for an image on another machine"

const parseSource = (text: string): Either.Either<Image.ImageSource, Fault> => {
  const fault = (problem: string, expected = sourceForm) =>
    Either.left({ problem: `${quote(text)} ${problem}`, expected })
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return fault("is a URL")
  const colon = text.startsWith("/") ? -1 : text.indexOf(":/")
  if (colon === -1 && !text.startsWith("/")) return fault("is not a full path")
  const address = colon === -1 ? Either.right(null) : parseAddress(text.slice(0, colon))
  if (Either.isLeft(address)) return Either.left(address.left)
  const path = text.slice(colon + 1)
  const segments = path.split("/").slice(1)
  if (segments.at(-1) === "") return fault("names a folder", "the full path of a file")
  if (segments.some((segment) => segment === ".." || segment === "." || segment === "")) {
    return fault("goes through .., . or //", "the path without them")
  }
  if (!isSourcePath(path)) return fault("is too long", "a path of 4,096 characters at most")
  return Either.right({ host: address.right, path })
}

/**
 * A file's name without its extension. An extension is a dot, a letter and up to seven letters or digits: of
 * `Ubuntu-12.04-amd64.img` it is `.img`, and `Ubuntu-12.04` has none.
 *
 * @since 0.1.0 @category formatting
 */
export const nameOfPath = (path: string): string => {
  const file = path.slice(path.lastIndexOf("/") + 1)
  const name = file.replace(/\.[A-Za-z][A-Za-z0-9]{0,7}$/, "")
  return name === "" ? file : name
}

const imageKeys = ["name", "format"]

/**
 * The image file: `/full/path` on the machine the controller runs on, or `user@host[:port]:/full/path`, then `name=` (default: the file's name
 * without its extension) and `format=raw|qcow2` (default: what the file's header says).
 *
 * @since 0.1.0 @category parsing
 */
export const parseImages = (text: string, file = "image_file"): Parsed<Image.ImageConfig> =>
  values(locateImages(text, file))

const locateImages = (text: string, file: string): Parsed<Located<Image.ImageConfig>> =>
  parseLines(
    file,
    text,
    { problem: "it names no image", expected: `at least one line with ${sourceForm}` },
    image,
    (config) => [
      [
        `source ${config.source.host === null ? "" : endpoint(config.source.host)}:${config.source.path}`,
        Image.formatSource(config.source)
      ],
      [`name ${config.name}`, `the name ${quote(config.name)}`]
    ]
  )

const image = (
  [first, ...others]: readonly [string, ...Array<string>],
  faults: Array<Fault>
): Image.ImageConfig | undefined => {
  const source = parseSource(first)
  if (Either.isLeft(source)) faults.push(source.left)
  const { faults: wordFaults, pairs } = keyValues(
    others,
    (key) => imageKeys.includes(key),
    `${imageKeys.join("= or ")}=`
  )
  faults.push(...wordFaults)
  const format = pairs.get("format")
  if (format !== undefined && !isFormat(format)) {
    faults.push({ problem: `format is ${quote(format)}`, expected: "raw or qcow2" })
  }
  const named = pairs.get("name")
  const nameFault = (name: string) =>
    name === "" || name.length > 255 || name.trim() !== name
      ? { problem: `name is ${quote(name)}`, expected: "1 to 255 characters without blanks at the ends" }
      : undefined
  if (Either.isLeft(source)) {
    const fault = named === undefined ? undefined : nameFault(named)
    if (fault !== undefined) faults.push(fault)
    return undefined
  }
  const name = named ?? nameOfPath(source.right.path)
  const fault = nameFault(name)
  if (fault !== undefined) {
    faults.push(fault)
    return undefined
  }
  return { source: source.right, name, ...(isFormat(format) && { format }) }
}

/** A line that `parseImages` reads back as the same image. @since 0.1.0 @category formatting */
export const formatImage = (image: Image.ImageConfig): string =>
  [
    Image.formatSource(image.source),
    `name=${image.name}`,
    ...(image.format === undefined ? [] : [`format=${image.format}`])
  ]
    .map(writeWord)
    .join(" ")

// --- types ----------------------------------------------------------------------------------------------------------

const isTypeField = {
  tid: Schema.is(InstanceType.fields.tid),
  cpu: Schema.is(InstanceType.fields.cpu),
  ram: Schema.is(InstanceType.fields.ram),
  disk: Schema.is(InstanceType.fields.disk)
}

const isRequired = { label: Schema.is(HostLabel), values: Schema.is(Values) }

const typeKeys = ["tid", "cpu", "ram", "disk"] as const

const typeExpected: Record<(typeof typeKeys)[number], string> = {
  tid: "a whole number from 1 to 9007199254740991",
  cpu: "a whole number of vCPUs from 1 to 1024",
  ram: "a whole number of MiB from 16 to 67108864",
  disk: "a whole number of GiB from 1 to 1048576"
}

const requiresForm =
  '{"LABEL":"VALUE"}, as {"host.virt":"kvm","host.cpu.feature.avx512f":"yes"}: labels of hosts, each with a value or a list of values'

const typesForm = '{"types":[{"tid":1,"cpu":1,"ram":512,"disk":1}, …]}'

const describe = (value: LocatedJson.Located): string => {
  switch (value.type) {
    case "object":
      return "an object"
    case "array":
      return "a list"
    case "string":
      return `the text ${quote(value.value)}`
    case "number":
      return value.source.length > 40 ? `${value.source.slice(0, 39)}…` : value.source
    case "boolean":
      return String(value.value)
    case "null":
      return "null"
  }
}

/** The types file. @since 0.1.0 @category parsing */
export const parseTypes = (text: string, file = "vm_types"): Parsed<InstanceType> => {
  const problems: Array<InputProblem> = []
  const add = ({ column, line }: LocatedJson.Place, problem: string, expected: string) => {
    problems.push({ file, line, column, problem, expected })
  }
  /** the members by key, after unknown, repeated and missing ones were reported; `at` is the object's path */
  const members = <K extends string>(
    value: LocatedJson.Located,
    at: string,
    keys: ReadonlyArray<K>,
    form: string,
    also: ReadonlyArray<string> = []
  ): ReadonlyMap<string, LocatedJson.Located> => {
    const known = [...keys, ...also]
    const found = new Map<string, LocatedJson.Located>()
    if (value.type !== "object") {
      add(value, `${at === "" ? "the file" : at} is ${describe(value)}`, form)
      return found
    }
    const path = (key: string) => (at === "" ? key : `${at}.${key}`)
    for (const { key, place, value: member } of value.members) {
      if (!known.some((one) => one === key)) add(place, `${path(quote(key))} is not a key`, `only ${known.join(", ")}`)
      else if (found.has(key)) add(place, `${path(key)} is given twice`, "each key once")
      else found.set(key, member)
    }
    for (const key of keys) if (!found.has(key)) add(value, `${path(key)} is missing`, form)
    return found
  }

  const json = LocatedJson.parse(withoutMark(text))
  if (Either.isLeft(json)) {
    add(json.left, json.left.problem, json.left.expected)
    return conclude([], problems)
  }
  const list = members(json.right, "", ["types"], typesForm).get("types")
  if (list === undefined) return conclude([], problems)
  if (list.type !== "array") {
    add(list, `types is ${describe(list)}`, "a list of types")
    return conclude([], problems)
  }
  if (list.items.length === 0) add(list, "types is empty", "at least one type")
  /** What a type requires of its host; undefined: nothing, or it is wrong, which is reported. */
  const requirements = (value: LocatedJson.Located | undefined, at: string): Required | undefined => {
    if (value === undefined) return undefined
    if (value.type !== "object") {
      add(value, `${at} is ${describe(value)}`, requiresForm)
      return undefined
    }
    if (value.members.length > most.required) {
      add(value, `${at} has ${value.members.length} labels`, `at most ${most.required}`)
    }
    const labels = new Map<string, ReadonlyArray<string>>()
    for (const { key, place, value: wanted } of value.members) {
      const values = wanted.type === "array" ? wanted.items : [wanted]
      const texts = values.flatMap((one) => (one.type === "string" ? [one.value] : []))
      if (!isRequired.label(key)) add(place, `${at} has ${quote(key)}`, placed.label)
      else if (labels.has(key)) add(place, `${at}.${key} is given twice`, "each label once")
      else if (texts.length < values.length || !isRequired.values(texts)) {
        add(
          wanted,
          `${at}.${key} is ${wanted.type === "array" ? "a list of other things" : describe(wanted)}`,
          `a text of 1 to 255 characters, or a list of 1 to ${most.values} such texts, none with a control character`
        )
      } else {
        const never = wrongRequirement(key, texts)
        if (never !== null) add(place, `${at} ${never.problem}`, never.expected)
        else labels.set(key, texts)
      }
    }
    return labels.size === 0 ? undefined : Object.fromEntries(labels)
  }
  const types: Array<InstanceType> = []
  const seen = new Map<number, number>()
  list.items.forEach((item, index) => {
    const at = `types[${index}]`
    const found = members(item, at, typeKeys, '{"tid":1,"cpu":1,"ram":512,"disk":1}', ["requires"])
    const amount = <A extends number>(
      key: (typeof typeKeys)[number],
      is: (value: unknown) => value is A
    ): A | undefined => {
      const value = found.get(key)
      if (value === undefined) return undefined
      if (value.type === "number" && is(value.value)) return value.value
      add(value, `${at}.${key} is ${describe(value)}`, typeExpected[key])
      return undefined
    }
    const tid = amount("tid", isTypeField.tid)
    const cpu = amount("cpu", isTypeField.cpu)
    const ram = amount("ram", isTypeField.ram)
    const disk = amount("disk", isTypeField.disk)
    if (tid !== undefined) {
      const before = seen.get(tid)
      if (before === undefined) seen.set(tid, index)
      else add(found.get("tid") ?? item, `${at}.tid is ${tid}, as types[${before}].tid is`, "a tid only once")
    }
    const requires = requirements(found.get("requires"), `${at}.requires`)
    if (tid !== undefined && cpu !== undefined && ram !== undefined && disk !== undefined)
      types.push({ tid, cpu, ram, disk, ...(requires === undefined ? {} : { requires }) })
  })
  return conclude(types, problems)
}

/** A file that `parseTypes` reads back as the same types. @since 0.1.0 @category formatting */
export const formatTypes = (types: ReadonlyArray<InstanceType>): string =>
  `{"types":[\n${types
    .map(({ cpu, disk, ram, requires, tid }) => `  ${JSON.stringify({ tid, cpu, ram, disk, requires })}`)
    .join(",\n")}\n]}\n`

// --- files ----------------------------------------------------------------------------------------------------------

/** Paths of the three files, as they were given on the command line. @since 0.1.0 @category models */
export interface InputPaths {
  readonly machines: string
  readonly images: string
  readonly types: string
}

const maximumFileSize = 16 * 1024 * 1024

/**
 * What the files say; `origin` tells where an image stands, as `image_file:3`, for what is found out about it only later.
 *
 * @since 0.1.0 @category models
 */
export interface FleetFiles {
  readonly fleet: FleetConfig
  readonly origin: (image: Image.ImageConfig) => string
}

/** Reads and checks the three files; fails with the problems of all of them. @since 0.1.0 @category reading */
export const read = Effect.fn("InputFiles.read")(function* (
  paths: InputPaths
): Effect.fn.Return<FleetFiles, InputFileError, FileSystem.FileSystem> {
  const hosts = yield* Effect.either(readFile(paths.machines, parseMachines))
  const images = yield* Effect.either(readFile(paths.images, locateImages))
  const types = yield* Effect.either(readFile(paths.types, parseTypes))
  if (Either.isRight(hosts) && Either.isRight(images) && Either.isRight(types)) {
    const lines = new Map(images.right.map(({ line, value }) => [value, line]))
    return {
      fleet: { hosts: hosts.right, images: [...lines.keys()], types: types.right },
      origin: (image) => `${paths.images}:${lines.get(image) ?? 1}`
    }
  }
  const errors = [Either.getLeft(hosts), Either.getLeft(images), Either.getLeft(types)].flatMap(Option.toArray)
  const [first, ...others] = errors.flatMap((error) => error.problems)
  if (first === undefined) return yield* Effect.dieMessage("an input file error without problems")
  const cause = errors.find((error) => error.cause !== undefined)?.cause
  return yield* new InputFileError({ problems: [first, ...others], ...(cause !== undefined && { cause }) })
})

/** Reads and checks one file of at most 16 MiB. @since 0.7.0 @category reading */
export const readFile = <A>(
  path: string,
  parse: (text: string, file: string) => Parsed<A>
): Effect.Effect<ReadonlyArray<A>, InputFileError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const refuse = (problem: string, expected: string, cause?: unknown) =>
      new InputFileError({ problems: [{ file: path, problem, expected }], ...(cause !== undefined && { cause }) })
    const fs = yield* FileSystem.FileSystem
    // seen before it is opened: to open a pipe can take for ever
    const info = yield* fs.stat(path)
    if (info.type !== "File") return yield* refuse("it is not a regular file", "a text file")
    const bytes = yield* fs.stream(path, { bytesToRead: maximumFileSize + 1 }).pipe(Stream.runCollect)
    const size = Chunk.reduce(bytes, 0, (total, chunk) => total + chunk.length)
    if (size > maximumFileSize) return yield* refuse("it is too large", "at most 16 MiB")
    const text = yield* Effect.try({
      try: () => new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(Chunk.toReadonlyArray(bytes))),
      catch: (cause) => refuse("it is not UTF-8", "a text file in UTF-8", cause)
    })
    return yield* parse(text, path)
  }).pipe(
    Effect.catchTags({
      BadArgument: (cause) =>
        Effect.fail(new InputFileError({ problems: [{ file: path, ...unreadable(cause) }], cause })),
      SystemError: (cause) =>
        Effect.fail(new InputFileError({ problems: [{ file: path, ...unreadable(cause) }], cause }))
    })
  )

const unreadable = (error: PlatformError): Fault => {
  const expected = "a file that can be read"
  if (error._tag === "SystemError" && error.reason === "NotFound") return { problem: "there is no such file", expected }
  if (error._tag === "SystemError" && error.reason === "PermissionDenied") {
    return { problem: "it may not be read", expected: "a file that the user who runs vmfabric may read" }
  }
  return { problem: `it cannot be read (${error.message})`, expected }
}
