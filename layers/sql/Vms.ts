/**
 * VMs and what is reserved for them, written in the caller's transaction.
 *
 * @since 0.12.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Errors from "../../src/domain/Errors.ts"
import type { HostId, InstanceTypeId, VmId } from "../../src/domain/Ids.ts"
import type { Nic } from "../../src/domain/Nic.ts"
import type { Operation } from "../../src/domain/Operation.ts"
import { countedIn } from "../../src/domain/Placement.ts"
import { changed, unsaid, type Vm, type VmSettings, type VmState } from "../../src/domain/Vm.ts"
import type { AdmitVm } from "../../src/services/Inventory.ts"
import type { Database } from "../Database.ts"
import * as Operations from "./Operations.ts"
import * as Rows from "./Rows.ts"

const columns =
  "id, uuid, name, tid, image_id, host_id, cpu, ram, disk, nics, driver, state, on_crash, protected, autostart, " +
  "description, tags, labels, placement, applied, created_at, owner"

const placementText = (placement: Vm["placement"]): string | null =>
  placement === null ? null : Rows.encodePlacement(placement)

/** All but the name, as their columns have them. */
const settingsOf = (settings: VmSettings) => [
  settings.onCrash,
  settings.protected ? 1 : 0,
  settings.autostart ? 1 : 0,
  settings.description,
  JSON.stringify(settings.tags),
  JSON.stringify(settings.labels),
  placementText(settings.placement)
]

const groupsOf = ({ placement }: Pick<Vm, "placement">): string | null => Rows.encodeGroups(countedIn(placement))

/** A VM that is asked for, with what was chosen for it. @since 0.12.0 @category models */
export interface Placed {
  readonly request: AdmitVm
  readonly uuid: string
  readonly hostId: HostId
  readonly nics: ReadonlyArray<Nic>
}

/** `now` in milliseconds since 1970. @since 0.12.0 @category constructors */
export const make = (statement: Database["Type"]["statement"], operations: Operations.Operations) => {
  const select = statement(`select ${columns} from vms where id = ?`)
  const selectLive = statement(`select ${columns} from vms where state not in ('destroyed', 'failed') order by id`)
  const insertVm = statement(`insert into vms
    (uuid, name, tid, image_id, host_id, cpu, ram, disk, nics, driver, pool, state, on_crash, protected, autostart, description,
      tags, labels, placement, owner, created_at, updated_at)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'creating', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning ${columns}`)
  const updateState = statement(`update vms set state = ?, updated_at = ?,
    applied = case when ? in ('running', 'stopped', 'paused') then json_object('name', name, 'cpu', cpu, 'ram', ram) else applied end
    where id = ? returning ${columns}`)
  const updatePower = statement(`update vms set state = ?, updated_at = ? where id = ? returning ${columns}`)
  const updateSettings = statement(`update vms set name = ?, on_crash = ?, protected = ?, autostart = ?,
    description = ?, tags = ?, labels = ?, placement = ?, updated_at = ? where id = ? returning ${columns}`)
  const updateSize = statement(`update vms set tid = ?, cpu = ?, ram = ?, placement = ?,
    applied = json_object('name', name, 'cpu', ?, 'ram', ?), updated_at = ? where id = ? returning ${columns}`)
  const updateNics = statement(`update vms set nics = ?, updated_at = ? where id = ? returning ${columns}`)
  const insertReservation = statement(
    "insert into reservations (vm_id, host_id, cpu, ram, disk, groups, owner) values (?, ?, ?, ?, ?, ?, ?)"
  )
  const updateReservation = statement("update reservations set cpu = ?, ram = ? where vm_id = ?")
  const updateGroups = statement("update reservations set groups = ? where vm_id = ?")
  const deleteReservation = statement("delete from reservations where vm_id = ?")

  const written = Effect.fnUntraced(function* (id: VmId, rows: Effect.Effect<ReadonlyArray<Rows.Row>, SqlError>) {
    return yield* Rows.vms.one(yield* Rows.only(yield* rows, `VM ${id} does not exist`))
  })

  const find = (id: VmId) =>
    Effect.flatMap(select(id), ([row]) => (row === undefined ? new Errors.VmNotFound({ vmId: id }) : Rows.vms.one(row)))

  /** What the VM itself, or a volume with it, is busy with; null: nothing. */
  const unfinished = Effect.fnUntraced(function* (id: VmId) {
    const own = yield* operations.ofVmItself(id)
    return own ?? (yield* operations.ofVmsVolumes(id))
  })

  const busy = ({ id, name }: Vm, { id: operationId, kind, volumeId }: Operation) =>
    new Errors.VmBusy({
      vmId: id,
      called: name,
      operationId,
      doing: `${volumeId === null ? "" : `volume ${volumeId}: `}${Operations.doing[kind]}`
    })

  return {
    /** Whatever has become of it. */
    find,
    /** One that exists. */
    present: (id: VmId) =>
      Effect.filterOrFail(
        find(id),
        ({ exists }) => exists,
        () => new Errors.VmNotFound({ vmId: id })
      ),
    /** All that exist. */
    all: Effect.flatMap(selectLive(), Rows.vms.all),
    unfinished,
    busy,
    /** Fails while an operation on it, or on a volume with it, has not ended. */
    checkFree: (vm: Vm) =>
      Effect.flatMap(unfinished(vm.id), (operation) => (operation === null ? Effect.void : busy(vm, operation))),
    /** One that is being created. */
    insert: Effect.fnUntraced(function* ({ hostId, nics, request, uuid }: Placed, now: number) {
      const { cpu, disk, ram, tid } = request.instanceType
      const { driver, pool } = request.disk
      const { owner = null } = request
      const shape = [uuid, request.name, tid, request.imageId, hostId, cpu, ram, disk, Rows.encodeNics(nics)]
      const settings = changed({ ...unsaid, name: request.name }, { ...request.settings, onCrash: request.onCrash })
      const rows = yield* insertVm(...shape, driver, pool, ...settingsOf(settings), owner, now, now)
      const vm = yield* Rows.vms.one(yield* Rows.only(rows, "the VM was not written"))
      yield* insertReservation(vm.id, hostId, cpu, ram, pool === null ? disk : 0, groupsOf(vm), owner)
      return vm
    }),
    setState: (id: VmId, state: VmState, now: number) => written(id, updateState(state, now, state, id)),
    /** The state of one whose definition stays as it was applied. */
    setPower: (id: VmId, power: VmState, now: number) => written(id, updatePower(power, now, id)),
    setSettings: (id: VmId, settings: VmSettings, now: number) =>
      written(id, updateSettings(settings.name, ...settingsOf(settings), now, id)),
    setSize: (
      id: VmId,
      {
        cpu,
        instanceType,
        placement,
        ram
      }: { cpu: number; instanceType: InstanceTypeId; ram: number } & Pick<Vm, "placement">,
      now: number
    ) => written(id, updateSize(instanceType, cpu, ram, placementText(placement), cpu, ram, now, id)),
    setNics: (id: VmId, nics: ReadonlyArray<Nic>, now: number) =>
      written(id, updateNics(Rows.encodeNics(nics), now, id)),
    /** vCPUs, and MiB. */
    reserve: (id: VmId, cpu: number, ram: number) => updateReservation(cpu, ram, id),
    /** The groups that it counts in from now on. */
    reserveGroups: (vm: Vm) => updateGroups(groupsOf(vm), vm.id),
    release: (id: VmId) => deleteReservation(id)
  }
}
