/**
 * Thirty VMs at once: by the running program, and by what an administrator would write in a shell.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { randomUUID } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DomainUuid, OperationId, VmId } from "../../src/domain/Ids.ts"
import * as DomainXml from "../../src/libvirt/DomainXml.ts"
import * as Xml from "../../src/libvirt/Xml.ts"
import { compare, type Figure, interleave, milliseconds } from "./Figure.ts"
import * as Lab from "./Lab.ts"
import { type Argv, BenchError, root, run, start } from "./Process.ts"
import * as Program from "./Program.ts"

const section = "create"
const perHost = 10
const rounds = 3
/** The lab's guest, and one that stops in its BIOS: here 30 that boot in software want the processors their makers run on. */
const guests = [
  { image: "guest.img", what: "that boot" },
  { image: "blank.img", what: "with nothing to boot" }
] as const
const firstImage = 100

/** where the shell script keeps its disks */
const folder = "/var/lib/bench"

const Created = Schema.parseJson(Schema.Struct({ vmid: Schema.Int, error: Schema.optional(Schema.String) }))
const Destroyed = Schema.parseJson(Schema.Struct({ status: Schema.Int, error: Schema.optional(Schema.String) }))

const refused = (what: string, answer: { readonly error?: string | undefined }) =>
  new BenchError({ message: `${what}: ${answer.error ?? "refused without a reason"}` })

/** The domain the program would define, with another name and disk: what is compared is the way, not the guest. */
const domain = (index: number) =>
  Effect.map(
    Xml.render(
      DomainXml.build(
        {
          vmId: VmId.make(1000 + index),
          uuid: DomainUuid.make(randomUUID()),
          domainName: `bench-${index}`,
          title: `bench-${index}`,
          resources: { cpu: 1, ram: 128, disk: 1 },
          nics: [
            {
              alias: "ua-nic-1",
              mac: `52:54:00:be:00:${index.toString(16).padStart(2, "0")}`,
              source: { kind: "libvirt", name: "default" },
              model: "virtio",
              link: "up"
            }
          ],
          root: { _tag: "File", path: `${folder}/bench-${index}.qcow2`, format: "qcow2", serial: `bench-${index}` },
          operationId: OperationId.make(randomUUID())
        },
        {
          hostname: "bench",
          uuid: randomUUID(),
          libvirtVersion: "0",
          resources: { cpu: 1, ram: 1, disk: 1 },
          arch: "x86_64",
          domainType: "qemu",
          network: "default"
        }
      )
    ),
    (text) => ({ name: `bench-${index}`, text })
  )

export const measure = (lab: Lab.Lab) =>
  Effect.gen(function* () {
    const work = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "vmfabric-bench-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    const total = perHost * lab.hosts.length

    const images = `${lab.dir}/images`
    yield* run(["truncate", "-s", "40M", `${images}/blank.img`])

    // ---- ours
    yield* Program.build
    const imageFile = join(work, "image_file")
    writeFileSync(imageFile, guests.map(({ image }) => `${images}/${image} format=raw\n`).join(""))
    const program = yield* Program.serve(Program.fromBuild, [
      "--log-level",
      "info",
      "--database",
      join(work, "vmfabric.sqlite"),
      ...lab.sshArgs,
      lab.machineFile,
      imageFile,
      lab.typesFile
    ])
    const create = (name: string, image: number) =>
      program.get(`/vm/create?name=${name}&instance_type=1&image_id=${image}`).pipe(
        Effect.flatMap(Schema.decode(Created)),
        Effect.flatMap((answer) => (answer.vmid > 0 ? Effect.succeed(answer.vmid) : refused("create", answer)))
      )
    const destroy = (vmid: number) =>
      program.get(`/vm/destroy?vmid=${vmid}`).pipe(
        Effect.flatMap(Schema.decode(Destroyed)),
        Effect.flatMap((answer) => (answer.status === 1 ? Effect.void : refused("destroy", answer)))
      )
    const createAll = (count: number, image: number) =>
      Effect.forEach(
        Array.from({ length: count }, (_, i) => `vm${i}`),
        (name) => create(name, image),
        { concurrency: "unbounded" }
      )
    const destroyAll = Effect.forEach(destroy, { concurrency: "unbounded", discard: true })
    const ours = (image: number) =>
      Effect.gen(function* () {
        let ids: ReadonlyArray<number> = []
        const elapsed = yield* milliseconds(Effect.tap(createAll(total, image), (created) => void (ids = created)))
        yield* allRun
        yield* destroyAll(ids)
        return elapsed
      })

    // ---- the script's
    const control = join(work, "%h.control")
    const shared: Argv = [...lab.ssh, "-S", control]
    const plan: Array<string> = []
    for (const [at, { address }] of lab.hosts.entries()) {
      for (let i = at * perHost; i < (at + 1) * perHost; i++) {
        const { name, text } = yield* domain(i)
        const file = join(work, `${name}.xml`)
        writeFileSync(file, text)
        plan.push(`root@${address.host} ${name} ${file}`)
      }
      const destination = `root@${address.host}`
      yield* start([...shared, "-M", "-N", "-v", destination], /(Entering interactive session)/)
      yield* run([...shared, destination, "mkdir", "-p", folder])
      const [, ...options] = lab.ssh
      const files = guests.map(({ image }) => `${images}/${image}`)
      yield* run(["scp", "-q", ...options, ...files, `${destination}:${folder}/`])
    }
    const planFile = join(work, "plan")
    writeFileSync(planFile, `${plan.join("\n")}\n`)
    const script = (verb: "create" | "destroy", image: string, ssh: Argv) =>
      run(["bash", `${root}test/bench/create.sh`, verb, planFile, folder, image, "raw", "1G", ...ssh], {
        seconds: 180
      })
    const theirs = (image: string, ssh: Argv) =>
      Effect.gen(function* () {
        const elapsed = yield* milliseconds(script("create", image, ssh))
        yield* allRun
        yield* script("destroy", image, shared)
        return elapsed
      })

    const allRun = Effect.forEach(
      lab.hosts,
      (host) =>
        Effect.flatMap(Lab.inside(host, "virsh", "-q", "list", "--name", "--state-running"), (text) => {
          const count = text.split("\n").filter((line) => line.trim() !== "").length
          return count === perHost
            ? Effect.void
            : new BenchError({ message: `${count} VMs run on ${host.address.host} instead of ${perHost}` })
        }),
      { discard: true }
    )

    const figures: Array<Figure> = []
    for (const [index, { image, what }] of guests.entries()) {
      const id = firstImage + index
      // the image on every host, and code compiled, for everybody
      yield* destroyAll(yield* createAll(lab.hosts.length, id))
      const times = yield* interleave(rounds, [
        { name: "ours", round: ours(id) },
        { name: "shared", round: theirs(image, shared) },
        { name: "new", round: theirs(image, lab.ssh) }
      ])
      const figure = (way: string, name: "ours" | "shared" | "new"): Figure => ({
        section,
        what: `${total} VMs ${what}: ${way}`,
        unit: "ms",
        values: times(name)
      })
      const versus = (peer: string, name: "shared" | "new"): Figure => ({
        ...figure("ours, by REST", "ours"),
        against: compare(peer, times("ours"), times(name)),
        target: { of: "ratio", kind: "at most", value: 1 }
      })
      figures.push(
        figure("script, a new ssh for each", "new"),
        figure("script, open ssh connections", "shared"),
        versus("script, a new ssh for each", "new"),
        versus("script, open ssh connections", "shared")
      )
    }
    return figures
  })
