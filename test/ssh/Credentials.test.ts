/** Files of keys and known hosts, and how often they are read. */
import * as FileSystem from "@effect/platform/FileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import { sourceOfFiles } from "../../layers/ssh/Credentials.ts"

const options = {
  keyFile: Option.some("/home/ann/key"),
  knownHostsFile: "/home/ann/known_hosts",
  agentSocket: Option.none(),
  homeDirectory: "/home/ann"
}

/** Each reading takes 10 ms. */
const reading = Effect.gen(function* () {
  const reads: Array<string> = []
  const fs = yield* FileSystem.FileSystem.pipe(
    Effect.provide(
      FileSystem.layerNoop({
        readFileString: (path) =>
          Effect.suspend(() => {
            reads.push(path)
            return Effect.delay(Effect.succeed(`as of reading ${reads.length}`), "10 millis")
          })
      })
    )
  )
  return { reads, source: yield* sourceOfFiles(fs, options) }
})

describe("files that are read for a connection", () => {
  it.effect("once for all attempts that begin at the same time, anew for those that come later", () =>
    Effect.gen(function* () {
      const { reads, source } = yield* reading
      const attempt = Effect.zip(source.identities, source.trust)
      const many = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 50 }), () => attempt, { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("20 millis")
      yield* Fiber.join(many)
      assert.deepStrictEqual(reads, ["/home/ann/key", "/home/ann/known_hosts"])
      yield* TestClock.adjust("100 millis")
      const later = yield* Effect.fork(attempt)
      yield* TestClock.adjust("20 millis")
      yield* Fiber.join(later)
      assert.lengthOf(reads, 4)
    })
  )

  it.effect("one who gives up takes the answer from nobody", () =>
    Effect.gen(function* () {
      const { source } = yield* reading
      const first = yield* Effect.fork(source.trust)
      yield* Effect.yieldNow()
      const second = yield* Effect.fork(source.trust)
      yield* Effect.yieldNow()
      const ending = yield* Effect.fork(Fiber.interrupt(first))
      yield* TestClock.adjust("20 millis")
      yield* Fiber.join(ending)
      assert.strictEqual((yield* Fiber.join(second)).file, "/home/ann/known_hosts")
    })
  )
})
