/**
 * Whose something is.
 *
 * @since 0.12.0
 */
import type { ReactNode } from "react"
import type { Vm } from "../../api/Vms.ts"

/** Among the facts of a VM or a volume: in whose quota it counts. @since 0.9.0 @category components */
export const Owner = ({ of: { owner } }: { readonly of: Pick<Vm, "owner"> }): ReactNode =>
  // a controller that is older says nothing of it
  owner === undefined ? null : (
    <>
      <dt>Owner</dt>
      <dd>{owner ?? "nobody that is known"}</dd>
    </>
  )
