/** The commands that show what VMs show. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { InspectorTestState } from "../../layers/InspectorTest.ts"
import * as Text from "../../src/cli/Text.ts"
import type { GuestFacts } from "../../src/domain/Guest.ts"
import { VmId } from "../../src/domain/Ids.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import * as Served from "../client/Served.ts"
import * as Typed from "./Typed.ts"

const shell = Effect.gen(function* () {
  const served = yield* Served.make
  const typed = yield* Typed.make({ VMFABRIC_URL: served.url })
  assert.strictEqual((yield* typed.run("vm", "create", "--name", "web", "--type", "1")).status, 0)
  const vm = yield* Context.get(served.context, Inventory).vm(VmId.make(1))
  const { print, tell, use } = Context.get(served.context, InspectorTestState)
  return {
    ...typed,
    tell: (facts: GuestFacts) => tell(vm, facts),
    use: (used: Parameters<typeof use>[1]) => use(vm, used),
    print: (text: string) => print(vm, text)
  }
})

describe("vm log", () => {
  it.scopedLive("shows what a guest printed, and lets nothing of it drive the terminal", () =>
    Effect.gen(function* () {
      const { print, run } = yield* shell
      yield* print("\u001b]0;title\u0007\u001b[2J\u001b[31mred\u001b[0m\tü\r\n10%\r20%\r\nbell\u0007\u009b6n end\r\n")
      const { err, out, status } = yield* run("vm", "log", "web")
      assert.strictEqual(status, 0, err)
      assert.strictEqual(out, "red\tü\n10%\n20%\nbell\\u0007\\u009b6n end\n")
      assert.strictEqual((yield* run("vm", "log", "web", "--bytes", "5", "--raw")).out, "end\r\n")
      const json: unknown = JSON.parse((yield* run("vm", "log", "web", "--bytes", "5", "-o", "json")).out)
      assert.deepInclude(json, { data: Buffer.from("end\r\n").toString("base64") })
    })
  )

  it.scopedLive("follows until the VM is gone", () =>
    Effect.gen(function* () {
      const { print, run, sees } = yield* shell
      yield* print("begin\r\n")
      const following = yield* Effect.fork(run("vm", "log", "web", "--follow"))
      yield* sees(/begin/)
      // an escape, and a letter, that come in two pieces
      yield* print("half \u001b[3")
      yield* sees(/half/)
      yield* print("1mred\r\n")
      yield* sees(/red/)
      yield* run("vm", "destroy", "web")
      const { err, out, status } = yield* Fiber.join(following)
      assert.strictEqual(out, "begin\nhalf red\n")
      assert.strictEqual(status, 0)
      assert.include(err, "VM 1 is gone")
    })
  )

  it("knows escapes that have not ended", () => {
    assert.strictEqual(Text.unfinished("abc\u001b[3"), 3)
    assert.strictEqual(Text.unfinished("abc\u001b"), 3)
    assert.strictEqual(Text.unfinished("abc\u001b]0;title"), 3)
    assert.strictEqual(Text.unfinished("abc\u001b[31mred"), 11)
    assert.strictEqual(Text.unfinished("abc\r"), 3)
    // one that never ends does not hold back all that follows
    assert.strictEqual(Text.unfinished(`\u001b]${"x".repeat(100)}`), 102)
  })
})

describe("vm screenshot and vm xml", () => {
  it.scopedLive("write a picture that nobody else reads, and print what the domain is", () =>
    Effect.gen(function* () {
      const { config, run } = yield* shell
      const file = join(config, "screen.png")
      const { err, status } = yield* run("vm", "screenshot", "web", "--file", file)
      assert.strictEqual(status, 0, err)
      assert.strictEqual(readFileSync(file).toString("latin1", 1, 4), "PNG")
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.include((yield* run("vm", "screenshot", "web", "--file", "-")).out, "PNG")
      const nowhere = yield* run("vm", "screenshot", "web", "--file", join(config, "no/such/folder.png"))
      assert.strictEqual(nowhere.status, 1)
      assert.include(nowhere.err, "cannot be written")
      assert.match((yield* run("vm", "xml", "web")).out, /^<domain [^>]*id=[^]*<\/domain>\n$/)
      assert.notMatch((yield* run("vm", "xml", "web", "--defined")).out, /^<domain [^>]*id=/)
    })
  )
})

describe("vm guest", () => {
  it.scopedLive("shows what a guest says of itself, in words for people, or why it says nothing", () =>
    Effect.gen(function* () {
      const { run, tell } = yield* shell
      const silent = yield* run("vm", "guest", "web")
      assert.strictEqual(silent.status, 1)
      assert.include(silent.err, "VM 1 tells nothing of itself: its guest runs no agent")
      yield* tell({
        hostname: "web-1",
        os: { id: "debian", name: "Debian 12", version: "12", kernel: "6.1.0", machine: "x86_64" },
        timezone: { name: "NST", offset: -12_600 },
        users: [{ name: "ada", since: null }],
        filesystems: [{ mountpoint: "/", device: "vda2", type: "ext4", size: 2 ** 31, used: 2 ** 30 }],
        interfaces: [{ name: "eth0", mac: null, addresses: [{ address: "10.0.0.7", prefix: 24 }] }]
      })
      const { err, out } = yield* run("vm", "guest", "web")
      for (const words of [
        "web-1",
        "Debian 12",
        "NST UTC-03:30",
        "ada",
        "/ (vda2 ext4, 1.00 GiB of 2.00 GiB)",
        "eth0 10.0.0.7/24"
      ]) {
        assert.include(out, words, err)
      }
      const json: unknown = JSON.parse((yield* run("vm", "guest", "web", "-o", "json")).out)
      assert.nestedPropertyVal(json, "told.interfaces[0].addresses[0].address", "10.0.0.7")
    })
  )
})

describe("vm stats, vm top and host stats", () => {
  it.scopedLive("show what is used in units people read", () =>
    Effect.gen(function* () {
      const { run, use } = yield* shell
      yield* use({ memory: { assigned: 2 ** 30, used: 300 * 2 ** 20, resident: null } })
      const shows = (...args: ReadonlyArray<string>) =>
        Effect.repeat(run(...args), { until: ({ out }) => out.includes("300 MiB") }).pipe(Effect.timeout("10 seconds"))
      assert.match((yield* shows("vm", "stats", "web")).out, /memory used +300 MiB\nof +1.00 GiB\n/)
      assert.match((yield* shows("vm", "top")).out, /ID +NAME +HOST +CPU .*\n *1 +web +\d +0.0 % .* 300 MiB +1.00 GiB/)
      assert.match((yield* shows("host", "stats", "1")).out, /busy vcpus +0.0\nmemory +300 MiB/)
      assert.match((yield* run("vm", "stats", "web", "--last", "100")).out, /AT +CPU .*\n20.*Z +- /)
      const json: unknown = JSON.parse((yield* run("vm", "top", "-o", "json", "--sort", "memory")).out)
      assert.nestedProperty(json, "items[0].rates.memory")
    })
  )
})
