/**
 * The servers VMs run on.
 *
 * @since 0.7.0
 */
import { Atom, Result, useAtom } from "@effect-atom/atom-react"
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import { lazy, type ReactNode, Suspense } from "react"
import type { Finding, Host } from "../../api/Hosts.ts"
import type { Vm } from "../../api/Vms.ts"
import type { HostId } from "../../domain/Ids.ts"
import { calls, runtime, wordsOfCause } from "../state/Api.ts"
import { useRead } from "../state/Read.ts"
import { again } from "../parts/Again.ts"
import type { Commanded } from "../parts/Commands.ts"
import {
  CommandsButton,
  CopyButton,
  Empty,
  Failure,
  Loading,
  Missing,
  State,
  useBegin,
  useLack,
  useSnapshot,
  useTitle
} from "../parts/Parts.tsx"
import { Filter, SearchField } from "../parts/Field.tsx"
import { hostsShown, hostWords, orders } from "../parts/HostList.ts"
import { AddHostButton, HostButtons } from "../host/Buttons.tsx"
import { examineAtom } from "../host/Examined.ts"
import { HostNetworks } from "./Networks.tsx"
import { HostCard, Meters, NoHosts } from "../parts/HostParts.tsx"
import { count, counted, gibibytes, hostState, mebibytes, moment, shownOf, vmState } from "../parts/Words.ts"

const maintain = ({ id, maintenance, name }: Host): Commanded => ({
  label: maintenance ? `Take ${name} out of maintenance` : `Put ${name} into maintenance`,
  method: "PATCH",
  path: `/hosts/${id}`,
  body: { maintenance: !maintenance },
  words: ["host", "maintenance", `id:${id}`, maintenance ? "off" : "on"],
  run: Effect.flatMap(calls, ({ hosts }) => hosts.changeHost({ path: { id }, payload: { maintenance: !maintenance } }))
})

// -------------------------------------------------------------------------------------------------------------- doctor

const ForeignOnHost = lazy(() =>
  again(() => import("../host/Foreign.tsx")).then((module) => ({ default: module.ForeignOnHost }))
)

const levels = {
  ok: { tone: "ok", word: "well" },
  warning: { tone: "warn", word: "warning" },
  failure: { tone: "bad", word: "failure" }
} as const

const order = ["failure", "warning", "ok"] as const

const FindingRow = ({ finding: { check, level, means, mend, seen } }: { readonly finding: Finding }) => (
  <li>
    <State {...levels[level]} why={null} />
    <strong>{check}</strong>
    <span>{seen}</span>
    {means === null ? null : <span className="quiet">{means}</span>}
    {mend === null ? null : (
      <span className="command mend">
        <pre>{mend}</pre>
        <CopyButton text={mend} what={`what mends ${check}`} />
      </span>
    )}
  </li>
)

const Examination = ({ host }: { readonly host: Host }) => {
  const [read, examine] = useAtom(examineAtom(host.id))
  const lack = useLack("operator")
  const action: Commanded = {
    label: `Examine ${host.name}`,
    method: "POST",
    path: `/doctor?host=${host.id}`,
    words: ["host", "doctor", `id:${host.id}`],
    run: Effect.asVoid(Effect.flatMap(calls, ({ hosts }) => hosts.examineHosts({ urlParams: { host: host.id } })))
  }
  return (
    <section className="card" aria-labelledby="doctor">
      <header>
        <h2 id="doctor">Doctor</h2>
        <div className="actions">
          <button
            type="button"
            className="button"
            disabled={lack !== undefined || read.waiting}
            title={lack}
            onClick={() => examine()}
          >
            {read.waiting ? "Being examined…" : Result.isInitial(read) ? "Examine" : "Examine again"}
          </button>
          <CommandsButton actions={[action]} />
        </div>
      </header>
      <div role="status">
        {read.waiting ? (
          <p className="quiet">
            All that has to be right is looked at, and compared with the other hosts; that takes up to a minute.
          </p>
        ) : Result.isInitial(read) ? (
          <p className="quiet">
            Whether its sshd, libvirt, processor, disk, clock and networks are as they should be, and what mends what is
            not. Nothing is changed there, but that a tiny guest runs for a moment.
          </p>
        ) : null}
      </div>
      {Result.isFailure(read) ? <Failure words={wordsOfCause(read.cause)} /> : null}
      {Result.isSuccess(read) ? (
        <>
          <p className="quiet small">As it was at {moment(read.value.at)}.</p>
          <ul className="list findings">
            {order
              .flatMap((level) => read.value.items.filter((one) => one.level === level))
              .map((finding) => (
                <FindingRow key={`${finding.check} ${finding.seen}`} finding={finding} />
              ))}
          </ul>
        </>
      ) : null}
    </section>
  )
}

/** @since 0.7.0 @category components */
export const Hosts = (): ReactNode => {
  useTitle("Hosts")
  const { connection, hosts } = useSnapshot()
  const search = useSearch({ from: "/hosts" })
  const navigate = useNavigate({ from: "/hosts" })
  const set = (name: "q" | "state" | "sort", value: string) =>
    void navigate({ search: { ...search, [name]: value === "" ? undefined : value }, replace: name !== "state" })
  const shown = hostsShown(hosts.values(), search)
  return (
    <div className="page">
      <div className="head">
        <h1>Hosts</h1>
        <span className="quiet" role="status">
          {shownOf(shown.length, hosts.size)}
        </span>
        <div className="actions">
          <Link to="/capacity" className="button">
            What more fits
          </Link>
          <AddHostButton />
        </div>
      </div>
      {connection._tag === "loading" ? (
        <Loading />
      ) : hosts.size === 0 ? (
        <NoHosts />
      ) : (
        <>
          <div className="filters">
            <SearchField
              label="Search hosts"
              hint="Name, label or id:3"
              value={search.q ?? ""}
              onChange={(value) => set("q", value)}
            />
            <Filter
              label="State"
              all="Any state"
              value={search.state}
              onChange={(value) => set("state", value)}
              options={hostWords.map((word) => [word, word])}
            />
            <Filter
              label="Order"
              all="As they were added"
              value={search.sort}
              onChange={(value) => set("sort", value)}
              options={orders}
            />
          </div>
          {shown.length === 0 ? (
            <Empty title="No host is like that">
              <Link to="/hosts" className="button">
                Show all hosts
              </Link>
            </Empty>
          ) : (
            <div className="grid">
              {shown.map((host) => (
                <HostCard key={host.id} host={host} />
              ))}
            </div>
          )}
        </>
      )}
    </div>
  )
}

/** With what a list of hosts leaves out. */
const hostAtom = Atom.family((id: HostId) =>
  runtime.atom(Effect.flatMap(calls, ({ hosts }) => hosts.getHost({ path: { id } })))
)

/** What guests there find in their processor. `facts` as they are listed: when they are others it is read again. */
const Features = ({ facts, id }: { readonly facts: Host["facts"]; readonly id: HostId }): ReactNode => {
  const read = useRead(hostAtom(id), [facts])
  if (Result.isFailure(read)) return <Failure words={wordsOfCause(read.cause)} />
  if (!Result.isSuccess(read)) return "…"
  const features = read.value.facts?.features ?? []
  if (features.length === 0) return "not known"
  return (
    <details>
      <summary>{count(features.length)}, for rules and instance types to ask for</summary>
      <code>{features.join(" ")}</code>
    </details>
  )
}

/** What becomes of its VMs while it does not answer, and what can be done. */
const Silent = ({ host, vms }: { readonly host: Host; readonly vms: ReadonlyArray<Vm> }) => {
  const { volumes } = useSnapshot()
  const ids = new Set(vms.map(({ id }) => id))
  const held = [...volumes.values()].filter(
    ({ hostId, vmId }) => hostId === host.id || (vmId !== null && ids.has(vmId))
  )
  const here = held.filter(({ hostId }) => hostId !== null).length
  const pooled = held.length - here
  return (
    <section className="card" aria-labelledby="silent">
      <h2 id="silent">While it does not answer</h2>
      {vms.length === 0 ? (
        <p>It has no VMs. Nothing new is placed here.</p>
      ) : (
        <p>
          How its{" "}
          <Link to="/vms" search={{ host: String(host.id) }}>
            {counted(vms.length, "VM")}
          </Link>{" "}
          {vms.length === 1 ? "is" : "are"} is not known: what still runs there goes on. None of them is started on
          another host by itself, and nothing new is placed here.
        </p>
      )}
      <ul className="list">
        <li>
          <strong>Find out</strong>
          <span>
            Examine it below: that tells what is wrong, and what mends it (
            <code>vmfabric host doctor id:{host.id}</code>).
          </span>
        </li>
        <li>
          <strong>Bring it back</strong>
          <span>
            It is asked again and again. When it answers, its VMs are shown as they are found, and what waits for it
            goes on; after a boot those run that start with their host, and the others can be started.
          </span>
        </li>
        {host.status === "down" ? (
          <li>
            <strong>Or give it up</strong>
            <span>
              If it never comes back, declare it lost: nothing waits for it any more then, and its VMs can be destroyed
              (<code>vmfabric host lost id:{host.id}</code>).
            </span>
          </li>
        ) : null}
        {vms.length === 0 ? null : (
          <li>
            <strong>Meanwhile</strong>
            <span>
              Turning its VMs on or off fails, and can be retried later. Destroying one, or taking a volume from it,
              waits until it answers.
            </span>
          </li>
        )}
        {held.length === 0 ? null : (
          <li>
            <strong>Volumes</strong>
            <span>
              {here === 0
                ? ""
                : `${counted(here, "volume is", "volumes are")} on its own disks, to be had when it is back. `}
              {pooled === 0
                ? ""
                : `${counted(pooled, "volume")} of its VMs ${pooled === 1 ? "is" : "are"} in a pool that is elsewhere: a snapshot of one can be cloned as a new volume, and that be attached to a VM on another host.`}
            </span>
          </li>
        )}
      </ul>
    </section>
  )
}

/** What somebody does about a host that never comes back. */
const Lost = ({ host, vms }: { readonly host: Host; readonly vms: ReadonlyArray<Vm> }) => {
  const { volumes } = useSnapshot()
  const ids = new Set(vms.map(({ id }) => id))
  const kept = [...volumes.values()].filter(({ hostId }) => hostId === host.id).length
  const pooled = [...volumes.values()].filter(({ hostId, vmId }) => hostId === null && vmId !== null && ids.has(vmId))
  return (
    <section className="card" aria-labelledby="lost">
      <h2 id="lost">What is left to do</h2>
      {vms.length === 0 ? null : (
        <p>
          Its{" "}
          <Link to="/vms" search={{ host: String(host.id) }}>
            {counted(vms.length, "VM")}
          </Link>{" "}
          {vms.length === 1 ? "counts" : "count"} as gone, and can be destroyed. Create them anew on other hosts.
        </p>
      )}
      <ul className="list">
        {pooled.length === 0 ? null : (
          <li>
            <strong>Volumes in a pool</strong>
            <span>
              {counted(pooled.length, "volume")} of its VMs can be detached, and attached to others. Ceph refuses that
              while a guest there still has it open.
            </span>
          </li>
        )}
        {kept === 0 ? null : (
          <li>
            <strong>Volumes on its disks</strong>
            <span>{counted(kept, "volume")} can be destroyed; what they held is gone with the host.</span>
          </li>
        )}
        <li>
          <strong>The host</strong>
          <span>
            {host.vms === 0 && kept === 0
              ? host.origin === "file"
                ? "Nothing is here any more: its line can go from the machine file."
                : "Nothing is here any more: it can be removed."
              : "It can be removed when nothing is known here any more."}{" "}
            If it is back after all, say so above.
          </span>
        </li>
      </ul>
    </section>
  )
}

/** @since 0.7.0 @category components */
export const OneHost = (): ReactNode => {
  const { id } = useParams({ from: "/hosts/$id" })
  const { connection, hosts, vms } = useSnapshot()
  const begin = useBegin()
  const lack = useLack("admin")
  const host = [...hosts.values()].find((one) => String(one.id) === id)
  useTitle(host?.name ?? `Host ${id}`)
  if (host === undefined) {
    return (
      <div className="page narrow">
        <div>
          <div className="crumb">
            <Link to="/hosts">Hosts</Link>
          </div>
          <h1>Host {id}</h1>
        </div>
        {connection._tag === "loading" ? <Loading /> : <Missing what="host" />}
      </div>
    )
  }
  const state = hostState(host)
  const change = maintain(host)
  const there = [...vms.values()].filter(({ hostId }) => hostId === host.id)
  const { facts, since, signs } = host
  const isSilent = host.status === "down" || host.status === "suspect"
  return (
    <div className="page narrow">
      <div className="head">
        <div>
          <div className="crumb">
            <Link to="/hosts">Hosts</Link>
          </div>
          <h1>{host.name}</h1>
        </div>
        <State {...state} />
        <div className="actions">
          <button
            type="button"
            className="button"
            disabled={lack !== undefined}
            title={lack}
            onClick={() => void begin(change)}
          >
            {host.maintenance ? "End maintenance" : "Maintenance"}
          </button>
          {isSilent || host.status === "lost" ? null : (
            <Link to="/capacity" search={{ aim: "empty", host: id }} className="button">
              Plan to empty it
            </Link>
          )}
          <Link to="/events" search={{ host: id }} className="button">
            Events
          </Link>
          <HostButtons host={host} />
          <CommandsButton actions={[change]} />
        </div>
      </div>
      {host.reason === null ? null : (
        <div className={`note ${host.status === "suspect" ? "warn" : "bad"}`}>
          <strong>{host.reason}</strong>
          {since === null ? null : <p>since {moment(since)}</p>}
          {signs === null ? null : (
            <p>
              sshd {signs.ssh}, libvirt {signs.libvirt}, asked from other hosts: {signs.peers}
            </p>
          )}
        </div>
      )}
      {isSilent ? <Silent host={host} vms={there} /> : null}
      {host.status === "lost" ? <Lost host={host} vms={there} /> : null}
      {host.maintenance ? (
        <div className="note warn">
          <strong>In maintenance</strong>
          <p>
            Nothing new is placed here; what is here stays, and can be worked on.
            {host.vms === 0 ? " It is empty." : ""}
          </p>
          {host.vms === 0 ? null : (
            <p>
              VMs are not moved to other hosts yet. To empty it for a while, shut down{" "}
              <Link to="/vms" search={{ host: String(host.id) }}>
                its {counted(host.vms, "VM")}
              </Link>{" "}
              there, and start them again afterwards; or leave them as they are.
            </p>
          )}
        </div>
      ) : null}
      <div className="grid wide">
        <section className="card" aria-labelledby="capacity">
          <h2 id="capacity">Capacity</h2>
          <Meters {...host} />
          <p className="quiet small">
            Promised at most {count(host.overcommit.cpu)} × its processors, {count(host.overcommit.ram)} × its memory,{" "}
            {count(host.overcommit.disk)} × its disk.
            {host.reserved.cpu + host.reserved.ram + host.reserved.disk === 0
              ? null
              : ` Of that is kept free: ${counted(host.reserved.cpu, "vCPU")}, ${mebibytes(host.reserved.ram)}, ${gibibytes(host.reserved.disk)}.`}
          </p>
        </section>
        <section className="card" aria-labelledby="facts">
          <h2 id="facts">Facts</h2>
          <dl className="facts">
            <dt>Guests run by</dt>
            <dd>{facts === null ? "not known yet" : facts.domainType === "kvm" ? "KVM" : "QEMU, in software"}</dd>
            <dt>Machine</dt>
            <dd>
              {facts === null
                ? "not reached yet"
                : `${facts.hostname}, ${facts.arch}, ${counted(facts.resources.cpu, "processor")}, ${mebibytes(facts.resources.ram)}`}
            </dd>
            <dt>Processor</dt>
            <dd>
              {host.traits["host.cpu.model"] ?? "not known"}
              {host.traits["host.cpu.vendor"] === undefined ? null : ` by ${host.traits["host.cpu.vendor"]}`}
            </dd>
            <dt>Its features for guests</dt>
            <dd>
              <Features id={host.id} facts={facts} />
            </dd>
            <dt>libvirt</dt>
            <dd>{facts?.libvirtVersion ?? "not known yet"}</dd>
            <dt>Folder</dt>
            <dd>
              <code>{host.path}</code>
            </dd>
            <dt>Network</dt>
            <dd>{host.network ?? facts?.network ?? "none"}</dd>
            <dt>Labels</dt>
            <dd>
              {Object.keys(host.labels).length === 0
                ? "none"
                : Object.entries(host.labels)
                    .map(([key, value]) => `${key}=${value}`)
                    .join(", ")}
            </dd>
            <dt>Settings</dt>
            <dd>{host.origin === "file" ? "in the machine file, and changed there" : "added here, or by the API"}</dd>
          </dl>
        </section>
      </div>
      <HostNetworks host={host} />
      <Examination host={host} />
      <section className="card" aria-labelledby="vms">
        <header>
          <h2 id="vms">VMs here</h2>
          {there.length === 0 ? null : (
            <Link to="/vms" search={{ host: String(host.id) }} className="small">
              All {count(there.length)} in the list
            </Link>
          )}
        </header>
        {there.length === 0 ? <p className="quiet">None.</p> : null}
        <ul className="list">
          {there.slice(0, 10).map((vm) => (
            <li key={vm.id}>
              <Link to="/vms/$id" params={{ id: String(vm.id) }}>
                {vm.name}
              </Link>
              <State {...vmState(vm)} />
              <span className="quiet end small">
                {counted(vm.resources.cpu, "vCPU")}, {mebibytes(vm.resources.ram)}
              </span>
            </li>
          ))}
        </ul>
      </section>
      {/* below all else: it comes when the page has been drawn */}
      <Suspense>
        <ForeignOnHost host={host} />
      </Suspense>
    </div>
  )
}
