/**
 * Examines hosts through SSH and libvirt's RPC, with what every host has: nothing is installed there.
 *
 * @since 0.7.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { Check, Finding, Level } from "../src/domain/Doctor.ts"
import type { HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { DomainUuid } from "../src/domain/Ids.ts"
import * as Network from "../src/domain/Network.ts"
import * as Uuid from "../src/domain/Uuid.ts"
import { code, failure } from "../src/libvirt/HostErrors.ts"
import * as HostXml from "../src/libvirt/HostXml.ts"
import * as Xml from "../src/libvirt/Xml.ts"
import * as Signs from "../src/observe/Signs.ts"
import { Doctor } from "../src/services/Doctor.ts"
import { Libvirt } from "../src/services/Libvirt.ts"
import { Ssh, type SshError } from "../src/services/Ssh.ts"
import * as Quote from "../src/ssh/Quote.ts"
import * as HostCalls from "./HostCalls.ts"

/** What one check takes at most: of a host that hangs each takes so long, all at the same time. */
const limit = Duration.seconds(20)
/** and the guest: emulated, on a machine that has much to do, its firmware takes some seconds */
const guestLimit = Duration.seconds(40)

/** How far a clock may be off in seconds, beyond what the round trip leaves open. */
const clock = { warning: 1, failure: 30 }

/** Of the folder's file system. */
const room = { warning: 0.1, failure: 0.02, leastGib: 1 }

/** Hosts that each is looked for from. */
const peersAsked = 3

/** VIR_DOMAIN_START_AUTODESTROY: it ends with our connection, whatever becomes of us */
const autoDestroy = 2

interface Verdict {
  readonly level: Level
  readonly seen: string
  readonly means?: string
  readonly mend?: string
}

const well = (seen: string): Verdict => ({ level: "ok", seen })

const login = ({ config: { address } }: Host): string =>
  `ssh${address.port === 22 ? "" : ` -p ${address.port}`} ${address.user}@${address.host}`

/** A command for somebody at the controller's machine that runs there. */
const there = (host: Host, command: string): string => `${login(host)} ${Quote.display([command])}`

const ofSsh = (error: SshError): Verdict => {
  const { reason } = error
  const seen = error.message.replace(`${error.host}: `, "")
  switch (reason._tag) {
    case "SshHostKeyRefused":
      return {
        level: "failure",
        seen: `${reason.reason} (${reason.fingerprint})`,
        means:
          "Nothing is sent to a host whose key is not known: compare the fingerprint with the machine's own first.",
        mend: reason.accept
      }
    case "SshAuthenticationFailed":
      return {
        level: "failure",
        seen,
        means: "Its sshd knows none of the controller's keys: put the public one into the account's authorized_keys."
      }
    default:
      return {
        level: "failure",
        seen,
        means: "Its sshd does not answer here: it is off, does not run, or the network between is broken."
      }
  }
}

/** A guest without disks: its firmware finds nothing to boot, and starts anew at once, which ends it. So it ends when it has really run, and only then. */
const tinyGuest = (host: Host, type: string, name: string, uuid: string) =>
  Either.mapLeft(
    Xml.render(
      Xml.element("domain", { type }, [
        Xml.element("name", {}, [name]),
        Xml.element("uuid", {}, [uuid]),
        Xml.element("memory", { unit: "MiB" }, [32]),
        Xml.element("vcpu", {}, [1]),
        Xml.element("os", {}, [
          Xml.element("type", { arch: "x86_64", machine: "q35" }, ["hvm"]),
          Xml.element("bios", { rebootTimeout: 0 })
        ]),
        Xml.element("on_poweroff", {}, ["destroy"]),
        Xml.element("on_reboot", {}, ["destroy"]),
        Xml.element("on_crash", {}, ["destroy"]),
        Xml.element("devices", {}, [
          Xml.element("controller", { type: "usb", model: "none" }),
          Xml.element("memballoon", { model: "none" })
        ])
      ])
    ),
    ({ message }) => failure(host, "run a tiny guest", message)
  )

/** What a host says in its capabilities. */
interface Nature {
  readonly cpu: string
  readonly types: ReadonlyArray<string>
  /** versioned, for guests of x86_64 */
  readonly machines: ReadonlySet<string>
  /** what `q35` stands for there */
  readonly usual: string | null
}

const natureOf = (root: Xml.Element): Nature | undefined => {
  const capabilities = HostXml.readCapabilities(root)
  if (capabilities === undefined) return undefined
  const machines = Xml.children(root, "guest")
    .flatMap((guest) => Xml.children(guest, "arch"))
    .filter((arch) => Xml.attribute(arch, "name") === capabilities.arch)
    .flatMap((arch) => Xml.children(arch, "machine"))
  const alias = machines.find((machine) => Xml.textOf(machine) === "q35")
  return {
    cpu: Xml.textOf(Xml.find(root, "host", "cpu", "model")) ?? "unknown",
    types: capabilities.domainTypes,
    machines: new Set(machines.flatMap((machine) => Xml.textOf(machine) ?? [])),
    usual: Xml.attribute(alias, "canonical") ?? null
  }
}

const make = Effect.gen(function* () {
  const libvirt = yield* Libvirt
  const ssh = yield* Ssh
  const { wire } = HostCalls
  const { call, unless } = HostCalls.make(libvirt)

  /** What a program there wrote, or that it ended ill. */
  const said = (host: Host, ...argv: readonly [string, ...Array<string>]) =>
    Effect.map(ssh.exec(host.config.address, argv, { timeout: limit }), ({ stdout }) => Buffer.from(stdout).toString())

  const reach = (host: Host): Effect.Effect<Verdict> =>
    Effect.match(said(host, "true"), { onSuccess: () => well("it lets us in"), onFailure: ofSsh })

  const nature = (host: Host) =>
    Effect.flatMap(call(host, "tell what it is", "CONNECT_GET_CAPABILITIES", undefined), ({ capabilities }) => {
      const read = Option.flatMapNullable(Either.getRight(Xml.parse(capabilities)), natureOf)
      return Option.match(read, {
        onNone: () => failure(host, "tell what it is", "its capabilities cannot be read"),
        onSome: (found) => Effect.succeed(found)
      })
    })

  const daemon = (host: Host, found: Either.Either<Nature, HostError>): Verdict =>
    Either.match(found, {
      onRight: ({ types }) => well(`it answers, and offers ${types.join(", ") || "nothing"}`),
      onLeft: (error): Verdict => {
        const rights = /permission denied|authentication (?:failed|unavailable)|prohibited/i.test(error.message)
        return {
          level: "failure",
          seen: error.message,
          means: rights
            ? "The account may not use libvirt's socket: it has to be root or a member of libvirt's group."
            : "Nothing can be done with VMs there as long as its libvirt does not answer.",
          mend: there(host, rights ? `usermod -aG libvirt ${host.config.address.user}` : "systemctl restart libvirtd")
        }
      }
    })

  const guest = (host: Host, { types }: Nature): Effect.Effect<Verdict, HostError> =>
    Effect.gen(function* () {
      const { virt } = host.config
      const type = virt === "auto" ? (types.includes("kvm") ? "kvm" : "qemu") : virt
      const action = `run a tiny ${type} guest`
      const uuid = DomainUuid.make(yield* Uuid.make)
      const name = `vmfabric-doctor-${uuid.slice(0, 8)}`
      const dom = wire({ domainName: name, uuid })
      const gone = Effect.map(unless(host, action, "DOMAIN_GET_STATE", { dom, flags: 0 }, code.noDomain), Option.isNone)
      const began = yield* Clock.currentTimeMillis
      const ran = yield* Effect.acquireUseRelease(
        Effect.flatMap(tinyGuest(host, type, name, uuid), (xml_desc) =>
          call(host, action, "DOMAIN_CREATE_XML", { xml_desc, flags: autoDestroy })
        ),
        () =>
          gone.pipe(
            Effect.repeat({ until: (is) => is, schedule: Schedule.spaced("200 millis") }),
            Effect.timeoutOption(guestLimit),
            Effect.map(Option.isSome)
          ),
        () =>
          unless(host, action, "DOMAIN_DESTROY", { dom }, code.noDomain, code.operationInvalid).pipe(
            // it ends with the connection at the latest
            Effect.catchAll((error) => Effect.logWarning(`a tiny guest may still run: ${error.message}`)),
            Effect.timeoutOption(limit)
          )
      )
      const took = ((yield* Clock.currentTimeMillis) - began) / 1000
      if (ran) return well(`a tiny ${type} guest ran, and its firmware did its work in ${took.toFixed(1)} s`)
      const isFile = host.origin === "file"
      return {
        level: "failure",
        seen: `a tiny ${type} guest was started, and its firmware had done nothing after ${Duration.format(guestLimit)}`,
        means:
          type === "kvm"
            ? `Guests hang there although the host offers kvm: run them emulated${isFile ? ", by virt=qemu on its line of the machine file" : ""}, or mend the machine's virtualization.`
            : "Guests do not run there.",
        ...(type === "kvm" && !isFile ? { mend: `vmfabric host set ${host.id} virt=qemu` } : {})
      } satisfies Verdict
    })

  const disk = (host: Host): Effect.Effect<Verdict, SshError | HostError> => {
    const folder = host.config.path
    // it is made with the first image
    const [first, ...parents] = folder
      .split("/")
      .map((_, index, parts) => parts.slice(0, parts.length - index).join("/"))
    return Effect.flatMap(
      parents.reduce(
        (found, path) => Effect.orElse(found, () => said(host, "df", "-Pk", path === "" ? "/" : path)),
        said(host, "df", "-Pk", first ?? folder)
      ),
      (table) => {
        const [, size, available] = /\s(\d+)\s+\d+\s+(\d+)\s+\d+%/.exec(table) ?? []
        if (size === undefined || available === undefined) return failure(host, "tell its room", "df cannot be read")
        const share = Number(available) / Number(size)
        const gib = Number(available) / 1024 ** 2
        const seen = `${gib.toFixed(1)} GiB of ${(Number(size) / 1024 ** 2).toFixed(1)} are free in ${folder}`
        const level = share < room.failure || gib < room.leastGib ? "failure" : share < room.warning ? "warning" : "ok"
        return Effect.succeed<Verdict>(
          level === "ok"
            ? well(seen)
            : {
                level,
                seen,
                means:
                  "Disks of VMs grow until nothing is free, and then their guests stop: this shows what takes the room.",
                mend: there(host, `du -xh --max-depth=2 ${folder} | sort -h | tail -n 20`)
              }
        )
      }
    )
  }

  const time = (host: Host): Effect.Effect<Verdict, SshError> =>
    Effect.gen(function* () {
      const before = yield* Clock.currentTimeMillis
      const theirs = Number(yield* said(host, "date", "+%s.%N"))
      const after = yield* Clock.currentTimeMillis
      const half = (after - before) / 2000
      const off = theirs - (before + after) / 2000
      const sure = Math.max(0, Math.abs(off) - half)
      const seen = `its clock is ${Math.abs(off).toFixed(2)} s ${off < 0 ? "behind" : "ahead"}, give or take ${half.toFixed(2)} s`
      if (sure <= clock.warning) return well(seen)
      return {
        level: sure > clock.failure ? "failure" : "warning",
        seen,
        means: "Logs cannot be put in order, certificates and cephx tickets may be refused: have it keep time by NTP.",
        mend: `${login(host)} "date -s @$(date +%s)"`
      } satisfies Verdict
    })

  /** Bridges that its settings name, with the network; those of VLANs come and go. */
  const bridgesOf = (host: Host) =>
    Object.entries(host.config.networks ?? {}).flatMap(([network, { kind, name }]) =>
      kind === "bridge" && !name.includes(Network.vlanMark) ? [{ network, bridge: name }] : []
    )

  /** What a bridge takes in bytes; none: it is not there. */
  const mtuOf = (host: Host, bridge: string): Effect.Effect<Option.Option<number>, SshError> =>
    said(host, "cat", `/sys/class/net/${bridge}/mtu`).pipe(
      Effect.map((text) => Option.some(Number(text))),
      Effect.catchIf(
        ({ reason }) => reason._tag === "SshCommandFailed",
        () => Effect.succeedNone
      )
    )

  const bounded = <E extends { readonly message: string }>(
    check: Effect.Effect<Verdict, E>,
    within = limit
  ): Effect.Effect<Verdict> =>
    check.pipe(
      Effect.catchAll((error) =>
        Effect.succeed<Verdict>({ level: "failure", seen: error.message, means: "It could not be found out." })
      ),
      Effect.timeoutTo({
        duration: within,
        onSuccess: (verdict) => verdict,
        onTimeout: (): Verdict => ({
          level: "failure",
          seen: `no answer within ${Duration.format(within)}`,
          means: "The host hangs, or has much more to do than it can."
        })
      })
    )

  const examine = Effect.fn("Doctor.examine")(function* (hosts: ReadonlyArray<Host>, about: ReadonlyArray<Host>) {
    const findings: Array<Finding> = []
    const asked = new Set(about.map(({ id }) => id))
    const tell = (host: Host, check: Check, { level, means, mend, seen }: Verdict) => {
      if (!asked.has(host.id)) return
      findings.push({ hostId: host.id, host: host.name, check, level, seen, means: means ?? null, mend: mend ?? null })
    }

    const natures = new Map<Host, Nature>()
    const mtus = new Map<string, Array<{ readonly host: Host; readonly bridge: string; readonly mtu: number }>>()
    const reached: Array<Host> = []
    yield* Effect.forEach(
      hosts,
      (host) =>
        Effect.gen(function* () {
          const reaching = yield* bounded(reach(host))
          tell(host, "ssh", reaching)
          if (reaching.level !== "ok") return
          reached.push(host)
          const withLibvirt = Effect.gen(function* () {
            const found = yield* Effect.either(
              nature(host).pipe(
                Effect.timeoutFail({
                  duration: limit,
                  onTimeout: () => failure(host, "tell what it is", `no answer within ${Duration.format(limit)}`)
                })
              )
            )
            tell(host, "libvirt", daemon(host, found))
            if (Either.isLeft(found)) return
            natures.set(host, found.right)
            if (asked.has(host.id)) {
              tell(host, "guest", yield* bounded(guest(host, found.right), Duration.sum(guestLimit, limit)))
            }
          })
          const networks = Effect.forEach(
            bridgesOf(host),
            ({ bridge, network }) =>
              Effect.gen(function* () {
                const mtu = yield* Effect.either(mtuOf(host, bridge))
                if (Either.isLeft(mtu)) {
                  return tell(host, "network", {
                    level: "failure",
                    seen: mtu.left.message,
                    means: "It could not be found out."
                  })
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
                Effect.map(bounded(disk(host)), (verdict) => tell(host, "disk", verdict)),
                Effect.map(bounded(time(host)), (verdict) => tell(host, "clock", verdict))
              ]
            : []
          yield* Effect.all([withLibvirt, networks, ...others], { concurrency: "unbounded", discard: true })
        }),
      { concurrency: 16, discard: true }
    )

    // ---- what only shows where hosts are compared

    for (const [network, all] of mtus) {
      const counts = new Map<number, number>()
      for (const { mtu } of all) counts.set(mtu, (counts.get(mtu) ?? 0) + 1)
      const [[usual] = [0]] = [...counts].toSorted(([a, of], [b, other]) => other - of || b - a)
      for (const { bridge, host, mtu } of all) {
        tell(
          host,
          "mtu",
          mtu === usual
            ? well(`${bridge} takes frames of ${mtu} bytes`)
            : {
                level: "failure",
                seen: `${bridge} takes frames of ${mtu} bytes, on other hosts that have ${network} it is ${usual}`,
                means: `Guests on ${network} lose large packets between hosts, while small ones arrive.`,
                mend: there(host, `ip link set dev ${bridge} mtu ${usual}`)
              }
        )
      }
    }

    for (const [host, { cpu, usual }] of natures) {
      const others = [...natures].filter(([other]) => other !== host)
      const without = others.filter(([, { machines }]) => usual !== null && !machines.has(usual))
      tell(
        host,
        "machine",
        without.length === 0
          ? well(`its machine type ${usual ?? "q35"} is one that all others have`)
          : {
              level: "warning",
              seen: `its machine type ${usual ?? "q35"} is not known to ${without.map(([{ name }]) => name).join(", ")}`,
              means: "VMs made here cannot be moved to hosts whose QEMU is older: bring those up to date.",
              mend: without
                .map(([other]) => there(other, "apt-get install -y --only-upgrade qemu-system-x86"))
                .join(" && ")
            }
      )
      const different = others.filter(([, other]) => other.cpu !== cpu)
      tell(
        host,
        "cpu",
        different.length === 0
          ? well(`its processor is ${cpu}, like all others`)
          : {
              level: "warning",
              seen: `its processor is ${cpu}, that of ${different.map(([{ name }, other]) => `${name} is ${other.cpu}`).join(", of ")}`,
              means: "A running VM may not be movable between processors that differ."
            }
      )
    }

    yield* Effect.forEach(
      hosts.filter((host) => asked.has(host.id)),
      (host) =>
        Effect.gen(function* () {
          const at = hosts.indexOf(host)
          const peers = [...hosts.slice(at + 1), ...hosts.slice(0, at)]
            .filter((peer) => reached.includes(peer))
            .slice(0, peersAsked)
          const answers = yield* Effect.forEach(
            peers,
            (peer) => Effect.map(Signs.askPeer(ssh, peer, host), (sign) => ({ peer, sign })),
            { concurrency: "unbounded" }
          )
          if (answers.length === 0) return
          const deaf = answers.filter(({ sign }) => sign !== "answers")
          const [first] = deaf
          const { host: name, port } = host.config.address
          tell(
            host,
            "path",
            first === undefined
              ? well(
                  `${answers.map(({ peer }) => peer.name).join(", ")} reach${answers.length === 1 ? "es" : ""} its sshd`
                )
              : {
                  level: "failure",
                  seen: `its sshd is not heard from ${deaf.map(({ peer, sign }) => `${peer.name} (${sign})`).join(", ")}`,
                  means:
                    "VMs cannot be moved between these hosts, and they cannot tell of each other: open the way between them.",
                  mend: there(first.peer, `ip route get ${name}; timeout 5 bash -c '</dev/tcp/${name}/${port}'`)
                }
          )
        }),
      { concurrency: 16, discard: true }
    )

    const order = new Map(hosts.map(({ id }, index) => [id, index]))
    return findings.toSorted((a, b) => (order.get(a.hostId) ?? 0) - (order.get(b.hostId) ?? 0))
  })

  return Doctor.of({ examine })
})

/** @since 0.7.0 @category layers */
export const layer = Layer.effect(Doctor, make)
