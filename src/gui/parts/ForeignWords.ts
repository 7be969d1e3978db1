/**
 * What is on a host and is none of this fabric's, in words.
 *
 * @since 0.13.0
 */
import type { Foreign } from "../../api/Drift.ts"

/** One of them. @since 0.13.0 @category models */
export type Found = typeof Foreign.Type

/** Those that somebody looks for who looks at a host: its own, and those of the pool that it shares. @since 0.13.0 @category filters */
export const ofHost = (all: ReadonlyArray<Found>, id: NonNullable<Found["hostId"]>): ReadonlyArray<Found> =>
  all.filter(({ hostId }) => hostId === id || hostId === null)

/** What a person can do with it, as vmfabric does nothing. @since 0.13.0 @category formatting */
export const remedyOf = ({ hostId, name, what }: Found): string => {
  switch (what) {
    case "domain":
      return (
        `What it uses is not counted here: keep room for it by the host's settings (kept free). To have its guest here, shut it down, add its disk as an image and ` +
        `create a VM of that; vmfabric does not take domains over. If nobody needs it: virsh undefine ${name} on the host.`
      )
    case "root disk":
    case "volume":
      return hostId === null
        ? `If another fabric uses the same pool it is that one's: give each a pool of its own. If it is left of a database that was lost or restored, add it as an image to have what is on it; if nobody needs it: rbd rm ${name}.`
        : `If it is left of a database that was lost or restored, add its file as an image to have what is on it; if nobody needs it, remove its file on the host.`
  }
}
