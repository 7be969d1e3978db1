/**
 * A NIC taken from a VM. Loaded when it is first asked for.
 *
 * @since 0.12.0
 */
import type { Vm } from "../../api/Vms.ts"
import { show } from "../../domain/Nic.ts"
import { FormDialog } from "../parts/FormDialog.tsx"
import { removeNic, type VmNic } from "../parts/NicActions.ts"

/** @since 0.12.0 @category components */
export const RemoveNic = ({
  nic,
  onClose,
  vm
}: {
  readonly vm: Vm
  readonly nic: VmNic
  readonly onClose: () => void
}) => (
  <FormDialog title={`Remove ${show(nic)}?`} button="Remove NIC" danger action={removeNic(vm, nic)} onClose={onClose}>
    <p>
      A guest that runs is asked to let go of it, and loses what it has over it. When it does not in time, the NIC
      stays, and the operation says so.
    </p>
  </FormDialog>
)
