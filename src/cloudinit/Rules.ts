/**
 * What cloud-init can be told. What is plainly broken is refused here, with its line, where somebody still looks: in the guest it would be a line in
 * a log that nobody can log in to read. Nothing of what was given is repeated in what is said of it, for it may be a secret.
 *
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml"
import { type CloudInit, isHostname, longestKey, mostBytes, mostKeys, usual } from "../domain/CloudInit.ts"
import { InvalidArgument } from "../domain/Errors.ts"

/** What somebody gives. @since 0.6.0 @category models */
export interface Given {
  readonly userData?: string
  readonly sshKeys?: ReadonlyArray<string>
  readonly hostname?: string
  readonly networkConfig?: string
}

/** What is to be different; null: none from now on. @since 0.6.0 @category models */
export interface Change {
  readonly userData?: string | null
  readonly sshKeys?: ReadonlyArray<string>
  readonly hostname?: string | null
  readonly networkConfig?: string | null
  /** whether cloud-init does all of it again at the next boot, as if the guest were new; absent: yes */
  readonly reapply?: boolean
}

type Checked<A> = Effect.Effect<A, InvalidArgument>

const refuse = (field: string, problem: string, expected: string): Checked<never> =>
  Effect.fail(new InvalidArgument({ field, problem, expected }))

const bytesOf = (text: string): number => new TextEncoder().encode(text).length

const lineAt = (text: string, index: number): number => text.slice(0, index).split("\n").length

/** What ends a line for somebody, or ends a text, or cannot be written down. */
const breaking = /[\p{Cc}\p{Cs}\u2028\u2029\uFEFF\uFFFE\uFFFF]/u

/** What a text cannot have anywhere: half a character, an end that only some would see, or a byte that no editor writes. */
const unwritable = /[\0\p{Cs}\uFFFE\uFFFF]/u

const checkText = (field: string, text: string): Checked<void> => {
  const none = "a text, or nothing at all"
  if (text.trim() === "") return refuse(field, "is empty", none)
  const bytes = bytesOf(text)
  if (bytes > mostBytes) return refuse(field, `has ${bytes} bytes`, `at most ${mostBytes} bytes of UTF-8`)
  const found = unwritable.exec(text)
  if (found === null) return Effect.void
  return refuse(field, `has a character at line ${lineAt(text, found.index)} that no text has`, "UTF-8 without NUL")
}

/** As cloud-init reads it. Its parser takes the last of two equal keys, so it is not for us to refuse them. */
const parseYaml = (field: string, text: string) => {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    version: "1.1",
    merge: true,
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter: lines,
    logLevel: "silent"
  })
  const [error] = document.errors
  if (error === undefined) return Effect.succeed({ document, lines })
  const { col, line } = lines.linePos(error.pos[0])
  // the parser's own words repeat what was given
  const why = error.code.toLowerCase().replaceAll("_", " ")
  return refuse(field, `is no YAML at line ${line}, column ${col} (${why})`, "YAML as cloud-init reads it")
}

const kinds =
  "#cloud-config and YAML after it, a script that begins with #!, MIME, or one of cloud-init's other kinds (#include, #cloud-boothook, …)"

/** cloud-init's other kinds by their first line, which it looks into itself. */
const others =
  /^((#cloud-config-archive|#cloud-config-jsonp|#cloud-boothook|#part-handler)\s*|#include(-once)?(\s.*)?|## template: ?jinja\s*)$/i

const checkMime = (field: string, text: string): Checked<void> => {
  const end = /\r?\n\r?\n/.exec(text)
  if (end === null)
    return refuse(field, "has no empty line after its MIME headers", "MIME headers, an empty line, and parts")
  const headers = text.slice(0, end.index).replace(/\r?\n[ \t]+/g, " ")
  const type = /^content-type:\s*([^\s;]+)(.*)$/im.exec(headers)
  if (type === null)
    return refuse(field, "is MIME without a Content-Type", "a header Content-Type among the first lines")
  if (!/^multipart\//i.test(type[1] ?? "")) return Effect.void
  const boundary = /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(type[2] ?? "")
  const mark = boundary?.[1] ?? boundary?.[2]
  if (mark === undefined)
    return refuse(field, "is multipart MIME without a boundary", 'Content-Type: multipart/mixed; boundary="…"')
  const rows = text.split(/\r?\n/)
  if (!rows.includes(`--${mark}`))
    return refuse(field, "is multipart MIME without a part", "lines with -- and the boundary")
  if (rows.some((row) => row.trimEnd() === `--${mark}--`)) return Effect.void
  return refuse(
    field,
    `is multipart MIME that does not end (line ${rows.length})`,
    "a last line with --, the boundary and --: all of it"
  )
}

const checkUserData = (field: string, text: string): Checked<void> =>
  Effect.gen(function* () {
    yield* checkText(field, text)
    // cloud-init finds the kind without blanks before it, and in whatever case; a byte order mark is no blank to it
    const blanks = /^[^\S\uFEFF]*/.exec(text)?.[0].length ?? 0
    const [first = ""] = text.slice(blanks).split("\n", 1)
    if (blanks > 0 && (first.startsWith("#!") || first.startsWith("##"))) {
      return yield* refuse(
        field,
        `is a ${first.startsWith("#!") ? "script" : "template"} that begins at line ${lineAt(text, blanks)}, with blanks before it`,
        "one that begins with the first character"
      )
    }
    if (first.startsWith("#!")) {
      // the kernel would look for an interpreter whose name ends with CR
      if (first.endsWith("\r")) {
        return yield* refuse(
          field,
          "is a script whose line 1 ends with CR LF",
          "lines that end with LF alone (dos2unix)"
        )
      }
      return
    }
    if (/^#cloud-config(\s+#.*|\s*)$/i.test(first)) {
      const { document, lines } = yield* parseYaml(field, text)
      const { contents } = document
      if (contents === null || isMap(contents) || (isScalar(contents) && contents.value === null)) return
      const { line } = lines.linePos(contents.range?.[0] ?? 0)
      return yield* refuse(
        field,
        `is ${isSeq(contents) ? "a list" : "a single value"} at line ${line}`,
        "#cloud-config with fields, as in `packages: [nginx]`"
      )
    }
    if (/^(content-type|mime-version):/i.test(text)) return yield* checkMime(field, text)
    if (others.test(first)) return
    yield* refuse(field, "begins on line 1 with nothing that cloud-init knows", kinds)
  })

/** What network-config 2 has interfaces below. */
const sections = ["ethernets", "wifis", "bonds", "bridges", "vlans"] as const

const checkNetworkConfig = (field: string, text: string): Checked<void> =>
  Effect.gen(function* () {
    yield* checkText(field, text)
    const { document, lines } = yield* parseYaml(field, text)
    const expected = "cloud-init's network-config, with `version: 1` or `version: 2`"
    const { contents } = document
    if (!isMap(contents)) return yield* refuse(field, "has no fields", expected)
    // as in a file of /etc/cloud/cloud.cfg.d, where it stands below this field
    const inner = contents.get("network")
    const config = isMap(inner) ? inner : contents
    const version: unknown = config.get("version")
    if (version !== 1 && version !== 2) return yield* refuse(field, "has no version that cloud-init knows", expected)
    const lineOf = (node: unknown): number => lines.linePos(isNode(node) ? (node.range?.[0] ?? 0) : 0).line
    if (version === 1) {
      const entries: unknown = config.get("config")
      if (!isSeq(entries)) return yield* refuse(field, "is of version 1 and has no list `config`", expected)
      const odd = entries.items.find(
        (entry) => !isAlias(entry) && !(isMap(entry) && typeof entry.get("type") === "string")
      )
      if (odd !== undefined) {
        return yield* refuse(
          field,
          `has at line ${lineOf(odd)} an entry of \`config\` without a type`,
          "entries as in `{ type: physical, name: eth0 }`"
        )
      }
    }
    for (const section of version === 2 ? sections : []) {
      const entries: unknown = config.get(section, true)
      if (entries === undefined || isAlias(entries) || (isScalar(entries) && entries.value === null)) continue
      const named = "names with fields, as in `ethernets: { eth0: { dhcp4: true } }`"
      if (!isMap(entries)) {
        return yield* refuse(field, `has at line ${lineOf(entries)} \`${section}\` without names in it`, named)
      }
      const odd = entries.items.find(({ value }) => !isMap(value) && !isAlias(value))
      if (odd !== undefined) {
        return yield* refuse(field, `has at line ${lineOf(odd.key)} an entry of \`${section}\` without fields`, named)
      }
    }
    // such a name would become lines of its own in the files that cloud-init writes of it
    let at: number | undefined
    visit(document, {
      Scalar: (_, { range, value }) => {
        if (typeof value !== "string" || !breaking.test(value)) return
        at = range?.[0] ?? 0
        return visit.BREAK
      }
    })
    if (at === undefined) return
    yield* refuse(
      field,
      `has a value with a line end or another control character at line ${lines.linePos(at).line}`,
      "values of one line each"
    )
  })

const keyTypes =
  /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)$/

/** The words of a line, where what is quoted is none of its own: options may have blanks in quotes. */
const wordsOf = (line: string): ReadonlyArray<string> => line.match(/(?:"(?:\\.|[^"\\])*"|[^\s"])+/g) ?? []

/** The type that a key itself says it is of; undefined: it is no key. */
const typeInside = (base64: string): string | undefined => {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined
  const bytes = Uint8Array.from(atob(base64.length % 4 === 1 ? "" : base64), (letter) => letter.charCodeAt(0))
  if (bytes.length < 4) return undefined
  const length = new DataView(bytes.buffer).getUint32(0)
  // a type without a key after it is none
  return length > 64 || bytes.length < 4 + length + 32
    ? undefined
    : String.fromCharCode(...bytes.subarray(4, 4 + length))
}

const checkKey = (field: string, line: string): Checked<void> => {
  const expected = "a public key as in authorized_keys, as `ssh-ed25519 AAAA… me@here`"
  if (line.includes("PRIVATE KEY")) return refuse(field, "is a private key, which is nobody else's", expected)
  if (line.length > longestKey) return refuse(field, `has ${line.length} characters`, `at most ${longestKey}`)
  if (breaking.test(line)) return refuse(field, "has a line end or another control character in it", expected)
  if (line.trim() !== line || line === "") return refuse(field, "is empty or has blanks at its ends", expected)
  const words = wordsOf(line)
  // what stands before are options
  const at = words.findIndex((word) => keyTypes.test(word))
  if (at === -1 || at > 1) return refuse(field, "begins with no type of key that sshd takes", expected)
  if (typeInside(words[at + 1] ?? "") !== words[at])
    return refuse(field, "is cut short or no key of its type", expected)
  return Effect.void
}

const checkKeys = (field: string, keys: ReadonlyArray<string>): Checked<void> =>
  Effect.gen(function* () {
    if (keys.length > mostKeys) return yield* refuse(field, `are ${keys.length}`, `at most ${mostKeys}`)
    const bytes = bytesOf(keys.join("\n"))
    if (bytes > mostBytes) return yield* refuse(field, `have ${bytes} bytes in all`, `at most ${mostBytes}`)
    yield* Effect.forEach(keys, (key, index) => checkKey(`${field}.${index}`, key), { discard: true })
  })

const checkHostname = (field: string, name: string): Checked<void> =>
  isHostname(name)
    ? Effect.void
    : refuse(
        field,
        "is no hostname (RFC 1123)",
        "letters, digits and hyphens, no hyphen at the ends, not digits alone; parts of at most 63 with dots between, 253 in all"
      )

const checkAll = ({ hostname, networkConfig, sshKeys, userData }: Change): Checked<void> =>
  Effect.gen(function* () {
    if (typeof userData === "string") yield* checkUserData("userData", userData)
    if (sshKeys !== undefined) yield* checkKeys("sshKeys", sshKeys)
    if (typeof hostname === "string") yield* checkHostname("hostname", hostname)
    if (typeof networkConfig === "string") yield* checkNetworkConfig("networkConfig", networkConfig)
  })

const apply = (now: CloudInit, { hostname, networkConfig, sshKeys, userData }: Change): CloudInit => ({
  ...now,
  ...(userData === undefined ? {} : { userData: userData === null ? null : Redacted.make(userData) }),
  ...(sshKeys === undefined ? {} : { sshKeys }),
  ...(hostname === undefined ? {} : { hostname }),
  ...(networkConfig === undefined ? {} : { networkConfig })
})

/** For a new VM. @since 0.6.0 @category constructors */
export const make = (given: Given): Checked<CloudInit> => Effect.as(checkAll(given), apply(usual, given))

/** Whether it can be asked for. @since 0.6.0 @category checks */
export const checkChange = (change: Change): Checked<void> => {
  const { reapply: _, ...fields } = change
  return Object.values(change).some((value) => value !== undefined)
    ? checkAll(fields)
    : refuse("body", "changes nothing", "at least one of userData, sshKeys, hostname, networkConfig and reapply")
}

/** What becomes of it by a change that can be asked for. @since 0.6.0 @category combinators */
export const changed = (now: CloudInit, change: Change): CloudInit => {
  const revision = now.revision + 1
  return { ...apply(now, change), revision, instance: change.reapply === false ? now.instance : revision }
}
