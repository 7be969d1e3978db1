/**
 * `vmfabric context`: several controllers by name. Nothing of it asks any of them.
 *
 * @since 0.5.0
 */
import * as Args from "@effect/cli/Args"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { resolve } from "node:path"
import * as Contexts from "./Contexts.ts"
import { Refused } from "./Failure.ts"
import { list, note, one, type View } from "./Output.ts"
import { Session } from "./Session.ts"
import * as Verb from "./Verb.ts"

/** A context without its token. */
interface Row {
  readonly name: string
  readonly current: boolean
  readonly url: string
  readonly user: string | null
  readonly caFile: string | null
  readonly token: boolean
}

const view: View<Row> = {
  name: ({ name }) => name,
  columns: [
    { title: "CURRENT", of: ({ current }) => (current ? "*" : "") },
    { title: "NAME", of: ({ name }) => name },
    { title: "URL", of: ({ url }) => url },
    { title: "USER", of: ({ user }) => user },
    { title: "TOKEN", of: ({ token }) => (token ? "has one" : "") },
    { title: "CA FILE", of: ({ caFile }) => caFile }
  ]
}

const rowOf = ({ current }: Contexts.Contexts, name: string, { caFile, token, url, user }: Contexts.Entry): Row => ({
  name,
  current: name === current,
  url,
  user: user ?? null,
  caFile: caFile ?? null,
  token: token !== undefined
})

const word = Verb.word("name", "The context's name.")

const show = (contexts: Contexts.Contexts, name: string) =>
  Effect.gen(function* () {
    const value = rowOf(contexts, name, yield* Contexts.named(contexts, name))
    yield* one(view, { value, body: value })
  })

/** @since 0.5.0 @category nouns */
export const noun: Verb.Noun = {
  name: "context",
  about: "several controllers by name",
  verbs: [
    Verb.make({
      name: "list",
      about: "List contexts.",
      endpoints: [],
      options: Verb.noOptions,
      args: Args.none,
      run: () =>
        Effect.gen(function* () {
          const contexts = yield* Contexts.read
          const items = Object.entries(contexts.contexts).map(([name, entry]) => rowOf(contexts, name, entry))
          yield* list(
            view,
            items,
            { items },
            "there are no contexts: vmfabric context set NAME --url URL, or vmfabric login makes one"
          )
        })
    }),
    Verb.make({
      name: "show",
      about: "Show a context, or the current one.",
      endpoints: [],
      options: Verb.noOptions,
      args: Args.optional(word),
      run: (_, given) =>
        Effect.gen(function* () {
          const contexts = yield* Contexts.read
          const name = Option.getOrElse(given, () => contexts.current)
          if (name === null)
            return yield* new Refused({
              why: "notFound",
              message: "there is no current context: vmfabric context use NAME chooses one"
            })
          yield* show(contexts, name)
        })
    }),
    Verb.make({
      name: "set",
      about: "Make a context, or change one: with --url, --ca-file and --token-file.",
      endpoints: [],
      options: Verb.noOptions,
      args: word,
      run: (_, name) =>
        Effect.gen(function* () {
          const { common } = yield* Session
          const contexts = yield* Contexts.read
          const before = Object.hasOwn(contexts.contexts, name) ? contexts.contexts[name] : undefined
          const url = Option.getOrElse(common.url, () => before?.url)
          if (url === undefined)
            return yield* new Refused({ why: "usage", message: "a new context needs --url URL", field: "url" })
          yield* Contexts.checkedUrl(url)
          // a token is for the controller it came from
          const { token: former, user, ...kept } = before ?? { url }
          const same =
            before?.url === url
              ? { ...(former === undefined ? {} : { token: former }), ...(user === undefined ? {} : { user }) }
              : {}
          const token = Option.isNone(common.tokenFile)
            ? {}
            : { token: Redacted.make(yield* Contexts.secretIn(common.tokenFile.value)) }
          // from whatever folder it is used
          const caFile = Option.isNone(common.caFile) ? {} : { caFile: resolve(common.caFile.value) }
          const changed: Contexts.Contexts = {
            current: contexts.current ?? name,
            contexts: { ...contexts.contexts, [name]: { ...kept, ...same, url, ...token, ...caFile } }
          }
          yield* Contexts.write(changed)
          yield* show(changed, name)
        })
    }),
    Verb.make({
      name: "use",
      about: "Make a context the current one.",
      endpoints: [],
      options: Verb.noOptions,
      args: word,
      run: (_, name) =>
        Effect.gen(function* () {
          const contexts = yield* Contexts.read
          const { url } = yield* Contexts.named(contexts, name)
          yield* Contexts.write({ ...contexts, current: name })
          yield* note(`${name} (${url}) is the current context`)
        })
    }),
    Verb.make({
      name: "remove",
      about: "Forget a context; vmfabric logout revokes its token before.",
      endpoints: [],
      options: Verb.noOptions,
      args: word,
      run: (_, name) =>
        Effect.gen(function* () {
          const contexts = yield* Contexts.read
          yield* Contexts.named(contexts, name)
          const { [name]: _, ...rest } = contexts.contexts
          yield* Contexts.write({ current: contexts.current === name ? null : contexts.current, contexts: rest })
          yield* note(`context ${name} is removed`)
        })
    })
  ]
}
