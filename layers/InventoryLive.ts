/**
 * The inventory in the database. VMs and volumes that exist, and what was seen of them, are also kept in memory, changed by commits alone:
 * they are what is asked for most, and nobody else writes the file.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Errors from "../src/domain/Errors.ts"
import type { Drift } from "../src/domain/Drift.ts"
import { formatAddress } from "../src/domain/Host.ts"
import type { HostId, VmId } from "../src/domain/Ids.ts"
import type { NewNic, Nic } from "../src/domain/Nic.ts"
import type { Operation } from "../src/domain/Operation.ts"
import { changed as placed, countedIn, ofType } from "../src/domain/Placement.ts"
import * as Quota from "../src/domain/Quota.ts"
import * as Uuid from "../src/domain/Uuid.ts"
import { changed, unsaid, Vm, type VmSeen, type VmSettings, type VmState } from "../src/domain/Vm.ts"
import {
  type AdmitVm,
  type Confirm,
  type FleetConfig,
  type HostUsage,
  Inventory,
  type NicChange,
  type NicsChanged,
  type Publishable,
  type Published,
  type PublishView,
  type VmBegun
} from "../src/services/Inventory.ts"
import { ById } from "./ById.ts"
import { Database } from "./Database.ts"
import * as Catalogue from "./InventoryCatalogue.ts"
import * as InventoryVolumes from "./InventoryVolumes.ts"
import * as CloudInits from "./sql/CloudInits.ts"
import * as Explanations from "./sql/Explanations.ts"
import * as Fleet from "./sql/Fleet.ts"
import * as Hosts from "./sql/Hosts.ts"
import * as HostUsages from "./sql/HostUsages.ts"
import * as Nics from "./sql/Nics.ts"
import * as Observations from "./sql/Observations.ts"
import * as Operations from "./sql/Operations.ts"
import * as Pages from "./sql/Pages.ts"
import * as Quotas from "./sql/Quotas.ts"
import * as RequestKeys from "./sql/RequestKeys.ts"
import * as Rows from "./sql/Rows.ts"
import * as Volumes from "./sql/Volumes.ts"

const vmColumnNames =
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

const groupsOf = ({ placement }: Vm): string | null => Rows.encodeGroups(countedIn(placement))

/** What was asked of a NIC; its address only when that was, too. */
const askedOf = ({ mac }: NewNic, nic: Nic) => ({
  network: nic.network,
  vlan: nic.vlan,
  model: nic.model,
  ...(mac === undefined ? {} : { mac: nic.mac })
})

const byField = (a: Drift, b: Drift): number => (a.field < b.field ? -1 : 1)

const isOver = (state: VmState): boolean => state === "destroyed" || state === "failed"

const make = Effect.gen(function* () {
  const database = yield* Database
  const { read, sql, statement, write, writeSimply } = database
  const operations = Operations.make(statement)
  const usages = yield* HostUsages.make(database)
  const { changing, changingAllHosts, changingSimply } = usages

  /** In a body: as it and those before it in the same transaction have made it. */
  const hostNow = Effect.fnUntraced(function* (id: HostId) {
    const [usage] = yield* usages.one(id)
    return usage === undefined ? yield* new Errors.HostNotFound({ hostId: id }) : usage.host
  })

  const catalogue = Catalogue.make(database, operations)
  const { insertImage, needUsable, typeNotFound, typeRow } = catalogue

  const vmColumns = sql.literal(vmColumnNames)
  const isLive = sql.literal("state not in ('destroyed', 'failed')")

  const existing = new ById<VmId, Vm>()
  const observations = Observations.make(statement)
  const lastSeen = new Map<VmId, VmSeen>()
  const differing = new Map<VmId, ReadonlyMap<string, Drift>>()
  const remember = (vm: Vm): void => {
    if (vm.exists) return existing.set(vm)
    existing.delete(vm.id)
    lastSeen.delete(vm.id)
    differing.delete(vm.id)
  }
  const rememberSeen = (noted: ReadonlyArray<Observations.Noted>): void => {
    for (const { drift, seen, vmId } of noted) {
      if (seen !== undefined) lastSeen.set(vmId, seen)
      if (drift !== undefined) {
        if (drift.size === 0) differing.delete(vmId)
        else differing.set(vmId, drift)
      }
    }
  }
  const stored = sql<Rows.Row>`select ${vmColumns} from vms where ${isLive} order by id`
  for (const vm of yield* read("read the VMs", Effect.flatMap(stored, Rows.vms.all))) remember(vm)
  const sights = yield* read("read what was seen of the VMs", observations.all)
  for (const { power, reason, since, vmId } of sights.seen) lastSeen.set(vmId, { power, reason, since })
  for (const [vmId, fields] of sights.drift) differing.set(vmId, fields)

  yield* write(
    "drop old request keys",
    Effect.flatMap(Clock.currentTimeMillis, (now) => RequestKeys.forget(sql, now))
  )

  const selectVm = statement(`select ${vmColumnNames} from vms where id = ?`)
  const vmRow = (id: VmId) =>
    Effect.flatMap(selectVm(id), ([row]) =>
      row === undefined ? new Errors.VmNotFound({ vmId: id }) : Rows.vms.one(row)
    )

  const insertVm = statement(`insert into vms
    (uuid, name, tid, image_id, host_id, cpu, ram, disk, nics, driver, pool, state, on_crash, protected, autostart, description,
      tags, labels, placement, owner, created_at, updated_at)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'creating', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning ${vmColumnNames}`)
  const insertReservation = statement(
    "insert into reservations (vm_id, host_id, cpu, ram, disk, groups, owner) values (?, ?, ?, ?, ?, ?, ?)"
  )

  const nicRows = Nics.make(statement)

  const cloudInits = CloudInits.make(sql)

  const explanations = Explanations.make(sql, statement)

  const quotas = Quotas.make(statement)

  const volumeRows = Volumes.make(sql, { operations, quotas, usage: usages.one, vm: vmRow })
  const volumes = yield* InventoryVolumes.make(database, volumeRows, usages)

  const updateState = statement(`update vms set state = ?, updated_at = ?,
    applied = case when ? in ('running', 'stopped', 'paused') then json_object('name', name, 'cpu', cpu, 'ram', ram) else applied end
    where id = ? returning ${vmColumnNames}`)
  const updateSettings = statement(`update vms set name = ?, on_crash = ?, protected = ?, autostart = ?,
    description = ?, tags = ?, labels = ?, placement = ?, updated_at = ? where id = ? returning ${vmColumnNames}`)
  const updateSize = statement(`update vms set tid = ?, cpu = ?, ram = ?, placement = ?,
    applied = json_object('name', name, 'cpu', ?, 'ram', ?), updated_at = ? where id = ? returning ${vmColumnNames}`)
  const updateReservation = statement("update reservations set cpu = ?, ram = ? where vm_id = ?")
  const updatePower = statement(`update vms set state = ?, updated_at = ? where id = ? returning ${vmColumnNames}`)
  const changeState = Effect.fnUntraced(function* (id: VmId, state: VmState, now: number) {
    const rows = yield* updateState(state, now, state, id)
    return yield* Rows.vms.one(yield* Rows.only(rows, `VM ${id} does not exist`))
  })

  const setNics = statement(`update vms set nics = ?, updated_at = ? where id = ? returning ${vmColumnNames}`)
  const updateNics = Effect.fnUntraced(function* (id: VmId, nics: ReadonlyArray<Nic>, now: number) {
    const rows = yield* setNics(Rows.encodeNics(nics), now, id)
    return yield* Rows.vms.one(yield* Rows.only(rows, `VM ${id} does not exist`))
  })

  /** The NICs, and the operation that makes them so; null: nothing changes. */
  const nicChange = Effect.fnUntraced(function* ({ id, nics }: Vm, change: NicChange) {
    const { _tag } = change
    if (_tag === "Nothing") return null
    if (_tag === "Attach") {
      const nic = yield* nicRows.another(id, change.nic)
      const detail = { nic: nic.id, asked: askedOf(change.nic, nic) }
      return { nics: [...nics, nic], operation: { kind: "AttachNic", detail } as const }
    }
    const nic = nics.find((one) => one.id === change.nic)
    if (nic === undefined) return yield* Effect.dieMessage(`VM ${id} has no NIC ${change.nic}`)
    if (_tag === "Detach") {
      const detaching = nics.map((one): Nic => (one === nic ? { ...nic, state: "detaching" } : one))
      return { nics: detaching, operation: { kind: "DetachNic", detail: { nic: nic.id } } as const }
    }
    const detail = { nic: nic.id, link: change.link, formerLink: nic.link }
    return { nics, operation: { kind: "SetNicLink", detail } as const }
  })

  /** What the VM itself, or a volume with it, is busy with; null: nothing. */
  const unfinishedWith = Effect.fnUntraced(function* (id: VmId) {
    const own = yield* operations.ofVmItself(id)
    return own ?? (yield* operations.ofVmsVolumes(id))
  })

  const busy = (id: VmId, { id: operationId, kind, volumeId }: Operation) =>
    new Errors.VmBusy({
      vmId: id,
      operationId,
      doing: `${volumeId === null ? "" : `volume ${volumeId}: `}${Operations.doing[kind]}`
    })

  /** In a body. `hostId` null: it had been admitted before. */
  const admitted = Effect.fnUntraced(function* <E>(
    request: AdmitVm,
    usages: Effect.Effect<ReadonlyArray<HostUsage>>,
    place: (usage: ReadonlyArray<HostUsage>) => Effect.Effect<HostId, E>,
    confirm: Confirm<VmBegun> | undefined
  ) {
    const { key } = request
    const before = key === undefined ? null : yield* RequestKeys.find(sql, key, "CreateVm")
    if (before?.vmId !== undefined && before.vmId !== null) {
      return { vm: yield* Effect.orDie(vmRow(before.vmId)), operation: before, hostId: null }
    }
    const { cpu, disk, ram, tid } = request.instanceType
    // it may have been retired since it was looked up
    if ((yield* typeRow(tid))?.retired === true) return yield* typeNotFound(tid)
    yield* needUsable(request.imageId)
    const { following = 0, owner = null, planned, replaces } = request
    if (replaces !== undefined) yield* quotas.disown(replaces)
    yield* quotas.check(owner, Quota.ofVms(request.instanceType, 1 + following), planned)
    const usage = yield* usages
    const hostId = yield* place(usage)
    if (!usage.some(({ host }) => host.id === hostId)) {
      return yield* Effect.dieMessage(`pm ${hostId} was chosen, which was not among the hosts to choose from`)
    }
    const now = yield* Clock.currentTimeMillis
    const uuid = yield* Uuid.make
    const nics = yield* nicRows.ofNewVm(request.nics ?? [{}])
    const { driver, pool } = request.disk
    const shape = [uuid, request.name, tid, request.imageId, hostId, cpu, ram, disk, Rows.encodeNics(nics)]
    const settings = changed({ ...unsaid, name: request.name }, { ...request.settings, onCrash: request.onCrash })
    const rows = yield* insertVm(...shape, driver, pool, ...settingsOf(settings), owner, now, now)
    const vm = yield* Rows.vms.one(yield* Rows.only(rows, "the VM was not written"))
    yield* nicRows.keep(vm.id, nics, nics.length + 1)
    yield* insertReservation(vm.id, hostId, cpu, ram, pool === null ? disk : 0, groupsOf(vm), owner)
    if (pool !== null) yield* volumeRows.checkPool(pool, disk, request.besides)
    if (request.cloudInit !== undefined) yield* cloudInits.put(vm.id, request.cloudInit)
    const explanation = request.explain === undefined ? null : yield* request.explain(usage, hostId)
    if (explanation !== null) yield* explanations.put(vm.id, now, explanation)
    const detail = request.cloudInit === undefined ? {} : { cloudInit: true }
    const operation = yield* operations.insert({ kind: "CreateVm", vmId: vm.id, detail }, now)
    if (key !== undefined) yield* RequestKeys.keep(sql, key, { _tag: "Operation", operation }, now)
    if (replaces !== undefined) yield* operations.replace(replaces, operation.id)
    if (confirm !== undefined) yield* confirm({ vm, operation })
    return { vm, operation, hostId }
  })

  /** What is to be published, free for it. */
  const publishable = Effect.fnUntraced(function* (of: Publishable) {
    if ("vm" in of) {
      const vm = yield* vmRow(of.vm)
      if (!vm.exists) return yield* new Errors.VmNotFound({ vmId: of.vm })
      const unfinished = yield* unfinishedWith(of.vm)
      if (unfinished !== null) return yield* busy(of.vm, unfinished)
      return { vm, volume: null, snapshot: null } satisfies PublishView
    }
    const snapshot = "snapshot" in of ? yield* volumeRows.findSnapshot(of.snapshot) : null
    if (snapshot !== null && snapshot.state !== "ready") {
      return yield* new Errors.SnapshotNotFound({ snapshotId: snapshot.id })
    }
    const volumeId = "volume" in of ? of.volume : snapshot?.volumeId
    if (volumeId === undefined) return yield* Effect.dieMessage("neither a volume nor a snapshot is to be published")
    const volume = yield* volumeRows.find(volumeId)
    if (volume.state === "failed") return yield* new Errors.VolumeNotFound({ volumeId })
    yield* volumeRows.checkFree(volumeId)
    if (volume.vmId === null) return { vm: null, volume, snapshot } satisfies PublishView
    const used = yield* unfinishedWith(volume.vmId)
    if (used !== null) return yield* busy(volume.vmId, used)
    return { vm: yield* vmRow(volume.vmId), volume, snapshot } satisfies PublishView
  })

  const admit = <E>(
    request: AdmitVm,
    place: (usage: ReadonlyArray<HostUsage>) => Effect.Effect<HostId, E>,
    confirm: Confirm<VmBegun> | undefined
  ) =>
    changing(
      "admit a VM",
      Effect.map(admitted(request, usages.now, place, confirm), ({ hostId, operation, vm }) => ({
        result: { vm, operation },
        hosts: hostId === null ? [] : [hostId]
      })),
      ({ vm }) => remember(vm)
    )

  const admitAll: Inventory["Type"]["admitAll"] = (wanted) =>
    changing(
      `admit ${wanted.length} VMs`,
      Effect.gen(function* () {
        const usage = [...(yield* usages.now)]
        const at = new Map(usage.map(({ host }, i) => [host.id, i]))
        const hosts = new Set<HostId>()
        const result: Array<VmBegun> = []
        for (const { confirm, place, request } of wanted) {
          const { hostId, operation, vm } = yield* admitted(
            request,
            Effect.sync(() => [...usage]),
            place,
            confirm
          )
          result.push({ vm, operation })
          if (hostId === null) continue
          hosts.add(hostId)
          // those after it see what it has taken
          const [now] = yield* usages.one(hostId)
          const index = at.get(hostId)
          if (now !== undefined && index !== undefined) usage[index] = now
        }
        return { result, hosts: [...hosts] }
      }),
      (all) => all.forEach(({ vm }) => remember(vm))
    ).pipe(Effect.withSpan("Inventory.admitAll"))

  return Inventory.of({
    applyFleet: Effect.fn("Inventory.applyFleet")((fleet: FleetConfig) =>
      changingAllHosts("apply the input files", Fleet.apply(sql, fleet), catalogue.forget)
    ),

    hosts: Effect.sync(() => [...usages.all.values()]),
    host: (id) =>
      Effect.suspend(() => {
        const usage = usages.all.get(id)
        return usage === undefined ? new Errors.HostNotFound({ hostId: id }) : Effect.succeed(usage)
      }),
    setHostFacts: Effect.fn("Inventory.setHostFacts")((id, facts) =>
      changingSimply(
        `keep what pm ${id} said of itself`,
        // a host that was dropped meanwhile has no use for them
        Effect.as(
          sql`update hosts set facts = ${Rows.encodeHostFacts(facts)}, host_uuid = ${facts.uuid}
            where id = ${id} and active = 1`,
          { result: undefined, hosts: [id] }
        )
      )
    ),
    setMaintenance: (id, on, check, confirm) =>
      Effect.withSpan(
        changing(
          `put pm ${id} ${on ? "into" : "out of"} maintenance`,
          Effect.gen(function* () {
            const [usage] = yield* usages.one(id)
            if (usage === undefined) return yield* new Errors.HostNotFound({ hostId: id })
            if (check !== undefined) yield* check(usage.host)
            if (confirm !== undefined) yield* confirm(usage.host)
            yield* sql`update hosts set maintenance = ${on ? 1 : 0} where id = ${id}`
            return { result: undefined, hosts: [id] }
          })
        ),
        "Inventory.setMaintenance"
      ),

    addHost: Effect.fn("Inventory.addHost")((config, confirm) =>
      changingAllHosts(
        `add host ${formatAddress(config.address)}`,
        Effect.gen(function* () {
          const host = yield* Effect.catchTag(hostNow(yield* Hosts.add(sql, config)), "HostNotFound", Effect.die)
          if (confirm !== undefined) yield* confirm(host)
          return host
        })
      )
    ),
    changeHost: (id, decide, confirm) =>
      Effect.withSpan(
        changing(
          `change pm ${id}`,
          Effect.gen(function* () {
            const before = yield* hostNow(id)
            const { config, maintenance } = yield* decide(before)
            if (config !== undefined) yield* Hosts.change(sql, before, config)
            if (maintenance !== undefined) {
              yield* sql`update hosts set maintenance = ${maintenance ? 1 : 0} where id = ${id}`
            }
            const changed = { before, after: yield* hostNow(id) }
            if (confirm !== undefined) yield* confirm(changed)
            return { result: changed, hosts: [id] }
          })
        ),
        "Inventory.changeHost"
      ),
    removeHost: (id, check, confirm) =>
      Effect.withSpan(
        changingAllHosts(
          `remove pm ${id}`,
          Effect.gen(function* () {
            const host = yield* hostNow(id)
            if (check !== undefined) yield* check(host)
            yield* Hosts.remove(sql, host)
            if (confirm !== undefined) yield* confirm(host)
            return host
          })
        ),
        "Inventory.removeHost"
      ),

    ...catalogue.service,
    publishImage: (of, decide, confirm) =>
      write(
        "begin to publish an image",
        Effect.gen(function* () {
          const view = yield* publishable(of)
          const { snapshot, vm, volume } = view
          const now = yield* Clock.currentTimeMillis
          const origin = "vm" in of ? "vm" : "volume" in of ? "volume" : "snapshot"
          const id = "vm" in of ? of.vm : "volume" in of ? of.volume : of.snapshot
          const image = yield* insertImage(
            { config: yield* decide(view), origin, state: "quarantine", wanted: { of: id } },
            now
          )
          const operation = yield* operations.insert(
            {
              kind: volume === null ? "PublishVm" : "PublishVolume",
              vmId: vm?.id ?? null,
              volumeId: volume?.id ?? null,
              snapshotId: snapshot?.id ?? null,
              detail: { image: image.id }
            },
            now
          )
          const published: Published = { ...view, image, operation }
          if (confirm !== undefined) yield* confirm(published)
          return published
        }),
        catalogue.forget
      ).pipe(Effect.withSpan("Inventory.publishImage")),
    admitAll,
    admit: (request, place, confirm) => Effect.withSpan(admit(request, place, confirm), "Inventory.admit"),

    changeNics: (id, decide, key, confirm) =>
      Effect.withSpan(
        write(
          `change the NICs of VM ${id}`,
          Effect.gen(function* () {
            const before = yield* vmRow(id)
            if (!before.exists) return yield* new Errors.VmNotFound({ vmId: id })
            const repeated = key === undefined ? null : yield* RequestKeys.find(sql, key, "AttachNic")
            if (repeated !== null) return { before, after: before, operation: repeated }
            const usage = usages.all.get(before.hostId)
            if (usage === undefined) return yield* Effect.dieMessage(`VM ${id} is on a host that is not there`)
            const unfinished = yield* unfinishedWith(id)
            if (unfinished !== null) return yield* busy(id, unfinished)
            const change = yield* decide(before, usage.host)
            const now = yield* Clock.currentTimeMillis
            const changed = yield* nicChange(before, change)
            const after = changed === null ? before : yield* updateNics(id, changed.nics, now)
            const operation =
              changed === null ? null : yield* operations.insert({ ...changed.operation, vmId: id }, now)
            if (key !== undefined && operation !== null)
              yield* RequestKeys.keep(sql, key, { _tag: "Operation", operation }, now)
            const result: NicsChanged = { before, after, operation }
            if (confirm !== undefined) yield* confirm(result)
            return result
          }),
          ({ after }) => remember(after)
        ),
        "Inventory.changeNics"
      ),
    settleNic: Effect.fn("Inventory.settleNic")((id, nicId, outcome) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.asVoid(
          writeSimply(
            `change NIC ${nicId} of VM ${id}`,
            Effect.gen(function* () {
              const vm = yield* Effect.orDie(vmRow(id))
              const nic = vm.nics.find((one) => one.id === nicId)
              if (nic === undefined) return vm
              if (outcome === null) {
                yield* nicRows.drop(id, nic)
                return yield* updateNics(
                  id,
                  vm.nics.filter((one) => one !== nic),
                  now
                )
              }
              return yield* updateNics(
                id,
                vm.nics.map((one) => (one === nic ? { ...nic, ...outcome } : one)),
                now
              )
            }),
            remember
          )
        )
      )
    ),

    beginOnVm: Effect.fn("Inventory.beginOnVm")(function* (vmId, kind, detail, confirm, check) {
      const id = yield* Operations.freshId
      const now = yield* Clock.currentTimeMillis
      return yield* writeSimply(
        `begin ${kind} of VM ${vmId}`,
        Effect.gen(function* () {
          const vm = yield* vmRow(vmId)
          if (vm.exists !== (kind !== "CleanVm")) {
            if (!vm.exists) return yield* new Errors.VmNotFound({ vmId })
            return yield* Effect.dieMessage(`VM ${vmId} is ${vm.state}: nothing of it may be removed`)
          }
          const unfinished = yield* unfinishedWith(vmId)
          if (unfinished !== null) return yield* busy(vmId, unfinished)
          if (check !== undefined) yield* check(vm)
          const begun = { kind, vmId, ...(detail === undefined ? {} : { detail }) }
          const operation = yield* operations.insertAs(id, begun, now)
          if (confirm !== undefined) yield* confirm({ vm, operation })
          return operation
        })
      )
    }),

    beginDestroy: (id, check, confirm) =>
      write(
        `begin to destroy VM ${id}`,
        Effect.gen(function* () {
          const vm = yield* vmRow(id)
          if (vm.state === "failed") return yield* new Errors.VmNotFound({ vmId: id })
          const unfinished = yield* unfinishedWith(id)
          const asked = (operation: Operation | null) =>
            confirm === undefined
              ? Effect.void
              : Effect.flatMap(volumeRows.withVm(id), (volumes) => confirm({ vm, operation, volumes }))
          if (unfinished?.kind === "DestroyVm") {
            yield* asked(null)
            return { vm, operation: Option.some(unfinished) }
          }
          // whatever else is done there, also to what was left of it
          if (vm.state === "destroyed") {
            yield* asked(null)
            return { vm, operation: Option.none() }
          }
          if (unfinished !== null) return yield* busy(id, unfinished)
          if (check !== undefined) yield* check(vm)
          const now = yield* Clock.currentTimeMillis
          const destroying = yield* changeState(id, "destroying", now)
          const operation = yield* operations.insert({ kind: "DestroyVm", vmId: id }, now)
          yield* asked(operation)
          return { vm: destroying, operation: Option.some(operation) }
        }),
        ({ vm }) => remember(vm)
      ).pipe(
        Effect.map(({ operation }) => operation),
        Effect.withSpan("Inventory.beginDestroy")
      ),

    changeVm: (id, change, check, confirm) =>
      changing(
        `change VM ${id}`,
        Effect.gen(function* () {
          const before = yield* vmRow(id)
          if (!before.exists) return yield* new Errors.VmNotFound({ vmId: id })
          if (check !== undefined) yield* check(before)
          const { placement } = change
          const settings = changed(
            before,
            placement === undefined ? change : { ...change, placement: placed(before.placement, placement) }
          )
          // asked for again it is told again: the first time may have come to nothing
          const told = change.name !== undefined || change.autostart !== undefined
          const unfinished = told ? yield* unfinishedWith(id) : null
          if (unfinished !== null) return yield* busy(id, unfinished)
          const now = yield* Clock.currentTimeMillis
          const rows = yield* updateSettings(settings.name, ...settingsOf(settings), now, id)
          const after = yield* Rows.vms.one(yield* Rows.only(rows, `VM ${id} does not exist`))
          const operation =
            told && before.settled ? yield* operations.insert({ kind: "ConfigureVm", vmId: id }, now) : null
          const result = { before, after, operation }
          if (confirm !== undefined) yield* confirm(result)
          if (change.placement === undefined) return { result, hosts: [] }
          yield* sql`update reservations set groups = ${groupsOf(after)} where vm_id = ${id}`
          return { result, hosts: [after.hostId] }
        }),
        ({ after }) => remember(after)
      ).pipe(Effect.withSpan("Inventory.changeVm")),

    beginResize: (id, tid, check, confirm) =>
      Effect.withSpan(
        changing(
          `resize VM ${id}`,
          Effect.gen(function* () {
            const vm = yield* vmRow(id)
            if (!vm.exists) return yield* new Errors.VmNotFound({ vmId: id })
            const unfinished = yield* unfinishedWith(id)
            if (unfinished !== null) return yield* busy(id, unfinished)
            const type = yield* typeRow(tid)
            if (type === null || type.retired) return yield* typeNotFound(tid)
            const [usage] = yield* usages.one(vm.hostId)
            if (usage === undefined) return yield* Effect.dieMessage(`VM ${id} is on a host that is no more`)
            const { cpu, ram } = vm.resources
            const promised = { ...usage.promised, cpu: usage.promised.cpu - cpu, ram: usage.promised.ram - ram }
            yield* check(vm, type, { ...usage, promised, vms: usage.vms - 1 })
            const now = yield* Clock.currentTimeMillis
            yield* quotas.check(vm.owner, { ...Quota.nothing, cpu: type.cpu - cpu, ram: type.ram - ram })
            yield* updateReservation(Math.max(cpu, type.cpu), Math.max(ram, type.ram), id)
            const detail = { type: tid, cpu: type.cpu, ram: type.ram }
            const operation = yield* operations.insert({ kind: "ResizeVm", vmId: id, detail }, now)
            const resources = { ...vm.resources, cpu: type.cpu, ram: type.ram }
            const placement = ofType(vm.placement, tid, type.requires)
            const after = new Vm({ ...vm, instanceType: tid, resources, placement }, { disableValidation: true })
            if (confirm !== undefined) yield* confirm({ before: vm, after, operation })
            return { result: operation, hosts: [vm.hostId] }
          }),
          () => undefined
        ),
        "Inventory.beginResize"
      ),
    settleResize: Effect.fn("Inventory.settleResize")(function* (id, to) {
      const now = yield* Clock.currentTimeMillis
      yield* changingSimply(
        `settle the size of VM ${id}`,
        Effect.gen(function* () {
          const before = yield* Effect.orDie(vmRow(id))
          const { cpu, ram } = to ?? before.resources
          yield* updateReservation(cpu, ram, id)
          if (to === null) return { result: before, hosts: [before.hostId] }
          const type = yield* typeRow(to.instanceType)
          const placement = ofType(before.placement, to.instanceType, type?.requires)
          const rows = yield* updateSize(to.instanceType, cpu, ram, placementText(placement), cpu, ram, now, id)
          const after = yield* Rows.vms.one(yield* Rows.only(rows, `VM ${id} does not exist`))
          return { result: after, hosts: [after.hostId] }
        }),
        remember
      )
    }),

    cloudInit: Effect.fn("Inventory.cloudInit")((id) =>
      read(`read what VM ${id} is told by cloud-init`, cloudInits.find(id))
    ),
    changeCloudInit: (vmId, decide, confirm) =>
      writeSimply(
        `change what VM ${vmId} is told by cloud-init`,
        Effect.gen(function* () {
          const vm = yield* vmRow(vmId)
          if (!vm.exists) return yield* new Errors.VmNotFound({ vmId })
          const unfinished = yield* unfinishedWith(vmId)
          if (unfinished !== null) return yield* busy(vmId, unfinished)
          const before = yield* cloudInits.find(vmId)
          const after = yield* decide(before, vm)
          yield* cloudInits.put(vmId, after)
          const now = yield* Clock.currentTimeMillis
          const operation = yield* operations.insert({ kind: "SetCloudInit", vmId }, now)
          if (confirm !== undefined) yield* confirm({ vm, operation, cloudInit: { before, after } })
          return operation
        })
      ).pipe(Effect.withSpan("Inventory.changeCloudInit")),

    // the hot path: no span, no statement
    vm: (id) =>
      Effect.suspend(() => {
        const vm = existing.get(id)
        return vm === undefined ? new Errors.VmNotFound({ vmId: id }) : Effect.succeed(vm)
      }),
    // one that exists is as its row
    explained: (id) => read(`read why VM ${id} was placed where it was`, explanations.find(id)),
    vmRecord: (id) =>
      Effect.suspend(() => {
        const vm = existing.get(id)
        return vm === undefined ? read(`read VM ${id}`, vmRow(id)) : Effect.succeed(vm)
      }),
    vms: (filter) =>
      Effect.sync(() => {
        const all = [...existing]
        return filter?.host === undefined ? all : all.filter((vm) => vm.hostId === filter.host)
      }),
    // the hot path: no span
    vmPage: (filter, order, after, limit) =>
      order.by === "id"
        ? Effect.sync(() => Pages.vmsById(existing, filter, order.descending, after, limit))
        : Effect.withSpan(
            read("read a page of VMs", Pages.vms(sql, existing, filter, order, after, limit)),
            "Inventory.vmPage"
          ),

    setVmState: Effect.fn("Inventory.setVmState")(function* (id, state) {
      const now = yield* Clock.currentTimeMillis
      yield* changingSimply(
        `set VM ${id} to ${state}`,
        Effect.gen(function* () {
          const before = yield* Effect.orDie(vmRow(id))
          // its reservation is gone, so it cannot come back
          if (isOver(before.state) && !isOver(state)) {
            return yield* Effect.dieMessage(`VM ${id} is ${before.state} and cannot become ${state}`)
          }
          const vm = yield* changeState(id, state, now)
          if (!isOver(state)) return { result: { vm, released: [] }, hosts: [] }
          yield* sql`delete from reservations where vm_id = ${id}`
          yield* nicRows.dropAll(id)
          yield* observations.forget(id)
          yield* cloudInits.remove(id)
          yield* explanations.remove(id)
          return { result: { vm, released: yield* volumeRows.release(id, now) }, hosts: [vm.hostId] }
        }),
        ({ released, vm }) => {
          remember(vm)
          released.forEach(volumes.remember)
        }
      )
    }),

    setVmPower: Effect.fn("Inventory.setVmPower")(function* (id, power, seen) {
      const now = yield* Clock.currentTimeMillis
      yield* writeSimply(
        `want VM ${id} ${power}`,
        Effect.gen(function* () {
          const vm = yield* Effect.orDie(vmRow(id))
          if (!vm.settled) return { vm, noted: [] }
          const noted = seen === undefined ? [] : yield* observations.observe([{ vmId: id, seen, drift: null }], now)
          if (vm.state === power) return { vm, noted }
          const rows = yield* updatePower(power, now, id)
          return { vm: yield* Rows.vms.one(yield* Rows.only(rows, `VM ${id} does not exist`)), noted }
        }),
        ({ noted, vm }) => {
          remember(vm)
          rememberSeen(noted)
        }
      )
    }),
    setOutcome: Effect.fn("Inventory.setOutcome")((id, outcome) =>
      writeSimply(`say how operation ${id} came about`, Effect.asVoid(operations.setOutcome(id, outcome)))
    ),

    observe: Effect.fn("Inventory.observe")((observed, now) =>
      writeSimply("remember what was seen of VMs", observations.observe(observed, now), rememberSeen).pipe(
        Effect.asVoid
      )
    ),
    // as it is at any moment: a copy of it would be made for each VM that is asked for
    seen: Effect.succeed(lastSeen),
    drift: (filter) =>
      Effect.sync(() => {
        const vms = filter?.vms ?? [...differing.keys()].sort((a, b) => a - b)
        const found: Array<Drift> = []
        for (const id of vms) {
          const fields = differing.get(id)
          if (fields !== undefined) found.push(...[...fields.values()].sort(byField))
        }
        return found
      }),

    ...volumes.service,

    keepRetry: (of, by) =>
      Effect.zipRight(
        database.mustBeInside(`keep the retry of operation ${of}`),
        read(`keep the retry of operation ${of}`, operations.retry(of, by))
      ),
    keepKey: (key, led, now) =>
      Effect.zipRight(
        database.mustBeInside("keep what a request led to"),
        read(
          "keep what a request led to",
          Effect.zipRight(RequestKeys.led(sql, key), RequestKeys.keep(sql, key, led, now))
        )
      ).pipe(Effect.asVoid),
    uses: Effect.withSpan(read("read what users have", quotas.all), "Inventory.uses"),
    use: Effect.fn("Inventory.use")((user) => read(`read what ${user} has`, quotas.used(user))),
    keyed: Effect.fn("Inventory.keyed")((key) => read("read what a request led to", RequestKeys.led(sql, key))),
    operation: (id) => read(`read operation ${id}`, operations.byId(id))
  })
})

/**
 * The inventory on the given database. Fails when the VMs cannot be read at start.
 *
 * @since 0.1.0 @category layers
 */
export const layer: Layer.Layer<Inventory, Errors.PersistenceError, Database> = Layer.effect(Inventory, make)
