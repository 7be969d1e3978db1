/**
 * Another size for a VM.
 *
 * @since 0.8.0
 */
import * as Effect from "effect/Effect"
import { useState } from "react"
import { NewSize, type Vm } from "../../api/Vms.ts"
import { calls, payloadOf } from "../state/Api.ts"
import { useTypes } from "../state/Types.ts"
import type { Commanded } from "./Commands.ts"
import { ChoiceField } from "./Field.tsx"
import { FormDialog } from "./FormDialog.tsx"
import { counted, mebibytes } from "./Words.ts"

const commandOf = ({ id, name }: Vm, type: string): Commanded => {
  const body = { instanceType: Number(type) }
  return {
    label: `Resize ${name}`,
    method: "POST",
    path: `/vms/${id}/resize`,
    body,
    words: ["vm", "resize", `id:${id}`, "--type", type],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewSize, body)
      return yield* (yield* calls).vms.resizeVm({ path: { id }, payload, headers: {} })
    })
  }
}

/** @since 0.8.0 @category components */
export const ResizeVm = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => {
  const types = useTypes()
  // as it was when it was opened
  const [before] = useState(vm)
  const [type, choose] = useState(String(before.instanceType))
  const { cpu, ram } = before.resources
  return (
    <FormDialog
      title={`Resize ${before.name}`}
      action={commandOf(before, type)}
      ready={type !== String(before.instanceType)}
      onClose={onClose}
    >
      <p>
        It has {counted(cpu, "vCPU")} and {mebibytes(ram)} of memory. It gets those of another instance type, and stays
        on its host; its root disk stays as large as it is.
      </p>
      {vm.state === "stopped" ? null : <p className="quiet">It has to be off: shut it down first.</p>}
      <ChoiceField
        label="Instance type"
        value={type}
        onChange={choose}
        options={[
          ...(types.some(({ id }) => id === before.instanceType)
            ? []
            : [[String(before.instanceType), "as it is"] as const]),
          ...types.map(({ id, cpu, ram }) => [String(id), `${id}: ${counted(cpu, "vCPU")}, ${mebibytes(ram)}`] as const)
        ]}
      />
    </FormDialog>
  )
}
