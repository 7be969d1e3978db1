/**
 * Hosts, images and types as the input files give them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Errors from "../domain/Errors.ts"
import type { ImageConfig } from "../domain/Image.ts"
import { ImageLibrary } from "../services/ImageLibrary.ts"
import { Inventory, type FleetConfig } from "../services/Inventory.ts"
import { SshError } from "../services/Ssh.ts"

/**
 * Looks at every image's header, then makes the inventory what the files say: as a whole or not at all. An image on a machine that does not answer at the
 * moment is no reason to refuse the fleet; it is looked at again before it is used. `origin` says where an image comes from, as a file and line.
 *
 * @since 0.1.0 @category use cases
 */
export const apply = Effect.fn("Fleet.apply")(function* (fleet: FleetConfig, origin?: (image: ImageConfig) => string) {
  const inventory = yield* Inventory
  const library = yield* ImageLibrary
  const problems = yield* Effect.forEach(
    fleet.images,
    (image) =>
      library.check(image).pipe(
        Effect.as([]),
        Effect.catchTag("ImageRefused", (refused) =>
          refused.cause instanceof SshError && refused.cause.reason._tag !== "SshCommandFailed"
            ? Effect.as(Effect.logWarning(`not checked yet: ${refused.message}`), [])
            : Effect.succeed([origin === undefined ? refused.message : `${origin(image)}: ${refused.message}`])
        )
      ),
    { concurrency: 4 }
  )
  if (problems.some((p) => p.length > 0)) return yield* new Errors.FleetConflict({ problems: problems.flat() })
  yield* inventory.applyFleet(fleet)
})
