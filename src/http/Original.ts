/**
 * The original program's routes, versions 1.0 and 2.0, and those of its sister programs.
 *
 * Old clients read only the body, so every answer has status 200 and its documented shape; after a failure a further key `error` says why.
 *
 * @since 0.1.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as Effect from "effect/Effect"
import * as Ids from "../domain/Ids.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import { OnCrash } from "../domain/Vm.ts"
import type { Volume } from "../domain/Volume.ts"
import { Hosts } from "../fabric/Hosts.ts"
import { Images } from "../fabric/Images.ts"
import { Vms } from "../fabric/Vms.ts"
import { Volumes } from "../fabric/Volumes.ts"
import * as Parameters from "./Parameters.ts"
import * as Route from "./Route.ts"

/** @since 0.1.0 @category constants */
export const paths = [
  "/vm/create",
  "/vm/query",
  "/vm/destroy",
  "/vm/types",
  "/image/list",
  "/pm/list",
  "/pm/query",
  "/pm/listvms",
  "/volume/create",
  "/volume/query",
  "/volume/destroy",
  "/volume/attach",
  "/volume/detach"
] as const

/**
 * A volume as the original shows it. It knows three states: what is under way counts as what was before, but for a destruction, which
 * cannot fail to come.
 *
 * @since 0.2.0 @category formatting
 */
export const volumeBody = ({ id, name, size, state, vmId }: Volume) => {
  const base = { volumeid: id, name, size }
  switch (state) {
    case "attached":
    case "detaching":
      return { ...base, status: "attached", ...(vmId === null ? {} : { vmid: vmId }) }
    case "destroying":
    case "deleted":
    case "restoring":
    case "purging":
    case "purged":
      return { ...base, status: "deleted" }
    default:
      return { ...base, status: "available" }
  }
}

/** As the original has types: what they require of hosts is none of it. */
const asEver = ({ cpu, disk, ram, tid }: InstanceType) => ({ tid, cpu, ram, disk })

/** @since 0.1.0 @category layers */
export const layer = HttpLayerRouter.addAll(
  Effect.gen(function* () {
    const vms = yield* Vms
    const images = yield* Images
    const hosts = yield* Hosts
    const volumes = yield* Volumes
    return [
      ...Route.make(
        "/vm/create",
        Effect.fnUntraced(function* (given) {
          const name = yield* Parameters.requiredText(given, "name")
          const instanceType = yield* Parameters.requiredId(given, "instance_type", Ids.InstanceTypeId)
          const imageId = yield* Parameters.id(given, "image_id", Ids.ImageId)
          const onCrash = yield* Parameters.choice(given, "on_crash", OnCrash.literals)
          const idempotencyKey = yield* Route.idempotencyKey
          const vm = yield* vms.create({
            name,
            instanceType,
            ...(imageId === undefined ? {} : { imageId }),
            ...(onCrash === undefined ? {} : { onCrash }),
            ...(idempotencyKey === undefined ? {} : { idempotencyKey })
          })
          return { vmid: vm.id }
        })
      ),
      ...Route.make(
        "/vm/query", // asked most of all: without a generator, too
        (given) =>
          Effect.map(
            Effect.flatMap(Parameters.requiredId(given, "vmid", Ids.VmId), vms.get),
            ({ hostId, id, instanceType, name }) => ({ vmid: id, name, instance_type: instanceType, pmid: hostId })
          )
      ),
      ...Route.make(
        "/vm/destroy",
        Effect.fnUntraced(function* (given) {
          yield* vms.destroy(yield* Parameters.requiredId(given, "vmid", Ids.VmId))
          return { status: 1 }
        })
      ),
      ...Route.make("/vm/types", () => Effect.map(images.types, (types) => ({ types: types.map(asEver) }))),
      ...Route.make("/image/list", () =>
        Effect.map(images.list, (all) => ({ images: all.map(({ config, id }) => ({ id, name: config.name })) }))
      ),
      ...Route.make("/pm/list", () => Effect.map(hosts.list, (all) => ({ pmids: all.map(({ host }) => host.id) }))),
      ...Route.make(
        "/pm/query",
        Effect.fnUntraced(function* (given) {
          const report = yield* hosts.get(yield* Parameters.requiredId(given, "pmid", Ids.HostId))
          return { pmid: report.host.id, capacity: report.capacity, free: report.free, vms: report.vms }
        })
      ),
      ...Route.make(
        "/pm/listvms",
        Effect.fnUntraced(function* (given) {
          const { host } = yield* hosts.get(yield* Parameters.requiredId(given, "pmid", Ids.HostId))
          return { vmids: (yield* vms.list({ host: host.id })).map((vm) => vm.id) }
        })
      ),
      ...Route.make(
        "/volume/create",
        Effect.fnUntraced(function* (given) {
          const name = yield* Parameters.requiredText(given, "name")
          const size = yield* Parameters.requiredAmount(given, "size")
          const idempotencyKey = yield* Route.idempotencyKey
          const volume = yield* volumes.create({
            name,
            size,
            ...(idempotencyKey === undefined ? {} : { idempotencyKey })
          })
          return { volumeid: volume.id }
        })
      ),
      ...Route.make("/volume/query", (given) =>
        Effect.map(Effect.flatMap(Parameters.requiredId(given, "volumeid", Ids.VolumeId), volumes.get), volumeBody)
      ),
      ...Route.make(
        "/volume/destroy",
        Effect.fnUntraced(function* (given) {
          yield* volumes.destroy(yield* Parameters.requiredId(given, "volumeid", Ids.VolumeId))
          return { status: 1 }
        })
      ),
      ...Route.make(
        "/volume/attach",
        Effect.fnUntraced(function* (given) {
          const vmId = yield* Parameters.requiredId(given, "vmid", Ids.VmId)
          yield* volumes.attach(yield* Parameters.requiredId(given, "volumeid", Ids.VolumeId), vmId)
          return { status: 1 }
        })
      ),
      ...Route.make(
        "/volume/detach",
        Effect.fnUntraced(function* (given) {
          yield* volumes.detach(yield* Parameters.requiredId(given, "volumeid", Ids.VolumeId))
          return { status: 1 }
        })
      )
    ]
  })
)
