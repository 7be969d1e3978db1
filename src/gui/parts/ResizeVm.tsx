/**
 * Another size for a VM.
 *
 * @since 0.8.0
 */
import * as Effect from "effect/Effect"
import { useState } from "react"
import { NewSize, type Vm } from "../../api/Vms.ts"
import { calls, payloadOf } from "../state/Api.ts"
import { ifMatch, type ReadNow, useRevised, vmAtom } from "../state/Revised.ts"
import { useTypes } from "../state/Types.ts"
import type { Commanded } from "./Commands.ts"
import { ChoiceField } from "./Field.tsx"
import { FormDialog } from "./FormDialog.tsx"
import { Failure } from "./Parts.tsx"
import { rebased } from "./Rebased.ts"
import { counted, mebibytes } from "./Words.ts"

/** Refused when somebody else has changed the VM since it was read; then it is read again. */
const commandOf = ({ guarded, revision, value: { id, name } }: ReadNow<Vm>, type: string): Commanded => {
  const body = { instanceType: Number(type) }
  const headers = ifMatch(revision)
  return {
    label: `Resize ${name}`,
    method: "POST",
    path: `/vms/${id}/resize`,
    ...headers.shown,
    body,
    words: ["vm", "resize", `id:${id}`, "--type", type],
    run: guarded(
      Effect.gen(function* () {
        const payload = yield* payloadOf(NewSize, body)
        return yield* (yield* calls).vms.resizeVm({ path: { id }, payload, headers: headers.sent })
      })
    )
  }
}

const formOf = ({ instanceType }: Vm) => ({ type: String(instanceType) })

/** @since 0.8.0 @category components */
export const ResizeVm = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => {
  const types = useTypes()
  // one that was shut down meanwhile, as it has to be, is the same one
  const read = useRevised(vmAtom(vm.id), vm, [vm.state])
  const [held, hold] = useState(() => ({ before: vm, form: formOf(vm), news: "" }))
  // once it is read anew, a type that was not chosen here is the one that it has now
  if (read.isRead && read.value !== held.before) {
    const { before, form, news } = held
    const now = read.value
    const other = now.instanceType !== before.instanceType
    hold({
      before: now,
      form: rebased(form, formOf(before), formOf(now)),
      news: other ? `By now its type is ${now.instanceType}.` : news
    })
  }
  const { before, form, news } = held
  const { cpu, ram } = before.resources
  const has = String(before.instanceType)
  return (
    <FormDialog
      title={`Resize ${vm.name}`}
      action={commandOf(read, form.type)}
      ready={read.isRead && form.type !== has}
      onClose={onClose}
    >
      {read.words === null ? null : <Failure words={read.words} />}
      {news === "" ? null : <p className="note warn">{news}</p>}
      <p>
        It has {counted(cpu, "vCPU")} and {mebibytes(ram)} of memory. It gets those of another instance type, and stays
        on its host; its root disk stays as large as it is.
      </p>
      {vm.state === "stopped" ? null : <p className="quiet">It has to be off: shut it down first.</p>}
      <ChoiceField
        label="Instance type"
        value={form.type}
        onChange={(type) => hold((now) => ({ ...now, form: { type } }))}
        options={[
          ...(types.some(({ id }) => id === before.instanceType) ? [] : [[has, "as it is"] as const]),
          ...types.map(({ id, cpu, ram }) => [String(id), `${id}: ${counted(cpu, "vCPU")}, ${mebibytes(ram)}`] as const)
        ]}
      />
    </FormDialog>
  )
}
