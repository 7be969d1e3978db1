/**
 * The disks of a VM, and what can be done with those that are volumes.
 *
 * @since 0.12.0
 */
import { Link } from "@tanstack/react-router"
import { lazy, Suspense, useState } from "react"
import type { Vm } from "../../api/Vms.ts"
import type { Volume } from "../../api/Volumes.ts"
import { again } from "../parts/Again.ts"
import { useLack, useSnapshot } from "../parts/Parts.tsx"
import { gibibytes } from "../parts/Words.ts"

const AttachVolume = lazy(() =>
  again(() => import("./AttachVolume.tsx")).then((module) => ({ default: module.AttachVolume }))
)

const DetachVolume = lazy(() =>
  again(() => import("./DetachVolume.tsx")).then((module) => ({ default: module.DetachVolume }))
)

/** @since 0.12.0 @category components */
export const Disks = ({ vm }: { readonly vm: Vm }) => {
  const { volumes } = useSnapshot()
  const lack = useLack("operator")
  const [attaching, setAttaching] = useState(false)
  const [detaching, setDetaching] = useState<Volume | null>(null)
  return (
    <section className="card" aria-labelledby="disks">
      <header>
        <h2 id="disks">Disks</h2>
        <button
          type="button"
          className="button tiny"
          disabled={lack !== undefined}
          title={lack}
          onClick={() => setAttaching(true)}
        >
          Attach volume…
        </button>
      </header>
      <ul className="list">
        <li>
          <span>root disk</span>
          <span className="quiet">{vm.driver === "dir" ? "on its host" : `in ${vm.driver}`}</span>
          <span className="end">{gibibytes(vm.resources.disk)}</span>
        </li>
        {[...volumes.values()]
          .filter(({ vmId }) => vmId === vm.id)
          .map((volume) => (
            <li key={volume.id}>
              <Link to="/volumes/$id" params={{ id: String(volume.id) }}>
                {volume.name}
              </Link>
              <span className="quiet">
                {volume.target ?? ""} {volume.state}, serial {volume.serial}
              </span>
              <span className="end">{gibibytes(volume.size)}</span>
              <button
                type="button"
                className="button tiny"
                disabled={lack !== undefined || volume.state !== "attached"}
                title={lack}
                onClick={() => setDetaching(volume)}
              >
                Detach…<span className="sr"> {volume.name}</span>
              </button>
            </li>
          ))}
      </ul>
      {attaching ? (
        <Suspense>
          <AttachVolume vm={vm} onClose={() => setAttaching(false)} />
        </Suspense>
      ) : null}
      {detaching === null ? null : (
        <Suspense>
          <DetachVolume volume={detaching} holder={vm.name} onClose={() => setDetaching(null)} />
        </Suspense>
      )}
    </section>
  )
}
