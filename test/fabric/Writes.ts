/**
 * What the controller writes to its database for operations, with what a test wants to happen before and after each of it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { PersistenceError } from "../../src/domain/Errors.ts"
import { type Operation, OperationKind } from "../../src/domain/Operation.ts"
import * as Schema from "effect/Schema"
import { Inventory } from "../../src/services/Inventory.ts"
import { type Entry, Journal } from "../../src/services/Journal.ts"
import type { Moment } from "../../src/simulator/Faults.ts"

/** As in `do image done, do root disk started`. */
const entryLabel = ({ ended, started, state }: Entry): string =>
  [
    ended === undefined ? [] : [`${ended.phase} ${ended.name} ${ended.state}`],
    state === undefined ? [] : [state.to],
    started === undefined ? [] : [`${started.phase} ${started.name} started`]
  ]
    .flat()
    .join(", ")

const itself = (operation: Operation) => operation
const theirs = ({ operation }: { readonly operation: Operation | null }) => operation

interface Hook {
  readonly label: string
  readonly moment: Moment
  readonly effect: Effect.Effect<void, PersistenceError>
  left: number
}

const beginnings: ReadonlyArray<string> = [
  "admit",
  "admitVolume",
  "beginDestroy",
  "beginOnVm",
  "beginResize",
  "changeCloudInit",
  "changeNics",
  "changeVm",
  "changeVolume",
  "publishImage"
]

/** Whether such a write begins an operation. */
export const isRequest = (label: string): boolean => beginnings.includes(label)

/** Of which operation a write is a part; none: of one that is only about to begin, or of none. */
const kindHere = Effect.map(FiberRef.get(FiberRef.currentLogAnnotations), (annotations) =>
  Option.filter(HashMap.get(annotations, "kind"), isKind)
)
const isKind = Schema.is(OperationKind)

/** The name of a moment at a write. */
export const pointOf = (label: string, moment: Moment): string => `${label}: ${moment}`

/** Whether nothing is begun yet at a point of that name. */
export const isBeginning = (point: string): boolean => point.endsWith(": before") && isRequest(point.slice(0, -8))

/** What happens at a write of an operation of that kind; none: of one that is only about to begin, or of none. */
export type Each = (label: string, moment: Moment, kind: Option.Option<OperationKind>) => Effect.Effect<void>

/** Whether what is written is a part of what the journal records, with which it is written or not. */
const isPart = FiberRef.unsafeMake(false)

/** Writes are known by a label: `record …` of the journal, else the inventory's method. `each`: what happens at all of them. */
export const make = (each: Each = () => Effect.void) => {
  const counts = new Map<string, number>()
  let hooks: Array<Hook> = []
  let journal: Journal["Type"] | undefined

  const at = (label: string, moment: Moment, begun: Operation | null = null) =>
    Effect.suspend(() =>
      Effect.zipRight(
        Effect.flatMap(begun === null ? kindHere : Effect.succeedSome(begun.kind), (kind) => each(label, moment, kind)),
        Effect.forEach(
          hooks.filter((hook) => hook.label === label && hook.moment === moment && --hook.left === 0),
          ({ effect }) => effect,
          { discard: true }
        )
      )
    )

  const around = <A, E, R>(
    label: string,
    write: Effect.Effect<A, E | PersistenceError, R>,
    begun: (answer: A) => Operation | null = () => null
  ): Effect.Effect<A, E | PersistenceError, R> =>
    Effect.flatMap(FiberRef.get(isPart), (part) =>
      part
        ? write
        : Effect.suspend(() => {
            counts.set(label, (counts.get(label) ?? 0) + 1)
            return at(label, "before")
          }).pipe(
            Effect.zipRight(write),
            Effect.tap((answer) => at(label, "after", begun(answer)))
          )
    )

  return {
    /** The persistence of one life. */
    watched: <A, E, R>(
      persistence: Layer.Layer<Inventory | Journal | A, E, R>
    ): Layer.Layer<Inventory | Journal | A, E, R> =>
      Layer.effectContext(
        Effect.zipWith(Journal, Inventory, (inner, inventory) => {
          journal = inner
          return Context.make(
            Journal,
            Journal.of({
              ...inner,
              record: (id, entry, also) =>
                around(
                  `record ${entryLabel(entry)}`,
                  inner.record(id, entry, also === undefined ? undefined : Effect.locally(also, isPart, true))
                )
            })
          ).pipe(
            Context.add(
              Inventory,
              Inventory.of({
                ...inventory,
                admit: (request, place, confirm) => around("admit", inventory.admit(request, place, confirm), theirs),
                beginOnVm: (id, kind, detail, confirm, check) =>
                  around("beginOnVm", inventory.beginOnVm(id, kind, detail, confirm, check), itself),
                beginDestroy: (id, check, confirm) =>
                  around("beginDestroy", inventory.beginDestroy(id, check, confirm), Option.getOrNull),
                beginResize: (id, type, check, confirm) =>
                  around("beginResize", inventory.beginResize(id, type, check, confirm), itself),
                settleResize: (id, to) => around("settleResize", inventory.settleResize(id, to)),
                changeVm: (id, change, check, confirm) =>
                  around("changeVm", inventory.changeVm(id, change, check, confirm), theirs),
                changeCloudInit: (id, decide, confirm) =>
                  around("changeCloudInit", inventory.changeCloudInit(id, decide, confirm), itself),
                changeNics: (id, decide, key, confirm) =>
                  around("changeNics", inventory.changeNics(id, decide, key, confirm), theirs),
                settleNic: (id, nic, outcome) => around("settleNic", inventory.settleNic(id, nic, outcome)),
                setVmPower: (id, power, seen) => around(`setVmPower ${power}`, inventory.setVmPower(id, power, seen)),
                setOutcome: (id, outcome) => around("setOutcome", inventory.setOutcome(id, outcome)),
                setVmState: (id, state, seen) => around(`setVmState ${state}`, inventory.setVmState(id, state, seen)),
                publishImage: (of, decide, confirm) =>
                  around("publishImage", inventory.publishImage(of, decide, confirm), theirs),
                settleImage: (id, state, reason) =>
                  around(`settleImage ${state}`, inventory.settleImage(id, state, reason)),
                dropImage: (id) => around("dropImage", inventory.dropImage(id)),
                setImageContent: (id, content) => around("setImageContent", inventory.setImageContent(id, content)),
                admitVolume: (request, place, confirm) =>
                  around("admitVolume", inventory.admitVolume(request, place, confirm), theirs),
                changeVolume: (id, vmId, decide, key, confirm) =>
                  around("changeVolume", inventory.changeVolume(id, vmId, decide, key, confirm), theirs),
                settleVolume: (id, change) => around("settleVolume", inventory.settleVolume(id, change))
              })
            )
          )
        })
      ).pipe(Layer.provideMerge(persistence)),
    /** The journal of the present life, without what happens around its records. */
    journal: Effect.suspend(() =>
      journal === undefined ? Effect.dieMessage("there is no controller yet") : Effect.succeed(journal)
    ),
    /** How many have been begun, by label. */
    calls: (): ReadonlyMap<string, number> => new Map(counts),
    /** Runs with the nth from now on; a failure of it is what the write fails with. */
    on: (label: string, moment: Moment, nth: number, effect: Effect.Effect<void, PersistenceError>) =>
      Effect.sync(() => {
        hooks.push({ label, moment, effect, left: nth })
      }),
    clear: Effect.sync(() => {
      hooks = []
    })
  }
}
