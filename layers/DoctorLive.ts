/**
 * Examines hosts through SSH and libvirt's RPC, with what every host has: nothing is installed there.
 *
 * @since 0.7.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Check, Finding } from "../src/domain/Doctor.ts"
import type { Host } from "../src/domain/Host.ts"
import { failure } from "../src/libvirt/HostErrors.ts"
import { Ceph } from "../src/services/Ceph.ts"
import { Doctor } from "../src/services/Doctor.ts"
import { Libvirt } from "../src/services/Libvirt.ts"
import { Ssh } from "../src/services/Ssh.ts"
import * as DoctorCeph from "./DoctorCeph.ts"
import * as DoctorComparison from "./DoctorComparison.ts"
import * as DoctorLibvirt from "./DoctorLibvirt.ts"
import * as DoctorReach from "./DoctorReach.ts"
import { bounded, limit, there, type Told, unknown, type Verdict, well } from "./DoctorVerdict.ts"

const make = (pool: Option.Option<Ceph["Type"]>) =>
  Effect.gen(function* () {
    const ssh = yield* Ssh
    const onHost = DoctorReach.make(ssh)
    const byLibvirt = DoctorLibvirt.make(yield* Libvirt)
    const { ways, ...compare } = DoctorComparison.make(ssh, onHost, byLibvirt)
    const ceph = Option.map(pool, (given) => DoctorCeph.make(given, ssh, onHost))

    const examine = Effect.fn("Doctor.examine")(function* (hosts: ReadonlyArray<Host>, about: ReadonlyArray<Host>) {
      const findings: Array<Finding> = []
      const asked = new Set(about.map(({ id }) => id))
      const tell = (host: Host, check: Check, { level, means, mend, seen }: Verdict) => {
        if (!asked.has(host.id)) return
        findings.push({
          hostId: host.id,
          host: host.name,
          check,
          level,
          seen,
          means: means ?? null,
          mend: mend ?? null
        })
      }

      const natures = new Map<Host, DoctorLibvirt.Nature>()
      const mtus = new Map<string, Array<DoctorComparison.Bridge>>()
      const reached: Array<Host> = []
      yield* Effect.forEach(
        hosts,
        (host) =>
          Effect.gen(function* () {
            const reaching = yield* bounded(onHost.reach(host))
            tell(host, "ssh", reaching)
            if (reaching.level !== "ok") return
            reached.push(host)
            const withLibvirt = Effect.gen(function* () {
              const found = yield* Effect.either(
                byLibvirt.nature(host).pipe(
                  Effect.timeoutFail({
                    duration: limit,
                    onTimeout: () => failure(host, "tell what it is", `no answer within ${Duration.format(limit)}`)
                  })
                )
              )
              tell(host, "libvirt", byLibvirt.daemon(host, found))
              if (Either.isLeft(found)) return
              natures.set(host, found.right)
              if (!asked.has(host.id)) return
              tell(host, "version", yield* bounded(byLibvirt.version(host)))
              tell(host, "vms", yield* bounded(byLibvirt.vms(host, found.right)))
              const ran = byLibvirt.guest(host, found.right)
              tell(host, "guest", yield* bounded(ran, Duration.sum(DoctorLibvirt.guestLimit, limit)))
            })
            const networks = Effect.forEach(
              onHost.bridgesOf(host),
              ({ bridge, network }) =>
                Effect.gen(function* () {
                  const mtu = yield* Effect.either(onHost.mtuOf(host, bridge))
                  if (Either.isLeft(mtu)) {
                    return tell(host, "network", unknown(mtu.left))
                  }
                  if (Option.isNone(mtu.right)) {
                    return tell(host, "network", {
                      level: "failure",
                      seen: `there is no bridge ${bridge}, which ${network} is on`,
                      means: `VMs with a NIC on ${network} cannot be there.`,
                      mend: there(host, `ip link add ${bridge} type bridge && ip link set ${bridge} up`)
                    })
                  }
                  tell(host, "network", well(`${network} is on ${bridge}`))
                  const known = mtus.get(network) ?? []
                  known.push({ host, bridge, mtu: mtu.right.value })
                  mtus.set(network, known)
                }),
              { concurrency: 4, discard: true }
            )
            const others = asked.has(host.id)
              ? [
                  Effect.map(bounded(onHost.disk(host)), (verdict) => tell(host, "disk", verdict)),
                  Effect.map(bounded(onHost.time(host)), (verdict) => tell(host, "clock", verdict))
                ]
              : []
            yield* Effect.all([withLibvirt, networks, ...others], { concurrency: "unbounded", discard: true })
          }),
        { concurrency: 16, discard: true }
      )

      // ---- what only shows where hosts are compared

      const tellAll = (check: Check, told: ReadonlyArray<Told>) => {
        for (const { host, verdict } of told) tell(host, check, verdict)
      }
      const examined = hosts.filter(({ id }) => asked.has(id))
      tellAll("mtu", compare.mtus(mtus))
      tellAll("machine", compare.machines(natures))
      const compared = [
        Effect.map(compare.processors(natures), (told) => tellAll("cpu", told)),
        Effect.map(ways(hosts, examined, reached), (told) => tellAll("path", told)),
        ...Option.match(ceph, {
          onNone: () => [],
          onSome: ({ examine: look }) => [
            Effect.map(look(reached.filter(({ id }) => asked.has(id))), (told) => tellAll("ceph", told))
          ]
        })
      ]
      yield* Effect.all(compared, { concurrency: "unbounded", discard: true })

      const order = new Map(hosts.map(({ id }, index) => [id, index]))
      return findings.toSorted((a, b) => (order.get(a.hostId) ?? 0) - (order.get(b.hostId) ?? 0))
    })

    return Doctor.of({ examine })
  })

/** Of hosts whose disks of VMs are in folders. @since 0.7.0 @category layers */
export const layer: Layer.Layer<Doctor, never, Libvirt | Ssh> = Layer.effect(Doctor, make(Option.none()))

/** Of hosts whose disks of VMs are in a Ceph pool. @since 0.7.0 @category layers */
export const layerRbd: Layer.Layer<Doctor, never, Libvirt | Ssh | Ceph> = Layer.effect(
  Doctor,
  Effect.flatMap(Ceph, (pool) => make(Option.some(pool)))
)
