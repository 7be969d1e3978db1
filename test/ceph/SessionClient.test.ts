import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type { Duplex } from "node:stream"
import { inspect } from "node:util"
import { ProgramEnded } from "../../src/ceph/LocalProgram.ts"
import * as Program from "../../src/ceph/Program.ts"
import { decodeRequest, LineReader, type RequestLine, requests } from "../../src/ceph/Protocol.ts"
import * as SessionClient from "../../src/ceph/SessionClient.ts"
import { SshCommandFailed, SshError } from "../../src/services/Ssh.ts"
import * as MemoryLink from "../../src/simulator/MemoryLink.ts"

const mebibyte = 1024 ** 2

/** The other end, by hand. */
interface Peer {
  readonly stream: Duplex
  /** the requests so far, `open` among them */
  readonly requests: ReadonlyArray<RequestLine>
  /** as soon as there are that many */
  readonly asked: (count: number) => Effect.Effect<RequestLine>
  readonly say: (line: unknown) => void
  /** bytes after the request to import */
  readonly frames: () => number
}

const makePeer = (stream: Duplex): Peer => {
  const seen: Array<RequestLine> = []
  const waiting = new Set<() => void>()
  const reader = new LineReader(Number.POSITIVE_INFINITY)
  let skip = Program.text.length
  let frames = 0
  let importing = false
  stream.on("error", () => {})
  stream.write(`hello from .bashrc\n${Program.greeting}\n`)
  stream.on("data", (chunk: Buffer) => {
    const rest = chunk.subarray(skip)
    skip = Math.max(0, skip - chunk.length)
    if (importing) {
      frames += rest.length
      return
    }
    const lines = reader.push(rest)
    if (lines._tag === "Left") return
    for (const line of lines.right) {
      const request = Option.getOrThrow(decodeRequest(line))
      seen.push(request)
      importing = request.do === "importImage"
    }
    for (const wake of waiting) wake()
  })
  return {
    stream,
    requests: seen,
    asked: (count) =>
      Effect.async((resume) => {
        const look = () => {
          const request = seen[count - 1]
          if (request === undefined) return
          waiting.delete(look)
          resume(Effect.succeed(request))
        }
        waiting.add(look)
        look()
      }),
    say: (line) => stream.write(typeof line === "string" ? line : `${JSON.stringify(line)}\n`),
    frames: () => frames
  }
}

const options: SessionClient.Options = {
  where: "root@sim-1",
  conf: "/etc/ceph/ceph.conf",
  client: "libvirt",
  pool: "vms",
  limits: SessionClient.defaultLimits
}

const opening = (answer: (peer: Peer, id: number, client: Duplex) => void) =>
  Effect.gen(function* () {
    const link = MemoryLink.make()
    const peer = makePeer(link.server)
    const fiber = yield* Effect.fork(Effect.either(SessionClient.make(link.client, options)))
    const { id } = yield* peer.asked(1)
    answer(peer, id, link.client)
    return { peer, link, result: yield* Fiber.join(fiber) }
  })

/** An open session. */
const session = Effect.gen(function* () {
  const { link, peer, result } = yield* opening((peer, id) => peer.say({ id, ok: null }))
  if (result._tag === "Left") return yield* Effect.die(result.left)
  return { link, peer, client: result.right }
})

const reasonOf = <A, E>(effect: Effect.Effect<A, E | SessionClient.SessionFailure>) =>
  Effect.match(effect, {
    onSuccess: () => assert.fail("it succeeded"),
    onFailure: (failure) => {
      if (!(failure instanceof SessionClient.SessionFailure)) return assert.fail(String(failure))
      assert.strictEqual(failure.reason._tag, "CephSilent")
      return failure.message
    }
  })

describe("a session that is opened", () => {
  it.scoped("sends the program, and what to connect to", () =>
    Effect.gen(function* () {
      const { peer } = yield* session
      assert.deepStrictEqual(peer.requests, [
        { id: 1, do: "open", args: { conf: "/etc/ceph/ceph.conf", client: "libvirt", pool: "vms" } }
      ])
    })
  )

  for (const [what, refusal, ...expected] of [
    ["without librbd's binding", { errno: "ENOPKG", detail: "No module named 'rbd'", at: "python" }, "python3-rbd"],
    ["without ceph.conf", { errno: "ENOENT", detail: "No such file", at: "conf" }, "there is no /etc/ceph/ceph.conf"],
    ["with a conf nobody may read", { errno: "EACCES", detail: "Permission denied", at: "conf" }, "cannot be read"],
    [
      "without a key",
      { errno: "ENOENT", detail: "it is not in /x", at: "key" },
      "client.libvirt",
      "ceph.client.libvirt.keyring"
    ],
    ["with another's key", { errno: "EACCES", detail: "denied", at: "connect" }, "does not accept the key"],
    ["with silent monitors", { errno: "ETIMEDOUT", detail: "timed out", at: "connect" }, "monitors do not answer"],
    ["without monitors", { errno: "ENOENT", detail: "not found", at: "connect" }, "mon_host"],
    ["without the pool", { errno: "ENOENT", detail: "not found", at: "pool" }, "ceph osd pool create vms"],
    ["without a known reason", { errno: "EPERM", detail: "no", at: "elsewhere" }, "no (EPERM)"]
  ] as const) {
    it.scoped(`${what}, says how to mend it`, () =>
      Effect.gen(function* () {
        const { result } = yield* opening((peer, id) => peer.say({ id, ...refusal }))
        const message = yield* reasonOf(result)
        for (const words of expected) assert.include(message, words)
      })
    )
  }

  it.scoped("shows what it says that is no answer", () =>
    Effect.gen(function* () {
      const { link, result } = yield* opening((peer) => peer.say("Traceback (most recent call last):\n"))
      assert.match(yield* reasonOf(result), /does not speak our protocol: it sent "Traceback/)
      assert.isTrue(link.client.destroyed)
    })
  )

  it.scoped("sends nothing to what does not greet, and waits for it no longer than for an answer", () =>
    Effect.gen(function* () {
      const link = MemoryLink.make()
      const received: Array<Buffer> = []
      link.server.on("error", () => {}).on("data", (chunk: Buffer) => received.push(chunk))
      link.server.write("Welcome!\n")
      const opening = yield* Effect.fork(reasonOf(Effect.scoped(SessionClient.make(link.client, options))))
      yield* TestClock.adjust("19 seconds")
      assert.isFalse(link.client.destroyed)
      yield* TestClock.adjust("2 seconds")
      assert.match(yield* Fiber.join(opening), /has not started within 20s/)
      assert.isTrue(link.client.destroyed)
      assert.deepStrictEqual(received, [])
    })
  )

  for (const [what, error, expected] of [
    [
      "a host without Python",
      new SshCommandFailed({ exitCode: 127, signal: null, stderr: "" }),
      "install it and python3-rbd"
    ],
    [
      "a program that fails",
      new SshCommandFailed({ exitCode: 1, signal: null, stderr: "one\nMemoryError\n" }),
      "status 1: MemoryError"
    ],
    [
      "a program that is killed",
      new SshCommandFailed({ exitCode: null, signal: "KILL", stderr: "" }),
      "ended with KILL"
    ]
  ] as const) {
    it.scoped(`says of ${what} what it was, over SSH and here`, () =>
      Effect.gen(function* () {
        const ssh = new SshError({ host: "root@sim-1", action: "exec python3", reason: error })
        for (const cause of [ssh, new ProgramEnded(error)]) {
          const { result } = yield* opening((_peer, _id, client) => client.destroy(cause))
          assert.include(yield* reasonOf(result), expected)
          assert.strictEqual(result._tag === "Left" ? result.left.cause : undefined, cause)
        }
      })
    )
  }
})

describe("an open session", () => {
  const { create, list, look } = requests

  it.scoped("matches 200 answers to their requests, whatever their order", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      const names = Array.from({ length: 200 }, (_, index) => `image-${index}`)
      const all = yield* Effect.fork(
        Effect.forEach(names, (image) => Effect.either(client.call(requests.children, { image, snapshot: "s" })), {
          concurrency: "unbounded"
        })
      )
      yield* peer.asked(201)
      const asked = peer.requests.slice(1).sort((a, b) => ((a.id * 7919) % 211) - ((b.id * 7919) % 211))
      const lines = asked.map(({ args, id }) => {
        const image: unknown = typeof args === "object" && args !== null && "image" in args ? args.image : ""
        return id % 3 === 0
          ? { id, errno: "ENOENT", detail: image }
          : { id, ok: [{ pool: "vms", image: `child of ${String(image)}` }] }
      })
      // several in one piece, and pieces that end anywhere
      const text = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(""))
      for (let at = 0; at < text.length; at += 333) peer.stream.write(text.subarray(at, at + 333))
      const results = yield* Fiber.join(all)
      for (const [index, result] of results.entries()) {
        if (result._tag === "Right") {
          assert.deepStrictEqual(result.right, [{ pool: "vms", image: `child of ${names[index]}` }])
        } else assert.strictEqual(result.left.message, `${names[index]} (ENOENT)`)
      }
      assert.strictEqual(results.filter(({ _tag }) => _tag === "Left").length, 67)
    })
  )

  it.scoped("sends together what is asked for in the same moment", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      let pieces = 0
      peer.stream.on("data", () => pieces++)
      const all = yield* Effect.fork(
        Effect.all(
          Array.from({ length: 50 }, () => client.call(list, {})),
          { concurrency: "unbounded" }
        )
      )
      yield* peer.asked(51)
      assert.isBelow(pieces, 5)
      for (const { id } of peer.requests.slice(1)) peer.say({ id, ok: [] })
      yield* Fiber.join(all)
    })
  )

  it.scoped("forgets who was interrupted, and drops the late answer", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      const fiber = yield* Effect.fork(client.call(create, { image: "one", size: 1 }))
      const { id } = yield* peer.asked(2)
      yield* Fiber.interrupt(fiber)
      const next = yield* Effect.fork(client.call(list, {}))
      const { id: nextId } = yield* peer.asked(3)
      peer.say({ id, ok: null })
      peer.say({ id: nextId, ok: ["one"] })
      assert.deepStrictEqual(yield* Fiber.join(next), ["one"])
      assert.isFalse(client.isLost())
    })
  )

  it.scoped("ends when a request is not answered in time, and everything that waits with it", () =>
    Effect.gen(function* () {
      const { client, link, peer } = yield* session
      const forgotten = yield* Effect.fork(client.call(create, { image: "one", size: 1 }))
      yield* peer.asked(2)
      yield* Fiber.interrupt(forgotten)
      yield* TestClock.adjust("30 seconds")
      const waiting = yield* Effect.fork(reasonOf(client.call(create, { image: "two", size: 1 })))
      yield* peer.asked(3)
      yield* TestClock.adjust("14 seconds")
      assert.isFalse(client.isLost())
      yield* TestClock.adjust("2 seconds")
      assert.match(yield* Fiber.join(waiting), /has not answered create within 45s/)
      assert.isTrue(link.client.destroyed)
      assert.match(yield* reasonOf(client.call(list, {})), /has not answered create/)
      assert.match(yield* reasonOf(client.lost), /has not answered create/)
    })
  )

  it.scoped("waits longer for what makes progress, and no longer for what only says so", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      const removing = yield* Effect.fork(Effect.either(client.call(requests.remove, { image: "one" })))
      const { id } = yield* peer.asked(2)
      const heard = (progress: number) =>
        Effect.gen(function* () {
          peer.say({ id, progress })
          // an answer to somebody else comes behind it
          const listing = yield* Effect.fork(client.call(list, {}))
          const { id: other } = yield* peer.asked(peer.requests.length + 1)
          peer.say({ id: other, ok: [] })
          yield* Fiber.join(listing)
        })
      for (const progress of [1, 2, 3, 4]) {
        yield* TestClock.adjust("40 seconds")
        yield* heard(progress)
      }
      yield* TestClock.adjust("40 seconds")
      yield* heard(4)
      assert.isFalse(client.isLost())
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual((yield* Fiber.join(removing))._tag, "Left")
    })
  )

  it.scoped("ends with the byte stream", () =>
    Effect.gen(function* () {
      for (const end of [
        (stream: Duplex) => stream.destroy(),
        (stream: Duplex) => stream.end(),
        (stream: Duplex) => stream.end('{"id":2,"o')
      ]) {
        const { client, peer } = yield* session
        const waiting = yield* Effect.fork(reasonOf(client.call(list, {})))
        yield* peer.asked(2)
        end(peer.stream)
        assert.match(yield* Fiber.join(waiting), /has ended|was lost/)
        assert.isTrue(client.isLost())
      }
    })
  )

  for (const [what, line] of [
    ["no JSON", "AQB1c2Vub3RoaW5nb2Z0aGlzQUFBQQ==\n"],
    ["no answer", { id: 2 }],
    ["an answer to nobody", { id: 77, ok: null }],
    ["an answer to what was answered", { id: 1, ok: null }],
    ["something else than was asked for", { id: 2, ok: { key: "AQB1c2Vub3RoaW5nb2Z0aGlzQUFBQQ==" } }]
  ] as const) {
    it.scoped(`ends when it is sent ${what}, which is not shown`, () =>
      Effect.gen(function* () {
        const { client, link, peer } = yield* session
        const waiting = yield* Effect.fork(reasonOf(client.call(look, { image: "one" })))
        yield* peer.asked(2)
        peer.say(line)
        const message = yield* Fiber.join(waiting)
        assert.include(message, "does not speak our protocol")
        assert.notInclude(message, "AQB1")
        assert.isTrue(link.client.destroyed)
      })
    )
  }

  it.scoped("does not wait for the end of a line of 100 MB", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      const waiting = yield* Effect.fork(reasonOf(client.call(list, {})))
      yield* peer.asked(2)
      const piece = Buffer.alloc(mebibyte, "[")
      for (let at = 0; at < 100 && !client.isLost(); at++) {
        peer.stream.write(piece)
        yield* Effect.promise(() => new Promise((resume) => setImmediate(resume)))
      }
      assert.match(yield* Fiber.join(waiting), /a line of more than/)
    })
  )

  it.scoped("takes a long answer", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      const waiting = yield* Effect.fork(client.call(list, {}))
      const { id } = yield* peer.asked(2)
      const names = Array.from({ length: 100_000 }, (_, index) => `a-rather-long-name-of-an-image-${index}`)
      peer.say({ id, ok: names })
      assert.strictEqual((yield* Fiber.join(waiting)).length, names.length)
    })
  )

  it.scoped("is over when the cluster has shut the client out", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      const waiting = yield* Effect.fork(reasonOf(client.call(list, {})))
      const { id } = yield* peer.asked(2)
      peer.say({ id, errno: "ESHUTDOWN", detail: "RBD connection was shut down" })
      assert.match(yield* Fiber.join(waiting), /shut .* out/)
      assert.isTrue(client.isLost())
    })
  )

  for (const who of ["OSDs", "monitors"]) {
    it.scoped(`tells of ${who} that do not answer, and is given up: it may not notice that they are back`, () =>
      Effect.gen(function* () {
        const { client, peer } = yield* session
        const asking = yield* Effect.fork(
          who === "OSDs" ? reasonOf(client.call(list, {})) : reasonOf(client.call(requests.usage, {}))
        )
        peer.say({ id: (yield* peer.asked(2)).id, errno: "ETIMEDOUT", detail: "timed out" })
        assert.match(yield* Fiber.join(asking), new RegExp(`${who} do not answer`))
        assert.isTrue(client.isLost())
      })
    )
  }

  it.scoped("gives a key that nobody sees by accident", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      const waiting = yield* Effect.fork(client.call(requests.cluster, {}))
      const { id } = yield* peer.asked(2)
      const key = "AQB1c2Vub3RoaW5nb2Z0aGlzQUFBQQ=="
      peer.say({ id, ok: { fsid: "f", key, version: "ceph version 16", monitors: [] } })
      const described = yield* Fiber.join(waiting)
      assert.strictEqual(Redacted.value(described.key), key)
      assert.notInclude(inspect(described, { depth: 9 }) + JSON.stringify(described), key)
    })
  )

  it.scoped("fails what waits when its scope ends, and leaves the stream to its owner", () =>
    Effect.gen(function* () {
      const link = MemoryLink.make()
      const peer = makePeer(link.server)
      const waiting = yield* Effect.scoped(
        Effect.gen(function* () {
          const opening = yield* Effect.fork(SessionClient.make(link.client, options))
          // its scope is this one
          peer.say({ id: (yield* peer.asked(1)).id, ok: null })
          const client = yield* Fiber.join(opening)
          const waiting = yield* Effect.forkDaemon(reasonOf(client.call(list, {})))
          yield* peer.asked(2)
          return waiting
        })
      )
      assert.match(yield* Fiber.join(waiting), /was closed/)
      assert.isFalse(link.client.destroyed)
    })
  )
})

describe("an import", () => {
  const args = { image: "one", size: 40 * mebibyte, format: "raw" } as const
  const pieces = Stream.range(0, 9).pipe(
    Stream.map((index) => ({ offset: index * 4 * mebibyte, bytes: Buffer.alloc(4 * mebibyte, index + 1) }))
  )

  it.scoped("reads nothing before the image is there, and ends with the answer", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      let read = 0
      const watched = Stream.tap(pieces, () => Effect.sync(() => read++))
      const importing = yield* Effect.fork(client.importImage(args, watched))
      const { id } = yield* peer.asked(2)
      assert.strictEqual(read, 0)
      peer.say({ id, progress: 0 })
      const whole = 10 * (12 + 4 * mebibyte) + 12
      yield* Effect.promise(() => new Promise((resume) => setImmediate(resume))).pipe(
        Effect.repeat({ until: () => peer.frames() >= whole })
      )
      assert.strictEqual(peer.frames(), whole)
      peer.say({ id, ok: null })
      yield* Fiber.join(importing)
    })
  )

  it.scoped("is refused at once", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      const importing = yield* Effect.fork(Effect.either(client.importImage(args, Stream.dieMessage("it was read"))))
      peer.say({ id: (yield* peer.asked(2)).id, errno: "EEXIST", detail: "there is one" })
      const result = yield* Fiber.join(importing)
      assert.strictEqual(result._tag === "Left" ? result.left.message : "", "there is one (EEXIST)")
    })
  )

  it.scoped("is refused in the middle, while its source has nothing to give", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      const begun = yield* Deferred.make<void>()
      const stuck = Stream.execute(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never))
      const importing = yield* Effect.fork(Effect.either(client.importImage(args, stuck)))
      const { id } = yield* peer.asked(2)
      peer.say({ id, progress: 0 })
      yield* Deferred.await(begun)
      // a source may take its time
      yield* TestClock.adjust("3 minutes")
      assert.isFalse(client.isLost())
      peer.say({ id, errno: "ENOSPC", detail: "it is full" })
      const result = yield* Fiber.join(importing)
      assert.strictEqual(result._tag === "Left" ? result.left.message : "", "it is full (ENOSPC)")
    })
  )

  it.scoped("does not wait for ever for a program that takes nothing more", () =>
    Effect.gen(function* () {
      const { client, link, peer } = yield* session
      const importing = yield* Effect.fork(reasonOf(client.importImage(args, pieces)))
      const { id } = yield* peer.asked(2)
      // the link itself holds back nothing
      const hold = Object.assign(link.client, {
        _write: (chunk: Uint8Array, _encoding: string, done: () => void) => {
          if (chunk.length < mebibyte) done()
        }
      })
      peer.say({ id, progress: 0 })
      yield* Effect.promise(() => new Promise((resume) => setImmediate(resume))).pipe(
        Effect.repeat({ until: () => hold.writableNeedDrain })
      )
      yield* TestClock.adjust("59 seconds")
      assert.isFalse(client.isLost())
      yield* TestClock.adjust("2 seconds")
      assert.match(yield* Fiber.join(importing), /has not answered importImage within 1m/)
    })
  )

  it.scoped("fails as its source does", () =>
    Effect.gen(function* () {
      const { client, peer } = yield* session
      const importing = yield* Effect.fork(Effect.flip(client.importImage(args, Stream.fail("torn" as const))))
      peer.say({ id: (yield* peer.asked(2)).id, progress: 0 })
      assert.strictEqual(yield* Fiber.join(importing), "torn")
    })
  )

  for (const [at, expected] of [
    ["temporary", "no room for the image in /var/tmp on root@sim-1"],
    ["qemu-img", "qemu-img is not on root@sim-1"]
  ] as const) {
    it.scoped(`says what the machine lacks: ${at}`, () =>
      Effect.gen(function* () {
        const { client, peer } = yield* session
        const importing = yield* Effect.fork(reasonOf(client.importImage({ ...args, format: "qcow2" }, pieces)))
        const { id } = yield* peer.asked(2)
        peer.say({ id, progress: 0 })
        peer.say({ id, errno: "ENOSPC", detail: "No space left on device", at })
        assert.include(yield* Fiber.join(importing), expected)
      })
    )
  }
})
