/**
 * The host monitor on real hosts: what it makes of each thing that goes wrong, and that it soon knows that a host is back. All go wrong at the
 * same time, each on a host of its own that a controller of its own watches, beside two hosts that all of them watch.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Schedule from "effect/Schedule"
import * as AppLive from "../../layers/AppLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import { defaultConfig, type HostStatus } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import * as Lab from "./Lab.ts"

/** A controller of that host of the lab, from 0, and of the two that are well. */
const controllerOf = (index: number) =>
  AppLive.layer({
    fleet: {
      hosts: [index, 0, 1].map((at) => ({ ...defaultConfig(Lab.address(at)), virt: "qemu" as const })),
      images: [],
      types: []
    },
    database: ":memory:"
  }).pipe(
    Layer.provide(SshLive.layer(Lab.sshOptions)),
    Layer.provide(SshDialerTcp.layer),
    Layer.provide(NodeContext.layer),
    Layer.provide(Logger.minimumLogLevel(LogLevel.None))
  )

const status = (n: number) =>
  Effect.flatMap(HostMonitor, (monitor) => Effect.map(monitor.statuses, (all) => all.get(HostId.make(n))!))

/** Seconds until the status is that, and the reason it then gives. */
const until = (n: number, tag: HostStatus["_tag"]) =>
  Effect.gen(function* () {
    const [took] = yield* Effect.timed(
      Effect.repeat(status(n), { until: (now) => now._tag === tag, schedule: Schedule.spaced("20 millis") })
    )
    const last: HostStatus = yield* status(n)
    return { seconds: Duration.toSeconds(took), reason: "reason" in last ? last.reason : "" }
  }).pipe(
    Effect.timeoutFail({
      duration: "180 seconds",
      onTimeout: () => new Lab.LabError({ message: `host ${n} was not ${tag} within 180 seconds` })
    }),
    Effect.tapError(() => Effect.flatMap(status(n), (now) => Effect.log("it is", now)))
  )

const allUp = Effect.forEach([1, 2, 3], (n) => until(n, "Up"), { discard: true })

/** Seconds that are long enough on any machine, and less than those after which it would be noticed anyway. */
const soon = 10

/** Does something to that host of the lab for a while, and gives how it went down and how long it took to be up once that was taken back. */
const fault = (
  index: number,
  verb: string,
  undo: string,
  further: Effect.Effect<unknown, Lab.LabError, HostMonitor> = Effect.void
) => {
  const { name = "none" } = Lab.everyHost[index] ?? {}
  return Effect.gen(function* () {
    yield* allUp
    // what was up for a while may fall without having to prove itself
    yield* Effect.sleep("6 seconds")
    yield* Effect.addFinalizer(() => Effect.orDie(Lab.lab(undo, name)))
    yield* Lab.lab(verb, name)
    const down = yield* until(1, "Down")
    yield* further
    for (const n of [2, 3]) assert.strictEqual((yield* status(n))._tag, "Up", "the others are none the worse")
    yield* Lab.lab(undo, name)
    const up = yield* until(1, "Up")
    return { down, up: up.seconds }
  }).pipe(
    Effect.scoped,
    Effect.provide(controllerOf(index)),
    Effect.tap(({ down, up }) =>
      Effect.log(`${verb}: down after ${down.seconds.toFixed(2)} s, "${down.reason}"; up after ${up.toFixed(2)} s`)
    )
  )
}

describe.concurrent("the host monitor on real hosts", () => {
  it.live("its cable is cut: two others agree that it is gone; plugged in again, it is soon up", () =>
    Effect.gen(function* () {
      const { down, up } = yield* fault(2, "cut", "mend", Effect.sleep("10 seconds"))
      assert.strictEqual(down.reason, "sshd does not answer, from host 2 and host 3 neither")
      assert.isBelow(down.seconds, 90)
      assert.isBelow(up, soon)
    })
  )

  it.live("only the way from here is cut: others reach it, and that is what it says", () =>
    Effect.gen(function* () {
      const { down, up } = yield* fault(3, "block", "unblock", Effect.sleep("10 seconds"))
      assert.strictEqual(
        down.reason,
        "the controller cannot reach it, but host 2 and host 3 can: the network between them, not the host, is broken"
      )
      assert.isBelow(up, soon)
    })
  )

  it.live("libvirtd is stopped: down at once, and named; started: soon up", () =>
    Effect.gen(function* () {
      const { down, up } = yield* fault(4, "stop-libvirtd", "start-libvirtd")
      assert.match(down.reason, /^sshd answers, libvirt does not: /)
      assert.isBelow(down.seconds, soon)
      assert.isBelow(up, soon)
    })
  )

  it.live("libvirtd stands still: suspect, then down, and named; it goes on: soon up", () =>
    Effect.gen(function* () {
      const { down, up } = yield* fault(5, "freeze-libvirtd", "thaw-libvirtd", Effect.sleep("10 seconds"))
      assert.match(down.reason, /^sshd answers, libvirt does not: /)
      assert.isBelow(down.seconds, 120)
      assert.isBelow(up, soon)
    })
  )
})
