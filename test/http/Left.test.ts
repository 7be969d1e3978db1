/** Whoever asks first and goes away before the answer: what is made once for all is made all the same. */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Gui from "../../src/http/Gui.ts"
import * as Docs from "../../src/http/v1/Docs.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-left-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const asking = (path: string) => HttpServerRequest.fromWeb(new Request(`http://controller${path}`))

/** Somebody who has begun to ask, and no longer waits. */
const left = <A, E, R>(ask: Effect.Effect<A, E, R>) =>
  Effect.fork(ask).pipe(Effect.zipLeft(Effect.yieldNow()), Effect.flatMap(Fiber.interrupt))

describe("after somebody who went away before the first answer", () => {
  it.scopedLive("there is the web interface", () =>
    Effect.gen(function* () {
      const path = yield* folder
      writeFileSync(join(path, "index.html"), "<title>vmfabric</title>")
      const ask = (yield* Gui.handlerOf(path))(asking("/ui/"))
      yield* left(ask)
      assert.strictEqual((yield* ask).status, 200)
    })
  )

  it.scopedLive("there is the page about the API", () =>
    Effect.gen(function* () {
      const app = yield* HttpLayerRouter.toHttpEffect(Docs.layer)
      const ask = Effect.scoped(Effect.provideService(app, HttpServerRequest.HttpServerRequest, asking("/docs")))
      yield* left(ask)
      assert.strictEqual((yield* ask).status, 200)
    })
  )
})

it.scopedLive("files of the web interface that could not be read are read when somebody asks again", () =>
  Effect.gen(function* () {
    const path = join(yield* folder, "gui")
    const ask = (yield* Gui.handlerOf(path))(asking("/ui/"))
    assert.strictEqual((yield* ask).status, 404)
    yield* Effect.sync(() => {
      mkdirSync(path)
      writeFileSync(join(path, "index.html"), "<title>vmfabric</title>")
    })
    assert.strictEqual((yield* ask).status, 200)
  })
)
