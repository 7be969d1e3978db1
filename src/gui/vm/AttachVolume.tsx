/**
 * An available volume for a VM. Loaded when it is first asked for.
 *
 * @since 0.12.0
 */
import { Link } from "@tanstack/react-router"
import { useId, useState } from "react"
import type { Vm } from "../../api/Vms.ts"
import type { Volume } from "../../api/Volumes.ts"
import { Field } from "../parts/Field.tsx"
import { FormDialog } from "../parts/FormDialog.tsx"
import { isMeant, meant, mostOffered } from "../parts/Meant.ts"
import { useSnapshot } from "../parts/Parts.tsx"
import { attach } from "../parts/VolumeActions.ts"
import { gibibytes } from "../parts/Words.ts"

const wrongOf = (text: string, all: ReadonlyArray<Volume>, offered: ReadonlyArray<Volume>): string | null => {
  const called = all.filter(isMeant(text))
  const available = called.filter(({ state }) => state === "available")
  const [other] = called
  if (available.length > 1) return `${available.length} volumes are called that: say which, as id:${available[0]?.id}.`
  if (available.length === 0 && other !== undefined) return `That one is ${other.state}, and not available.`
  return text !== "" && offered.length === 0 ? "No available volume is called that." : null
}

/** @since 0.12.0 @category components */
export const AttachVolume = ({ onClose, vm }: { readonly vm: Vm; readonly onClose: () => void }) => {
  const all = [...useSnapshot().volumes.values()]
  const available = all.filter(({ state }) => state === "available")
  const [text, setText] = useState("")
  const id = useId()
  const volume = meant(text, available)
  const offered = available.filter(({ name }) => name.toLowerCase().includes(text.toLowerCase()))
  const wrong = wrongOf(text, all, offered)
  return (
    <FormDialog
      title={`Attach a volume to ${vm.name}`}
      button="Attach volume"
      action={attach(volume, vm.id)}
      ready={volume !== null}
      onClose={onClose}
    >
      {available.length === 0 ? (
        <p>
          No volume is available: make one, or detach one from another VM, on the page{" "}
          <Link to="/volumes">Volumes</Link>.
        </p>
      ) : null}
      <Field id={id} label="Volume" hint="By its name, or as id:7; only available ones." wrong={wrong}>
        <input
          id={id}
          className="input"
          list={`${id}-volumes`}
          autoComplete="off"
          autoFocus
          aria-invalid={wrong !== null}
          aria-describedby={wrong === null ? `${id}-hint` : `${id}-hint ${id}-wrong`}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <datalist id={`${id}-volumes`}>
          {offered.slice(0, mostOffered).map(({ id: volumeId, name, size }) => (
            <option key={volumeId} value={name}>
              {gibibytes(size)}
            </option>
          ))}
        </datalist>
      </Field>
      {volume === null ? null : (
        <p className="quiet">
          It has {gibibytes(volume.size)}. Its guest finds it by the serial <code>{volume.serial}</code>, as in{" "}
          <code>/dev/disk/by-id/virtio-{volume.serial}</code>.
        </p>
      )}
    </FormDialog>
  )
}
