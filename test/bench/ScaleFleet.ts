/** The fleet of `scaleProgram.ts` and `guiProgram.ts`, whose hosts are in a process of their own beside them, all built: what they have to agree on. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { fork } from "node:child_process"
import { connect } from "node:net"
import { HostAddress } from "../../src/domain/Host.ts"
import { SshDialer } from "../../src/services/SshDialer.ts"
import * as FleetFile from "../../src/simulator/FleetFile.ts"
import { BenchError } from "./Process.ts"

/** In a pool an image is there once, not once on every host; VMs that stand already have their disks on their hosts. */
export const file = ({
  hosts,
  standing
}: {
  readonly hosts: number
  readonly standing: boolean
}): FleetFile.FleetFile => ({
  ...FleetFile.sized({ hosts }),
  ...(standing ? {} : { images: [{ name: "image", size: 1 }], pool: { name: "vms", capacity: 1024 ** 2 } })
})

const Ready = Schema.Struct({
  privateKeys: Schema.Array(Schema.String),
  knownHosts: Schema.String,
  ceph: Schema.NullOr(
    Schema.Struct({ pool: Schema.String, client: Schema.String, conf: Schema.String, host: HostAddress })
  ),
  /** of the hosts' process */
  mebibytes: Schema.Number
})

/** Asks the hosts' process what it has used of the processors. */
export const cpuAsked = "cpu"

/** Microseconds. */
const Cpu = Schema.Struct({ user: Schema.Number, system: Schema.Number })

/** What the hosts' process says when all is there. */
export const encode = Schema.encodeSync(Ready)

/** The hosts are none of what is measured: they are not to spend a third of their time on garbage, as a controller with little memory may. */
const roomy = (args: ReadonlyArray<string>) => [
  ...args.filter((arg) => !arg.startsWith("--max-semi-space-size")),
  "--max-semi-space-size=64"
]

/** Hosts, until the scope closes. */
export const make = Effect.fnUntraced(function* (options: {
  readonly hosts: number
  readonly socket: string
  readonly database: string
  readonly standing: number
}) {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => fork(new URL("hostsProgram.js", import.meta.url), args, { execArgv: roomy(process.execArgv) })),
    // who ends a whole family has ended it already
    (process) => Effect.sync(() => void (process.connected && process.disconnect()))
  )
  const said = Effect.async<unknown, BenchError>((resume) => {
    const failed = () => resume(new BenchError({ message: "the simulated hosts ended" }))
    child.once("exit", failed)
    child.once("message", (message) => {
      child.off("exit", failed)
      resume(Effect.succeed(message))
    })
  })
  const ready = yield* Effect.flatMap(said, Schema.decodeUnknown(Ready))
  const dial = (host: string) => {
    const stream = connect(options.socket)
    stream.on("error", () => {})
    stream.write(`${host}\n`)
    return stream
  }
  const dialer = Layer.succeed(SshDialer, {
    dial: ({ host }) =>
      Effect.acquireRelease(
        Effect.sync(() => dial(host)),
        (stream) => Effect.sync(() => stream.destroy())
      )
  })
  /** Asks, and gives the answer to it. */
  const ask = (what: string) =>
    Effect.zipRight(
      Effect.sync(() => child.send(what)),
      said
    )
  return {
    ...ready,
    dial,
    dialer,
    /** Milliseconds of the processors that the hosts' process has used so far. */
    cpu: Effect.map(
      Effect.flatMap(ask(cpuAsked), Schema.decodeUnknown(Cpu)),
      ({ system, user }) => (user + system) / 1000
    ),
    /** So many of the hosts answer nothing from now on. */
    hang: (hosts: number) => ask(String(hosts))
  }
})
