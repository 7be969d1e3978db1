/**
 * Block devices that exist apart from VMs.
 *
 * @since 0.7.0
 */
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import type { ReactNode } from "react"
import type { Volume } from "../../api/Volumes.ts"
import { Empty, Loading, State, useSnapshot, useTitle } from "../parts/Parts.tsx"
import { count, gibibytes, moment, type Shown } from "../parts/Words.ts"

const most = 200

const stateOf = ({ purgeAt, state }: Volume): Shown => {
  switch (state) {
    case "attached":
      return { tone: "ok", word: state, why: null }
    case "available":
      return { tone: "off", word: state, why: null }
    case "deleted":
      return { tone: "warn", word: "in the trash", why: purgeAt === null ? null : `purged ${moment(purgeAt)}` }
    default:
      return { tone: "busy", word: state, why: null }
  }
}

/** @since 0.7.0 @category components */
export const Volumes = (): ReactNode => {
  useTitle("Volumes")
  const { connection, hosts, vms, volumes } = useSnapshot()
  const { q = "" } = useSearch({ from: "/volumes" })
  const navigate = useNavigate({ from: "/volumes" })
  const shown = [...volumes.values()].filter(
    ({ id, name }) => name.toLowerCase().includes(q.toLowerCase()) || `id:${id}` === q
  )
  return (
    <div className="page fills">
      <div className="head">
        <h1>Volumes</h1>
        <span className="quiet">{count(shown.length)}</span>
      </div>
      <div className="filters">
        <input
          type="search"
          className="input search"
          aria-label="Search volumes"
          placeholder="Name or id:3"
          value={q}
          onChange={(event) =>
            void navigate({ search: { q: event.target.value === "" ? undefined : event.target.value }, replace: true })
          }
        />
      </div>
      {connection._tag === "loading" ? (
        <Loading />
      ) : shown.length === 0 ? (
        <Empty title={volumes.size === 0 ? "No volumes yet" : "No volume is like that"}>
          <p>
            A volume is a disk that outlives VMs: <code>vmfabric volume create --name data --size 100</code>, then{" "}
            <code>vmfabric volume attach data web-1</code>.
          </p>
        </Empty>
      ) : (
        <div className="scroll" tabIndex={0} role="region" aria-label="List of volumes">
          <div className="table volumes" role="table" aria-label="Volumes">
            <div className="thead" role="rowgroup">
              <div className="tr" role="row">
                <span role="columnheader">Name</span>
                <span role="columnheader">Size</span>
                <span role="columnheader">State</span>
                <span role="columnheader" className="extra">
                  VM
                </span>
                <span role="columnheader" className="extra">
                  Kept
                </span>
              </div>
            </div>
            <div className="tbody plain" role="rowgroup">
              {shown.slice(0, most).map((volume) => (
                <div key={volume.id} className="tr" role="row">
                  <span className="cell" role="cell">
                    {volume.name}
                  </span>
                  <span className="cell" role="cell">
                    {gibibytes(volume.size)}
                  </span>
                  <span className="cell" role="cell">
                    <State {...stateOf(volume)} />
                  </span>
                  <span className="cell extra" role="cell">
                    {volume.vmId === null ? (
                      ""
                    ) : (
                      <Link to="/vms/$id" params={{ id: String(volume.vmId) }}>
                        {vms.get(volume.vmId)?.name ?? `VM ${volume.vmId}`}
                      </Link>
                    )}
                  </span>
                  <span className="cell extra quiet" role="cell">
                    {volume.hostId === null ? `in ${volume.driver}` : (hosts.get(volume.hostId)?.name ?? "")}
                  </span>
                </div>
              ))}
            </div>
          </div>
        </div>
      )}
      {shown.length > most ? <p className="quiet">The first {most} are shown: search for others.</p> : null}
    </div>
  )
}
