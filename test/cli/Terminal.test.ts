/** Commands on a real terminal: one that util-linux's `script` makes. */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as Tools from "../check/Tools.ts"
import * as Served from "../client/Served.ts"
import * as Built from "../program/Built.ts"
import * as Typed from "./Typed.ts"

const root = new URL("../..", import.meta.url).pathname
const program = [process.execPath, Built.program].join(" ")

beforeAll(Built.built, 120_000)

/** Machines can be loaded: this only ends what hangs. */
const limit = 120_000

/** A controller with a VM `web`, and its commands. */
const shell = Effect.gen(function* () {
  const { url } = yield* Served.make
  const { run } = yield* Typed.make({ VMFABRIC_URL: url })
  assert.strictEqual((yield* run("vm", "create", "--name", "web", "--type", "1")).status, 0)
  return { run, url }
})

/** A shell's command line on a terminal of its own; `sees` gives all that is on it, from when it matches what came since the last time. */
const terminal = (line: string, env: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn("script", ["-qefc", line, "/dev/null"], { cwd: root, env: { ...process.env, ...env } })
      let all = ""
      let from = 0
      const waiting = new Set<() => void>()
      const came = () => waiting.forEach((look) => look())
      child.stdout.on("data", (data) => {
        all += String(data)
        came()
      })
      child.once("close", came)
      const sees = (pattern: RegExp) =>
        Effect.async<string>((resume) => {
          const look = () => {
            const found = pattern.exec(all.slice(from))
            if (found === null && child.exitCode === null) return
            waiting.delete(look)
            if (found === null) return resume(Effect.dieMessage(`it ended without ${pattern}: ${all}`))
            from += found.index + found[0].length
            resume(Effect.succeed(found[0]))
          }
          waiting.add(look)
          look()
          return Effect.sync(() => waiting.delete(look))
        }).pipe(
          Effect.timeoutFail({ duration: "60 seconds", onTimeout: () => new Error(`no ${pattern} came: ${all}`) }),
          Effect.orDie
        )
      return { child, sees, types: (text: string) => Effect.sync(() => void child.stdin.write(text)) }
    }),
    ({ child }) => Effect.sync(() => void child.kill())
  )

describe.skipIf(Tools.isMissing("script"))("a terminal (needs script)", () => {
  it.scopedLive(
    "is the guest's while its console is open, Ctrl-C too, and is afterwards as it was",
    () =>
      Effect.gen(function* () {
        const { url } = yield* shell
        const { sees, types } = yield* terminal(`stty -a; ${program} console web; echo "status $?"; stty -a`, {
          VMFABRIC_URL: url
        })
        const before = yield* sees(/speed [\s\S]*?-?echoprt[\s\S]*?\n/)
        yield* sees(/on the serial console of VM 1: Ctrl-\] leaves it/)
        yield* types("echo hel\u0003lo\r")
        // neither the terminal nor the program has taken the Ctrl-C for itself
        yield* sees(/hel\u0003?lo/)
        yield* types("echo still here\r")
        yield* sees(/still here/)
        yield* types("\u001d")
        yield* sees(/left the console/)
        yield* sees(/status 0/)
        assert.strictEqual(yield* sees(/speed [\s\S]*?-?echoprt[\s\S]*?\n/), before)
      }),
    limit
  )

  it.scopedLive(
    "is asked before something is destroyed, and only yes is a yes",
    () =>
      Effect.gen(function* () {
        const { run, url } = yield* shell
        const destroying = terminal(`${program} vm destroy web; echo "status $?"`, { VMFABRIC_URL: url })
        const first = yield* destroying
        yield* first.sees(/\? /)
        yield* first.types("n\r")
        yield* first.sees(/status [1-9]/)
        assert.strictEqual((yield* run("vm", "get", "web")).status, 0)
        const second = yield* destroying
        yield* second.sees(/\? /)
        yield* second.types("yes\r")
        yield* second.sees(/status 0/)
        assert.strictEqual((yield* run("vm", "get", "web")).status, 3)
      }),
    limit
  )
})
