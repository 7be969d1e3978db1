/**
 * OpenSSH's known_hosts file: which key belongs to which host (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import { createHash, createHmac } from "node:crypto"
import * as Quote from "./Quote.ts"

/** One usable line. @since 0.1.0 @category models */
export interface Entry {
  /** counted from 1 */
  readonly line: number
  /** a cert-authority signs host certificates; it says nothing about plain keys, the only ones we ask hosts for */
  readonly marker: "none" | "revoked" | "cert-authority"
  /** the line's first field: a list of patterns, or `|1|salt|hash` */
  readonly hosts: string
  readonly type: string
  /** in SSH wire format, base64 */
  readonly key: string
}

/** @since 0.1.0 @category models */
export interface KnownHosts {
  readonly entries: ReadonlyArray<Entry>
  /** lines that are neither empty nor a comment nor readable; as in OpenSSH they count for nothing */
  readonly ignored: ReadonlyArray<number>
}

/** @since 0.1.0 @category models */
export type Verdict =
  | { readonly _tag: "Match" }
  /** nothing at all is known of the host */
  | { readonly _tag: "Unknown" }
  /** the host is known by other keys: their fingerprints and lines */
  | {
      readonly _tag: "Changed"
      readonly expected: ReadonlyArray<{ readonly fingerprint: string; readonly line: number }>
    }
  | { readonly _tag: "Revoked"; readonly line: number }

const markers: Readonly<Record<string, Entry["marker"]>> = {
  "@revoked": "revoked",
  "@cert-authority": "cert-authority"
}

/** The type a key in wire format names itself, as in `ssh-ed25519`; None when the bytes are no key. @since 0.1.0 @category keys */
export const keyType = (key: Uint8Array): Option.Option<string> => {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength)
  if (bytes.length < 4) return Option.none()
  const length = bytes.readUInt32BE(0)
  if (length === 0 || length > 64 || bytes.length < 4 + length) return Option.none()
  const type = bytes.toString("latin1", 4, 4 + length)
  return /^[\x21-\x7e]+$/.test(type) ? Option.some(type) : Option.none()
}

/** `SHA256:…` as ssh-keygen prints it. @since 0.1.0 @category keys */
export const fingerprint = (key: Uint8Array): string =>
  `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`

const parseLine = (text: string, line: number): Entry | null => {
  const fields = text.trim().split(/[ \t]+/)
  const first = fields[0] ?? ""
  const marker = first.startsWith("@") ? markers[first] : "none"
  if (marker === undefined) return null
  const [hosts, type, key] = marker === "none" ? fields : fields.slice(1)
  if (hosts === undefined || type === undefined || key === undefined) return null
  const bytes = Buffer.from(key, "base64")
  // Buffer.from skips what is not base64, so the way back tells whether all of it was
  if (bytes.toString("base64").replace(/=+$/, "") !== key.replace(/=+$/, "")) return null
  return Option.contains(keyType(bytes), type) ? { line, marker, hosts, type, key: bytes.toString("base64") } : null
}

/** Reads the file's text. @since 0.1.0 @category parsing */
export const parse = (text: string): KnownHosts => {
  const entries: Array<Entry> = []
  const ignored: Array<number> = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^[ \t]*(#|$)/.test(line)) continue
    const entry = parseLine(line, index + 1)
    if (entry === null) ignored.push(index + 1)
    else entries.push(entry)
  }
  return { entries, ignored }
}

/** The host as known_hosts writes it: `name`, or `[name]:port` when the port is not 22. @since 0.1.0 @category formatting */
export const hostName = (host: string, port: number): string =>
  port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`

// `*` any run of characters, `?` any one; backs up to the last star only, so a hostile pattern costs no exponential time
const matchesPattern = (name: string, pattern: string): boolean => {
  let n = 0
  let p = 0
  let star = -1
  let resume = 0
  while (n < name.length) {
    const wanted = pattern[p]
    if (wanted === "*") {
      star = p++
      resume = n
    } else if (wanted === "?" || (wanted !== undefined && wanted === name[n])) {
      p++
      n++
    } else if (star !== -1) {
      p = star + 1
      n = ++resume
    } else return false
  }
  while (pattern[p] === "*") p++
  return p === pattern.length
}

const matches = (hosts: string, name: string): boolean => {
  if (hosts.startsWith("|")) {
    const [, version, salt, hash, ...rest] = hosts.split("|")
    if (version !== "1" || salt === undefined || hash === undefined || rest.length > 0) return false
    return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash
  }
  let matched = false
  for (const pattern of hosts.toLowerCase().split(",")) {
    // one negated pattern that fits rules out the whole line
    if (pattern.startsWith("!")) {
      if (matchesPattern(name, pattern.slice(1))) return false
    } else if (matchesPattern(name, pattern)) matched = true
  }
  return matched
}

/** by name: every line is looked at, and hashed ones cost an HMAC each, for each connection to each of a thousand hosts */
const found = new WeakMap<KnownHosts, Map<string, ReadonlyArray<Entry>>>()

const entriesFor = (known: KnownHosts, host: string, port: number): ReadonlyArray<Entry> => {
  const name = hostName(host, port)
  const names = found.get(known) ?? new Map<string, ReadonlyArray<Entry>>()
  found.set(known, names)
  const entries =
    names.get(name) ?? known.entries.filter((entry) => entry.marker !== "cert-authority" && matches(entry.hosts, name))
  names.set(name, entries)
  return entries
}

/**
 * Judges the key a host has shown. As in OpenSSH, a revoked line wins over any other, and a host on another port than 22 is also known
 * by the very key it has under its plain name.
 *
 * @since 0.1.0 @category verification
 */
export const verify = (known: KnownHosts, host: string, port: number, key: Uint8Array): Verdict => {
  const shown = Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("base64")
  const here = entriesFor(known, host, port)
  const all = port === 22 ? here : [...here, ...entriesFor(known, host, 22)]
  const revoked = all.find((entry) => entry.marker === "revoked" && entry.key === shown)
  if (revoked !== undefined) return { _tag: "Revoked", line: revoked.line }
  const plain = here.filter((entry) => entry.marker === "none")
  if (plain.some((entry) => entry.key === shown)) return { _tag: "Match" }
  if (plain.length > 0) {
    return {
      _tag: "Changed",
      expected: plain.map((entry) => ({
        fingerprint: fingerprint(Buffer.from(entry.key, "base64")),
        line: entry.line
      }))
    }
  }
  return all.some((entry) => entry.marker === "none" && entry.key === shown) ? { _tag: "Match" } : { _tag: "Unknown" }
}

/** The types of the keys the host is known by: ask it for those first. @since 0.1.0 @category verification */
export const keyTypes = (known: KnownHosts, host: string, port: number): ReadonlyArray<string> => {
  const types = (at: number) =>
    entriesFor(known, host, at)
      .filter((entry) => entry.marker === "none")
      .map((entry) => entry.type)
  const here = types(port)
  return [...new Set(here.length > 0 || port === 22 ? here : types(22))]
}

// what `ssh-keyscan -t` and the host's own key files call the types
const shortTypes: ReadonlyArray<readonly [prefix: string, short: string]> = [
  ["ssh-ed25519", "ed25519"],
  ["ecdsa-sha2-", "ecdsa"],
  ["ssh-rsa", "rsa"],
  ["ssh-dss", "dsa"]
]

const shortType = (type: string): string => shortTypes.find(([prefix]) => type.startsWith(prefix))?.[1] ?? type

/** What is told to the operator when a key is refused. @since 0.1.0 @category models */
export interface Refusal {
  readonly reason: string
  readonly fingerprint: string
  /** the command that accepts the key; it asks the network again, so the fingerprint must be compared first */
  readonly accept: string
}

/**
 * Why a key was refused and what would accept it; None for a match. `problem` says why the file could not be read, if so.
 *
 * @since 0.1.0 @category verification
 */
export const refusal = (
  verdict: Verdict,
  shown: {
    readonly host: string
    readonly port: number
    readonly key: Uint8Array
    readonly file: string
    readonly problem?: string
  }
): Option.Option<Refusal> => {
  const { file, host, port } = shown
  const type = Option.getOrElse(keyType(shown.key), () => "unknown")
  const scan = `${Quote.display(["ssh-keyscan", "-p", String(port), "-t", shortType(type), host])} >> ${Quote.display([file])}`
  const forget = Quote.display(["ssh-keygen", "-R", hostName(host, port), "-f", file])
  // the fingerprint follows in SshError's sentence
  const compare = `on the host, ssh-keygen -lf /etc/ssh/ssh_host_${shortType(type)}_key.pub must print the fingerprint seen here`
  const refuse = (reason: string, accept: string): Option.Option<Refusal> =>
    Option.some({ reason, fingerprint: fingerprint(shown.key), accept })
  if (shown.problem !== undefined) {
    return refuse(
      `no host key can be verified, because ${file} cannot be read (${shown.problem}); make it readable; ${compare}`,
      scan
    )
  }
  switch (verdict._tag) {
    case "Match":
      return Option.none()
    case "Unknown":
      return refuse(`its ${type} key is unknown, ${file} has none for it; ${compare}`, scan)
    case "Changed": {
      const expected = verdict.expected.map((entry) => `${entry.fingerprint} (line ${entry.line})`).join(", ")
      return refuse(
        `its ${type} key is not what ${file} has, ${expected}: someone impersonates the host, or it was reinstalled; ${compare}`,
        `${forget} && ${scan}`
      )
    }
    case "Revoked":
      // scanning again accepts the new key, and never the revoked one
      return refuse(
        `its ${type} key is revoked by line ${verdict.line} of ${file}; the host needs a new one, not the one seen here`,
        scan
      )
  }
}
