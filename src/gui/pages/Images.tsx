/**
 * What VMs start from.
 *
 * @since 0.8.0
 */
import { useAtomSet, useAtomValue } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import { type ReactNode, useId, useState } from "react"
import { type Image, NewImage } from "../../api/Images.ts"
import type { ImageId } from "../../domain/Ids.ts"
import { ImageFormat } from "../../domain/Image.ts"
import { calls, payloadOf } from "../state/Api.ts"
import { sendAtom, stopAtom, type Upload, uploadsAtom } from "../state/Uploads.ts"
import type { Command, Commanded } from "../parts/Commands.ts"
import { ChoiceField, Field, TextField } from "../parts/Field.tsx"
import { FormDialog } from "../parts/FormDialog.tsx"
import { MenuButton } from "../parts/MenuButton.tsx"
import { type Column, Table } from "../parts/Table.tsx"
import { Dialog, Empty, Loading, State, Sure, useLack, useSnapshot, useTitle, useDialog } from "../parts/Parts.tsx"
import { bytes, count, counted, type Shown } from "../parts/Words.ts"

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

const ways = [
  ["file", "Send a file of this computer"],
  ["url", "Fetch it from a URL"],
  ["path", "A file on the controller's machine"]
] as const

const withoutExtension = (name: string): string => name.replace(/(?<=.)\.[^.]*$/, "")

const NewImageDialog = ({ onClose }: { readonly onClose: () => void }) => {
  const send = useAtomSet(sendAtom)
  const fileId = useId()
  const [way, setWay] = useState<string>("file")
  const [file, setFile] = useState<File | null>(null)
  const [url, setUrl] = useState("")
  const [path, setPath] = useState("")
  const [name, setName] = useState("")
  const [format, setFormat] = useState("")
  const [sha256, setSha256] = useState("")
  const called = name !== "" ? name : way === "file" && file !== null ? withoutExtension(file.name) : ""
  const sum = sha256.trim().toLowerCase()
  const body = {
    ...(called === "" ? {} : { name: called }),
    ...(format === "" ? {} : { format }),
    ...(sum === "" ? {} : { sha256: sum }),
    ...(way === "file" ? { size: file?.size ?? 0 } : way === "url" ? { url } : { path })
  }
  const flags = [
    ...(called === "" ? [] : ["--name", called]),
    ...(format === "" ? [] : ["--format", format]),
    ...(sum === "" || way === "file" ? [] : ["--sha256", sum])
  ]
  const action: Commanded = {
    label: `Add image ${called}`,
    method: "POST",
    path: "/images",
    body,
    words:
      way === "file"
        ? ["image", "upload", file?.name ?? "FILE", ...flags]
        : ["image", "add", way === "url" ? "--from" : "--path", way === "url" ? url : path, ...flags],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewImage, body)
      const { images } = yield* calls
      const image = yield* images.createImage({ payload })
      if (way === "file" && file !== null) send({ file, image })
    })
  }
  const ready = way === "file" ? file !== null && file.size > 0 : way === "url" ? url !== "" : path !== ""
  return (
    <FormDialog title="Add an image" button="Add image" action={action} ready={ready} onClose={onClose}>
      <ChoiceField label="Where it is" value={way} onChange={setWay} options={ways} />
      {way === "file" ? (
        <Field
          id={fileId}
          label="File"
          hint="A raw or qcow2 disk that stands alone. What is cut off goes on where it was."
        >
          <input
            id={fileId}
            className="input"
            type="file"
            aria-describedby={`${fileId}-hint`}
            onChange={(event) => setFile(event.target.files?.[0] ?? null)}
          />
        </Field>
      ) : way === "url" ? (
        <TextField
          label="URL"
          hint="http or https; the controller fetches it. Not of addresses that are not public, unless it was started with --image-allow."
          type="url"
          placeholder="https://images.example/debian-12.qcow2"
          value={url}
          onChange={setUrl}
        />
      ) : (
        <TextField
          label="Path"
          hint="Under a folder that the controller was started with, by --image-path. It stays where it is."
          placeholder="/srv/images/debian-12.raw"
          value={path}
          onChange={setPath}
        />
      )}
      <TextField
        label="Name"
        hint="The file's, without its extension, unless it is said."
        placeholder={called}
        value={name}
        onChange={setName}
      />
      <ChoiceField
        label="Format"
        value={format}
        onChange={setFormat}
        options={[["", "whatever its header says"], ...ImageFormat.literals.map((one) => [one, one] as const)]}
      />
      <TextField
        label="SHA-256"
        hint="Of its file, as who made it says: another one is refused."
        placeholder="64 of 0-9 and a-f"
        value={sha256}
        onChange={setSha256}
      />
    </FormDialog>
  )
}

const isOurs = ({ origin }: Image): boolean => origin !== "file" && origin !== "path"

const remove = ({ id, name }: Image): Commanded => ({
  label: `Delete ${name}`,
  method: "DELETE",
  path: `/images/${id}`,
  words: ["image", "delete", `id:${id}`],
  run: Effect.flatMap(calls, ({ images }) => images.deleteImage({ path: { id } }))
})

const Details = ({
  image,
  onClose,
  vms
}: {
  readonly image: Image
  readonly vms: number
  readonly onClose: () => void
}) => (
  <Dialog title={image.name} actions={[]} onClose={onClose}>
    {image.reason === null ? null : (
      <div className={image.state === "withdrawn" ? "note" : "note bad"}>
        <strong>{image.state === "withdrawn" ? "No new VM is made of it" : "It cannot be used"}</strong>
        <p>{image.reason}</p>
      </div>
    )}
    <dl className="facts">
      <dt>From</dt>
      <dd>{image.source}</dd>
      <dt>Format</dt>
      <dd>{image.format ?? "not read yet"}</dd>
      <dt>Disk</dt>
      <dd>{image.virtualSize === null ? "not read yet" : bytes(image.virtualSize)}</dd>
      <dt>File</dt>
      <dd>{image.fileSize === null ? "not read yet" : bytes(image.fileSize)}</dd>
      <dt>SHA-256</dt>
      <dd>{image.sha256 === null ? "not read yet" : <code>{image.sha256}</code>}</dd>
      <dt>VMs</dt>
      <dd>{vms === 0 ? "none was made of it" : `${counted(vms, "VM")} made of it`}</dd>
      <dt>Id</dt>
      <dd>{image.id}</dd>
    </dl>
  </Dialog>
)

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

const Progress = ({ image, upload }: { readonly image: Image; readonly upload: Upload | undefined }) => {
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

/** @since 0.8.0 @category components */
export const Images = (): ReactNode => {
  useTitle("Images")
  const { connection, images, vms } = useSnapshot()
  const uploads = useAtomValue(uploadsAtom)
  const send = useAtomSet(sendAtom)
  const stop = useAtomSet(stopAtom)
  const lack = useLack("operator")
  const [dialog, open] = useDialog()
  const used = new Map<ImageId, number>()
  for (const { imageId } of vms.values()) if (imageId !== null) used.set(imageId, (used.get(imageId) ?? 0) + 1)
  const sending = (image: Image) => {
    if (image.state !== "uploading") return []
    const upload = uploads.get(image.id)
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
  const columns: ReadonlyArray<Column<Image>> = [
    {
      key: "name",
      name: "Name",
      tone: "main-cell",
      title: ({ name }) => name,
      shown: (image) => (
        <button
          type="button"
          className="link"
          onClick={() => open((close) => <Details image={image} vms={used.get(image.id) ?? 0} onClose={close} />)}
        >
          {image.name}
        </button>
      )
    },
    {
      key: "state",
      name: "State",
      shown: (image) => <Progress image={image} upload={uploads.get(image.id)} />
    },
    { key: "format", name: "Format", className: "extra", shown: ({ format }) => format ?? "" },
    {
      key: "disk",
      name: "Disk",
      className: "right extra-phone",
      shown: ({ virtualSize }) => (virtualSize === null ? "" : bytes(virtualSize))
    },
    {
      key: "file",
      name: "File",
      className: "right extra",
      shown: ({ fileSize }) => (fileSize === null ? "" : bytes(fileSize))
    },
    {
      key: "sum",
      name: "SHA-256",
      tone: "quiet",
      className: "extra",
      title: ({ sha256 }) => sha256 ?? "",
      shown: ({ sha256 }) => (sha256 === null ? "" : <code>{sha256.slice(0, 12)}…</code>)
    },
    {
      key: "source",
      name: "From",
      tone: "quiet",
      className: "extra",
      title: ({ source }) => source,
      shown: ({ source }) => source
    },
    {
      key: "actions",
      name: <span className="sr">Actions</span>,
      shown: (image) => (
        <MenuButton
          label={`Actions of ${image.name}`}
          note={lack}
          entries={() => [
            [
              {
                name: "Details",
                disabled: false,
                act: () => open((close) => <Details image={image} vms={used.get(image.id) ?? 0} onClose={close} />)
              },
              {
                name: "Copy the SHA-256",
                disabled: image.sha256 === null,
                act: () => void navigator.clipboard.writeText(image.sha256 ?? "")
              },
              ...sending(image)
            ],
            [
              {
                name: "Delete…",
                danger: true,
                disabled: lack !== undefined,
                act: () =>
                  open((close) => (
                    <Sure action={remove(image)} name={image.name} onClose={close} onDone={() => stop(image.id)}>
                      <p>
                        {isOurs(image)
                          ? "Its file is removed from the controller's machine for good."
                          : "It is no longer on offer; its file stays where it is."}{" "}
                        {(used.get(image.id) ?? 0) === 0
                          ? "No VM was made of it."
                          : `${counted(used.get(image.id) ?? 0, "VM was", "VMs were")} made of it: it is refused while they need it.`}
                      </p>
                    </Sure>
                  ))
              }
            ]
          ]}
        />
      )
    }
  ]
  const add = (
    <button
      type="button"
      className="button primary"
      disabled={lack !== undefined}
      title={lack}
      onClick={() => open((close) => <NewImageDialog onClose={close} />)}
    >
      Add image
    </button>
  )
  return (
    <div className="page fills">
      <div className="head">
        <h1>Images</h1>
        <span className="quiet">{count(images.length)}</span>
        <div className="actions">{add}</div>
      </div>
      {connection._tag === "loading" ? (
        <Loading />
      ) : images.length === 0 ? (
        <Empty title="No images yet">
          <p>An image is a disk that VMs start from: a cloud image of a distribution, as raw or qcow2.</p>
        </Empty>
      ) : (
        <Table kind="images" label="images" columns={columns} rows={images} keyOf={({ id }) => String(id)} />
      )}
      {dialog}
    </div>
  )
}
