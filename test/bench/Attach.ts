/**
 * A volume into a running VM: by our ports, by `virsh`, and by the whole program.
 */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { VmId, VolumeId } from "../../src/domain/Ids.ts"
import { volumeSerial } from "../../src/domain/Volume.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import { compare, type Figure, interleave, milliseconds } from "./Figure.ts"
import * as Lab from "./Lab.ts"
import * as Pool from "./Pool.ts"
import { type Argv, type Failed, run } from "./Process.ts"
import * as Program from "./Program.ts"

const section = "attach"
const rounds = 21
const programRounds = 9
/** VIR_DOMAIN_AFFECT_LIVE and _CONFIG */
const liveAndConfig = 1 | 2

/** A VM's and volumes' numbers that the program does not come to. */
const firstId = 3000

export const measure = (lab: Lab.Lab) =>
  Effect.gen(function* () {
    const [at] = lab.hosts
    yield* Program.build
    const pool = yield* Pool.open(lab, [`${lab.dir}/images/guest.img`])
    const { driver, host, hypervisor, libvirt } = pool
    const image = yield* pool.image(0)
    yield* pool.ensureImage(image)
    const shared = yield* Lab.openSsh(lab, at)

    // a guest that runs, for it has to let go of what it was given
    const vmId = VmId.make(firstId)
    const operationId = yield* Pool.newOperation
    const vm = yield* Effect.acquireRelease(
      Effect.gen(function* () {
        const root = yield* driver.createRoot(host, { vmId, image, size: Pool.resources.disk, operationId })
        const spec = yield* Pool.domain(vmId, `vm-${vmId}`, root)
        yield* hypervisor.define(host, spec)
        yield* hypervisor.start(host, spec)
        return spec
      }),
      (spec) =>
        Effect.all([
          hypervisor.powerOff(host, spec),
          hypervisor.undefine(host, spec),
          driver.deleteRoot(host, vmId)
        ]).pipe(Effect.catchAll((error) => Effect.logError(`the VM of section ${section} is left: ${error.message}`)))
    )
    yield* Lab.guestReady(lab, vm.domainName)

    /** A volume of its own for each way, detached after every round. */
    const way = (index: number, letter: string) =>
      Effect.gen(function* () {
        const id = VolumeId.make(firstId + index)
        const at = { id, host: null }
        const disk = { alias: `ua-${volumeSerial(id)}`, target: `vd${letter}` }
        const request = { size: 1, name: "bench", operationId, source: null }
        yield* Effect.acquireRelease(driver.createVolume(at, request), () => Effect.ignore(pool.remove(`volume-${id}`)))
        const open = driver.openVolume(at, { host, domainName: vm.domainName, held: false })
        const xml = yield* Effect.flatMap(open, (source) => Xml.render(DomainXml.volumeDisk({ ...disk, source })))
        const round = (attach: Effect.Effect<unknown, Failed>): Effect.Effect<number, Failed> =>
          Effect.gen(function* () {
            const elapsed = yield* milliseconds(attach)
            yield* hypervisor.detachDisk(host, vm, disk)
            yield* driver.awaitReleased(at)
            return elapsed
          })
        return { disk, open, xml, round }
      })
    const [one, two, three, four] = yield* Effect.all([way(1, "b"), way(2, "c"), way(3, "d"), way(4, "e")])
    const looks = new Array<number>()
    const ours = one.round(
      Effect.gen(function* () {
        const started = performance.now()
        const source = yield* one.open
        looks.push(performance.now() - started)
        yield* hypervisor.attachDisk(host, vm, { ...one.disk, source })
      })
    )
    const virsh = ({ xml }: typeof one) =>
      Effect.map(Lab.put(at, `${randomUUID()}.xml`, xml), (file): Argv => [
        ...Pool.virsh,
        "attach-device",
        vm.domainName,
        file,
        "--live",
        "--config"
      ])
    const byHost = Lab.enter(at, ...(yield* virsh(two)))
    const bySsh: Argv = [...shared, ...(yield* virsh(three))]

    yield* ours
    looks.length = 0
    const times = yield* interleave<string, Failed, never>(rounds, [
      { name: "ours", round: ours },
      { name: "host", round: two.round(run(byHost)) },
      { name: "shared", round: three.round(run(bySsh)) },
      {
        name: "bare",
        round: four.round(
          libvirt.call(host.config.address, "DOMAIN_ATTACH_DEVICE_FLAGS", {
            dom: { name: vm.domainName, uuid: vm.uuid, id: -1 },
            xml: four.xml,
            flags: liveAndConfig
          })
        )
      }
    ])

    // ---- the program, with a VM of its own; only now, for both guests are busy after an attach
    const work = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-bench-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    const program = yield* Program.serveFiles(Program.fromBuild, lab, join(work, "vmfabric.sqlite"), lab.cephArgs)
    const ids = yield* Effect.acquireRelease(
      Effect.all({
        vm: program.made("vmid", "/vm/create?name=bench&instance_type=1&image_id=100"),
        volume: program.made("volumeid", "/volume/create?name=bench&size=1")
      }),
      ({ vm, volume }) =>
        Effect.all([
          program.done(`/vm/destroy?vmid=${vm}`),
          program.done(`/volume/destroy?volumeid=${volume}`),
          program.done(`/volume/purge?volumeid=${volume}`)
        ]).pipe(Effect.catchAll((error) => Effect.logError(`left by section ${section}: ${error.message}`)))
    )
    yield* Lab.guestReady(lab, `vm-${ids.vm}`)
    const rest = Effect.gen(function* () {
      const elapsed = yield* milliseconds(program.done(`/volume/attach?vmid=${ids.vm}&volumeid=${ids.volume}`))
      yield* program.done(`/volume/detach?volumeid=${ids.volume}`)
      return elapsed
    })
    yield* rest
    const whole = yield* interleave<string, Failed, never>(programRounds, [
      { name: "rest", round: rest },
      { name: "host", round: two.round(run(byHost)) }
    ])

    const figure = (what: string, values: ReadonlyArray<number>): Figure => ({ section, what, unit: "ms", values })
    const mine = figure("ours: open the volume, attach the disk", times("ours"))
    const versus = (peer: string, name: "host" | "shared"): Figure => ({
      ...mine,
      against: compare(peer, times("ours"), times(name)),
      target: { of: "ratio", kind: "at most", value: 1.05, orMore: 20 }
    })
    return [
      figure("virsh attach-device on the host", times("host")),
      figure("the same over an open ssh connection", times("shared")),
      figure("the bare call in our own session", times("bare")),
      versus("virsh on the host", "host"),
      versus("virsh over open ssh", "shared"),
      { ...mine, against: compare("the bare call", times("ours"), times("bare")) },
      figure("of ours: open the volume", looks),
      {
        ...figure("ours, by REST: /volume/attach", whole("rest")),
        against: compare("virsh on the host", whole("rest"), whole("host"))
      }
    ]
  })
