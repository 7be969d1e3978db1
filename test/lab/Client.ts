/**
 * The program as REST clients use it, and what there is on the hosts of the lab.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Program from "../program/Program.ts"
import * as Lab from "./Lab.ts"

export const database = Effect.acquireRelease(
  Effect.sync(() => join(mkdtempSync(join(tmpdir(), "vmfabric-lab-")), "vmfabric.sqlite")),
  (file) => Effect.sync(() => rmSync(join(file, ".."), { recursive: true }))
)

export const start = (file: string, flags: ReadonlyArray<string> = [], options: Program.Options = {}) =>
  Program.start(["--database", file, ...flags, ...Lab.sshFlags, ...Lab.files], options)

export const hostNames = Lab.status.hosts.map((host) => host.name)

/** Names of the domains virsh lists on a host, running ones only unless `--all` is given. */
export const domains = (host: string, ...flags: ReadonlyArray<string>) =>
  Effect.map(Lab.onHost(host, "virsh", "-q", "list", "--name", ...flags), (text) =>
    text
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line !== "")
      .toSorted()
  )

/** Whose disks, or what is kept beside them, are in a host's storage folder: `vm-7`, `volume-7`. */
export const disks = (host: string) =>
  Effect.map(Lab.onHost(host, "find", "/var/lib/vmfabric", "-name", "v*-*"), (text) => [
    ...new Set(text.split("\n").flatMap((line) => /\/((?:vm|volume)-[0-9]+)[^/]*$/.exec(line)?.[1] ?? []))
  ])

export const guestLog = (host: string, vmid: number) =>
  Effect.catchTag(Lab.lab("guest-log", host, `vm-${vmid}`), "LabError", () => Effect.succeed(""))

export const Created = Schema.Struct({ vmid: Schema.Int, error: Schema.optional(Schema.String) })
export const create = (program: Program.Program, name: string, more = "instance_type=1") =>
  Effect.flatMap(program.get(`/vm/create?name=${name}&${more}`), Schema.decodeUnknown(Created))

export const Destroyed = Schema.Struct({ status: Schema.Int, error: Schema.optional(Schema.String) })
export const destroy = (program: Program.Program, vmid: number) =>
  Effect.flatMap(program.get(`/vm/destroy?vmid=${vmid}`), Schema.decodeUnknown(Destroyed))

export const Queried = Schema.Struct({ pmid: Schema.Int })
export const hostOf = (program: Program.Program, vmid: number) =>
  Effect.map(
    Effect.flatMap(program.get(`/vm/query?vmid=${vmid}`), Schema.decodeUnknown(Queried)),
    ({ pmid }) => hostNames[pmid - 1] ?? "none"
  )

export const allHostsUp = (program: Program.Program) =>
  Lab.eventually("all hosts up", program.output, (text) => (text.match(/host is up/g) ?? []).length >= hostNames.length)

export const nothingRemains = Effect.forEach(
  hostNames,
  Effect.fnUntraced(function* (host) {
    assert.deepStrictEqual(yield* domains(host, "--all"), [], host)
    assert.deepStrictEqual(yield* disks(host), [], host)
  }),
  { discard: true }
)

// ---------------------------------------------------------------------------------------------------------------- volumes

export const Status = Schema.Struct({ status: Schema.Int, error: Schema.optional(Schema.String) })

/** A route that answers `status`. */
export const act = (program: Program.Program, path: string) =>
  Effect.flatMap(program.get(path), Schema.decodeUnknown(Status))

/** The same, and it has to succeed. */
export const succeed = (program: Program.Program, path: string) =>
  Effect.map(act(program, path), (answer) => assert.deepStrictEqual(answer, { status: 1 }, path))

const VolumeCreated = Schema.Struct({ volumeid: Schema.Int, error: Schema.optional(Schema.String) })
export const createVolume = (program: Program.Program, name: string, size = 1) =>
  Effect.flatMap(program.get(`/volume/create?name=${name}&size=${size}`), Schema.decodeUnknown(VolumeCreated))

export const Volume = Schema.Struct({
  volumeid: Schema.Int,
  name: Schema.String,
  size: Schema.Int,
  status: Schema.Literal("attached", "available", "deleted"),
  vmid: Schema.optional(Schema.Int)
})
export const volume = (program: Program.Program, id: number) =>
  Effect.flatMap(program.get(`/volume/query?volumeid=${id}`), Schema.decodeUnknown(Volume))

const Listed = Schema.Struct({ volumes: Schema.Array(Volume) })
export const volumes = (program: Program.Program) =>
  Effect.map(Effect.flatMap(program.get("/volume/list"), Schema.decodeUnknown(Listed)), (listed) => listed.volumes)

/** A command in a guest; gives what it prints, fails when it fails. */
export const inGuest = (host: string, vmid: number, command: string) =>
  Effect.map(Lab.lab("guest-run", host, `vm-${vmid}`, command), (text) => text.trim())

/** `pattern` in the guest, on the volume's disk as soon as the guest has it. */
export const pattern = (host: string, vmid: number, volumeId: number, ...commands: ReadonlyArray<string>) => {
  const serial = `volume-${volumeId}`
  const wait = `n=0; until [ -b /dev/disk/by-id/virtio-${serial} ] || [ $n -ge 100 ]; do usleep 100000; n=$((n+1)); done`
  const run = commands.map((command) => {
    const [verb = "", ...rest] = command.split(" ")
    return `pattern ${verb} ${serial} ${rest.join(" ")}`
  })
  return Effect.map(inGuest(host, vmid, `${wait}; ${run.join(" && ")}`), (text) =>
    assert.deepStrictEqual(
      text.split(/\r?\n/),
      run.map(() => "OK"),
      run.join()
    )
  )
}

export const guestReady = (host: string, vmid: number) =>
  Lab.eventually(`vm-${vmid} is ready`, guestLog(host, vmid), (text) => text.includes("GUEST READY"), "180 seconds")

const Names = Schema.parseJson(Schema.Array(Schema.String))
const Trash = Schema.parseJson(Schema.Array(Schema.Struct({ id: Schema.String, name: Schema.String })))
const Watched = Schema.parseJson(Schema.Struct({ watchers: Schema.Array(Schema.Unknown) }))

const rbd = (...args: ReadonlyArray<string>) =>
  Lab.lab("rbd", "--", ...args, "--pool", Lab.status.ceph.pool, "--format", "json")

/** What is in the pool: images but for those that disks are clones of, and the trash. */
export const pool = Effect.gen(function* () {
  const images = yield* Effect.flatMap(rbd("ls"), Schema.decode(Names))
  const trash = yield* Effect.flatMap(rbd("trash", "ls"), Schema.decode(Trash))
  return {
    images: images.filter((name) => !name.startsWith("image-")).toSorted(),
    trash: trash.map(({ name }) => name).toSorted()
  }
})

/** How many clients have the image open. */
export const watchers = (image: string) =>
  Effect.map(Effect.flatMap(rbd("status", image), Schema.decode(Watched)), ({ watchers }) => watchers.length)

/** Ids of the volumes in a domain's XML, by their aliases. */
const volumesIn = (xml: string) =>
  [...xml.matchAll(/<alias name='ua-volume-([0-9]+)'\/>/g)].map(([, id]) => Number(id)).toSorted((a, b) => a - b)

/**
 * What the program says, what Ceph has, and what QEMU has are one: each VM a domain with a root disk, each volume an image, open where
 * it is attached and nowhere else, in the live and in the persistent definition of its VM's domain.
 */
export const agree = Effect.fn("agree")(function* (program: Program.Program) {
  const all = yield* volumes(program)
  const vms = yield* Effect.map(
    Effect.forEach(hostNames, (host, index) =>
      Effect.map(program.get(`/pm/listvms?pmid=${index + 1}`), ({ vmids }) => ({
        host,
        ids: Schema.decodeUnknownSync(Schema.Array(Schema.Int))(vmids)
      }))
    ),
    (hosts) => hosts.flatMap(({ host, ids }) => ids.map((id) => ({ host, id })))
  )
  const present = all.filter(({ status }) => status !== "deleted")
  assert.deepStrictEqual(yield* pool, {
    images: [
      ...present.map(({ volumeid }) => `volume-${volumeid}`),
      ...vms.map(({ id }) => `vm-${id}-root`)
    ].toSorted(),
    trash: all
      .filter(({ status }) => status === "deleted")
      .map(({ volumeid }) => `volume-${volumeid}`)
      .toSorted()
  })
  for (const { status, volumeid } of present) {
    assert.strictEqual(yield* watchers(`volume-${volumeid}`), status === "attached" ? 1 : 0, `watchers of ${volumeid}`)
  }
  for (const host of hostNames) {
    assert.deepStrictEqual(
      yield* domains(host, "--all"),
      vms
        .filter((vm) => vm.host === host)
        .map(({ id }) => `vm-${id}`)
        .toSorted(),
      host
    )
  }
  for (const { host, id } of vms) {
    const wanted = all.flatMap((one) => (one.vmid === id ? [one.volumeid] : [])).toSorted((a, b) => a - b)
    for (const flags of [[], ["--inactive"]]) {
      const xml = yield* Lab.onHost(host, "virsh", "dumpxml", `vm-${id}`, ...flags)
      assert.deepStrictEqual(volumesIn(xml), wanted, `vm-${id} ${flags.join("")}`)
    }
  }
})

/** Takes away by hand what a test that failed has left, so that the next one begins with nothing. */
export const wipe = Effect.gen(function* () {
  for (const host of hostNames) {
    yield* Lab.lab("start-libvirtd", host)
    yield* Lab.lab("mend", host)
    for (const name of yield* domains(host)) yield* Lab.onHost(host, "virsh", "destroy", name)
    for (const name of yield* domains(host, "--all")) yield* Lab.onHost(host, "virsh", "undefine", name)
    yield* Lab.onHost(host, "find", "/var/lib/vmfabric", "-name", "v*-*", "-delete")
  }
  const { images } = yield* pool
  for (const image of images) yield* Lab.lab("rbd", "--", "trash", "mv", "--pool", Lab.status.ceph.pool, image)
  // clones before what they were made from
  yield* Effect.gen(function* () {
    const items = yield* Effect.flatMap(rbd("trash", "ls"), Schema.decode(Trash))
    for (const { id } of items.toReversed()) yield* Effect.ignore(purgeByHand(id))
    if (items.length > 0) return yield* new Lab.LabError({ message: `${items.length} images remain in the trash` })
  }).pipe(Effect.retry({ times: 5 }))
})

/** With its snapshots, protected or not. */
const purgeByHand = (id: string) =>
  Effect.zipRight(
    Effect.ignore(Lab.lab("rbd", "--", "snap", "purge", "--pool", Lab.status.ceph.pool, "--image-id", id)),
    Lab.lab("rbd", "--", "trash", "rm", "--force", "--pool", Lab.status.ceph.pool, id)
  )

/** Everything is destroyed and purged, and nothing is left of it. */
export const cleanUp = Effect.fn("cleanUp")(function* (program: Program.Program) {
  for (const pmid of hostNames.map((_, index) => index + 1)) {
    const { vmids } = yield* program.get(`/pm/listvms?pmid=${pmid}`)
    yield* Effect.forEach(
      Schema.decodeUnknownSync(Schema.Array(Schema.Int))(vmids),
      (id) => succeed(program, `/vm/destroy?vmid=${id}`),
      { concurrency: "unbounded" }
    )
  }
  yield* Effect.forEach(
    yield* volumes(program),
    ({ volumeid }) =>
      Effect.zipRight(
        succeed(program, `/volume/destroy?volumeid=${volumeid}`),
        succeed(program, `/volume/purge?volumeid=${volumeid}`)
      ),
    { concurrency: 8 }
  )
  yield* nothingRemains
  assert.deepStrictEqual(yield* pool, { images: [], trash: [] })
})
