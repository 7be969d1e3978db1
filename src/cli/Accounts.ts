/**
 * `vmfabric user`, `token`, `login`, `logout` and `whoami`: who one is to a controller.
 *
 * @since 0.5.0
 */
import * as Args from "@effect/cli/Args"
import * as Options from "@effect/cli/Options"
import * as Cookies from "@effect/platform/Cookies"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { hostname } from "node:os"
import { cookieName, type Me } from "../api/Session.ts"
import type { Token } from "../api/Tokens.ts"
import type { User } from "../api/Users.ts"
import { Role } from "../domain/Identity.ts"
import * as Quota from "../domain/Quota.ts"
import * as Contexts from "./Contexts.ts"
import { Refused } from "./Failure.ts"
import { answered, ask, type Column, note, one, time, type View } from "./Output.ts"
import * as Pages from "./Pages.ts"
import * as Resolve from "./Resolve.ts"
import { Screen } from "./Screen.ts"
import * as Session from "./Session.ts"
import * as Sizes from "./Sizes.ts"
import * as Verb from "./Verb.ts"

/** As in `7 of 20`, and `8 GiB of 64 GiB`. */
const usedOf =
  (name: Quota.Name) =>
  ({ quota, used }: Pick<User, "quota" | "used">): string | null => {
    if (used === undefined) return null
    const has = quota?.[name] ?? null
    const taken = Quota.quantity(name, used[name])
    return has === null ? taken : `${taken} of ${Quota.quantity(name, has)}`
  }

const quotaTitles: Readonly<Record<Quota.Name, string>> = {
  vms: "VMS",
  cpu: "CPU",
  ram: "RAM",
  volumes: "VOLUMES",
  volumeSize: "VOLUME SIZE"
}

/** What they have, and may have. */
const quotaColumns = Quota.names.map((name): Column<Pick<User, "exceeded" | "quota" | "used">> => ({
  title: quotaTitles[name],
  of: usedOf(name),
  tone: ({ exceeded = [] }) => (exceeded.includes(name) ? "bad" : undefined),
  wide: true
}))

/** Shown, and told of what they have more than they may. */
const asked = <E, R>(call: Effect.Effect<[User, HttpClientResponse.HttpClientResponse], E, R>) =>
  Effect.gen(function* () {
    const answer = yield* answered(call)
    yield* one(userView, answer)
    const { name, quota, used } = answer.value
    const more = quota === undefined || used === undefined ? null : Quota.showExceeded(name, quota, used)
    if (more !== null) yield* note(more)
  })

/** What a plain number is of; null: there are so many of it. */
const unitOf = (name: Quota.Name): Sizes.Unit | null => (name === "ram" ? "MiB" : name === "volumeSize" ? "GiB" : null)

const limitsExpected = Quota.names.map((name) => `${name}=${unitOf(name) === null ? "N" : "SIZE"}`).join(", ")

const quotaOption = Verb.text(
  "quota",
  "WHAT=N",
  `How much they may have: ${limitsExpected}, with none in place of N or SIZE for as much as there is. SIZE as in 64GiB; a plain number is MiB of ram, and ` +
    "GiB of volumeSize, which is of all volumes together. May be repeated."
).pipe(Options.repeated)

const limitOf = (name: Quota.Name, amount: string): number | undefined => {
  const unit = unitOf(name)
  if (unit !== null) return Sizes.read(amount, unit)
  return /^[0-9]{1,15}$/.test(amount) ? Number(amount) : undefined
}

const isQuotaName = Schema.is(Schema.Literal(...Quota.names))

const quotaOf = (all: ReadonlyArray<string>): Effect.Effect<{ readonly quota?: Quota.Change }, Refused> => {
  const limits = all.map((text) => {
    const at = text.indexOf("=")
    const [name, amount] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)]
    if (!isQuotaName(name)) return text
    const limit = amount === "none" ? null : limitOf(name, amount)
    return limit === undefined ? text : ([name, limit] as const)
  })
  const wrong = limits.find((one) => typeof one === "string")
  if (wrong !== undefined) {
    return new Refused({
      why: "usage",
      message: `--quota ${wrong}: expected ${limitsExpected}, N a whole number or none, SIZE as in 64GiB, in whole MiB of ram and GiB of volumeSize, or none`,
      field: "quota"
    })
  }
  const known = limits.flatMap((one) => (typeof one === "string" ? [] : [one]))
  const twice = known.find(([name], index) => known.findIndex((one) => one[0] === name) !== index)
  if (twice !== undefined) {
    return new Refused({
      why: "usage",
      message: `--quota ${twice[0]} is given twice: expected it once`,
      field: "quota"
    })
  }
  return Effect.succeed(known.length === 0 ? {} : { quota: Object.fromEntries(known) })
}

const userView: View<User> = {
  name: ({ name }) => name,
  columns: [
    { title: "NAME", of: ({ name }) => name },
    { title: "ROLE", of: ({ role }) => role },
    { title: "PASSWORD", of: ({ hasPassword }) => (hasPassword ? "set" : "none") },
    { title: "DISABLED", of: ({ disabled }) => disabled },
    { title: "CREATED", of: ({ createdAt }) => time(createdAt) },
    ...quotaColumns
  ]
}

const word = Verb.word("user", "The user's name.")
const role = Verb.choice(
  "role",
  Role.literals,
  "viewer sees, operator also changes VMs and volumes, admin also hosts and users."
)

const passwordFile = (what: string) =>
  Options.optional(
    Verb.text(
      "password-file",
      "FILE",
      `File with ${what}, which nobody else may read; without it, it is asked for, or read from standard input.`
    )
  )

const passwordOf = (file: Option.Option<string>, question: string) =>
  Option.match(file, {
    onNone: () => Effect.flatMap(Screen, ({ askSecret }) => askSecret(question)),
    onSome: (path) => Effect.map(Contexts.secretIn(path), (text) => Redacted.make(text))
  })

const setDisabled = (name: "disable" | "enable", about: string): Verb.Verb =>
  Verb.make({
    name,
    about,
    endpoints: ["changeUser"],
    options: Verb.noOptions,
    args: word,
    run: (_, text) =>
      Effect.gen(function* () {
        const user = yield* Resolve.user(text)
        const { users } = yield* Session.client
        const payload = { disabled: name === "disable" }
        yield* ask(userView, users.changeUser({ path: { name: user }, payload, withResponse: true }))
      })
  })

/** @since 0.5.0 @category nouns */
export const user: Verb.Noun = {
  name: "user",
  about: "who may sign in",
  verbs: [
    Verb.make({
      name: "list",
      about: "List users.",
      endpoints: ["listUsers"],
      options: Verb.noOptions,
      args: Args.none,
      run: () =>
        Effect.gen(function* () {
          const { users } = yield* Session.client
          yield* Pages.whole(userView, false, {}, "there are no users", users.listUsers({ withResponse: true }))
        })
    }),
    Verb.make({
      name: "get",
      about: "Show a user.",
      endpoints: ["getUser"],
      options: Verb.noOptions,
      args: word,
      run: (_, text) =>
        Effect.gen(function* () {
          const name = yield* Resolve.user(text)
          const { users } = yield* Session.client
          yield* asked(users.getUser({ path: { name }, withResponse: true }))
        })
    }),
    Verb.make({
      name: "create",
      about: "Create a user; without a password only tokens open the door.",
      endpoints: ["createUser"],
      options: Options.all({
        role,
        passwordFile: Options.optional(
          Verb.text("password-file", "FILE", "File with the password, which nobody else may read.")
        ),
        quota: quotaOption
      }),
      args: word,
      run: ({ passwordFile, quota, role }, text) =>
        Effect.gen(function* () {
          const name = yield* Resolve.user(text)
          const password = Option.isNone(passwordFile) ? {} : { password: yield* passwordOf(passwordFile, "") }
          const { users } = yield* Session.client
          const payload = { name, role, ...password, ...(yield* quotaOf(quota)) }
          yield* asked(users.createUser({ payload, withResponse: true }))
        })
    }),
    Verb.make({
      name: "set",
      about: "Change a user's role, which ends their sessions, or how much they may have.",
      endpoints: ["changeUser"],
      options: Options.all({ role: Options.optional(role), quota: quotaOption }),
      args: word,
      run: ({ quota, role }, text) =>
        Effect.gen(function* () {
          const name = yield* Resolve.user(text)
          const payload = { ...Verb.given("role", role), ...(yield* quotaOf(quota)) }
          if (Object.keys(payload).length === 0) {
            const message = "nothing of the user is to be different: give --role ROLE or --quota WHAT=N"
            return yield* new Refused({ why: "usage", message })
          }
          const { users } = yield* Session.client
          yield* asked(users.changeUser({ path: { name }, payload, withResponse: true }))
        })
    }),
    setDisabled("disable", "Shut a user out at once, with all sessions and tokens; nothing is lost."),
    setDisabled("enable", "Let a user in again that was disabled, with the same tokens."),
    Verb.make({
      name: "password",
      about: "Set a user's password; ends the user's sessions.",
      endpoints: ["setPassword"],
      options: Options.all({
        passwordFile: passwordFile("the new password"),
        currentFile: Options.optional(
          Verb.text("current-file", "FILE", "File with the present password, which one's own needs.")
        )
      }),
      args: word,
      run: ({ currentFile, passwordFile }, text) =>
        Effect.gen(function* () {
          const name = yield* Resolve.user(text)
          const current = Option.isNone(currentFile) ? {} : { current: yield* passwordOf(currentFile, "") }
          const password = yield* passwordOf(passwordFile, `New password of ${name}: `)
          const { users } = yield* Session.client
          yield* users.setPassword({ path: { name }, payload: { password, ...current } })
          yield* note(`the password of ${name} is set`)
        })
    }),
    Verb.make({
      name: "remove",
      about: "Remove a user, with all tokens and sessions.",
      endpoints: ["removeUser"],
      options: Verb.noOptions,
      args: word,
      run: (_, text) =>
        Effect.gen(function* () {
          const name = yield* Resolve.user(text)
          const { users } = yield* Session.client
          yield* users.removeUser({ path: { name } })
          yield* note(`user ${name} is removed`)
        })
    })
  ]
}

const tokenView: View<Token> = {
  name: ({ id }) => id,
  columns: [
    { title: "ID", of: ({ id }) => id },
    { title: "NAME", of: ({ name }) => name },
    { title: "OWNER", of: ({ owner }) => owner },
    { title: "ROLE", of: ({ role }) => role },
    { title: "EXPIRES", of: ({ expiresAt }) => time(expiresAt) ?? "never" },
    { title: "LAST USED", of: ({ lastUsedAt }) => time(lastUsedAt) ?? "never" },
    { title: "CREATED", of: ({ createdAt }) => time(createdAt), wide: true }
  ]
}

/** So many days from now. */
const inDays = (days: number) =>
  days >= 1 && days <= 36_500
    ? Effect.map(DateTime.now, (now) => DateTime.add(now, { days }))
    : new Refused({ why: "usage", message: `--days ${days}: expected 1 to 36500`, field: "days" })

/** @since 0.5.0 @category nouns */
export const token: Verb.Noun = {
  name: "token",
  about: "how programs say who they are",
  verbs: [
    Verb.make({
      name: "list",
      about: "List tokens, without their secrets.",
      endpoints: ["listTokens"],
      options: Options.all({
        owner: Options.optional(Verb.text("owner", "USER", "Only this user's; another's are for an admin."))
      }),
      args: Args.none,
      run: ({ owner }) =>
        Effect.gen(function* () {
          const { tokens } = yield* Session.client
          const urlParams = yield* Resolve.maybe("owner", owner, Resolve.user)
          yield* Pages.whole(
            tokenView,
            false,
            {},
            "there are no tokens",
            tokens.listTokens({ urlParams, withResponse: true })
          )
        })
    }),
    Verb.make({
      name: "get",
      about: "Show a token, without its secret.",
      endpoints: ["getToken"],
      options: Verb.noOptions,
      args: Verb.word("token", "Id or name of the token."),
      run: (_, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.token(text)
          const { tokens } = yield* Session.client
          yield* ask(tokenView, tokens.getToken({ path: { id }, withResponse: true }))
        })
    }),
    Verb.make({
      name: "create",
      about: "Create a token, and print its secret: alone on standard output, and never again.",
      endpoints: ["createToken"],
      options: Options.all({
        name: Verb.text("name", "NAME", "What it is for."),
        role: Options.optional(
          Verb.choice(
            "role",
            Role.literals,
            "What it may; unless it is said what you may, or its owner if that is less."
          )
        ),
        owner: Options.optional(Verb.text("owner", "USER", "Whose it will be; yours unless it is said.")),
        days: Options.optional(Verb.number("days", "N", "For how many days it is good; for ever unless it is said."))
      }),
      args: Args.none,
      run: ({ days, name, owner, role }) =>
        Effect.gen(function* () {
          const { tokens } = yield* Session.client
          const payload = {
            name,
            ...Verb.given("role", role),
            ...(yield* Resolve.maybe("owner", owner, Resolve.user)),
            ...(Option.isNone(days) ? {} : { expiresAt: yield* inDays(days.value) })
          }
          const answer = yield* answered(tokens.createToken({ payload, withResponse: true }))
          const { mode } = yield* Session.Session
          if (mode !== "table" && mode !== "wide") return yield* one(tokenView, answer)
          const { id, secret } = answer.value
          yield* note(`token ${id} (${name}) is made; this is its secret, shown this once:`)
          const { out } = yield* Screen
          yield* out(`${Redacted.value(secret)}\n`)
        })
    }),
    Verb.make({
      name: "revoke",
      about: "Make a token worth nothing.",
      endpoints: ["removeToken"],
      options: Verb.noOptions,
      args: Verb.word("token", "Id or name of the token."),
      run: (_, text) =>
        Effect.gen(function* () {
          const id = yield* Resolve.token(text)
          const { tokens } = yield* Session.client
          yield* tokens.removeToken({ path: { id } })
          yield* note(`token ${id} is revoked`)
        })
    })
  ]
}

const meView: View<typeof Me.Type> = {
  name: ({ user }) => user,
  columns: [
    { title: "USER", of: ({ user }) => user },
    { title: "ROLE", of: ({ role }) => role },
    { title: "VIA", of: ({ via }) => via },
    { title: "TOKEN", of: ({ tokenId }) => tokenId },
    ...quotaColumns
  ]
}

/** What a context is called after that nobody named. */
const nameOf = (url: string) => new URL(url).host

/** @since 0.5.0 @category nouns */
export const login: Verb.Noun = {
  name: "login",
  about: "sign in, and keep a token in a context",
  verbs: [
    Verb.make({
      name: "login",
      about:
        "Sign in with a password, and keep a token that this makes: in the context, which is the current one from then on.",
      endpoints: ["signIn", "signOut"],
      options: Options.all({
        user: Options.optional(Verb.text("user", "NAME", "Who signs in; without it, it is asked for.")),
        passwordFile: passwordFile("the password"),
        role: Options.optional(
          Verb.choice("role", Role.literals, "What the token may; what the user may unless it is said.")
        ),
        days: Options.withDefault(Verb.number("days", "N", "For how many days the token is good. Default 30."), 30)
      }),
      args: Args.none,
      run: ({ days, passwordFile, role, user }) =>
        Effect.gen(function* () {
          const { common } = yield* Session.Session
          const contexts = yield* Contexts.read
          // the context may be a new one: then it is named by --context and its address by --url
          const known = Option.isSome(common.context) && Object.hasOwn(contexts.contexts, common.context.value)
          const target = yield* Session.targetOf({
            ...common,
            tokenFile: Option.none(),
            context: known && Option.isNone(common.url) ? common.context : Option.none(),
            url:
              known || Option.isNone(common.context) || Option.isSome(common.url)
                ? common.url
                : Option.some(Session.usualUrl)
          })
          const expiresAt = yield* inDays(days)
          const { ask } = yield* Screen
          const name = Option.isSome(user) ? user.value : yield* ask("User: ")
          const password = yield* passwordOf(passwordFile, `Password of ${name}: `)
          const nobody = { ...target, token: undefined }
          const stranger = yield* Session.clientOf(nobody, "2 seconds")
          const [signedIn, response] = yield* stranger.session.signIn({
            payload: { name, password },
            withResponse: true
          })
          const secret = Option.getOrElse(Cookies.getValue(response.cookies, cookieName), () => "")
          const signed = yield* Session.clientOf(
            nobody,
            "2 seconds",
            Session.withCookie(Redacted.make(`${cookieName}=${secret}`))
          )
          const made = yield* signed.tokens
            .createToken({
              payload: { name: `vmfabric login on ${hostname()}`, ...Verb.given("role", role), expiresAt }
            })
            .pipe(Effect.ensuring(Effect.ignoreLogged(signed.session.signOut())))
          const context = Option.getOrElse(common.context, () => target.context ?? nameOf(target.url))
          yield* Contexts.write({
            current: context,
            contexts: {
              ...contexts.contexts,
              [context]: {
                url: target.url,
                user: signedIn.user,
                token: made.secret,
                ...(target.caFile === undefined ? {} : { caFile: target.caFile })
              }
            }
          })
          yield* note(
            `signed in as ${signedIn.user} (${made.role}) at ${target.url}: context ${context} has a token, good until ${time(made.expiresAt) ?? "revoked"}`
          )
        })
    })
  ]
}

/** @since 0.5.0 @category nouns */
export const logout: Verb.Noun = {
  name: "logout",
  about: "revoke the context's token, and forget it",
  verbs: [
    Verb.make({
      name: "logout",
      about: "Revoke the token of the context, and take it out of the file.",
      // what it asks for is another context's than the flags say, so that it is neither planned nor repeated
      endpoints: ["whoAmI"],
      options: Verb.noOptions,
      args: Args.none,
      run: () =>
        Effect.gen(function* () {
          const session = yield* Session.Session
          const target = yield* session.target
          const contexts = yield* Contexts.read
          const entry = target.context === null ? undefined : yield* Contexts.named(contexts, target.context)
          if (target.context === null || entry?.token === undefined) {
            return yield* new Refused({
              why: "usage",
              message: "no context with a token is in use: give --context NAME; vmfabric context list shows them"
            })
          }
          // its own token, whatever the environment says
          const { session: who, tokens } = yield* Session.clientOf({ ...target, token: entry.token }, "2 seconds")
          const worthless = yield* who.whoAmI().pipe(
            Effect.flatMap(({ tokenId }) =>
              tokenId === null ? Effect.void : tokens.removeToken({ path: { id: tokenId } })
            ),
            Effect.as(false),
            // it has expired, or somebody revoked it
            Effect.catchTag("Unauthenticated", () => Effect.succeed(true))
          )
          const { token: _, user: __, ...rest } = entry
          yield* Contexts.write({ ...contexts, contexts: { ...contexts.contexts, [target.context]: rest } })
          yield* note(
            `context ${target.context} has no token any more${worthless ? "; it was worth nothing already" : ", and it is revoked"}`
          )
        })
    })
  ]
}

/** @since 0.5.0 @category nouns */
export const whoami: Verb.Noun = {
  name: "whoami",
  about: "who one is to the controller",
  verbs: [
    Verb.make({
      name: "whoami",
      about: "Show who you are to the controller, what you may, and how much of your quota you have.",
      endpoints: ["whoAmI"],
      options: Verb.noOptions,
      args: Args.none,
      run: () =>
        Effect.gen(function* () {
          const { session } = yield* Session.client
          yield* ask(meView, session.whoAmI({ withResponse: true }))
        })
    })
  ]
}
