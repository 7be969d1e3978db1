/**
 * The program as REST clients use it, and what there is on the hosts of the lab.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Process from "../program/Program.ts"
import * as Lab from "./Lab.ts"

export const database = Effect.acquireRelease(
  Effect.sync(() => join(mkdtempSync(join(tmpdir(), "vmfabric-lab-")), "vmfabric.sqlite")),
  (file) => Effect.sync(() => rmSync(join(file, ".."), { recursive: true }))
)

/** Hosts for a program, and a pool for its root disks and volumes. */
export interface Fleet {
  readonly hosts: ReadonlyArray<string>
  readonly files: ReadonlyArray<string>
  readonly pool: string
}

export const fleet: Fleet = {
  hosts: Lab.status.hosts.map(({ name }) => name),
  files: Lab.filesOf("first"),
  pool: Lab.status.ceph.pool
}

/** For what is done beside tests with the other one. */
export const otherFleet: Fleet = {
  hosts: Lab.everyHost.slice(3).map(({ name }) => name),
  files: Lab.filesOf("rest"),
  pool: Lab.otherPool
}

/** A program, with what it was given. */
export interface Program extends Process.Program {
  readonly fleet: Fleet
}

export const start = (
  file: string,
  flags: ReadonlyArray<string> = [],
  options: Process.Options = {},
  of: Fleet = fleet
) =>
  Effect.map(
    Process.start(["--database", file, ...flags, ...Lab.sshFlags, ...of.files], options),
    (program): Program => ({ ...program, fleet: of })
  )

/** With root disks and volumes in Ceph, when all hosts are up. */
export const startWithCeph = (file: string, of: Fleet, options?: Process.Options) =>
  Effect.tap(start(file, Lab.cephFlags(of.pool), options, of), allHostsUp)

export const hostNames = fleet.hosts

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
export const create = (program: Program, name: string, more = "instance_type=1") =>
  Effect.flatMap(program.get(`/vm/create?name=${name}&${more}`), Schema.decodeUnknown(Created))

export const Destroyed = Schema.Struct({ status: Schema.Int, error: Schema.optional(Schema.String) })
export const destroy = (program: Program, vmid: number) =>
  Effect.flatMap(program.get(`/vm/destroy?vmid=${vmid}`), Schema.decodeUnknown(Destroyed))

export const Queried = Schema.Struct({ pmid: Schema.Int })
export const hostOf = (program: Program, vmid: number) =>
  Effect.map(
    Effect.flatMap(program.get(`/vm/query?vmid=${vmid}`), Schema.decodeUnknown(Queried)),
    ({ pmid }) => program.fleet.hosts[pmid - 1] ?? "none"
  )

export const allHostsUp = (program: Program) =>
  Lab.eventually(
    "all hosts up",
    program.output,
    (text) => (text.match(/host is up/g) ?? []).length >= program.fleet.hosts.length
  )

export const nothingRemains = (program: Program) =>
  Effect.forEach(
    program.fleet.hosts,
    Effect.fnUntraced(function* (host) {
      assert.deepStrictEqual(yield* domains(host, "--all"), [], host)
      assert.deepStrictEqual(yield* disks(host), [], host)
    }),
    { concurrency: "unbounded", discard: true }
  )

/** A request for a VM that nobody looks into. */
export const blank = (instanceType = 1) => `instance_type=${instanceType}&image_id=${Lab.blankImage}`

// ---------------------------------------------------------------------------------------------------------------- volumes

export const Status = Schema.Struct({ status: Schema.Int, error: Schema.optional(Schema.String) })

/** A route that answers `status`. */
export const act = (program: Program, path: string) => Effect.flatMap(program.get(path), Schema.decodeUnknown(Status))

/** The same, and it has to succeed. */
export const succeed = (program: Program, path: string) =>
  Effect.map(act(program, path), (answer) => assert.deepStrictEqual(answer, { status: 1 }, path))

/** A guest that the machine leaves little time does not let go at once: it is asked again, as whoever reads the answer would. */
export const detach = (program: Program, id: number) =>
  act(program, `/volume/detach?volumeid=${id}`).pipe(
    Effect.repeat({ while: ({ error }) => error?.includes("does not let go") === true, times: 9 }),
    Effect.map((answer) => assert.deepStrictEqual(answer, { status: 1 }, `detach ${id}`))
  )

const VolumeCreated = Schema.Struct({ volumeid: Schema.Int, error: Schema.optional(Schema.String) })
export const createVolume = (program: Program, name: string, size = 1) =>
  Effect.flatMap(program.get(`/volume/create?name=${name}&size=${size}`), Schema.decodeUnknown(VolumeCreated))

export const Volume = Schema.Struct({
  volumeid: Schema.Int,
  name: Schema.String,
  size: Schema.Int,
  status: Schema.Literal("attached", "available", "deleted"),
  vmid: Schema.optional(Schema.Int)
})
export const volume = (program: Program, id: number) =>
  Effect.flatMap(program.get(`/volume/query?volumeid=${id}`), Schema.decodeUnknown(Volume))

const Listed = Schema.Struct({ volumes: Schema.Array(Volume) })
export const volumes = (program: Program) =>
  Effect.map(Effect.flatMap(program.get("/volume/list"), Schema.decodeUnknown(Listed)), (listed) => listed.volumes)

/** A command in a guest; gives what it prints, fails when it fails. */
export const inGuest = (host: string, vmid: number, command: string) =>
  Effect.map(Lab.lab("guest-run", host, `vm-${vmid}`, "--within", "180", command), (text) => text.trim())

/** `pattern` in the guest, on the volume's disk as soon as the guest has it. */
export const pattern = (host: string, vmid: number, volumeId: number, ...commands: ReadonlyArray<string>) => {
  const serial = `volume-${volumeId}`
  const wait = `n=0; until [ -b /dev/disk/by-id/virtio-${serial} ] || [ $n -ge 900 ]; do usleep 100000; n=$((n+1)); done`
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
  Lab.eventually(`vm-${vmid} is ready`, guestLog(host, vmid), (text) => text.includes("GUEST READY"), "300 seconds")

/**
 * What is done with the pool, in one process for all images: `look` tells what is in it but images that disks are clones of, `empty` takes as
 * much of that away as can be taken away now, and tells how much is left.
 */
const script = `
import json, rados, rbd, sys
conf, pool, do = sys.argv[1:4]

def tried(do, *args, **kwargs):
    try:
        do(*args, **kwargs)
    except rbd.Error:
        pass

with rados.Rados(conffile=conf, rados_id="admin") as cluster, cluster.open_ioctx(pool) as io:
    pool = rbd.RBD()
    names = [name for name in pool.list(io) if not name.startswith("image-")]
    if do == "look":
        watchers = {}
        for name in names:
            try:
                with rbd.Image(io, name, read_only=True) as image:
                    watchers[name] = len(list(image.watchers_list()))
            except rbd.ImageNotFound:
                pass
        print(json.dumps({"watchers": watchers, "trash": [one["name"] for one in pool.trash_list(io)]}))
    else:
        for name in names:
            tried(pool.trash_move, io, name, 0)
        # clones before what they were made from
        for one in reversed(list(pool.trash_list(io))):
            try:
                with rbd.Image(io, image_id=one["id"]) as image:
                    for snapshot in list(image.list_snaps()):
                        if image.is_protected_snap(snapshot["name"]):
                            tried(image.unprotect_snap, snapshot["name"])
                        tried(image.remove_snap, snapshot["name"])
            except rbd.Error:
                pass
            tried(pool.trash_remove, io, one["id"], True)
        left = [name for name in pool.list(io) if not name.startswith("image-")]
        print(len(left) + len(list(pool.trash_list(io))))
`

const inPool = (pool: string, what: "look" | "empty") =>
  Effect.async<string, Lab.LabError>((resume) => {
    const child = execFile(
      "/usr/bin/python3",
      ["-I", "-c", script, Lab.status.ceph.conf, pool, what],
      (error, stdout, stderr) =>
        resume(
          error === null
            ? Effect.succeed(stdout)
            : Effect.fail(new Lab.LabError({ message: `${what} in pool ${pool}: ${error.message} ${stderr}` }))
        )
    )
    return Effect.sync(() => void child.kill())
  })

const Pool = Schema.parseJson(
  Schema.Struct({
    watchers: Schema.Record({ key: Schema.String, value: Schema.Int }),
    trash: Schema.Array(Schema.String)
  })
)

/** What is in the pool: images but for those that disks are clones of, how many clients have each open, and the trash. */
const poolOf = (program: Program) =>
  Effect.map(Effect.flatMap(inPool(program.fleet.pool, "look"), Schema.decode(Pool)), ({ trash, watchers }) => ({
    images: Object.keys(watchers).toSorted(),
    trash: trash.toSorted(),
    watchers
  }))

/** Ids of the volumes in a domain's XML, by their aliases. */
const volumesIn = (xml: string) =>
  [...xml.matchAll(/<alias name='ua-volume-([0-9]+)'\/>/g)].map(([, id]) => Number(id)).toSorted((a, b) => a - b)

/** Every domain of a host with the volumes in what it runs with, and in what it is defined with. */
const defined = (host: string) =>
  Effect.map(
    Lab.onHost(
      host,
      "sh",
      "-c",
      "for name in $(virsh -q list --all --name); do " +
        'echo "== $name"; virsh dumpxml $name; echo "=="; virsh dumpxml --inactive $name; done'
    ),
    (text) => {
      const parts = text.split(/^==(?: (\S+))?$/m).slice(1)
      return Array.from({ length: parts.length / 4 }, (_, i) => ({
        name: parts[4 * i] ?? "",
        live: volumesIn(parts[4 * i + 1] ?? ""),
        persistent: volumesIn(parts[4 * i + 3] ?? "")
      })).toSorted((a, b) => a.name.localeCompare(b.name))
    }
  )

/** VMs of whose serial consoles the host has a log. */
const logged = (host: string) =>
  Effect.map(Lab.onHost(host, "ls", "/var/log/libvirt/qemu"), (text) => [
    ...new Set(text.split("\n").flatMap((name) => /^(vm-[0-9]+)\.serial\.log/.exec(name)?.[1] ?? []))
  ])

/** A VM that is being created is shown already, and an operation that a kill left is finished behind the answers. */
const nothingUnderWay = (program: Program) =>
  Lab.eventually("nothing is under way", program.get("/operation/list?ended=0"), ({ operations }) =>
    Schema.is(Schema.Tuple())(operations)
  )

/**
 * As soon as nothing is under way, what the program says, what Ceph has, and what QEMU has are one: each VM a domain with a root disk and a seed,
 * each volume an image, open where it is attached and nowhere else, in the live and in the persistent definition of its VM's domain.
 */
export const agree = Effect.fn("agree")(function* (program: Program) {
  const { hosts } = program.fleet
  yield* nothingUnderWay(program)
  const said = Effect.all([
    volumes(program),
    Effect.forEach(hosts, (_, index) =>
      Effect.map(program.get(`/pm/listvms?pmid=${index + 1}`), ({ vmids }) =>
        Schema.decodeUnknownSync(Schema.Array(Schema.Int))(vmids)
      )
    )
  ])
  const found = Effect.forEach(hosts, defined, { concurrency: "unbounded" })
  const printed = Effect.forEach(hosts, logged, { concurrency: "unbounded" })
  const [[all, vms], { images, trash, watchers }, domains, logs] = yield* Effect.all(
    [said, poolOf(program), found, printed],
    { concurrency: "unbounded" }
  )
  const present = all.filter(({ status }) => status !== "deleted")
  assert.deepStrictEqual(
    images,
    [
      ...present.map(({ volumeid }) => `volume-${volumeid}`),
      ...vms.flat().flatMap((id) => [`vm-${id}-root`, `vm-${id}-seed`])
    ].toSorted()
  )
  assert.deepStrictEqual(
    trash,
    all
      .filter(({ status }) => status === "deleted")
      .map(({ volumeid }) => `volume-${volumeid}`)
      .toSorted()
  )
  for (const { status, volumeid } of present) {
    assert.strictEqual(watchers[`volume-${volumeid}`], status === "attached" ? 1 : 0, `watchers of ${volumeid}`)
  }
  for (const [index, ids] of vms.entries()) {
    const wanted = ids.map((id) => {
      const attached = all.flatMap((one) => (one.vmid === id ? [one.volumeid] : [])).toSorted((a, b) => a - b)
      return { name: `vm-${id}`, live: attached, persistent: attached }
    })
    assert.deepStrictEqual(
      domains[index],
      wanted.toSorted((a, b) => a.name.localeCompare(b.name)),
      hostNames[index]
    )
    const names = new Set(ids.map((id) => `vm-${id}`))
    assert.deepStrictEqual(
      logs[index]?.filter((name) => !names.has(name)),
      [],
      `logs of guests that are gone on ${hostNames[index]}`
    )
  }
})

/** VMs on the first hosts, one on each, booted. */
export const bootedVms = Effect.fnUntraced(function* (program: Program, count: number) {
  const made = yield* Effect.forEach(
    Array.from({ length: count }, (_, i) => `guest${i}`),
    (name) => create(program, name),
    { concurrency: "unbounded" }
  )
  return yield* Effect.forEach(
    made,
    Effect.fnUntraced(function* ({ error, vmid }) {
      assert.isAbove(vmid, 0, error)
      const host = yield* hostOf(program, vmid)
      yield* guestReady(host, vmid)
      return { vmid, host }
    }),
    { concurrency: "unbounded" }
  )
})

export const newVolume = Effect.fnUntraced(function* (program: Program, name: string, size = 1) {
  const { error, volumeid } = yield* createVolume(program, name, size)
  assert.isAbove(volumeid, 0, error)
  return volumeid
})

/** Takes away by hand what a test that failed has left on a host. */
export const wipeHost = Effect.fn("wipeHost")(function* (host: string) {
  yield* Lab.lab("mend", host)
  yield* Lab.lab("unblock", host)
  yield* Lab.lab("start-libvirtd", host)
  yield* Lab.lab("thaw-libvirtd", host)
  yield* Lab.onHost(
    host,
    "sh",
    "-c",
    "for name in $(virsh -q list --name); do virsh -q destroy $name; done; " +
      "for name in $(virsh -q list --all --name); do virsh -q undefine $name; done; " +
      // a guest's log goes on from the last guest of its name
      "rm -rf /var/log/libvirt/qemu/*.serial.log; find /var/lib/vmfabric -name 'v*-*' -delete; virsh -q list"
  )
})

export const wipeHosts = (of: Fleet) => Effect.forEach(of.hosts, wipeHost, { concurrency: "unbounded", discard: true })

/** The same on all hosts and in Ceph, so that the next test begins with nothing. */
export const wipe = Effect.fn("wipe")(function* (of: Fleet) {
  yield* Lab.lab("start-osd")
  yield* Lab.lab("thaw-osd")
  yield* wipeHosts(of)
  // Ceph takes half a minute for gone whoever was killed
  yield* Lab.eventually("the pool is empty", inPool(of.pool, "empty"), (left) => left.trim() === "0")
})

/** Everything is destroyed and purged, and nothing is left of it. */
export const cleanUp = Effect.fn("cleanUp")(function* (program: Program) {
  for (const pmid of program.fleet.hosts.map((_, index) => index + 1)) {
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
  yield* nothingRemains(program)
  assert.deepStrictEqual(yield* poolOf(program), { images: [], trash: [], watchers: {} })
})
