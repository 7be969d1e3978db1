/**
 * What can be done with a VM, in a menu.
 *
 * @since 0.7.0
 */
import { useNavigate } from "@tanstack/react-router"
import { lazy, type ReactNode, Suspense, useState } from "react"
import { useAbove } from "./Above.tsx"
import { again } from "./Again.ts"
import type { Vm } from "../../api/Vms.ts"
import { MenuButton } from "./MenuButton.tsx"
import { Commands, Sure, useBegin, useLack, useSnapshot } from "./Parts.tsx"
import { commandsOf, destroyOf, isAsked, isHard, meaningOf, powerOf, repairOf, type VmAction } from "./VmActions.ts"

/** @since 0.7.0 @category components */
export const DestroyVm = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => (
  <Sure action={destroyOf(vm)} name={vm.name} onClose={onClose}>
    <p>
      Its root disk and all that is on it are gone for good. Its volumes stay, and are available again.
      {vm.hostStatus === "lost" ? " Its host is declared lost: nothing is done there." : ""}
      {vm.hostStatus === "down" || vm.hostStatus === "suspect"
        ? ` Its host is ${vm.hostStatus}: it is destroyed when that answers again or is declared lost, and until then this waits and cannot be cancelled.`
        : ""}
      {vm.protected ? " It is protected: the controller refuses until that is lifted." : ""}
    </p>
  </Sure>
)

const Ask = lazy(() => again(() => import("./Ask.tsx")).then((module) => ({ default: module.Ask })))

const EditVm = lazy(() => again(() => import("./EditVm.tsx")).then((module) => ({ default: module.EditVm })))

const ResizeVm = lazy(() => again(() => import("./ResizeVm.tsx")).then((module) => ({ default: module.ResizeVm })))

/** @since 0.9.0 @category components */
export const PlaceVm = lazy(() => again(() => import("./PlaceVm.tsx")).then((module) => ({ default: module.PlaceVm })))

const CloudInitVm = lazy(() =>
  again(() => import("./CloudInitVm.tsx")).then((module) => ({ default: module.CloudInitVm }))
)

/** Begins an action on a VM, and asks first when that may lose what its guest has not written. @since 0.12.0 @category hooks */
export const useAct = (): ((action: VmAction) => void) => {
  const begin = useBegin()
  const open = useAbove()
  return (action) => {
    if (!isAsked(action.name)) return void begin(action)
    open((close) => (
      <Suspense>
        <Ask
          title={`${action.label}?`}
          button={action.name}
          danger={isHard(action.name)}
          actions={[action]}
          onClose={close}
          onSure={() => void begin(action)}
        >
          <p>{meaningOf(action.name, "It")}</p>
        </Ask>
      </Suspense>
    ))
  }
}

/** A VM as it is now, and when it is gone as it was last. */
const Now = ({ children, vm }: { readonly vm: Vm; readonly children: (now: Vm) => ReactNode }) => {
  const now = useSnapshot().vms.get(vm.id)
  const [last, setLast] = useState(vm)
  if (now !== undefined && now !== last) setLast(now)
  return children(now ?? last)
}

/** @since 0.7.0 @category components */
export const VmMenu = ({ label, vm }: { readonly vm: Vm; readonly label?: string }) => {
  const act = useAct()
  const above = useAbove()
  const navigate = useNavigate()
  const lack = useLack("operator")
  const barred = lack !== undefined
  const open = (shown: (now: Vm, close: () => void) => ReactNode) =>
    above((close) => (
      <Suspense>
        <Now vm={vm}>{(now) => shown(now, close)}</Now>
      </Suspense>
    ))
  const entries = () => [
    [...powerOf(vm), repairOf(vm)].map((action) => ({
      name: `${action.name}${isAsked(action.name) ? "…" : ""}`,
      disabled: !action.possible || barred,
      act: () => act(action)
    })),
    (
      [
        ["Serial console", "/vms/$id/console"],
        ["Screen", "/vms/$id/screen"]
      ] as const
    ).map(([name, to]) => ({
      name,
      disabled: barred,
      act: () => void navigate({ to, params: { id: String(vm.id) } })
    })),
    [
      { name: "Edit…", disabled: barred, act: () => open((now, close) => <EditVm vm={now} onClose={close} />) },
      { name: "Resize…", disabled: barred, act: () => open((now, close) => <ResizeVm vm={now} onClose={close} />) },
      { name: "Rules…", disabled: barred, act: () => open((now, close) => <PlaceVm vm={now} onClose={close} />) },
      {
        name: "cloud-init…",
        disabled: barred,
        act: () => open((now, close) => <CloudInitVm vm={now} onClose={close} />)
      },
      {
        name: "Copy as curl or CLI…",
        disabled: false,
        act: () => open((now, close) => <Commands actions={commandsOf(now)} onClose={close} />)
      },
      {
        name: "Destroy…",
        disabled: barred,
        danger: true,
        act: () => open((now, close) => <DestroyVm vm={now} onClose={close} />)
      }
    ]
  ]
  return <MenuButton label={`Actions of ${vm.name}`} shown={label} entries={entries} note={lack} />
}
