/**
 * `vmfabric network` and `vmfabric nic`.
 *
 * @since 0.6.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Network } from "../api/Networks.ts"
import type { Nic } from "../api/Nics.ts"
import type { VmId } from "../domain/Ids.ts"
import { LinkState, NicId, NicModel } from "../domain/Nic.ts"
import { Refused } from "./Failure.ts"
import * as Operations from "./Operations.ts"
import { answered, ask, list, toneOf, type View } from "./Output.ts"
import * as Resolve from "./Resolve.ts"
import { client } from "./Session.ts"
import * as Verb from "./Verb.ts"

/** As it is where it is best. */
const stateOf = ({ hosts }: Network): Network["hosts"][number]["state"] => {
  const isSome = (state: Network["hosts"][number]["state"]) => hosts.some((one) => one.state === state)
  return isSome("usable") ? "usable" : isSome("unknown") ? "unknown" : "unusable"
}

const networks: View<Network> = {
  name: ({ name }) => name,
  columns: [
    { title: "NAME", of: ({ name }) => name },
    { title: "KIND", of: ({ kind }) => kind },
    { title: "STATE", of: stateOf, tone: (network) => toneOf(stateOf(network)) },
    {
      title: "HOSTS",
      of: ({ hosts }) =>
        hosts
          .filter(({ problem }) => problem === null)
          .map(({ hostId }) => hostId)
          .join(",")
    },
    { title: "VMS", of: ({ vms }) => vms },
    { title: "WHAT", of: ({ hosts }) => [...new Set(hosts.map(({ source }) => source))].join(",") },
    {
      title: "VLANS",
      of: ({ hosts }) => [...new Set(hosts.flatMap(({ vlans }) => vlans ?? []))].toSorted((a, b) => a - b).join(","),
      wide: true
    },
    {
      title: "DEFAULT ON",
      of: ({ hosts }) =>
        hosts
          .filter((one) => one.default)
          .map(({ hostId }) => hostId)
          .join(","),
      wide: true
    },
    {
      title: "PROBLEMS",
      of: ({ hosts }) =>
        hosts.flatMap(({ host, problem }) => (problem === null ? [] : [`${host}: ${problem}`])).join("; "),
      wide: true
    }
  ]
}

/** @since 0.6.0 @category nouns */
export const network: Verb.Noun = {
  name: "network",
  about: "what hosts have for the NICs of VMs",
  verbs: [
    Verb.make({
      name: "list",
      about: "List networks.",
      endpoints: ["listNetworks"],
      options: Verb.noOptions,
      args: Args.none,
      run: () =>
        Effect.gen(function* () {
          const { networks: calls } = yield* client
          const { body, value } = yield* answered(calls.listNetworks({ withResponse: true }))
          yield* list(networks, value.items, body, "no host has a network")
        })
    }),
    Verb.make({
      name: "get",
      about: "Show a network.",
      endpoints: ["getNetwork"],
      options: Verb.noOptions,
      args: Verb.word("network", "Name of the network."),
      run: (_, name) =>
        Effect.gen(function* () {
          const { networks: calls } = yield* client
          yield* ask(networks, calls.getNetwork({ path: { name }, withResponse: true }))
        })
    })
  ]
}

const nics: View<Nic> = {
  name: ({ id }) => id,
  columns: [
    { title: "NIC", of: ({ id }) => id },
    { title: "MAC", of: ({ mac }) => mac },
    { title: "NETWORK", of: ({ network }) => network },
    { title: "VLAN", of: ({ vlan }) => vlan },
    { title: "LINK", of: ({ link }) => link, tone: ({ link }) => toneOf(link) },
    { title: "STATE", of: ({ state }) => state, tone: ({ state }) => toneOf(state) },
    {
      title: "ADDRESSES",
      of: ({ addresses }) => addresses.map(({ address, prefix }) => `${address}/${prefix}`).join(",")
    },
    { title: "FROM", of: ({ addresses }) => [...new Set(addresses.map(({ source }) => source))].join(",") },
    { title: "MODEL", of: ({ model }) => model, wide: true },
    { title: "PLUGGED INTO", of: ({ source }) => source, wide: true }
  ]
}

const vm = Verb.word("vm", "Id or name of the VM.")
const number = Args.integer({ name: "nic" }).pipe(Args.withDescription("Number of the NIC."))

const nicId = Schema.decodeOption(NicId)

const nicOf = (given: number) =>
  Option.match(nicId(given), {
    onNone: () => new Refused({ why: "usage", message: `nic ${given}: expected a number from 1 on`, field: "nic" }),
    onSome: Effect.succeed
  })

const show = (id: VmId) =>
  Effect.gen(function* () {
    const { nics: calls } = yield* client
    const { body, value } = yield* answered(calls.listNics({ path: { id }, withResponse: true }))
    yield* list(nics, value.items, body, "it has no NIC")
  })

/** @since 0.6.0 @category nouns */
export const nic: Verb.Noun = {
  name: "nic",
  about: "NICs of VMs",
  verbs: [
    Verb.make({
      name: "list",
      about: "List a VM's NICs with the addresses its guest has.",
      endpoints: ["listNics"],
      options: Verb.noOptions,
      args: vm,
      run: (_, text) => Effect.flatMap(Resolve.vm(text), show)
    }),
    Verb.make({
      name: "add",
      about: "Add a NIC to a VM, into its running guest, too.",
      endpoints: ["addNic"],
      options: Options.all({
        network: Options.optional(
          Verb.text("network", "NETWORK", "The network it is on; the default of the VM's host unless it is said.")
        ),
        vlan: Options.optional(Verb.number("vlan", "N", "A VLAN of that network, where it has a bridge for each.")),
        mac: Options.optional(Verb.text("mac", "MAC", "Its address; made up unless it is said.")),
        model: Options.optional(Verb.choice("model", NicModel.literals, "What the guest takes it for.")),
        noWait: Verb.noWait
      }),
      args: vm,
      run: ({ mac, model, network, noWait, vlan }, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.vm(text)
          const payload = {
            ...Verb.given("network", network),
            ...Verb.given("vlan", vlan),
            ...Verb.given(
              "mac",
              Option.map(mac, (text) => text.toLowerCase())
            ),
            ...Verb.given("model", model)
          }
          const { nics: calls } = yield* client
          yield* Operations.begin(noWait, calls.addNic({ path: { id }, payload, withResponse: true }), () => show(id))
        })
    }),
    Verb.make({
      name: "remove",
      about: "Remove a NIC from a VM, when its guest lets go of it.",
      endpoints: ["removeNic"],
      options: Options.all({ noWait: Verb.noWait }),
      args: Args.all([vm, number]),
      run: ({ noWait }, [text, given]) =>
        Effect.gen(function* () {
          const path = { id: yield* Resolve.vm(text), nic: yield* nicOf(given) }
          const { nics: calls } = yield* client
          yield* Operations.begin(noWait, calls.removeNic({ path, withResponse: true }), () => show(path.id))
        })
    }),
    Verb.make({
      name: "link",
      about: "Plug the cable of a VM's NIC in or out.",
      endpoints: ["changeNic"],
      options: Options.all({ noWait: Verb.noWait }),
      args: Args.all([
        vm,
        number,
        Args.choice(
          LinkState.literals.map((link) => [link, link] as const),
          { name: "up|down" }
        )
      ]),
      run: ({ noWait }, [text, given, link]) =>
        Effect.gen(function* () {
          const path = { id: yield* Resolve.vm(text), nic: yield* nicOf(given) }
          const { nics: calls } = yield* client
          yield* Operations.begin(noWait, calls.changeNic({ path, payload: { link }, withResponse: true }), () =>
            show(path.id)
          )
        })
    })
  ]
}

/** What `--nic` says of one: `network=lan,vlan=12,mac=…,model=…`, each part at most once; `none` is for a VM without any. */
const part = /^(network|vlan|mac|model)=(.+)$/

const isModel = Schema.is(NicModel)

/** A NIC of a VM to be, as a request has it. @since 0.6.0 @category models */
export interface Wanted {
  readonly network?: string
  readonly vlan?: number
  readonly mac?: string
  readonly model?: NicModel
}

const bad = (text: string, problem: string) =>
  new Refused({
    why: "usage",
    message: `--nic ${JSON.stringify(text)}: ${problem}: expected network=NAME,vlan=N,mac=MAC,model=${NicModel.literals.join("|")}, of which any may be left out, or default, or none`,
    field: "nic"
  })

const parse = (text: string): Effect.Effect<Wanted, Refused> =>
  Effect.gen(function* () {
    if (text === "default") return {}
    const given = new Map<string, string>()
    for (const word of text.split(",")) {
      const [, key, value] = part.exec(word) ?? []
      if (key === undefined || value === undefined) return yield* bad(text, `${JSON.stringify(word)} is not understood`)
      if (given.has(key)) return yield* bad(text, `${key} is given twice`)
      given.set(key, value)
    }
    const [network, vlan, mac, model] = ["network", "vlan", "mac", "model"].map((key) => given.get(key))
    if (vlan !== undefined && !/^[1-9][0-9]{0,3}$/.test(vlan)) return yield* bad(text, `vlan is ${vlan}`)
    if (model !== undefined && !isModel(model)) return yield* bad(text, `model is ${model}`)
    return {
      ...(network === undefined ? {} : { network }),
      ...(vlan === undefined ? {} : { vlan: Number(vlan) }),
      ...(mac === undefined ? {} : { mac: mac.toLowerCase() }),
      ...(model === undefined ? {} : { model })
    }
  })

/** @since 0.6.0 @category options */
export const option = Options.repeated(
  Verb.text(
    "nic",
    "NIC",
    "A NIC, as network=lan,vlan=12,mac=52:54:00:12:34:56; default: on the default network; none: no NIC. May be repeated."
  )
)

/** NICs as a request has them: nothing where none was given. @since 0.6.0 @category parsing */
export const parsed = (
  texts: ReadonlyArray<string>
): Effect.Effect<{ readonly nics?: ReadonlyArray<Wanted> }, Refused> => {
  if (texts.length === 0) return Effect.succeed({})
  if (texts.length === 1 && texts[0] === "none") return Effect.succeed({ nics: [] })
  return Effect.map(Effect.forEach(texts, parse), (nics) => ({ nics }))
}
