/** The commands that lead into VMs. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { connect } from "node:net"
import * as Served from "../client/Served.ts"
import * as Typed from "./Typed.ts"

const shell = Effect.gen(function* () {
  const served = yield* Served.make
  const typed = yield* Typed.make({ VMFABRIC_URL: served.url })
  assert.strictEqual((yield* typed.run("vm", "create", "--name", "web", "--type", "1")).status, 0)
  return { ...typed, served }
})

describe("console", () => {
  it.scopedLive("hands on what is typed and what the guest prints, until Ctrl-] or the guest's end", () =>
    Effect.gen(function* () {
      const { press, run, sees } = yield* shell
      const first = yield* Effect.fork(run("console", "web"))
      yield* sees(/on the serial console of VM 1/)
      yield* press("echo hel")
      yield* press("lo\r")
      yield* sees(/hello\r\n/)
      // another is told who is there, and takes it over
      const busy = yield* run("console", "web")
      assert.strictEqual(busy.status, 1)
      assert.match(busy.err, /local, since 20.*has it: ask for it with force/)
      const second = yield* Effect.fork(run("console", "web", "--force"))
      const { err, status } = yield* Fiber.join(first)
      assert.strictEqual(status, 1)
      assert.include(err, "the console was closed: local has taken it over")
      yield* sees(/on the serial console of VM 1/)
      yield* press("echo not sent\u001d and this neither\r")
      const left = yield* Fiber.join(second)
      assert.strictEqual(left.status, 0, left.err)
      assert.include(left.err, "left the console")

      const third = yield* Effect.fork(run("console", "web"))
      yield* sees(/on the serial console of VM 1/)
      assert.strictEqual((yield* run("vm", "power-off", "web")).status, 0)
      const ended = yield* Fiber.join(third)
      assert.strictEqual(ended.status, 0, ended.err)
      assert.include(ended.err, "the console has ended: the VM is off")
      const off = yield* run("console", "web")
      assert.strictEqual(off.status, 1)
      assert.include(off.err, "does not run, so it has no serial console: start it")
    })
  )
})

const greetingOf = (port: number) =>
  Effect.async<string>((resume) => {
    const viewer = connect(port, "127.0.0.1")
    viewer.once("data", (bytes) => {
      resume(Effect.succeed(bytes.toString()))
      viewer.destroy()
    })
    viewer.once("error", (error) => resume(Effect.die(error)))
  })

describe("vnc", () => {
  it.scopedLive("serves the screen to as many viewers as come, at a port of this machine", () =>
    Effect.gen(function* () {
      const { run, sees } = yield* shell
      const serving = yield* Effect.fork(run("vnc", "web"))
      const port = Number(/127\.0\.0\.1:(\d+)\n/.exec(yield* sees(/^127\.0\.0\.1:\d+\n$/))?.[1])
      assert.strictEqual(yield* greetingOf(port), "RFB 003.008\n")
      assert.strictEqual(yield* greetingOf(port), "RFB 003.008\n")
      const taken = yield* run("vnc", "web", "--port", String(port))
      assert.strictEqual(taken.status, 1)
      assert.include(taken.err, "no viewer can be served")
      yield* Fiber.interrupt(serving)
      assert.strictEqual((yield* run("vnc", "nothing")).status, 3)
    })
  )
})
