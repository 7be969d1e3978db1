import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { inflateSync } from "node:zlib"
import * as ConsolesLive from "../../layers/ConsolesLive.ts"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as HypervisorTest from "../../layers/HypervisorTest.ts"
import * as InspectorLive from "../../layers/InspectorLive.ts"
import { InspectorTestState } from "../../layers/InspectorTest.ts"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import type { HostAddress } from "../../src/domain/Host.ts"
import { DomainUuid } from "../../src/domain/Ids.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as Picture from "../../src/libvirt/Picture.ts"
import * as SerialLog from "../../src/libvirt/SerialLog.ts"
import * as SerialLogs from "../../src/simulator/SerialLogs.ts"
import type { DomainRef } from "../../src/services/Hypervisor.ts"
import { Inspector } from "../../src/services/Inspector.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import { Ssh } from "../../src/services/Ssh.ts"
import { Guests, inspectorContract } from "../contracts/InspectorContract.ts"
import * as LiveWorld from "../hypervisor/LiveWorld.ts"
import * as Simulated from "../hypervisor/Simulated.ts"
import * as TestWorld from "../hypervisor/TestWorld.ts"
import { given, imageNamed } from "../storage/Given.ts"
import * as ScriptedImages from "../storage/ScriptedImages.ts"

const inMemory = Layer.effect(
  Guests,
  Effect.map(InspectorTestState, ({ forget, print, rotate, use }) => ({
    write: (domain, mebibytes) =>
      use(domain, {
        disks: [
          {
            target: "vda",
            readBytes: 0,
            readRequests: 0,
            writtenBytes: mebibytes * 1024 ** 2,
            writtenRequests: mebibytes
          }
        ]
      }),
    print: (domain, line) => print(domain, `${line}\r\n`),
    rotate,
    forget
  }))
)

inspectorContract("in memory", Layer.merge(TestWorld.world, inMemory).pipe(Layer.provideMerge(HypervisorTest.layer)))

const logFiles = ({ domainName }: DomainRef) =>
  ["", ".0", ".1", ".2"].map((end) => DomainXml.serialLog(domainName) + end)

const simulatedGuests = Layer.effect(
  Guests,
  Effect.map(Simulated.Simulated, ({ host }) => ({
    write: ({ domainName }, mebibytes) =>
      Effect.filterOrDieMessage(
        host.work(domainName, { write: { target: "vda", bytes: mebibytes * 1024 ** 2 } }),
        (runs) => runs,
        "it does not run"
      ),
    print: ({ domainName }, line) =>
      Effect.filterOrDieMessage(host.print(domainName, line), (runs) => runs, "it does not run"),
    rotate: (domain) =>
      Effect.sync(() => {
        const { files } = host.state.files
        const paths = logFiles(domain)
        SerialLogs.settle(host.state, DomainXml.serialLog(domain.domainName))
        for (let at = paths.length - 1; at > 0; at--) {
          const before = files.get(paths[at - 1] ?? "")
          if (before !== undefined) files.set(paths[at] ?? "", before)
        }
        files.delete(DomainXml.serialLog(domain.domainName))
      }),
    forget: (domain, what) =>
      Effect.sync(() => {
        SerialLogs.settle(host.state, DomainXml.serialLog(domain.domainName))
        for (const path of logFiles(domain).slice(what === "all" ? 0 : 1)) host.state.files.files.delete(path)
      })
  }))
)

const simulated = (libvirt: Layer.Layer<Libvirt | Ssh | Simulated.Simulated>) =>
  Layer.unwrapEffect(
    Effect.map(Simulated.Simulated, ({ host }) =>
      LiveWorld.layer({
        host: Simulated.here,
        unreachable: Simulated.unreachable,
        network: "default",
        bridge: "br0",
        trunk: "br{vlan}",
        image: imageNamed("small"),
        kill: ({ domainName }) => host.faults.crashGuest(domainName)
      })
    )
  ).pipe(
    Layer.merge(simulatedGuests),
    Layer.provideMerge(Layer.mergeAll(HypervisorLive.layer, InspectorLive.layer, ConsolesLive.layer)),
    Layer.provideMerge(StorageLive.layerDir),
    Layer.provideMerge(ScriptedImages.layer(given)),
    Layer.provideMerge(libvirt)
  )

inspectorContract("libvirt on a simulated host", simulated(Simulated.libvirt))

const withoutSsh = LibvirtLive.layer.pipe(
  Layer.provideMerge(
    Layer.unwrapEffect(Effect.map(Simulated.Simulated, ({ fleet }) => SimulatedFleet.layerMemory(fleet)))
  ),
  Layer.provideMerge(Simulated.fleet)
)

inspectorContract("libvirt on a simulated host, without SSH", simulated(withoutSsh))

const vm = { uuid: DomainUuid.make("6f1d8c1e-2b41-4c0e-9d5c-0b6b8e0f5a11"), domainName: "vm-7" }
const log = DomainXml.serialLog(vm.domainName)
const address: HostAddress = Simulated.here.config.address

const overBoth = <A, E>(title: string, body: Effect.Effect<A, E, Simulated.Simulated | Libvirt | Ssh>) => {
  it.live(title, () => Effect.provide(body, Simulated.libvirt))
  it.live(`${title}, without SSH`, () => Effect.provide(body, withoutSsh))
}

describe("a file on a host", () => {
  overBoth(
    "is read in parts, from its beginning and from its end",
    Effect.gen(function* () {
      const ssh = yield* Ssh
      const { host } = yield* Simulated.Simulated
      yield* host.putFile("/tmp/a file", Buffer.from("0123456789"))
      const read = Option.getOrThrow(
        yield* ssh.readFile(address, "/tmp/a file", [
          { from: 0, length: 3 },
          { from: -4, length: 2 },
          { from: -40, length: 100 },
          { from: 9, length: 5 },
          { from: 10, length: 5 },
          { from: 99, length: 5 }
        ])
      )
      assert.strictEqual(read.size, 10)
      assert.deepStrictEqual(
        read.pieces.map((piece) => Buffer.from(piece).toString()),
        ["012", "67", "0123456789", "9", "", ""]
      )
      assert.isTrue(Option.isNone(yield* ssh.readFile(address, "/tmp/none", [{ from: 0, length: 1 }])))
      // more often than there are places for sessions
      yield* Effect.repeatN(ssh.readFile(address, "/tmp/a file", [{ from: 0, length: 1 }]), 30)
    })
  )

  overBoth(
    "that may not be read is refused in words that say who may not",
    Effect.gen(function* () {
      const { host } = yield* Simulated.Simulated
      const inspector = yield* Inspector
      yield* host.faults.forbidFile(log, true)
      const error = yield* Effect.flip(inspector.consoleTail(Simulated.here, vm, 10))
      assert.strictEqual(
        error.message,
        `host root@sim-1 failed to read the console log of vm-7: the account root may not read ${log}: let it read that folder, or log in as one that may`
      )
    }).pipe(Effect.provide(InspectorLive.layer))
  )
})

const readerOf =
  (files: ReadonlyMap<string, Uint8Array>): SerialLog.Read<never> =>
  (path, pieces) =>
    Effect.sync(() =>
      Option.map(Option.fromNullable(files.get(path)), (bytes) => ({
        size: bytes.length,
        pieces: pieces.map(({ from, length }) => {
          const start = from < 0 ? Math.max(0, bytes.length + from) : from
          return bytes.subarray(start, start + length)
        })
      }))
    )

describe("a log's cursor", () => {
  it.effect("is told from the same place in another file that begins with the same lines", () =>
    Effect.gen(function* () {
      const lines = (...all: ReadonlyArray<string>) => Buffer.from(all.map((line) => `${line}\n`).join(""))
      const dots = Array.from({ length: 20 }, () => ".".repeat(63))
      const files = new Map([["/log", lines(...dots, "old", ...dots)]])
      const read = readerOf(files)
      const { next } = yield* SerialLog.tail(read, "/log", 10)
      files.set("/log.0", lines(...dots, "old", ...dots, "more"))
      files.set("/log", lines(...dots, ...dots, "newer", ...dots, ...dots))
      const part = yield* SerialLog.after(read, "/log", next, 100_000)
      assert.isFalse(part.lost)
      assert.strictEqual(
        Buffer.from(part.bytes).toString(),
        lines("more", ...dots, ...dots, "newer", ...dots, ...dots).toString()
      )
    })
  )

  it.effect("of a log that is away for the moment stays as it is", () =>
    Effect.gen(function* () {
      const files = new Map([["/log", Buffer.from("abc")]])
      const read = readerOf(files)
      const { next } = yield* SerialLog.tail(read, "/log", 10)
      files.delete("/log")
      const { lost, next: still } = yield* SerialLog.after(read, "/log", next, 10)
      assert.isFalse(lost)
      assert.strictEqual(still, next)
      // it is longer than its beginning was when the cursor was made
      files.set("/log", Buffer.from("abcdef"))
      const more = yield* SerialLog.after(read, "/log", next, 10)
      assert.strictEqual(Buffer.from(more.bytes).toString(), "def")
    })
  )
})

describe("a screen", () => {
  it("that came as PPM is made PNG, pixel by pixel", () => {
    const pixels = Uint8Array.from({ length: 2 * 3 * 3 }, (_, index) => index * 7)
    const ppm = Buffer.concat([Buffer.from("P6\n# made by hand\n2 3\n255\n"), pixels])
    const made = Picture.toPng(ppm)
    assert(made._tag === "Right")
    const png = Buffer.from(made.right)
    assert.strictEqual(png.readUInt32BE(16), 2)
    assert.strictEqual(png.readUInt32BE(20), 3)
    const start = png.indexOf("IDAT") + 4
    const rows = inflateSync(png.subarray(start, start + png.readUInt32BE(start - 8)))
    assert.deepStrictEqual(
      [...rows],
      [0, 1, 2].flatMap((row) => [0, ...pixels.subarray(row * 6, row * 6 + 6)])
    )
    assert.deepStrictEqual(Picture.toPng(png), made)
  })

  it("that is no picture is refused", () => {
    for (const given of [
      "",
      "GIF89a",
      "P6\n2 3\n255\nxx",
      "P6\n99999 99999\n255\n",
      "P6\n0 0\n255\n",
      "P6 2 2 65535\n"
    ]) {
      assert.strictEqual(Picture.toPng(Buffer.from(given))._tag, "Left", given)
    }
  })
})
