/**
 * What the doctor looks at by libvirt: whether it answers, how old it is, whether guests run, and what its VMs need.
 *
 * @since 0.7.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { HostError } from "../src/domain/Errors.ts"
import type { Host } from "../src/domain/Host.ts"
import { DomainUuid } from "../src/domain/Ids.ts"
import * as Uuid from "../src/domain/Uuid.ts"
import * as DomainXml from "../src/libvirt/DomainXml.ts"
import { code, failure } from "../src/libvirt/HostErrors.ts"
import * as HostXml from "../src/libvirt/HostXml.ts"
import * as Xml from "../src/libvirt/Xml.ts"
import type { Libvirt } from "../src/services/Libvirt.ts"
import * as Quote from "../src/ssh/Quote.ts"
import { limit, there, type Verdict, well } from "./DoctorVerdict.ts"
import * as HostCalls from "./HostCalls.ts"

/** What the tiny guest takes at most: emulated, on a machine that has much to do, its firmware takes some seconds. @since 0.7.0 @category constants */
export const guestLimit = Duration.seconds(40)

/** VIR_DOMAIN_START_AUTODESTROY: it ends with our connection, whatever becomes of us */
const autoDestroy = 2

/** As libvirt counts: a million for the first number, a thousand for the second. What older ones lack is used. */
const least = { libvirt: 8_000_000, qemu: 6_002_000 }

const arch = "x86_64"

/** VMs that are looked at at the same time */
const atOnce = 4

/** A guest without disks, with the processor that VMs get there: its firmware finds nothing to boot, and starts anew at once, which ends it. So it ends when it has really run, and only then. */
const tinyGuest = (host: Host, type: "kvm" | "qemu", name: string, uuid: string) =>
  Either.mapLeft(
    Xml.render(
      Xml.element("domain", { type }, [
        Xml.element("name", {}, [name]),
        Xml.element("uuid", {}, [uuid]),
        Xml.element("memory", { unit: "MiB" }, [32]),
        Xml.element("vcpu", {}, [1]),
        Xml.element("os", {}, [
          Xml.element("type", { arch, machine: "q35" }, ["hvm"]),
          Xml.element("bios", { rebootTimeout: 0 })
        ]),
        DomainXml.processor({ arch, domainType: type }),
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

/** What a host says in its capabilities. @since 0.7.0 @category models */
export interface Nature {
  /** its processor's model, and all that libvirt says of it as XML */
  readonly cpu: string
  readonly processor: string
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
  const cpu = Xml.find(root, "host", "cpu")
  return {
    cpu: capabilities.processor.model ?? "unknown",
    processor: cpu === undefined ? "" : Either.getOrElse(Xml.render(cpu), () => ""),
    types: capabilities.domainTypes,
    machines: new Set(machines.flatMap((machine) => Xml.textOf(machine) ?? [])),
    usual: Xml.attribute(alias, "canonical") ?? null
  }
}

const versionOf = (number: bigint): string => {
  const all = Number(number)
  return [Math.floor(all / 1_000_000), Math.floor(all / 1000) % 1000, all % 1000].join(".")
}

/** @since 0.7.0 @category constructors */
export const make = (libvirt: Libvirt["Type"]) => {
  const { wire } = HostCalls
  const { call, unless } = HostCalls.make(libvirt)

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
      const outcome = yield* Effect.acquireUseRelease(
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
      ).pipe(Effect.catchTag("HostFailure", (refused) => Effect.succeed(refused)))
      const took = ((yield* Clock.currentTimeMillis) - began) / 1000
      if (outcome === true)
        return well(`a tiny ${type} guest ran, and its firmware did its work in ${took.toFixed(1)} s`)
      const isFile = host.origin === "file"
      return {
        level: "failure",
        seen:
          outcome === false
            ? `a tiny ${type} guest was started, and its firmware had done nothing after ${Duration.format(guestLimit)}`
            : outcome.message,
        means:
          type === "kvm"
            ? `Guests ${outcome === false ? "hang" : "do not start"} there although the host offers kvm: run them emulated${isFile ? ", by virt=qemu on its line of the machine file" : ""}, or mend the machine's virtualization.`
            : "Guests do not run there.",
        ...(type === "kvm" && !isFile ? { mend: `vmfabric host set ${host.id} virt=qemu` } : {})
      } satisfies Verdict
    })

  const version = (host: Host): Effect.Effect<Verdict, HostError> =>
    Effect.gen(function* () {
      const { lib_ver } = yield* call(host, "tell its version", "CONNECT_GET_LIB_VERSION", undefined)
      const { hv_ver } = yield* call(host, "tell its version", "CONNECT_GET_VERSION", undefined)
      const seen = `libvirt ${versionOf(lib_ver)} and QEMU ${versionOf(hv_ver)} are there`
      const old = Number(lib_ver) < least.libvirt || Number(hv_ver) < least.qemu
      if (!old) return well(seen)
      return {
        level: "failure",
        seen,
        means: `What is older than libvirt ${versionOf(BigInt(least.libvirt))} and QEMU ${versionOf(BigInt(least.qemu))} does not know all that VMs need.`,
        mend: there(host, "apt-get install -y --only-upgrade libvirt-daemon-system qemu-system-x86")
      } satisfies Verdict
    })

  /** The machine types that its VMs have, and it has no more: such VMs do not start. */
  const vms = (host: Host, { machines, usual }: Nature): Effect.Effect<Verdict, HostError> =>
    Effect.gen(function* () {
      const action = "tell its VMs' machine types"
      const { domains } = yield* call(host, action, "CONNECT_LIST_ALL_DOMAINS", { need_results: 1, flags: 0 })
      const found = yield* Effect.forEach(
        domains,
        (dom) =>
          Effect.map(
            unless(host, action, "DOMAIN_GET_XML_DESC", { dom, flags: HostCalls.describing.inactive }, code.noDomain),
            (described) =>
              Option.match(described, {
                onNone: () => [],
                onSome: ({ xml }) => {
                  const root = Either.getOrUndefined(Xml.parse(xml))
                  const machine = root && Xml.attribute(Xml.find(root, "os", "type"), "machine")
                  return machine === undefined || machines.has(machine) ? [] : [{ name: dom.name, machine }]
                }
              })
          ),
        { concurrency: atOnce }
      )
      const without = found.flat()
      if (without.length === 0) return well("the machine types of its VMs are ones that it has")
      return {
        level: "failure",
        seen: `it does not have the machine type of ${without.map(({ machine, name }) => `${name} (${machine})`).join(", ")}`,
        means: "They cannot be started there: give them one that is there, which their guests see as a new mainboard.",
        mend: there(
          host,
          without
            .map(({ machine, name }) => {
              const instead = machine.includes("q35") ? (usual ?? "q35") : "pc"
              const change = `s/machine='${machine}'/machine='${instead}'/`
              const given = Quote.display([name])
              return `virsh dumpxml --inactive --security-info ${given} | sed ${Quote.display([change])} | virsh define /dev/stdin`
            })
            .join(" && ")
        )
      } satisfies Verdict
    })

  /** The processor that guests could have on all of them, as one of them says. */
  const baseline = (host: Host, processors: ReadonlyArray<string>): Effect.Effect<string, HostError> =>
    Effect.flatMap(
      call(host, "find a processor that all hosts have", "CONNECT_BASELINE_CPU", {
        xmlCPUs: [...processors],
        flags: 0
      }),
      ({ cpu }) =>
        Option.match(
          Option.flatMapNullable(Either.getRight(Xml.parse(cpu)), (root) => Xml.textOf(Xml.child(root, "model"))),
          {
            onNone: () => failure(host, "find a processor that all hosts have", "its answer names no model"),
            onSome: (model) => Effect.succeed(model)
          }
        )
    )

  return { nature, daemon, guest, version, vms, baseline }
}

/** @since 0.7.0 @category models */
export type DoctorLibvirt = ReturnType<typeof make>
