/**
 * Simulated hosts by address, with the keys to log in to them.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import * as Keys from "./Keys.ts"
import { defaultConfig, formatAddress, type HostAddress } from "../domain/Host.ts"
import * as Network from "../domain/Network.ts"
import * as Nic from "../domain/Nic.ts"
import { InstanceTypeId } from "../domain/Ids.ts"
import type { WantedPower } from "../domain/Vm.ts"
import * as DomainXml from "../libvirt/DomainXml.ts"
import * as Xml from "../libvirt/Xml.ts"
import type { DomainSpec } from "../services/Hypervisor.ts"
import type { FleetConfig } from "../services/Inventory.ts"
import { SshError, SshTimeout, SshUnreachable } from "../services/Ssh.ts"
import * as Capabilities from "./Capabilities.ts"
import * as Domains from "./Domains.ts"
import * as FleetFile from "./FleetFile.ts"
import * as Guests from "./Guests.ts"
import { HostFile, qcow2Header } from "./HostFiles.ts"
import { randomFrom } from "./HostState.ts"
import type { Session, SessionLost } from "./MemorySession.ts"
import * as Cluster from "./Cluster.ts"
import * as SimulatedHost from "./SimulatedHost.ts"

/** @since 0.1.0 @category models */
export interface Options {
  /** each host's own; the fleet gives the authorized keys and, unless given, the seed */
  readonly hosts: ReadonlyArray<Omit<SimulatedHost.Options, "authorizedKeys">>
  /** how long a dialer waits for a host that does not answer, 10 s unless given */
  readonly dialTimeout?: Duration.DurationInput
  readonly seed?: number
}

/** @since 0.1.0 @category models */
export interface Fleet {
  /** in the order they were asked for */
  readonly hosts: ReadonlyArray<SimulatedHost.SimulatedHost>
  /** `hostname` is its name on the network, any user, port 22 */
  readonly host: (hostname: string) => SimulatedHost.SimulatedHost | undefined
  /** for the Ssh layer */
  readonly credentials: { readonly privateKeys: ReadonlyArray<string>; readonly knownHosts: string }
  /** for SshDialer */
  readonly dial: (address: HostAddress) => Effect.Effect<Duplex, SshError, Scope.Scope>
  /** For a transport without SSH: the same, and then what the connection would carry. */
  readonly connect: (
    address: HostAddress,
    broken: (lost: SessionLost) => SshError
  ) => Effect.Effect<Session, SshError, Scope.Scope>
}

/** From the first SYN to the end of trying, as Linux does by default. */
const connectTimeout = Duration.seconds(127)

/** Lives as long as the scope. @since 0.1.0 @category constructors */
export const make = (options: Options): Effect.Effect<Fleet, never, Scope.Scope> =>
  Effect.gen(function* () {
    // only for those who come by SSH
    let client: Keys.KeyPair | undefined
    const key = () => (client ??= Keys.make())
    const seed = options.seed ?? 1
    const byName = new Map<string, SimulatedHost.SimulatedHost>()
    const refused = new SimulatedHost.DialRefused({ code: "ECONNREFUSED" })
    const monitors = options.hosts.flatMap(({ cephCommands }) => cephCommands?.monitors ?? [])
    const reach: SimulatedHost.Options["reach"] = (target) =>
      Effect.suspend(() => {
        if (monitors.some(({ host, port }) => host === target.host && port === target.port)) return Effect.void
        const host = target.port === 22 ? byName.get(target.host) : undefined
        return host === undefined
          ? Effect.fail(refused)
          : Effect.timeoutFail(host.knock, { duration: connectTimeout, onTimeout: () => refused })
      })
    const hosts = yield* Effect.forEach(options.hosts, (host, index) =>
      SimulatedHost.make({
        seed: seed * 1000 + index,
        reach,
        ...host,
        get authorizedKeys() {
          return [key().public]
        }
      })
    )
    for (const host of hosts) byName.set(host.hostname, host)
    const limit = Duration.decode(options.dialTimeout ?? "10 seconds")
    let credentials: Fleet["credentials"] | undefined

    /** What a dialer makes of a way to a host that is known. */
    const dialing = <A, R>(
      address: HostAddress,
      way: (host: SimulatedHost.SimulatedHost) => Effect.Effect<A, SimulatedHost.DialRefused, R>
    ): Effect.Effect<A, SshError, R> => {
      const failed = (reason: SshUnreachable | SshTimeout, cause?: unknown) =>
        new SshError({
          host: formatAddress(address),
          action: "connect",
          reason,
          ...(cause === undefined ? {} : { cause })
        })
      const host = address.port === 22 ? byName.get(address.host) : undefined
      if (host === undefined) {
        return Effect.fail(
          failed(
            new SshUnreachable({
              reason: byName.has(address.host)
                ? `nothing listens there (port ${address.port})`
                : `its name does not resolve (port ${address.port})`
            })
          )
        )
      }
      return way(host).pipe(
        Effect.mapError((cause) => failed(new SshUnreachable({ reason: "nothing listens there (port 22)" }), cause)),
        Effect.timeoutFail({
          duration: limit,
          onTimeout: () => failed(new SshTimeout({ after: Duration.format(limit) }))
        })
      )
    }
    return {
      hosts,
      host: (hostname) => byName.get(hostname),
      get credentials() {
        return (credentials ??= {
          privateKeys: [key().private],
          knownHosts: hosts.map((host) => `${host.hostname} ${host.hostKey}\n`).join("")
        })
      },
      dial: (address) => dialing(address, (host) => host.dial),
      connect: (address, broken) => dialing(address, (host) => host.session(broken))
    }
  })

/** @since 0.1.0 @category models */
export interface Demonstration extends Fleet {
  /** what the three input files would say */
  readonly config: FleetConfig
  /** how its Ceph pool is reached */
  readonly ceph: {
    readonly pool: string
    readonly client: string
    readonly conf: string
    readonly host: HostAddress
  }
}

const addressOf = (host: string): HostAddress => ({ user: "root", host, port: 22 })

const mebibyte = 1024 ** 2
const gibibyte = 1024 ** 3

/** A raw disk of `size` bytes that looks like one: boot signature, then noise from the seed. @since 0.1.0 @category constructors */
export const diskImage = (size: number, seed: number): Uint8Array => {
  const random = randomFrom(seed)
  const bytes = Buffer.alloc(size)
  for (let at = 512; at + 4 <= size; at += 4096) bytes.writeUInt32LE(Math.floor(random() * 2 ** 32), at)
  bytes.writeUInt16LE(0xaa55, 510)
  return bytes
}

/** What a program is told to use a cluster by way of a host that has Ceph's commands. @since 0.2.0 @category constructors */
export const cephOf = (cluster: Cluster.Cluster, host: HostAddress): Demonstration["ceph"] => ({
  pool: cluster.pool,
  client: cluster.client,
  conf: "/etc/ceph/ceph.conf",
  host
})

/**
 * The fleet for trying things out: three hosts of 8 vCPUs, 32 GiB and 500 GiB, a Ceph pool of 2 TiB, two images on a fourth machine, which also
 * has Ceph's commands, four types.
 *
 * @since 0.1.0 @category constructors
 */
export const demonstration = (
  options: { readonly hosts?: number; readonly seed?: number } = {}
): Effect.Effect<Demonstration, never, Scope.Scope> =>
  Effect.gen(function* () {
    const seed = options.seed ?? 1
    const names = Array.from({ length: options.hosts ?? 3 }, (_, index) => `sim-${index + 1}`)
    const cluster = yield* Cluster.make({ seed, capacity: 2 * 1024 ** 4 })
    const fleet = yield* make({
      seed,
      hosts: [
        ...names.map((hostname) => ({
          hostname,
          bootTime: "2 seconds" as const,
          shutdownTime: "1 second" as const,
          ceph: cluster
        })),
        { hostname: "sim-images", networks: [], cephCommands: cluster }
      ]
    })
    const images = [
      { file: "debian-12.img", name: "Debian 12", size: 8 * mebibyte },
      { file: "ubuntu-24.04.img", name: "Ubuntu 24.04", size: 12 * mebibyte }
    ]
    const library = fleet.host("sim-images")
    if (library !== undefined) {
      yield* Effect.forEach(images, ({ file, size }, index) =>
        library.putFile(`/images/${file}`, diskImage(size, seed + index))
      )
    }
    return {
      ...fleet,
      ceph: cephOf(cluster, addressOf("sim-images")),
      config: {
        hosts: names.map((name) => defaultConfig(addressOf(name))),
        images: images.map(({ file, name }) => ({
          source: { host: addressOf("sim-images"), path: `/images/${file}` },
          name,
          format: "raw" as const
        })),
        types: [
          { cpu: 1, ram: 512, disk: 10 },
          { cpu: 1, ram: 1024, disk: 20 },
          { cpu: 2, ram: 4096, disk: 40 },
          { cpu: 4, ram: 8192, disk: 80 }
        ].map((type, index) => ({ tid: InstanceTypeId.make(index + 1), ...type }))
      }
    }
  })

/** A VM that runs on one of the hosts without anybody having made it there. @since 0.3.0 @category models */
export type Standing = Pick<DomainSpec, "vmId" | "uuid" | "domainName" | "title" | "resources" | "operationId"> & {
  readonly nics: ReadonlyArray<Nic.Nic>
}

const folder = defaultConfig({ user: "root", host: "unused", port: 22 }).path

/**
 * Puts a VM on a host as if it had been there for long: its disk beside the operation's mark, its domain, its guest that is up, unless it is to be
 * stopped. False: the host has no room for it, or has one of that name.
 *
 * @since 0.3.0 @category combinators
 */
export const settle = (host: SimulatedHost.SimulatedHost, vm: Standing, power: WantedPower = "running"): boolean => {
  const { state } = host
  const { machine } = state
  const path = `${folder}/${vm.domainName}-root.qcow2`
  const size = vm.resources.disk * gibibyte
  if (state.files.files.has(path)) return false
  state.files.makeFolder(folder)
  const disk = new HostFile(state.now())
  disk.write(0, qcow2Header({ virtualSize: size, compat: "1.1" }))
  state.files.files.set(path, disk)
  const mark = new HostFile(state.now())
  mark.resize(1)
  state.files.files.set(`${folder}/${vm.domainName}-root.operation-${vm.operationId}`, mark)
  const active = [...state.networks.values()].flatMap(({ active, name }) => (active ? [name] : []))
  const [network = null] = active
  const networks = active.map((name): Network.HostNetwork => ({
    name,
    source: { kind: "libvirt", name },
    vlans: null,
    problem: null
  }))
  const nics = vm.nics.flatMap((nic) =>
    Either.match(Network.connect({ network, networks }, nic), {
      onLeft: () => [],
      onRight: (source) => (source === null ? [] : [{ ...nic, alias: Nic.aliasOf(nic), source }])
    })
  )
  const definition = DomainXml.build(
    { ...vm, nics, root: { _tag: "File", path, format: "qcow2", serial: `${vm.domainName}-root` } },
    {
      hostname: machine.hostname,
      uuid: machine.uuid,
      libvirtVersion: String(machine.libvirtVersion),
      resources: { cpu: machine.cpus, ram: machine.memory / mebibyte, disk: machine.disk / gibibyte },
      arch: "x86_64",
      processor: { model: machine.cpuModel, vendor: Capabilities.vendorOf(machine.cpuModel) },
      domainType: machine.kvm ? "kvm" : "qemu",
      network
    }
  )
  const started = Either.flatMap(Xml.render(definition), (xml) =>
    Either.flatMap(Domains.define(state, xml), (domain) =>
      power === "stopped"
        ? Either.right(undefined)
        : Either.map(Domains.start(state, domain, 0), () => {
            if (domain.live !== null) Guests.comeUp(domain.live)
            if (power === "paused") Domains.suspend(state, domain)
          })
    )
  )
  return Either.isRight(started)
}

/** What there is, beside the fleet's own. @since 0.3.0 @category models */
export interface Described extends Omit<Demonstration, "ceph"> {
  readonly ceph: Demonstration["ceph"] | null
  readonly cluster: Cluster.Cluster
  readonly seed: number
}

const hostOf = ({ bootTime, cpuModel, cpus, disk, kvm, memory, networks, shutdownTime }: FleetFile.Group) => ({
  cpus,
  cpuModel,
  memory: memory * gibibyte,
  disk: disk * gibibyte,
  kvm,
  networks: networks.map((name) => ({ name, active: true })),
  bootTime,
  shutdownTime
})

/** The machine that has the images, and Ceph's commands. */
const library = "sim-library"

const imagePath = (name: string) => `/images/${name}.img`
const hostnames = (file: FleetFile.FleetFile) =>
  file.hosts.flatMap((group) =>
    Array.from({ length: group.count }, (_, index) => ({ group, hostname: `${group.name}-${index + 1}` }))
  )

/** What the three input files would say of the fleet that a file describes. @since 0.7.0 @category getters */
export const configOf = (file: FleetFile.FleetFile): FleetConfig => ({
  hosts: hostnames(file).map(({ hostname }) => defaultConfig(addressOf(hostname))),
  images: file.images.map(({ name }) => ({
    source: { host: addressOf(library), path: imagePath(name) },
    name,
    format: "raw" as const
  })),
  types: file.types
})

/** The fleet that a file describes. Its images are on a machine of their own. @since 0.3.0 @category constructors */
export const describe = (file: FleetFile.FleetFile): Effect.Effect<Described, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { pool, seed } = file
    const cluster = yield* Cluster.make({
      seed,
      ...(pool === undefined ? {} : { pool: pool.name, capacity: pool.capacity * gibibyte })
    })
    const ceph = pool === undefined ? {} : { ceph: cluster }
    const machines = hostnames(file).map(({ group, hostname }) => ({ hostname, ...hostOf(group), ...ceph }))
    const fleet = yield* make({
      seed,
      hosts: [...machines, { hostname: library, networks: [], cephCommands: cluster }]
    })
    yield* Effect.forEach(
      file.images,
      ({ name, size }, index) =>
        fleet.host(library)?.putFile(imagePath(name), diskImage(size * mebibyte, seed + index)) ?? Effect.void
    )
    const { connect, dial, host } = fleet
    return {
      connect,
      dial,
      host,
      get credentials() {
        return fleet.credentials
      },
      seed,
      cluster,
      ceph: pool === undefined ? null : cephOf(cluster, addressOf(library)),
      hosts: fleet.hosts.slice(0, machines.length),
      config: configOf(file)
    }
  })

/** `hosts` machines of one kind. @since 0.3.0 @category constructors */
export const sized = (options: {
  readonly hosts: number
  readonly seed?: number
}): Effect.Effect<Described, never, Scope.Scope> => describe(FleetFile.sized(options))
