/**
 * Simulated hosts by address, with the keys to log in to them.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Duplex } from "node:stream"
import * as Keys from "./Keys.ts"
import { defaultConfig, formatAddress, type HostAddress } from "../domain/Host.ts"
import { InstanceTypeId } from "../domain/Ids.ts"
import type { FleetConfig } from "../services/Inventory.ts"
import { SshError, SshTimeout, SshUnreachable } from "../services/Ssh.ts"
import { randomFrom } from "./HostState.ts"
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
}

/** Lives as long as the scope. @since 0.1.0 @category constructors */
export const make = (options: Options): Effect.Effect<Fleet, never, Scope.Scope> =>
  Effect.gen(function* () {
    const client = Keys.make()
    const seed = options.seed ?? 1
    const hosts = yield* Effect.forEach(options.hosts, (host, index) =>
      SimulatedHost.make({ seed: seed * 1000 + index, ...host, authorizedKeys: [client.public] })
    )
    const byName = new Map(hosts.map((host) => [host.hostname, host]))
    const limit = Duration.decode(options.dialTimeout ?? "10 seconds")
    return {
      hosts,
      host: (hostname) => byName.get(hostname),
      credentials: {
        privateKeys: [client.private],
        knownHosts: hosts.map((host) => `${host.hostname} ${host.hostKey}\n`).join("")
      },
      dial: (address) => {
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
        return host.dial.pipe(
          Effect.mapError((cause) => failed(new SshUnreachable({ reason: "nothing listens there (port 22)" }), cause)),
          Effect.timeoutFail({
            duration: limit,
            onTimeout: () => failed(new SshTimeout({ after: Duration.format(limit) }))
          })
        )
      }
    }
  })

/** @since 0.1.0 @category models */
export interface Demonstration extends Fleet {
  /** what the three input files would say */
  readonly config: FleetConfig
}

const mebibyte = 1024 ** 2

/** A raw disk of `size` bytes that looks like one: boot signature, then noise from the seed. @since 0.1.0 @category constructors */
export const diskImage = (size: number, seed: number): Uint8Array => {
  const random = randomFrom(seed)
  const bytes = Buffer.alloc(size)
  for (let at = 512; at + 4 <= size; at += 4096) bytes.writeUInt32LE(Math.floor(random() * 2 ** 32), at)
  bytes.writeUInt16LE(0xaa55, 510)
  return bytes
}

/**
 * The fleet for trying things out: three hosts of 8 vCPUs, 32 GiB and 500 GiB, two images on a fourth machine, four types.
 *
 * @since 0.1.0 @category constructors
 */
export const demonstration = (
  options: { readonly hosts?: number; readonly seed?: number } = {}
): Effect.Effect<Demonstration, never, Scope.Scope> =>
  Effect.gen(function* () {
    const seed = options.seed ?? 1
    const names = Array.from({ length: options.hosts ?? 3 }, (_, index) => `sim-${index + 1}`)
    const fleet = yield* make({
      seed,
      hosts: [
        ...names.map((hostname) => ({ hostname, bootTime: "2 seconds" as const, shutdownTime: "1 second" as const })),
        { hostname: "sim-images", networks: [] }
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
    const address = (host: string): HostAddress => ({ user: "root", host, port: 22 })
    return {
      ...fleet,
      config: {
        hosts: names.map((name) => defaultConfig(address(name))),
        images: images.map(({ file, name }) => ({
          source: { host: address("sim-images"), path: `/images/${file}` },
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
