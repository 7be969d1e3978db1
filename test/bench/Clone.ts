/**
 * A VM with a root disk in Ceph, from nothing until it runs: by our ports, and by the commands one would type on its host.
 */
import * as Effect from "effect/Effect"
import { VmId } from "../../src/domain/Ids.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import { compare, type Figure, interleave, milliseconds } from "./Figure.ts"
import * as Lab from "./Lab.ts"
import * as Pool from "./Pool.ts"
import { type Argv, BenchError, type Failed, run } from "./Process.ts"

const section = "clone"
const rounds = 9

export const measure = (lab: Lab.Lab) =>
  Effect.gen(function* () {
    const [at] = lab.hosts
    // nothing to boot: what one round has started is not to disturb the next
    const file = `${lab.dir}/images/blank-clone.img`
    yield* run(["truncate", "-s", "40M", file])
    const pool = yield* Pool.open(lab, [file])
    const { ceph, driver, facts, host, hypervisor, libvirt } = pool
    const image = yield* pool.image(0)
    yield* pool.ensureImage(image)
    const base = yield* pool.base(image)
    const shared = yield* Lab.openSsh(lab, at)

    let last = 2000
    const next = Effect.sync(() => VmId.make(++last))

    const parts = { root: new Array<number>(), define: new Array<number>(), start: new Array<number>() }
    const ours = Effect.gen(function* () {
      const vmId = yield* next
      const operationId = yield* Pool.newOperation
      const began = performance.now()
      const root = yield* driver.createRoot(host, { vmId, image, size: Pool.resources.disk, operationId })
      const spec = yield* Pool.domain(vmId, `vm-${vmId}`, root)
      const made = performance.now()
      yield* hypervisor.define(host, spec)
      const defined = performance.now()
      yield* hypervisor.start(host, spec)
      const started = performance.now()
      parts.root.push(made - began)
      parts.define.push(defined - made)
      parts.start.push(started - defined)
      yield* hypervisor.powerOff(host, spec)
      yield* hypervisor.undefine(host, spec)
      yield* driver.deleteRoot(host, vmId)
      return started - began
    })

    // the secret on the host, and how its disks are reached
    const probe = { vmId: yield* next, image, size: 1, operationId: yield* Pool.newOperation }
    const access = yield* driver.createRoot(host, probe)
    if (access._tag !== "Rbd") return yield* new BenchError({ message: "the root disk is not in Ceph" })
    yield* driver.deleteRoot(host, probe.vmId)

    /** The domain and disk that ours would be, with names of their own; removed afterwards. */
    const byHand = (create: (name: string, xml: string, file: string) => Effect.Effect<unknown, Failed>) =>
      Effect.gen(function* () {
        const vmId = yield* next
        const name = `bench-${vmId}`
        const spec = yield* Pool.domain(vmId, name, { ...access, image: name, serial: name })
        const xml = yield* Xml.render(DomainXml.build(spec, facts))
        const elapsed = yield* milliseconds(create(name, xml, yield* Lab.put(at, `${name}.xml`, xml)))
        yield* Lab.inside(at, ...Pool.virsh, "destroy", name)
        yield* pool.remove(name)
        return elapsed
      })
    const rbd = Pool.rbd.onHost(lab).join(" ")
    const script = (name: string, file: string): string =>
      [
        `${rbd} clone ${base.image}@${base.snapshot} ${ceph.pool}/${name}`,
        `${rbd} resize --no-progress --size ${Pool.resources.disk}G ${name}`,
        `${Pool.virsh.join(" ")} create ${file}`
      ].join(" && ")
    const scripted = (command: (script: string) => Argv) =>
      byHand((name, _xml, file) => run(command(script(name, file))))
    const bare = byHand((name, xml) =>
      Effect.gen(function* () {
        yield* ceph.clone(base, name)
        yield* ceph.grow(name, Pool.resources.disk * 1024 ** 3)
        yield* libvirt.call(host.config.address, "DOMAIN_CREATE_XML", { xml_desc: xml, flags: 0 })
      })
    )

    // code compiled
    yield* Effect.repeatN(ours, 2)
    for (const part of Object.values(parts)) part.length = 0

    const times = yield* interleave<string, Failed, never>(rounds, [
      { name: "ours", round: ours },
      {
        name: "host",
        round: scripted((text) => Lab.enter(at, "bash", "-c", text))
      },
      {
        name: "shared",
        round: scripted((text) => [...shared, text])
      },
      { name: "bare", round: bare }
    ])
    const figure = (what: string, values: ReadonlyArray<number>): Figure => ({ section, what, unit: "ms", values })
    const mine = figure("ours: root disk, define, start", times("ours"))
    const versus = (peer: string, name: "host" | "shared"): Figure => ({
      ...mine,
      against: compare(peer, times("ours"), times(name)),
      target: { of: "ratio", kind: "at most", value: 1.05, orMore: 20 }
    })
    return [
      figure("rbd clone, rbd resize, virsh create on the host", times("host")),
      figure("the same over an open ssh connection", times("shared")),
      figure("the bare calls in our own sessions", times("bare")),
      versus("commands on the host", "host"),
      versus("commands over open ssh", "shared"),
      { ...mine, against: compare("the bare calls", times("ours"), times("bare")) },
      figure("of ours: root disk", parts.root),
      figure("of ours: define", parts.define),
      figure("of ours: start", parts.start)
    ]
  })
