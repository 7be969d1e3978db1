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
import { Host } from "../domain/Host.ts"
import type { UserName } from "../domain/Identity.ts"
import type { HostId, ImageId, InstanceTypeId, OperationId, VmId } from "../domain/Ids.ts"
import { hindrance, type Image } from "../domain/Image.ts"
import type { InstanceType } from "../domain/InstanceType.ts"
import type { NewNic } from "../domain/Nic.ts"
import type { Operation } from "../domain/Operation.ts"
import * as Placement from "../domain/Placement.ts"
import * as Resources from "../domain/Resources.ts"
import {
  Description,
  isSettled,
  LabelKey,
  LabelValue,
  most,
  type OnCrash,
  Tag,
  type Vm,
  type VmChange,
  VmName
} from "../domain/Vm.ts"
import * as Refusals from "../scheduler/Refusals.ts"
import { Author } from "../services/Author.ts"
import { HostMonitor } from "../services/HostMonitor.ts"
import { type HostUsage, Inventory, type NewSettings, type RequestKey, type VmBegun } from "../services/Inventory.ts"
import { Operations } from "../services/Operations.ts"
import { Storage } from "../services/Storage.ts"
import { Asker, authorship } from "./Asker.ts"
import * as Begun from "./Begun.ts"
import * as Candidates from "./Candidates.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Keys from "./Keys.ts"
import * as Nics from "./Nics.ts"
import * as Placing from "./Placing.ts"
import { Pools } from "./Pools.ts"
import * as Queue from "./Queue.ts"
import * as Revision from "./Revision.ts"

/**
 * `imageId` absent: the first image. Of settings that are absent: `onCrash` leave, nothing protected or started with its host, no words. What cloud-init is told: nothing of it is needed; the hostname is made of the name. With `idempotencyKey` repeating the request is harmless: it is the same VM that
 * is waited for, or the same failure.
 *
 * @since 0.1.0 @category models
 */
export interface CreateVm extends Omit<NewSettings, "placement">, CloudInitRules.Given {
  readonly name: string
  readonly instanceType: InstanceTypeId
  readonly imageId?: ImageId
  readonly onCrash?: OnCrash
  /** where it is to be; absent or null: wherever there is room */
  readonly placement?: Placement.Asked | null
  /** absent: one on the default network of whatever host it comes to; none: an empty list */
  readonly nics?: ReadonlyArray<NewNic>
  readonly idempotencyKey?: string
  /** which of so many it is that are asked for with one key, from 1 on: its name ends in that number. @since 0.9.0 */
  readonly among?: { readonly number: number; readonly count: number }
  /** how many of the same come after it, all or none of them */
  readonly following?: number
}

/** @since 0.1.0 @category errors */
export type CreateError =
  | Errors.InvalidArgument
  | Errors.InstanceTypeNotFound
  | Errors.ImageNotFound
  | Errors.ImageConflict
  | Errors.NoFeasibleHost
  | Errors.PoolFull
  | Errors.QuotaExceeded
  | Errors.MacTaken
  | Errors.KeyReused
  | Errors.StorageError
  | Errors.OperationFailed
  | Errors.PersistenceError

/** What is to be different; a `placement` takes the place of the one that is there, and null takes it away. @since 0.7.0 @category models */
export interface ChangeVm extends Omit<VmChange, "placement"> {
  readonly placement?: Placement.Asked | null
}

/** @since 0.1.0 @category errors */
export type DestroyError =
  Errors.VmNotFound | Errors.VmProtected | Errors.HasChanged | Errors.OperationFailed | Errors.PersistenceError

/** @since 0.6.0 @category errors */
export type ChangeError =
  Errors.InvalidArgument | Errors.VmNotFound | Errors.HasChanged | Errors.OperationFailed | Errors.PersistenceError

/** @since 0.8.0 @category errors */
export type ResizeError =
  | Errors.VmNotFound
  | Errors.VmConflict
  | Errors.InstanceTypeNotFound
  | Errors.QuotaExceeded
  | Errors.HasChanged
  | Errors.OperationFailed
  | Errors.PersistenceError

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
     * Places a VM, which is whoever's asks, and waits until it runs. A host that stops answering in between is left, and the VM placed anew on another. Interrupting
     * the wait does not interrupt the creation.
     */
    readonly create: (request: CreateVm) => Effect.Effect<Vm, CreateError>
    /**
     * Places several, all of them or none, at one moment, and begins to make them. Gives of each what was begun, and its end, which is as that of
     * `create`: only whoever waits for it makes a VM anew whose host stops answering.
     */
    readonly createAll: (
      requests: ReadonlyArray<CreateVm>
    ) => Effect.Effect<
      ReadonlyArray<{ readonly operation: Operation; readonly ended: Effect.Effect<Vm, CreateError> }>,
      CreateError
    >
    /**
     * Removes a VM whatever its state and waits until nothing of it is left; one that is still being created first gets to the end of
     * that. Its volumes stay, and are available again. Repeating it is fine: one that is already destroyed is a success. With its host silent it fails after a few tries, and ends by itself when the host is back.
     * `VmProtected`: it is not to be. `HasChanged`: its revision is not the expected one.
     */
    readonly destroy: (id: VmId, expect?: Revision.Expect) => Effect.Effect<void, DestroyError>
    /**
     * Changes what people say of it. A new name and whether it starts with its host are told its domain, which is waited for; with its host silent that
     * fails after a few tries, and ends by itself when the host is back. `HasChanged`: its revision is not the expected one.
     */
    readonly change: (id: VmId, change: ChangeVm, expect?: Revision.Expect) => Effect.Effect<Vm, ChangeError>
    /**
     * Gives one that is off the vCPUs and the memory of another instance type, on the host where it is; its root disk stays as large as it is.
     * `VmConflict`: it is not off, or its host has no room for what is more, and what helps is said. `QuotaExceeded`: its owner may not have as much more. `HasChanged`: its revision is not the expected
     * one.
     *
     * @since 0.8.0
     */
    readonly resize: (
      id: VmId,
      instanceType: InstanceTypeId,
      expect?: Revision.Expect
    ) => Effect.Effect<void, ResizeError>
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
const isTag: (tag: string) => boolean = Schema.is(Tag)
const isLabelKey: (key: string) => boolean = Schema.is(LabelKey)
const isLabelValue: (value: string) => boolean = Schema.is(LabelValue)
const isDescription: (text: string) => boolean = Schema.is(Description)

/** The first thing that is wrong with words on a VM. */
const checkWords = ({
  description = "",
  labels = {},
  tags = []
}: VmChange): Effect.Effect<void, Errors.InvalidArgument> => {
  const wrong = (field: string, problem: string, expected: string) =>
    new Errors.InvalidArgument({ field, problem, expected })
  const word = "1 to 63 of a-z, 0-9, ., _ and -, with a letter or digit at its ends"
  const tag = tags.find((one) => !isTag(one))
  if (tag !== undefined) return wrong("tags", `has ${JSON.stringify(tag)}`, `each to be ${word}`)
  if (new Set(tags).size < tags.length) return wrong("tags", "has one twice", "each once")
  if (tags.length > most.tags) return wrong("tags", `has ${tags.length}`, `at most ${most.tags}`)
  const key = Object.keys(labels).find((one) => !isLabelKey(one))
  if (key !== undefined) return wrong("labels", `has the key ${JSON.stringify(key)}`, `${word}, and / within`)
  const value = Object.values(labels).find((one) => one !== null && !isLabelValue(one))
  if (value !== undefined) {
    return wrong("labels", "has a value that cannot be", `at most ${most.labelValue} characters, no control characters`)
  }
  if (Object.keys(labels).length > most.labels) {
    return wrong("labels", `has ${Object.keys(labels).length}`, `at most ${most.labels}`)
  }
  return isDescription(description)
    ? Effect.void
    : wrong(
        "description",
        description.length > most.description ? `has ${description.length} characters` : "has control characters",
        `at most ${most.description} characters, none a control character but line ends and tabs`
      )
}

/** Labels that are added to those that are there. */
const checkLabels = (vm: Vm, { labels = {} }: VmChange): Effect.Effect<void, Errors.InvalidArgument> => {
  const kept = new Set(Object.keys(vm.labels))
  for (const [key, value] of Object.entries(labels)) {
    if (value === null) kept.delete(key)
    else kept.add(key)
  }
  return kept.size <= most.labels
    ? Effect.void
    : new Errors.InvalidArgument({
        field: "labels",
        problem: `would be ${kept.size} with those that are there`,
        expected: `at most ${most.labels}`
      })
}

/** @since 0.1.0 @category layers */
export const layer = Layer.effect(
  Vms,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const placing = yield* Placing.make
    const monitor = yield* HostMonitor
    const operations = yield* Operations
    const pools = yield* Pools
    const queue = yield* Queue.Queue
    const candidatesOf = Candidates.make()
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
      const found = imageId === undefined ? offered[0] : offered.find(({ id }) => id === imageId)
      if (found !== undefined) return found
      const image = (yield* inventory.allImages).find(({ id }) => id === imageId)
      const reason = image === undefined ? null : hindrance(image)
      return yield* image === undefined || reason === null
        ? new Errors.ImageNotFound({ imageId: imageId ?? 0, known: offered.map(({ id }) => id) })
        : new Errors.ImageConflict({ image: `${image.id} (${image.config.name})`, reason })
    })

    /** With all that was not said. */
    const placementOf = (asked: Placement.Asked | null) =>
      asked === null ? Effect.succeed(null) : Placement.make(asked)

    /** The VMs that rules name have to be there. */
    const checkOthers = Effect.fnUntraced(function* (placement: Placement.Placement | null) {
      for (const [i, rule] of placement?.rules.entries() ?? []) {
        if (rule.kind !== "notWith") continue
        for (const id of rule.vms) {
          yield* Effect.catchTag(
            inventory.vm(id),
            "VmNotFound",
            () =>
              new Errors.InvalidArgument({
                field: `placement.rules.${i}.vms`,
                problem: `has ${id}, which is no VM`,
                expected: "ids of VMs that exist"
              })
          )
        }
      }
    })

    /** Where the VMs are that rules name, which stays so as long as they are there. */
    const othersOf = Effect.fnUntraced(function* (placement: Placement.Placement) {
      const ids = placement.rules.flatMap((rule) => (rule.kind === "notWith" ? rule.vms : []))
      const found = yield* Effect.forEach(ids, (id) =>
        inventory.vm(id).pipe(
          Effect.map((vm): ReadonlyArray<readonly [VmId, HostId]> => [[id, vm.hostId]]),
          Effect.catchTag("VmNotFound", () => Effect.succeed([]))
        )
      )
      return new Map(found.flat())
    })

    /** All that a creation is made of, checked. */
    interface Wanted {
      readonly name: string
      readonly instanceType: InstanceType
      readonly image: Image
      readonly onCrash: OnCrash
      readonly nics: ReadonlyArray<NewNic>
      readonly settings: NewSettings
      /** undefined: what is usual */
      readonly cloudInit: CloudInit | undefined
      /** undefined: it is alone */
      readonly following: number | undefined
      /** null: nobody in particular */
      readonly owner: UserName | null
    }

    /** What the inventory is asked for; `lost` are hosts that fell silent under an earlier try, `replaces` is the operation of the last of those. */
    const admission = Effect.fnUntraced(function* (
      request: Wanted,
      key: RequestKey | undefined,
      lost: ReadonlyMap<HostId, string>,
      replaces?: OperationId
    ) {
      const statuses = yield* monitor.statuses
      const intent = yield* Intent.Intent
      const { cloudInit, image, ...wanted } = request
      // what is made anew is made alone
      const following = replaces === undefined ? request.following : undefined
      const given = wanted.nics.flatMap(({ mac }) => mac ?? [])
      const networks = Nics.wishes(wanted.nics)
      const { placement = null } = wanted.settings
      const ruled = placement === null ? {} : { placement, others: yield* othersOf(placement) }
      const disk = { driver: preferred.name, pool: preferred.pool }
      // asked when it is not a repetition: what is made anew keeps its rules, also when those that they name are gone
      const named = replaces === undefined && placement !== null ? checkOthers(placement) : Effect.void
      const types = yield* inventory.types
      yield* placing.learn(types)
      const choose = placing.place(types)
      const what = {
        resources: Resources.onHost(request.instanceType, preferred.pool),
        exclude: lost,
        ...(networks.length === 0 ? {} : { networks }),
        ...ruled,
        ...(following === undefined ? {} : { following })
      }
      const place = (usage: ReadonlyArray<HostUsage>) =>
        Effect.zipRight(
          Effect.zipRight(
            named,
            intent.depends(() => Facts.ofNewVm(request.instanceType, image, disk))
          ),
          intent.choose({ what: "VM", name: request.name }, what, candidatesOf(usage, statuses), choose)
        )
      const confirm = ({ operation, vm }: VmBegun) =>
        intent.confirm(() => ({
          operation,
          vm: { before: null, after: vm },
          given,
          ...(cloudInit === undefined ? {} : { cloudInit: { before: null, after: cloudInit } })
        }))
      return {
        request: {
          ...wanted,
          ...(cloudInit === undefined ? {} : { cloudInit }),
          following: following ?? 0,
          planned: intent.planned(),
          imageId: image.id,
          ...Keys.field(key, replaces),
          ...(replaces === undefined ? {} : { replaces }),
          disk,
          besides: intent.besides(),
          explain: (usage: ReadonlyArray<HostUsage>, chosen: HostId) =>
            placing.explain(what, candidatesOf(usage, statuses), chosen)
        },
        place,
        confirm
      }
    })

    /** Waits for a creation, and makes the VM anew when its host falls silent. */
    const followed = (
      admitted: VmBegun,
      request: Wanted,
      key: RequestKey | undefined,
      lost: ReadonlyMap<HostId, string>
    ): Effect.Effect<Vm, CreateError> =>
      operations.await(admitted.operation.id).pipe(
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

    /** Whoever asked for it, and why the controller does it once more: `failure` is of the try before; undefined: it is the first one. */
    const anew = (failure: string | undefined) =>
      Effect.map(
        authorship,
        (author) =>
          <A, E>(admitted: Effect.Effect<A, E>): Effect.Effect<A, E> =>
            failure === undefined
              ? admitted
              : Effect.provideService(admitted, Author, {
                  ...author,
                  cause: `it could not be made where it was: ${failure}`
                })
      )

    /** Admits and drives. */
    const attempt = (
      request: Wanted,
      key: RequestKey | undefined,
      lost: ReadonlyMap<HostId, string>,
      replaces?: OperationId
    ): Effect.Effect<Vm, CreateError> =>
      Effect.gen(function* () {
        const asked = yield* admission(request, key, lost, replaces)
        const by = yield* anew([...lost.values()].at(-1))
        // admitted and started as one: an interrupted caller must not leave an operation that nobody drives
        const admitted = yield* Effect.uninterruptible(
          Effect.tap(by(inventory.admit(asked.request, asked.place, asked.confirm)), ({ operation }) =>
            Begun.start(operations, operation)
          )
        )
        yield* Effect.annotateCurrentSpan({ vmId: admitted.vm.id, hostId: admitted.vm.hostId })
        return yield* followed(admitted, request, key, lost)
      })

    /** What a request asks for, checked, and its key. */
    const prepared = Effect.fnUntraced(function* (request: CreateVm) {
      const {
        among,
        following,
        hostname,
        idempotencyKey,
        imageId,
        instanceType,
        name,
        networkConfig,
        onCrash = "leave",
        ...others
      } = request
      const { nics: askedNics = usualNics, placement: asked = null, sshKeys = [], userData, ...words } = others
      yield* checkName(name)
      const nics = yield* Nics.checked(askedNics)
      yield* checkWords(words)
      const placement = yield* placementOf(asked)
      const settings: NewSettings = placement === null ? words : { ...words, placement }
      const more = Object.keys(settings).length === 0 ? [] : [JSON.stringify(settings)]
      const told = [hostname ?? null, networkConfig ?? null, sshKeys.length === 0 ? null : sshKeys, userData ?? null]
      const isTold = told.some((one) => one !== null)
      const cloudInit = isTold ? yield* CloudInitRules.make(request) : undefined
      const said = [
        "VM",
        name,
        instanceType,
        imageId ?? null,
        onCrash,
        ...(among === undefined ? [] : [among.count]),
        ...(askedNics === usualNics ? [] : [Nics.said(nics)]),
        ...more,
        // it may be secret, and keys outlive the VM
        ...(isTold ? [createHash("sha256").update(JSON.stringify(told)).digest("base64url")] : [])
      ]
      const [, , ...saidOfAll] = said
      const given = yield* Keys.make(
        idempotencyKey,
        said,
        among === undefined
          ? undefined
          : { number: among.number, request: ["VMs", name.slice(0, -`-${among.number}`.length), ...saidOfAll] }
      )
      const key = yield* Keys.unlessPlanned(inventory, given)
      const type = yield* inventory.type(instanceType)
      const image = yield* pickImage(imageId)
      const owner = yield* Asker
      const placed = Placement.ofType(placement, type.tid, type.requires)
      const wanted: Wanted = {
        name,
        instanceType: type,
        image,
        onCrash,
        nics,
        settings: placed === null ? words : { ...words, placement: placed },
        cloudInit,
        following,
        owner
      }
      return { wanted, key }
    })

    /** A process that has just started does not know its hosts yet; one that hangs must not hold everybody up. */
    const ready = Effect.zipRight(Effect.timeoutOption(monitor.settled, patience), pools.refresh)

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
      const expected = Revision.checkVm(expect)
      const check = (vm: Vm): Effect.Effect<void, Errors.VmProtected | Errors.HasChanged> =>
        vm.protected ? new Errors.VmProtected({ vmId: id, called: vm.name }) : (expected?.(vm) ?? Effect.void)
      return yield* queue.whenFree(
        { vmId: id },
        // what it tells costs a look at all volumes of the VM
        inventory.beginDestroy(id, check, Intent.isSimple(intent) ? undefined : confirm).pipe(
          Effect.tap((begun) => (begun._tag === "Some" ? Begun.start(operations, begun.value) : Effect.void)),
          Effect.uninterruptible
        )
      )
    })

    return Vms.of({
      create: Effect.fn("Vms.create")(function* (request) {
        const { key, wanted } = yield* prepared(request)
        yield* ready
        return yield* attempt(wanted, key, new Map())
      }),
      createAll: Effect.fn("Vms.createAll")(function* (requests) {
        const all = yield* Effect.forEach(requests, prepared)
        yield* ready
        const lost = new Map<HostId, string>()
        const asked = yield* Effect.forEach(all, ({ key, wanted }) => admission(wanted, key, lost))
        const numbered = asked.map(({ place, ...one }, index) => ({
          ...one,
          place: (usage: ReadonlyArray<HostUsage>) =>
            Effect.mapError(place(usage), (error) =>
              error._tag === "NoFeasibleHost" ? error.beside(index + 1, requests.length) : error
            )
        }))
        const admitted = yield* Effect.uninterruptible(
          Effect.tap(inventory.admitAll(numbered), (all) =>
            Effect.forEach(all, ({ operation }) => Begun.start(operations, operation), { discard: true })
          )
        )
        return admitted.flatMap((one, index) => {
          const request = all[index]
          if (request === undefined) return []
          const ended = followed(one, request.wanted, request.key, lost)
          return [{ operation: one.operation, ended }]
        })
      }),
      destroy: Effect.fn("Vms.destroy")(function* (id, expect) {
        const operation = yield* begin(id, expect)
        if (operation._tag === "Some") yield* operations.await(operation.value.id)
      }),
      change: Effect.fn("Vms.change")(function* (id, { placement, ...words }, expect) {
        if (words.name !== undefined) yield* checkName(words.name)
        yield* checkWords(words)
        const wanted = placement === undefined ? undefined : yield* placementOf(placement)
        yield* checkOthers(wanted ?? null)
        const change: VmChange = wanted === undefined ? words : { ...words, placement: wanted }
        const intent = yield* Intent.Intent
        const expected = Revision.checkVm(expect)
        const check = (vm: Vm) => Effect.zipRight(expected?.(vm) ?? Effect.void, checkLabels(vm, change))
        const confirm: Parameters<typeof inventory.changeVm>[3] = ({ after, before, operation }) =>
          Effect.zipRight(
            intent.depends(() => Facts.ofVm(before)),
            intent.confirm(() => ({ operation, vm: { before, after } }))
          )
        const told = change.name !== undefined || change.autostart !== undefined
        const { after, operation } = yield* queue.whenFree(
          // what only the inventory knows waits for nobody
          told ? { vmId: id } : {},
          inventory.changeVm(id, change, check, confirm).pipe(
            Effect.tap(({ operation }) => (operation === null ? Effect.void : Begun.start(operations, operation))),
            Effect.uninterruptible
          )
        )
        if (operation !== null) yield* operations.await(operation.id)
        return after
      }),
      resize: Effect.fn("Vms.resize")(function* (id, tid, expect) {
        const intent = yield* Intent.Intent
        const expected = Revision.checkVm(expect)
        const check: Parameters<typeof inventory.beginResize<Errors.VmConflict | Errors.HasChanged>>[2] = (
          vm,
          to,
          others
        ) =>
          Effect.gen(function* () {
            yield* expected?.(vm) ?? Effect.void
            yield* intent.depends(() => ({ ...Facts.ofVm(vm), ...Facts.ofSize(to) }))
            if (!isSettled(vm.state)) {
              return yield* new Errors.VmConflict({
                vmId: id,
                called: vm.name,
                reason: `is ${vm.state}: it can only be destroyed`
              })
            }
            if (vm.state !== "stopped") {
              return yield* new Errors.VmConflict({
                vmId: id,
                called: vm.name,
                reason: `is ${vm.state}: shut it down, and resize it then`
              })
            }
            const unmet = Placement.required(to.tid, to.requires).flatMap(
              (rule) => Placement.showUnmet(rule, others.host.label(rule.label)) ?? []
            )
            if (unmet.length > 0) {
              return yield* new Errors.VmConflict({
                vmId: id,
                called: vm.name,
                reason: `cannot be of that type on its host: ${others.host.name} ${unmet.join(", and ")}`
              })
            }
            const more = (name: "cpu" | "ram") => (to[name] > vm.resources[name] ? to[name] : 0)
            const wanted = { cpu: more("cpu"), ram: more("ram"), disk: 0 }
            if (wanted.cpu + wanted.ram === 0) return
            const host = new Host({ ...others.host, maintenance: false }, { disableValidation: true })
            const candidate = { ...others, host, status: { _tag: "Up" } as const }
            const reason = Refusals.of({ resources: wanted, exclude: new Map() }, candidate)
            if (reason === null) return
            return yield* new Errors.VmConflict({
              vmId: id,
              called: vm.name,
              reason: `has no room for that on its host ${host.name}: ${reason}`
            })
          })
        const operation = yield* queue.whenFree(
          { vmId: id },
          inventory
            .beginResize(id, tid, check, (changed) =>
              intent.confirm(() => ({ operation: changed.operation, vm: changed }))
            )
            .pipe(
              Effect.tap((operation) => Begun.start(operations, operation)),
              Effect.uninterruptible
            )
        )
        yield* operations.await(operation.id)
      }),
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
