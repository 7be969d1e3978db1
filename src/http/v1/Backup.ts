/**
 * Backups, by HTTP.
 *
 * @since 0.13.0
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import { api } from "../../api/Api.ts"
import { Backup } from "../../services/Backup.ts"
import { told } from "./Problems.ts"

/** Such as `vmfabric-20260102T030405Z.db`, of now. */
const name = Effect.map(DateTime.now, (now) => `vmfabric-${DateTime.formatIso(now).replace(/[-:]|\.\d+/g, "")}.db`)

/** @since 0.13.0 @category layers */
export const layer = HttpApiBuilder.group(api, "backup", (handlers) =>
  Effect.map(Backup, (backup) =>
    handlers.handle("getBackup", () =>
      Effect.gen(function* () {
        const { bytes, size } = yield* told(backup.copy)
        return HttpServerResponse.stream(bytes, {
          contentType: "application/octet-stream",
          contentLength: size,
          headers: {
            "content-disposition": `attachment; filename="${yield* name}"`,
            "cache-control": "no-store",
            "x-content-type-options": "nosniff"
          }
        })
      })
    )
  )
)
