/**
 * Domains in memory, for tests of programs that use the library.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { type HostError, HostFailure, HostUnreachable } from "../src/domain/Errors.ts"
import type { Host, HostFacts } from "../src/domain/Host.ts"
import {
  type DomainChange,
  type DomainRef,
  type DomainSpec,
  type DomainState,
  Hypervisor
} from "../src/services/Hypervisor.ts"

/** A domain; `spec` null: not made by vmfabric. @since 0.1.0 @category models */
export interface TestDomain {
  readonly uuid: string
  readonly name: string
  readonly state: DomainState
  readonly spec: DomainSpec | null
}

/** @since 0.1.0 @category models */
export interface TestHost {
  /** what a host is made of; `network` and `domainType` of its facts follow from these and from its configuration */
  readonly machine: Pick<HostFacts, "hostname" | "uuid" | "libvirtVersion" | "resources" | "arch">
  readonly networks: ReadonlyArray<string>
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
  }
>() {}

const newHost = (host: Host): TestHost => {
  const hex = createHash("sha256").update(host.name).digest("hex")
  return {
    machine: {
      hostname: host.config.address.host,
      uuid: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`,
      libvirtVersion: "9.0.0",
      resources: { cpu: 8, ram: 32 * 1024, disk: 500 },
      arch: "x86_64"
    },
    networks: ["default"],
    domainTypes: ["qemu", "kvm"],
    unreachable: null,
    domains: new Map()
  }
}

/** A change, or the loss of the connection (null). */
interface Told {
  readonly host: string
  readonly change: DomainChange | null
}

const make = Effect.gen(function* () {
  const hosts = yield* Ref.make<ReadonlyMap<string, TestHost>>(new Map())
  const told = yield* PubSub.unbounded<Told>()

  const look = (host: Host) => Effect.map(Ref.get(hosts), (all) => all.get(host.name) ?? newHost(host))
  const update = (host: Host, change: (host: TestHost) => TestHost) =>
    Ref.update(hosts, (all) => new Map(all).set(host.name, change(all.get(host.name) ?? newHost(host))))

  const reach = (host: Host): Effect.Effect<TestHost, HostUnreachable> =>
    Effect.flatMap(look(host), (there) =>
      there.unreachable === null
        ? Effect.succeed(there)
        : new HostUnreachable({ host: host.name, reason: there.unreachable })
    )

  const put = (host: Host, uuid: string, domain: TestDomain | null, change: DomainChange["change"]) =>
    Effect.gen(function* () {
      const name = domain?.name ?? (yield* look(host)).domains.get(uuid)?.name ?? ""
      yield* update(host, (there) => {
        const domains = new Map(there.domains)
        if (domain === null) domains.delete(uuid)
        else domains.set(uuid, domain)
        return { ...there, domains }
      })
      yield* PubSub.publish(told, { host: host.name, change: { uuid, name, change } })
    })

  const fail = (host: Host, action: string, reason: string) => new HostFailure({ host: host.name, action, reason })

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

  const hypervisor = Hypervisor.of({
    facts: Effect.fn("Hypervisor.facts")(function* (host: Host) {
      const there = yield* reach(host)
      const action = "tell what it is"
      const { network: asked, virt } = host.config
      const domainType = virt === "auto" ? (there.domainTypes.includes("kvm") ? "kvm" : "qemu") : virt
      if (!there.domainTypes.includes(domainType)) {
        return yield* fail(host, action, `its libvirt does not offer ${domainType} for ${there.machine.arch} guests`)
      }
      if (asked !== undefined && !there.networks.includes(asked)) {
        return yield* fail(host, action, `it has no libvirt network "${asked}"`)
      }
      return { ...there.machine, domainType, network: asked ?? (there.networks.includes("default") ? "default" : null) }
    }),
    define: Effect.fn("Hypervisor.define")(function* (host: Host, spec: DomainSpec) {
      const action = `define ${spec.domainName}`
      const known = Option.getOrUndefined(yield* owned(host, action, spec))
      const { domains } = yield* reach(host)
      const other = [...domains.values()].find((domain) => domain.name === spec.domainName && domain.uuid !== spec.uuid)
      if (other !== undefined) {
        return yield* fail(
          host,
          action,
          `another domain ${spec.domainName} that is not ours has that name (uuid ${other.uuid})`
        )
      }
      const { domainName: name, uuid } = spec
      yield* put(host, uuid, { uuid, name, state: known?.state ?? "shutoff", spec }, "defined")
    }),
    start: Effect.fn("Hypervisor.start")(function* (host: Host, ref: DomainRef) {
      const action = `start ${ref.domainName}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined) return yield* fail(host, action, "it has no such domain")
      if (domain.state === "running" || domain.state === "blocked") return
      yield* put(host, ref.uuid, { ...domain, state: "running" }, domain.state === "paused" ? "resumed" : "started")
    }),
    status: Effect.fn("Hypervisor.status")(function* (host: Host, ref: DomainRef) {
      const domain = (yield* reach(host)).domains.get(ref.uuid)
      if (domain === undefined) return Option.none()
      const ours = domain.spec?.domainName === ref.domainName
      return Option.some({ state: domain.state, operationId: ours ? (domain.spec?.operationId ?? null) : null })
    }),
    powerOff: Effect.fn("Hypervisor.powerOff")(function* (host: Host, ref: DomainRef) {
      const domain = Option.getOrUndefined(yield* owned(host, `power off ${ref.domainName}`, ref))
      if (domain === undefined || domain.state === "shutoff") return
      yield* put(host, ref.uuid, { ...domain, state: "shutoff" }, "stopped")
    }),
    undefine: Effect.fn("Hypervisor.undefine")(function* (host: Host, ref: DomainRef) {
      const action = `undefine ${ref.domainName}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined) return
      if (domain.state !== "shutoff" && domain.state !== "crashed") {
        return yield* fail(host, action, `it is ${domain.state}`)
      }
      yield* put(host, ref.uuid, null, "undefined")
    }),
    list: Effect.fn("Hypervisor.list")(function* (host: Host) {
      return [...(yield* reach(host)).domains.values()].map(({ name, uuid }) => ({ uuid, name }))
    }),
    changes: (host) =>
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
  })

  const state = HypervisorTestState.of({
    host: look,
    update,
    setUnreachable: (host, reason) =>
      Effect.zipRight(
        update(host, (there) => ({ ...there, unreachable: reason })),
        reason === null ? Effect.void : PubSub.publish(told, { host: host.name, change: null })
      ),
    put
  })
  return Context.make(Hypervisor, hypervisor).pipe(Context.add(HypervisorTestState, state))
})

/** @since 0.1.0 @category layers */
export const layer: Layer.Layer<Hypervisor | HypervisorTestState> = Layer.effectContext(make)
