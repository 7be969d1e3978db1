import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import { homedir } from "node:os"
import * as AppConfig from "../../src/config/AppConfig.ts"

describe("parseListen", () => {
  for (const [text, host, port] of [
    ["127.0.0.1:8080", "127.0.0.1", 8080],
    ["localhost:0", "localhost", 0],
    ["api.example.com:65535", "api.example.com", 65535],
    ["[::1]:80", "::1", 80],
    ["[2001:db8::1]:80", "2001:db8::1", 80]
  ] as const) {
    it(`reads ${text}`, () => {
      assert.deepStrictEqual(AppConfig.parseListen(text), Either.right({ host, port }))
      assert.strictEqual(AppConfig.formatListen({ host, port }), text)
    })
  }
  for (const text of [
    "",
    "8080",
    ":8080",
    "localhost",
    "localhost:",
    "localhost:http",
    "localhost:65536",
    "localhost:-1",
    "::1:80",
    "[::1]",
    "[localhost]:80",
    "1.2.3:80",
    "1.2.3.256:80",
    "a b:80",
    "-a:80",
    "http://localhost:80"
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      const error = Either.getOrThrow(Either.flip(AppConfig.parseListen(text)))
      assert.isTrue(
        error.message.startsWith(`listen is ${JSON.stringify(text)}: expected host:port or [IPv6 address]:port`),
        error.message
      )
    })
  }
})

it("isLoopback", () => {
  const loopback = (host: string) => AppConfig.isLoopback({ host, port: 1 })
  for (const host of ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "::1", "0:0::1"])
    assert.isTrue(loopback(host))
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.example.com", "localhost.example.com"]) {
    assert.isFalse(loopback(host))
  }
})

describe("parseWindow", () => {
  const parse = AppConfig.parseWindow("undo window")
  for (const [text, seconds] of [
    ["0", 0],
    ["0s", 0],
    ["0d", 0],
    ["1s", 1],
    ["90s", 90],
    ["30m", 1800],
    ["24h", 86_400],
    ["7d", 604_800],
    ["007d", 604_800],
    ["366d", 366 * 86_400],
    ["31622400s", 366 * 86_400]
  ] as const) {
    it(`reads ${text}`, () => {
      assert.strictEqual(Duration.toSeconds(Either.getOrThrow(parse(text))), seconds)
    })
  }
  for (const text of [
    "",
    "1",
    "00",
    "-1s",
    "+1s",
    "1.5h",
    "1 h",
    " 1h",
    "1h\n",
    "1H",
    "1w",
    "1y",
    "h",
    "1hm",
    "1h30m",
    "367d",
    "31622401s",
    "999999999d",
    "9999999999s",
    "Infinity",
    "forever",
    "１d"
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.strictEqual(
        Either.getOrThrow(Either.flip(parse(text))).message,
        `undo window is ${JSON.stringify(text)}: expected 0, or a time of at most a year as in 90s, 30m, 24h or 7d`
      )
    })
  }
})

describe("parseRatio", () => {
  const parse = AppConfig.parseRatio("ceph overcommit")
  for (const [text, ratio] of [
    ["1", 1],
    ["1.5", 1.5],
    ["0.1", 0.1],
    ["1000", 1000],
    ["1000.000000", 1000],
    ["0010", 10],
    ["2.123456", 2.123456]
  ] as const) {
    it(`reads ${text}`, () => assert.deepStrictEqual(parse(text), Either.right(ratio)))
  }
  for (const text of [
    "",
    "0",
    "0.09",
    "1000.1",
    "1001",
    "-1",
    "+1",
    "1e2",
    "0x2",
    ".5",
    "1.",
    "1,5",
    "1.1234567",
    "NaN",
    " 1",
    "1\n",
    "１"
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.strictEqual(
        Either.getOrThrow(Either.flip(parse(text))).message,
        `ceph overcommit is ${JSON.stringify(text)}: expected a number from 0.1 to 1000, as in 1.5`
      )
    })
  }
})

describe("parseCephName", () => {
  const parse = AppConfig.parseCephName("ceph pool")
  for (const text of ["vms", "v", "0", "_x", "vms.ssd-2_a", "x".repeat(128)]) {
    it(`reads ${text}`, () => assert.deepStrictEqual(parse(text), Either.right(text)))
  }
  // none that a program further down takes for an option, a path, or a pool and more
  for (const text of [
    "",
    "-vms",
    "--id",
    ".rgw",
    "a b",
    "a/b",
    "a@b",
    "a:b",
    "../a",
    "vms\n",
    "vms;x",
    "é",
    "x".repeat(129)
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.strictEqual(
        Either.getOrThrow(Either.flip(parse(text))).message,
        `ceph pool is ${JSON.stringify(text)}: expected a name of letters, digits, _ . and -`
      )
    })
  }
})

describe("parseHost", () => {
  const parse = AppConfig.parseHost("ceph host")
  for (const [text, user, host, port] of [
    ["root@mon", "root", "mon", 22],
    ["ceph@10.0.0.1:2222", "ceph", "10.0.0.1", 2222],
    ["root@[::1]:22", "root", "::1", 22]
  ] as const) {
    it(`reads ${text}`, () => assert.deepStrictEqual(parse(text), Either.right({ user, host, port })))
  }
  for (const [text, message] of [
    ["mon", 'ceph host "mon" has no user: expected user@host or user@host:port'],
    ["root@", 'ceph host "root@" has no host: expected user@host or user@host:port'],
    ["root@mon:0", 'ceph host "root@mon:0" has the port "0": expected a port from 1 to 65535'],
    [
      "root@-mon",
      'ceph host "root@-mon" has the host "-mon": expected a host name, an IPv4 address, or an IPv6 address in brackets'
    ]
  ] as const) {
    it(`refuses ${text}`, () => assert.strictEqual(Either.getOrThrow(Either.flip(parse(text))).message, message))
  }
})

describe("parseNames", () => {
  const parse = AppConfig.parseNames("public name")
  for (const [text, names] of [
    ["fabric", ["fabric"]],
    ["Fabric.Example.COM,fabric", ["fabric.example.com", "fabric"]],
    ["10.0.0.1", ["10.0.0.1"]],
    ["[2001:DB8::1]", ["[2001:db8::1]"]]
  ] as const) {
    it(`reads ${text}`, () => assert.deepStrictEqual(parse(text), Either.right([...names])))
  }
  for (const text of ["", ",", "a,", "a b", "a:80", "https://a", "a/b", "-a", ".a", "a.", "*", "2001:db8::1", "é"]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.strictEqual(
        Either.getOrThrow(Either.flip(parse(text))).message,
        `public name is ${JSON.stringify(text)}: expected host names with commas between them, without ports, as in fabric.example.com,fabric`
      )
    })
  }
})

describe("parseRate", () => {
  const parse = AppConfig.parseRate("rate limit")
  for (const [text, rate] of [
    ["1", 1],
    ["1000000", 1_000_000]
  ] as const) {
    it(`reads ${text}`, () => assert.deepStrictEqual(parse(text), Either.right(rate)))
  }
  for (const text of ["", "0", "-1", "1.5", "1000001", "1e3", " 1", "many"]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.strictEqual(
        Either.getOrThrow(Either.flip(parse(text))).message,
        `rate limit is ${JSON.stringify(text)}: expected a whole number of requests a second, from 1 to 1000000`
      )
    })
  }
})

it("tlsOf", () => {
  const tls = (cert: string | null, key: string | null) =>
    AppConfig.tlsOf({
      ...AppConfig.defaults,
      tlsCert: Option.fromNullable(cert),
      tlsKey: Option.fromNullable(key)
    })
  assert.deepStrictEqual(tls(null, null), Either.right(null))
  assert.deepStrictEqual(tls("c", "k"), Either.right({ cert: "c", key: "k" }))
  const together = "is missing: expected --tls-cert FILE and --tls-key FILE together"
  assert.strictEqual(Either.getOrThrow(Either.flip(tls("c", null))).message, `tls-key ${together}`)
  assert.strictEqual(Either.getOrThrow(Either.flip(tls(null, "k"))).message, `tls-cert ${together}`)
})

it("cephOf", () => {
  assert.isNull(AppConfig.cephOf({ ...AppConfig.defaults, cephClient: "fabric" }))
  assert.deepStrictEqual(AppConfig.cephOf({ ...AppConfig.defaults, cephPool: Option.some("vms") }), {
    pool: "vms",
    client: "libvirt",
    conf: "/etc/ceph/ceph.conf",
    host: null
  })
  const host = { user: "root", host: "mon", port: 22 }
  const cephHost = Option.some(host)
  assert.deepStrictEqual(
    AppConfig.cephOf({ ...AppConfig.defaults, cephPool: Option.some("vms"), cephHost })?.host,
    host
  )
})

describe("from the environment", () => {
  const from = (...entries: ReadonlyArray<readonly [string, string]>) =>
    AppConfig.AppConfig.pipe(
      Effect.provide(AppConfig.layerFromEnv()),
      Effect.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(entries), { pathDelim: "_" })))
    )

  it.effect("defaults", () =>
    Effect.gen(function* () {
      const config = yield* from()
      assert.deepStrictEqual(config, AppConfig.defaults)
      assert.strictEqual(config.knownHosts, `${homedir()}/.ssh/known_hosts`)
      assert.deepInclude(config, { cephPool: Option.none(), cephHost: Option.none(), undoWindow: Duration.hours(24) })
      assert.strictEqual(AppConfig.databaseFor(config.database, "real"), "vmfabric.sqlite")
      assert.strictEqual(AppConfig.databaseFor(config.database, "simulated"), ":memory:")
    })
  )

  it.effect("reads every variable", () =>
    Effect.gen(function* () {
      const config = yield* from(
        ["VMFABRIC_LISTEN", "[::]:80"],
        ["VMFABRIC_PUBLIC_NAME", "Fabric.example,fabric"],
        ["VMFABRIC_TLS_CERT", "~/cert.pem"],
        ["VMFABRIC_TLS_KEY", "/etc/key.pem"],
        ["VMFABRIC_RATE_LIMIT", "50"],
        ["VMFABRIC_DATABASE", "/var/lib/vmfabric/db.sqlite"],
        ["VMFABRIC_SSH_KEY", "~/.ssh/fabric"],
        ["VMFABRIC_KNOWN_HOSTS", "known"],
        ["VMFABRIC_LOG_LEVEL", "DEBUG"],
        ["VMFABRIC_LOG_FORMAT", "json"],
        ["VMFABRIC_CEPH_POOL", "vms"],
        ["VMFABRIC_CEPH_CLIENT", "fabric"],
        ["VMFABRIC_CEPH_CONF", "~/ceph.conf"],
        ["VMFABRIC_CEPH_HOST", "root@mon:2222"],
        ["VMFABRIC_CEPH_OVERCOMMIT", "2.5"],
        ["VMFABRIC_UNDO_WINDOW", "7d"],
        ["VMFABRIC_DRIFT", "disks=repair"],
        ["VMFABRIC_WEBHOOK_ALLOW", "127.0.0.1,fd00::/8"],
        ["VMFABRIC_IMAGE_DIR", "~/images"],
        ["VMFABRIC_IMAGE_PATH", "/srv/images/,/mnt"],
        ["VMFABRIC_IMAGE_ALLOW", "10.1.0.0/16"],
        ["VMFABRIC_DRAIN", "10s"],
        ["VMFABRIC_OTLP_ENDPOINT", "https://collector.example"],
        ["OTEL_EXPORTER_OTLP_ENDPOINT", "https://other.example"]
      )
      assert.deepStrictEqual(config, {
        listen: { host: "::", port: 80 },
        publicNames: ["fabric.example", "fabric"],
        tlsCert: Option.some(`${homedir()}/cert.pem`),
        tlsKey: Option.some("/etc/key.pem"),
        rateLimit: 50,
        database: Option.some("/var/lib/vmfabric/db.sqlite"),
        sshKey: Option.some(`${homedir()}/.ssh/fabric`),
        knownHosts: "known",
        logLevel: LogLevel.Debug,
        logFormat: "json",
        cephPool: Option.some("vms"),
        cephClient: "fabric",
        cephConf: `${homedir()}/ceph.conf`,
        cephHost: Option.some({ user: "root", host: "mon", port: 2222 }),
        cephOvercommit: 2.5,
        undoWindow: Duration.days(7),
        drift: { power: "report", definition: "report", disks: "repair", network: "report" },
        webhookAllow: [
          { address: "127.0.0.1", bits: 32 },
          { address: "fd00::", bits: 8 }
        ],
        imageDir: Option.some(`${homedir()}/images`),
        imagePaths: ["/srv/images", "/mnt"],
        imageAllow: [{ address: "10.1.0.0", bits: 16 }],
        otlpEndpoint: Option.some("https://collector.example"),
        drain: Option.some(Duration.seconds(10))
      })
      assert.strictEqual(AppConfig.databaseFor(config.database, "simulated"), "/var/lib/vmfabric/db.sqlite")
    })
  )

  for (const [key, value, message] of [
    ["VMFABRIC_LISTEN", "8080", 'VMFABRIC_LISTEN is "8080": expected host:port'],
    [
      "VMFABRIC_DATABASE",
      "postgres://h/db",
      'VMFABRIC_DATABASE is "postgres://h/db": expected the path of an SQLite file, or :memory:'
    ],
    ["VMFABRIC_PUBLIC_NAME", "a b", 'VMFABRIC_PUBLIC_NAME is "a b": expected host names'],
    ["VMFABRIC_TLS_CERT", "", 'VMFABRIC_TLS_CERT is "": expected the path of a file'],
    ["VMFABRIC_TLS_KEY", "", 'VMFABRIC_TLS_KEY is "": expected the path of a file'],
    ["VMFABRIC_IMAGE_PATH", "/srv,images", 'VMFABRIC_IMAGE_PATH is "/srv,images": expected full paths of folders'],
    ["VMFABRIC_IMAGE_ALLOW", "lan", 'VMFABRIC_IMAGE_ALLOW is "lan": expected addresses or ranges of them'],
    ["VMFABRIC_RATE_LIMIT", "0", 'VMFABRIC_RATE_LIMIT is "0": expected a whole number of requests'],
    ["VMFABRIC_SSH_KEY", "", 'VMFABRIC_SSH_KEY is "": expected the path of a file'],
    ["VMFABRIC_KNOWN_HOSTS", "", 'VMFABRIC_KNOWN_HOSTS is "": expected the path of a file'],
    ["VMFABRIC_LOG_LEVEL", "loud", 'VMFABRIC_LOG_LEVEL is "loud": expected all, trace, debug, info'],
    ["VMFABRIC_LOG_FORMAT", "xml", 'VMFABRIC_LOG_FORMAT is "xml": expected text or json'],
    ["VMFABRIC_CEPH_POOL", "a/b", 'VMFABRIC_CEPH_POOL is "a/b": expected a name of letters, digits, _ . and -'],
    ["VMFABRIC_CEPH_CLIENT", "", 'VMFABRIC_CEPH_CLIENT is "": expected a name of letters, digits, _ . and -'],
    ["VMFABRIC_CEPH_CONF", "", 'VMFABRIC_CEPH_CONF is "": expected the path of a file'],
    ["VMFABRIC_CEPH_HOST", "mon", 'VMFABRIC_CEPH_HOST "mon" has no user: expected user@host or user@host:port'],
    ["VMFABRIC_CEPH_OVERCOMMIT", "0", 'VMFABRIC_CEPH_OVERCOMMIT is "0": expected a number from 0.1 to 1000, as in 1.5'],
    [
      "VMFABRIC_UNDO_WINDOW",
      "1y",
      'VMFABRIC_UNDO_WINDOW is "1y": expected 0, or a time of at most a year as in 90s, 30m'
    ]
  ] as const) {
    it.effect(`refuses ${key}=${value}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(from([key, value]))
        assert.include(String(error), message)
      })
    )
  }
})

it.effect("a layer of given settings", () =>
  Effect.gen(function* () {
    const config = yield* AppConfig.AppConfig
    assert.strictEqual(config.listen.port, 9)
    assert.strictEqual(config.logLevel, LogLevel.Info)
  }).pipe(Effect.provide(AppConfig.layer({ listen: { host: "localhost", port: 9 } })))
)
