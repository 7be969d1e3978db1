/**
 * One libvirt call, by every way there is.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import type { Duplex } from "node:stream"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import * as Packet from "../../src/libvirt/Packet.ts"
import * as Procedures from "../../src/libvirt/Procedures.ts"
import * as Xdr from "../../src/libvirt/Xdr.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import { Ssh, type SshError } from "../../src/services/Ssh.ts"
import { compare, type Figure, interleave, milliseconds } from "./Figure.ts"
import * as Lab from "./Lab.ts"
import { type Argv, BenchError, run, start } from "./Process.ts"

const section = "rpc"
const socketPath = "/run/libvirt/libvirt-sock"
const name = "bench"
const rounds = 7
/** calls a round and way */
const many = 400
const few = 2

/** Defined, never started. */
const domain = `<domain type="qemu"><name>${name}</name><memory unit="MiB">16</memory><os><type arch="x86_64">hvm</type></os></domain>`

/** The cost of the operation itself: frames made beforehand, a write and a wait for as many bytes as the reply has. */
const rawSession = (duplex: Duplex) =>
  Effect.gen(function* () {
    const frame = <P extends Procedures.ProcedureName>(procedure: P, args: Procedures.Args<P>) =>
      Either.map(Xdr.encode(Procedures.argsOf(procedure), args), (payload) =>
        Packet.encode(
          {
            program: Packet.programs.remote,
            procedure: Procedures.procedures[procedure].number,
            type: Packet.types.call,
            serial: 1,
            status: Packet.statuses.ok
          },
          payload
        )
      )
    const exchange = (bytes: Uint8Array) =>
      Effect.async<void, BenchError>((resume) => {
        let wanted = 0
        let received = 0
        const onData = (chunk: Buffer) => {
          if (received === 0) wanted = chunk.readUInt32BE(0)
          received += chunk.length
          if (received < wanted) return
          duplex.off("data", onData)
          resume(Effect.void)
        }
        duplex.on("data", onData)
        duplex.write(bytes)
      }).pipe(
        Effect.timeoutFail({
          duration: "10 seconds",
          onTimeout: () => new BenchError({ message: "raw call: silence" })
        })
      )
    yield* exchange(yield* frame("AUTH_LIST", undefined))
    yield* exchange(yield* frame("CONNECT_OPEN", { name: "qemu:///system", flags: 0 }))
    const version = yield* frame("CONNECT_GET_LIB_VERSION", undefined)
    const lookup = yield* frame("DOMAIN_LOOKUP_BY_NAME", { name })
    /** without Effect between the calls either */
    const repeat = (bytes: Uint8Array, times: number) =>
      Effect.async<void>((resume) => {
        let left = times
        let wanted = 0
        let received = 0
        const onData = (chunk: Buffer) => {
          if (received === 0) wanted = chunk.readUInt32BE(0)
          received += chunk.length
          if (received < wanted) return
          received = 0
          if (--left > 0) return void duplex.write(bytes)
          duplex.off("data", onData)
          resume(Effect.void)
        }
        duplex.on("data", onData)
        duplex.write(bytes)
      })
    return {
      version: (times: number) => repeat(version, times),
      lookup: (times: number) => repeat(lookup, times)
    }
  })

const localSocket = (path: string) =>
  Effect.acquireRelease(
    Effect.async<Duplex, BenchError>((resume) => {
      const socket = connect(path, () => resume(Effect.succeed(socket)))
      socket.on("error", (cause) =>
        resume(Effect.fail(new BenchError({ message: `${path}: ${cause.message}`, cause })))
      )
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

export const measure = (lab: Lab.Lab) =>
  Effect.gen(function* () {
    const [host] = lab.hosts
    const { address } = host
    const path = `/proc/${host.pid}/root${socketPath}`
    const ssh = Context.get(
      yield* Layer.build(
        SshLive.layer(lab.sshOptions).pipe(Layer.provide(SshDialerTcp.layer), Layer.provide(NodeFileSystem.layer))
      ),
      Ssh
    )
    const overSsh = Context.get(
      yield* Layer.build(LibvirtLive.layer.pipe(Layer.provide(Layer.succeed(Ssh, ssh)))),
      Libvirt
    )
    const local = Context.get(yield* Layer.build(LibvirtLive.layerLocal(path)), Libvirt)
    yield* overSsh.call(address, "DOMAIN_DEFINE_XML_FLAGS", { xml: domain, flags: 0 })

    const rawLocal = yield* rawSession(yield* localSocket(path))
    const rawSsh = yield* rawSession(yield* ssh.openSocket(address, socketPath))

    const control = `${tmpdir()}/vmfabric-bench-${process.pid}`
    const destination = `root@${address.host}`
    const shared: Argv = [...lab.ssh, "-S", control]
    yield* start([...shared, "-M", "-N", "-v", destination], /(Entering interactive session)/)

    /** milliseconds a call */
    const each = <E, R>(times: number, all: Effect.Effect<unknown, E, R>) =>
      Effect.map(milliseconds(all), (total) => total / times)
    const calls = <E, R>(times: number, call: Effect.Effect<unknown, E, R>) =>
      each(times, Effect.repeatN(call, times - 1))
    const version = (libvirt: Libvirt["Type"]) => libvirt.call(address, "CONNECT_GET_LIB_VERSION", undefined)
    const lookup = (libvirt: Libvirt["Type"]) => libvirt.call(address, "DOMAIN_LOOKUP_BY_NAME", { name })
    const virsh = ["virsh", "-q", "-c", "qemu:///system"] as const
    const domuuid = [...virsh, "domuuid", name] as const

    // what is compiled only after some use
    yield* Effect.all([
      calls(2000, version(overSsh)),
      calls(2000, lookup(overSsh)),
      calls(2000, version(local)),
      calls(2000, lookup(local)),
      rawLocal.lookup(2000),
      rawSsh.lookup(2000)
    ])

    const quick = yield* interleave(rounds, [
      { name: "version, SSH", round: calls(many, version(overSsh)) },
      { name: "version, raw SSH", round: each(many, rawSsh.version(many)) },
      { name: "version, socket", round: calls(many, version(local)) },
      { name: "version, raw socket", round: each(many, rawLocal.version(many)) },
      { name: "lookup, SSH", round: calls(many, lookup(overSsh)) },
      { name: "lookup, raw SSH", round: each(many, rawSsh.lookup(many)) },
      { name: "lookup, socket", round: calls(many, lookup(local)) },
      { name: "lookup, raw socket", round: each(many, rawLocal.lookup(many)) },
      {
        name: "lookup, SSH, 50 at once",
        round: each(many, Effect.replicateEffect(lookup(overSsh), many, { concurrency: 50, discard: true }))
      }
    ])
    const slow = yield* interleave<string, BenchError | SshError, never>(3, [
      { name: "exec", round: calls(few, ssh.exec(address, domuuid)) },
      { name: "ssh", round: calls(few, run([...lab.ssh, destination, ...domuuid])) },
      { name: "shared", round: calls(few, run([...shared, destination, ...domuuid])) },
      { name: "local", round: calls(few, Lab.inside(host, ...domuuid)) }
    ])

    const figure = (
      what: string,
      values: ReadonlyArray<number>,
      peer?: string,
      others: ReadonlyArray<number> = []
    ) => ({
      section,
      what,
      unit: "ms/call",
      values,
      ...(peer === undefined ? {} : { against: compare(peer, values, others) })
    })
    const ours = quick("lookup, SSH")
    const figures: ReadonlyArray<Figure> = [
      ...(["version", "lookup"] as const).flatMap((call) => [
        figure(`${call}: frames by hand, Unix socket`, quick(`${call}, raw socket`)),
        figure(`${call}: ours, Unix socket`, quick(`${call}, socket`), "by hand", quick(`${call}, raw socket`)),
        figure(
          `${call}: frames by hand, SSH channel`,
          quick(`${call}, raw SSH`),
          "Unix socket",
          quick(`${call}, raw socket`)
        ),
        figure(`${call}: ours, SSH channel`, quick(`${call}, SSH`), "by hand", quick(`${call}, raw SSH`)),
        figure(`${call}: ours, SSH channel`, quick(`${call}, SSH`), "ours, Unix socket", quick(`${call}, socket`))
      ]),
      figure("lookup: ours, SSH channel, 50 at once", quick("lookup, SSH, 50 at once"), "ours, one by one", ours),
      figure("lookup: virsh on the host itself", slow("local"), "ours, SSH channel", ours),
      figure("lookup: virsh, our open SSH connection", slow("exec"), "ours, SSH channel", ours),
      figure("lookup: virsh, open OpenSSH connection", slow("shared"), "ours, SSH channel", ours),
      figure("lookup: virsh, a new ssh each time", slow("ssh"), "ours, SSH channel", ours)
    ]
    return figures
  })
