/**
 * Problem details (RFC 9457), one class for each HTTP status, so that a typed client can tell them apart by tag and everybody else by `status` and
 * `code`.
 *
 * @since 0.4.0
 */
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import type * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as Explanation from "../domain/Explanation.ts"
import * as Quota from "../domain/Quota.ts"

/** @since 0.4.0 @category constants */
export const contentType = "application/problem+json"

const text = (description: string) => Schema.String.annotations({ description })

/** What every problem says. */
const fields = <S extends number, C extends readonly [string, ...Array<string>]>(status: S, ...codes: C) => ({
  status: Schema.Literal(status),
  /** stable: programs may decide by it */
  code: Schema.Literal(...codes).annotations({ description: "stable: programs may decide by it" }),
  title: text("what kind of problem it is, the same for each of its code"),
  detail: text("what is wrong in this case, and what to do about it; one sentence"),
  field: Schema.optionalWith(text("the parameter, header or field of the body it is about"), { exact: true }),
  retryAfter: Schema.optionalWith(Schema.Int.annotations({ description: "seconds to wait before trying again" }), {
    exact: true
  }),
  operation: Schema.optionalWith(text("id of the operation that stands in the way"), { exact: true })
})

/** @since 0.7.0 @category schemas */
export const BarredHosts = Explanation.Barred.pipe(
  Schema.annotations({
    identifier: "BarredHosts",
    description: "Hosts that cannot take something: how many, one of them, and why, in clauses that are true of each."
  })
)

/** @since 0.7.0 @category schemas */
export const PlacementRefusal = Schema.Struct({
  problem: text("what was refused, in a few words"),
  hosts: Schema.Int.annotations({ description: "how many were looked at" }),
  barred: Schema.Array(BarredHosts).annotations({
    description: "all of them by what bars them, the largest groups first, at most 10"
  }),
  unnamed: Schema.Int.annotations({ description: "hosts in further groups" }),
  repairs: Schema.Array(
    Explanation.Repair.pipe(
      Schema.annotations({
        identifier: "PlacementRepair",
        description:
          "What would let it be placed on that host, found by trying: `rule`, without these `rules`; `network`, without NICs on these `networks`; `host`, when it takes new ones again; `type`, as " +
          "that instance type; `move`, with these VMs elsewhere; `room`, with so much less promised there. `text` says it."
      })
    )
  ).annotations({ description: "the smallest that were found" })
}).annotations({ identifier: "PlacementRefusal", description: "Why no host can take something, and what would help." })
/** @since 0.7.0 @category schemas */
export type PlacementRefusal = typeof PlacementRefusal.Type

const of = (status: number, identifier: string, description: string) => ({
  [HttpApiSchema.AnnotationStatus]: status,
  [HttpApiSchema.AnnotationEncoding]: { kind: "Json", contentType },
  identifier,
  description
})

/** @since 0.4.0 @category errors */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>("Problem400")(
  "InvalidRequest",
  fields(400, "invalid_argument", "invalid_body", "invalid_header"),
  of(400, "InvalidRequest", "The request cannot be understood; `field` says what to mend.")
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.4.0 @category errors */
export class Unauthenticated extends Schema.TaggedError<Unauthenticated>("Problem401")(
  "Unauthenticated",
  fields(401, "unauthenticated", "bad_credentials"),
  of(401, "Unauthenticated", "Who asks is not known: a token or a session is missing, wrong or expired.")
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.4.0 @category errors */
export class Forbidden extends Schema.TaggedError<Forbidden>("Problem403")(
  "Forbidden",
  fields(403, "not_allowed", "foreign_origin", "ticket_refused"),
  of(403, "Forbidden", "Who asks may not do this, or the request comes from another site's page.")
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.4.0 @category errors */
export class NotFound extends Schema.TaggedError<NotFound>("Problem404")(
  "NotFound",
  fields(
    404,
    "vm_not_found",
    "volume_not_found",
    "snapshot_not_found",
    "host_not_found",
    "image_not_found",
    "instance_type_not_found",
    "operation_not_found",
    "user_not_found",
    "token_not_found",
    "webhook_not_found",
    "route_not_found",
    "plan_not_found",
    "nic_not_found",
    "network_not_found"
  ),
  of(404, "NotFound", "There is no such thing.")
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.8.0 @category errors */
export class MethodNotAllowed extends Schema.TaggedError<MethodNotAllowed>("Problem405")(
  "MethodNotAllowed",
  fields(405, "method_not_allowed"),
  of(
    405,
    "MethodNotAllowed",
    "There is this path, but nothing can be done there by that method; `Allow` has those it has."
  )
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.4.0 @category errors */
export class Conflict extends Schema.TaggedError<Conflict>("Problem409")(
  "Conflict",
  {
    ...fields(
      409,
      "vm_busy",
      "vm_conflict",
      "host_conflict",
      "vm_protected",
      "volume_busy",
      "volume_conflict",
      "no_feasible_host",
      "pool_full",
      "quota_exceeded",
      "key_reused",
      "key_spent",
      "secret_not_kept",
      "not_cancellable",
      "not_retryable",
      "image_refused",
      "user_conflict",
      "operation_failed",
      "plan_outdated",
      "plan_applied",
      "plan_mismatch",
      "nic_conflict",
      "mac_taken",
      "console_busy",
      "instance_type_conflict",
      "image_conflict"
    ),
    moved: Schema.optionalWith(
      Schema.Array(
        Schema.Struct({
          what: text("what a plan depended on"),
          planned: text("how the plan found it"),
          now: text("how it is now")
        })
      ).annotations({ description: "of `plan_outdated`: what is no longer as it was planned" }),
      { exact: true }
    ),
    refusal: Schema.optionalWith(PlacementRefusal, { exact: true }).annotations({
      description: "of `no_feasible_host`: what bars which hosts, and what would help"
    }),
    short: Schema.optionalWith(
      Schema.Array(
        Schema.Struct({
          resource: Quota.Shortage.fields.resource,
          has: Schema.Int.annotations({ description: "how much of it the quota has" }),
          used: Schema.Int.annotations({ description: "how much of that is used" }),
          asked: Schema.Int.annotations({ description: "how much more was asked for" })
        })
      ).annotations({ description: "of `quota_exceeded`: what there is too little of" }),
      { exact: true }
    )
  },
  of(409, "Conflict", "It cannot be done as things are; nothing was changed, and `detail` says what stands in the way.")
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.4.0 @category errors */
export class Gone extends Schema.TaggedError<Gone>("Problem410")(
  "Gone",
  fields(410, "events_lost"),
  of(410, "Gone", "What the cursor points at is no longer kept, or has not happened here.")
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.4.0 @category errors */
export class PreconditionFailed extends Schema.TaggedError<PreconditionFailed>("Problem412")(
  "PreconditionFailed",
  fields(412, "has_changed"),
  of(412, "PreconditionFailed", "It has changed since it was read (`If-Match`); nothing was done.")
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.4.0 @category errors */
export class TooLarge extends Schema.TaggedError<TooLarge>("Problem413")(
  "TooLarge",
  fields(413, "body_too_large"),
  of(413, "TooLarge", "The body is larger than any valid one.")
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.4.0 @category errors */
export class TooManyRequests extends Schema.TaggedError<TooManyRequests>("Problem429")(
  "TooManyRequests",
  fields(429, "rate_limited"),
  of(429, "TooManyRequests", "More requests than allowed; `Retry-After` says when to go on.")
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.4.0 @category errors */
export class Internal extends Schema.TaggedError<Internal>("Problem500")(
  "Internal",
  fields(500, "internal"),
  of(500, "Internal", "Something nobody foresaw; the controller's log says more.")
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.4.0 @category errors */
export class Unavailable extends Schema.TaggedError<Unavailable>("Problem503")(
  "Unavailable",
  fields(503, "host_unreachable", "host_failed", "storage_unreachable", "storage_failed", "database"),
  of(503, "Unavailable", "What is needed does not answer or fails at this moment; try again later.")
) {
  override get message(): string {
    return this.detail
  }
}

/** @since 0.4.0 @category errors */
export const Problem = Schema.Union(
  InvalidRequest,
  Unauthenticated,
  Forbidden,
  NotFound,
  MethodNotAllowed,
  Conflict,
  Gone,
  PreconditionFailed,
  TooLarge,
  TooManyRequests,
  Internal,
  Unavailable
).annotations({ identifier: "Problem", description: "What went wrong (RFC 9457)." })
/** @since 0.4.0 @category errors */
export type Problem = typeof Problem.Type

/** A group each of whose endpoints may be answered by what is not about it alone. @since 0.6.0 @category combinators */
export const general = <
  Id extends string,
  Endpoints extends HttpApiEndpoint.HttpApiEndpoint.Any,
  E,
  R,
  TopLevel extends boolean
>(
  group: HttpApiGroup.HttpApiGroup<Id, Endpoints, E, R, TopLevel>
) =>
  group
    .addError(InvalidRequest)
    .addError(Unauthenticated)
    .addError(Forbidden)
    .addError(TooManyRequests)
    .addError(Internal)
    .addError(Unavailable)
