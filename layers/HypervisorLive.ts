/**
 * Domains through libvirt's RPC, and what libvirt leaves of them by SFTP.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import type { HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import * as DomainPower from "../src/libvirt/DomainPower.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { code, failure, fromLibvirt, parse, render, renderIndented } from "../src/libvirt/HostErrors.ts"
import type * as Xml from "../src/libvirt/Xml.ts"
import * as Trail from "../src/observability/Trail.ts"
import {
  type DomainChange,
  type DomainDetail,
  type DomainGlance,
  type DomainPower as Powered,
  type DomainRef,
  type DomainSpec,
  Hypervisor,
  noDomain
} from "../src/services/Hypervisor.ts"
import { Libvirt, type LibvirtError } from "../src/services/Libvirt.ts"
import { Ssh } from "../src/services/Ssh.ts"
import { Storage } from "../src/services/Storage.ts"
import * as HostCalls from "./HostCalls.ts"
import * as DeviceRelease from "./DeviceRelease.ts"
import * as HypervisorDisks from "./HypervisorDisks.ts"
import * as HypervisorFacts from "./HypervisorFacts.ts"
import * as HypervisorNics from "./HypervisorNics.ts"
import * as HypervisorPower from "./HypervisorPower.ts"

/** @since 0.2.0 @category models */
export interface Options {
  /** how a guest is asked to let go of a device */
  readonly release: DeviceRelease.Options
  /** how it is asked to shut down, or to start anew */
  readonly ask: HypervisorPower.AskOptions
}

/** @since 0.2.0 @category constants */
export const defaults: Options = { release: DeviceRelease.defaults, ask: HypervisorPower.askDefaults }

const flags = {
  /** virDomainDefineFlags */
  validate: 0x1,
  /** virDomainUndefineFlagsValues: MANAGED_SAVE, SNAPSHOTS_METADATA, NVRAM, CHECKPOINTS_METADATA */
  undefineAll: 0x1 | 0x2 | 0x4 | 0x10,
  /** virConnectGetAllDomainStatsFlags: what a domain that is busy would have to be waited for is left out */
  noWait: 0x20000000
} as const

/** virDomainStatsTypes STATE */
const stateStats = 0x1

/** virDomainMetadataType ELEMENT */
const metadataElement = 2
/** virDomainMetadataType TITLE */
const metadataTitle = 1
/** virDomainModificationImpact */
const impact = { live: 1, config: 2 } as const

/** virDomainEventType */
const lifecycle: ReadonlyArray<DomainChange["change"]> = [
  "defined",
  "undefined",
  "started",
  "suspended",
  "resumed",
  "stopped",
  "shutdown",
  "pmsuspended",
  "crashed"
]

const make = Effect.fnUntraced(function* (options: Options) {
  const libvirt = yield* Libvirt
  const ssh = yield* Ssh

  const { fromSsh, wire } = HostCalls
  const { call, raw, unless } = HostCalls.make(libvirt)
  const facts = HypervisorFacts.make(libvirt, yield* Storage)

  const stateOf = (host: Host, action: string, domain: DomainRef) =>
    Effect.map(
      unless(host, action, "DOMAIN_GET_STATE", { dom: wire(domain), flags: 0 }, code.noDomain),
      Option.map(({ state }) => DomainXml.state(state))
    )

  /** What we wrote into a domain's metadata; null for a domain without. None: no such domain. */
  const ownershipOf = (
    host: Host,
    action: string,
    domain: DomainRef
  ): Effect.Effect<Option.Option<DomainXml.Ownership | null>, HostError> =>
    Effect.gen(function* () {
      const args = { dom: wire(domain), type: metadataElement, uri: DomainXml.namespace, flags: 0 }
      const reply = yield* Effect.either(raw(host, "DOMAIN_GET_METADATA", args))
      if (reply._tag === "Left") {
        if (reply.left.refusedWith(code.noDomain)) return Option.none()
        if (reply.left.refusedWith(code.noMetadata)) return Option.some(null)
        return yield* Effect.fail(fromLibvirt(host, action)(reply.left))
      }
      const found = yield* parse(host, action, reply.right.metadata, (root) => DomainXml.readOwnership(root) ?? null)
      return Option.some(found !== null && `vm-${found.vmId}` === domain.domainName ? found : null)
    })

  /** Whether the domain is there. Fails when it is there and not ours: nothing is ever done to such a one. */
  const present = (host: Host, action: string, domain: DomainRef): Effect.Effect<boolean, HostError> =>
    Effect.flatMap(ownershipOf(host, action, domain), (found) =>
      Option.isSome(found) && found.value === null
        ? failure(
            host,
            action,
            `the domain with uuid ${domain.uuid} does not say that it is ${domain.domainName} of vmfabric, so it is left alone`
          )
        : Effect.succeed(Option.isSome(found))
    )

  const define = Trail.traced("Hypervisor.define")(
    Effect.fnUntraced(function* (host: Host, spec: DomainSpec, isNew = false) {
      const action = `define ${spec.domainName}`
      const known = host.facts ?? (yield* facts(host))
      if (!isNew) yield* present(host, action, spec)
      const xml = yield* render(host, action, DomainXml.build(spec, known))
      const defined = yield* Effect.either(raw(host, "DOMAIN_DEFINE_XML_FLAGS", { xml, flags: flags.validate }))
      if (defined._tag === "Right") return
      const refused = fromLibvirt(host, action)(defined.left)
      // this code says many things; a taken name is one of them
      if (!defined.left.refusedWith(code.operationFailed)) return yield* Effect.fail(refused)
      const other = yield* unless(host, action, "DOMAIN_LOOKUP_BY_NAME", { name: spec.domainName }, code.noDomain)
      if (Option.isNone(other) || other.value.dom.uuid === spec.uuid) return yield* Effect.fail(refused)
      return yield* failure(
        host,
        action,
        `another domain ${spec.domainName} that is not ours has that name (uuid ${other.value.dom.uuid})`,
        defined.left
      )
    })
  )

  const start = Trail.traced("Hypervisor.start")(
    Effect.fnUntraced(function* (host: Host, domain: DomainRef, isNew = false) {
      const action = `start ${domain.domainName}`
      if (!isNew && !(yield* present(host, action, domain))) return yield* failure(host, action, noDomain)
      const started = yield* Effect.either(raw(host, "DOMAIN_CREATE_WITH_FLAGS", { dom: wire(domain), flags: 0 }))
      if (started._tag === "Right") return
      const refused = fromLibvirt(host, action)(started.left)
      if (!started.left.refusedWith(code.operationInvalid)) return yield* Effect.fail(refused)
      // "already running" is said of any domain that has a QEMU
      const state = Option.getOrUndefined(yield* stateOf(host, action, domain))
      if (state === "running" || state === "blocked") return
      if (state !== "paused") return yield* Effect.fail(refused)
      yield* call(host, action, "DOMAIN_RESUME", { dom: wire(domain) })
    })
  )

  const status = Trail.traced("Hypervisor.status")(
    Effect.fnUntraced(function* (host: Host, domain: DomainRef) {
      const action = `look at ${domain.domainName}`
      const [state, found] = yield* Effect.all([stateOf(host, action, domain), ownershipOf(host, action, domain)], {
        concurrency: 2
      })
      // both or neither: it may vanish between the two
      return Option.zipWith(state, found, (state, found) => ({ state, operationId: found?.operationId ?? null }))
    })
  )

  const powerOff = Effect.fn("Hypervisor.powerOff")(function* (host: Host, domain: DomainRef) {
    const action = `power off ${domain.domainName}`
    if (!(yield* present(host, action, domain))) return
    yield* unless(host, action, "DOMAIN_DESTROY", { dom: wire(domain) }, code.noDomain, code.operationInvalid)
  })

  /** libvirt keeps it for ever: 8 MiB of each guest that there ever was. An account that may not remove it may not read it, either. */
  const forgetConsole = (host: Host, action: string, { domainName }: DomainRef) => {
    const paths = DomainXml.serialLogs(domainName)
    return ssh.removeFiles(host.config.address, paths).pipe(
      Effect.catchIf(
        ({ reason }) => reason._tag === "SshFileRefused",
        (error) => Effect.logInfo(`what the console of ${domainName} has said stays on its host: ${error.message}`)
      ),
      Effect.mapError(fromSsh(host, action, "remove what its console has said"))
    )
  }

  const undefine = Effect.fn("Hypervisor.undefine")(function* (host: Host, domain: DomainRef) {
    const action = `undefine ${domain.domainName}`
    if (yield* present(host, action, domain)) {
      const state = Option.getOrUndefined(yield* stateOf(host, action, domain))
      // libvirt would make it a transient one and let it run on, unknown to everybody
      if (state !== undefined && state !== "shutoff" && state !== "crashed") {
        return yield* failure(host, action, `it is ${state}`)
      }
      yield* unless(
        host,
        action,
        "DOMAIN_UNDEFINE_FLAGS",
        { dom: wire(domain), flags: flags.undefineAll },
        code.noDomain
      )
    }
    yield* forgetConsole(host, action, domain)
  })

  const list = Effect.fn("Hypervisor.list")(function* (host: Host) {
    const { domains } = yield* call(host, "list its domains", "CONNECT_LIST_ALL_DOMAINS", { need_results: 1, flags: 0 })
    return domains.map(({ name, uuid }) => ({ uuid, name }))
  })

  const powers = Effect.fn("Hypervisor.powers")(function* (host: Host) {
    const action = "tell how its domains are"
    const ask = (which: number) =>
      raw(host, "CONNECT_GET_ALL_DOMAIN_STATS", { doms: [], stats: stateStats, flags: which })
    const { retStats } = yield* ask(flags.noWait).pipe(
      // a libvirt before 4.5 does not know the flag
      Effect.catchIf(
        (error) => error.refusedWith(code.invalidArgument),
        () => ask(0)
      ),
      Effect.mapError(fromLibvirt(host, action))
    )
    return retStats.map(({ dom, params }): Powered => {
      const number = (field: string) => {
        const value = params.find((parameter) => parameter.field === field)?.value
        return value?.type === "int" ? value.value : 0
      }
      const power = DomainPower.of(number("state.state"), number("state.reason"), dom.id !== -1)
      return { uuid: dom.uuid, name: dom.name, ...power }
    })
  })

  const power = Trail.traced("Hypervisor.power")(
    Effect.fnUntraced(function* (host: Host, domain: DomainRef) {
      const found = yield* unless(
        host,
        `look at ${domain.domainName}`,
        "DOMAIN_GET_STATE",
        { dom: wire(domain), flags: 0 },
        code.noDomain
      )
      return Option.map(found, ({ reason, state }): Powered => ({
        uuid: domain.uuid,
        name: domain.domainName,
        // the QEMU driver always knows a state
        ...DomainPower.of(state, reason, true)
      }))
    })
  )

  const glance: Hypervisor["Type"]["glance"] = Effect.fn("Hypervisor.glance")(function* (host, uuid, known) {
    const action = `look at the domain with uuid ${uuid}`
    const dom = { name: "", uuid, id: -1 }
    const describe = (which: number) =>
      Effect.map(
        unless(host, action, "DOMAIN_GET_XML_DESC", { dom, flags: which }, code.noDomain),
        Option.map(({ xml }) => xml)
      )
    const [now, next, kept, booted] = yield* Effect.all(
      [
        describe(0),
        describe(HostCalls.describing.inactive),
        unless(host, action, "DOMAIN_IS_PERSISTENT", { dom }, code.noDomain),
        unless(host, action, "DOMAIN_GET_AUTOSTART", { dom }, code.noDomain)
      ],
      { concurrency: 4 }
    )
    // all or nothing: it may vanish in between
    if (Option.isNone(now) || Option.isNone(next) || Option.isNone(kept) || Option.isNone(booted)) {
      return Option.none<DomainGlance>()
    }
    const persistent = kept.value.persistent === 1
    const autostart = booted.value.autostart === 1
    const digest = createHash("sha256")
      .update(`${persistent}${autostart}\n${now.value}\0${next.value}`)
      .digest("base64url")
      .slice(0, 22)
    if (digest === known) return Option.some<DomainGlance>({ digest, detail: null })
    const read = (xml: string) =>
      parse(host, action, xml, (root) =>
        root.name === "domain"
          ? {
              active: DomainXml.isActive(root),
              shape: DomainXml.shape(root),
              owner: DomainXml.ownership(root) ?? null
            }
          : undefined
      )
    const current = yield* read(now.value)
    const defined = !persistent ? null : current.active ? yield* read(next.value) : current
    const detail: DomainDetail = {
      owner: (defined ?? current).owner,
      autostart,
      live: current.active ? current.shape : null,
      defined: defined?.shape ?? null
    }
    return Option.some<DomainGlance>({ digest, detail })
  })

  /** Gives the domain another definition; undefined: it is as it should be. */
  const changeDefinition = Effect.fnUntraced(function* (
    host: Host,
    domain: DomainRef,
    change: (definition: Xml.Element) => Xml.Element | undefined
  ) {
    const action = `change the definition of ${domain.domainName}`
    if (!(yield* present(host, action, domain))) return yield* failure(host, action, noDomain)
    // without its secrets the passwords that somebody gave its screen would be lost
    const args = { dom: wire(domain), flags: HostCalls.describing.inactive | HostCalls.describing.secure }
    const { xml } = yield* call(host, action, "DOMAIN_GET_XML_DESC", args)
    const changed = yield* parse(host, action, xml, (root) =>
      root.name === "domain" ? (change(root) ?? null) : undefined
    )
    if (changed === null) return
    yield* call(host, action, "DOMAIN_DEFINE_XML_FLAGS", { xml: yield* render(host, action, changed), flags: 0 })
  })

  const rename = Effect.fn("Hypervisor.rename")(function* (host: Host, domain: DomainRef, title: string) {
    const action = `rename ${domain.domainName}`
    if (!(yield* present(host, action, domain))) return yield* failure(host, action, noDomain)
    const set = (which: number) =>
      raw(host, "DOMAIN_SET_METADATA", {
        dom: wire(domain),
        type: metadataTitle,
        metadata: title,
        key: null,
        uri: null,
        flags: which
      })
    const isOff = (error: LibvirtError) => error.refusedWith(code.operationInvalid)
    yield* set(impact.live | impact.config).pipe(
      // what starts meanwhile, by hand or with its host, may have begun with the title before
      Effect.catchIf(isOff, () =>
        Effect.zipRight(
          set(impact.config),
          Effect.catchIf(set(impact.live), isOff, () => Effect.void)
        )
      ),
      Effect.mapError(fromLibvirt(host, action))
    )
  })

  const setAutostart = Effect.fn("Hypervisor.setAutostart")(function* (host: Host, domain: DomainRef, on: boolean) {
    const action = `have ${domain.domainName} ${on ? "" : "not "}started when it boots`
    if (!(yield* present(host, action, domain))) return yield* failure(host, action, noDomain)
    yield* call(host, action, "DOMAIN_SET_AUTOSTART", { dom: wire(domain), autostart: on ? 1 : 0 })
  })

  const redefine: Hypervisor["Type"]["redefine"] = Effect.fn("Hypervisor.redefine")((host, domain, shape) =>
    changeDefinition(host, domain, (definition) => DomainXml.reshape(definition, shape))
  )

  const provideSeed: Hypervisor["Type"]["provideSeed"] = Effect.fn("Hypervisor.provideSeed")((host, domain, seed) =>
    changeDefinition(host, domain, (definition) => DomainXml.withSeed(definition, seed))
  )

  return Hypervisor.of({
    facts,
    define,
    describe: Effect.fn("Hypervisor.describe")(function* (host, spec) {
      const known = host.facts ?? (yield* facts(host))
      return yield* renderIndented(host, `describe ${spec.domainName}`, DomainXml.build(spec, known))
    }),
    describeDisk: (host, disk) => renderIndented(host, `describe ${disk.target}`, DomainXml.volumeDisk(disk)),
    start,
    status,
    powerOff,
    undefine,
    ...HypervisorDisks.make(libvirt, { present, stateOf }, options.release),
    describeNic: (host, nic) => renderIndented(host, `describe ${nic.alias}`, DomainXml.nic(nic)),
    ...HypervisorNics.make(libvirt, { present, stateOf }, options.release),
    ...HypervisorPower.make(libvirt, { present, stateOf }, options.ask),
    list,
    powers,
    power,
    detail: (host, uuid) =>
      Effect.map(
        glance(host, uuid, null),
        Option.flatMap(({ detail }) => Option.fromNullable(detail))
      ),
    glance,
    redefine,
    rename,
    setAutostart,
    provideSeed,
    changes: (host) =>
      libvirt.events(host.config.address).pipe(
        Stream.filterMap((event): Option.Option<DomainChange> => {
          const { name, uuid } = event
          if (event._tag === "DeviceRemoved") {
            return Option.some({ uuid, name, change: "device-removed", device: event.devAlias })
          }
          if (event._tag === "DeviceAdded") {
            return Option.some({ uuid, name, change: "device-added", device: event.devAlias })
          }
          if (event._tag === "MetadataChange") return Option.some({ uuid, name, change: "annotated", device: null })
          const change = event._tag === "Lifecycle" ? lifecycle[event.event] : undefined
          return change === undefined ? Option.none() : Option.some({ uuid, name, change, device: null })
        }),
        Stream.mapError(fromLibvirt(host, "report its changes"))
      )
  })
})

/** @since 0.2.0 @category layers */
export const layerWith = (options: Partial<Options> = {}): Layer.Layer<Hypervisor, never, Libvirt | Storage | Ssh> =>
  Layer.effect(Hypervisor, make({ ...defaults, ...options }))

/** @since 0.1.0 @category layers */
export const layer: Layer.Layer<Hypervisor, never, Libvirt | Storage | Ssh> = layerWith()
