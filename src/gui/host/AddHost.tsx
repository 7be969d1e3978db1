/**
 * One more server. Loaded when it is first asked for.
 *
 * @since 0.12.0
 */
import { useState } from "react"
import type { Host } from "../../api/Hosts.ts"
import { TextField } from "../parts/Field.tsx"
import { FormDialog } from "../parts/FormDialog.tsx"
import { addHost } from "../parts/HostActions.ts"
import { type HostField, unsaidHost, wrongIn } from "../parts/HostSettings.ts"
import { LabelsField, SettingsFields, UserField } from "./Fields.tsx"

/** @since 0.12.0 @category components */
export const AddHost = ({
  onAdded,
  onClose
}: {
  readonly onClose: () => void
  readonly onAdded: (host: Host) => void
}) => {
  const [form, say] = useState(unsaidHost)
  const put = (field: HostField, text: string) => say((now) => ({ ...now, [field]: text }))
  const wrong = wrongIn(form)
  return (
    <FormDialog
      title="Add a host"
      button="Add host"
      action={addHost(form, onAdded)}
      ready={form.host.trim() !== "" && Object.keys(wrong).length === 0}
      onClose={onClose}
    >
      <p className="quiet">
        Any Linux server with sshd and libvirt; nothing is installed there. Its sshd has to let the controller in by the
        controller&apos;s key. Once it is added it is examined, and its page tells what is wrong and what mends it.
      </p>
      <TextField
        label="Address"
        hint="A name, or an IP address."
        autoFocus
        autoCapitalize="none"
        required
        placeholder="h4.example"
        wrong={wrong.host ?? null}
        value={form.host}
        onChange={(host) => put("host", host)}
      />
      <div className="pair">
        <UserField form={form} put={put} />
        <TextField
          label="Port"
          type="number"
          min={1}
          max={65_535}
          wrong={wrong.port ?? null}
          value={form.port}
          onChange={(port) => put("port", port)}
        />
      </div>
      <LabelsField form={form} put={put} />
      <details>
        <summary>Limits, overcommit, network and folder</summary>
        <div className="card">
          <SettingsFields form={form} put={put} />
        </div>
      </details>
    </FormDialog>
  )
}
