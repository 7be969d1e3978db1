/**
 * A script whose compiled code is kept for the next time: of a bundle of two megabytes that is a quarter of what a short command takes. Node 22 has the like
 * (`module.enableCompileCache`), this is for those before it, too. Nothing of Effect is here, since it would have to be loaded first.
 *
 * @since 0.11.0
 */
import { createHash } from "node:crypto"
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createRequire } from "node:module"
import { homedir } from "node:os"
import { dirname, isAbsolute, join } from "node:path"
import { fileURLToPath } from "node:url"
import { cachedDataVersionTag } from "node:v8"
import { Script } from "node:vm"

/** SHA-256 of the script and of what V8 made of it: V8 itself compares no more than the script's length. */
const digestSize = 32

const digest = (source: Uint8Array, code: Uint8Array): Buffer =>
  createHash("sha256").update(source).update(code).digest()

/**
 * `$XDG_CACHE_HOME/vmfabric`, or `~/.cache/vmfabric`; null: there is no home, as of users of services, and none is made.
 *
 * @since 0.11.0 @category constructors
 */
export const directory = (): string | null => {
  const given = process.env["XDG_CACHE_HOME"] ?? ""
  // one that is relative is not to be heeded, by XDG's own rule
  if (isAbsolute(given)) return join(given, "vmfabric")
  const home = homedir()
  return existsSync(home) ? join(home, ".cache", "vmfabric") : null
}

/** What is run is code: only what nobody else can have written is taken, so that root does not run what a user left. */
const readOwn = (file: string): Buffer => {
  const descriptor = openSync(file, "r")
  try {
    const { mode, uid } = fstatSync(descriptor)
    return uid === process.geteuid?.() && (mode & 0o022) === 0 ? readFileSync(descriptor) : Buffer.alloc(0)
  } finally {
    closeSync(descriptor)
  }
}

/** By its V8 and the flags it was started with. */
const fileIn = (directory: string): string => join(directory, `client-${cachedDataVersionTag()}.bin`)

const kept = (file: string, source: Uint8Array): Buffer | undefined => {
  try {
    const found = readOwn(file)
    const code = found.subarray(digestSize)
    return found.subarray(0, digestSize).equals(digest(source, code)) ? code : undefined
  } catch {
    // there is none, or none that can be read: it is compiled then
    return undefined
  }
}

const forget = (file: string): void => {
  try {
    rmSync(file)
  } catch {
    // it was not begun
  }
}

const keep = (file: string, source: Uint8Array, code: Uint8Array): void => {
  const written = `${file}.${process.pid}`
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    writeFileSync(written, Buffer.concat([digest(source, code), code]), { mode: 0o600, flag: "wx" })
    renameSync(written, file)
  } catch {
    // a full disk, or a home that cannot be written: it is compiled each time
    forget(written)
  }
}

/**
 * Runs the CommonJS script at `url`, and says whether its code was found in `directory`. If it was not, it is kept there when the process ends, with all functions
 * that were called until then. What cannot be read, written or trusted is as none. null: it is kept nowhere.
 *
 * @since 0.11.0 @category execution
 */
export const run = (url: URL, directory: string | null): boolean => {
  const path = fileURLToPath(url)
  const source = readFileSync(path)
  const file = directory === null ? null : fileIn(directory)
  const cachedData = file === null ? undefined : kept(file, source)
  // what bundlers write is ASCII, which is read as such in a fraction of the time
  const wrapped = `(function (require, module, exports, __filename, __dirname) {${source.toString("latin1")}\n})`
  const script = new Script(wrapped, { filename: path, ...(cachedData === undefined ? {} : { cachedData }) })
  const cached = cachedData !== undefined && script.cachedDataRejected === false
  if (!cached && file !== null) process.once("exit", () => keep(file, source, script.createCachedData()))
  const exports = {}
  const main: unknown = script.runInThisContext()
  if (typeof main === "function") main(createRequire(url), { exports }, exports, path, dirname(path))
  return cached
}
