/**
 * One more NIC for a VM. Loaded when it is first asked for.
 *
 * @since 0.12.0
 */
import { useState } from "react"
import type { Vm } from "../../api/Vms.ts"
import { FormDialog } from "../parts/FormDialog.tsx"
import { addNic } from "../parts/NicActions.ts"
import type { Words } from "../state/Api.ts"
import { isNic, type NicForm, OneNicFields, usualNic } from "../parts/NicFields.tsx"

/** @since 0.12.0 @category components */
export const AddNic = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => {
  const [nic, say] = useState<NicForm>(usualNic)
  const [refused, setRefused] = useState<Words | null>(null)
  return (
    <FormDialog
      title={`Add a NIC to ${vm.name}`}
      button="Add NIC"
      action={addNic(vm, nic)}
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
