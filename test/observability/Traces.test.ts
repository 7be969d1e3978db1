import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as Trail from "../../src/observability/Trail.ts"
import * as World from "../fabric/World.ts"
import * as Controller from "./Controller.ts"

interface Seen {
  readonly name: string
  readonly id: string
  readonly trace: string
  readonly parent: string | null
  readonly attributes: Map<string, unknown>
  ended: boolean
}

/** A tracer that keeps every span. */
const recorder = () => {
  const spans: Array<Seen> = []
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      const spanId = `span-${spans.length}`
      const traceId = Option.match(parent, { onNone: () => `trace-${spans.length}`, onSome: (up) => up.traceId })
      const seen: Seen = {
        name,
        id: spanId,
        trace: traceId,
        parent: Option.match(parent, { onNone: () => null, onSome: (up) => up.spanId }),
        attributes,
        ended: false
      }
      spans.push(seen)
      return {
        _tag: "Span",
        name,
        spanId,
        traceId,
        parent,
        context,
        status: { _tag: "Started", startTime },
        attributes,
        links,
        sampled: true,
        kind,
        end: () => void (seen.ended = true),
        attribute: (key, value) => void attributes.set(key, value),
        event: () => undefined,
        addLinks: () => undefined
      }
    },
    context: (run) => run()
  })
  return { spans, tracer }
}

describe("traces", () => {
  it.scopedLive("a creation is one tree, from the request to each call of libvirt", () =>
    Effect.gen(function* () {
      const { get } = yield* Controller.make({ hosts: 1 })
      yield* get("/vm/create?name=before&instance_type=1")
      const { spans, tracer } = recorder()
      yield* Effect.withTracer(get("/vm/create?name=one&instance_type=1"), tracer)
      yield* World.eventually(Effect.sync(() => assert.isTrue(spans.every(({ ended }) => ended))))

      const byId = new Map(spans.map((span) => [span.id, span]))
      const above = (span: Seen): ReadonlyArray<string> => {
        const parent = span.parent === null ? undefined : byId.get(span.parent)
        return parent === undefined ? [] : [...above(parent), parent.name]
      }
      const named = (name: string) => {
        const found = spans.filter((span) => span.name === name)
        assert.lengthOf(found, 1, name)
        return found[0]!
      }
      assert.deepStrictEqual(above(named("step start")), ["http.server GET", "Vms.create", "Saga.drive"])
      for (const step of ["image", "root disk", "seed", "define", "start", "running"]) {
        assert.deepStrictEqual(above(named(`step ${step}`)), ["http.server GET", "Vms.create", "Saga.drive"], step)
      }
      assert.deepStrictEqual(above(named("libvirt DOMAIN_CREATE_WITH_FLAGS")), [
        ...above(named("step start")),
        "step start",
        "Hypervisor.start"
      ])
      assert.strictEqual(named("Saga.drive").attributes.get("kind"), "CreateVm")
      assert.strictEqual(named("libvirt DOMAIN_CREATE_WITH_FLAGS").attributes.get("host"), "sim-1")
      const calls = spans.filter(({ name }) => name.startsWith("libvirt "))
      assert.isAtLeast(calls.length, 5)
      for (const call of calls)
        assert.isTrue(
          above(call).some((name) => name.startsWith("step ")),
          call.name
        )
      assert.deepStrictEqual([...new Set(spans.map(({ trace }) => trace))], [spans[0]!.trace], "one trace")
      assert.deepStrictEqual(
        spans.filter(({ parent }) => parent === null).map(({ name }) => name),
        ["http.server GET"]
      )
    }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger)))
  )

  it.effect("what nobody gets is not made", () =>
    Effect.gen(function* () {
      const current = Effect.map(
        Effect.option(Effect.currentSpan),
        Option.map(({ name }) => name)
      )
      const inner = Trail.span("inner")(current)
      assert.deepStrictEqual(yield* Effect.withSpan(inner, "outer"), Option.some("outer"))
      const { spans, tracer } = recorder()
      assert.deepStrictEqual(yield* Effect.withTracer(Effect.withSpan(inner, "outer"), tracer), Option.some("inner"))
      assert.lengthOf(spans, 2)
      yield* Effect.withTracer(inner, tracer)
      assert.lengthOf(spans, 2, "part of nothing that is traced")
    })
  )

  it.effect("what outlives an operation has none of its annotations, and all others", () =>
    Effect.gen(function* () {
      const annotations = yield* Trail.apart(FiberRef.get(FiberRef.currentLogAnnotations)).pipe(
        Effect.annotateLogs({ operation: "o", kind: "CreateVm", vmid: 1, step: "image", phase: "do", host: "h" }),
        Effect.annotateLogs("fleet", "SIMULATED")
      )
      assert.deepStrictEqual(Object.fromEntries(annotations), { host: "h", fleet: "SIMULATED" })
    })
  )
})
