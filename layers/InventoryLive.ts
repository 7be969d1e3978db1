/**
 * The inventory in the database. VMs and volumes that exist, and what was seen of them, are also kept in memory, changed by commits alone:
 * they are what is asked for most, and nobody else writes the file.
 *
 * @since 0.1.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Errors from "../src/domain/Errors.ts"
import type { Drift } from "../src/domain/Drift.ts"
import { formatAddress } from "../src/domain/Host.ts"
import { type HostId, type ImageId, InstanceTypeId, type VmId, type VolumeId } from "../src/domain/Ids.ts"
import type { Image, ImageOrigin } from "../src/domain/Image.ts"
import type { KnownType } from "../src/domain/InstanceType.ts"
import type { NewNic, Nic } from "../src/domain/Nic.ts"
import type { Operation } from "../src/domain/Operation.ts"
import { countedIn } from "../src/domain/Placement.ts"
import * as Uuid from "../src/domain/Uuid.ts"
import { changed, Vm, type VmSeen, type VmSettings, type VmState } from "../src/domain/Vm.ts"
import type { Volume } from "../src/domain/Volume.ts"
import {
  type AdmitVm,
  type Confirm,
  type FleetConfig,
  type HostUsage,
  Inventory,
  type NewImage,
  type NicChange,
  type NicsChanged,
  type Publishable,
  type Published,
  type PublishView,
  type VmBegun
} from "../src/services/Inventory.ts"
import { Database } from "./Database.ts"
import * as CloudInits from "./sql/CloudInits.ts"
import * as Explanations from "./sql/Explanations.ts"
import * as Fleet from "./sql/Fleet.ts"
import * as Hosts from "./sql/Hosts.ts"
import * as HostUsages from "./sql/HostUsages.ts"
import * as Nics from "./sql/Nics.ts"
import * as Observations from "./sql/Observations.ts"
import * as Operations from "./sql/Operations.ts"
import * as Pages from "./sql/Pages.ts"
import * as RequestKeys from "./sql/RequestKeys.ts"
import * as Rows from "./sql/Rows.ts"
import * as Volumes from "./sql/Volumes.ts"

const vmColumnNames =
  "id, uuid, name, tid, image_id, host_id, cpu, ram, disk, nics, driver, state, on_crash, protected, autostart, " +
  "description, tags, labels, placement, applied, created_at"

/** What a VM has of which nothing is said. */
const unsaid = (name: string): VmSettings => ({
  name,
  onCrash: "leave",
  protected: false,
  autostart: false,
  description: "",
  tags: [],
  labels: {},
  placement: null
})

/** All but the name, as their columns have them. */
const settingsOf = (settings: VmSettings) => [
  settings.onCrash,
  settings.protected ? 1 : 0,
  settings.autostart ? 1 : 0,
  settings.description,
  JSON.stringify(settings.tags),
  JSON.stringify(settings.labels),
  settings.placement === null ? null : Rows.encodePlacement(settings.placement)
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

/** A new row, whoever makes it. */
interface ImageToBe extends Omit<NewImage, "origin"> {
  readonly origin: ImageOrigin
}

const isOver = (state: VmState): boolean => state === "destroyed" || state === "failed"

const make = Effect.gen(function* () {
  const database = yield* Database
  const { read, sql, statement, write, writeSimply } = database
  const operations = Operations.make(statement)
  const usages = yield* HostUsages.make(database)

  /** A write after which the hosts that it names have something else promised, or are something else. */
  const changingBy =
    (how: typeof write) =>
    <A, E>(
      action: string,
      body: Effect.Effect<{ readonly result: A; readonly hosts: ReadonlyArray<HostId | null> }, E>,
      committed: (result: A) => void = () => undefined
    ) =>
      how(
        action,
        Effect.flatMap(body, ({ hosts, result }) => Effect.map(usages.look(hosts), (found) => ({ result, found }))),
        ({ found, result }) => {
          usages.committed(found)
          committed(result)
        },
        ({ found }) => usages.ahead(found)
      ).pipe(Effect.map(({ result }) => result))
  const changing = changingBy(write)
  const changingSimply = changingBy(writeSimply)

  /** A write after which there may be other hosts. */
  const changingAllHosts = <A, E>(action: string, body: Effect.Effect<A, E>) =>
    write(
      action,
      Effect.flatMap(body, (result) => Effect.map(usages.lookAtAll, (found) => ({ result, found }))),
      ({ found }) => usages.committed(found),
      ({ found }) => usages.ahead(found)
    ).pipe(Effect.map(({ result }) => result))

  /** In a body: as it and those before it in the same transaction have made it. */
  const hostNow = Effect.fnUntraced(function* (id: HostId) {
    const [usage] = yield* usages.one(id)
    return usage === undefined ? yield* new Errors.HostNotFound({ hostId: id }) : usage.host
  })

  const vmColumns = sql.literal(vmColumnNames)
  const isLive = sql.literal("state not in ('destroyed', 'failed')")

  /** In id order without sorting: new ids are the highest, and a Map keeps its keys in the order in which they came. */
  const existing = new Map<VmId, Vm>()
  const observations = Observations.make(statement)
  const lastSeen = new Map<VmId, VmSeen>()
  const differing = new Map<VmId, ReadonlyMap<string, Drift>>()
  const remember = (vm: Vm): void => {
    if (vm.exists) return void existing.set(vm.id, vm)
    existing.delete(vm.id)
    lastSeen.delete(vm.id)
    differing.delete(vm.id)
  }
  const stored = sql<Rows.Row>`select ${vmColumns} from vms where ${isLive} order by id`
  for (const vm of yield* read("read the VMs", Effect.flatMap(stored, Rows.vms.all))) remember(vm)
  const sights = yield* read("read what was seen of the VMs", observations.all)
  for (const { vmId, ...seen } of sights.seen) lastSeen.set(vmId, seen)
  for (const [vmId, fields] of sights.drift) differing.set(vmId, fields)

  yield* write(
    "drop old request keys",
    Effect.flatMap(Clock.currentTimeMillis, (now) => RequestKeys.forget(sql, now))
  )

  /** Read when it is asked for, which every creation does, and kept until a commit changes it. */
  const keeping = <A>(action: string, select: Effect.Effect<A, SqlError>) => {
    let kept: Option.Option<A> = Option.none()
    // kept while the read still holds the database: no commit is between the two
    const again = read(
      action,
      Effect.tap(select, (found) => Effect.sync(() => void (kept = Option.some(found))))
    )
    return {
      get: Effect.suspend(() => (Option.isSome(kept) ? Effect.succeed(kept.value) : again)),
      forget: () => void (kept = Option.none())
    }
  }
  const offeredTypes = keeping(
    "read the types",
    Effect.flatMap(
      sql<Rows.Row>`select tid, cpu, ram, disk from instance_types where offered = 1 and retired = 0
        order by origin <> 'file', position, tid`,
      Rows.instanceTypes.all
    )
  )
  const typeColumns = "tid, cpu, ram, disk, origin, offered, retired"
  const selectType = statement(`select ${typeColumns} from instance_types where tid = ?`)
  const typeRow = Effect.fnUntraced(function* (tid: InstanceTypeId) {
    const [row] = yield* selectType(tid)
    return row === undefined ? null : yield* Rows.knownTypes.one(row)
  })
  const allTypes = Effect.flatMap(
    sql<Rows.Row>`select ${sql.literal(typeColumns)} from instance_types order by tid`,
    Rows.knownTypes.all
  )
  const typeNotFound = (tid: InstanceTypeId) =>
    Effect.flatMap(
      allTypes,
      (all) =>
        new Errors.InstanceTypeNotFound({ tid, known: all.filter(({ retired }) => !retired).map((one) => one.tid) })
    )
  const images = keeping(
    "read the images",
    Effect.gen(function* () {
      const rows = yield* sql<Rows.Row>`select ${sql.literal(Rows.imageColumns)} from images order by id`
      const all = yield* Rows.images.all(rows)
      const offered = new Set((yield* Rows.offered.all(rows)).flatMap(({ id, offered }) => (offered ? [id] : [])))
      const present = all.filter(({ id, state }) => offered.has(id) && state !== "deleted")
      const has = (images: ReadonlyArray<Image>) => images.flatMap(({ content }) => content?.sha256 ?? [])
      const kept = new Set(has(all.filter(({ state }) => state !== "deleted")))
      return {
        deleted: new Set(has(all).filter((sha256) => !kept.has(sha256))),
        byId: new Map(all.map((image) => [image.id, image])),
        present,
        offered: present.filter(({ state }) => state === "available")
      }
    })
  )

  const selectImage = statement(`select ${Rows.imageColumns} from images where id = ?`)
  const imageRow = Effect.fnUntraced(function* (id: ImageId) {
    const [row] = yield* selectImage(id)
    return row === undefined ? null : yield* Rows.images.one(row)
  })
  const imageNotFound = (id: ImageId) =>
    Effect.flatMap(
      sql<Rows.Row>`select id, offered from images where offered = 1 and state = 'available' order by id`.pipe(
        Effect.flatMap(Rows.offered.all)
      ),
      (all) => new Errors.ImageNotFound({ imageId: id, known: all.map((one) => one.id) })
    )

  const selectVm = statement(`select ${vmColumnNames} from vms where id = ?`)
  const vmRow = (id: VmId) =>
    Effect.flatMap(selectVm(id), ([row]) =>
      row === undefined ? new Errors.VmNotFound({ vmId: id }) : Rows.vms.one(row)
    )

  const insertVm = statement(`insert into vms
    (uuid, name, tid, image_id, host_id, cpu, ram, disk, nics, driver, pool, state, on_crash, protected, autostart, description,
      tags, labels, placement, created_at, updated_at)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'creating', ?, ?, ?, ?, ?, ?, ?, ?, ?) returning ${vmColumnNames}`)
  const insertReservation = statement(
    "insert into reservations (vm_id, host_id, cpu, ram, disk, groups) values (?, ?, ?, ?, ?, ?)"
  )

  const nicRows = Nics.make(statement)

  const cloudInits = CloudInits.make(sql)

  const explanations = Explanations.make(sql, statement)

  const volumeRows = Volumes.make(sql, { operations, usage: usages.one, vm: vmRow })

  /** As with VMs, but for the order: one that is restored comes back among the others. */
  const existingVolumes = new Map<VolumeId, Volume>()
  const rememberVolume = (volume: Volume): void => {
    if (volume.state === "purged" || volume.state === "failed") existingVolumes.delete(volume.id)
    else existingVolumes.set(volume.id, volume)
  }
  for (const volume of yield* read("read the volumes", volumeRows.all)) rememberVolume(volume)

  const updateState = statement(`update vms set state = ?, updated_at = ?,
    applied = case when ? in ('running', 'stopped', 'paused') then json_object('name', name, 'cpu', cpu, 'ram', ram) else applied end
    where id = ? returning ${vmColumnNames}`)
  const updateSettings = statement(`update vms set name = ?, on_crash = ?, protected = ?, autostart = ?,
    description = ?, tags = ?, labels = ?, placement = ?, updated_at = ? where id = ? returning ${vmColumnNames}`)
  const updateSize = statement(`update vms set tid = ?, cpu = ?, ram = ?,
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
    if ((yield* imageRow(request.imageId))?.state !== "available") return yield* imageNotFound(request.imageId)
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
    const settings = changed(unsaid(request.name), { ...request.settings, onCrash: request.onCrash })
    const rows = yield* insertVm(...shape, driver, pool, ...settingsOf(settings), now, now)
    const vm = yield* Rows.vms.one(yield* Rows.only(rows, "the VM was not written"))
    yield* nicRows.keep(vm.id, nics, nics.length + 1)
    yield* insertReservation(vm.id, hostId, cpu, ram, pool === null ? disk : 0, groupsOf(vm))
    if (pool !== null) yield* volumeRows.checkPool(pool, disk, request.besides)
    if (request.cloudInit !== undefined) yield* cloudInits.put(vm.id, request.cloudInit)
    const explanation = request.explain === undefined ? null : yield* request.explain(usage, hostId)
    if (explanation !== null) yield* explanations.put(vm.id, now, explanation)
    const detail = request.cloudInit === undefined ? {} : { cloudInit: true }
    const operation = yield* operations.insert({ kind: "CreateVm", vmId: vm.id, detail }, now)
    if (key !== undefined) yield* RequestKeys.keep(sql, key, operation.id, now)
    if (request.replaces !== undefined) yield* operations.replace(request.replaces, operation.id)
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

  const insertImage = Effect.fnUntraced(function* ({ config, origin, state, wanted }: ImageToBe, now: number) {
    const rows = yield* sql<Rows.Row>`insert into images (source, config, position, origin, state, wanted, created_at)
      values (${Fleet.sourceOf(config.source)}, ${Rows.encodeImageConfig(config)}, 0, ${origin}, ${state},
        ${Rows.encodeImageWanted(wanted)}, ${now})
      returning ${sql.literal(Rows.imageColumns)}`
    return yield* Rows.images.one(yield* Rows.only(rows, "the image was not written"))
  })

  /** Its source may be registered again. */
  const removeImage = (id: ImageId) =>
    sql`update images set state = 'deleted', offered = 0, source = source || '#' || id where id = ${id} and state <> 'deleted'`

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
      Effect.asVoid(
        write(
          "apply the input files",
          Effect.zipRight(Fleet.apply(sql, fleet), usages.lookAtAll),
          (found) => {
            usages.committed(found)
            offeredTypes.forget()
            images.forget()
          },
          usages.ahead
        )
      )
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

    images: Effect.map(images.get, ({ offered }) => offered),
    image: (id) =>
      Effect.flatMap(images.get, ({ byId, offered }) => {
        const image = byId.get(id)
        return image === undefined
          ? new Errors.ImageNotFound({ imageId: id, known: offered.map((one) => one.id) })
          : Effect.succeed(image)
      }),
    allImages: Effect.map(images.get, ({ present }) => present),
    deletedContents: Effect.map(images.get, ({ deleted }) => deleted),
    addImage: (image, check, confirm) =>
      write(
        "add an image",
        Effect.gen(function* () {
          const source = Fleet.sourceOf(image.config.source)
          const others = yield* Effect.flatMap(
            sql<Rows.Row>`select ${sql.literal(Rows.imageColumns)} from images where state <> 'deleted' order by id`,
            Rows.images.all
          )
          const same = others.find(({ config }) => Fleet.sourceOf(config.source) === source)
          if (same !== undefined) {
            return yield* new Errors.ImageConflict({
              image: source,
              reason: `is image ${same.id} (${same.config.name}) already: use that one, or delete it first`
            })
          }
          if (check !== undefined) yield* check(others)
          const made = yield* insertImage(image, yield* Clock.currentTimeMillis)
          if (confirm !== undefined) yield* confirm(made)
          return made
        }),
        images.forget
      ).pipe(Effect.withSpan("Inventory.addImage")),
    settleImage: Effect.fn("Inventory.settleImage")((id, state, reason) =>
      write(
        `settle image ${id}`,
        Effect.asVoid(
          sql`update images set state = ${state}, reason = ${reason ?? null} where id = ${id} and state <> 'deleted'`
        ),
        images.forget
      )
    ),
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
        images.forget
      ).pipe(Effect.withSpan("Inventory.publishImage")),
    dropImage: Effect.fn("Inventory.dropImage")((id) =>
      write(`drop image ${id}`, Effect.asVoid(removeImage(id)), images.forget)
    ),
    deleteImage: (id, check, confirm) =>
      write(
        `delete image ${id}`,
        Effect.gen(function* () {
          const before = yield* imageRow(id)
          if (before === null) return yield* imageNotFound(id)
          if (check !== undefined) yield* check(before)
          const conflict = (reason: string) =>
            new Errors.ImageConflict({ image: `${id} (${before.config.name})`, reason })
          if (before.origin === "file") return yield* conflict("is given in the image file: take its line out there")
          const users = yield* Effect.flatMap(
            sql<Rows.Row>`select id, name from vms
              where image_id = ${id} and state not in ('destroyed', 'failed') order by id`,
            Rows.vmLabels.all
          )
          if (users.length > 0) {
            const need = users.length === 1 ? "needs it: destroy that VM first" : "need it: destroy those VMs first"
            return yield* conflict(`cannot be deleted while ${Hosts.listed("VM", users)} ${need}`)
          }
          const making = yield* operations.ofImage(id)
          if (making !== null) return yield* conflict(`is being published by operation ${making.id}: cancel that`)
          yield* removeImage(id)
          if (confirm !== undefined) yield* confirm(before)
          return before
        }),
        images.forget
      ).pipe(Effect.withSpan("Inventory.deleteImage")),
    setImageContent: Effect.fn("Inventory.setImageContent")((id, content) =>
      write(
        `keep what image ${id} holds`,
        Effect.flatMap(
          sql<Rows.Row>`update images set content = ${Rows.encodeImageContent(content)} where id = ${id} returning id`,
          (rows) => Effect.asVoid(Rows.only(rows, `image ${id} does not exist`))
        ),
        images.forget
      )
    ),

    types: offeredTypes.get,
    type: (tid: InstanceTypeId) =>
      Effect.flatMap(offeredTypes.get, (types) => {
        const type = types.find((one) => one.tid === tid)
        return type === undefined
          ? new Errors.InstanceTypeNotFound({ tid, known: types.map((one) => one.tid) })
          : Effect.succeed(type)
      }),

    knownTypes: read("read the types", allTypes),
    createType: Effect.fn("Inventory.createType")((type, confirm) =>
      write(
        "create an instance type",
        Effect.gen(function* () {
          const { cpu, disk, ram } = type
          const highest = Math.max(0, ...(yield* allTypes).map(({ tid }) => tid))
          const tid = type.tid ?? InstanceTypeId.make(Math.min(highest + 1, Number.MAX_SAFE_INTEGER))
          const known = yield* typeRow(tid)
          if (known !== null) {
            const where = known.origin === "file" ? "in the types file" : "made by the API"
            const reason = `is there already (${where}${known.retired ? ", and retired" : ""}): types are never changed, give another id`
            return yield* new Errors.InstanceTypeConflict({ tid, reason })
          }
          yield* sql`insert into instance_types (tid, cpu, ram, disk, position, origin)
            values (${tid}, ${cpu}, ${ram}, ${disk}, 0, 'api')`
          const made: KnownType = { tid, cpu, ram, disk, origin: "api", retired: false }
          if (confirm !== undefined) yield* confirm(made)
          return made
        }),
        offeredTypes.forget
      )
    ),
    retireType: (tid, check, confirm) =>
      write(
        `retire instance type ${tid}`,
        Effect.gen(function* () {
          const before = yield* typeRow(tid)
          if (before === null) return yield* typeNotFound(tid)
          if (check !== undefined) yield* check(before)
          yield* sql`update instance_types set retired = 1 where tid = ${tid}`
          const after = { ...before, retired: true }
          if (confirm !== undefined) yield* confirm({ before, after })
          return after
        }),
        offeredTypes.forget
      ).pipe(Effect.withSpan("Inventory.retireType")),

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
            if (key !== undefined && operation !== null) yield* RequestKeys.keep(sql, key, operation.id, now)
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
          const settings = changed(before, change)
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
            yield* updateReservation(Math.max(cpu, type.cpu), Math.max(ram, type.ram), id)
            const detail = { type: tid, cpu: type.cpu, ram: type.ram }
            const operation = yield* operations.insert({ kind: "ResizeVm", vmId: id, detail }, now)
            const resources = { ...vm.resources, cpu: type.cpu, ram: type.ram }
            const after = new Vm({ ...vm, instanceType: tid, resources }, { disableValidation: true })
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
          const rows = yield* updateSize(to.instanceType, cpu, ram, cpu, ram, now, id)
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
        const all = [...existing.values()]
        return filter?.host === undefined ? all : all.filter((vm) => vm.hostId === filter.host)
      }),
    vmPage: Effect.fn("Inventory.vmPage")((filter, order, after, limit) =>
      read("read a page of VMs", Pages.vms(sql, existing, filter, order, after, limit))
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
          released.forEach(rememberVolume)
        }
      )
    }),

    setVmPower: Effect.fn("Inventory.setVmPower")(function* (id, power) {
      const now = yield* Clock.currentTimeMillis
      yield* writeSimply(
        `want VM ${id} ${power}`,
        Effect.gen(function* () {
          const vm = yield* Effect.orDie(vmRow(id))
          if (!vm.settled || vm.state === power) return vm
          return yield* Rows.vms.one(yield* Rows.only(yield* updatePower(power, now, id), `VM ${id} does not exist`))
        }),
        remember
      )
    }),
    setOutcome: Effect.fn("Inventory.setOutcome")((id, outcome) =>
      writeSimply(`say how operation ${id} came about`, Effect.asVoid(operations.setOutcome(id, outcome)))
    ),

    observe: Effect.fn("Inventory.observe")((observed, now) =>
      writeSimply("remember what was seen of VMs", observations.observe(observed, now), (noted) => {
        for (const { drift, seen, vmId } of noted) {
          if (seen !== undefined) lastSeen.set(vmId, seen)
          if (drift !== undefined) {
            if (drift.size === 0) differing.delete(vmId)
            else differing.set(vmId, drift)
          }
        }
      }).pipe(Effect.asVoid)
    ),
    // as it is at any moment: a copy of it would be made for each VM that is asked for
    seen: Effect.succeed(lastSeen),
    drift: (filter) =>
      Effect.sync(() => {
        const vms = filter?.vm === undefined ? [...differing.keys()].sort((a, b) => a - b) : [filter.vm]
        return vms.flatMap((id) => [...(differing.get(id)?.values() ?? [])].sort(byField))
      }),

    admitVolume: (request, place, confirm) =>
      Effect.withSpan(
        changing(
          "admit a volume",
          Effect.gen(function* () {
            const { key } = request
            const before = key === undefined ? null : yield* RequestKeys.find(sql, key, "CreateVolume")
            if (before?.volumeId !== undefined && before.volumeId !== null) {
              const volume = yield* Effect.orDie(volumeRows.find(before.volumeId))
              return { result: { volume, operation: before }, hosts: [] }
            }
            const now = yield* Clock.currentTimeMillis
            const usage = yield* usages.now
            const result = yield* volumeRows.admit(request, (source) => place(usage, source), now)
            if (key !== undefined) yield* RequestKeys.keep(sql, key, result.operation.id, now)
            if (confirm !== undefined) yield* confirm(result)
            return { result, hosts: [result.volume.hostId] }
          }),
          ({ volume }) => rememberVolume(volume)
        ),
        "Inventory.admitVolume"
      ),
    changeVolume: (id, vmId, decide, key, confirm) =>
      Effect.withSpan(
        changing(
          `change volume ${id}`,
          Effect.gen(function* () {
            const before = key === undefined ? null : yield* RequestKeys.find(sql, key, "CreateSnapshot")
            if (before?.snapshotId !== undefined && before.snapshotId !== null) {
              const snapshot = yield* Effect.orDie(volumeRows.findSnapshot(before.snapshotId))
              return { result: { volume: yield* volumeRows.find(id), operation: before, snapshot }, hosts: [] }
            }
            const now = yield* Clock.currentTimeMillis
            const changed = yield* volumeRows.change(id, vmId, decide, now)
            const { operation } = changed.result
            if (key !== undefined && operation !== null) yield* RequestKeys.keep(sql, key, operation.id, now)
            if (confirm !== undefined) yield* confirm(changed.result)
            return changed
          }),
          ({ volume }) => rememberVolume(volume)
        ),
        "Inventory.changeVolume"
      ),
    settleVolume: Effect.fn("Inventory.settleVolume")((id, change) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.asVoid(changingSimply(`change volume ${id}`, volumeRows.settle(id, change, now), rememberVolume))
      )
    ),
    // asked for as often as VMs: no span, and no statement where it exists
    volume: (id) =>
      Effect.suspend(() => {
        const volume = existingVolumes.get(id)
        if (volume !== undefined) return Effect.succeed(volume)
        return Effect.filterOrFail(
          read(`read volume ${id}`, volumeRows.find(id)),
          ({ state }) => state !== "failed",
          () => new Errors.VolumeNotFound({ volumeId: id })
        )
      }),
    volumeRecord: Effect.fn("Inventory.volumeRecord")((id) => read(`read volume ${id}`, volumeRows.find(id))),
    volumes: (filter) =>
      Effect.sync(() =>
        [...existingVolumes.values()].filter(({ vmId }) => filter?.vm === undefined || vmId === filter.vm)
      ),
    volumePage: Effect.fn("Inventory.volumePage")((filter, after, limit) =>
      read("read a page of volumes", Pages.volumes(sql, existingVolumes, filter, after, limit))
    ),
    volumesToPurge: Effect.fn("Inventory.volumesToPurge")((now) =>
      read("read the volumes to purge", volumeRows.due(now))
    ),
    snapshot: Effect.fn("Inventory.snapshot")((id) =>
      Effect.filterOrFail(
        read(`read snapshot ${id}`, volumeRows.findSnapshot(id)),
        ({ state }) => state !== "failed" && state !== "destroyed",
        () => new Errors.SnapshotNotFound({ snapshotId: id })
      )
    ),
    snapshotRecord: Effect.fn("Inventory.snapshotRecord")((id) =>
      read(`read snapshot ${id}`, volumeRows.findSnapshot(id))
    ),
    snapshots: Effect.fn("Inventory.snapshots")((volume) =>
      read(`read the snapshots of volume ${volume}`, volumeRows.snapshotsOf(volume))
    ),

    usePool: Effect.fn("Inventory.usePool")((wanted) => write("check the pool", Fleet.checkPool(sql, wanted))),
    setPool: Effect.fn("Inventory.setPool")(({ available, capacity, driver, name, overcommit, used }) =>
      write(
        `keep what is known of pool ${name}`,
        sql`insert into pools (name, driver, capacity, used, available, overcommit)
          values (${name}, ${driver}, ${capacity}, ${used}, ${available}, ${overcommit})
          on conflict (name) do update set driver = ${driver}, capacity = ${capacity}, used = ${used},
            available = ${available}, overcommit = ${overcommit}`.pipe(Effect.asVoid)
      )
    ),
    pools: Effect.withSpan(read("read the pools", volumeRows.pools), "Inventory.pools"),

    keepRetry: ({ by, key, now, of }) =>
      Effect.zipRight(
        database.mustBeInside(`keep the retry of operation ${of}`),
        read(
          `keep the retry of operation ${of}`,
          Effect.gen(function* () {
            const before = key === undefined ? null : yield* RequestKeys.find(sql, key, "any")
            const already = before === null ? yield* operations.retry(of, by) : before.id
            if (already === null && key !== undefined) yield* RequestKeys.keep(sql, key, by, now)
            return already
          })
        )
      ),
    keyed: Effect.fn("Inventory.keyed")((key) => read("read what a request led to", RequestKeys.find(sql, key, "any"))),
    operation: (id) => read(`read operation ${id}`, operations.byId(id))
  })
})

/**
 * The inventory on the given database. Fails when the VMs cannot be read at start.
 *
 * @since 0.1.0 @category layers
 */
export const layer: Layer.Layer<Inventory, Errors.PersistenceError, Database> = Layer.effect(Inventory, make)
