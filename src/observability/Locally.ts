/**
 * What holds for one effect and what it leads to: words for its lines in the log, services, whether it is traced.
 *
 * Effect's own guards each of these like a resource, with some two dozen steps of its runtime for each. Here all of them are set at once and set back
 * at once, for a third of what one costs; whoever is interrupted keeps them to its end, unless it is so where nothing but the effect can be.
 *
 * @since 0.15.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"

/** @since 0.15.0 @category models */
export interface Setting {
  readonly set: (fiberId: FiberId.Runtime, refs: FiberRefs.FiberRefs) => FiberRefs.FiberRefs
  /** Sets back to what was `before`. */
  readonly reset: (
    fiberId: FiberId.Runtime,
    refs: FiberRefs.FiberRefs,
    before: FiberRefs.FiberRefs
  ) => FiberRefs.FiberRefs
}

const setting = <A>(fiberRef: FiberRef.FiberRef<A>, change: (before: A) => A): Setting => ({
  set: (fiberId, refs) =>
    FiberRefs.updateAs(refs, { fiberId, fiberRef, value: change(FiberRefs.getOrDefault(refs, fiberRef)) }),
  reset: (fiberId, refs, before) =>
    FiberRefs.updateAs(refs, { fiberId, fiberRef, value: FiberRefs.getOrDefault(before, fiberRef) })
})

/** As `Effect.annotateLogs` has it. @since 0.15.0 @category constructors */
export const annotations = (added: Readonly<Record<string, unknown>>): Setting =>
  setting(FiberRef.currentLogAnnotations, (before) =>
    HashMap.mutate(before, (all) => {
      for (const [key, value] of Object.entries(added)) HashMap.set(all, key, value)
    })
  )

/** As `Effect.provideService` has it. @since 0.15.0 @category constructors */
export const service = <I, S>(tag: Context.Tag<I, S> | Context.Reference<I, S>, service: S): Setting =>
  setting(FiberRef.currentContext, (before) => Context.add(before, tag, service))

/** As `Effect.withTracerEnabled(false)` has it. @since 0.15.0 @category constructors */
export const untraced: Setting = setting(FiberRef.currentTracerEnabled, () => false)

/** For as long as the effect runs. @since 0.15.0 @category combinators */
export const within =
  (...settings: ReadonlyArray<Setting>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiberRuntime<A, E, R>((fiber) => {
      const before = fiber.getFiberRefs()
      const back = Effect.updateFiberRefs((id, refs) =>
        settings.reduce((all, { reset }) => reset(id, all, before), refs)
      )
      return Effect.zipRight(
        Effect.updateFiberRefs((id, refs) => settings.reduce((all, { set }) => set(id, all), refs)),
        Effect.matchCauseEffect(effect, {
          onFailure: (cause) => Effect.zipRight(back, Effect.failCause(cause)),
          onSuccess: (value) => Effect.as(back, value)
        })
      )
    })
