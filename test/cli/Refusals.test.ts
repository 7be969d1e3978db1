/** What somebody reads whose request can be placed nowhere, word for word; and why a VM is where it is. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as HypervisorTest from "../../layers/HypervisorTest.ts"
import { defaultConfig } from "../../src/domain/Host.ts"
import { HostId, InstanceTypeId } from "../../src/domain/Ids.ts"
import { Inventory, type FleetConfig } from "../../src/services/Inventory.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import * as Served from "../client/Served.ts"
import * as Typed from "./Typed.ts"

const sizes = [
  [1, 1, 1024, 10],
  [2, 2, 8192, 50],
  [3, 4, 24_576, 100],
  [4, 16, 4096, 10],
  [5, 1, 1024, 900],
  [6, 1, 20_480, 10]
] as const

/** Three hosts of 8 vCPUs, 32 GiB and 500 GiB; only the first two have the network lan. */
const fleet: FleetConfig = {
  hosts: ["h1", "h2", "h3"].map((host) => ({
    ...defaultConfig({ user: "root", host, port: 22 }),
    overcommit: { cpu: 1, ram: 1, disk: 1 },
    ...(host === "h3" ? {} : { networks: { lan: { kind: "bridge" as const, name: "br0" } } })
  })),
  images: [{ name: "test", source: { host: null, path: "/images/test.raw" } }],
  types: sizes.map(([tid, cpu, ram, disk]) => ({ tid: InstanceTypeId.make(tid), cpu, ram, disk }))
}

const shell = Effect.fn("shell")(function* (config: FleetConfig) {
  const served = yield* Served.of(config)
  const typed = yield* Typed.make({ VMFABRIC_URL: served.url })
  const inventory = Context.get(served.context, Inventory)
  /** Cut off, or back again; ends when the controller knows. */
  const reach = Effect.fnUntraced(function* (id: HostId, reason: string | null) {
    const { setUnreachable } = Context.get(served.context, HypervisorTest.HypervisorTestState)
    yield* setUnreachable((yield* inventory.host(id)).host, reason)
    const { refresh, statuses } = Context.get(served.context, HostMonitor)
    yield* refresh
    yield* Effect.repeat(statuses, {
      until: (all) => (all.get(id)?._tag === "Up") === (reason === null),
      schedule: Schedule.spaced("50 millis")
    }).pipe(Effect.timeout("60 seconds"))
  })
  const update = Effect.fnUntraced(function* (
    id: HostId,
    change: (host: HypervisorTest.TestHost) => HypervisorTest.TestHost
  ) {
    const state = Context.get(served.context, HypervisorTest.HypervisorTestState)
    yield* state.update((yield* inventory.host(id)).host, change)
  })
  const done = (...args: ReadonlyArray<string>) =>
    Effect.map(typed.run(...args), ({ all, out, status }) => {
      assert.strictEqual(status, 0, `${args.join(" ")}: ${all}`)
      return out
    })
  const refused = (...args: ReadonlyArray<string>) =>
    Effect.map(typed.run(...args), ({ err, status }) => {
      assert.strictEqual(status, 1, err)
      return err.slice(err.indexOf("vmfabric: ")).trimEnd().split("\n")
    })
  const create = (type: number, ...more: ReadonlyArray<string>) =>
    refused("vm", "create", "--name", "new", "--type", String(type), ...more)
  return { ...typed, served, reach, update, done, refused, create }
})

const type1 = "instance type 1 (1 vCPU, 1 GiB of memory, 10 GiB of disk) (--type 1)"
const type2 = "instance type 2 (2 vCPUs, 8 GiB of memory, 50 GiB of disk) (--type 2)"
const look = (host: string) => `(vmfabric vm list --host ${host} shows what is there)`
const smaller = [
  `  root@h1 could take it as ${type1}`,
  `  root@h1 could take it as ${type2}`,
  `  root@h1 lacks only 12 GiB of memory ${look("root@h1")}`
]

describe("refusals", () => {
  it.scopedLive("of many VMs are told beside those that failed later", () =>
    Effect.gen(function* () {
      const { run, served } = yield* shell(fleet)
      yield* served.refuse
      const { err, status } = yield* run("vm", "create", "--name", "n", "--type", "3", "--count", "5")
      assert.strictEqual(status, 1)
      assert.match(
        err,
        /^3 of 3 VMs could not be created: vmfabric operation list --kind CreateVm --state failed says why$/m
      )
      assert.match(err, /^vmfabric: 2 of 5 VMs were not begun: no host can take the VM$/m)
    })
  )

  it.scopedLive(
    "say in more than ten cases what stands in the way on which hosts, and what to do next",
    () =>
      Effect.gen(function* () {
        const { create, done, reach, refused, run } = yield* shell(fleet)

        // 1: no host is that large
        assert.deepStrictEqual(yield* create(4), [
          "vmfabric: no host can take the VM",
          "  3 hosts: vCPUs short by 8 (8 in all)",
          "what would help:",
          `  root@h1 could take it as ${type1}`,
          "  root@h1 could take it as instance type 6 (1 vCPU, 20 GiB of memory, 10 GiB of disk) (--type 6)",
          `  root@h1 could take it as ${type2}`
        ])
        // 2: nor for a volume, for which there are no types
        assert.deepStrictEqual(yield* refused("volume", "create", "--name", "v", "--size", "600"), [
          "vmfabric: no host can take the volume",
          "  3 hosts: disk short by 100 GiB (500 GiB in all)",
          "nothing less was found that would help"
        ])
        // 3: a network that nobody has
        assert.deepStrictEqual(yield* create(1, "--nic", "network=dmz"), [
          "vmfabric: no host can take the VM",
          "  3 hosts: it has no network dmz",
          "what would help:",
          "  root@h1 could take it without NICs on dmz (vmfabric network list shows which hosts have which)"
        ])
        yield* done("vm", "create", "--name", "a", "--type", "3", "--nic", "network=lan")
        yield* done("vm", "create", "--name", "b", "--type", "3", "--nic", "network=lan")
        // 4: where the network is there is no room
        assert.deepStrictEqual(yield* create(6, "--nic", "network=lan"), [
          "vmfabric: no host can take the VM",
          "  2 hosts: memory short by 12 GiB",
          "  root@h3: it has no network lan",
          "what would help:",
          "  root@h3 could take it without NICs on lan (vmfabric network list shows which hosts have which)",
          ...smaller
        ])
        // a rule, by its name: one of each group a host
        yield* done("vm", "create", "--name", "w", "--type", "1", "--group", "web", "--must", "apart", "--count", "3")
        assert.deepStrictEqual(yield* create(1, "--group", "web", "--must", "apart"), [
          "vmfabric: no host can take the VM",
          "  3 hosts: it must be apart from web over host, and it has 1 of web",
          "what would help:",
          "  root@h3 could take it if these need not hold: it must be apart from web over host; another VM must be apart from web over host"
        ])
        assert.deepStrictEqual((yield* create(1, "--must", "on rack=a")).slice(1), [
          "  3 hosts: it must be on rack=a, and it has no label rack",
          "what would help:",
          "  root@h3 could take it if this need not hold: it must be on rack=a (--should in place of --must)"
        ])
        for (const name of ["w-1", "w-2", "w-3"]) yield* done("vm", "destroy", name, "--yes")
        // 5: in maintenance
        yield* done("host", "maintenance", "h3", "on")
        assert.deepStrictEqual(yield* create(6), [
          "vmfabric: no host can take the VM",
          "  2 hosts: memory short by 12 GiB",
          "  root@h3: it is in maintenance",
          "what would help:",
          "  root@h3 has room for it, and is in maintenance: take it out of maintenance (vmfabric host maintenance root@h3 off)",
          ...smaller
        ])
        yield* done("host", "maintenance", "h3", "off")
        // 6: down
        yield* reach(HostId.make(3), "no route to host")
        assert.deepStrictEqual(yield* create(6), [
          "vmfabric: no host can take the VM",
          "  2 hosts: memory short by 12 GiB",
          "  root@h3: no route to host",
          "what would help:",
          "  root@h3 has room for it once it is up: no route to host (vmfabric host doctor root@h3)",
          ...smaller
        ])
        yield* reach(HostId.make(3), null)
        // 7: room is there, but not in one place; a plan is refused with the same words
        yield* done("vm", "create", "--name", "c", "--type", "2")
        yield* done("vm", "create", "--name", "d", "--type", "2")
        const scattered = [
          "vmfabric: no host can take the VM",
          "  3 hosts: memory short by 4 GiB or more",
          "what would help:",
          `  root@h3 could take it as ${type1}`,
          `  root@h3 could take it as ${type2}`,
          "  root@h3 has room for it once VM 6 (c) is on root@h1",
          `  root@h3 lacks only 4 GiB of memory ${look("root@h3")}`
        ]
        assert.deepStrictEqual(yield* create(6), scattered)
        assert.deepStrictEqual(yield* create(6, "--plan"), scattered)
        const asJson = JSON.parse((yield* run("vm", "create", "--name", "new", "--type", "6", "-o", "json")).err)
        assert.deepStrictEqual(asJson.refusal.repairs.slice(2), [
          {
            kind: "move",
            text: "root@h3 has room for it once VM 6 (c) is on root@h1",
            hostId: 3,
            host: "root@h3",
            moves: [{ vmId: 6, name: "c", toHostId: 1, toHost: "root@h1" }]
          },
          {
            kind: "room",
            text: "root@h3 lacks only 4 GiB of memory",
            hostId: 3,
            host: "root@h3",
            lacks: { cpu: 0, ram: 4096, disk: 0 }
          }
        ])
        // 8: of several some, as planned
        const full = [
          "  2 hosts: memory short by 8 GiB",
          "  root@h3: vCPUs short by 2; memory short by 8 GiB",
          "what would help:",
          `  root@h1 lacks only 8 GiB of memory ${look("root@h1")}`
        ]
        const planned = yield* done("vm", "create", "--name", "new", "--type", "2", "--count", "9", "--plan")
        assert.include(planned, ["5 would not be begun: no host can take the VM", ...full, ""].join("\n"))
        assert.deepStrictEqual(yield* create(2, "--count", "9"), [
          "vmfabric: 5 of 9 VMs were not begun: no host can take the VM",
          ...full
        ])
        // 9: several things at once, as a program reads it
        const { err } = yield* run("vm", "create", "--name", "new", "--type", "5", "-o", "json")
        const h1 = ["memory short by 1 GiB", "disk short by 550 GiB (500 GiB in all)"]
        const h3 = ["vCPUs short by 1", "memory short by 1 GiB", "disk short by 600 GiB (500 GiB in all)"]
        assert.deepInclude(JSON.parse(err), {
          code: "no_feasible_host",
          detail: `no host can take the VM: 2 hosts: ${h1.join("; ")}; root@h3: ${h3.join("; ")}`,
          refusal: {
            problem: "no host can take the VM",
            hosts: 3,
            barred: [
              { count: 2, host: "root@h1", reasons: h1 },
              { count: 1, host: "root@h3", reasons: h3 }
            ],
            unnamed: 0,
            repairs: []
          }
        })
        // 10: no hosts at all
        const bare = yield* shell({ ...fleet, hosts: [] })
        assert.deepStrictEqual(yield* bare.create(1), [
          "vmfabric: no host can take the VM",
          "  there are no hosts: vmfabric host add adds one"
        ])
      }),
    120_000
  )

  it.scopedLive(
    "are explained the other way round by why a VM is where it is, as long as it exists",
    () =>
      Effect.gen(function* () {
        const { done, run } = yield* shell(fleet)
        yield* done("vm", "create", "--name", "a", "--type", "3")
        yield* done("vm", "create", "--name", "b", "--type", "2", "--nic", "network=lan")
        const why = (yield* done("vm", "why", "b")).replace(/20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ/, "TIME")
        assert.deepStrictEqual(why.trimEnd().split("\n"), [
          "vm      b (2)",
          "host    root@h2 (2)",
          "placed  TIME",
          "why     root@h2 is better than root@h1 by 0.75, most of all by what stays free (0.75)",
          "choice  2 of 3 hosts could take it at that time",
          "",
          "HOST         SCORE  FOR",
          "root@h2 (2)  0.75   spread 0.75",
          "root@h1 (1)  0      spread 0",
          "",
          "COULD NOT  BECAUSE",
          "root@h3    it has no network lan"
        ])
        // made as it was planned, when another host is better by now
        const plan = yield* done("vm", "create", "--name", "c", "--type", "1", "--plan", "-o", "name")
        yield* done("vm", "create", "--name", "d", "--type", "2", "--count", "5")
        yield* done("vm", "create", "--name", "c", "--type", "1", "--plan-id", plan.trim())
        assert.include(
          yield* done("vm", "why", "c"),
          "why     it was to be on root@h3; of all that can take it root@h1 is better"
        )
        // what more fits, and which host may not be lost
        const fits = yield* run("fits")
        assert.deepStrictEqual(`${fits.out}${fits.err}`.trimEnd().split("\n"), [
          "TYPE  VCPUS  RAM MIB  DISK GIB  REQUIRES  MORE FIT  ON HOSTS  USED UP FIRST",
          "   1      1     1024        10  -                7         3  vCPUs",
          "   2      2     8192        50  -                2         2  vCPUs",
          "   3      4    24576       100  -                0         0  memory",
          "   4     16     4096        10  -                0         0  vCPUs",
          "   5      1     1024       900  -                0         0  disk",
          "   6      1    20480        10  -                0         0  memory",
          "",
          "WITHOUT HOST  VMS  NO ROOM FOR  AS",
          "root@h2 (2)     3            2  d-2 (4), d-4 (6)",
          "root@h3 (3)     4            2  d-5 (7), c (8)",
          "root@h1 (1)     1            1  a (1)",
          "3 of 3 hosts cannot be lost without leaving VMs that fit nowhere"
        ])
        yield* done("vm", "destroy", "b", "--yes")
        const gone = yield* run("vm", "why", "2")
        assert.strictEqual(gone.status, 3)
        assert.include(gone.err, "VM 2 does not exist")
      }),
    120_000
  )

  it.scopedLive(
    "tell what a host keeps free, from the moment it is to, and what is there stays",
    () =>
      Effect.gen(function* () {
        const { create, done, reach, run } = yield* shell({ ...fleet, hosts: [] })
        yield* done("host", "add", "root@h1", "overcommit.cpu=1")
        yield* reach(HostId.make(1), null)
        yield* done("vm", "create", "--name", "a", "--type", "3")
        const set = yield* done("host", "set", "h1", "reserved.ram=4096")
        assert.match(set, /^vms +1$/m)
        assert.match(set, /^free ram mib +4096\/28672$/m)
        assert.deepStrictEqual(yield* create(2), [
          "vmfabric: no host can take the VM",
          "  root@h1: memory short by 4 GiB (4 GiB are reserved)",
          "what would help:",
          `  root@h1 could take it as ${type1}`,
          `  root@h1 lacks only 4 GiB of memory ${look("root@h1")}`
        ])
        assert.deepStrictEqual((yield* create(6)).slice(1, 2), [
          "  root@h1: memory short by 16 GiB (4 GiB are reserved)"
        ])
        assert.match((yield* run("fits")).all, /^kept free in all: 0 vCPUs, 4096 MiB, 0 GiB$/m)
        // more than it has: nothing new, and what is there stays
        yield* done("host", "set", "h1", "reserved.ram=100000")
        assert.include((yield* create(1))[1], "memory short by 25 GiB (32 GiB in all, 32 GiB are reserved)")
        assert.match(yield* done("vm", "get", "a"), /^state +running$/m)

        yield* done("host", "set", "h1", "--remove", "reserved.ram")
        yield* done("vm", "create", "--name", "b", "--type", "2")
        assert.notInclude((yield* run("fits")).all, "kept free")
      }),
    120_000
  )

  it.scopedLive(
    "and instance types require what hosts say of themselves, which stays with their VMs until they have another type",
    () =>
      Effect.gen(function* () {
        const requires = { "host.cpu.feature.avx512f": ["yes"], "host.virt": ["kvm"] }
        const vector = { tid: InstanceTypeId.make(7), cpu: 1, ram: 1024, disk: 10, requires }
        const plain = { tid: InstanceTypeId.make(8), cpu: 1, ram: 2048, disk: 10 }
        const { create, done, reach, run, update } = yield* shell({ ...fleet, types: [vector, plain] })
        assert.match(yield* done("type", "get", "7"), /^requires +CPU feature avx512f, host.virt=kvm$/m)
        const lacks = "lacks CPU feature avx512f, which instance type 7 requires"
        assert.deepStrictEqual(yield* create(7), [
          "vmfabric: no host can take the VM",
          `  3 hosts: ${lacks}`,
          "what would help:",
          "  root@h1 could take it as instance type 8 (1 vCPU, 2 GiB of memory, 10 GiB of disk) (--type 8)"
        ])
        assert.match((yield* run("fits")).all, /^ *7 +1 +1024 +10 +CPU feature avx512f, host.virt=kvm +0 +0 +-$/m)

        const h2 = HostId.make(2)
        const has = (features: ReadonlyArray<string>) =>
          Effect.zipRight(
            update(h2, (there) => ({ ...there, machine: { ...there.machine, features } })),
            Effect.zipRight(reach(h2, "cut off"), reach(h2, null))
          )
        yield* has(["avx512f", "sse2"])
        assert.match(yield* done("host", "get", "h2"), /^cpu features +avx512f sse2$/m)
        // a machine's name is the same in capitals, a user's is not
        for (const name of ["H2", "root@H2"]) assert.match(yield* done("host", "get", name), /^id +2$/m)
        assert.include((yield* run("host", "get", "ROOT@h2")).err, "there is no host with the name")
        yield* done("vm", "create", "--name", "a", "--type", "7", "--group", "g", "--must", "not on rack=r9")
        yield* done("vm", "create", "--name", "b", "--type", "7")
        const where = (name: string) =>
          Effect.map(done("vm", "get", name), (out) => /^host +(.*)$/m.exec(out)?.[1]?.trim() ?? out)
        assert.deepStrictEqual([yield* where("a"), yield* where("b")], ["2", "2"])
        assert.match((yield* run("fits")).all, /^ *7 +1 +1024 +10 +CPU feature avx512f, host.virt=kvm +6 +1 +vCPUs$/m)

        // what it requires is not said by anybody, and nobody takes it away
        const rules = (name: string) =>
          Effect.map(done("vm", "get", name), (out) => /^placement +(.*)$/m.exec(out)?.[1]?.trim() ?? null)
        const required =
          "must be on host.cpu.feature.avx512f=yes (instance type 7 requires it); must be on host.virt=kvm (instance type 7 requires it)"
        assert.strictEqual(yield* rules("a"), `group g; must be not on rack=r9; ${required}`)
        yield* done("vm", "set", "a", "--group", "h")
        assert.strictEqual(yield* rules("a"), `group h; must be not on rack=r9; ${required}`)
        yield* done("vm", "set", "a", "--anywhere")
        assert.strictEqual(yield* rules("a"), required)

        yield* has(["sse2"])
        assert.include(yield* done("vm", "get", "b"), `root@h2 ${lacks}`)
        yield* done("vm", "stop", "b")
        yield* done("vm", "resize", "b", "--type", "8")
        assert.notMatch((yield* rules("b")) ?? "", /must/)
        const back = yield* run("vm", "resize", "b", "--type", "7")
        assert.strictEqual(back.status === 0, false)
        assert.include(back.all, `cannot be of that type on its host: root@h2 ${lacks}`)
        yield* has(["avx512f"])
        yield* done("vm", "resize", "b", "--type", "7")
        assert.strictEqual(yield* rules("b"), required)

        // one that is made says it in the words of a rule
        const size = ["type", "create", "--cpu", "1", "--ram", "512", "--disk", "1"] as const
        const made = yield* done(
          ...size,
          "--requires",
          'host.virt="q, w",kvm',
          "--requires",
          "host.cpu.feature.avx512vnni=yes"
        )
        const words = 'host.virt="q, w",kvm, CPU feature avx512vnni'
        assert.include(made, words)
        assert.include((yield* run("type", "list")).all, words)
        assert.deepStrictEqual((yield* create(9)).slice(0, 2), [
          "vmfabric: no host can take the VM",
          "  3 hosts: lacks CPU feature avx512vnni, which instance type 9 requires"
        ])
        yield* has(["avx512vnni"])
        yield* done("vm", "create", "--name", "c", "--type", "9")
        assert.strictEqual(yield* where("c"), "2")
        for (const [wrong, why] of [
          [["row"], "expected LABEL=VALUE,… as in host.virt=kvm"],
          [['row="1'], "a value in double quotes has to end with one"],
          [["row=1", "row=2"], "row is said twice: give all its values at once, as in row=a,b"]
        ] as const) {
          const { all, status } = yield* run(...size, ...wrong.flatMap((one) => ["--requires", one]))
          assert.strictEqual(status, 2)
          assert.include(all, why)
        }
      }),
    120_000
  )

  it.scopedLive(
    "and rules ask for what hosts say of themselves as they ask for labels",
    () =>
      Effect.gen(function* () {
        const mixed = fleet.hosts.map((host, index) => (index === 2 ? { ...host, virt: "qemu" as const } : host))
        const { create, done, reach, run, update } = yield* shell({ ...fleet, hosts: mixed })
        const h2 = HostId.make(2)
        yield* update(h2, (there) => ({
          ...there,
          machine: { ...there.machine, processor: { model: "Skylake-Server", vendor: "Intel" } }
        }))
        yield* reach(h2, "cut off")
        yield* reach(h2, null)
        assert.match(
          yield* done("host", "get", "h2"),
          /^traits +host.arch=x86_64 host.virt=kvm host.cpu.model=Skylake-Server host.cpu.vendor=Intel$/m
        )
        yield* done("vm", "create", "--name", "a", "--type", "1", "--must", "on host.cpu.vendor=Intel")
        yield* done("vm", "create", "--name", "b", "--type", "1", "--must", "on host.virt=qemu")
        yield* done("vm", "create", "--name", "c", "--type", "1", "--group", "g", "--must", "apart over host.virt")
        yield* done("vm", "create", "--name", "d", "--type", "1", "--group", "g", "--must", "apart over host.virt")
        const at = Effect.forEach(["a", "b", "c", "d"], (name) =>
          Effect.map(done("vm", "get", name), (out) => /^host +.*?(\d)/m.exec(out)?.[1] ?? out)
        )
        const [a, b, ...others] = yield* at
        assert.deepStrictEqual([a, b], ["2", "3"])
        assert.lengthOf(
          others.filter((host) => host === "3"),
          1
        )
        const both = ["--must", "on host.cpu.model=EPYC-Rome", "--must", "not on host.virt=kvm,qemu"]
        const virt = "it must be not on host.virt=kvm,qemu, and its host.virt is kvm"
        assert.deepStrictEqual((yield* create(1, ...both)).slice(1, 3), [
          "  2 hosts: it must be not on host.virt=kvm,qemu",
          `  root@h2: it must be on host.cpu.model=EPYC-Rome, and its host.cpu.model is Skylake-Server; ${virt}`
        ])
        assert.include(
          (yield* run("host", "add", "root@h4", "label.host.virt=kvm")).err,
          '"label.host.virt" is not a key'
        )
      }),
    120_000
  )

  it.scopedLive(
    "and why a VM is where it is shows what would repair its rules, or why nothing would",
    () =>
      Effect.gen(function* () {
        const { done, run } = yield* shell(fleet)
        const why = Effect.map(run("vm", "why", "d"), ({ all, status }) => {
          assert.strictEqual(status, 0, all)
          return all.slice(all.indexOf("DOES NOT HOLD")).trimEnd().split("\n")
        })
        for (const name of ["a", "b", "c"]) yield* done("vm", "create", "--name", name, "--type", "1")
        yield* done("vm", "create", "--name", "d", "--type", "2")
        assert.notInclude(yield* done("vm", "why", "d"), "HOLD")
        yield* done("vm", "set", "d", "--must", "not with a")
        assert.deepStrictEqual(yield* why, [
          "DOES NOT HOLD             BECAUSE",
          "it must be not with VM 1  VM 1 (a) is on root@h1, too",
          "",
          "MOVE   FROM         TO           GAIN    MEMORY    DISK",
          "d (4)  root@h1 (1)  root@h2 (2)  1 rule  8.00 GiB  50.0 GiB",
          "after these moves all its must-rules hold; nothing has been moved"
        ])
        yield* done("vm", "set", "d", "--must", "on rack=a")
        const [first, second, , ...rest] = yield* why
        assert.deepStrictEqual(
          [first, second],
          ["DOES NOT HOLD         BECAUSE", "it must be on rack=a  root@h1 has no label rack"]
        )
        assert.deepStrictEqual(rest[1]?.split(/ {2,}/), [
          "d (4)",
          "root@h1 (1)",
          "no other host can take it",
          "2 hosts: it must be on rack=a, and it has no label rack | root@h1: it is there; it must be on rack=a, and it has no label rack",
          "root@h2 could take it if this need not hold: it must be on rack=a"
        ])
        assert.strictEqual(rest[2], "no moves were found after which all its must-rules hold")
        const json = yield* run("vm", "why", "d", "-o", "json")
        assert.deepInclude(JSON.parse(json.out).repair, { further: 0, complete: true, moves: [] })
      }),
    120_000
  )

  it.scopedLive(
    "and moves that are planned are shown with what they gain and cost, and who stays with why",
    () =>
      Effect.gen(function* () {
        const { done, run } = yield* shell(fleet)
        const lines = (text: string) => text.trimEnd().split("\n")
        for (const name of ["a", "b", "c"]) yield* done("vm", "create", "--name", name, "--type", "2")
        const none = yield* run("rebalance")
        assert.deepStrictEqual([none.status, lines(none.all)], [0, ["no move would gain anything"]])
        yield* done("vm", "create", "--name", "large", "--type", "3", "--nic", "network=lan")
        const spread = yield* run("rebalance")
        assert.deepStrictEqual(
          [spread.status, lines(spread.all)],
          [
            0,
            [
              "MOVE   FROM         TO           GAIN                       MEMORY    DISK",
              "a (1)  root@h1 (1)  root@h2 (2)  25 % off the higher share  8.00 GiB  50.0 GiB",
              "",
              "OF THE HOSTS IN USE  NOW    AFTERWARDS",
              "highest share        100 %  75 %",
              "mean share           50 %   50 %",
              "with VMs             3      3",
              "empty                0      0",
              "broken must-rules    0      0"
            ]
          ]
        )
        const empty = yield* run("rebalance", "--empty", "root@h1")
        const wrong = yield* run("rebalance", "--empty", "root@h9")
        const both = yield* run("rebalance", "--empty", "root@h1", "--repair")
        assert.deepStrictEqual(
          [empty.status, lines(empty.all).slice(0, 3)],
          [
            0,
            [
              "MOVE       FROM         TO           GAIN                      MEMORY    DISK",
              "large (4)  root@h1 (1)  root@h2 (2)  50 % of the host emptied  24.0 GiB  100 GiB",
              "a (1)      root@h1 (1)  root@h3 (3)  50 % of the host emptied  8.00 GiB  50.0 GiB"
            ]
          ]
        )
        assert.strictEqual(wrong.status, 3)
        assert.include(wrong.err, 'there is no host with the name "root@h9"')
        assert.deepStrictEqual(
          [both.status, lines(both.all)],
          [2, ["vmfabric: empty is given together with the aim repair: expected one of them"]]
        )
        const json = yield* run("rebalance", "--empty", "root@h1", "-o", "json")
        assert.deepInclude(JSON.parse(json.out), { aim: "empty", policy: "spread" })
      }),
    120_000
  )
})
