/** What VMs show, on a real host, beside what their guests say from inside. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { afterAll, beforeAll } from "vitest"
import * as ConsolesLive from "../../layers/ConsolesLive.ts"
import * as HypervisorLive from "../../layers/HypervisorLive.ts"
import * as InspectorLive from "../../layers/InspectorLive.ts"
import * as StorageLive from "../../layers/StorageLive.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import { Host } from "../../src/domain/Host.ts"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import { type DomainRef, Hypervisor } from "../../src/services/Hypervisor.ts"
import { Inspector } from "../../src/services/Inspector.ts"
import { Storage } from "../../src/services/Storage.ts"
import { Guests, inspectorContract } from "../contracts/InspectorContract.ts"
import * as LiveWorld from "../hypervisor/LiveWorld.ts"
import * as ScriptedImages from "../storage/ScriptedImages.ts"
import * as Hosts from "./Hosts.ts"
import * as Lab from "./Lab.ts"

const host = Hosts.host(5)
const nameOfHost = Lab.everyHost[5]!.name
const given: ReadonlyArray<ScriptedImages.Given> = [
  { name: "guest", bytes: readFileSync(`${Lab.status.dir}/images/guest.img`) }
]
const guest = ScriptedImages.imageOf(given[0]!, 100)

const logs = ({ domainName }: DomainRef) => ["", ".0", ".1", ".2"].map((end) => DomainXml.serialLog(domainName) + end)

const booted = (domain: DomainRef) =>
  Lab.eventually(
    "the guest is ready",
    Effect.orElseSucceed(Lab.onHost(nameOfHost, "cat", DomainXml.serialLog(domain.domainName)), () => ""),
    (text) => text.includes("GUEST READY"),
    "300 seconds"
  )

/** A command in the guest, by its serial port. */
const inGuest = (domain: DomainRef, command: string) => Lab.lab("guest-run", nameOfHost, domain.domainName, command)

/** Behind all that is on it. */
const writing = (mebibytes: number) =>
  `dd if=/dev/zero of=/dev/vda bs=1M count=${mebibytes} seek=600 conv=fsync 2>/dev/null`

const guests = Layer.succeed(Guests, {
  write: (domain, mebibytes) => Effect.asVoid(Effect.orDie(inGuest(domain, writing(mebibytes)))),
  // past the line discipline, so that a carriage return comes with each line end as a guest's own do
  print: (domain, line) =>
    Effect.orDie(inGuest(domain, `printf '%b\\n' '${line.replaceAll("\u001b", "\\033")}' > /dev/console`)),
  // as virtlogd does when a log is full, which takes it 2 MiB: it writes on into the file that it makes then
  rotate: (domain) => Effect.orDie(fill(domain)),
  forget: (domain, what) =>
    Effect.orDie(Lab.onHost(nameOfHost, "rm", "-f", ...logs(domain).slice(what === "all" ? 0 : 1)))
})

/** What virtlogd of this host is told to keep in one file, in bytes: no guest has to print the usual 2 MiB then. */
const logSize = 16 * 1024

const filler = `i=0; while [ $i -lt ${logSize / 64} ]; do printf '%063d\\n' 0 > /dev/console; i=$((i + 1)); done`

/** Has the guest print until its log goes on in another file. */
const fill = (domain: DomainRef) =>
  Effect.gen(function* () {
    const inode = Lab.onHost(nameOfHost, "stat", "-c", "%i", DomainXml.serialLog(domain.domainName))
    const before = yield* inode
    yield* inGuest(domain, filler)
    yield* Lab.eventually("the log is rotated", inode, (now) => now !== before, "60 seconds")
  })

const virtlogd = (size: number) =>
  Lab.onHost(
    nameOfHost,
    "sh",
    "-c",
    `echo "max_size = ${size}" > /etc/libvirt/virtlogd.conf && kill $(cat /run/virtlogd.pid) && ` +
      "while kill -0 $(cat /run/virtlogd.pid) 2>/dev/null; do :; done; virtlogd -d -p /run/virtlogd.pid"
  )

beforeAll(() => Effect.runPromise(virtlogd(logSize)))
afterAll(() => Effect.runPromise(virtlogd(2 * 1024 * 1024)))

const drivers = Layer.mergeAll(HypervisorLive.layer, InspectorLive.layer, ConsolesLive.layer).pipe(
  Layer.provideMerge(StorageLive.layerDir),
  Layer.provideMerge(ScriptedImages.layer(given)),
  Layer.provideMerge(Hosts.libvirt)
)

inspectorContract(
  "libvirt on a real host",
  LiveWorld.layer({
    host,
    unreachable: Hosts.unreachable,
    network: "default",
    bridge: "br-lan",
    trunk: "br-lan{vlan}",
    image: guest,
    booted,
    kill: ({ domainName }) => Lab.onHost(nameOfHost, "sh", "-c", `kill -9 $(cat /run/libvirt/qemu/${domainName}.pid)`)
  }).pipe(Layer.merge(guests), Layer.provideMerge(drivers))
)

const mebibyte = 1024 ** 2

/** A guest of this host that is up, and goes with the scope. */
const running = (id: number) =>
  Effect.gen(function* () {
    const hypervisor = yield* Hypervisor
    const { preferred: storage } = yield* Storage
    const known = new Host({ ...host, facts: yield* hypervisor.facts(host) })
    const vmId = VmId.make(id)
    const operationId = OperationId.make(randomUUID())
    const domain = { uuid: DomainUuid.make(randomUUID()), domainName: `vm-${id}` }
    yield* Effect.acquireRelease(
      Effect.gen(function* () {
        yield* Lab.onHost(nameOfHost, "rm", "-f", ...logs(domain))
        yield* storage.ensureImage(known, guest)
        const root = yield* storage.createRoot(known, { vmId, image: guest, size: 1, operationId })
        const resources = { cpu: 1, ram: 128, disk: 1 }
        const nics = [
          {
            alias: "ua-nic-1",
            mac: `52:54:00:00:04:${id.toString(16).padStart(2, "0")}`,
            source: { kind: "libvirt", name: "default" },
            model: "virtio",
            link: "up"
          }
        ] as const
        yield* hypervisor.define(known, { ...domain, vmId, title: "a guest", resources, nics, root, operationId })
        yield* hypervisor.start(known, domain)
      }),
      () =>
        Effect.orDie(
          Effect.all([
            hypervisor.powerOff(known, domain),
            hypervisor.undefine(known, domain),
            storage.deleteRoot(known, vmId)
          ])
        )
    )
    yield* booted(domain)
    return domain
  })

describe("statistics", () => {
  it.live("agree with what the guest itself counts", () =>
    Effect.gen(function* () {
      const inspector = yield* Inspector
      const domain = yield* running(41)
      // what else this machine does must not be taken from it: the guest would count that as its own
      yield* Lab.onHost(
        nameOfHost,
        "sh",
        "-c",
        `pid=$(cat /run/libvirt/qemu/${domain.domainName}.pid); for task in /proc/$pid/task/*; do renice -n -19 -p "\${task##*/}"; done; ` +
          "echo -19 > /proc/$pid/autogroup; true"
      )
      const counters = Effect.map(inspector.counters(host), (all) => {
        const found = all.find(({ uuid }) => uuid === domain.uuid)
        assert(found !== undefined)
        return found
      })
      const numbers = (text: string) => (text.match(/\d+/g) ?? []).map(Number)
      /** ticks of a hundredth of a second that were not idle */
      const busy = "awk '/^cpu /{print $2+$3+$4+$6+$7+$8}' /proc/stat"
      const before = yield* counters
      const [start = 0, end = 0] = numbers(
        yield* Lab.lab(
          "guest-run",
          nameOfHost,
          domain.domainName,
          "--within",
          "60",
          `${busy}; { timeout 15 sh -c 'while :; do :; done'; } 2>/dev/null; ${busy}`
        )
      )
      const after = yield* counters
      const guestSeconds = (end - start) / 100
      const ourSeconds = (after.cpuTime - before.cpuTime) / 1e9
      yield* Effect.log(`the guest counts ${guestSeconds} s of CPU, we count ${ourSeconds} s`)
      assert.isAbove(guestSeconds, 10)
      assert.closeTo(ourSeconds / guestSeconds, 1, 0.1)

      yield* inGuest(domain, writing(32))
      const written = (of: typeof after) => of.disks[0]?.writtenBytes ?? 0
      const wrote = (written(yield* counters) - written(after)) / mebibyte
      assert.closeTo(wrote, 32, 3.2)

      yield* Lab.eventually(
        "it has an address",
        inGuest(domain, "cat /proc/net/route"),
        (text) => /eth0/.test(text),
        "60 seconds"
      )
      const sink =
        "import socket; s = socket.create_server(('192.168.122.1', 5001)); c = s.accept()[0]\nwhile c.recv(65536): pass"
      const listening = yield* Effect.fork(Lab.onHost(nameOfHost, "timeout", "60", "python3", "-c", sink))
      yield* Effect.sleep("2 seconds")
      const sentBefore = (yield* counters).nics[0]?.sentBytes ?? 0
      yield* inGuest(domain, "dd if=/dev/zero bs=64k count=160 2>/dev/null | nc 192.168.122.1 5001")
      yield* Fiber.join(listening)
      const sent = ((yield* counters).nics[0]?.sentBytes ?? 0) - sentBefore
      assert.closeTo(sent / mebibyte, 10, 1)

      const known = yield* Lab.eventually(
        "the guest has told what it uses",
        counters,
        ({ memory }) => memory.used !== null,
        "60 seconds"
      )
      yield* Effect.sleep("11 seconds")
      const { memory } = yield* counters
      const [total = 0, left = 0] = numbers(
        yield* inGuest(domain, "awk '/^MemTotal|^MemAvailable/{print $2}' /proc/meminfo")
      )
      yield* Effect.log(
        `the guest uses ${total - left} of ${total} KiB, we say ${JSON.stringify(memory)}; wrote ${wrote} MiB, sent ${sent / mebibyte} MiB`
      )
      assert.isNotNull(known)
      assert.closeTo((memory.used ?? 0) / 1024, total - left, total / 10)
    }).pipe(Effect.scoped, Effect.provide(drivers))
  )
})
