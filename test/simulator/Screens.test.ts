/** Guests' screens byte by byte (RFC 6143), as other viewers than the web interface's may speak to them. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { Duplex, PassThrough } from "node:stream"
import * as Xml from "../../src/libvirt/Xml.ts"
import * as HostState from "../../src/simulator/HostState.ts"
import * as Screens from "../../src/simulator/Screens.ts"
import * as SerialLine from "../../src/simulator/SerialLine.ts"

const definition = Either.getOrThrow(
  Xml.parse("<domain><devices><graphics type='vnc'><listen type='socket'/></graphics></devices></domain>")
)

/** A guest that is up, and a viewer that has greeted it. */
const viewing = Effect.gen(function* () {
  const host = HostState.make({
    machine: {
      hostname: "h1",
      uuid: "00112233-4455-6677-8899-aabbccddeeff",
      address: "10.0.0.2",
      cpus: 8,
      memory: 2 ** 35,
      disk: 2 ** 39,
      libvirtVersion: 9_000_000,
      cpuModel: "EPYC-Rome",
      kvm: true
    },
    networks: [],
    bridges: [],
    seed: 1,
    now: () => 0
  })
  const live: HostState.LiveDomain = {
    id: 7,
    definition,
    serial: [],
    started: 0,
    disks: new Map(),
    nics: new Set(),
    nextNode: 1,
    clocked: true,
    guest: { phase: "up", boots: 0, pressed: null, seen: new Map(), cards: new Map(), removals: new Map() }
  }
  const domain: HostState.SimulatedDomain = {
    name: "vm-1",
    uuid: "00112233-4455-6677-8899-aabbccddee01",
    persistent: null,
    live,
    state: HostState.state.running,
    reason: 1,
    autostart: false
  }
  host.domains.set(domain.uuid, domain)
  const restarted: Array<string> = []
  const listening = Screens.at(host, Screens.socketOf(7, "vm-1"), ({ name }) => restarted.push(name))
  assert(listening !== undefined)
  const [towards, from] = [new PassThrough(), new PassThrough()]
  const served = yield* Effect.fork(listening(Duplex.from({ readable: towards, writable: from })))
  yield* Effect.yieldNow()
  let waiting: Buffer = Buffer.alloc(0)
  let wake = () => {}
  from.on("data", (bytes: Buffer) => {
    waiting = Buffer.concat([waiting, bytes])
    wake()
  })
  from.on("end", () => towards.end())
  /** so many of the bytes that come next */
  const read = (length: number) =>
    Effect.async<Buffer>((resume) => {
      wake = () => {
        if (waiting.length < length) return
        wake = () => {}
        const bytes = waiting.subarray(0, length)
        waiting = waiting.subarray(length)
        resume(Effect.succeed(bytes))
      }
      wake()
    })
  const say = (...bytes: ReadonlyArray<number>) => Effect.sync(() => void towards.write(Uint8Array.from(bytes)))

  assert.strictEqual((yield* read(12)).toString(), "RFB 003.008\n")
  // in pieces, as networks do
  towards.write("RFB 003")
  towards.write(".008\n")
  assert.deepStrictEqual([...(yield* read(2))], [1, 1])
  yield* say(1)
  assert.deepStrictEqual([...(yield* read(4))], [0, 0, 0, 0])
  yield* say(1)
  const init = yield* read(24)
  const [width, height] = [init.readUInt16BE(0), init.readUInt16BE(2)]
  assert.strictEqual((yield* read(init.readUInt32BE(20))).toString(), "QEMU (vm-1)")
  /** `asked` for as much as there is, at once or when something has changed; gives its pixels */
  const picture = (bytes: number) =>
    Effect.gen(function* () {
      const head = yield* read(16)
      assert.deepStrictEqual(
        [...head],
        [0, 0, 0, 1, 0, 0, 0, 0, width >> 8, width & 255, height >> 8, height & 255, 0, 0, 0, 0]
      )
      return yield* read(width * height * bytes)
    })
  const ask = (incremental: 0 | 1) =>
    say(3, incremental, 0, 0, 0, 0, width >> 8, width & 255, height >> 8, height & 255)
  return { ask, domain, live, picture, restarted, say, served }
})

const key = (down: 0 | 1, keysym: number) => [4, down, 0, 0, 0, 0, keysym >> 8, keysym & 255]

describe("a guest's screen", () => {
  it.scopedLive("is told again once there is something else to see, in the pixels that were asked for", () =>
    Effect.gen(function* () {
      const { ask, live, picture, say } = yield* viewing
      yield* ask(0)
      const first = yield* picture(4)
      assert.deepStrictEqual([...first.subarray(0, 4)], [0xd0, 0xd0, 0xd0, 0])
      // 16 bits, big endian: 5 of red, 6 of green, 5 of blue; with encodings that are none of its own
      yield* say(0, 0, 0, 0, 16, 16, 1, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0, 0, 0, 0)
      yield* say(2, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0)
      yield* say(5, 0, 0, 1, 0, 1, 6, 0, 0, 0, 0, 0, 0, 2, 104, 105)
      yield* ask(1)
      SerialLine.print(live, "hello")
      const second = yield* picture(2)
      const paper = (25 << 11) | (51 << 5) | 25
      assert.strictEqual(second.readUInt16BE(0), paper)
      const inked =
        second.length / 2 -
        [...Array(second.length / 2).keys()].filter((at) => second.readUInt16BE(2 * at) === paper).length
      assert.strictEqual(inked, 5 * 3 * 5)
      // whatever it has, it wants all of it
      yield* ask(0)
      assert.deepStrictEqual(yield* picture(2), second)
    })
  )

  it.scopedLive("hears keys while it runs, and starts anew by Ctrl, Alt and Del", () =>
    Effect.gen(function* () {
      const { ask, domain, picture, restarted, say } = yield* viewing
      yield* ask(0)
      const before = yield* picture(4)
      domain.state = HostState.state.paused
      for (const keysym of [0xffe3, 0xffe9, 0xffff, 0x61]) yield* say(...key(1, keysym))
      for (const keysym of [0xffe3, 0xffe9, 0xffff, 0x61]) yield* say(...key(0, keysym))
      // once it has heard all that
      yield* ask(0)
      assert.deepStrictEqual(yield* picture(4), before)
      domain.state = HostState.state.running
      yield* ask(1)
      yield* say(...key(1, 0xffff), ...key(0, 0xffff))
      yield* say(...key(1, 0x61), ...key(0, 0x61))
      assert.notDeepEqual(yield* picture(4), before)
      assert.deepStrictEqual(restarted, [])
      yield* say(...key(1, 0xffe3), ...key(1, 0xffe9), ...key(1, 0xffff))
      yield* say(...key(0, 0xffe3), ...key(0, 0xffe9), ...key(0, 0xffff))
      yield* ask(0)
      yield* picture(4)
      assert.deepStrictEqual(restarted, ["vm-1"])
    })
  )

  it.scopedLive("hangs up on what is no RFB, on a palette, and when its VM stops", () =>
    Effect.gen(function* () {
      for (const words of [
        [99],
        [6, 0, 0, 0, 255, 255, 255, 255],
        [0, 0, 0, 0, 8, 8, 0, 0, ...Array<number>(12).fill(0)]
      ]) {
        const { say, served } = yield* viewing
        yield* say(...words)
        yield* Effect.timeout(served, "20 seconds")
      }
      const { live, served } = yield* viewing
      SerialLine.stopped(live)
      yield* Effect.timeout(served, "20 seconds")
    })
  )
})
