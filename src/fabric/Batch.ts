/**
 * Many VMs at once: as many as there is room for, and all or none where rules say how they are to lie to each other.
 *
 * @since 0.4.0
 */
import * as Effect from "effect/Effect"
import type { PlanOutdated } from "../domain/Errors.ts"
import type { Vm } from "../domain/Vm.ts"
import * as Begun from "./Begun.ts"
import type { Application } from "./Plans.ts"
import type { CreateError, CreateVm, Vms } from "./Vms.ts"

/** `name` is followed by `-1`, `-2`, … @since 0.4.0 @category models */
export interface CreateVms extends CreateVm {
  readonly count: number
}

/** @since 0.5.0 @category errors */
export type Refusal = CreateError | PlanOutdated

/** @since 0.4.0 @category models */
export interface Batch {
  /** in the order of their names */
  readonly begun: ReadonlyArray<Begun.UnderWay<Vm, Refusal>>
  /** why the first of those was not begun; null: all were */
  readonly refused: { readonly count: number; readonly error: Refusal } | null
}

/** begun at the same time, so that they share commits */
const together = 64

/** Whether it is all or nothing: some of those that rules are about are of no use alone. @since 0.7.0 @category predicates */
export const isWhole = ({ placement }: Pick<CreateVms, "placement">): boolean => (placement?.rules ?? []).length > 0

/** Which of them it is: those of which all or none are made are placed with a view to the others. */
const followed = (request: CreateVms, index: number) =>
  isWhole(request) ? { following: request.count - 1 - index } : {}

/** The key is all of theirs: what it was used for before is the same request, or none of them is made. */
const keyOf = (idempotencyKey: string | undefined, number: number, count: number) =>
  idempotencyKey === undefined ? {} : { idempotencyKey, among: { number, count } }

/** Each as it is planned, one after the other. @since 0.5.0 @category use cases */
export const rehearsals = (vms: Vms["Type"], request: CreateVms) => {
  const { idempotencyKey, ...each } = request
  return Array.from({ length: request.count }, (_, index) => {
    // it is all of theirs, so the first one finds out whether it is another request's
    const key = index === 0 ? keyOf(idempotencyKey, 1, request.count) : {}
    const one = vms.create({ ...each, ...key, ...followed(request, index), name: `${each.name}-${index + 1}` })
    return isWhole(request)
      ? Effect.catchTag(one, "NoFeasibleHost", (error) => Effect.fail(error.beside(index + 1, request.count)))
      : one
  })
}

/**
 * Fails when none can be begun. As it was planned: all that the plan makes can be begun at one moment, or it fails and none is; what is in the way of
 * one of them from that moment on is told of that one.
 *
 * @since 0.4.0 @category use cases
 */
export const create = Effect.fn("Batch.create")(function* (
  begin: Begun.Begin,
  vms: Vms["Type"],
  request: CreateVms,
  plan?: Application
) {
  const { count, idempotencyKey, ...each } = request
  if (isWhole(request)) {
    const all = vms.createAll(
      Array.from({ length: count }, (_, index) => ({
        ...each,
        ...keyOf(idempotencyKey, index + 1, count),
        ...followed(request, index),
        name: `${each.name}-${index + 1}`
      }))
    )
    // whoever goes away when they have been begun leaves nobody who makes one anew
    const begun = yield* Effect.uninterruptible(
      Effect.flatMap(
        Effect.interruptible(plan === undefined ? all : plan.run(all)),
        Effect.forEach(({ ended, operation }) => begin(Effect.zipRight(Begun.tell(operation), ended)))
      )
    )
    return {
      begun: begun.flatMap((beginning) => (beginning._tag === "UnderWay" ? [beginning] : [])),
      refused: null
    } satisfies Batch
  }
  if (plan !== undefined) yield* plan.check(rehearsals(vms, { ...each, count: plan.size }))
  const planned = plan === undefined ? <A>(creation: A): A => creation : plan.run
  let error: Refusal | null = null
  const made = yield* Effect.forEach(
    Array.from({ length: count }, (_, index) => index + 1),
    (number) =>
      Effect.suspend(() => {
        // they are all alike; but with a key one may have been begun before
        if (error !== null && idempotencyKey === undefined) return Effect.succeed([])
        const key = keyOf(idempotencyKey, number, count)
        return begin(planned(vms.create({ ...each, ...key, name: `${each.name}-${number}` }))).pipe(
          Effect.map((beginning) => (beginning._tag === "UnderWay" ? [beginning] : [])),
          Effect.catchAll((refusal) => {
            error ??= refusal
            return Effect.succeed([])
          })
        )
      }),
    { concurrency: together }
  )
  const begun = made.flat()
  if (error === null) return { begun, refused: null } satisfies Batch
  if (begun.length === 0) return yield* Effect.fail<Refusal>(error)
  return { begun, refused: { count: count - begun.length, error } } satisfies Batch
})
