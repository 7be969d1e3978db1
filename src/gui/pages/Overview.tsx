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
import { OperationRow } from "../parts/OperationRow.tsx"
import { count, counted, hostState, vmState } from "../parts/Words.ts"

const mostNamed = 8
const mostHosts = 300

interface Matter {
  readonly key: string
  readonly link: ReactNode
  readonly state: ReactNode
  readonly why: string | null
}

/** The worst first: hosts, then VMs that are not as they should be, then what failed in the last hour. */
const matters = ({ hosts, operations, vms }: Snapshot): ReadonlyArray<Matter> => {
  const all: Array<Matter> = []
  for (const host of hosts.values()) {
    const state = hostState(host)
    if (state.tone !== "bad" && state.tone !== "warn") continue
    all.push({
      key: `host ${host.id}`,
      link: (
        <Link to="/hosts/$id" params={{ id: String(host.id) }}>
          {host.name}
        </Link>
      ),
      state: <State {...state} why={null} />,
      why: state.why
    })
  }
  for (const vm of vms.values()) {
    const state = vmState(vm)
    const [violation] = vm.violations
    if (state.tone !== "bad" && vm.drift === 0 && violation === undefined) continue
    all.push({
      key: `vm ${vm.id}`,
      link: (
        <Link to="/vms/$id" params={{ id: String(vm.id) }}>
          {vm.name}
        </Link>
      ),
      state: <State {...state} why={null} />,
      why:
        state.tone === "bad"
          ? state.why
          : vm.drift > 0
            ? `${counted(vm.drift, "field differs", "fields differ")} from what it should be`
            : (violation?.reason ?? null)
    })
  }
  const hourAgo = Date.now() - 3_600_000
  for (const operation of operations) {
    if (operation.state !== "failed" || operation.cancelAsked || (operation.endedAt?.epochMillis ?? 0) < hourAgo)
      continue
    all.push({
      key: operation.id,
      link: (
        <Link to="/operations/$id" params={{ id: operation.id }}>
          An operation failed
        </Link>
      ),
      state: null,
      why: operation.error
    })
  }
  return all
}

const Attention = ({ snapshot }: { readonly snapshot: Snapshot }) => {
  const all = matters(snapshot)
  return (
    <section className="card" aria-labelledby="attention">
      <header>
        <h2 id="attention">Needs attention</h2>
        <span className="quiet small">{all.length === 0 ? "" : count(all.length)}</span>
      </header>
      {all.length === 0 ? <p className="quiet">Nothing: every host and every VM is as it should be.</p> : null}
      <ul className="list">
        {all.slice(0, mostNamed).map(({ key, link, state, why }) => (
          <li key={key}>
            {link}
            {state}
            {why === null ? null : <span className="quiet">{why}</span>}
          </li>
        ))}
      </ul>
      {all.length > mostNamed ? <p className="quiet">and {count(all.length - mostNamed)} more</p> : null}
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
  const running = [...vms.values()].filter(({ state }) => state === "running").length
  return (
    <section className="card" aria-labelledby="capacity">
      <header>
        <h2 id="capacity">Capacity</h2>
        <span className="quiet small">
          {counted(all.length, "host")}, {counted(vms.size + coming.vms, "VM")}
          {coming.vms > 0 ? "" : `, ${count(running)} running`}
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
              <span className="quiet small">of processors or memory promised, whichever is more</span>
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
