/**
 * Looks at domains through libvirt's RPC, and at their logs by SFTP.
 *
 * A log could be read in three ways. By `tail` it takes a shell that starts, which reads its own files first (0.1 to 0.4 s each time), and a second program
 * for a place in the middle. By STORAGE_VOL_DOWNLOAD it takes a storage pool over libvirt's log folder, which would have to be put there. SFTP needs
 * neither, reads from any place, and tells a file that is not there from one that may not be read.
 *
 * @since 0.6.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { HostError } from "../src/domain/Errors.ts"
import type { GuestReading } from "../src/domain/Guest.ts"
import type { Host } from "../src/domain/Host.ts"
import * as DomainStats from "../src/libvirt/DomainStats.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { code, failure, fromLibvirt } from "../src/libvirt/HostErrors.ts"
import * as GuestInfo from "../src/libvirt/GuestInfo.ts"
import * as Picture from "../src/libvirt/Picture.ts"
import * as SerialLog from "../src/libvirt/SerialLog.ts"
import type { DomainRef } from "../src/services/Hypervisor.ts"
import { Inspector } from "../src/services/Inspector.ts"
import { Libvirt } from "../src/services/Libvirt.ts"
import { Ssh } from "../src/services/Ssh.ts"
import * as HostCalls from "./HostCalls.ts"

/** virConnectGetAllDomainStatsFlags NOWAIT */
const noWait = 0x20000000

/** From asking for it to its last byte. */
const pictureWithin = Duration.seconds(30)

/** Much more than any screen has, in bytes. */
const largestPicture = 256 * 1024 * 1024

/** What libvirt's refusals mean when an agent is asked. */
const silences: ReadonlyArray<readonly [number: number, reason: string]> = [
  [code.noDomain, "it has no domain on its host"],
  [code.operationInvalid, "it does not run"],
  [
    code.agentUnresponsive,
    "its guest runs no agent, or that does not answer: install qemu-guest-agent in it, and start it"
  ],
  [
    code.argumentUnsupported,
    "its domain was made without a channel for an agent: give it <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel> by virsh edit, and start it anew"
  ],
  [code.noSupport, "its host's libvirt is older than 5.7, which cannot ask"]
]

const make = Effect.gen(function* () {
  const libvirt = yield* Libvirt
  const ssh = yield* Ssh
  const { fromSsh, wire } = HostCalls
  const { raw, unless } = HostCalls.make(libvirt)

  const reader =
    (host: Host, action: string): SerialLog.Read<HostError> =>
    (path, pieces) =>
      Effect.mapError(ssh.readFile(host.config.address, path, pieces), fromSsh(host, action, `read ${path}`))

  const reading = (domain: DomainRef) => `read the console log of ${domain.domainName}`

  return Inspector.of({
    xml: Effect.fn("Inspector.xml")(function* (host, domain) {
      const action = `describe ${domain.domainName}`
      const dom = wire(domain)
      const describe = (flags: number) => unless(host, action, "DOMAIN_GET_XML_DESC", { dom, flags }, code.noDomain)
      const [now, next, active, kept] = yield* Effect.all(
        [
          describe(0),
          describe(HostCalls.describing.inactive),
          unless(host, action, "DOMAIN_IS_ACTIVE", { dom }, code.noDomain),
          unless(host, action, "DOMAIN_IS_PERSISTENT", { dom }, code.noDomain)
        ],
        { concurrency: "unbounded" }
      )
      // all or nothing: it may vanish in between
      return Option.map(Option.all({ now, next, active, kept }), ({ active, kept, next, now }) => ({
        live: active.active === 1 ? now.xml : null,
        defined: kept.persistent === 1 ? next.xml : null
      }))
    }),

    counters: Effect.fn("Inspector.counters")(function* (host) {
      const ask = (flags: number) =>
        libvirt.callFor(
          host.config.address,
          "CONNECT_GET_ALL_DOMAIN_STATS",
          { doms: [], stats: DomainStats.groups, flags },
          DomainStats.counters
        )
      return yield* ask(DomainStats.active | noWait).pipe(
        // a libvirt before 4.5 does not know the flag
        Effect.catchIf(
          (error) => error.refusedWith(code.invalidArgument),
          () => ask(DomainStats.active)
        ),
        Effect.mapError(fromLibvirt(host, "tell what its domains use"))
      )
    }),

    screenshot: Effect.fn("Inspector.screenshot")(function* (host, domain) {
      const action = `take a picture of the screen of ${domain.domainName}`
      const shot = Effect.gen(function* () {
        const stream = yield* libvirt.open(host.config.address, "DOMAIN_SCREENSHOT", {
          dom: wire(domain),
          screen: 0,
          flags: 0
        })
        const parts: Array<Uint8Array> = []
        let size = 0
        yield* Stream.runForEachWhile(stream.incoming, (bytes) =>
          Effect.sync(() => {
            size += bytes.length
            parts.push(bytes)
            return size <= largestPicture
          })
        )
        return Buffer.concat(parts)
      }).pipe(Effect.scoped)
      const taken = yield* Effect.asSome(shot).pipe(
        Effect.catchIf(
          (error) => error.refusedWith(code.noDomain) || error.refusedWith(code.operationInvalid),
          () => Effect.succeedNone
        ),
        Effect.mapError(fromLibvirt(host, action)),
        // calls have limits of their own, but what follows one may come at any time: a console's does
        Effect.timeoutFail({
          duration: pictureWithin,
          onTimeout: () => failure(host, action, `it has not sent it within ${Duration.format(pictureWithin)}`)
        })
      )
      if (Option.isNone(taken)) return Option.none()
      const picture = Picture.toPng(taken.value)
      return picture._tag === "Left"
        ? yield* failure(host, action, `it sent ${picture.left}`)
        : Option.some(picture.right)
    }),

    guest: Effect.fn("Inspector.guest")((host, domain) =>
      // 0: all that this libvirt and that agent know; what was asked for by name and is not known would be an error
      raw(host, "DOMAIN_GET_GUEST_INFO", { dom: wire(domain), types: 0, flags: 0 }).pipe(
        Effect.map(({ params }): GuestReading => ({ _tag: "Told", facts: GuestInfo.read(params) })),
        Effect.catchIf(
          (error) => silences.some(([number]) => error.refusedWith(number)),
          (error) => {
            const said = silences.find(([number]) => error.refusedWith(number))
            return Effect.succeed<GuestReading>({ _tag: "Silent", reason: said?.[1] ?? "" })
          }
        ),
        Effect.mapError(fromLibvirt(host, `ask the guest agent of ${domain.domainName}`))
      )
    ),

    consoleTail: Effect.fn("Inspector.consoleTail")((host, domain, bytes) =>
      SerialLog.tail(reader(host, reading(domain)), DomainXml.serialLog(domain.domainName), bytes)
    ),
    consoleAfter: Effect.fn("Inspector.consoleAfter")((host, domain, cursor, bytes) =>
      SerialLog.after(reader(host, reading(domain)), DomainXml.serialLog(domain.domainName), cursor, bytes)
    )
  })
})

/** @since 0.6.0 @category layers */
export const layer: Layer.Layer<Inspector, never, Libvirt | Ssh> = Layer.effect(Inspector, make)
