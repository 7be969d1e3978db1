/**
 * What a real cloud-init makes of a VM's seed, as its guest tells: Debian's own packages, on a real host, with disk and seed in Ceph.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as HttpServer from "@effect/platform/HttpServer"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { WebSocket } from "ws"
import * as AppLive from "../../layers/AppLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import * as InputFiles from "../../src/config/InputFiles.ts"
import { type Role, UserName } from "../../src/domain/Identity.ts"
import { HostId, InstanceTypeId, type VmId } from "../../src/domain/Ids.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import * as Router from "../../src/http/Router.ts"
import * as Server from "../../src/http/Server.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Identity } from "../../src/services/Identity.ts"
import * as Typed from "../cli/Typed.ts"
import * as Contract from "../http/v1/Contract.ts"
import { inGuest, wipeHost } from "./Client.ts"
import * as Lab from "./Lab.ts"
import * as TenCommands from "./TenCommands.ts"

const [, images = "", types = ""] = Lab.filesOf("first")
const machines = `${Lab.status.dir}/physicalMachine_file`
const host = Lab.status.hosts[0].name
const { client, conf, pool } = Lab.status.ceph
const tid = InstanceTypeId.make(9)

/** A controller of the first host alone, with Debian as its image. */
const appOn = (image: string) =>
  Layer.unwrapEffect(
    Effect.map(InputFiles.read({ machines, images, types }), ({ fleet }) =>
      AppLive.layer({
        fleet: {
          hosts: fleet.hosts.slice(0, 1),
          images: [{ name: "debian", source: { host: null, path: image }, format: "qcow2" }],
          types: [{ tid, cpu: 1, ram: 640, disk: 2 }]
        },
        database: ":memory:",
        ceph: { pool, client, conf, host: null }
      })
    )
  ).pipe(
    Layer.provide(SshLive.layer(Lab.sshOptions)),
    Layer.provide(SshDialerTcp.layer),
    Layer.provide(NodeContext.layer),
    Layer.provide(Logger.minimumLogLevel(LogLevel.Error))
  )

const key = readFileSync(`${Lab.status.sshKey}.pub`, "utf8").trim()

const userData = (text: string) => `#cloud-config
write_files:
  - path: /root/told
    content: ${text}
`

// a static address beside the one from DHCP
const networkConfig = `version: 2
ethernets:
  eth0:
    dhcp4: true
    addresses: [192.168.122.77/24]
`

/** That cloud-init has done all that it does at a boot. */
const booted = (id: VmId, times: number) =>
  Lab.eventually(
    "cloud-init has ended",
    Lab.lab("guest-log", host, `vm-${id}`),
    (text) => text.split("GUEST READY").length - 1 >= times,
    "420 seconds"
  )

const options =
  `-F none -i ${Lab.status.sshKey} -o BatchMode=yes -o ConnectTimeout=60 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR`.split(
    " "
  )

/**
 * What a command says that is run by way of the host, as the image's own user. Its sshd comes up beside cloud-init, so it may
 * come after the end of that: until it is there, ssh ends with its own status, 255. When it does not come, the guest says why.
 */
const loggedIn = (id: VmId, command: string) =>
  Lab.eventually(
    `\`${command}\` by ssh`,
    Effect.async<{ readonly status: number; readonly out: string; readonly err: string }>((resume) => {
      const ssh = execFile(
        "ssh",
        [
          ...options,
          "-o",
          `ProxyCommand=ssh -F none -i ${Lab.status.sshKey} -o UserKnownHostsFile=${Lab.status.knownHosts} -W %h:%p root@${Lab.status.hosts[0].address}`,
          "debian@192.168.122.77",
          command
        ],
        { timeout: 120_000 },
        (_, out, err) => resume(Effect.succeed({ status: ssh.exitCode ?? 255, out: out.trim(), err }))
      )
    }),
    ({ status }) => status !== 255
  ).pipe(
    Effect.map(({ out }) => out),
    Effect.catchAll((error) =>
      Effect.flatMap(
        inGuest(host, id, "ls -l /etc/ssh; systemctl status --no-pager --full ssh.service"),
        (said) => new Lab.LabError({ message: `${error.message}\n${said}` })
      )
    )
  )

/** Where a WebSocket is, and what opens it. */
interface Way {
  readonly url: string
  readonly protocols: ReadonlyArray<string>
}

/** A WebSocket to a console, with all that came. */
const opened = ({ protocols, url }: Way, authorization: string) =>
  Effect.acquireRelease(
    Effect.async<{ readonly socket: WebSocket; text: string } | number>((resume) => {
      const socket = new WebSocket(url, [...protocols], { headers: { authorization } })
      const line = { socket, text: "" }
      socket.on("error", () => {})
      socket.on("message", (data) => (line.text += String(data)))
      socket.once("open", () => resume(Effect.succeed(line)))
      socket.once("unexpected-response", (_request, response) => {
        response.resume()
        resume(Effect.succeed(response.statusCode ?? 0))
      })
    }),
    (line) => Effect.sync(() => (typeof line === "number" ? undefined : line.socket.terminate()))
  )

const closed = (socket: WebSocket) =>
  Effect.async<void>((resume) => {
    if (socket.readyState === WebSocket.CLOSED) return resume(Effect.void)
    socket.once("close", () => resume(Effect.void))
    socket.close()
  })

/** Every way into a guest that there is: its serial port, its screen, its agent and its sshd, by way of the API and the command line. */
const reached = (id: VmId, hostname: string) =>
  Effect.gen(function* () {
    const identity = yield* Identity
    const token = Effect.fnUntraced(function* (name: string, role: Role) {
      const owner = UserName.make(name)
      yield* identity.createUser({ name: owner, role })
      const { secret } = yield* identity.createToken({ name: "lab", owner, role, expiresAt: null })
      return Redacted.value(secret)
    })
    yield* token("root", "admin")
    const [ada, bob] = yield* Effect.all([token("ada", "operator"), token("bob", "operator")])
    const context = yield* Layer.build(
      Router.layerWith({ loopback: true, publicNames: [], rateLimit: 1000 }).pipe(
        Layer.provideMerge(Server.layer({ host: "127.0.0.1", port: 0 }))
      )
    )
    const { address } = Context.get(context, HttpServer.HttpServer)
    assert(address._tag === "TcpAddress")
    const controller = `127.0.0.1:${address.port}`
    const ticket = (kind: "serial" | "vnc", given: string) =>
      Effect.promise(async () => {
        const answer = await fetch(`http://${controller}/api/v1/vms/${id}/console-tickets`, {
          method: "POST",
          headers: { authorization: `Bearer ${given}`, "content-type": "application/json" },
          body: JSON.stringify({ kind })
        })
        assert.strictEqual(answer.status, 201)
        const { path, ticket } = Contract.members(await answer.json())
        return {
          url: `ws://${controller}${String(path)}`,
          protocols: ["vmfabric.console", `vmfabric.ticket.${String(ticket)}`]
        }
      })

    const serial = yield* ticket("serial", ada)
    const line = yield* opened(serial, `Bearer ${ada}`)
    assert(typeof line !== "number")
    line.socket.send(`echo "$(hostname) is REA""CHED"\n`)
    yield* Lab.eventually(
      "it answers",
      Effect.sync(() => line.text),
      (text) => text.includes(`${hostname} is REACHED`)
    )
    assert.strictEqual(yield* opened(serial, `Bearer ${ada}`), 403)
    yield* closed(line.socket)
    assert.strictEqual(yield* opened(yield* ticket("serial", ada), `Bearer ${bob}`), 403)

    const screen = yield* opened(yield* ticket("vnc", bob), `Bearer ${bob}`)
    assert(typeof screen !== "number")
    yield* Lab.eventually(
      "it greets",
      Effect.sync(() => screen.text),
      (text) => text.startsWith("RFB 003.008\n")
    )
    yield* closed(screen.socket)

    const folder = yield* Typed.folder
    const config = join(folder, "config")
    writeFileSync(
      config,
      `IdentityFile ${Lab.status.sshKey}\nIdentitiesOnly yes\nBatchMode yes\nConnectTimeout 60\nLogLevel ERROR\n` +
        `StrictHostKeyChecking accept-new\nUserKnownHostsFile ${join(folder, "known")} ${Lab.status.knownHosts}\n`
    )
    const ssh = join(folder, "ssh")
    writeFileSync(ssh, `#!/bin/sh\nexec ssh -F ${config} "$@"\n`, { mode: 0o755 })
    const { run } = yield* Typed.make({
      VMFABRIC_URL: `http://${controller}`,
      VMFABRIC_TOKEN: ada,
      VMFABRIC_SSH: ssh
    })
    // its agent comes up by itself, some time after cloud-init has ended
    yield* Lab.eventually("its agent answers", run("vm", "guest", String(id)), ({ status }) => status === 0)
    const { out } = yield* run("vm", "guest", String(id))
    for (const words of [hostname, "Debian GNU/Linux", "/ (", "ext4", "192.168.122.77/24"]) assert.include(out, words)
    const said = yield* run("ssh", String(id), "--jump", "--", "hostname", "|", "sudo", "tee", "/root/by-ssh")
    assert.strictEqual(said.status, 0, said.all)
    assert.match(said.err, /^as debian at 192\.168\.122\.\d+, which its guest's agent tells, by way of root@/)
    assert.strictEqual((yield* inGuest(host, id, "cat /root/by-ssh")).trim(), hostname)
    assert.strictEqual((yield* run("ssh", String(id), "--jump", "--", "exit", "9")).status, 9)
    assert.include(readFileSync(join(folder, "known"), "utf8"), "vmfabric-")
  }).pipe(Effect.scoped)

describe.concurrent("a real cloud-init in a guest", () => {
  it.live("is reached by a shell after README's ten commands, each as it is printed", () =>
    Effect.gen(function* () {
      const times = yield* TenCommands.run((yield* Lab.lab("debian-image")).trim())
      assert.lengthOf(times, 10)
      yield* Effect.log(times.join(", "))
    })
  )

  it.live("applies hostname, key, user data and network, and what it is told anew at its next boot", () =>
    Effect.gen(function* () {
      yield* wipeHost(host)
      const image = (yield* Lab.lab("debian-image")).trim()
      yield* Effect.gen(function* () {
        yield* (yield* HostMonitor).awaitUp(HostId.make(1)).pipe(Effect.timeout("300 seconds"))
        const vms = yield* Vms
        const power = yield* Power
        const { id } = yield* Effect.acquireRelease(
          vms.create({
            name: "Büro 1",
            instanceType: tid,
            sshKeys: [key],
            userData: userData("first"),
            networkConfig
          }),
          (vm) => Effect.orDie(vms.destroy(vm.id))
        )
        yield* booted(id, 1)
        const told = Effect.map(
          inGuest(host, id, "hostname; cat /root/told; echo; cat /var/lib/cloud/data/instance-id"),
          (text) => text.split(/\s+/)
        )
        const before = yield* vms.cloudInit(id)
        assert.deepStrictEqual(yield* told, ["buro-1", "first", before.instanceId])
        const addresses = yield* inGuest(host, id, "ip -4 -o address show dev eth0")
        assert.include(addresses, "192.168.122.77/24")
        assert.strictEqual(yield* loggedIn(id, "hostname; sudo cat /root/told"), "buro-1\nfirst")
        const hostKey = yield* inGuest(host, id, "cat /etc/ssh/ssh_host_ed25519_key.pub")

        yield* reached(id, "buro-1")

        yield* vms.setCloudInit(id, { hostname: "other", userData: userData("second") })
        // it is for the next boot
        assert.deepStrictEqual(yield* told, ["buro-1", "first", before.instanceId])
        // A reset is a power cut: without `sync` the host keys, made a moment ago, may be empty files afterwards. One is, and is made anew.
        yield* inGuest(host, id, ": > /etc/ssh/ssh_host_rsa_key; sync")
        yield* power.reset(id)
        yield* booted(id, 2)
        const after = yield* vms.cloudInit(id)
        assert.notStrictEqual(after.instanceId, before.instanceId)
        assert.deepStrictEqual(yield* told, ["other", "second", after.instanceId])
        assert.strictEqual(yield* loggedIn(id, "hostname"), "other")
        assert.strictEqual(yield* inGuest(host, id, "cat /etc/ssh/ssh_host_ed25519_key.pub"), hostKey)
        assert.include(yield* inGuest(host, id, "head -n 1 /etc/ssh/ssh_host_rsa_key"), "PRIVATE KEY")

        // its seed is its own
        const reality = yield* Reality
        yield* reality.look(HostId.make(1))
        assert.deepStrictEqual((yield* reality.vm(id)).drift, [])
        const seeds = Lab.lab("rbd", "-p", pool, "ls")
        assert.include(yield* seeds, `vm-${id}-seed`)
        yield* vms.destroy(id)
        assert.notInclude(yield* seeds, `vm-${id}-seed`)
      }).pipe(Effect.scoped, Effect.provide(appOn(image)))
    })
  )
})
