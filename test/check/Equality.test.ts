/** Assertions that cannot fail prove nothing: what differs is told apart, by itself and inside of what holds it. */
import { assert, describe, it } from "@effect/vitest"
import {
  Cause,
  Chunk,
  Data,
  DateTime,
  Duration,
  Effect,
  Either,
  Exit,
  FiberId,
  HashMap,
  HashSet,
  List,
  Option,
  Redacted,
  Schema
} from "effect"
import { assert as outside } from "./Equality.ts"
import lab from "../lab/vitest.config.ts"
import unit from "../../vitest.config.ts"

class Plain extends Data.TaggedError("Plain")<{ readonly a: unknown }> {}

class Told extends Schema.TaggedError<Told>()("Told", { a: Schema.Number }) {
  override get message() {
    return "always the same"
  }
}

/** Of each kind values that all differ from one another, made anew by every call. */
const kinds: Record<string, () => ReadonlyArray<unknown>> = {
  Option: () => [Option.none(), Option.some(undefined), Option.some(1), Option.some(2), Option.some(Option.none())],
  Either: () => [
    Either.right(1),
    Either.right(2),
    Either.left(1),
    Either.right(Option.none()),
    Either.right(Option.some(1))
  ],
  Exit: () => [
    Exit.void,
    Exit.succeed(1),
    Exit.fail(undefined),
    Exit.fail(1),
    Exit.die(1),
    Exit.succeed(Option.none()),
    Exit.succeed(Option.some(1)),
    Exit.fail(new Plain({ a: 1 })),
    Exit.fail(new Plain({ a: 2 }))
  ],
  Cause: () => [
    Cause.empty,
    Cause.fail(1),
    Cause.fail(2),
    Cause.die(1),
    Cause.interrupt(FiberId.none),
    Cause.parallel(Cause.fail(1), Cause.fail(2)),
    Cause.sequential(Cause.fail(1), Cause.fail(2)),
    Cause.fail(Option.none()),
    Cause.fail(Option.some(1))
  ],
  Effect: () => [Effect.succeed(1), Effect.succeed(2), Effect.fail(1), Effect.void],
  error: () => [
    new Error("a"),
    new Error("b"),
    new Plain({ a: 1 }),
    new Plain({ a: 2 }),
    new Plain({ a: Option.none() }),
    new Plain({ a: Option.some(1) }),
    new Plain({ a: new Plain({ a: 1 }) }),
    new Plain({ a: new Plain({ a: 2 }) }),
    new Told({ a: 1 }),
    new Told({ a: 2 })
  ],
  Redacted: () => [Redacted.make("a"), Redacted.make("b"), Redacted.make(Option.none()), Redacted.make(Option.some(1))],
  Duration: () => [Duration.zero, Duration.seconds(1), Duration.nanos(1n), Duration.nanos(2n), Duration.infinity],
  DateTime: () => [
    DateTime.unsafeMake(1),
    DateTime.unsafeMake(2),
    DateTime.unsafeMakeZoned(1, { timeZone: "Europe/London" }),
    DateTime.unsafeMakeZoned(1, { timeZone: "America/New_York" })
  ],
  Chunk: () => [Chunk.empty(), Chunk.make(1), Chunk.make(2), Chunk.make(1, 2), Chunk.make(Option.none())],
  List: () => [List.empty(), List.make(1), List.make(2), List.make(1, 2)],
  HashMap: () => [
    HashMap.empty(),
    HashMap.make(["a", 1]),
    HashMap.make(["a", 2]),
    HashMap.make(["b", 1]),
    HashMap.make(["a", Option.none()]),
    HashMap.make(["a", Option.some(1)])
  ],
  HashSet: () => [HashSet.empty(), HashSet.make(1), HashSet.make(2), HashSet.make(1, 2)],
  URLSearchParams: () => [new URLSearchParams(), new URLSearchParams("a=1"), new URLSearchParams("a=2")],
  Headers: () => [new Headers(), new Headers({ a: "1" }), new Headers({ a: "2" })]
}

const holders: Record<string, (value: unknown) => unknown> = {
  "by itself": (value) => value,
  "in an array": (value) => [value],
  "in a struct": (value) => ({ one: { value } }),
  "in a Map": (value) => new Map([["one", value]])
}

describe("assertions", () => {
  for (const [kind, make] of Object.entries(kinds)) {
    for (const [where, hold] of Object.entries(holders)) {
      it(`tell apart ${kind} ${where}`, () => {
        const [some, others] = [make().map(hold), make().map(hold)]
        for (const [i, one] of some.entries()) {
          for (const [j, other] of others.entries()) {
            const what = `${i} and ${j}`
            if (i === j) {
              assert.deepStrictEqual(one, other, what)
              assert.throws(() => assert.notDeepEqual(one, other), Error, /./, what)
            } else {
              assert.throws(() => assert.deepStrictEqual(one, other), Error, /./, what)
              assert.throws(() => assert.deepInclude({ one }, { one: other }), Error, /./, what)
              assert.throws(() => assert.sameDeepMembers([one], [other]), Error, /./, what)
            }
          }
        }
      })
    }
  }

  it("do so on real hosts, and outside of vitest, as well", () => {
    for (const { test } of [unit, lab]) assert.include(test?.setupFiles, "test/check/Equality.ts")
    assert.strictEqual<unknown>(outside, assert)
  })
})
