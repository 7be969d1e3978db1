/**
 * The lab of real hosts as the suites use it.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { execFile } from "node:child_process"
import { beforeAll, inject } from "vitest"

export class LabError extends Data.TaggedError("LabError")<{ readonly message: string }> {}

const Status = Schema.parseJson(
  Schema.Struct({
    dir: Schema.String,
    sshKey: Schema.String,
    knownHosts: Schema.String,
    hosts: Schema.NonEmptyArray(Schema.Struct({ name: Schema.String, address: Schema.String })),
    ceph: Schema.Struct({
      conf: Schema.String,
      pool: Schema.String,
      client: Schema.String,
      monitors: Schema.Array(Schema.String)
    })
  })
)

const whole = Schema.decodeUnknownSync(Status)(inject("lab"))

/** All hosts; those behind the third are there for tests that take a host for themselves. */
export const everyHost = whole.hosts

const [first, ...others] = everyHost
const hosts: typeof everyHost = [first, ...others.slice(0, 2)]

/** The lab with the three hosts that most tests have. */
export const status = { ...whole, hosts }

/** The three files for the program, in its order; the machine file has the first three hosts, or `rest`, the others. */
export const filesOf = (machines: "first" | "rest") =>
  [`${machines}_machines`, "image_file", "vm_types"].map((name) => `${status.dir}/${name}`)

/** The id of the third image in the file, whose guests stay in their firmware: where nobody looks into them they cost nothing. */
export const blankImage = 102

export const sshFlags = ["--ssh-key", status.sshKey, "--known-hosts", status.knownHosts]

/** A second pool, of the same client: what is done in one is not seen in the other. */
export const otherPool = "other"

/** Root disks and volumes in a pool of the lab's Ceph, which is small. */
export const cephFlags = (pool: string) => [
  "--ceph-overcommit",
  "50",
  "--ceph-pool",
  pool,
  "--ceph-client",
  status.ceph.client,
  "--ceph-conf",
  status.ceph.conf
]

/** What `SshLive.layer` takes to reach the lab's hosts. */
export const sshOptions = {
  keyFile: Option.some(status.sshKey),
  knownHostsFile: status.knownHosts,
  agentSocket: Option.none(),
  homeDirectory: status.dir
}

/** `user, host, port` of the n-th host, from 0. */
export const address = (index: number) => {
  const host = everyHost[index]
  if (host === undefined) throw new Error(`the lab has no host ${index}`)
  return { user: "root", host: host.address, port: 22 }
}

/** A verb of the lab's command; gives what it printed. */
export const lab = (...args: ReadonlyArray<string>) =>
  Effect.async<string, LabError>((resume) => {
    const child = execFile("bash", [...inject("labCommand"), ...args], (error, stdout, stderr) =>
      resume(
        error === null
          ? Effect.succeed(stdout)
          : Effect.fail(new LabError({ message: `lab ${args.join(" ")}: ${error.message} ${stdout} ${stderr}` }))
      )
    )
    return Effect.sync(() => void child.kill())
  })

/** A program on a host of the lab, by its name. */
export const onHost = (host: string, ...argv: ReadonlyArray<string>) => lab("exec", host, "--", ...argv)

const again = Schedule.union(Schedule.exponential("50 millis", 1.3), Schedule.spaced("500 millis"))

/** The first answer that `accept` likes: asks again, at first soon and then every half second; fails with `what` and the end of the last answer when that has not come in time. */
export const eventually = <A, E, R>(
  what: string,
  effect: Effect.Effect<A, E, R>,
  accept: (value: A) => boolean,
  within: `${number} seconds` = "180 seconds"
) =>
  Effect.suspend(() => {
    let last = Option.none<A>()
    return effect.pipe(
      Effect.tap((value) => Effect.sync(() => (last = Option.some(value)))),
      Effect.repeat({ until: accept, schedule: again }),
      Effect.map(() => Option.getOrThrow(last)),
      Effect.timeoutFail({
        duration: within,
        onTimeout: () => {
          const value: unknown = Option.getOrElse(last, () => "no answer")
          const seen = typeof value === "string" ? value : JSON.stringify(value)
          return new LabError({
            message: `${what}: not within ${within}; the last answer ended with\n${seen.slice(-2000)}`
          })
        }
      })
    )
  })

/** What is done beside the tests of a file is done one after another. */
const turn = Effect.unsafeMakeSemaphore(1)

/**
 * The body of a test that mostly waits: it begins with the first test of its file and goes on beside those that stand before it. A second try
 * begins when the first has failed.
 */
export const beside = <A, E>(body: Effect.Effect<A, E>) => {
  let begun: Fiber.RuntimeFiber<A, E> | undefined
  beforeAll(() => {
    begun = Effect.runFork(turn.withPermits(1)(body))
  })
  return () => {
    const first = begun
    begun = undefined
    return first === undefined ? turn.withPermits(1)(body) : Fiber.join(first)
  }
}
