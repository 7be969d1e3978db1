/**
 * Hosts, in several pages.
 *
 * @since 0.8.0
 */
import { Link } from "@tanstack/react-router"
import type { Host } from "../../api/Hosts.ts"
import { Empty, Meter, State } from "./Parts.tsx"
import { count, counted, gibibytes, hostState, mebibytes } from "./Words.ts"

/** @since 0.8.0 @category components */
export const NoHosts = () => (
  <Empty title="No hosts yet">
    <p>
      A host is any Linux server with sshd and libvirt. Add one on the page <Link to="/hosts">Hosts</Link> or with{" "}
      <code>vmfabric host add root@h1</code>, or name it in the machine file and start the controller anew.
    </p>
  </Empty>
)

/** Of one host, or of all of them together. @since 0.8.0 @category components */
export const Meters = ({ capacity, promised }: Pick<Host, "capacity" | "promised">) => (
  <>
    <Meter label="vCPUs" used={promised.cpu} capacity={capacity.cpu} shown={count} />
    <Meter label="Memory" used={promised.ram} capacity={capacity.ram} shown={mebibytes} />
    <Meter label="Disk" used={promised.disk} capacity={capacity.disk} shown={gibibytes} />
  </>
)

/** Its name, how it is, and what it has. @since 0.8.0 @category components */
export const HostCard = ({ host }: { readonly host: Host }) => {
  const state = hostState(host)
  return (
    <section className="card" aria-label={host.name}>
      <header>
        <h2 className="cut">
          <Link to="/hosts/$id" params={{ id: String(host.id) }}>
            {host.name}
          </Link>
        </h2>
        <State {...state} />
      </header>
      {state.why === null ? null : <p className="quiet">{state.why}</p>}
      <Meters {...host} />
      <Link to="/vms" search={{ host: String(host.id) }} className="small">
        {counted(host.vms, "VM")}
      </Link>
    </section>
  )
}

const share = ({ capacity, promised }: Host): number =>
  Math.max(...(["cpu", "ram"] as const).map((name) => (capacity[name] === 0 ? 0 : promised[name] / capacity[name])))

/** From 0, empty, to 9, full. */
const heat = (of: number): number => Math.max(0, Math.min(9, Math.floor(of * 10)))

/** One of very many: how full it is by its colour, and in words. @since 0.8.0 @category components */
export const HostTile = ({ host }: { readonly host: Host }) => {
  const state = hostState(host)
  const full = share(host)
  return (
    <Link
      to="/hosts/$id"
      params={{ id: String(host.id) }}
      className={state.tone === "ok" ? `heat-${heat(full)}` : `heat-${state.tone}`}
      title={`${host.name}: ${state.tone === "ok" ? "" : `${state.word}, `}${Math.round(full * 100)} % promised, ${counted(host.vms, "VM")}`}
    >
      <span className="name">{host.name}</span>
      {state.tone === "ok" ? (
        <span className="small">
          {Math.round(full * 100)} %, {counted(host.vms, "VM")}
        </span>
      ) : (
        <>
          <State {...state} />
          <span className="small">{counted(host.vms, "VM")}</span>
        </>
      )}
    </Link>
  )
}
