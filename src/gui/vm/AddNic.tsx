/**
 * One more NIC for a VM. Loaded when it is first asked for.
 *
 * @since 0.12.0
 */
import * as Effect from "effect/Effect"
import { useState } from "react"
import { NewNic } from "../../api/Nics.ts"
import type { Vm } from "../../api/Vms.ts"
import type { Commanded } from "../parts/Commands.ts"
import { FormDialog } from "../parts/FormDialog.tsx"
import { calls, payloadOf, type Words } from "../state/Api.ts"
import { isNic, type NicForm, nicOf, OneNicFields, usualNic } from "../parts/NicFields.tsx"

const commandOf = ({ id, name }: Vm, form: NicForm): Commanded => {
  const body = nicOf(form, false)
  return {
    label: `Add a NIC to ${name}`,
    method: "POST",
    path: `/vms/${id}/nics`,
    body,
    words: ["nic", "add", `id:${id}`, ...Object.entries(body).flatMap(([key, value]) => [`--${key}`, String(value)])],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewNic, body)
      return yield* (yield* calls).nics.addNic({ path: { id }, payload })
    })
  }
}

/** @since 0.12.0 @category components */
export const AddNic = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => {
  const [nic, say] = useState<NicForm>(usualNic)
  const [refused, setRefused] = useState<Words | null>(null)
  return (
    <FormDialog
      title={`Add a NIC to ${vm.name}`}
      button="Add NIC"
      action={commandOf(vm, nic)}
      ready={isNic(nic)}
      onRefused={setRefused}
      onClose={onClose}
    >
      <p className="quiet">
        A guest that runs sees it at once. Those networks are offered that its host has: others are given to a host on
        their own pages.
      </p>
      <OneNicFields
        nic={nic}
        number=""
        many={false}
        hostId={vm.hostId}
        refused={refused}
        change={(part) => say((now) => ({ ...now, ...part }))}
      />
    </FormDialog>
  )
}
