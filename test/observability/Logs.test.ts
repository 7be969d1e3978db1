import { assert, describe, it } from "@effect/vitest"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import * as SshLive from "../../layers/SshLive.ts"
import * as Logs from "../../src/observability/Logs.ts"
import { Ssh } from "../../src/services/Ssh.ts"
import * as Controller from "./Controller.ts"

const Line = Schema.parseJson(
  Schema.Struct({
    message: Schema.Unknown,
    logLevel: Schema.String,
    timestamp: Schema.String,
    annotations: Schema.Record({ key: Schema.String, value: Schema.Unknown })
  })
)
const decode = Schema.decodeUnknownSync(Line)

/** Runs it with everything that is logged, at any level and in any fiber, kept as lines of text. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>, format: Logs.Format) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const unsafe: Console.UnsafeConsole = { ...console, log: (...args) => void lines.push(args.map(String).join(" ")) }
    const base = yield* Console.consoleWith(Effect.succeed)
    const logs = Logs.make(false)
    yield* logs.use(format)
    yield* effect.pipe(
      Effect.provide(logs.layer),
      Logger.withMinimumLogLevel(LogLevel.All),
      Effect.withConsole({ ...base, unsafe })
    )
    return lines
  })

describe("the log", () => {
  it.effect("is logfmt or JSON, and changes while it runs", () =>
    Effect.gen(function* () {
      const message = 'a "quoted"\nline'
      const [text = ""] = yield* logged(Effect.annotateLogs(Effect.log(message), "vmid", 7), "text")
      assert.match(text, /^timestamp=\S+ level=INFO fiber=\S+ message="a \\"quoted\\"\\nline" vmid=7$/)
      const [json = ""] = yield* logged(Effect.annotateLogs(Effect.log(message), "vmid", 7), "json")
      const line = decode(json)
      assert.notInclude(json, "\n")
      assert.strictEqual(line.message, message)
      assert.strictEqual(line.logLevel, "INFO")
      assert.deepStrictEqual(line.annotations, { vmid: 7 })
    })
  )

  it.scopedLive("names in every line of an operation its id, its kind, its VM and its host", () =>
    Effect.gen(function* () {
      const work = Effect.gen(function* () {
        const { get, hosts } = yield* Controller.make({ hosts: 1 })
        yield* hosts[0]!.faults.fail("DOMAIN_CREATE_WITH_FLAGS", { code: 1, message: "no such CPU" })
        const { text } = yield* get("/vm/create?name=one&instance_type=1")
        assert.include(text, "no such CPU")
      })
      const lines = (yield* logged(Effect.scoped(work), "json")).map((line) => decode(line))
      const about = lines.filter(({ message }) => /no such CPU|operation failed/.test(JSON.stringify(message)))
      assert.isAtLeast(about.length, 2)
      const ids = new Set(about.map(({ annotations }) => annotations["operation"]))
      assert.lengthOf([...ids], 1)
      for (const { annotations, message } of about) {
        assert.match(String(annotations["operation"]), /^[0-9a-f-]{36}$/, String(message))
        assert.strictEqual(annotations["kind"], "CreateVm")
        assert.strictEqual(annotations["vmid"], 1)
      }
      const within = about.find(({ message }) => String(message).startsWith("failed and is undone"))
      assert.strictEqual(within?.annotations["host"], "root@sim-1")
    })
  )

  it.scopedLive("and the metrics have no key in them, at any level", () =>
    Effect.gen(function* () {
      const keys: Array<string> = []
      const metrics: Array<string> = []
      const work = Effect.gen(function* () {
        const { cluster, fleet, get, hosts } = yield* Controller.make({ hosts: 1, ceph: true })
        const { key } = Either.getOrThrow(cluster.calls.cluster({}))
        keys.push(Redacted.value(key), Buffer.from(Redacted.value(key), "base64").toString("hex"))
        keys.push(
          ...fleet.credentials.privateKeys.flatMap((text) => text.split("\n").filter((line) => line.length > 40))
        )
        assert.include((yield* get("/vm/create?name=one&instance_type=1")).text, '"vmid":1')
        yield* hosts[0]!.faults.fail("SECRET_SET_VALUE", { code: 1, message: "no secrets" })
        yield* hosts[0]!.faults.dropConnections
        assert.include((yield* get("/vm/create?name=two&instance_type=1")).text, "vmid")
        metrics.push((yield* get("/metrics")).text)
      })
      const text = [...(yield* logged(Effect.scoped(work), "json")), ...metrics].join("\n")
      assert.isAbove(text.length, 1000)
      assert.isAtLeast(keys.length, 5)
      for (const key of keys) assert.notInclude(text, key)
    })
  )

  it.scopedLive("has nothing of a key file that is none", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-logs-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const keyFile = join(folder, "key")
      const canary = "canary0123456789abcdef"
      writeFileSync(keyFile, `-----BEGIN OPENSSH PRIVATE KEY-----\n${canary}\n-----END OPENSSH PRIVATE KEY-----\n`)
      const work = Effect.gen(function* () {
        const { fleet } = yield* Controller.make({ hosts: 1 })
        const knownHostsFile = join(folder, "known_hosts")
        writeFileSync(knownHostsFile, fleet.credentials.knownHosts)
        const ssh = SshLive.layer({
          keyFile: Option.some(keyFile),
          knownHostsFile,
          agentSocket: Option.none(),
          homeDirectory: folder
        }).pipe(Layer.provide(SimulatedFleet.layerDialer(fleet)), Layer.provide(NodeFileSystem.layer))
        const failed = yield* Effect.flatMap(Ssh, ({ exec }) =>
          Effect.flip(exec({ user: "root", host: "sim-1", port: 22 }, ["hostname"]))
        ).pipe(Effect.provide(ssh))
        assert.include(failed.message, "no usable private key")
        yield* Effect.logError(failed.message, failed)
      })
      for (const format of ["text", "json"] as const) {
        const text = (yield* logged(Effect.scoped(work), format)).join("\n")
        assert.include(text, "no usable private key")
        assert.notInclude(text, canary)
      }
    })
  )
})
