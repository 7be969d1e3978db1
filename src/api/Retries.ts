/**
 * Operations with what is done with them: they are cancelled, and retried once they have failed.
 *
 * @since 0.8.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import { creating, documented } from "./Common.ts"
import * as Operations from "./Operations.ts"
import { begun, planning } from "./Plans.ts"
import * as Problem from "./Problem.ts"

/** @since 0.8.0 @category groups */
export const group = Operations.group
  .add(
    HttpApiEndpoint.post("cancelOperation", "/operations/:id/cancel")
      .setPath(Operations.byId)
      .setUrlParams(planning)
      .setHeaders(creating)
      .pipe(begun)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .annotateContext(
        documented(
          "operator",
          "Cancel an operation",
          "It stops after the call to a host that is under way, and what it made is undone; then it is `failed`. A device that a guest does not let go of any more stays attached, and `outcome` says so. " +
            "Repeating it is fine. " +
            "Refused for one that has ended, and for kinds that only go forward; with the key of a request that cancelled it, it is shown as it is then."
        )
      )
  )
  .add(
    HttpApiEndpoint.post("retryOperation", "/operations/:id/retry")
      .setPath(Operations.byId)
      .setUrlParams(planning)
      .setHeaders(creating)
      .pipe(begun)
      .addSuccess(HttpApiSchema.NoContent)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .annotateContext(
        documented(
          "operator",
          "Retry an operation",
          "What one that has failed, or was cancelled, was to do is asked for once more, as a new operation: `retryOf` of that and `retriedBy` of the failed one bind the two. " +
            "It is decided by what is so now: the VM or volume has to be there, a new VM is placed anew, and where it is like that already nothing is begun (204). " +
            "`not_retryable`: it has not failed, it has a retry already, which `operation` names, or its request is not kept, as where cloud-init was to tell a new VM something that may be secret; " +
            "`detail` says what to do instead."
        )
      )
  )
