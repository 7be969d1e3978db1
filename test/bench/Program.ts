/**
 * vmfabric as its users run it: built, and from source as `npm start` does.
 */
import * as Effect from "effect/Effect"
import { mkdirSync } from "node:fs"
import { type Argv, get, root, run, start } from "./Process.ts"

export const output = `${root}dist/bench`

const built = `${output}/build`

/** Compiles the checkout to a folder of its own. */
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
})

/** The built program's command. */
export const fromBuild: Argv = [process.execPath, `${built}/src/bin/vmfabric.js`]

const hosts = 3

/** Starts it on a free port and waits until it has reached its hosts; gives its pid and URL. */
export const serve = (command: Argv, args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    // in whatever order
    const ready = new RegExp(`^(?=${"[^]*host is up".repeat(hosts)})[^]*listening on (http://[^\\s"]+)`)
    const running = yield* start([...command, "--listen", "127.0.0.1:0", ...args], ready)
    return {
      pid: running.pid,
      url: running.found,
      get: (path: string) => get(running.found + path)
    }
  })
