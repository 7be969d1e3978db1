import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { inflateSync } from "node:zlib"
import * as ConsolesLive from "../../layers/ConsolesLive.ts"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as HypervisorTest from "../../layers/HypervisorTest.ts"
import * as InspectorLive from "../../layers/InspectorLive.ts"
import { InspectorTestState } from "../../layers/InspectorTest.ts"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import { Host, type HostAddress } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as GuestInfo from "../../src/libvirt/GuestInfo.ts"
import * as Picture from "../../src/libvirt/Picture.ts"
import * as SerialLog from "../../src/libvirt/SerialLog.ts"
import type { TypedParameter } from "../../src/libvirt/Structs.ts"
import * as SerialLogs from "../../src/simulator/SerialLogs.ts"
import { type DomainRef, Hypervisor } from "../../src/services/Hypervisor.ts"
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
    "is removed, or is not there",
    Effect.gen(function* () {
      const ssh = yield* Ssh
      const { host } = yield* Simulated.Simulated
      yield* host.putFile("/tmp/a file", Buffer.from("0123456789"))
      yield* ssh.removeFiles(address, ["/tmp/none", "/tmp/a file"])
      assert.isTrue(Option.isNone(yield* ssh.readFile(address, "/tmp/a file", [{ from: 0, length: 1 }])))
      yield* ssh.removeFiles(address, ["/tmp/a file"])
    })
  )

  overBoth(
    "that may not be removed stays, which hinders nobody from destroying its domain",
    Effect.gen(function* () {
      const ssh = yield* Ssh
      const hypervisor = yield* Hypervisor
      const { host } = yield* Simulated.Simulated
      yield* host.putFile(log, Buffer.from("said"))
      yield* host.faults.forbidFile(log, true)
      const refused = yield* Effect.flip(ssh.removeFiles(address, [log]))
      assert.deepInclude(refused.reason, { _tag: "SshFileRefused", kind: "forbidden" })
      yield* hypervisor.undefine(Simulated.here, vm)
      yield* host.faults.forbidFile(log, false)
      assert.isTrue(Option.isSome(yield* ssh.readFile(address, log, [{ from: 0, length: 1 }])))
      yield* hypervisor.undefine(Simulated.here, vm)
      assert.isTrue(Option.isNone(yield* ssh.readFile(address, log, [{ from: 0, length: 1 }])))
    }).pipe(
      Effect.provide(HypervisorLive.layer),
      Effect.provide(StorageLive.layerDir),
      Effect.provide(ScriptedImages.layer(given))
    )
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
        `host root@sim-1 failed to read the console log of vm-7: the account root may not read ${log}: let it do so in that folder, or log in as one that may`
      )
    }).pipe(Effect.provide(InspectorLive.layer))
  )
})

describe("a screen", () => {
  it.effect("that never comes is given up, and says so", () =>
    Effect.gen(function* () {
      const inspector = yield* Inspector
      const asked = yield* Effect.fork(Effect.flip(inspector.screenshot(Simulated.here, vm)))
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(
        (yield* Fiber.join(asked)).message,
        "host root@sim-1 failed to take a picture of the screen of vm-7: it has not sent it within 30s"
      )
    }).pipe(
      Effect.provide(
        Layer.provide(InspectorLive.layer, [Layer.mock(Libvirt, { open: () => Effect.never }), Layer.mock(Ssh, {})])
      )
    )
  )
})

const readerOf =
  (files: ReadonlyMap<string, Uint8Array>, times: ReadonlyMap<string, number> = new Map()): SerialLog.Read<never> =>
  (path, pieces) =>
    Effect.sync(() =>
      Option.map(Option.fromNullable(files.get(path)), (bytes) => ({
        size: bytes.length,
        modified: times.get(path) ?? 0,
        pieces: pieces.map(({ from, length }) => {
          const start = from < 0 ? Math.max(0, bytes.length + from) : from
          return bytes.subarray(start, start + length)
        })
      }))
    )

/** As libvirt 9.0.0 passed it on from qemu-guest-agent 7.2 in Debian 12. */
const said = (more: Readonly<Record<string, string | number | bigint>>): ReadonlyArray<TypedParameter> =>
  Object.entries({
    hostname: "buro-1",
    "os.id": "debian",
    "os.name": "Debian GNU/Linux",
    "os.pretty-name": "Debian GNU/Linux 12 (bookworm)",
    "os.version": "12 (bookworm)",
    "os.version-id": "12",
    "os.machine": "x86_64",
    "os.kernel-release": "6.1.0-40-cloud-amd64",
    "timezone.name": "UTC",
    "timezone.offset": 0,
    "user.count": 1,
    "user.0.name": "debian",
    "user.0.login-time": 1_700_000_000_000n,
    "fs.count": 1,
    "fs.0.mountpoint": "/",
    "fs.0.name": "vda2",
    "fs.0.fstype": "ext4",
    "fs.0.total-bytes": 1_400_000_000n,
    "fs.0.used-bytes": 700_000_000n,
    "if.count": 1,
    "if.0.name": "eth0",
    "if.0.hwaddr": "52:54:00:AA:00:01",
    "if.0.addr.count": 1,
    "if.0.addr.0.type": "ipv4",
    "if.0.addr.0.addr": "192.168.122.77",
    "if.0.addr.0.prefix": 24,
    ...more
  }).map(([field, value]) => ({
    field,
    value:
      typeof value === "string"
        ? { type: "string", value }
        : typeof value === "bigint"
          ? { type: "ullong", value }
          : { type: field === "timezone.offset" ? "int" : "uint", value }
  }))

describe("a guest's agent", () => {
  overBoth(
    "tells what the guest is, and its addresses count for more than leases",
    Effect.gen(function* () {
      const { host } = yield* Simulated.Simulated
      const inspector = yield* Inspector
      const hypervisor = yield* Hypervisor
      const known = new Host({ ...Simulated.here, facts: yield* hypervisor.facts(Simulated.here) })
      const mac = "52:54:00:aa:00:01"
      yield* host.putFile("/var/lib/libvirt/images/root.raw", new Uint8Array(4096))
      yield* hypervisor.define(known, {
        ...vm,
        vmId: VmId.make(7),
        title: "web",
        resources: { cpu: 1, ram: 128, disk: 1 },
        nics: [{ alias: "ua-nic-1", mac, source: { kind: "libvirt", name: "default" }, model: "virtio", link: "up" }],
        root: { _tag: "File", path: "/var/lib/libvirt/images/root.raw", format: "raw", serial: "root" },
        operationId: OperationId.make("2f9c8e0a-7d0e-4f0e-8f4e-111111111111")
      })
      yield* hypervisor.start(known, vm)
      yield* host.agent(vm.domainName, said({}))
      const told = yield* Effect.repeat(inspector.guest(known, vm), { until: ({ _tag }) => _tag === "Told" }).pipe(
        Effect.timeout("10 seconds")
      )
      assert.deepStrictEqual(told, {
        _tag: "Told",
        facts: {
          hostname: "buro-1",
          os: {
            id: "debian",
            name: "Debian GNU/Linux 12 (bookworm)",
            version: "12",
            kernel: "6.1.0-40-cloud-amd64",
            machine: "x86_64"
          },
          timezone: { name: "UTC", offset: 0 },
          users: [{ name: "debian", since: 1_700_000_000_000 }],
          filesystems: [{ mountpoint: "/", device: "vda2", type: "ext4", size: 1_400_000_000, used: 700_000_000 }],
          interfaces: [{ name: "eth0", mac, addresses: [{ address: "192.168.122.77", prefix: 24 }] }]
        }
      })
      assert.deepStrictEqual(yield* hypervisor.addresses(known, vm), [
        { mac, address: "192.168.122.77", prefix: 24, source: "agent" }
      ])
    }).pipe(
      Effect.provide(
        Layer.merge(InspectorLive.layer, HypervisorLive.layer).pipe(
          Layer.provide(StorageLive.layerDir),
          Layer.provide(ScriptedImages.layer(given))
        )
      )
    )
  )

  it("is believed nothing that could harm whoever reads it", () => {
    const facts = GuestInfo.read(
      said({
        hostname: `\u001b]0;x\u0007a\u202eb\n${"c".repeat(100_000)}`,
        "os.kernel-release": "\u0000\r\n",
        "timezone.offset": 4_000_000,
        "user.count": 4_000_000_000,
        "user.0.login-time": 18_446_744_073_709_551_615n,
        "fs.0.total-bytes": 18_446_744_073_709_551_615n,
        "if.0.hwaddr": "<script>",
        "if.0.addr.count": 4,
        "if.0.addr.1.addr": "1.2.3.4; rm -rf /",
        "if.0.addr.1.prefix": 24,
        "if.0.addr.2.addr": "10.0.0.1",
        "if.0.addr.2.prefix": 33,
        "if.0.addr.3.addr": "fe80::1",
        "if.0.addr.3.prefix": 64,
        ...Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`user.${index + 1}.name`, `u${index}`]))
      })
    )
    assert.strictEqual(facts.hostname, `]0;xab${"c".repeat(249)}`)
    assert.isNull(facts.os?.kernel)
    assert.isNull(facts.timezone)
    assert.lengthOf(facts.users, 64)
    assert.deepStrictEqual(facts.users[0], { name: "debian", since: null })
    assert.deepInclude(facts.filesystems[0], { size: null, used: 700_000_000 })
    assert.deepStrictEqual(facts.interfaces, [
      {
        name: "eth0",
        mac: null,
        addresses: [
          { address: "192.168.122.77", prefix: 24 },
          { address: "fe80::1", prefix: 64 }
        ]
      }
    ])
    assert.deepStrictEqual(GuestInfo.read([]), {
      hostname: null,
      os: null,
      timezone: null,
      users: [],
      filesystems: [],
      interfaces: []
    })
  })
})

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

  it.effect("is told from the same place in a newer file that is the same line again and again", () =>
    Effect.gen(function* () {
      const same = (count: number) => Buffer.from(`${".".repeat(63)}\n`.repeat(count))
      const files = new Map([["/log", same(20)]])
      const times = new Map([["/log", 100]])
      const read = readerOf(files, times)
      const { next } = yield* SerialLog.tail(read, "/log", 10)
      files.set("/log.1", same(20)).set("/log.0", Buffer.concat([same(20), Buffer.from("more\n")]))
      times.set("/log.1", 90).set("/log.0", 110)
      files.set("/log", same(30))
      times.set("/log", 120)
      const part = yield* SerialLog.after(read, "/log", next, 100_000)
      assert.isFalse(part.lost)
      assert.strictEqual(Buffer.from(part.bytes).toString(), `more\n${same(30).toString()}`)
      // and from there on in the newest, although all older ones look like it
      files.set("/log", Buffer.concat([same(30), Buffer.from("end")]))
      times.set("/log", 130)
      const end = yield* SerialLog.after(read, "/log", part.next, 100_000)
      assert.strictEqual(Buffer.from(end.bytes).toString(), "end")
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
