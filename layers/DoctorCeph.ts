/**
 * What the doctor looks at of a Ceph pool: whether a host has a way to its monitors, and whether the key that hosts get is good for it.
 *
 * @since 0.7.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Host } from "../src/domain/Host.ts"
import * as Uuid from "../src/domain/Uuid.ts"
import type { Ceph, CephError, Monitor } from "../src/services/Ceph.ts"
import type { Ssh } from "../src/services/Ssh.ts"
import * as Quote from "../src/ssh/Quote.ts"
import type { DoctorReach } from "./DoctorReach.ts"
import { bounded, limit, roomLevel, type Told, type Verdict, well } from "./DoctorVerdict.ts"

/** of the image that is tried with */
const tried = new Uint8Array(64 * 1024).fill(1)

/** A monitor that is there takes the connection at once. */
const monitorLimit = "5 seconds"

/** @since 0.7.0 @category constructors */
export const make = (ceph: Ceph["Type"], ssh: Ssh["Type"], reach: DoctorReach) => {
  const rights = (client: string): string => {
    const pool = `profile rbd pool=${ceph.pool}`
    return Quote.display(["ceph", "auth", "caps", `client.${client}`, "mon", "profile rbd", "osd", pool, "mgr", pool])
  }

  const ofCeph =
    (client: string) =>
    (error: CephError): Verdict => {
      if (error.refusedWith("EPERM", "EACCES")) {
        return {
          level: "failure",
          seen: error.message,
          means:
            "The key that hosts get has not the rights that disks of VMs need. The command is for who administers Ceph, and sets all rights of the client anew: " +
            "name other pools that it uses there, too.",
          mend: rights(client)
        }
      }
      return {
        level: "failure",
        seen: error.message,
        means: error.refusedWith("ENOSPC", "EDQUOT")
          ? "Nothing more can be written to disks of VMs: make room in the pool, or raise its quota."
          : "Disks of VMs cannot be made or opened as long as the pool is not served."
      }
    }

  /** By a session of its own, since rights are given when one begins: makes an image, writes to it, opens it, lists it and removes it. */
  const use = (client: string): Effect.Effect<Verdict> =>
    Effect.gen(function* () {
      const image = `vmfabric-doctor-${(yield* Uuid.make).slice(0, 8)}`
      const removed = ceph.remove(image).pipe(
        Effect.catchIf(
          (error) => error.refusedWith("ENOENT"),
          () => Effect.void
        )
      )
      yield* ceph.importImage(image, { format: "raw", size: tried.length, bytes: Stream.make(tried) }).pipe(
        Effect.zipRight(ceph.look(image)),
        Effect.zipRight(ceph.list),
        // without the right to make one there is none
        Effect.onError(() =>
          Effect.catchAll(removed, (error) => Effect.logDebug(`image ${image} was not removed: ${error.message}`))
        )
      )
      yield* removed
      const { available, capacity } = yield* ceph.usage
      const gib = available / 1024 ** 3
      const seen = `client.${client} makes, writes and opens images in pool ${ceph.pool}, where ${gib.toFixed(1)} GiB are free`
      const level = roomLevel(gib, capacity / 1024 ** 3)
      if (level === "ok") return well(seen)
      return {
        level,
        seen,
        means: "Disks of VMs grow until nothing is free, and then their guests stop: this shows what takes the room.",
        mend: Quote.display(["rbd", "du", "-p", ceph.pool])
      } satisfies Verdict
    }).pipe(Effect.catchAll((error) => Effect.succeed(ofCeph(client)(error))))

  const hears = (host: Host, { host: name, port }: Monitor) =>
    ssh
      .openTcp(host.config.address, { host: name, port })
      .pipe(
        Effect.scoped,
        Effect.match({ onSuccess: () => true, onFailure: () => false }),
        Effect.timeoutTo({ duration: monitorLimit, onSuccess: (is) => is, onTimeout: () => false })
      )

  const ways = (host: Host, monitors: ReadonlyArray<Monitor>): Effect.Effect<Verdict> =>
    Effect.gen(function* () {
      const answers = yield* Effect.forEach(
        monitors,
        (monitor) => Effect.map(hears(host, monitor), (heard) => ({ monitor, heard })),
        { concurrency: "unbounded" }
      )
      const deaf = answers.flatMap(({ heard, monitor }) => (heard ? [] : [monitor]))
      const named = (some: ReadonlyArray<Monitor>) => some.map(({ host: name, port }) => `${name}:${port}`).join(", ")
      const [first] = deaf
      if (first === undefined) return well(`it reaches the monitors ${named(monitors)}`)
      const all = deaf.length === monitors.length
      return {
        level: all ? "failure" : "warning",
        seen: `it does not reach the monitors ${named(deaf)}`,
        means: all
          ? "Its VMs cannot have disks in the pool: open the way, or start the monitors."
          : "Its VMs wait long for their disks, and lose them with the monitors that are left.",
        mend: yield* reach.opening(host, first, Option.none())
      } satisfies Verdict
    })

  /** What each of the hosts is told: the pool is tried once for all, by what they would use it with, and the way from each is looked at. */
  const examine = (hosts: ReadonlyArray<Host>): Effect.Effect<ReadonlyArray<Told>> =>
    Effect.gen(function* () {
      const same = (verdict: Verdict) => hosts.map((host) => ({ host, verdict }))
      const described = Effect.timeoutFail(Effect.mapError(ceph.cluster, ofCeph("NAME")), {
        duration: limit,
        onTimeout: (): Verdict => ({
          level: "failure",
          seen: `Ceph pool ${ceph.pool} has not answered within ${Duration.format(limit)}`,
          means: "Disks of VMs cannot be made or opened as long as its monitors do not answer."
        })
      })
      const cluster = yield* Effect.either(described)
      if (Either.isLeft(cluster)) return same(cluster.left)
      const { client, monitors } = cluster.right
      const [used, found] = yield* Effect.all(
        [
          bounded(use(client)),
          Effect.forEach(hosts, (host) => Effect.map(ways(host, monitors), (verdict) => ({ host, verdict })), {
            concurrency: "unbounded"
          })
        ],
        { concurrency: "unbounded" }
      )
      return [...found, ...(hosts.length === 0 ? [] : same(used))]
    })

  return { examine }
}
