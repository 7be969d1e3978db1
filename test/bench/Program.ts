/**
 * vmfabric as its users run it: built, and from source as `npm start` does.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { mkdirSync } from "node:fs"
import type { Lab } from "./Lab.ts"
import { type Argv, BenchError, get, root, run, start } from "./Process.ts"

export const output = `${root}dist/bench`

const built = `${output}/build`

/** Compiles and bundles the checkout to a folder of its own. */
export const build = Effect.gen(function* () {
  mkdirSync(output, { recursive: true })
  yield* run([
    process.execPath,
    "node_modules/typescript7/bin/tsc",
    "--project",
    "tsconfig.build.json",
    "--outDir",
    built
  ])
  yield* run(["env", `OUT=${built}`, "npm", "run", "--silent", "bundle"])
})

/** Bundles programs of this folder to `output`: what reads TypeScript is not among what is measured. */
export const bundle = (...names: ReadonlyArray<string>) =>
  run([
    `${root}node_modules/.bin/esbuild`,
    ...names.map((name) => `test/bench/${name}.ts`),
    "--bundle",
    "--packages=external",
    "--platform=node",
    "--format=esm",
    "--conditions=vmfabric-source",
    "--log-level=warning",
    `--outdir=${output}`
  ])

/** The built program's command. */
export const fromBuild: Argv = [process.execPath, `${built}/src/bin/vmfabric.js`]

const hosts = 3

/** Starts it on a free port and waits until it has reached its hosts; gives its pid and URL. */
export const serve = (command: Argv, args: ReadonlyArray<string>, seconds?: number) =>
  Effect.gen(function* () {
    // in whatever order
    const ready = new RegExp(`^(?=${"[^]*host is up".repeat(hosts)})[^]*listening on (http://[^\\s"]+)`)
    const running = yield* start([...command, "--listen", "127.0.0.1:0", ...args], ready, seconds)
    return {
      pid: running.pid,
      url: running.found,
      get: (path: string) => get(running.found + path)
    }
  })

const Done = Schema.parseJson(Schema.Struct({ status: Schema.Int, error: Schema.optional(Schema.String) }))
const Made = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Union(Schema.Int, Schema.String) }))

const refused = (path: string, answer: { readonly error?: unknown }) =>
  new BenchError({ message: `${path}: ${String(answer.error ?? "refused without a reason")}` })

const undecodable = (path: string) => (cause: Error) => new BenchError({ message: `${path}: ${cause.message}`, cause })

/** The same over the lab's hosts, with calls that fail when the program refuses. */
export const serveFiles = (
  command: Argv,
  { imageFile, machineFile, sshArgs, typesFile }: Lab,
  database: string,
  args: ReadonlyArray<string> = []
) =>
  Effect.map(
    serve(command, [
      "--log-level",
      "info",
      "--database",
      database,
      ...sshArgs,
      ...args,
      machineFile,
      imageFile,
      typesFile
    ]),
    (program) => ({
      ...program,
      /** Something new; gives its id, which is under `key`. */
      made: (key: string, path: string) =>
        program.get(path).pipe(
          Effect.flatMap((text) => Effect.mapError(Schema.decode(Made)(text), undecodable(path))),
          Effect.flatMap((answer) => {
            const id = answer[key]
            return typeof id === "number" && id > 0 ? Effect.succeed(id) : refused(path, answer)
          })
        ),
      done: (path: string) =>
        program.get(path).pipe(
          Effect.flatMap((text) => Effect.mapError(Schema.decode(Done)(text), undecodable(path))),
          Effect.flatMap((answer) => (answer.status === 1 ? Effect.void : refused(path, answer)))
        )
    })
  )
