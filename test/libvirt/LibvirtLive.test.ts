import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type { Duplex } from "node:stream"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import { formatAddress, type HostAddress } from "../../src/domain/Host.ts"
import * as Packet from "../../src/libvirt/Packet.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import { Ssh, SshChannelRefused, SshCommandFailed, SshError, SshUnreachable } from "../../src/services/Ssh.ts"
import * as Peer from "./Peer.ts"

const address: HostAddress = { user: "root", host: "h1", port: 22 }
const other: HostAddress = { user: "root", host: "h2", port: 22 }
const vol = { pool: "default", name: "a", key: "/a" }
const whole = { vol, offset: 0n, length: 0n, flags: 0 }

const refused = (code: number) => new SshChannelRefused({ reason: code === 1 ? "prohibited" : "connect failed", code })

/** Hosts whose daemons the test plays: `open` decides about each attempt, `peers` are the connections that came about. */
const world = (
  open: (path: string) => SshChannelRefused | SshUnreachable | undefined | "hang" = () => undefined,
  opening: Peer.Opening = {}
) =>
  Effect.gen(function* () {
    const peers: Array<Peer.Peer> = []
    const nears: Array<Duplex> = []
    const attempts: Array<string> = []
    const dial = (to: HostAddress, action: string) =>
      Effect.suspend(() => {
        attempts.push(action)
        const answer = open(action)
        if (answer === "hang") return Effect.never
        if (answer !== undefined) return new SshError({ host: formatAddress(to), action, reason: answer })
        return Effect.acquireRelease(
          Effect.sync(() => {
            const [near, far] = Peer.duplexPair()
            nears.push(near)
            peers.push(
              Peer.make(far, {
                ...opening,
                answer: (peer, call, name) => {
                  if (opening.answer?.(peer, call, name) === true) return true
                  if (name !== "CONNECT_GET_LIB_VERSION") return false
                  peer.reply(call, name, { lib_ver: 9_000_000n })
                  return true
                }
              })
            )
            return near
          }),
          (near) => Effect.sync(() => near.destroy())
        )
      })
    const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
    const ssh = Layer.succeed(Ssh, {
      connect: () => Effect.void,
      exec: () => Effect.dieMessage("no programs here"),
      stream: () => Stream.dieMessage("no programs here"),
      readFile: () => Effect.dieMessage("no files here"),
      removeFiles: () => Effect.dieMessage("no files here"),
      openSocket: (to, path) => dial(to, path),
      openTcp: () => Effect.dieMessage("no network here"),
      openProgram: (to, argv) => dial(to, argv.join(" ")),
      close: () => Effect.void
    })
    const context = yield* Layer.buildWithScope(Layer.provide(LibvirtLive.layer, ssh), scope)
    const libvirt = Context.get(context, Libvirt)
    const version = (to: HostAddress = address) => libvirt.call(to, "CONNECT_GET_LIB_VERSION", undefined)
    return { libvirt, version, peers, nears, attempts, close: Scope.close(scope, Exit.void) }
  })

const [monolithic, modular, helper] = [
  "/run/libvirt/libvirt-sock",
  "/run/libvirt/virtqemud-sock",
  "virt-ssh-helper qemu:///system"
]

describe("reaching the daemon", () => {
  const ways: ReadonlyArray<
    readonly [how: string, refusals: Readonly<Record<string, number>>, attempts: ReadonlyArray<string>]
  > = [
    ["the monolithic daemon's socket", {}, [monolithic]],
    ["the modular one's, where that is not there", { [monolithic]: 2 }, [monolithic, modular]],
    ["the helper, where forwarding is prohibited", { [monolithic]: 1 }, [monolithic, helper]],
    [
      "the helper, where OpenSSH forbids forwarding without saying so",
      { [monolithic]: 2, [modular]: 2 },
      [monolithic, modular, helper]
    ],
    ["the helper, found out late", { [monolithic]: 2, [modular]: 1 }, [monolithic, modular, helper]]
  ]
  for (const [how, refusals, expected] of ways) {
    it.scoped(how, () =>
      Effect.gen(function* () {
        const { attempts, version } = yield* world((path) => {
          const code = refusals[path]
          return code === undefined ? undefined : refused(code)
        })
        assert.deepStrictEqual(yield* version(), { lib_ver: 9_000_000n })
        assert.deepStrictEqual(attempts, expected)
      })
    )
  }

  it.scoped("neither socket is there: says so", () =>
    Effect.gen(function* () {
      const { version } = yield* world(() => refused(2))
      const error = yield* Effect.flip(version())
      assert.strictEqual(error.reason._tag, "LibvirtDisconnected")
      assert.include(error.message, `libvirt does not listen on ${monolithic} nor ${modular}: is it running?`)
    })
  )

  for (const [exitCode, stderr, expected] of [
    [127, "bash: virt-ssh-helper: command not found", "is it installed?"],
    [1, "virt-ssh-helper: cannot connect to '/var/run/libvirt/libvirt-sock'", "cannot connect to '/var/run"]
  ] as const) {
    it.scoped(`the helper ends with status ${exitCode}: says so`, () =>
      Effect.gen(function* () {
        const { nears, version } = yield* world((path) => (path === helper ? undefined : refused(2)), {
          answer: (_, __, name) => {
            if (name !== "AUTH_LIST") return false
            const reason = new SshCommandFailed({ exitCode, signal: null, stderr })
            nears[0]?.destroy(new SshError({ host: "root@h1", action: "exec virt-ssh-helper", reason }))
            return true
          }
        })
        const error = yield* Effect.flip(version())
        assert.strictEqual(error.reason._tag, "LibvirtDisconnected")
        assert.include(error.message, expected)
        assert.instanceOf(error.cause, SshError)
      })
    )
  }

  it.scoped("what SSH says of a host that cannot be reached is kept", () =>
    Effect.gen(function* () {
      const { attempts, version } = yield* world(() => new SshUnreachable({ reason: "connection refused" }))
      const error = yield* Effect.flip(version())
      assert.deepStrictEqual(attempts, [monolithic])
      assert.include(error.message, "connection refused")
      assert.instanceOf(error.cause, SshError)
    })
  )

  it.scoped("a daemon that says nothing is given up after 15 seconds", () =>
    Effect.gen(function* () {
      const { peers, version } = yield* world(undefined, { answer: () => true })
      const fiber = yield* Effect.fork(Effect.flip(version()))
      yield* Peer.settled
      yield* TestClock.adjust("15 seconds")
      assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "LibvirtTimeout")
      yield* Peer.settled
      assert.isTrue(peers[0]?.duplex.readableEnded)
    })
  )
})

describe("the shared session", () => {
  it.scoped("is opened once for all who ask at the same time, one for each host", () =>
    Effect.gen(function* () {
      const { peers, version } = yield* world()
      yield* Effect.all(
        Array.from({ length: 20 }, (_, n) => version(n % 2 === 0 ? address : other)),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(peers, 2)
    })
  )

  it.scoped("is opened for all, also when the one who asked first gives up", () =>
    Effect.gen(function* () {
      const gate: { open?: () => void } = {}
      const { peers, version } = yield* world(undefined, {
        answer: (peer, call, name) => {
          if (name !== "CONNECT_OPEN") return false
          gate.open = () => peer.reply(call, name, undefined)
          return true
        }
      })
      const first = yield* Effect.fork(version())
      const second = yield* Effect.fork(version())
      yield* Peer.settled
      yield* Fiber.interrupt(first)
      yield* Peer.settled
      gate.open?.()
      yield* Fiber.join(second)
      assert.lengthOf(peers, 1)
    })
  )

  it.scoped("is opened anew at the next use after a loss; nothing of the lost one stays", () =>
    Effect.gen(function* () {
      const { libvirt, peers, version } = yield* world()
      yield* version()
      const waiting = yield* Effect.fork(Effect.flip(libvirt.call(address, "DOMAIN_LOOKUP_BY_NAME", { name: "vm-1" })))
      const events = yield* Effect.fork(Effect.flip(Stream.runDrain(libvirt.events(address))))
      yield* Peer.settled
      peers[0]?.duplex.end()
      const error = yield* Fiber.join(waiting)
      assert.strictEqual(error.reason._tag, "LibvirtDisconnected")
      assert.strictEqual(error.procedure, "DOMAIN_LOOKUP_BY_NAME")
      assert.strictEqual((yield* Fiber.join(events)).reason._tag, "LibvirtDisconnected")
      yield* Peer.settled
      assert.isTrue(peers[0]?.duplex.readableEnded)
      assert.lengthOf(peers, 1)
      yield* libvirt.ping(address)
      assert.lengthOf(peers, 2)
    })
  )

  it.scoped("a failure is not repeated by everybody: the last error until it is time for another attempt", () =>
    Effect.gen(function* () {
      let broken = true
      const { attempts, version } = yield* world(() =>
        broken ? new SshUnreachable({ reason: "connection refused" }) : undefined
      )
      const errors = yield* Effect.all(
        Array.from({ length: 10 }, () => Effect.flip(version())),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(attempts, 1)
      const again = yield* Effect.flip(version())
      assert.strictEqual(again, errors[0])
      assert.lengthOf(attempts, 1)
      // 200 ms and a fifth of it at most
      yield* TestClock.adjust("240 millis")
      yield* Effect.flip(version())
      assert.lengthOf(attempts, 2)
      // now 400 ms
      yield* TestClock.adjust("300 millis")
      yield* Effect.flip(version())
      assert.lengthOf(attempts, 2)
      for (let n = 0; n < 20; n++) {
        yield* TestClock.adjust("6 seconds")
        yield* Effect.flip(version())
      }
      // never more than half a second and a fifth
      assert.lengthOf(attempts, 22)
      broken = false
      yield* TestClock.adjust("6 seconds")
      yield* version()
    })
  )

  it.scoped("another host's failure is not this one's", () =>
    Effect.gen(function* () {
      const { libvirt, peers, version } = yield* world()
      yield* version(other)
      yield* version(address)
      peers[0]?.duplex.destroy()
      yield* Peer.settled
      yield* version(address)
      assert.lengthOf(peers, 2)
      yield* libvirt.ping(other)
      assert.lengthOf(peers, 3)
    })
  )

  it.scoped("ends with the layer, for those who wait and those who come later", () =>
    Effect.gen(function* () {
      const { close, libvirt, peers, version } = yield* world()
      yield* version()
      const waiting = yield* Effect.fork(Effect.flip(libvirt.call(address, "DOMAIN_LOOKUP_BY_NAME", { name: "vm-1" })))
      yield* Peer.settled
      yield* close
      assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "LibvirtDisconnected")
      yield* Peer.settled
      assert.isTrue(peers[0]?.duplex.readableEnded)
      assert.strictEqual((yield* Effect.flip(version())).reason._tag, "LibvirtDisconnected")
    })
  )

  it.scoped("the end of the layer reaches those who wait for a session", () =>
    Effect.gen(function* () {
      const { close, version } = yield* world(() => "hang")
      const waiting = yield* Effect.fork(Effect.flip(version()))
      yield* Peer.settled
      yield* close
      assert.strictEqual((yield* Fiber.join(waiting)).reason._tag, "LibvirtDisconnected")
    })
  )
})

describe("streams", () => {
  const { continue: more, error, ok } = Packet.statuses

  it.scoped("two uploads to a host at a time, each on a connection of its own; calls go on", () =>
    Effect.gen(function* () {
      const { libvirt, peers, version } = yield* world()
      yield* version()
      const gate = yield* Deferred.make<void>()
      const source = Stream.concat(Stream.make(new Uint8Array(10)), Stream.execute(Deferred.await(gate)))
      const uploads = yield* Effect.forEach([1, 2, 3, 4, 5], () =>
        Effect.fork(libvirt.upload(address, "STORAGE_VOL_UPLOAD", whole, source))
      )
      const serve = (peer: Peer.Peer | undefined) =>
        Effect.gen(function* () {
          if (peer === undefined) return yield* Effect.dieMessage("no connection")
          const call = yield* peer.next
          peer.reply(call, "STORAGE_VOL_UPLOAD", undefined)
          assert.strictEqual((yield* peer.next).payload.length, 10)
          return Effect.gen(function* () {
            assert.strictEqual((yield* peer.next).status, ok)
            peer.stream(call, ok)
          })
        })
      yield* Peer.settled
      const ends = [yield* serve(peers[1]), yield* serve(peers[2])]
      yield* Peer.settled
      assert.lengthOf(peers, 3)
      // while they are stuck
      yield* version()
      assert.lengthOf(peers, 3)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.all(ends)
      for (const index of [3, 4, 5]) {
        while (peers[index] === undefined) yield* Peer.settled
        yield* Effect.flatten(serve(peers[index]))
      }
      yield* Fiber.join(Fiber.all(uploads))
      yield* Peer.settled
      for (const peer of peers.slice(1)) assert.isTrue(peer.duplex.readableEnded)
    })
  )

  it.scoped("a daemon's refusal ends an upload whose source has nothing to give", () =>
    Effect.gen(function* () {
      const { libvirt, peers } = yield* world()
      const fiber = yield* Effect.fork(Effect.flip(libvirt.upload(address, "STORAGE_VOL_UPLOAD", whole, Stream.never)))
      yield* Peer.settled
      const [peer] = peers
      if (peer === undefined) return assert.fail("no connection")
      const call = yield* peer.next
      peer.reply(call, "STORAGE_VOL_UPLOAD", undefined)
      yield* Peer.settled
      peer.refuse(call, 38, "no space left", Packet.types.stream)
      const failure = yield* Fiber.join(fiber)
      assert.strictEqual(failure.procedure, "STORAGE_VOL_UPLOAD")
      assert.isTrue(failure.refusedWith(38))
      yield* Peer.settled
      // nothing to abort
      assert.strictEqual(peer.waiting(), 0)
    })
  )

  for (const how of ["its source fails", "it is interrupted"] as const) {
    it.scoped(`an upload is aborted when ${how}`, () =>
      Effect.gen(function* () {
        const { libvirt, peers } = yield* world()
        const source = how === "its source fails" ? Stream.fail("source") : Stream.never
        const fiber = yield* Effect.fork(libvirt.upload(address, "STORAGE_VOL_UPLOAD", whole, source))
        yield* Peer.settled
        const [peer] = peers
        if (peer === undefined) return assert.fail("no connection")
        const call = yield* peer.next
        peer.reply(call, "STORAGE_VOL_UPLOAD", undefined)
        yield* Peer.settled
        const exit = how === "its source fails" ? yield* Fiber.await(fiber) : yield* Fiber.interrupt(fiber)
        assert.isTrue(Exit.isFailure(exit))
        if (how === "its source fails") assert.deepStrictEqual(exit, Exit.fail("source"))
        assert.deepInclude(yield* peer.next, { serial: call.serial, type: Packet.types.stream, status: error })
        yield* Peer.settled
        assert.isTrue(peer.duplex.readableEnded)
      })
    )
  }

  it.scoped("a stream that could not be opened leaves no connection, though its scope goes on", () =>
    Effect.gen(function* () {
      const { libvirt, peers } = yield* world(undefined, { auth: [1] })
      const failure = yield* Effect.flip(libvirt.open(address, "STORAGE_VOL_DOWNLOAD", whole))
      assert.include(failure.message, "SASL")
      yield* Peer.settled
      assert.isTrue(peers[0]?.duplex.readableEnded)
    })
  )

  it.scoped("a download is read to its end; its connection ends with the scope", () =>
    Effect.gen(function* () {
      const { libvirt, peers } = yield* world()
      const fiber = yield* libvirt.open(address, "STORAGE_VOL_DOWNLOAD", whole).pipe(
        Effect.flatMap(({ incoming }) => Stream.runCollect(incoming)),
        Effect.scoped,
        Effect.fork
      )
      yield* Peer.settled
      const [peer] = peers
      if (peer === undefined) return assert.fail("no connection")
      const call = yield* peer.next
      peer.reply(call, "STORAGE_VOL_DOWNLOAD", undefined)
      peer.stream(call, more, Uint8Array.of(1, 2))
      peer.stream(call, more)
      // its end is confirmed, not cut off
      const finish = yield* peer.next
      assert.deepInclude(finish, { serial: call.serial, type: Packet.types.stream, status: ok })
      peer.stream(finish, ok)
      assert.deepStrictEqual(Buffer.concat([...(yield* Fiber.join(fiber))]), Buffer.from([1, 2]))
      yield* Peer.settled
      assert.isTrue(peer.duplex.readableEnded)
    })
  )
})

describe("a daemon that does not answer", () => {
  /** `map`: what becomes of the question that takes no time */
  const hanging = (map: "answered" | "unanswered") =>
    world(undefined, {
      answer: (peer, call, name) => {
        if (name !== "NODE_GET_CPU_MAP") return false
        if (map === "answered") peer.reply(call, name, { cpumap: new Uint8Array(0), online: 8, ret: 8 })
        return true
      }
    })
  const define = { xml: "<domain/>", flags: 0 }
  const seconds = (count: number) =>
    Effect.repeatN(Effect.zipRight(TestClock.adjust("1 second"), Peer.settled), count - 1)

  it.scoped("everybody on it is told after 10 seconds, also who only listens; its sessions are opened anew", () =>
    Effect.gen(function* () {
      const { libvirt, peers, version } = yield* hanging("unanswered")
      yield* version(other)
      const listening = yield* Effect.fork(Effect.flip(Stream.runDrain(libvirt.events(address))))
      yield* Peer.settled
      yield* version()
      const calling = yield* Effect.fork(Effect.flip(libvirt.call(address, "DOMAIN_DEFINE_XML_FLAGS", define)))
      yield* seconds(9)
      assert.isTrue(Option.isNone(yield* Fiber.poll(calling)))
      yield* seconds(2)
      const error = yield* Fiber.join(calling)
      assert.strictEqual(error.reason._tag, "LibvirtDisconnected")
      assert.include(error.message, "libvirt does not answer when asked to define a domain, nor anything else for 5s")
      assert.strictEqual((yield* Fiber.join(listening)).message, error.message)
      // the other host's session, and of this one the first and the one to ask on
      assert.lengthOf(peers, 3)
      yield* version()
      assert.lengthOf(peers, 4)
      yield* version(other)
      assert.lengthOf(peers, 4)
    })
  )

  it.scoped("a call that only takes long is left alone", () =>
    Effect.gen(function* () {
      const { libvirt, peers } = yield* hanging("answered")
      const calling = yield* Effect.fork(libvirt.call(address, "DOMAIN_DEFINE_XML_FLAGS", define))
      yield* Peer.settled
      const call = yield* peers[0]!.next
      yield* seconds(29)
      const dom = { name: "vm-1", uuid: "3c1a7a52-0f0b-4a0e-9a41-8f7d0f1e2d11", id: -1 }
      peers[0]!.reply(call, "DOMAIN_DEFINE_XML_FLAGS", { dom })
      assert.deepStrictEqual(yield* Fiber.join(calling), { dom })
      assert.lengthOf(peers, 2)
    })
  )

  it.scoped("as long as it answers anybody it is alive, whatever becomes of the question", () =>
    Effect.gen(function* () {
      const { libvirt, version } = yield* hanging("unanswered")
      const calling = yield* Effect.fork(Effect.flip(libvirt.call(address, "DOMAIN_DEFINE_XML_FLAGS", define)))
      for (let n = 0; n < 20; n++) {
        yield* seconds(1)
        yield* version()
      }
      assert.isTrue(Option.isNone(yield* Fiber.poll(calling)))
    })
  )
})
