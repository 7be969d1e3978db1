/**
 * What something is about, by name and as a way there; without one where it is not there any more.
 *
 * @since 0.8.0
 */
import { Link } from "@tanstack/react-router"
import type { VmId, VolumeId } from "../../domain/Ids.ts"
import { useSnapshot } from "./Parts.tsx"

/** `name`: what it is called when it is not there. @since 0.8.0 @category components */
export const VmNamed = ({ id, name = `VM ${id}` }: { readonly id: VmId; readonly name?: string | undefined }) => {
  const vm = useSnapshot().vms.get(id)
  if (vm === undefined) return <span className="quiet">{name}</span>
  return (
    <Link to="/vms/$id" params={{ id: String(id) }}>
      {vm.name}
    </Link>
  )
}

/** `name`: what it is called when it is not there. @since 0.8.0 @category components */
export const VolumeNamed = ({
  id,
  name = `volume ${id}`
}: {
  readonly id: VolumeId
  readonly name?: string | undefined
}) => {
  const volume = useSnapshot().volumes.get(id)
  if (volume === undefined) return <span className="quiet">{name}</span>
  return (
    <Link to="/volumes/$id" params={{ id: String(id) }}>
      {volume.name}
    </Link>
  )
}
