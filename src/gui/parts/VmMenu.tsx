/**
 * What can be done with a VM, in a menu.
 *
 * @since 0.7.0
 */
import { useNavigate } from "@tanstack/react-router"
import { lazy, Suspense, useRef, useState } from "react"
import type { Vm } from "../../api/Vms.ts"
import { Commands, Sure, useBegin, useRole } from "./Parts.tsx"
import { destroyOf, powerOf } from "./VmActions.ts"

/** @since 0.7.0 @category components */
export const DestroyVm = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => (
  <Sure action={destroyOf(vm)} name={vm.name} onClose={onClose}>
    <p>
      Its root disk and all that is on it are gone for good. Its volumes stay, and are available again.
      {vm.protected ? " It is protected: the controller refuses until that is lifted." : ""}
    </p>
  </Sure>
)

const MenuBox = lazy(() => import("./Menu.tsx").then((module) => ({ default: module.MenuBox })))

/** @since 0.7.0 @category components */
export const VmMenu = ({ label, vm }: { readonly vm: Vm; readonly label?: string }) => {
  const begin = useBegin()
  const navigate = useNavigate()
  const role = useRole()
  const button = useRef<HTMLButtonElement>(null)
  const [shown, setShown] = useState<"menu" | "destroy" | "commands" | null>(null)
  const close = () => setShown(null)
  // only now: a list has many of these, and few are opened
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
      { name: "Copy as curl or CLI…", disabled: false, act: () => setShown("commands") },
      { name: "Destroy…", disabled: role === "viewer", danger: true, act: () => setShown("destroy") }
    ]
  ]
  return (
    <>
      <button
        ref={button}
        type="button"
        className={`button ${label === undefined ? "plain tiny" : ""}`}
        aria-haspopup="menu"
        aria-expanded={shown === "menu"}
        onClick={() => setShown("menu")}
      >
        {label ?? <span aria-hidden="true">⋯</span>}
        {label === undefined ? <span className="sr">Actions of {vm.name}</span> : null}
      </button>
      {shown === "menu" ? (
        <Suspense>
          <MenuBox
            label={`Actions of ${vm.name}`}
            anchor={button.current}
            entries={entries()}
            onClose={() => setShown((now) => (now === "menu" ? null : now))}
          />
        </Suspense>
      ) : null}
      {shown === "destroy" ? <DestroyVm vm={vm} onClose={close} /> : null}
      {shown === "commands" ? <Commands actions={[...powerOf(vm), destroyOf(vm)]} onClose={close} /> : null}
    </>
  )
}
