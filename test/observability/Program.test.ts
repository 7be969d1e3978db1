import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Program from "../program/Program.ts"

const decode = Schema.decodeUnknownSync(
  Schema.parseJson(Schema.Struct({ message: Schema.String, logLevel: Schema.String, timestamp: Schema.String }))
)

describe("the program", () => {
  it.scopedLive(
    "writes nothing but JSON when it is to, from its first line to its last, also that it cannot start",
    () =>
      Effect.gen(function* () {
        const { exited, kill, output } = yield* Program.start(["--log-format", "json"])
        yield* kill("SIGTERM")
        yield* exited
        const refused = yield* Program.toEnd(["--log-format", "json", "/nowhere/1", "/nowhere/2", "/nowhere/3"])
        assert.notStrictEqual(refused.status, 0)
        const lines = ((yield* output) + refused.output).trimEnd().split("\n")
        const read = lines.map((line) => decode(line))
        assert.isTrue(read.some(({ message }) => message.startsWith("listening on http://")))
        assert.isTrue(read.some(({ logLevel, message }) => logLevel === "ERROR" && message.includes("/nowhere/1")))
      }),
    60_000
  )
})
