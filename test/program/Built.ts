/**
 * The program as users have it, bundled: it starts as fast as theirs, where one that is run from its sources takes four times as long. It is built by who
 * needs it first after a change.
 */
import * as Schema from "effect/Schema"
import { build } from "esbuild"
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { mkdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"

const root = new URL("../..", import.meta.url).pathname

const folder = "dist/program"

/** What users start, from the root of the sources. */
export const program = `${folder}/src/bin/vmfabric.js`

/** `test/lab/crashing.ts`: a life of it is as short as one of the real program. */
export const crashing = `${folder}/test/lab/crashing.js`

/** Who holds a lock for longer has ended without letting go of it. */
const isOld = async (lock: string): Promise<boolean> => Date.now() - (await stat(lock)).mtimeMs > 120_000

/** Does it when nobody else does what goes by this name, in whatever process. */
export const inTurn = async (name: string, work: () => Promise<void>): Promise<void> => {
  const lock = join(root, "dist", `.${name}`)
  await mkdir(join(root, "dist"), { recursive: true })
  for (;;) {
    try {
      await mkdir(lock)
      break
    } catch {
      if (await isOld(lock).catch(() => false)) await rm(lock, { recursive: true, force: true })
      await setTimeout(50)
    }
  }
  try {
    await work()
  } finally {
    await rm(lock, { recursive: true, force: true })
  }
}

/** Of what it was built: files, and when it was begun in milliseconds since 1970. */
const Record = Schema.parseJson(Schema.Struct({ began: Schema.Number, inputs: Schema.Array(Schema.String) }))
const decode = Schema.decodeSync(Record)
const encode = Schema.encodeSync(Record)
const record = join(root, folder, "inputs.json")

const isCurrent = (): boolean => {
  if (!existsSync(record)) return false
  const { began, inputs } = decode(readFileSync(record, "utf8"))
  return inputs.every((file) => {
    const found = statSync(join(root, file), { throwIfNoEntry: false })
    return found !== undefined && found.mtimeMs < began
  })
}

/** As `npm run bundle` does it, but in one. */
const bundle = async (): Promise<void> => {
  if (isCurrent()) return
  const began = Date.now()
  await rm(join(root, folder), { recursive: true, force: true })
  const { metafile } = await build({
    entryPoints: ["src/bin/vmfabric.ts", "test/lab/crashing.ts"],
    absWorkingDir: root,
    outbase: ".",
    outdir: folder,
    chunkNames: "part-[name]-[hash]",
    bundle: true,
    splitting: true,
    metafile: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["vmfabric-source"],
    external: ["better-sqlite3", "ssh2"],
    minifySyntax: true,
    banner: { js: 'import{createRequire as requireOf}from"node:module";const require=requireOf(import.meta.url);' },
    logLevel: "warning"
  })
  const inputs = Object.keys(metafile.inputs).filter((file) => existsSync(join(root, file)))
  writeFileSync(record, encode({ began, inputs: [...inputs, "package-lock.json", "test/program/Built.ts"] }))
}

let whole: Promise<void> | undefined

/** Builds both, unless they are built. */
export const built = (): Promise<void> => (whole ??= inTurn("program-build", bundle))
