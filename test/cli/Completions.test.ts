/** What the shells complete, by the shell itself where it is bash. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Typed from "./Typed.ts"

/** What bash offers for the last of the words, which is being typed. */
const bash = (script: string, words: ReadonlyArray<string>) =>
  Effect.async<ReadonlyArray<string>>((resume) => {
    const typed =
      'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vmfabric_completions; printf "%s\\n" "${COMPREPLY[@]}"'
    execFile("bash", ["-c", typed, "bash", script, "vmfabric", ...words], (error, out, err) =>
      resume(
        error === null && err === ""
          ? Effect.succeed(out.split("\n").filter((line) => line !== ""))
          : Effect.die(error ?? err)
      )
    )
  })

describe("completions", () => {
  it.scoped("of bash lead to the flags of each verb, and to their values", () =>
    Effect.gen(function* () {
      const { config, run } = yield* Typed.make({})
      const script = join(config, "completions")
      writeFileSync(script, (yield* run("--completions", "bash")).out)
      const offered = (...words: ReadonlyArray<string>) => bash(script, words)
      assert.deepStrictEqual(yield* offered("vo"), ["volume"])
      assert.deepStrictEqual(yield* offered("sim"), ["simulate"])
      assert.deepStrictEqual(yield* offered("vm", "cl"), ["cloud-init"])
      assert.deepStrictEqual(yield* offered("vm", "list", "--st"), ["--state"])
      assert.deepStrictEqual(yield* offered("vm", "list", "--state", "sto"), ["stopped"])
      assert.deepStrictEqual(yield* offered("vm", "cloud-init", "web", "--net"), ["--network-config"])
      // flags and their values between the words
      assert.deepStrictEqual(yield* offered("-o", "json", "vm", "--context", "volume", "create", "--on-crash", ""), [
        "leave",
        "restart"
      ])
      assert.deepStrictEqual(yield* offered("whoami", "-o", "y"), ["yaml"])
      assert.deepStrictEqual(yield* offered("simulate", "--hos"), ["--hosts", "--host-vcpus", "--host-memory"])
      assert.deepStrictEqual(yield* offered("--completions", "z"), ["zsh"])
      // the shell's own, such as files
      assert.deepStrictEqual(yield* offered("vm", "create", "--user-data", ""), [])
      assert.deepStrictEqual(yield* offered("image", "upload", "deb"), [])
      const all = yield* offered("vm", "list", "")
      assert.include(all, "--tag")
      for (const refused of ["--wizard", "--log-level", "--version"]) assert.notInclude(all, refused)
      assert.include(yield* offered("simulate", ""), "--log-level")
    })
  )

  it.scoped("of fish and zsh have no flags that are refused", () =>
    Effect.gen(function* () {
      const { run } = yield* Typed.make({})
      for (const [shell, flag] of [
        ["fish", "-l "],
        ["zsh", "--"]
      ] as const) {
        const { out } = yield* run("--completions", shell)
        assert.notInclude(out, `${flag}wizard`)
        // the one is the program's, the other that of simulate
        assert.lengthOf(
          out.split("\n").filter((line) => line.includes(`${flag}version`)),
          1,
          shell
        )
        assert.lengthOf(
          out.split("\n").filter((line) => line.includes(`${flag}log-level`)),
          1,
          shell
        )
        assert.include(out, "cloud-init")
      }
    })
  )
})
