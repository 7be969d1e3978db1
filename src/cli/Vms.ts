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
import { showAll } from "../domain/Placement.ts"
import { ListedVmState, OnCrash } from "../domain/Vm.ts"
import type { VmId } from "../domain/Ids.ts"
import * as CloudInit from "./CloudInit.ts"
import * as Drift from "./Drift.ts"
import { brief, Refused, refusalIn } from "./Failure.ts"
import * as Inspections from "./Inspections.ts"
import * as Networks from "./Networks.ts"
import * as Operations from "./Operations.ts"
import * as Placement from "./Placement.ts"
import { answered, ask, list, note, one, time, toneOf, type View } from "./Output.ts"
import * as Pages from "./Pages.ts"
import * as Placements from "./Placements.ts"
import * as Power from "./Power.ts"
import * as Progress from "./Progress.ts"
import * as Resolve from "./Resolve.ts"
import { client } from "./Session.ts"
import * as Statistics from "./Statistics.ts"
import * as Sure from "./Sure.ts"
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
    { title: "TAGS", of: ({ tags }) => tags.join(",") },
    { title: "CREATED", of: ({ createdAt }) => time(createdAt) },
    { title: "CPU", of: ({ resources }) => resources.cpu, wide: true },
    { title: "RAM MIB", of: ({ resources }) => resources.ram, wide: true },
    { title: "DISK GIB", of: ({ resources }) => resources.disk, wide: true },
    { title: "MAC", of: ({ mac }) => mac, wide: true },
    { title: "OWNER", of: ({ owner = null }) => owner, wide: true },
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
    { title: "PROTECTED", of: (vm) => vm.protected, wide: true },
    { title: "AUTOSTART", of: ({ autostart }) => autostart, wide: true },
    {
      title: "LABELS",
      of: ({ labels }) =>
        Object.entries(labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(","),
      wide: true
    },
    { title: "DESCRIPTION", of: ({ description }) => description, wide: true },
    { title: "PLACEMENT", of: ({ placement }) => showAll(placement), wide: true },
    {
      title: "VIOLATED",
      of: ({ violations }) => violations.map(({ reason, rule }) => `${rule}: ${reason}`).join("; "),
      tone: ({ violations }) => (violations.some(({ strength }) => strength === "must") ? "bad" : undefined),
      wide: true
    },
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
  ids: Pages.ids,
  name: Options.optional(Verb.text("name", "BEGINNING", "Only those whose name begins like this.")),
  state: Options.optional(Verb.choice("state", ListedVmState.literals, "Only those in this state.")),
  type: Options.optional(Verb.text("type", "TYPE", "Only those of this instance type.")),
  owner: Options.optional(Verb.text("owner", "USER", "Only those that this user had made.")),
  tag: Verb.text("tag", "TAG", "Only those with this tag; repeated: with all of them.").pipe(Options.repeated),
  label: Options.optional(Verb.text("label", "KEY[=VALUE]", "Only those with this label.")),
  sort: Options.optional(
    Verb.choice(
      "sort",
      ["id", "-id", "name", "-name", "created", "-created", "owner", "-owner"],
      "By what; with - the other way round."
    )
  ),
  watch: Verb.watch
})

type Listing = typeof listing extends Options.Options<infer A> ? A : never

/** What a list is asked for by those. @since 0.9.0 @category conversions */
export const asked = Effect.fn("Vms.asked")(function* ({
  ids,
  label,
  name,
  owner,
  sort,
  state,
  tag,
  type
}: Omit<Listing, "page" | "watch">) {
  return {
    ...(yield* Resolve.maybe("ids", ids, Resolve.vmIds)),
    ...(yield* Resolve.maybe("type", type, Resolve.type)),
    ...(yield* Resolve.maybe("owner", owner, Resolve.user)),
    ...Verb.given("name", name),
    ...Verb.given("state", state),
    ...(tag.length === 0 ? {} : { tag: tag.join(",") }),
    ...Verb.given("label", label),
    ...Verb.given("sort", sort)
  }
})

const word = Verb.word("vm", "Id or name of the VM.")

/** Shows one as it is now. */
const show = (id: VmId) =>
  Effect.gen(function* () {
    const { vms } = yield* client
    yield* ask(view, vms.getVm({ path: { id }, withResponse: true }))
  })

/** What goes with it, and what stays. */
const losses = (id: VmId) =>
  Effect.gen(function* () {
    const { vms, volumes } = yield* client
    const { name, resources } = yield* vms.getVm({ path: { id } })
    const { items, total } = yield* volumes.listVolumes({ urlParams: { vm: id, limit: 10 } })
    const names = items.map((volume) => `${volume.name} (${volume.id})`)
    if (total > items.length) names.push(`${total - items.length} more`)
    return [
      `VM ${id} (${name}) goes for good, with all that is on its root disk of ${resources.disk} GiB.`,
      ...(total === 0 ? [] : [`What it has attached stays, and is free again: ${names.join(", ")}.`])
    ]
  })

const own = {
  name: Verb.text("name", "NAME", "Its name; of several the beginning, before -1, -2, …"),
  type: Verb.text("type", "TYPE", "Its instance type, by id; see vmfabric type list."),
  image: Options.optional(
    Verb.text("image", "IMAGE", "What it starts from, by id or name; the first unless it is said.")
  ),
  onCrash: Options.optional(Verb.choice("on-crash", OnCrash.literals, "What becomes of it when its guest crashes.")),
  protect: Verb.toggle("protect", "It cannot be destroyed until vm set --unprotect."),
  autostart: Verb.toggle("autostart", "Its host starts it when it boots, unless it was stopped on purpose."),
  description: Options.optional(Verb.text("description", "TEXT", "What people say of it.")),
  tag: Verb.text("tag", "TAG", "A short word on it; may be repeated.").pipe(Options.repeated),
  label: Verb.text("label", "KEY=VALUE", "A word on it by what it is about; may be repeated.").pipe(Options.repeated),
  placed: Options.all(Placement.options),
  told: CloudInit.options
}

const verbs: ReadonlyArray<Verb.Verb> = [
  Verb.make({
    name: "list",
    about: "List VMs.",
    endpoints: ["listVms"],
    options: Options.all({ listing, host: Options.optional(Verb.text("host", "HOST", "Only those on this host.")) }),
    args: Args.none,
    run: ({ host, listing: { page, watch, ...filters } }) =>
      Effect.gen(function* () {
        const { vms } = yield* client
        const filter = { ...(yield* Resolve.maybe("host", host, Resolve.host)), ...(yield* asked(filters)) }
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
      count: Options.optional(
        Verb.number("count", "N", "So many, 1 to 1000: as many as there is room for, and with rules all or none.")
      ),
      noWait: Verb.noWait
    }),
    args: Args.none,
    run: (given) =>
      Effect.gen(function* () {
        const { autostart, count, description, image, label, name, nic, noWait, onCrash, protect, tag, told, type } =
          given
        const { vms } = yield* client
        const labels = yield* labelsOf(label)
        const payload = {
          name,
          instanceType: yield* Resolve.type(type),
          ...(yield* Resolve.maybe("image", image, Resolve.image)),
          ...Verb.given("onCrash", onCrash),
          ...(yield* Networks.parsed(nic)),
          ...Verb.given("description", description),
          ...(protect ? { protected: true } : {}),
          ...(autostart ? { autostart: true } : {}),
          ...(tag.length === 0 ? {} : { tags: tag }),
          ...(label.length === 0 ? {} : { labels }),
          ...(yield* Placement.given(given.placed)),
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
            const failed = `${failures} of ${operations.length} VMs could not be created: vmfabric operation list --kind CreateVm --state failed says why`
            if (refused === null) return yield* new Refused({ why: "failed", message: failed })
            yield* note(failed)
          }
        }
        if (refused !== null) {
          return yield* new Refused({
            why: "failed",
            message: `${refused.count} of ${count.value} VMs were not begun: ${brief(refused.problem)}`,
            ...refusalIn(refused.problem)
          })
        }
      })
  }),
  Verb.make({
    name: "set",
    about: "Change what is said of a VM: its name, words on it, what becomes of it after a crash, where it is to be.",
    endpoints: ["changeVm", "getVm"],
    options: Options.all({
      rename: Options.optional(Verb.text("rename", "NAME", "Another name, also for its domain, while it runs.")),
      onCrash: Options.optional(
        Verb.choice("on-crash", OnCrash.literals, "leave: nothing; restart: it is started again.")
      ),
      protect: Verb.toggle("protect", "It cannot be destroyed until this is lifted."),
      unprotect: Verb.toggle("unprotect", "It can be destroyed again."),
      autostart: Verb.toggle("autostart", "Its host starts it when it boots, unless it was stopped on purpose."),
      noAutostart: Verb.toggle("no-autostart", "Its host does not start it."),
      description: Options.optional(Verb.text("description", "TEXT", "What people say of it.")),
      tag: Verb.text("tag", "TAG", "Puts a short word on it; may be repeated.").pipe(Options.repeated),
      untag: Verb.text("untag", "TAG", "Takes a word from it; may be repeated.").pipe(Options.repeated),
      label: Verb.text("label", "KEY=VALUE", "Puts a label on it; may be repeated.").pipe(Options.repeated),
      unlabel: Verb.text("unlabel", "KEY", "Takes a label from it; may be repeated.").pipe(Options.repeated),
      placed: Options.all(Placement.options),
      taken: Options.all(Placement.taking),
      noWait: Verb.noWait
    }),
    args: word,
    run: (given, text) =>
      Effect.gen(function* () {
        const { description, label, noWait, onCrash, rename, tag, unlabel, untag } = given
        const id = yield* Resolve.vm(text)
        const { vms } = yield* client
        const isProtected = yield* either("protect", given.protect, "unprotect", given.unprotect)
        const autostart = yield* either("autostart", given.autostart, "no-autostart", given.noAutostart)
        const labels = { ...(yield* labelsOf(label)), ...Object.fromEntries(unlabel.map((key) => [key, null])) }
        // those that are there are read first; whoever changes them meanwhile is noticed
        const [before, response] = yield* vms.getVm({ path: { id }, withResponse: true })
        const { etag } = response.headers
        const words = tag.length + untag.length > 0
        const tags = [...new Set([...before.tags, ...tag])].filter((one) => !untag.includes(one))
        const placement = yield* Placement.changed(given.placed, given.taken, before.placement)
        const payload = {
          ...Verb.given("name", rename),
          ...Verb.given("onCrash", onCrash),
          ...Verb.given("description", description),
          ...(isProtected === undefined ? {} : { protected: isProtected }),
          ...(autostart === undefined ? {} : { autostart }),
          ...(words ? { tags } : {}),
          ...(label.length + unlabel.length > 0 ? { labels } : {}),
          ...placement
        }
        if (Object.keys(payload).length === 0) {
          return yield* new Refused({ why: "usage", message: "say what is to be different (vmfabric vm set --help)" })
        }
        const headers = (words || "placement" in placement) && etag !== undefined ? { "if-match": etag } : {}
        const { body, value } = yield* answered(vms.changeVm({ path: { id }, payload, headers, withResponse: true }))
        if (!("kind" in value)) return yield* one(view, { body, value })
        yield* Operations.settle(noWait, { body, value }, () => show(id))
      })
  }),
  Verb.make({
    name: "resize",
    about:
      "Give a VM that is off the vCPUs and the memory of another instance type. Its root disk stays as large as it is.",
    endpoints: ["resizeVm"],
    options: Options.all({
      type: Verb.text("type", "TYPE", "The instance type; vmfabric type list shows them."),
      noWait: Verb.noWait
    }),
    args: word,
    run: ({ noWait, type }, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { vms } = yield* client
        const payload = { instanceType: yield* Resolve.type(type) }
        const call = vms.resizeVm({ path: { id }, payload, headers: {}, withResponse: true })
        yield* Operations.begin(noWait, call, (operation) => Operations.orOperation(operation, show(id)))
      })
  }),
  CloudInit.verb,
  Verb.make({
    name: "destroy",
    about: "Destroy a VM, whatever its state. Its volumes stay.",
    endpoints: ["destroyVm"],
    options: Options.all({ noWait: Verb.noWait, yes: Sure.yes }),
    args: word,
    run: ({ noWait, yes }, text, planning) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { vms } = yield* client
        yield* Sure.ask({ yes, planning }, losses(id))
        yield* Operations.begin(noWait, vms.destroyVm({ path: { id }, withResponse: true }), (operation) =>
          Operations.orOperation(operation, show(id))
        )
      })
  }),
  ...Placements.verbs,
  ...Power.verbs(show),
  Verb.make({
    name: "repair",
    about:
      "Make a VM what it should be, as far as nothing is taken from a running guest; a domain that is gone is defined anew over its root disk.",
    endpoints: ["repairVm"],
    options: Options.all({ noWait: Verb.noWait }),
    args: word,
    run: ({ noWait }, text) => Drift.repair(noWait, text, show)
  }),
  ...Inspections.verbs,
  ...Statistics.verbs
]

/** `KEY=VALUE` each. */
const labelsOf = (all: ReadonlyArray<string>): Effect.Effect<Readonly<Record<string, string>>, Refused> => {
  const wrong = all.find((text) => text.indexOf("=") < 1)
  return wrong === undefined
    ? Effect.succeed(
        Object.fromEntries(all.map((text) => [text.slice(0, text.indexOf("=")), text.slice(text.indexOf("=") + 1)]))
      )
    : new Refused({ why: "usage", message: `--label ${wrong}: expected KEY=VALUE`, field: "label" })
}

/** Which of two flags that are each other's opposite was given; undefined: none. */
const either = (yes: string, isYes: boolean, no: string, isNo: boolean): Effect.Effect<boolean | undefined, Refused> =>
  isYes && isNo
    ? new Refused({ why: "usage", message: `--${yes} and --${no} at once: give one of them`, field: yes })
    : Effect.succeed(isYes ? true : isNo ? false : undefined)

const itemsOf = (body: unknown): ReadonlyArray<unknown> =>
  typeof body === "object" && body !== null && "items" in body && Array.isArray(body.items) ? body.items : []

const idOf = (item: unknown): unknown => (typeof item === "object" && item !== null && "id" in item ? item.id : null)

/** @since 0.5.0 @category nouns */
export const noun: Verb.Noun = { name: "vm", about: "virtual machines", verbs }
