/**
 * What the simulated daemon does for each procedure.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type { Args, ProcedureName, Reply } from "../libvirt/Procedures.ts"
import * as Agents from "./Agents.ts"
import * as Capabilities from "./Capabilities.ts"
import * as Devices from "./Devices.ts"
import * as Domains from "./Domains.ts"
import type { GuestControl } from "./Guests.ts"
import type { HostState, SimulatedDomain, SimulatedNetwork, SimulatedPool, SimulatedSecret } from "./HostState.ts"
import * as Metadata from "./Metadata.ts"
import * as Networks from "./Networks.ts"
import * as Nics from "./Nics.ts"
import { code, from, refuse, type Refusal, unsupportedFlags } from "./Refusal.ts"
import * as Secrets from "./Secrets.ts"
import * as Storage from "./Storage.ts"

/** The connection a call came on. @since 0.1.0 @category models */
export interface Session {
  open: boolean
  readonly registered: Map<string, Registration>
  /** the daemon begins to ask whether the client lives */
  readonly startKeepalive: () => void
  /** the connection ends once this call's reply is out */
  closing: boolean
}

/** @since 0.1.0 @category models */
export interface Registration {
  readonly family: "domain" | "pool" | "network"
  readonly callbackID: number
  readonly eventID: number
  /** null: of all */
  readonly uuid: string | null
}

/** @since 0.1.0 @category models */
export interface Daemon {
  readonly state: HostState
  readonly guests: GuestControl
  /** callback ids are the daemon's, counted for each family */
  readonly nextCallback: Record<Registration["family"], number>
}

/** @since 0.1.0 @category models */
export type Handler<P extends ProcedureName> = (args: Args<P>, session: Session) => Effect.Effect<Reply<P>, Refusal>

/** @since 0.1.0 @category models */
export type Handlers = { readonly [P in ProcedureName]?: Handler<P> }

const features: Readonly<Record<number, number>> = {
  3: 1,
  4: 1,
  6: 1,
  7: 1,
  8: 1,
  9: 1,
  10: 1,
  11: 1,
  12: 1,
  13: 1,
  14: 1,
  15: 1,
  16: 1
}

const answer = <A>(of: () => Either.Either<A, Refusal>): Effect.Effect<A, Refusal> => Effect.suspend(of)

const onlyFlags = (flags: number, known: number, procedure: string, domain?: number): Effect.Effect<void, Refusal> =>
  Effect.suspend(() => unsupportedFlags(flags, known, procedure, domain) ?? Effect.void)

// how long DETACH_DEVICE waits for the guest before it answers all the same
const unplugWait = Duration.seconds(5)

const listed = <A>(needResults: number, all: ReadonlyArray<A>) => ({
  items: needResults === 0 ? [] : all,
  ret: all.length
})

/** Its filters have the numbers of those of CONNECT_LIST_ALL_DOMAINS. */
const statsFilter = (flags: number): number => flags & 0xff

/**
 * The calls that are jobs on a domain: one at a time. DESTROY is none of them here, since it kills what it would wait for.
 *
 * @since 0.1.0 @category constants
 */
export const jobs: ReadonlySet<ProcedureName> = new Set([
  "DOMAIN_CREATE",
  "DOMAIN_CREATE_WITH_FLAGS",
  "DOMAIN_SUSPEND",
  "DOMAIN_RESUME",
  "DOMAIN_SHUTDOWN",
  "DOMAIN_SHUTDOWN_FLAGS",
  "DOMAIN_REBOOT",
  "DOMAIN_RESET",
  "DOMAIN_SET_AUTOSTART",
  "DOMAIN_SET_METADATA",
  "DOMAIN_ATTACH_DEVICE",
  "DOMAIN_ATTACH_DEVICE_FLAGS",
  "DOMAIN_DETACH_DEVICE",
  "DOMAIN_DETACH_DEVICE_FLAGS",
  "DOMAIN_DETACH_DEVICE_ALIAS",
  "DOMAIN_UPDATE_DEVICE_FLAGS",
  "DOMAIN_BLOCK_RESIZE",
  "DOMAIN_GET_BLOCK_INFO"
])

/** The whole table. @since 0.1.0 @category constructors */
export const make = (daemon: Daemon): Handlers => {
  const { guests, state: host } = daemon
  const domain = (ref: Domains.DomainRef) => Domains.find(host, ref)
  const pool = (ref: Storage.PoolRef) => Storage.find(host, ref)
  const volume = (ref: Storage.VolumeRef) => Storage.volumeOf(host, ref)
  const network = (ref: Networks.NetworkRef) => Networks.find(host, ref)
  const onDomain = <A>(ref: Domains.DomainRef, look: (domain: SimulatedDomain) => Either.Either<A, Refusal>) =>
    answer(() => Either.flatMap(domain(ref), look))
  const onPool = <A>(ref: Storage.PoolRef, act: (pool: SimulatedPool) => Either.Either<A, Refusal>) =>
    answer(() => Either.flatMap(pool(ref), act))
  const onVolume = <A>(ref: Storage.VolumeRef, act: (volume: Storage.Volume) => Either.Either<A, Refusal>) =>
    answer(() => Either.flatMap(volume(ref), act))
  const onNetwork = <A>(ref: Networks.NetworkRef, act: (network: SimulatedNetwork) => Either.Either<A, Refusal>) =>
    answer(() => Either.flatMap(network(ref), act))
  const onSecret = <A>(
    ref: Pick<Secrets.SecretRef, "uuid">,
    act: (secret: SimulatedSecret) => Either.Either<A, Refusal>
  ) => answer(() => Either.flatMap(Secrets.find(host, ref.uuid), act))
  const poolRef = ({ name, uuid }: SimulatedPool): Storage.PoolRef => ({ name, uuid })
  const networkRef = ({ name, uuid }: SimulatedNetwork): Networks.NetworkRef => ({ name, uuid })
  const flag = (on: boolean): number => (on ? 1 : 0)

  const define = (xml: string) =>
    answer(() => Either.map(Domains.define(host, xml), (domain) => ({ dom: Domains.refOf(domain) })))
  const start = (ref: Domains.DomainRef, flags: number) =>
    onDomain(ref, (domain) =>
      Either.map(Domains.start(host, domain, flags), () => {
        guests.boot(domain)
        return { dom: Domains.refOf(domain) }
      })
    )
  const shutDown = (ref: Domains.DomainRef) =>
    onDomain(ref, (domain) => Either.map(Domains.needAwake(domain), () => guests.press(domain, "off")))
  const reboot = (ref: Domains.DomainRef) =>
    onDomain(ref, (domain) => Either.map(Domains.needLive(domain, from.domain), () => guests.press(domain, "anew")))
  const reset = (ref: Domains.DomainRef) =>
    onDomain(ref, (domain) =>
      Either.map(Domains.reset(host, domain), () => {
        guests.reset(domain)
      })
    )
  const looking = (domain: SimulatedDomain) => () => guests.look(domain)
  const attach = (ref: Domains.DomainRef, xml: string, flags: number) =>
    onDomain(ref, (domain) => Either.map(Devices.attach(host, domain, xml, flags), looking(domain)))
  const detach = (ref: Domains.DomainRef, which: Devices.Which, flags: number) =>
    Effect.gen(function* () {
      const found = yield* domain(ref)
      const disk = yield* Devices.detach(host, found, which, flags)
      if (disk === null) return
      guests.ask(found, disk)
      // by alias libvirt only asks
      if (which._tag === "Alias") return
      const gone = yield* Effect.timeoutTo(guests.answer(found, disk), {
        duration: unplugWait,
        onSuccess: (gone) => gone,
        onTimeout: () => true
      })
      if (!gone) return yield* refuse(code.operationFailed, from.qemu, "unplug of device was rejected by the guest")
    })

  const register = (
    session: Session,
    family: Registration["family"],
    eventID: number,
    uuid: string | null,
    known: number
  ): Effect.Effect<{ callbackID: number }, Refusal> =>
    Effect.suspend(() => {
      if (eventID < 0 || eventID > known) {
        return Effect.fail(refuse(code.internal, from.rpc, `unsupported event ID ${eventID}`))
      }
      const callbackID = daemon.nextCallback[family]++
      session.registered.set(`${family} ${callbackID}`, { family, callbackID, eventID, uuid })
      return Effect.succeed({ callbackID })
    })
  const deregister = (session: Session, family: Registration["family"], callbackID: number) =>
    Effect.suspend(() =>
      session.registered.delete(`${family} ${callbackID}`)
        ? Effect.void
        : Effect.fail(refuse(code.internal, from.rpc, `${family} event callback ${callbackID} not registered`))
    )

  return {
    AUTH_LIST: () => Effect.succeed({ types: [0] }),
    CONNECT_OPEN: ({ name }, session) =>
      Effect.suspend(() => {
        if (session.open) {
          // and the session that was there is gone
          session.open = false
          session.registered.clear()
          return Effect.fail(refuse(code.internal, from.rpc, "connection already open"))
        }
        if (name === null) return Effect.fail(refuse(code.internal, from.rpc, "connection not open"))
        if (name !== "" && name !== "qemu:///system") {
          return Effect.fail(refuse(code.noConnect, from.none, name))
        }
        session.open = true
        return Effect.void
      }),
    CONNECT_CLOSE: (_args, session) =>
      Effect.sync(() => {
        session.closing = true
      }),
    CONNECT_SUPPORTS_FEATURE: ({ feature }, session) =>
      Effect.sync(() => {
        if (feature === 10) session.startKeepalive()
        return { supported: features[feature] ?? 0 }
      }),
    CONNECT_GET_TYPE: () => Effect.succeed({ type: "QEMU" }),
    CONNECT_GET_VERSION: () => Effect.succeed({ hv_ver: 7_002_022n }),
    CONNECT_GET_LIB_VERSION: () => Effect.succeed({ lib_ver: BigInt(host.machine.libvirtVersion) }),
    CONNECT_GET_HOSTNAME: () => Effect.succeed({ hostname: host.machine.hostname }),
    CONNECT_GET_URI: () => Effect.succeed({ uri: "qemu:///system" }),
    CONNECT_GET_CAPABILITIES: () => Effect.succeed({ capabilities: Capabilities.capabilities(host.machine) }),
    CONNECT_BASELINE_CPU: ({ flags, xmlCPUs }) => answer(() => Capabilities.baseline(xmlCPUs, flags)),
    CONNECT_GET_DOMAIN_CAPABILITIES: ({ machine, virttype }) =>
      Effect.suspend(() => {
        const type = virttype ?? (host.machine.kvm ? "kvm" : "qemu")
        return type === "kvm" && !host.machine.kvm
          ? Effect.fail(
              refuse(
                code.invalidArg,
                from.none,
                "the accel 'kvm' is not supported by '/usr/bin/qemu-system-x86_64' on this host"
              )
            )
          : Effect.succeed({ capabilities: Capabilities.domainCapabilities(type, machine ?? "pc") })
      }),
    NODE_GET_INFO: () =>
      Effect.succeed({
        model: "x86_64",
        memory: BigInt(Math.floor(host.machine.memory / 1024)),
        cpus: host.machine.cpus,
        mhz: 2299,
        nodes: 1,
        sockets: 1,
        cores: host.machine.cpus,
        threads: 1
      }),
    NODE_GET_CPU_MAP: () =>
      Effect.succeed({ cpumap: new Uint8Array(0), online: host.machine.cpus, ret: host.machine.cpus }),
    NODE_GET_FREE_MEMORY: () => Effect.sync(() => ({ freeMem: BigInt(Domains.freeMemory(host)) })),

    CONNECT_LIST_ALL_DOMAINS: ({ flags, need_results }) =>
      Effect.sync(() => {
        const { items, ret } = listed(need_results, Domains.listAll(host, flags))
        return { domains: items.map(Domains.refOf), ret }
      }),
    CONNECT_GET_ALL_DOMAIN_STATS: ({ doms, flags, stats }) =>
      Effect.zipRight(
        // the filters, and what asks for no waiting, for backing chains and for all groups or none
        onlyFlags(flags, 0xe00000ff, "qemuConnectGetAllDomainStats"),
        Effect.sync(() => {
          // one that is not there is passed over
          const asked = new Set(doms.map(({ uuid }) => uuid))
          const found = Domains.listAll(host, statsFilter(flags)).filter(
            ({ uuid }) => doms.length === 0 || asked.has(uuid)
          )
          return {
            retStats: found.map((domain) => ({
              dom: Domains.refOf(domain),
              params: Domains.statsOf(host, domain, stats)
            }))
          }
        })
      ),
    DOMAIN_LOOKUP_BY_NAME: ({ name }) =>
      answer(() => Either.map(Domains.byName(host, name), (found) => ({ dom: Domains.refOf(found) }))),
    DOMAIN_LOOKUP_BY_UUID: ({ uuid }) =>
      answer(() => Either.map(Domains.byUuid(host, uuid), (found) => ({ dom: Domains.refOf(found) }))),
    DOMAIN_LOOKUP_BY_ID: ({ id }) =>
      answer(() => Either.map(Domains.byId(host, id), (found) => ({ dom: Domains.refOf(found) }))),
    // 2: it ends with the session that has started it, which nothing here does
    DOMAIN_CREATE_XML: ({ flags, xml_desc }) =>
      Effect.zipRight(
        onlyFlags(flags, 0x2, "qemuDomainCreateXML"),
        answer(() =>
          Either.flatMap(Domains.define(host, xml_desc), (domain) =>
            Either.flatMap(Domains.start(host, domain, 0), () =>
              Either.map(Domains.undefine(host, domain), () => {
                guests.boot(domain)
                return { dom: Domains.refOf(domain) }
              })
            )
          )
        )
      ),
    DOMAIN_DEFINE_XML: ({ xml }) => define(xml),
    DOMAIN_DEFINE_XML_FLAGS: ({ flags, xml }) =>
      Effect.zipRight(onlyFlags(flags, 0x1, "qemuDomainDefineXMLFlags"), define(xml)),
    DOMAIN_UNDEFINE: ({ dom }) => onDomain(dom, (domain) => Domains.undefine(host, domain)),
    DOMAIN_UNDEFINE_FLAGS: ({ dom, flags }) =>
      Effect.zipRight(
        onlyFlags(flags, 0x7f, "qemuDomainUndefineFlags"),
        onDomain(dom, (domain) => Domains.undefine(host, domain))
      ),
    DOMAIN_CREATE: ({ dom }) => Effect.asVoid(start(dom, 0)),
    DOMAIN_CREATE_WITH_FLAGS: ({ dom, flags }) =>
      Effect.zipRight(onlyFlags(flags, 0x2f, "qemuDomainCreateWithFlags"), start(dom, flags)),
    DOMAIN_DESTROY: ({ dom }) => onDomain(dom, (domain) => Domains.destroy(host, domain)),
    DOMAIN_DESTROY_FLAGS: ({ dom, flags }) =>
      Effect.zipRight(
        onlyFlags(flags, 0x3, "qemuDomainDestroyFlags"),
        onDomain(dom, (domain) => Domains.destroy(host, domain))
      ),
    DOMAIN_SHUTDOWN: ({ dom }) => shutDown(dom),
    // 1: by its power button; 2: by its agent
    DOMAIN_SHUTDOWN_FLAGS: ({ dom, flags }) =>
      Effect.zipRight(onlyFlags(flags, 0x3, "qemuDomainShutdownFlags"), shutDown(dom)),
    DOMAIN_REBOOT: ({ dom, flags }) => Effect.zipRight(onlyFlags(flags, 0x3, "qemuDomainReboot"), reboot(dom)),
    DOMAIN_RESET: ({ dom, flags }) => Effect.zipRight(onlyFlags(flags, 0, "qemuDomainReset"), reset(dom)),
    DOMAIN_SUSPEND: ({ dom }) => onDomain(dom, (domain) => Domains.suspend(host, domain)),
    DOMAIN_RESUME: ({ dom }) => onDomain(dom, (domain) => Either.map(Domains.resume(host, domain), looking(domain))),
    DOMAIN_GET_XML_DESC: ({ dom, flags }) =>
      onDomain(dom, (domain) => Either.right({ xml: Domains.xmlOf(domain, flags) })),
    DOMAIN_SCREENSHOT: ({ dom, screen }) =>
      onDomain(dom, (domain) => {
        if (domain.live === null) return Either.left(refuse(code.operationInvalid, from.qemu, "domain is not running"))
        return screen === 0
          ? Either.right({ mime: "image/png" })
          : Either.left(refuse(code.invalidArg, from.qemu, "invalid argument: no such screen"))
      }),
    DOMAIN_OPEN_CONSOLE: ({ dev_name, dom, flags }) =>
      Effect.zipRight(
        onlyFlags(flags, 0x3, "qemuDomainOpenConsole"),
        onDomain(dom, (domain) => {
          if (domain.live === null)
            return Either.left(refuse(code.operationInvalid, from.qemu, "domain is not running"))
          const has = Domains.devicesOf(domain.live.definition).some(({ name }) => name === "serial")
          return has && dev_name === null
            ? Either.right(undefined)
            : Either.left(refuse(code.internal, from.qemu, `cannot find character device ${dev_name ?? "<null>"}`))
        })
      ),
    DOMAIN_GET_STATE: ({ dom }) => onDomain(dom, ({ reason, state }) => Either.right({ state, reason })),
    DOMAIN_GET_INFO: ({ dom }) =>
      onDomain(dom, (domain) => {
        const info = Domains.infoOf(host, domain)
        return Either.right({
          ...info,
          maxMem: BigInt(info.maxMem),
          memory: BigInt(info.memory),
          cpuTime: BigInt(Math.round(info.cpuTime))
        })
      }),
    DOMAIN_GET_AUTOSTART: ({ dom }) => onDomain(dom, (domain) => Either.right({ autostart: flag(domain.autostart) })),
    DOMAIN_SET_AUTOSTART: ({ autostart, dom }) =>
      onDomain(dom, (domain) => Domains.setAutostart(domain, autostart !== 0)),
    DOMAIN_GET_METADATA: ({ dom, flags, type, uri }) =>
      onDomain(dom, (domain) => Either.map(Metadata.get(domain, type, uri, flags), (metadata) => ({ metadata }))),
    DOMAIN_SET_METADATA: ({ dom, ...given }) =>
      onDomain(dom, (domain) =>
        Either.map(Metadata.set(domain, given), () =>
          host.emit({
            _tag: "DomainMetadata",
            domain: Domains.refOf(domain),
            type: given.type,
            uri: given.uri
          })
        )
      ),
    DOMAIN_IS_ACTIVE: ({ dom }) => onDomain(dom, (domain) => Either.right({ active: flag(domain.live !== null) })),
    DOMAIN_IS_PERSISTENT: ({ dom }) =>
      onDomain(dom, (domain) => Either.right({ persistent: flag(domain.persistent !== null) })),

    DOMAIN_ATTACH_DEVICE: ({ dom, xml }) => attach(dom, xml, 1),
    DOMAIN_ATTACH_DEVICE_FLAGS: ({ dom, flags, xml }) => attach(dom, xml, flags),
    DOMAIN_DETACH_DEVICE: ({ dom, xml }) => detach(dom, { _tag: "Xml", xml }, 1),
    DOMAIN_DETACH_DEVICE_FLAGS: ({ dom, flags, xml }) => detach(dom, { _tag: "Xml", xml }, flags),
    DOMAIN_DETACH_DEVICE_ALIAS: ({ alias, dom, flags }) => detach(dom, { _tag: "Alias", alias }, flags),
    DOMAIN_UPDATE_DEVICE_FLAGS: ({ dom, flags, xml }) =>
      onDomain(dom, (domain) => Devices.update(host, domain, xml, flags)),
    DOMAIN_GET_GUEST_INFO: ({ dom }) =>
      onDomain(dom, (domain) => Either.map(Agents.info(host, domain), (params) => ({ params }))),
    DOMAIN_INTERFACE_ADDRESSES: ({ dom, source }) =>
      onDomain(dom, (domain) =>
        // 1: its agent says so
        source === 1
          ? Either.map(Agents.interfaces(host, domain), (ifaces) => ({ ifaces }))
          : Either.map(
              Nics.addresses(domain, ({ definition }) => Domains.devicesOf(definition), source),
              (ifaces) => ({ ifaces })
            )
      ),
    DOMAIN_BLOCK_RESIZE: ({ disk, dom, flags, size }) =>
      onDomain(dom, (domain) => Either.map(Devices.resize(domain, disk, size, flags), looking(domain))),
    DOMAIN_GET_BLOCK_INFO: ({ dom, flags, path }) =>
      onDomain(dom, (domain) =>
        Either.map(Devices.blockInfo(host, domain, path, flags), (info) => ({
          allocation: BigInt(info.allocation),
          capacity: BigInt(info.capacity),
          physical: BigInt(info.physical)
        }))
      ),

    CONNECT_LIST_ALL_SECRETS: ({ flags, need_results }) =>
      Effect.zipRight(
        onlyFlags(flags, 0xf, "secretConnectListAllSecrets", from.secret),
        Effect.sync(() => {
          const { items, ret } = listed(need_results, Secrets.listAll(host, flags))
          return { secrets: items.map(Secrets.refOf), ret }
        })
      ),
    SECRET_LOOKUP_BY_UUID: ({ uuid }) =>
      onSecret({ uuid }, (secret) => Either.right({ secret: Secrets.refOf(secret) })),
    SECRET_LOOKUP_BY_USAGE: ({ usageID, usageType }) =>
      answer(() =>
        Either.map(Secrets.byUsage(host, usageType, usageID), (secret) => ({ secret: Secrets.refOf(secret) }))
      ),
    // flag 1 asks for a check against the schema
    SECRET_DEFINE_XML: ({ flags, xml }) =>
      Effect.zipRight(
        onlyFlags(flags, 0x1, "secretDefineXML", from.secret),
        answer(() => Either.map(Secrets.define(host, xml), (secret) => ({ secret: Secrets.refOf(secret) })))
      ),
    SECRET_GET_XML_DESC: ({ secret }) => onSecret(secret, (found) => Either.right({ xml: Secrets.xmlOf(found) })),
    SECRET_SET_VALUE: ({ flags, secret, value }) =>
      Effect.zipRight(
        onlyFlags(flags, 0, "secretSetValue", from.secret),
        answer(() => Secrets.setValue(host, secret.uuid, value))
      ),
    SECRET_GET_VALUE: ({ secret }) =>
      onSecret(secret, (found) => Either.map(Secrets.getValue(found), (value) => ({ value }))),
    SECRET_UNDEFINE: ({ secret }) => onSecret(secret, (found) => Secrets.undefine(host, found)),

    CONNECT_LIST_ALL_STORAGE_POOLS: ({ flags, need_results }) =>
      Effect.sync(() => {
        const { items, ret } = listed(need_results, Storage.listAll(host, flags))
        return { pools: items.map(poolRef), ret }
      }),
    STORAGE_POOL_LOOKUP_BY_NAME: ({ name }) =>
      answer(() => Either.map(Storage.byName(host, name), (found) => ({ pool: poolRef(found) }))),
    STORAGE_POOL_LOOKUP_BY_UUID: ({ uuid }) =>
      answer(() => Either.map(Storage.find(host, { name: "", uuid }), (found) => ({ pool: poolRef(found) }))),
    STORAGE_POOL_LOOKUP_BY_TARGET_PATH: ({ path }) =>
      answer(() => Either.map(Storage.byPath(host, path), (found) => ({ pool: poolRef(found) }))),
    STORAGE_POOL_LOOKUP_BY_VOLUME: ({ vol }) =>
      answer(() => Either.map(Storage.byName(host, vol.pool), (found) => ({ pool: poolRef(found) }))),
    STORAGE_POOL_DEFINE_XML: ({ xml }) =>
      answer(() => Either.map(Storage.define(host, xml), (made) => ({ pool: poolRef(made) }))),
    STORAGE_POOL_BUILD: ({ pool }) => onPool(pool, (found) => Storage.build(host, found)),
    STORAGE_POOL_CREATE: ({ flags, pool }) => onPool(pool, (found) => Storage.start(host, found, flags)),
    STORAGE_POOL_REFRESH: ({ pool }) => onPool(pool, (found) => Storage.refresh(host, found)),
    STORAGE_POOL_DESTROY: ({ pool }) => onPool(pool, (found) => Storage.stop(host, found)),
    STORAGE_POOL_DELETE: ({ pool }) => onPool(pool, (found) => Storage.remove(host, found)),
    STORAGE_POOL_UNDEFINE: ({ pool }) => onPool(pool, (found) => Storage.undefine(host, found)),
    STORAGE_POOL_GET_INFO: ({ pool }) =>
      onPool(pool, (found) => {
        const info = Storage.infoOf(host, found)
        return Either.right({
          state: info.state,
          capacity: BigInt(info.capacity),
          allocation: BigInt(info.allocation),
          available: BigInt(info.available)
        })
      }),
    STORAGE_POOL_GET_XML_DESC: ({ pool }) => onPool(pool, (found) => Either.right({ xml: Storage.xmlOf(host, found) })),
    STORAGE_POOL_GET_AUTOSTART: ({ pool }) =>
      onPool(pool, (found) => Either.right({ autostart: flag(found.autostart) })),
    STORAGE_POOL_SET_AUTOSTART: ({ autostart, pool }) =>
      onPool(pool, (found) => {
        found.autostart = autostart !== 0
        return Either.right(undefined)
      }),
    STORAGE_POOL_IS_ACTIVE: ({ pool }) => onPool(pool, (found) => Either.right({ active: flag(found.active) })),
    STORAGE_POOL_LIST_ALL_VOLUMES: ({ need_results, pool }) =>
      onPool(pool, (found) =>
        Either.map(Storage.listVolumes(host, found), (volumes) => {
          const { items, ret } = listed(need_results, volumes)
          return { vols: items.map(Storage.refOf), ret }
        })
      ),

    STORAGE_VOL_CREATE_XML: ({ pool, xml }) =>
      onPool(pool, (found) =>
        Either.map(Storage.createVolume(host, found, xml), (made) => ({ vol: Storage.refOf(made) }))
      ),
    STORAGE_VOL_CREATE_XML_FROM: ({ clonevol, flags, pool, xml }) =>
      Effect.zipRight(
        onlyFlags(flags, 0x3, "storageVolCreateXMLFrom", from.storage),
        onPool(pool, (found) =>
          Either.map(Storage.copyVolume(host, found, xml, clonevol, flags), (made) => ({ vol: Storage.refOf(made) }))
        )
      ),
    STORAGE_VOL_DELETE: ({ vol }) => onVolume(vol, (found) => Either.right(Storage.deleteVolume(host, found))),
    STORAGE_VOL_LOOKUP_BY_NAME: ({ name, pool }) =>
      onPool(pool, (found) =>
        Either.map(Storage.volumeByName(host, found, name), (volume) => ({ vol: Storage.refOf(volume) }))
      ),
    STORAGE_VOL_LOOKUP_BY_KEY: ({ key }) =>
      answer(() => Either.map(Storage.volumeByPath(host, key, "key"), (found) => ({ vol: Storage.refOf(found) }))),
    STORAGE_VOL_LOOKUP_BY_PATH: ({ path }) =>
      answer(() => Either.map(Storage.volumeByPath(host, path, "path"), (found) => ({ vol: Storage.refOf(found) }))),
    STORAGE_VOL_GET_INFO: ({ vol }) =>
      onVolume(vol, (found) => {
        const info = Storage.volumeInfo(found)
        return Either.right({ type: info.type, capacity: BigInt(info.capacity), allocation: BigInt(info.allocation) })
      }),
    STORAGE_VOL_GET_INFO_FLAGS: ({ flags, vol }) =>
      onVolume(vol, (found) => {
        const info = Storage.volumeInfo(found)
        return Either.right({
          type: info.type,
          capacity: BigInt(info.capacity),
          allocation: BigInt((flags & 1) === 1 ? info.physical : info.allocation)
        })
      }),
    STORAGE_VOL_GET_XML_DESC: ({ vol }) =>
      onVolume(vol, (found) => Either.right({ xml: Storage.volumeXml(host, found) })),
    STORAGE_VOL_GET_PATH: ({ vol }) => onVolume(vol, (found) => Either.right({ name: found.path })),
    STORAGE_VOL_RESIZE: ({ capacity, flags, vol }) =>
      Effect.zipRight(
        onlyFlags(flags, 0x7, "storageVolResize", from.storage),
        onVolume(vol, (found) => Storage.resizeVolume(host, found, Number(capacity), flags))
      ),
    STORAGE_VOL_UPLOAD: ({ vol }) => onVolume(vol, () => Either.right(undefined)),
    STORAGE_VOL_DOWNLOAD: ({ vol }) => onVolume(vol, () => Either.right(undefined)),

    CONNECT_LIST_ALL_NETWORKS: ({ flags, need_results }) =>
      Effect.sync(() => {
        const { items, ret } = listed(need_results, Networks.listAll(host, flags))
        return { nets: items.map(networkRef), ret }
      }),
    CONNECT_LIST_ALL_INTERFACES: ({ need_results }) =>
      Effect.sync(() => {
        const { items, ret } = listed(need_results, Networks.interfaces(host))
        return { ifaces: items, ret }
      }),
    INTERFACE_GET_XML_DESC: ({ iface }) =>
      answer(() => Either.map(Networks.interfaceXml(host, iface), (xml) => ({ xml }))),
    NETWORK_LOOKUP_BY_NAME: ({ name }) =>
      answer(() => Either.map(Networks.byName(host, name), (found) => ({ net: networkRef(found) }))),
    NETWORK_LOOKUP_BY_UUID: ({ uuid }) =>
      answer(() => Either.map(Networks.find(host, { name: "", uuid }), (found) => ({ net: networkRef(found) }))),
    NETWORK_GET_XML_DESC: ({ net }) => onNetwork(net, (found) => Either.right({ xml: Networks.xmlOf(found) })),
    NETWORK_GET_BRIDGE_NAME: ({ net }) => onNetwork(net, (found) => Either.right({ name: found.bridge })),
    NETWORK_IS_ACTIVE: ({ net }) => onNetwork(net, (found) => Either.right({ active: flag(found.active) })),
    NETWORK_IS_PERSISTENT: ({ net }) => onNetwork(net, () => Either.right({ persistent: 1 })),
    NETWORK_GET_AUTOSTART: ({ net }) => onNetwork(net, (found) => Either.right({ autostart: flag(found.autostart) })),
    NETWORK_CREATE: ({ net }) => onNetwork(net, Networks.start),
    NETWORK_DESTROY: ({ net }) => onNetwork(net, Networks.stop),

    CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY: ({ dom, eventID }, session) =>
      register(session, "domain", eventID, dom?.uuid ?? null, 26),
    CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY: ({ callbackID }, session) =>
      deregister(session, "domain", callbackID),
    CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY: ({ eventID, pool }, session) =>
      register(session, "pool", eventID, pool?.uuid ?? null, 1),
    CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY: ({ callbackID }, session) => deregister(session, "pool", callbackID),
    CONNECT_NETWORK_EVENT_REGISTER_ANY: ({ eventID, net }, session) =>
      register(session, "network", eventID, net?.uuid ?? null, 0),
    CONNECT_NETWORK_EVENT_DEREGISTER_ANY: ({ callbackID }, session) => deregister(session, "network", callbackID)
  }
}
