/**
 * API tokens: how programs say who they are.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Identity from "../domain/Identity.ts"
import { Needs } from "./Access.ts"
import { IfMatch, making, optional, strict } from "./Common.ts"
import { Plan, planning } from "./Plans.ts"
import * as Problem from "./Problem.ts"
import { ownedBy } from "./Quotas.ts"
import { Role } from "./Users.ts"

const owner = Identity.UserName.annotations({ description: "the user whose token it is" })
const label = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(255)).annotations({
  description: "what it is for, in its owner's words"
})
const time = (description: string) => Schema.DateTimeUtc.annotations({ description: `${description}; ISO 8601, UTC` })

const fields = {
  id: Identity.TokenId.annotations({ description: "number of the token; one that was given out never comes back" }),
  name: label,
  owner,
  role: Role.annotations({ description: "what it may; never more than its owner may at the time" }),
  createdAt: time("when it was made"),
  expiresAt: Schema.NullOr(time("from when on it is worth nothing")).annotations({ description: "null: never" }),
  lastUsedAt: Schema.NullOr(time("its last use, to the minute")).annotations({ description: "null: never" })
}

/** @since 0.4.0 @category schemas */
export const Token = Schema.Struct(fields).annotations({
  identifier: "Token",
  description: "An API token without its secret."
})
/** @since 0.4.0 @category schemas */
export type Token = typeof Token.Type

const example: Token = {
  id: Identity.TokenId.make(7),
  name: "nightly builds",
  owner: Identity.UserName.make("ada"),
  role: "operator",
  createdAt: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
  expiresAt: DateTime.unsafeMake("2027-01-01T00:00:00.000Z"),
  lastUsedAt: null
}

/** @since 0.4.0 @category schemas */
export const Tokens = Schema.Struct({
  items: Schema.Array(Token).annotations({ description: "by number" })
}).annotations({ identifier: "Tokens", description: "Tokens.", examples: [{ items: [example] }] })

/** @since 0.4.0 @category schemas */
export const NewToken = Schema.Struct({
  name: label,
  role: Schema.optionalWith(Role, { exact: true }).annotations({
    description: "what it may; absent: what you may, or its owner if that is less"
  }),
  owner: Schema.optionalWith(owner, { exact: true }).annotations({
    description:
      "whose it will be; absent: yours. Another's needs admin; who is on the machine and no user has to say it"
  }),
  expiresAt: Schema.optionalWith(Schema.NullOr(time("from when on it is worth nothing")), {
    exact: true
  }).annotations({
    description:
      "null: never; absent: when the token does that asks for it, else never. A later time than that one's is refused"
  })
}).annotations({
  identifier: "NewToken",
  description: "A token to be made.",
  examples: [{ name: example.name, role: example.role, expiresAt: example.expiresAt }],
  ...strict
})
/** @since 0.4.0 @category schemas */
export type NewToken = typeof NewToken.Type

/** @since 0.4.0 @category schemas */
export const CreatedToken = Schema.Struct({
  ...fields,
  secret: Schema.Redacted(
    Schema.String.annotations({
      description: "what to send as `Authorization: Bearer …`: `vmf_` and 43 characters. It is not told again"
    })
  ).annotations({ identifier: "TokenSecret" })
}).annotations({
  identifier: "CreatedToken",
  description: "A token that was just made: the only time its secret is told.",
  examples: [{ ...example, secret: Redacted.make("vmf_…") }]
})

const byId = Schema.Struct({
  id: Schema.NumberFromString.pipe(Schema.compose(Identity.TokenId)).annotations({
    description: "number of the token"
  })
})

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("tokens")
  .add(
    HttpApiEndpoint.get("listTokens", "/tokens")
      .setUrlParams(
        Schema.Struct({
          owner: optional(ownedBy, "only this user's; another's are for an admin: 403 `not_allowed`")
        }).annotations(strict)
      )
      .addSuccess(Tokens)
      .annotate(Needs, "viewer")
      .annotate(OpenApi.Summary, "List tokens")
      .annotate(OpenApi.Description, "One's own; an admin sees everybody's. Without secrets.")
  )
  .add(
    HttpApiEndpoint.post("createToken", "/tokens")
      .setUrlParams(planning)
      .setHeaders(making)
      .setPayload(NewToken)
      .addSuccess(CreatedToken, { status: 201 })
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.TooLarge)
      .annotate(Needs, "viewer")
      .annotate(OpenApi.Summary, "Create a token")
      .annotate(
        OpenApi.Description,
        "For oneself, with at most the role one has; an admin also for others. One that is made with a token that expires is good for no longer. The answer holds the secret, which is not told again: only " +
          "the same request with the same key has it for 10 minutes, from the same process; later it is `secret_not_kept`, and `detail` names the token to remove."
      )
  )
  .add(
    HttpApiEndpoint.get("getToken", "/tokens/:id")
      .setPath(byId)
      .addSuccess(Token)
      .addError(Problem.NotFound)
      .annotate(Needs, "viewer")
      .annotate(OpenApi.Summary, "Get a token")
      .annotate(
        OpenApi.Description,
        "One's own; an admin sees anybody's. Without its secret. Of its `ETag`, `If-Match` compares all but its last use."
      )
  )
  .add(
    HttpApiEndpoint.del("removeToken", "/tokens/:id")
      .setPath(byId)
      .setUrlParams(planning)
      .setHeaders(Schema.Struct(IfMatch))
      .addSuccess(Plan)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotate(Needs, "viewer")
      .annotate(OpenApi.Summary, "Remove a token")
      .annotate(OpenApi.Description, "It is worth nothing from then on. One's own; an admin can remove anybody's.")
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Tokens")
  .annotate(OpenApi.Description, "API tokens: how programs say who they are.")
