/**
 * What people say of a VM, to be said otherwise.
 *
 * @since 0.8.0
 */
import * as Effect from "effect/Effect"
import { useState } from "react"
import { type Vm, VmChange } from "../../api/Vms.ts"
import { calls, payloadOf } from "../state/Api.ts"
import type { Commanded } from "./Commands.ts"
import { FormDialog } from "./FormDialog.tsx"
import { AboutFields, isSayable, KeepingFields, labelsOf, NameField, type Said, saidOf, tagsOf } from "./VmFields.tsx"

/** Only what is different: what others change meanwhile stays as they have it. */
const changeOf = (vm: Vm, said: Said) => {
  const tags = tagsOf(said)
  const labels = labelsOf(said)
  const set = Object.fromEntries(Object.entries(labels).filter(([key, value]) => vm.labels[key] !== value))
  const gone = Object.keys(vm.labels).filter((key) => !(key in labels))
  const untagged = vm.tags.filter((tag) => !tags.includes(tag))
  const tagged = tags.filter((tag) => !vm.tags.includes(tag))
  const onCrash = said.restart ? "restart" : "leave"
  const body = {
    ...(said.name === vm.name ? {} : { name: said.name }),
    ...(said.description === vm.description ? {} : { description: said.description }),
    ...(tagged.length + untagged.length === 0 ? {} : { tags }),
    ...(Object.keys(set).length + gone.length === 0
      ? {}
      : { labels: { ...set, ...Object.fromEntries(gone.map((key) => [key, null])) } }),
    ...(onCrash === vm.onCrash ? {} : { onCrash }),
    ...(said.autostart === vm.autostart ? {} : { autostart: said.autostart }),
    ...(said.protect === vm.protected ? {} : { protected: said.protect })
  }
  const flags = [
    ...(said.name === vm.name ? [] : ["--rename", said.name]),
    ...(said.description === vm.description ? [] : ["--description", said.description]),
    ...tagged.flatMap((tag) => ["--tag", tag]),
    ...untagged.flatMap((tag) => ["--untag", tag]),
    ...Object.entries(set).flatMap(([key, value]) => ["--label", `${key}=${value}`]),
    ...gone.flatMap((key) => ["--unlabel", key]),
    ...(onCrash === vm.onCrash ? [] : ["--on-crash", onCrash]),
    ...(said.autostart === vm.autostart ? [] : [said.autostart ? "--autostart" : "--no-autostart"]),
    ...(said.protect === vm.protected ? [] : [said.protect ? "--protect" : "--unprotect"])
  ]
  return { body, flags }
}

const commandOf = (vm: Vm, said: Said): Commanded => {
  const { body, flags } = changeOf(vm, said)
  const { id, name } = vm
  return {
    label: `Change ${name}`,
    method: "PATCH",
    path: `/vms/${id}`,
    body,
    words: ["vm", "set", `id:${id}`, ...flags],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(VmChange, body)
      return yield* (yield* calls).vms.changeVm({ path: { id }, payload })
    })
  }
}

/** @since 0.8.0 @category components */
export const EditVm = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => {
  // as it was when it was opened
  const [before] = useState(vm)
  const [said, say] = useState(() => saidOf(vm))
  const put = (change: Partial<Said>) => say((now) => ({ ...now, ...change }))
  const action = commandOf(before, said)
  return (
    <FormDialog
      title={`Edit ${before.name}`}
      button="Save"
      action={action}
      ready={isSayable(said) && Object.keys(action.body ?? {}).length > 0}
      onClose={onClose}
    >
      <NameField own={vm.id} said={said} put={put} />
      <AboutFields said={said} put={put} />
      <KeepingFields said={said} put={put} />
    </FormDialog>
  )
}
