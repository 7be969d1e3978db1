/**
 * The part of the inventory that VMs are made from: images, and what is published as one, and instance types.
 *
 * @since 0.1.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Array from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Errors from "../src/domain/Errors.ts"
import { type ImageId, InstanceTypeId } from "../src/domain/Ids.ts"
import { hindrance, type Image, type ImageOrigin } from "../src/domain/Image.ts"
import type { Inventory, NewImage, Publishable, Published, PublishView } from "../src/services/Inventory.ts"
import type { Database } from "./Database.ts"
import * as Fleet from "./sql/Fleet.ts"
import * as Hosts from "./sql/Hosts.ts"
import * as Rows from "./sql/Rows.ts"
import type { Tables } from "./sql/Tables.ts"

/** A new row, whoever makes it. */
interface ImageToBe extends Omit<NewImage, "origin"> {
  readonly origin: ImageOrigin
}

/** `service` are calls of `Inventory`; the others are for bodies of its transactions. @since 0.8.0 @category constructors */
export const make = (
  { read, sql, statement, write }: Database["Type"],
  { operations, vms, volumes }: Pick<Tables, "operations" | "vms" | "volumes">
) => {
  /** Read when it is asked for, which every creation does, and kept until a commit changes it. */
  const keeping = <A>(action: string, select: Effect.Effect<A, SqlError>) => {
    let kept: Option.Option<A> = Option.none()
    // kept while the read still holds the database: no commit is between the two
    const again = read(
      action,
      Effect.tap(select, (found) => Effect.sync(() => void (kept = Option.some(found))))
    )
    return {
      get: Effect.suspend(() => (Option.isSome(kept) ? Effect.succeed(kept.value) : again)),
      forget: () => void (kept = Option.none())
    }
  }
  const offeredTypes = keeping(
    "read the types",
    Effect.flatMap(
      sql<Rows.Row>`select tid, cpu, ram, disk, requires from instance_types where offered = 1 and retired = 0
        order by origin <> 'file', position, tid`,
      Rows.instanceTypes.all
    )
  )
  const selectType = statement(`select ${Rows.knownTypeColumns} from instance_types where tid = ?`)
  const typeRow = Effect.fnUntraced(function* (tid: InstanceTypeId) {
    const [row] = yield* selectType(tid)
    return row === undefined ? null : yield* Rows.knownTypes.one(row)
  })
  const allTypes = Effect.flatMap(
    sql<Rows.Row>`select ${sql.literal(Rows.knownTypeColumns)} from instance_types order by tid`,
    Rows.knownTypes.all
  )
  const typeNotFound = (tid: InstanceTypeId) =>
    Effect.flatMap(
      allTypes,
      (all) =>
        new Errors.InstanceTypeNotFound({ tid, known: all.filter(({ retired }) => !retired).map((one) => one.tid) })
    )
  const images = keeping(
    "read the images",
    Effect.gen(function* () {
      // those that were deleted are ever more: one of them is read when it is asked for
      const rows = yield* sql<Rows.Row>`select ${sql.literal(Rows.imageColumns)} from images
        where state <> 'deleted' order by id`
      const present = yield* Rows.images.all(rows)
      return {
        byId: new Map(present.map((image) => [image.id, image])),
        present,
        offered: present.filter(({ state }) => state === "available")
      }
    })
  )
  const deletedContents = keeping(
    "read what deleted images were",
    Effect.gen(function* () {
      const rows = yield* sql<Rows.Row>`select ${sql.literal(Rows.imageColumns)} from images where content is not null`
      const [kept, deleted] = Array.partition(yield* Rows.images.all(rows), ({ state }) => state === "deleted")
      const has = (images: ReadonlyArray<Image>) => images.flatMap(({ content }) => content?.sha256 ?? [])
      const needed = new Set(has(kept))
      return new Set(has(deleted).filter((sha256) => !needed.has(sha256)))
    })
  )
  const forgetImages = () => {
    images.forget()
    deletedContents.forget()
  }

  const selectImage = statement(`select ${Rows.imageColumns} from images where id = ?`)
  const imageRow = Effect.fnUntraced(function* (id: ImageId) {
    const [row] = yield* selectImage(id)
    return row === undefined ? null : yield* Rows.images.one(row)
  })
  const imageNotFound = (id: ImageId) =>
    Effect.flatMap(
      Effect.flatMap(
        sql<Rows.Row>`select ${sql.literal(Rows.imageColumns)} from images where state = 'available' order by id`,
        Rows.images.all
      ),
      (all) =>
        new Errors.ImageNotFound({
          imageId: id,
          known: all.flatMap((one) => (one.state === "available" ? [one.id] : []))
        })
    )
  const conflict = ({ config, id }: Image, reason: string) =>
    new Errors.ImageConflict({ image: `${id} (${config.name})`, reason })
  /** Fails unless VMs can be made of it. */
  const needUsable = Effect.fnUntraced(function* (id: ImageId) {
    const image = yield* imageRow(id)
    if (image === null || image.state === "deleted") return yield* imageNotFound(id)
    const reason = hindrance(image)
    if (reason !== null) yield* conflict(image, reason)
  })

  const insertImage = Effect.fnUntraced(function* ({ config, origin, state, wanted }: ImageToBe, now: number) {
    const rows = yield* sql<Rows.Row>`insert into images (source, config, position, origin, state, wanted, created_at)
      values (${Fleet.sourceOf(config.source)}, ${Rows.encodeImageConfig(config)}, 0, ${origin}, ${state},
        ${Rows.encodeImageWanted(wanted)}, ${now})
      returning ${sql.literal(Rows.imageColumns)}`
    return yield* Rows.images.one(yield* Rows.only(rows, "the image was not written"))
  })

  /** Its source may be registered again. */
  const removeImage = (id: ImageId) =>
    sql`update images set state = 'deleted', offered = 0, source = source || '#' || id where id = ${id} and state <> 'deleted'`

  /** What is to be published, free for it. */
  const publishable = Effect.fnUntraced(function* (of: Publishable) {
    if ("vm" in of) {
      const vm = yield* vms.present(of.vm)
      yield* vms.checkFree(vm)
      return { vm, volume: null, snapshot: null } satisfies PublishView
    }
    const snapshot = "snapshot" in of ? yield* volumes.findSnapshot(of.snapshot) : null
    if (snapshot !== null && snapshot.state !== "ready") {
      return yield* new Errors.SnapshotNotFound({ snapshotId: snapshot.id })
    }
    const volumeId = "volume" in of ? of.volume : snapshot?.volumeId
    if (volumeId === undefined) return yield* Effect.dieMessage("neither a volume nor a snapshot is to be published")
    const volume = yield* volumes.find(volumeId)
    if (volume.state === "failed") return yield* new Errors.VolumeNotFound({ volumeId })
    yield* volumes.checkFree(volume)
    if (volume.vmId === null) return { vm: null, volume, snapshot } satisfies PublishView
    const vm = yield* vms.find(volume.vmId)
    yield* vms.checkFree(vm)
    return { vm, volume, snapshot } satisfies PublishView
  })

  const service = {
    images: Effect.map(images.get, ({ offered }) => offered),
    image: (id) =>
      Effect.gen(function* () {
        const { byId, offered } = yield* images.get
        const image = byId.get(id) ?? (yield* read(`read image ${id}`, imageRow(id)))
        return image ?? (yield* new Errors.ImageNotFound({ imageId: id, known: offered.map((one) => one.id) }))
      }),
    allImages: Effect.map(images.get, ({ present }) => present),
    deletedContents: deletedContents.get,
    addImage: (image, check, confirm) =>
      write(
        "add an image",
        Effect.gen(function* () {
          const source = Fleet.sourceOf(image.config.source)
          const others = yield* Effect.flatMap(
            sql<Rows.Row>`select ${sql.literal(Rows.imageColumns)} from images where state <> 'deleted' order by id`,
            Rows.images.all
          )
          const same = others.find(({ config }) => Fleet.sourceOf(config.source) === source)
          if (same !== undefined) {
            return yield* new Errors.ImageConflict({
              image: source,
              reason: `is image ${same.id} (${same.config.name}) already: use that one, or delete it first`
            })
          }
          if (check !== undefined) yield* check(others)
          const made = yield* insertImage(image, yield* Clock.currentTimeMillis)
          if (confirm !== undefined) yield* confirm(made)
          return made
        }),
        forgetImages
      ).pipe(Effect.withSpan("Inventory.addImage")),
    publishImage: (of, decide, confirm) =>
      write(
        "begin to publish an image",
        Effect.gen(function* () {
          const view = yield* publishable(of)
          const { snapshot, vm, volume } = view
          const now = yield* Clock.currentTimeMillis
          const origin = "vm" in of ? "vm" : "volume" in of ? "volume" : "snapshot"
          const id = "vm" in of ? of.vm : "volume" in of ? of.volume : of.snapshot
          const image = yield* insertImage(
            { config: yield* decide(view), origin, state: "quarantine", wanted: { of: id } },
            now
          )
          const operation = yield* operations.insert(
            {
              kind: volume === null ? "PublishVm" : "PublishVolume",
              vmId: vm?.id ?? null,
              volumeId: volume?.id ?? null,
              snapshotId: snapshot?.id ?? null,
              detail: { image: image.id }
            },
            now
          )
          const published: Published = { ...view, image, operation }
          if (confirm !== undefined) yield* confirm(published)
          return published
        }),
        forgetImages
      ).pipe(Effect.withSpan("Inventory.publishImage")),
    settleImage: Effect.fn("Inventory.settleImage")((id, state, reason) =>
      write(
        `settle image ${id}`,
        Effect.asVoid(
          sql`update images set state = ${state}, reason = ${reason ?? null} where id = ${id} and state <> 'deleted'`
        ),
        forgetImages
      )
    ),
    dropImage: Effect.fn("Inventory.dropImage")((id) =>
      write(`drop image ${id}`, Effect.asVoid(removeImage(id)), forgetImages)
    ),
    deleteImage: (id, check, confirm) =>
      write(
        `delete image ${id}`,
        Effect.gen(function* () {
          const before = yield* imageRow(id)
          if (before === null) return yield* imageNotFound(id)
          if (check !== undefined) yield* check(before)
          if (before.origin === "file" && before.state === "available") {
            return yield* conflict(
              before,
              "is given in the image file: take its line out there, start the controller again, and delete it then"
            )
          }
          const users = yield* Effect.flatMap(
            sql<Rows.Row>`select id, name from vms
              where image_id = ${id} and state not in ('destroyed', 'failed') order by id`,
            Rows.vmLabels.all
          )
          if (users.length > 0) {
            const need = users.length === 1 ? "needs it: destroy that VM first" : "need it: destroy those VMs first"
            return yield* conflict(before, `cannot be deleted while ${Hosts.listed("VM", users)} ${need}`)
          }
          const making = yield* operations.ofImage(id)
          if (making !== null)
            return yield* conflict(before, `is being published by operation ${making.id}: cancel that`)
          yield* removeImage(id)
          if (confirm !== undefined) yield* confirm(before)
          return before
        }),
        forgetImages
      ).pipe(Effect.withSpan("Inventory.deleteImage")),
    setImageContent: Effect.fn("Inventory.setImageContent")((id, content) =>
      write(
        `keep what image ${id} holds`,
        Effect.flatMap(
          sql<Rows.Row>`update images set content = ${Rows.encodeImageContent(content)} where id = ${id} returning id`,
          (rows) => Effect.asVoid(Rows.only(rows, `image ${id} does not exist`))
        ),
        forgetImages
      )
    ),

    types: offeredTypes.get,
    type: (tid: InstanceTypeId) =>
      Effect.flatMap(offeredTypes.get, (types) => {
        const type = types.find((one) => one.tid === tid)
        return type === undefined
          ? new Errors.InstanceTypeNotFound({ tid, known: types.map((one) => one.tid) })
          : Effect.succeed(type)
      }),

    knownTypes: read("read the types", allTypes),
    createType: Effect.fn("Inventory.createType")((type, confirm) =>
      write(
        "create an instance type",
        Effect.gen(function* () {
          const { cpu, disk, ram, requires } = type
          const highest = Math.max(0, ...(yield* allTypes).map(({ tid }) => tid))
          const tid = type.tid ?? InstanceTypeId.make(Math.min(highest + 1, Number.MAX_SAFE_INTEGER))
          const known = yield* typeRow(tid)
          if (known !== null) {
            const where = known.origin === "file" ? "in the types file" : "made by the API"
            const reason = `is there already (${where}${known.retired ? ", and retired" : ""}): types are never changed, give another id`
            return yield* new Errors.InstanceTypeConflict({ tid, reason })
          }
          const rows = yield* sql<Rows.Row>`insert into instance_types (tid, cpu, ram, disk, requires, position, origin)
            values (${tid}, ${cpu}, ${ram}, ${disk}, ${Rows.encodeRequired(requires)}, 0, 'api')
            returning ${sql.literal(Rows.knownTypeColumns)}`
          const made = yield* Rows.knownTypes.one(yield* Rows.only(rows, "the instance type was not written"))
          if (confirm !== undefined) yield* confirm(made)
          return made
        }),
        offeredTypes.forget
      )
    ),
    retireType: (tid, check, confirm) =>
      write(
        `retire instance type ${tid}`,
        Effect.gen(function* () {
          const before = yield* typeRow(tid)
          if (before === null) return yield* typeNotFound(tid)
          if (check !== undefined) yield* check(before)
          yield* sql`update instance_types set retired = 1 where tid = ${tid}`
          const after = { ...before, retired: true }
          if (confirm !== undefined) yield* confirm({ before, after })
          return after
        }),
        offeredTypes.forget
      ).pipe(Effect.withSpan("Inventory.retireType"))
  } satisfies Partial<Inventory["Type"]>

  const forget = () => {
    offeredTypes.forget()
    forgetImages()
  }

  return { forget, needUsable, service, typeNotFound, typeRow }
}

/** @since 0.12.0 @category models */
export type Catalogue = ReturnType<typeof make>
