/** What the doctor finds on simulated hosts, each with one thing wrong, and what it says of them when they are well. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as DoctorReach from "../../layers/DoctorReach.ts"
import * as DoctorLive from "../../layers/DoctorLive.ts"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import type { Check } from "../../src/domain/Doctor.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import { Doctor } from "../../src/services/Doctor.ts"
import { Ssh, SshAuthenticationFailed, SshError, type SshErrorReason, SshNoKey } from "../../src/services/Ssh.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as Virtual from "../../src/simulator/Virtual.ts"

const checks: ReadonlyArray<Check> = [
  "ssh",
  "libvirt",
  "version",
  "guest",
  "machine",
  "vms",
  "cpu",
  "disk",
  "clock",
  "network",
  "mtu",
  "path"
]

/** Three hosts, in a time that passes when there is nothing left to do. */
const world = Effect.gen(function* () {
  const names = [1, 2, 3].map((n) => `sim-${n}`)
  const fleet = yield* Fleet.make({ hosts: names.map((hostname) => ({ hostname })) })
  const hosts = names.map(
    (name, index) =>
      new Host({
        id: HostId.make(index + 1),
        config: {
          ...defaultConfig({ user: "root", host: name, port: 22 }),
          networks: { lan: { kind: "bridge", name: "br0" } }
        },
        facts: null,
        origin: "api"
      })
  )
  const doctor = yield* Effect.provide(
    Doctor,
    yield* Layer.build(
      DoctorLive.layer.pipe(
        Layer.provide(LibvirtLive.layer),
        Layer.provide(SimulatedFleet.layerMemory(fleet)),
        Layer.provide(Logger.remove(Logger.defaultLogger))
      )
    )
  )
  const machines = names.map((name) => fleet.host(name)!)
  const [first, second] = [machines[0]!, machines[1]!]
  const found = Effect.map(doctor.examine(hosts, hosts), (all) => ({
    all,
    ill: all.filter(({ level }) => level !== "ok").map(({ check, host }) => `${host} ${check}`),
    of: (host: string, check: Check) => all.find((one) => one.host === `root@${host}` && one.check === check)!
  }))
  return { doctor, hosts, first, second, machines, found }
})

describe("the doctor", () => {
  it.scopedLive("has looked at everything on hosts that are well, and has left nothing there", () =>
    Effect.gen(function* () {
      const { doctor, found, hosts, machines } = yield* world
      const { all, ill } = yield* found
      assert.deepStrictEqual(ill, [])
      for (const { name } of hosts) {
        assert.sameMembers(
          all.filter(({ host }) => host === name).map(({ check }) => check),
          [...checks]
        )
      }
      assert.isTrue(all.every(({ means, mend, seen }) => means === null && mend === null && seen !== ""))
      for (const { guests, state } of machines) assert.deepStrictEqual([guests().length, state.domains.size], [0, 0])
      const alone = yield* doctor.examine(hosts, hosts.slice(1, 2))
      assert.deepStrictEqual([...new Set(alone.map(({ host }) => host))], ["root@sim-2"])
      assert.lengthOf(alone, checks.length)
    }).pipe((body) => Virtual.run(1, body))
  )

  it.scopedLive("finds each thing that is wrong, and says what mends it", () =>
    Effect.gen(function* () {
      const { first, found, second } = yield* world

      yield* second.faults.stopLibvirtd
      const stopped = yield* found
      assert.deepStrictEqual(stopped.ill, ["root@sim-2 libvirt"])
      assert.strictEqual(stopped.of("sim-2", "libvirt").mend, "ssh root@sim-2 'systemctl restart libvirtd'")
      yield* second.faults.startLibvirtd

      yield* second.faults.hangKvm(true)
      const hung = yield* found
      assert.deepStrictEqual(hung.ill, ["root@sim-2 guest"])
      assert.include(hung.of("sim-2", "guest").seen, "tiny kvm guest was started, and its firmware had done nothing")
      assert.strictEqual(hung.of("sim-2", "guest").mend, "vmfabric host set 2 virt=qemu")
      assert.strictEqual(second.state.domains.size, 0)
      yield* second.faults.hangKvm(false)

      // where QEMU cannot give a guest the processor that VMs get
      yield* second.faults.fail("DOMAIN_CREATE_XML", { code: 1, message: "QEMU closed the monitor" })
      const refused = yield* found
      assert.deepStrictEqual(refused.ill, ["root@sim-2 guest"])
      assert.strictEqual(
        refused.of("sim-2", "guest").seen,
        "host root@sim-2 failed to run a tiny kvm guest: QEMU closed the monitor"
      )
      assert.strictEqual(refused.of("sim-2", "guest").mend, "vmfabric host set 2 virt=qemu")
      yield* second.faults.clear

      yield* second.faults.fillDisk(second.state.files.capacity - 4096)
      const full = yield* found
      assert.deepStrictEqual(full.ill, ["root@sim-2 disk"])
      assert.match(full.of("sim-2", "disk").seen, /^0\.0 GiB of 500\.0 are free/)
      yield* second.faults.fillDisk(0)

      yield* second.faults.takeInodes(second.state.files.inodes - 10)
      const crowded = yield* found
      assert.deepStrictEqual(crowded.ill, ["root@sim-2 disk"])
      assert.match(crowded.of("sim-2", "disk").seen, /^0\.0 % of the inodes are free/)
      assert.include(crowded.of("sim-2", "disk").mend ?? "", "du -x --inodes")
      yield* second.faults.takeInodes(0)

      yield* second.faults.lieAbout("CONNECT_GET_LIB_VERSION", () => ({ lib_ver: 7_000_000n }))
      const old = yield* found
      assert.deepStrictEqual(old.ill, ["root@sim-2 version"])
      assert.match(old.of("sim-2", "version").seen, /^libvirt 7\.0\.0 and QEMU 7\.2\.22/)
      yield* second.faults.clear

      yield* second.faults.lieAbout("CONNECT_GET_CAPABILITIES", ({ capabilities }) => ({
        capabilities: capabilities.replace("EPYC-Rome", "Skylake-Server")
      }))
      const unlike = yield* found
      assert.sameMembers(unlike.ill, ["root@sim-1 cpu", "root@sim-2 cpu", "root@sim-3 cpu"])
      assert.match(unlike.of("sim-2", "cpu").seen, /^its processor is Skylake-Server.*CPUs are incompatible/)
      yield* second.faults.clear

      yield* first.faults.setClockAhead("1 hour")
      const ahead = yield* found
      assert.deepStrictEqual(ahead.ill, ["root@sim-1 clock"])
      assert.match(ahead.of("sim-1", "clock").seen, /^its clock is 3600\.\d+ s ahead/)
      assert.strictEqual(ahead.of("sim-1", "clock").mend, 'ssh root@sim-1 "date -s @$(date +%s)"')
      yield* first.faults.setClockAhead(0)

      yield* second.faults.setBridge("br0", null)
      const missing = yield* found
      assert.deepStrictEqual(missing.ill, ["root@sim-2 network"])
      assert.include(missing.of("sim-2", "network").mend ?? "", "ip link add br0 type bridge")

      yield* second.faults.setBridge("br0", 9000)
      const mtu = yield* found
      assert.deepStrictEqual(mtu.ill, ["root@sim-2 mtu"])
      assert.strictEqual(mtu.of("sim-2", "mtu").mend, "ssh root@sim-2 'ip link set dev br0 mtu 1500'")
      yield* second.faults.setBridge("br0", 1500)
      assert.deepStrictEqual((yield* found).ill, [])
    }).pipe((body) => Virtual.run(1, body))
  )

  it.effect("blames the controller, and not the host, when the controller has no key", () =>
    Effect.gen(function* () {
      const host = new Host({
        id: HostId.make(1),
        config: defaultConfig({ user: "root", host: "h1", port: 22 }),
        facts: null
      })
      const seen = "the controller has no key to log in with: there is none in /root/.ssh and no ssh-agent"
      const found = (reason: typeof SshErrorReason.Type) =>
        Effect.flatMap(Ssh, (ssh) => DoctorReach.make(ssh).reach(host)).pipe(
          Effect.provide(Layer.mock(Ssh, { exec: () => new SshError({ host: host.name, action: "connect", reason }) }))
        )
      const none = yield* found(new SshNoKey({ reason: seen, none: true }))
      assert.deepInclude(none, { level: "failure", seen, mend: "ssh-keygen -t ed25519" })
      assert.include(none.means ?? "", "--ssh-key FILE")
      assert.notInclude(none.means ?? "", "Its sshd")
      // what is there and cannot be used is mended as its note says
      assert.notProperty(yield* found(new SshNoKey({ reason: seen, none: false })), "mend")
      const refused = yield* found(new SshAuthenticationFailed({ reason: "no key was accepted for root: /k" }))
      assert.include(refused.means ?? "", "Its sshd knows none of the controller's keys")
    })
  )

  it.scopedLive("does not wait for a dead host with the others", () =>
    Effect.gen(function* () {
      const { found, second } = yield* world
      yield* second.faults.losePower
      const { all, ill, of } = yield* found
      assert.deepStrictEqual(ill, ["root@sim-2 ssh", "root@sim-2 path"])
      assert.include(of("sim-2", "ssh").means ?? "", "does not answer")
      assert.include(of("sim-2", "path").seen, "root@sim-3 (silent), root@sim-1 (silent)")
      assert.lengthOf(
        all.filter(({ host, level }) => host !== "root@sim-2" && level === "ok"),
        2 * checks.length
      )
    }).pipe((body) => Virtual.run(1, body))
  )
})
