/**
 * A host's settings, to be said otherwise. Loaded when it is first asked for.
 *
 * @since 0.12.0
 */
import * as Effect from "effect/Effect"
import { useState } from "react"
import type { Host } from "../../api/Hosts.ts"
import type { HostId } from "../../domain/Ids.ts"
import { FormDialog } from "../parts/FormDialog.tsx"
import { setHost } from "../parts/HostActions.ts"
import { changeOf, formOf, type HostField, wrongIn } from "../parts/HostSettings.ts"
import { Failure } from "../parts/Parts.tsx"
import { rebased } from "../parts/Rebased.ts"
import { calls } from "../state/Api.ts"
import { revised, useRevised } from "../state/Revised.ts"
import { LabelsField, SettingsFields, UserField } from "./Fields.tsx"

const hostAtom = revised((id: HostId) =>
  Effect.flatMap(calls, ({ hosts }) => hosts.getHost({ path: { id }, withResponse: true }))
)

/** @since 0.12.0 @category components */
export const SetHost = ({ host, onClose }: { readonly host: Host; readonly onClose: () => void }) => {
  const read = useRevised(hostAtom(host.id), host)
  const [before, setBefore] = useState(read.value)
  const [form, say] = useState(() => formOf(read.value))
  // it was read, or somebody else has changed it: what was not filled in here is as they have it
  if (read.value !== before) {
    setBefore(read.value)
    say(rebased(form, formOf(before), formOf(read.value)))
  }
  const put = (field: HostField, text: string) => say((now) => ({ ...now, [field]: text }))
  const was = formOf(before)
  return (
    <FormDialog
      title={`Settings of ${host.name}`}
      button="Save"
      action={setHost(read, was, form)}
      ready={read.isRead && Object.keys(wrongIn(form)).length === 0 && Object.keys(changeOf(was, form)).length > 0}
      onClose={onClose}
    >
      {read.words === null ? null : <Failure words={read.words} />}
      <LabelsField form={form} put={put} />
      <SettingsFields form={form} put={put} />
      <UserField form={form} put={put} />
    </FormDialog>
  )
}
