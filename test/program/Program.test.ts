/**
 * The program as its README starts it, on the simulated fleet.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { connect } from "node:net"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Listening from "../../src/bin/Listening.ts"
import * as World from "../fabric/World.ts"
import * as Program from "./Program.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const Created = Schema.Struct({ vmid: Schema.Int, error: Schema.optional(Schema.String) })
const create = (program: Program.Program, name: string) =>
  Effect.flatMap(program.get(`/vm/create?name=${name}&instance_type=1`), Schema.decodeUnknown(Created))

describe("vmfabric without files", () => {
  it.scopedLive("creates, spreads, queries and destroys on the simulated fleet, and says that it is one", () =>
    Effect.gen(function* () {
      const program = yield* Program.start([])
      const created = yield* Effect.forEach(["a", "b", "c", "d", "e", "f"], (name) => create(program, name), {
        concurrency: "unbounded"
      })
      for (const { error, vmid } of created) assert.isAbove(vmid, 0, error)
      const { pmids } = yield* program.get("/pm/list")
      assert.deepStrictEqual(pmids, [1, 2, 3])
      for (const pmid of [1, 2, 3]) assert.strictEqual((yield* program.get(`/pm/query?pmid=${pmid}`))["vms"], 2)
      const [first] = created
      const answer = yield* program.get(`/vm/query?vmid=${first!.vmid}`)
      assert.deepInclude(answer, { vmid: first!.vmid, name: "a", instance_type: 1 })
      for (const { vmid } of created) {
        assert.deepStrictEqual(yield* program.get(`/vm/destroy?vmid=${vmid}`), { status: 1 })
      }
      for (const pmid of [1, 2, 3]) assert.strictEqual((yield* program.get(`/pm/query?pmid=${pmid}`))["vms"], 0)
      assert.match(yield* program.output, /SIMULATED/)
    })
  )

  it.scopedLive("a SIGTERM ends it in 5 seconds, also with a client that holds its connection", () =>
    Effect.gen(function* () {
      const program = yield* Program.start([])
      const { hostname, port } = new URL(program.url)
      const socket = yield* Effect.acquireRelease(
        Effect.async<ReturnType<typeof connect>>((resume) => {
          const socket = connect(Number(port), hostname, () => resume(Effect.succeed(socket)))
          socket.on("error", () => undefined) // cut by the server, which is the point
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      socket.write("GET /vm/types HTTP/1.1\r\nHost: x\r\n") // a request that never ends
      yield* program.kill("SIGTERM")
      assert.strictEqual(yield* Effect.timeout(program.exited, "5 seconds"), 0)
    })
  )

  it.scopedLive("with --drain it goes on serving for a while after a SIGTERM, and says that it is not ready", () =>
    Effect.gen(function* () {
      const program = yield* Program.start(["--drain", "3s"])
      yield* World.eventually(
        Effect.map(program.get("/readyz"), (answer) => assert.deepInclude(answer, { ready: true }))
      )
      const began = performance.now()
      yield* program.kill("SIGTERM")
      yield* World.eventually(
        Effect.map(program.get("/readyz"), (answer) => assert.deepInclude(answer, { ready: false }))
      )
      assert.property(yield* program.get("/vm/list"), "vms")
      assert.strictEqual(yield* program.exited, 0)
      assert.isAtLeast(performance.now() - began, 3000)
    })
  )
})

describe("vmfabric simulate", () => {
  it.scopedLive(
    "serves a fleet of the size that was asked for, with VMs that run there, and says SIMULATED in every line",
    () =>
      Effect.gen(function* () {
        const dir = yield* folder
        const faults = join(dir, "faults")
        writeFileSync(faults, "at 0s: host 5 loses its connections\n")
        const program = yield* Program.start([
          "simulate",
          "--hosts",
          "5",
          "--vms",
          "12",
          "--seed",
          "3",
          "--faults",
          faults
        ])
        const { pmids } = yield* program.get("/pm/list")
        assert.deepStrictEqual(pmids, [1, 2, 3, 4, 5])
        assert.strictEqual((yield* program.get("/pm/query?pmid=1"))["vms"], 3)
        assert.deepInclude(yield* program.get("/vm/query?vmid=12"), { vmid: 12, name: "standing-12", pmid: 2 })
        assert.deepStrictEqual(yield* program.get("/vm/destroy?vmid=12"), { status: 1 })
        const { error, vmid } = yield* create(program, "another")
        assert.strictEqual(vmid, 13, error)
        const lines = (yield* program.output).split("\n").filter((line) => line !== "")
        assert.deepStrictEqual(
          lines.filter((line) => !line.includes("SIMULATED")),
          []
        )
        assert.isTrue(lines.some((line) => line.includes("host 5 loses its connections")))
      })
  )

  it.scopedLive("shows mistakes of a fault script and of a fleet's file where they stand, and starts nothing", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const put = (name: string, text: string) => {
        writeFileSync(join(dir, name), text)
        return join(dir, name)
      }
      const script = yield* Program.toEnd(["simulate", "--faults", put("f.txt", "at 1s: host 99 dies\n")])
      assert.strictEqual(script.status, 1)
      assert.match(script.output, /f\.txt:1:13: there is no host 99: expected a number from 1 to 10/)
      const fleet = yield* Program.toEnd(["simulate", "--fleet", put("fleet.json", '{"hosts":[{"count":0}]}')])
      assert.strictEqual(fleet.status, 1)
      assert.match(fleet.output, /fleet\.json:1:20: hosts\[0\]\.count is 0: expected a number of machines/)
      const absent = yield* Program.toEnd(["simulate", "--fleet", join(dir, "nope")])
      assert.match(absent.output, /nope: it cannot be read: expected a readable file/)
    })
  )

  it.scopedLive("plays a trace under each policy, and tells people and programs how full the hosts become", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const file = join(dir, "t.csv")
      writeFileSync(file, "arrival,departure,vcpus,memory_mib\n0,,2,1024\n1,,2,1024\n2,,4,2048\n3,,1,1024\n4,5,9,1\n")
      const small = ["--hosts", "2", "--host-vcpus", "4", "--host-memory", "8192"]
      const shown = yield* Program.toEnd(["simulate", "--trace", file, ...small, "--policy", "pack,worst-fit"])
      assert.strictEqual(shown.status, 0)
      assert.include(shown.output, "5 VMs on 2 hosts of 4 vCPUs and 8192 MiB")
      assert.include(shown.output, "1 of them are larger than a host")
      assert.match(shown.output, /^pack +100\.0 % +100\.0 % +25\.0 %/m)
      // the third VM wants 4 vCPUs where 2 and 2 are left
      assert.match(shown.output, /^worst-fit +50\.0 %/m)

      const told = yield* Program.toEnd(["simulate", "--trace", file, ...small, "--policy", "pack", "--output", "json"])
      const report: unknown = JSON.parse(told.output)
      assert.deepNestedInclude(report, {
        hosts: 2,
        arrivals: 5,
        "policies[0].policy": "pack",
        "policies[0].refused": 2
      })
      assert.deepNestedInclude(report, {
        "policies[0].tooLarge": 1,
        "policies[0].firstRefusal.used": { vcpus: 1, memory: 0.25 }
      })

      writeFileSync(file, "arrival,vcpus,memory_mib\n0,two,1024\n")
      const bad = yield* Program.toEnd(["simulate", "--trace", file])
      assert.strictEqual(bad.status, 1)
      assert.match(bad.output, /t\.csv:2:3: vcpus is .+two.+: expected vCPUs from 0\.001/)
      const both = yield* Program.toEnd(["simulate", "--trace", file, "--vms", "3"])
      assert.strictEqual(both.status, 2)
      assert.include(both.output, "With --trace nothing is served")
    })
  )

  it.live("--help tells the language of fault scripts", () =>
    Effect.gen(function* () {
      const { output, status } = yield* Program.toEnd(["simulate", "--help"])
      assert.strictEqual(status, 0)
      assert.match(output, /^\$ vmfabric simulate \[--hosts N\]/m)
      assert.notInclude(output, "\u001b")
      for (const word of [
        "--hosts",
        "--vms",
        "--fleet",
        "--faults",
        "--seed",
        "--trace",
        "SIMULATED",
        "P % of calls take TIME"
      ]) {
        assert.include(output, word)
      }
    })
  )
})

describe("the command line", () => {
  it.live("--help is complete", () =>
    Effect.gen(function* () {
      const { output, status } = yield* Program.toEnd(["--help"])
      assert.strictEqual(status, 0)
      const text = output.replace(/\s+/g, " ")
      for (const word of [
        "physicalMachine_file image_file vm_types",
        "--listen",
        "--database",
        "--ssh-key",
        "--known-hosts",
        "--ceph-pool",
        "--ceph-client",
        "--ceph-conf",
        "--ceph-host",
        "--ceph-overcommit",
        "--undo-window",
        "--webhook-allow",
        "--otlp-endpoint",
        "--drain",
        "--log-level",
        "VMFABRIC_LISTEN",
        "VMFABRIC_DATABASE",
        "VMFABRIC_SSH_KEY",
        "VMFABRIC_KNOWN_HOSTS",
        "VMFABRIC_CEPH_POOL",
        "VMFABRIC_CEPH_CLIENT",
        "VMFABRIC_CEPH_CONF",
        "VMFABRIC_CEPH_HOST",
        "VMFABRIC_CEPH_OVERCOMMIT",
        "VMFABRIC_UNDO_WINDOW",
        "VMFABRIC_LOG_LEVEL",
        "127.0.0.1:8080",
        "vmfabric.sqlite"
      ]) {
        assert.include(text, word)
      }
    })
  )

  it.live("a flag that cannot be used ends it with one clear line", () =>
    Effect.gen(function* () {
      const { output, status } = yield* Program.toEnd(["--listen", "8080"])
      assert.strictEqual(status, 2)
      assert.match(output, /listen is "8080": expected host:port/)
    })
  )

  it.scopedLive("an address that something else listens on is told, with what to do", () =>
    Effect.gen(function* () {
      const at = new URL((yield* Program.start([])).url).host
      const { output, status } = yield* Program.toEnd(["--listen", at])
      assert.strictEqual(status, 1)
      assert.include(output, `${at} is in use: stop what listens there, or choose another with --listen`)
    })
  )

  it("says of each way not to listen what it is", () => {
    const said = (host: string, port: number, code: string) =>
      Listening.explained({ host, port }, Object.assign(new Error(`listen ${code}`), { code })).message
    assert.strictEqual(
      said("::1", 80, "EACCES"),
      "[::1]:80 is not allowed to this user, as ports below 1024 are not: choose another with --listen"
    )
    assert.match(said("10.0.0.1", 8080, "EADDRNOTAVAIL"), /^10\.0\.0\.1:8080 is no address of this machine: choose/)
    assert.match(said("nope.invalid", 8080, "ENOTFOUND"), /^nope\.invalid:8080 .*leads nowhere/)
    assert.match(said("127.0.0.1", 8080, "EMFILE"), /^127\.0\.0\.1:8080 cannot be listened on \(listen EMFILE\)/)
  })

  it.live(
    "what is not right in the words of a controller is named, with the status of a wrong command",
    () =>
      Effect.gen(function* () {
        for (const [said, ...args] of [
          [/there is no flag --bogus here \(vmfabric --help\)/, "--bogus"],
          [/there is no flag --wizard here/, "--wizard"],
          [/there is no flag --lisen here: did you mean --listen\?/, "--lisen", "127.0.0.1:0"],
          [/the value of --listen is missing: expected HOST:PORT/, "--listen"],
          [/--listen: .*99999/, "--listen", "127.0.0.1:99999"],
          [/--undo-window: .*banana/, "--undo-window", "banana"],
          [/--hosts: expected a number from 1 to 10000/, "simulate", "--hosts", "0"],
          [/"there" is not known here \(vmfabric simulate --help\)/, "simulate", "there"],
          [/--user: expected 1 to 64 of/, "bootstrap", "--user", "a b"]
        ] as const) {
          const { output, status } = yield* Program.toEnd(args)
          assert.match(output.replace(/\s+/g, " "), said, args.join(" "))
          assert.strictEqual(status, 2, args.join(" "))
        }
      }),
    120_000
  )

  it.live("one file instead of three is explained", () =>
    Effect.gen(function* () {
      const { output, status } = yield* Program.toEnd(["./machines"])
      assert.strictEqual(status, 2)
      assert.match(output.replace(/\s+/g, " "), /Expected three files/)
    })
  )

  it.scopedLive("bad input files are reported with file and line, all at once, and nothing starts", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const put = (name: string, text: string) => {
        writeFileSync(join(dir, name), text)
        return join(dir, name)
      }
      const { output, status } = yield* Program.toEnd([
        "--database",
        join(dir, "db.sqlite"),
        put("machines", "root@h1\n\n# a comment\nroot@\nroot@h2 colour=red\n"),
        put("images", "relative.img\n"),
        put("types", '{"types":[{"tid":1,"cpu":0,"ram":512,"disk":1}]}')
      ])
      assert.strictEqual(status, 1)
      assert.match(output, /machines:4: /)
      assert.match(output, /machines:5: .*colour/)
      assert.match(output, /images:1: /)
      assert.match(output, /types.*cpu/)
    })
  )

  it.scopedLive("an image that is not one is refused before anything starts", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const put = (name: string, text: string | Uint8Array) => {
        writeFileSync(join(dir, name), text)
        return join(dir, name)
      }
      const qcow2 = new Uint8Array(65_536)
      qcow2.set([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 11]) // with a backing file
      const image = put("evil.qcow2", qcow2)
      const { output, status } = yield* Program.toEnd([
        "--database",
        join(dir, "db.sqlite"),
        put("machines", "root@127.0.0.1:1\n"),
        put("images", `# the second line\n${image}\n`),
        put("types", '{"types":[{"tid":1,"cpu":1,"ram":512,"disk":1}]}')
      ])
      assert.strictEqual(status, 1)
      assert.match(output, /images:2: image .*evil\.qcow2 cannot be used: .*backing/)
    })
  )

  it.scopedLive("a certificate that cannot be read is told with why", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      for (const [cert, why] of [
        [join(dir, "none.pem"), "there is no such file"],
        [dir, "it is a folder"]
      ]) {
        const files = ["--tls-cert", cert ?? "", "--tls-key", join(dir, "key.pem")]
        const { output, status } = yield* Program.toEnd(["--listen", "127.0.0.1:0", ...files])
        assert.strictEqual(status, 1)
        assert.include(output, `the TLS certificate ${cert} cannot be read: ${why}`)
      }
    })
  )
})
