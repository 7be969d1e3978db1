/**
 * What one thing that was asked for leads to: its spans, and its lines in the log.
 *
 * @since 0.4.0
 */
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Tracer from "effect/Tracer"

/** Makes spans that nobody gets. */
const silent = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/**
 * A span where there is somebody to get it, and something it is a part of: a span that nobody gets costs as much as a tenth of a libvirt call.
 *
 * @since 0.4.0 @category combinators
 */
export const span =
  (name: string, options?: Pick<Tracer.SpanOptions, "attributes" | "kind">) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiberRuntime<A, E, R>((fiber) => {
      const traced = fiber.currentTracer !== silent && fiber.currentSpan?._tag === "Span"
      return traced ? Effect.withSpan(effect, name, { ...options, captureStackTrace: false }) : effect
    })

/** The same for each call of a function that is called for every VM. @since 0.13.0 @category combinators */
export const traced =
  (name: string) =>
  <Args extends ReadonlyArray<unknown>, A, E, R>(call: (...args: Args) => Effect.Effect<A, E, R>) =>
  (...args: Args): Effect.Effect<A, E, R> =>
    span(name)(call(...args))

/** Annotations of the lines of one operation. */
const operationKeys: ReadonlyArray<string> = ["operation", "kind", "vmid", "volumeid", "step", "phase"]

/**
 * What outlives the operation that began it, as a connection does: its lines are none of that operation's.
 *
 * @since 0.4.0 @category combinators
 */
export const apart = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.locallyWith(effect, FiberRef.currentLogAnnotations, HashMap.removeMany(operationKeys))
