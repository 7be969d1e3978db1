/**
 * libvirt's RPC against real daemons, through SSH.
 */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, layer } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { createHash, randomBytes } from "node:crypto"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import { Libvirt, type LibvirtError } from "../../src/services/Libvirt.ts"
import * as Lab from "./Lab.ts"

const address = Lab.address(0)
const [{ name: host }] = Lab.status.hosts

const ssh = SshLive.layer(Lab.sshOptions).pipe(Layer.provide(SshDialerTcp.layer), Layer.provide(NodeContext.layer))
const qemu = LibvirtLive.layer.pipe(Layer.provide(ssh))
const mock = LibvirtLive.layerWith({ uri: "test:///default" }).pipe(Layer.provide(ssh))

const folder = "/var/tmp/vmfabric-rpc"

const version = Effect.flatMap(Libvirt, (libvirt) => libvirt.call(address, "CONNECT_GET_LIB_VERSION", undefined))

/** A pool of its own with one volume of `capacity` bytes. */
const scratch = (capacity: number) =>
  Effect.gen(function* () {
    const libvirt = yield* Libvirt
    const { pool } = yield* Effect.acquireRelease(
      libvirt.call(address, "STORAGE_POOL_CREATE_XML", {
        xml: `<pool type='dir'><name>rpc-scratch</name><target><path>${folder}</path></target></pool>`,
        flags: 1
      }),
      ({ pool }) =>
        libvirt
          .call(address, "STORAGE_POOL_DESTROY", { pool })
          .pipe(Effect.zipRight(Lab.onHost(host, "rm", "-rf", folder)), Effect.orDie)
    )
    const { vol } = yield* libvirt.call(address, "STORAGE_VOL_CREATE_XML", {
      pool,
      xml: `<volume><name>scratch.raw</name><capacity unit='bytes'>${capacity}</capacity><target><format type='raw'/></target></volume>`,
      flags: 0
    })
    return vol
  })

describe("libvirt on a real host", () => {
  layer(qemu, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("lists, and tells what it is", () =>
      Effect.gen(function* () {
        const libvirt = yield* Libvirt
        const { domains, ret } = yield* libvirt.call(address, "CONNECT_LIST_ALL_DOMAINS", { need_results: 1, flags: 0 })
        assert.lengthOf(domains, ret)
        const { hostname } = yield* libvirt.call(address, "CONNECT_GET_HOSTNAME", undefined)
        assert.strictEqual(hostname, host)
        const { capabilities } = yield* libvirt.call(address, "CONNECT_GET_CAPABILITIES", undefined)
        assert.match(capabilities, /^<capabilities>[^]*<\/capabilities>\s*$/)
        const node = yield* libvirt.call(address, "NODE_GET_INFO", undefined)
        assert.isAbove(node.cpus, 0)
        assert.isAbove(Number(node.memory), 0)
        const missing = yield* Effect.flip(libvirt.call(address, "DOMAIN_LOOKUP_BY_NAME", { name: "nobody" }))
        assert.isTrue(missing.refusedWith(42))
      })
    )

    it.effect("200 calls at once, slow and urgent ones mixed", () =>
      Effect.gen(function* () {
        const libvirt = yield* Libvirt
        const calls = Array.from({ length: 200 }, (_, n) =>
          n % 4 === 0
            ? Effect.map(libvirt.call(address, "CONNECT_GET_CAPABILITIES", undefined), () => n)
            : Effect.map(version, () => n)
        )
        const done = yield* Effect.all(calls, { concurrency: "unbounded" })
        assert.lengthOf(new Set(done), 200)
      })
    )

    it.scoped("a volume's bytes come back as they were sent, while calls go on", () =>
      Effect.gen(function* () {
        const libvirt = yield* Libvirt
        const chunks = Array.from({ length: 40 }, (_, n) => randomBytes(n % 2 === 0 ? 1_000_003 : 65_536))
        const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
        const vol = yield* scratch(size)
        const whole = { vol, offset: 0n, length: BigInt(size), flags: 0 }
        const upload = yield* Effect.fork(
          libvirt.upload(address, "STORAGE_VOL_UPLOAD", whole, Stream.fromIterable(chunks))
        )
        yield* Effect.repeatN(version, 20)
        yield* Fiber.join(upload)
        const hash = createHash("sha256")
        const { incoming } = yield* libvirt.open(address, "STORAGE_VOL_DOWNLOAD", whole)
        const bytes = yield* Stream.runFold(incoming, 0, (sum, chunk) => {
          hash.update(chunk)
          return sum + chunk.length
        })
        assert.strictEqual(bytes, size)
        const sent = chunks.reduce((all, chunk) => all.update(chunk), createHash("sha256"))
        assert.strictEqual(hash.digest("hex"), sent.digest("hex"))
      })
    )

    it.scoped("an upload beyond the volume's end is refused in the daemon's words, and leaves the session whole", () =>
      Effect.gen(function* () {
        const libvirt = yield* Libvirt
        const vol = yield* scratch(65_536)
        const error = yield* Effect.flip(
          libvirt.upload(
            address,
            "STORAGE_VOL_UPLOAD",
            { vol, offset: 0n, length: 1000n, flags: 0 },
            Stream.forever(Stream.make(new Uint8Array(10_000)))
          )
        )
        assert.strictEqual(error.reason._tag, "LibvirtRefused")
        yield* version
      })
    )

    it.effect("libvirtd stops and starts: calls and listeners fail in a typed way, then all works again", () =>
      Effect.gen(function* () {
        const libvirt = yield* Libvirt
        yield* version
        const listener = yield* Effect.fork(Effect.flip(Stream.runDrain(libvirt.events(address))))
        const ended = yield* Queue.unbounded<LibvirtError>()
        const caller = yield* version.pipe(
          Effect.forever,
          Effect.catchAll((error) => Queue.offer(ended, error)),
          Effect.fork
        )
        yield* Lab.lab("stop-libvirtd", host)
        assert.strictEqual((yield* Fiber.join(listener)).reason._tag, "LibvirtDisconnected")
        assert.strictEqual((yield* Queue.take(ended)).reason._tag, "LibvirtDisconnected")
        yield* Fiber.join(caller)
        yield* Effect.gen(function* () {
          const error = yield* Effect.flip(version)
          assert.strictEqual(error.reason._tag, "LibvirtDisconnected")
        }).pipe(Effect.ensuring(Effect.orDie(Lab.lab("start-libvirtd", host))))
        yield* Lab.eventually("libvirt again", Effect.either(version), ({ _tag }) => _tag === "Right", "20 seconds")
        yield* libvirt.ping(address)
      })
    )
  })

  layer(mock, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
    it.effect("domain events come as things happen", () =>
      Effect.gen(function* () {
        const libvirt = yield* Libvirt
        const { dom } = yield* libvirt.call(address, "DOMAIN_LOOKUP_BY_NAME", { name: "test" })
        const events = yield* Queue.unbounded<number>()
        const listener = yield* libvirt.events(address).pipe(
          Stream.filter((event) => event._tag === "Lifecycle"),
          Stream.tap((event) => Queue.offer(events, event.event)),
          Stream.take(4),
          Stream.runCollect,
          Effect.fork
        )
        // whoever listens has to be registered first: until then, what happens is told to nobody
        yield* Lab.eventually(
          "a first event",
          Effect.zipRight(
            Effect.zipRight(
              libvirt.call(address, "DOMAIN_SUSPEND", { dom }),
              libvirt.call(address, "DOMAIN_RESUME", { dom })
            ),
            Queue.size(events)
          ),
          (count) => count > 0
        )
        yield* libvirt.call(address, "DOMAIN_SUSPEND", { dom })
        yield* libvirt.call(address, "DOMAIN_RESUME", { dom })
        const seen = Chunk.toReadonlyArray(yield* Fiber.join(listener))
        // 3 suspended, 4 resumed; the first that was told may be either
        const kinds = seen.map((event) => (event._tag === "Lifecycle" ? event.event : -1))
        assert.includeDeepMembers(
          [
            [3, 4, 3, 4],
            [4, 3, 4, 3]
          ],
          [kinds]
        )
        for (const event of seen) assert.strictEqual(event.uuid, dom.uuid)
      })
    )
  })
})
