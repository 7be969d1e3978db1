/** Each endpoint as somebody uses it, with what it is there for. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as AppTest from "../../../layers/AppTest.ts"
import { DoctorTestState } from "../../../layers/DoctorTest.ts"
import { HypervisorTestState } from "../../../layers/HypervisorTest.ts"
import { WebhookReceivers } from "../../../layers/WebhooksTest.ts"
import { defaultConfig, Host } from "../../../src/domain/Host.ts"
import { HostId } from "../../../src/domain/Ids.ts"
import { HostMonitor } from "../../../src/services/HostMonitor.ts"
import { Inventory } from "../../../src/services/Inventory.ts"
import * as World from "../../fabric/World.ts"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

describe("VMs", () => {
  it.scopedLive("are answered one by one as by their endpoint, which an id that is written otherwise is left to", () =>
    Effect.gen(function* () {
      const { done, get, send } = yield* App.make()
      yield* done("POST", "/vms", { name: "web", instanceType: 1, tags: ["prod"], description: "ünïcode" })
      const quick = yield* get("/vms/1")
      assert.deepInclude(quick.json, { id: 1, name: "web", tags: ["prod"], description: "ünïcode" })
      const slow = yield* send("/api/v1/vms/01")
      assert.strictEqual(slow.status, 200)
      assert.deepStrictEqual(slow.body, quick.body)
      assert.deepStrictEqual([...slow.headers], [...quick.headers])
      const none = yield* send("/api/v1/vms/2")
      assert.deepStrictEqual(none.body, (yield* send("/api/v1/vms/02")).body)
      assert.deepInclude(none.json, { status: 404, code: "vm_not_found" })
    })
  )

  it.scopedLive("have words on them, by which they are found, and are protected", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      const given = {
        tags: ["web", "prod"],
        labels: { team: "shop" },
        description: "the shop's\nfront",
        protected: true
      }
      yield* done("POST", "/vms", { name: "web", instanceType: 1, ...given })
      yield* done("POST", "/vms", { name: "db", instanceType: 1, tags: ["prod"], labels: { team: "store" } })
      assert.deepInclude((yield* get("/vms/1")).json, { ...given, tags: ["prod", "web"], autostart: false })
      const found = (query: string) =>
        Effect.map(get(`/vms?${query}`), (answer) => {
          assert.strictEqual(answer.json.total, App.items(answer).length)
          return App.items(answer).map(({ name }) => name)
        })
      assert.deepStrictEqual(yield* found("tag=prod"), ["web", "db"])
      assert.deepStrictEqual(yield* found("tag=prod,web"), ["web"])
      assert.deepStrictEqual(yield* found("label=team"), ["web", "db"])
      assert.deepStrictEqual(yield* found("label=team=store&tag=prod"), ["db"])
      assert.deepStrictEqual(yield* found("tag=none"), [])
      assert.deepStrictEqual(yield* found("ids=2,7,1"), ["web", "db"])
      assert.deepStrictEqual(yield* found("ids=2,1&sort=-name&limit=5"), ["web", "db"])
      assert.deepStrictEqual(yield* found("ids=1,2&name=d&sort=name"), ["db"])
      assert.deepStrictEqual(yield* found("ids=7"), [])
      for (const wrong of ["", "1,", "1,x", "0", Array.from({ length: 101 }, (_, i) => i + 1).join(",")]) {
        assert.deepInclude((yield* ask("GET", `/vms?ids=${wrong}`)).json, { status: 400, field: "ids" }, wrong)
      }

      const kept = yield* ask("DELETE", "/vms/1")
      assert.deepInclude(kept.json, { status: 409, code: "vm_protected" })
      assert.include(String(kept.json.detail), "vmfabric vm set 1 --unprotect")
      const change = { protected: false, labels: { team: null, tier: "1" }, tags: [] }
      const changed = yield* ask("PATCH", "/vms/1", change)
      assert.strictEqual(changed.status, 200)
      assert.deepInclude(changed.json, {
        protected: false,
        labels: { tier: "1" },
        tags: [],
        description: given.description
      })

      // what its domain has to know is an operation
      const renamed = yield* done("PATCH", "/vms/1", { name: "front", autostart: true })
      assert.deepInclude(renamed.json, { kind: "ConfigureVm", vmId: 1, state: "done" })
      assert.deepInclude((yield* get("/vms/1")).json, { name: "front", autostart: true, drift: 0 })

      for (const [body, field] of [
        [{ tags: ["No"] }, "tags"],
        [{ tags: ["a", "a"] }, "tags"],
        [{ labels: { "": "x" } }, "labels"],
        [{ labels: { a: "x\u0000" } }, "labels"],
        [{ description: "a\u0007" }, "description"],
        [{ name: " web" }, "name"]
      ] as const) {
        const { json } = yield* ask("PATCH", "/vms/1", body)
        assert.deepInclude(json, { status: 400 }, JSON.stringify(body))
        assert.match(String(json.field), new RegExp(`^${field}`), JSON.stringify(body))
      }
      assert.strictEqual((yield* done("DELETE", "/vms/1")).json.state, "done")
    })
  )

  it.scopedLive("are turned on and off, and stay so", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      const stopped = yield* done("POST", "/vms/1/shut-down", {})
      assert.deepInclude(stopped.json, { kind: "ShutDownVm", vmId: 1, outcome: "the guest shut itself down" })
      assert.strictEqual((yield* get("/vms/1")).json.state, "stopped")
      assert.lengthOf(App.items(yield* get("/vms?state=stopped")), 1)
      const refused = yield* ask("POST", "/vms/1/pause")
      assert.deepInclude(refused.json, {
        status: 409,
        code: "vm_conflict",
        detail: "VM 1 (web) is stopped, and there is nothing to pause: start it first"
      })
      assert.deepInclude((yield* done("POST", "/vms/1/start")).json, { kind: "StartVm", outcome: null })
      assert.deepInclude((yield* done("POST", "/vms/1/pause")).json, { kind: "PauseVm" })
      assert.strictEqual((yield* get("/vms/1")).json.state, "paused")
      assert.deepInclude((yield* done("POST", "/vms/1/resume")).json, { kind: "ResumeVm", outcome: null })
      assert.deepInclude((yield* done("POST", "/vms/1/reset")).json, { kind: "ResetVm" })
      const rebooted = yield* done("POST", "/vms/1/reboot", { within: 5, force: false })
      assert.deepInclude(rebooted.json, { kind: "RebootVm", outcome: "its guest started anew when it was asked to" })
      // without a body, whatever is said of the one that is not there
      for (const [path, headers] of [
        ["/vms/1/reboot", {}],
        ["/vms/1/reboot", { "content-type": "application/json", "content-length": "0" }],
        ["/vms/1/shut-down", {}]
      ] as const) {
        const asked = yield* done("POST", path, undefined, headers)
        assert.include(
          ["its guest started anew when it was asked to", "the guest shut itself down"],
          asked.json.outcome
        )
      }
      yield* done("POST", "/vms/1/start")
      assert.deepInclude((yield* done("POST", "/vms/1/power-off")).json, { kind: "PowerOffVm" })
      assert.deepInclude((yield* ask("POST", "/vms")).json, { status: 400, field: "Content-Type" })
      assert.deepInclude((yield* ask("POST", "/vms/1/shut-down", { within: 0 })).json, {
        status: 400,
        field: "within",
        detail: "within: expected a whole number from 1 to 3600"
      })
      assert.strictEqual((yield* ask("POST", "/vms/9/start")).status, 404)
    })
  )

  it.scopedLive("are created, listed, changed, repaired and destroyed", () =>
    Effect.gen(function* () {
      const { ask, context, done, get } = yield* App.make()
      const created = yield* done("POST", "/vms", { name: "web", instanceType: 1, image: 100, onCrash: "restart" })
      assert.deepInclude(created.json, { kind: "CreateVm", vmId: 1, error: null, progress: null, replacedBy: null })
      assert.isString(created.json.endedAt)
      const vm = yield* get("/vms/1")
      assert.deepInclude(vm.json, {
        id: 1,
        name: "web",
        state: "running",
        instanceType: 1,
        imageId: 100,
        onCrash: "restart",
        resources: { cpu: 1, ram: 1024, disk: 10 },
        driver: "dir",
        hostStatus: "up",
        hostReason: null
      })
      assert.match(String(vm.json.createdAt), /^20[0-9]{2}-.*Z$/)

      const batch = yield* ask("POST", "/vms/batch", { count: 3, name: "db", instanceType: 1 }, { prefer: "wait=20" })
      assert.strictEqual(batch.status, 200)
      assert.isNull(batch.json.refused)
      const named = yield* get("/vms?name=db")
      assert.deepStrictEqual(
        App.items(named)
          .map(({ name }) => name)
          .toSorted(),
        ["db-1", "db-2", "db-3"]
      )
      assert.deepInclude(named.json, { next: null, total: 3 })
      assert.lengthOf(App.items(yield* get("/vms?type=1&state=running&sort=-name")), 4)
      assert.lengthOf(App.items(yield* get("/vms?state=destroying")), 0)
      // those are in no list
      for (const gone of [
        "/vms?state=failed",
        "/vms?state=destroyed",
        "/volumes?state=purged",
        "/volumes?state=failed"
      ]) {
        const { json, status } = yield* ask("GET", gone)
        assert.deepStrictEqual([status, json.field], [400, "state"], gone)
      }
      assert.lengthOf(App.items(yield* get("/vms?type=7")), 0)

      const changed = yield* ask("PATCH", "/vms/1", { onCrash: "leave" })
      assert.deepInclude(changed.json, { id: 1, onCrash: "leave" })
      assert.strictEqual((yield* get("/vms/1")).json.onCrash, "leave")

      // somebody switches it off by hand
      const state = Context.get(context, HypervisorTestState)
      const hostId = HostId.make(Number(vm.json.hostId))
      const { host } = yield* Context.get(context, Inventory).host(hostId)
      const uuid = String(vm.json.uuid)
      const domain = (yield* state.host(host)).domains.get(uuid)
      assert(domain !== undefined)
      yield* state.put(host, uuid, { ...domain, state: "shutoff", live: [] }, "stopped")
      yield* ask("POST", `/hosts/${hostId}/look`)
      const drift = App.items(yield* get("/vms/1/drift"))
      assert.deepInclude(drift[0], { vmId: 1, kind: "power", wanted: "running" })
      assert.deepStrictEqual(App.items(yield* get("/drift")), drift)
      assert.deepInclude((yield* get("/vms/1")).json, { drift: 1 })
      assert.deepInclude((yield* done("POST", "/vms/1/repair")).json, { kind: "RepairVm", vmId: 1 })
      yield* ask("POST", `/hosts/${hostId}/look`)
      assert.lengthOf(App.items(yield* get("/drift")), 0)

      assert.deepInclude((yield* done("DELETE", "/vms/1")).json, { kind: "DestroyVm", vmId: 1 })
      assert.strictEqual((yield* ask("DELETE", "/vms/1")).status, 204)
      assert.strictEqual((yield* ask("GET", "/vms/1")).status, 404)
    })
  )
})

describe("volumes and snapshots", () => {
  it.scopedLive("go through all that can be done with them", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      assert.deepInclude((yield* done("POST", "/volumes", { name: "data", size: 2 })).json, { volumeId: 1, vmId: null })
      // grown, then renamed: the last of the two is told
      const both = yield* done("PATCH", "/volumes/1", { name: "archive", size: 5 })
      assert.deepInclude(both.json, { kind: "RenameVolume" })
      assert.deepInclude((yield* get("/volumes/1")).json, { name: "archive", size: 5 })
      assert.strictEqual((yield* ask("PATCH", "/volumes/1", { name: "archive", size: 5 })).status, 204)

      assert.deepInclude((yield* done("POST", "/volumes/1/attach", { vm: 1 })).json, { kind: "AttachVolume", vmId: 1 })
      assert.strictEqual((yield* ask("POST", "/volumes/1/attach", { vm: 1 })).status, 204)
      assert.deepInclude((yield* get("/volumes/1")).json, {
        state: "attached",
        vmId: 1,
        target: "vdb",
        serial: "volume-1"
      })
      assert.lengthOf(App.items(yield* get("/volumes?vm=1")), 1)
      assert.lengthOf(App.items(yield* get("/volumes?vm=2")), 0)

      // a guest writes to it, and it is a file
      const refused = yield* ask("POST", "/volumes/1/snapshots", { name: "monday" })
      assert.deepInclude(refused.json, { status: 409, code: "volume_conflict" })
      yield* done("POST", "/volumes/1/detach")
      const taken = yield* done("POST", "/volumes/1/snapshots", { name: "monday" })
      assert.deepInclude(taken.json, { kind: "CreateSnapshot", volumeId: 1, snapshotId: 1 })
      const monday = { id: 1, volumeId: 1, name: "monday", size: 5, state: "ready" }
      const { createdAt, ...found } = (yield* get("/snapshots/1")).json
      assert.deepStrictEqual(found, monday)
      // it was asked for by that operation
      assert.strictEqual(createdAt, taken.json.createdAt)
      assert.deepStrictEqual(App.items(yield* get("/volumes/1/snapshots")), [{ ...monday, createdAt }])
      assert.deepInclude((yield* done("POST", "/volumes", { name: "copy", snapshot: 1 })).json, { volumeId: 2 })
      assert.deepInclude((yield* get("/volumes/2")).json, { size: 5, snapshotId: 1 })

      yield* done("PATCH", "/volumes/1", { size: 9 })
      yield* done("POST", "/volumes/1/attach", { vm: 1 })
      const running = yield* ask("POST", "/snapshots/1/revert")
      assert.deepInclude(running.json, { status: 409, code: "volume_conflict" })
      yield* done("POST", "/volumes/1/detach")
      yield* done("POST", "/snapshots/1/revert")
      assert.deepInclude((yield* get("/volumes/1")).json, { size: 5, state: "available", vmId: null })
      yield* done("DELETE", "/snapshots/1")
      assert.strictEqual((yield* ask("GET", "/snapshots/1")).status, 404)

      yield* done("DELETE", "/volumes/1")
      assert.strictEqual((yield* ask("DELETE", "/volumes/1")).status, 204)
      const trashed = yield* get("/volumes/1")
      assert.strictEqual(trashed.json.state, "deleted")
      assert.isAbove(Date.parse(String(trashed.json.purgeAt)), Date.now())
      assert.deepStrictEqual(
        App.items(yield* get("/volumes?state=deleted")).map(({ id }) => id),
        [1]
      )
      yield* done("POST", "/volumes/1/restore")
      assert.strictEqual((yield* ask("POST", "/volumes/1/restore")).status, 204)
      yield* done("DELETE", "/volumes/1")
      yield* done("POST", "/volumes/1/purge")
      assert.strictEqual((yield* ask("POST", "/volumes/1/purge")).status, 204)
      assert.deepInclude((yield* get("/volumes/1")).json, { state: "purged" })
      assert.deepInclude((yield* get("/volumes?name=co")).json, { total: 1, next: null })
      const some = yield* get("/volumes?ids=9,2,1&sort=name")
      assert.deepStrictEqual([some.json.total, App.items(some).map(({ id }) => id)], [1, [2]])
    })
  )
})

describe("instance types", () => {
  it.scopedLive("are made and retired while VMs have them, and are never changed", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      const made = yield* ask("POST", "/instance-types", { cpu: 2, ram: 2048, disk: 20 })
      const type = { id: 2, cpu: 2, ram: 2048, disk: 20, requires: {}, origin: "api", retired: false }
      assert.strictEqual(made.status, 201)
      assert.deepStrictEqual(made.json, type)
      assert.deepStrictEqual((yield* ask("POST", "/instance-types", { id: 9, cpu: 1, ram: 512, disk: 1 })).json.id, 9)
      assert.deepInclude((yield* ask("POST", "/instance-types", { id: 1, cpu: 1, ram: 512, disk: 1 })).json, {
        status: 409,
        code: "instance_type_conflict",
        detail: "instance type 1 is there already (in the types file): types are never changed, give another id"
      })
      assert.deepInclude((yield* ask("POST", "/instance-types", { cpu: 0, ram: 512, disk: 1 })).json, {
        status: 400,
        field: "cpu",
        detail: "cpu: expected a whole number from 1 to 1024"
      })
      yield* done("POST", "/vms", { name: "web", instanceType: 2 })

      const { headers } = yield* get("/instance-types/2")
      const retired = yield* ask("DELETE", "/instance-types/2", undefined, { "if-match": headers.get("etag") ?? "" })
      assert.deepStrictEqual(retired.json, { ...type, retired: true })
      const late = yield* ask("DELETE", "/instance-types/2", undefined, { "if-match": headers.get("etag") ?? "" })
      assert.strictEqual(late.status, 412)
      assert.strictEqual((yield* ask("DELETE", "/instance-types/2")).status, 200)
      assert.deepInclude((yield* ask("POST", "/vms", { name: "db", instanceType: 2 })).json, {
        status: 404,
        code: "instance_type_not_found"
      })
      // what has it goes on, and is found by it
      assert.deepInclude((yield* get("/vms/1")).json, { instanceType: 2, resources: { cpu: 2, ram: 2048, disk: 20 } })
      yield* done("POST", "/vms/1/reboot", { within: 5 })
      assert.deepStrictEqual(
        App.items(yield* get("/instance-types")).map(({ id }) => id),
        [1, 9]
      )
      assert.deepStrictEqual(
        App.items(yield* get("/instance-types?retired=true")).map(({ id }) => id),
        [1, 2, 9]
      )
      assert.deepStrictEqual((yield* get("/instance-types/2")).json.retired, true)
      assert.strictEqual((yield* ask("DELETE", "/instance-types/7")).status, 404)
    })
  )
})

describe("what instance types require", () => {
  const size = { cpu: 1, ram: 512, disk: 1 }

  it.scopedLive("is said when they are made, and binds their VMs as what types of the file do", () =>
    Effect.gen(function* () {
      const [first, ...others] = AppTest.fleet.hosts
      assert(first !== undefined)
      const hosts = [...others, { ...first, labels: { rack: "a, left" } }]
      const { ask, done, get } = yield* App.make({ ...AppTest.fleet, hosts })
      const made = yield* ask("POST", "/instance-types", {
        ...size,
        requires: { "host.virt": "kvm", rack: ["a, left", "b"] }
      })
      const type = {
        id: 2,
        ...size,
        origin: "api",
        retired: false,
        requires: { "host.virt": ["kvm"], rack: ["a, left", "b"] }
      }
      assert.deepStrictEqual(made.json, type)
      assert.deepStrictEqual((yield* get("/instance-types/2")).json, type)
      assert.deepInclude(App.items(yield* get("/instance-types")), type)
      assert.deepStrictEqual((yield* ask("POST", "/instance-types", { ...size, requires: {} })).json.requires, {})
      yield* done("POST", "/vms", { name: "web", instanceType: 2 })
      const placement = {
        group: null,
        rules: [
          { strength: "must", kind: "on", label: "host.virt", values: ["kvm"], type: 2 },
          { strength: "must", kind: "on", label: "rack", values: ["a, left", "b"], type: 2 }
        ]
      }
      assert.deepInclude((yield* get("/vms/1")).json, { hostId: 3, placement })
      // a retired one binds those that have it as before
      yield* ask("DELETE", "/instance-types/2")
      yield* ask("PATCH", "/vms/1", { placement: null })
      assert.deepInclude((yield* get("/vms/1")).json, { placement })

      yield* ask("POST", "/instance-types", { ...size, requires: { "host.cpu.feature.none-such": ["yes"] }, id: 7 })
      const refused = (yield* ask("POST", "/vms", { name: "db", instanceType: 7 })).json
      assert.deepInclude(refused, { status: 409, code: "no_feasible_host" })
      assert.include(JSON.stringify(refused), "lacks CPU feature none-such, which instance type 7 requires")
      const planned = yield* ask("POST", "/instance-types?plan=true", { ...size, requires: { rack: ["a", "b"] } })
      assert.include(JSON.stringify(planned.json), "requires: rack=a,b")
    })
  )

  it.scopedLive("is refused where no label of hosts is like that, with the field", () =>
    Effect.gen(function* () {
      const { ask } = yield* App.make()
      const many = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`l${i}`, ["x"]]))
      const label = "the key of a label of hosts: 1 to 63 characters without blanks and ="
      const values = "a value, or 1 to 64 values of 1 to 255 characters each, none of them a control character"
      for (const [requires, field, expected] of [
        ["kvm", "requires", ""],
        [many, "requires", "at most 16 labels"],
        [{ "a b": ["x"] }, "requires.a b", label],
        [{ "": ["x"] }, "requires.", label],
        [{ rack: [] }, "requires.rack", values],
        [{ rack: "" }, "requires.rack", values],
        [{ rack: 7 }, "requires.rack", values],
        [{ rack: ["a\nb"] }, "requires.rack", values]
      ] as const) {
        const { json } = yield* ask("POST", "/instance-types", { ...size, requires })
        assert.deepInclude(json, { status: 400, code: "invalid_body", field }, JSON.stringify(requires))
        assert.include(String(json.detail), expected)
      }
      const blank = yield* ask("POST", "/instance-types", { ...size, requires: { rack: ["a", " "] } })
      assert.deepInclude(blank.json, {
        status: 400,
        detail: 'requires has rack=" ", which is blank: expected a value that can be seen'
      })
    })
  )
})

describe("what the files say", () => {
  it.scopedLive("is listed, and hosts go into maintenance", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      const type = { id: 1, cpu: 1, ram: 1024, disk: 10, requires: {}, origin: "file", retired: false }
      assert.deepStrictEqual(App.items(yield* get("/instance-types")), [type])
      assert.deepStrictEqual((yield* get("/instance-types/1")).json, type)
      assert.deepStrictEqual(App.items(yield* get("/images")), [(yield* get("/images/100")).json])
      assert.deepInclude((yield* get("/images/100")).json, { name: "test", source: "/images/test.raw", format: "raw" })
      assert.lengthOf(App.items(yield* get("/pools")), 0)
      assert.lengthOf(App.items(yield* get("/foreign")), 0)

      const hosts = App.items(yield* get("/hosts"))
      assert.deepStrictEqual(
        hosts.map(({ id, name, status }) => [id, name, status]),
        [1, 2, 3].map((id) => [id, `root@test-${id}`, "up"])
      )
      assert.deepInclude((yield* get("/hosts/1")).json, {
        capacity: { cpu: 32, ram: 32768, disk: 500 },
        promised: { cpu: 1, ram: 1024, disk: 10 },
        free: { cpu: 31, ram: 31744, disk: 490 },
        vms: 1
      })
      assert.lengthOf(App.items(yield* get("/hosts/1/vms")), 1)
      assert.lengthOf(App.items(yield* get("/hosts/2/vms")), 0)
      assert.strictEqual((yield* ask("GET", "/hosts/9/vms")).status, 404)

      assert.deepInclude((yield* ask("PATCH", "/hosts/2", { maintenance: true })).json, { id: 2, maintenance: true })
      yield* ask("PATCH", "/hosts/3", { maintenance: true })
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      assert.lengthOf(App.items(yield* get("/hosts/1/vms")), 2)
      assert.deepInclude((yield* ask("POST", "/hosts/2/look")).json, { id: 2, maintenance: true })
    })
  )
})

describe("hosts that are added", () => {
  it.scopedLive("are used without a restart, are changed, and are removed when nothing is there", () =>
    Effect.gen(function* () {
      const { ask, context, done, get } = yield* App.make()
      const monitor = Context.get(context, HostMonitor)
      const address = { user: "root", host: "test-4" }
      const lan = { lan: { kind: "bridge", name: "br0" } }

      const planned = yield* ask("POST", "/hosts?plan=true", { address, networks: lan })
      assert.include(JSON.stringify(planned.json.changes), "+networks: lan=bridge:br0")
      assert.lengthOf(App.items(yield* get("/hosts")), 3)

      const added = yield* ask("POST", "/hosts", { address, networks: lan, labels: { rack: "7" } })
      assert.strictEqual(added.status, 201)
      assert.deepInclude(added.json, {
        id: 4,
        name: "root@test-4",
        origin: "api",
        networks: lan,
        labels: { rack: "7" }
      })
      yield* monitor.awaitUp(HostId.make(4))
      assert.deepInclude((yield* get("/hosts/4")).json, { status: "up", capacity: { cpu: 32, ram: 32768, disk: 500 } })
      for (const id of [1, 2, 3]) yield* ask("PATCH", `/hosts/${id}`, { maintenance: true })
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      assert.lengthOf(App.items(yield* get("/hosts/4/vms")), 1)

      const refused = (method: string, path: string, body: object | undefined, ...words: ReadonlyArray<string>) =>
        Effect.map(ask(method, path, body), (answer) => {
          assert.deepInclude(answer.json, { status: 409, code: "host_conflict" }, JSON.stringify(answer.body))
          for (const word of words) assert.include(String(answer.json.detail), word)
        })
      yield* refused("POST", "/hosts", { address: { user: "ada", host: "TEST-4" } }, "host 4 already", "added before")
      yield* refused("POST", "/hosts", { address: { user: "root", host: "test-1" } }, "host 1", "machine file")
      yield* refused("PATCH", "/hosts/1", { labels: {} }, "machine file", "change its line")
      yield* refused("DELETE", "/hosts/1", undefined, "machine file", "remove its line")
      yield* refused("DELETE", "/hosts/4", undefined, "VM 1 (web)", "destroy")
      yield* refused("PATCH", "/hosts/4", { path: "/other" }, "VM 1 (web) has its disk in /var/lib/vmfabric")
      for (const host of ["256.1.1.1", "1::2::3", "[::1]", "fe80::1%eth0"]) {
        const { json } = yield* ask("POST", "/hosts", { address: { user: "root", host, port: 2299 } })
        assert.deepInclude(json, { status: 400, code: "invalid_body", field: "address.host" })
        const expected = "expected a host name, an IPv4 address, or an IPv6 address without brackets and without a zone"
        assert.include(JSON.stringify(json), expected)
      }

      const before = yield* get("/hosts/4")
      const changed = yield* ask("PATCH", "/hosts/4", { user: "ada", network: "lan", labels: {} })
      assert.deepInclude(changed.json, { name: "ada@test-4", network: "lan", labels: {}, networks: lan })
      assert.deepInclude((yield* ask("PATCH", "/hosts/4", { network: null })).json, { network: null })
      const stale = { "if-match": before.headers.get("etag") ?? "" }
      assert.strictEqual((yield* ask("DELETE", "/hosts/4", undefined, stale)).status, 412)

      const ailing = Context.get(context, DoctorTestState)
      const full = {
        check: "disk",
        level: "failure",
        seen: "0.1 GiB are free",
        means: "Guests stop.",
        mend: "rm it"
      } as const
      yield* ailing.ail(HostId.make(4), full)
      const examined = App.items(yield* ask("POST", "/doctor"))
      assert.deepStrictEqual(
        examined.map(({ hostId, level }) => [hostId, level]),
        [
          [1, "ok"],
          [2, "ok"],
          [3, "ok"],
          [4, "failure"]
        ]
      )
      assert.deepStrictEqual(App.items(yield* ask("POST", "/doctor?host=4")), [
        { hostId: 4, host: "ada@test-4", ...full }
      ])
      assert.strictEqual((yield* ask("POST", "/doctor?host=9")).status, 404)

      // one that was never reached is told of with what it was given
      const nowhere = { user: "root", host: "nowhere" }
      yield* Context.get(context, HypervisorTestState).setUnreachable(
        Host.make({ id: HostId.make(5), config: defaultConfig({ ...nowhere, port: 22 }), facts: null }),
        "no route"
      )
      const far = { kind: "bridge", name: "br7" }
      assert.strictEqual((yield* ask("POST", "/hosts", { address: nowhere, networks: { far } })).status, 201)
      assert.deepInclude((yield* get("/networks/far")).json, {
        kind: "bridge",
        vms: 0,
        hosts: [
          {
            hostId: 5,
            host: "root@nowhere",
            source: "bridge:br7",
            vlans: null,
            default: false,
            state: "unknown",
            problem: "its host has not been reached yet, so it is not known whether it is there"
          }
        ]
      })
      assert.include(JSON.stringify((yield* get("/networks")).json), '"state":"usable"')

      yield* done("DELETE", "/vms/1")
      assert.strictEqual((yield* ask("DELETE", "/hosts/4")).status, 204)
      assert.strictEqual((yield* ask("GET", "/hosts/4")).status, 404)
      assert.isFalse((yield* monitor.statuses).has(HostId.make(4)))
      // it is back under its old id, as new
      assert.deepInclude((yield* ask("POST", "/hosts", { address })).json, { id: 4, name: "root@test-4", networks: {} })
    })
  )
})

describe("a host that never comes back", () => {
  it.scopedLive("is declared lost, is emptied and removed, and nothing is asked of it meanwhile", () =>
    Effect.gen(function* () {
      const { ask, context, done, get } = yield* App.make(App.fleet(0, 1000))
      const hosts = Context.get(context, HypervisorTestState)
      const inventory = Context.get(context, Inventory)
      yield* ask("POST", "/hosts", { address: { user: "root", host: "test-1" } })
      yield* World.eventually(Effect.map(get("/hosts/1"), ({ json }) => assert.strictEqual(json.status, "up")))
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })

      const early = yield* ask("PATCH", "/hosts/1", { lost: true })
      assert.deepInclude(early, { status: 409 })
      assert.deepInclude(early.json, {
        code: "host_conflict",
        detail:
          "host root@test-1 cannot be declared lost while it is up: take its power away, and wait until it is down"
      })

      yield* hosts.setUnreachable((yield* inventory.host(HostId.make(1))).host, "no route")
      yield* World.eventually(Effect.map(get("/hosts/1"), ({ json }) => assert.strictEqual(json.status, "down")))
      const destroying = yield* ask("DELETE", "/vms/1", undefined, { prefer: "respond-async" })
      assert.strictEqual(destroying.status, 202)
      const planned = yield* ask("PATCH", "/hosts/1?plan=true", { lost: true })
      assert.include(JSON.stringify(planned.json), "lost")
      assert.deepInclude((yield* get("/hosts/1")).json, { status: "down" })

      const lost = yield* ask("PATCH", "/hosts/1", { lost: true })
      assert.deepInclude(lost.json, { status: "lost", vms: 1, signs: null })
      yield* World.eventually(
        Effect.map(get("/operations?ended=false"), (answer) => assert.lengthOf(App.items(answer), 0))
      )
      assert.deepInclude((yield* get("/hosts/1")).json, { vms: 0, promised: { cpu: 0, ram: 0, disk: 0 } })
      // nothing there is to be seen, nor to be said of it
      const look = yield* ask("POST", "/hosts/1/look")
      assert.include(JSON.stringify(look.json), "it is declared lost")
      const told = App.items(yield* get("/events?type=host.changed")).map(({ data }) => Contract.members(data).status)
      assert.deepStrictEqual(
        told.filter((status) => status !== undefined && status !== "suspect"),
        ["up", "down", "lost"]
      )
      assert.strictEqual((yield* ask("DELETE", "/hosts/1")).status, 204)
    })
  )
})

describe("webhooks", () => {
  it.scopedLive("are made with a secret that is told once, changed, tested and removed", () =>
    Effect.gen(function* () {
      const { ask, context, done, get } = yield* App.make()
      const receivers = Context.get(context, WebhookReceivers)
      const url = "https://receiver.example/hooks"
      const types = ["vm.created"]
      const created = yield* ask("POST", "/webhooks", { url, types })
      assert.strictEqual(created.status, 201)
      assert.match(String(created.json.secret), /^whsec_[A-Za-z0-9+/]{43}=$/)
      yield* ask("POST", "/webhooks", { url: "https://other.example/", types: null })
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      const event = App.items(yield* get("/events?type=vm.created"))[0]
      yield* World.eventually(
        Effect.map(receivers.received, (all) => {
          const bodies = all.filter((one) => one.url === url).map(({ body }): unknown => JSON.parse(body))
          assert.deepStrictEqual(bodies, [event])
        })
      )
      const { json } = yield* get("/webhooks/1")
      assert.deepInclude(json, { id: 1, url, types, status: "delivering", lastFailure: null, nextTryAt: null })
      assert.notProperty(json, "secret")
      assert.deepStrictEqual(
        App.items(yield* get("/webhooks")).map(({ id }) => id),
        [1, 2]
      )
      assert.deepInclude((yield* ask("PATCH", "/webhooks/1", { types: null })).json, { types: null, url })
      const rotated = yield* ask("POST", "/webhooks/1/secret")
      assert.match(String(rotated.json.secret), /^whsec_/)
      assert.notStrictEqual(rotated.json.secret, created.json.secret)
      assert.deepInclude((yield* ask("POST", "/webhooks/1/ping")).json, { delivered: true, status: 204, reason: null })

      const deliveries = App.items(yield* get("/webhooks/1/deliveries"))
      assert.deepInclude(deliveries[0], { type: "ping", cursor: null, try: 1, status: 204, reason: null })
      const sent = deliveries.find(({ type }) => type === "vm.created")
      assert.deepInclude(sent, { cursor: event?.id, try: 1, status: 204, reason: null, nextTryAt: null })
      assert.deepStrictEqual(
        deliveries.map(({ id }) => id),
        deliveries.map(({ id }) => id).toSorted((a, b) => Number(b) - Number(a))
      )

      for (const body of [
        { url: "https://169.254.169.254/" },
        { url: "http://receiver.example/" },
        { url, types: [] },
        { url, types: ["vm"] },
        { url, secret: "mine" },
        { url: "" },
        {}
      ]) {
        assert.strictEqual((yield* ask("POST", "/webhooks", body)).status, 400, JSON.stringify(body))
      }
      const refused = yield* ask("DELETE", "/webhooks/1", undefined, { "if-match": '"x"' })
      assert.deepInclude(refused.json, { status: 412, code: "has_changed" })
      assert.strictEqual((yield* ask("DELETE", "/webhooks/1")).status, 204)
      for (const [method, path] of [
        ["GET", ""],
        ["GET", "/deliveries"],
        ["DELETE", ""],
        ["POST", "/secret"],
        ["POST", "/ping"]
      ] as const) {
        const answer = yield* ask(method, `/webhooks/1${path}`)
        assert.deepInclude(answer.json, { status: 404, code: "webhook_not_found" })
      }
      assert.lengthOf(App.items(yield* get("/webhooks")), 1)
    })
  )
})

describe("operations", () => {
  it.scopedLive("are listed by what they are about, the newest first, and cancelled", () =>
    Effect.gen(function* () {
      const { ask, done, get } = yield* App.make()
      yield* done("POST", "/vms", { name: "web", instanceType: 1 })
      const id = String((yield* done("POST", "/volumes", { name: "data", size: 2 })).json.id)
      yield* done("PATCH", "/volumes/1", { size: 3 })
      const kinds = (query: string) =>
        Effect.map(get(`/operations${query}`), (answer) => App.items(answer).map(({ kind }) => kind))
      assert.deepStrictEqual(yield* kinds(""), ["GrowVolume", "CreateVolume", "CreateVm"])
      assert.deepStrictEqual(yield* kinds("?volume=1"), ["GrowVolume", "CreateVolume"])
      assert.deepStrictEqual(yield* kinds("?vm=1"), ["CreateVm"])
      assert.deepStrictEqual(yield* kinds("?kind=CreateVolume"), ["CreateVolume"])
      assert.deepStrictEqual(yield* kinds("?state=failed"), [])
      assert.deepStrictEqual(yield* kinds("?ended=false"), [])
      assert.deepStrictEqual(yield* kinds("?ended=true&state=done&limit=1"), ["GrowVolume"])

      const walked: Array<unknown> = []
      for (let path: string | null = "/operations?limit=1"; path !== null;) {
        const page: App.Answer = yield* get(path)
        walked.push(...App.items(page).map(({ kind }) => kind))
        path = page.json.next === null ? null : `/operations?limit=1&cursor=${String(page.json.next)}`
      }
      assert.deepStrictEqual(walked, ["GrowVolume", "CreateVolume", "CreateVm"])

      assert.deepInclude((yield* get(`/operations/${id}`)).json, { id, kind: "CreateVolume", volumeId: 1 })
      const { items } = (yield* get(`/operations/${id}/steps`)).json
      assert(Array.isArray(items))
      assert.deepInclude(items[0], { phase: "do", name: "volume", state: "done", tries: 1, error: null })
      assert.strictEqual(
        (yield* ask("GET", "/operations/11111111-2222-4333-8444-555555555555/steps")).json.code,
        "operation_not_found"
      )
      const late = yield* ask("POST", `/operations/${id}/cancel`)
      assert.deepInclude(late.json, { status: 409, code: "not_cancellable", operation: id })

      // one that waits for its host can be cancelled
      yield* ask("PATCH", "/hosts/1", { maintenance: false })
      const begun = yield* ask("POST", "/vms", { name: "slow", instanceType: 1 })
      const asked = yield* ask("POST", `/operations/${String(begun.json.id)}/cancel`, undefined, { prefer: "wait=20" })
      // unless it was done before that was heard
      if (asked.status !== 409) {
        assert.strictEqual(asked.status, 200)
        assert.deepInclude(asked.json, { id: begun.json.id, state: "failed", cancelAsked: true })
      }
    })
  )
})
