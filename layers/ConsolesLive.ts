/**
 * Serial ports by libvirt's own stream, and screens by the socket or port that QEMU serves them at on its host: both through the SSH connection that
 * there is.
 *
 * @since 0.7.0
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Duplex } from "node:stream"
import { type HostError, HostUnreachable } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { code, failure, fromLibvirt, parse } from "../src/libvirt/HostErrors.ts"
import { Consoles, type Line, type Opened } from "../src/services/Consoles.ts"
import { Libvirt, type LibvirtError } from "../src/services/Libvirt.ts"
import { Ssh, type SshError } from "../src/services/Ssh.ts"
import * as HostCalls from "./HostCalls.ts"

/** virDomainConsoleFlags FORCE */
const takeOver = 0x1

const opened = (result: Opened): Opened => result
const off = opened({ _tag: "Off" })
const absent = opened({ _tag: "Absent" })
const busy = opened({ _tag: "Busy" })
const open = (line: Line) => opened({ _tag: "Open", line })

/** libvirt has no number of its own for a domain without a serial port. */
const isAbsent = ({ reason }: LibvirtError): boolean =>
  reason._tag === "LibvirtRefused" && reason.code === code.internal && /character device/.test(reason.reason)

const fromSsh = (host: Host, action: string) => (error: SshError) => {
  if (error.reason._tag !== "SshChannelRefused") {
    return new HostUnreachable({ host: host.name, reason: error.message, cause: error })
  }
  // OpenSSH says the same of what it does not allow, of what nobody listens at, and of what the account may not open
  const account = host.config.address.user
  return failure(
    host,
    action,
    `sshd does not open it (${error.reason.reason}): let ${account} open QEMU's sockets, and sshd forward (AllowStreamLocalForwarding, AllowTcpForwarding)`,
    error
  )
}

/** Waits until what was written is taken. */
const written = (duplex: Duplex, bytes: Uint8Array, lost: (reason: string) => HostError) =>
  Effect.async<void, HostError>((resume) => {
    duplex.write(bytes, (error) => {
      resume(error === null || error === undefined ? Effect.void : Effect.fail(lost(error.message)))
    })
  })

const make = Effect.gen(function* () {
  const libvirt = yield* Libvirt
  const ssh = yield* Ssh
  const { unless } = HostCalls.make(libvirt)

  const lineOf = (host: Host, duplex: Duplex): Line => {
    const lost = (reason: string) => new HostUnreachable({ host: host.name, reason })
    return {
      send: (bytes) => written(duplex, bytes, lost),
      incoming: NodeStream.fromReadable<HostError, Uint8Array>(
        () => duplex,
        (cause) => lost(cause instanceof Error ? cause.message : String(cause)),
        // closed with the scope, after what is to be sent has been
        { closeOnDone: false }
      )
    }
  }

  return Consoles.of({
    serial: Effect.fn("Consoles.serial")((host, domain, force) => {
      const toHost = fromLibvirt(host, `open the serial console of ${domain.domainName}`)
      return libvirt
        .open(host.config.address, "DOMAIN_OPEN_CONSOLE", {
          dom: HostCalls.wire(domain),
          dev_name: null,
          flags: force ? takeOver : 0
        })
        .pipe(
          Effect.map(({ incoming, send }) =>
            open({
              send: (bytes) => Effect.mapError(send(bytes), toHost),
              incoming: Stream.mapError(incoming, toHost)
            })
          ),
          Effect.catchAll((error): Effect.Effect<Opened, HostError> =>
            error.refusedWith(code.noDomain) || error.refusedWith(code.operationInvalid)
              ? Effect.succeed(off)
              : error.refusedWith(code.operationFailed)
                ? Effect.succeed(busy)
                : isAbsent(error)
                  ? Effect.succeed(absent)
                  : Effect.fail(toHost(error))
          )
        )
    }),

    vnc: Effect.fn("Consoles.vnc")(function* (host, domain) {
      const action = `open the screen of ${domain.domainName}`
      const described = yield* unless(
        host,
        action,
        "DOMAIN_GET_XML_DESC",
        { dom: HostCalls.wire(domain), flags: 0 },
        code.noDomain
      )
      if (Option.isNone(described)) return off
      const { active, place } = yield* parse(host, action, described.value.xml, (root) => ({
        active: DomainXml.isActive(root),
        place: DomainXml.vnc(root)
      }))
      if (!active) return off
      if (place === null) return absent
      const { address } = host.config
      const duplex = yield* Effect.mapError(
        place._tag === "Socket" ? ssh.openSocket(address, place.path) : ssh.openTcp(address, place),
        fromSsh(host, action)
      )
      return open(lineOf(host, duplex))
    })
  })
})

/** @since 0.7.0 @category layers */
export const layer: Layer.Layer<Consoles, never, Libvirt | Ssh> = Layer.effect(Consoles, make)
