/**
 * What is told of VMs on real hosts where people, guests and the kernel do what nobody asked us for: it is true soon after the host can be
 * reached. Each test has a controller and a host of its own, so that all run beside each other.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as AppLive from "../../layers/AppLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import * as InputFiles from "../../src/config/InputFiles.ts"
import { HostId, ImageId, InstanceTypeId } from "../../src/domain/Ids.ts"
import type { Power, Vm } from "../../src/domain/Vm.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { guestReady, inGuest, wipeHost } from "./Client.ts"
import * as Lab from "./Lab.ts"

const [, images = "", types = ""] = Lab.filesOf("first")
const machines = `${Lab.status.dir}/physicalMachine_file`

/** A controller of one of the lab's hosts, from 0. */
const appOf = (index: number) =>
  Layer.unwrapEffect(
    Effect.map(InputFiles.read({ machines, images, types }), ({ fleet }) =>
      AppLive.layer({ fleet: { ...fleet, hosts: fleet.hosts.slice(index, index + 1) }, database: ":memory:" })
    )
  ).pipe(
    Layer.provide(SshLive.layer(Lab.sshOptions)),
    Layer.provide(SshDialerTcp.layer),
    Layer.provide(NodeContext.layer),
    Layer.provide(Logger.minimumLogLevel(LogLevel.Error))
  )

let hostsTaken = 0

const test = <E>(
  title: string,
  body: (host: string) => Effect.Effect<void, E, Layer.Layer.Success<ReturnType<typeof appOf>> | Scope.Scope>
) => {
  const index = hostsTaken++
  it.live(title, () => {
    const { name = "none" } = Lab.everyHost[index] ?? {}
    return Effect.zipRight(wipeHost(name), body(name).pipe(Effect.scoped, Effect.provide(appOf(index))))
  })
}

/** A VM, gone in the end; `booted`: its guest is up, else it has none. */
const vm = (
  host: string,
  name: string,
  { booted = false, onCrash = "leave" }: { readonly booted?: boolean; readonly onCrash?: "leave" | "restart" } = {}
) =>
  Effect.gen(function* () {
    const vms = yield* Vms
    const monitor = yield* HostMonitor
    // the only one that there is: on a busy machine a request may give it up before it has been reached at all
    yield* monitor.awaitUp(HostId.make(1)).pipe(Effect.timeout("300 seconds"))
    const image = booted ? {} : { imageId: ImageId.make(Lab.blankImage) }
    const made = yield* Effect.acquireRelease(
      vms.create({ name, instanceType: InstanceTypeId.make(1), onCrash, ...image }),
      ({ id }) => Effect.orDie(vms.destroy(id))
    )
    if (booted) yield* guestReady(host, made.id)
    return { vm: made, name: made.domainName }
  })

const virsh = (host: string, ...argv: ReadonlyArray<string>) => Lab.onHost(host, "virsh", "-q", ...argv)
const kill = (host: string, name: string) =>
  Lab.onHost(host, "sh", "-c", `kill -9 $(cat /run/libvirt/qemu/${name}.pid)`)

const told = (vm: Vm) =>
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const seen = (yield* inventory.seen).get(vm.id)
    const drift = yield* inventory.drift({ vms: [vm.id] })
    return {
      power: seen?.power,
      reason: seen?.reason,
      drift: drift.map(({ field, seen, wanted }) => `${field}: ${wanted} → ${seen}`)
    }
  })

/** Fails when that is not told soon: on an idle machine it is in much less than a second. */
const becomes = (
  vm: Vm,
  power: Power,
  reason: string | null,
  drift: ReadonlyArray<string> = power === "running" ? [] : [`power: running → ${power}`]
) =>
  Effect.sandbox(Effect.map(told(vm), (now) => assert.deepStrictEqual(now, { power, reason, drift: [...drift] }))).pipe(
    Effect.retry(Schedule.spaced("20 millis").pipe(Schedule.upTo("15 seconds"))),
    Effect.unsandbox
  )

/** Waits until the host is reached again, then until all of that is told; says how long both take. */
const reached = Effect.fnUntraced(function* (
  what: string,
  expected: ReadonlyArray<readonly [what: string, ...expected: Parameters<typeof becomes>]>
) {
  const monitor = yield* HostMonitor
  const [first] = expected
  assert(first !== undefined)
  const [up] = yield* Effect.timed(monitor.awaitUp(first[1].hostId).pipe(Effect.timeout("120 seconds")))
  const times = yield* Effect.forEach(
    expected,
    ([of, ...expected]) =>
      Effect.map(Effect.timed(becomes(...expected)), ([took]) => `${of} ${Duration.toMillis(took).toFixed(0)} ms`),
    { concurrency: "unbounded" }
  )
  yield* Effect.log(
    `${what}: reached ${Duration.toMillis(up).toFixed(0)} ms after that was over; told from then on after: ${times.join(", ")}`
  ).pipe(Logger.withMinimumLogLevel(LogLevel.Info))
})

describe.concurrent("on real hosts it is told", () => {
  test("what people do to a VM by hand", (host) =>
    Effect.gen(function* () {
      const { name, vm: web } = yield* vm(host, "web")
      yield* becomes(web, "running", null)
      yield* virsh(host, "suspend", name)
      yield* becomes(web, "paused", "paused by somebody")
      yield* virsh(host, "resume", name)
      yield* becomes(web, "running", null)
      yield* virsh(host, "setvcpus", name, "2", "--config", "--maximum")
      yield* virsh(host, "setvcpus", name, "2", "--config")
      yield* becomes(web, "running", null, ["vcpus: 1 → 2"])
      yield* virsh(host, "setvcpus", name, "1", "--config")
      yield* becomes(web, "running", null)
      yield* virsh(host, "setmaxmem", name, "256M", "--config")
      yield* becomes(web, "running", null, [`memory: ${web.resources.ram} MiB → 256 MiB`])
      yield* virsh(host, "setmaxmem", name, `${web.resources.ram}M`, "--config")
      yield* virsh(host, "desc", name, "--title", "--config", "mine")
      yield* becomes(web, "running", null, ["title: web → mine"])
      yield* virsh(host, "desc", name, "--title", "--config", "web")
      yield* becomes(web, "running", null)
      yield* Lab.onHost(host, "qemu-img", "create", "-q", "-f", "qcow2", "/srv/mine.qcow2", "64M")
      const attach = ["attach-disk", name, "/srv/mine.qcow2", "vdq", "--driver", "qemu", "--subdriver", "qcow2"]
      yield* virsh(host, ...attach, "--targetbus", "virtio", "--live")
      yield* becomes(web, "running", null, ["disk vdq (running): null → /srv/mine.qcow2 at vdq, without a serial"])
      yield* virsh(host, "destroy", name)
      yield* becomes(web, "stopped", "somebody powered it off")
      yield* virsh(host, "start", name)
      yield* becomes(web, "running", null)
    }))

  test("what guests do, and what becomes of their QEMU", (host) =>
    Effect.gen(function* () {
      const { name, vm: web } = yield* vm(host, "web", { booted: true })
      // its kernel has gone before its shell can say so
      yield* Effect.ignore(inGuest(host, web.id, "poweroff -f"))
      yield* becomes(web, "stopped", "the guest shut itself down")
      yield* virsh(host, "start", name)
      yield* becomes(web, "running", null)
      yield* kill(host, name)
      yield* becomes(web, "crashed", "its QEMU crashed or was killed")
      yield* virsh(host, "undefine", name)
      const gone = ["domain: defined → null", "power: running → absent"]
      yield* becomes(web, "absent", null, gone)
      // over the root disk that is left a repair defines it anew; without one it changes nothing
      const { repair } = yield* Reality
      const root = `/var/lib/vmfabric/${name}-root.qcow2`
      yield* Lab.onHost(host, "mv", root, `${root}.away`)
      assert.include((yield* Effect.flip(repair(web.id))).message, `there is no ${name}-root.qcow2`)
      yield* becomes(web, "absent", null, gone)
      yield* Lab.onHost(host, "mv", `${root}.away`, root)
      yield* repair(web.id)
      yield* becomes(web, "running", null)
      assert.include(yield* inGuest(host, web.id, "echo it-is-$((40 + 2))"), "it-is-42")
    }))

  test("that the storage of a disk failed", (host) =>
    Effect.gen(function* () {
      const { name, vm: web } = yield* vm(host, "web", { booted: true })
      const folder = "/srv/small"
      yield* Effect.acquireRelease(
        Lab.onHost(host, "sh", "-c", `mkdir -p ${folder} && mount -t tmpfs -o size=4m none ${folder}`),
        () => Effect.orDie(Lab.onHost(host, "umount", "-l", folder))
      )
      yield* Lab.onHost(host, "qemu-img", "create", "-q", "-f", "qcow2", `${folder}/v.qcow2`, "64M")
      const attach = ["attach-disk", name, `${folder}/v.qcow2`, "vdq", "--driver", "qemu", "--subdriver", "qcow2"]
      yield* virsh(host, ...attach, "--targetbus", "virtio", "--live")
      const written = yield* Effect.fork(
        Effect.ignore(inGuest(host, web.id, "dd if=/dev/zero of=/dev/vdb bs=1M count=16 oflag=direct"))
      )
      yield* Lab.eventually("QEMU has stopped it", virsh(host, "domstate", name), (text) => text.includes("paused"))
      yield* becomes(web, "paused", "paused by an I/O error", [
        `disk vdq (running): null → ${folder}/v.qcow2 at vdq, without a serial`,
        "power: running → paused"
      ])
      yield* Fiber.interrupt(written)
      yield* virsh(host, "destroy", name)
    }))

  test("that one which is to run again after a crash does, and why", (host) =>
    Effect.gen(function* () {
      const { name, vm: web } = yield* vm(host, "web", { onCrash: "restart" })
      const pid = yield* Lab.onHost(host, "cat", `/run/libvirt/qemu/${name}.pid`)
      yield* kill(host, name)
      yield* Lab.eventually(
        "another QEMU",
        Effect.catchAll(Lab.onHost(host, "cat", `/run/libvirt/qemu/${name}.pid`), () => Effect.succeed(pid)),
        (now) => now !== pid,
        "60 seconds"
      )
      yield* becomes(web, "running", null)
      yield* virsh(host, "destroy", name)
      yield* becomes(web, "stopped", "somebody powered it off")
    }))

  test("what happened while the host's network was cut for half a minute", (host) =>
    Effect.gen(function* () {
      const monitor = yield* HostMonitor
      const { name, vm: web } = yield* vm(host, "web")
      const changed = yield* vm(host, "changed")
      const started = yield* vm(host, "started")
      yield* virsh(host, "destroy", started.name)
      yield* becomes(started.vm, "stopped", "somebody powered it off")
      yield* becomes(web, "running", null)
      const cutAt = yield* Clock.currentTimeMillis
      yield* Effect.addFinalizer(() => Effect.orDie(Lab.lab("mend", host)))
      yield* Lab.lab("cut", host)
      yield* kill(host, name)
      yield* virsh(host, "suspend", changed.name)
      yield* virsh(host, "desc", changed.name, "--title", "--config", "mine")
      yield* virsh(host, "start", started.name)
      const down = Effect.map(monitor.statuses, (statuses) => statuses.get(web.hostId)?._tag !== "Up")
      yield* Lab.eventually("the host is not up", down, (isDown) => isDown, "180 seconds")
      // as it was seen before
      assert.strictEqual((yield* told(web)).power, "running")
      yield* Effect.sleep(Math.max(0, cutAt + 30_000 - (yield* Clock.currentTimeMillis)))
      yield* Lab.lab("mend", host)
      yield* reached("its network was cut for 30 s", [
        ["that a QEMU was killed", web, "crashed", "its QEMU crashed or was killed"],
        ["that a domain was started", started.vm, "running", null],
        [
          "that one was paused and renamed",
          changed.vm,
          "paused",
          "paused by somebody",
          ["power: running → paused", "title: changed → mine"]
        ]
      ])
    }))

  test("what a libvirtd that was away has forgotten", (host) =>
    Effect.gen(function* () {
      const { name, vm: stopped } = yield* vm(host, "stopped")
      yield* virsh(host, "destroy", name)
      yield* becomes(stopped, "stopped", "somebody powered it off")
      yield* Effect.addFinalizer(() => Effect.orDie(Lab.lab("start-libvirtd", host)))
      yield* Lab.lab("stop-libvirtd", host)
      yield* Lab.lab("start-libvirtd", host)
      yield* reached("its libvirtd was away", [
        ["what it has forgotten", stopped, "stopped", "somebody powered it off"]
      ])
      assert.include(yield* virsh(host, "domstate", name, "--reason"), "unknown")
    }))
})
