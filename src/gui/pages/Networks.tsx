/**
 * What hosts have for the NICs of VMs.
 *
 * @since 0.8.0
 */
import { Atom, Result } from "@effect-atom/atom-react"
import { Link, useParams } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import { type ReactNode, useState } from "react"
import { type Host, HostChange } from "../../api/Hosts.ts"
import type { Network } from "../../api/Networks.ts"
import type { HostId } from "../../domain/Ids.ts"
import { formatSource, type NetworkSource } from "../../domain/Network.ts"
import { calls, isNotThere, payloadOf, runtime, wordsOfCause } from "../state/Api.ts"
import { useRead } from "../state/Read.ts"
import { ifMatch, type ReadNow, revised, useRevised } from "../state/Revised.ts"
import { useAbove } from "../parts/Above.tsx"
import { ChoiceField, TextField } from "../parts/Field.tsx"
import { VmNamed } from "../parts/Named.tsx"
import { FormDialog } from "../parts/FormDialog.tsx"
import type { Commanded } from "../parts/Commands.ts"
import { Empty, Failure, Loading, Missing, State, Sure, useRole, useSnapshot, useTitle } from "../parts/Parts.tsx"
import { type Column, Table } from "../parts/Table.tsx"
import { count, counted, type Shown, vmState } from "../parts/Words.ts"

const networksAtom = runtime.atom(Effect.flatMap(calls, ({ networks }) => networks.listNetworks()))

const networkAtom = Atom.family((name: string) =>
  runtime.atom(Effect.flatMap(calls, ({ networks }) => networks.getNetwork({ path: { name } })))
)

/** Milliseconds between two readings while things change. */
const pause = 1000

/** What may be about a NIC, or about a host's networks. */
const changing = /^(operation|host)\.|^vm\.(created|changed)$/

/** As it is: no event tells of a network, but what changes one changes a host or a VM. */
const useFresh = <A, E>(atom: Atom.Atom<Result.Result<A, E>>): Result.Result<A, E> => {
  const { recent } = useSnapshot()
  return useRead(atom, [recent.events.find(({ type }) => changing.test(type))?.id], pause)
}

// ------------------------------------------------------------------------------------------------------------- changes

/** A host's settings. */
const settingsAtom = revised((id: HostId) =>
  Effect.flatMap(calls, ({ hosts }) => hosts.getHost({ path: { id }, withResponse: true }))
)

/**
 * The host's networks with this one, or without it. All of them are sent, so it is refused when somebody else has changed them since they were
 * read; then they are read again.
 */
const changeOf = (
  { guarded, revision, value: host }: ReadNow<Host>,
  name: string,
  source: NetworkSource | null
): Commanded => {
  const headers = ifMatch(revision)
  const { [name]: _, ...others } = host.networks
  const body = { networks: source === null ? others : { ...others, [name]: source } }
  return {
    label: source === null ? `Take ${name} from ${host.name}` : `Give ${host.name} the network ${name}`,
    method: "PATCH",
    path: `/hosts/${host.id}`,
    ...headers.shown,
    body,
    words: [
      "host",
      "set",
      `id:${host.id}`,
      ...(source === null ? ["--remove", `network.${name}`] : [`network.${name}=${formatSource(source)}`])
    ],
    run: guarded(
      Effect.gen(function* () {
        const payload = yield* payloadOf(HostChange, body)
        const { hosts } = yield* calls
        return yield* hosts.changeHost({ path: { id: host.id }, payload, headers: headers.sent, urlParams: {} })
      })
    )
  }
}

const NewNetwork = ({
  hosts,
  name: given = "",
  onClose
}: {
  /** whose settings can be changed */
  readonly hosts: readonly [Host, ...ReadonlyArray<Host>]
  readonly name?: string
  readonly onClose: () => void
}) => {
  const [chosen, setChosen] = useState(String(hosts[0].id))
  const [name, setName] = useState(given)
  const [kind, setKind] = useState<NetworkSource["kind"]>("bridge")
  const [what, setWhat] = useState("")
  const host = hosts.find(({ id }) => String(id) === chosen) ?? hosts[0]
  const settings = useRevised(settingsAtom(host.id), host)
  const is = settings.value.networks[name]
  return (
    <FormDialog
      title={given === "" ? "Add a network" : `${given} on another host`}
      button="Add network"
      action={changeOf(settings, name === "" ? "NAME" : name, { kind, name: what === "" ? "br0" : what })}
      ready={name !== "" && what !== "" && is === undefined && settings.isRead}
      onClose={onClose}
    >
      <p className="quiet">
        A network is a name that hosts have something for. A VM that asks for it is placed on one of those hosts, so
        give each the same network by the same name.
      </p>
      <ChoiceField
        label="Host"
        value={chosen}
        onChange={setChosen}
        options={hosts.map((one) => [String(one.id), one.name])}
      />
      <TextField
        label="Name"
        required
        autoFocus
        wrong={is === undefined ? null : `${host.name} has it already, as ${formatSource(is)}.`}
        value={name}
        onChange={setName}
        placeholder="lan"
      />
      {settings.words === null ? null : <Failure words={settings.words} />}
      <ChoiceField
        label="What it is there"
        value={kind}
        onChange={(value) => setKind(value === "libvirt" ? "libvirt" : "bridge")}
        options={[
          ["bridge", "a bridge of the host"],
          ["libvirt", "a network of its libvirt"]
        ]}
      />
      <TextField
        label={kind === "bridge" ? "Bridge" : "Network of libvirt"}
        hint={
          kind === "bridge"
            ? "It has to be there already. With {vlan} in its name there is one for each VLAN, as br{vlan}."
            : "It has to be there already."
        }
        required
        value={what}
        onChange={setWhat}
        placeholder={kind === "bridge" ? "br0" : "default"}
      />
    </FormDialog>
  )
}

const AddButton = ({ name }: { readonly name?: string }) => {
  const role = useRole()
  const { hosts } = useSnapshot()
  const open = useAbove()
  const [first, ...others] = [...hosts.values()].filter(
    (one) => one.origin === "api" && (name === undefined || one.networks[name] === undefined)
  )
  const why =
    role !== "admin"
      ? "this needs the role admin"
      : first === undefined
        ? "hosts of the machine file get networks there, as in network.lan=bridge:br0"
        : ""
  return (
    <>
      <button
        type="button"
        className="button primary"
        disabled={why !== ""}
        title={why}
        onClick={() =>
          open((close) =>
            first === undefined ? null : (
              <NewNetwork hosts={[first, ...others]} onClose={close} {...(name === undefined ? {} : { name })} />
            )
          )
        }
      >
        {name === undefined ? "Add network" : "Add to a host"}
      </button>
    </>
  )
}

const Removing = ({
  host,
  name,
  onClose
}: {
  readonly host: Host
  readonly name: string
  readonly onClose: () => void
}) => {
  const settings = useRevised(settingsAtom(host.id), host)
  return (
    <Sure action={changeOf(settings, name, null)} name={name} ready={settings.isRead} onClose={onClose}>
      {settings.words === null ? null : <Failure words={settings.words} />}
      <p>
        No new NIC is plugged in there. VMs that have one keep it, and cannot be started there again while the network
        is missing.
      </p>
    </Sure>
  )
}

/** Of a host whose settings can be changed, and that was given the network. */
const RemoveButton = ({ host, name }: { readonly host: Host; readonly name: string }) => {
  const role = useRole()
  const open = useAbove()
  return host.origin !== "api" || host.networks[name] === undefined ? null : (
    <>
      <button
        type="button"
        className="button tiny end"
        disabled={role !== "admin"}
        onClick={() => open((close) => <Removing host={host} name={name} onClose={close} />)}
      >
        Remove…
        <span className="sr">
          {" "}
          {name} from {host.name}
        </span>
      </button>
    </>
  )
}

/** What a host was given beside its libvirt's own. @since 0.8.0 @category components */
export const HostNetworks = ({ host }: { readonly host: Host }) => {
  const given = Object.entries(host.networks)
  return given.length === 0 ? null : (
    <section className="card" aria-labelledby="networks">
      <h2 id="networks">Networks it was given</h2>
      <ul className="list">
        {given.map(([name, source]) => (
          <li key={name}>
            <Link to="/networks/$name" params={{ name }}>
              {name}
            </Link>
            <code>{formatSource(source)}</code>
            <RemoveButton host={host} name={name} />
          </li>
        ))}
      </ul>
    </section>
  )
}

/** Where networks of hosts come from that cannot be changed here. */
const FromFile = () => {
  const { hosts } = useSnapshot()
  return hosts.size === 0 || [...hosts.values()].some(({ origin }) => origin === "api") ? null : (
    <div className="note">
      <p>
        All hosts here are of the machine file, so their networks are set there: <code>network.lan=bridge:br0</code> on
        a host's line gives it the network <code>lan</code>. Networks of the hosts' libvirt are there by themselves.
      </p>
    </div>
  )
}

// --------------------------------------------------------------------------------------------------------------- list

const kinds = { bridge: "bridge", libvirt: "libvirt", mixed: "mixed" } as const

const stateOf = ({ hosts }: Network): Shown => {
  const wrong = hosts.filter(({ problem }) => problem !== null)
  if (wrong.length === 0) return { tone: "ok", word: `on ${counted(hosts.length, "host")}`, why: null }
  const why = wrong.map(({ host, problem }) => `${host}: ${problem ?? ""}`).join("; ")
  if (hosts.every(({ state }) => state === "unknown")) return { tone: "off", word: "not known yet", why }
  return {
    tone: wrong.length === hosts.length ? "bad" : "warn",
    word: `on ${count(hosts.length - wrong.length)} of ${counted(hosts.length, "host")}`,
    why
  }
}

/** As it is on one host. */
const states = {
  usable: { tone: "ok", word: "can be used" },
  unusable: { tone: "bad", word: "cannot be used" },
  unknown: { tone: "off", word: "not known yet" }
} as const

const sourcesOf = ({ hosts }: Network): string => [...new Set(hosts.map(({ source }) => source))].join(", ")

const columns: ReadonlyArray<Column<Network>> = [
  {
    key: "name",
    name: "Name",
    tone: "main-cell",
    title: ({ name }) => name,
    shown: ({ name }) => (
      <Link to="/networks/$name" params={{ name }}>
        {name}
      </Link>
    )
  },
  { key: "kind", name: "Kind", className: "extra-phone", shown: ({ kind }) => kinds[kind] },
  { key: "state", name: "Can be used", shown: (one) => <State {...stateOf(one)} /> },
  { key: "vms", name: "VMs", className: "right", shown: ({ vms }) => count(vms) },
  {
    key: "what",
    name: "What it is there",
    tone: "quiet",
    className: "extra",
    title: sourcesOf,
    shown: sourcesOf
  }
]

/** @since 0.8.0 @category components */
export const Networks = (): ReactNode => {
  useTitle("Networks")
  const read = useFresh(networksAtom)
  const { connection } = useSnapshot()
  // what is said above the list depends on the hosts: all of it comes at once
  const known = Result.isSuccess(read) && connection._tag !== "loading"
  return (
    <div className="page fills">
      <div className="head">
        <h1>Networks</h1>
        <span className="quiet">{Result.isSuccess(read) ? count(read.value.items.length) : ""}</span>
        <div className="actions">
          <AddButton />
        </div>
      </div>
      {known ? <FromFile /> : null}
      {Result.isFailure(read) ? <Failure words={wordsOfCause(read.cause)} /> : null}
      {!Result.isSuccess(read) || !known ? (
        Result.isFailure(read) ? null : (
          <Loading />
        )
      ) : read.value.items.length === 0 ? (
        <Empty title="No networks yet">
          <p>
            No host has an active network of libvirt, or a bridge that it was given a name for. VMs can be made, and
            have no NIC.
          </p>
          <Link to="/hosts" className="button">
            Show hosts
          </Link>
        </Empty>
      ) : (
        <Table kind="networks" label="networks" columns={columns} rows={read.value.items} keyOf={({ name }) => name} />
      )}
    </div>
  )
}

// ---------------------------------------------------------------------------------------------------------------- one

/** @since 0.8.0 @category components */
export const OneNetwork = (): ReactNode => {
  const { name } = useParams({ from: "/networks/$name" })
  useTitle(name)
  const read = useFresh(networkAtom(name))
  const { hosts, vms } = useSnapshot()
  if (!Result.isSuccess(read)) {
    return (
      <div className="page narrow">
        <div>
          <div className="crumb">
            <Link to="/networks">Networks</Link>
          </div>
          <h1>{name}</h1>
        </div>
        {!Result.isFailure(read) ? (
          <Loading />
        ) : isNotThere(read.cause) ? (
          <Missing what="network" />
        ) : (
          <Failure words={wordsOfCause(read.cause)} />
        )}
      </div>
    )
  }
  const network = read.value
  const defaultOn = new Set(network.hosts.filter((one) => one.default).map(({ hostId }) => hostId))
  return (
    <div className="page narrow">
      <div className="head">
        <div>
          <div className="crumb">
            <Link to="/networks">Networks</Link>
          </div>
          <h1>{name}</h1>
        </div>
        <State {...stateOf(network)} />
        <div className="actions">
          <AddButton name={name} />
        </div>
      </div>
      <section className="card" aria-labelledby="hosts">
        <h2 id="hosts">Hosts that have it, or should</h2>
        <ul className="list">
          {network.hosts.map(({ default: isDefault, host, hostId, problem, source, state, vlans }) => {
            const known = hosts.get(hostId)
            return (
              <li key={hostId}>
                <Link to="/hosts/$id" params={{ id: String(hostId) }}>
                  {host}
                </Link>
                <code>{source}</code>
                {vlans === null ? null : (
                  <span className="quiet">{vlans.length === 0 ? "no VLANs" : `VLANs ${vlans.join(", ")}`}</span>
                )}
                {isDefault ? <span className="quiet">the default there</span> : null}
                {problem === null ? null : <State {...states[state]} why={problem} />}
                {problem === null ? null : <span>{problem}</span>}
                {known === undefined ? null : <RemoveButton host={known} name={name} />}
              </li>
            )
          })}
        </ul>
      </section>
      <section className="card" aria-labelledby="vms">
        <header>
          <h2 id="vms">VMs on it</h2>
          <span className="quiet small">{count(network.vms)}</span>
        </header>
        {network.vms === 0 ? <p className="quiet">None has a NIC on it.</p> : null}
        <ul className="list">
          {network.vmIds.slice(0, 100).map((id) => {
            const vm = vms.get(id)
            return (
              <li key={id}>
                <VmNamed id={id} />
                {vm === undefined ? null : (
                  <>
                    <State {...vmState(vm)} />
                    <span className="quiet small end">
                      {vm.nics
                        .filter((nic) => nic.network === name || (nic.network === null && defaultOn.has(vm.hostId)))
                        .map(({ mac, vlan }) => (vlan === null ? mac : `${mac}, VLAN ${vlan}`))
                        .join("; ")}
                    </span>
                  </>
                )}
              </li>
            )
          })}
        </ul>
        {network.vms > 100 ? <p className="quiet">And {count(network.vms - 100)} more.</p> : null}
      </section>
    </div>
  )
}
