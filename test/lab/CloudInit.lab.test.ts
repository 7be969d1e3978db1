/**
 * What a real cloud-init makes of a VM's seed, as its guest tells: Debian's own packages, on a real host, with disk and seed in Ceph.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import * as AppLive from "../../layers/AppLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import * as InputFiles from "../../src/config/InputFiles.ts"
import { HostId, InstanceTypeId, type VmId } from "../../src/domain/Ids.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { inGuest, wipeHost } from "./Client.ts"
import * as Lab from "./Lab.ts"

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

/** By way of the host, as the image's own user. */
const loggedIn = (command: string) =>
  Effect.sync(() =>
    execFileSync(
      "ssh",
      [
        ...options,
        "-o",
        `ProxyCommand=ssh -F none -i ${Lab.status.sshKey} -o UserKnownHostsFile=${Lab.status.knownHosts} -W %h:%p root@${Lab.status.hosts[0].address}`,
        "debian@192.168.122.77",
        command
      ],
      { encoding: "utf8", timeout: 120_000 }
    ).trim()
  )

describe("a real cloud-init in a guest", () => {
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
        assert.strictEqual(yield* loggedIn("hostname; sudo cat /root/told"), "buro-1\nfirst")
        const hostKey = yield* inGuest(host, id, "cat /etc/ssh/ssh_host_ed25519_key.pub")

        yield* vms.setCloudInit(id, { hostname: "other", userData: userData("second") })
        // it is for the next boot
        assert.deepStrictEqual(yield* told, ["buro-1", "first", before.instanceId])
        yield* power.reset(id)
        yield* booted(id, 2)
        const after = yield* vms.cloudInit(id)
        assert.notStrictEqual(after.instanceId, before.instanceId)
        assert.deepStrictEqual(yield* told, ["other", "second", after.instanceId])
        assert.strictEqual(yield* loggedIn("hostname"), "other")
        assert.strictEqual(yield* inGuest(host, id, "cat /etc/ssh/ssh_host_ed25519_key.pub"), hostKey)

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
