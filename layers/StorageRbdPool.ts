/**
 * A Ceph pool in the words of the storage port, and what a host needs to use its images.
 *
 * @since 0.2.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createHash } from "node:crypto"
import { type HostError, type StorageError, StorageFailure, StorageUnreachable } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import type { OperationId } from "../src/domain/Ids.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { code, parse, render } from "../src/libvirt/HostErrors.ts"
import * as SecretXml from "../src/libvirt/SecretXml.ts"
import type { Ceph, CephError, Change, Cluster, Image } from "../src/services/Ceph.ts"
import type { DiskSource } from "../src/services/Hypervisor.ts"
import type { Libvirt } from "../src/services/Libvirt.ts"
import * as HostCalls from "./HostCalls.ts"
import { type Options, patiently } from "./StorageDriver.ts"

/** Milliseconds for which is believed what the cluster said of its monitors. */
const fresh = 2000

/** Where images say whose they are. */
const ownershipKey = "vmfabric"

const Ownership = Schema.Struct({
  /** what it is the root disk of */
  vm: Schema.optionalWith(Schema.Int, { exact: true }),
  volume: Schema.optionalWith(Schema.Int, { exact: true }),
  /** the operation that made it */
  operation: Schema.String,
  /** the user's name for it */
  name: Schema.optionalWith(Schema.String, { exact: true })
})

/** What an image's metadata says of it, so that it can be recognised without a database. */
type Ownership = typeof Ownership.Type

const encode = Schema.encodeSync(Schema.parseJson(Ownership))
const decode = Schema.decodeUnknownOption(Schema.parseJson(Ownership))

/** None: not made by us. @since 0.2.0 @category getters */
export const ownershipOf = (image: Image): Option.Option<Ownership> => decode(image.metadata[ownershipKey])

/** @since 0.2.0 @category getters */
export const isMadeBy = (image: Image, operationId: OperationId): boolean =>
  Option.exists(ownershipOf(image), ({ operation }) => operation === operationId)

/** The addresses of those who have it open, each once. @since 0.2.0 @category getters */
export const usersOf = (image: Image): ReadonlyArray<string> => [
  ...new Set(image.watchers.map(({ address }) => address.replace(/:[0-9]+\/[0-9]+$/, "")))
]

/** The same for every controller and every start, so that a host keeps one secret for a client. */
const secretOf = (cluster: Cluster): SecretXml.CephSecret => {
  const hex = createHash("sha256").update(`vmfabric ${cluster.fsid} client.${cluster.client}`).digest("hex")
  return {
    uuid: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`,
    usage: `vmfabric client.${cluster.client} ${cluster.fsid}`
  }
}

/** @since 0.2.0 @category constructors */
export const make = (ceph: Ceph["Type"], libvirt: Libvirt["Type"], options: Options) => {
  const storage = `Ceph pool ${ceph.pool}`
  const { call, unless } = HostCalls.make(libvirt)

  const failure = (action: string, reason: string, cause?: unknown): StorageFailure =>
    new StorageFailure({ storage, action, reason, ...(cause === undefined ? {} : { cause }) })

  const fromCeph =
    (action: string) =>
    (error: CephError): StorageError => {
      const { reason } = error
      if (reason._tag === "CephSilent") return new StorageUnreachable({ storage, reason: reason.reason, cause: error })
      const full = error.refusedWith("ENOSPC", "EDQUOT")
      const said = `${reason.detail} (${reason.errno})`
      return failure(action, full ? `it is full, make room in it: ${said}` : said, error)
    }

  const refuseForeign = (action: string, what: string): StorageFailure =>
    failure(
      action,
      `${what} is there already and was not made by this operation, so it is left alone: rename it or remove it to have the name free`
    )

  /** `ceph`'s own effects with what was being done. */
  const ask = <A>(action: string, effect: Effect.Effect<A, CephError>): Effect.Effect<A, StorageError> =>
    Effect.mapError(effect, fromCeph(action))

  /** Refused with one of `errnos` it has nothing (more) to do. */
  const unlessRefused = (
    action: string,
    effect: Effect.Effect<void, CephError>,
    ...errnos: ReadonlyArray<string>
  ): Effect.Effect<void, StorageError> =>
    effect.pipe(
      Effect.catchIf(
        (error) => error.refusedWith(...errnos),
        () => Effect.void
      ),
      Effect.mapError(fromCeph(action))
    )

  const look = (action: string, image: string): Effect.Effect<Option.Option<Image>, StorageError> =>
    ask(action, ceph.look(image))

  const setOwnership = (action: string, image: string, ownership: Ownership): Effect.Effect<void, StorageError> =>
    ask(action, ceph.setMetadata(image, ownershipKey, encode(ownership)))

  /** What is told when Ceph says that an image is busy: who has it. */
  const busy = (action: string, image: string, advice: string) => (error: CephError) =>
    Effect.flatMap(look(action, image), (found) => {
      const users = Option.match(found, { onNone: () => [], onSome: usersOf })
      return failure(
        action,
        users.length === 0
          ? `${image} is in use (${error.message}): ${advice}`
          : `${image} is open on ${users.join(", ")}: ${advice}`,
        error
      )
    })

  /** `EBUSY` (and what Ceph says in its place) as who has the image. */
  const refuseBusy = <A>(
    action: string,
    image: string,
    advice: string,
    effect: Effect.Effect<A, CephError>
  ): Effect.Effect<A, StorageError> =>
    Effect.catchAll(effect, (error): Effect.Effect<never, StorageError> =>
      error.refusedWith("EBUSY", "EROFS") ? busy(action, image, advice)(error) : Effect.fail(fromCeph(action)(error))
    )

  /** Absent is fine. Somebody who has it open is waited for: a QEMU that has died is among the watchers for a while. */
  const remove = (action: string, image: string): Effect.Effect<void, StorageError> =>
    refuseBusy(
      action,
      image,
      "stop what uses it first",
      ceph.remove(image).pipe(
        Effect.catchIf(
          (error) => error.refusedWith("ENOENT"),
          () => Effect.void
        ),
        Effect.retry({ while: (error) => error.refusedWith("EBUSY"), schedule: patiently(options) })
      )
    )

  /**
   * Makes an image that is whole as soon as it has its name, in one request. `making` are the changes that make it, under another name until
   * then: one that is left over from a try that did not end is made anew. False: there is one of that name.
   */
  const made = (
    action: string,
    name: string,
    ownership: Ownership,
    making: (part: string) => ReadonlyArray<Change>
  ): Effect.Effect<boolean, StorageError> => {
    const part = `${name}.new-${ownership.operation}`
    const changes: ReadonlyArray<Change> = [
      { do: "absent", args: { image: name } },
      ...making(part),
      { do: "setMetadata", args: { image: part, key: ownershipKey, value: encode(ownership) } },
      { do: "rename", args: { image: part, name } }
    ]
    const attempt = (first: boolean): Effect.Effect<boolean, StorageError> =>
      Effect.matchEffect(ceph.inOrder(changes), {
        onSuccess: () => Effect.succeed(true),
        onFailure: (error) => {
          const taken = (done: number) => error.refusedAfter(done, "EEXIST")
          if (taken(0)) return Effect.succeed(false)
          if (first && taken(1)) return Effect.zipRight(remove(action, part), attempt(false))
          // it came meanwhile
          if (taken(changes.length - 1)) return Effect.as(remove(action, part), false)
          return Effect.fail(fromCeph(action)(error))
        }
      })
    return attempt(true)
  }

  // -------------------------------------------------------------------------------------------------------------- on a host

  /** By host, what its secret was set to. */
  const keys = new Map<string, Redacted.Redacted>()

  /** QEMU is given the key by libvirt, from a secret that has to be there. */
  const ensureSecret = Effect.fnUntraced(function* (host: Host, action: string, cluster: Cluster) {
    const wanted = secretOf(cluster)
    const found = yield* unless(host, action, "SECRET_LOOKUP_BY_UUID", { uuid: wanted.uuid }, code.noSecret)
    if (Option.isSome(found) && Equal.equals(keys.get(host.name), cluster.key)) return
    // one that is made anew has no value, also when that is all that could be done
    keys.delete(host.name)
    const secret = Option.isSome(found)
      ? found.value.secret
      : yield* Effect.flatMap(render(host, action, SecretXml.ceph(wanted)), (xml) =>
          Effect.map(call(host, action, "SECRET_DEFINE_XML", { xml, flags: 0 }), ({ secret }) => secret)
        )
    const value = Buffer.from(Redacted.value(cluster.key), "base64")
    yield* call(host, action, "SECRET_SET_VALUE", { secret, value, flags: 0 })
    keys.set(host.name, cluster.key)
  })

  /** Everything but the image's name and serial. */
  const diskOf =
    (cluster: Cluster) =>
    (image: string, serial: string): DiskSource => ({
      _tag: "Rbd",
      pool: ceph.pool,
      image,
      monitors: cluster.monitors,
      client: cluster.client,
      secret: secretOf(cluster).uuid,
      serial
    })

  /** what the cluster said of itself last, and when */
  let described: { readonly cluster: Cluster; readonly at: number } | undefined

  const describe = Effect.fnUntraced(function* (action: string) {
    const cluster = yield* ask(action, ceph.cluster)
    described = { cluster, at: yield* Clock.currentTimeMillis }
    return cluster
  })

  const access = Effect.fnUntraced(function* (host: Host, action: string) {
    const cluster = yield* describe(action)
    yield* ensureSecret(host, action, cluster)
    return diskOf(cluster)
  })

  /** The same on a host that is not asked, and may have no secret yet: a cluster that was asked a moment ago is the same. */
  const accessLater = (action: string) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      described !== undefined && now - described.at < fresh
        ? Effect.succeed(diskOf(described.cluster))
        : Effect.map(describe(action), diskOf)
    )

  /** Whether the domain runs on the host with the image among its disks. */
  const runsWith = (host: Host, action: string, domainName: string, image: string): Effect.Effect<boolean, HostError> =>
    Effect.gen(function* () {
      const found = yield* unless(host, action, "DOMAIN_LOOKUP_BY_NAME", { name: domainName }, code.noDomain)
      if (Option.isNone(found) || found.value.dom.id === -1) return false
      const { dom } = found.value
      const described = yield* unless(host, action, "DOMAIN_GET_XML_DESC", { dom, flags: 0 }, code.noDomain)
      if (Option.isNone(described)) return false
      const disks = yield* parse(host, action, described.value.xml, DomainXml.disks)
      return disks.some((disk) => disk.rbd === `${ceph.pool}/${image}`)
    })

  return {
    failure,
    fromCeph,
    ask,
    unlessRefused,
    look,
    setOwnership,
    refuseBusy,
    refuseForeign,
    remove,
    made,
    access,
    accessLater,
    runsWith
  }
}

/** @since 0.2.0 @category models */
export type RbdPool = ReturnType<typeof make>
