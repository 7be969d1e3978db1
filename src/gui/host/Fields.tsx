/**
 * What is said of a host.
 *
 * @since 0.12.0
 */
import { ChoiceField, LinesField, TextField } from "../parts/Field.tsx"
import { type HostField, type HostForm, wrongIn } from "../parts/HostSettings.ts"

/** Where it is filled in. @since 0.12.0 @category models */
export interface HostFieldsProps {
  readonly form: HostForm
  readonly put: (field: HostField, text: string) => void
}

const amounts = [
  ["cpu", "vCPUs"],
  ["ram", "Memory, GiB"],
  ["disk", "Disk, GiB"]
] as const

const groups = [
  ["overcommit", "How many times what it has may be promised", ["Processors", "Memory", "Disk"]],
  ["limit", "At most so much of the machine is used; empty: all it has", null],
  ["reserved", "Of what may be promised, so much is kept free", null]
] as const

/** All but where it is. @since 0.12.0 @category components */
export const SettingsFields = ({ form, put }: HostFieldsProps) => {
  const wrong = wrongIn(form)
  return (
    <>
      {groups.map(([group, says, names]) => (
        <fieldset key={group} className="several">
          <legend>{says}</legend>
          <div className="pair">
            {amounts.map(([name, unit], i) => (
              <TextField
                key={name}
                label={names?.[i] ?? unit}
                type="number"
                min={group === "limit" && name !== "ram" ? 1 : 0}
                {...(group === "overcommit" || name === "ram" ? { step: "any" } : {})}
                wrong={wrong[`${group}.${name}`] ?? null}
                value={form[`${group}.${name}`]}
                onChange={(text) => put(`${group}.${name}`, text)}
              />
            ))}
          </div>
        </fieldset>
      ))}
      <ChoiceField
        label="Guests run by"
        value={form.virt}
        onChange={(virt) => put("virt", virt)}
        options={[
          ["auto", "what its libvirt offers"],
          ["kvm", "KVM"],
          ["qemu", "QEMU, in software"]
        ]}
      />
      <TextField
        label="Default network"
        hint="Of NICs that name none. When it is empty, libvirt's default where that is active."
        wrong={wrong.network ?? null}
        value={form.network}
        onChange={(network) => put("network", network)}
      />
      <TextField
        label="Folder"
        hint="On the host, for images and disks."
        wrong={wrong.path ?? null}
        value={form.path}
        onChange={(path) => put("path", path)}
      />
    </>
  )
}

/** @since 0.12.0 @category components */
export const LabelsField = ({ form, put }: HostFieldsProps) => (
  <LinesField
    label="Labels"
    hint="key=value, one a line. Rules of VMs ask for them."
    rows={3}
    placeholder="rack=7"
    wrong={wrongIn(form).labels ?? null}
    value={form.labels}
    onChange={(labels) => put("labels", labels)}
  />
)

/** Who logs in there. @since 0.12.0 @category components */
export const UserField = ({ form, put }: HostFieldsProps) => (
  <TextField
    label="User"
    autoCapitalize="none"
    required
    wrong={wrongIn(form).user ?? null}
    value={form.user}
    onChange={(user) => put("user", user)}
  />
)
