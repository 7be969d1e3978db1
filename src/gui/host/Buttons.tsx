/**
 * What an admin does with hosts, on their pages.
 *
 * @since 0.12.0
 */
import { useAtomSet } from "@effect-atom/atom-react"
import { useNavigate } from "@tanstack/react-router"
import { lazy, Suspense, useEffect, useState } from "react"
import type { Host } from "../../api/Hosts.ts"
import { again } from "../parts/Again.ts"
import { declareLost, removeHost } from "../parts/HostActions.ts"
import { Sure, useBegin, useLack, useSnapshot } from "../parts/Parts.tsx"
import { counted } from "../parts/Words.ts"
import type { HostId } from "../../domain/Ids.ts"
import { examineNewAtom } from "./Examined.ts"

const AddHost = lazy(() => again(() => import("./AddHost.tsx")).then((module) => ({ default: module.AddHost })))
const SetHost = lazy(() => again(() => import("./SetHost.tsx")).then((module) => ({ default: module.SetHost })))

/** Leads to the host that was added, and has it examined. @since 0.12.0 @category components */
export const AddHostButton = () => {
  const lack = useLack("admin")
  const { hosts } = useSnapshot()
  const navigate = useNavigate()
  const examine = useAtomSet(examineNewAtom)
  const [adding, setAdding] = useState(false)
  const [added, setAdded] = useState<HostId | null>(null)
  // its page says that there is none until it is listed
  const isListed = added !== null && hosts.has(added)
  useEffect(() => {
    if (isListed) void navigate({ to: "/hosts/$id", params: { id: String(added) } })
  }, [isListed, added, navigate])
  return (
    <>
      <button
        type="button"
        className="button primary"
        disabled={lack !== undefined}
        title={lack}
        onClick={() => setAdding(true)}
      >
        Add host
      </button>
      {adding ? (
        <Suspense>
          <AddHost
            onAdded={({ id }) => {
              examine(id)
              setAdded(id)
            }}
            onClose={() => setAdding(false)}
          />
        </Suspense>
      ) : null}
    </>
  )
}

const RemoveHost = ({ host, onClose }: { readonly host: Host; readonly onClose: () => void }) => {
  const { volumes } = useSnapshot()
  const kept = [...volumes.values()].filter(({ hostId }) => hostId === host.id).length
  const there = [
    ...(host.vms === 0 ? [] : [counted(host.vms, "VM")]),
    ...(kept === 0 ? [] : [counted(kept, "volume")])
  ].join(" and ")
  return (
    <Sure action={removeHost(host)} name={host.name} onClose={onClose}>
      {there === "" ? null : (
        <div className="note warn">
          <strong>It has {there}</strong>
          <p>It is not removed while they are there: the controller refuses, and names them.</p>
        </div>
      )}
      <p>
        Nothing connects to it any more, and nothing is done on it: what is on its disks stays there. Added again, it
        comes back under its id.
      </p>
    </Sure>
  )
}

const LoseHost = ({ host, onClose }: { readonly host: Host; readonly onClose: () => void }) => (
  <Sure action={declareLost(host, true)} name={host.name} onClose={onClose}>
    <div className="note warn">
      <strong>Take its power away first</strong>
      <p>What still runs there goes on, and nobody sees it.</p>
    </div>
    <p>
      Nothing waits for it any more, and nothing connects to it. What is on its disks counts as gone
      {host.vms === 0 ? "" : `, as ${host.vms === 1 ? "does its VM" : `do its ${counted(host.vms, "VM")}`}`}: they can
      be destroyed, and volumes in a pool be attached elsewhere. Should it come back, say so here; what was destroyed
      meanwhile is removed there then.
    </p>
  </Sure>
)

const fromFile = "its settings are in the machine file, and are changed there"

/** @since 0.12.0 @category components */
export const HostButtons = ({ host }: { readonly host: Host }) => {
  const lack = useLack("admin")
  const begin = useBegin()
  const [shown, setShown] = useState<"settings" | "remove" | "lost" | null>(null)
  const close = () => setShown(null)
  const why = lack ?? (host.origin === "file" ? fromFile : undefined)
  return (
    <>
      {host.status === "down" ? (
        <button
          type="button"
          className="button danger"
          disabled={lack !== undefined}
          title={lack}
          onClick={() => setShown("lost")}
        >
          It is lost…
        </button>
      ) : null}
      {host.status === "lost" ? (
        <button
          type="button"
          className="button"
          disabled={lack !== undefined}
          title={lack}
          onClick={() => void begin(declareLost(host, false))}
        >
          It is back
        </button>
      ) : null}
      <button
        type="button"
        className="button"
        disabled={why !== undefined}
        title={why}
        onClick={() => setShown("settings")}
      >
        Settings…
      </button>
      <button
        type="button"
        className="button danger"
        disabled={why !== undefined}
        title={why}
        onClick={() => setShown("remove")}
      >
        Remove…
      </button>
      {shown === "settings" ? (
        <Suspense>
          <SetHost host={host} onClose={close} />
        </Suspense>
      ) : null}
      {shown === "lost" ? <LoseHost host={host} onClose={close} /> : null}
      {shown === "remove" ? <RemoveHost host={host} onClose={close} /> : null}
    </>
  )
}
