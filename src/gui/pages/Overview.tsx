/**
 * How it all is, and what needs somebody first.
 *
 * @since 0.7.0
 */
import { Link } from "@tanstack/react-router"
import type { ReactNode } from "react"
import type { Host } from "../../api/Hosts.ts"
import type { Snapshot } from "../state/Live.ts"
import { Empty, Loading, Meter, State, useSnapshot, useTitle } from "../parts/Parts.tsx"
import { OperationRow } from "../parts/OperationRow.tsx"
import { count, counted, gibibytes, hostState, mebibytes, vmState } from "../parts/Words.ts"

const mostNamed = 8

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

const sum = (hosts: Iterable<Host>, of: (host: Host) => number): number => {
  let all = 0
  for (const host of hosts) all += of(host)
  return all
}

const Capacity = ({ snapshot: { hosts, vms } }: { readonly snapshot: Snapshot }) => {
  const all = [...hosts.values()]
  const shared = (name: "cpu" | "ram" | "disk") => ({
    used: sum(all, ({ promised }) => promised[name]),
    capacity: sum(all, ({ capacity }) => capacity[name])
  })
  const running = [...vms.values()].filter(({ state }) => state === "running").length
  return (
    <section className="card" aria-labelledby="capacity">
      <header>
        <h2 id="capacity">Capacity</h2>
        <span className="quiet small">
          {counted(all.length, "host")}, {counted(vms.size, "VM")}, {count(running)} running
        </span>
      </header>
      <Meter label="vCPUs" {...shared("cpu")} shown={count} />
      <Meter label="Memory" {...shared("ram")} shown={mebibytes} />
      <Meter label="Disk" {...shared("disk")} shown={gibibytes} />
    </section>
  )
}

const share = ({ capacity, promised }: Host): number =>
  Math.max(...(["cpu", "ram"] as const).map((name) => (capacity[name] === 0 ? 0 : promised[name] / capacity[name])))

/** @since 0.7.0 @category components */
export const Overview = (): ReactNode => {
  useTitle("Overview")
  const snapshot = useSnapshot()
  const { connection, hosts, operations } = snapshot
  return (
    <div className="page narrow">
      <div className="head">
        <h1>Overview</h1>
        <div className="actions">
          <Link to="/vms/new" className="button primary">
            Create VM
          </Link>
        </div>
      </div>
      {connection._tag === "loading" ? (
        <Loading />
      ) : hosts.size === 0 ? (
        <Empty title="No hosts yet">
          <p>
            A host is any Linux server with sshd and libvirt. Add one with <code>vmfabric host add root@h1</code>, or
            start the controller with a machine file.
          </p>
        </Empty>
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
              {[...hosts.values()].slice(0, 300).map((host) => {
                const state = hostState(host)
                return (
                  <Link key={host.id} to="/hosts/$id" params={{ id: String(host.id) }}>
                    <span className="name">{host.name}</span>
                    {state.tone === "ok" ? (
                      <>
                        <meter
                          aria-label={`promised on ${host.name}`}
                          min={0}
                          max={1}
                          low={0.8}
                          high={0.95}
                          optimum={0}
                          value={share(host)}
                        />
                        <span className="small quiet">
                          {Math.round(share(host) * 100)} %, {counted(host.vms, "VM")}
                        </span>
                      </>
                    ) : (
                      <State {...state} />
                    )}
                  </Link>
                )
              })}
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
