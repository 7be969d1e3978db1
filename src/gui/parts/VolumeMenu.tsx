/**
 * What can be done with a volume, in a menu, and what is asked before.
 *
 * @since 0.8.0
 */
import { type ReactNode, useId, useState } from "react"
import type { Volume } from "../../api/Volumes.ts"
import { attach, commandsOf, destroyVolume, grow, purge, rename, restore, takeSnapshot } from "./VolumeActions.ts"
import { useAbove } from "./Above.tsx"
import type { Commanded } from "./Commands.ts"
import { Field, TextField } from "./Field.tsx"
import { FormDialog } from "./FormDialog.tsx"
import { meant, mostOffered } from "./Meant.ts"
import { MenuButton } from "./MenuButton.tsx"
import { Commands, Sure, useBegin, useLack, useSnapshot } from "./Parts.tsx"
import { DetachVolume } from "../vm/DetachVolume.tsx"
import { gibibytes, moment, type Shown } from "./Words.ts"

/** @since 0.8.0 @category formatting */
export const volumeState = ({ purgeAt, state }: Volume): Shown => {
  switch (state) {
    case "attached":
      return { tone: "ok", word: state, why: null }
    case "available":
      return { tone: "off", word: state, why: null }
    case "deleted":
      return { tone: "warn", word: "in the trash", why: purgeAt === null ? null : `purged ${moment(purgeAt)}` }
    case "failed":
      return { tone: "bad", word: state, why: "it could not be made" }
    default:
      return { tone: "busy", word: state, why: null }
  }
}

/** A name is asked for, and then it is done. @since 0.8.0 @category components */
export const NameDialog = ({
  action,
  children,
  first = "",
  onClose,
  onDone,
  title
}: {
  readonly title: string
  readonly action: (name: string) => Commanded
  readonly first?: string
  readonly onClose: () => void
  readonly onDone?: () => void
  readonly children?: ReactNode
}) => {
  const [name, setName] = useState(first)
  return (
    <FormDialog
      title={title}
      action={action(name)}
      ready={name !== "" && name !== first}
      onClose={onClose}
      {...(onDone === undefined ? {} : { onDone })}
    >
      {children}
      <TextField label="Name" autoFocus required value={name} onChange={setName} />
    </FormDialog>
  )
}

const GrowDialog = ({ onClose, volume }: { readonly volume: Volume; readonly onClose: () => void }) => {
  const [size, setSize] = useState(String(volume.size))
  const wanted = Number(size)
  return (
    <FormDialog
      title={`Grow ${volume.name}`}
      action={grow(volume, wanted)}
      ready={Number.isInteger(wanted) && wanted > volume.size}
      onClose={onClose}
    >
      <p className="quiet">
        It has {gibibytes(volume.size)}. A guest that has it sees the new size at once; its file system has to be grown
        there. It never becomes smaller.
      </p>
      <TextField
        label="Size in GiB"
        type="number"
        min={volume.size}
        max={65_536}
        autoFocus
        required
        value={size}
        onChange={setSize}
      />
    </FormDialog>
  )
}

const AttachDialog = ({ onClose, volume }: { readonly volume: Volume; readonly onClose: () => void }) => {
  const { vms } = useSnapshot()
  const [text, setText] = useState("")
  const id = useId()
  const vm = meant(text, [...vms.values()])
  const offered = [...vms.values()].filter(({ name }) => name.toLowerCase().includes(text.toLowerCase()))
  return (
    <FormDialog
      title={`Attach ${volume.name}`}
      action={attach(volume, vm?.id ?? null)}
      ready={vm !== null}
      onClose={onClose}
    >
      <Field
        id={id}
        label="VM"
        hint="By its name, or as id:7."
        wrong={text !== "" && vm === null && offered.length === 0 ? "No VM is called that." : null}
      >
        <input
          id={id}
          className="input"
          list={`${id}-vms`}
          autoComplete="off"
          autoFocus
          aria-describedby={`${id}-hint`}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <datalist id={`${id}-vms`}>
          {offered.slice(0, mostOffered).map(({ id: vmId, name }) => (
            <option key={vmId} value={name} />
          ))}
        </datalist>
      </Field>
      <p className="quiet">
        Its guest finds it by the serial <code>{volume.serial}</code>, as in{" "}
        <code>/dev/disk/by-id/virtio-{volume.serial}</code>.
      </p>
    </FormDialog>
  )
}

/** @since 0.8.0 @category components */
export const VolumeMenu = ({ shown, volume }: { readonly volume: Volume; readonly shown?: string }) => {
  const { vms } = useSnapshot()
  const begin = useBegin()
  const lack = useLack("operator")
  const open = useAbove()
  const { name, purgeAt, state, vmId } = volume
  const lies = state === "available"
  const there = lies || state === "attached"
  const trashed = state === "deleted"
  const holder = vmId === null ? null : (vms.get(vmId)?.name ?? `VM ${vmId}`)
  const entry = (title: string, possible: boolean, act: () => void) => ({
    name: title,
    disabled: lack !== undefined || !possible,
    act
  })
  return (
    <MenuButton
      label={`Actions of ${name}`}
      shown={shown}
      note={lack}
      entries={() => [
        trashed
          ? [entry("Restore", true, () => void begin(restore(volume)))]
          : [
              entry("Attach…", lies, () => open((close) => <AttachDialog volume={volume} onClose={close} />)),
              entry("Detach…", state === "attached", () =>
                open((close) => <DetachVolume volume={volume} holder={holder ?? "Its VM"} onClose={close} />)
              ),
              entry("Take a snapshot…", there, () =>
                open((close) => (
                  <NameDialog
                    title={`Snapshot of ${name}`}
                    action={(snapshot) => takeSnapshot(volume, snapshot)}
                    onClose={close}
                  >
                    <p className="quiet">
                      What it holds at this moment; where a guest is writing, as after a power cut.
                    </p>
                  </NameDialog>
                ))
              ),
              entry("Grow…", there, () => open((close) => <GrowDialog volume={volume} onClose={close} />)),
              entry("Rename…", there, () =>
                open((close) => (
                  <NameDialog
                    title={`Rename ${name}`}
                    first={name}
                    action={(next) => rename(volume, next)}
                    onClose={close}
                  />
                ))
              )
            ],
        [
          {
            name: "Copy as curl or CLI…",
            disabled: false,
            act: () => open((close) => <Commands actions={commandsOf(volume)} onClose={close} />)
          },
          trashed
            ? {
                ...entry("Purge…", true, () =>
                  open((close) => (
                    <Sure action={purge(volume)} name={name} onClose={close}>
                      <p>
                        All that is on it goes for good, now
                        {purgeAt === null ? "" : ` and not only on ${moment(purgeAt)}`}.
                      </p>
                    </Sure>
                  ))
                ),
                danger: true
              }
            : {
                ...entry("Destroy…", lies, () =>
                  open((close) => (
                    <FormDialog title={`Destroy ${name}?`} danger action={destroyVolume(volume)} onClose={close}>
                      <p>
                        It goes into the trash, from where it can be had back for a while; then it is purged by itself.
                      </p>
                    </FormDialog>
                  ))
                ),
                danger: true
              }
        ]
      ]}
    />
  )
}
