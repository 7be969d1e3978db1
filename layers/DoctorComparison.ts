/**
 * What the doctor sees only where hosts are compared: frames, machine types, processors, and the ways between them.
 *
 * @since 0.7.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { Host } from "../src/domain/Host.ts"
import * as Signs from "../src/observe/Signs.ts"
import type { Ssh } from "../src/services/Ssh.ts"
import type { DoctorLibvirt, Nature } from "./DoctorLibvirt.ts"
import type { DoctorReach } from "./DoctorReach.ts"
import { limit, there, type Told, type Verdict, well } from "./DoctorVerdict.ts"

/** Hosts that each is looked for from. */
const peersAsked = 3

/** A bridge of a host, and what it takes in bytes. @since 0.7.0 @category models */
export interface Bridge {
  readonly host: Host
  readonly bridge: string
  readonly mtu: number
}

/** @since 0.7.0 @category constructors */
export const make = (ssh: Ssh["Type"], reach: DoctorReach, libvirt: DoctorLibvirt) => {
  /** By network. */
  const mtus = (networks: ReadonlyMap<string, ReadonlyArray<Bridge>>): ReadonlyArray<Told> =>
    [...networks].flatMap(([network, all]) => {
      const counts = new Map<number, number>()
      for (const { mtu } of all) counts.set(mtu, (counts.get(mtu) ?? 0) + 1)
      const [[usual] = [0]] = [...counts].toSorted(([a, of], [b, other]) => other - of || b - a)
      return all.map(({ bridge, host, mtu }) => ({
        host,
        verdict:
          mtu === usual
            ? well(`${bridge} takes frames of ${mtu} bytes`)
            : {
                level: "failure",
                seen: `${bridge} takes frames of ${mtu} bytes, on other hosts that have ${network} it is ${usual}`,
                means: `Guests on ${network} lose large packets between hosts, while small ones arrive.`,
                mend: there(host, `ip link set dev ${bridge} mtu ${usual}`)
              }
      }))
    })

  const machines = (natures: ReadonlyMap<Host, Nature>): ReadonlyArray<Told> =>
    [...natures].map(([host, { usual }]) => {
      const without = [...natures].filter(
        ([other, { machines: known }]) => other !== host && usual !== null && !known.has(usual)
      )
      return {
        host,
        verdict:
          without.length === 0
            ? well(`its machine type ${usual ?? "q35"} is one that all others have`)
            : {
                level: "warning",
                seen: `its machine type ${usual ?? "q35"} is not known to ${without.map(([{ name }]) => name).join(", ")}`,
                means: "VMs made here cannot be moved to hosts whose QEMU is older: bring those up to date.",
                mend: without
                  .map(([other]) => there(other, "apt-get install -y --only-upgrade qemu-system-x86"))
                  .join(" && ")
              }
      }
    })

  /** What libvirt finds that all of them have: its own answer, since models of one maker may hold each other, or not. */
  const processors = (natures: ReadonlyMap<Host, Nature>): Effect.Effect<ReadonlyArray<Told>> =>
    Effect.gen(function* () {
      const all = [...natures]
      const [first] = all
      if (first === undefined) return []
      const different = new Set(all.map(([, { cpu }]) => cpu)).size > 1
      const common = yield* Effect.either(
        Effect.timeoutFail(
          libvirt.baseline(
            first[0],
            all.map(([, { processor }]) => processor)
          ),
          { duration: limit, onTimeout: () => ({ message: `${first[0].name} has not answered in time` }) }
        )
      )
      return all.map(([host, { cpu }]) => {
        if (Either.isLeft(common)) {
          return {
            host,
            verdict: {
              level: "warning",
              seen: `its processor is ${cpu}, and there is none that guests could have on all hosts: ${common.left.message}`,
              means: "A running VM cannot be moved between processors that have too little in common."
            }
          }
        }
        if (!different) return { host, verdict: well(`its processor is ${cpu}, like all others`) }
        const others = all.filter(([, other]) => other.cpu !== cpu)
        return {
          host,
          verdict: {
            level: "warning",
            seen:
              `its processor is ${cpu}, that of ${others.map(([{ name }, other]) => `${name} is ${other.cpu}`).join(", of ")}; ` +
              `what all have is ${common.right}`,
            means: "A running VM may not be movable between processors that differ."
          }
        }
      })
    })

  /** Of those that are examined, whether others reach their sshd. */
  const ways = (
    hosts: ReadonlyArray<Host>,
    examined: ReadonlyArray<Host>,
    reached: ReadonlyArray<Host>
  ): Effect.Effect<ReadonlyArray<Told>> =>
    Effect.map(
      Effect.forEach(
        examined,
        (host) =>
          Effect.gen(function* () {
            const at = hosts.indexOf(host)
            const peers = [...hosts.slice(at + 1), ...hosts.slice(0, at)]
              .filter((peer) => reached.includes(peer))
              .slice(0, peersAsked)
            const answers = yield* Effect.forEach(
              peers,
              (peer) => Effect.map(Signs.askPeer(ssh, peer, host), (sign) => ({ peer, sign })),
              { concurrency: "unbounded" }
            )
            if (answers.length === 0) return []
            const deaf = answers.filter(({ sign }) => sign !== "answers")
            const [first] = deaf
            if (first === undefined) {
              const names = answers.map(({ peer }) => peer.name).join(", ")
              return [{ host, verdict: well(`${names} reach${answers.length === 1 ? "es" : ""} its sshd`) }]
            }
            // a host that nobody reaches cannot be asked for its own routes
            const back = reached.includes(host) ? Option.some(host) : Option.none()
            const verdict: Verdict = {
              level: "failure",
              seen: `its sshd is not heard from ${deaf.map(({ peer, sign }) => `${peer.name} (${sign})`).join(", ")}`,
              means:
                "VMs cannot be moved between these hosts, and they cannot tell of each other: open the way between them.",
              mend: yield* reach.opening(first.peer, host.config.address, back)
            }
            return [{ host, verdict }]
          }),
        { concurrency: 16 }
      ),
      (told) => told.flat()
    )

  return { mtus, machines, processors, ways }
}
