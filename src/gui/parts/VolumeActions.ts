/**
 * What can be done with volumes and their snapshots.
 *
 * @since 0.8.0
 */
import * as Effect from "effect/Effect"
import { ImageToPublish } from "../../api/Images.ts"
import { NewSnapshot, type Snapshot } from "../../api/Snapshots.ts"
import { NewVolume, type Volume, VolumeChange } from "../../api/Volumes.ts"
import type { VmId } from "../../domain/Ids.ts"
import { calls, payloadOf } from "../state/Api.ts"
import type { Commanded } from "./Commands.ts"

/** Words of what was not typed yet. */
const or = (text: string, missing: string): string => (text === "" ? missing : text)

/** @since 0.8.0 @category constructors */
export const createVolume = (name: string, size: number): Commanded => {
  const body = { name, size }
  return {
    label: `Create volume ${name}`,
    method: "POST",
    path: "/volumes",
    body,
    words: ["volume", "create", "--name", or(name, "NAME"), "--size", String(size)],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewVolume, body)
      return yield* (yield* calls).volumes.createVolume({ payload })
    })
  }
}

/** A volume with a snapshot's content. @since 0.8.0 @category constructors */
export const clone = ({ id, name: from }: Snapshot, name: string): Commanded => {
  const body = { name, snapshot: id }
  return {
    label: `Clone ${from} as ${or(name, "a volume")}`,
    method: "POST",
    path: "/volumes",
    body,
    words: ["volume", "clone", `id:${id}`, "--name", or(name, "NAME")],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewVolume, body)
      return yield* (yield* calls).volumes.createVolume({ payload })
    })
  }
}

const change = (
  { id }: Volume,
  label: string,
  words: ReadonlyArray<string>,
  body: { readonly name?: string; readonly size?: number }
): Commanded => ({
  label,
  method: "PATCH",
  path: `/volumes/${id}`,
  body,
  words: ["volume", ...words],
  run: Effect.gen(function* () {
    const payload = yield* payloadOf(VolumeChange, body)
    return yield* (yield* calls).volumes.changeVolume({ path: { id }, payload })
  })
})

/** @since 0.8.0 @category constructors */
export const grow = (volume: Volume, size: number): Commanded =>
  change(volume, `Grow ${volume.name}`, ["grow", `id:${volume.id}`, "--size", String(size)], { size })

/** @since 0.8.0 @category constructors */
export const rename = (volume: Volume, name: string): Commanded =>
  change(volume, `Rename ${volume.name}`, ["rename", `id:${volume.id}`, "--name", or(name, "NAME")], { name })

/** null: which one was not said yet. @since 0.8.0 @category constructors */
export const attach = (volume: Pick<Volume, "id" | "name"> | null, vm: VmId | null): Commanded => ({
  label: `Attach ${volume?.name ?? "a volume"}`,
  method: "POST",
  path: `/volumes/${volume?.id ?? "VOLUME"}/attach`,
  body: { vm: vm ?? "VM" },
  words: ["volume", "attach", volume === null ? "VOLUME" : `id:${volume.id}`, "--vm", vm === null ? "VM" : `id:${vm}`],
  run:
    vm === null || volume === null
      ? Effect.void
      : Effect.flatMap(calls, ({ volumes }) => volumes.attachVolume({ path: { id: volume.id }, payload: { vm } }))
})

/** @since 0.8.0 @category constructors */
export const detach = ({ id, name }: Volume): Commanded => ({
  label: `Detach ${name}`,
  method: "POST",
  path: `/volumes/${id}/detach`,
  words: ["volume", "detach", `id:${id}`],
  run: Effect.flatMap(calls, ({ volumes }) => volumes.detachVolume({ path: { id } }))
})

/** Into the trash. @since 0.8.0 @category constructors */
export const destroyVolume = ({ id, name }: Volume): Commanded => ({
  label: `Destroy ${name}`,
  method: "DELETE",
  path: `/volumes/${id}`,
  words: ["volume", "destroy", `id:${id}`],
  run: Effect.flatMap(calls, ({ volumes }) => volumes.destroyVolume({ path: { id } }))
})

/** Back from the trash. @since 0.8.0 @category constructors */
export const restore = ({ id, name }: Volume): Commanded => ({
  label: `Restore ${name}`,
  method: "POST",
  path: `/volumes/${id}/restore`,
  words: ["volume", "restore", `id:${id}`],
  run: Effect.flatMap(calls, ({ volumes }) => volumes.restoreVolume({ path: { id } }))
})

/** For good. @since 0.8.0 @category constructors */
export const purge = ({ id, name }: Volume): Commanded => ({
  label: `Purge ${name}`,
  method: "POST",
  path: `/volumes/${id}/purge`,
  words: ["volume", "purge", `id:${id}`, "--yes"],
  run: Effect.flatMap(calls, ({ volumes }) => volumes.purgeVolume({ path: { id } }))
})

/** @since 0.8.0 @category constructors */
export const takeSnapshot = ({ id, name: of }: Volume, name: string): Commanded => {
  const body = { name }
  return {
    label: `Snapshot ${of}`,
    method: "POST",
    path: `/volumes/${id}/snapshots`,
    body,
    words: ["snapshot", "create", `id:${id}`, "--name", or(name, "NAME")],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewSnapshot, body)
      return yield* (yield* calls).volumes.createSnapshot({ path: { id }, payload })
    })
  }
}

/** @since 0.8.0 @category constructors */
export const revert = ({ id, name }: Snapshot, { name: of }: Volume): Commanded => ({
  label: `Revert ${of} to ${name}`,
  method: "POST",
  path: `/snapshots/${id}/revert`,
  words: ["volume", "revert", `id:${id}`, "--yes"],
  run: Effect.flatMap(calls, ({ snapshots }) => snapshots.revertToSnapshot({ path: { id } }))
})

/** @since 0.8.0 @category constructors */
export const destroySnapshot = ({ id, name }: Snapshot): Commanded => ({
  label: `Destroy snapshot ${name}`,
  method: "DELETE",
  path: `/snapshots/${id}`,
  words: ["snapshot", "destroy", `id:${id}`, "--yes"],
  run: Effect.flatMap(calls, ({ snapshots }) => snapshots.destroySnapshot({ path: { id } }))
})

/** What a snapshot holds, as an image. @since 0.8.0 @category constructors */
export const publish = ({ id, name: of }: Snapshot, name: string): Commanded => {
  const body = { name, snapshot: id }
  return {
    label: `Publish ${of} as an image`,
    method: "POST",
    path: "/images/publish",
    body,
    words: ["image", "publish", or(name, "NAME"), "--snapshot", `id:${id}`],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(ImageToPublish, body)
      return yield* (yield* calls).images.publishImage({ payload })
    })
  }
}

/** Whatever can be done with it as it is, to be copied. @since 0.13.0 @category constructors */
export const commandsOf = (volume: Volume): ReadonlyArray<Commanded> => {
  switch (volume.state) {
    case "available":
      return [
        attach(volume, null),
        takeSnapshot(volume, "NAME"),
        grow(volume, volume.size + 1),
        rename(volume, "NAME"),
        destroyVolume(volume)
      ]
    case "attached":
      return [detach(volume), takeSnapshot(volume, "NAME"), grow(volume, volume.size + 1), rename(volume, "NAME")]
    case "deleted":
      return [restore(volume), purge(volume)]
    default:
      return []
  }
}
