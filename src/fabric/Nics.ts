/**
 * What can be done with the NICs of VMs.
 *
 * @since 0.6.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Errors from "../domain/Errors.ts"
import type { Host } from "../domain/Host.ts"
import type { VmId } from "../domain/Ids.ts"
import * as Network from "../domain/Network.ts"
import * as Nic from "../domain/Nic.ts"
import type { Vm } from "../domain/Vm.ts"
import type { GuestAddress } from "../services/Hypervisor.ts"
import { Inventory, type NicChange, type RequestKey } from "../services/Inventory.ts"
import { Operations } from "../services/Operations.ts"
import { Addresses } from "./Addresses.ts"
import * as Begun from "./Begun.ts"
import * as Facts from "./Facts.ts"
import * as Intent from "./Intent.ts"
import * as Keys from "./Keys.ts"
import * as Queue from "./Queue.ts"
import * as Revision from "./Revision.ts"

/** A NIC with what is known of it. @since 0.6.0 @category models */
export interface NicReport {
  readonly nic: Nic.Nic
  /** what it is plugged into on its host; null: nothing, as there is no default network, or its network is not there any more */
  readonly source: Network.NetworkSource | null
  readonly addresses: ReadonlyArray<GuestAddress>
}

/** `unread`: why addresses could not be read, one clause; null: they were. @since 0.6.0 @category models */
export interface NicReports {
  readonly nics: ReadonlyArray<NicReport>
  readonly unread: string | null
}

/** @since 0.6.0 @category models */
export interface AttachNic extends Nic.NewNic {
  readonly idempotencyKey?: string
}

/** @since 0.6.0 @category errors */
export type ChangeError =
  | Errors.VmNotFound
  | Errors.NicNotFound
  | Errors.NicConflict
  | Errors.HasChanged
  | Errors.OperationFailed
  | Errors.PersistenceError

/** @since 0.6.0 @category services */
export class Nics extends Context.Tag("vmfabric/Nics")<
  Nics,
  {
    /** By their numbers, with the addresses that the VM's host knows at this moment; it is waited for some seconds only. */
    readonly list: (id: VmId) => Effect.Effect<NicReports, Errors.VmNotFound | Errors.PersistenceError>
    /** Gives it one more, and waits until its domain has it. `NicConflict`: its host cannot plug it in, or it has as many as it can have. `HasChanged`: the VM's revision is not the expected one. */
    readonly attach: (
      id: VmId,
      request: AttachNic,
      expect?: Revision.Expect
    ) => Effect.Effect<Nic.Nic, ChangeError | Errors.InvalidArgument | Errors.MacTaken | Errors.KeyReused>
    /**
     * Takes one from it, and waits until its guest has let go; one that does not keeps it. `HasChanged`: the VM's revision is not the expected
     * one.
     */
    readonly detach: (id: VmId, nic: number, expect?: Revision.Expect) => Effect.Effect<void, ChangeError>
    /** Plugs the cable of one in or out. `HasChanged`: the VM's revision is not the expected one. */
    readonly setLink: (
      id: VmId,
      nic: number,
      link: Nic.LinkState,
      expect?: Revision.Expect
    ) => Effect.Effect<void, ChangeError>
  }
>() {}

const isMac = Schema.is(Nic.MacAddress)
const isNetwork = Schema.is(Network.NetworkName)
const isVlan = Schema.is(Network.Vlan)

/** NICs that are asked for as they are kept; fails for those that cannot be at all, wherever. @since 0.10.0 @category predicates */
export const checked = (
  asked: ReadonlyArray<Nic.NewNic>
): Effect.Effect<ReadonlyArray<Nic.NewNic>, Errors.InvalidArgument> => {
  const bad = (field: string, problem: string, expected: string) =>
    new Errors.InvalidArgument({ field, problem, expected })
  if (asked.length > Nic.nicSlots) {
    return bad("nics", `has ${asked.length} of them`, `at most ${Nic.nicSlots}: each takes a slot of its own`)
  }
  const wanted = asked.map((nic) => (nic.mac === undefined ? nic : { ...nic, mac: Nic.normalMac(nic.mac) }))
  const macs = new Set<string>()
  for (const { mac, network, vlan } of wanted) {
    if (network !== undefined && network !== null && !isNetwork(network)) {
      return bad("network", `is ${JSON.stringify(network)}`, "the name of a network, as the list of networks has it")
    }
    if (vlan !== undefined && vlan !== null && !isVlan(vlan)) {
      return bad("vlan", `is ${vlan}`, "a whole number from 1 to 4094")
    }
    if (mac === undefined) continue
    if (!isMac(mac)) {
      return bad("mac", `is ${JSON.stringify(mac)}`, "the address of one card, as 52:54:00:12:34:56")
    }
    if (macs.has(mac)) return bad("mac", `${mac} is given twice`, "an address of its own for each NIC")
    macs.add(mac)
  }
  return Effect.succeed(wanted)
}

/** What a scheduler is asked to find for them: the default network is no condition, as VMs do without one. @since 0.6.0 @category getters */
export const wishes = (nics: ReadonlyArray<Nic.NewNic>): ReadonlyArray<Network.Wish> =>
  nics.flatMap(({ network = null, vlan = null }) => (network === null && vlan === null ? [] : [{ network, vlan }]))

/** As a request's key remembers them. @since 0.6.0 @category formatting */
export const said = (nics: ReadonlyArray<Nic.NewNic>): string =>
  JSON.stringify(nics.map(({ mac = null, model = null, network = null, vlan = null }) => [network, vlan, mac, model]))

const conflict = ({ id, name }: Vm, reason: string) => new Errors.NicConflict({ vmId: id, called: name, reason })

const settled = (vm: Vm): Effect.Effect<void, Errors.NicConflict> =>
  vm.state === "destroying" ? conflict(vm, "is being destroyed") : Effect.void

const asExpected = (vm: Vm, expect: Revision.Expect | undefined) =>
  Effect.zipRight(settled(vm), Revision.checkVm(expect)?.(vm) ?? Effect.void)

const attachable = (vm: Vm, host: Host, wanted: Nic.NewNic): Effect.Effect<NicChange, Errors.NicConflict> => {
  if (vm.nics.length >= Nic.nicSlots) {
    return conflict(vm, `has ${Nic.nicSlots} NICs, which is the most: remove one first`)
  }
  if (host.facts === null) return conflict(vm, `is on ${host.name}, which has not been reached yet: try again later`)
  const { network = null, vlan = null } = wanted
  const connected = Network.connect(host.facts, { network, vlan })
  if (Either.isLeft(connected)) {
    return conflict(vm, `is on ${host.name}, where the NIC cannot be plugged in: ${connected.left}`)
  }
  return connected.right === null
    ? conflict(vm, `is on ${host.name}, which has no default network: name the one the NIC is to be on`)
    : Effect.succeed({ _tag: "Attach", nic: wanted })
}

const found = (vm: Vm, number: number): Effect.Effect<Nic.Nic, Errors.NicNotFound> => {
  const nic = vm.nics.find(({ id }) => id === number)
  return nic === undefined ? new Errors.NicNotFound({ vmId: vm.id, called: vm.name, nic: number }) : Effect.succeed(nic)
}

/** @since 0.6.0 @category layers */
export const layer = Layer.effect(
  Nics,
  Effect.gen(function* () {
    const inventory = yield* Inventory
    const operations = yield* Operations
    const addresses = yield* Addresses
    const queue = yield* Queue.Queue

    /** Begun and started as one, after whatever else is being done with the VM; waits for its end. */
    const change = Effect.fnUntraced(function* <E>(
      id: VmId,
      decide: (vm: Vm, host: Host) => Effect.Effect<NicChange, E>,
      key?: RequestKey,
      given: ReadonlyArray<string> = []
    ) {
      const intent = yield* Intent.Intent
      const changed = yield* queue.whenFree(
        { vmId: id },
        inventory
          .changeNics(
            id,
            (vm, host) =>
              Effect.zipRight(
                intent.depends(() => Facts.ofVm(vm)),
                decide(vm, host)
              ),
            key,
            ({ after, before, operation }) => intent.confirm(() => ({ operation, vm: { before, after }, given }))
          )
          .pipe(
            Effect.tap(({ operation }) => (operation === null ? Effect.void : Begun.start(operations, operation))),
            Effect.uninterruptible
          )
      )
      if (changed.operation !== null) yield* operations.await(changed.operation.id)
      return changed
    })

    return Nics.of({
      list: Effect.fn("Nics.list")(function* (id) {
        const vm = yield* inventory.vm(id)
        const usage = yield* Effect.option(inventory.host(vm.hostId))
        const facts = usage._tag === "Some" ? usage.value.host.facts : null
        const read = yield* addresses.read(vm)
        const all = Either.getOrElse(read, () => [])
        const nics = vm.nics.map((nic): NicReport => ({
          nic,
          source: facts === null ? null : Either.getOrElse(Network.connect(facts, nic), () => null),
          addresses: all.filter(({ mac }) => mac === nic.mac)
        }))
        return { nics, unread: Either.isLeft(read) ? read.left : null }
      }),
      attach: Effect.fn("Nics.attach")(function* (id, { idempotencyKey, ...asked }, expect) {
        const [wanted = asked] = yield* checked([asked])
        const key = yield* Effect.flatMap(Keys.make(idempotencyKey, ["NIC", id, said([wanted])]), (key) =>
          Keys.unlessPlanned(inventory, key)
        )
        const given = wanted.mac === undefined ? [] : [wanted.mac]
        const { after, operation } = yield* change(
          id,
          (vm, host) => Effect.zipRight(asExpected(vm, expect), attachable(vm, host, wanted)),
          key,
          given
        )
        const number = operation?.detail.nic ?? 0
        // as it is now; a repeated request may be about one that has gone again
        return yield* inventory.vm(id).pipe(
          Effect.flatMap((vm) => found(vm, number)),
          Effect.catchTags({ VmNotFound: () => found(after, number), NicNotFound: () => found(after, number) })
        )
      }),
      detach: Effect.fn("Nics.detach")((id, number, expect) =>
        change(id, (vm) =>
          Effect.zipRight(
            asExpected(vm, expect),
            Effect.map(found(vm, number), (nic): NicChange => ({ _tag: "Detach", nic: nic.id }))
          )
        ).pipe(Effect.catchTags({ MacTaken: Effect.die, KeyReused: Effect.die }), Effect.asVoid)
      ),
      setLink: Effect.fn("Nics.setLink")((id, number, link, expect) =>
        change(id, (vm) =>
          Effect.zipRight(
            asExpected(vm, expect),
            Effect.map(found(vm, number), (nic): NicChange =>
              nic.link === link ? { _tag: "Nothing" } : { _tag: "Link", nic: nic.id, link }
            )
          )
        ).pipe(Effect.catchTags({ MacTaken: Effect.die, KeyReused: Effect.die }), Effect.asVoid)
      )
    })
  })
).pipe(Layer.provide(Queue.layer))
