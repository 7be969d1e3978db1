/**
 * Things by their ids or names: a whole number is an id, all else a name; `id:` and `name:` before it say which it is.
 *
 * @since 0.5.0
 */
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { parseAddress } from "../config/InputFiles.ts"
import { canonicalHost } from "../domain/Host.ts"
import { TokenId, UserName } from "../domain/Identity.ts"
import * as Ids from "../domain/Ids.ts"
import { Refused } from "./Failure.ts"
import { type Answer, answered } from "./Output.ts"
import { client } from "./Session.ts"

/** @since 0.5.0 @category models */
export type Reference = { readonly id: number } | { readonly name: string }

const quoted = (name: string) => JSON.stringify(name)

/** Fails where an id is meant, and is none. @since 0.5.0 @category conversions */
export const parse = (what: string, text: string): Effect.Effect<Reference, Refused> => {
  if (text.startsWith("name:")) return Effect.succeed({ name: text.slice("name:".length) })
  const written = /^(?:id:(.*)|([0-9]+))$/su.exec(text)
  const digits = written?.[1] ?? written?.[2]
  if (digits === undefined) return Effect.succeed({ name: text })
  return /^[0-9]{1,16}$/.test(digits)
    ? Effect.succeed({ id: Number(digits) })
    : new Refused({
        why: "usage",
        message: `${quoted(digits)} is no id of a ${what}: expected a whole number from 1 on, or a name`,
        field: what
      })
}

interface Page<I> {
  readonly items: ReadonlyArray<I>
  readonly next: string | null
}

const isPage = (body: unknown): body is { readonly items: ReadonlyArray<unknown> } =>
  typeof body === "object" && body !== null && "items" in body && Array.isArray(body.items)

const itemsOf = (body: unknown) => (isPage(body) ? body.items : [])

/** All pages as one: `call` gets the cursor of each after the first. @since 0.5.0 @category combinators */
export const allPages = <P extends Page<unknown>, E, R>(
  call: (page: {
    readonly cursor?: string
    readonly limit: number
  }) => Effect.Effect<[P, HttpClientResponse.HttpClientResponse], E, R>
): Effect.Effect<Answer<{ readonly items: ReadonlyArray<P["items"][number]>; readonly next: string | null }>, E, R> =>
  Effect.gen(function* () {
    const limit = 1000
    let { body, value }: Answer<P> = yield* answered(call({ limit }))
    const items: Array<P["items"][number]> = [...value.items]
    const bodies: Array<unknown> = [...itemsOf(body)]
    while (value.next !== null) {
      const page = yield* answered(call({ limit, cursor: value.next }))
      ;({ body, value } = page)
      items.push(...value.items)
      bodies.push(...itemsOf(body))
    }
    return { value: { items, next: null }, body: { ...(isPage(body) ? body : {}), items: bodies } }
  })

/** The one with that name; of several the only one that `lives`. */
const only = <I extends { readonly id: number }>(
  what: string,
  name: string,
  candidates: ReadonlyArray<I>,
  lives: (item: I) => boolean
): Effect.Effect<I["id"], Refused> => {
  const living = candidates.filter(lives)
  const chosen = living.length > 0 ? living : candidates
  const [first] = chosen
  if (first === undefined) {
    return new Refused({
      why: "notFound",
      message: `there is no ${what} with the name ${quoted(name)}: vmfabric ${what} list shows which there are`,
      field: what
    })
  }
  return chosen.length === 1
    ? Effect.succeed(first.id)
    : new Refused({
        why: "usage",
        message: `${chosen.length} ${what}s have the name ${quoted(name)}: give one of the ids ${chosen
          .map(({ id }) => id)
          .slice(0, 20)
          .join(", ")}`,
        field: what
      })
}

const brand = <A>(schema: Schema.Schema<A, number>, what: string) => {
  const decode = Schema.decodeOption(schema)
  return (id: number): Effect.Effect<A, Refused> =>
    Option.match(decode(id), {
      onNone: () =>
        new Refused({ why: "usage", message: `${what} ${id}: expected an id from 1 on, or a name`, field: what }),
      onSome: Effect.succeed
    })
}

const vmId = brand(Ids.VmId, "vm")

/** Those that no longer exist count only when no other has the name. @since 0.5.0 @category resolvers */
export const vm = Effect.fn("Resolve.vm")(function* (text: string) {
  const reference = yield* parse("vm", text)
  if ("id" in reference) return yield* vmId(reference.id)
  const { name } = reference
  const { vms } = yield* client
  const { value } = yield* allPages((page) =>
    vms.listVms({ urlParams: { ...page, name: name.slice(0, 255) }, withResponse: true })
  )
  const named = value.items.filter((vm) => vm.name === name)
  return yield* only("vm", name, named, ({ state }) => state !== "destroyed" && state !== "failed")
})

const volumeId = brand(Ids.VolumeId, "volume")

/** `trashed`: one in the trash is meant, such as for restoring it. @since 0.5.0 @category resolvers */
export const volume = Effect.fn("Resolve.volume")(function* (text: string, trashed: boolean = false) {
  const reference = yield* parse("volume", text)
  if ("id" in reference) return yield* volumeId(reference.id)
  const { name } = reference
  const { volumes } = yield* client
  const { value } = yield* allPages((page) =>
    volumes.listVolumes({ urlParams: { ...page, name: name.slice(0, 255) }, withResponse: true })
  )
  const named = value.items.filter((volume) => volume.name === name)
  return yield* only("volume", name, named, ({ state }) =>
    trashed ? state === "deleted" : state !== "deleted" && state !== "purged" && state !== "failed"
  )
})

const snapshotId = brand(Ids.SnapshotId, "snapshot")

/** By name it is `VOLUME/SNAPSHOT`. @since 0.5.0 @category resolvers */
export const snapshot = Effect.fn("Resolve.snapshot")(function* (text: string) {
  const reference = yield* parse("snapshot", text)
  if ("id" in reference) return yield* snapshotId(reference.id)
  const slash = reference.name.lastIndexOf("/")
  if (slash === -1) {
    return yield* new Refused({
      why: "usage",
      message: `${quoted(reference.name)} is no snapshot: expected its id, or VOLUME/SNAPSHOT`,
      field: "snapshot"
    })
  }
  const of = yield* volume(reference.name.slice(0, slash))
  const name = reference.name.slice(slash + 1)
  const { volumes } = yield* client
  const { items } = yield* volumes.listSnapshots({ path: { id: of } })
  return yield* only(
    "snapshot",
    name,
    items.filter((snapshot) => snapshot.name === name),
    ({ state }) => state === "ready"
  )
})

const hostId = brand(Ids.HostId, "host")

/** By its whole name as in `root@h1`, or by its address alone, however either is spelt. @since 0.5.0 @category resolvers */
export const host = Effect.fn("Resolve.host")(function* (text: string) {
  const reference = yield* parse("host", text)
  if ("id" in reference) return yield* hostId(reference.id)
  const { name } = reference
  const { hosts } = yield* client
  const { items } = yield* hosts.listHosts()
  const whole = Either.getOrNull(parseAddress(name))
  const asked = canonicalHost(whole?.host ?? name.replace(/^\[(.*)\]$/, "$1"))
  const named = items.filter(
    ({ address }) =>
      canonicalHost(address.host) === asked &&
      (whole === null || (address.user === whole.user && address.port === whole.port))
  )
  return yield* only("host", name, named, () => true)
})

const imageId = brand(Ids.ImageId, "image")

/** @since 0.5.0 @category resolvers */
export const image = Effect.fn("Resolve.image")(function* (text: string) {
  const reference = yield* parse("image", text)
  if ("id" in reference) return yield* imageId(reference.id)
  const { images } = yield* client
  const { items } = yield* images.listImages()
  return yield* only(
    "image",
    reference.name,
    items.filter(({ name }) => name === reference.name),
    ({ state }) => state === "available"
  )
})

const typeId = brand(Ids.InstanceTypeId, "type")

/** Types have no names. @since 0.5.0 @category resolvers */
export const type = Effect.fn("Resolve.type")(function* (text: string) {
  const reference = yield* parse("type", text)
  if ("id" in reference) return yield* typeId(reference.id)
  const { instanceTypes } = yield* client
  const { items } = yield* instanceTypes.listInstanceTypes()
  const known = items.map(({ cpu, disk, id, ram }) => `${id} (${cpu} vCPUs, ${ram} MiB, ${disk} GiB)`).join(", ")
  return yield* new Refused({
    why: "usage",
    message: `${quoted(reference.name)} is no instance type, which have ids and no names: there are ${known}`,
    field: "type"
  })
})

const tokenId = brand(TokenId, "token")

/** @since 0.5.0 @category resolvers */
export const token = Effect.fn("Resolve.token")(function* (text: string) {
  const reference = yield* parse("token", text)
  if ("id" in reference) return yield* tokenId(reference.id)
  const { tokens } = yield* client
  const { items } = yield* tokens.listTokens()
  return yield* only(
    "token",
    reference.name,
    items.filter(({ name }) => name === reference.name),
    () => true
  )
})

const decodeOperation = Schema.decodeOption(Ids.OperationId)

/** @since 0.5.0 @category resolvers */
export const operation = (text: string): Effect.Effect<Ids.OperationId, Refused> =>
  Option.match(decodeOperation(text.replace(/^id:/, "")), {
    onNone: () =>
      new Refused({
        why: "usage",
        message: `${quoted(text)} is no operation: expected its id, a UUID`,
        field: "operation"
      }),
    onSome: Effect.succeed
  })

const decodeUser = Schema.decodeOption(UserName)

/** Users have names only. @since 0.5.0 @category resolvers */
export const user = (text: string): Effect.Effect<UserName, Refused> =>
  Option.match(decodeUser(text.replace(/^name:/, "")), {
    onNone: () =>
      new Refused({
        why: "usage",
        message: `${quoted(text)} is no user's name: expected 1 to 64 of a-z 0-9 _ . @ -, beginning with a letter`,
        field: "user"
      }),
    onSome: Effect.succeed
  })

/** Several ids with commas between them, of what has no other name in such a list. */
const several = <A>(one: Schema.Schema<A, string>, example: string) => {
  const decode = Schema.decode(Schema.Array(one).pipe(Schema.maxItems(100)))
  return (text: string): Effect.Effect<ReadonlyArray<A>, Refused> =>
    Effect.mapError(
      decode(text.split(",").map((id) => id.trim())),
      () =>
        new Refused({
          why: "usage",
          message: `--ids is ${quoted(text)}: expected ids with commas between them, 100 at most, as in ${example}`,
          field: "ids"
        })
    )
}

const digits = Schema.String.pipe(Schema.pattern(/^[0-9]{1,16}$/), Schema.compose(Schema.NumberFromString))

/** As in `7,8,31`. @since 0.15.0 @category resolvers */
export const vmIds = several(Schema.compose(digits, Ids.VmId), "7,8,31")

/** As in `7,8,31`. @since 0.15.0 @category resolvers */
export const volumeIds = several(Schema.compose(digits, Ids.VolumeId), "7,8,31")

/** UUIDs. @since 0.15.0 @category resolvers */
export const operationIds = several(
  Ids.OperationId,
  "0f1e2d3c-4b5a-4697-8877-665544332211,11111111-2222-4333-8444-555555555555"
)

/** None where none was given. @since 0.5.0 @category combinators */
export const maybe = <K extends string, A, E, R>(
  key: K,
  text: Option.Option<string>,
  resolve: (text: string) => Effect.Effect<A, E, R>
): Effect.Effect<{ readonly [_ in K]?: A } | {}, E, R> =>
  Option.match(text, {
    onNone: () => Effect.succeed({}),
    onSome: (text) => Effect.map(resolve(text), (value) => ({ [key]: value }))
  })
