/** Who may come in, as a user of the program meets it. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { execFile, execFileSync, spawn } from "node:child_process"
import { existsSync, readFileSync, statSync } from "node:fs"
import { request } from "node:https"
import { join } from "node:path"
import * as AppLive from "../../layers/AppLive.ts"
import * as Admission from "../../src/bin/Admission.ts"
import * as AppConfig from "../../src/config/AppConfig.ts"
import { UserName } from "../../src/domain/Identity.ts"
import { Identity } from "../../src/services/Identity.ts"
import { temporaryFolder } from "../inventory/Fleet.ts"
import * as Listening from "../program/Listening.ts"
import * as Built from "../program/Built.ts"
import * as Program from "../program/Program.ts"

const root = new URL("../..", import.meta.url).pathname

beforeAll(Built.built, 120_000)

/** The two outputs apart. */
const bootstrap = (...args: ReadonlyArray<string>) =>
  Effect.async<{ readonly status: number; readonly stdout: string; readonly stderr: string }>((resume) => {
    const child = execFile(
      process.execPath,
      [Built.program, "bootstrap", ...args],
      { cwd: root },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : error.code
        resume(Effect.succeed({ status: typeof code === "number" ? code : -1, stdout, stderr }))
      }
    )
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

/** Serving by TLS: its address, once it listens, and all it has printed. */
const serve = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    let output = ""
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [Built.program, "--listen", "127.0.0.1:0", ...args], { cwd: root })),
      (process) =>
        Effect.async<void>((resume) => {
          process.once("exit", () => resume(Effect.void))
          if (!process.kill("SIGKILL")) resume(Effect.void)
        })
    )
    const url = yield* Effect.async<string, Program.ProgramError>((resume) => {
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString()
        const url = /listening on (https:[^\s"]+)/.exec(output)?.[1]
        if (url !== undefined) resume(Effect.succeed(url))
      })
      child.once("exit", () =>
        resume(Effect.fail(new Program.ProgramError({ message: `ended before it listened:\n${output}` })))
      )
    })
    return { url, pid: child.pid ?? 0, output: () => output }
  })

const tlsFiles = (folder: string) => ({ cert: join(folder, "cert.pem"), key: join(folder, "key.pem") })

describe("the program", () => {
  it.scopedLive(
    "prints a token of a new admin alone, serves by TLS, and then needs that token",
    () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const database = join(folder, "db.sqlite")
        const first = yield* bootstrap("--database", database, "--user", "ada")
        assert.strictEqual(first.status, 0, first.stderr)
        assert.match(first.stdout, /^vmf_[A-Za-z0-9_-]{43}\n$/)
        const token = first.stdout.trim()
        assert.include(first.stderr, `user ada with the role admin was created in ${database}`)
        assert.notInclude(first.stderr, token)
        assert.strictEqual(statSync(database).mode & 0o777, 0o600)

        const { cert, key } = tlsFiles(folder)
        execFileSync(
          "openssl",
          [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            key,
            "-out",
            cert
          ],
          { stdio: "ignore" }
        )
        const program = yield* serve("--database", database, "--tls-cert", cert, "--tls-key", key)
        assert.deepStrictEqual(Listening.of(program.pid), [`tcp ${new URL(program.url).host}`])
        const ca = readFileSync(cert)
        const status = (headers: Record<string, string>) =>
          Effect.async<number>((resume) => {
            const options = { headers, ca, servername: "localhost", agent: false }
            const sent = request(`${program.url}/vm/list`, options, (response) => {
              response.resume()
              response.on("end", () => resume(Effect.succeed(response.statusCode ?? 0)))
            })
            sent.on("error", (error) => resume(Effect.die(error)))
            sent.end()
            return Effect.sync(() => sent.destroy())
          })
        assert.strictEqual(yield* status({}), 401)
        assert.strictEqual(yield* status({ authorization: `Bearer ${token}` }), 200)
        assert.notInclude(program.output(), token)

        // one database serves one controller; standard output stays for tokens
        const busy = yield* bootstrap("--database", database)
        assert.deepInclude(busy, { status: 1, stdout: "" })
        assert.match(busy.stderr, /another process has it open/)
      }),
    120_000
  )
})

describe("listening", () => {
  const asked = (settings: Partial<AppConfig.AppConfig["Type"]>, database: string) =>
    Admission.tls({ ...AppConfig.defaults, ...settings }, database)
  const refusal = (settings: Partial<AppConfig.AppConfig["Type"]>, database: string) =>
    Effect.map(Effect.flip(asked(settings, database)), ({ message }) => message)
  const elsewhere = { listen: { host: "0.0.0.0", port: 8443 } }

  it.scopedLive("where others can connect needs TLS and somebody who can sign in, and the refusal says how", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const database = join(folder, "db.sqlite")
      const { cert, key } = tlsFiles(folder)
      const tls = { tlsCert: Option.some(cert), tlsKey: Option.some(key) }
      assert.match(
        yield* refusal(elsewhere, database),
        /^listening on 0\.0\.0\.0:8443 needs TLS: give --tls-cert cert\.pem --tls-key key\.pem, .* openssl req /
      )
      assert.isFalse(existsSync(database))
      assert.match(
        yield* refusal({ ...elsewhere, ...tls }, ":memory:"),
        /needs somebody who can sign in: .* vmfabric bootstrap --database FILE, and start with the same --database FILE$/
      )
      const unknown = `listening on 0.0.0.0:8443 needs somebody who can sign in: make an admin with a token by vmfabric bootstrap --database ${database}, then start again`
      assert.strictEqual(yield* refusal({ ...elsewhere, ...tls }, database), unknown)
      const withIdentity = <A, E>(effect: Effect.Effect<A, E, Identity>) =>
        Effect.provide(effect, AppLive.identity(database))
      // somebody who cannot sign in is nobody
      yield* withIdentity(
        Effect.flatMap(Identity, ({ createUser }) => createUser({ name: UserName.make("ada"), role: "admin" }))
      )
      assert.strictEqual(yield* refusal({ ...elsewhere, ...tls }, database), unknown)
      const password = Redacted.make("correct horse battery staple")
      yield* withIdentity(Effect.flatMap(Identity, ({ changeUser }) => changeUser(UserName.make("ada"), { password })))
      assert.deepStrictEqual(yield* asked({ ...elsewhere, ...tls }, database), { cert, key })
      // still not without TLS
      assert.match(yield* refusal(elsewhere, database), /needs TLS/)
    })
  )

  it.effect("on this machine alone needs neither, and one half of TLS is no use anywhere", () =>
    Effect.gen(function* () {
      assert.isNull(yield* asked({}, ":memory:"))
      assert.strictEqual(
        yield* refusal({ tlsCert: Option.some("cert.pem") }, ":memory:"),
        "tls-key is missing: expected --tls-cert FILE and --tls-key FILE together"
      )
    })
  )
})
