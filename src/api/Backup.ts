/**
 * A copy of all that the controller keeps.
 *
 * @since 0.13.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import { Recorded } from "./Access.ts"
import { binary, documented } from "./Common.ts"
import * as Problem from "./Problem.ts"

/** @since 0.13.0 @category groups */
export const group = HttpApiGroup.make("backup")
  .add(
    HttpApiEndpoint.get("getBackup", "/backup")
      .addSuccess(
        binary("Backup", "application/octet-stream", "An SQLite database; `Content-Length` says how large it is.")
      )
      .annotateContext(
        documented(
          "admin",
          "Take a backup",
          "A copy of the database while the controller goes on: inventory, operations, events, users and webhooks as they were at one moment after this was asked for. " +
            "Images that were uploaded are files of their own and not in it. It has what users may not see: hashes of passwords and tokens, secrets of webhooks, and " +
            "what VMs are told when they start; keep it as the database itself. It is in the audit log. A controller that is started with it " +
            "as its database goes on from there."
        )
      )
      .annotate(Recorded, true)
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Backup")
  .annotate(OpenApi.Description, "A copy of all that the controller keeps.")
