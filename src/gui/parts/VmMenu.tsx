/**
 * What can be done with a VM, in a menu.
 *
 * @since 0.7.0
 */
import { useNavigate } from "@tanstack/react-router"
import { lazy, Suspense, useState } from "react"
import { again } from "./Again.ts"
import type { Vm } from "../../api/Vms.ts"
import { MenuButton } from "./MenuButton.tsx"
import { Commands, Sure, useBegin, useRole } from "./Parts.tsx"
import { isUnseen } from "./Words.ts"
import { destroyOf, powerOf } from "./VmActions.ts"

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

const EditVm = lazy(() => again(() => import("./EditVm.tsx")).then((module) => ({ default: module.EditVm })))

const ResizeVm = lazy(() => again(() => import("./ResizeVm.tsx")).then((module) => ({ default: module.ResizeVm })))

/** @since 0.9.0 @category components */
export const PlaceVm = lazy(() => again(() => import("./PlaceVm.tsx")).then((module) => ({ default: module.PlaceVm })))

/** @since 0.7.0 @category components */
export const VmMenu = ({ label, vm }: { readonly vm: Vm; readonly label?: string }) => {
  const begin = useBegin()
  const navigate = useNavigate()
  const role = useRole()
  const [shown, setShown] = useState<"edit" | "resize" | "place" | "destroy" | "commands" | null>(null)
  const close = () => setShown(null)
  const entries = () => [
    powerOf(vm).map((action) => ({
      name: action.name,
      disabled: !action.possible || role === "viewer",
      act: () => void begin(action)
    })),
    (
      [
        ["Serial console", "/vms/$id/console"],
        ["Screen", "/vms/$id/screen"]
      ] as const
    ).map(([name, to]) => ({
      name,
      disabled: role === "viewer",
      act: () => void navigate({ to, params: { id: String(vm.id) } })
    })),
    [
      { name: "Edit…", disabled: role === "viewer", act: () => setShown("edit") },
      { name: "Resize…", disabled: role === "viewer", act: () => setShown("resize") },
      { name: "Rules…", disabled: role === "viewer", act: () => setShown("place") },
      { name: "Copy as curl or CLI…", disabled: false, act: () => setShown("commands") },
      { name: "Destroy…", disabled: role === "viewer", danger: true, act: () => setShown("destroy") }
    ]
  ]
  return (
    <>
      <MenuButton label={`Actions of ${vm.name}`} shown={label} entries={entries} />
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
      {shown === "destroy" ? <DestroyVm vm={vm} onClose={close} /> : null}
      {shown === "commands" ? <Commands actions={[...powerOf(vm), destroyOf(vm)]} onClose={close} /> : null}
    </>
  )
}
