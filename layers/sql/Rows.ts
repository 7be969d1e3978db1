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
import { Drift } from "../../src/domain/Drift.ts"
import { Host, HostConfig, HostFacts, HostOrigin } from "../../src/domain/Host.ts"
import * as Ids from "../../src/domain/Ids.ts"
import { Image, ImageConfig, ImageContent, ImageOrigin, ImageState, ImageWanted } from "../../src/domain/Image.ts"
import { InstanceType, KnownType } from "../../src/domain/InstanceType.ts"
import { UserName } from "../../src/domain/Identity.ts"
import { ThingKind } from "../../src/domain/Keyed.ts"
import { Nic, NicId } from "../../src/domain/Nic.ts"
import { Operation, OperationDetail, OperationKind, OperationState } from "../../src/domain/Operation.ts"
import { Placement, Required } from "../../src/domain/Placement.ts"
import { Pool } from "../../src/domain/Pool.ts"
import { Quota } from "../../src/domain/Quota.ts"
import { Resources } from "../../src/domain/Resources.ts"
import { Description, Labels, OnCrash, Tags, Vm, VmApplied, VmName, VmSeen, VmState } from "../../src/domain/Vm.ts"
import { Snapshot, Volume } from "../../src/domain/Volume.ts"
import type { HostUsage } from "../../src/services/Inventory.ts"

/** A row as the driver gives it. @since 0.1.0 @category models */
export type Row = Readonly<Record<string, unknown>>

/** Whatever else is in the row is passed over. */
const decoder = <A, I>(name: string, key: string, schema: Schema.Schema<A, I>) => {
  const decode = Schema.decodeUnknownEither(schema)
  return (row: Row): A => {
    const decoded = decode(row)
    if (Either.isRight(decoded)) return decoded.right
    const problem = ParseResult.TreeFormatter.formatErrorSync(decoded.left)
    throw new Error(`the stored row ${name} ${key}=${String(row[key])} cannot be read: ${problem}`)
  }
}

const reading = <B>(one: (row: Row) => B) => ({
  one: (row: Row): Effect.Effect<B> => Effect.sync(() => one(row)),
  all: (rows: ReadonlyArray<Row>): Effect.Effect<ReadonlyArray<B>> => Effect.sync(() => rows.map(one))
})

/**
 * How a table's rows are read; `key` is the column that names one in the defect's message. `make` makes of the columns, which have been checked
 * then, what they are in the domain.
 *
 * @since 0.3.0 @category decoding
 */
export const tableOf = <A, I, B>(name: string, key: string, schema: Schema.Schema<A, I>, make: (columns: A) => B) => {
  const decode = decoder(name, key, schema)
  return reading((row) => make(decode(row)))
}

/** The same where the columns are what they are. @since 0.1.0 @category decoding */
export const table = <A, I>(name: string, key: string, schema: Schema.Schema<A, I>) =>
  tableOf(name, key, schema, (columns) => columns)

/** Of how many different texts is known what they mean. */
const mostKept = 4096

/**
 * The same, faster for very many rows: the columns of `alike` have few different values over all of them, and are decoded once for each that are
 * the same together. What is made of them is shared, and not to be changed.
 *
 * @since 0.9.0 @category decoding
 */
export const tableAlike = <A, I, A2, I2, B>(
  name: string,
  key: string,
  own: Schema.Schema<A, I>,
  alike: Schema.Schema<A2, I2> & { readonly fields: Schema.Struct.Fields },
  make: (own: A, alike: A2) => B
) => {
  const columns = Object.keys(alike.fields)
  const known = new Map<string, A2>()
  const decodeOwn = decoder(name, key, own)
  const decodeAlike = decoder(name, key, alike)
  const alikeOf = (row: Row): A2 => {
    const text = JSON.stringify(columns.map((column) => row[column]))
    const kept = known.get(text)
    if (kept !== undefined) return kept
    const decoded = decodeAlike(row)
    if (known.size >= mostKept) known.clear()
    known.set(text, decoded)
    return decoded
  }
  return reading((row) => make(decodeOwn(row), alikeOf(row)))
}

/** The row a statement must have given; `otherwise` is the defect's message. @since 0.1.0 @category decoding */
export const only = (rows: ReadonlyArray<Row>, otherwise: string): Effect.Effect<Row> => {
  const [row] = rows
  return row === undefined ? Effect.dieMessage(otherwise) : Effect.succeed(row)
}

/** For what is made of columns that have just been checked. */
const unchecked = { disableValidation: true } as const

const Count = Schema.Int.pipe(Schema.between(0, Number.MAX_SAFE_INTEGER))
/** @since 0.8.0 @category schemas */
export const Flag = Schema.transform(Schema.Literal(0, 1), Schema.Boolean, {
  strict: true,
  decode: (n) => n === 1,
  encode: (b) => (b ? 1 : 0)
})

const HostConfigJson = Schema.parseJson(HostConfig)
const HostFactsJson = Schema.parseJson(HostFacts)
const ImageConfigJson = Schema.parseJson(ImageConfig)
const ImageContentJson = Schema.parseJson(ImageContent)
const ImageWantedJson = Schema.parseJson(ImageWanted)
const OperationDetailJson = Schema.parseJson(OperationDetail)
const VmAppliedJson = Schema.parseJson(VmApplied)
const PlacementJson = Schema.parseJson(Placement)
const RequiredJson = Schema.parseJson(Required)
/** @since 0.9.0 @category schemas */
export const QuotaJson = Schema.parseJson(Quota)
const VmNicsJson = Schema.parseJson(Schema.Array(Nic))

/** @since 0.1.0 @category encoding */
export const encodeHostConfig = Schema.encodeSync(HostConfigJson)
/** @since 0.1.0 @category encoding */
export const encodeHostFacts = Schema.encodeSync(HostFactsJson)
/** @since 0.1.0 @category encoding */
export const encodeImageConfig = Schema.encodeSync(ImageConfigJson)
/** @since 0.1.0 @category encoding */
export const encodeImageContent = Schema.encodeSync(ImageContentJson)
/** @since 0.7.0 @category encoding */
export const encodeImageWanted = Schema.encodeSync(ImageWantedJson)

/** @since 0.9.0 @category encoding */
export const encodeQuota = Schema.encodeSync(QuotaJson)

/** @since 0.7.0 @category encoding */
export const encodePlacement = Schema.encodeSync(PlacementJson)

const encodeLabels = Schema.encodeSync(RequiredJson)
/** null: nothing is required. @since 0.10.0 @category encoding */
export const encodeRequired = (labels: Required | undefined): string | null =>
  labels === undefined || Object.keys(labels).length === 0 ? null : encodeLabels(labels)

/** @since 0.6.0 @category encoding */
export const encodeNics = Schema.encodeSync(VmNicsJson)

/** @since 0.2.0 @category encoding */
export const encodeOperationDetail = Schema.encodeSync(OperationDetailJson)

/** A host as `applyFleet` compares it. @since 0.1.0 @category rows */
export const HostRow = Schema.Struct({
  id: Ids.HostId,
  host: Schema.String,
  port: Schema.Int,
  config: HostConfigJson,
  active: Flag,
  origin: HostOrigin
})
/** @since 0.10.0 @category rows */
export type HostRow = typeof HostRow.Type
/** @since 0.1.0 @category rows */
export const hosts = table("hosts", "id", HostRow)

const HostTexts = Schema.Struct({
  config: Schema.String,
  facts: Schema.NullOr(Schema.String),
  maintenance: Flag,
  lostAt: Schema.NullOr(Schema.Int),
  origin: HostOrigin
})
const HostJson = Schema.Struct({
  id: Ids.HostId,
  config: HostConfigJson,
  facts: Schema.NullOr(HostFactsJson),
  maintenance: Flag,
  lostAt: Schema.NullOr(Schema.Int),
  origin: HostOrigin
})
/** One a line: no name has a line end. @since 0.7.0 @category encoding */
export const encodeGroups = (names: ReadonlyArray<string>): string | null =>
  names.length === 0 ? null : names.join("\n")

const UsageRow = Schema.Struct({ ...Resources.fields, vms: Count, groups: Schema.NullOr(Schema.String) })

const hostTexts = table("hosts", "id", HostTexts)
const sameTexts = Schema.equivalence(HostTexts)
const hostJson = table("hosts", "id", HostJson)
const usageRow = table("hosts", "id", UsageRow)

/**
 * Reads hosts with their sums. Every admission does it for all hosts, and the two JSON columns hardly ever change, so a decoded host is kept
 * for as long as its row's text is the same.
 *
 * @since 0.1.0 @category decoding
 */
export const makeHostUsage = () => {
  const known = new Map<unknown, { readonly texts: typeof HostTexts.Type; readonly host: Host }>()
  const host = Effect.fnUntraced(function* (row: Row) {
    const texts = yield* hostTexts.one(row)
    const kept = known.get(row.id)
    if (kept !== undefined && sameTexts(kept.texts, texts)) return kept.host
    const decoded = new Host(yield* hostJson.one(row), { disableValidation: true })
    known.set(decoded.id, { texts, host: decoded })
    return decoded
  })
  const one = Effect.fnUntraced(function* (row: Row) {
    const { groups, vms, ...promised } = yield* usageRow.one(row)
    const usage: HostUsage = { host: yield* host(row), promised, vms }
    return groups === null ? usage : { ...usage, groups: groups.split("\n") }
  })
  return (rows: ReadonlyArray<Row>): Effect.Effect<ReadonlyArray<HostUsage>> => Effect.forEach(rows, one)
}

/** An image as `applyFleet` compares it. @since 0.1.0 @category rows */
export const ImageKeyRow = Schema.Struct({
  id: Ids.ImageId,
  source: Schema.String,
  config: ImageConfigJson,
  origin: ImageOrigin
})
/** @since 0.1.0 @category rows */
export const imageKeys = table("images", "id", ImageKeyRow)

const ImageColumns = Schema.Struct({
  id: Ids.ImageId,
  config: ImageConfigJson,
  content: Schema.NullOr(ImageContentJson),
  origin: ImageOrigin,
  state: ImageState,
  offered: Flag,
  reason: Schema.NullOr(Schema.String),
  wanted: ImageWantedJson,
  createdAt: Schema.propertySignature(Schema.Int).pipe(Schema.fromKey("created_at"))
})
/** @since 0.7.0 @category rows */
export const imageColumns = "id, config, content, offered, origin, state, reason, wanted, created_at"
const withdrawn = {
  state: "withdrawn",
  reason: "the image file does not have it any more, so it is there only for the VMs that were made of it"
} as const
/** One that the file no longer has is `withdrawn`. @since 0.1.0 @category rows */
export const images = tableOf(
  "images",
  "id",
  ImageColumns,
  ({ offered, ...image }) =>
    new Image({ ...image, ...(offered || image.state === "deleted" ? {} : withdrawn) }, unchecked)
)

const requires = { requires: Schema.NullOr(RequiredJson) }
const requiring = (requires: Required | null): Pick<InstanceType, "requires"> => (requires === null ? {} : { requires })

const InstanceTypeRow = Schema.Struct({ ...InstanceType.fields, ...requires })
/** @since 0.1.0 @category rows */
export const instanceTypes = tableOf(
  "instance_types",
  "tid",
  InstanceTypeRow,
  ({ requires, ...type }): InstanceType => ({ ...type, ...requiring(requires) })
)

/** @since 0.10.0 @category rows */
export const knownTypeColumns = "tid, cpu, ram, disk, requires, origin, offered, retired"
const KnownTypeRow = Schema.Struct({ ...KnownType.fields, ...requires, offered: Flag, retired: Flag })
/** One that the file no longer has is as one that was retired. @since 0.7.0 @category rows */
export const knownTypes = tableOf(
  "instance_types",
  "tid",
  KnownTypeRow,
  ({ offered, requires, retired, ...type }): KnownType => ({
    ...type,
    ...requiring(requires),
    retired: retired || !offered
  })
)

/** Of which each VM has its own. */
const VmOwnColumns = Schema.Struct({
  id: Ids.VmId,
  uuid: Ids.DomainUuid,
  name: VmName,
  host_id: Ids.HostId,
  nics: VmNicsJson,
  applied: Schema.NullOr(VmAppliedJson),
  created_at: Schema.Int
})
/** In which most VMs are like many others. */
const VmAlikeColumns = Schema.Struct({
  tid: Ids.InstanceTypeId,
  image_id: Ids.ImageId,
  ...Resources.fields,
  driver: Vm.fields.driver,
  state: VmState,
  on_crash: OnCrash,
  protected: Flag,
  autostart: Flag,
  description: Description,
  tags: Schema.parseJson(Tags),
  labels: Schema.parseJson(Labels),
  placement: Schema.NullOr(PlacementJson),
  owner: Schema.NullOr(UserName)
})
/** @since 0.1.0 @category rows */
export const vms = tableAlike(
  "vms",
  "id",
  VmOwnColumns,
  VmAlikeColumns,
  // one by one: what is spread has its fields in a table of its own, which takes several times as long and as much memory
  (own, alike) =>
    new Vm(
      {
        id: own.id,
        uuid: own.uuid,
        name: own.name,
        instanceType: alike.tid,
        imageId: alike.image_id,
        hostId: own.host_id,
        resources: { cpu: alike.cpu, ram: alike.ram, disk: alike.disk },
        nics: own.nics,
        driver: alike.driver,
        state: alike.state,
        onCrash: alike.on_crash,
        protected: alike.protected,
        autostart: alike.autostart,
        description: alike.description,
        tags: alike.tags,
        labels: alike.labels,
        placement: alike.placement,
        applied: own.applied,
        createdAt: own.created_at,
        owner: alike.owner
      },
      unchecked
    )
)

const NextNicRow = Schema.Struct({ id: Ids.VmId, next_nic: NicId })
/** The number that a VM's next NIC gets. @since 0.6.0 @category rows */
export const nextNics = table("vms", "id", NextNicRow)

const MacOwnerRow = Schema.Struct({ id: Ids.VmId, name: Schema.String })
/** The VM that has a MAC address. @since 0.6.0 @category rows */
export const macOwners = table("vms", "id", MacOwnerRow)

const LabelRow = Schema.Struct({ id: Schema.Int, name: Schema.String })
/** A VM as problems name it. @since 0.1.0 @category rows */
export const vmLabels = table("vms", "id", LabelRow)
/** A volume as problems name it. @since 0.2.0 @category rows */
export const volumeLabels = table("volumes", "id", LabelRow)

/** The same columns under the names the domain has for them. */
const VolumeRow = Schema.Struct({
  id: Volume.fields.id,
  name: Volume.fields.name,
  size: Volume.fields.size,
  driver: Volume.fields.driver,
  hostId: Schema.propertySignature(Volume.fields.hostId).pipe(Schema.fromKey("host_id")),
  state: Volume.fields.state,
  vmId: Schema.propertySignature(Volume.fields.vmId).pipe(Schema.fromKey("vm_id")),
  target: Volume.fields.target,
  sourceId: Schema.propertySignature(Volume.fields.sourceId).pipe(Schema.fromKey("source_id")),
  pristine: Flag,
  releaseAsked: Schema.propertySignature(Flag).pipe(Schema.fromKey("release_asked")),
  purgeAt: Schema.propertySignature(Volume.fields.purgeAt).pipe(Schema.fromKey("purge_at")),
  owner: Schema.NullOr(UserName)
})
/** @since 0.2.0 @category rows */
export const volumes = tableOf("volumes", "id", VolumeRow, (columns) => new Volume(columns, unchecked))

const SnapshotRow = Schema.Struct({
  ...Snapshot.fields,
  volumeId: Schema.propertySignature(Snapshot.fields.volumeId).pipe(Schema.fromKey("volume_id")),
  createdAt: Schema.propertySignature(Snapshot.fields.createdAt).pipe(Schema.fromKey("created_at"))
})
/** @since 0.2.0 @category rows */
export const snapshots = tableOf("snapshots", "id", SnapshotRow, (columns) => new Snapshot(columns, unchecked))

/** @since 0.2.0 @category rows */
export const pools = table("pools", "name", Pool)

const SumRow = Schema.Struct({ sum: Count })
/** One number. @since 0.2.0 @category rows */
export const sums = table("(sum)", "sum", SumRow)

const OperationRow = Schema.Struct({
  id: Operation.fields.id,
  kind: OperationKind,
  vmId: Schema.propertySignature(Operation.fields.vmId).pipe(Schema.fromKey("vm_id")),
  volumeId: Schema.propertySignature(Operation.fields.volumeId).pipe(Schema.fromKey("volume_id")),
  snapshotId: Schema.propertySignature(Operation.fields.snapshotId).pipe(Schema.fromKey("snapshot_id")),
  detail: OperationDetailJson,
  state: OperationState,
  error: Operation.fields.error,
  cancelAsked: Schema.propertySignature(Flag).pipe(Schema.fromKey("cancel_asked")),
  createdAt: Schema.propertySignature(Operation.fields.createdAt).pipe(Schema.fromKey("created_at")),
  finishedAt: Schema.propertySignature(Operation.fields.finishedAt).pipe(Schema.fromKey("finished_at")),
  outcome: Schema.NullOr(Schema.String),
  replacedBy: Schema.propertySignature(Schema.NullOr(Ids.OperationId)).pipe(Schema.fromKey("replaced_by")),
  retryOf: Schema.propertySignature(Schema.NullOr(Ids.OperationId)).pipe(Schema.fromKey("retry_of")),
  retriedBy: Schema.propertySignature(Schema.NullOr(Ids.OperationId)).pipe(Schema.fromKey("retried_by")),
  user: Schema.NullOr(UserName),
  token: Schema.NullOr(Schema.String),
  cause: Schema.NullOr(Schema.String)
})
/** The columns an operation is read from. @since 0.2.0 @category rows */
export const operationColumns =
  "id, kind, vm_id, volume_id, snapshot_id, detail, state, error, cancel_asked, created_at, finished_at, outcome, replaced_by, " +
  "retry_of, retried_by, user, token, cause"
/** @since 0.1.0 @category rows */
export const operations = tableOf("operations", "id", OperationRow, (columns) => new Operation(columns, unchecked))

const RetriedRow = Schema.Struct({ id: Ids.OperationId, retried_by: Schema.NullOr(Ids.OperationId) })
/** What is the retry of an operation. @since 0.8.0 @category rows */
export const retried = table("operations", "id", RetriedRow)

const BusyRow = Schema.Struct({ vm_id: Ids.VmId })
/** VMs that something is done with. @since 0.10.0 @category rows */
export const busy = table("operations", "vm_id", BusyRow)

const StepRow = Schema.Struct({
  phase: Schema.Literal("do", "undo"),
  name: Schema.String,
  state: Schema.Literal("started", "done", "failed"),
  tries: Count
})
/** @since 0.1.0 @category rows */
export const steps = table("operation_steps", "name", StepRow)

const StepReportRow = Schema.Struct({
  ...StepRow.fields,
  startedAt: Schema.propertySignature(Schema.Int).pipe(Schema.fromKey("started_at")),
  endedAt: Schema.propertySignature(Schema.NullOr(Schema.Int)).pipe(Schema.fromKey("finished_at")),
  error: Schema.NullOr(Schema.String)
})
/** @since 0.8.0 @category rows */
export const stepReports = table("operation_steps", "name", StepReportRow)

const KeyRow = Schema.Struct({
  fingerprint: Schema.String,
  thing: Schema.NullOr(ThingKind),
  thingId: Schema.propertySignature(Schema.NullOr(Schema.String)).pipe(Schema.fromKey("thing_id"))
})
/** @since 0.3.0 @category rows */
export const requestKeys = table("request_keys", "key", KeyRow)

const vmId = Schema.propertySignature(Ids.VmId).pipe(Schema.fromKey("vm_id"))

/** A VM that exists. @since 0.3.0 @category rows */
export const vmIds = table("vms", "vm_id", Schema.Struct({ vmId }))

const SeenRow = Schema.Struct({ vmId, ...VmSeen.fields })
/** @since 0.3.0 @category rows */
export const seen = table("vm_seen", "vm_id", SeenRow)

const DriftRow = Schema.Struct({ ...Drift.fields, vmId })
/** @since 0.3.0 @category rows */
export const drift = tableOf("drift", "vm_id", DriftRow, (columns) => new Drift(columns, unchecked))
