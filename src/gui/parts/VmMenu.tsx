/**
 * What can be done with a VM, in a menu.
 *
 * @since 0.7.0
 */
import { useNavigate } from "@tanstack/react-router"
import { lazy, type ReactNode, Suspense, useState } from "react"
import { again } from "./Again.ts"
import type { Vm } from "../../api/Vms.ts"
import { MenuButton } from "./MenuButton.tsx"
import { Commands, Sure, useBegin, useLack, useDialog } from "./Parts.tsx"
import { isUnseen } from "./Words.ts"
import { destroyOf, isHard, meaningOf, powerOf, repairOf, type VmAction } from "./VmActions.ts"

/** @since 0.7.0 @category components */
export const DestroyVm = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => (
  <Sure action={destroyOf(vm)} name={vm.name} onClose={onClose}>
    <p>
      Its root disk and all that is on it are gone for good. Its volumes stay, and are available again.
      {isUnseen(vm)
        ? ` Its host is ${vm.hostStatus}: it is destroyed when that answers again, and until then this waits and cannot be cancelled.`
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

/** Begins an action on a VM, and asks first when that loses what its guest has not written. @since 0.12.0 @category hooks */
export const useAct = (): readonly [shown: ReactNode, act: (action: VmAction) => void] => {
  const begin = useBegin()
  const [dialog, open] = useDialog()
  const act = (action: VmAction) => {
    if (!isHard(action.name)) return void begin(action)
    open((close) => (
      <Suspense>
        <Ask
          title={`${action.label}?`}
          button={action.name}
          danger
          actions={[action]}
          onClose={close}
          onSure={() => void begin(action)}
        >
          <p>{meaningOf(action.name, "It")}</p>
        </Ask>
      </Suspense>
    ))
  }
  return [dialog, act]
}

/** @since 0.7.0 @category components */
export const VmMenu = ({ label, vm }: { readonly vm: Vm; readonly label?: string }) => {
  const [asked, act] = useAct()
  const navigate = useNavigate()
  const lack = useLack("operator")
  const barred = lack !== undefined
  const [shown, setShown] = useState<"edit" | "resize" | "place" | "cloud-init" | "destroy" | "commands" | null>(null)
  const close = () => setShown(null)
  const entries = () => [
    [...powerOf(vm), repairOf(vm)].map((action) => ({
      name: `${action.name}${isHard(action.name) ? "…" : ""}`,
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
      { name: "Edit…", disabled: barred, act: () => setShown("edit") },
      { name: "Resize…", disabled: barred, act: () => setShown("resize") },
      { name: "Rules…", disabled: barred, act: () => setShown("place") },
      { name: "cloud-init…", disabled: barred, act: () => setShown("cloud-init") },
      { name: "Copy as curl or CLI…", disabled: false, act: () => setShown("commands") },
      { name: "Destroy…", disabled: barred, danger: true, act: () => setShown("destroy") }
    ]
  ]
  return (
    <>
      <MenuButton label={`Actions of ${vm.name}`} shown={label} entries={entries} note={lack} />
      {asked}
      {shown === "edit" ? (
        <Suspense>
          <EditVm vm={vm} onClose={close} />
        </Suspense>
      ) : null}
      {shown === "resize" ? (
        <Suspense>
          <ResizeVm vm={vm} onClose={close} />
        </Suspense>
      ) : null}
      {shown === "place" ? (
        <Suspense>
          <PlaceVm vm={vm} onClose={close} />
        </Suspense>
      ) : null}
      {shown === "cloud-init" ? (
        <Suspense>
          <CloudInitVm vm={vm} onClose={close} />
        </Suspense>
      ) : null}
      {shown === "destroy" ? <DestroyVm vm={vm} onClose={close} /> : null}
      {shown === "commands" ? (
        <Commands actions={[...powerOf(vm), repairOf(vm), destroyOf(vm)]} onClose={close} />
      ) : null}
    </>
  )
}
