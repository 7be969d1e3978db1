/**
 * Users: who may sign in, and what they may.
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
import * as Quota from "../domain/Quota.ts"
import { ComparesPassword, Needs } from "./Access.ts"
import { IfMatch, making, optional, strict, usually } from "./Common.ts"
import { Plan, planning } from "./Plans.ts"
import * as Problem from "./Problem.ts"
import * as Quotas from "./Quotas.ts"

/** @since 0.4.0 @category schemas */
export const Role = Identity.Role.annotations({
  identifier: "Role",
  description:
    "`viewer` sees everything but secrets; `operator` also changes VMs, volumes, snapshots and their operations; `admin` also changes " +
    "hosts, users and tokens, and reads the audit log"
})

const name = Identity.UserName.annotations({
  description: "1 to 64 of a-z 0-9 _ . @ -, beginning with a letter; it never changes"
})

/** Of a request; it is never told again. @since 0.4.0 @category schemas */
export const Password = Schema.Redacted(
  Schema.String.annotations({ description: "12 to 256 characters; it is kept as a hash, and never told again" })
).annotations({ identifier: "Password" })

/** @since 0.4.0 @category schemas */
export const User = Schema.Struct({
  name,
  role: Role,
  hasPassword: Schema.Boolean.annotations({
    description: "whether a password was set: without one only tokens open the door"
  }),
  disabled: Schema.Boolean.annotations({
    description:
      "whether they are shut out: no password, session or token of theirs opens the door meanwhile, and all of it stays"
  }),
  createdAt: Schema.DateTimeUtc.annotations({ description: "ISO 8601, UTC" }),
  ...Quotas.ofUser
}).annotations({ identifier: "User", description: "A person, or a program with an account." })
/** @since 0.4.0 @category schemas */
export type User = typeof User.Type

const example: User = {
  name: Identity.UserName.make("ada"),
  role: "operator",
  hasPassword: true,
  disabled: false,
  createdAt: DateTime.unsafeMake("2026-01-02T03:04:05.006Z"),
  ...Quotas.example
}

/** @since 0.4.0 @category schemas */
export const Users = Schema.Struct({
  items: Schema.Array(User).annotations({ description: "all users, by name" })
}).annotations({ identifier: "Users", description: "All users.", examples: [{ items: [example] }] })

/** @since 0.4.0 @category schemas */
export const NewUser = Schema.Struct({
  name,
  role: Role,
  password: Schema.optionalWith(Password, { exact: true }),
  quota: optional(
    Quotas.QuotaChange.annotations(usually(Quota.unlimited)),
    "how much they may have; absent: as much as there is"
  )
}).annotations({
  identifier: "NewUser",
  description: "A user to be created. Without a password only tokens open the door.",
  examples: [
    { name: example.name, role: "operator", password: Redacted.make("correct horse battery staple") },
    { name: Identity.UserName.make("ci-runner"), role: "operator", quota: { vms: 20, cpu: 40 } }
  ],
  ...usually({ quota: {} }),
  ...strict
})
/** @since 0.4.0 @category schemas */
export type NewUser = typeof NewUser.Type

/** @since 0.4.0 @category schemas */
export const UserChange = Schema.Struct({
  role: Schema.optionalWith(Role, { exact: true }),
  disabled: Schema.optionalWith(Schema.Boolean, { exact: true }).annotations({
    description:
      "`true`: shut out from now on; `false`: let in again, with all sessions and tokens that have not expired"
  }),
  quota: optional(
    Quotas.QuotaChange,
    "how much they may have; it may be less than they have: then there can be no more"
  )
}).annotations({
  identifier: "UserChange",
  description: "What is to be different; what is absent stays.",
  examples: [{ role: "viewer" }, { disabled: true }, { quota: { vms: 20, ram: null } }],
  ...strict
})
/** @since 0.4.0 @category schemas */
export type UserChange = typeof UserChange.Type

/** @since 0.4.0 @category schemas */
export const NewPassword = Schema.Struct({
  password: Password,
  current: Schema.optionalWith(Password, { exact: true }).annotations({
    description: "the present password: needed for one's own, unless there is none yet"
  })
}).annotations({
  identifier: "NewPassword",
  description: "A password in place of the present one.",
  examples: [{ password: Redacted.make("correct horse battery staple"), current: Redacted.make("what it was before") }],
  ...strict
})
/** @since 0.4.0 @category schemas */
export type NewPassword = typeof NewPassword.Type

const byName = Schema.Struct({ name: name.annotations({ description: "the user's name" }) })

/** @since 0.4.0 @category groups */
export const group = HttpApiGroup.make("users")
  .add(
    HttpApiEndpoint.get("listUsers", "/users")
      .addSuccess(Users)
      .annotate(Needs, "admin")
      .annotate(OpenApi.Summary, "List users")
      .annotate(OpenApi.Description, "All users, by name.")
  )
  .add(
    HttpApiEndpoint.post("createUser", "/users")
      .setUrlParams(planning)
      .setHeaders(making)
      .setPayload(NewUser)
      .addSuccess(User, { status: 201 })
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.TooLarge)
      .annotate(Needs, "admin")
      .annotate(OpenApi.Summary, "Create a user")
      .annotate(
        OpenApi.Description,
        "The first user has to be an admin. Once somebody can sign in, being on the controller's machine is no longer enough. A repetition with the same key " +
          "that has another password than the user has by then is `key_reused`."
      )
  )
  .add(
    HttpApiEndpoint.get("getUser", "/users/:name")
      .setPath(byName)
      .addSuccess(User)
      .addError(Problem.NotFound)
      .annotate(Needs, "admin")
      .annotate(OpenApi.Summary, "Get a user")
      .annotate(
        OpenApi.Description,
        "One user, by name, with what they may have and what they have. Of its `ETag`, `If-Match` compares all that is shown but `used` and `exceeded`."
      )
  )
  .add(
    HttpApiEndpoint.patch("changeUser", "/users/:name")
      .setPath(byName)
      .setUrlParams(planning)
      .setHeaders(Schema.Struct(IfMatch))
      .setPayload(UserChange)
      .addSuccess(User)
      .addSuccess(Plan)
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .addError(Problem.TooLarge)
      .annotate(Needs, "admin")
      .annotate(OpenApi.Summary, "Change a user's role or quota, or disable or enable a user")
      .annotate(
        OpenApi.Description,
        "Another role ends the user's sessions; tokens of a higher role have the new one from then on. A user that is disabled is shut out at once, " +
          "with all sessions, tokens, event streams and consoles, and signing in is answered as with a wrong password; what is theirs stays, and is as before " +
          "when they are enabled. The last admin stays one and is not disabled, and nobody disables themselves. " +
          "A quota is of VMs and volumes that the user had made, by whatever session or token, and is held by every request that would make more of them. It may be " +
          "less than what is there: `exceeded` of the answer says so, all of it stays, and more is refused as `quota_exceeded`."
      )
  )
  .add(
    HttpApiEndpoint.put("setPassword", "/users/:name/password")
      .setPath(byName)
      .setUrlParams(planning)
      .setHeaders(Schema.Struct(IfMatch))
      .setPayload(NewPassword)
      .addSuccess(Plan)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .addError(Problem.TooLarge)
      .annotate(Needs, "viewer")
      .annotate(ComparesPassword, true)
      .annotate(OpenApi.Summary, "Set a password")
      .annotate(
        OpenApi.Description,
        "One's own, with the present one; an admin can set anybody's. Ends the user's sessions, this one too. A token with less than its " +
          "owner's role cannot set the owner's password, nor one that expires a first password. A plan says that there would be another, and is not bound to which."
      )
  )
  .add(
    HttpApiEndpoint.del("removeUser", "/users/:name")
      .setPath(byName)
      .setUrlParams(planning)
      .setHeaders(Schema.Struct(IfMatch))
      .addSuccess(Plan)
      .addSuccess(Schema.Void, { status: 204 })
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .addError(Problem.PreconditionFailed)
      .annotate(Needs, "admin")
      .annotate(OpenApi.Summary, "Remove a user")
      .annotate(
        OpenApi.Description,
        "With all tokens and sessions. The last admin stays, and nobody removes themselves. VMs and volumes that they had made stay, too, with their name as `owner`: in no quota, unless there is a user of that name again."
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Users")
  .annotate(OpenApi.Description, "Who may sign in, and what they may.")
