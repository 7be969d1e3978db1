/**
 * VMs' seeds as images of a Ceph pool. What the images' names mean is said at `StorageRbd`.
 *
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Host } from "../src/domain/Host.ts"
import type { OperationId, VmId } from "../src/domain/Ids.ts"
import * as Trail from "../src/observability/Trail.ts"
import type { Ceph } from "../src/services/Ceph.ts"
import type { SeedRequest } from "../src/services/Storage.ts"
import { seedCapacity, type SeedPart, seedSerial } from "./StorageDriver.ts"
import { isMadeBy, ownershipOf, type RbdPool } from "./StorageRbdPool.ts"

const imageName = (vmId: VmId): string => `vm-${vmId}-seed`

/** The part of the driver that is about seeds. @since 0.6.0 @category constructors */
export const make = (ceph: Ceph["Type"], pool: RbdPool): SeedPart => {
  const { accessLater, ask, look, made, refuseForeign, remove } = pool

  const writeSeed = Trail.traced("Storage.writeSeed")(
    Effect.fnUntraced(function* (_host: Host, seed: SeedRequest) {
      const { content, operationId, replaces, vmId } = seed
      const name = imageName(vmId)
      const action = `write the seed of vm-${vmId}`
      // the host has its secret from the root disk, which is there before
      const disk = yield* accessLater(action)
      const make = made(action, name, { vm: vmId, operation: operationId }, (part) => [
        { do: "create", args: { image: part, size: seedCapacity } },
        { do: "write", args: { image: part, content } }
      ])
      // one that is to be replaced is there, most often
      if (!replaces && (yield* make)) return disk(name, seedSerial(vmId))
      const found = yield* look(action, name)
      if (Option.isNone(found)) {
        return (yield* make) ? disk(name, seedSerial(vmId)) : yield* refuseForeign(action, `image ${name}`)
      }
      const ours = replaces
        ? Option.exists(ownershipOf(found.value), ({ vm }) => vm === vmId)
        : isMadeBy(found.value, operationId)
      if (!ours) {
        return yield* refuseForeign(action, `image ${name}`)
      }
      // nothing of what was there before stays behind its end: it may have been somebody's secret
      const whole = new Uint8Array(found.value.size)
      whole.set(content)
      yield* ask(action, ceph.write(name, whole))
      return disk(name, seedSerial(vmId))
    })
  )

  const deleteSeed = Effect.fn("Storage.deleteSeed")(function* (_host: Host, vmId: VmId, madeBy?: OperationId) {
    const action = `delete the seed of vm-${vmId}`
    const name = imageName(vmId)
    const found = yield* look(action, name)
    const left =
      madeBy === undefined
        ? (yield* ask(action, ceph.list)).filter((one) => one.startsWith(`${name}.new-`))
        : [`${name}.new-${madeBy}`]
    yield* Effect.forEach(left, (one) => remove(action, one), { discard: true })
    if (Option.isNone(found) || (madeBy !== undefined && !isMadeBy(found.value, madeBy))) return
    yield* remove(action, name)
  })

  return {
    writeSeed,
    deleteSeed,
    describeSeed: (_host, vmId) =>
      Effect.map(accessLater(`describe the seed of vm-${vmId}`), (disk) => disk(imageName(vmId), seedSerial(vmId)))
  }
}
