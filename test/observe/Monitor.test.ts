/** What the host monitor makes of what hosts answer, with time in the test's hand. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { identity } from "effect/Function"
import { Duplex, Readable } from "node:stream"
import { HostFailure, HostUnreachable, PersistenceError } from "../../src/domain/Errors.ts"
import { defaultConfig, formatAddress, Host, type HostAddress, type HostStatus } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import * as Monitor from "../../src/observe/Monitor.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { Hypervisor } from "../../src/services/Hypervisor.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import {
  LibvirtDisconnected,
  LibvirtError,
  type LibvirtErrorReason,
  LibvirtTimeout
} from "../../src/services/Libvirt.ts"
import {
  Ssh,
  SshAuthenticationFailed,
  SshChannelRefused,
  SshError,
  type SshErrorReason,
  SshNoKey,
  SshTimeout,
  SshUnreachable
} from "../../src/services/Ssh.ts"
import * as Virtual from "../../src/simulator/Virtual.ts"
import { facts } from "../inventory/Fleet.ts"

const id = (n: number) => HostId.make(n)
const resources = { cpu: 8, ram: 32768, disk: 500 }

/** How a host behaves; tests change it. */
interface Behaviour {
  /** what libvirt says when it is asked what the host is; "silent": nothing */
  libvirt: "answers" | "silent" | HostFailure | LibvirtErrorReason
  /** what the controller's SSH says */
  ssh: "answers" | "silent" | typeof SshErrorReason.Type
  /** what others hear of it: its banner, nothing, or a refusal in the words of the other's sshd */
  heard: "banner" | "silent" | SshChannelRefused
  /** lets go of those that wait for an answer */
  readonly back: Effect.Latch
  /** connections wanted, and contacts begun over one */
  dialled: number
  asked: number
  /** breaks what it is listened to by */
  broken: Deferred.Deferred<never, HostUnreachable>
}

const libvirtError = (host: Host, reason: LibvirtErrorReason, procedure = "connect") =>
  new LibvirtError({ host: host.name, procedure, reason })

const unreachable = (host: Host, reason: LibvirtErrorReason) =>
  new HostUnreachable({
    host: host.name,
    reason:
      reason._tag === "LibvirtTimeout"
        ? `libvirt did not answer within ${reason.after} when asked for a connection`
        : reason.reason,
    cause: libvirtError(host, reason)
  })

const notListening = new LibvirtDisconnected({ reason: "libvirt does not listen on /run/libvirt/libvirt-sock" })

const world = Effect.fnUntraced(function* (
  count: number,
  options: {
    readonly kept?: boolean
    readonly takes?: `${number} millis`
    readonly hanging?: ReadonlyArray<number>
  } = {}
) {
  const hosts = Array.from(
    { length: count },
    (_, index) =>
      new Host({
        id: id(index + 1),
        config: defaultConfig({ user: "root", host: `h${index + 1}`, port: 22 }),
        facts: null,
        maintenance: false
      })
  )
  const behaviours: Array<Behaviour> = yield* Effect.forEach(hosts, () =>
    Effect.map(Deferred.make<never, HostUnreachable>(), (broken): Behaviour => ({
      libvirt: "answers",
      ssh: "answers",
      heard: "banner",
      back: Effect.unsafeMakeLatch(false),
      dialled: 0,
      asked: 0,
      broken
    }))
  )
  for (const n of options.hanging ?? []) behaviours[n - 1]!.libvirt = "silent"
  const of = (address: HostAddress) => behaviours[Number(address.host.slice(1)) - 1]!
  const probes: Array<string> = []
  /** hosts that answer, and are just being asked what they are */
  const contacts = { now: 0, most: 0 }
  const sshError = (address: HostAddress, action: string, reason: typeof SshErrorReason.Type) => {
    const cause = Object.assign(new Error("connect"), { code: "ECONNREFUSED" })
    const refused = reason._tag === "SshUnreachable" && reason.reason.startsWith("nothing listens")
    return new SshError({ host: formatAddress(address), action, reason, ...(refused ? { cause } : {}) })
  }

  const hypervisor = Layer.mock(Hypervisor, {
    facts: (host) =>
      Effect.suspend((): Effect.Effect<ReturnType<typeof facts>, HostFailure | HostUnreachable> => {
        const behaviour = of(host.config.address)
        behaviour.asked++
        const answer = behaviour.libvirt
        const known = facts(resources, host.name)
        if (answer === "answers") {
          contacts.most = Math.max(contacts.most, ++contacts.now)
          return Effect.sync(() => {
            contacts.now--
            return known
          }).pipe(options.takes === undefined ? identity : Effect.delay(options.takes))
        }
        if (answer === "silent") return Effect.as(behaviour.back.await, known)
        return Effect.fail(answer._tag === "HostFailure" ? answer : unreachable(host, answer))
      }),
    changes: (host) => Stream.fromEffect(Effect.suspend(() => Deferred.await(of(host.config.address).broken)))
  })
  const inventory = Layer.mock(Inventory, {
    hosts: Effect.succeed(hosts.map((host) => ({ host, promised: { cpu: 0, ram: 0, disk: 0 }, vms: 0, volumes: 0 }))),
    setHostFacts: () =>
      options.kept === false ? new PersistenceError({ action: "write", cause: new Error("disk full") }) : Effect.void
  })
  const ssh = Layer.mock(Ssh, {
    connect: (address) =>
      Effect.suspend(() => {
        const behaviour = of(address)
        behaviour.dialled++
        if (behaviour.ssh === "answers") return Effect.void
        return behaviour.ssh === "silent" ? behaviour.back.await : sshError(address, "connect", behaviour.ssh)
      }),
    exec: (address, argv, more) =>
      Effect.suspend(() => {
        const { ssh } = of(address)
        if (ssh === "answers") return Effect.succeed({ stdout: new Uint8Array(0), stderr: "" })
        const after = new SshTimeout({ after: "3s" })
        return ssh === "silent"
          ? Effect.delay(sshError(address, `exec ${argv[0]}`, after), more?.timeout ?? "30 seconds")
          : sshError(address, "connect", ssh)
      }),
    openTcp: (by, target) =>
      Effect.suspend(() => {
        probes.push(`${by.host} ${target.host}:${target.port}`)
        const { heard } = of({ user: "root", ...target })
        if (of(by).ssh !== "answers" || heard === "silent") return Effect.never
        if (heard !== "banner") return sshError(by, "open", heard)
        return Effect.sync(() => Duplex.from(Readable.from([Buffer.from("SSH-2.0-x\r\n")])))
      })
  })
  const lines: Array<string> = []
  const log = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ message }) => void lines.push(String(message)))
  )
  const monitor = yield* Layer.build(
    Layer.scoped(HostMonitor, Monitor.make).pipe(Layer.provide([hypervisor, inventory, ssh]))
  ).pipe(
    Effect.flatMap((context) => Effect.provide(HostMonitor, context)),
    Effect.provide(log)
  )
  const at = (n: number) => behaviours[n - 1]!
  return {
    hosts,
    monitor,
    probes,
    contacts,
    lines,
    at,
    status: (n: number) => Effect.map(monitor.statuses, (all) => all.get(id(n))!),
    /** it falls silent to those who listen */
    breaks: (n: number, reason = "libvirt gave no sign of life for 15s") =>
      Effect.gen(function* () {
        const before = at(n).broken
        at(n).broken = yield* Deferred.make<never, HostUnreachable>()
        yield* Deferred.fail(before, new HostUnreachable({ host: `h${n}`, reason }))
      })
  }
})

/** Everything about it: sshd and libvirt neither answer the controller nor others. */
const die = (behaviour: Behaviour) => {
  Object.assign(behaviour, { libvirt: "silent", ssh: "silent", heard: "silent" })
  behaviour.back.unsafeClose()
}
const revive = (behaviour: Behaviour) => {
  Object.assign(behaviour, { libvirt: "answers", ssh: "answers", heard: "banner" })
  behaviour.back.unsafeOpen()
}

/** Lets what is under way come to rest, also streams of the event loop. */
const rest = Effect.forEach(
  Array.from({ length: 5 }),
  () =>
    Effect.zipRight(
      Effect.yieldNow(),
      Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
    ),
  { discard: true }
)
const pass = (milliseconds: number) => Effect.sleep(milliseconds)

/** In a time that passes when there is nothing left to do. */
const test = <E>(name: string, body: () => Effect.Effect<void, E, Scope.Scope>) =>
  it.live(name, () => Virtual.run(1, Effect.scoped(body())).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))))

/** What is built with `within` has each of its timers late, as in a process that has too much to do. */
const laggard = Effect.map(Effect.clock, (clock) => {
  let late = Duration.zero
  const slow: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
    unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
    currentTimeMillis: clock.currentTimeMillis,
    currentTimeNanos: clock.currentTimeNanos,
    sleep: (duration) => clock.sleep(Duration.sum(duration, late))
  }
  return { within: Effect.withClock(slow), late: (by: Duration.DurationInput) => (late = Duration.decode(by)) }
})

const reasonOf = (status: HostStatus) => ("reason" in status ? status.reason : "")
const signsOf = (status: HostStatus) => ("signs" in status ? status.signs : null)

describe("the host monitor", () => {
  test("a session that breaks makes a host suspect at once, and up again as soon as it has said what it is", () =>
    Effect.gen(function* () {
      const { breaks, at, monitor, status } = yield* world(1)
      yield* monitor.settled
      assert.strictEqual((yield* status(1))._tag, "Up")
      yield* pass(10_000)
      at(1).libvirt = "silent"
      yield* breaks(1, "libvirt closed the connection")
      yield* rest
      const suspect = yield* status(1)
      assert.strictEqual(suspect._tag, "Suspect")
      assert.strictEqual(reasonOf(suspect), "libvirt closed the connection")
      assert.strictEqual(
        (yield* Effect.flip(monitor.check(id(1)))).message.includes("libvirt closed the connection"),
        true
      )
      const waiting = yield* Effect.fork(monitor.awaitUp(id(1)))
      yield* rest
      assert.isTrue(Option.isNone(yield* Fiber.poll(waiting)))
      at(1).libvirt = "answers"
      yield* breaks(1, "libvirt closed the connection")
      yield* pass(1000)
      assert.strictEqual((yield* status(1))._tag, "Up")
      yield* Fiber.join(waiting)
      yield* monitor.check(id(1))
    }))

  test("a report makes it suspect; when it answers all the same it is up without any time passing, and told again", () =>
    Effect.gen(function* () {
      const { monitor, status } = yield* world(1)
      yield* monitor.settled
      yield* pass(10_000)
      const events = yield* monitor.events
      const up = yield* Effect.fork(Stream.runHead(events))
      yield* rest
      yield* monitor.suspect(id(1), "libvirt did not answer within 30s when asked how a domain is")
      assert.strictEqual((yield* status(1))._tag, "Suspect")
      yield* rest
      assert.strictEqual((yield* status(1))._tag, "Up")
      assert.deepStrictEqual(yield* Fiber.join(up), Option.some({ _tag: "Up", hostId: id(1) }))
    }))

  test("silent to the controller and to two others: down, and it says who asked", () =>
    Effect.gen(function* () {
      const { at, breaks, monitor, probes, status } = yield* world(4)
      yield* monitor.settled
      yield* pass(10_000)
      die(at(1))
      yield* breaks(1)
      yield* pass(8000)
      const down = yield* status(1)
      assert.strictEqual(down._tag, "Down")
      assert.strictEqual(reasonOf(down), "sshd does not answer, from host 2 and host 3 neither")
      assert.deepStrictEqual(signsOf(down), { ssh: "silent", libvirt: "unknown", peers: "silent" })
      assert.deepStrictEqual(probes, ["h2 h1:22", "h3 h1:22"])

      // they are not pestered with it
      yield* pass(20_000)
      assert.lengthOf(probes, 2)
      yield* pass(20_000)
      assert.lengthOf(probes, 4)
      assert.strictEqual(reasonOf(yield* status(1)), "sshd does not answer, from host 2 and host 3 neither")
    }))

  test("what becomes of a host is told to those who listen, each change once", () =>
    Effect.gen(function* () {
      const { at, breaks, monitor } = yield* world(3)
      yield* monitor.settled
      yield* pass(10_000)
      const changes = yield* monitor.changes
      const told = yield* Effect.fork(Stream.runCollect(Stream.take(changes, 3)))
      die(at(1))
      yield* breaks(1, "libvirt closed the connection")
      // looked at again and again, and always with the same result
      yield* pass(60_000)
      revive(at(1))
      yield* pass(60_000)
      assert.deepStrictEqual(
        Array.from(yield* Fiber.join(told), ({ hostId, status }) => [hostId, status._tag, reasonOf(status)]),
        [
          [1, "Suspect", "libvirt closed the connection"],
          [1, "Down", "sshd does not answer, from host 2 and host 3 neither"],
          [1, "Up", ""]
        ]
      )
    }))

  test("reached by another host only: suspect first, down after a second round, and the network is named", () =>
    Effect.gen(function* () {
      const { at, breaks, monitor, status } = yield* world(2)
      yield* monitor.settled
      yield* pass(10_000)
      Object.assign(at(1), { libvirt: "silent", ssh: "silent" })
      yield* breaks(1)
      const reason = "the controller cannot reach it, but host 2 can: the network between them, not the host, is broken"
      yield* pass(5000)
      const suspect = yield* status(1)
      assert.strictEqual(suspect._tag, "Suspect")
      assert.strictEqual(reasonOf(suspect), reason)
      yield* pass(8000)
      const down = yield* status(1)
      assert.strictEqual(down._tag, "Down")
      assert.strictEqual(reasonOf(down), reason)
      assert.deepStrictEqual(signsOf(down), { ssh: "silent", libvirt: "unknown", peers: "answers" })
    }))

  test("alone in the fabric: one missing answer is not enough, two are", () =>
    Effect.gen(function* () {
      const { at, breaks, monitor, status } = yield* world(1)
      yield* monitor.settled
      yield* pass(10_000)
      die(at(1))
      yield* breaks(1)
      yield* pass(5000)
      assert.strictEqual((yield* status(1))._tag, "Suspect")
      yield* pass(6000)
      const down = yield* status(1)
      assert.strictEqual(down._tag, "Down")
      assert.strictEqual(reasonOf(down), "sshd does not answer")
    }))

  test("a peer that does not answer itself, may not forward or cannot resolve the name is no witness", () =>
    Effect.gen(function* () {
      const { at, breaks, monitor, status } = yield* world(3)
      yield* monitor.settled
      yield* pass(10_000)
      const witnesses: ReadonlyArray<SshChannelRefused> = [
        new SshChannelRefused({ reason: "open failed", code: 1 }),
        new SshChannelRefused({ reason: "Name or service not known", code: 2 }),
        new SshChannelRefused({ reason: "too many", code: 4 })
      ]
      for (const heard of witnesses) {
        die(at(1))
        at(1).heard = heard
        yield* breaks(1)
        yield* pass(5000)
        const suspect = yield* status(1)
        assert.strictEqual(suspect._tag, "Suspect", heard.reason)
        assert.strictEqual(signsOf(suspect)?.peers, "unknown", heard.reason)
        revive(at(1))
        yield* breaks(1)
        yield* pass(15_000)
        assert.strictEqual((yield* status(1))._tag, "Up")
      }
      // the cable of the controller itself is cut, and nobody has noticed of the others yet
      for (const n of [1, 2, 3]) die(at(n))
      yield* breaks(1)
      yield* pass(5000)
      const suspect = yield* status(1)
      assert.strictEqual(suspect._tag, "Suspect")
      assert.strictEqual(signsOf(suspect)?.peers, "unknown")
    }))

  test("libvirt's socket is gone while sshd answers: down at once; back: up within a second", () =>
    Effect.gen(function* () {
      const { at, breaks, monitor, probes, status } = yield* world(2)
      yield* monitor.settled
      yield* pass(10_000)
      at(1).libvirt = notListening
      yield* breaks(1, "libvirt closed the connection")
      yield* pass(500)
      const down = yield* status(1)
      assert.strictEqual(down._tag, "Down")
      assert.strictEqual(
        reasonOf(down),
        "sshd answers, libvirt does not: it does not listen on /run/libvirt/libvirt-sock"
      )
      assert.deepStrictEqual(signsOf(down), { ssh: "answers", libvirt: "refuses", peers: "unknown" })
      assert.deepStrictEqual(probes, [], "others have nothing to say about that")
      yield* pass(60_000)
      at(1).libvirt = "answers"
      yield* pass(1250)
      assert.strictEqual((yield* status(1))._tag, "Up")
    }))

  test("a controller that does not get on calls nobody down, and says that it is its own fault; once it gets on it does", () =>
    Effect.gen(function* () {
      const busy = yield* laggard
      const { at, breaks, monitor, status } = yield* busy.within(world(2))
      yield* monitor.settled
      yield* pass(10_000)
      busy.late("2 seconds")
      yield* pass(5000)
      die(at(1))
      at(2).libvirt = "silent"
      for (const n of [1, 2]) yield* breaks(n)
      yield* pass(30_000)
      const [dead, slow] = [yield* status(1), yield* status(2)]
      assert.deepStrictEqual([dead._tag, slow._tag], ["Suspect", "Suspect"])
      assert.strictEqual(
        reasonOf(dead),
        "the controller is too busy to hear whether it answers: that says nothing of the host"
      )
      busy.late(0)
      yield* pass(30_000)
      assert.deepStrictEqual([(yield* status(1))._tag, (yield* status(2))._tag], ["Down", "Down"])
      revive(at(1))
      yield* pass(2000)
      assert.strictEqual((yield* status(1))._tag, "Up")
    }))

  test("libvirt is silent while sshd answers: suspect, and down after two rounds; slow to say is not silent", () =>
    Effect.gen(function* () {
      const { at, breaks, monitor, status } = yield* world(2)
      yield* monitor.settled
      yield* pass(10_000)
      at(1).libvirt = "silent"
      yield* breaks(1)
      yield* pass(7000)
      const suspect = yield* status(1)
      assert.strictEqual(suspect._tag, "Suspect")
      yield* pass(3500)
      assert.match(reasonOf(yield* status(1)), /^sshd answers, libvirt does not: it has not answered for \d+ s$/)
      yield* pass(4000)
      const down = yield* status(1)
      assert.strictEqual(down._tag, "Down")
      assert.deepStrictEqual(signsOf(down), { ssh: "answers", libvirt: "silent", peers: "unknown" })
    }))

  test("a timeout of libvirt's is one missing answer, asked for again", () =>
    Effect.gen(function* () {
      const { at, breaks, monitor, status } = yield* world(1)
      yield* monitor.settled
      yield* pass(10_000)
      at(1).libvirt = new LibvirtTimeout({ after: "15s" })
      yield* breaks(1)
      yield* pass(1000)
      const suspect = yield* status(1)
      assert.strictEqual(suspect._tag, "Suspect")
      assert.strictEqual(
        reasonOf(suspect),
        "sshd answers, libvirt does not: it did not answer within 15s when asked for a connection"
      )
      yield* pass(5000)
      assert.strictEqual((yield* status(1))._tag, "Down")
    }))

  for (const [name, reason, expected] of [
    ["our key", new SshAuthenticationFailed({ reason: "no key was accepted" }), "connect: no key was accepted"],
    [
      "any connection",
      new SshUnreachable({ reason: "nothing listens there (port 22)" }),
      "its sshd does not run: nothing listens there (port 22)"
    ]
  ] as const) {
    test(`it refuses ${name}: that is enough`, () =>
      Effect.gen(function* () {
        const { at, breaks, monitor, status } = yield* world(2)
        yield* monitor.settled
        yield* pass(10_000)
        at(1).ssh = reason
        const { asked } = at(1)
        yield* breaks(1)
        yield* pass(500)
        assert.strictEqual(at(1).asked, asked, "nothing is asked of one that cannot be reached")
        const down = yield* status(1)
        assert.strictEqual(down._tag, "Down")
        assert.strictEqual(reasonOf(down), expected)
        assert.strictEqual(signsOf(down)?.ssh, "refuses")
      }))
  }

  test("that the controller has no key is said once, not of each host, and again when it had one", () =>
    Effect.gen(function* () {
      const { at, breaks, lines, monitor, status } = yield* world(20)
      yield* monitor.settled
      yield* pass(10_000)
      lines.length = 0
      const reason = new SshNoKey({ reason: "the controller has no key to log in with: none was given", none: true })
      const all = Array.from({ length: 20 }, (_, index) => index + 1)
      const lose = Effect.forEach(
        all,
        (n) => {
          const error = new SshError({ host: `root@h${n}`, action: "connect", reason })
          at(n).libvirt = new LibvirtDisconnected({ reason: error.message, ssh: error })
          return breaks(n)
        },
        { discard: true }
      )
      const said = () => lines.filter((line) => line.includes("no key to log in with"))
      yield* lose
      yield* pass(20_000)
      for (const n of all) assert.strictEqual(reasonOf(yield* status(n)), reason.reason)
      assert.deepStrictEqual(said(), [`no host can be logged in to: ${reason.reason}`])
      for (const n of all) at(n).libvirt = "answers"
      yield* pass(20_000)
      yield* lose
      yield* pass(20_000)
      assert.lengthOf(said(), 2)
    }))

  test("a host that cannot be used says why, and is not asked so often", () =>
    Effect.gen(function* () {
      const { at, monitor, status } = yield* world(1)
      yield* monitor.settled
      yield* pass(10_000)
      at(1).libvirt = new HostFailure({ host: "root@h1", action: "tell what it is", reason: "it has no network" })
      yield* monitor.suspect(id(1), "somebody says so")
      yield* pass(500)
      const down = yield* status(1)
      assert.strictEqual(down._tag, "Down")
      assert.strictEqual(reasonOf(down), "it failed to tell what it is: it has no network")
      yield* pass(10_000)
      const { asked } = at(1)
      yield* pass(60_000)
      assert.isBelow(at(1).asked - asked, 20)
    }))

  test("one that goes down again and again has to stay up for a while before it is used", () =>
    Effect.gen(function* () {
      const { at, breaks, monitor, status } = yield* world(1)
      yield* monitor.settled
      const fall = Effect.gen(function* () {
        at(1).libvirt = notListening
        yield* breaks(1)
        yield* pass(1500)
        assert.strictEqual((yield* status(1))._tag, "Down")
        at(1).libvirt = "answers"
        yield* pass(1250)
      })
      for (let n = 1; n <= 4; n++) {
        yield* pass(10_000)
        yield* fall
        assert.strictEqual((yield* status(1))._tag, "Up", `after ${n} falls`)
      }
      for (const seconds of [15, 30, 60, 60]) {
        yield* pass(10_000)
        yield* fall
        const waits = yield* status(1)
        assert.strictEqual(waits._tag, "Suspect")
        assert.match(
          reasonOf(waits),
          new RegExp(
            `it answers again, but went down \\d times within 10m: it is used again if it stays up for ${seconds === 60 ? "1m" : `${seconds}s`}`
          )
        )
        assert.strictEqual(signsOf(waits)?.libvirt, "answers")
        yield* pass((seconds - 2) * 1000)
        assert.strictEqual((yield* status(1))._tag, "Suspect")
        yield* pass(2000)
        assert.strictEqual((yield* status(1))._tag, "Up")
      }
      // what was long ago no longer counts
      yield* pass(600_000)
      yield* fall
      assert.strictEqual((yield* status(1))._tag, "Up")
    }))

  test("a database that cannot keep what a host is makes no host worse", () =>
    Effect.gen(function* () {
      const { lines, monitor, status } = yield* world(1, { kept: false })
      yield* monitor.settled
      assert.strictEqual((yield* status(1))._tag, "Up")
      assert.include(lines.join("\n"), "what the host is could not be kept")
    }))

  test("1,000 hosts of which 100 hang: the 900 are up without them, and never more than 52 are contacted at once", () =>
    Effect.gen(function* () {
      const hanging = Array.from({ length: 100 }, (_, n) => 10 * (n + 1))
      const { at, contacts, monitor } = yield* world(1000, { takes: "100 millis", hanging })
      const up = Effect.map(monitor.statuses, (all) => [...all].flatMap(([n, { _tag }]) => (_tag === "Up" ? [n] : [])))
      yield* Effect.sleep("12.5 seconds")
      assert.lengthOf(yield* up, 900)
      assert.isAtMost(contacts.most, 52)
      assert.isAbove(contacts.most, 40, "nor are they contacted one after the other")
      // those that are back are noticed, all of them
      for (const n of hanging) revive(at(n))
      yield* Effect.sleep("2 seconds")
      assert.lengthOf(yield* up, 1000)
    }))

  test("100 hosts that nothing listens on and that are back are up within two seconds, all of them", () =>
    Effect.gen(function* () {
      const { at, hosts, monitor } = yield* world(100)
      const all = hosts.map((_, n) => at(n + 1))
      for (const one of all) one.ssh = new SshUnreachable({ reason: "nothing listens there (port 22)" })
      yield* monitor.settled
      yield* Effect.sleep("30 seconds")
      for (const one of all) one.ssh = "answers"
      yield* Effect.sleep("2 seconds")
      assert.lengthOf(
        [...(yield* monitor.statuses).values()].filter(({ _tag }) => _tag === "Up"),
        100
      )
    }))

  test("400 hosts that nothing listens on are not tried 400 times a second, and one that is back is noticed", () =>
    Effect.gen(function* () {
      const { at, hosts, monitor, status } = yield* world(400)
      const gone = hosts.map((_, n) => at(n + 1))
      for (const one of gone)
        Object.assign(one, { ssh: new SshUnreachable({ reason: "nothing listens there (port 22)" }) })
      const asked = () => gone.reduce((sum, one) => sum + one.dialled, 0)
      yield* monitor.settled
      const first = asked()
      assert.isAtMost(first, 400, "all have been tried before one is tried again")
      yield* Effect.sleep("10 seconds")
      const again = (asked() - first) / 10
      assert.isBelow(again, 130, "not sooner, either, because they have not been down for long")
      assert.isAbove(again, 50)
      yield* Effect.sleep("20 seconds")
      const before = asked()
      yield* Effect.sleep("30 seconds")
      const tries = (asked() - before) / 30
      assert.isBelow(tries, 70)
      assert.isAbove(tries, 50)
      revive(at(200))
      yield* Effect.sleep("15 seconds")
      assert.strictEqual((yield* status(200))._tag, "Up")
    }))
})
