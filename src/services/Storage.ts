/**
 * Images and root disks where hosts can use them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { HostError, ImageRefused, PersistenceError } from "../domain/Errors.ts"
import type { Host } from "../domain/Host.ts"
import type { VmId } from "../domain/Ids.ts"
import type { Image } from "../domain/Image.ts"
import type { DiskSource } from "./Hypervisor.ts"

/** All methods are safe to repeat. @since 0.1.0 @category services */
export class Storage extends Context.Tag("vmfabric/Storage")<
  Storage,
  {
    /** Makes the host's storage ready to use and gives its whole size in bytes. */
    readonly prepare: (host: Host) => Effect.Effect<{ readonly capacity: number }, HostError>
    /**
     * Sees to it that the image is on the host, whole: sent once per content, however many ask at the same time, and sent again
     * only when an earlier sending did not end. Progress goes to the log.
     */
    readonly ensureImage: (host: Host, image: Image) => Effect.Effect<void, HostError | ImageRefused | PersistenceError>
    /** The VM's root disk: a copy-on-write overlay over the image, `size` GiB (or the image's own size when that is more). */
    readonly createRoot: (
      host: Host,
      root: { readonly vmId: VmId; readonly image: Image; readonly size: number }
    ) => Effect.Effect<DiskSource, HostError | ImageRefused | PersistenceError>
    /** Removes it; absent is fine. */
    readonly deleteRoot: (host: Host, vmId: VmId) => Effect.Effect<void, HostError>
    /** The VMs that have a root disk on the host. */
    readonly listRoots: (host: Host) => Effect.Effect<ReadonlyArray<VmId>, HostError>
  }
>() {}
