/**
 * What a call of a use case is meant for: that it is done, that it is only planned, or that a plan is applied. A use case is the same for all three:
 * it says what it depends on and what it has written, in the transaction that writes it, and whoever planned takes that transaction back.
 *
 * @since 0.5.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { CloudInit } from "../domain/CloudInit.ts"
import type * as Errors from "../domain/Errors.ts"
import type { Host } from "../domain/Host.ts"
import type { HostId } from "../domain/Ids.ts"
import type { Token, User } from "../domain/Identity.ts"
import type { Image } from "../domain/Image.ts"
import type { KnownType } from "../domain/InstanceType.ts"
import type { Operation, OperationKind } from "../domain/Operation.ts"
import { nothing, type Use } from "../domain/Quota.ts"
import type { Vm } from "../domain/Vm.ts"
import type { Snapshot, Volume } from "../domain/Volume.ts"
import type { Webhook } from "../domain/Webhook.ts"
import type { Candidate, PlacementRequest, Scheduler } from "../services/Scheduler.ts"

/** What a decision depends on, in words, each by a name of its own. @since 0.5.0 @category models */
export type Facts = Readonly<Record<string, string>>

/** What a transaction of a use case has written. `before` null: it is new. @since 0.5.0 @category models */
export interface Made {
  /** null: there is nothing to begin */
  readonly operation: Operation | null
  /** kinds of operations on the same that are begun when that one has ended well */
  readonly follows?: ReadonlyArray<OperationKind>
  readonly vm?: { readonly before: Vm | null; readonly after: Vm }
  /** of that VM; `before` null: it is new */
  readonly cloudInit?: { readonly before: CloudInit | null; readonly after: CloudInit }
  readonly volume?: { readonly before: Volume | null; readonly after: Volume }
  /** a new one, or the one it is about */
  readonly snapshot?: Snapshot | null
  /** `after` null: it is no more */
  readonly host?: { readonly before: Host | null; readonly after: Host | null }
  /** `before` null: it is new; `after` null: it is no more */
  readonly image?: { readonly before: Image | null; readonly after: Image | null }
  /** `before` null: it is new */
  readonly type?: { readonly before: KnownType | null; readonly after: KnownType }
  /** `before` null: it is new; `after` null: it is no more */
  readonly user?: {
    readonly before: User | null
    readonly after: User | null
    /** whether the password is another one */
    readonly password?: boolean
  }
  /** `before` null: it is new; `after` null: it is no more */
  readonly token?: { readonly before: Token | null; readonly after: Token | null }
  /** `before` null: it is new; `after` null: it is no more */
  readonly webhook?: {
    readonly before: Webhook | null
    readonly after: Webhook | null
    /** whether it is signed with another secret */
    readonly secret?: boolean
  }
  /** an operation that is asked to stop, as it is then */
  readonly cancelled?: Operation
  /** addresses of NICs that were asked for, and are not made up */
  readonly given?: ReadonlyArray<string>
  /** volumes that will have no VM any more */
  readonly released?: ReadonlyArray<Volume>
}

/** What is to be placed. @since 0.5.0 @category models */
export interface Placed {
  readonly what: "VM" | "volume"
  readonly name: string
}

/** @since 0.5.0 @category models */
export interface Mode {
  /** whether what else is being done with the same VM or volume is waited for */
  readonly waits: boolean
  /** Where it goes, which is for the scheduler to say unless it is planned already. */
  readonly choose: (
    about: Placed,
    request: PlacementRequest,
    candidates: ReadonlyArray<Candidate>,
    place: Scheduler["Type"]["place"]
  ) => Effect.Effect<HostId, Errors.NoFeasibleHost>
  /** GiB of a pool that others of the same plan take. */
  readonly besides: () => number
  /** What others of the same plan take of the asker's quota. */
  readonly planned: () => Use
  /** Told what is depended on, before anything is decided by it. */
  readonly depends: (facts: () => Facts) => Effect.Effect<void>
  /** Told what was written, before it is committed. */
  readonly confirm: (made: () => Made) => Effect.Effect<void>
  /** Parts of one request, one after the other. */
  readonly inSequence: <E>(parts: ReadonlyArray<Effect.Effect<void, E>>) => Effect.Effect<void, E>
}

const doing: Mode = {
  waits: true,
  choose: (_, request, candidates, place) => place(request, candidates),
  besides: () => 0,
  planned: () => nothing,
  depends: () => Effect.void,
  confirm: () => Effect.void,
  inSequence: (parts) => Effect.all(parts, { discard: true })
}

/** Whether it is simply done: then nobody hears what it depends on and what it writes. @since 0.5.0 @category predicates */
export const isSimple = (mode: Mode): boolean => mode === doing

/** Usually it is meant to be done. @since 0.5.0 @category services */
export class Intent extends Context.Reference<Intent>()("vmfabric/fabric/Intent", {
  defaultValue: (): Mode => doing
}) {}

/** It has been written to the end, and is taken back. @since 0.5.0 @category models */
export class Rehearsed extends Data.TaggedClass("Rehearsed") {}

/** What ends a use case that is not simply done. @since 0.5.0 @category models */
export type Ending = Rehearsed | Errors.PlanOutdated | Errors.VmBusy | Errors.VolumeBusy

/** Carried past the use case's own errors, as a defect that nobody but `stopped` knows. */
class Stop extends Data.Error<{ readonly ending: Ending }> {}

/** Ends the use case; its transaction is taken back. @since 0.5.0 @category combinators */
export const stop = (ending: Ending): Effect.Effect<never> => Effect.die(new Stop({ ending }))

/** How it came to its end: by its own (right), or as it was not simply done. @since 0.5.0 @category combinators */
export const stopped = <A, E, R>(useCase: Effect.Effect<A, E, R>): Effect.Effect<Either.Either<A, Ending>, E, R> =>
  Effect.catchSomeDefect(Effect.map(useCase, Either.right), (defect) =>
    defect instanceof Stop ? Option.some(Effect.succeed(Either.left(defect.ending))) : Option.none()
  )
