/**
 * What clients do with images of VMs' disks: they publish them, make VMs of them, and delete them; and whether such an image is what the disk was.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { type Image, isPublished } from "../../src/domain/Image.ts"
import type { ImageId, InstanceTypeId, VmId } from "../../src/domain/Ids.ts"
import type { Vm } from "../../src/domain/Vm.ts"
import { ImageIntake } from "../../src/fabric/ImageIntake.ts"
import { ImagePublishing } from "../../src/fabric/ImagePublishing.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import * as Qcow2 from "../../src/simulator/Qcow2.ts"
import type * as Breaking from "./Breaking.ts"
import type { KnownImage, KnownVm } from "./Model.ts"

export type Needs = ImageIntake | ImagePublishing | Inventory | Vms

/** So many published images may there be before clients rather delete one than publish one. */
const most = 6

export interface Options<V> {
  readonly type: InstanceTypeId
  /** disks in a pool, or on the hosts */
  readonly ceph: boolean
  /** One of the VMs, mostly one that is off; of the images, whatever becomes of it: undefined when there is none. */
  readonly vm: Effect.Effect<KnownVm | undefined>
  readonly image: Effect.Effect<KnownImage | undefined>
  /** how many images there may be */
  readonly images: () => number
  /** Asks for something; `after` when it was done and nobody else asked for something of that image meanwhile. */
  readonly ask: <A>(
    what: string,
    image: KnownImage | null,
    effect: Effect.Effect<A, { readonly message: string }, Needs>,
    after: (answer: A) => void
  ) => Effect.Effect<void, V, Needs>
  /** A name that was never given. */
  readonly name: () => string
  /** One of the calls that come next for that VM may be refused. */
  readonly spoil: (vm: VmId, calls: ReadonlyArray<Breaking.Call>) => Effect.Effect<unknown>
  readonly published: (id: ImageId) => void
  /** It was said that there is none of that name. */
  readonly unpublished: (name: string) => void
  /** Something was said to a client that is not so. */
  readonly untrue: (what: string) => void
  readonly made: (vm: Vm) => void
}

/** What publishing a disk comes to. */
const inPool: ReadonlyArray<Breaking.Call> = [
  { on: "pool", request: "createSnapshot" },
  { on: "pool", request: "readSnapshot" },
  { on: "pool", request: "removeSnapshot" }
]
const onHost: ReadonlyArray<Breaking.Call> = [
  { on: "host", procedure: "STORAGE_VOL_CREATE_XML_FROM" },
  { on: "host", procedure: "STORAGE_VOL_CREATE_XML" },
  { on: "host", procedure: "STORAGE_VOL_DOWNLOAD" },
  { on: "host", procedure: "STORAGE_VOL_DELETE" }
]

export const meets = (ceph: boolean): ReadonlyArray<Breaking.Call> => (ceph ? inPool : onHost)

/** There is no image of that name, which was never given to another. */
const isAbsent = (name: string) =>
  Effect.map(
    Effect.flatMap(Inventory, (it) => Effect.orDie(it.allImages)),
    (all) => all.every(({ config, state }) => state === "deleted" || config.name !== name)
  )

export const make = <V>({
  ask,
  ceph,
  image,
  images,
  made,
  name,
  published,
  spoil,
  type,
  unpublished,
  untrue,
  vm
}: Options<V>) => {
  const publish = Effect.flatMap(vm, (one) => {
    if (one === undefined) return Effect.void
    const called = name()
    const asked = ask(
      `publish ${called} of VM ${one.id}`,
      null,
      Effect.flatMap(ImagePublishing, (it) => it.publish({ name: called, vm: one.id })).pipe(
        Effect.tapError(({ message }) =>
          Effect.map(isAbsent(called), (absent) => {
            unpublished(called)
            // at the moment at which that is said, unless it is said that it takes until then
            if (absent || message.includes("what it began is removed when")) return
            untrue(`image ${called} was said not to be published (${message}), and is there`)
          })
        )
      ),
      ({ id }) => published(id)
    )
    return Effect.zipRight(spoil(one.id, meets(ceph)), asked)
  })

  const remove = Effect.flatMap(image, (one) => {
    if (one === undefined) return Effect.void
    one.fate = "unsure"
    return ask(
      `delete image ${one.id}`,
      one,
      Effect.flatMap(ImageIntake, (it) => it.remove(one.id)),
      () => {
        one.fate = "gone"
      }
    )
  })

  const create = Effect.flatMap(image, (one) => {
    if (one === undefined) return Effect.void
    const called = name()
    return ask(
      `create VM ${called} of image ${one.id}`,
      one,
      Effect.flatMap(Vms, (it) =>
        it.create({ name: called, instanceType: type, imageId: one.id, idempotencyKey: called })
      ),
      made
    )
  })

  const actions: ReadonlyArray<readonly [weight: number, action: Effect.Effect<unknown, V, Needs>]> = [
    [8, Effect.suspend(() => (images() < most ? publish : remove))],
    [2, remove],
    [2, create]
  ]
  return actions
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

/** What a file in qcow2 holds, up to the last byte that is not zero; a string: why that cannot be told. */
const heldBy = (file: Buffer): Buffer | string =>
  Either.match(Qcow2.clusters(file), {
    onLeft: (why) => why,
    onRight: (clusters) => {
      const disk = Buffer.alloc(Math.max(0, ...clusters.map(({ bytes, offset }) => offset + bytes.length)))
      for (const { bytes, offset } of clusters) disk.set(bytes, offset)
      let end = disk.length
      while (end > 0 && disk[end - 1] === 0) end--
      return disk.subarray(0, end)
    }
  })

/**
 * One line for each published image that is not what the disk of its VM was, which `disk` is, without zeros at its end; null: simulated hosts keep no
 * more of files than what they are.
 */
export const untrue = (images: ReadonlyArray<Image>, disk: Uint8Array | null): ReadonlyArray<string> =>
  images
    .filter(({ origin, state }) => isPublished(origin) && state !== "deleted")
    .flatMap(({ config: { source }, content, id }) => {
      if (!existsSync(source.path)) return [`image ${id} has lost its file`]
      const file = readFileSync(source.path)
      if (content?.sha256 !== sha256(file)) return [`the file of image ${id} is not what was checked`]
      if (disk === null) return []
      const held = heldBy(file)
      if (typeof held === "string") return [`the file of image ${id} cannot be read: ${held}`]
      return held.equals(disk) ? [] : [`image ${id} does not hold what the disk did that it was published of`]
    })
