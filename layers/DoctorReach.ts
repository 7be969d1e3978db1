/**
 * What the doctor looks at by SSH alone: whether it is let in, room, time, bridges, and ways.
 *
 * @since 0.7.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import * as Network from "../src/domain/Network.ts"
import { failure } from "../src/libvirt/HostErrors.ts"
import type { Ssh, SshError } from "../src/services/Ssh.ts"
import { limit, login, room, roomLevel, there, type Verdict, well } from "./DoctorVerdict.ts"

/** How far a clock may be off in seconds, beyond what the round trip leaves open. */
const clock = { warning: 1, failure: 30 }

/** Where Debian's package manager keeps what it can fetch again. */
const archives = "/var/cache/apt/archives"

/** What is to be won there in KiB to be worth a word. */
const worthwhile = 64 * 1024

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
    case "SshNoKey":
      return {
        level: "failure",
        seen: reason.reason,
        means:
          "The host was not even asked: the controller needs a key of its own, whose public part is in the account's authorized_keys, or another one, given with --ssh-key FILE.",
        ...(reason.none ? { mend: "ssh-keygen -t ed25519" } : {})
      }
    default:
      return {
        level: "failure",
        seen,
        means: "Its sshd does not answer here: it is off, does not run, or the network between is broken."
      }
  }
}

/** Total and free of what `df` has printed, inodes or KiB. None: its file system does not count them. */
const counted = (table: string) => {
  const [, size, available] = /\s(\d+)\s+\d+\s+(\d+)\s+\d+%/.exec(table) ?? []
  return size === undefined || available === undefined || Number(size) === 0
    ? Option.none()
    : Option.some({ size: Number(size), available: Number(available) })
}

/** @since 0.7.0 @category constructors */
export const make = (ssh: Ssh["Type"]) => {
  /** What a program there wrote, or that it ended ill. */
  const said = (host: Host, ...argv: readonly [string, ...Array<string>]) =>
    Effect.map(ssh.exec(host.config.address, argv, { timeout: limit }), ({ stdout }) => Buffer.from(stdout).toString())

  /** None: it ended ill there, or is not there. */
  const perhaps = (host: Host, ...argv: readonly [string, ...Array<string>]) =>
    said(host, ...argv).pipe(
      Effect.asSome,
      Effect.catchIf(
        ({ reason }) => reason._tag === "SshCommandFailed",
        () => Effect.succeedNone
      )
    )

  const reach = (host: Host): Effect.Effect<Verdict> =>
    Effect.match(said(host, "true"), { onSuccess: () => well("it lets us in"), onFailure: ofSsh })

  /** How to have more room in a folder: what can be fetched again goes first; else what takes it is shown. */
  const roomier = (host: Host, folder: string): Effect.Effect<string, SshError> =>
    Effect.gen(function* () {
      const devices = yield* perhaps(host, "stat", "-c", "%d", folder, archives)
      const kept = yield* perhaps(host, "du", "-sk", archives)
      const [one, other] = Option.getOrElse(devices, () => "").split("\n")
      const same = one !== undefined && one !== "" && one === other
      return same && Number.parseInt(Option.getOrElse(kept, () => "0")) >= worthwhile
        ? there(host, "apt-get clean")
        : there(host, `du -xh --max-depth=2 ${folder} | sort -h | tail -n 20`)
    })

  const disk = (host: Host): Effect.Effect<Verdict, SshError | HostError> =>
    Effect.gen(function* () {
      const folder = host.config.path
      // it is made with the first image
      const parts = folder.split("/")
      const paths = parts.map((_, index) => parts.slice(0, parts.length - index).join("/") || "/")
      const [first = folder, ...parents] = paths
      const asked = (path: string) => Effect.map(said(host, "df", "-Pk", path), (table) => ({ path, table }))
      const { path, table } = yield* parents.reduce(
        (found, parent) => Effect.orElse(found, () => asked(parent)),
        asked(first)
      )
      const bytes = counted(table)
      if (Option.isNone(bytes)) return yield* failure(host, "tell its room", "df cannot be read")
      const inodes = counted(yield* said(host, "df", "-Pi", path))
      const [gib, all] = [bytes.value.available / 1024 ** 2, bytes.value.size / 1024 ** 2]
      const files = Option.match(inodes, { onNone: () => 1, onSome: ({ available, size }) => available / size })
      const space = `${gib.toFixed(1)} GiB of ${all.toFixed(1)} are free in ${folder}`
      if (files < room.warning) {
        return {
          level: files < room.failure ? "failure" : "warning",
          seen: `${(files * 100).toFixed(1)} % of the inodes are free in ${folder}, ${space}`,
          means:
            "No file can be made when none is left, however much room there is: this shows where the many files are.",
          mend: there(host, `du -x --inodes --max-depth=2 ${path} | sort -n | tail -n 20`)
        } satisfies Verdict
      }
      const level = roomLevel(gib, all)
      if (level === "ok") return well(space)
      const mend = yield* roomier(host, path)
      return {
        level,
        seen: space,
        means: mend.includes("apt-get clean")
          ? "Disks of VMs grow until nothing is free, and then their guests stop: packages that can be fetched again take room."
          : "Disks of VMs grow until nothing is free, and then their guests stop: this shows what takes the room.",
        mend
      } satisfies Verdict
    })

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
    Effect.map(perhaps(host, "cat", `/sys/class/net/${bridge}/mtu`), Option.map(Number))

  /** The command that takes away a route by which one host sends nothing to an address. None: there is no such route. */
  const blocked = (host: Host, to: string): Effect.Effect<Option.Option<string>> =>
    perhaps(host, "ip", "route", "show", "match", to).pipe(
      // one that cannot be asked is told of by what asks it for itself
      Effect.catchAll(() => Effect.succeedNone),
      Effect.map((routes) =>
        Option.gen(function* () {
          const [, route] = yield* Option.fromNullable(/^((?:unreachable|blackhole|prohibit) \S+)/m.exec(yield* routes))
          return there(host, `ip route del ${yield* Option.fromNullable(route)}`)
        })
      )
    )

  /** What opens the way from one host to an address and back, or shows where it ends. */
  const opening = (from: Host, to: { readonly host: string; readonly port: number }, back: Option.Option<Host>) =>
    blocked(from, to.host).pipe(
      Effect.flatMap((found) =>
        Option.isSome(found) || Option.isNone(back)
          ? Effect.succeed(found)
          : blocked(back.value, from.config.address.host)
      ),
      Effect.map(
        Option.getOrElse(() =>
          there(from, `ip route get ${to.host}; timeout 5 bash -c '</dev/tcp/${to.host}/${to.port}'`)
        )
      )
    )

  return { reach, disk, time, bridgesOf, mtuOf, opening }
}

/** @since 0.7.0 @category models */
export type DoctorReach = ReturnType<typeof make>
