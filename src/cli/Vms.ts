/**
 * `vmfabric vm`.
 *
 * @since 0.5.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Vm } from "../api/Vms.ts"
import { OnCrash, VmState } from "../domain/Vm.ts"
import type { VmId } from "../domain/Ids.ts"
import * as CloudInit from "./CloudInit.ts"
import * as Drift from "./Drift.ts"
import { Refused, sentence } from "./Failure.ts"
import * as Networks from "./Networks.ts"
import * as Operations from "./Operations.ts"
import { answered, ask, list, time, toneOf, type View } from "./Output.ts"
import * as Pages from "./Pages.ts"
import * as Power from "./Power.ts"
import * as Progress from "./Progress.ts"
import * as Resolve from "./Resolve.ts"
import { client } from "./Session.ts"
import * as Verb from "./Verb.ts"

/** @since 0.5.0 @category views */
export const view: View<Vm> = {
  name: ({ id }) => id,
  columns: [
    { title: "ID", of: ({ id }) => id },
    { title: "NAME", of: ({ name }) => name },
    { title: "STATE", of: ({ state }) => state, tone: ({ state }) => toneOf(state) },
    { title: "SEEN", of: ({ seen }) => seen?.power ?? null, tone: ({ seen }) => toneOf(seen?.power ?? "") },
    { title: "TYPE", of: ({ instanceType }) => instanceType },
    { title: "IMAGE", of: ({ imageId }) => imageId },
    { title: "HOST", of: ({ hostId }) => hostId },
    { title: "DRIFT", of: ({ drift }) => drift },
    { title: "CREATED", of: ({ createdAt }) => time(createdAt) },
    { title: "CPU", of: ({ resources }) => resources.cpu, wide: true },
    { title: "RAM MIB", of: ({ resources }) => resources.ram, wide: true },
    { title: "DISK GIB", of: ({ resources }) => resources.disk, wide: true },
    { title: "MAC", of: ({ mac }) => mac, wide: true },
    {
      title: "ADDRESSES",
      of: ({ addresses }) => addresses?.map(({ address }) => address).join(",") ?? null,
      wide: true
    },
    {
      title: "NETWORKS",
      of: ({ nics }) =>
        nics.map(({ network, vlan }) => `${network ?? "default"}${vlan === null ? "" : `:${vlan}`}`).join(","),
      wide: true
    },
    { title: "ON CRASH", of: ({ onCrash }) => onCrash, wide: true },
    {
      title: "HOST STATUS",
      of: ({ hostStatus }) => hostStatus,
      tone: ({ hostStatus }) => toneOf(hostStatus),
      wide: true
    },
    { title: "WHY", of: ({ hostReason, seen }) => hostReason ?? seen?.reason ?? null, wide: true },
    { title: "DRIVER", of: ({ driver }) => driver, wide: true },
    { title: "UUID", of: ({ uuid }) => uuid, wide: true }
  ]
}

/** Which of its events change what a list of VMs shows. @since 0.5.0 @category constants */
export const events = { types: ["vm.created", "vm.changed", "vm.seen", "vm.drift"] } as const

/** Filters of lists of VMs. @since 0.5.0 @category options */
export const listing = Options.all({
  page: Pages.options,
  name: Options.optional(Verb.text("name", "BEGINNING", "Only those whose name begins like this.")),
  state: Options.optional(Verb.choice("state", VmState.literals, "Only those in this state.")),
  type: Options.optional(Verb.text("type", "TYPE", "Only those of this instance type.")),
  sort: Options.optional(
    Verb.choice("sort", ["id", "-id", "name", "-name", "created", "-created"], "By what; with - the other way round.")
  ),
  watch: Verb.watch
})

const word = Verb.word("vm", "Id or name of the VM.")

/** Shows one as it is now. */
const show = (id: VmId) =>
  Effect.gen(function* () {
    const { vms } = yield* client
    yield* ask(view, vms.getVm({ path: { id }, withResponse: true }))
  })

const own = {
  name: Verb.text("name", "NAME", "Its name; of several the beginning, before -1, -2, …"),
  type: Verb.text("type", "TYPE", "Its instance type, by id; see vmfabric type list."),
  image: Options.optional(
    Verb.text("image", "IMAGE", "What it starts from, by id or name; the first unless it is said.")
  ),
  onCrash: Options.optional(Verb.choice("on-crash", OnCrash.literals, "What becomes of it when its guest crashes.")),
  told: CloudInit.options
}

const verbs: ReadonlyArray<Verb.Verb> = [
  Verb.make({
    name: "list",
    about: "List VMs.",
    endpoints: ["listVms"],
    options: Options.all({ listing, host: Options.optional(Verb.text("host", "HOST", "Only those on this host.")) }),
    args: Args.none,
    run: ({ host, listing: { name, page, sort, state, type, watch } }) =>
      Effect.gen(function* () {
        const { vms } = yield* client
        const filter = {
          ...(yield* Resolve.maybe("host", host, Resolve.host)),
          ...(yield* Resolve.maybe("type", type, Resolve.type)),
          ...Verb.given("name", name),
          ...Verb.given("state", state),
          ...Verb.given("sort", sort)
        }
        yield* Pages.show(view, page, watch, events, "there are no such VMs", (at) =>
          vms.listVms({ urlParams: { ...filter, ...at }, withResponse: true })
        )
      })
  }),
  Verb.make({
    name: "get",
    about: "Show a VM.",
    endpoints: ["getVm", "listNics"],
    options: Options.all({ watch: Verb.watch }),
    args: word,
    run: ({ watch }, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { nics, vms } = yield* client
        // which reads the addresses that the VM is then shown with
        yield* nics.listNics({ path: { id } })
        yield* Pages.single(view, watch, { ...events, vm: id }, vms.getVm({ path: { id }, withResponse: true }))
      })
  }),
  Verb.make({
    name: "create",
    about: "Create a VM, or many that are alike.",
    endpoints: ["createVm", "createVms"],
    options: Options.all({
      ...own,
      nic: Networks.option,
      count: Options.optional(Verb.number("count", "N", "So many, 1 to 1000: as many as there is room for.")),
      noWait: Verb.noWait
    }),
    args: Args.none,
    run: ({ count, image, name, nic, noWait, onCrash, told, type }) =>
      Effect.gen(function* () {
        const { vms } = yield* client
        const payload = {
          name,
          instanceType: yield* Resolve.type(type),
          ...(yield* Resolve.maybe("image", image, Resolve.image)),
          ...Verb.given("onCrash", onCrash),
          ...(yield* Networks.parsed(nic)),
          ...(yield* CloudInit.given(told))
        }
        if (Option.isNone(count)) {
          return yield* Operations.begin(noWait, vms.createVm({ payload, withResponse: true }), (operation) =>
            operation === undefined || operation.vmId === null ? Operations.shown(operation) : show(operation.vmId)
          )
        }
        if (payload.nics?.some(({ mac }) => mac !== undefined) === true) {
          return yield* new Refused({
            why: "usage",
            message: "--nic with mac= is for one VM: of several each has addresses of its own, which are made up",
            field: "nic"
          })
        }
        const { body, value } = yield* answered(
          vms.createVms({ payload: { ...payload, count: count.value }, withResponse: true })
        )
        const { operations, refused } = value
        if (noWait) {
          yield* list(Operations.view, operations, body, "none was begun")
        } else {
          const ended = yield* Progress.waitAll(operations)
          const failures = ended.filter(Exit.isFailure).length
          const made = new Set(ended.flatMap((exit) => (Exit.isSuccess(exit) ? [exit.value.vmId] : [])))
          const all = yield* Resolve.allPages((at) =>
            vms.listVms({ urlParams: { ...at, name: `${name}-` }, withResponse: true })
          )
          const items = all.value.items.filter(({ id }) => made.has(id))
          const ids = new Set(items.map(({ id }) => String(id)))
          const bodies = itemsOf(all.body).filter((item) => ids.has(String(idOf(item))))
          yield* list(view, items, { items: bodies, next: null, total: items.length }, "none was created")
          if (failures > 0) {
            return yield* new Refused({
              why: "failed",
              message: `${failures} of ${operations.length} VMs could not be created: vmfabric operation list --kind CreateVm --state failed says why`
            })
          }
        }
        if (refused !== null) {
          return yield* new Refused({
            why: "failed",
            message: `${refused.count} of ${count.value} VMs were not begun: ${sentence(refused.problem)}`
          })
        }
      })
  }),
  Verb.make({
    name: "set",
    about: "Change what becomes of a VM after a crash.",
    endpoints: ["changeVm"],
    options: Options.all({
      onCrash: Verb.choice("on-crash", OnCrash.literals, "leave: nothing; restart: it is started again.")
    }),
    args: word,
    run: ({ onCrash }, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { vms } = yield* client
        yield* ask(view, vms.changeVm({ path: { id }, payload: { onCrash }, withResponse: true }))
      })
  }),
  CloudInit.verb,
  Verb.make({
    name: "destroy",
    about: "Destroy a VM, whatever its state. Its volumes stay.",
    endpoints: ["destroyVm"],
    options: Options.all({ noWait: Verb.noWait }),
    args: word,
    run: ({ noWait }, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { vms } = yield* client
        yield* Operations.begin(noWait, vms.destroyVm({ path: { id }, withResponse: true }), (operation) =>
          Operations.orOperation(operation, show(id))
        )
      })
  }),
  ...Power.verbs(show),
  Verb.make({
    name: "repair",
    about: "Make a VM what it should be, as far as nothing is taken from a running guest.",
    endpoints: ["repairVm"],
    options: Options.all({ noWait: Verb.noWait }),
    args: word,
    run: ({ noWait }, text) => Drift.repair(noWait, text, show)
  })
]

const itemsOf = (body: unknown): ReadonlyArray<unknown> =>
  typeof body === "object" && body !== null && "items" in body && Array.isArray(body.items) ? body.items : []

const idOf = (item: unknown): unknown => (typeof item === "object" && item !== null && "id" in item ? item.id : null)

/** @since 0.5.0 @category nouns */
export const noun: Verb.Noun = { name: "vm", about: "virtual machines", verbs }
