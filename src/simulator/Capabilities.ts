/**
 * What a simulated host says of itself in XML, in the shape of libvirt 9.0.0 with QEMU 7.2 on Debian 12.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Xml from "../libvirt/Xml.ts"
import type { Machine } from "./HostState.ts"
import { print } from "./PrintXml.ts"
import * as Processors from "./Processors.ts"
import { code, from, refuse, type Refusal } from "./Refusal.ts"

const emulator = "/usr/bin/qemu-system-x86_64"
const e = Xml.element

/** Whose processor libvirt's models are of. @since 0.8.0 @category getters */
export const vendorOf = (cpuModel: string): string =>
  /^(?:EPYC|Opteron|athlon|phenom)/.test(cpuModel) ? "AMD" : "Intel"

/** CONNECT_GET_CAPABILITIES. @since 0.1.0 @category procedures */
export const capabilities = (machine: Machine): string => {
  const types = machine.kvm ? ["qemu", "kvm"] : ["qemu"]
  const guest = (arch: string, wordSize: string) =>
    e("guest", {}, [
      e("os_type", {}, ["hvm"]),
      e("arch", { name: arch }, [
        e("wordsize", {}, [wordSize]),
        e("emulator", {}, [emulator]),
        e("machine", { maxCpus: 255 }, ["pc-i440fx-7.2"]),
        e("machine", { canonical: "pc-i440fx-7.2", maxCpus: 255 }, ["pc"]),
        e("machine", { maxCpus: 288 }, ["pc-q35-7.2"]),
        e("machine", { canonical: "pc-q35-7.2", maxCpus: 288 }, ["q35"]),
        ...types.map((type) => e("domain", { type }))
      ]),
      e("features", {}, [
        e("acpi", { default: "on", toggle: "yes" }),
        e("apic", { default: "on", toggle: "no" }),
        e("cpuselection"),
        e("deviceboot"),
        e("disksnapshot", { default: "on", toggle: "no" })
      ])
    ])
  return print(
    e("capabilities", {}, [
      e("host", {}, [
        e("uuid", {}, [machine.uuid]),
        e("cpu", {}, [
          e("arch", {}, ["x86_64"]),
          e("model", {}, [machine.cpuModel]),
          e("vendor", {}, [vendorOf(machine.cpuModel)]),
          e("topology", { sockets: 1, dies: 1, cores: machine.cpus, threads: 1 }),
          e("pages", { unit: "KiB", size: 4 })
        ]),
        e("power_management", {}, [e("suspend_mem")]),
        e("iommu", { support: "no" }),
        e("migration_features", {}, [
          e("live"),
          e("uri_transports", {}, [e("uri_transport", {}, ["tcp"]), e("uri_transport", {}, ["rdma"])])
        ]),
        e("topology", {}, [
          e("cells", { num: 1 }, [
            e("cell", { id: 0 }, [
              e("memory", { unit: "KiB" }, [Math.floor(machine.memory / 1024)]),
              e("cpus", { num: machine.cpus })
            ])
          ])
        ]),
        e("secmodel", {}, [e("model", {}, ["none"]), e("doi", {}, ["0"])])
      ]),
      guest("i686", "32"),
      guest("x86_64", "64")
    ])
  )
}

/** CONNECT_GET_DOMAIN_CAPABILITIES. @since 0.1.0 @category procedures */
export const domainCapabilities = (type: string, machineType: string): string =>
  print(
    e("domainCapabilities", {}, [
      e("path", {}, [emulator]),
      e("domain", {}, [type]),
      e("machine", {}, [machineType === "q35" ? "pc-q35-7.2" : "pc-i440fx-7.2"]),
      e("arch", {}, ["x86_64"]),
      e("vcpu", { max: 255 }),
      e("os", { supported: "yes" }),
      e("cpu", {}, [
        e("mode", { name: "host-passthrough", supported: type === "kvm" ? "yes" : "no" }),
        e("mode", { name: "maximum", supported: "yes" }),
        e("mode", { name: "host-model", supported: "yes" }),
        e("mode", { name: "custom", supported: "yes" }, [e("model", { usable: "yes", vendor: "unknown" }, ["qemu64"])])
      ]),
      e("devices", {}, [
        e("disk", { supported: "yes" }, [
          e(
            "enum",
            { name: "bus" },
            ["ide", "scsi", "virtio", "sata"].map((bus) => e("value", {}, [bus]))
          )
        ]),
        e("rng", { supported: "yes" }, [
          e("enum", { name: "model" }, [e("value", {}, ["virtio"])]),
          e("enum", { name: "backendModel" }, [e("value", {}, ["random"]), e("value", {}, ["builtin"])])
        ])
      ])
    ])
  )

const expandFeatures = 1

/**
 * CONNECT_BASELINE_CPU: processors of one model have it, and others nothing in common. Of its features those that the model has are told when
 * they are asked for.
 *
 * @since 0.7.0 @category procedures
 */
export const baseline = (
  processors: ReadonlyArray<string>,
  flags = 0
): Either.Either<{ readonly cpu: string }, Refusal> => {
  const models = new Set(
    processors.map((text) =>
      Either.getOrUndefined(Either.map(Xml.parse(text), (root) => Xml.textOf(Xml.child(root, "model"))))
    )
  )
  const [model] = models
  return models.size === 1 && model !== undefined
    ? Either.right({
        cpu: print(
          e("cpu", { mode: "custom", match: "exact" }, [
            e("model", { fallback: "forbid" }, [model]),
            ...((flags & expandFeatures) === 0 ? [] : Processors.featuresOf(model)).map((name) =>
              e("feature", { policy: "require", name })
            )
          ])
        )
      })
    : Either.left(refuse(code.operationFailed, from.cpu, "CPUs are incompatible"))
}
