/**
 * What VMs start from.
 *
 * @since 0.8.0
 */
import { useAtomSet } from "@effect-atom/atom-react"
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import { type ReactNode, useId, useState } from "react"
import { type Image, NewImage } from "../../api/Images.ts"
import { ImageFormat } from "../../domain/Image.ts"
import { calls, payloadOf } from "../state/Api.ts"
import { sendAtom } from "../state/Uploads.ts"
import { useAbove } from "../parts/Above.tsx"
import type { Commanded } from "../parts/Commands.ts"
import { ChoiceField, Field, SearchField, TextField } from "../parts/Field.tsx"
import { FormDialog } from "../parts/FormDialog.tsx"
import { ImageMenu, ImageState, madeOf } from "../parts/ImageMenu.tsx"
import { VmList } from "../parts/Named.tsx"
import { OperationRow } from "../parts/OperationRow.tsx"
import { seeking } from "../parts/Search.ts"
import { type Column, Table } from "../parts/Table.tsx"
import { Empty, Loading, Missing, useLack, useSnapshot, useTitle } from "../parts/Parts.tsx"
import { bytes, imageAlsoCalled, shownOf } from "../parts/Words.ts"

const ways = [
  ["file", "Send a file of this computer"],
  ["url", "Fetch it from a URL"],
  ["path", "A file on the controller's machine"]
] as const

const withoutExtension = (name: string): string => name.replace(/(?<=.)\.[^.]*$/, "")

const NewImageDialog = ({ onClose }: { readonly onClose: () => void }) => {
  const send = useAtomSet(sendAtom)
  const { images } = useSnapshot()
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
        hint={imageAlsoCalled(called, images) ?? "The file's, without its extension, unless it is said."}
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

const columns: ReadonlyArray<Column<Image>> = [
  {
    key: "name",
    name: "Name",
    tone: "main-cell",
    title: ({ name }) => name,
    shown: ({ id, name }) => (
      <Link to="/images/$id" params={{ id: String(id) }}>
        {name}
      </Link>
    )
  },
  { key: "state", name: "State", shown: (image) => <ImageState image={image} /> },
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
  { key: "actions", name: <span className="sr">Actions</span>, shown: (image) => <ImageMenu image={image} /> }
]

/** @since 0.8.0 @category components */
export const Images = (): ReactNode => {
  useTitle("Images")
  const { connection, images } = useSnapshot()
  const { q = "" } = useSearch({ from: "/images" })
  const navigate = useNavigate({ from: "/images" })
  const lack = useLack("operator")
  const open = useAbove()
  const isFound = seeking(q)
  const shown = images.filter(({ id, name, source }) => isFound(id, () => `${name} ${source}`))
  return (
    <div className="page fills">
      <div className="head">
        <h1>Images</h1>
        <span className="quiet" role="status">
          {shownOf(shown.length, images.length)}
        </span>
        <div className="actions">
          <button
            type="button"
            className="button primary"
            disabled={lack !== undefined}
            title={lack}
            onClick={() => open((close) => <NewImageDialog onClose={close} />)}
          >
            Add image
          </button>
        </div>
      </div>
      {images.length === 0 ? null : (
        <div className="filters">
          <SearchField
            label="Search images"
            hint="Name, where it is from, or id:3"
            value={q}
            onChange={(value) => void navigate({ search: { q: value === "" ? undefined : value }, replace: true })}
          />
        </div>
      )}
      {connection._tag === "loading" ? (
        <Loading />
      ) : images.length === 0 ? (
        <Empty title="No images yet">
          <p>An image is a disk that VMs start from: a cloud image of a distribution, as raw or qcow2.</p>
        </Empty>
      ) : shown.length === 0 ? (
        <Empty title="No image is like that">
          <Link to="/images" className="button">
            Show all images
          </Link>
        </Empty>
      ) : (
        <Table kind="images" label="images" columns={columns} rows={shown} keyOf={({ id }) => String(id)} />
      )}
    </div>
  )
}

// ------------------------------------------------------------------------------------------------------------------ one

/** @since 0.14.0 @category components */
export const OneImage = (): ReactNode => {
  const { id } = useParams({ from: "/images/$id" })
  const { coming, connection, images, operations, vms } = useSnapshot()
  const image = images.find((one) => String(one.id) === id)
  useTitle(image?.name ?? `Image ${id}`)
  const crumb = (
    <div className="crumb">
      <Link to="/images">Images</Link>
    </div>
  )
  if (image === undefined) {
    return (
      <div className="page narrow">
        <div>
          {crumb}
          <h1>Image {id}</h1>
        </div>
        {connection._tag === "loading" ? <Loading /> : <Missing what="image" />}
      </div>
    )
  }
  const about = operations.filter(({ imageId }) => imageId === image.id)
  const { fileSize, format, reason, sha256, source, state, virtualSize } = image
  return (
    <div className="page narrow">
      <div className="head">
        <div>
          {crumb}
          <h1>{image.name}</h1>
        </div>
        <ImageState image={image} />
        <div className="actions">
          <ImageMenu image={image} shown="Actions" />
        </div>
      </div>
      {reason === null ? null : (
        <div className={state === "withdrawn" ? "note" : "note bad"}>
          <strong>{state === "withdrawn" ? "No new VM is made of it" : "It cannot be used"}</strong>
          <p>{reason}</p>
        </div>
      )}
      <div className="grid wide">
        <section className="card" aria-labelledby="facts">
          <h2 id="facts">Facts</h2>
          <dl className="facts">
            <dt>From</dt>
            <dd>{source}</dd>
            <dt>Format</dt>
            <dd>{format ?? "not read yet"}</dd>
            <dt>Disk</dt>
            <dd>{virtualSize === null ? "not read yet" : bytes(virtualSize)}</dd>
            <dt>File</dt>
            <dd>{fileSize === null ? "not read yet" : bytes(fileSize)}</dd>
            <dt>SHA-256</dt>
            <dd>{sha256 === null ? "not read yet" : <code>{sha256}</code>}</dd>
            <dt>Id</dt>
            <dd>{image.id}</dd>
          </dl>
        </section>
        <VmList
          title="VMs made of it"
          none="None was made of it."
          vms={madeOf(vms.values(), image.id)}
          coming={coming.vms}
        />
      </div>
      <section className="card" aria-labelledby="operations">
        <header>
          <h2 id="operations">Operations</h2>
          <Link to="/events" search={{ image: id }} className="small">
            All of its events
          </Link>
        </header>
        {about.length === 0 ? <p className="quiet">None of late.</p> : null}
        <ul className="list">
          {about.slice(0, 10).map((operation) => (
            <OperationRow key={operation.id} operation={operation} />
          ))}
        </ul>
      </section>
    </div>
  )
}
