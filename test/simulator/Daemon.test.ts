import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/TestClock"
import { createHash } from "node:crypto"
import * as Packet from "../../src/libvirt/Packet.ts"
import { qcow2Header } from "../../src/simulator/HostFiles.ts"
import * as SimulatedHost from "../../src/simulator/SimulatedHost.ts"
import * as Flat from "../soak/Flat.ts"
import * as RawClient from "./RawClient.ts"

const uuid = "00112233-4455-6677-8899-aabbccddeeff"
const dom = { name: "vm-1", uuid, id: -1 }
const folder = "/var/lib/vmfabric"

const make = (options: Partial<SimulatedHost.Options> = {}) =>
  SimulatedHost.make({ hostname: "h1", authorizedKeys: [], ...options })

const connect = (host: SimulatedHost.SimulatedHost) =>
  Effect.gen(function* () {
    const client = RawClient.make(yield* Effect.orDie(host.libvirtSocket))
    yield* client.open
    return client
  })

const domainXml = (devices = "") =>
  `<domain type='qemu'><name>vm-1</name><uuid>${uuid}</uuid><memory unit='MiB'>512</memory><os><type arch='x86_64' machine='q35'>hvm</type></os><devices>${devices}</devices></domain>`

const define = (client: RawClient.RawClient, xml = domainXml()) =>
  client.call("DOMAIN_DEFINE_XML_FLAGS", { xml, flags: 1 })
const create = (client: RawClient.RawClient) => client.call("DOMAIN_CREATE_WITH_FLAGS", { dom, flags: 0 })
const getState = (client: RawClient.RawClient) => client.call("DOMAIN_GET_STATE", { dom, flags: 0 })

const pool = (client: RawClient.RawClient) =>
  Effect.gen(function* () {
    const { pool } = yield* client.call("STORAGE_POOL_DEFINE_XML", {
      xml: `<pool type='dir'><name>p</name><target><path>${folder}</path></target></pool>`,
      flags: 0
    })
    yield* client.call("STORAGE_POOL_BUILD", { pool, flags: 0 })
    yield* client.call("STORAGE_POOL_CREATE", { pool, flags: 0 })
    return pool
  })

const volume = (client: RawClient.RawClient, xml: string) =>
  Effect.gen(function* () {
    const { pool } = yield* client.call("STORAGE_POOL_LOOKUP_BY_NAME", { name: "p" })
    const { vol } = yield* client.call("STORAGE_VOL_CREATE_XML", { pool, xml, flags: 0 })
    return vol
  })

const raw = (name: string, capacity: number) =>
  `<volume><name>${name}</name><capacity>${capacity}</capacity><allocation>0</allocation><target><format type='raw'/></target></volume>`

const upload = (client: RawClient.RawClient, vol: RawClient.Vol, chunks: ReadonlyArray<Uint8Array>) =>
  Effect.gen(function* () {
    yield* client.call("STORAGE_VOL_UPLOAD", { vol, offset: 0n, length: 0n, flags: 0 })
    const serial = client.serial()
    const header = { program: Packet.programs.remote, procedure: 208, type: Packet.types.stream, serial }
    for (const chunk of chunks) client.send({ ...header, status: Packet.statuses.continue }, chunk)
    client.send({ ...header, status: Packet.statuses.ok })
    return yield* client.await((packet) => packet.serial === serial && packet.type === Packet.types.stream)
  })

/** real time, also under the test's clock: lets everything that is on its way arrive */
const settle = Effect.promise(
  () => new Promise<void>((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))))
)

const eventually = <A, E>(effect: Effect.Effect<A, E>, holds: (value: A) => boolean) =>
  Effect.zipLeft(effect, settle).pipe(Effect.repeat({ until: (value: A) => holds(value), times: 500 }))

const pings = (client: RawClient.RawClient) =>
  client.pushed.filter(
    ({ procedure, program }) => program === Packet.programs.keepalive && procedure === Packet.keepalive.ping
  ).length
const pongs = (client: RawClient.RawClient) =>
  client.pushed.filter(
    ({ procedure, program }) => program === Packet.programs.keepalive && procedure === Packet.keepalive.pong
  ).length

const ping = (client: RawClient.RawClient) => client.stream.write(Packet.encodeKeepalive(Packet.keepalive.ping))

describe("how domains are", () => {
  it.scopedLive("is told in one call, of all or of those asked for, and kept truthfully", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      yield* define(client)
      const other = { name: "vm-2", uuid: "00112233-4455-6677-8899-aabbccddee00", id: -1 }
      yield* define(client, domainXml().replace("vm-1", other.name).replace(uuid, other.uuid))
      const stats = (given: { readonly doms?: ReadonlyArray<typeof dom>; readonly flags?: number } = {}) =>
        client
          .call("CONNECT_GET_ALL_DOMAIN_STATS", { doms: given.doms ?? [], stats: 1, flags: given.flags ?? 0x20000000 })
          .pipe(
            Effect.map(({ retStats }) =>
              retStats.map(({ dom, params }) => [dom.name, ...params.map(({ value }) => value.value)])
            )
          )
      assert.deepStrictEqual(yield* stats(), [
        ["vm-1", 5, 0],
        ["vm-2", 5, 0]
      ])
      yield* create(client)
      assert.deepStrictEqual(yield* stats({ flags: 1 }), [["vm-1", 1, 1]])
      assert.deepStrictEqual(
        yield* stats({ doms: [other, { ...other, uuid: "00112233-4455-6677-8899-000000000000" }] }),
        [["vm-2", 5, 0]]
      )
      assert.isTrue(yield* host.faults.ioError("vm-1"))
      assert.deepStrictEqual(yield* stats({ flags: 1 }), [["vm-1", 3, 5]])
      yield* client.call("DOMAIN_RESUME", { dom })
      assert.deepStrictEqual(yield* stats({ flags: 1 }), [["vm-1", 1, 5]])
      assert.isTrue(yield* host.faults.guestShutsDown("vm-1"))
      assert.isFalse(yield* host.faults.guestShutsDown("vm-1"))
      assert.isFalse(yield* host.faults.ioError("vm-2"))
      assert.deepStrictEqual((yield* stats())[0], ["vm-1", 5, 1])
      assert.strictEqual((yield* Effect.flip(stats({ flags: 0x100 }))).code, 8)
      // a daemon that is started anew has forgotten it, but for what happened while it was away
      yield* create(client)
      yield* host.faults.stopLibvirtd
      yield* host.faults.crashGuest("vm-1")
      yield* host.faults.startLibvirtd
      const states = Effect.map(connect(host), (client) => getState(client)).pipe(Effect.flatten)
      assert.deepStrictEqual(yield* states, { state: 5, reason: 3 })
      yield* host.faults.stopLibvirtd
      yield* host.faults.startLibvirtd
      assert.deepStrictEqual(yield* states, { state: 5, reason: 0 })
    })
  )

  it.scopedLive("a definition that was read and is given back is what it was", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* make())
      yield* define(client)
      const read = Effect.map(client.call("DOMAIN_GET_XML_DESC", { dom, flags: 2 }), ({ xml }) => xml)
      const before = (yield* read).replace("<vcpu placement='static'>1<", "<vcpu placement='static' current='1'>2<")
      yield* define(client, before)
      assert.strictEqual(yield* read, before)
    })
  )
})

describe("the simulated daemon's sessions", () => {
  it.scoped(
    "answers PING at any time, and asks by itself once feature 10 was asked for, until it gives up at 30 s",
    () =>
      Effect.gen(function* () {
        const host = yield* make()
        const client = RawClient.make(yield* Effect.orDie(host.libvirtSocket))
        ping(client)
        yield* client.await(({ program }) => program === Packet.programs.keepalive)
        yield* client.open
        yield* TestClock.adjust("1 minute")
        yield* settle
        assert.strictEqual(pings(client), 0)

        yield* client.call("CONNECT_SUPPORTS_FEATURE", { feature: 10 })
        for (const count of [1, 2, 3, 4, 5]) {
          yield* eventually(TestClock.adjust("1 seconds"), () => pings(client) === count)
        }
        yield* eventually(TestClock.adjust("1 seconds"), () => client.stream.readableEnded || client.stream.destroyed)
        assert.strictEqual(pings(client), 5)
      })
  )

  it.scopedLive("reads on with four calls in hand and stops at five", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      yield* define(client)
      yield* host.faults.hang("DOMAIN_GET_XML_DESC", true)
      const ask = Effect.fork(client.call("DOMAIN_GET_XML_DESC", { dom, flags: 0 }))
      const first = yield* Effect.replicateEffect(ask, 4)
      yield* settle
      ping(client)
      yield* client.await(({ program }) => program === Packet.programs.keepalive)
      const fifth = yield* ask
      yield* settle
      ping(client)
      const sixth = yield* Effect.fork(getState(client))
      yield* settle
      assert.strictEqual(pongs(client), 1)
      yield* host.faults.hang("DOMAIN_GET_XML_DESC", false)
      yield* Fiber.joinAll([...first, fifth])
      yield* Fiber.join(sixth)
      assert.strictEqual(pongs(client), 2)
    })
  )

  it.scopedLive("ends a connection whose frames cannot be", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      client.stream.write(Buffer.from("00000005000000000000", "hex"))
      yield* client.closed
    })
  )

  it.scopedLive("refuses programs and versions it does not know", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      const answer = new Promise<Packet.Packet>((resolve) => client.onReply(77, resolve))
      client.send({ program: 0x20008086, version: 2, procedure: 66, type: Packet.types.call, serial: 77, status: 0 })
      const packet = yield* Effect.promise(() => answer)
      assert.strictEqual(packet.status, Packet.statuses.error)
      assert.include(Buffer.from(packet.payload).toString("latin1"), "Cannot find program 536903814 version 2")
    })
  )
})

describe("the simulated daemon's storage", () => {
  it.scopedLive("hashes what is uploaded and looks at it afterwards", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      const p = yield* pool(client)
      yield* client.call("CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY", { eventID: 1, pool: null })
      const image = Buffer.concat([
        Buffer.from(qcow2Header({ virtualSize: 10 * 1024 ** 3, compat: "1.1" })),
        Buffer.alloc(300_000, 9)
      ])
      const vol = yield* volume(client, raw("image", image.length))
      const end = yield* upload(client, vol, [image.subarray(0, 100_000), image.subarray(100_000)])
      assert.strictEqual(end.status, Packet.statuses.ok)
      yield* client.await(({ procedure }) => procedure === 373)
      const file = host.state.files.files.get(`${folder}/image`)
      assert.strictEqual(file?.size, image.length)
      assert.strictEqual(file?.sha256(), createHash("sha256").update(image).digest("hex"))
      const { xml } = yield* client.call("STORAGE_VOL_GET_XML_DESC", { vol, flags: 0 })
      assert.include(xml, "<format type='qcow2'/>")
      assert.include(xml, `<capacity unit='bytes'>${10 * 1024 ** 3}</capacity>`)

      // written again from its start, as after a sending that broke off
      yield* upload(client, vol, [Buffer.alloc(10, 1)])
      assert.notStrictEqual(file?.sha256(), createHash("sha256").update(image).digest("hex"))
      yield* upload(client, vol, [image])
      assert.strictEqual(file?.sha256(), createHash("sha256").update(image).digest("hex"))
      yield* client.call("STORAGE_POOL_REFRESH", { pool: p, flags: 0 })
    })
  )

  it.scopedLive("gives back what it keeps of a volume", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      yield* pool(client)
      const vol = yield* volume(client, raw("small", 5000))
      yield* upload(client, vol, [Buffer.from("hello")])
      yield* client.call("STORAGE_VOL_DOWNLOAD", { vol, offset: 0n, length: 8n, flags: 0 })
      const serial = client.serial()
      const data = yield* client.await((packet) => packet.serial === serial)
      assert.strictEqual(Buffer.from(data.payload).toString(), "hello\0\0\0")
      const end = yield* client.await((packet) => packet.serial === serial && packet.payload.length === 0)
      assert.strictEqual(end.status, Packet.statuses.continue)
      client.send({ program: Packet.programs.remote, procedure: 209, type: Packet.types.stream, serial, status: 0 })
      yield* client.await((packet) => packet.serial === serial && packet.status === Packet.statuses.ok)
    })
  )

  it.scopedLive("is full when it is full", () =>
    Effect.gen(function* () {
      const host = yield* make({ disk: 1024 ** 3 })
      const client = yield* connect(host)
      yield* pool(client)
      const vol = yield* volume(client, raw("image", 4096))
      yield* host.faults.fillDisk(1024 ** 3 - 1_000_000)
      const end = yield* upload(client, vol, [Buffer.alloc(900_000), Buffer.alloc(900_000)])
      assert.strictEqual(end.status, Packet.statuses.error)
      assert.include(Buffer.from(end.payload).toString("latin1"), "No space left on device")
      const refused = yield* Effect.flip(
        volume(client, "<volume><name>big</name><capacity unit='MiB'>500</capacity></volume>")
      )
      assert.deepInclude(refused, { code: 38, int1: 28 })
      yield* host.faults.fillDisk(0)
      yield* volume(client, "<volume><name>big</name><capacity unit='MiB'>500</capacity></volume>")
    })
  )
})

describe("guests", () => {
  const disk = `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${folder}/root'/><target dev='vda' bus='virtio'/></disk>`
  const root =
    "<volume><name>root</name><capacity unit='GiB'>7</capacity><target><format type='qcow2'/></target></volume>"

  it.scoped("say on their serial port when they are up and how big their disk is", () =>
    Effect.gen(function* () {
      const host = yield* make({ bootTime: "3 seconds", shutdownTime: "2 seconds" })
      const client = yield* connect(host)
      yield* pool(client)
      yield* volume(client, root)
      yield* define(client, domainXml(disk))
      yield* create(client)
      assert.deepStrictEqual(host.guests()[0]?.serial, [])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(host.guests()[0]?.serial, [`GUEST READY vda=${7 * 1024 ** 3}`])
      yield* client.call("DOMAIN_SHUTDOWN_FLAGS", { dom, flags: 0 })
      assert.deepStrictEqual(yield* getState(client), { state: 1, reason: 1 })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* getState(client), { state: 5, reason: 1 })
      assert.deepStrictEqual(host.guests(), [])
    })
  )

  it.scopedLive("outlive the daemon, not the machine's power", () =>
    Effect.gen(function* () {
      const host = yield* make({ bootTime: 0 })
      const client = yield* connect(host)
      yield* pool(client)
      yield* volume(client, root)
      yield* define(client, domainXml(disk))
      yield* create(client)

      yield* host.faults.stopLibvirtd
      yield* client.closed
      assert.strictEqual((yield* Effect.flip(host.libvirtSocket)).code, "ECONNREFUSED")
      assert.strictEqual(host.guests().length, 1)
      yield* host.faults.startLibvirtd
      const second = yield* connect(host)
      assert.deepStrictEqual(yield* getState(second), { state: 1, reason: 1 })

      yield* host.faults.losePower
      assert.deepStrictEqual(host.guests(), [])
      yield* host.faults.bootAgain
      const third = yield* connect(host)
      assert.deepStrictEqual(yield* getState(third), { state: 5, reason: 0 })
      const { pools } = yield* third.call("CONNECT_LIST_ALL_STORAGE_POOLS", { need_results: 1, flags: 2 })
      assert.deepStrictEqual(pools, [])
      yield* third.call("DOMAIN_SET_AUTOSTART", { dom, autostart: 1 })
      yield* host.faults.losePower
      yield* host.faults.bootAgain
      assert.strictEqual(host.guests().length, 1)
    })
  )

  it.scopedLive("crash with the event and the state of a QEMU that died", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      yield* define(client)
      yield* create(client)
      yield* client.call("CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY", { eventID: 0, dom })
      assert.isFalse(yield* host.faults.crashGuest("vm-2"))
      assert.isTrue(yield* host.faults.crashGuest("vm-1"))
      const event = yield* client.await(({ procedure }) => procedure === 318)
      assert.strictEqual(Buffer.from(event.payload).subarray(-8).toString("hex"), "0000000500000005")
      assert.deepStrictEqual(yield* getState(client), { state: 5, reason: 3 })
    })
  )
})

describe("faults", () => {
  it.scopedLive("fail the nth call, with and without its effect", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      yield* define(client)
      yield* host.faults.fail("DOMAIN_GET_STATE", { code: 1, message: "monitor is broken", nth: 2 })
      yield* getState(client)
      assert.deepInclude(yield* Effect.flip(getState(client)), { code: 1, domain: 10, message: "monitor is broken" })
      yield* getState(client)
      assert.strictEqual(yield* host.faults.calls("DOMAIN_GET_STATE"), 3)

      yield* host.faults.fail("DOMAIN_CREATE_WITH_FLAGS", { code: 38, message: "no", int1: 28, nth: 1 })
      assert.deepInclude(yield* Effect.flip(create(client)), { code: 38, int1: 28 })
      assert.deepStrictEqual(host.guests(), [])
      yield* host.faults.fail("DOMAIN_CREATE_WITH_FLAGS", { code: 68, message: "late", nth: 1, effect: true })
      assert.deepInclude(yield* Effect.flip(create(client)), { code: 68 })
      assert.strictEqual(host.guests().length, 1)
      yield* host.faults.clear
      yield* getState(client)
    })
  )

  it.scopedLive("hang before or after the effect, and go on", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      yield* define(client)
      yield* host.faults.hang("DOMAIN_CREATE_WITH_FLAGS", true, "after")
      const starting = yield* Effect.fork(create(client))
      yield* eventually(
        Effect.sync(() => host.guests().length),
        (count) => count === 1
      )
      assert.isNull(starting.unsafePoll())
      yield* host.faults.hang("DOMAIN_CREATE_WITH_FLAGS", false)
      yield* Fiber.join(starting)

      yield* host.faults.hang("all", true)
      const asking = yield* Effect.fork(client.call("DOMAIN_DESTROY_FLAGS", { dom, flags: 0 }))
      yield* eventually(host.faults.calls("DOMAIN_DESTROY_FLAGS"), (count) => count === 1)
      assert.strictEqual(host.guests().length, 1)
      yield* host.faults.hang("all", false)
      yield* Fiber.join(asking)
      assert.strictEqual(host.guests().length, 0)
    })
  )

  it.scoped("slow calls down on the test's clock", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      yield* define(client)
      yield* host.faults.slow("DOMAIN_GET_STATE", "10 seconds")
      const asking = yield* Effect.fork(getState(client))
      yield* eventually(host.faults.calls("DOMAIN_GET_STATE"), (count) => count === 1)
      yield* TestClock.adjust("9 seconds")
      yield* settle
      assert.isNull(asking.unsafePoll())
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* Fiber.join(asking), { state: 5, reason: 0 })
    })
  )

  it.scoped("a job on a domain waits 30 s for the one before it; a query and a destroy do not wait", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      yield* define(client)
      yield* host.faults.hang("DOMAIN_CREATE_WITH_FLAGS", true, "after")
      const starting = yield* Effect.fork(create(client))
      yield* eventually(
        Effect.sync(() => host.guests().length),
        (count) => count === 1
      )
      const suspending = yield* Effect.fork(Effect.flip(client.call("DOMAIN_SUSPEND", { dom })))
      yield* eventually(TestClock.adjust("1 seconds"), () => suspending.unsafePoll() !== null)
      assert.deepInclude(yield* Fiber.join(suspending), { code: 68, domain: 10 })
      assert.deepStrictEqual(yield* getState(client), { state: 1, reason: 1 })
      yield* client.call("DOMAIN_DESTROY_FLAGS", { dom, flags: 0 })
      yield* host.faults.clear
      yield* Fiber.join(starting)
    })
  )

  it.scopedLive("break the connection at a call's beginning: it takes effect all the same", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      yield* define(client)
      const reached = yield* Deferred.make<void>()
      yield* host.faults.onCall(
        "DOMAIN_CREATE_WITH_FLAGS",
        "before",
        Effect.zipRight(
          Effect.sync(() => client.stream.destroy()),
          Deferred.succeed(reached, undefined)
        ),
        { nth: 1 }
      )
      yield* Effect.fork(create(client))
      yield* Deferred.await(reached)
      yield* eventually(
        Effect.sync(() => host.guests().length),
        (count) => count === 1
      )
    })
  )

  it.scopedLive("stop the world in the middle of an upload", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      yield* pool(client)
      const vol = yield* volume(client, raw("image", 4096))
      const reached = yield* Deferred.make<number>()
      yield* host.faults.onUploaded(
        250_000,
        Effect.flatMap(
          Effect.sync(() => host.state.files.files.get(`${folder}/image`)?.size ?? 0),
          (size) => Deferred.succeed(reached, size)
        )
      )
      yield* upload(client, vol, [
        Buffer.alloc(100_000),
        Buffer.alloc(100_000),
        Buffer.alloc(100_000),
        Buffer.alloc(100_000)
      ])
      assert.strictEqual(yield* Deferred.await(reached), 300_000)
    })
  )

  it.scopedLive("lie about a domain, and send a reply that cannot be read", () =>
    Effect.gen(function* () {
      const host = yield* make()
      const client = yield* connect(host)
      yield* define(client)
      yield* host.faults.lieAbout("DOMAIN_GET_STATE", (truth, { dom: about }) =>
        about.uuid === uuid ? { state: 1, reason: 1 } : truth
      )
      assert.deepStrictEqual(yield* getState(client), { state: 1, reason: 1 })
      assert.deepStrictEqual(host.guests(), [])
      yield* host.faults.clear
      yield* host.faults.corruptNextReply
      const payload = yield* client.raw(23, Buffer.from("00000004766d2d31", "hex"))
      assert.isTrue(payload.every((byte) => byte === 0xff))
      assert.deepStrictEqual(yield* getState(client), { state: 5, reason: 0 })
    })
  )
})

class Whoever extends Context.Tag("test/Whoever")<Whoever, string>() {}

it.scopedLive("a daemon works for itself, and not for whoever started it", () =>
  Effect.gen(function* () {
    const host = yield* make()
    yield* host.faults.stopLibvirtd
    yield* Effect.provideService(host.faults.startLibvirtd, Whoever, "somebody who is gone by now")
    const client = yield* connect(host)
    const found = yield* Deferred.make<string | null>()
    const look = Effect.contextWith((context: Context.Context<never>) =>
      Option.getOrNull(Context.getOption(context, Whoever))
    )
    const tell = Effect.flatMap(look, (whoever) => Deferred.succeed(found, whoever))
    yield* host.faults.onCall("DOMAIN_DEFINE_XML_FLAGS", "before", tell)
    yield* define(client)
    assert.isNull(yield* Deferred.await(found))
  })
)

/** What runs there, by a reference that does not keep it. */
const weakly = ({ state }: SimulatedHost.SimulatedHost) =>
  new WeakRef(state.domains.get(uuid)?.live?.definition ?? assert.fail("it runs"))

it.scopedLive("a host keeps nothing of what ran", () =>
  Effect.gen(function* () {
    const host = yield* make()
    const client = yield* connect(host)
    yield* define(client)
    yield* create(client)
    const ran = weakly(host)
    yield* client.call("DOMAIN_DESTROY", { dom })
    // it is in the middle of its start
    const look = Effect.sync(() => {
      Flat.measure()
      return ran.deref() === undefined
    })
    const patience = Schedule.spaced("50 millis").pipe(Schedule.upTo("5 seconds"))
    assert.isTrue(yield* Effect.repeat(look, { until: (gone) => gone, schedule: patience }).pipe(Effect.zipRight(look)))
  })
)

it.scopedLive("the same seed gives the same host", () =>
  Effect.gen(function* () {
    const [a, b, c] = yield* Effect.all([make({ seed: 5 }), make({ seed: 5 }), make({ seed: 6 })])
    assert.strictEqual(a.uuid, b.uuid)
    assert.notStrictEqual(a.uuid, c.uuid)
    assert.deepStrictEqual([...a.state.networks.keys()], [...b.state.networks.keys()])
  })
)
