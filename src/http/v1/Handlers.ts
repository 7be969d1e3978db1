/**
 * The endpoints of the API: each decodes, calls one use case, and shows what came of it.
 *
 * @since 0.4.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { api } from "../../api/Api.ts"
import { Batch } from "../../api/Vms.ts"
import { InvalidArgument } from "../../domain/Errors.ts"
import * as Ids from "../../domain/Ids.ts"
import type { NewNic } from "../../domain/Nic.ts"
import * as BatchOf from "../../fabric/Batch.ts"
import * as Cancelling from "../../fabric/Cancelling.ts"
import { Examinations } from "../../fabric/Doctor.ts"
import { Hosts } from "../../fabric/Hosts.ts"
import { ImageIntake, type ImageReport } from "../../fabric/ImageIntake.ts"
import { ImagePublishing } from "../../fabric/ImagePublishing.ts"
import { InstanceTypes } from "../../fabric/InstanceTypes.ts"
import { Networks } from "../../fabric/Networks.ts"
import { Nics } from "../../fabric/Nics.ts"
import { Pools } from "../../fabric/Pools.ts"
import { Power } from "../../fabric/Power.ts"
import { Reality } from "../../fabric/Reality.ts"
import { Retries } from "../../fabric/Retries.ts"
import * as Revision from "../../fabric/Revision.ts"
import { Vms } from "../../fabric/Vms.ts"
import { Volumes } from "../../fabric/Volumes.ts"
import type { Asked } from "../../domain/Placement.ts"
import type { OnCrash } from "../../domain/Vm.ts"
import type { NewSettings } from "../../services/Inventory.ts"
import { Operations } from "../../services/Operations.ts"
import * as Answers from "./Answers.ts"
import * as Json from "../Json.ts"
import * as Pages from "./Pages.ts"
import { told } from "./Problems.ts"
import * as HostSettings from "./HostSettings.ts"
import * as Problems from "./Problems.ts"
import { tagged, unlessKnown, withExpectation } from "./Revisions.ts"
import * as Views from "./Views.ts"
import * as VmReads from "./VmReads.ts"

const encodeBatch = Schema.encodeSync(Batch)

const vms = HttpApiBuilder.group(api, "vms", (handlers) =>
  Effect.gen(function* () {
    const vms = yield* Vms
    const reality = yield* Reality
    const power = yield* Power
    const answers = yield* Answers.make

    const one = (id: Ids.VmId) =>
      Effect.zipWith(reality.vm(id), HttpServerRequest.HttpServerRequest, (report, request) =>
        unlessKnown(request, VmReads.answer(report))
      )

    /** Its parameters, as the use case names them. */
    const wanted = ({
      image,
      ...given
    }: {
      readonly name: string
      readonly instanceType: Ids.InstanceTypeId
      readonly image?: Ids.ImageId
      readonly onCrash?: OnCrash
      readonly nics?: ReadonlyArray<NewNic>
      readonly userData?: string
      readonly sshKeys?: ReadonlyArray<string>
      readonly hostname?: string
      readonly networkConfig?: string
      readonly placement?: Asked | null
    } & Omit<NewSettings, "placement">) => ({ ...given, ...(image === undefined ? {} : { imageId: image }) })

    return handlers
      .handle("listVms", ({ urlParams: { host, ...listing } }) => told(VmReads.page(reality, listing, host)))
      .handle("createVm", (asked) => answers.created(asked, vms.create({ ...wanted(asked.payload), ...keyOf(asked) })))
      .handle("createVms", ({ headers, payload, urlParams }) =>
        told(
          Effect.gen(function* () {
            const wait = Answers.waitOf(headers.prefer)
            const { count, ...each } = payload
            const request = { ...wanted(each), ...keyOf({ headers }), count }
            const applied = yield* answers.application({ payload, urlParams })
            if (urlParams.plan === true) {
              return yield* answers.plan({ payload }, BatchOf.rehearsals(vms, request), BatchOf.isWhole(request))
            }
            const { begun, refused } = yield* BatchOf.create(answers.begin, vms, request, applied)
            if (wait !== undefined) {
              yield* Effect.timeoutOption(
                Effect.forEach(begun, ({ ended }) => ended, { discard: true }),
                `${wait} seconds`
              )
            }
            const reports = yield* Effect.forEach(begun, ({ first, latest }) =>
              wait === undefined
                ? Effect.succeed({ operation: first, progress: null })
                : Effect.flatMap(latest, answers.report)
            )
            const body = encodeBatch({
              operations: reports.map(Views.operation),
              refused: refused === null ? null : { count: refused.count, problem: Problems.of(refused.error) }
            })
            return Json.answer(body, {
              status: reports.every(({ operation }) => operation.ended) ? 200 : 202,
              headers: Answers.applied(wait)
            })
          })
        )
      )
      .handle("getVm", ({ path }) => told(one(path.id)))
      .handle("changeVm", (asked) =>
        answers.begunIfMatch(
          asked,
          (expect) => vms.change(asked.path.id, asked.payload, expect),
          () => one(asked.path.id)
        )
      )
      .handle("destroyVm", (asked) => answers.begunIfMatch(asked, (expect) => vms.destroy(asked.path.id, expect)))
      .handle("resizeVm", (asked) =>
        answers.begunIfMatch(asked, (expect) => vms.resize(asked.path.id, asked.payload.instanceType, expect))
      )
      .handle("startVm", (asked) => answers.begunIfMatch(asked, (expect) => power.start(asked.path.id, expect)))
      .handle("shutDownVm", (asked) =>
        answers.begunIfMatch(asked, (expect) => power.shutDown(asked.path.id, asked.payload, expect))
      )
      .handle("powerOffVm", (asked) => answers.begunIfMatch(asked, (expect) => power.powerOff(asked.path.id, expect)))
      .handle("rebootVm", (asked) =>
        answers.begunIfMatch(asked, (expect) => power.reboot(asked.path.id, asked.payload, expect))
      )
      .handle("resetVm", (asked) => answers.begunIfMatch(asked, (expect) => power.reset(asked.path.id, expect)))
      .handle("pauseVm", (asked) => answers.begunIfMatch(asked, (expect) => power.pause(asked.path.id, expect)))
      .handle("resumeVm", (asked) => answers.begunIfMatch(asked, (expect) => power.resume(asked.path.id, expect)))
      .handle("repairVm", (asked) => answers.begunIfMatch(asked, (expect) => reality.repair(asked.path.id, expect)))
      .handle("getCloudInit", ({ path }) =>
        told(
          vms.cloudInit(path.id).pipe(
            Effect.tap(({ cloudInit, vm }) => tagged(Revision.ofCloudInit(vm, cloudInit))),
            Effect.map(Views.cloudInit)
          )
        )
      )
      .handle("changeCloudInit", (asked) =>
        answers.begunIfMatch(asked, (expect) => vms.setCloudInit(asked.path.id, asked.payload, expect))
      )
      .handle("listVmDrift", ({ path }) =>
        told(Effect.map(reality.vm(path.id), ({ drift }) => ({ items: drift.map(Views.drift) })))
      )
  })
)

const keyOf = ({
  headers
}: {
  readonly headers: { readonly "idempotency-key"?: string }
}): { readonly idempotencyKey?: string } =>
  headers["idempotency-key"] === undefined ? {} : { idempotencyKey: headers["idempotency-key"] }

const nics = HttpApiBuilder.group(api, "nics", (handlers) =>
  Effect.gen(function* () {
    const nics = yield* Nics
    const { begunIfMatch, created } = yield* Answers.make
    return handlers
      .handle("listNics", ({ path }) =>
        told(Effect.map(nics.list(path.id), ({ nics, unread }) => ({ items: nics.map(Views.nic), unread })))
      )
      .handle("addNic", (asked) =>
        created(
          asked,
          withExpectation(asked, (expect) => nics.attach(asked.path.id, { ...asked.payload, ...keyOf(asked) }, expect))
        )
      )
      .handle("changeNic", (asked) =>
        begunIfMatch(asked, (expect) => nics.setLink(asked.path.id, asked.path.nic, asked.payload.link, expect))
      )
      .handle("removeNic", (asked) =>
        begunIfMatch(asked, (expect) => nics.detach(asked.path.id, asked.path.nic, expect))
      )
  })
)

/** How many VMs of a network are named. */
const named = 1000

const networks = HttpApiBuilder.group(api, "networks", (handlers) =>
  Effect.map(Networks, (networks) =>
    handlers
      .handle("listNetworks", () => told(Effect.map(networks.list, (all) => ({ items: all.map(Views.network) }))))
      .handle("getNetwork", ({ path }) =>
        told(Effect.map(networks.get(path.name), (one) => ({ ...Views.network(one), vmIds: one.vms.slice(0, named) })))
      )
  )
)

const volumeOrders = {
  id: { by: "id", descending: false },
  "-id": { by: "id", descending: true },
  name: { by: "name", descending: false },
  "-name": { by: "name", descending: true },
  size: { by: "size", descending: false },
  "-size": { by: "size", descending: true },
  owner: { by: "owner", descending: false },
  "-owner": { by: "owner", descending: true }
} as const

const volumes = HttpApiBuilder.group(api, "volumes", (handlers) =>
  Effect.gen(function* () {
    const volumes = yield* Volumes
    const { begunIfMatch, created } = yield* Answers.make
    return handlers
      .handle("listVolumes", ({ urlParams: { cursor, limit = Pages.usual, sort = "id", ...filter } }) =>
        told(
          Effect.gen(function* () {
            const order = volumeOrders[sort]
            const list = sort === "id" ? "volume" : `volume ${sort}`
            const after = yield* Pages.position(
              cursor,
              list,
              order.by === "name" || order.by === "owner" ? "string" : "number"
            )
            return Pages.view(yield* volumes.page(filter, after, limit, order), list, Views.volume)
          })
        )
      )
      .handle("createVolume", (asked) => {
        const { snapshot, ...given } = asked.payload
        const source = snapshot === undefined ? {} : { source: snapshot }
        return created(asked, volumes.create({ ...given, ...source, ...keyOf(asked) }))
      })
      .handle("getVolume", ({ path }) =>
        told(
          volumes.get(path.id).pipe(
            Effect.tap((volume) => tagged(Revision.ofVolume(volume))),
            Effect.map(Views.volume)
          )
        )
      )
      .handle("changeVolume", (asked) =>
        begunIfMatch(asked, (expect) => volumes.edit(asked.path.id, asked.payload, expect))
      )
      .handle("destroyVolume", (asked) => begunIfMatch(asked, (expect) => volumes.destroy(asked.path.id, expect)))
      .handle("attachVolume", (asked) =>
        begunIfMatch(asked, (expect) => volumes.attach(asked.path.id, asked.payload.vm, expect))
      )
      .handle("detachVolume", (asked) => begunIfMatch(asked, (expect) => volumes.detach(asked.path.id, expect)))
      .handle("restoreVolume", (asked) => begunIfMatch(asked, (expect) => volumes.restore(asked.path.id, expect)))
      .handle("purgeVolume", (asked) => begunIfMatch(asked, (expect) => volumes.purge(asked.path.id, expect)))
      .handle("listSnapshots", ({ path }) =>
        told(Effect.map(volumes.snapshots(path.id), (all) => ({ items: all.map(Views.snapshot) })))
      )
      .handle("createSnapshot", (asked) =>
        created(
          asked,
          withExpectation(asked, (expect) =>
            volumes.snapshot(asked.path.id, asked.payload.name, keyOf(asked).idempotencyKey, expect)
          )
        )
      )
  })
)

const snapshots = HttpApiBuilder.group(api, "snapshots", (handlers) =>
  Effect.gen(function* () {
    const volumes = yield* Volumes
    const { begunIfMatch } = yield* Answers.make
    return handlers
      .handle("getSnapshot", ({ path }) =>
        told(
          volumes.getSnapshot(path.id).pipe(
            Effect.tap((snapshot) => tagged(Revision.ofSnapshot(snapshot))),
            Effect.map(Views.snapshot)
          )
        )
      )
      .handle("destroySnapshot", (asked) =>
        begunIfMatch(asked, (expect) => volumes.destroySnapshot(asked.path.id, expect))
      )
      .handle("revertToSnapshot", (asked) => begunIfMatch(asked, (expect) => volumes.revert(asked.path.id, expect)))
  })
)

/** A body that ended too early: what came of it stays. */
const cutOff = new InvalidArgument({
  field: "body",
  problem: "has ended too early",
  expected: "the rest of it, from what `received` of the image says on"
})

/** How many bytes a body is said to have; undefined: that is not said. */
const lengthOf = ({ headers }: HttpServerRequest.HttpServerRequest): number | undefined =>
  headers["content-length"] === undefined ? undefined : Number(headers["content-length"])

const images = HttpApiBuilder.group(api, "images", (handlers) =>
  Effect.gen(function* () {
    const images = yield* ImageIntake
    const publishing = yield* ImagePublishing
    const { begun, decide, made } = yield* Answers.make
    const one = (report: ImageReport) => Effect.as(tagged(Revision.ofImage(report.image)), Views.image(report))
    /** As it is now, or when it was checked, waited for as `Prefer` says. */
    const shown = Effect.fnUntraced(function* (id: Ids.ImageId, prefer: string | undefined) {
      const wait = Answers.waitOf(prefer)
      if (wait !== undefined) yield* Effect.timeoutOption(images.checked(id), `${wait} seconds`)
      return Views.image(yield* images.get(id))
    })
    return handlers
      .handle("listImages", () => told(Effect.map(images.list, (all) => ({ items: all.map(Views.image) }))))
      .handle("createImage", (asked) =>
        told(
          decide(
            asked,
            made(asked, images.add(asked.payload), (id) =>
              images.get(Ids.ImageId.make(Number(id))).pipe(
                Effect.map(({ image }) => image),
                Effect.catchTag("ImageNotFound", () => Effect.succeed(null))
              )
            ),
            Effect.flatMap(({ id }) => shown(id, asked.headers.prefer))
          )
        )
      )
      .handle("publishImage", (asked) => begun(asked, publishing.publish(asked.payload)))
      .handle("getImage", ({ path }) => told(Effect.flatMap(images.get(path.id), one)))
      .handleRaw("sendImage", ({ headers, path, request }) =>
        told(
          Effect.zipRight(
            images.send(
              path.id,
              headers["upload-offset"],
              Stream.mapError(request.stream, () => cutOff),
              lengthOf(request)
            ),
            shown(path.id, headers.prefer)
          )
        )
      )
      .handle("deleteImage", (asked) =>
        told(
          decide(
            asked,
            withExpectation(asked, (expect) => images.remove(asked.path.id, expect)),
            Effect.as(HttpServerResponse.empty({ status: 204 }))
          )
        )
      )
  })
)

const instanceTypes = HttpApiBuilder.group(api, "instanceTypes", (handlers) =>
  Effect.gen(function* () {
    const types = yield* InstanceTypes
    const { decide, made } = yield* Answers.make
    return handlers
      .handle("listInstanceTypes", ({ urlParams }) =>
        told(Effect.map(types.list(urlParams), (all) => ({ items: all.map(Views.instanceType) })))
      )
      .handle("createInstanceType", (asked) => {
        const { id, ...size } = asked.payload
        return told(
          decide(
            asked,
            made(asked, types.create({ ...size, ...(id === undefined ? {} : { tid: id }) }), (id) =>
              Effect.catchTag(types.get(Ids.InstanceTypeId.make(Number(id))), "InstanceTypeNotFound", () =>
                Effect.succeed(null)
              )
            ),
            Effect.map(Views.instanceType)
          )
        )
      })
      .handle("getInstanceType", ({ path }) =>
        told(
          types.get(path.id).pipe(
            Effect.tap((type) => tagged(Revision.ofInstanceType(type))),
            Effect.map(Views.instanceType)
          )
        )
      )
      .handle("retireInstanceType", (asked) =>
        told(
          decide(
            asked,
            withExpectation(asked, (expect) => types.retire(asked.path.id, expect)),
            Effect.map(Views.instanceType)
          )
        )
      )
  })
)

const hosts = HttpApiBuilder.group(api, "hosts", (handlers) =>
  Effect.gen(function* () {
    const hosts = yield* Hosts
    const examinations = yield* Examinations
    const { decide, made } = yield* Answers.make
    const reality = yield* Reality
    const one = Effect.fnUntraced(function* (id: Ids.HostId) {
      const report = yield* hosts.get(id)
      yield* tagged(Revision.ofHost(report.host))
      return Views.wholeHost(report)
    })
    return handlers
      .handle("listHosts", () => told(Effect.map(hosts.list, (all) => ({ items: all.map(Views.host) }))))
      .handle("getHost", ({ path }) => told(one(path.id)))
      .handle("changeHost", (asked) =>
        told(
          decide(
            asked,
            withExpectation(asked, (expect) =>
              Effect.flatMap(hosts.get(asked.path.id), ({ host }) =>
                hosts.change(asked.path.id, HostSettings.ofChange(asked.payload, host), expect)
              )
            ),
            Effect.zipRight(one(asked.path.id))
          )
        )
      )
      .handle("addHost", (asked) =>
        told(
          decide(
            asked,
            made(asked, hosts.add(HostSettings.ofNew(asked.payload)), (id) =>
              Effect.catchTag(hosts.get(Ids.HostId.make(Number(id))), "HostNotFound", () => Effect.succeed(null))
            ),
            Effect.flatMap(({ host }) => one(host.id))
          )
        )
      )
      .handle("removeHost", (asked) =>
        told(
          decide(
            asked,
            withExpectation(asked, (expect) => hosts.remove(asked.path.id, expect)),
            Effect.as(HttpServerResponse.empty({ status: 204 }))
          )
        )
      )
      .handle("examineHosts", ({ urlParams: { host = null } }) =>
        told(Effect.map(examinations.examine(host), (items) => ({ items })))
      )
      .handle("lookAtHost", ({ path }) => told(Effect.zipRight(reality.look(path.id), one(path.id))))
      .handle("listHostVms", ({ path, urlParams }) =>
        told(Effect.zipRight(hosts.get(path.id), VmReads.page(reality, urlParams, path.id)))
      )
  })
)

const pools = HttpApiBuilder.group(api, "pools", (handlers) =>
  Effect.map(Pools, (pools) =>
    handlers.handle("listPools", () => told(Effect.map(pools.list, (all) => ({ items: all.map(Views.pool) }))))
  )
)

const operations = HttpApiBuilder.group(api, "operations", (handlers) =>
  Effect.gen(function* () {
    const operations = yield* Operations
    const retries = yield* Retries
    const { begun, decide, made, underWay } = yield* Answers.make

    /** The operation at which the page before ended. */
    const before = (cursor: string) =>
      Either.match(Ids.decodeOperationId(cursor), {
        onLeft: () => Pages.notOfThisList,
        onRight: (id) =>
          operations.report(id).pipe(
            Effect.as(id),
            Effect.catchTag("OperationNotFound", () => Pages.notOfThisList)
          )
      })

    return handlers
      .handle("listOperations", ({ urlParams: { cursor, limit = Pages.usual, vm, volume, ...filter } }) =>
        told(
          Effect.gen(function* () {
            const found = yield* operations.list({
              ...filter,
              ...(vm === undefined ? {} : { vmId: vm }),
              ...(volume === undefined ? {} : { volumeId: volume }),
              ...(cursor === undefined ? {} : { before: yield* before(cursor) }),
              // one more than the page has tells whether there is another
              limit: limit + 1
            })
            const items = found.slice(0, limit)
            const last = items.at(-1)?.operation.id
            return {
              items: items.map(Views.operation),
              next: found.length > limit && last !== undefined ? last : null
            }
          })
        )
      )
      .handle("getOperation", ({ path }) =>
        told(
          operations.report(path.id).pipe(
            Effect.tap(({ operation }) => tagged(Revision.ofOperation(operation))),
            Effect.map(Views.operation)
          )
        )
      )
      .handle("listOperationSteps", ({ path }) =>
        told(Effect.map(operations.steps(path.id), (all) => ({ items: all.map(Views.step) })))
      )
      .handle("cancelOperation", (asked) => {
        const again = (id: string) =>
          operations.report(Ids.OperationId.make(id)).pipe(
            Effect.map(({ operation }) => operation),
            Effect.catchTag("OperationNotFound", () => Effect.succeed(null))
          )
        return told(
          decide(
            asked,
            made(asked, Cancelling.cancel(asked.path.id), again),
            Effect.flatMap(({ id }) => underWay(asked.headers.prefer, id))
          )
        )
      })
      .handle("retryOperation", (asked) => begun(asked, retries.retry(asked.path.id)))
  })
)

const reality = HttpApiBuilder.group(api, "reality", (handlers) =>
  Effect.map(Reality, (reality) =>
    handlers
      .handle("listDrift", () => told(Effect.map(reality.drift, (all) => ({ items: all.map(Views.drift) }))))
      .handle("listForeign", () => Effect.map(reality.foreign, (items) => ({ items })))
  )
)

/** @since 0.4.0 @category layers */
export const layer = Layer.mergeAll(
  vms,
  nics,
  networks,
  volumes,
  snapshots,
  images,
  instanceTypes,
  hosts,
  pools,
  operations,
  reality
)
