/**
 * Real hosts for the benches: a lab of their own, beside any other, there while the scope is open.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import type { HostAddress } from "../../src/domain/Host.ts"
import { type Argv, BenchError, root, run, start } from "./Process.ts"

const Status = Schema.parseJson(
  Schema.Struct({
    dir: Schema.String,
    sshKey: Schema.String,
    knownHosts: Schema.String,
    hosts: Schema.NonEmptyArray(Schema.Struct({ name: Schema.String, address: Schema.String, pid: Schema.Int })),
    ceph: Schema.Struct({ conf: Schema.String, pool: Schema.String, client: Schema.String })
  })
)

// its own folder, too, whatever VMFABRIC_LAB_DIR says: that one may be another lab's
const lab = (...args: ReadonlyArray<string>) =>
  run(["bash", `${root}fixtures/lab/lab.sh`, "--name", "bench", "--subnet", "10.80.0", "--dir=", ...args], {
    seconds: 300
  })

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
  readonly ceph: { readonly pool: string; readonly client: string; readonly conf: string }
  /** the program's flags for disks and volumes in the lab's Ceph, which is small */
  readonly cephArgs: ReadonlyArray<string>
  readonly machineFile: string
  readonly imageFile: string
  readonly typesFile: string
  /** OpenSSH with the lab's keys; a destination and a command follow */
  readonly ssh: Argv
}

const describe = ({ ceph, dir, hosts: [first, ...others], knownHosts, sshKey }: typeof Status.Type): Lab => {
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
    ceph,
    cephArgs: [
      ["--ceph-pool", ceph.pool],
      ["--ceph-client", ceph.client],
      ["--ceph-conf", ceph.conf],
      ["--ceph-overcommit", "1000"]
    ].flat(),
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

/** A command in a host's own namespaces, without SSH. */
export const enter = (host: Host, ...argv: ReadonlyArray<string>): Argv => [
  ...(["nsenter", "-t", String(host.pid), "-m", "-u", "-i", "-n", "-p", "--wd=/"] as const),
  ...argv
]

export const inside = (host: Host, ...argv: ReadonlyArray<string>) => run(enter(host, ...argv))

/** Puts a file into a host's /tmp; gives its path there. */
export const put = (host: Host, name: string, text: string) =>
  Effect.sync(() => {
    writeFileSync(`/proc/${host.pid}/root/tmp/${name}`, text)
    return `/tmp/${name}`
  })

/** OpenSSH over a connection that is open while the scope is; a command follows. */
export const openSsh = (lab: Lab, host: Host) =>
  Effect.gen(function* () {
    const destination = `root@${host.address.host}`
    const shared: Argv = [...lab.ssh, "-S", `${tmpdir()}/vmfabric-bench-${process.pid}-${host.pid}`]
    yield* start([...shared, "-M", "-N", "-v", destination], /(Entering interactive session)/)
    return [...shared, destination] satisfies Argv
  })

/** Waits until a guest that boots from the lab's image says that it is ready. */
export const guestReady = (lab: Lab, domainName: string) =>
  Effect.sync(() =>
    lab.hosts.some(({ pid }) => {
      const log = `/proc/${pid}/root/var/log/libvirt/qemu/${domainName}.serial.log`
      return existsSync(log) && readFileSync(log, "latin1").includes("GUEST READY")
    })
  ).pipe(
    Effect.repeat({ until: (ready) => ready, schedule: Schedule.spaced("200 millis") }),
    Effect.timeoutFail({
      duration: "120 seconds",
      onTimeout: () => new BenchError({ message: `the guest in ${domainName} was not ready after 120 s` })
    })
  )
