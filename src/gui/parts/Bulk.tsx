/**
 * What can be done with the VMs that were chosen in a list, and what became of it.
 *
 * @since 0.8.0
 */
import { useAtomSet, useAtomValue } from "@effect-atom/atom-react"
import { Link } from "@tanstack/react-router"
import type { Vm } from "../../api/Vms.ts"
import { bulkAtom, bulkBeginAtom } from "../state/Bulk.ts"
import { useDialog } from "./FormDialog.tsx"
import { CommandLines, Dialog, Typed, useRole, useSnapshot } from "./Parts.tsx"
import { count, counted } from "./Words.ts"
import { destroyOf, powerOf, type VmAction } from "./VmActions.ts"

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

/** @since 0.8.0 @category components */
export const BulkBar = ({ onClear, vms }: { readonly vms: ReadonlyArray<Vm>; readonly onClear: () => void }) => {
  const begin = useAtomSet(bulkBeginAtom)
  const viewer = useRole() === "viewer"
  const [dialog, open] = useDialog()
  const all = [
    ...verbs.map((verb) => ({
      verb,
      chosen: possible(vms, (vm) => powerOf(vm).find(({ name }) => name === verb))
    })),
    { verb: "Destroy", chosen: possible(vms, destroyOf) }
  ]
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
        <p className="quiet">
          {chosen
            .slice(0, mostNamed)
            .map(({ vm }) => vm.name)
            .join(", ")}
          {chosen.length > mostNamed ? ` and ${count(chosen.length - mostNamed)} more` : ""}
        </p>
      </Typed>
    ))
  return (
    <div className="bulk" role="group" aria-label="What was chosen">
      <strong role="status">{counted(vms.length, "VM")} chosen</strong>
      {all.map(({ chosen, verb }) => (
        <button
          key={verb}
          type="button"
          className={`button tiny ${verb === "Destroy" ? "danger" : ""}`}
          disabled={viewer || chosen.length === 0}
          onClick={() => (verb === "Destroy" ? destroying(chosen) : go(verb, chosen))}
        >
          {verb}
          {chosen.length === vms.length || chosen.length === 0 ? "" : ` ${count(chosen.length)}`}
          {verb === "Destroy" ? "…" : ""}
        </button>
      ))}
      <button
        type="button"
        className="button tiny"
        onClick={() =>
          open((close) => (
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
      {dialog}
    </div>
  )
}

/** Until it was seen. @since 0.8.0 @category components */
export const BulkResult = () => {
  const bulk = useAtomValue(bulkAtom)
  const dismiss = useAtomSet(bulkAtom)
  const { operations } = useSnapshot()
  if (bulk === null) return null
  const byId = new Map(operations.map((one) => [one.id, one]))
  const all = [...bulk.vms.values()]
  const found = all.flatMap(({ name, state }) =>
    state._tag === "begun" && state.operationId !== null
      ? [{ name, operation: byId.get(state.operationId) ?? null }]
      : []
  )
  const failed = found.filter(({ operation }) => operation?.state === "failed")
  const refused = all.flatMap(({ name, state }) => (state._tag === "refused" ? [{ name, words: state.words }] : []))
  const lost = found.filter(({ operation }) => operation === null).length
  const open =
    all.filter(({ state }) => state._tag === "asking").length +
    found.filter(({ operation }) => operation !== null && operation.endedAt === null).length
  const done = all.length - open - failed.length - refused.length - lost
  const bad = failed.length + refused.length > 0
  return (
    <div className={`note ${bad ? "bad" : ""}`} role="status">
      <div className="head">
        <strong>
          {bulk.name}: {count(done)} of {counted(all.length, "VM")} done
          {open === 0 ? "" : `, ${count(open)} under way`}
          {failed.length === 0 ? "" : `, ${count(failed.length)} failed`}
          {refused.length === 0 ? "" : `, ${count(refused.length)} refused`}
          {lost === 0 ? "" : `, ${count(lost)} begun`}
        </strong>
        <div className="actions">
          <button type="button" className="button tiny" onClick={() => dismiss(null)}>
            Dismiss
          </button>
        </div>
      </div>
      {open === 0 ? null : <progress aria-label={`${bulk.name}, done`} max={all.length} value={all.length - open} />}
      {bad ? (
        <ul className="list">
          {refused.slice(0, mostNamed).map(({ name, words }) => (
            <li key={name}>
              <strong>{name}</strong>
              <span>{words.detail}</span>
            </li>
          ))}
          {failed.slice(0, mostNamed).map(({ name, operation }) =>
            operation === null ? null : (
              <li key={name}>
                <Link to="/operations/$id" params={{ id: operation.id }}>
                  {name}
                </Link>
                <span>{operation.error}</span>
              </li>
            )
          )}
        </ul>
      ) : null}
    </div>
  )
}
