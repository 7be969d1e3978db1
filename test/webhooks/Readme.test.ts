/** The receiver in the README takes what is ours, and nothing else. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { join } from "node:path"
import * as Sender from "../../layers/WebhookSender.ts"
import * as World from "../fabric/World.ts"
import { temporaryFolder } from "../inventory/Fleet.ts"

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8")

const freePort = Effect.async<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = address !== null && typeof address === "object" ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

describe("the README's receiver of webhooks", () => {
  it.scopedLive("takes what is signed by the secret just now, and nothing else", () =>
    Effect.gen(function* () {
      const [, code = ""] = /```js\n(import \{ createHmac[^`]*(?:`[^`]+`[^`]*)*?)```/.exec(readme) ?? []
      assert.include(code, "listen(9000")
      const port = yield* freePort
      const file = join(yield* temporaryFolder, "receiver.mjs")
      yield* Effect.promise(() => writeFile(file, code.replace("listen(9000", `listen(${port}`)))
      const secret = `${Sender.secretPrefix}${Buffer.alloc(32, 7).toString("base64")}`
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => spawn(process.execPath, [file], { env: { ...process.env, WEBHOOK_SECRET: secret } })),
        (process) => Effect.sync(() => void process.kill("SIGKILL"))
      )
      let output = ""
      child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
      const now = Math.floor(Date.now() / 1000)
      const post = (headers: Readonly<Record<string, string>>, body: string) =>
        Effect.tryPromise(() => fetch(`http://127.0.0.1:${port}/`, { method: "POST", headers, body })).pipe(
          Effect.map(({ status }) => status)
        )
      const sign = (secrets: ReadonlyArray<string>, timestamp = now) =>
        Sender.signed(secrets, "event-1", timestamp, '{"name":"ü"}')
      const good = yield* World.eventually(post(sign([secret]), '{"name":"ü"}'))
      assert.strictEqual(good, 204)
      const other = `${Sender.secretPrefix}${Buffer.alloc(32, 8).toString("base64")}`
      assert.strictEqual(yield* post(sign([other, secret]), '{"name":"ü"}'), 204)
      assert.strictEqual(yield* post(sign([other]), '{"name":"ü"}'), 401)
      assert.strictEqual(yield* post(sign([secret]), '{"name":"u"}'), 401)
      assert.strictEqual(yield* post(sign([secret], now - 3600), '{"name":"ü"}'), 401)
      assert.strictEqual(yield* post({}, '{"name":"ü"}'), 401)
      yield* World.eventually(Effect.sync(() => assert.strictEqual(output, 'event-1 {"name":"ü"}\n'.repeat(2))))
    })
  )
})
