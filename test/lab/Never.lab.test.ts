/**
 * A real libvirtd that goes away in the middle of a create and comes back: the create ends, and what is told of it then is what is on the host. Each
 * moment has a controller and a host of its own, so that all are tried beside each other.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import * as AppLive from "../../layers/AppLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import * as InputFiles from "../../src/config/InputFiles.ts"
import { HostId, ImageId, InstanceTypeId } from "../../src/domain/Ids.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Operations } from "../../src/services/Operations.ts"
import * as Writes from "../fabric/Writes.ts"
import { disks, domains, wipeHost } from "./Client.ts"
import * as Lab from "./Lab.ts"

const [, images = "", types = ""] = Lab.filesOf("first")
const machines = `${Lab.status.dir}/physicalMachine_file`
const only = HostId.make(1)

/** A controller of that host of the lab, from 0, whose writes can be waited for. */
const appOf = (index: number, writes: ReturnType<typeof Writes.make>) =>
  Layer.unwrapEffect(
    Effect.map(InputFiles.read({ machines, images, types }), ({ fleet }) =>
      AppLive.layerOver({
        fleet: { ...fleet, hosts: fleet.hosts.slice(index, index + 1) },
        persistence: writes.watched(AppLive.persistence(":memory:")),
        drivers: AppLive.drivers(null)
      })
    )
  ).pipe(
    Layer.provide(SshLive.layer(Lab.sshOptions)),
    Layer.provide(SshDialerTcp.layer),
    Layer.provide(NodeContext.layer),
    Layer.provide(Logger.minimumLogLevel(LogLevel.Error))
  )

/** What is told: VMs that run, those that there are, and those that have anything on disk; and whether anything is under way. */
const told = Effect.gen(function* () {
  const inventory = yield* Inventory
  const unfinished = yield* (yield* Operations).list({ ended: false, limit: 10 })
  const seen = yield* inventory.seen
  const vms = yield* inventory.vms()
  const all = vms.map(({ domainName }) => domainName).toSorted()
  const running = vms.filter(({ id }) => seen.get(id)?.power === "running").map(({ domainName }) => domainName)
  return { unfinished: unfinished.length, running: running.toSorted(), all, disks: all }
})

/** The same of what there is. */
const found = Effect.fnUntraced(function* (host: string) {
  return {
    unfinished: 0,
    running: yield* domains(host),
    all: yield* domains(host, "--all"),
    disks: (yield* disks(host)).toSorted()
  }
})

const seconds = (from: number, to: number) => ((to - from) / 1000).toFixed(2)

/** `step`: libvirtd goes away when this one of the create is about to be done; `away`: seconds. */
const goesAway = (index: number, step: string, away: number) => {
  const { name: host = "none" } = Lab.everyHost[index] ?? {}
  const writes = Writes.make()
  return Effect.gen(function* () {
    const vms = yield* Vms
    const monitor = yield* HostMonitor
    yield* monitor.awaitUp(only).pipe(Effect.timeout("300 seconds"))
    const create = (name: string) =>
      vms.create({ name, instanceType: InstanceTypeId.make(1), imageId: ImageId.make(Lab.blankImage) })
    // its image is there from then on
    yield* create("before")
    yield* Effect.addFinalizer(() => Effect.orDie(Effect.zipRight(Lab.lab("start-libvirtd", host), wipeHost(host))))
    const labels = [...writes.calls().keys()].filter((label) => label.endsWith(`do ${step} started`))
    assert.lengthOf(labels, 1, `a create begins its step ${step}`)
    const stop = Effect.orDie(Lab.lab("stop-libvirtd", host))
    yield* writes.on(labels[0]!, "after", 1, Effect.asVoid(stop))
    const asked = yield* Effect.fork(Effect.exit(create("interrupted")))
    const isDown = Effect.map(monitor.statuses, (statuses) => statuses.get(only)?._tag === "Down")
    yield* Lab.eventually("it is known that libvirtd is away", isDown, (down) => down, "180 seconds")
    yield* Effect.sleep(`${away} seconds`)
    yield* Lab.lab("start-libvirtd", host)
    const started = yield* Clock.currentTimeMillis
    yield* monitor.awaitUp(only).pipe(Effect.timeout("120 seconds"))
    const up = yield* Clock.currentTimeMillis
    // from then on it says the same
    let last = { text: "", at: up }
    yield* Effect.gen(function* () {
      const says = yield* told
      const now = yield* Clock.currentTimeMillis
      if (JSON.stringify(says) !== last.text) last = { text: JSON.stringify(says), at: now }
      if (says.unfinished > 0) return yield* Effect.fail("something is under way")
      assert.deepStrictEqual(says, yield* found(host))
    }).pipe(Effect.sandbox, Effect.retry(Schedule.spaced("20 millis").pipe(Schedule.upTo("60 seconds"))))
    const exit = yield* Fiber.join(asked).pipe(Effect.timeout("120 seconds"))
    const made = (yield* (yield* Inventory).vms()).length - 1
    // who asked may have been told before that it goes on when the host is back
    if (Exit.isSuccess(exit)) assert.strictEqual(made, 1, "what was said to be made is there")
    const said = Exit.isSuccess(exit) ? "done" : String(exit.cause)
    yield* Effect.log(
      `libvirtd away for ${away} s at ${step}: reached ${seconds(started, up)} s after it was started; what is told is true ${seconds(up, last.at)} s after that, ` +
        `with ${made} made; who asked was told: ${said}`
    ).pipe(Logger.withMinimumLogLevel(LogLevel.Info))
    // and it can be used
    yield* create("after")
    assert.deepStrictEqual((yield* told).all, (yield* found(host)).all)
  }).pipe(Effect.scoped, Effect.provide(appOf(index, writes)), (effect) => Effect.zipRight(wipeHost(host), effect))
}

describe.concurrent(
  "a create in whose middle libvirtd goes away ends, and what is told is true, when it goes away before",
  () => {
    for (const [index, [step, away]] of (
      [
        ["root disk", 1],
        ["seed", 8],
        ["define", 1],
        ["start", 8],
        ["running", 1]
      ] as const
    ).entries()) {
      it.live(`the step ${step} is done, for ${away} s`, () => goesAway(index, step, away), 900_000)
    }
  }
)
