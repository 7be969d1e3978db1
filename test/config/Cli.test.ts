/** The command line, without the program: what it makes of flags, environment and defaults. */
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as ValidationError from "@effect/cli/ValidationError"
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import { homedir } from "node:os"
import * as Cli from "../../src/cli/Cli.ts"
import * as AppConfig from "../../src/config/AppConfig.ts"

const run = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const seen: Array<Cli.Settings> = []
    const command = Cli.command((settings) => Effect.sync(() => void seen.push(settings)))
    yield* Command.run(command, { name: "vmfabric", version: "0" })(["node", "vmfabric", ...args])
    assert.strictEqual(seen.length, 1)
    return seen[0]!
  }).pipe(
    Effect.provide([NodeContext.layer, CliConfig.layer({ showBuiltIns: false })]),
    Effect.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)), { pathDelim: "_" })))
  )

/** The same for `bootstrap`. */
const first = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  Effect.gen(function* () {
    const seen: Array<Cli.Bootstrap> = []
    const command = Cli.command(
      () => Effect.dieMessage("it must not serve"),
      (asked) => Effect.sync(() => void seen.push(asked))
    )
    yield* Command.run(command, { name: "vmfabric", version: "0" })(["node", "vmfabric", "bootstrap", ...args])
    assert.strictEqual(seen.length, 1)
    return { ...seen[0]! }
  }).pipe(
    Effect.provide([NodeContext.layer, CliConfig.layer({ showBuiltIns: false })]),
    Effect.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)), { pathDelim: "_" })))
  )

/** The same for a trace that is played. */
const played = (args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const seen: Array<Cli.Play> = []
    const command = Cli.command(
      () => Effect.dieMessage("it must not serve"),
      () => Effect.dieMessage("nobody is to be made"),
      (asked) => Effect.sync(() => void seen.push(asked))
    )
    yield* Command.run(command, { name: "vmfabric", version: "0" })(["node", "vmfabric", "simulate", ...args])
    assert.strictEqual(seen.length, 1)
    return seen[0]!
  }).pipe(Effect.provide([NodeContext.layer, CliConfig.layer({ showBuiltIns: false })]))

/** What the library shows of a refusal is seen by the tests of the program. */
const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Console.consoleWith((console) => Console.withConsole(effect, { ...console, error: () => Effect.void }))

/** The words of a refusal. */
const refusal = (args: ReadonlyArray<string>) =>
  Effect.map(Effect.flip(quietly(run(args))), (error) =>
    ValidationError.isValidationError(error)
      ? HelpDoc.toAnsiText(error.error)
          .replace(/\u001b\[[0-9;]*m/g, "")
          .trim()
      : String(error)
  )

describe("the command line", () => {
  it.effect("without anything is the simulated fleet with the defaults", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run([]), {
        files: Option.none(),
        simulation: Option.none(),
        config: AppConfig.defaults
      })
    })
  )

  const flags = [
    "--listen",
    "[::1]:9",
    "--public-name",
    "Fabric.example,fabric",
    "--tls-cert",
    "~/cert.pem",
    "--tls-key",
    "key.pem",
    "--rate-limit",
    "50",
    "--database",
    "db.sqlite",
    "--ssh-key",
    "~/key",
    "--known-hosts",
    "known",
    "--ceph-pool",
    "vms",
    "--ceph-client",
    "fabric",
    "--ceph-conf",
    "~/ceph.conf",
    "--ceph-host",
    "root@mon",
    "--ceph-overcommit",
    "1.5",
    "--undo-window",
    "90s",
    "--drift",
    "power=repair,network=ignore",
    "--webhook-allow",
    "10.1.0.0/16",
    "--image-dir",
    "/var/lib/images",
    "--image-path",
    "/srv/images",
    "--image-allow",
    "10.2.0.0/16",
    "--otlp-endpoint",
    "http://localhost:4318",
    "--drain",
    "1m",
    "--log-level",
    "error",
    "--log-format",
    "json"
  ]

  it.effect("takes every flag, before what the environment says", () =>
    Effect.gen(function* () {
      const env = {
        VMFABRIC_LISTEN: "127.0.0.1:1",
        VMFABRIC_PUBLIC_NAME: "other",
        VMFABRIC_TLS_CERT: "/other",
        VMFABRIC_TLS_KEY: "/other",
        VMFABRIC_RATE_LIMIT: "9",
        VMFABRIC_CEPH_POOL: "other",
        VMFABRIC_CEPH_CLIENT: "other",
        VMFABRIC_CEPH_CONF: "/other",
        VMFABRIC_CEPH_HOST: "other@other",
        VMFABRIC_CEPH_OVERCOMMIT: "9",
        VMFABRIC_UNDO_WINDOW: "9d",
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://other:4318"
      }
      assert.deepStrictEqual(yield* run([...flags, "machines", "images", "types"], env), {
        files: Option.some({ machines: "machines", images: "images", types: "types" }),
        simulation: Option.none(),
        config: {
          listen: { host: "::1", port: 9 },
          publicNames: ["fabric.example", "fabric"],
          tlsCert: Option.some(`${homedir()}/cert.pem`),
          tlsKey: Option.some("key.pem"),
          rateLimit: 50,
          database: Option.some("db.sqlite"),
          sshKey: Option.some(`${homedir()}/key`),
          knownHosts: "known",
          logLevel: LogLevel.Error,
          logFormat: "json",
          cephPool: Option.some("vms"),
          cephClient: "fabric",
          cephConf: `${homedir()}/ceph.conf`,
          cephHost: Option.some({ user: "root", host: "mon", port: 22 }),
          cephOvercommit: 1.5,
          undoWindow: Duration.seconds(90),
          drift: { power: "repair", definition: "report", disks: "report", network: "ignore" },
          webhookAllow: [{ address: "10.1.0.0", bits: 16 }],
          imageDir: Option.some("/var/lib/images"),
          imagePaths: ["/srv/images"],
          imageAllow: [{ address: "10.2.0.0", bits: 16 }],
          otlpEndpoint: Option.some("http://localhost:4318"),
          drain: Option.some(Duration.minutes(1))
        }
      })
    })
  )

  it.effect("simulate is a fleet of ten hosts unless it is told otherwise", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* run(["simulate"]), {
        files: Option.none(),
        simulation: Option.some({
          hosts: 10,
          vms: Option.none(),
          fleet: Option.none(),
          faults: Option.none(),
          seed: Option.none()
        }),
        config: AppConfig.defaults
      })
      const { config, simulation } = yield* run(
        [
          "--listen",
          "127.0.0.1:1",
          "simulate",
          "--hosts",
          "1000",
          "--vms",
          "20000",
          "--seed",
          "7",
          "--faults",
          "f.txt"
        ],
        { VMFABRIC_UNDO_WINDOW: "9d" }
      )
      assert.deepStrictEqual(Option.getOrThrow(simulation), {
        hosts: 1000,
        vms: Option.some(20_000),
        fleet: Option.none(),
        faults: Option.some("f.txt"),
        seed: Option.some(7)
      })
      assert.deepStrictEqual(config.listen, { host: "127.0.0.1", port: 1 })
      assert.deepStrictEqual(config.undoWindow, Duration.days(9))
      const own = yield* run([
        "--listen",
        "127.0.0.1:1",
        "simulate",
        "--fleet",
        "fleet.json",
        "--listen",
        "127.0.0.1:2"
      ])
      assert.deepStrictEqual(own.config.listen, { host: "127.0.0.1", port: 2 })
      assert.deepStrictEqual(Option.getOrThrow(own.simulation).fleet, Option.some("fleet.json"))
      const words = ["--public-name", "a,b", "--tls-cert", "c", "--tls-key", "k", "--rate-limit", "7"]
      const guarding = { publicNames: ["a", "b"], tlsCert: Option.some("c"), tlsKey: Option.some("k"), rateLimit: 7 }
      assert.deepInclude((yield* run(["simulate", ...words])).config, guarding)
      assert.deepInclude((yield* run([...words, "simulate"])).config, guarding)
    })
  )

  it.effect(
    "bootstrap is for the database that would be served, and an admin called admin unless it is told otherwise",
    () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* first([]), { database: "vmfabric.sqlite", user: "admin" })
        assert.deepStrictEqual(yield* first(["--user", "ada", "--database", "db"]), { database: "db", user: "ada" })
        const env = { VMFABRIC_DATABASE: "env.sqlite" }
        assert.deepStrictEqual(yield* first([], env), { database: "env.sqlite", user: "admin" })
        assert.deepStrictEqual((yield* first(["--database", "db"], env)).database, "db")
      })
  )

  it.effect("simulate --trace plays a trace under each policy unless it is told otherwise", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* played(["--trace", "synthetic"]), {
        trace: Option.none(),
        strategies: ["pack", "balance", "spread", "first-fit", "best-fit", "worst-fit", "dot-product", "fgd"],
        hosts: Option.none(),
        host: { vcpus: 96, memory: 393_216 },
        seed: 1,
        fill: false,
        output: "table"
      })
      const flags = ["--policy", "fgd,pack,fgd", "--hosts", "5", "--host-vcpus", "64", "--host-memory", "4096"]
      assert.deepStrictEqual(yield* played(["--trace", "pods.csv", ...flags, "--seed", "9", "--fill", "-o", "json"]), {
        trace: Option.some("pods.csv"),
        strategies: ["fgd", "pack"],
        hosts: Option.some(5),
        host: { vcpus: 64, memory: 4096 },
        seed: 9,
        fill: true,
        output: "json"
      })
    })
  )

  for (const [args, words] of [
    [["simulate", "--fill"], "Expected --trace with --policy, --host-vcpus"],
    [["simulate", "--policy", "pack"], "Expected --trace with --policy, --host-vcpus"],
    [
      ["simulate", "--trace", "t.csv", "--listen", "127.0.0.1:1"],
      "With --trace nothing is served: expected only --hosts, --seed, --trace, --policy, --host-vcpus, --host-memory, --fill, --output"
    ],
    [["simulate", "--trace", "t.csv", "--vms", "4"], "With --trace nothing is served"],
    [
      ["simulate", "--trace", "t.csv", "--policy", "pack,best"],
      "--policy: expected names with commas between them, of pack, balance, spread, first-fit"
    ],
    [["a", "b", "c", "simulate"], "Expected no files before simulate"],
    [["simulate", "--fleet", "f", "--hosts", "3"], "Expected --hosts or --fleet, not both"],
    [["a", "b", "c", "bootstrap"], "Expected no files before bootstrap"],
    [["bootstrap", "--database", ":memory:"], "Expected --database FILE"],
    [["bootstrap", "--user", "No One"], "--user: expected 1 to 64 of a-z 0-9 _ . @ -"],
    [["simulate", "--hosts", "0"], "--hosts: expected a number from 1 to 10000"]
  ] as const) {
    it.effect(`refuses ${args.join(" ")}`, () =>
      Effect.gen(function* () {
        assert.include((yield* refusal(args)).replace(/\s+/g, " "), words)
      })
    )
  }

  it.effect("takes what the environment says where there is no flag", () =>
    Effect.gen(function* () {
      const env = {
        VMFABRIC_CEPH_POOL: "vms",
        VMFABRIC_CEPH_CLIENT: "fabric",
        VMFABRIC_CEPH_CONF: "/etc/other.conf",
        VMFABRIC_CEPH_HOST: "root@mon:2222",
        VMFABRIC_CEPH_OVERCOMMIT: "3",
        VMFABRIC_UNDO_WINDOW: "0"
      }
      const { config } = yield* run(["--undo-window", "1h"], env)
      assert.deepStrictEqual(config, {
        ...AppConfig.defaults,
        cephPool: Option.some("vms"),
        cephClient: "fabric",
        cephConf: "/etc/other.conf",
        cephHost: Option.some({ user: "root", host: "mon", port: 2222 }),
        cephOvercommit: 3,
        undoWindow: Duration.hours(1)
      })
      assert.deepStrictEqual((yield* run([], env)).config.undoWindow, Duration.zero)
    })
  )

  for (const [flag, value, words] of [
    ["listen", "8080", 'listen is "8080": expected host:port'],
    ["public-name", "a b", 'public-name is "a b": expected host names with commas'],
    ["tls-cert", "", 'tls-cert is "": expected the path of a file'],
    ["tls-key", "", 'tls-key is "": expected the path of a file'],
    ["rate-limit", "0", 'rate-limit is "0": expected a whole number of requests a second'],
    ["ceph-pool", "a/b", 'ceph-pool is "a/b": expected a name of letters, digits, _ . and -'],
    ["ceph-client", "a b", 'ceph-client is "a b": expected a name of letters, digits, _ . and -'],
    ["ceph-conf", "", 'ceph-conf is "": expected the path of a file'],
    ["ceph-host", "mon", 'ceph-host "mon" has no user: expected user@host or user@host:port'],
    ["ceph-overcommit", "0", 'ceph-overcommit is "0": expected a number from 0.1 to 1000, as in 1.5'],
    ["undo-window", "1y", 'undo-window is "1y": expected 0, or a time of at most a year as in 90s, 30m, 24h or 7d'],
    [
      "drift",
      "power=fix",
      'drift is "power=fix": expected KIND=POLICY, several with commas between them: kinds are power, definition, disks, network, policies ignore, report, repair'
    ],
    ["drift", "", 'drift is "": expected KIND=POLICY'],
    ["drain", "1h", 'drain is "1h": expected 0, or a time of at most 10 minutes'],
    ["drain", "soon", 'drain is "soon": expected 0, or a time of at most 10 minutes'],
    ["otlp-endpoint", "localhost:4318", 'otlp-endpoint is "localhost:4318": expected a URL as in'],
    ["otlp-endpoint", "https://a:b@c", "otlp-endpoint has more than a place in it: expected a URL as in"],
    ["webhook-allow", "10.0.0.0/8,lan", 'webhook-allow is "10.0.0.0/8,lan": expected addresses or ranges of them']
  ] as const) {
    it.effect(`refuses --${flag} ${JSON.stringify(value)} and names the flag`, () =>
      Effect.gen(function* () {
        assert.include((yield* refusal([`--${flag}`, value])).replace(/\s+/g, " "), `--${flag}: ${words}`)
      })
    )
  }

  it.effect("refuses what is wrong in the environment, by the variable's name", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(run([], { VMFABRIC_UNDO_WINDOW: "soon" }))
      assert.include(String(error), 'VMFABRIC_UNDO_WINDOW is "soon": expected 0, or a time')
    })
  )
})
