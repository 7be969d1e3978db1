/**
 * Hosts: the servers VMs run on.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Ids from "./Ids.ts"
import { HostNetwork, NetworkName, NetworkSource } from "./Network.ts"
import * as Resources from "./Resources.ts"

/**
 * Where a host's sshd answers. `host` is a name or an IP address and never starts with a dash; `user` likewise, so neither can be
 * taken for an option by a program further down.
 *
 * @since 0.1.0 @category models
 */
export const HostAddress = Schema.Struct({
  user: Schema.String.pipe(Schema.pattern(/^[a-z_][a-z0-9_.-]{0,31}$/i)),
  host: Schema.String.pipe(Schema.pattern(/^(?=.{1,253}$)(::|[a-z0-9])([a-z0-9.:_-]*(::|[a-z0-9]))?$/i)),
  port: Schema.Int.pipe(Schema.between(1, 65535))
}).annotations({ identifier: "HostAddress" })
/** @since 0.1.0 @category models */
export type HostAddress = typeof HostAddress.Type

const isHost = Schema.is(HostAddress.fields.host)

const isIPv4 = (text: string): boolean =>
  /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.|$)){4}$/.test(text) && !text.endsWith(".")

/**
 * Whether a machine can be found by it: a host name, an IPv4 address, or an IPv6 address without brackets and without a zone. Dotted numbers that are no
 * IPv4 address would be read as one by some resolvers, and as another by others.
 *
 * @since 0.15.0 @category predicates
 */
export const isHostName = (host: string): boolean => {
  if (!isHost(host)) return false
  if (host.includes(":")) return URL.canParse(`ssh://[${host}]`)
  const labels = host.split(".")
  if (!labels.every((label) => label.length > 0 && label.length < 64 && !label.startsWith("-"))) return false
  return !/^(?:[0-9]+|0x[0-9a-f]*)$/i.test(labels.at(-1) ?? "") || isIPv4(host)
}

/** `user@host`, with `:port` when it is not 22. An IPv6 address stands in brackets. @since 0.1.0 @category formatting */
export const formatAddress = (address: HostAddress): string => {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host
  return `${address.user}@${host}${address.port === 22 ? "" : `:${address.port}`}`
}

const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/

/**
 * By which a machine is known, however its address is written: names ignore case, IPv6 addresses have many spellings, and an IPv4 address in an IPv6 one
 * (`::ffff:…`) is that IPv4 address. An IPv6 address is without brackets.
 *
 * @since 0.10.0 @category formatting
 */
export const canonicalHost = (host: string): string => {
  const url = host.includes(":") ? `ssh://[${host}]` : ""
  if (!URL.canParse(url)) return host.toLowerCase()
  const bare = new URL(url).hostname.slice(1, -1)
  const [, high, low] = mapped.exec(bare) ?? []
  if (high === undefined || low === undefined) return bare
  return [high, low].flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]).join(".")
}

/**
 * How QEMU runs guests: `kvm` by the processor, `qemu` in software, `auto` by what the host's capabilities offer.
 *
 * @since 0.1.0 @category models
 */
export const VirtualizationType = Schema.Literal("auto", "kvm", "qemu")
/** @since 0.1.0 @category models */
export type VirtualizationType = typeof VirtualizationType.Type

const Ratio = Schema.Number.pipe(Schema.finite(), Schema.between(0.1, 1000))

/**
 * What the machine file says of a host, or whoever added it.
 *
 * - `overcommit`: how many times what the machine has may be promised, for each resource.
 * - `limit`: caps on what the machine is taken to have (vCPUs, MiB, GiB); absent: what libvirt reports.
 * - `reserved`: of what may be promised, so much is kept free (vCPUs, MiB, GiB); what is absent in it, or it itself: nothing.
 * - `network`: the network for NICs that name none, by its name here or in libvirt; absent: libvirt's active `default`, else none.
 * - `networks`: what this host has for networks by these names; libvirt's own are offered by their own names besides.
 * - `path`: folder on the host that keeps images and root disks.
 *
 * @since 0.1.0 @category models
 */
export const HostConfig = Schema.Struct({
  address: HostAddress,
  virt: VirtualizationType,
  overcommit: Schema.Struct({ cpu: Ratio, ram: Ratio, disk: Ratio }),
  limit: Schema.partialWith(Resources.Resources, { exact: true }),
  reserved: Schema.optionalWith(Schema.partialWith(Resources.Resources, { exact: true }), { exact: true }),
  network: Schema.optionalWith(NetworkName, { exact: true }),
  networks: Schema.optionalWith(Schema.Record({ key: NetworkName, value: NetworkSource }), { exact: true }),
  path: Schema.String.pipe(
    Schema.pattern(/^\/[A-Za-z0-9_./-]{1,200}$/),
    Schema.filter((path) => !path.split("/").includes(".."))
  ),
  labels: Schema.Record({ key: Schema.String, value: Schema.String })
}).annotations({ identifier: "HostConfig" })
/** @since 0.1.0 @category models */
export type HostConfig = typeof HostConfig.Type

/**
 * Whose a host's settings are: those of `file` are in the machine file and are changed there, those of `api` are kept in the database.
 *
 * @since 0.7.0 @category models
 */
export const HostOrigin = Schema.Literal("file", "api")
/** @since 0.7.0 @category models */
export type HostOrigin = typeof HostOrigin.Type

/** The values of a host line without any `key=value` word. @since 0.1.0 @category constructors */
export const defaultConfig = (address: HostAddress): HostConfig => ({
  address,
  virt: "auto",
  overcommit: { cpu: 4, ram: 1, disk: 1 },
  limit: {},
  path: "/var/lib/vmfabric",
  labels: {}
})

/**
 * What a host said of itself when it was last reached.
 *
 * @since 0.1.0 @category models
 */
export const HostFacts = Schema.Struct({
  hostname: Schema.String,
  /** the machine's UUID as libvirt gives it: tells two addresses of one machine from two machines */
  uuid: Schema.String,
  libvirtVersion: Schema.String,
  /** physical amounts, before overcommit and limits */
  resources: Resources.Resources,
  arch: Schema.String,
  /** its processor as libvirt names it, null: it does not; absent: it was last looked at by a version that did not ask */
  processor: Schema.optionalWith(
    Schema.Struct({ model: Schema.NullOr(Schema.String), vendor: Schema.NullOr(Schema.String) }),
    { exact: true }
  ),
  /** what the processor has that guests get there, as libvirt names it: `avx512f`; absent: it is not known */
  features: Schema.optionalWith(Schema.Array(Schema.String), { exact: true }),
  /** the domain type to use, `auto` already resolved */
  domainType: Schema.Literal("kvm", "qemu"),
  /** the network of NICs that name none; null: such NICs are left out here */
  network: Schema.NullOr(Schema.String),
  /** all networks, by name; absent: it was last looked at by a version that did not know of them */
  networks: Schema.optionalWith(Schema.Array(HostNetwork), { exact: true })
}).annotations({ identifier: "HostFacts" })
/** @since 0.1.0 @category models */
export type HostFacts = typeof HostFacts.Type

/** What the keys of labels begin with that hosts have by themselves: nobody can set them. @since 0.11.0 @category constants */
export const ownLabels = "host."

/**
 * What hosts have as labels by themselves, beside those that they are given: rules can ask for these, and nobody can set them. Keys that begin with
 * `host.` are theirs.
 *
 * @since 0.8.0 @category constants
 */
export const traitNames = ["host.arch", "host.virt", "host.cpu.model", "host.cpu.vendor"] as const

/**
 * What a feature of the processor that guests get there is as a label, before its name: `host.cpu.feature.avx512f` has the value `yes`, and one
 * that is not there is no label. They are too many to be among `traits`.
 *
 * @since 0.9.0 @category constants
 */
export const featureLabel = "host.cpu.feature."

/** Of a host's `features`, one by its label; undefined: it is another label, or not there. @since 0.9.0 @category getters */
export const featureOf = (features: ReadonlyArray<string>, label: string): "yes" | undefined =>
  label.startsWith(featureLabel) && features.includes(label.slice(featureLabel.length)) ? "yes" : undefined

/** The key of a label that a host can be given. @since 0.8.0 @category constants */
export const labelPattern = /^(?!host\.)[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?$/

const traitOf = (facts: HostFacts | null, label: string): string | undefined => {
  switch (label) {
    case "host.arch":
      return facts?.arch
    case "host.virt":
      return facts?.domainType
    case "host.cpu.model":
      return facts?.processor?.model ?? undefined
    case "host.cpu.vendor":
      return facts?.processor?.vendor ?? undefined
    default:
      return featureOf(facts?.features ?? [], label)
  }
}

/**
 * A host as the inventory keeps it. `facts` is null until it has been reached for the first time.
 *
 * @since 0.1.0 @category models
 */
export class Host extends Schema.Class<Host>("Host")({
  id: Ids.HostId,
  config: HostConfig,
  facts: Schema.NullOr(HostFacts),
  /** nothing new is placed on it; what is there stays and can be worked on */
  maintenance: Schema.Boolean.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => false)
  ),
  /** since when it is declared lost, in milliseconds since 1970; null: it is not */
  lostAt: Schema.NullOr(Schema.Int).pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => null)
  ),
  origin: HostOrigin.pipe(
    Schema.propertySignature,
    Schema.withConstructorDefault(() => "file" as const)
  )
}) {
  /** `user@host[:port]`, the name people know it by */
  get name(): string {
    return formatAddress(this.config.address)
  }

  /** What it has as labels by itself; none until it was reached once. */
  get traits(): Readonly<Record<string, string>> {
    const { facts } = this
    return Object.fromEntries(
      traitNames.flatMap((name) => {
        const value = traitOf(facts, name)
        return value === undefined ? [] : [[name, value]]
      })
    )
  }

  /** Of both kinds of labels; undefined: it has none of that key. */
  label(key: string): string | undefined {
    const { labels } = this.config
    return traitOf(this.facts, key) ?? (Object.hasOwn(labels, key) ? labels[key] : undefined)
  }

  /** Facts, capped by the limits, times overcommit: what is reserved is part of it. Null until the host was reached once. */
  get total(): Resources.Resources | null {
    const facts = this.facts
    if (facts === null) return null
    const { limit, overcommit } = this.config
    return Resources.map((name) =>
      Math.floor(Math.min(facts.resources[name], limit[name] ?? Number.POSITIVE_INFINITY) * overcommit[name])
    )
  }

  /** What of `total` is never promised: as much as is to be reserved, and no more than there is. */
  get reserved(): Resources.Resources {
    const { reserved = {} } = this.config
    const total = this.total
    return Resources.map((name) => Math.min(reserved[name] ?? 0, total?.[name] ?? Number.POSITIVE_INFINITY))
  }

  /** What may be promised in all: `total` without what is reserved. Null until the host was reached once. */
  get capacity(): Resources.Resources | null {
    const total = this.total
    const reserved = this.reserved
    return total === null ? null : Resources.map((name) => total[name] - reserved[name])
  }
}

/**
 * One way of asking a host whether it lives, and the answer.
 *
 * @since 0.3.0 @category models
 */
export type Sign = "unknown" | "answers" | "refuses" | "silent"

/**
 * `ssh`: its sshd, asked from the controller. `libvirt`: its daemon. `peers`: its sshd, asked from other hosts that are up.
 *
 * @since 0.3.0 @category models
 */
export interface Signs {
  readonly ssh: Sign
  readonly libvirt: Sign
  readonly peers: Sign
}

/**
 * Whether a host can be used at this moment, kept in memory only: after a restart it is found out anew.
 *
 * - `Suspect`: something went wrong, and it is being found out what; nothing new is begun on it meanwhile.
 * - `Down`: more than one sign says that it cannot be used. Whether the machine itself is dead is another question: `signs` tells.
 * - `Lost`: somebody has declared that it never comes back. Nothing connects to it, and what was there counts as gone. This one is kept over restarts.
 *
 * `since` in milliseconds since 1970.
 *
 * @since 0.1.0 @category models
 */
export type HostStatus =
  | { readonly _tag: "Connecting" }
  | { readonly _tag: "Up" }
  | { readonly _tag: "Suspect"; readonly reason: string; readonly signs: Signs; readonly since: number }
  | { readonly _tag: "Down"; readonly reason: string; readonly signs: Signs; readonly since: number }
  | { readonly _tag: "Lost"; readonly reason: string; readonly since: number }

/** Why nothing can be done with a host that is declared lost, one clause. @since 0.15.0 @category constants */
export const isLost = "it is declared lost, and what was on it counts as gone until that is taken back"

/** The status of a host that is declared lost; undefined: it is not. @since 0.15.0 @category getters */
export const lostStatus = ({ lostAt }: Pick<Host, "lostAt">): Extract<HostStatus, { _tag: "Lost" }> | undefined =>
  lostAt === null ? undefined : { _tag: "Lost", reason: isLost, since: lostAt }
