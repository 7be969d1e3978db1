/**
 * What can be done with the VMs that were chosen in a list.
 *
 * @since 0.8.0
 */
import { useAtomSet } from "@effect-atom/atom-react"
import type { Vm } from "../../api/Vms.ts"
import { bulkBeginAtom } from "../state/Bulk.ts"
import { useAbove } from "./Above.tsx"
import { Ask } from "./Ask.tsx"
import { CommandLines, Dialog, Typed, useLack, useSnapshot } from "./Parts.tsx"
import { count, counted, namesOf } from "./Words.ts"
import { destroyOf, isHard, meaningOf, powerOf, type VmAction } from "./VmActions.ts"

const verbs = ["Start", "Shut down", "Reboot", "Power off", "Destroy"] as const

type Verb = (typeof verbs)[number]

interface Chosen {
  readonly vm: Vm
  readonly action: VmAction
}

/** Those of them with which it can be done, as they are. */
const possible = (vms: ReadonlyArray<Vm>, verb: Verb): ReadonlyArray<Chosen> =>
  vms.flatMap((vm) => {
    const action = [...powerOf(vm), destroyOf(vm)].find(({ name }) => name === verb)
    return action === undefined || !action.possible ? [] : [{ vm, action }]
  })

/** Which they are, those of a screenful by their names. */
const Names = ({ chosen }: { readonly chosen: ReadonlyArray<Chosen> }) => (
  <p className="quiet">{namesOf(chosen.map(({ vm }) => vm))}</p>
)

/** Asked before it is done: with those that were chosen, as they are by now, however the list is narrowed meanwhile. */
const BulkDialog = ({
  onClear,
  onClose,
  verb,
  vms
}: {
  readonly verb: Verb
  readonly vms: ReadonlyArray<Vm>
  readonly onClose: () => void
  readonly onClear: () => void
}) => {
  const begin = useAtomSet(bulkBeginAtom)
  const { vms: all } = useSnapshot()
  const now = vms.flatMap(({ id }) => all.get(id) ?? [])
  const chosen = possible(now, verb)
  const left = vms.length - chosen.length
  const what = `${verb} ${counted(chosen.length, "VM")}`
  const asked = {
    title: `${what}?`,
    button: what,
    actions: chosen.map(({ action }) => action),
    ready: chosen.length > 0,
    onClose,
    onSure: () => {
      begin({ name: verb, actions: chosen.map(({ action: { run }, vm: { id, name } }) => ({ id, name, run })) })
      onClear()
    }
  }
  const others = left === 0 ? "" : ` Of those that are chosen ${count(left)} cannot, as they are, and are left alone.`
  return verb === "Destroy" ? (
    <Typed {...asked} word={String(chosen.length)}>
      <p>
        Their root disks and all that is on them are gone for good. Their volumes stay, and are available again. Those
        that are protected are refused.{others}
      </p>
      <Names chosen={chosen} />
    </Typed>
  ) : (
    <Ask {...asked} danger={isHard(verb)}>
      <p>
        {meaningOf(verb, "Each")}
        {others}
      </p>
      <Names chosen={chosen} />
    </Ask>
  )
}

/** @since 0.8.0 @category components */
export const BulkBar = ({ onClear, vms }: { readonly vms: ReadonlyArray<Vm>; readonly onClear: () => void }) => {
  const lack = useLack("operator")
  const above = useAbove()
  const all = verbs.map((verb) => ({ verb, chosen: possible(vms, verb) }))
  const button = ({ chosen, verb }: (typeof all)[number]) => (
    <button
      key={verb}
      type="button"
      // apart from what is pressed every day
      className={`button tiny ${verb === "Destroy" ? "danger apart" : ""}`}
      disabled={lack !== undefined || chosen.length === 0}
      title={lack}
      onClick={() => above((close) => <BulkDialog verb={verb} vms={vms} onClose={close} onClear={onClear} />)}
    >
      {verb}
      {chosen.length === vms.length || chosen.length === 0 ? "" : ` ${count(chosen.length)}`}…
    </button>
  )
  return (
    <div className="bulk" role="group" aria-label="What was chosen">
      <strong role="status">{counted(vms.length, "VM")} chosen</strong>
      {all.filter(({ verb }) => verb !== "Destroy").map(button)}
      <button
        type="button"
        className="button tiny"
        onClick={() =>
          above((close) => (
            <Dialog title="As commands" actions={[]} onClose={close}>
              {all
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
      {all.filter(({ verb }) => verb === "Destroy").map(button)}
    </div>
  )
}
