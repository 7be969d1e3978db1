/**
 * What can be done with the VMs that were chosen in a list.
 *
 * @since 0.8.0
 */
import { useAtomSet } from "@effect-atom/atom-react"
import type { Vm } from "../../api/Vms.ts"
import { bulkBeginAtom } from "../state/Bulk.ts"
import { Ask } from "./Ask.tsx"
import { CommandLines, Dialog, Typed, useLack, useDialog } from "./Parts.tsx"
import { count, counted } from "./Words.ts"
import { destroyOf, isHard, meaningOf, powerOf, type VmAction } from "./VmActions.ts"

const verbs = ["Start", "Shut down", "Reboot", "Power off"] as const

interface Chosen {
  readonly vm: Vm
  readonly action: VmAction
}

const possible = (vms: ReadonlyArray<Vm>, of: (vm: Vm) => VmAction | undefined): ReadonlyArray<Chosen> =>
  vms.flatMap((vm) => {
    const action = of(vm)
    return action === undefined || !action.possible ? [] : [{ vm, action }]
  })

const mostNamed = 10

/** Which they are, those of a screenful by their names. */
const Names = ({ chosen }: { readonly chosen: ReadonlyArray<Chosen> }) => (
  <p className="quiet">
    {chosen
      .slice(0, mostNamed)
      .map(({ vm }) => vm.name)
      .join(", ")}
    {chosen.length > mostNamed ? ` and ${count(chosen.length - mostNamed)} more` : ""}
  </p>
)

/** @since 0.8.0 @category components */
export const BulkBar = ({ onClear, vms }: { readonly vms: ReadonlyArray<Vm>; readonly onClear: () => void }) => {
  const begin = useAtomSet(bulkBeginAtom)
  const lack = useLack("operator")
  const [dialog, open] = useDialog()
  const powers = verbs.map((verb) => ({
    verb,
    chosen: possible(vms, (vm) => powerOf(vm).find(({ name }) => name === verb))
  }))
  const go = (verb: string, chosen: ReadonlyArray<Chosen>) => {
    begin({ name: verb, actions: chosen.map(({ action: { run }, vm: { id, name } }) => ({ id, name, run })) })
    onClear()
  }
  const destroying = (chosen: ReadonlyArray<Chosen>) =>
    open((close) => (
      <Typed
        title={`Destroy ${counted(chosen.length, "VM")}?`}
        button={`Destroy ${counted(chosen.length, "VM")}`}
        actions={chosen.map(({ action }) => action)}
        word={String(chosen.length)}
        onClose={close}
        onSure={() => go("Destroy", chosen)}
      >
        <p>
          Their root disks and all that is on them are gone for good. Their volumes stay, and are available again. Those
          that are protected are refused.
        </p>
        <Names chosen={chosen} />
      </Typed>
    ))
  const asking = (verb: string, chosen: ReadonlyArray<Chosen>) =>
    open((close) => (
      <Ask
        title={`${verb} ${counted(chosen.length, "VM")}?`}
        button={`${verb} ${counted(chosen.length, "VM")}`}
        danger={isHard(verb)}
        actions={chosen.map(({ action }) => action)}
        onClose={close}
        onSure={() => go(verb, chosen)}
      >
        <p>
          {meaningOf(verb, "Each")}
          {chosen.length === vms.length
            ? ""
            : ` Of those that are chosen ${count(vms.length - chosen.length)} cannot, as they are, and are left alone.`}
        </p>
        <Names chosen={chosen} />
      </Ask>
    ))
  const button = (verb: string, chosen: ReadonlyArray<Chosen>, tone: string, act: () => void) => (
    <button
      key={verb}
      type="button"
      className={`button tiny ${tone}`}
      disabled={lack !== undefined || chosen.length === 0}
      title={lack}
      onClick={act}
    >
      {verb}
      {chosen.length === vms.length || chosen.length === 0 ? "" : ` ${count(chosen.length)}`}…
    </button>
  )
  const destroyed = possible(vms, destroyOf)
  return (
    <div className="bulk" role="group" aria-label="What was chosen">
      <strong role="status">{counted(vms.length, "VM")} chosen</strong>
      {powers.map(({ chosen, verb }) => button(verb, chosen, "", () => asking(verb, chosen)))}
      <button
        type="button"
        className="button tiny"
        onClick={() =>
          open((close) => (
            <Dialog title="As commands" actions={[]} onClose={close}>
              {[...powers, { verb: "Destroy", chosen: destroyed }]
                .filter(({ chosen }) => chosen.length > 0)
                .map(({ chosen, verb }) => (
                  <section key={verb} aria-label={verb}>
                    <h2>{verb}</h2>
                    <CommandLines actions={chosen.map(({ action }) => action)} />
                  </section>
                ))}
            </Dialog>
          ))
        }
      >
        Copy as…
      </button>
      <button type="button" className="button plain tiny" onClick={onClear}>
        Choose none
      </button>
      {/* apart from what is pressed every day */}
      {button("Destroy", destroyed, "danger apart", () => destroying(destroyed))}
      {dialog}
    </div>
  )
}
