/**
 * Hosts in memory and the domains that they have, which all doubles of what hosts do look at.
 *
 * @since 0.12.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { type HostError, HostFailure, HostUnreachable } from "../src/domain/Errors.ts"
import type { Host, HostFacts } from "../src/domain/Host.ts"
import {
  type DiskSource,
  type DomainChange,
  type DomainNic,
  type DomainRef,
  type DomainSpec,
  type DomainState,
  type GuestAddress,
  noDomain,
  type VolumeDisk
} from "../src/services/Hypervisor.ts"

/** A volume's disk in a domain. @since 0.2.0 @category models */
export interface TestDisk extends VolumeDisk {
  readonly source: DiskSource
  /** bytes it was last grown to; null: as large as it was when it was attached */
  readonly size: number | null
}

/** A domain; `spec` null: not made by vmfabric. @since 0.1.0 @category models */
export interface TestDomain {
  readonly uuid: string
  readonly name: string
  readonly state: DomainState
  /** how it came to that, as `DomainPower` tells it */
  readonly reason: string | null
  readonly spec: DomainSpec | null
  /** what of its definition it runs with; null: the definition as it is */
  readonly runs: Pick<DomainSpec, "title" | "resources" | "seed"> | null
  /** the volumes it runs with; none when it does not run */
  readonly live: ReadonlyArray<TestDisk>
  /** the volumes of its definition */
  readonly persistent: ReadonlyArray<TestDisk>
  /** the NICs it runs with; none when it does not run. Those of its definition are its spec's */
  readonly liveNics: ReadonlyArray<DomainNic>
  /** what its guest's agent would tell */
  readonly addresses: ReadonlyArray<GuestAddress>
  /** whether its guest keeps what it is asked to let go of */
  readonly holding: boolean
  /** whether its guest does nothing when it is asked to shut down or to start anew */
  readonly deaf: boolean
  /** whether its host starts it when it boots */
  readonly autostart: boolean
  /** how often its guest has started anew, by itself or by a reset, since its QEMU was started */
  readonly boots: number
  /** aliases of what the guest was asked to let go of and has kept */
  readonly asked: ReadonlyArray<string>
}

/** @since 0.1.0 @category models */
export interface TestHost {
  /** what a host is made of; `network` and `domainType` of its facts follow from these and from its configuration */
  readonly machine: Pick<
    HostFacts,
    "hostname" | "uuid" | "libvirtVersion" | "resources" | "arch" | "processor" | "features"
  >
  readonly networks: ReadonlyArray<string>
  /** all bridges that it has */
  readonly bridges: ReadonlyArray<string>
  readonly domainTypes: ReadonlyArray<HostFacts["domainType"]>
  /** why it cannot be reached; null: it can */
  readonly unreachable: string | null
  /** by uuid */
  readonly domains: ReadonlyMap<string, TestDomain>
}

/** What the hosts are at the moment, to look at and to change from outside. @since 0.1.0 @category services */
export class HypervisorTestState extends Context.Tag("vmfabric/HypervisorTestState")<
  HypervisorTestState,
  {
    /** A host comes into being when it is first asked for: 8 vCPUs, 32 GiB, 500 GiB, network `default`. */
    readonly host: (host: Host) => Effect.Effect<TestHost>
    readonly update: (host: Host, change: (host: TestHost) => TestHost) => Effect.Effect<void>
    /** Every call to it fails and every stream of changes ends with the reason, until it is null again. */
    readonly setUnreachable: (host: Host, reason: string | null) => Effect.Effect<void>
    /** As if by hand on the host: puts the domain there, or takes it away (null), and tells it as `change`. */
    readonly put: (
      host: Host,
      uuid: string,
      domain: TestDomain | null,
      change: DomainChange["change"]
    ) => Effect.Effect<void>
    /**
     * From now on the domain's guest keeps every disk it is asked to let go of; with `false` it lets go of those that it has kept, each
     * told as `device-removed`, and of others when it is asked.
     */
    readonly setHolding: (host: Host, uuid: string, holding: boolean) => Effect.Effect<void>
  }
>() {}

/** A domain as it is after its definition, which runs without volumes. @since 0.2.0 @category constructors */
export const domain = (given: Pick<TestDomain, "uuid" | "name" | "spec"> & Partial<TestDomain>): TestDomain => ({
  state: "shutoff",
  reason: null,
  runs: null,
  live: [],
  persistent: [],
  liveNics: [],
  addresses: [],
  holding: false,
  deaf: false,
  autostart: false,
  boots: 0,
  asked: [],
  ...given
})

const newHost = (host: Host): TestHost => {
  const hex = createHash("sha256").update(host.name).digest("hex")
  return {
    machine: {
      hostname: host.config.address.host,
      uuid: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`,
      libvirtVersion: "9.0.0",
      resources: { cpu: 8, ram: 32 * 1024, disk: 500 },
      arch: "x86_64",
      processor: { model: "EPYC-Rome", vendor: "AMD" },
      features: ["aes", "avx", "avx2", "sse2", "sse4.2", "svm"]
    },
    networks: ["default"],
    bridges: ["br0", "br12"],
    domainTypes: ["qemu", "kvm"],
    unreachable: null,
    domains: new Map()
  }
}

/** @since 0.12.0 @category predicates */
export const isRunning = ({ state }: TestDomain): boolean => state !== "shutoff" && state !== "crashed"

/** The host, unless it cannot be reached. @since 0.12.0 @category conversions */
export const reached = (host: Host, there: TestHost): Effect.Effect<TestHost, HostUnreachable> =>
  there.unreachable === null
    ? Effect.succeed(there)
    : new HostUnreachable({ host: host.name, reason: there.unreachable })

/** `action` completes the sentence "host … failed to …". @since 0.12.0 @category errors */
export const fail = (host: Host, action: string, reason: string) => new HostFailure({ host: host.name, action, reason })

/** A change, or the loss of the connection (null). */
interface Told {
  readonly host: string
  readonly change: DomainChange | null
}

/** @since 0.12.0 @category constructors */
export const make = Effect.gen(function* () {
  const hosts = yield* Ref.make<ReadonlyMap<string, TestHost>>(new Map())
  const told = yield* PubSub.unbounded<Told>()

  const look = (host: Host) => Effect.map(Ref.get(hosts), (all) => all.get(host.name) ?? newHost(host))
  const update = (host: Host, change: (host: TestHost) => TestHost) =>
    Ref.update(hosts, (all) => new Map(all).set(host.name, change(all.get(host.name) ?? newHost(host))))
  const reach = (host: Host) => Effect.flatMap(look(host), (there) => reached(host, there))

  const set = (host: Host, uuid: string, domain: TestDomain | null) =>
    update(host, (there) => {
      const domains = new Map(there.domains)
      if (domain === null) domains.delete(uuid)
      else domains.set(uuid, domain)
      return { ...there, domains }
    })

  const tell = (host: Host, change: DomainChange) => PubSub.publish(told, { host: host.name, change })

  const put = (host: Host, uuid: string, domain: TestDomain | null, change: DomainChange["change"]) =>
    Effect.gen(function* () {
      const name = domain?.name ?? (yield* look(host)).domains.get(uuid)?.name ?? ""
      yield* set(host, uuid, domain)
      yield* tell(host, { uuid, name, change, device: null })
    })

  /** The guest lets go of the devices of these aliases. */
  const letGo = (host: Host, domain: TestDomain, aliases: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const { name, uuid } = domain
      const live = domain.live.filter((disk) => !aliases.includes(disk.alias))
      const liveNics = domain.liveNics.filter((nic) => !aliases.includes(nic.alias))
      yield* set(host, uuid, {
        ...domain,
        live,
        liveNics,
        asked: domain.asked.filter((alias) => !aliases.includes(alias))
      })
      for (const { alias } of [...domain.live, ...domain.liveNics].filter((one) => aliases.includes(one.alias))) {
        yield* tell(host, { uuid, name, change: "device-removed", device: alias })
      }
    })

  /** None: no such domain. Fails when it is there and not ours. */
  const owned = (host: Host, action: string, ref: DomainRef): Effect.Effect<Option.Option<TestDomain>, HostError> =>
    Effect.flatMap(reach(host), (there) => {
      const domain = there.domains.get(ref.uuid)
      if (domain === undefined) return Effect.succeedNone
      return domain.spec?.domainName === ref.domainName
        ? Effect.succeedSome(domain)
        : fail(
            host,
            action,
            `the domain with uuid ${ref.uuid} is not ${ref.domainName} of vmfabric, so it is left alone`
          )
    })

  /** The domain, which is there and ours. */
  const need = (host: Host, action: string, ref: DomainRef): Effect.Effect<TestDomain, HostError> =>
    Effect.flatMap(
      owned(host, action, ref),
      Option.match({ onNone: () => fail(host, action, noDomain), onSome: Effect.succeed })
    )

  /** The domain, which is there and ours, with what it was defined by. */
  const needSpec = (host: Host, action: string, ref: DomainRef) =>
    Effect.flatMap(need(host, action, ref), (domain) =>
      domain.spec === null ? fail(host, action, noDomain) : Effect.succeed({ domain, spec: domain.spec })
    )

  const changes = (host: Host) =>
    Stream.unwrapScoped(
      Effect.gen(function* () {
        const events = yield* Stream.fromPubSub(told, { scoped: true })
        yield* reach(host)
        return events.pipe(
          Stream.filter((one) => one.host === host.name),
          Stream.mapEffect(({ change }) =>
            change === null
              ? Effect.flatMap(
                  look(host),
                  ({ unreachable }) =>
                    new HostUnreachable({ host: host.name, reason: unreachable ?? "the connection was lost" })
                )
              : Effect.succeed(change)
          )
        )
      })
    )

  const state = HypervisorTestState.of({
    host: look,
    update,
    setUnreachable: (host, reason) =>
      Effect.zipRight(
        update(host, (there) => ({ ...there, unreachable: reason })),
        reason === null ? Effect.void : PubSub.publish(told, { host: host.name, change: null })
      ),
    put,
    setHolding: (host, uuid, holding) =>
      Effect.flatMap(look(host), ({ domains }) => {
        const domain = domains.get(uuid)
        if (domain === undefined) return Effect.void
        return holding ? set(host, uuid, { ...domain, holding }) : letGo(host, { ...domain, holding }, domain.asked)
      })
  })

  return { changes, letGo, look, need, needSpec, owned, put, reach, set, state, update }
})

/** @since 0.12.0 @category models */
export type Hosts = Effect.Effect.Success<typeof make>
