/**
 * `vmfabric host`, `type` and `pool`: what VMs are made of.
 *
 * @since 0.5.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { Finding, Host } from "../api/Hosts.ts"
import type { InstanceType } from "../api/InstanceTypes.ts"
import type { Pool } from "../api/Pools.ts"
import * as InputFiles from "../config/InputFiles.ts"
import type { HostConfig } from "../domain/Host.ts"
import { showAllRequired } from "../domain/Placement.ts"
import { Refused } from "./Failure.ts"
import { answered, ask, list, note, time, toneOf, type View } from "./Output.ts"
import * as Pages from "./Pages.ts"
import * as Placement from "./Placement.ts"
import * as Resolve from "./Resolve.ts"
import { client } from "./Session.ts"
import * as Statistics from "./Statistics.ts"
import * as Sure from "./Sure.ts"
import * as Verb from "./Verb.ts"
import * as Vms from "./Vms.ts"

/** Which events change what is shown of hosts. */
const types = ["host.added", "host.changed", "host.removed"] as const

/** Of what can be promised, what is free. */
const left = (what: "cpu" | "ram" | "disk") => (host: Host) => `${host.free[what]}/${host.capacity[what]}`

/** As a line of the machine file would have it. */
const configOf = ({
  address,
  labels,
  limit,
  network,
  networks,
  overcommit,
  path,
  reserved,
  virt
}: Host): HostConfig => ({
  address,
  virt,
  overcommit,
  limit,
  reserved,
  ...(network === null ? {} : { network }),
  networks,
  path,
  labels
})

const view: View<Host> = {
  name: ({ id }) => id,
  columns: [
    { title: "ID", of: ({ id }) => id },
    { title: "NAME", of: ({ name }) => name },
    { title: "STATUS", of: ({ status }) => status, tone: ({ status }) => toneOf(status) },
    {
      title: "MAINTENANCE",
      of: ({ maintenance }) => maintenance,
      tone: ({ maintenance }) => (maintenance ? "moving" : undefined)
    },
    { title: "ORIGIN", of: ({ origin }) => origin, wide: true },
    { title: "VMS", of: ({ vms }) => vms },
    { title: "FREE CPU", of: left("cpu") },
    { title: "FREE RAM MIB", of: left("ram") },
    { title: "FREE DISK GIB", of: left("disk") },
    { title: "REASON", of: ({ reason }) => reason },
    { title: "SINCE", of: ({ since }) => time(since), wide: true },
    {
      title: "TRAITS",
      of: ({ traits }) =>
        Object.entries(traits)
          .map(([key, value]) => `${key}=${value}`)
          .join(" "),
      wide: true
    },
    { title: "SETTINGS", of: (host) => InputFiles.formatMachine(configOf(host)), wide: true }
  ]
}

/** Lists leave out what one is told of its processor. */
const wholeView: View<Host> = {
  ...view,
  columns: [...view.columns, { title: "CPU FEATURES", of: ({ facts }) => facts?.features?.join(" ") ?? null }]
}

const word = Verb.word("host", "Id, name or address of the host.")

const settings = Args.text({ name: "key=value" }).pipe(
  Args.withDescription(
    "As on a line of the machine file: network=NAME, network.NAME=bridge:br0, virt=kvm, overcommit.cpu=8, ram=65536, reserved.ram=4096, path=/folder, label.KEY=VALUE."
  ),
  Args.repeated
)

const read = (words: readonly [string, ...Array<string>]) =>
  Either.mapLeft(
    InputFiles.parseMachineWords(words, "host"),
    ({ message }) => new Refused({ why: "usage", message, field: "host" })
  )

const keyOf = (word: string) => word.split("=", 1)[0] ?? word

/** The words it has now, but for those that are given another value or taken away. */
const changedWords = (host: Host, given: ReadonlyArray<string>, removed: ReadonlyArray<string>) => {
  const [address, ...words] = InputFiles.machineWordsOf(configOf(host))
  const gone = new Set([...removed, ...given.map(keyOf)])
  return [address, ...words.filter((word) => !gone.has(keyOf(word))), ...given] as const
}

const addVerb = Verb.make({
  name: "add",
  about: "Add a host, which is used from now on as soon as it is reached.",
  endpoints: ["addHost"],
  options: Verb.noOptions,
  args: Args.all([Verb.word("address", "Where its sshd answers, as user@host or user@host:port."), settings]),
  run: (_, [address, words]) =>
    Effect.gen(function* () {
      const payload = yield* read([address, ...words])
      const { hosts } = yield* client
      yield* ask(view, hosts.addHost({ payload, urlParams: {}, withResponse: true }))
    })
})

const setVerb = Verb.make({
  name: "set",
  about: "Change settings of a host that was added; those of the machine file are changed there.",
  endpoints: ["changeHost"],
  options: Options.all({
    user: Options.optional(Verb.text("user", "NAME", "Who logs in there.")),
    remove: Options.repeated(
      Verb.text("remove", "KEY", "Take this setting away, as in label.rack; may be given several times.")
    )
  }),
  args: Args.all([word, settings]),
  run: ({ remove, user }, [text, words]) =>
    Effect.gen(function* () {
      const id = yield* Resolve.host(text)
      const { hosts } = yield* client
      const before = yield* hosts.getHost({ path: { id } })
      const { address: _, ...config } = yield* read(changedWords(before, words, remove))
      const payload = { reserved: {}, network: null, networks: {}, ...config, ...Verb.given("user", user) }
      yield* ask(view, hosts.changeHost({ path: { id }, payload, withResponse: true }))
    })
})

const removeVerb = Verb.make({
  name: "remove",
  about: "Remove a host that was added and has neither VMs nor volumes; nothing connects to it any more.",
  endpoints: ["removeHost"],
  options: Verb.noOptions,
  args: word,
  run: (_, text) =>
    Effect.gen(function* () {
      const id = yield* Resolve.host(text)
      const { hosts } = yield* client
      yield* hosts.removeHost({ path: { id }, urlParams: {} })
      yield* note(`host ${id} is removed`)
    })
})

const lostVerb = Verb.make({
  name: "lost",
  about:
    "Declare that a host that is down never comes back: what was on it counts as gone, so that nothing waits for it, and its VMs and volumes can be destroyed.",
  endpoints: ["changeHost"],
  options: Options.all({ yes: Sure.yes }),
  args: word,
  run: ({ yes }, text, planning) =>
    Effect.gen(function* () {
      const id = yield* Resolve.host(text)
      const { hosts } = yield* client
      yield* Sure.ask(
        { yes, planning },
        Effect.map(hosts.getHost({ path: { id } }), ({ name, vms }) => [
          `What is on ${name} counts as gone, with ${vms === 1 ? "its VM" : `its ${vms} VMs`}; volumes in a pool stay.`,
          "What still runs there goes on, and nobody sees it: take its power away first."
        ])
      )
      yield* ask(view, hosts.changeHost({ path: { id }, payload: { lost: true }, withResponse: true }))
    })
})

const foundVerb = Verb.make({
  name: "found",
  about:
    "Take back that a host is lost, and watch it again: domains of VMs that were destroyed meanwhile are removed there, and disks are listed as foreign.",
  endpoints: ["changeHost"],
  options: Verb.noOptions,
  args: word,
  run: (_, text) =>
    Effect.gen(function* () {
      const id = yield* Resolve.host(text)
      const { hosts } = yield* client
      yield* ask(view, hosts.changeHost({ path: { id }, payload: { lost: false }, withResponse: true }))
    })
})

const levels = { ok: undefined, warning: "moving", failure: "bad" } as const

const findings: View<Finding> = {
  name: ({ check, hostId }) => `${hostId} ${check}`,
  columns: [
    { title: "HOST", of: ({ host }) => host },
    { title: "CHECK", of: ({ check }) => check },
    { title: "RESULT", of: ({ level }) => level, tone: ({ level }) => levels[level] },
    { title: "SEEN", of: ({ seen }) => seen },
    { title: "WHAT IT MEANS", of: ({ means }) => means },
    { title: "MENDED BY", of: ({ mend }) => mend }
  ]
}

const doctorVerb = Verb.make({
  name: "doctor",
  about:
    "Examine hosts, all or one, and say what is wrong and how it is mended. Exit status 1: something does not work.",
  endpoints: ["examineHosts"],
  options: Verb.noOptions,
  args: Args.optional(word),
  run: (_, text) =>
    Effect.gen(function* () {
      const { hosts } = yield* client
      const host = Option.isNone(text) ? {} : { host: yield* Resolve.host(text.value) }
      const answer = yield* answered(hosts.examineHosts({ urlParams: host, withResponse: true }))
      const { items } = answer.value
      yield* list(findings, items, answer.body, "there are no hosts")
      const failures = items.filter(({ level }) => level === "failure").length
      if (failures > 0) {
        return yield* new Refused({
          why: "failed",
          message: `${failures} ${failures === 1 ? "thing does" : "things do"} not work`
        })
      }
    })
})

/** @since 0.5.0 @category nouns */
export const noun: Verb.Noun = {
  name: "host",
  about: "servers that VMs run on",
  verbs: [
    Verb.make({
      name: "list",
      about: "List hosts.",
      endpoints: ["listHosts"],
      options: Options.all({ watch: Verb.watch }),
      args: Args.none,
      run: ({ watch }) =>
        Effect.gen(function* () {
          const { hosts } = yield* client
          yield* Pages.whole(
            view,
            watch,
            { types },
            "there are no hosts: vmfabric host add root@h1 adds one",
            hosts.listHosts({ withResponse: true })
          )
        })
    }),
    Verb.make({
      name: "get",
      about: "Show a host.",
      endpoints: ["getHost"],
      options: Options.all({ watch: Verb.watch }),
      args: word,
      run: ({ watch }, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.host(text)
          const { hosts } = yield* client
          yield* Pages.single(
            wholeView,
            watch,
            { types, host: id },
            hosts.getHost({ path: { id }, withResponse: true })
          )
        })
    }),
    addVerb,
    setVerb,
    removeVerb,
    doctorVerb,
    Verb.make({
      name: "maintenance",
      about: "Put a host into maintenance, so that nothing new is placed there, or out of it.",
      endpoints: ["changeHost"],
      options: Verb.noOptions,
      args: Args.all([
        word,
        Args.choice(
          [
            ["on", true],
            ["off", false]
          ],
          { name: "on|off" }
        )
      ]),
      run: (_, [text, maintenance]) =>
        Effect.gen(function* () {
          const id = yield* Resolve.host(text)
          const { hosts } = yield* client
          yield* ask(view, hosts.changeHost({ path: { id }, payload: { maintenance }, withResponse: true }))
        })
    }),
    lostVerb,
    foundVerb,
    Verb.make({
      name: "look",
      about: "Look at everything on a host now.",
      endpoints: ["lookAtHost"],
      options: Verb.noOptions,
      args: word,
      run: (_, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.host(text)
          const { hosts } = yield* client
          yield* ask(view, hosts.lookAtHost({ path: { id }, withResponse: true }))
        })
    }),
    Verb.make({
      name: "vms",
      about: "List a host's VMs.",
      endpoints: ["listHostVms"],
      options: Vms.listing,
      args: word,
      run: ({ page, watch, ...filters }, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.host(text)
          const { hosts } = yield* client
          const filter = yield* Vms.asked(filters)
          yield* Pages.show(Vms.view, page, watch, Vms.events, "there are no such VMs", (at) =>
            hosts.listHostVms({ path: { id }, urlParams: { ...filter, ...at }, withResponse: true })
          )
        })
    }),
    ...Statistics.hostVerbs
  ]
}

const typeView: View<InstanceType> = {
  name: ({ id }) => id,
  columns: [
    { title: "ID", of: ({ id }) => id },
    { title: "CPU", of: ({ cpu }) => cpu },
    { title: "RAM MIB", of: ({ ram }) => ram },
    { title: "DISK GIB", of: ({ disk }) => disk },
    { title: "REQUIRES", of: ({ requires }) => showAllRequired(requires) },
    { title: "FROM", of: ({ origin }) => origin },
    { title: "RETIRED", of: ({ retired }) => retired, wide: true }
  ]
}

/** @since 0.5.0 @category nouns */
export const type: Verb.Noun = {
  name: "type",
  about: "sizes VMs can have",
  verbs: [
    Verb.make({
      name: "list",
      about: "List the instance types on offer.",
      endpoints: ["listInstanceTypes"],
      options: Options.all({ retired: Verb.toggle("retired", "Also those that new VMs cannot have any more.") }),
      args: Args.none,
      run: ({ retired }) =>
        Effect.gen(function* () {
          const { instanceTypes } = yield* client
          yield* Pages.whole(
            typeView,
            false,
            {},
            "there are no instance types",
            instanceTypes.listInstanceTypes({ urlParams: { retired }, withResponse: true })
          )
        })
    }),
    Verb.make({
      name: "create",
      about: "Create an instance type. It is never changed; make another and retire this one.",
      endpoints: ["createInstanceType"],
      options: Options.all({
        cpu: Verb.number("cpu", "N", "vCPUs."),
        ram: Verb.size("ram", "MiB", "Memory"),
        disk: Verb.size("disk", "GiB", "Root disk"),
        requires: Verb.text(
          "requires",
          "LABEL=VALUE,…",
          "A label of hosts that its VMs are to be on, with the values that do; may be repeated, for each label. As in host.virt=kvm and " +
            "host.cpu.feature.avx512f=yes; a VALUE with commas stands in double quotes."
        ).pipe(Options.repeated),
        id: Options.optional(Verb.number("id", "ID", "Its id; the next that was never given unless it is said."))
      }),
      args: Args.none,
      run: ({ cpu, disk, id, ram, requires }) =>
        Effect.gen(function* () {
          const { instanceTypes } = yield* client
          const payload = {
            cpu,
            ram,
            disk,
            ...(yield* Placement.required(requires)),
            ...(yield* Resolve.maybe("id", Option.map(id, String), Resolve.type))
          }
          yield* ask(typeView, instanceTypes.createInstanceType({ payload, urlParams: {}, withResponse: true }))
        })
    }),
    Verb.make({
      name: "retire",
      about: "Retire an instance type, so that no new VM gets it. VMs that have it keep what they were made with.",
      endpoints: ["retireInstanceType"],
      options: Verb.noOptions,
      args: Verb.word("type", "Id of the instance type."),
      run: (_, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.type(text)
          const { instanceTypes } = yield* client
          yield* ask(typeView, instanceTypes.retireInstanceType({ path: { id }, withResponse: true }))
        })
    }),
    Verb.make({
      name: "get",
      about: "Show an instance type.",
      endpoints: ["getInstanceType"],
      options: Verb.noOptions,
      args: Verb.word("type", "Id of the instance type."),
      run: (_, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.type(text)
          const { instanceTypes } = yield* client
          yield* ask(typeView, instanceTypes.getInstanceType({ path: { id }, withResponse: true }))
        })
    })
  ]
}

const poolView: View<Pool> = {
  name: ({ name }) => name,
  columns: [
    { title: "NAME", of: ({ name }) => name },
    { title: "DRIVER", of: ({ driver }) => driver },
    { title: "CAPACITY GIB", of: ({ capacity }) => Math.round(capacity) },
    { title: "USED GIB", of: ({ used }) => Math.round(used) },
    { title: "AVAILABLE GIB", of: ({ available }) => Math.round(available) },
    { title: "PROMISED GIB", of: ({ promised }) => Math.round(promised) },
    { title: "OVERCOMMIT", of: ({ overcommit }) => overcommit }
  ]
}

/** @since 0.5.0 @category nouns */
export const pool: Verb.Noun = {
  name: "pool",
  about: "storage that all hosts share",
  verbs: [
    Verb.make({
      name: "list",
      about: "List pools, looked at just now.",
      endpoints: ["listPools"],
      options: Verb.noOptions,
      args: Args.none,
      run: () =>
        Effect.gen(function* () {
          const { pools } = yield* client
          yield* Pages.whole(
            poolView,
            false,
            {},
            "there are no pools that hosts share",
            pools.listPools({ withResponse: true })
          )
        })
    })
  ]
}
