/**
 * What can be done with VMs.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import * as CloudInitRules from "../cloudinit/Rules.ts"
import * as Seed from "../cloudinit/Seed.ts"
import { type CloudInit, hostnameOf } from "../domain/CloudInit.ts"
import * as Errors from "../domain/Errors.ts"
import type { HostId, ImageId, InstanceTypeId, OperationId, VmId } from "../domain/Ids.ts"
import type { Image } from "../domain/Image.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import type { NewNic } from "../domain/Nic.ts"
import type { Operation } from "../domain/Operation.ts"
import type { Resources } from "../domain/Resources.ts"
import { type OnCrash, VmName, type Vm } from "../domain/Vm.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import { Inventory, type RequestKey } from "../services/Inventory.ts"
import { Operations } from "../services/Operations.ts"
import { Scheduler } from "../services/Scheduler.ts"
import { Storage } from "../services/Storage.ts"
import * as Begun from "./Begun.ts"
import * as Candidates from "./Candidates.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Keys from "./Keys.ts"
import * as Nics from "./Nics.ts"
import { Pools } from "./Pools.ts"
import * as Queue from "./Queue.ts"
import * as Revision from "./Revision.ts"

/**
 * `imageId` absent: the first image. `onCrash` absent: `leave`. What cloud-init is told: nothing of it is needed; the hostname is made of the name. With `idempotencyKey` repeating the request is harmless: it is the same VM that
 * is waited for, or the same failure.
 *
 * @since 0.1.0 @category models
 */
export interface CreateVm extends CloudInitRules.Given {
  readonly name: string
  readonly instanceType: InstanceTypeId
  readonly imageId?: ImageId
  readonly onCrash?: OnCrash
  /** absent: one on the default network of whatever host it comes to; none: an empty list */
  readonly nics?: ReadonlyArray<NewNic>
  readonly idempotencyKey?: string
  /** one of so many that are asked for with one key */
  readonly of?: number
}

/** @since 0.1.0 @category errors */
export type CreateError =
  | Errors.InvalidArgument
  | Errors.InstanceTypeNotFound
  | Errors.ImageNotFound
  | Errors.NoFeasibleHost
  | Errors.PoolFull
  | Errors.MacTaken
  | Errors.KeyReused
  | Errors.StorageError
  | Errors.OperationFailed
  | Errors.PersistenceError

/** @since 0.1.0 @category errors */
export type DestroyError = Errors.VmNotFound | Errors.HasChanged | Errors.OperationFailed | Errors.PersistenceError

/** @since 0.6.0 @category errors */
export type CloudInitError =
  Errors.InvalidArgument | Errors.VmNotFound | Errors.HasChanged | Errors.OperationFailed | Errors.PersistenceError

/** What a VM's guest is told, as it is now. @since 0.6.0 @category models */
export interface CloudInitReport {
  readonly vm: Vm
  readonly cloudInit: CloudInit
  /** the one that it has, also when it was given none */
  readonly hostname: string
  /** by which cloud-init knows whether it has done all of it already */
  readonly instanceId: string
}

/** @since 0.1.0 @category services */
export class Vms extends Context.Tag("vmfabric/Vms")<
  Vms,
  {
    /**
     * Places a VM and waits until it runs. A host that stops answering in between is left, and the VM placed anew on another. Interrupting
     * the wait does not interrupt the creation.
     */
    readonly create: (request: CreateVm) => Effect.Effect<Vm, CreateError>
    /**
     * Removes a VM whatever its state and waits until nothing of it is left; one that is still being created first gets to the end of
     * that. Its volumes stay, and are available again. Repeating it is fine: one that is already destroyed is a success. With its host silent it fails after a few tries, and ends by itself when the host is back.
     * `HasChanged`: its revision is not the expected one.
     */
    readonly destroy: (id: VmId, expect?: Revision.Expect) => Effect.Effect<void, DestroyError>
    /** What becomes of it after a crash. `HasChanged`: its revision is not the expected one. */
    readonly setOnCrash: (
      id: VmId,
      onCrash: OnCrash,
      expect?: Revision.Expect
    ) => Effect.Effect<Vm, Errors.VmNotFound | Errors.HasChanged | Errors.PersistenceError>
    /** What its guest is told by cloud-init. It may be secret. */
    readonly cloudInit: (id: VmId) => Effect.Effect<CloudInitReport, Errors.VmNotFound | Errors.PersistenceError>
    /**
     * Tells it something else from its next boot on, and waits until that is written. Unless `reapply` is false cloud-init takes the guest for a new one then and does
     * all of it again: hostname, keys, scripts. Its own SSH host keys stay. `HasChanged`: the revision of what it is told is not the expected one.
     */
    readonly setCloudInit: (
      id: VmId,
      change: CloudInitRules.Change,
      expect?: Revision.Expect
    ) => Effect.Effect<void, CloudInitError>
    readonly get: (id: VmId) => Effect.Effect<Vm, Errors.VmNotFound | Errors.PersistenceError>
    readonly list: (filter?: { readonly host?: HostId }) => Effect.Effect<ReadonlyArray<Vm>, Errors.PersistenceError>
  }
>() {}

/** How long a creation waits for hosts that nobody has tried yet. */
const patience = "10 seconds"

/** What a VM has when nothing is said of NICs. */
const usualNics: ReadonlyArray<NewNic> = [{}]

const isVmName: (name: string) => boolean = Schema.is(VmName)

/** @since 0.1.0 @category layers */
export const layer = Layer.effect(
  Vms,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const scheduler = yield* Scheduler
    const monitor = yield* HostMonitor
    const operations = yield* Operations
    const pools = yield* Pools
    const queue = yield* Queue.Queue
    const { preferred } = yield* Storage

    const checkName = (name: string) =>
      isVmName(name)
        ? Effect.void
        : new Errors.InvalidArgument({
            field: "name",
            problem:
              name === ""
                ? "is empty"
                : name.length > 255
                  ? `has ${name.length} characters`
                  : "has characters a name cannot have",
            expected: "1 to 255 characters without control characters, and no blanks at the ends"
          })

    const pickImage = Effect.fnUntraced(function* (imageId: ImageId | undefined) {
      const offered = yield* inventory.images
      const image = imageId === undefined ? offered[0] : offered.find((i) => i.id === imageId)
      return image ?? (yield* new Errors.ImageNotFound({ imageId: imageId ?? 0, known: offered.map((i) => i.id) }))
    })

    /** What it takes of its host: a disk in a pool is none of the host's. */
    const onHost = (type: Resources): Resources => (preferred.pool === null ? type : { ...type, disk: 0 })

    /** Admits and drives; `lost` are hosts that fell silent under an earlier try, `replaces` is the operation of the last of those. */
    const attempt = (
      request: {
        readonly name: string
        readonly instanceType: InstanceType
        readonly image: Image
        readonly onCrash: OnCrash
        readonly nics: ReadonlyArray<NewNic>
        /** undefined: what is usual */
        readonly cloudInit: CloudInit | undefined
      },
      key: RequestKey | undefined,
      lost: ReadonlyMap<HostId, string>,
      replaces?: OperationId
    ): Effect.Effect<Vm, CreateError> =>
      Effect.gen(function* () {
        const statuses = yield* monitor.statuses
        const intent = yield* Intent.Intent
        const { cloudInit, image, ...wanted } = request
        const given = wanted.nics.flatMap(({ mac }) => mac ?? [])
        const networks = Nics.wishes(wanted.nics)
        const disk = { driver: preferred.name, pool: preferred.pool }
        // admitted and started as one: an interrupted caller must not leave an operation that nobody drives
        const admitted = yield* Effect.uninterruptible(
          Effect.tap(
            inventory.admit(
              {
                ...wanted,
                ...(cloudInit === undefined ? {} : { cloudInit }),
                imageId: image.id,
                ...Keys.field(key, replaces),
                ...(replaces === undefined ? {} : { replaces }),
                disk,
                besides: intent.besides()
              },
              (usage) =>
                Effect.zipRight(
                  intent.depends(() => Facts.ofNewVm(request.instanceType, image, disk)),
                  intent.choose(
                    { what: "VM", name: request.name },
                    {
                      resources: onHost(request.instanceType),
                      exclude: lost,
                      ...(networks.length === 0 ? {} : { networks })
                    },
                    Candidates.make(usage, statuses),
                    scheduler.place
                  )
                ),
              ({ operation, vm }) =>
                intent.confirm(() => ({
                  operation,
                  vm: { before: null, after: vm },
                  given,
                  ...(cloudInit === undefined ? {} : { cloudInit: { before: null, after: cloudInit } })
                }))
            ),
            ({ operation }) => Begun.start(operations, operation)
          )
        )
        yield* Effect.annotateCurrentSpan({ vmId: admitted.vm.id, hostId: admitted.vm.hostId })
        return yield* operations.await(admitted.operation.id).pipe(
          Effect.zipRight(inventory.vm(admitted.vm.id)),
          // destroyed by somebody else between its start and this line
          Effect.catchTag("VmNotFound", () => Effect.succeed(admitted.vm)),
          Effect.catchTag("OperationFailed", (failure) =>
            failure.unreachableHost === null
              ? failure
              : attempt(
                  request,
                  key,
                  new Map([...lost, [failure.unreachableHost, failure.reason]]),
                  admitted.operation.id
                )
          )
        )
      })

    /** Begun and started as one, after whatever else is being done with the VM. */
    const begin = Effect.fnUntraced(function* (
      id: VmId,
      expect?: Revision.Expect
    ): Effect.fn.Return<Option.Option<Operation>, DestroyError> {
      const intent = yield* Intent.Intent
      const confirm: Parameters<typeof inventory.beginDestroy>[2] = ({ operation, vm, volumes }) =>
        Effect.zipRight(
          intent.depends(() => ({ ...Facts.ofVm(vm), ...Facts.ofDisks(vm, volumes) })),
          intent.confirm(() => ({
            operation,
            vm: { before: vm, after: vm },
            ...(operation === null ? {} : { released: volumes })
          }))
        )
      return yield* queue.whenFree(
        { vmId: id },
        // what it tells costs a look at all volumes of the VM
        inventory.beginDestroy(id, Revision.checkVm(expect), Intent.isSimple(intent) ? undefined : confirm).pipe(
          Effect.tap((begun) => (begun._tag === "Some" ? Begun.start(operations, begun.value) : Effect.void)),
          Effect.uninterruptible
        )
      )
    })

    return Vms.of({
      create: Effect.fn("Vms.create")(function* (request) {
        const { idempotencyKey, imageId, instanceType, name, nics = usualNics, of, onCrash = "leave" } = request
        yield* checkName(name)
        yield* Nics.check(nics)
        const { hostname, networkConfig, sshKeys, userData } = request
        const told = [hostname ?? null, networkConfig ?? null, sshKeys ?? null, userData ?? null]
        const isTold = told.some((one) => one !== null)
        const cloudInit = isTold ? yield* CloudInitRules.make(request) : undefined
        const said = [
          "VM",
          name,
          instanceType,
          imageId ?? null,
          onCrash,
          ...(of === undefined ? [] : [of]),
          ...(nics === usualNics ? [] : [Nics.said(nics)]),
          // it may be secret, and keys outlive the VM
          ...(isTold ? [createHash("sha256").update(JSON.stringify(told)).digest("base64url")] : [])
        ]
        const key = yield* Keys.make(idempotencyKey, said)
        const type = yield* inventory.type(instanceType)
        const image = yield* pickImage(imageId)
        // a process that has just started does not know its hosts yet; one that hangs must not hold everybody up
        yield* Effect.timeoutOption(monitor.settled, patience)
        yield* pools.refresh
        return yield* attempt({ name, instanceType: type, image, onCrash, nics, cloudInit }, key, new Map())
      }),
      destroy: Effect.fn("Vms.destroy")(function* (id, expect) {
        const operation = yield* begin(id, expect)
        if (operation._tag === "Some") yield* operations.await(operation.value.id)
      }),
      setOnCrash: (id, onCrash, expect) =>
        Effect.flatMap(Intent.Intent, (intent) =>
          inventory.setOnCrash(id, onCrash, Revision.checkVm(expect), (vm) =>
            Effect.zipRight(
              intent.depends(() => Facts.ofVm(vm.before)),
              intent.confirm(() => ({ operation: null, vm }))
            )
          )
        ),
      cloudInit: Effect.fn("Vms.cloudInit")(function* (id) {
        const vm = yield* inventory.vm(id)
        const cloudInit = yield* inventory.cloudInit(id)
        return {
          vm,
          cloudInit,
          hostname: cloudInit.hostname ?? hostnameOf(vm),
          instanceId: Seed.instanceId(vm, cloudInit)
        }
      }),
      setCloudInit: Effect.fn("Vms.setCloudInit")(function* (id, change, expect) {
        yield* CloudInitRules.checkChange(change)
        const intent = yield* Intent.Intent
        const operation = yield* queue.whenFree(
          { vmId: id },
          inventory
            .changeCloudInit(
              id,
              Effect.fnUntraced(function* (now, vm) {
                if (expect?.(Revision.ofCloudInit(vm, now)) === false) {
                  return yield* new Errors.HasChanged({ what: `cloud-init of VM ${id}` })
                }
                yield* intent.depends(() => ({ ...Facts.ofVm(vm), ...Facts.ofCloudInit(vm, now) }))
                return CloudInitRules.changed(now, change)
              }),
              ({ cloudInit, operation, vm }) =>
                intent.confirm(() => ({ operation, vm: { before: vm, after: vm }, cloudInit }))
            )
            .pipe(
              Effect.tap((operation) => Begun.start(operations, operation)),
              Effect.uninterruptible
            )
        )
        yield* operations.await(operation.id)
      }),
      get: inventory.vm,
      list: inventory.vms
    })
  })
).pipe(Layer.provide(Queue.layer))
