/** Controllers that cannot be reached, and above all by TLS: what is said, and what to do about it. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile, execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer as createPlain } from "node:http"
import { createServer, type Server } from "node:https"
import { join } from "node:path"
import * as Built from "../program/Built.ts"
import { folder } from "./Typed.ts"

const root = new URL("../..", import.meta.url).pathname

/** Its own authority, for that name; the folder with `cert.pem` and `key.pem`. */
const certificate = (name: string) =>
  Effect.map(folder, (path) => {
    const [cert, key] = [join(path, "cert.pem"), join(path, "key.pem")]
    const made = ["-keyout", key, "-out", cert, "-subj", "/CN=x", "-addext", `subjectAltName=${name}`, "-days", "1"]
    execFileSync(
      "openssl",
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", ...made],
      {
        stdio: "ignore"
      }
    )
    return { cert, key }
  })

const listening = (server: Server | ReturnType<typeof createPlain>) =>
  Effect.acquireRelease(
    Effect.async<string>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(`127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`))
      })
    }),
    () =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )

const secure = Effect.fnUntraced(function* (name: string) {
  const { cert, key } = yield* certificate(name)
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_, response) => response.end("{}"))
  return { cert, key, at: yield* listening(server) }
})

beforeAll(Built.built, 120_000)

/** What it says, in one line, and its status. */
const typed = (...args: ReadonlyArray<string>) =>
  Effect.async<readonly [status: unknown, text: string]>((resume) => {
    execFile(
      process.execPath,
      [Built.program, "type", "list", ...args],
      { cwd: root, timeout: 60_000 },
      (error, _, err) => resume(Effect.succeed([error?.code ?? 0, err.replace(/^vmfabric: |\n$/g, "")]))
    )
  })

const away = "the controller cannot be reached: "

describe("a controller that cannot be reached", () => {
  it.scopedLive(
    "is told with what it lacks: an authority, a name, TLS or none",
    () =>
      Effect.gen(function* () {
        const { at, cert, key } = yield* secure("IP:127.0.0.1")
        const other = yield* secure("DNS:fabric.example")
        const plain = yield* listening(createPlain((_, response) => response.end("{}")))
        const authority =
          "; if it is the right controller, give its certificate, or that of the authority it is from, by --ca-file FILE " +
          "(PEM) or VMFABRIC_CA_FILE"
        const selfSigned = `${away}self-signed certificate${authority}`
        assert.deepStrictEqual(
          yield* Effect.all(
            [
              typed("--url", `https://${at}`),
              typed("--url", `https://${at}`, "--ca-file", other.cert),
              typed("--url", `https://${at}`, "--ca-file", key),
              typed("--url", `https://${at}`, "--ca-file", `${key}.not`),
              typed("--url", `http://${at}`),
              typed("--url", `https://${plain}`)
            ],
            { concurrency: 2 }
          ),
          [
            [5, selfSigned],
            [5, selfSigned],
            [
              2,
              `ca-file: ${key} has no certificate in it: expected a PEM file with that of the controller's authority, ` +
                "or with the controller's own, which begins with -----BEGIN CERTIFICATE-----"
            ],
            [2, `ca-file: ${key}.not cannot be read: there is no such file`],
            [5, `${away}it hung up without an answer; if it speaks TLS, give its address by --url https://…`],
            [5, `${away}what answers there speaks no TLS; give its address by --url http://…`]
          ]
        )
        const [status, misnamed] = yield* typed("--url", `https://${other.at}`, "--ca-file", other.cert)
        assert.strictEqual(status, 5)
        assert.match(misnamed, /altnames.*; its certificate is for other names: give one of those by --url/)
        // with the right one it is reached, though it is no controller
        assert.match((yield* typed("--url", `https://${at}`, "--ca-file", cert))[1], /none of vmfabric's API/)
      }),
    120_000
  )
})
