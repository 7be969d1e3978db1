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
import { CheckField, ChoiceField, LinesField, TextField } from "./Field.tsx"
import { FormDialog } from "./FormDialog.tsx"

interface Form {
  readonly name: string
  readonly description: string
  readonly tags: string
  readonly labels: string
  readonly onCrash: string
  readonly autostart: boolean
  readonly protect: boolean
}

const words = (text: string): ReadonlyArray<string> => text.split(/[\s,]+/).filter((one) => one !== "")

/** `key=value`, one a line; what has no `=` has no value. */
const labelsOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "")
      .map((line) => {
        const at = line.indexOf("=")
        return at === -1 ? [line, ""] : [line.slice(0, at).trim(), line.slice(at + 1).trim()]
      })
  )

/** Only what is different: what others change meanwhile stays as they have it. */
const changeOf = (vm: Vm, form: Form) => {
  const tags = words(form.tags)
  const labels = labelsOf(form.labels)
  const set = Object.fromEntries(Object.entries(labels).filter(([key, value]) => vm.labels[key] !== value))
  const gone = Object.keys(vm.labels).filter((key) => !(key in labels))
  const untagged = vm.tags.filter((tag) => !tags.includes(tag))
  const tagged = tags.filter((tag) => !vm.tags.includes(tag))
  const body = {
    ...(form.name === vm.name ? {} : { name: form.name }),
    ...(form.description === vm.description ? {} : { description: form.description }),
    ...(tagged.length + untagged.length === 0 ? {} : { tags }),
    ...(Object.keys(set).length + gone.length === 0
      ? {}
      : { labels: { ...set, ...Object.fromEntries(gone.map((key) => [key, null])) } }),
    ...(form.onCrash === vm.onCrash ? {} : { onCrash: form.onCrash }),
    ...(form.autostart === vm.autostart ? {} : { autostart: form.autostart }),
    ...(form.protect === vm.protected ? {} : { protected: form.protect })
  }
  const flags = [
    ...(form.name === vm.name ? [] : ["--rename", form.name]),
    ...(form.description === vm.description ? [] : ["--description", form.description]),
    ...tagged.flatMap((tag) => ["--tag", tag]),
    ...untagged.flatMap((tag) => ["--untag", tag]),
    ...Object.entries(set).flatMap(([key, value]) => ["--label", `${key}=${value}`]),
    ...gone.flatMap((key) => ["--unlabel", key]),
    ...(form.onCrash === vm.onCrash ? [] : ["--on-crash", form.onCrash]),
    ...(form.autostart === vm.autostart ? [] : [form.autostart ? "--autostart" : "--no-autostart"]),
    ...(form.protect === vm.protected ? [] : [form.protect ? "--protect" : "--unprotect"])
  ]
  return { body, flags }
}

const commandOf = (vm: Vm, form: Form): Commanded => {
  const { body, flags } = changeOf(vm, form)
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
  const [form, setForm] = useState<Form>(() => ({
    name: vm.name,
    description: vm.description,
    tags: vm.tags.join(" "),
    labels: Object.entries(vm.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join("\n"),
    onCrash: vm.onCrash,
    autostart: vm.autostart,
    protect: vm.protected
  }))
  const put = (change: Partial<Form>) => setForm((now) => ({ ...now, ...change }))
  const action = commandOf(before, form)
  return (
    <FormDialog
      title={`Edit ${before.name}`}
      button="Save"
      action={action}
      ready={Object.keys(action.body ?? {}).length > 0}
      onClose={onClose}
    >
      <TextField label="Name" required value={form.name} onChange={(name) => put({ name })} />
      <LinesField
        label="Description"
        rows={2}
        value={form.description}
        onChange={(description) => put({ description })}
      />
      <TextField
        label="Tags"
        hint="Short words with blanks between them."
        value={form.tags}
        onChange={(tags) => put({ tags })}
      />
      <LinesField
        label="Labels"
        hint="key=value, one a line."
        rows={3}
        placeholder="team=shop"
        value={form.labels}
        onChange={(labels) => put({ labels })}
      />
      <ChoiceField
        label="When it crashes"
        value={form.onCrash}
        onChange={(onCrash) => put({ onCrash })}
        options={[
          ["leave", "nothing is done"],
          ["restart", "it is started again"]
        ]}
      />
      <CheckField
        label="Start it when its host boots"
        checked={form.autostart}
        onChange={(autostart) => put({ autostart })}
      />
      <CheckField
        label="Protect it from being destroyed"
        checked={form.protect}
        onChange={(protect) => put({ protect })}
      />
    </FormDialog>
  )
}
