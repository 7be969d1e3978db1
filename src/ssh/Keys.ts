/**
 * Private keys: where they are looked for, and what a key file tells without its passphrase.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import { join } from "node:path"

/** A file to try; one that was asked for by name must be usable, the others may be absent. @since 0.1.0 @category models */
export interface Candidate {
  readonly path: string
  readonly required: boolean
}

/**
 * The key files to try, in order: the one asked for and no other, else ssh's usual three.
 *
 * @since 0.1.0 @category selection
 */
export const candidates = (options: {
  readonly keyFile: Option.Option<string>
  readonly homeDirectory: string
}): ReadonlyArray<Candidate> =>
  Option.match(options.keyFile, {
    onSome: (path) => [{ path, required: true }],
    onNone: () =>
      ["id_ed25519", "id_ecdsa", "id_rsa"].map((name) => ({
        path: join(options.homeDirectory, ".ssh", name),
        required: false
      }))
  })

const openSsh = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----/
const magic = Buffer.from("openssh-key-v1\0", "latin1")

// PROTOCOL.key of OpenSSH: magic, ciphername, kdfname, kdfoptions, number of keys, public key, …
const header = (text: string): Option.Option<{ readonly cipher: string; readonly publicKey: Uint8Array }> => {
  const body = openSsh.exec(text)?.[1]
  if (body === undefined) return Option.none()
  const bytes = Buffer.from(body, "base64")
  if (!bytes.subarray(0, magic.length).equals(magic)) return Option.none()
  let at = magic.length
  const string = (): Buffer | null => {
    if (at + 4 > bytes.length) return null
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) return null
    const value = bytes.subarray(at + 4, end)
    at = end
    return value
  }
  const cipher = string()
  const kdf = string()
  const kdfOptions = string()
  at += 4
  const publicKey = string()
  return cipher === null || kdf === null || kdfOptions === null || publicKey === null
    ? Option.none()
    : Option.some({ cipher: cipher.toString("latin1"), publicKey })
}

/** Whether a passphrase guards the key. @since 0.1.0 @category inspection */
export const isEncrypted = (text: string): boolean =>
  Option.match(header(text), {
    onSome: ({ cipher }) => cipher !== "none",
    onNone: () => /^(-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: *4, *ENCRYPTED)/m.test(text)
  })

/**
 * The public half, in SSH wire format, which OpenSSH's own format keeps in the clear: tells which of an agent's keys it is.
 *
 * @since 0.1.0 @category inspection
 */
export const publicKey = (text: string): Option.Option<Uint8Array> =>
  Option.map(header(text), (found) => found.publicKey)
