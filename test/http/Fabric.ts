/** The routes over a fabric that answers from memory. */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { usual } from "../../src/domain/CloudInit.ts"
import * as Errors from "../../src/domain/Errors.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import * as Ids from "../../src/domain/Ids.ts"
import * as Nic from "../../src/domain/Nic.ts"
import { Drift } from "../../src/domain/Drift.ts"
import { Image } from "../../src/domain/Image.ts"
import { Operation, type OperationReport } from "../../src/domain/Operation.ts"
import { Vm } from "../../src/domain/Vm.ts"
import { Snapshot, Volume, VolumeState } from "../../src/domain/Volume.ts"
import { Backup } from "../../src/services/Backup.ts"
import { Examinations } from "../../src/fabric/Doctor.ts"
import { type HostReport, Hosts } from "../../src/fabric/Hosts.ts"
import { Inspections } from "../../src/fabric/Inspections.ts"
import { Reach } from "../../src/fabric/Reach.ts"
import { Images } from "../../src/fabric/Images.ts"
import { ImageIntake } from "../../src/fabric/ImageIntake.ts"
import { ImagePublishing } from "../../src/fabric/ImagePublishing.ts"
import { InstanceTypes } from "../../src/fabric/InstanceTypes.ts"
import { Pools } from "../../src/fabric/Pools.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Requests } from "../../src/fabric/Requests.ts"
import { Retries } from "../../src/fabric/Retries.ts"
import { Reality, type VmReport } from "../../src/fabric/Reality.ts"
import { Vms, type CreateVm } from "../../src/fabric/Vms.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import * as Router from "../../src/http/Router.ts"
import { Operations } from "../../src/services/Operations.ts"

const vm = Vm.make({
  id: Ids.VmId.make(38201),
  uuid: Ids.DomainUuid.make("00112233-4455-6677-8899-aabbccddeeff"),
  name: "test_vm",
  instanceType: Ids.InstanceTypeId.make(3),
  imageId: Ids.ImageId.make(100),
  hostId: Ids.HostId.make(2),
  resources: { cpu: 1, ram: 512, disk: 1 },
  driver: "dir",
  nics: [Nic.usual("52:54:00:00:00:01")],
  state: "running",
  onCrash: "restart",
  applied: { name: "test_vm", cpu: 1, ram: 512 }
})

const drift = new Drift({
  vmId: vm.id,
  kind: "definition",
  field: "vcpus",
  wanted: "1",
  applied: "1",
  seen: "4",
  since: 1_700_000_000_000
})

const report: VmReport = {
  vm,
  seen: { power: "stopped", reason: "the guest shut itself down", since: 1_700_000_000_000 },
  host: { _tag: "Up" },
  drift: [drift],
  violations: [],
  addresses: [{ mac: "52:54:00:00:00:01", address: "10.0.0.17", prefix: 24, source: "agent" }]
}

const running = Operation.make({
  id: Ids.OperationId.make("11111111-2222-4333-8444-555555555555"),
  kind: "CreateVm",
  vmId: vm.id,
  volumeId: null,
  snapshotId: null,
  detail: {},
  state: "running",
  error: null,
  cancelAsked: false,
  createdAt: 1_700_000_000_000,
  finishedAt: null
})

const ended = Operation.make({
  ...running,
  id: Ids.OperationId.make("11111111-2222-4333-8444-666666666666"),
  kind: "AttachVolume",
  volumeId: Ids.VolumeId.make(3),
  state: "failed",
  error: "it was cancelled",
  cancelAsked: true,
  finishedAt: 1_700_000_001_500
})

/** One under way, at its second step, and one that was cancelled. */
const operations: ReadonlyArray<OperationReport> = [
  {
    operation: running,
    progress: {
      phase: "do",
      step: "image",
      description: "Send the image.",
      number: 1,
      of: 5,
      percent: 40,
      tries: 2,
      waiting: null
    }
  },
  { operation: ended, progress: null }
]

const host = Host.make({
  id: Ids.HostId.make(1),
  config: defaultConfig({ user: "root", host: "h1", port: 22 }),
  facts: null,
  maintenance: false
})

const hostReport: HostReport = {
  host,
  status: { _tag: "Up" },
  capacity: { cpu: 4, ram: 4096, disk: 160 },
  promised: { cpu: 2, ram: 2048, disk: 3 },
  free: { cpu: 2, ram: 2048, disk: 157 },
  vms: 1
}

/** Volume 1 is in the first state, 2 in the second, …; those that have a VM have number 1011. */
const volumes = VolumeState.literals.map((state, index) => {
  const held = state === "attaching" || state === "attached" || state === "detaching"
  return new Volume({
    id: Ids.VolumeId.make(index + 1),
    name: `volume_${state}`,
    size: index + 10,
    driver: "dir",
    hostId: host.id,
    state,
    vmId: held ? Ids.VmId.make(1011) : null,
    target: held ? "vdb" : null,
    sourceId: null,
    pristine: false,
    releaseAsked: false,
    purgeAt: null
  })
})

/** The id of the volume in that state. */
export const volumeIn = (state: VolumeState): number => VolumeState.literals.indexOf(state) + 1

const snapshots = (["ready", "creating"] as const).map(
  (state, index) =>
    new Snapshot({
      id: Ids.SnapshotId.make(index + 5),
      volumeId: Ids.VolumeId.make(volumeIn("available")),
      name: `snapshot_${state}`,
      size: 11,
      state,
      createdAt: 0
    })
)

const gibibyte = 1024 ** 3

/** `calls`: what was asked, word for word. */
export const make = () => {
  const created: Array<CreateVm> = []
  const calls: Array<string> = []
  const known = (id: Ids.VolumeId) => {
    const volume = volumes.find((one) => one.id === id)
    return volume === undefined ? new Errors.VolumeNotFound({ volumeId: id }) : Effect.succeed(volume)
  }
  const knownSnapshot = (id: Ids.SnapshotId) => {
    const snapshot = snapshots.find((one) => one.id === id)
    return snapshot === undefined ? new Errors.SnapshotNotFound({ snapshotId: id }) : Effect.succeed(snapshot)
  }
  /** done with the volume that is available, refused with any other */
  const change = (what: string) => (id: Ids.VolumeId) =>
    Effect.flatMap(known(id), (volume) => {
      calls.push(`${what} ${id}`)
      return volume.state === "available"
        ? Effect.succeed(volume)
        : new Errors.VolumeConflict({ volumeId: id, reason: `is ${volume.state}` })
    })

  const layer = Layer.mergeAll(
    Layer.mock(Inspections, {}),
    Layer.mock(Backup, {}),
    Layer.mock(Examinations, {}),
    Layer.mock(Reach, {}),
    Layer.succeed(
      Vms,
      Vms.of({
        create: (request) => {
          created.push(request)
          switch (request.name) {
            case "full":
              return new Errors.NoFeasibleHost({
                refusals: [{ hostId: host.id, host: host.name, reason: "memory short by 512 MiB" }]
              })
            case "defect":
              return Effect.die(new Error("secret insides"))
            default:
              return Effect.succeed(vm)
          }
        },
        createAll: (requests) => {
          created.push(...requests)
          return Effect.succeed(requests.map(() => ({ operation: running, ended: Effect.succeed(vm) })))
        },
        destroy: (id) => (id === vm.id ? Effect.void : new Errors.VmNotFound({ vmId: id })),
        get: (id) => (id === vm.id ? Effect.succeed(vm) : new Errors.VmNotFound({ vmId: id })),
        change: () => Effect.succeed(vm),
        resize: () => Effect.void,
        cloudInit: (id) =>
          id === vm.id
            ? Effect.succeed({ vm, cloudInit: usual, hostname: "test", instanceId: `${vm.uuid}-1` })
            : new Errors.VmNotFound({ vmId: id }),
        setCloudInit: (id) => (id === vm.id ? Effect.void : new Errors.VmNotFound({ vmId: id })),
        list: () => Effect.succeed([vm])
      })
    ),
    Layer.mock(Power, {}),
    Layer.mock(InstanceTypes, {}),
    Layer.mock(ImageIntake, {}),
    Layer.mock(ImagePublishing, {}),
    Layer.mock(Requests, {}),
    Layer.mock(Retries, {}),
    Layer.succeed(
      Images,
      Images.of({
        list: Effect.succeed(
          ["Ubuntu-12.04-amd64", "Fedora-17-x86_64"].map((name, i) =>
            Image.make({
              id: Ids.ImageId.make(100 + i),
              config: { name, source: { host: null, path: `/images/${name}.img` } },
              content: null
            })
          )
        ),
        get: (id) => new Errors.ImageNotFound({ imageId: id, known: [] }),
        types: Effect.succeed([
          { tid: Ids.InstanceTypeId.make(1), cpu: 1, ram: 512, disk: 1, requires: { "host.virt": ["kvm"] } }
        ]),
        type: (tid) => new Errors.InstanceTypeNotFound({ tid, known: [] })
      })
    ),
    Layer.succeed(
      Hosts,
      Hosts.of({
        list: Effect.succeed([]),
        add: () => Effect.dieMessage("not used"),
        change: () => Effect.dieMessage("not used"),
        remove: () => Effect.dieMessage("not used"),
        get: (id) => (id === host.id ? Effect.succeed(hostReport) : new Errors.HostNotFound({ hostId: id })),
        setMaintenance: (id, on) =>
          id === host.id
            ? Effect.sync(() => {
                calls.push(`maintenance of ${id} ${on ? "on" : "off"}`)
                return hostReport
              })
            : new Errors.HostNotFound({ hostId: id })
      })
    ),
    Layer.succeed(
      Reality,
      Reality.of({
        vm: (id) => (id === vm.id ? Effect.succeed(report) : new Errors.VmNotFound({ vmId: id })),
        page: () => Effect.succeed({ items: [report], next: null, total: 1 }),
        vms: Effect.succeed([
          report,
          {
            ...report,
            seen: null,
            drift: [],
            host: {
              _tag: "Down",
              reason: "sshd does not answer, from host 2 neither",
              signs: { ssh: "silent", libvirt: "unknown", peers: "silent" },
              since: 1_700_000_000_000
            }
          }
        ]),
        drift: Effect.succeed([drift]),
        foreign: Effect.succeed([
          { hostId: host.id, what: "domain", name: "web-old", uuid: "u-1", reason: "no VM has this uuid" },
          { hostId: null, what: "volume", name: "volume-9", uuid: null, reason: "no volume has this id" }
        ]),
        look: (id) =>
          id === host.id
            ? Effect.sync(() => void calls.push(`look at ${id}`))
            : new Errors.HostNotFound({ hostId: id }),
        repair: (id) =>
          id === vm.id ? Effect.sync(() => void calls.push(`repair ${id}`)) : new Errors.VmNotFound({ vmId: id })
      })
    ),
    Layer.succeed(
      Operations,
      Operations.of({
        start: () => Effect.void,
        await: () => Effect.void,
        resume: Effect.succeed(0),
        cancel: (id) =>
          Effect.gen(function* () {
            calls.push(`cancel ${id}`)
            if (id === running.id) return running
            if (id === ended.id) return yield* new Errors.NotCancellable({ operationId: id, reason: "it has ended" })
            return yield* new Errors.OperationNotFound({ operationId: id })
          }),
        steps: (id) =>
          operations.some(({ operation }) => operation.id === id)
            ? Effect.succeed([
                {
                  phase: "do",
                  name: "image",
                  state: "failed",
                  tries: 2,
                  startedAt: 1_700_000_000_000,
                  endedAt: 1_700_000_004_000,
                  error: "the image is not there"
                }
              ])
            : new Errors.OperationNotFound({ operationId: id }),
        report: (id) => {
          const found = operations.find(({ operation }) => operation.id === id)
          return found === undefined ? new Errors.OperationNotFound({ operationId: id }) : Effect.succeed(found)
        },
        list: (filter) => {
          calls.push(`list ${JSON.stringify(filter)}`)
          return Effect.succeed(operations)
        }
      })
    ),
    Layer.succeed(
      Volumes,
      Volumes.of({
        create: (request) => {
          calls.push(`create ${JSON.stringify(request)}`)
          switch (request.name) {
            case "full":
              return new Errors.PoolFull({ pool: "vms", wanted: 10, promised: 95, limit: 100, available: 5 })
            case "nowhere":
              return new Errors.NoFeasibleHost({
                refusals: [{ hostId: host.id, host: host.name, reason: "disk short by 9 GiB" }],
                what: "volume"
              })
            case "defect":
              return Effect.die(new Error("secret insides"))
            default:
              return known(Ids.VolumeId.make(volumeIn("creating"))).pipe(Effect.orDie)
          }
        },
        get: known,
        list: () => Effect.succeed(volumes.filter(({ state }) => state === "attached" || state === "deleted")),
        destroy: change("destroy"),
        restore: change("restore"),
        purge: change("purge"),
        attach: (id, vmId) => (vmId === vm.id ? change(`attach to ${vmId}`)(id) : new Errors.VmNotFound({ vmId })),
        detach: change("detach"),
        grow: (id, size) =>
          size <= 65536
            ? change(`grow to ${size}`)(id)
            : new Errors.InvalidArgument({ field: "size", problem: `is ${size}`, expected: "less" }),
        rename: (id, name) => change(`rename to ${name}`)(id),
        edit: (id) => change("edit")(id),
        page: () => Effect.succeed({ items: [], next: null, total: 0 }),
        getSnapshot: knownSnapshot,
        snapshot: (id, name) =>
          Effect.flatMap(change(`snapshot ${name} of`)(id), () => Effect.orDie(knownSnapshot(Ids.SnapshotId.make(6)))),
        snapshots: (id) => Effect.map(known(id), () => snapshots.filter(({ volumeId }) => volumeId === id)),
        destroySnapshot: (id) => Effect.map(knownSnapshot(id), () => void calls.push(`destroy snapshot ${id}`)),
        revert: (id) => Effect.flatMap(knownSnapshot(id), ({ volumeId }) => change(`revert to ${id}`)(volumeId))
      })
    ),
    Layer.succeed(
      Pools,
      Pools.of({
        refresh: Effect.void,
        list: Effect.succeed([
          {
            pool: {
              name: "vms",
              driver: "rbd",
              capacity: 100 * gibibyte,
              used: 1.25 * gibibyte,
              available: 98.79 * gibibyte,
              overcommit: 1.5
            },
            promised: 42
          }
        ])
      })
    )
  )

  const routes = Router.routes.pipe(Layer.provide(layer))
  const loud = HttpLayerRouter.toWebHandler(routes, { disableLogger: true })
  const quiet = HttpLayerRouter.toWebHandler(routes.pipe(Layer.provide(Logger.remove(Logger.defaultLogger))), {
    disableLogger: true
  })

  /** `silently`: what goes wrong inside is not shown */
  const ask = async (path: string, init?: RequestInit, how?: "silently") => {
    const { handler } = how === "silently" ? quiet : loud
    const response = await handler(new Request(`http://controller${path}`, init))
    const body: unknown = await response.json()
    return { status: response.status, type: response.headers.get("content-type"), body }
  }

  return {
    created,
    calls,
    ask,
    dispose: async () => {
      await loud.dispose()
      await quiet.dispose()
    }
  }
}

/** The `error` of an answer; empty: it has none. */
export const errorOf = (body: unknown): string =>
  typeof body === "object" && body !== null && "error" in body ? String(body.error) : ""
