import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import { execFileSync } from "node:child_process"
import * as Quote from "../../src/ssh/Quote.ts"
import * as RemoteProgram from "../../src/ssh/RemoteProgram.ts"

const nasty = [
  "",
  " ",
  "'",
  "''",
  "'\\''",
  '"',
  "\\",
  "\\'",
  "$(id)",
  "`id`",
  "$x",
  "!x",
  "*",
  "~",
  "-n",
  "a=b",
  "#",
  ";",
  "&&"
]
const blanks = ["\n", "\r\n", "\t", "\u2028", "\u0001", "\u007f", "\ufeff", "é", "漢", "🎉", "e\u0301"]

const anyWord = FastCheck.oneof(
  FastCheck.fullUnicodeString(),
  FastCheck.string(),
  FastCheck.array(FastCheck.constantFrom(...nasty, ...blanks)).map((parts) => parts.join(""))
).map((word) => word.replaceAll("\0", ""))

describe("Quote", () => {
  it("a shell sees every word as it was", () => {
    const words = [...nasty, ...blanks, ...FastCheck.sample(anyWord, 3000)]
    for (let at = 0; at < words.length; at += 500) {
      const batch = words.slice(at, at + 500)
      const line = Either.getOrThrow(Quote.commandLine(batch))
      const out = execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${line}`], { encoding: "utf8" })
      assert.deepStrictEqual(out.split("\0").slice(0, -1), batch)
    }
  })

  it("one word is one word, alone too", () => {
    for (const word of [...nasty, ...blanks]) {
      const quoted = Either.getOrThrow(Quote.word(word))
      assert.strictEqual(execFileSync("/bin/sh", ["-c", `printf '%s|' ${quoted}`], { encoding: "utf8" }), `${word}|`)
    }
  })

  it("what no argument can carry is refused, and which word it was", () => {
    assert.deepInclude(Option.getOrThrow(Either.getLeft(Quote.commandLine(["a", "b\0c"]))), { index: 1 })
    assert.isTrue(Either.isLeft(Quote.word("\ud800")))
    assert.isTrue(Either.isLeft(Quote.word("\udc00x")))
    assert.isTrue(Either.isRight(Quote.word("\ud83c\udf89")))
    assert.isTrue(Either.isLeft(Quote.commandLine(["x".repeat(200_000)])))
  })

  it("words reads back what commandLine wrote", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.array(anyWord), (argv) => {
        assert.deepStrictEqual(Quote.words(Either.getOrThrow(Quote.commandLine(argv))), Option.some(argv))
      })
    )
  })

  it("words takes nothing else", () => {
    for (const line of ["a", "'a' b", "'a'; 'b'", "'a' ", "'a", "'a'  'b'", "'a'\n'b'", " 'a'", `'a'"b"`]) {
      assert.deepStrictEqual(Quote.words(line), Option.none(), line)
    }
  })

  it("display leaves plain words alone and is safe to paste", () => {
    assert.strictEqual(
      Quote.display(["ssh-keygen", "-R", "[h]:2222", "-f", "/a b"]),
      "ssh-keygen -R '[h]:2222' -f '/a b'"
    )
    const words = ["x", ...FastCheck.sample(anyWord, 300)]
    const out = execFileSync("/bin/sh", ["-c", `printf '%s\\0' ${Quote.display(words)}`], { encoding: "utf8" })
    assert.deepStrictEqual(out.split("\0").slice(0, -1), words)
  })
})

describe("RemoteProgram", () => {
  it("a simulated host reads back argv and where stdin comes from", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(anyWord),
        FastCheck.constantFrom<"watched" | "channel">("watched", "channel"),
        (rest, stdin) => {
          const program = { argv: ["program", ...rest] as const, stdin }
          assert.deepStrictEqual(
            RemoteProgram.parse(Either.getOrThrow(RemoteProgram.commandLine(program))),
            Option.some({ argv: ["program", ...rest], stdin })
          )
        }
      )
    )
    assert.deepStrictEqual(RemoteProgram.parse("ls -l"), Option.none())
    assert.deepStrictEqual(RemoteProgram.parse("exec ls; rm x"), Option.none())
    assert.deepStrictEqual(RemoteProgram.parse("exec "), Option.none())
  })

  it("refuses a program that the shell would take for an option", () => {
    for (const name of ["", "-a", "--"]) {
      assert.isTrue(Either.isLeft(RemoteProgram.commandLine({ argv: [name, "x"], stdin: "watched" })))
    }
  })
})
