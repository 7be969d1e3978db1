/**
 * What clients do with VMs that are there: their power, what they are called, their NICs, what cloud-init tells them.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { VmId } from "../../src/domain/Ids.ts"
import type { WantedPower } from "../../src/domain/Vm.ts"
import { InstanceTypes } from "../../src/fabric/InstanceTypes.ts"
import { Nics } from "../../src/fabric/Nics.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import type { ProcedureName } from "../../src/libvirt/Procedures.ts"
import type * as Breaking from "./Breaking.ts"
import { pick } from "./Chance.ts"
import { type KnownVm, nicsOf } from "./Model.ts"

export type Needs = InstanceTypes | Nics | Power | Vms

interface Refusal {
  readonly message: string
}

export interface Options<V> {
  /** One of the VMs that are known to be there; mostly one that is sensible, where there is one. */
  readonly known: (sensible?: (vm: KnownVm) => boolean) => Effect.Effect<KnownVm | undefined>
  /** Asks for something of one; `after` when it was done, and `refused` when it was not, and nobody else asked meanwhile. */
  readonly ask: <A>(
    what: string,
    vm: KnownVm,
    effect: Effect.Effect<A, Refusal, Needs>,
    after: (answer: A) => void,
    refused?: () => void
  ) => Effect.Effect<void, V, Needs>
  /** A name that was never given. */
  readonly name: () => string
  /** One of the calls that come next to the host of the VM may be refused. */
  readonly spoil: (vm: VmId, calls: ReadonlyArray<Breaking.Call>) => Effect.Effect<unknown>
  /** Which of its guest's starts the VM is in, by what is on the hosts; undefined: it does not run. */
  readonly startOf: (vm: VmId) => string | undefined
  /** Something was said to a client that is not so. */
  readonly untrue: (what: string) => void
}

const onHost = (...procedures: ReadonlyArray<ProcedureName>): ReadonlyArray<Breaking.Call> =>
  procedures.map((procedure) => ({ on: "host", procedure }))

export const make = <V>({ ask, known, name, spoil, startOf, untrue }: Options<V>) => {
  /** `meets`: calls that it comes to */
  const onVm = <A>(
    what: string,
    before: (vm: KnownVm) => void,
    act: (id: VmId) => Effect.Effect<A, Refusal, Needs>,
    after: (vm: KnownVm, answer: A) => void,
    meets: ReadonlyArray<Breaking.Call>,
    sensible?: (vm: KnownVm) => boolean,
    refused: (vm: KnownVm) => void = () => {}
  ) =>
    Effect.flatMap(known(sensible), (vm) => {
      if (vm === undefined) return Effect.void
      before(vm)
      const asked = ask(
        `${what} VM ${vm.id}`,
        vm,
        act(vm.id),
        (answer) => after(vm, answer),
        () => refused(vm)
      )
      return Effect.zipRight(spoil(vm.id, meets), asked)
    })

  /** what each did, and how often it had been disturbed, when its power was last asked for */
  const asked = new WeakMap<KnownVm, Pick<KnownVm, "does" | "disturbed">>()
  const power = (
    what: string,
    then: WantedPower | "same",
    procedure: ProcedureName,
    act: (power: Power["Type"], id: VmId) => Effect.Effect<void, Refusal>,
    sensible?: (vm: KnownVm) => boolean
  ) =>
    onVm(
      what,
      (vm) => {
        asked.set(vm, { does: vm.does, disturbed: vm.disturbed })
        if (then !== "same") vm.power = "unsure"
        vm.does = "unsure"
      },
      (id) => Effect.flatMap(Power, (it) => act(it, id)),
      (vm) => {
        if (then !== "same") vm.power = then
        const before = asked.get(vm)
        if (before?.disturbed !== vm.disturbed) return
        if (then !== "same") vm.does = then
        else if (before.does !== "unsure") vm.does = before.does
        // its host refuses that where nothing runs
        else if (vm.power === "running") vm.does = "running"
      },
      onHost(procedure),
      sensible,
      // whether or not it has begun anew: it does what it did
      (vm) => {
        const before = asked.get(vm)
        if (what === "reset" && before?.disturbed === vm.disturbed) vm.does = before.does
      }
    )

  /** However many others ask meanwhile, and whatever goes wrong: who is told that it was reset is told of something that has been. */
  const reset = (power: Power["Type"], id: VmId) =>
    Effect.suspend(() => {
      const before = startOf(id)
      return Effect.tap(power.reset(id), () => {
        if (before !== undefined && startOf(id) === before) {
          untrue(`VM ${id} was said to be reset, and its guest has not begun anew`)
        }
      })
    })

  /** Gives the vCPUs that it then has. */
  const resize = (id: VmId) =>
    Effect.gen(function* () {
      const vms = yield* Vms
      const { instanceType } = yield* vms.get(id)
      const types = yield* (yield* InstanceTypes).list()
      const type = yield* pick(types.filter(({ tid }) => tid !== instanceType))
      if (type !== undefined) yield* vms.resize(id, type.tid)
      return type?.cpu ?? null
    })

  const actions: ReadonlyArray<readonly [weight: number, action: Effect.Effect<unknown, V, Needs>]> = [
    // what is off is turned on more often than what is on is turned off, or else nothing would run before long
    [6, power("start", "running", "DOMAIN_CREATE_WITH_FLAGS", (it, id) => it.start(id))],
    [2, power("shut down", "stopped", "DOMAIN_SHUTDOWN_FLAGS", (it, id) => it.shutDown(id, { within: 5 }))],
    [2, power("power off", "stopped", "DOMAIN_DESTROY", (it, id) => it.powerOff(id))],
    [2, power("reboot", "same", "DOMAIN_REBOOT", (it, id) => it.reboot(id, { within: 5 }))],
    // its host refuses what does not run
    [3, power("reset", "same", "DOMAIN_RESET", reset, ({ power }) => power === "running")],
    [2, power("pause", "paused", "DOMAIN_SUSPEND", (it, id) => it.pause(id))],
    [2, power("resume", "running", "DOMAIN_RESUME", (it, id) => it.resume(id))],
    [
      3,
      Effect.suspend(() => {
        const called = name()
        return onVm(
          `call ${called}`,
          (vm) => {
            vm.name = null
          },
          (id) => Effect.flatMap(Vms, (it) => it.change(id, { name: called })),
          (vm) => {
            vm.name = called
          },
          onHost("DOMAIN_SET_METADATA")
        )
      })
    ],
    [
      2,
      Effect.flatMap(Random.nextBoolean, (autostart) =>
        onVm(
          autostart ? "start with its host" : "not start with its host",
          () => {},
          (id) => Effect.flatMap(Vms, (it) => it.change(id, { autostart })),
          () => {},
          onHost("DOMAIN_SET_AUTOSTART")
        )
      )
    ],
    [
      2,
      Effect.suspend(() => {
        const hostname = name()
        return onVm(
          `tell it is ${hostname}`,
          (vm) => {
            vm.hostname = null
          },
          (id) => Effect.flatMap(Vms, (it) => it.setCloudInit(id, { hostname })),
          (vm) => {
            vm.hostname = hostname
          },
          onHost("DOMAIN_GET_XML_DESC")
        )
      })
    ],
    [
      3,
      onVm(
        "resize",
        (vm) => {
          vm.cpu = null
        },
        resize,
        (vm, cpu) => {
          vm.cpu = cpu
        },
        onHost("DOMAIN_DEFINE_XML_FLAGS"),
        ({ power }) => power === "stopped"
      )
    ],
    // as whoever is told to shut it down first
    [
      3,
      onVm(
        "power off, resize and start",
        (vm) => {
          asked.set(vm, { does: vm.does, disturbed: vm.disturbed })
          vm.power = "unsure"
          vm.does = "unsure"
          vm.cpu = null
        },
        (id) =>
          Effect.gen(function* () {
            const power = yield* Power
            yield* power.powerOff(id)
            const cpu = yield* resize(id)
            yield* power.start(id)
            return cpu
          }),
        (vm, cpu) => {
          vm.power = "running"
          if (asked.get(vm)?.disturbed === vm.disturbed) vm.does = "running"
          vm.cpu = cpu
        },
        onHost("DOMAIN_DEFINE_XML_FLAGS")
      )
    ],
    [
      6,
      onVm(
        "attach a NIC to",
        (vm) => {
          vm.nics = null
        },
        (id) =>
          Effect.flatMap(Nics, (it) =>
            Effect.flatMap(it.attach(id, { network: "lan" }), () => Effect.flatMap(Vms, (vms) => vms.get(id)))
          ),
        (vm, now) => {
          vm.nics = nicsOf(now)
        },
        onHost("DOMAIN_ATTACH_DEVICE_FLAGS")
      )
    ],
    [
      5,
      onVm(
        "detach a NIC from",
        (vm) => {
          vm.nics = null
        },
        (id) =>
          Effect.gen(function* () {
            const vms = yield* Vms
            const nics = yield* Nics
            const nic = yield* pick((yield* vms.get(id)).nics)
            if (nic !== undefined) yield* nics.detach(id, nic.id)
            return yield* vms.get(id)
          }),
        (vm, now) => {
          vm.nics = nicsOf(now)
        },
        onHost("DOMAIN_DETACH_DEVICE_ALIAS", "DOMAIN_DETACH_DEVICE_FLAGS")
      )
    ],
    [
      4,
      onVm(
        "pull or plug a cable of",
        (vm) => {
          vm.link = null
        },
        (id) =>
          Effect.gen(function* () {
            const vms = yield* Vms
            const nics = yield* Nics
            const nic = yield* pick((yield* vms.get(id)).nics)
            const link = (yield* Random.nextBoolean) ? "up" : "down"
            if (nic === undefined) return null
            yield* nics.setLink(id, nic.id, link)
            return { nic: nic.id, link }
          }),
        (vm, set) => {
          vm.link = set
        },
        onHost("DOMAIN_UPDATE_DEVICE_FLAGS")
      )
    ]
  ]
  return actions
}
