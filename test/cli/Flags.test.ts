/** What a command says of flags that are not right, before it asks anybody. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Typed from "./Typed.ts"

/** A shell whose controller is not there: whoever asks it ends with 5. */
const shell = Effect.map(Typed.make({ VMFABRIC_URL: "http://127.0.0.1:1" }), ({ run }) => {
  const refused = (...args: ReadonlyArray<string>) =>
    Effect.map(run(...args), ({ err, out, status }) => {
      assert.deepStrictEqual([status, out], [2, ""], `${args.join(" ")}: ${err}`)
      return err.replace(/^vmfabric: /, "").trimEnd()
    })
  return { run, refused }
})

describe("flags", () => {
  it.scopedLive("with an empty value are refused, so that a variable that is not set makes no list of all", () =>
    Effect.gen(function* () {
      const { refused, run } = yield* shell
      const create = ["vm", "create", "--name", "a", "--type", "1"]
      for (const args of [
        ["vm", "list", "--tag", ""],
        ["vm", "list", "--tag="],
        ["vm", "list", "--tag", "web", "--tag", ""],
        ["vm", "list", "--name", ""],
        ["vm", "list", "--label", ""],
        [...create, "--tag", ""],
        [...create, "--must", ""],
        [...create, "--should", ""],
        [...create, "--nic", ""],
        [...create, "--ssh-key", ""],
        ["vm", "set", "a", "--untag", ""],
        ["host", "set", "h1", "--remove", ""],
        ["event", "list", "--type", ""],
        ["event", "watch", "--type="]
      ]) {
        const flag = args.filter((word) => word.startsWith("--")).at(-1) ?? ""
        assert.include(
          yield* refused(...args),
          `the value of ${flag.replace("=", "")} is empty: expected `,
          args.join(" ")
        )
      }
      // by which a description is taken away
      assert.strictEqual((yield* run("vm", "set", "1", "--description", "")).status, 5)
    })
  )

  it.scoped("offer no states to lists that nothing in a list can have", () =>
    Effect.gen(function* () {
      const { refused, run } = yield* shell
      for (const [noun, state] of [
        ["vm", "failed"],
        ["vm", "destroyed"],
        ["volume", "failed"],
        ["volume", "purged"]
      ] as const) {
        assert.notMatch((yield* run(noun, "list", "--help")).out, new RegExp(`--state.* ${state}`))
        assert.include(yield* refused(noun, "list", "--state", state), `--state is "${state}": expected creating, `)
      }
    })
  )
})
