import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as OperationsLive from "../../layers/OperationsLive.ts"
import { usual } from "../../src/domain/CloudInit.ts"
import * as Errors from "../../src/domain/Errors.ts"
import { defaultConfig, Host, type HostFacts } from "../../src/domain/Host.ts"
import * as Ids from "../../src/domain/Ids.ts"
import * as Nic from "../../src/domain/Nic.ts"
import { Image, type ImageContent } from "../../src/domain/Image.ts"
import { Operation, OperationKind } from "../../src/domain/Operation.ts"
import { type Power, Vm } from "../../src/domain/Vm.ts"
import { Snapshot, Volume } from "../../src/domain/Volume.ts"
import * as Kinds from "../../src/operations/Kinds.ts"
import { HostMonitor } from "../../src/services/HostMonitor.ts"
import { type DiskPresence, type DiskSource, Hypervisor } from "../../src/services/Hypervisor.ts"
import { ImageLibrary } from "../../src/services/ImageLibrary.ts"
import { ImageStore } from "../../src/services/ImageStore.ts"
import { Inventory } from "../../src/services/Inventory.ts"
import { Journal, type StepRecord } from "../../src/services/Journal.ts"
import { Operations } from "../../src/services/Operations.ts"
import { Storage, type StorageDriver } from "../../src/services/Storage.ts"

const vmId = Ids.VmId.make(7)
const volumeId = Ids.VolumeId.make(3)
const snapshotId = Ids.SnapshotId.make(5)

const vmKinds: ReadonlyArray<OperationKind> = [
  "CreateVm",
  "DestroyVm",
  "StartVm",
  "RepairVm",
  "ConfigureVm",
  "ResizeVm",
  "ShutDownVm",
  "PowerOffVm",
  "RebootVm",
  "ResetVm",
  "PauseVm",
  "ResumeVm",
  "CleanVm",
  "SetCloudInit",
  "AttachNic",
  "DetachNic",
  "SetNicLink",
  "PublishVm"
]

const operationOf = (kind: OperationKind, more: Partial<Operation> = {}) => {
  const ofVm = vmKinds.includes(kind)
  return new Operation({
    id: Ids.OperationId.make("6f1f3a52-2a0c-4b0e-9d7a-222222222222"),
    kind,
    vmId: ofVm || kind === "AttachVolume" || kind === "DetachVolume" ? vmId : null,
    volumeId: ofVm ? null : volumeId,
    snapshotId: ["RevertVolume", "CreateSnapshot", "DestroySnapshot"].includes(kind) ? snapshotId : null,
    detail: {},
    state: "pending",
    error: null,
    cancelAsked: false,
    createdAt: Date.now(),
    finishedAt: null,
    ...more
  })
}

const vm = new Vm({
  id: vmId,
  uuid: Ids.DomainUuid.make("00112233-4455-6677-8899-aabbccddeeff"),
  name: "test_vm",
  instanceType: Ids.InstanceTypeId.make(1),
  imageId: Ids.ImageId.make(100),
  hostId: Ids.HostId.make(1),
  resources: { cpu: 1, ram: 512, disk: 1 },
  driver: "dir",
  nics: [Nic.usual("52:54:00:00:00:01")],
  state: "destroying",
  onCrash: "leave",
  applied: null
})

const volumeWith = (more: Partial<ConstructorParameters<typeof Volume>[0]> = {}) =>
  new Volume({
    id: volumeId,
    name: "data",
    size: 2,
    driver: "dir",
    hostId: Ids.HostId.make(1),
    state: "available",
    vmId: null,
    target: null,
    sourceId: null,
    pristine: false,
    releaseAsked: false,
    purgeAt: null,
    ...more
  })

const snapshot = new Snapshot({ id: snapshotId, volumeId, name: "monday", size: 1, state: "creating", createdAt: 0 })

const hostOf = (id: Ids.HostId) =>
  new Host({ id, config: defaultConfig({ user: "root", host: `h${id}`, port: 22 }), facts: null, maintenance: false })

const gibibyte = 1024 ** 3

const content: ImageContent = {
  format: "qcow2",
  virtualSize: gibibyte,
  fileSize: 9,
  modified: 0,
  sha256: "00".repeat(32)
}

interface Given {
  readonly operation: Operation
  /** what the driver does otherwise */
  readonly storage?: Partial<StorageDriver>
  readonly volume?: Volume
  readonly vm?: Vm
  /** what the host says of it; absent: it runs */
  readonly power?: Power
  /** before anything is done; afterwards it is as it should be */
  readonly presence?: DiskPresence
  /** whether its host has no domain of it */
  readonly gone?: boolean
}

const facts: HostFacts = {
  hostname: "h1",
  uuid: "aaaaaaaa-1111-4222-8333-444444444444",
  libvirtVersion: "9.0.0",
  resources: { cpu: 8, ram: 1024, disk: 100 },
  arch: "x86_64",
  domainType: "kvm",
  network: "default",
  networks: [
    { name: "default", source: { kind: "libvirt", name: "default" }, vlans: null, problem: null },
    { name: "lan", source: { kind: "bridge", name: "br0" }, vlans: null, problem: null }
  ]
}

/** Hosts and storage where everything succeeds, and a list of all that was asked of them and written to the inventory. */
const world = (given: Given) => {
  const { operation, presence = { live: null, persistent: false }, storage, volume = volumeWith() } = given
  const calls: Array<string> = []
  const call = (text: string) => Effect.sync(() => void calls.push(text))
  const steps: Array<StepRecord> = []
  let attached = false
  let size = volume.size
  const source: DiskSource = { _tag: "File", path: "/disk", format: "qcow2", serial: volume.serial }
  const on = (host: Host | null) => (host === null ? "" : ` on ${host.config.address.host}`)
  const driver: StorageDriver = {
    name: "dir",
    pool: null,
    usage: Effect.succeedNone,
    ensureImage: (host) => call(`ensure image${on(host)}`),
    listImages: () => Effect.succeed([]),
    removeImage: () => Effect.succeed(true),
    createRoot: (host) => Effect.as(call(`create root${on(host)}`), source),
    describeRoot: () => Effect.succeed(source),
    openRoot: (host) => Effect.as(call(`open root${on(host)}`), source),
    describeVolume: () => Effect.succeed(source),
    deleteRoot: (host) => call(`delete root${on(host)}`),
    listRoots: () => Effect.succeed([]),
    writeSeed: (host, { replaces }) => Effect.as(call(`write seed${on(host)}${replaces ? " anew" : ""}`), source),
    deleteSeed: (host) => call(`delete seed${on(host)}`),
    describeSeed: () => Effect.succeed(source),
    createVolume: ({ host }, { size, source }) =>
      call(`create volume${on(host)} of ${size}${source === null ? "" : ` from ${source.snapshotId}`}`),
    discardVolume: ({ host }) => call(`discard volume${on(host)}`),
    listVolumes: () => Effect.succeed([]),
    volumeSize: () => Effect.sync(() => Option.some(size * gibibyte)),
    openVolume: ({ host }, { held }) => Effect.as(call(`open${on(host)}${held ? ", held" : ""}`), source),
    awaitReleased: ({ host }) => call(`await release${on(host)}`),
    growVolume: ({ host }, to) =>
      Effect.zipRight(
        call(`grow${on(host)} to ${to}`),
        Effect.sync(() => void (size = to))
      ),
    renameVolume: ({ host }, name) => call(`rename${on(host)} to ${name}`),
    createSnapshot: ({ host }, id) => call(`create snapshot ${id}${on(host)}`),
    deleteSnapshot: ({ host }, id) => call(`delete snapshot ${id}${on(host)}`),
    revertVolume: ({ host }, id) => call(`revert${on(host)} to ${id}`),
    listSnapshots: () => Effect.succeed([]),
    trashVolume: ({ host }, window) => call(`trash${on(host)} for ${window}`),
    restoreVolume: ({ host }) => call(`restore${on(host)}`),
    purgeVolume: ({ host }) => call(`purge${on(host)}`),
    holdDisk: ({ _tag }) => call(`hold ${_tag}`),
    readDisk: ({ _tag }) => Effect.as(call(`read ${_tag}`), Stream.empty),
    releaseDisk: ({ _tag }) => call(`release ${_tag}`),
    ...storage
  }
  const domain =
    (what: string) =>
    (host: Host, { domainName }: { readonly domainName: string }) =>
      call(`${what} ${domainName}${on(host)}`)
  const layer = Layer.mergeAll(
    Layer.mock(Inventory, {
      operation: () => Effect.succeed(Option.some(operation)),
      vmRecord: () => Effect.succeed(given.vm ?? vm),
      volumes: () => Effect.succeed([volume]),
      host: (id) => Effect.succeed({ host: hostOf(id), promised: { cpu: 0, ram: 0, disk: 0 }, vms: 0 }),
      image: (id) =>
        Effect.succeed(
          new Image({ id, config: { name: "test", source: { host: null, path: "/images/test.img" } }, content: null })
        ),
      volumeRecord: () => Effect.succeed(volume),
      snapshotRecord: () => Effect.succeed(snapshot),
      cloudInit: () => Effect.succeed(usual),
      setVmState: (id, state) => call(`VM ${id} is ${state}`),
      settleNic: (_, nic, outcome) => call(`NIC ${nic}: ${JSON.stringify(outcome)}`),
      settleResize: (id, to) => call(`VM ${id} is of type ${to?.instanceType ?? "1, as before"}`),
      setVmPower: (id, power, seen) =>
        call(
          `VM ${id} is wanted ${power}, and seen ${seen?.power}${(seen?.reason ?? null) === null ? "" : `: ${seen?.reason}`}`
        ),
      seen: Effect.succeed(new Map()),
      setOutcome: (_, outcome) => call(`outcome: ${outcome}`),
      settleVolume: (id, change) => call(`volume ${id}: ${JSON.stringify(change)}`),
      settleImage: (id, state) => call(`image ${id} is ${state}`),
      dropImage: (id) => call(`image ${id} is dropped`)
    }),
    Layer.succeed(
      Journal,
      Journal.of({
        unfinished: Effect.succeed([operation]),
        busy: () => Effect.succeed(new Set()),
        steps: () => Effect.sync(() => [...steps]),
        history: () => Effect.succeed([]),
        record: (_, { ended, started, state }, also = Effect.void) =>
          Effect.andThen(also, () => {
            if (ended?.state === "failed") calls.push(`${ended.name} failed: ${ended.error}`)
            if (state !== undefined && state.to !== "running") calls.push(state.to)
            if (started !== undefined) steps.push({ ...started, state: "started", tries: 1 })
          }),
        askCancel: () => Effect.succeed(Option.some(operation)),
        list: () => Effect.succeed([operation])
      })
    ),
    Layer.mock(HostMonitor, {
      statuses: Effect.succeed(new Map()),
      settled: Effect.void,
      awaitUp: () => Effect.never,
      check: () => Effect.void,
      suspect: () => Effect.void,
      events: Effect.succeed(Stream.never)
    }),
    Layer.mock(Hypervisor, {
      define: domain("define"),
      start: domain("start"),
      status: () =>
        Effect.succeed(
          given.gone === true ? Option.none() : Option.some({ state: "running", operationId: operation.id })
        ),
      powerOff: domain("power off"),
      shutDown: domain("shut down"),
      reboot: domain("reboot"),
      reset: domain("reset"),
      pause: domain("pause"),
      resume: domain("resume"),
      power: (_, { domainName, uuid }) =>
        Effect.succeed(Option.some({ uuid, name: domainName, power: given.power ?? "running", reason: null })),
      undefine: domain("undefine"),
      redefine: (host, ref, { cpu, ram, title }) => domain(`redefine as ${title} ${cpu} ${ram}`)(host, ref),
      rename: (host, ref, title) => domain(`rename to ${title}`)(host, ref),
      setAutostart: (host, ref, on) => domain(on ? "autostart of" : "no autostart of")(host, ref),
      provideSeed: domain("provide seed to"),
      attachDisk: (host, ref, { alias, target }) =>
        Effect.zipRight(
          domain(`attach ${alias} as ${target} to`)(host, ref),
          Effect.sync(() => void (attached = true))
        ),
      detachDisk: (host, ref, { alias }) => domain(`detach ${alias} from`)(host, ref),
      diskPresence: () => Effect.sync(() => Option.some(attached ? { live: true, persistent: true } : presence)),
      facts: () => Effect.succeed(facts),
      attachNic: (host, ref, { alias, source }) =>
        Effect.zipRight(
          domain(`attach ${alias} on ${source.kind}:${source.name} to`)(host, ref),
          Effect.sync(() => void (attached = true))
        ),
      detachNic: (host, ref, { alias }) => domain(`detach ${alias} from`)(host, ref),
      nicPresence: () => Effect.sync(() => Option.some(attached ? { live: true, persistent: true } : presence)),
      setLink: (host, ref, { alias }, link) =>
        Effect.as(
          domain(`link ${link} of ${alias} in`)(host, ref),
          Option.some(given.presence ?? { live: true, persistent: true })
        ),
      growDisk: (host, ref, { alias }, bytes) =>
        Effect.zipRight(
          domain(`grow ${alias} to ${bytes / gibibyte} in`)(host, ref),
          Effect.sync(() => void (size = bytes / gibibyte))
        )
    }),
    Layer.mock(ImageStore, {
      write: ({ path }) => call(`write ${path}`),
      remove: ({ path }) => call(`remove ${path}`)
    }),
    Layer.mock(ImageLibrary, { resolve: ({ id }) => Effect.as(call(`resolve ${id}`), content) }),
    Layer.succeed(
      Storage,
      Storage.of({ prepare: () => Effect.succeed({ capacity: 0 }), preferred: driver, driver: () => driver })
    ),
    Logger.minimumLogLevel(LogLevel.None)
  )
  return { calls, layer, steps }
}

const awaiting = ({ id }: Operation, layer: ReturnType<typeof world>["layer"]) =>
  Effect.flatMap(Operations, (operations) => operations.await(id)).pipe(
    Effect.provide(OperationsLive.layer.pipe(Layer.provide(layer)))
  )

/** Drives the operation to its end, and gives what was done. */
const driven = (given: Given) =>
  Effect.gen(function* () {
    const { calls, layer } = world(given)
    yield* awaiting(given.operation, layer)
    return calls
  })

const failing = (given: Given, layer = world(given).layer) => Effect.flip(awaiting(given.operation, layer))

const isStopped = (error: { readonly _tag: string; readonly message: string }) => {
  assert.strictEqual(error._tag, "OperationFailed")
  assert.match(error.message, /^internal error: .* taken up at the next start$/)
}

const attached = { vmId, target: "vdc" }

const secondNic = { ...Nic.usual("52:54:00:00:00:02", 2), network: "lan" }
const withNic = (state: Nic.NicState) =>
  new Vm({ ...vm, state: "running", nics: [...vm.nics, { ...secondNic, state }] })

/** What an operation of each kind does. */
const expected: Record<
  OperationKind,
  readonly [given: Omit<Given, "operation"> & { readonly detail?: Operation["detail"] }, calls: ReadonlyArray<string>]
> = {
  CreateVm: [
    {},
    [
      "ensure image on h1",
      "create root on h1",
      "write seed on h1",
      "define vm-7 on h1",
      "start vm-7 on h1",
      "VM 7 is running",
      "done"
    ]
  ],
  DestroyVm: [
    {},
    [
      "power off vm-7 on h1",
      "undefine vm-7 on h1",
      "delete seed on h1",
      "delete root on h1",
      "VM 7 is destroyed",
      "done"
    ]
  ],
  SetCloudInit: [{}, ["write seed on h1 anew", "provide seed to vm-7 on h1", "done"]],
  StartVm: [{}, ["start vm-7 on h1", "outcome: it ran already", "VM 7 is wanted running, and seen running", "done"]],
  ShutDownVm: [
    { detail: { within: 5 } },
    [
      "shut down vm-7 on h1",
      "power off vm-7 on h1",
      "outcome: its guest had not shut down within 5 seconds, so its power was taken",
      "VM 7 is wanted stopped, and seen stopped: an operation powered it off",
      "done"
    ]
  ],
  ConfigureVm: [
    { vm: new Vm({ ...vm, state: "running", autostart: true }) },
    ["rename to test_vm vm-7 on h1", "autostart of vm-7 on h1", "VM 7 is running", "done"]
  ],
  ResizeVm: [
    {
      vm: new Vm({ ...vm, state: "stopped" }),
      power: "stopped",
      detail: { type: Ids.InstanceTypeId.make(2), cpu: 4, ram: 4096 }
    },
    ["redefine as test_vm 4 4096 vm-7 on h1", "VM 7 is of type 2", "done"]
  ],
  PowerOffVm: [
    {},
    ["power off vm-7 on h1", "VM 7 is wanted stopped, and seen stopped: an operation powered it off", "done"]
  ],
  RebootVm: [
    {},
    [
      "reboot vm-7 on h1",
      "outcome: its guest started anew when it was asked to",
      "VM 7 is wanted running, and seen running",
      "done"
    ]
  ],
  ResetVm: [{}, ["reset vm-7 on h1", "done"]],
  PauseVm: [{}, ["pause vm-7 on h1", "VM 7 is wanted paused, and seen paused: paused by an operation", "done"]],
  ResumeVm: [{}, ["resume vm-7 on h1", "outcome: it ran already", "VM 7 is wanted running, and seen running", "done"]],
  RepairVm: [
    {
      vm: new Vm({ ...vm, state: "running" }),
      volume: volumeWith({ state: "attached", ...attached }),
      detail: { repair: ["power", "disks", "definition", "network"] }
    },
    [
      "redefine as test_vm 1 512 vm-7 on h1",
      "no autostart of vm-7 on h1",
      "open on h1",
      "attach ua-volume-3 as vdc to vm-7 on h1",
      "start vm-7 on h1",
      "VM 7 is running",
      "done"
    ]
  ],
  CleanVm: [{}, ["power off vm-7 on h1", "undefine vm-7 on h1", "delete seed on h1", "delete root on h1", "done"]],
  AttachNic: [
    { vm: withNic("attaching"), detail: { nic: secondNic.id } },
    ["attach ua-nic-2 on bridge:br0 to vm-7 on h1", 'NIC 2: {"state":"attached"}', "done"]
  ],
  DetachNic: [
    { vm: withNic("detaching"), detail: { nic: secondNic.id } },
    ["detach ua-nic-2 from vm-7 on h1", "NIC 2: null", "done"]
  ],
  SetNicLink: [
    { vm: withNic("attached"), detail: { nic: secondNic.id, link: "down", formerLink: "up" } },
    ["link down of ua-nic-2 in vm-7 on h1", 'NIC 2: {"state":"attached","link":"down"}', "done"]
  ],
  CreateVolume: [
    { volume: volumeWith({ state: "creating", sourceId: snapshotId }) },
    ["create volume on h1 of 2 from 5", 'volume 3: {"state":"available"}', "done"]
  ],
  DestroyVolume: [
    { volume: volumeWith({ state: "destroying" }), detail: { window: 90 } },
    // the test clock stands at 0
    ["trash on h1 for 90", 'volume 3: {"state":"deleted","purgeAt":90000}', "done"]
  ],
  RestoreVolume: [
    { volume: volumeWith({ state: "restoring" }) },
    ["restore on h1", 'volume 3: {"state":"available","purgeAt":null}', "done"]
  ],
  PurgeVolume: [{ volume: volumeWith({ state: "purging" }) }, ["purge on h1", 'volume 3: {"state":"purged"}', "done"]],
  AttachVolume: [
    { volume: volumeWith({ state: "attaching", ...attached }) },
    [
      "open on h1",
      "attach ua-volume-3 as vdc to vm-7 on h1",
      'volume 3: {"state":"attached","releaseAsked":false}',
      "done"
    ]
  ],
  DetachVolume: [
    { volume: volumeWith({ state: "detaching", ...attached }) },
    [
      "detach ua-volume-3 from vm-7 on h1",
      "await release on h1",
      'volume 3: {"state":"available","attachment":null,"releaseAsked":false}',
      "done"
    ]
  ],
  GrowVolume: [{ detail: { size: 9, formerSize: 2 } }, ["grow on h1 to 9", 'volume 3: {"size":9}', "done"]],
  RenameVolume: [
    { detail: { name: "new", formerName: "data" } },
    ["rename on h1 to new", 'volume 3: {"name":"new"}', "done"]
  ],
  RevertVolume: [{}, ["revert on h1 to 5", 'volume 3: {"size":1}', "done"]],
  CreateSnapshot: [{}, ["create snapshot 5 on h1", 'volume 3: {"snapshot":{"id":5,"state":"ready"}}', "done"]],
  DestroySnapshot: [{}, ["delete snapshot 5 on h1", 'volume 3: {"snapshot":{"id":5,"state":"destroyed"}}', "done"]],
  PublishVm: [
    { detail: { image: Ids.ImageId.make(101) } },
    [
      "hold Root",
      "read Root",
      "write /images/test.img",
      "release Root",
      "resolve 101",
      "image 101 is available",
      "done"
    ]
  ],
  PublishVolume: [
    { detail: { image: Ids.ImageId.make(101) } },
    [
      "hold Volume",
      "read Volume",
      "write /images/test.img",
      "release Volume",
      "resolve 101",
      "image 101 is available",
      "done"
    ]
  ]
}

describe("the operations' runner", () => {
  for (const kind of OperationKind.literals) {
    it.effect(`drives ${kind} to its end`, () =>
      Effect.gen(function* () {
        const [{ detail = {}, ...given }, calls] = expected[kind]
        const operation = operationOf(kind, { detail })
        assert.deepStrictEqual(yield* driven({ ...given, operation }), calls)
      })
    )

    it.effect(`has the steps of ${kind} in its table, and the way it goes`, () =>
      Effect.gen(function* () {
        const [{ detail = {}, ...given }] = expected[kind]
        // with all that it can have to do
        const more = kind === "AttachVolume" ? { formerHost: Ids.HostId.make(2) } : {}
        const operation = operationOf(kind, { detail: { ...detail, ...more } })
        const { layer, steps } = world({ ...given, operation })
        yield* awaiting(operation, layer)
        assert.deepStrictEqual(
          steps.map(({ name }) => name),
          Kinds.kinds[kind].steps
        )
        const ports = Effect.all({
          inventory: Inventory,
          hypervisor: Hypervisor,
          storage: Storage,
          store: ImageStore,
          library: ImageLibrary
        })
        const saga = yield* Effect.provide(
          Effect.flatMap(ports, (ports) => Kinds.kinds[kind].saga(ports, operation)),
          layer
        )
        assert.strictEqual(saga.unreachable, Kinds.kinds[kind].goes === "forward" ? "wait" : "undo")
        // what only goes forward has nothing to undo
        assert.isTrue(saga.unreachable === "undo" || saga.steps.every(({ undo }) => undo === undefined))
      })
    )
  }

  it.effect("repairs what it is asked to, and says it was applied only when it was", () =>
    Effect.gen(function* () {
      const running = new Vm({ ...vm, state: "running" })
      const volume = volumeWith({ state: "attached", ...attached })
      const repaired = (repair: NonNullable<Operation["detail"]["repair"]>, more: Partial<Given> = {}) =>
        driven({ vm: running, volume, operation: operationOf("RepairVm", { detail: { repair } }), ...more })
      assert.deepStrictEqual(yield* repaired(["power"]), ["start vm-7 on h1", "done"])
      assert.deepStrictEqual(yield* repaired(["definition"], { vm: new Vm({ ...vm, state: "creating" }) }), [
        "redefine as test_vm 1 512 vm-7 on h1",
        "no autostart of vm-7 on h1",
        "done"
      ])
      assert.deepStrictEqual(yield* repaired([]), ["done"])
      const autostart = new Vm({ ...running, autostart: true })
      assert.deepStrictEqual(yield* repaired(["definition", "power"], { vm: autostart, gone: true }), [
        "open root on h1",
        "write seed on h1 anew",
        "define vm-7 on h1",
        "outcome: vm-7 was gone, and was defined anew",
        "autostart of vm-7 on h1",
        "start vm-7 on h1",
        "VM 7 is running",
        "done"
      ])
      // nothing is missing
      assert.deepStrictEqual(yield* repaired(["disks"], { presence: { live: true, persistent: true } }), ["done"])
      assert.deepStrictEqual(yield* repaired(["disks"], { presence: { live: null, persistent: true } }), ["done"])
      // in the running domain only, so that it is open is right
      assert.deepStrictEqual(
        (yield* repaired(["disks"], { presence: { live: true, persistent: false } }))[0],
        "open on h1, held"
      )
      // on its way in or out: not this operation's business
      const leaving = volumeWith({ state: "detaching", ...attached })
      assert.deepStrictEqual(yield* repaired(["disks"], { volume: leaving }), ["done"])
    })
  )

  it.live("takes a volume in a pool for one of no host", () =>
    Effect.gen(function* () {
      const volume = volumeWith({ driver: "rbd", hostId: null, state: "attaching", ...attached })
      assert.deepStrictEqual(yield* driven({ operation: operationOf("AttachVolume"), volume }), [
        "open",
        "attach ua-volume-3 as vdc to vm-7 on h1",
        'volume 3: {"state":"attached","releaseAsked":false}',
        "done"
      ])
      const creation = { operation: operationOf("CreateVolume"), volume: volumeWith({ hostId: null }) }
      assert.strictEqual((yield* driven(creation))[0], "create volume of 2")
    })
  )

  it.live(
    "says that the running guest has lost a NIC when its cable is to be changed, and undoes that where it can",
    () =>
      Effect.gen(function* () {
        const operation = operationOf("SetNicLink", { detail: { nic: secondNic.id, link: "down", formerLink: "up" } })
        const lost = world({ operation, vm: withNic("attached"), presence: { live: false, persistent: true } })
        const message =
          "host root@h1 failed to set the link of NIC 2 (52:54:00:00:00:02) down: vm-7 runs without it: remove it, and attach it again"
        assert.strictEqual((yield* failing({ operation }, lost.layer)).message, message)
        assert.deepStrictEqual(lost.calls, [
          "link down of ua-nic-2 in vm-7 on h1",
          `link failed: ${message}`,
          "undoing",
          "link up of ua-nic-2 in vm-7 on h1",
          "failed"
        ])
      })
  )

  it.live("says that a domain has the disk already when it attaches it again", () =>
    Effect.gen(function* () {
      const volume = volumeWith({ state: "attaching", ...attached })
      const presence = { live: true, persistent: false }
      const [first] = yield* driven({ operation: operationOf("AttachVolume"), volume, presence })
      assert.strictEqual(first, "open on h1, held")
    })
  )

  it.live("takes a volume along to the VM's host", () =>
    Effect.gen(function* () {
      const operation = operationOf("AttachVolume", { detail: { formerHost: Ids.HostId.make(2) } })
      const volume = volumeWith({ state: "attaching", ...attached })
      assert.deepStrictEqual((yield* driven({ operation, volume })).slice(0, 4), [
        "create volume on h1 of 2",
        "trash on h2 for 0",
        "purge on h2",
        "open on h1"
      ])
    })
  )

  it.live("leaves a volume where it was, or makes it there again, when it cannot go along", () =>
    Effect.gen(function* () {
      const operation = operationOf("AttachVolume", { detail: { formerHost: Ids.HostId.make(2) } })
      const volume = volumeWith({ state: "attaching", ...attached })
      const refusal = new Errors.HostFailure({ host: "root@h2", action: "destroy volume-3", reason: "no" })
      const end = [
        "discard volume on h1",
        'volume 3: {"state":"available","attachment":null,"hostId":2,"pristine":true}',
        "failed"
      ]

      const stays = world({ operation, volume, storage: { trashVolume: () => refusal } })
      assert.strictEqual((yield* failing({ operation }, stays.layer)).message, refusal.message)
      assert.deepStrictEqual(stays.calls, [
        "create volume on h1 of 2",
        `volume on its former host failed: ${refusal.message}`,
        "undoing",
        ...end
      ])

      // it has gone from there, or is half gone
      const gone = world({
        operation,
        volume,
        storage: { openVolume: () => refusal, volumeSize: () => Effect.succeedNone }
      })
      assert.strictEqual((yield* failing({ operation }, gone.layer)).message, refusal.message)
      assert.deepStrictEqual(gone.calls.slice(3), [
        `attach failed: ${refusal.message}`,
        "undoing",
        "detach ua-volume-3 from vm-7 on h1",
        "purge on h2",
        "create volume on h2 of 2",
        ...end
      ])
    })
  )

  it.effect("takes a volume for grown that was refused to grow after it had", () =>
    Effect.gen(function* () {
      const operation = operationOf("GrowVolume", { detail: { size: 9, formerSize: 2 } })
      const refusal = new Errors.StorageFailure({ storage: "Ceph pool vms", action: "grow volume-3", reason: "no" })
      const is = (size: number) => Effect.succeed(Option.some(size * gibibyte))
      const grown = { growVolume: () => refusal, volumeSize: () => is(9) }
      assert.deepStrictEqual(yield* driven({ operation, storage: grown }), ['volume 3: {"size":9}', "done"])

      const { calls, layer } = world({ operation, storage: { ...grown, volumeSize: () => is(2) } })
      const fiber = yield* Effect.fork(failing({ operation }, layer))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(fiber)).message, refusal.message)
      assert.deepStrictEqual(calls.slice(-2), ['volume 3: {"size":2}', "failed"])
    })
  )

  it.live("lets QEMU grow a disk that a running domain has, and the storage any other", () =>
    Effect.gen(function* () {
      const operation = operationOf("GrowVolume", { vmId, detail: { size: 9, formerSize: 2 } })
      const volume = volumeWith({ state: "attached", ...attached })
      const first = (presence: DiskPresence) => Effect.map(driven({ operation, volume, presence }), (calls) => calls[0])
      assert.strictEqual(yield* first({ live: true, persistent: true }), "grow ua-volume-3 to 9 in vm-7 on h1")
      assert.strictEqual(yield* first({ live: false, persistent: true }), "grow on h1 to 9")
      assert.strictEqual(yield* first({ live: null, persistent: true }), "grow on h1 to 9")
    })
  )

  it.live("reverts nothing under a running domain", () =>
    Effect.gen(function* () {
      const given = {
        operation: operationOf("RevertVolume", { vmId }),
        volume: volumeWith({ state: "attached", ...attached }),
        presence: { live: true, persistent: true }
      }
      const error = yield* failing(given)
      assert.strictEqual(
        error.message,
        "volume 3 (data) cannot be reverted while VM 7 (test_vm) runs with it: stop the VM or detach the volume first"
      )
      assert.deepStrictEqual(yield* driven({ ...given, presence: { live: null, persistent: true } }), [
        "revert on h1 to 5",
        'volume 3: {"size":1}',
        "done"
      ])
    })
  )

  it.live("finishes a detach whose VM was destroyed meanwhile", () =>
    Effect.gen(function* () {
      // the inventory has made it available already
      assert.deepStrictEqual((yield* driven({ operation: operationOf("DetachVolume") })).slice(-2), [
        'volume 3: {"state":"available","attachment":null,"releaseAsked":false}',
        "done"
      ])
    })
  )

  it.effect("tells those who wait what it waits for, and what becomes of it", () =>
    Effect.gen(function* () {
      const silentHost = new Errors.HostUnreachable({ host: "root@h1", reason: "no route" })
      const silentStorage = new Errors.StorageUnreachable({ storage: "Ceph pool vms", reason: "no monitor answers" })
      const refusal = new Errors.StorageFailure({ storage: "Ceph pool vms", action: "create volume-3", reason: "no" })
      const pm = Ids.HostId.make(1)
      const cases = [
        [
          "CreateVolume",
          { createVolume: () => silentHost, discardVolume: () => silentHost },
          pm,
          "host root@h1 cannot be used: no route; what it began is removed when the host answers again, or is declared lost"
        ],
        [
          "CreateVolume",
          { createVolume: () => silentStorage, discardVolume: () => silentStorage },
          null,
          "Ceph pool vms cannot be used: no monitor answers; what it began is removed when the storage answers again"
        ],
        [
          "CreateVolume",
          { createVolume: () => refusal, discardVolume: () => refusal },
          null,
          "Ceph pool vms failed to create volume-3: no; what it began is removed as soon as that is allowed"
        ],
        [
          "PurgeVolume",
          { purgeVolume: () => silentHost },
          pm,
          "host root@h1 cannot be used: no route; it goes on when the host answers again, or is declared lost"
        ],
        [
          "PurgeVolume",
          { purgeVolume: () => silentStorage },
          null,
          "Ceph pool vms cannot be used: no monitor answers; it goes on when the storage answers again"
        ]
      ] as const
      for (const [kind, storage, unreachableHost, message] of cases) {
        const given = { operation: operationOf(kind), storage }
        const waiting = yield* Effect.fork(failing(given))
        yield* TestClock.adjust("1 minute")
        const error = yield* Fiber.join(waiting)
        assert(error._tag === "OperationFailed")
        assert.deepStrictEqual([error.message, error.undone, error.unreachableHost], [message, false, unreachableHost])
      }
    })
  )

  it.live("an operation stopped by a defect keeps nobody waiting", () =>
    Effect.gen(function* () {
      const given = { operation: operationOf("DestroyVm") }
      const broken = Layer.mock(Inventory, {
        operation: () => Effect.succeed(Option.some(given.operation)),
        vmRecord: () => Effect.succeed(vm),
        host: () => Effect.dieMessage("hosts: row 1 does not decode")
      })
      isStopped(yield* failing(given, Layer.merge(world(given).layer, broken)))
    })
  )

  it.live("an operation that lacks what it is about is a defect, and harms nothing", () =>
    Effect.gen(function* () {
      const wrong = [
        operationOf("CreateVm", { vmId: null }),
        operationOf("CreateVm", { volumeId }),
        operationOf("DestroyVm", { volumeId }),
        operationOf("AttachVolume", { vmId: null }),
        operationOf("DetachVolume", { vmId: null }),
        operationOf("RevertVolume", { snapshotId: null }),
        operationOf("CreateSnapshot", { snapshotId: null }),
        operationOf("DestroySnapshot", { snapshotId: null })
      ]
      for (const operation of wrong) {
        const { calls, layer } = world({ operation })
        isStopped(yield* failing({ operation }, layer))
        assert.deepStrictEqual(calls, [])
      }
    })
  )
})
