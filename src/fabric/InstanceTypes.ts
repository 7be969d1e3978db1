/**
 * Instance types: those of the types file, and those that are made while the controller runs.
 *
 * @since 0.7.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Errors from "../domain/Errors.ts"
import type { InstanceTypeId } from "../domain/Ids.ts"
import { InstanceType, type KnownType } from "../domain/InstanceType.ts"
import { HostLabel, most, Required, Values, words, wrongRequirement } from "../domain/Placement.ts"
import { Inventory, type NewType } from "../services/Inventory.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Revision from "./Revision.ts"

/** @since 0.7.0 @category services */
export class InstanceTypes extends Context.Tag("vmfabric/InstanceTypes")<
  InstanceTypes,
  {
    /** Those on offer, by id; `retired`: also the others. */
    readonly list: (filter?: {
      readonly retired?: boolean
    }) => Effect.Effect<ReadonlyArray<KnownType>, Errors.PersistenceError>
    /** Also one that is retired. */
    readonly get: (
      tid: InstanceTypeId
    ) => Effect.Effect<KnownType, Errors.InstanceTypeNotFound | Errors.PersistenceError>
    /** Makes one, which is never changed, nor what it requires of hosts. `InstanceTypeConflict`: there is or was one of that id. */
    readonly create: (
      type: NewType
    ) => Effect.Effect<KnownType, Errors.InvalidArgument | Errors.InstanceTypeConflict | Errors.PersistenceError>
    /**
     * New VMs cannot have it any more; those that have it keep what they were made with. That stays so, whatever the types file says. Repeating it is
     * fine. `HasChanged`: its revision is not the expected one.
     */
    readonly retire: (
      tid: InstanceTypeId,
      expect?: Revision.Expect
    ) => Effect.Effect<KnownType, Errors.InstanceTypeNotFound | Errors.HasChanged | Errors.PersistenceError>
  }
>() {}

const { cpu, disk, ram } = InstanceType.fields

/** What each can be: its words are those that a body is refused with, too. @since 0.7.0 @category constants */
export const ranges = {
  cpu: { is: Schema.is(cpu), expected: "a whole number from 1 to 1024 (vCPUs)" },
  ram: { is: Schema.is(ram), expected: "a whole number from 16 to 67108864 (MiB)" },
  disk: { is: Schema.is(disk), expected: "a whole number from 1 to 1048576 (GiB)" }
} as const

const checkSize = (type: NewType): Effect.Effect<void, Errors.InvalidArgument> => {
  const wrong = (["cpu", "ram", "disk"] as const).find((field) => !ranges[field].is(type[field]))
  return wrong === undefined
    ? Effect.void
    : new Errors.InvalidArgument({ field: wrong, problem: `is ${type[wrong]}`, expected: ranges[wrong].expected })
}

const isLabel = Schema.is(HostLabel)
const areValues = Schema.is(Values)

const checkRequired = (labels: Required = {}): Effect.Effect<void, Errors.InvalidArgument> => {
  const wrong = (field: string, problem: string, expected: string) =>
    new Errors.InvalidArgument({ field, problem, expected })
  const all = Object.entries(labels)
  if (all.length > most.required) return wrong("requires", `has ${all.length} labels`, `at most ${most.required}`)
  for (const [label, values] of all) {
    if (!isLabel(label)) return wrong("requires", `has ${JSON.stringify(label)}`, words.label)
    if (!areValues(values)) return wrong(`requires.${label}`, "cannot be values of a label", words.values)
    const never = wrongRequirement(label, values)
    if (never !== null) return wrong("requires", never.problem, never.expected)
  }
  return Effect.void
}

/** @since 0.7.0 @category layers */
export const layer = Layer.effect(
  InstanceTypes,
  Effect.map(Inventory, (inventory) =>
    InstanceTypes.of({
      list: ({ retired = false } = {}) =>
        Effect.map(inventory.knownTypes, (all) => (retired ? all : all.filter((one) => !one.retired))),
      get: Effect.fn("InstanceTypes.get")(function* (tid) {
        const all = yield* inventory.knownTypes
        const found = all.find((one) => one.tid === tid)
        const known = all.filter((one) => !one.retired).map((one) => one.tid)
        return found ?? (yield* new Errors.InstanceTypeNotFound({ tid, known }))
      }),
      create: Effect.fn("InstanceTypes.create")(function* (type) {
        yield* checkSize(type)
        yield* checkRequired(type.requires)
        const intent = yield* Intent.Intent
        return yield* inventory.createType(type, (after) =>
          intent.confirm(() => ({ operation: null, type: { before: null, after } }))
        )
      }),
      retire: Effect.fn("InstanceTypes.retire")(function* (tid, expect) {
        const intent = yield* Intent.Intent
        return yield* inventory.retireType(tid, Revision.checkType(expect), (type) =>
          Effect.zipRight(
            intent.depends(() => Facts.ofType(type.before)),
            intent.confirm(() => ({ operation: null, type }))
          )
        )
      })
    })
  )
)
