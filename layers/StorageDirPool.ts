/**
 * A host's storage folder: a storage pool of libvirt's, and the files in it.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Path from "node:path"
import { type HostError, HostFailure } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { code, failure, fromLibvirt, parse, render } from "../src/libvirt/HostErrors.ts"
import type { Args, Reply } from "../src/libvirt/Procedures.ts"
import * as StorageXml from "../src/libvirt/StorageXml.ts"
import type * as Xml from "../src/libvirt/Xml.ts"
import { type Libvirt, LibvirtError } from "../src/services/Libvirt.ts"
import * as HostCalls from "./HostCalls.ts"
import * as SingleFlight from "./SingleFlight.ts"

/** The pool's name, the same on every host. @since 0.2.0 @category constants */
export const poolName = "vmfabric"

/** @since 0.2.0 @category models */
export type Pool = Reply<"STORAGE_POOL_LOOKUP_BY_NAME">["pool"]

/** A file in it. @since 0.2.0 @category models */
export type File = Reply<"STORAGE_VOL_LOOKUP_BY_NAME">["vol"]

/** virConnectListAllDomainsFlags ACTIVE */
const activeDomains = 0x1

// as libvirt writes a folder's path: no doubled and no last slash
const cleanPath = (path: string): string => Path.posix.normalize(path).replace(/(?<=.)\/+$/, "")

/** Where a file of that name is, or will be, as libvirt writes it. @since 0.5.0 @category getters */
export const pathOf = (host: Host, name: string): string => `${cleanPath(host.config.path).replace(/\/$/, "")}/${name}`

const whileCopying = Schedule.spaced("1 second").pipe(Schedule.upTo("1 hour"))

// The same code is that of a pool that was stopped; for that there is nothing to wait.
const isBusy = (error: LibvirtError): boolean =>
  error.refusedWith(code.operationInvalid) && /still (in use|being allocated)/.test(error.message)

/** qemu-img's way to say it is long, and begins with something else. */
const fullDisk =
  (host: Host) =>
  (error: HostError): HostError =>
    error._tag === "HostFailure" && /No space left on device/i.test(error.reason)
      ? new HostFailure({
          host: error.host,
          action: error.action,
          reason: `the disk behind ${host.config.path} is full, make room there (${error.reason})`,
          cause: error
        })
      : error

/** What is under way ends with the scope. @since 0.2.0 @category constructors */
export const make = (libvirt: Libvirt["Type"], scope: Scope.Scope) => {
  const preparing = SingleFlight.make<{ readonly pool: Pool; readonly capacity: number }, HostError>(scope)
  const { call, raw, unless } = HostCalls.make(libvirt)

  // ---------------------------------------------------------------------------------------------------------------- the pool

  const lookupPool = (host: Host, action: string): Effect.Effect<Option.Option<Pool>, HostError> =>
    Effect.map(
      unless(host, action, "STORAGE_POOL_LOOKUP_BY_NAME", { name: poolName }, code.noPool),
      Option.map(({ pool }) => pool)
    )

  const isActive = (host: Host, action: string, pool: Pool): Effect.Effect<boolean, HostError> =>
    Effect.map(call(host, action, "STORAGE_POOL_IS_ACTIVE", { pool }), ({ active }) => active === 1)

  const definePool = Effect.fnUntraced(function* (host: Host, action: string) {
    const xml = yield* render(host, action, StorageXml.dirPool(poolName, cleanPath(host.config.path)))
    const defined = yield* Effect.either(raw(host, "STORAGE_POOL_DEFINE_XML", { xml, flags: 0 }))
    if (defined._tag === "Right") return defined.right.pool
    // somebody else may have been quicker
    const theirs = yield* lookupPool(host, action)
    return Option.isSome(theirs) ? theirs.value : yield* fromLibvirt(host, action)(defined.left)
  })

  const checkPool = Effect.fnUntraced(function* (host: Host, action: string, pool: Pool) {
    const { xml } = yield* call(host, action, "STORAGE_POOL_GET_XML_DESC", { pool, flags: 0 })
    const found = yield* parse(host, action, xml, StorageXml.readPool)
    const path = cleanPath(host.config.path)
    if (found.type === "dir" && found.path !== null && cleanPath(found.path) === path) return
    yield* failure(
      host,
      action,
      `its storage pool "${poolName}" is ${found.type === "dir" ? "the folder" : `of type ${found.type} at`} ` +
        `${found.path ?? "no path"}, but the machine file says ${path}`
    )
  })

  // BUILD makes the folder and is fine with one that is there
  const startPool = Effect.fnUntraced(function* (host: Host, action: string, pool: Pool) {
    yield* unless(host, action, "STORAGE_POOL_BUILD", { pool, flags: 0 }, code.operationInvalid)
    yield* unless(host, action, "STORAGE_POOL_CREATE", { pool, flags: 0 }, code.operationInvalid)
    yield* call(host, action, "STORAGE_POOL_SET_AUTOSTART", { pool, autostart: 1 })
  })

  // Looks at the folder again. Code 1: a volume is being written at this moment, then the list is as good as it gets. A pool whose folder
  // cannot be read is stopped by libvirt, so it is started anew.
  const refresh = (host: Host, action: string, pool: Pool): Effect.Effect<void, HostError> =>
    raw(host, "STORAGE_POOL_REFRESH", { pool, flags: 0 }).pipe(
      Effect.asVoid,
      Effect.catchIf(
        (error) => error.refusedWith(code.internal),
        () => Effect.void
      ),
      Effect.catchIf(
        (error) => error.refusedWith(code.system) || error.refusedWith(code.operationInvalid),
        () => startPool(host, action, pool)
      ),
      Effect.mapError((error) => (error._tag === "LibvirtError" ? fromLibvirt(host, action)(error) : error))
    )

  const preparePool = (host: Host) =>
    preparing(
      host.name,
      Effect.gen(function* () {
        const action = "prepare its storage"
        const found = yield* lookupPool(host, action)
        const pool = Option.isSome(found) ? found.value : yield* definePool(host, action)
        yield* checkPool(host, action, pool)
        if (yield* isActive(host, action, pool)) yield* refresh(host, action, pool)
        else yield* startPool(host, action, pool)
        const info = yield* call(host, action, "STORAGE_POOL_GET_INFO", { pool })
        return { pool, capacity: Number(info.capacity) }
      })
    )

  /** The pool, prepared when it is not (any more). */
  const ready = Effect.fnUntraced(function* (host: Host, action: string) {
    const found = yield* lookupPool(host, action)
    if (Option.isSome(found) && (yield* isActive(host, action, found.value))) return found.value
    return (yield* preparePool(host)).pool
  })

  // ---------------------------------------------------------------------------------------------------------------- its files

  const list = (host: Host, action: string, pool: Pool): Effect.Effect<ReadonlyArray<File>, HostError> =>
    Effect.map(
      call(host, action, "STORAGE_POOL_LIST_ALL_VOLUMES", { pool, need_results: 1, flags: 0 }),
      ({ vols }) => vols
    )

  const lookup = (
    host: Host,
    action: string,
    pool: Pool,
    name: string
  ): Effect.Effect<Option.Option<File>, HostError> =>
    Effect.map(
      unless(host, action, "STORAGE_VOL_LOOKUP_BY_NAME", { pool, name }, code.noVolume),
      Option.map(({ vol }) => vol)
    )

  /** None: its file has gone. */
  const describe = Effect.fnUntraced(function* (host: Host, action: string, vol: File) {
    const described = yield* unless(
      host,
      action,
      "STORAGE_VOL_GET_XML_DESC",
      { vol, flags: 0 },
      code.noVolume,
      code.system
    )
    return Option.isNone(described)
      ? Option.none<StorageXml.Volume>()
      : Option.some(yield* parse(host, action, described.value.xml, StorageXml.readVolume))
  })

  const create = Effect.fnUntraced(function* (host: Host, action: string, pool: Pool, volume: Xml.Element) {
    const xml = yield* render(host, action, volume)
    const { vol } = yield* Effect.mapError(
      call(host, action, "STORAGE_VOL_CREATE_XML", { pool, xml, flags: 0 }),
      fullDisk(host)
    )
    return vol
  })

  /** A file of one byte, for what its name says; one that is there is fine. */
  const mark = Effect.fnUntraced(function* (host: Host, action: string, pool: Pool, name: string) {
    const xml = yield* render(host, action, StorageXml.rawVolume(name, 1))
    yield* unless(host, action, "STORAGE_VOL_CREATE_XML", { pool, xml, flags: 0 }, code.volumeExists).pipe(
      Effect.mapError(fullDisk(host)),
      // refused after it was made, it is made
      Effect.catchTag("HostFailure", (refused) =>
        Effect.filterOrFail(lookup(host, action, pool, name), Option.isSome, () => refused)
      ),
      Effect.asVoid
    )
  })

  /** All of a qcow2 file, as another of at least that capacity. The daemon goes on with it when nobody waits any more. */
  const copy = Effect.fnUntraced(function* (
    host: Host,
    action: string,
    pool: Pool,
    from: File,
    name: string,
    capacity: number
  ) {
    const xml = yield* render(host, action, StorageXml.qcow2Volume(name, capacity))
    const { vol } = yield* Effect.mapError(
      call(host, action, "STORAGE_VOL_CREATE_XML_FROM", { pool, xml, clonevol: from, flags: 0 }),
      fullDisk(host)
    )
    return vol
  })

  /** Absent is fine. What the daemon is still busy with, a copy that nobody waits for any more, is removed when it has ended. */
  const remove = (host: Host, action: string, pool: Pool, name: string): Effect.Effect<void, HostError> =>
    Effect.flatMap(
      lookup(host, action, pool, name),
      Option.match({
        onNone: () => Effect.void,
        onSome: (vol) =>
          raw(host, "STORAGE_VOL_DELETE", { vol, flags: 0 }).pipe(
            Effect.asVoid,
            Effect.retry({ while: isBusy, schedule: whileCopying }),
            Effect.catchIf(
              (error) => error.refusedWith(code.noVolume),
              () => Effect.void
            ),
            Effect.mapError(fromLibvirt(host, action)),
            // refused after it was removed, it is removed
            Effect.catchTag("HostFailure", (refused) =>
              Effect.filterOrFail(lookup(host, action, pool, name), Option.isNone, () => refused)
            ),
            Effect.asVoid
          )
      })
    )

  const isTaken = (error: HostError) =>
    error.cause instanceof LibvirtError && error.cause.refusedWith(code.volumeExists)

  /**
   * Makes a file that nothing but its marker says whose it is: the marker first. Refused, there is nothing of ours: then a file that
   * somebody has put there at this moment must not count as ours the next time. But a daemon may also have made it, and refuse afterwards.
   */
  const claimed = <A>(
    host: Host,
    action: string,
    pool: Pool,
    { marker, name }: { readonly marker: string; readonly name: string },
    make: Effect.Effect<A, HostError>
  ): Effect.Effect<A, HostError> => {
    const unclaim = (refused: HostError) =>
      Effect.flatMap(isTaken(refused) ? Effect.succeedNone : lookup(host, action, pool, name), (made) =>
        Option.isSome(made) ? Effect.void : remove(host, action, pool, marker)
      )
    return Effect.zipRight(mark(host, action, pool, marker), make).pipe(
      Effect.tapError((error) =>
        error._tag === "HostUnreachable"
          ? Effect.void
          : // the failure that is told is the creation's
            Effect.catchAll(unclaim(error), (left) =>
              Effect.logWarning("a marker remains on the host").pipe(
                Effect.annotateLogs({ host: host.name, volume: marker, reason: left.message })
              )
            )
      )
    )
  }

  // -------------------------------------------------------------------------------------------------------- who has them open

  /** The running domains that have the file open as a disk or below one. */
  const usersOf = Effect.fnUntraced(function* (host: Host, action: string, path: string) {
    const { domains } = yield* call(host, action, "CONNECT_LIST_ALL_DOMAINS", { need_results: 1, flags: activeDomains })
    const users: Array<string> = []
    for (const dom of domains) if (yield* uses(host, action, dom, path)) users.push(dom.name)
    return users
  })

  const uses = Effect.fnUntraced(function* (
    host: Host,
    action: string,
    dom: Args<"DOMAIN_GET_XML_DESC">["dom"],
    path: string
  ) {
    const described = yield* unless(host, action, "DOMAIN_GET_XML_DESC", { dom, flags: 0 }, code.noDomain)
    if (Option.isNone(described)) return false
    const disks = yield* parse(host, action, described.value.xml, DomainXml.disks)
    return disks.some((disk) => disk.path === path || disk.backing.includes(path))
  })

  return { preparePool, ready, refresh, list, lookup, describe, create, mark, claimed, copy, remove, usersOf, uses }
}

/** @since 0.2.0 @category models */
export type HostPool = ReturnType<typeof make>
