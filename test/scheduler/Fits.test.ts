/** What more fits, and whether a host could be lost. */
import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { HostId, InstanceTypeId, VmId } from "../../src/domain/Ids.ts"
import * as Placement from "../../src/domain/Placement.ts"
import * as Resources from "../../src/domain/Resources.ts"
import * as Fits from "../../src/scheduler/Fits.ts"
import type { Candidate } from "../../src/services/Scheduler.ts"

const guestsOn = (guests: ReadonlyArray<Fits.Guest>, hostId: HostId) =>
  guests.filter((guest) => guest.hostId === hostId)

const sum = (guests: ReadonlyArray<Fits.Guest>): Resources.Resources =>
  Resources.map((name) => guests.reduce((all, { resources }) => all + resources[name], 0))

const candidate = (
  id: number,
  capacity: Resources.Resources,
  promised: Resources.Resources,
  more: { readonly maintenance?: boolean; readonly lan?: boolean; readonly avx?: boolean } = {}
): Candidate => ({
  host: new Host({
    id: HostId.make(id),
    config: {
      ...defaultConfig({ user: "root", host: `h${id}`, port: 22 }),
      overcommit: { cpu: 1, ram: 1, disk: 1 }
    },
    maintenance: more.maintenance ?? false,
    facts: {
      hostname: `h${id}`,
      uuid: `00000000-0000-4000-8000-${String(id).padStart(12, "0")}`,
      libvirtVersion: "9.0.0",
      resources: capacity,
      arch: "x86_64",
      domainType: "kvm",
      features: more.avx === true ? ["sse2", "avx"] : ["sse2"],
      network: "default",
      networks:
        more.lan === true ? [{ name: "lan", source: { kind: "bridge", name: "br0" }, vlans: null, problem: null }] : []
    }
  }),
  status: { _tag: "Up" },
  promised,
  vms: 0
})

const capacity = { cpu: 8, ram: 8192, disk: 80 }

const type = { tid: InstanceTypeId.make(1), cpu: 2, ram: 1024, disk: 7 }
const vector = { ...type, tid: InstanceTypeId.make(2), requires: { "host.cpu.feature.avx": ["yes"] } }

const lan = { network: "lan", vlan: null }

/** Hosts of which some have a network, and VMs on them, which may be too many for them. */
const worlds = FastCheck.record({
  hosts: FastCheck.array(
    FastCheck.record({ maintenance: FastCheck.boolean(), lan: FastCheck.boolean(), avx: FastCheck.boolean() }),
    { minLength: 1, maxLength: 4 }
  ),
  guests: FastCheck.array(
    FastCheck.record({
      host: FastCheck.nat(3),
      cpu: FastCheck.integer({ min: 1, max: 4 }),
      ram: FastCheck.constantFrom(512, 1024, 2048, 4096),
      onLan: FastCheck.boolean(),
      needsAvx: FastCheck.boolean()
    }),
    { maxLength: 10 }
  )
})

/** Whether there is any way, by trying all. */
const isPossible = (
  free: ReadonlyMap<HostId, Resources.Resources>,
  has: (host: HostId, guest: Fits.Guest) => boolean,
  [first, ...others]: ReadonlyArray<Fits.Guest>
): boolean =>
  first === undefined ||
  [...free].some(
    ([host, left]) =>
      has(host, first) &&
      Resources.names.every((name) => left[name] >= first.resources[name]) &&
      isPossible(new Map([...free, [host, Resources.map((name) => left[name] - first.resources[name])]]), has, others)
  )

describe("Fits", () => {
  it("says of what never fits what it lacks most", () => {
    const huge = { tid: InstanceTypeId.make(4), cpu: 8, ram: 67_108_864, disk: 1000 }
    const none = { cpu: 0, ram: 0, disk: 0 }
    const [fit] = Fits.types([candidate(1, capacity, none)], [huge], ({ cpu, disk, ram }) => ({ cpu, ram, disk }))
    assert.deepStrictEqual([fit?.more, fit?.limit], [0, "ram"])
    const alike = { tid: InstanceTypeId.make(5), cpu: 16, ram: 1024, disk: 100_000 }
    const [other] = Fits.types([candidate(1, capacity, none)], [alike], ({ cpu, disk, ram }) => ({ cpu, ram, disk }))
    assert.deepStrictEqual([other?.more, other?.limit], [0, "disk"])
  })

  it("never says that VMs would fit that cannot, names those that do not, and counts types one by one", () => {
    let lost = 0
    let survived = 0
    FastCheck.assert(
      FastCheck.property(worlds, ({ guests: given, hosts }) => {
        const guests = given.map(({ cpu, host, needsAvx, onLan, ram }, i): Fits.Guest => ({
          id: VmId.make(i + 1),
          name: `vm${i + 1}`,
          hostId: HostId.make((host % hosts.length) + 1),
          resources: { cpu, ram, disk: 1 },
          networks: onLan ? [lan] : [],
          placement: needsAvx ? Placement.ofType(null, vector.tid, vector.requires) : null
        }))
        const candidates = hosts.map((more, i) =>
          candidate(i + 1, capacity, sum(guestsOn(guests, HostId.make(i + 1))), more)
        )
        const lossOf = Fits.losses(candidates, guests)
        const has = (host: HostId, { networks, placement }: Fits.Guest) =>
          (networks.length === 0 || hosts[host - 1]?.lan === true) &&
          (placement === null || hosts[host - 1]?.avx === true)
        for (const one of candidates) {
          const there = guestsOn(guests, one.host.id)
          const free = new Map(
            candidates.flatMap(({ host, promised }) =>
              host.id === one.host.id || host.maintenance
                ? []
                : [[host.id, Resources.map((name) => Math.max(0, capacity[name] - promised[name]))] as const]
            )
          )
          const loss = lossOf(one)
          assert.deepStrictEqual(lossOf(one), loss, "it is only looked at")
          if (loss === undefined) {
            assert.isTrue(isPossible(free, has, there))
            survived += there.length > 0 ? 1 : 0
            continue
          }
          lost++
          assert.strictEqual(loss.guests, there.length)
          const homeless = new Set(loss.homeless.map(({ id }) => id))
          assert.isTrue(homeless.size > 0 && loss.homeless.every((guest) => there.includes(guest)))
          assert.isTrue(
            isPossible(
              free,
              has,
              there.filter(({ id }) => !homeless.has(id))
            ),
            "the others have room"
          )
        }
        for (const one of [type, vector]) {
          const each = candidates.map(({ host, promised }) => {
            let fit = 0
            if (host.maintenance || (one === vector && hosts[host.id - 1]?.avx !== true)) return fit
            while (Resources.names.every((name) => promised[name] + (fit + 1) * type[name] <= capacity[name])) fit++
            return fit
          })
          const [told] = Fits.types(candidates, [one], ({ cpu, disk, ram }) => ({ cpu, disk, ram }))
          assert.strictEqual(
            told?.more,
            each.reduce((all, one) => all + one, 0)
          )
          assert.strictEqual(told?.hosts, each.filter((one) => one > 0).length)
        }
      }),
      { numRuns: 2000 }
    )
    assert.isTrue(lost > 100 && survived > 100, `${lost} lost, ${survived} survived`)
  })
})
