/**
 * The record of what was asked to be changed, by whom, and what became of it.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Schema from "effect/Schema"
import * as Identity from "../domain/Identity.ts"
import { Needs } from "./Access.ts"
import { optional, strict, within } from "./Common.ts"
import * as Problem from "./Problem.ts"

/** @since 0.4.0 @category schemas */
export const AuditLine = Schema.Struct({
  id: Schema.Int.annotations({ description: "rises with each line" }),
  time: Schema.DateTimeUtc.annotations({ description: "when the request had been answered; ISO 8601, UTC" }),
  user: Schema.NullOr(Identity.UserName).annotations({ description: "who asked; null: nobody that is known" }),
  via: Schema.NullOr(Schema.Literal("loopback", "token", "session")).annotations({ description: "how that was known" }),
  tokenId: Schema.NullOr(Identity.TokenId).annotations({ description: "number of the token; null: without one" }),
  from: Schema.String.annotations({ description: "address it came from" }),
  method: Schema.String.annotations({ description: "HTTP method" }),
  path: Schema.String.annotations({
    description: "path and query, secrets taken out; with `plan=true` it was only planned"
  }),
  status: Schema.Int.annotations({
    description: "HTTP status; the original's routes answer 200 always, and `failed` tells. 499: the client went away"
  }),
  failed: Schema.NullOr(Schema.String).annotations({ description: "why nothing came of it; null: it did" })
}).annotations({ identifier: "AuditLine", description: "One request that asked for a change." })
/** @since 0.4.0 @category schemas */
export type AuditLine = typeof AuditLine.Type

const example: AuditLine = {
  id: 4711,
  time: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
  user: Identity.UserName.make("ada"),
  via: "token",
  tokenId: Identity.TokenId.make(7),
  from: "192.0.2.7",
  method: "DELETE",
  path: "/api/v1/vms/7",
  status: 202,
  failed: null
}

/** @since 0.4.0 @category schemas */
export const AuditLines = Schema.Struct({
  items: Schema.Array(AuditLine).annotations({ description: "the newest first" }),
  next: Schema.NullOr(Schema.Int).annotations({
    description: "what to give as `before` for the lines that follow; null: there are no more"
  })
}).annotations({
  identifier: "AuditLines",
  description: "A page of the audit log.",
  examples: [{ items: [example], next: 4711 }]
})

/** How many lines are told unless it is said, and at most. @since 0.4.0 @category constants */
export const page = { usual: 100, most: 1000 }

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("audit")
  .add(
    HttpApiEndpoint.get("listAudit", "/audit")
      .setUrlParams(
        Schema.Struct({
          before: optional(within(1, Number.MAX_SAFE_INTEGER), "only lines with a lower number; absent: the newest"),
          limit: optional(within(1, page.most), `how many at most, 1 to ${page.most}; absent: ${page.usual}`)
        }).annotations(strict)
      )
      .addSuccess(AuditLines)
      .annotate(Needs, "admin")
      .annotate(OpenApi.Summary, "Read the audit log")
      .annotate(
        OpenApi.Description,
        "Every request of a known user that asked for a change, signing in, and wrong credentials; the newest first. The last 100,000 are kept."
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Audit")
  .annotate(OpenApi.Description, "What was asked to be changed, by whom, and what became of it.")
