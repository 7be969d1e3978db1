/**
 * What people say of a VM, to be said otherwise.
 *
 * @since 0.8.0
 */
import * as Effect from "effect/Effect"
import { useState } from "react"
import { type Vm, VmChange } from "../../api/Vms.ts"
import { calls, payloadOf } from "../state/Api.ts"
import { ifMatch, type ReadNow, useRevised, vmAtom } from "../state/Revised.ts"
import type { Commanded } from "./Commands.ts"
import * as Edited from "./Edited.ts"
import { FormDialog } from "./FormDialog.tsx"
import { Failure } from "./Parts.tsx"
import { AboutFields, isSayable, KeepingFields, NameField, type Said, saidOf } from "./VmFields.tsx"

/** Refused when somebody else has changed the VM since it was read; then it is read again. */
const commandOf = ({ guarded, revision, value }: ReadNow<Vm>, said: Said): Commanded => {
  const { body, flags } = Edited.changeOf(value, said)
  const { id, name } = value
  const headers = ifMatch(revision)
  return {
    label: `Change ${name}`,
    method: "PATCH",
    path: `/vms/${id}`,
    ...headers.shown,
    body,
    words: ["vm", "set", `id:${id}`, ...flags],
    run: guarded(
      Effect.gen(function* () {
        const payload = yield* payloadOf(VmChange, body)
        return yield* (yield* calls).vms.changeVm({ path: { id }, payload, headers: headers.sent })
      })
    )
  }
}

/** @since 0.8.0 @category components */
export const EditVm = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => {
  const read = useRevised(vmAtom(vm.id), vm)
  const [held, hold] = useState(() => ({ before: vm, said: saidOf(vm), news: "" }))
  // once it is read anew, what was not touched here is as it is now
  if (read.isRead && read.value !== held.before) {
    const { before, news, said } = held
    hold({
      before: read.value,
      said: Edited.onto(read.value, before, said),
      news: Edited.newsOf(before, read.value) || news
    })
  }
  const put = (change: Partial<Said>) => hold((now) => ({ ...now, said: { ...now.said, ...change } }))
  const action = commandOf(read, held.said)
  return (
    <FormDialog
      title={`Edit ${vm.name}`}
      button="Save"
      action={action}
      ready={read.isRead && isSayable(held.said) && Object.keys(action.body ?? {}).length > 0}
      onClose={onClose}
    >
      {read.words === null ? null : <Failure words={read.words} />}
      {held.news === "" ? null : <p className="note warn">{held.news}</p>}
      <NameField own={vm.id} said={held.said} put={put} />
      <AboutFields said={held.said} put={put} />
      <KeepingFields said={held.said} put={put} />
    </FormDialog>
  )
}
