import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
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
      assert.strictEqual(AppConfig.databaseFor(config.database, "real"), "vmfabric.sqlite")
      assert.strictEqual(AppConfig.databaseFor(config.database, "simulated"), ":memory:")
    })
  )

  it.effect("reads every variable", () =>
    Effect.gen(function* () {
      const config = yield* from(
        ["VMFABRIC_LISTEN", "[::]:80"],
        ["VMFABRIC_DATABASE", "/var/lib/vmfabric/db.sqlite"],
        ["VMFABRIC_SSH_KEY", "~/.ssh/fabric"],
        ["VMFABRIC_KNOWN_HOSTS", "known"],
        ["VMFABRIC_LOG_LEVEL", "DEBUG"]
      )
      assert.deepStrictEqual(config, {
        listen: { host: "::", port: 80 },
        database: Option.some("/var/lib/vmfabric/db.sqlite"),
        sshKey: Option.some(`${homedir()}/.ssh/fabric`),
        knownHosts: "known",
        logLevel: LogLevel.Debug
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
    ["VMFABRIC_SSH_KEY", "", 'VMFABRIC_SSH_KEY is "": expected the path of a file'],
    ["VMFABRIC_KNOWN_HOSTS", "", 'VMFABRIC_KNOWN_HOSTS is "": expected the path of a file'],
    ["VMFABRIC_LOG_LEVEL", "loud", 'VMFABRIC_LOG_LEVEL is "loud": expected all, trace, debug, info']
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
