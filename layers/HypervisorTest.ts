/**
 * Domains in memory, for tests of programs that use the library.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as PubSub from "effect/PubSub"
import * as Ref from "effect/Ref"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { GuestHoldsDevice, GuestIgnores, type HostError, HostFailure, HostUnreachable } from "../src/domain/Errors.ts"
import type { Host, HostFacts } from "../src/domain/Host.ts"
import * as Network from "../src/domain/Network.ts"
import { type LinkState, nicSlots } from "../src/domain/Nic.ts"
import type { Power } from "../src/domain/Vm.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { renderIndented } from "../src/libvirt/HostErrors.ts"
import { inWords } from "../src/operations/Retry.ts"
import {
  type DiskPresence,
  type DiskSource,
  type DomainChange,
  type DomainNic,
  type DomainDetail,
  type DomainPower,
  type DomainRef,
  type DomainShape,
  type DomainSpec,
  type DomainState,
  type GuestAddress,
  Hypervisor,
  type NicRef,
  type ShapeNic,
  type VolumeDisk,
  volumeSlots
} from "../src/services/Hypervisor.ts"
import type { Doctor } from "../src/services/Doctor.ts"
import { Consoles } from "../src/services/Consoles.ts"
import type { Inspector } from "../src/services/Inspector.ts"
import * as ConsolesTest from "./ConsolesTest.ts"
import * as DoctorTest from "./DoctorTest.ts"
import * as InspectorTest from "./InspectorTest.ts"

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

const isRunning = ({ state }: TestDomain): boolean => state !== "shutoff" && state !== "crashed"

const has = (disks: ReadonlyArray<{ readonly alias: string }>, { alias }: { readonly alias: string }): boolean =>
  disks.some((disk) => disk.alias === alias)

const nameOf = ({ alias }: VolumeDisk): string => alias.replace(/^ua-/, "")

const holds = (domain: TestDomain, device: string, reason: string) =>
  new GuestHoldsDevice({ domain: domain.name, device, reason })

const nicName = ({ alias, mac }: NicRef): string => `${alias.replace(/^ua-/, "")} (${mac})`

const shapeOf = ({ link, mac, source }: DomainNic): ShapeNic => ({ mac, source: Network.formatSource(source), link })

const powers: Readonly<Record<DomainState, Power>> = {
  nostate: "stopped",
  running: "running",
  blocked: "running",
  paused: "paused",
  shutdown: "running",
  shutoff: "stopped",
  crashed: "crashed",
  pmsuspended: "suspended"
}

const powered = ({ name, reason, state, uuid }: TestDomain): DomainPower => ({
  uuid,
  name,
  power: powers[state],
  reason
})

const sourceOf = (source: DiskSource): string =>
  source._tag === "File" ? source.path : `${source.pool}/${source.image}`

const detailOf = (domain: TestDomain): DomainDetail => {
  const { spec } = domain
  if (spec === null) {
    const shape: DomainShape = { title: null, cpu: 1, ram: 64, disks: [], nics: [] }
    return { owner: null, autostart: domain.autostart, live: isRunning(domain) ? shape : null, defined: shape }
  }
  const shape = (
    { resources, seed = null, title }: Pick<DomainSpec, "title" | "resources" | "seed">,
    disks: ReadonlyArray<TestDisk>,
    nics: ReadonlyArray<DomainNic>
  ): DomainShape => ({
    title,
    cpu: resources.cpu,
    ram: resources.ram,
    disks: [
      { target: "vda", source: spec.root },
      ...disks,
      ...(seed === null ? [] : [{ target: DomainXml.seedTarget, source: seed }])
    ].map(({ source, target }) => ({
      target,
      source: sourceOf(source),
      serial: source.serial
    })),
    nics: nics.map(shapeOf)
  })
  return {
    owner: { vmId: spec.vmId, operationId: spec.operationId },
    autostart: domain.autostart,
    live: isRunning(domain) ? shape(domain.runs ?? spec, domain.live, domain.liveNics) : null,
    defined: shape(spec, domain.persistent, spec.nics)
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

  const needRunning = Effect.fnUntraced(function* (host: Host, action: string, ref: DomainRef) {
    const domain = Option.getOrUndefined(yield* owned(host, action, ref))
    if (domain === undefined) return yield* fail(host, action, "it has no such domain")
    if (!isRunning(domain)) return yield* fail(host, action, "it does not run: start it")
    return domain
  })

  /** The guest does what it is asked for, unless it cannot or does not want to. */
  const heard = (
    host: Host,
    action: string,
    domain: TestDomain,
    within: Duration.DurationInput,
    [asked, instead]: readonly [asked: string, instead: string]
  ): Effect.Effect<void, GuestIgnores | HostFailure> =>
    domain.state === "paused"
      ? fail(host, action, "it is paused, so its guest hears nothing: resume it first, or power it off")
      : domain.deaf
        ? Effect.zipRight(
            Effect.sleep(within),
            new GuestIgnores({ domain: domain.name, asked, within: inWords(within), instead })
          )
        : Effect.void

  const facts = Effect.fn("Hypervisor.facts")(function* (host: Host) {
    const there = yield* reach(host)
    const action = "tell what it is"
    const { network: asked, networks: named = {}, virt } = host.config
    const domainType = virt === "auto" ? (there.domainTypes.includes("kvm") ? "kvm" : "qemu") : virt
    if (!there.domainTypes.includes(domainType)) {
      return yield* fail(host, action, `its libvirt does not offer ${domainType} for ${there.machine.arch} guests`)
    }
    const own = Object.entries(named).map(([name, source]): Network.HostNetwork => {
      const [before = "", after] = source.name.split(Network.vlanMark)
      const has = source.kind === "bridge" ? there.bridges : there.networks
      if (after === undefined || source.kind === "libvirt") {
        const problem = has.includes(source.name) ? null : `it has no ${source.kind} ${source.name}`
        return { name, source, vlans: null, problem }
      }
      const vlans = there.bridges.flatMap((bridge) => {
        const number = bridge.startsWith(before) && bridge.endsWith(after) ? bridge.slice(before.length) : ""
        return /^[1-9][0-9]{0,3}$/.test(number) ? [Number(number)] : []
      })
      return { name, source, vlans, problem: null }
    })
    const others = there.networks.flatMap((name): ReadonlyArray<Network.HostNetwork> =>
      name in named ? [] : [{ name, source: { kind: "libvirt", name }, vlans: null, problem: null }]
    )
    const networks = [...own, ...others].toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const network = asked ?? (networks.some(({ name }) => name === "default") ? "default" : null)
    const chosen = networks.find(({ name }) => name === network)
    if (network !== null && (chosen === undefined || chosen.problem !== null)) {
      return yield* fail(host, action, chosen?.problem ?? `it has no libvirt network "${network}"`)
    }
    return { ...there.machine, domainType, network, networks }
  })

  const hypervisor = Hypervisor.of({
    facts,
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
      // what it runs with stays until it is stopped
      const running = known === undefined || !isRunning(known) ? null : (known.runs ?? known.spec)
      yield* put(host, uuid, domain({ ...known, uuid, name, spec, runs: running, persistent: [] }), "defined")
    }),
    describe: Effect.fn("Hypervisor.describe")(function* (host: Host, spec: DomainSpec) {
      const known = host.facts ?? (yield* facts(host))
      return yield* renderIndented(host, `describe ${spec.domainName}`, DomainXml.build(spec, known))
    }),
    describeDisk: (host, disk) => renderIndented(host, `describe ${disk.target}`, DomainXml.volumeDisk(disk)),
    start: Effect.fn("Hypervisor.start")(function* (host: Host, ref: DomainRef) {
      const action = `start ${ref.domainName}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined) return yield* fail(host, action, "it has no such domain")
      if (domain.state === "running" || domain.state === "blocked") return
      yield* domain.state === "paused"
        ? put(host, ref.uuid, { ...domain, state: "running", reason: null }, "resumed")
        : put(
            host,
            ref.uuid,
            {
              ...domain,
              state: "running",
              reason: null,
              runs: domain.spec,
              live: domain.persistent,
              liveNics: domain.spec?.nics ?? [],
              boots: 0
            },
            "started"
          )
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
      yield* put(
        host,
        ref.uuid,
        {
          ...domain,
          state: "shutoff",
          reason: "somebody powered it off",
          runs: null,
          live: [],
          liveNics: [],
          asked: []
        },
        "stopped"
      )
    }),
    shutDown: Effect.fn("Hypervisor.shutDown")(function* (host: Host, ref: DomainRef, within: Duration.DurationInput) {
      const action = `shut down ${ref.domainName}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined || !isRunning(domain)) return
      yield* heard(host, action, domain, within, ["shut down", "shut it down from inside, try again, or power it off"])
      yield* put(
        host,
        ref.uuid,
        { ...domain, state: "shutoff", reason: "the guest shut itself down", runs: null, live: [], asked: [] },
        "stopped"
      )
    }),
    reboot: Effect.fn("Hypervisor.reboot")(function* (host: Host, ref: DomainRef, within: Duration.DurationInput) {
      const action = `reboot ${ref.domainName}`
      const domain = yield* needRunning(host, action, ref)
      yield* heard(host, action, domain, within, ["started anew", "restart it from inside, try again, or reset it"])
      yield* set(host, ref.uuid, { ...domain, boots: domain.boots + 1 })
    }),
    reset: Effect.fn("Hypervisor.reset")(function* (host: Host, ref: DomainRef) {
      const domain = yield* needRunning(host, `reset ${ref.domainName}`, ref)
      yield* set(host, ref.uuid, { ...domain, boots: domain.boots + 1 })
    }),
    pause: Effect.fn("Hypervisor.pause")(function* (host: Host, ref: DomainRef) {
      const domain = yield* needRunning(host, `pause ${ref.domainName}`, ref)
      if (domain.state === "paused") return
      yield* put(host, ref.uuid, { ...domain, state: "paused", reason: "paused by somebody" }, "suspended")
    }),
    resume: Effect.fn("Hypervisor.resume")(function* (host: Host, ref: DomainRef) {
      const domain = yield* needRunning(host, `resume ${ref.domainName}`, ref)
      if (domain.state !== "paused") return
      yield* put(host, ref.uuid, { ...domain, state: "running", reason: null }, "resumed")
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
    attachDisk: Effect.fn("Hypervisor.attachDisk")(function* (
      host: Host,
      ref: DomainRef,
      disk: Omit<TestDisk, "size">
    ) {
      const action = `attach ${nameOf(disk)} to ${ref.domainName}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined) return yield* fail(host, action, "it has no such domain")
      for (const disks of isRunning(domain) ? [domain.live, domain.persistent] : [domain.persistent]) {
        if (has(disks, disk)) continue
        const there = disks.find(({ target }) => target === disk.target)
        if (there !== undefined || disk.target === "vda") {
          const called = there?.source.serial ?? domain.spec?.root.serial
          return yield* fail(
            host,
            action,
            `${domain.name} has another disk at ${disk.target}, ${called}: detach that first`
          )
        }
        if (disks.length >= volumeSlots) {
          return yield* fail(
            host,
            action,
            `${domain.name} has no free slot: it has ${volumeSlots}, detach another volume first`
          )
        }
      }
      const added = { ...disk, size: null }
      const add = (disks: ReadonlyArray<TestDisk>) => (has(disks, disk) ? disks : [...disks, added])
      yield* set(host, ref.uuid, {
        ...domain,
        live: isRunning(domain) ? add(domain.live) : [],
        persistent: add(domain.persistent)
      })
    }),
    detachDisk: Effect.fn("Hypervisor.detachDisk")(function* (host: Host, ref: DomainRef, disk: VolumeDisk) {
      const domain = Option.getOrUndefined(yield* owned(host, `detach ${nameOf(disk)} from ${ref.domainName}`, ref))
      if (domain === undefined) return
      if (has(domain.live, disk)) {
        if (domain.state === "paused") {
          return yield* holds(domain, nameOf(disk), "it is paused: resume it, or stop the VM, and detach again")
        }
        if (domain.holding) {
          yield* set(host, ref.uuid, { ...domain, asked: [...new Set([...domain.asked, disk.alias])] })
          return yield* holds(
            domain,
            nameOf(disk),
            "it was asked for 20 seconds: let the guest's system release it (unmount it), or stop the VM, and detach again"
          )
        }
        yield* letGo(host, domain, [disk.alias])
      }
      yield* update(host, (there) => {
        const now = there.domains.get(ref.uuid)
        if (now === undefined) return there
        const persistent = now.persistent.filter(({ alias }) => alias !== disk.alias)
        return { ...there, domains: new Map(there.domains).set(ref.uuid, { ...now, persistent }) }
      })
    }),
    diskPresence: Effect.fn("Hypervisor.diskPresence")(function* (host: Host, ref: DomainRef, disk: VolumeDisk) {
      const found = yield* owned(host, `look for ${nameOf(disk)} in ${ref.domainName}`, ref)
      return Option.map(found, (domain): DiskPresence => ({
        live: isRunning(domain) ? has(domain.live, disk) : null,
        persistent: has(domain.persistent, disk)
      }))
    }),
    growDisk: Effect.fn("Hypervisor.growDisk")(function* (host: Host, ref: DomainRef, disk: VolumeDisk, size: number) {
      const action = `grow ${nameOf(disk)} in ${ref.domainName}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined) return yield* fail(host, action, "it has no such domain")
      if (!isRunning(domain)) return yield* fail(host, action, `${domain.name} does not run`)
      if (!has(domain.live, disk)) return yield* fail(host, action, `${domain.name} runs without it`)
      const grow = (disks: ReadonlyArray<TestDisk>) =>
        disks.map((one) => (one.alias === disk.alias ? { ...one, size: Math.max(one.size ?? 0, size) } : one))
      yield* set(host, ref.uuid, { ...domain, live: grow(domain.live), persistent: grow(domain.persistent) })
    }),
    describeNic: (host, nic) => renderIndented(host, `describe ${nic.alias}`, DomainXml.nic(nic)),
    attachNic: Effect.fn("Hypervisor.attachNic")(function* (host: Host, ref: DomainRef, nic: DomainNic) {
      const action = `attach ${nicName(nic)} to ${ref.domainName}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined || domain.spec === null) return yield* fail(host, action, "it has no such domain")
      const { spec } = domain
      for (const nics of isRunning(domain) ? [domain.liveNics, spec.nics] : [spec.nics]) {
        if (has(nics, nic) || nics.length < nicSlots) continue
        return yield* fail(host, action, `${domain.name} has ${nicSlots} NICs, which is the most: remove one first`)
      }
      const add = (nics: ReadonlyArray<DomainNic>) => (has(nics, nic) ? nics : [...nics, nic])
      const liveNics = isRunning(domain) ? add(domain.liveNics) : []
      yield* set(host, ref.uuid, { ...domain, liveNics, spec: { ...spec, nics: add(spec.nics) } })
    }),
    detachNic: Effect.fn("Hypervisor.detachNic")(function* (host: Host, ref: DomainRef, nic: NicRef) {
      const domain = Option.getOrUndefined(yield* owned(host, `detach ${nicName(nic)} from ${ref.domainName}`, ref))
      if (domain === undefined) return
      if (has(domain.liveNics, nic)) {
        if (domain.state === "paused") {
          return yield* holds(domain, nicName(nic), "it is paused: resume it, or stop the VM, and remove it again")
        }
        if (domain.holding) {
          yield* set(host, ref.uuid, { ...domain, asked: [...new Set([...domain.asked, nic.alias])] })
          return yield* holds(
            domain,
            nicName(nic),
            "it was asked for 20 seconds: let the guest's system let go of it, or stop the VM, and remove it again"
          )
        }
        yield* letGo(host, domain, [nic.alias])
      }
      yield* update(host, (there) => {
        const now = there.domains.get(ref.uuid)
        if (now === undefined || now.spec === null) return there
        const spec = { ...now.spec, nics: now.spec.nics.filter(({ alias }) => alias !== nic.alias) }
        return { ...there, domains: new Map(there.domains).set(ref.uuid, { ...now, spec }) }
      })
    }),
    nicPresence: Effect.fn("Hypervisor.nicPresence")(function* (host: Host, ref: DomainRef, nic: NicRef) {
      const found = yield* owned(host, `look for ${nicName(nic)} in ${ref.domainName}`, ref)
      return Option.map(found, (domain): DiskPresence => ({
        live: isRunning(domain) ? has(domain.liveNics, nic) : null,
        persistent: has(domain.spec?.nics ?? [], nic)
      }))
    }),
    setLink: Effect.fn("Hypervisor.setLink")(function* (host: Host, ref: DomainRef, nic: NicRef, link: LinkState) {
      const action = `set the link of ${nicName(nic)} in ${ref.domainName} ${link}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined || domain.spec === null) return Option.none<DiskPresence>()
      const linked = (nics: ReadonlyArray<DomainNic>) =>
        nics.map((one) => (one.alias === nic.alias ? { ...one, link } : one))
      const spec = { ...domain.spec, nics: linked(domain.spec.nics) }
      yield* set(host, ref.uuid, { ...domain, liveNics: linked(domain.liveNics), spec })
      return Option.some({
        live: isRunning(domain) ? has(domain.liveNics, nic) : null,
        persistent: has(spec.nics, nic)
      })
    }),
    addresses: Effect.fn("Hypervisor.addresses")(function* (host: Host, ref: DomainRef) {
      const found = yield* owned(host, `tell the addresses of ${ref.domainName}`, ref)
      return Option.match(found, { onNone: () => [], onSome: (one) => (isRunning(one) ? one.addresses : []) })
    }),
    list: Effect.fn("Hypervisor.list")(function* (host: Host) {
      return [...(yield* reach(host)).domains.values()].map(({ name, uuid }) => ({ uuid, name }))
    }),
    powers: Effect.fn("Hypervisor.powers")(function* (host: Host) {
      return [...(yield* reach(host)).domains.values()].map(powered)
    }),
    power: Effect.fn("Hypervisor.power")(function* (host: Host, ref: DomainRef) {
      return Option.map(Option.fromNullable((yield* reach(host)).domains.get(ref.uuid)), powered)
    }),
    detail: (host, uuid) =>
      Effect.map(reach(host), (there) => Option.map(Option.fromNullable(there.domains.get(uuid)), detailOf)),
    glance: Effect.fn("Hypervisor.glance")(function* (host: Host, uuid: string, known: string | null) {
      const there = yield* reach(host)
      return Option.map(Option.fromNullable(there.domains.get(uuid)), (domain) => {
        const detail = detailOf(domain)
        const digest = JSON.stringify(detail)
        return { digest, detail: digest === known ? null : detail }
      })
    }),
    redefine: Effect.fn("Hypervisor.redefine")(function* (
      host: Host,
      ref: DomainRef,
      shape: Parameters<Hypervisor["Type"]["redefine"]>[2]
    ) {
      const action = `change the definition of ${ref.domainName}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined || domain.spec === null) return yield* fail(host, action, "it has no such domain")
      const { cpu, ram, title } = shape
      const spec = { ...domain.spec, title, resources: { ...domain.spec.resources, cpu, ram } }
      const running = isRunning(domain) ? (domain.runs ?? domain.spec) : null
      yield* put(host, ref.uuid, { ...domain, spec, runs: running }, "defined")
    }),
    rename: Effect.fn("Hypervisor.rename")(function* (host: Host, ref: DomainRef, title: string) {
      const action = `rename ${ref.domainName}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined || domain.spec === null) return yield* fail(host, action, "it has no such domain")
      const runs = domain.runs === null ? null : { ...domain.runs, title }
      yield* put(host, ref.uuid, { ...domain, runs, spec: { ...domain.spec, title } }, "annotated")
    }),
    setAutostart: Effect.fn("Hypervisor.setAutostart")(function* (host: Host, ref: DomainRef, on: boolean) {
      const action = `have ${ref.domainName} ${on ? "" : "not "}started when it boots`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined) return yield* fail(host, action, "it has no such domain")
      yield* set(host, ref.uuid, { ...domain, autostart: on })
    }),
    provideSeed: Effect.fn("Hypervisor.provideSeed")(function* (host: Host, ref: DomainRef, seed: DiskSource) {
      const action = `change the definition of ${ref.domainName}`
      const domain = Option.getOrUndefined(yield* owned(host, action, ref))
      if (domain === undefined || domain.spec === null) return yield* fail(host, action, "it has no such domain")
      const there = domain.spec.seed ?? null
      if (there !== null && sourceOf(there) === sourceOf(seed)) return
      const running = isRunning(domain) ? (domain.runs ?? domain.spec) : null
      yield* put(host, ref.uuid, { ...domain, spec: { ...domain.spec, seed }, runs: running }, "defined")
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
    put,
    setHolding: (host, uuid, holding) =>
      Effect.flatMap(look(host), ({ domains }) => {
        const domain = domains.get(uuid)
        if (domain === undefined) return Effect.void
        return holding ? set(host, uuid, { ...domain, holding }) : letGo(host, { ...domain, holding }, domain.asked)
      })
  })
  const inspection = InspectorTest.make(look)
  const { print } = Context.get(inspection, InspectorTest.InspectorTestState)
  return Context.make(Hypervisor, hypervisor).pipe(
    Context.add(HypervisorTestState, state),
    Context.merge(inspection),
    Context.add(Consoles, ConsolesTest.make(look, hypervisor.changes, print))
  )
})

/** Domains, and what they show. @since 0.1.0 @category layers */
export const layer: Layer.Layer<
  | Hypervisor
  | HypervisorTestState
  | Inspector
  | InspectorTest.InspectorTestState
  | Consoles
  | Doctor
  | DoctorTest.DoctorTestState
> = Layer.merge(Layer.effectContext(make), DoctorTest.layer)
