/**
 * How long somebody waits for a command that asks no controller: Node's own start is most of it.
 */
import * as Effect from "effect/Effect"
import { compare, type Figure, interleave, milliseconds } from "./Figure.ts"
import { run } from "./Process.ts"

const section = "cli"
const rounds = 15

const commands = {
  "--help": ["--help"],
  "vm create --help": ["vm", "create", "--help"]
} as const

export const measure = Effect.gen(function* () {
  yield* run(["npm", "run", "-s", "build"], { seconds: 180 })
  const peer = "node -e 0"
  // with the flag that its first line gives it
  const command = (args: ReadonlyArray<string>) =>
    [process.execPath, "--max-semi-space-size=8", "dist/src/bin/vmfabric.js", ...args] as const
  const ours = (args: ReadonlyArray<string>) => run(command(args))
  const help = ours(commands["--help"])
  yield* help
  const first = "vmfabric --help, where no code is kept"
  const values = yield* interleave(rounds, [
    { name: peer, round: milliseconds(run([process.execPath, "-e", "0"])) },
    { name: "--help", round: milliseconds(help) },
    { name: first, round: milliseconds(run(["env", "XDG_CACHE_HOME=/dev/null", ...command(commands["--help"])])) },
    { name: "vm create --help", round: milliseconds(ours(commands["vm create --help"])) }
  ])
  const figures: ReadonlyArray<Figure> = [
    { section, what: peer, unit: "ms", values: values(peer) },
    { section, what: first, unit: "ms", values: values(first), against: compare(peer, values(first), values(peer)) },
    ...(["--help", "vm create --help"] as const).map((what) => ({
      section,
      what: `vmfabric ${what}`,
      unit: "ms",
      values: values(what),
      against: compare(peer, values(what), values(peer)),
      target: { of: "median", kind: "at most", value: 300 } as const
    }))
  ]
  return figures
})
