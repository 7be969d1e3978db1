/**
 * What the doctor has to find on four hosts that have ten things wrong, and that each command it prints mends what it is printed for. Real and
 * simulated hosts keep it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Check, Finding } from "../../src/domain/Doctor.ts"

/** Four hosts, whose disks are in a Ceph pool, and who makes them ill. */
export class DoctorWorld extends Context.Tag("test/DoctorWorld")<
  DoctorWorld,
  {
    /** their names, as findings have them */
    readonly names: readonly [string, string, string, string]
    readonly examine: Effect.Effect<ReadonlyArray<Finding>>
    /**
     * - the first: guests hang on its /dev/kvm, which it is to use
     * - the second: a full disk; a clock an hour ahead; no bridge; a VM of a machine type that is gone; a route to nowhere in place of the first
     * - the third: libvirtd is stopped; its bridge takes smaller frames
     * - the fourth: its host key is another one
     * - all: the pool's client may only read
     */
    readonly plant: Effect.Effect<void, unknown>
    /** The command as somebody types it who works on the controller's machine. */
    readonly type: (command: string) => Effect.Effect<void, unknown>
  }
>() {}

/** `run`: what the clock is. */
export const doctorContract = (
  name: string,
  layer: Layer.Layer<DoctorWorld>,
  run: <A, E>(body: Effect.Effect<A, E>) => Effect.Effect<A, E | { readonly _tag: string }> = (body) => body
) =>
  describe(`a doctor of hosts: ${name}`, () => {
    it.live(
      "finds ten things that are wrong, nothing else, and what it prints mends them",
      () =>
        Effect.gen(function* () {
          const { examine, names, plant, type } = yield* DoctorWorld
          const [first, second, third, fourth] = names
          const failed = (all: ReadonlyArray<Finding>) =>
            all.filter(({ level }) => level === "failure").map(({ check, host }) => `${host} ${check}`)

          const before = yield* examine
          assert.deepStrictEqual(failed(before), [], JSON.stringify(before, null, 1))

          yield* plant
          const ill = yield* examine
          assert.sameMembers(
            failed(ill),
            [
              ...["guest", "path", "ceph"].map((check) => `${first} ${check}`),
              ...["disk", "clock", "network", "vms", "path", "ceph"].map((check) => `${second} ${check}`),
              ...["libvirt", "mtu", "ceph"].map((check) => `${third} ${check}`),
              `${fourth} ssh`
            ],
            JSON.stringify(ill, null, 1)
          )
          const of = (host: string, check: Check) => {
            const found = ill.find((one) => one.host === host && one.check === check && one.level === "failure")
            return { seen: found?.seen ?? "", mend: found?.mend ?? "" }
          }
          const saw = (host: string, check: Check, seen: RegExp, mend: RegExp) => {
            assert.match(of(host, check).seen, seen)
            assert.match(of(host, check).mend, mend)
          }
          saw(
            first,
            "guest",
            /kvm guest was started, and its firmware had done nothing/,
            /^vmfabric host set 1 virt=qemu$/
          )
          saw(second, "disk", /^0\.\d GiB of [\d.]+ are free/, /apt-get clean/)
          saw(second, "clock", /3(?:599|600)\.\d+ s ahead/, /date -s @\$\(date \+%s\)/)
          saw(second, "network", /there is no bridge/, /ip link add/)
          saw(second, "vms", /does not have the machine type of old-machine \(pc-q35-1\.4\)/, /virsh define/)
          saw(second, "path", /is not heard from/, /ip route del unreachable/)
          saw(third, "libvirt", /libvirt/, /systemctl restart libvirtd/)
          saw(third, "mtu", /takes frames of 1400 bytes/, /mtu 1500/)
          saw(fourth, "ssh", /key is not what .* has.*SHA256:/, /ssh-keyscan/)
          saw(first, "ceph", /EPERM|EACCES/, /^ceph auth caps client\.\S+ mon 'profile rbd' osd 'profile rbd pool=vms'/)

          const commands = ill.flatMap(({ level, mend }) => (level === "failure" && mend !== null ? [mend] : []))
          for (const command of new Set(commands)) yield* type(command)
          const after = yield* examine
          assert.deepStrictEqual(failed(after), [], JSON.stringify(after, null, 1))
        }).pipe(Effect.provide(layer), run),
      600_000
    )
  })
