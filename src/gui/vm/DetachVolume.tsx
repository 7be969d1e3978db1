/**
 * A volume taken from a VM. Loaded when it is first asked for.
 *
 * @since 0.12.0
 */
import type { Volume } from "../../api/Volumes.ts"
import { FormDialog } from "../parts/FormDialog.tsx"
import { detach } from "../parts/VolumeActions.ts"

/** `holder`: what has it, by its name. @since 0.12.0 @category components */
export const DetachVolume = ({
  holder,
  onClose,
  volume
}: {
  readonly volume: Volume
  readonly holder: string
  readonly onClose: () => void
}) => (
  <FormDialog title={`Detach ${volume.name}?`} action={detach(volume)} onClose={onClose}>
    <p>{holder} is asked to let go of it. Unmount it there first: what it has not written yet may be lost.</p>
  </FormDialog>
)
