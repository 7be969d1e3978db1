/**
 * VMs' seeds as files in a host's folder. What the files' names mean is said at `StorageDir`.
 *
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import type { OperationId, VmId } from "../src/domain/Ids.ts"
import { failure, fromLibvirt } from "../src/libvirt/HostErrors.ts"
import * as StorageXml from "../src/libvirt/StorageXml.ts"
import type { DiskSource } from "../src/services/Hypervisor.ts"
import type { Libvirt } from "../src/services/Libvirt.ts"
import type { SeedRequest } from "../src/services/Storage.ts"
import * as StorageDirPool from "./StorageDirPool.ts"
import { seedCapacity, type SeedPart, seedSerial } from "./StorageDriver.ts"

const fileName = (vmId: VmId): string => `vm-${vmId}-seed.iso`
const markers = (vmId: VmId): string => `vm-${vmId}-seed.operation-`
const marker = (vmId: VmId, operationId: OperationId): string => `${markers(vmId)}${operationId}`

const disk = (path: string, vmId: VmId): DiskSource => ({ _tag: "File", path, format: "raw", serial: seedSerial(vmId) })

/** The part of the driver that is about seeds. @since 0.6.0 @category constructors */
export const make = (libvirt: Libvirt["Type"], folder: StorageDirPool.HostPool): SeedPart => {
  const { claimed, create, list, ready, refresh, remove } = folder

  const send = (
    host: Host,
    action: string,
    vol: StorageDirPool.File,
    content: Uint8Array
  ): Effect.Effect<void, HostError> =>
    // what ends a stream is an interruption, and it can be repeated
    Effect.interruptible(
      libvirt.upload(
        host.config.address,
        "STORAGE_VOL_UPLOAD",
        { vol, offset: 0n, length: BigInt(content.length), flags: 0 },
        Stream.make(content)
      )
    ).pipe(Effect.mapError(fromLibvirt(host, action)))

  /** Nothing of what was there before stays behind its end: it may have been somebody's secret. */
  const whole = (content: Uint8Array): Uint8Array => {
    const bytes = new Uint8Array(seedCapacity)
    bytes.set(content)
    return bytes
  }

  const writeSeed = Effect.fn("Storage.writeSeed")(function* (host: Host, seed: SeedRequest) {
    const { content, operationId, replaces, vmId } = seed
    const action = `write the seed of vm-${vmId}`
    const attempt = Effect.gen(function* () {
      const pool = yield* ready(host, action)
      const files = yield* list(host, action, pool)
      const there = files.find(({ name }) => name === fileName(vmId))
      if (there === undefined) {
        return yield* claimed(
          host,
          action,
          pool,
          { marker: marker(vmId, operationId), name: fileName(vmId) },
          Effect.tap(create(host, action, pool, StorageXml.rawVolume(fileName(vmId), seedCapacity)), (vol) =>
            send(host, action, vol, content)
          )
        )
      }
      const ours = replaces ? markers(vmId) : marker(vmId, operationId)
      if (!files.some(({ name }) => name.startsWith(ours))) {
        return yield* failure(
          host,
          action,
          `${there.key} is there already and was not made by this operation, so it is left alone: move it away to have the name free`
        )
      }
      yield* send(host, action, there, whole(content))
      return there
    })
    const vol = yield* Effect.catchTag(attempt, "HostFailure", (first) =>
      // the list may not be what is in the folder
      Effect.gen(function* () {
        yield* refresh(host, action, yield* ready(host, action))
        yield* Effect.logDebug("trying once more with the folder as it is").pipe(
          Effect.annotateLogs({ host: host.name, vmId, reason: first.message })
        )
        return yield* attempt
      })
    )
    return disk(vol.key, vmId)
  })

  const deleteSeed = Effect.fn("Storage.deleteSeed")(function* (host: Host, vmId: VmId, madeBy?: OperationId) {
    const action = `delete the seed of vm-${vmId}`
    const pool = yield* ready(host, action)
    const files = yield* list(host, action, pool)
    if (madeBy !== undefined && !files.some(({ name }) => name === marker(vmId, madeBy))) return
    yield* remove(host, action, pool, fileName(vmId))
    // the markers last: without them it would be taken for another's
    for (const { name } of files) if (name.startsWith(markers(vmId))) yield* remove(host, action, pool, name)
  })

  return {
    writeSeed,
    deleteSeed,
    describeSeed: (host, vmId) => Effect.succeed(disk(StorageDirPool.pathOf(host, fileName(vmId)), vmId))
  }
}
