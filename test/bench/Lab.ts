/**
 * Real hosts for the benches: a lab of their own, beside any other, there while the scope is open.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { HostAddress } from "../../src/domain/Host.ts"
import { type Argv, BenchError, root, run } from "./Process.ts"

const Status = Schema.parseJson(
  Schema.Struct({
    dir: Schema.String,
    sshKey: Schema.String,
    knownHosts: Schema.String,
    hosts: Schema.NonEmptyArray(Schema.Struct({ name: Schema.String, address: Schema.String, pid: Schema.Int }))
  })
)

const lab = (...args: ReadonlyArray<string>) =>
  run(["bash", `${root}fixtures/lab/lab.sh`, "--name", "bench", "--subnet", "10.80.0", ...args], { seconds: 300 })

export interface Host {
  readonly address: HostAddress
  /** its first process */
  readonly pid: number
}

export interface Lab {
  readonly dir: string
  readonly hosts: readonly [Host, ...ReadonlyArray<Host>]
  /** what `SshLive.layer` takes */
  readonly sshOptions: {
    readonly keyFile: Option.Option<string>
    readonly knownHostsFile: string
    readonly agentSocket: Option.Option<string>
    readonly homeDirectory: string
  }
  /** the program's flags for the lab's keys */
  readonly sshArgs: ReadonlyArray<string>
  readonly machineFile: string
  readonly imageFile: string
  readonly typesFile: string
  /** OpenSSH with the lab's keys; a destination and a command follow */
  readonly ssh: Argv
}

const describe = ({ dir, hosts: [first, ...others], knownHosts, sshKey }: typeof Status.Type): Lab => {
  const host = ({ address, pid }: typeof first): Host => ({ address: { user: "root", host: address, port: 22 }, pid })
  return {
    dir,
    hosts: [host(first), ...others.map(host)],
    sshOptions: {
      keyFile: Option.some(sshKey),
      knownHostsFile: knownHosts,
      agentSocket: Option.none(),
      homeDirectory: dir
    },
    sshArgs: ["--ssh-key", sshKey, "--known-hosts", knownHosts],
    machineFile: `${dir}/physicalMachine_file`,
    imageFile: `${dir}/image_file`,
    typesFile: `${dir}/vm_types`,
    ssh: [
      ...(["ssh", "-F", "none", "-i", sshKey] as const),
      ...["IdentitiesOnly=yes", "BatchMode=yes", `UserKnownHostsFile=${knownHosts}`].flatMap((o) => ["-o", o])
    ]
  }
}

/** Brings it up; down again with the scope, whatever happened. */
export const up = Effect.gen(function* () {
  yield* Effect.acquireRelease(Effect.zipRight(lab("down"), lab("up", "3")), () =>
    Effect.catchAll(lab("down"), (error) => Effect.logError(`the bench's lab is left: ${error.message}`))
  )
  const status = yield* Effect.flatMap(lab("status", "--json"), Schema.decodeUnknown(Status)).pipe(
    Effect.catchTag("ParseError", (cause) => new BenchError({ message: `the lab's status: ${cause.message}`, cause }))
  )
  return describe(status)
})

/** Runs a command in a host's own namespaces, without SSH. */
export const inside = (host: Host, ...argv: ReadonlyArray<string>) =>
  run(["nsenter", "-t", String(host.pid), "-m", "-u", "-i", "-n", "-p", "--wd=/", ...argv])
