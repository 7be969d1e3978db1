import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as Tools from "../check/Tools.ts"
import * as World from "../fabric/World.ts"
import * as Built from "./Built.ts"
import * as Lives from "./Lives.ts"

const root = new URL("../..", import.meta.url).pathname

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Something that says when it comes and when it goes. */
const spoken = (said: Array<string>, name: string) =>
  Effect.acquireRelease(
    Effect.sync(() => void said.push(`${name} comes`)),
    () => Effect.sync(() => void said.push(`${name} goes`))
  )

describe("what tests use one after the other", () => {
  it("is gone before the next is there, and all of it in the end", async () => {
    const said: Array<string> = []
    const lives = Lives.make()
    await lives.throughout(spoken(said, "browser"))
    await lives.next(spoken(said, "first"))
    await lives.next(spoken(said, "second"))
    await lives.end()
    assert.deepStrictEqual(said, [
      "browser comes",
      "first comes",
      "first goes",
      "second comes",
      "second goes",
      "browser goes"
    ])
  })

  it("is gone as well when it was still being made in the end, or only asked for after it", async () => {
    const said: Array<string> = []
    const lives = Lives.make()
    const goOn = Effect.runSync(Deferred.make<void>())
    const slow = lives.next(Effect.zipRight(Deferred.await(goOn), spoken(said, "slow")))
    await lives.end()
    await Effect.runPromise(Deferred.succeed(goOn, undefined))
    await slow
    await lives.next(spoken(said, "late"))
    assert.deepStrictEqual(said, ["slow comes", "slow goes", "late comes", "late goes"])
  })
})

describe("a program that a test has started", () => {
  it.scopedLive.skipIf(Tools.isMissing("setpriv"))(
    "ends with the process of the test, also when that is killed (needs setpriv)",
    () =>
      Effect.gen(function* () {
        yield* Effect.promise(Built.built)
        const starts = `
          import * as Effect from "effect/Effect"
          import * as Program from "./test/program/Program.ts"
          await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
            const { pid } = yield* Program.start([])
            process.stdout.write("pid " + pid + "\\n")
            yield* Effect.never
          })))`
        const test = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn(
              process.execPath,
              ["--conditions=vmfabric-source", "--import", "tsx", "--input-type=module", "--eval", starts],
              { cwd: root, stdio: ["ignore", "pipe", "inherit"] }
            )
          ),
          (child) => Effect.sync(() => void child.kill("SIGKILL"))
        )
        const line = yield* Effect.promise(() => once(test.stdout, "data"))
        const pid = Number(/pid (\d+)/.exec(String(line))?.[1])
        assert.isTrue(isThere(pid))
        test.kill("SIGKILL")
        yield* World.eventually(Effect.sync(() => assert.isFalse(isThere(pid))))
      }),
    120_000
  )
})
