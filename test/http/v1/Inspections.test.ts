/** What VMs show, over the API. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { HypervisorTestState } from "../../../layers/HypervisorTest.ts"
import { InspectorTestState } from "../../../layers/InspectorTest.ts"
import type { GuestFacts } from "../../../src/domain/Guest.ts"
import { VmId } from "../../../src/domain/Ids.ts"
import { Inventory } from "../../../src/services/Inventory.ts"
import * as World from "../../fabric/World.ts"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

/** A VM that runs, with what can be done to it by hand. */
const world = Effect.gen(function* () {
  const app = yield* App.make()
  yield* app.done("POST", "/vms", { name: "web", instanceType: 1 })
  const inventory = Context.get(app.context, Inventory)
  const hosts = Context.get(app.context, HypervisorTestState)
  const { print, tell, use } = Context.get(app.context, InspectorTestState)
  const vm = yield* inventory.vm(VmId.make(1))
  const { host } = yield* inventory.host(vm.hostId)
  const turnOff = Effect.flatMap(hosts.host(host), ({ domains }) =>
    hosts.put(host, vm.uuid, { ...domains.get(vm.uuid)!, state: "shutoff", live: [], runs: null }, "stopped")
  )
  return {
    ...app,
    vm,
    host,
    hosts,
    turnOff,
    use,
    tell: (facts: GuestFacts) => tell(vm, facts),
    print: (text: string) => print(vm, text)
  }
})

const messages = (text: string) =>
  text
    .split("\n\n")
    .map((message) => Object.fromEntries(message.split("\n").map((line) => line.split(/: ?/, 2))))
    .filter(({ event }) => event !== undefined)

const plain = (base64: unknown) => Buffer.from(String(base64), "base64").toString("latin1")

describe("a VM's console", () => {
  it.scopedLive("is told byte for byte, as much of its end as is asked for", () =>
    Effect.gen(function* () {
      const { ask, get, print } = yield* world
      const empty = yield* get("/vms/1/console-log")
      assert.strictEqual(empty.body, "")
      yield* print("\u001b[2J first line\r\nlogin: ")
      const log = yield* get("/vms/1/console-log")
      assert.strictEqual(log.body, "\u001b[2J first line\r\nlogin: ")
      assert.strictEqual(log.headers.get("content-type"), "application/octet-stream")
      assert.strictEqual(log.headers.get("x-content-type-options"), "nosniff")
      assert.strictEqual(log.headers.get("cache-control"), "no-store")
      assert.match(log.headers.get("vmfabric-next") ?? "", /^\d+\.[0-9a-f]{12}\.24\.\d+$/)
      assert.strictEqual((yield* get("/vms/1/console-log?bytes=7")).body, "login: ")
      for (const query of ["bytes=0", "bytes=1048577", "bytes=x", "lines=7", "after=7"]) {
        assert.deepInclude((yield* ask("GET", `/vms/1/console-log?${query}`)).json, { status: 400 }, query)
      }
      assert.deepInclude((yield* ask("GET", "/vms/9/console-log")).json, { code: "vm_not_found" })
    })
  )

  it.scopedLive("is followed until the VM is gone, and from where one was cut off", () =>
    Effect.gen(function* () {
      const { ask, done, get, print } = yield* world
      const accept = "text/event-stream"
      yield* print("before\r\n")
      const { headers } = yield* get("/vms/1/console-log")
      const after = headers.get("vmfabric-next") ?? ""
      yield* print("since\r\n")
      const following = yield* Effect.fork(
        Effect.all(
          [
            ask("GET", "/vms/1/console-log?bytes=7", undefined, { accept }),
            ask("GET", `/vms/1/console-log?after=${after}`, undefined, { accept }),
            ask("GET", "/vms/1/console-log?bytes=1", undefined, { accept, "last-event-id": after })
          ],
          { concurrency: "unbounded" }
        )
      )
      yield* Effect.sleep("300 millis")
      yield* print("while it is followed\r\n")
      yield* Effect.sleep("1200 millis")
      yield* done("DELETE", "/vms/1")
      const told = (yield* Fiber.join(following)).map((answer) => {
        assert.strictEqual(answer.status, 200)
        assert.include(answer.headers.get("content-type") ?? "", accept)
        const all = messages(String(answer.body))
        assert.strictEqual(all.at(-1)?.["event"], "end")
        return all.filter(({ event }) => event === "output").map(({ data }) => plain(data))
      })
      assert.deepStrictEqual(
        told.map((parts) => parts.join("")),
        ["since\r\nwhile it is followed\r\n", "since\r\nwhile it is followed\r\n", "since\r\nwhile it is followed\r\n"]
      )
      const gone = yield* ask("GET", "/vms/1/console-log", undefined, { accept })
      assert.deepInclude(gone.json, { code: "vm_not_found" })
    })
  )

  it.scopedLive("is not followed after something that is no place in it", () =>
    Effect.gen(function* () {
      const { ask } = yield* world
      const answer = yield* ask("GET", "/vms/1/console-log", undefined, {
        accept: "text/event-stream",
        "last-event-id": "17"
      })
      assert.deepInclude(answer.json, { status: 400, code: "invalid_header", field: "Last-Event-ID" })
    })
  )
})

describe("a VM's screen", () => {
  it.scopedLive("is a PNG file while it runs, and a conflict in words when it does not", () =>
    Effect.gen(function* () {
      const { ask, get, turnOff } = yield* world
      const picture = yield* get("/vms/1/screenshot")
      assert.strictEqual(picture.headers.get("content-type"), "image/png")
      assert.include(String(picture.body), "PNG")
      yield* turnOff
      assert.deepInclude((yield* ask("GET", "/vms/1/screenshot")).json, {
        status: 409,
        code: "vm_conflict",
        detail: "VM 1 (web) does not run, so it has no screen: start it"
      })
    })
  )
})

describe("a VM's XML", () => {
  it.scopedLive("is told as it runs and as it is defined, and not while its host cannot be asked", () =>
    Effect.gen(function* () {
      const { ask, get, host, hosts, turnOff } = yield* world
      const { json } = yield* get("/vms/1/xml")
      assert.include(String(json.live), "<title>web</title>")
      assert.include(String(json.defined), "<title>web</title>")
      yield* turnOff
      assert.isNull((yield* get("/vms/1/xml")).json.live)
      yield* hosts.setUnreachable(host, "the cable is out")
      const answer = yield* ask("GET", "/vms/1/xml")
      assert.deepInclude(answer.json, { status: 503, code: "host_unreachable" })
    })
  )
})

describe("a VM's guest", () => {
  it.scopedLive("tells of itself what it has an agent for, and is none the worse without one", () =>
    Effect.gen(function* () {
      const { ask, get, tell, turnOff } = yield* world
      assert.deepStrictEqual((yield* get("/vms/1/guest")).json, { told: null, reason: "its guest runs no agent" })
      yield* tell({
        hostname: "web",
        os: null,
        timezone: { name: "CET", offset: 3600 },
        users: [{ name: "ada", since: 0 }],
        filesystems: [],
        interfaces: []
      })
      const { json } = yield* get("/vms/1/guest")
      assert.isNull(json.reason)
      assert.deepInclude(json.told, { hostname: "web", users: [{ name: "ada", since: "1970-01-01T00:00:00.000Z" }] })
      yield* turnOff
      assert.deepStrictEqual((yield* get("/vms/1/guest")).json, { told: null, reason: "it does not run" })
      assert.deepInclude((yield* ask("GET", "/vms/9/guest")).json, { code: "vm_not_found" })
    })
  )
})

describe("what a VM uses", () => {
  it.scopedLive("is told of this moment, of the past, of its host and of all", () =>
    Effect.gen(function* () {
      const { ask, get, host, turnOff, use, vm } = yield* world
      // half of its one vCPU, from one sample to the next
      let cpuTime = 0
      let writtenBytes = 0
      yield* Effect.forkScoped(
        Effect.forever(
          Effect.zipRight(
            Effect.suspend(() =>
              use(vm, {
                cpuTime: (cpuTime += 25e6),
                memory: { assigned: 2 ** 30, used: 2 ** 28, resident: 2 ** 29 },
                disks: [
                  {
                    target: "vda",
                    readBytes: 0,
                    readRequests: 0,
                    writtenBytes: (writtenBytes += 500),
                    writtenRequests: 1
                  }
                ]
              })
            ),
            Effect.sleep("50 millis")
          )
        )
      )
      yield* World.eventually(
        Effect.map(ask("GET", "/vms/1/statistics"), ({ json, status }) => {
          assert.strictEqual(status, 200)
          assert.isAbove(Number(Contract.members(json.rates).cpu), 5)
        })
      )
      const now = yield* get("/vms/1/statistics")
      assert.deepInclude(now.json, {
        vmId: 1,
        vcpus: 1,
        memoryAssigned: 2 ** 30,
        memoryUsed: 2 ** 28,
        memoryResident: 2 ** 29
      })
      assert.isBelow(Date.now() - Date.parse(String(now.json.at)), 5000)
      const past = yield* get("/vms/1/statistics/history?seconds=100")
      assert.deepInclude(past.json, { vmId: 1, step: 20 })
      const { cpu, memory } = Contract.members(past.json.series)
      assert(Array.isArray(cpu) && Array.isArray(memory))
      assert.isAbove(Number(cpu.at(-1) ?? cpu.at(-2)), 0)
      assert.isNull(cpu[0])
      assert.closeTo(Number(memory.at(-1) ?? memory.at(-2)), 2 ** 28, 2 ** 19)
      const day = yield* get("/vms/1/statistics/history?seconds=86400")
      assert.deepInclude(day.json, { step: 600 })
      for (const query of ["seconds=0", "seconds=86401", "step=10", "since=1"]) {
        assert.strictEqual((yield* ask("GET", `/vms/1/statistics/history?${query}`)).status, 400, query)
      }
      assert.deepInclude((yield* get(`/hosts/${host.id}/statistics`)).json, {
        hostId: host.id,
        domains: 1,
        memory: 2 ** 28
      })
      const [first] = App.items(yield* get("/statistics?sort=diskWritten"))
      assert.deepInclude(first, { vmId: 1, name: "web", hostId: host.id })
      assert.lengthOf(App.items(yield* get(`/statistics?host=${host.id === 1 ? 2 : 1}`)), 0)
      yield* turnOff
      yield* World.eventually(
        Effect.map(ask("GET", "/vms/1/statistics"), ({ json }) =>
          assert.deepInclude(json, { status: 409, code: "vm_conflict" })
        )
      )
    })
  )
})
