/**
 * Signing in and out, and who one is.
 *
 * @since 0.4.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as DateTime from "effect/DateTime"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Identity from "../domain/Identity.ts"
import { ComparesPassword, Needs } from "./Access.ts"
import { strict } from "./Common.ts"
import * as Problem from "./Problem.ts"
import * as Quotas from "./Quotas.ts"
import { Role } from "./Users.ts"

/** The cookie that holds a session's secret. @since 0.4.0 @category constants */
export const cookieName = "vmfabric_session"

/** @since 0.4.0 @category schemas */
export const SignIn = Schema.Struct({
  name: Schema.String.annotations({ description: "the user's name" }),
  password: Schema.Redacted(Schema.String.annotations({ description: "the user's password" }))
}).annotations({
  identifier: "SignIn",
  description: "Who wants to sign in.",
  examples: [{ name: "ada", password: Redacted.make("correct horse battery staple") }],
  ...strict
})
/** @since 0.4.0 @category schemas */
export type SignIn = typeof SignIn.Type

const who = {
  user: Identity.UserName.annotations({
    description: "name of the user; `local` for whoever is on the controller's machine while nobody could sign in"
  }),
  role: Role
}

/** @since 0.4.0 @category schemas */
export const Session = Schema.Struct({
  ...who,
  expiresAt: Schema.DateTimeUtc.annotations({ description: "when the session ends; ISO 8601, UTC" })
}).annotations({
  identifier: "Session",
  description: "A session that was just begun.",
  examples: [
    {
      user: Identity.UserName.make("ada"),
      role: "operator",
      expiresAt: DateTime.unsafeMake("2026-01-02T15:04:05.006Z")
    }
  ]
})

/** @since 0.4.0 @category schemas */
export const Me = Schema.Struct({
  ...who,
  via: Schema.Literal("loopback", "token", "session").annotations({
    description:
      "how it is known; `loopback`: the request comes from the controller's own machine, and nobody could sign in yet"
  }),
  tokenId: Schema.NullOr(Identity.TokenId).annotations({ description: "number of the token; null: without one" }),
  ...Quotas.ofUser
}).annotations({
  identifier: "Me",
  description: "Who a request is from.",
  examples: [
    { user: Identity.UserName.make("ada"), role: "operator", via: "session", tokenId: null, ...Quotas.example }
  ]
})

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("session")
  .add(
    HttpApiEndpoint.get("whoAmI", "/session")
      .addSuccess(Me)
      .annotate(Needs, "viewer")
      .annotate(OpenApi.Summary, "Who am I")
      .annotate(OpenApi.Description, "Who the request is from, what they may, and how much of their quota they have.")
  )
  .add(
    HttpApiEndpoint.post("signIn", "/session")
      .setPayload(SignIn)
      .addSuccess(Session)
      .annotate(Needs, "nobody")
      .annotate(ComparesPassword, true)
      .annotate(OpenApi.Summary, "Sign in")
      .annotate(
        OpenApi.Description,
        `Sets the cookie \`${cookieName}\`, good for 12 hours. Ten wrong passwords from one address are refused for a minute.`
      )
  )
  .add(
    HttpApiEndpoint.del("signOut", "/session")
      .addSuccess(HttpApiSchema.NoContent)
      .annotate(Needs, "nobody")
      .annotate(OpenApi.Summary, "Sign out")
      .annotate(OpenApi.Description, "Ends the session of the cookie, if there is one, and takes the cookie away.")
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Session")
  .annotate(OpenApi.Description, "Signing in and out, and who one is.")
