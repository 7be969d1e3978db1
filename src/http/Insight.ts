/**
 * Routes that tell what goes on: operations, what is seen on the hosts, and what differs from what should be. In the original's manner.
 *
 * @since 0.3.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Drift } from "../domain/Drift.ts"
import * as Errors from "../domain/Errors.ts"
import type { HostStatus } from "../domain/Host.ts"
import * as Ids from "../domain/Ids.ts"
import type { OperationReport } from "../domain/Operation.ts"
import { Hosts, type HostReport } from "../fabric/Hosts.ts"
import { Reality, type VmReport } from "../fabric/Reality.ts"
import { Operations } from "../services/Operations.ts"
import * as Parameters from "./Parameters.ts"
import * as Route from "./Route.ts"

/** @since 0.3.0 @category constants */
export const paths = [
  "/vm/list",
  "/vm/status",
  "/vm/repair",
  "/drift/list",
  "/foreign/list",
  "/pm/status",
  "/pm/maintenance",
  "/pm/look",
  "/operation/list",
  "/operation/query",
  "/operation/cancel"
] as const

/** ISO 8601 in UTC. */
const time = (milliseconds: number): string => new Date(milliseconds).toISOString()

const hostStatus = (status: HostStatus) => ({
  host: status._tag.toLowerCase(),
  ...("reason" in status ? { host_reason: status.reason } : {})
})

const vmBody = ({ drift, host, seen, vm }: VmReport) => ({
  vmid: vm.id,
  name: vm.name,
  instance_type: vm.instanceType,
  pmid: vm.hostId,
  status: vm.state,
  on_crash: vm.onCrash,
  ...(seen === null
    ? {}
    : { seen: seen.power, since: time(seen.since), ...(seen.reason === null ? {} : { reason: seen.reason }) }),
  ...hostStatus(host),
  drift: drift.length
})

const driftBody = ({ applied, field, kind, seen, since, vmId, wanted }: Drift) => ({
  vmid: vmId,
  kind,
  field,
  wanted,
  applied,
  seen,
  since: time(since)
})

const hostBody = ({ host, status }: HostReport) => ({
  pmid: host.id,
  name: host.name,
  status: status._tag.toLowerCase(),
  maintenance: host.maintenance,
  ...("reason" in status ? { reason: status.reason, since: time(status.since) } : {}),
  ...("signs" in status ? { signs: status.signs } : {})
})

const operationBody = ({ operation, progress }: OperationReport) => ({
  operation: operation.id,
  kind: operation.kind,
  ...(operation.vmId === null ? {} : { vmid: operation.vmId }),
  ...(operation.volumeId === null ? {} : { volumeid: operation.volumeId }),
  ...(operation.snapshotId === null ? {} : { snapshotid: operation.snapshotId }),
  status: operation.state,
  cancel_asked: operation.cancelAsked,
  begun: time(operation.createdAt),
  ...(operation.finishedAt === null ? {} : { ended: time(operation.finishedAt) }),
  ...(operation.error === null ? {} : { reason: operation.error }),
  ...(operation.outcome === null ? {} : { outcome: operation.outcome }),
  ...(progress === null
    ? {}
    : {
        progress: {
          step: progress.step,
          number: progress.number,
          of: progress.of,
          tries: progress.tries,
          ...(progress.phase === "undo" ? { undoing: true } : {}),
          ...(progress.percent === null ? {} : { percent: progress.percent }),
          ...(progress.waiting === null ? {} : { waiting: progress.waiting })
        }
      })
})

/** Absent: `undefined`. */
const flag = (given: Parameters.Parameters, field: string) =>
  Either.map(Parameters.choice(given, field, ["1", "0"]), (value) => (value === undefined ? undefined : value === "1"))

const operationId = (given: Parameters.Parameters) =>
  Effect.flatMap(Parameters.requiredText(given, "operation"), (text) =>
    Either.mapLeft(Ids.decodeOperationId(text), () => new Errors.OperationNotFound({ operationId: text.slice(0, 40) }))
  )

/** How many operations are told unless it is said, and at most. */
const page = { usual: 100, most: 1000 }

/** @since 0.3.0 @category layers */
export const layer = HttpLayerRouter.addAll(
  Effect.gen(function* () {
    const reality = yield* Reality
    const hosts = yield* Hosts
    const operations = yield* Operations
    const pmid = (given: Parameters.Parameters) => Parameters.requiredId(given, "pmid", Ids.HostId)
    const vmid = (given: Parameters.Parameters) => Parameters.requiredId(given, "vmid", Ids.VmId)
    return [
      ...Route.make("/vm/list", () => Effect.map(reality.vms, (all) => ({ vms: all.map(vmBody) }))),
      ...Route.make("/vm/status", (given) =>
        Effect.map(Effect.flatMap(vmid(given), reality.vm), (report) => ({
          ...vmBody(report),
          drift: report.drift.map(driftBody)
        }))
      ),
      ...Route.make("/vm/repair", (given) => Effect.as(Effect.flatMap(vmid(given), reality.repair), { status: 1 })),
      ...Route.make("/drift/list", () => Effect.map(reality.drift, (all) => ({ drift: all.map(driftBody) }))),
      ...Route.make("/foreign/list", () =>
        Effect.map(reality.foreign, (all) => ({
          foreign: all.map(({ hostId, name, reason, uuid, what }) => ({
            ...(hostId === null ? {} : { pmid: hostId }),
            what,
            name,
            ...(uuid === null ? {} : { uuid }),
            reason
          }))
        }))
      ),
      ...Route.make("/pm/status", (given) => Effect.map(Effect.flatMap(pmid(given), hosts.get), hostBody)),
      ...Route.make(
        "/pm/maintenance",
        Effect.fnUntraced(function* (given) {
          const id = yield* pmid(given)
          const on = yield* flag(given, "on")
          if (on === undefined) {
            return yield* new Errors.InvalidArgument({ field: "on", problem: "is missing", expected: "1 or 0" })
          }
          yield* hosts.setMaintenance(id, on)
          return { status: 1 }
        })
      ),
      ...Route.make("/pm/look", (given) => Effect.as(Effect.flatMap(pmid(given), reality.look), { status: 1 })),
      ...Route.make(
        "/operation/list",
        Effect.fnUntraced(function* (given) {
          const vmId = yield* Parameters.id(given, "vmid", Ids.VmId)
          const volumeId = yield* Parameters.id(given, "volumeid", Ids.VolumeId)
          const ended = yield* flag(given, "ended")
          const limit = (yield* Parameters.amount(given, "limit")) ?? page.usual
          const found = yield* operations.list({
            limit: Math.min(limit, page.most),
            ...(vmId === undefined ? {} : { vmId }),
            ...(volumeId === undefined ? {} : { volumeId }),
            ...(ended === undefined ? {} : { ended })
          })
          return { operations: found.map(operationBody) }
        })
      ),
      ...Route.make("/operation/query", (given) =>
        Effect.map(Effect.flatMap(operationId(given), operations.report), operationBody)
      ),
      ...Route.make("/operation/cancel", (given) =>
        Effect.as(Effect.flatMap(operationId(given), operations.cancel), { status: 1 })
      )
    ]
  })
)
