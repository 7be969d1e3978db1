/**
 * What can be done with an image, in a menu, and how far it is.
 *
 * @since 0.14.0
 */
import { useAtomSet, useAtomValue } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import { useId, useState } from "react"
import type { Image } from "../../api/Images.ts"
import type { Vm } from "../../api/Vms.ts"
import type { ImageId } from "../../domain/Ids.ts"
import { calls } from "../state/Api.ts"
import { sendAtom, stopAtom, type Upload, uploadsAtom } from "../state/Uploads.ts"
import { useAbove } from "./Above.tsx"
import type { Command, Commanded } from "./Commands.ts"
import { Field } from "./Field.tsx"
import { MenuButton } from "./MenuButton.tsx"
import { Commands, Dialog, State, Sure, useLack, useSnapshot } from "./Parts.tsx"
import { bytes, count, counted, type Shown } from "./Words.ts"

/** The VMs that were made of it. @since 0.14.0 @category getters */
export const madeOf = (vms: Iterable<Vm>, id: ImageId): ReadonlyArray<Vm> =>
  [...vms].filter(({ imageId }) => imageId === id)

const stateOf = ({ reason, received, state }: Image, upload: Upload | undefined): Shown => {
  switch (state) {
    case "available":
      return { tone: "ok", word: "available", why: null }
    case "refused":
      return { tone: "bad", word: "refused", why: reason }
    case "withdrawn":
      return { tone: "off", word: "withdrawn", why: reason }
    case "quarantine":
      return { tone: "busy", word: "being checked", why: "nobody can use it before" }
    case "uploading":
      if (upload === undefined) {
        return { tone: "off", word: "not all sent", why: `${bytes(received ?? 0)} are there` }
      }
      return upload.state === "stopped"
        ? { tone: "warn", word: "stopped", why: upload.words?.detail ?? null }
        : upload.state === "waiting"
          ? { tone: "warn", word: "waiting", why: upload.words?.detail ?? null }
          : { tone: "busy", word: "being sent", why: null }
  }
}

/** Why nobody can delete it here; null: it can be. */
const keptBy = ({ origin }: Image): string | null =>
  origin === "file" ? "it is of the image file, and goes when its line does" : null

const isOurs = ({ origin }: Image): boolean => origin !== "file" && origin !== "path"

const remove = ({ id, name }: Image): Commanded => ({
  label: `Delete ${name}`,
  method: "DELETE",
  path: `/images/${id}`,
  words: ["image", "delete", `id:${id}`],
  run: Effect.flatMap(calls, ({ images }) => images.deleteImage({ path: { id } }))
})

const missing = ({ id, received }: Image): Command => ({
  label: "Send what is missing",
  method: "PATCH",
  path: `/images/${id}/content`,
  headers: { "Upload-Offset": String(received ?? 0) },
  file: { name: "FILE", from: received ?? 0 },
  words: ["image", "upload", "FILE", "--resume", String(id)]
})

/** Goes on with one of which some is missing. */
const ResumeDialog = ({ image, onClose }: { readonly image: Image; readonly onClose: () => void }) => {
  const send = useAtomSet(sendAtom)
  const fileId = useId()
  const wants = image.fileSize
  const [wrong, setWrong] = useState<string | null>(null)
  return (
    <Dialog title={`Go on with ${image.name}`} actions={[missing(image)]} onClose={onClose}>
      <p>
        {bytes(image.received ?? 0)} of {wants === null ? "it" : bytes(wants)} are there. Choose the same file again:
        what is missing is sent.
      </p>
      <Field id={fileId} label="File" wrong={wrong}>
        <input
          id={fileId}
          className="input"
          type="file"
          onChange={(event) => {
            const file = event.target.files?.[0]
            if (file === undefined) return
            if (wants !== null && file.size !== wants) {
              setWrong(`That one has ${count(file.size)} bytes, and this is one of ${count(wants)}.`)
              return
            }
            send({ file, image })
            onClose()
          }}
        />
      </Field>
    </Dialog>
  )
}

/** Its state, and of one that is being sent how much is there. @since 0.14.0 @category components */
export const ImageState = ({ image }: { readonly image: Image }) => {
  const upload = useAtomValue(uploadsAtom).get(image.id)
  const size = image.fileSize
  const sent = upload?.sent ?? image.received ?? 0
  const state = stateOf(image, upload)
  if (image.state !== "uploading" && (state.tone === "bad" || state.tone === "off") && state.why !== null) {
    return (
      <span className="progress">
        <State {...state} />
        <span className="quiet small cut" title={state.why}>
          {state.why}
        </span>
      </span>
    )
  }
  return image.state !== "uploading" || size === null ? (
    <State {...state} />
  ) : (
    <span className="progress">
      <State {...state} word={`${state.word}, ${Math.floor((sent / size) * 100)} %`} />
      <progress aria-label={`Sent of ${image.name}`} max={size} value={sent} />
    </span>
  )
}

/** @since 0.14.0 @category components */
export const ImageMenu = ({ image, shown }: { readonly image: Image; readonly shown?: string }) => {
  const upload = useAtomValue(uploadsAtom).get(image.id)
  const send = useAtomSet(sendAtom)
  const stop = useAtomSet(stopAtom)
  const { vms } = useSnapshot()
  const lack = useLack("operator")
  const open = useAbove()
  const kept = keptBy(image)
  const sending = () => {
    if (image.state !== "uploading") return []
    if (upload !== undefined && upload.state !== "stopped") {
      return [{ name: "Stop sending", disabled: false, act: () => stop(image.id) }]
    }
    return [
      {
        name: upload === undefined ? "Go on sending…" : "Go on sending",
        disabled: lack !== undefined,
        act: () =>
          upload === undefined
            ? open((close) => <ResumeDialog image={image} onClose={close} />)
            : send({ file: upload.file, image: { ...image, received: upload.sent } })
      }
    ]
  }
  const ask = () => {
    const made = madeOf(vms.values(), image.id).length
    open((close) => (
      <Sure action={remove(image)} name={image.name} onClose={close} onDone={() => stop(image.id)}>
        <p>
          {isOurs(image)
            ? "Its file is removed from the controller's machine for good."
            : "It is no longer on offer; its file stays where it is."}{" "}
          {made === 0
            ? "No VM was made of it."
            : `${counted(made, "VM was", "VMs were")} made of it: it is refused while they need it.`}
        </p>
      </Sure>
    ))
  }
  return (
    <MenuButton
      label={`Actions of ${image.name}`}
      shown={shown}
      note={lack ?? (kept === null ? undefined : `${image.name} cannot be deleted: ${kept}`)}
      entries={() => [
        [
          {
            name: "Copy the SHA-256",
            disabled: image.sha256 === null,
            act: () => void navigator.clipboard.writeText(image.sha256 ?? "")
          },
          ...sending()
        ],
        [
          {
            name: "Copy as curl or CLI…",
            disabled: kept !== null,
            act: () => open((close) => <Commands actions={[remove(image)]} onClose={close} />)
          },
          { name: "Delete…", danger: true, disabled: lack !== undefined || kept !== null, act: ask }
        ]
      ]}
    />
  )
}
