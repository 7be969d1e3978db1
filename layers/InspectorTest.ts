/**
 * What VMs in memory show, for tests of programs that use the library.
 *
 * @since 0.6.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Xml from "../src/libvirt/Xml.ts"
import type { GuestFacts, GuestReading } from "../src/domain/Guest.ts"
import type { Host } from "../src/domain/Host.ts"
import * as Picture from "../src/libvirt/Picture.ts"
import * as SerialLog from "../src/libvirt/SerialLog.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import type { HostFacts } from "../src/domain/Host.ts"
import type { Counters } from "../src/domain/Statistics.ts"
import type { DomainRef } from "../src/services/Hypervisor.ts"
import { Inspector } from "../src/services/Inspector.ts"
import { isRunning, reached, type TestDomain, type TestHost } from "./HypervisorTestHosts.ts"

/** What guests do, from outside. @since 0.6.0 @category services */
export class InspectorTestState extends Context.Tag("vmfabric/InspectorTestState")<
  InspectorTestState,
  {
    /** What it has used since its start; nothing unless it is said. */
    readonly use: (domain: DomainRef, counters: Partial<Omit<Counters, "uuid" | "name">>) => Effect.Effect<void>
    /** Its guest has an agent, which says that; null: it has none, as in the beginning. */
    readonly tell: (domain: DomainRef, facts: GuestFacts | null) => Effect.Effect<void>
    /** Prints on the guest's first serial port. */
    readonly print: (domain: DomainRef, text: string) => Effect.Effect<void>
    /** What it has printed is gone. */
    readonly forget: (domain: DomainRef) => Effect.Effect<void>
    /** Its log goes on in another file: nothing of it is lost. */
    readonly rotate: (domain: DomainRef) => Effect.Effect<void>
  }
>() {}

const mebibyte = 1024 ** 2

const empty = new Uint8Array(0)

/** Over hosts that are values. @since 0.6.0 @category constructors */
export const make = (look: (host: Host) => Effect.Effect<TestHost>) => {
  /** by path */
  const files = new Map<string, Uint8Array>()

  /** by domain */
  const used = new Map<string, Partial<Counters>>()

  /** by domain */
  const agents = new Map<string, GuestReading>()

  const reach = (host: Host) => Effect.flatMap(look(host), (there) => reached(host, there))

  const domainOn = (host: Host, { uuid }: DomainRef) =>
    Effect.map(reach(host), (there) => ({ there, domain: Option.fromNullable(there.domains.get(uuid)) }))

  const read: SerialLog.Read<never> = (path, pieces) =>
    Effect.sync(() =>
      Option.map(Option.fromNullable(files.get(path)), (bytes) => ({
        size: bytes.length,
        modified: 0,
        pieces: pieces.map(({ from, length }) => {
          const start = from < 0 ? Math.max(0, bytes.length + from) : from
          return bytes.subarray(start, start + length)
        })
      }))
    )

  const forget = ({ domainName }: DomainRef) => {
    for (const path of DomainXml.serialLogs(domainName)) files.delete(path)
  }

  /** What a domain has said goes with it. */
  const settled = (host: Host, ref: DomainRef) =>
    Effect.map(domainOn(host, ref), ({ domain }) => {
      if (Option.isNone(domain)) forget(ref)
    })

  const factsOf = ({ machine, networks }: TestHost): HostFacts => ({
    ...machine,
    domainType: "qemu",
    network: networks[0] ?? null
  })

  const described = (there: TestHost, domain: TestDomain, spec: TestDomain["spec"], id: number | null) => {
    const root =
      spec === null
        ? Xml.element("domain", { type: "qemu" }, [Xml.element("name", {}, [domain.name])])
        : DomainXml.build(spec, factsOf(there))
    const numbered = id === null ? root : { ...root, attributes: { ...root.attributes, id: String(id) } }
    return Either.match(Xml.renderIndented(numbered), {
      onLeft: ({ message }) => message,
      onRight: (text) => `${text}\n`
    })
  }

  const inspector = Inspector.of({
    xml: (host, ref) =>
      Effect.map(domainOn(host, ref), ({ domain, there }) =>
        Option.map(domain, (domain) => {
          const running =
            domain.spec === null || domain.runs === null ? domain.spec : { ...domain.spec, ...domain.runs }
          return {
            live: isRunning(domain) ? described(there, domain, running, 1) : null,
            defined: described(there, domain, domain.spec, null)
          }
        })
      ),
    counters: (host) =>
      Effect.map(reach(host), ({ domains }) =>
        [...domains.values()].filter(isRunning).map((domain): Counters => {
          const { resources } = domain.runs ?? domain.spec ?? { resources: { cpu: 1, ram: 64 } }
          return {
            uuid: domain.uuid,
            name: domain.name,
            vcpus: resources.cpu,
            cpuTime: 0,
            memory: { assigned: resources.ram * mebibyte, used: null, resident: null },
            disks: [],
            nics: [],
            ...used.get(domain.name)
          }
        })
      ),
    screenshot: (host, ref) =>
      Effect.map(domainOn(host, ref), ({ domain }) =>
        Option.map(Option.filter(domain, isRunning), () => Picture.png(2, 1, Uint8Array.of(0, 0, 0, 255, 255, 255)))
      ),
    guest: (host, ref) =>
      Effect.map(domainOn(host, ref), ({ domain }): GuestReading =>
        !Option.exists(domain, isRunning)
          ? { _tag: "Silent", reason: "it does not run" }
          : (agents.get(ref.domainName) ?? { _tag: "Silent", reason: "its guest runs no agent" })
      ),
    consoleTail: (host, ref, bytes) =>
      Effect.zipRight(settled(host, ref), SerialLog.tail(read, DomainXml.serialLog(ref.domainName), bytes)),
    consoleAfter: (host, ref, cursor, bytes) =>
      Effect.zipRight(settled(host, ref), SerialLog.after(read, DomainXml.serialLog(ref.domainName), cursor, bytes))
  })

  const state = InspectorTestState.of({
    use: ({ domainName }, counters) =>
      Effect.sync(() => void used.set(domainName, { ...used.get(domainName), ...counters })),
    tell: ({ domainName }, facts) =>
      Effect.sync(() =>
        facts === null ? void agents.delete(domainName) : void agents.set(domainName, { _tag: "Told", facts })
      ),
    print: ({ domainName }, text) =>
      Effect.sync(() => {
        const path = DomainXml.serialLog(domainName)
        files.set(path, Buffer.concat([files.get(path) ?? empty, Buffer.from(text)]))
      }),
    forget: (domain) => Effect.sync(() => forget(domain)),
    rotate: ({ domainName }) =>
      Effect.sync(() => {
        const path = DomainXml.serialLog(domainName)
        for (const number of [2, 1, 0]) {
          const from = number === 0 ? path : `${path}.${number - 1}`
          const older = files.get(from)
          if (older !== undefined) files.set(`${path}.${number}`, older)
        }
        files.delete(path)
      })
  })

  return Context.make(Inspector, inspector).pipe(Context.add(InspectorTestState, state))
}
