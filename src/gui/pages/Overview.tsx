/**
 * How it all is, and what needs somebody first.
 *
 * @since 0.7.0
 */
import { Link } from "@tanstack/react-router"
import type { ReactNode } from "react"
import type { Host } from "../../api/Hosts.ts"
import type { Snapshot } from "../state/Live.ts"
import { Head, Loading, State, useSnapshot, useTitle } from "../parts/Parts.tsx"
import { HostTile, Meters, NoHosts } from "../parts/HostParts.tsx"
import { type Matter, matters, sizeOf } from "../parts/Matters.ts"
import { OperationRow, Target } from "../parts/OperationRow.tsx"
import { count, counted, kind, vmCounts } from "../parts/Words.ts"

const mostNamed = 8
const mostHosts = 300

const MatterLine = ({ matter }: { readonly matter: Matter }) => {
  switch (matter._tag) {
    case "host":
      return (
        <>
          <Link to="/hosts/$id" params={{ id: String(matter.host.id) }}>
            {matter.host.name}
          </Link>
          <State {...matter.state} why={null} />
          <span className="quiet">{matter.why}</span>
        </>
      )
    case "unseen":
      return (
        <>
          <Link to="/vms" search={{ host: String(matter.hostId), state: "unknown" }}>
            {counted(matter.vms, "VM")} there
          </Link>
          <State {...matter.state} why={null} />
          <span className="quiet">how they are is not known until it answers</span>
        </>
      )
    case "vm":
      return (
        <>
          <Link to="/vms/$id" params={{ id: String(matter.vm.id) }}>
            {matter.vm.name}
          </Link>
          <State {...matter.state} why={null} />
          {matter.why === null ? null : <span className="quiet">{matter.why}</span>}
        </>
      )
    case "operation":
      return (
        <>
          <Link to="/operations/$id" params={{ id: matter.operation.id }}>
            {kind(matter.operation.kind)}
          </Link>
          <Target operation={matter.operation} />
          <State {...matter.state} />
          {matter.why === null ? null : <span className="quiet">{matter.why}</span>}
        </>
      )
  }
}

const keyOf = (matter: Matter): string => {
  switch (matter._tag) {
    case "host":
      return `host ${matter.host.id}`
    case "unseen":
      return `unseen ${matter.hostId}`
    case "vm":
      return `vm ${matter.vm.id}`
    case "operation":
      return matter.operation.id
  }
}

const Attention = ({ snapshot }: { readonly snapshot: Snapshot }) => {
  const all = matters(snapshot, Date.now())
  const sum = (some: ReadonlyArray<Matter>) => some.reduce((so, one) => so + sizeOf(one), 0)
  const rest = sum(all.slice(mostNamed))
  return (
    <section className="card" aria-labelledby="attention">
      <header>
        <h2 id="attention">Needs attention</h2>
        <span className="quiet small">{all.length === 0 ? "" : count(sum(all))}</span>
      </header>
      {all.length === 0 ? <p className="quiet">Nothing: every host and every VM is as it should be.</p> : null}
      <ul className="list">
        {all.slice(0, mostNamed).map((matter) => (
          <li key={keyOf(matter)}>
            <MatterLine matter={matter} />
          </li>
        ))}
      </ul>
      {rest > 0 ? <p className="quiet">and {count(rest)} more</p> : null}
      {all.some(({ _tag }) => _tag === "unseen" || _tag === "vm") ? (
        <Link to="/vms" search={{ attention: "yes" }} className="small">
          All VMs that need attention
        </Link>
      ) : null}
    </section>
  )
}

const Capacity = ({ snapshot: { coming, hosts, vms } }: { readonly snapshot: Snapshot }) => {
  const all = [...hosts.values()]
  const total = (of: (host: Host) => Host["capacity"]) =>
    all.reduce(
      (sum, host) => ({
        cpu: sum.cpu + of(host).cpu,
        ram: sum.ram + of(host).ram,
        disk: sum.disk + of(host).disk
      }),
      { cpu: 0, ram: 0, disk: 0 }
    )
  return (
    <section className="card" aria-labelledby="capacity">
      <header>
        <h2 id="capacity">Capacity</h2>
        <span className="quiet small">
          {counted(all.length, "host")}, {counted(vms.size + coming.vms, "VM")}
          {coming.vms > 0 ? "" : `: ${vmCounts(vms.values())}`}
        </span>
      </header>
      <Meters capacity={total(({ capacity }) => capacity)} promised={total(({ promised }) => promised)} />
      <Link to="/capacity" className="small">
        What more fits, and which host can be lost
      </Link>
    </section>
  )
}

/** @since 0.7.0 @category components */
export const Overview = (): ReactNode => {
  useTitle("Overview")
  const snapshot = useSnapshot()
  const { connection, hosts, operations } = snapshot
  return (
    <div className="page narrow">
      <Head
        title="Overview"
        actions={
          <Link to="/vms/new" className="button primary">
            Create VM
          </Link>
        }
      />
      {connection._tag === "loading" ? (
        <Loading />
      ) : hosts.size === 0 ? (
        <NoHosts />
      ) : (
        <>
          <div className="grid wide">
            <Attention snapshot={snapshot} />
            <Capacity snapshot={snapshot} />
          </div>
          <section className="card" aria-labelledby="hosts">
            <header>
              <h2 id="hosts">Hosts</h2>
              <span className="quiet small">of processors, memory or disk promised, whichever is most</span>
            </header>
            <div className="hosts-map">
              {[...hosts.values()].slice(0, mostHosts).map((host) => (
                <HostTile key={host.id} host={host} />
              ))}
            </div>
          </section>
          <section className="card" aria-labelledby="recent">
            <header>
              <h2 id="recent">Recent operations</h2>
              <Link to="/operations" className="small">
                All operations
              </Link>
            </header>
            {operations.length === 0 ? <p className="quiet">Nothing was done yet.</p> : null}
            <ul className="list">
              {operations.slice(0, 8).map((operation) => (
                <OperationRow key={operation.id} operation={operation} />
              ))}
            </ul>
          </section>
        </>
      )}
    </div>
  )
}
