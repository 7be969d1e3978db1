/**
 * Domains in memory, for tests of programs that use the library.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Host } from "../src/domain/Host.ts"
import * as Network from "../src/domain/Network.ts"
import type { Power } from "../src/domain/Vm.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { renderIndented } from "../src/libvirt/HostErrors.ts"
import {
  type DiskSource,
  type DomainDetail,
  type DomainNic,
  type DomainPower,
  type DomainRef,
  type DomainShape,
  type DomainSpec,
  type DomainState,
  Hypervisor,
  type ShapeNic
} from "../src/services/Hypervisor.ts"
import type { Doctor } from "../src/services/Doctor.ts"
import { Consoles } from "../src/services/Consoles.ts"
import type { Inspector } from "../src/services/Inspector.ts"
import * as ConsolesTest from "./ConsolesTest.ts"
import * as DoctorTest from "./DoctorTest.ts"
import * as HypervisorTestDevices from "./HypervisorTestDevices.ts"
import * as HypervisorTestHosts from "./HypervisorTestHosts.ts"
import { domain, fail, HypervisorTestState, isRunning, type TestDisk, type TestDomain } from "./HypervisorTestHosts.ts"
import * as HypervisorTestPower from "./HypervisorTestPower.ts"
import * as InspectorTest from "./InspectorTest.ts"

export { domain, HypervisorTestState, type TestDisk, type TestDomain, type TestHost } from "./HypervisorTestHosts.ts"

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

const make = Effect.gen(function* () {
  const hosts = yield* HypervisorTestHosts.make
  const { changes, look, need, needSpec, owned, put, reach, set } = hosts

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
    ...HypervisorTestPower.make(hosts),
    ...HypervisorTestDevices.make(hosts),
    status: Effect.fn("Hypervisor.status")(function* (host: Host, ref: DomainRef) {
      const domain = (yield* reach(host)).domains.get(ref.uuid)
      if (domain === undefined) return Option.none()
      const ours = domain.spec?.domainName === ref.domainName
      return Option.some({ state: domain.state, operationId: ours ? (domain.spec?.operationId ?? null) : null })
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
      const { domain, spec } = yield* needSpec(host, action, ref)
      const { cpu, ram, title } = shape
      const changed = { ...spec, title, resources: { ...spec.resources, cpu, ram } }
      const running = isRunning(domain) ? (domain.runs ?? spec) : null
      yield* put(host, ref.uuid, { ...domain, spec: changed, runs: running }, "defined")
    }),
    rename: Effect.fn("Hypervisor.rename")(function* (host: Host, ref: DomainRef, title: string) {
      const action = `rename ${ref.domainName}`
      const { domain, spec } = yield* needSpec(host, action, ref)
      const runs = domain.runs === null ? null : { ...domain.runs, title }
      yield* put(host, ref.uuid, { ...domain, runs, spec: { ...spec, title } }, "annotated")
    }),
    setAutostart: Effect.fn("Hypervisor.setAutostart")(function* (host: Host, ref: DomainRef, on: boolean) {
      const action = `have ${ref.domainName} ${on ? "" : "not "}started when it boots`
      const domain = yield* need(host, action, ref)
      yield* set(host, ref.uuid, { ...domain, autostart: on })
    }),
    provideSeed: Effect.fn("Hypervisor.provideSeed")(function* (host: Host, ref: DomainRef, seed: DiskSource) {
      const action = `change the definition of ${ref.domainName}`
      const { domain, spec } = yield* needSpec(host, action, ref)
      const there = spec.seed ?? null
      if (there !== null && sourceOf(there) === sourceOf(seed)) return
      const running = isRunning(domain) ? (domain.runs ?? spec) : null
      yield* put(host, ref.uuid, { ...domain, spec: { ...spec, seed }, runs: running }, "defined")
    }),
    changes
  })

  const inspection = InspectorTest.make(look)
  const { print } = Context.get(inspection, InspectorTest.InspectorTestState)
  return Context.make(Hypervisor, hypervisor).pipe(
    Context.add(HypervisorTestState, hosts.state),
    Context.merge(inspection),
    Context.add(Consoles, ConsolesTest.make(look, changes, print))
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
