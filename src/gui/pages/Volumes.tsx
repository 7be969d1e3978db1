/**
 * Block devices that exist apart from VMs, and what they held at some moments.
 *
 * @since 0.7.0
 */
import { Result } from "@effect-atom/atom-react"
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router"
import { type ReactNode, useMemo, useState } from "react"
import type { Volume } from "../../api/Volumes.ts"
import type { SnapshotId } from "../../domain/Ids.ts"
import { VolumeState } from "../../domain/Volume.ts"
import { compared } from "../state/Found.ts"
import { useRead } from "../state/Read.ts"
import { keptAtom, snapshotsAtom } from "../state/Snapshots.ts"
import type { Snapshot } from "../state/Live.ts"
import { useAbove } from "../parts/Above.tsx"
import type { Snapshot as Kept } from "../../api/Snapshots.ts"
import { clone, createVolume, destroySnapshot, publish, revert } from "../parts/VolumeActions.ts"
import { Filter, SearchField, TextField } from "../parts/Field.tsx"
import { FormDialog, Loaded } from "../parts/FormDialog.tsx"
import { MenuButton } from "../parts/MenuButton.tsx"
import { ListLink } from "../parts/ListLink.tsx"
import { OperationRow } from "../parts/OperationRow.tsx"
import { Owner } from "../parts/Owner.tsx"
import { type Column, Table } from "../parts/Table.tsx"
import { NameDialog, VolumeMenu, volumeState } from "../parts/VolumeMenu.tsx"
import { OwnerFilter, useOwners } from "../parts/OwnerFilter.tsx"
import { Commands, Empty, Loading, Missing, State, Sure, useLack, useSnapshot, useTitle } from "../parts/Parts.tsx"
import { seeking } from "../parts/Search.ts"
import { gibibytes, moment, shownOf } from "../parts/Words.ts"

const NewVolumeDialog = ({ onClose }: { readonly onClose: () => void }) => {
  const [name, setName] = useState("")
  const [size, setSize] = useState("10")
  const wanted = Number(size)
  return (
    <FormDialog
      title="Create a volume"
      button="Create volume"
      labels={{ name: "Name", size: "Size in GiB" }}
      action={createVolume(name, wanted)}
      ready={name !== "" && Number.isInteger(wanted) && wanted > 0}
      onClose={onClose}
    >
      <TextField label="Name" autoFocus required value={name} onChange={setName} />
      <TextField
        label="Size in GiB"
        hint="It can grow later, and never becomes smaller."
        type="number"
        min={1}
        max={65_536}
        required
        value={size}
        onChange={setSize}
      />
    </FormDialog>
  )
}

const holderOf = ({ vmId }: Volume, { vms }: Snapshot): string | null =>
  vmId === null ? null : (vms.get(vmId)?.name ?? `VM ${vmId}`)

const Holder = ({ snapshot, volume }: { readonly volume: Volume; readonly snapshot: Snapshot }) =>
  volume.vmId === null ? null : (
    <ListLink to="/vms/$id" id={volume.vmId}>
      {holderOf(volume, snapshot)}
    </ListLink>
  )

const keptOn = ({ driver, hostId }: Volume, { hosts }: Snapshot): string =>
  hostId === null ? `in ${driver}` : (hosts.get(hostId)?.name ?? `host ${hostId}`)

interface VolumeColumn extends Column<Volume> {
  /** what the rows are put into order by; absent: they cannot be */
  readonly by?: (volume: Volume) => string | number
}

const columns = (snapshot: Snapshot): ReadonlyArray<VolumeColumn> => [
  {
    key: "name",
    name: "Name",
    by: ({ name }) => name,
    tone: "main-cell",
    title: ({ name }) => name,
    shown: ({ id, name }) => (
      <ListLink to="/volumes/$id" id={id}>
        {name}
      </ListLink>
    )
  },
  { key: "size", name: "Size", by: ({ size }) => size, className: "right", shown: ({ size }) => gibibytes(size) },
  {
    key: "state",
    name: "State",
    by: (volume) => volumeState(volume).word,
    shown: (volume) => <State {...volumeState(volume)} />
  },
  {
    key: "vm",
    name: "VM",
    by: (volume) => holderOf(volume, snapshot) ?? "",
    className: "extra",
    title: (volume) => holderOf(volume, snapshot) ?? "",
    shown: (volume) => <Holder volume={volume} snapshot={snapshot} />,
    isBlank: ({ vmId }) => vmId === null
  },
  {
    key: "kept",
    name: "Kept",
    by: (volume) => keptOn(volume, snapshot),
    tone: "quiet",
    className: "extra",
    title: (volume) => keptOn(volume, snapshot),
    shown: (volume) => keptOn(volume, snapshot)
  },
  {
    key: "actions",
    name: <span className="sr">Actions</span>,
    shown: (volume) => <VolumeMenu volume={volume} />
  }
]

/** By when they were made, unless something else is said that there is. */
const inOrder = (volumes: ReadonlyArray<Volume>, all: ReadonlyArray<VolumeColumn>, sort: string) => {
  const by = all.find(({ key }) => key === sort.replace(/^-/, ""))?.by
  if (by === undefined) return volumes
  const sign = sort.startsWith("-") ? -1 : 1
  return volumes.toSorted((a, b) => sign * compared(by(a), by(b)) || a.id - b.id)
}

/** @since 0.7.0 @category components */
export const Volumes = (): ReactNode => {
  useTitle("Volumes")
  const snapshot = useSnapshot()
  const { coming, connection, volumes } = snapshot
  const there = volumes.size + coming.volumes
  const search = useSearch({ from: "/volumes" })
  const navigate = useNavigate({ from: "/volumes" })
  const lack = useLack("operator")
  const open = useAbove()
  const { owner, q = "", sort = "", state } = search
  // nothing of it is of the VMs, which change much more often
  const found = useMemo(() => {
    const isFound = seeking(q)
    return [...volumes.values()].filter(
      (one) =>
        isFound(one.id, () => one.name) &&
        (state === undefined || one.state === state) &&
        (owner === undefined || one.owner === owner)
    )
  }, [volumes, q, state, owner])
  const all = columns(snapshot)
  const owners = useOwners(volumes)
  const shown = inOrder(found, all, sort)
  const sortable = all.map((column) =>
    column.by === undefined
      ? column
      : {
          ...column,
          order:
            sort === column.key ? ("ascending" as const) : sort === `-${column.key}` ? ("descending" as const) : null,
          onSort: () => set("sort", `${sort === column.key ? "-" : ""}${column.key}`)
        }
  )
  const set = (name: "q" | "state" | "owner" | "sort", value: string) =>
    void navigate({
      search: { ...search, [name]: value === "" ? undefined : value },
      replace: name === "q" || name === "sort"
    })
  const create = (
    <button
      type="button"
      className="button primary"
      disabled={lack !== undefined}
      title={lack}
      onClick={() => open((close) => <NewVolumeDialog onClose={close} />)}
    >
      Create volume
    </button>
  )
  return (
    <div className="page fills">
      <div className="head">
        <h1>Volumes</h1>
        <span className="quiet" role="status">
          {shownOf(shown.length, volumes.size, there)}
        </span>
        <div className="actions">{create}</div>
      </div>
      <div className="filters">
        <SearchField label="Search volumes" hint="Name or id:3" value={q} onChange={(value) => set("q", value)} />
        <Filter
          label="State"
          all="Any state"
          value={state}
          onChange={(value) => set("state", value)}
          options={VolumeState.literals
            .filter((one) => one !== "purged")
            .map((one) => [one, one === "deleted" ? "in the trash" : one])}
        />
        <OwnerFilter owners={owners} value={owner} onChange={(value) => set("owner", value)} />
      </div>
      {connection._tag === "loading" || (shown.length === 0 && coming.volumes > 0) ? (
        <Loading />
      ) : shown.length === 0 ? (
        <Empty title={volumes.size === 0 ? "No volumes yet" : "No volume is like that"}>
          <p>A volume is a disk that outlives VMs: it is attached to one, and later to another.</p>
          {volumes.size === 0 ? null : (
            <Link to="/volumes" className="button">
              Show all volumes
            </Link>
          )}
        </Empty>
      ) : (
        <Table kind="volumes" label="volumes" columns={sortable} rows={shown} keyOf={({ id }) => String(id)} />
      )}
    </div>
  )
}

// ------------------------------------------------------------------------------------------------------------------ one

const OneSnapshot = ({ snapshot, volume }: { readonly snapshot: Kept; readonly volume: Volume }) => {
  const lack = useLack("operator")
  const open = useAbove()
  const { createdAt, name, size, state } = snapshot
  const ready = state === "ready"
  const entry = (title: string, possible: boolean, act: () => void) => ({
    name: title,
    disabled: lack !== undefined || !ready || !possible,
    act
  })
  return (
    <li>
      <strong>{name}</strong>
      <State
        tone={ready ? "ok" : state === "failed" ? "bad" : "busy"}
        word={state}
        why={state === "failed" ? "it could not be taken" : null}
      />
      <span className="quiet">
        {gibibytes(size)}
        {createdAt === undefined ? "" : `, of ${moment(createdAt)}`}
      </span>
      <span className="end">
        <MenuButton
          label={`Actions of snapshot ${name}`}
          note={lack}
          entries={() => [
            [
              entry("Clone as a volume…", true, () =>
                open((close) => (
                  <NameDialog
                    title={`Clone ${volume.name} as of ${name}`}
                    action={(next) => clone(snapshot, next)}
                    onClose={close}
                  >
                    <p className="quiet">A new volume with what this one held then.</p>
                  </NameDialog>
                ))
              ),
              entry("Publish as an image…", true, () =>
                open((close) => (
                  <NameDialog
                    title={`Publish ${name} as an image`}
                    action={(next) => publish(snapshot, next)}
                    onClose={close}
                  >
                    <p className="quiet">
                      VMs can be made of it. Passwords, keys and logs that are on it are in the image, too.
                    </p>
                  </NameDialog>
                ))
              )
            ],
            [
              {
                name: "Copy as curl or CLI…",
                disabled: false,
                act: () =>
                  open((close) => (
                    <Commands
                      actions={[clone(snapshot, "copy"), revert(snapshot, volume), destroySnapshot(snapshot)]}
                      onClose={close}
                    />
                  ))
              },
              {
                ...entry("Revert to it…", true, () =>
                  open((close) => (
                    <Sure action={revert(snapshot, volume)} name={volume.name} onClose={close}>
                      <p>
                        What {volume.name} holds now, and has not in this snapshot, goes for good. It is refused while a
                        running VM has it.
                      </p>
                    </Sure>
                  ))
                ),
                danger: true
              },
              {
                ...entry("Destroy…", true, () =>
                  open((close) => (
                    <Sure action={destroySnapshot(snapshot)} name={name} onClose={close}>
                      <p>
                        What {volume.name} held then is gone for good. It is refused while volumes are clones of it.
                      </p>
                    </Sure>
                  ))
                ),
                danger: true
              }
            ]
          ]}
        />
      </span>
    </li>
  )
}

/** @since 0.8.0 @category components */
export const OneVolume = (): ReactNode => {
  const { id } = useParams({ from: "/volumes/$id" })
  const snapshot = useSnapshot()
  const { coming, connection, operations, volumes } = snapshot
  const volume = [...volumes.values()].find((one) => String(one.id) === id)
  useTitle(volume?.name ?? `Volume ${id}`)
  if (volume === undefined) {
    return (
      <div className="page narrow">
        <div>
          <div className="crumb">
            <Link to="/volumes">Volumes</Link>
          </div>
          <h1>Volume {id}</h1>
        </div>
        {connection._tag === "loading" || coming.volumes > 0 ? <Loading /> : <Missing what="volume" />}
      </div>
    )
  }
  const about = operations.filter(({ volumeId }) => volumeId === volume.id)
  const { purgeAt, serial, size, snapshotId, target } = volume
  return (
    <div className="page narrow">
      <div className="head">
        <div>
          <div className="crumb">
            <Link to="/volumes">Volumes</Link>
          </div>
          <h1>{volume.name}</h1>
        </div>
        <State {...volumeState(volume)} />
        <div className="actions">
          <VolumeMenu volume={volume} shown="Actions" />
        </div>
      </div>
      {purgeAt === null ? null : (
        <div className="note warn">
          <strong>In the trash</strong>
          <p>It can be had back until {moment(purgeAt)}; then it is purged.</p>
        </div>
      )}
      <div className="grid wide">
        <section className="card" aria-labelledby="facts">
          <h2 id="facts">Facts</h2>
          <dl className="facts">
            <dt>Size</dt>
            <dd>{gibibytes(size)}</dd>
            <dt>VM</dt>
            <dd>
              {volume.vmId === null ? "none has it" : <Holder volume={volume} snapshot={snapshot} />}
              {target === null ? "" : `, as ${target}`}
            </dd>
            <dt>Kept</dt>
            <dd>{keptOn(volume, snapshot)}</dd>
            <dt>Made from</dt>
            <dd>{snapshotId === null ? "nothing: it was empty" : <Origin id={snapshotId} />}</dd>
            <Owner of={volume} />
            <dt>Serial</dt>
            <dd>
              <code>{serial}</code>
            </dd>
            <dt>Id</dt>
            <dd>{volume.id}</dd>
          </dl>
        </section>
        <Snapshots volume={volume} />
      </div>
      <section className="card" aria-labelledby="operations">
        <h2 id="operations">Operations</h2>
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

/** The snapshot that a volume was made from; that it is called by its id meanwhile moves nothing. */
const Origin = ({ id }: { readonly id: SnapshotId }) => {
  const read = useRead(keptAtom(id), [])
  const { volumes } = useSnapshot()
  if (!Result.isSuccess(read)) return `snapshot ${id}`
  const { name, volumeId } = read.value
  const of = volumes.get(volumeId)
  return (
    <>
      snapshot {name} of{" "}
      {of === undefined ? (
        `volume ${volumeId}`
      ) : (
        <Link to="/volumes/$id" params={{ id: String(volumeId) }}>
          {of.name}
        </Link>
      )}
    </>
  )
}

/** Read anew when one of them is another. */
const Snapshots = ({ volume }: { readonly volume: Volume }) => {
  const atom = snapshotsAtom(volume.id)
  const { recent } = useSnapshot()
  const newest = recent.events.find(({ type, volumeId }) => volumeId === volume.id && type.startsWith("snapshot."))
  useRead(atom, [newest?.id])
  return (
    <section className="card" aria-labelledby="snapshots">
      <h2 id="snapshots">Snapshots</h2>
      <Loaded atom={atom}>
        {(there) =>
          there.length === 0 ? (
            <p className="quiet">
              None. One keeps what the volume holds at a moment: to go back to, or to make volumes of.
            </p>
          ) : (
            <ul className="list">
              {there.map((kept) => (
                <OneSnapshot key={kept.id} snapshot={kept} volume={volume} />
              ))}
            </ul>
          )
        }
      </Loaded>
    </section>
  )
}
