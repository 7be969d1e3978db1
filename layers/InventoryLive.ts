/**
 * The inventory in the database. VMs that exist are also kept in memory, changed by commits alone: they are what is asked for most, and
 * nobody else writes the file.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { randomUUID } from "node:crypto"
import * as Errors from "../src/domain/Errors.ts"
import type { HostId, InstanceTypeId, VmId } from "../src/domain/Ids.ts"
import type { OperationKind } from "../src/domain/Operation.ts"
import type { Vm, VmState } from "../src/domain/Vm.ts"
import { type AdmitVm, type FleetConfig, type HostUsage, Inventory } from "../src/services/Inventory.ts"
import { Database } from "./Database.ts"
import * as Fleet from "./sql/Fleet.ts"
import * as Rows from "./sql/Rows.ts"

/** `52:54:00` is QEMU's own prefix. */
const randomMac = Effect.map(Random.nextIntBetween(0, 2 ** 24), (n) => {
  const hex = n.toString(16).padStart(6, "0")
  return `52:54:00:${hex.slice(0, 2)}:${hex.slice(2, 4)}:${hex.slice(4, 6)}`
})

const isOver = (state: VmState): boolean => state === "destroyed" || state === "failed"

const make = Effect.gen(function* () {
  const { read, sql, write } = yield* Database
  const decodeUsage = Rows.makeHostUsage()

  const vmColumns = sql.literal("id, uuid, name, tid, image_id, host_id, cpu, ram, disk, mac, state")
  const operationColumns = sql.literal("id, kind, vm_id, state, error")
  const isLive = sql.literal("state not in ('destroyed', 'failed')")

  /** In id order without sorting: new ids are the highest, and a Map keeps its keys in the order in which they came. */
  const existing = new Map<VmId, Vm>()
  const remember = (vm: Vm): void => {
    if (vm.exists) existing.set(vm.id, vm)
    else existing.delete(vm.id)
  }
  const stored = sql<Rows.Row>`select ${vmColumns} from vms where ${isLive} order by id`
  for (const vm of yield* read("read the VMs", Effect.flatMap(stored, Rows.vms.all))) remember(vm)

  /** All hosts, or one. Summed before it is joined: that is one walk through an index, whatever the number of hosts. */
  const usageOf = (id: HostId | null) =>
    Effect.flatMap(
      sql<Rows.Row>`select h.id, h.config, h.facts, coalesce(r.cpu, 0) as cpu, coalesce(r.ram, 0) as ram,
          coalesce(r.disk, 0) as disk, coalesce(r.vms, 0) as vms
        from hosts h left join (
          select host_id, sum(cpu) as cpu, sum(ram) as ram, sum(disk) as disk, count(*) as vms
          from reservations ${id === null ? sql.literal("") : sql`where host_id = ${id}`} group by host_id
        ) r on r.host_id = h.id
        where h.active = 1 ${id === null ? sql.literal("") : sql`and h.id = ${id}`} order by h.id`,
      decodeUsage
    )

  const offeredTypes = Effect.flatMap(
    sql<Rows.Row>`select tid, cpu, ram, disk from instance_types where offered = 1 order by position`,
    Rows.instanceTypes.all
  )

  const vmRow = (id: VmId) =>
    Effect.flatMap(sql<Rows.Row>`select ${vmColumns} from vms where id = ${id}`, ([row]) =>
      row === undefined ? new Errors.VmNotFound({ vmId: id }) : Rows.vms.one(row)
    )

  const freshMac = Effect.gen(function* () {
    // even with a million VMs one address in seventeen is taken
    for (;;) {
      const mac = yield* randomMac
      const taken = yield* sql<Rows.Row>`select 1 from vms where mac = ${mac} and ${isLive}`
      if (taken.length === 0) return mac
    }
  })

  const newOperation = Effect.fnUntraced(function* (kind: OperationKind, vmId: VmId, now: number) {
    const id = yield* Effect.sync(() => randomUUID())
    const rows = yield* sql<Rows.Row>`insert into operations (id, kind, vm_id, state, created_at)
      values (${id}, ${kind}, ${vmId}, 'pending', ${now}) returning ${operationColumns}`
    return yield* Rows.operations.one(yield* Rows.only(rows, `operation ${id} was not written`))
  })

  const changeState = Effect.fnUntraced(function* (id: VmId, state: VmState, now: number) {
    const rows = yield* sql<Rows.Row>`update vms set state = ${state}, updated_at = ${now}
      where id = ${id} returning ${vmColumns}`
    return yield* Rows.vms.one(yield* Rows.only(rows, `VM ${id} does not exist`))
  })

  const admit = <E>(request: AdmitVm, place: (usage: ReadonlyArray<HostUsage>) => Effect.Effect<HostId, E>) =>
    write(
      "admit a VM",
      Effect.gen(function* () {
        const usage = yield* usageOf(null)
        const hostId = yield* place(usage)
        if (!usage.some(({ host }) => host.id === hostId)) {
          return yield* Effect.dieMessage(`pm ${hostId} was chosen, which was not among the hosts to choose from`)
        }
        const now = yield* Clock.currentTimeMillis
        const uuid = yield* Effect.sync(() => randomUUID())
        const mac = yield* freshMac
        const { cpu, disk, ram, tid } = request.instanceType
        const rows = yield* sql<Rows.Row>`insert into vms
          (uuid, name, tid, image_id, host_id, cpu, ram, disk, mac, state, created_at, updated_at)
          values (${uuid}, ${request.name}, ${tid}, ${request.imageId}, ${hostId}, ${cpu}, ${ram}, ${disk}, ${mac},
            'creating', ${now}, ${now})
          returning ${vmColumns}`
        const vm = yield* Rows.vms.one(yield* Rows.only(rows, "the VM was not written"))
        yield* sql`insert into reservations (vm_id, host_id, cpu, ram, disk)
          values (${vm.id}, ${hostId}, ${cpu}, ${ram}, ${disk})`
        return { vm, operation: yield* newOperation("CreateVm", vm.id, now) }
      }),
      ({ vm }) => remember(vm)
    )

  return Inventory.of({
    applyFleet: Effect.fn("Inventory.applyFleet")((fleet: FleetConfig) =>
      write("apply the input files", Fleet.apply(sql, fleet))
    ),

    hosts: Effect.withSpan(read("read the hosts", usageOf(null)), "Inventory.hosts"),
    host: Effect.fn("Inventory.host")((id) =>
      read(
        `read pm ${id}`,
        Effect.flatMap(usageOf(id), ([usage]) =>
          usage === undefined ? new Errors.HostNotFound({ hostId: id }) : Effect.succeed(usage)
        )
      )
    ),
    setHostFacts: Effect.fn("Inventory.setHostFacts")((id, facts) =>
      write(
        `keep what pm ${id} said of itself`,
        // a host that was dropped meanwhile has no use for them
        sql`update hosts set facts = ${Rows.encodeHostFacts(facts)}, host_uuid = ${facts.uuid}
          where id = ${id} and active = 1`.pipe(Effect.asVoid)
      )
    ),

    images: Effect.withSpan(
      read(
        "read the images",
        Effect.flatMap(
          sql<Rows.Row>`select id, config, content from images where offered = 1 order by id`,
          Rows.images.all
        )
      ),
      "Inventory.images"
    ),
    image: Effect.fn("Inventory.image")((id) =>
      read(
        `read image ${id}`,
        Effect.gen(function* () {
          const [row] = yield* sql<Rows.Row>`select id, config, content from images where id = ${id}`
          if (row !== undefined) return yield* Rows.images.one(row)
          const known = yield* sql<{ readonly id: number }>`select id from images where offered = 1 order by id`
          return yield* new Errors.ImageNotFound({ imageId: id, known: known.map((row) => row.id) })
        })
      )
    ),
    setImageContent: Effect.fn("Inventory.setImageContent")((id, content) =>
      write(
        `keep what image ${id} holds`,
        Effect.flatMap(
          sql<Rows.Row>`update images set content = ${Rows.encodeImageContent(content)} where id = ${id} returning id`,
          (rows) => Effect.asVoid(Rows.only(rows, `image ${id} does not exist`))
        )
      )
    ),

    types: Effect.withSpan(read("read the types", offeredTypes), "Inventory.types"),
    type: Effect.fn("Inventory.type")((tid: InstanceTypeId) =>
      read(
        `read type ${tid}`,
        Effect.flatMap(offeredTypes, (types) => {
          const type = types.find((one) => one.tid === tid)
          return type === undefined
            ? new Errors.InstanceTypeNotFound({ tid, known: types.map((one) => one.tid) })
            : Effect.succeed(type)
        })
      )
    ),

    admit: (request, place) => Effect.withSpan(admit(request, place), "Inventory.admit"),

    beginDestroy: Effect.fn("Inventory.beginDestroy")((id) =>
      write(
        `begin to destroy VM ${id}`,
        Effect.gen(function* () {
          const vm = yield* vmRow(id)
          if (vm.state === "failed") return yield* new Errors.VmNotFound({ vmId: id })
          const [row] = yield* sql<Rows.Row>`select ${operationColumns} from operations
            where vm_id = ${id} and state not in ('done', 'failed')`
          if (row !== undefined) {
            const operation = yield* Rows.operations.one(row)
            if (operation.kind === "DestroyVm") return { vm, operation: Option.some(operation) }
            return yield* new Errors.VmBusy({ vmId: id, operationId: operation.id, doing: "it is still being created" })
          }
          if (vm.state === "destroyed") return { vm, operation: Option.none() }
          const now = yield* Clock.currentTimeMillis
          const destroying = yield* changeState(id, "destroying", now)
          return { vm: destroying, operation: Option.some(yield* newOperation("DestroyVm", id, now)) }
        }),
        ({ vm }) => remember(vm)
      ).pipe(Effect.map(({ operation }) => operation))
    ),

    // the hot path: no span, no statement
    vm: (id) =>
      Effect.suspend(() => {
        const vm = existing.get(id)
        return vm === undefined ? new Errors.VmNotFound({ vmId: id }) : Effect.succeed(vm)
      }),
    vmRecord: Effect.fn("Inventory.vmRecord")((id) => read(`read VM ${id}`, vmRow(id))),
    vms: (filter) =>
      Effect.sync(() => {
        const all = [...existing.values()]
        return filter?.host === undefined ? all : all.filter((vm) => vm.hostId === filter.host)
      }),

    setVmState: Effect.fn("Inventory.setVmState")((id, state) =>
      write(
        `set VM ${id} to ${state}`,
        Effect.gen(function* () {
          const before = yield* Effect.orDie(vmRow(id))
          // its reservation is gone, so it cannot come back
          if (isOver(before.state) && !isOver(state)) {
            return yield* Effect.dieMessage(`VM ${id} is ${before.state} and cannot become ${state}`)
          }
          if (isOver(state)) yield* sql`delete from reservations where vm_id = ${id}`
          return yield* changeState(id, state, yield* Clock.currentTimeMillis)
        }),
        remember
      ).pipe(Effect.asVoid)
    ),

    operation: Effect.fn("Inventory.operation")((id) =>
      read(
        `read operation ${id}`,
        Effect.flatMap(sql<Rows.Row>`select ${operationColumns} from operations where id = ${id}`, ([row]) =>
          row === undefined ? Effect.succeedNone : Effect.asSome(Rows.operations.one(row))
        )
      )
    )
  })
})

/**
 * The inventory on the given database. Fails when the VMs cannot be read at start.
 *
 * @since 0.1.0 @category layers
 */
export const layer: Layer.Layer<Inventory, Errors.PersistenceError, Database> = Layer.effect(Inventory, make)
