import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as fc from "fast-check"
import { setImmediate } from "node:timers/promises"
import type { Duplex } from "node:stream"
import * as Packet from "../../src/libvirt/Packet.ts"
import * as RpcClient from "../../src/libvirt/RpcClient.ts"
import type { LibvirtErrorReason } from "../../src/services/Libvirt.ts"
import { frames, recorded } from "./Frames.ts"
import * as Peer from "./Peer.ts"

const { continue: more, error, ok } = Packet.statuses
const off = (name: string) => ({ name, uuid: "00112233-4455-6677-8899-aabbccddeeff", id: -1 })
const vol = { pool: "default", name: "a", key: "/a" }
const whole = { vol, offset: 0n, length: 0n, flags: 0 }

const session = (opening: Peer.Opening = {}, options: Partial<RpcClient.Options> = {}) =>
  Effect.gen(function* () {
    const [near, far] = Peer.duplexPair()
    const peer = Peer.make(far, opening)
    const client = yield* RpcClient.make(near, { uri: "test:///default", ...options })
    return { client, peer, near }
  })

/** registrations get callback ids from 0 */
const registering: Peer.Opening = {
  answer: (peer, call, name) => {
    if (name !== "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY") return false
    peer.reply(call, name, { callbackID: peer.calls.filter((other) => other === name).length - 1 })
    return true
  }
}

const xmlOf = (client: RpcClient.RpcClient, name: string) =>
  client.call("DOMAIN_GET_XML_DESC", { dom: off(name), flags: 0 })
const version = (client: RpcClient.RpcClient) => client.call("CONNECT_GET_LIB_VERSION", undefined)

describe("opening a session", () => {
  it.scoped("asks for authentication, keepalive and the hypervisor, in this order", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      assert.deepStrictEqual(peer.calls, ["AUTH_LIST", "CONNECT_SUPPORTS_FEATURE", "CONNECT_OPEN"])
      assert.strictEqual(client.pending(), 0)
    })
  )

  it.scoped("passes polkit where that is asked for", () =>
    Effect.gen(function* () {
      const { peer } = yield* session({ auth: [2] })
      assert.deepStrictEqual(peer.calls.slice(0, 2), ["AUTH_LIST", "AUTH_POLKIT"])
    })
  )

  it.scoped("polkit's refusal is the daemon's", () =>
    Effect.gen(function* () {
      const reason = yield* Effect.flip(
        session({
          auth: [2],
          answer: (peer, call, name) => {
            if (name === "AUTH_POLKIT") peer.refuse(call, 45, "authentication denied")
            return name === "AUTH_POLKIT"
          }
        })
      )
      assert.deepInclude(reason, { _tag: "LibvirtRefused", code: 45, reason: "authentication denied" })
    })
  )

  it.scoped("SASL is refused in clear words", () =>
    Effect.gen(function* () {
      const reason = yield* Effect.flip(session({ auth: [1] }))
      assert.strictEqual(reason._tag, "LibvirtDisconnected")
      assert.include(String("reason" in reason && reason.reason), "set auth_unix_rw to none or polkit")
    })
  )

  it.scoped("over a byte stream that is over fails at once", () =>
    Effect.gen(function* () {
      const [near] = Peer.duplexPair()
      near.destroy()
      const reason = yield* Effect.flip(RpcClient.make(near, { uri: "test:///default" }))
      assert.strictEqual(reason._tag, "LibvirtDisconnected")
    })
  )
})

describe("calls", () => {
  it.scoped("replies come in any order", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const fibers = yield* Effect.forEach(["a", "b", "c"], (name) => Effect.fork(xmlOf(client, name)))
      const calls = [yield* peer.next, yield* peer.next, yield* peer.next]
      const texts = ["<a/>", "<b/>", "<c/>"]
      for (const index of [2, 0, 1]) {
        const call = calls[index]
        if (call !== undefined) peer.reply(call, "DOMAIN_GET_XML_DESC", { xml: texts[index] ?? "" })
      }
      assert.deepStrictEqual(
        (yield* Fiber.join(Fiber.all(fibers))).map(({ xml }) => xml),
        texts
      )
    })
  )

  it.scoped("of thirty at once the daemon has four at a time; what is urgent goes past them", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const fibers = yield* Effect.forEach(Array.from({ length: 30 }), (_, n) => Effect.fork(xmlOf(client, `vm-${n}`)))
      const held: Array<Packet.Packet> = []
      let most = 0
      for (let answered = 0; answered < 30; answered++) {
        yield* Peer.settled
        while (peer.waiting() > 0) held.push(yield* peer.next)
        most = Math.max(most, held.length)
        if (answered === 10) {
          const urgent = yield* Effect.fork(version(client))
          const call = yield* peer.next
          peer.reply(call, "CONNECT_GET_LIB_VERSION", { lib_ver: 1n })
          assert.deepStrictEqual(yield* Fiber.join(urgent), { lib_ver: 1n })
        }
        const next = held.pop()
        if (next !== undefined) peer.reply(next, "DOMAIN_GET_XML_DESC", { xml: String(answered) })
      }
      yield* Fiber.join(Fiber.all(fibers))
      assert.strictEqual(most, 4)
      assert.strictEqual(client.pending(), 0)
    })
  )

  it.scoped("an interrupted one is forgotten, keeps its place until the late reply, and that is dropped", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const fibers = yield* Effect.forEach([1, 2, 3, 4], (n) => Effect.fork(xmlOf(client, `vm-${n}`)))
      const calls = [yield* peer.next, yield* peer.next, yield* peer.next, yield* peer.next]
      yield* Fiber.interruptAll(fibers)
      assert.strictEqual(client.pending(), 0)
      const fifth = yield* Effect.fork(xmlOf(client, "vm-5"))
      yield* Peer.settled
      assert.strictEqual(peer.waiting(), 0)
      for (const call of calls) peer.reply(call, "DOMAIN_GET_XML_DESC", { xml: "late" })
      peer.reply(yield* peer.next, "DOMAIN_GET_XML_DESC", { xml: "mine" })
      assert.deepStrictEqual(yield* Fiber.join(fifth), { xml: "mine" })
      // all four places are there again
      yield* Effect.forEach([1, 2, 3, 4], (n) => Effect.fork(xmlOf(client, `vm-${n}`)))
      for (let n = 0; n < 4; n++) yield* peer.next
      assert.strictEqual(client.pending(), 4)
      assert.isFalse(client.isLost())
    })
  )

  it.scoped("one interrupted in the queue is never sent", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const held = yield* Effect.forEach([1, 2, 3, 4], (n) => Effect.fork(xmlOf(client, `vm-${n}`)))
      const queued = yield* Effect.fork(xmlOf(client, "never"))
      const last = yield* Effect.fork(xmlOf(client, "last"))
      const first = yield* peer.next
      assert.strictEqual(client.pending(), 6)
      yield* Fiber.interrupt(queued)
      assert.strictEqual(client.pending(), 5)
      for (let n = 0; n < 3; n++) yield* peer.next
      peer.reply(first, "DOMAIN_GET_XML_DESC", { xml: "" })
      const sent = yield* peer.next
      assert.include(Buffer.from(sent.payload).toString("latin1"), "last")
      yield* Fiber.interruptAll([...held, last])
    })
  )

  it.scoped("places never leak, whenever calls are interrupted", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session({
        answer: (peer, call, name) => {
          if (name !== "DOMAIN_GET_XML_DESC") return false
          peer.reply(call, name, { xml: "" })
          return true
        }
      })
      for (let round = 0; round < 200; round++) {
        const fibers = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => Effect.fork(xmlOf(client, "x")))
        // at a different point of the conversation each time
        for (let turns = round % 7; turns > 0; turns--) yield* Effect.promise(() => setImmediate())
        yield* Fiber.interruptAll(fibers)
      }
      yield* Effect.all(
        Array.from({ length: 20 }, () => xmlOf(client, "x")),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(client.pending(), 0)
      assert.strictEqual(peer.waiting(), 0)
    })
  )

  it.scoped("a refusal is the daemon's own words", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const fiber = yield* Effect.fork(Effect.flip(xmlOf(client, "x")))
      peer.refuse(yield* peer.next, 42, "Domain not found")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "LibvirtRefused", code: 42, reason: "Domain not found" })
      assert.isFalse(client.isLost())
    })
  )

  it.scoped("each has its time, waiting for its turn included", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const [first, ...others] = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (n) =>
        Effect.fork(Effect.flip(xmlOf(client, `${n}`)))
      )
      yield* TestClock.adjust("29 seconds")
      assert.strictEqual(client.pending(), 6)
      yield* TestClock.adjust("2 seconds")
      if (first === undefined) return assert.fail("no call")
      assert.deepInclude(yield* Fiber.join(first), { _tag: "LibvirtTimeout", after: "30s" })
      for (const reason of yield* Fiber.join(Fiber.all(others))) assert.strictEqual(reason._tag, "LibvirtTimeout")
      assert.strictEqual(client.pending(), 0)
      yield* Peer.settled
      assert.strictEqual(peer.waiting(), 4)
    })
  )

  it.scoped("a session whose places are all held by abandoned calls is given up", () =>
    Effect.gen(function* () {
      const { client } = yield* session()
      const fibers = yield* Effect.forEach([1, 2, 3, 4], (n) => Effect.fork(xmlOf(client, `${n}`)))
      yield* Peer.settled
      yield* Fiber.interruptAll(fibers)
      const waiting = yield* Effect.fork(Effect.flip(xmlOf(client, "x")))
      yield* TestClock.adjust("11 seconds")
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "LibvirtDisconnected")
      assert.isTrue(client.isLost())
    })
  )

  it.scoped("arguments that have no encoding are refused here, and the session lives", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const reason = yield* Effect.flip(client.call("DOMAIN_LOOKUP_BY_NAME", { name: "vm-1\0" }))
      assert.strictEqual(reason._tag, "LibvirtProtocolError")
      const huge = "x".repeat(4_000_000)
      const tooMuch = client.call("CONNECT_BASELINE_CPU", { xmlCPUs: Array.from({ length: 9 }, () => huge), flags: 0 })
      assert.strictEqual((yield* Effect.flip(tooMuch))._tag, "LibvirtProtocolError")
      yield* Peer.settled
      assert.strictEqual(peer.waiting(), 0)
      assert.isFalse(client.isLost())
    })
  )

  it.scoped("serials wrap around and leave out those in use", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session({}, { serial: 0xffffffff - 4 })
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      const serials: Array<number> = []
      // three were used to open: 0xfffffffc, 0xfffffffd, 0xfffffffe
      for (let n = 0; n < 3; n++) {
        fibers.push(yield* Effect.fork(version(client)))
        serials.push((yield* peer.next).serial)
      }
      assert.deepStrictEqual(serials, [0xffffffff, 1, 2])
      yield* Fiber.interruptAll(fibers)
      const other = yield* session({}, { serial: 0xffffffff - 4 })
      const held = yield* Effect.fork(version(other.client))
      assert.strictEqual((yield* other.peer.next).serial, 0xffffffff)
      yield* Fiber.interrupt(held)
    })
  )
})

describe("keepalive", () => {
  it.scoped("answers PING with PONG", () =>
    Effect.gen(function* () {
      const { peer } = yield* session()
      peer.duplex.write(Packet.encodeKeepalive(Packet.keepalive.ping))
      yield* Peer.settled
      assert.deepStrictEqual(peer.keepalive, ["pong"])
    })
  )

  it.scoped("a daemon that answers stays, however long nothing else is said", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      for (let n = 0; n < 60; n++) {
        yield* TestClock.adjust("1 second")
        yield* Peer.settled
      }
      assert.isFalse(client.isLost())
      assert.isAtLeast(peer.keepalive.filter((kind) => kind === "ping").length, 9)
    })
  )

  it.scoped("a silent one is lost after three PINGs, and whoever waits is told", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session({ pong: false })
      const waiting = yield* Effect.fork(Effect.flip(version(client)))
      yield* TestClock.adjust("19 seconds")
      assert.isFalse(client.isLost())
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(client.isLost())
      const reason = yield* Fiber.join(waiting)
      assert.strictEqual(reason._tag, "LibvirtDisconnected")
      assert.include(String("reason" in reason && reason.reason), "no sign of life")
      yield* Peer.settled
      assert.strictEqual(peer.keepalive.length, 3)
    })
  )

  it.scoped("any byte is a sign of life", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session({ pong: false })
      const frame = Packet.encodeKeepalive(Packet.keepalive.pong)
      for (const byte of frame) {
        peer.duplex.write(Uint8Array.of(byte))
        yield* Peer.settled
        yield* TestClock.adjust("14 seconds")
      }
      assert.isFalse(client.isLost())
    })
  )

  it.scoped("a daemon that is full is given more time, but not for ever", () =>
    Effect.gen(function* () {
      const { client } = yield* session({ pong: false })
      const define = client.call("DOMAIN_CREATE_XML", { xml_desc: "<domain/>", flags: 0 })
      yield* Effect.forEach([1, 2, 3, 4], () => Effect.fork(Effect.exit(define)))
      yield* Effect.fork(Effect.exit(client.call("DOMAIN_DESTROY", { dom: off("x") })))
      yield* TestClock.adjust("60 seconds")
      assert.isFalse(client.isLost())
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(client.isLost())
    })
  )
})

describe("loss", () => {
  const ways: ReadonlyArray<readonly [how: string, tag: string, lose: (peer: Peer.Peer, near: Duplex) => void]> = [
    ["the daemon hangs up", "LibvirtDisconnected", (peer) => peer.duplex.end()],
    ["an error", "LibvirtDisconnected", (_, near) => near.destroy(new Error("read ECONNRESET"))],
    ["destroyed", "LibvirtDisconnected", (_, near) => near.destroy()],
    ["garbage", "LibvirtProtocolError", (peer) => peer.duplex.write(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"))],
    [
      "a reply with descriptors",
      "LibvirtProtocolError",
      (peer) => {
        for (const { bytes } of recorded.slice(-2)) peer.duplex.write(bytes)
      }
    ],
    [
      "a reply nobody asked for",
      "LibvirtProtocolError",
      (peer) => peer.send({ program: Packet.programs.remote, procedure: 1, type: 1, serial: 999, status: 0 })
    ],
    [
      "another program",
      "LibvirtProtocolError",
      (peer) => peer.send({ program: Packet.programs.qemu, procedure: 6, type: 2, serial: 1, status: 0 })
    ],
    [
      "an event that cannot be read",
      "LibvirtProtocolError",
      (peer) => peer.send({ program: Packet.programs.remote, procedure: 318, type: 2, serial: 1, status: 0 })
    ]
  ]
  for (const [how, tag, lose] of ways) {
    it.scoped(`${how}: calls, queued ones, streams and listeners fail at once`, () =>
      Effect.gen(function* () {
        const { client, near, peer } = yield* session(registering)
        const opening = yield* Effect.fork(client.open("STORAGE_VOL_DOWNLOAD", whole))
        peer.reply(yield* peer.next, "STORAGE_VOL_DOWNLOAD", undefined)
        const { incoming } = yield* Fiber.join(opening)
        const reader = yield* Effect.fork(Effect.flip(Stream.runDrain(incoming)))
        const calls = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => Effect.fork(Effect.flip(xmlOf(client, "x"))))
        for (let n = 0; n < 4; n++) yield* peer.next
        const listener = yield* Effect.fork(Effect.flip(Stream.runDrain(client.events)))
        yield* Peer.settled
        const lost = yield* Effect.fork(Effect.flip(client.lost))
        lose(peer, near)
        for (const fiber of [...calls, reader, listener, lost]) {
          assert.strictEqual((yield* Effect.orDie(Fiber.join<LibvirtErrorReason, unknown>(fiber)))._tag, tag)
        }
        assert.isTrue(client.isLost())
        assert.isTrue(near.destroyed)
        assert.strictEqual(client.pending(), 0)
        // and whoever comes later
        assert.strictEqual((yield* Effect.flip(version(client)))._tag, tag)
        assert.strictEqual((yield* Effect.flip(Stream.runDrain(client.events)))._tag, tag)
        const late = Effect.scoped(client.open("STORAGE_VOL_DOWNLOAD", whole))
        assert.strictEqual((yield* Effect.flip(late))._tag, tag)
        near.emit("error", new Error("late"))
      })
    )
  }

  it.scoped("a reply that cannot be read ends the session", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const other = yield* Effect.fork(Effect.flip(xmlOf(client, "x")))
      yield* peer.next
      const fiber = yield* Effect.fork(Effect.flip(version(client)))
      const call = yield* peer.next
      peer.send({ ...call, type: Packet.types.reply }, Uint8Array.of(1, 2, 3, 4))
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "LibvirtProtocolError")
      assert.strictEqual((yield* Fiber.join(other))._tag, "LibvirtProtocolError")
      assert.isTrue(client.isLost())
    })
  )

  it.scoped("so does an error that cannot be read, and a reply to another procedure", () =>
    Effect.gen(function* () {
      for (const wrong of [{ status: error }, { procedure: 1 }, { status: more }, { version: 2 }]) {
        const { client, peer } = yield* session()
        const fiber = yield* Effect.fork(Effect.flip(version(client)))
        const call = yield* peer.next
        peer.send({ ...call, type: Packet.types.reply, ...wrong }, new Uint8Array(8))
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "LibvirtProtocolError")
        assert.isTrue(client.isLost())
      }
    })
  )

  it.effect("the end of the scope ends the session, its timer and the byte stream", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { client, near, peer } = yield* Scope.extend(session({ pong: false }), scope)
      const fiber = yield* Effect.fork(Effect.flip(version(client)))
      yield* peer.next
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "LibvirtDisconnected")
      assert.isTrue(near.destroyed)
      const said = peer.keepalive.length
      yield* TestClock.adjust("1 minute")
      yield* Peer.settled
      assert.lengthOf(peer.keepalive, said)
    })
  )

  it.scoped("a flood of PINGs that does not read the answers takes no memory", () =>
    Effect.gen(function* () {
      const { near, peer } = yield* session()
      peer.duplex.pause()
      const ping = Packet.encodeKeepalive(Packet.keepalive.ping)
      const flood = Buffer.concat(Array.from({ length: 2000 }, () => ping))
      for (let n = 0; n < 50; n++) {
        peer.duplex.write(flood)
        yield* Peer.settled
      }
      assert.isAtMost(near.writableLength, 200_000)
    })
  )
})

describe("events", () => {
  /** how many there are to register for */
  const kinds = 7

  it.scoped("are registered for once, with whatever ids, and told to every listener", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session(registering)
      const listen = client.events.pipe(Stream.take(2), Stream.runCollect)
      const one = yield* Effect.fork(listen)
      const two = yield* Effect.fork(listen)
      yield* Peer.settled
      // serial 1 is also that of the first call; callback id 0 is one like any other
      peer.lifecycle(0, "vm-1")
      peer.lifecycle(0, "vm-2")
      for (const events of yield* Fiber.join(Fiber.all([one, two]))) {
        assert.deepStrictEqual(
          Chunk.toReadonlyArray(events).map(({ name }) => name),
          ["vm-1", "vm-2"]
        )
      }
      assert.lengthOf(
        peer.calls.filter((name) => name === "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY"),
        kinds
      )
    })
  )

  it.scoped("what an older daemon does not know is left out", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session({
        answer: (peer, call, name) => {
          if (name !== "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY") return false
          if (call.payload[3] === 0) peer.reply(call, name, { callbackID: 7 })
          else peer.refuse(call, 1, "unsupported event ID")
          return true
        }
      })
      const fiber = yield* Effect.fork(Stream.runHead(client.events))
      yield* Peer.settled
      peer.lifecycle(7, "vm-1")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Some")
    })
  )

  it.scoped("a listener that leaves while they are registered for spoils nothing for the next", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const first = yield* Effect.fork(Stream.runDrain(client.events))
      const calls = []
      for (let n = 0; n < kinds; n++) calls.push(yield* peer.next)
      yield* Fiber.interrupt(first)
      const second = yield* Effect.fork(Stream.runHead(client.events))
      yield* Peer.settled
      assert.strictEqual(peer.waiting(), 0)
      calls.forEach((call, callbackID) =>
        peer.reply(call, "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", { callbackID })
      )
      yield* Peer.settled
      peer.lifecycle(0, "vm-1")
      assert.strictEqual((yield* Fiber.join(second))._tag, "Some")
    })
  )

  it.scoped("a failed registration is tried again, of those that failed only", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const first = yield* Effect.fork(Effect.flip(Stream.runDrain(client.events)))
      for (let callbackID = 0; callbackID < kinds; callbackID++) {
        const call = yield* peer.next
        // all but the first, which is that of lifecycle events
        if (callbackID > 0) peer.reply(call, "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", { callbackID })
        else {
          yield* Peer.settled
          peer.refuse(call, 38, "out of memory")
        }
      }
      assert.strictEqual((yield* Fiber.join(first))._tag, "LibvirtRefused")
      const second = yield* Effect.fork(Stream.runHead(client.events))
      peer.reply(yield* peer.next, "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", { callbackID: 9 })
      yield* Peer.settled
      peer.lifecycle(9, "vm-1")
      assert.strictEqual((yield* Fiber.join(second))._tag, "Some")
    })
  )

  it.scoped("10,000 may wait for a slow listener, then it fails; the others do not", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session(registering)
      const gate = yield* Deferred.make<void>()
      let taken = 0
      const slow = yield* client.events.pipe(
        Stream.runForEachChunk((chunk) => {
          taken += chunk.length
          return Deferred.await(gate)
        }),
        Effect.flip,
        Effect.fork
      )
      const fast = yield* client.events.pipe(Stream.take(10_050), Stream.runCount, Effect.fork)
      yield* Peer.settled
      peer.lifecycle(0, "first")
      yield* Peer.settled
      for (let n = 1; n < 10_050; n++) {
        peer.lifecycle(0, "vm")
        if (n % 200 === 0) yield* Peer.settled
      }
      assert.strictEqual(yield* Fiber.join(fast), 10_050)
      yield* Deferred.succeed(gate, undefined)
      const reason = yield* Fiber.join(slow)
      assert.strictEqual(reason._tag, "LibvirtDisconnected")
      assert.include(String("reason" in reason && reason.reason), "faster")
      assert.strictEqual(taken, 10_001)
      assert.isFalse(client.isLost())
    })
  )
})

describe("streams to the daemon", () => {
  const opened = (opening: Peer.Opening = {}) =>
    Effect.gen(function* () {
      const given = yield* session(opening)
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const fiber = yield* Effect.fork(Scope.extend(given.client.open("STORAGE_VOL_UPLOAD", whole), scope))
      const call = yield* given.peer.next
      given.peer.reply(call, "STORAGE_VOL_UPLOAD", undefined)
      const stream = yield* Fiber.join(fiber)
      return { ...given, call, stream, close: Scope.close(scope, Exit.void) }
    })

  it.scoped("data in chunks, finish, confirmation", () =>
    Effect.gen(function* () {
      const { call, client, close, peer, stream } = yield* opened()
      const data = new Uint8Array(600_000).map((_, at) => at % 251)
      yield* stream.send(new Uint8Array(0))
      const sending = yield* Effect.fork(stream.send(data))
      const packets = [yield* peer.next, yield* peer.next, yield* peer.next]
      yield* Fiber.join(sending)
      for (const { serial, status, type } of packets) {
        assert.deepStrictEqual([serial, status, type], [call.serial, more, Packet.types.stream])
      }
      assert.deepStrictEqual(Uint8Array.from(Buffer.concat(packets.map(({ payload }) => payload))), data)
      const finishing = yield* Effect.fork(stream.finish)
      const finish = yield* peer.next
      assert.deepStrictEqual([finish.status, finish.payload.length], [ok, 0])
      peer.stream(call, ok)
      yield* Fiber.join(finishing)
      assert.strictEqual(client.pending(), 0)
      yield* close
      yield* Peer.settled
      assert.strictEqual(peer.waiting(), 0)
      assert.strictEqual((yield* Effect.flip(stream.send(data)))._tag, "LibvirtDisconnected")
    })
  )

  it.scoped("refused at open: nothing is aborted", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const fiber = yield* Effect.fork(Effect.flip(Effect.scoped(client.open("STORAGE_VOL_UPLOAD", whole))))
      peer.refuse(yield* peer.next, 50, "no such volume")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "LibvirtRefused", code: 50 })
      yield* Peer.settled
      assert.strictEqual(peer.waiting(), 0)
      assert.strictEqual(client.pending(), 0)
    })
  )

  it.scoped("an error in the middle: sending fails, who waits on the stream is told, late packets are ignored", () =>
    Effect.gen(function* () {
      const { call, client, close, peer, stream } = yield* opened()
      const broken = yield* Effect.fork(Effect.flip(stream.broken))
      yield* stream.send(new Uint8Array(10))
      yield* peer.next
      peer.refuse(call, 38, "no space", Packet.types.stream)
      assert.deepInclude(yield* Fiber.join(broken), { _tag: "LibvirtRefused", code: 38 })
      assert.deepInclude(yield* Effect.flip(stream.send(new Uint8Array(10))), { code: 38 })
      assert.deepInclude(yield* Effect.flip(stream.finish), { code: 38 })
      peer.stream(call, more, new Uint8Array(3))
      peer.stream(call, ok)
      peer.refuse(call, 38, "once more", Packet.types.stream)
      yield* close
      yield* Peer.settled
      assert.strictEqual(peer.waiting(), 0)
      assert.isFalse(client.isLost())
      assert.strictEqual(client.pending(), 0)
    })
  )

  it.scoped("an error at the end, with the confirmation behind it", () =>
    Effect.gen(function* () {
      const { call, client, peer, stream } = yield* opened()
      const finishing = yield* Effect.fork(Effect.flip(stream.finish))
      yield* peer.next
      peer.refuse(call, 38, "no space", Packet.types.stream)
      peer.stream(call, ok)
      assert.deepInclude(yield* Fiber.join(finishing), { code: 38 })
      yield* Peer.settled
      assert.isFalse(client.isLost())
    })
  )

  it.scoped("a confirmation that does not come", () =>
    Effect.gen(function* () {
      const { close, peer, stream } = yield* opened()
      const finishing = yield* Effect.fork(Effect.flip(stream.finish))
      yield* peer.next
      for (let n = 0; n < 121; n++) {
        yield* TestClock.adjust("1 second")
        yield* Peer.settled
      }
      assert.strictEqual((yield* Fiber.join(finishing))._tag, "LibvirtTimeout")
      yield* close
      assert.strictEqual((yield* peer.next).status, error)
    })
  )

  it.scoped("closed before its end it is aborted, and the daemon's confirmation is awaited by nobody", () =>
    Effect.gen(function* () {
      const { call, client, close, peer, stream } = yield* opened()
      yield* stream.send(new Uint8Array(10))
      yield* close
      yield* peer.next
      const abort = yield* peer.next
      assert.deepStrictEqual([abort.serial, abort.status, abort.payload.length], [call.serial, error, 0])
      assert.strictEqual(client.pending(), 0)
      peer.stream(call, more, new Uint8Array(3))
      peer.stream(call, ok)
      const alive = yield* Effect.fork(version(client))
      peer.reply(yield* peer.next, "CONNECT_GET_LIB_VERSION", { lib_ver: 1n })
      yield* Fiber.join(alive)
    })
  )

  it.scoped("interrupted while it opens: aborted when the daemon has opened it", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const fiber = yield* Effect.fork(Effect.scoped(client.open("STORAGE_VOL_UPLOAD", whole)))
      const call = yield* peer.next
      yield* Fiber.interrupt(fiber)
      yield* Peer.settled
      assert.strictEqual(peer.waiting(), 0)
      peer.reply(call, "STORAGE_VOL_UPLOAD", undefined)
      assert.deepInclude(yield* peer.next, { serial: call.serial, type: Packet.types.stream, status: error })
    })
  )

  it.scoped("a daemon that stops reading holds the sender back, and memory stays bounded", () =>
    Effect.gen(function* () {
      const { near, peer, stream } = yield* opened()
      peer.duplex.pause()
      let sent = 0
      const chunk = new Uint8Array(100_000)
      const sending = yield* stream.send(chunk).pipe(
        Effect.tap(() => Effect.sync(() => (sent += chunk.length))),
        Effect.repeatN(99),
        Effect.fork
      )
      for (let n = 0; n < 5; n++) yield* Peer.settled
      assert.isAtMost(near.writableLength, Packet.streamChunk)
      assert.isBelow(sent, 1_000_000)
      peer.duplex.resume()
      yield* Fiber.join(sending)
      assert.strictEqual(sent, 10_000_000)
    })
  )

  it.scoped("who waits for room is told of the stream's failure and of the connection's", () =>
    Effect.gen(function* () {
      for (const lost of [false, true]) {
        const { call, near, peer, stream } = yield* opened()
        peer.duplex.pause()
        const sending = yield* stream.send(new Uint8Array(1_000_000)).pipe(Effect.flip, Effect.fork)
        for (let n = 0; n < 3; n++) yield* Peer.settled
        if (lost) near.destroy(new Error("gone"))
        else peer.refuse(call, 38, "no space", Packet.types.stream)
        const reason = yield* Fiber.join(sending)
        assert.strictEqual(reason._tag, lost ? "LibvirtDisconnected" : "LibvirtRefused")
      }
    })
  )
})

describe("streams from the daemon", () => {
  const download = (client: RpcClient.RpcClient, peer: Peer.Peer) =>
    Effect.gen(function* () {
      const scope = yield* Scope.fork(yield* Effect.scope, { _tag: "Sequential" })
      const fiber = yield* Effect.fork(Scope.extend(client.open("STORAGE_VOL_DOWNLOAD", whole), scope))
      const call = yield* peer.next
      peer.reply(call, "STORAGE_VOL_DOWNLOAD", undefined)
      const stream = yield* Fiber.join(fiber)
      return { stream, call, close: Scope.close(scope, Exit.void) }
    })

  it.scoped("an empty packet is the end of the data, finish the end of the stream", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const { call, stream } = yield* download(client, peer)
      peer.stream(call, more, Uint8Array.of(1, 2, 3))
      peer.stream(call, more, Uint8Array.of(4))
      peer.stream(call, more)
      const data = yield* Stream.runCollect(stream.incoming)
      assert.deepStrictEqual(Buffer.concat([...data]), Buffer.from([1, 2, 3, 4]))
      const finishing = yield* Effect.fork(stream.finish)
      assert.strictEqual((yield* peer.next).status, ok)
      peer.stream(call, ok)
      yield* Fiber.join(finishing)
      assert.strictEqual(client.pending(), 0)
    })
  )

  it.scoped("what the daemon sends ahead of its reply belongs to the stream", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const opening = yield* Effect.fork(client.open("STORAGE_VOL_DOWNLOAD", whole))
      const call = yield* peer.next
      peer.stream(call, more, Uint8Array.of(1, 2))
      peer.stream(call, more, Uint8Array.of(3))
      peer.stream(call, more)
      yield* Peer.settled
      peer.reply(call, "STORAGE_VOL_DOWNLOAD", undefined)
      const stream = yield* Fiber.join(opening)
      assert.deepStrictEqual(Buffer.concat([...(yield* Stream.runCollect(stream.incoming))]), Buffer.from([1, 2, 3]))
      // so does its failure
      const failing = yield* Effect.fork(client.open("STORAGE_VOL_DOWNLOAD", whole))
      const other = yield* peer.next
      peer.refuse(other, 38, "no such volume", Packet.types.stream)
      yield* Peer.settled
      peer.reply(other, "STORAGE_VOL_DOWNLOAD", undefined)
      const failed = yield* Fiber.join(failing)
      assert.deepInclude(yield* Effect.flip(Stream.runDrain(failed.incoming)), { code: 38 })
    })
  )

  it.scoped("a slow reader holds the daemon back for as long as it likes, and gets everything", () =>
    Effect.gen(function* () {
      const { client, near, peer } = yield* session()
      const { call, stream } = yield* download(client, peer)
      const packet = new Uint8Array(100_000).fill(7)
      for (let n = 0; n < 50; n++) peer.stream(call, more, packet)
      peer.stream(call, more)
      for (let n = 0; n < 10; n++) yield* Peer.settled
      assert.isTrue(near.isPaused())
      // longer than any keepalive
      for (let n = 0; n < 60; n++) yield* TestClock.adjust("2 seconds")
      yield* Peer.settled
      assert.isFalse(client.isLost())
      assert.isAtLeast(peer.keepalive.length, 20)
      const bytes = yield* stream.incoming.pipe(
        Stream.runFoldEffect(0, (sum, bytes) => Effect.as(Peer.settled, sum + bytes.length))
      )
      assert.strictEqual(bytes, 5_000_000)
      assert.isFalse(near.isPaused())
    })
  )

  it.scoped("one reader's end does not release the connection for another, nor leave it held", () =>
    Effect.gen(function* () {
      const { client, near, peer } = yield* session()
      const one = yield* download(client, peer)
      const two = yield* download(client, peer)
      const packet = new Uint8Array(700_000)
      for (const { call } of [one, two, one, two]) peer.stream(call, more, packet)
      for (let n = 0; n < 10; n++) yield* Peer.settled
      assert.isTrue(near.isPaused())
      // the first held; whatever the other still had under way arrives when it lets go
      yield* one.close
      for (let n = 0; n < 10; n++) yield* Peer.settled
      assert.isTrue(near.isPaused())
      yield* two.close
      yield* Peer.settled
      assert.isFalse(near.isPaused())
      while (peer.waiting() > 0) yield* peer.next
      const alive = yield* Effect.fork(version(client))
      peer.reply(yield* peer.next, "CONNECT_GET_LIB_VERSION", { lib_ver: 1n })
      yield* Fiber.join(alive)
    })
  )

  it.scoped("a loss comes behind what had arrived", () =>
    Effect.gen(function* () {
      const { client, near, peer } = yield* session()
      const { call, stream } = yield* download(client, peer)
      peer.stream(call, more, Uint8Array.of(1))
      yield* Peer.settled
      near.destroy(new Error("gone"))
      yield* Peer.settled
      let bytes = 0
      const reason = yield* stream.incoming.pipe(
        Stream.runForEach((data) => Effect.sync(() => (bytes += data.length))),
        Effect.flip
      )
      assert.strictEqual(bytes, 1)
      assert.strictEqual(reason._tag, "LibvirtDisconnected")
    })
  )

  it.scoped("a console goes both ways until its guest is off", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const args = { dom: off("vm-1"), dev_name: null, flags: 0 }
      const fiber = yield* Effect.fork(client.open("DOMAIN_OPEN_CONSOLE", args))
      const call = yield* peer.next
      peer.reply(call, "DOMAIN_OPEN_CONSOLE", undefined)
      const stream = yield* Fiber.join(fiber)
      yield* stream.send(Buffer.from("root\n"))
      assert.strictEqual(Buffer.from((yield* peer.next).payload).toString(), "root\n")
      peer.stream(call, more, Buffer.from("# "))
      peer.stream(call, more)
      const text = yield* Stream.mkString(Stream.decodeText(stream.incoming))
      assert.strictEqual(text, "# ")
    })
  )

  it.scoped("a hole that was not asked for ends the session", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session()
      const { call, stream } = yield* download(client, peer)
      peer.send({ ...call, type: Packet.types.hole, status: more }, new Uint8Array(12))
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(stream.incoming)))._tag, "LibvirtProtocolError")
      assert.isTrue(client.isLost())
    })
  )
})

describe("a hostile daemon", () => {
  const fromServer = frames.filter(({ from }) => from === "server").map(({ bytes }) => bytes)
  const mutated = fc
    .tuple(
      fc.constantFrom(...fromServer),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 })
    )
    .map(([bytes, changes]) => {
      const changed = bytes.slice()
      for (const [at, value] of changes) changed[at % changed.length] = value
      // serials of the calls that wait
      if (changed.length >= 28) changed[23] = (changed[23] ?? 0) % 12
      return changed
    })

  it.effect("whatever it sends: everything that waits ends, and with typed reasons only", () =>
    Effect.gen(function* () {
      const runs = fc.sample(fc.array(mutated, { minLength: 1, maxLength: 30 }), 150)
      for (const sent of runs) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { client, near, peer } = yield* session(registering)
            const work: ReadonlyArray<Effect.Effect<unknown, LibvirtErrorReason>> = [
              version(client),
              xmlOf(client, "x"),
              client.call("CONNECT_LIST_ALL_DOMAINS", { need_results: 1, flags: 0 }),
              Stream.runDrain(client.events),
              Effect.scoped(
                Effect.flatMap(client.open("STORAGE_VOL_DOWNLOAD", whole), ({ incoming }) => Stream.runDrain(incoming))
              ),
              Effect.scoped(
                Effect.flatMap(client.open("STORAGE_VOL_UPLOAD", whole), ({ send }) =>
                  Effect.forever(send(new Uint8Array(100_000)))
                )
              )
            ]
            const fibers = yield* Effect.forEach(work, (one) => Effect.fork(one))
            yield* Peer.settled
            for (const bytes of sent) peer.duplex.write(bytes)
            yield* Peer.settled
            near.destroy()
            for (const fiber of fibers) {
              const exit = yield* Fiber.await(fiber)
              if (Exit.isFailure(exit)) assert.isTrue(Cause.isFailType(exit.cause), Cause.pretty(exit.cause))
            }
            assert.isTrue(client.isLost())
            assert.strictEqual(client.pending(), 0)
          })
        )
      }
    })
  )
})
