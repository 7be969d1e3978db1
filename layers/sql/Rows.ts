/**
 * Rows as they are stored, and what they are in the domain. Every row that is read is decoded; one that does not decode was written by
 * something else than this program, so it is a defect that names its table and id.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { Host, HostConfig, HostFacts } from "../../src/domain/Host.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { Image, ImageConfig, ImageContent } from "../../src/domain/Image.ts"
import { InstanceType } from "../../src/domain/InstanceType.ts"
import { Operation, OperationKind, OperationState } from "../../src/domain/Operation.ts"
import { Resources } from "../../src/domain/Resources.ts"
import { Vm, VmName, VmState } from "../../src/domain/Vm.ts"
import type { HostUsage } from "../../src/services/Inventory.ts"

/** A row as the driver gives it. @since 0.1.0 @category models */
export type Row = Readonly<Record<string, unknown>>

/** How a table's rows are read; `key` is the column that names one in the defect's message. @since 0.1.0 @category decoding */
export const table = <A, I>(name: string, key: string, schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownEither(schema)
  const one = (row: Row): A => {
    const decoded = decode(row)
    if (Either.isRight(decoded)) return decoded.right
    const problem = ParseResult.TreeFormatter.formatErrorSync(decoded.left)
    throw new Error(`the stored row ${name} ${key}=${String(row[key])} cannot be read: ${problem}`)
  }
  return {
    one: (row: Row): Effect.Effect<A> => Effect.sync(() => one(row)),
    all: (rows: ReadonlyArray<Row>): Effect.Effect<ReadonlyArray<A>> => Effect.sync(() => rows.map(one))
  }
}

/** The row a statement must have given; `otherwise` is the defect's message. @since 0.1.0 @category decoding */
export const only = (rows: ReadonlyArray<Row>, otherwise: string): Effect.Effect<Row> => {
  const [row] = rows
  return row === undefined ? Effect.dieMessage(otherwise) : Effect.succeed(row)
}

const Count = Schema.Int.pipe(Schema.between(0, Number.MAX_SAFE_INTEGER))
const Flag = Schema.transform(Schema.Literal(0, 1), Schema.Boolean, {
  strict: true,
  decode: (n) => n === 1,
  encode: (b) => (b ? 1 : 0)
})

const HostConfigJson = Schema.parseJson(HostConfig)
const HostFactsJson = Schema.parseJson(HostFacts)
const ImageConfigJson = Schema.parseJson(ImageConfig)
const ImageContentJson = Schema.parseJson(ImageContent)

/** @since 0.1.0 @category encoding */
export const encodeHostConfig = Schema.encodeSync(HostConfigJson)
/** @since 0.1.0 @category encoding */
export const encodeHostFacts = Schema.encodeSync(HostFactsJson)
/** @since 0.1.0 @category encoding */
export const encodeImageConfig = Schema.encodeSync(ImageConfigJson)
/** @since 0.1.0 @category encoding */
export const encodeImageContent = Schema.encodeSync(ImageContentJson)

/** A host as `applyFleet` compares it. @since 0.1.0 @category rows */
export const HostRow = Schema.Struct({
  id: Ids.HostId,
  host: Schema.String,
  port: Schema.Int,
  config: HostConfigJson,
  active: Flag
})
/** @since 0.1.0 @category rows */
export const hosts = table("hosts", "id", HostRow)

const HostTexts = Schema.Struct({ config: Schema.String, facts: Schema.NullOr(Schema.String) })
const HostJson = Schema.Struct({ id: Ids.HostId, config: HostConfigJson, facts: Schema.NullOr(HostFactsJson) })
const UsageRow = Schema.Struct({ ...Resources.fields, vms: Count })

const hostTexts = table("hosts", "id", HostTexts)
const hostJson = table("hosts", "id", HostJson)
const usageRow = table("hosts", "id", UsageRow)

/**
 * Reads hosts with their sums. Every admission does it for all hosts, and the two JSON columns hardly ever change, so a decoded host is kept
 * for as long as its row's text is the same.
 *
 * @since 0.1.0 @category decoding
 */
export const makeHostUsage = () => {
  const known = new Map<unknown, { readonly config: string; readonly facts: string | null; readonly host: Host }>()
  const host = Effect.fnUntraced(function* (row: Row) {
    const { config, facts } = yield* hostTexts.one(row)
    const kept = known.get(row.id)
    if (kept !== undefined && kept.config === config && kept.facts === facts) return kept.host
    const decoded = new Host(yield* hostJson.one(row), { disableValidation: true })
    known.set(decoded.id, { config, facts, host: decoded })
    return decoded
  })
  const one = Effect.fnUntraced(function* (row: Row) {
    const { vms, ...promised } = yield* usageRow.one(row)
    return { host: yield* host(row), promised, vms } satisfies HostUsage
  })
  return (rows: ReadonlyArray<Row>): Effect.Effect<ReadonlyArray<HostUsage>> => Effect.forEach(rows, one)
}

/** An image as `applyFleet` compares it. @since 0.1.0 @category rows */
export const ImageKeyRow = Schema.Struct({ id: Ids.ImageId, source: Schema.String, config: ImageConfigJson })
/** @since 0.1.0 @category rows */
export const imageKeys = table("images", "id", ImageKeyRow)

const ImageRow = Schema.transform(
  Schema.Struct({ id: Ids.ImageId, config: ImageConfigJson, content: Schema.NullOr(ImageContentJson) }),
  Schema.typeSchema(Image),
  { strict: true, decode: (row) => new Image(row), encode: (image) => image }
)
/** @since 0.1.0 @category rows */
export const images = table("images", "id", ImageRow)

/** @since 0.1.0 @category rows */
export const instanceTypes = table("instance_types", "tid", InstanceType)

const VmColumns = Schema.Struct({
  id: Ids.VmId,
  uuid: Ids.DomainUuid,
  name: VmName,
  tid: Ids.InstanceTypeId,
  image_id: Ids.ImageId,
  host_id: Ids.HostId,
  ...Resources.fields,
  mac: Vm.fields.mac,
  state: VmState
})
const VmRow = Schema.transform(VmColumns, Schema.typeSchema(Vm), {
  strict: true,
  decode: ({ cpu, disk, host_id, image_id, ram, tid, ...row }) =>
    new Vm(
      { ...row, instanceType: tid, imageId: image_id, hostId: host_id, resources: { cpu, ram, disk } },
      // the columns have just been checked
      { disableValidation: true }
    ),
  encode: ({ hostId, id, imageId, instanceType, mac, name, resources, state, uuid }) => ({
    ...resources,
    id,
    uuid,
    name,
    mac,
    state,
    tid: instanceType,
    image_id: imageId,
    host_id: hostId
  })
})
/** @since 0.1.0 @category rows */
export const vms = table("vms", "id", VmRow)

const VmLabelRow = Schema.Struct({ id: Ids.VmId, name: Schema.String })
/** A VM as problems name it. @since 0.1.0 @category rows */
export const vmLabels = table("vms", "id", VmLabelRow)

const OperationRow = Schema.transform(
  Schema.Struct({
    id: Ids.OperationId,
    kind: OperationKind,
    vm_id: Ids.VmId,
    state: OperationState,
    error: Schema.NullOr(Schema.String)
  }),
  Schema.typeSchema(Operation),
  {
    strict: true,
    decode: ({ vm_id, ...row }) => new Operation({ ...row, vmId: vm_id }, { disableValidation: true }),
    encode: ({ vmId, ...operation }) => ({ ...operation, vm_id: vmId })
  }
)
/** @since 0.1.0 @category rows */
export const operations = table("operations", "id", OperationRow)

const StepRow = Schema.Struct({
  phase: Schema.Literal("do", "undo"),
  name: Schema.String,
  state: Schema.Literal("started", "done", "failed"),
  tries: Count
})
/** @since 0.1.0 @category rows */
export const steps = table("operation_steps", "name", StepRow)
