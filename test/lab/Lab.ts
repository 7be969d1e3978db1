/**
 * The lab of real hosts as the suites use it.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { execFile } from "node:child_process"
import { inject } from "vitest"

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

export const status = Schema.decodeUnknownSync(Status)(inject("lab"))

/** The three files for the program, in its order. */
export const files = ["physicalMachine_file", "image_file", "vm_types"].map((name) => `${status.dir}/${name}`)

export const sshFlags = ["--ssh-key", status.sshKey, "--known-hosts", status.knownHosts]

/** Root disks and volumes in the lab's Ceph, which is small. */
export const cephFlags = [
  "--ceph-overcommit",
  "50",
  "--ceph-pool",
  status.ceph.pool,
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
  const host = status.hosts[index]
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

/** Asks again, every half second, until `accept` likes the answer; fails with `what` and the end of the last answer when that has not come in time. */
export const eventually = <A, E, R>(
  what: string,
  effect: Effect.Effect<A, E, R>,
  accept: (value: A) => boolean,
  within: `${number} seconds` = "60 seconds"
) =>
  Effect.suspend(() => {
    let last: unknown = "no answer"
    return effect.pipe(
      Effect.tap((value) => Effect.sync(() => (last = value))),
      Effect.repeat({ until: accept, schedule: Schedule.spaced("500 millis") }),
      Effect.timeoutFail({
        duration: within,
        onTimeout: () => {
          const seen = typeof last === "string" ? last : JSON.stringify(last)
          return new LabError({
            message: `${what}: not within ${within}; the last answer ended with\n${seen.slice(-2000)}`
          })
        }
      })
    )
  })
