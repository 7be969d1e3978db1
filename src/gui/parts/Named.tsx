/**
 * What something is about, by name and as a way there; without one where it is not there any more.
 *
 * @since 0.8.0
 */
import { Atom, Result, useAtomValue } from "@effect-atom/atom-react"
import { Link } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Vm } from "../../api/Vms.ts"
import { type ImageId, type InstanceTypeId, VmId, type VolumeId } from "../../domain/Ids.ts"
import { calls, runtime } from "../state/Api.ts"
import type { Snapshot } from "../state/Live.ts"
import { Loading, State, useSnapshot } from "./Parts.tsx"
import { count, vmState } from "./Words.ts"

/** So many events of one thing are looked through for its name. */
const most = 1000

/** What it was called last, as its events tell, which are kept longer than it; null: none that tells it is kept. */
const lastName = (what: "vm" | "volume", of: { readonly vm: VmId } | { readonly volume: VolumeId }) =>
  Effect.gen(function* () {
    const { events } = yield* calls
    const { items } = yield* events.listEvents({ urlParams: { ...of, limit: most } })
    const named = items.findLast(({ data, type }) => type.startsWith(`${what}.`) && typeof data["name"] === "string")
    const name = named?.data["name"]
    return typeof name === "string" ? name : null
  })

// names of what is gone do not change: each is read once
const goneVm = Atom.family((id: VmId) => Atom.keepAlive(runtime.atom(lastName("vm", { vm: id }))))
const goneVolume = Atom.family((id: VolumeId) => Atom.keepAlive(runtime.atom(lastName("volume", { volume: id }))))

/** Whether what is not here by now is not there at all. */
const isWhole = ({ coming, connection }: Snapshot, what: keyof Snapshot["coming"]): boolean =>
  connection._tag !== "loading" && coming[what] === 0

/** `otherwise`: while it is not known, or when it never was. */
const GoneVm = ({ id, otherwise }: { readonly id: VmId; readonly otherwise: string }) => {
  const read = useAtomValue(goneVm(id))
  return Result.isSuccess(read) ? (read.value ?? otherwise) : otherwise
}

const GoneVolume = ({ id, otherwise }: { readonly id: VolumeId; readonly otherwise: string }) => {
  const read = useAtomValue(goneVolume(id))
  return Result.isSuccess(read) ? (read.value ?? otherwise) : otherwise
}

/** `name`: what it is called when it is not there. @since 0.8.0 @category components */
export const VmNamed = ({ id, name }: { readonly id: VmId; readonly name?: string | undefined }) => {
  const snapshot = useSnapshot()
  const vm = snapshot.vms.get(id)
  const known = name ?? snapshot.gone.get(id)
  if (vm === undefined) {
    return (
      <span className="quiet" title={`VM ${id}, which is gone`}>
        {known ?? (isWhole(snapshot, "vms") ? <GoneVm id={id} otherwise={`VM ${id}`} /> : `VM ${id}`)}
      </span>
    )
  }
  return (
    <Link to="/vms/$id" params={{ id: String(id) }}>
      {vm.name}
    </Link>
  )
}

const isVmId = Schema.is(VmId)

/** Of an address: its name alone, also of one that is gone. @since 0.12.0 @category components */
export const VmCalled = ({ id, otherwise = `VM ${id}` }: { readonly id: string; readonly otherwise?: string }) => {
  const snapshot = useSnapshot()
  const number = Number(id)
  if (!isVmId(number)) return otherwise
  const name = snapshot.vms.get(number)?.name ?? snapshot.gone.get(number)
  if (name !== undefined) return name
  return isWhole(snapshot, "vms") ? <GoneVm id={number} otherwise={otherwise} /> : otherwise
}

/** `name`: what it is called when it is not there. @since 0.8.0 @category components */
export const VolumeNamed = ({ id, name }: { readonly id: VolumeId; readonly name?: string | undefined }) => {
  const snapshot = useSnapshot()
  const volume = snapshot.volumes.get(id)
  if (volume === undefined) {
    return (
      <span className="quiet" title={`volume ${id}, which is gone`}>
        {name ?? (isWhole(snapshot, "volumes") ? <GoneVolume id={id} otherwise={`volume ${id}`} /> : `volume ${id}`)}
      </span>
    )
  }
  return (
    <Link to="/volumes/$id" params={{ id: String(id) }}>
      {volume.name}
    </Link>
  )
}

/** `name`: what it is called when it is not there. @since 0.14.0 @category components */
export const ImageNamed = ({ id, name }: { readonly id: ImageId; readonly name?: string | undefined }) => {
  const image = useSnapshot().images.find((one) => one.id === id)
  return image === undefined ? (
    <span className="quiet" title={`image ${id}, which is gone`}>
      {name ?? `image ${id}`}
    </span>
  ) : (
    <Link to="/images/$id" params={{ id: String(id) }}>
      {image.name}
    </Link>
  )
}

/** It has no name, and stays when it is retired. @since 0.14.0 @category components */
export const TypeNamed = ({ id }: { readonly id: InstanceTypeId }) => (
  <Link to="/types/$id" params={{ id: String(id) }}>
    instance type {id}
  </Link>
)

/** So many are told by their names. */
const mostListed = 100

/** VMs that something is used by, as a card of its page. @since 0.14.0 @category components */
export const VmList = ({
  coming,
  none,
  title,
  vms
}: {
  readonly title: string
  /** said when there is none */
  readonly none: string
  readonly vms: ReadonlyArray<Vm>
  /** how many VMs are not here yet, of which some may be among them */
  readonly coming: number
}) => (
  <section className="card" aria-labelledby="vms">
    <header>
      <h2 id="vms">{title}</h2>
      <span className="quiet small">{count(vms.length)}</span>
    </header>
    {vms.length > 0 ? null : coming > 0 ? <Loading /> : <p className="quiet">{none}</p>}
    <ul className="list">
      {vms.slice(0, mostListed).map((vm) => (
        <li key={vm.id}>
          <Link to="/vms/$id" params={{ id: String(vm.id) }}>
            {vm.name}
          </Link>
          <State {...vmState(vm)} />
        </li>
      ))}
    </ul>
    {vms.length > mostListed ? <p className="quiet">And {count(vms.length - mostListed)} more.</p> : null}
  </section>
)
