/** The doctor on real hosts: what it finds is planted there, and what it says mends it is run as it stands. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { execFile } from "node:child_process"
import * as DoctorLive from "../../layers/DoctorLive.ts"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import type { Check } from "../../src/domain/Doctor.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import { Doctor } from "../../src/services/Doctor.ts"
import * as Lab from "./Lab.ts"

const doctorWith = (knownHostsFile: string) =>
  DoctorLive.layer.pipe(
    Layer.provide(LibvirtLive.layer),
    Layer.provide(SshLive.layer({ ...Lab.sshOptions, knownHostsFile })),
    Layer.provide(SshDialerTcp.layer),
    Layer.provide(NodeContext.layer),
    Layer.provide(Logger.remove(Logger.defaultLogger))
  )

const hosts = [0, 1].map(
  (at) =>
    new Host({
      id: HostId.make(at + 1),
      config: {
        ...defaultConfig(Lab.address(at)),
        virt: "qemu",
        networks: { lan: { kind: "bridge", name: "br-lan" } }
      },
      facts: null,
      origin: "api"
    })
)
const [first, second] = [Lab.status.hosts[0], Lab.everyHost[1]]

/** As somebody types it, whose ssh has the lab's key. */
const typed = (command: string) =>
  Effect.async<string, Lab.LabError>((resume) => {
    const ssh = `ssh() { command ssh -F none -i ${Lab.status.sshKey} -o BatchMode=yes -o UserKnownHostsFile=${Lab.status.knownHosts} "$@"; }`
    const child = execFile("bash", ["-c", `${ssh}\n${command}`], (error, stdout, stderr) =>
      resume(
        error === null
          ? Effect.succeed(stdout)
          : Effect.fail(new Lab.LabError({ message: `${command}: ${error.message} ${stdout} ${stderr}` }))
      )
    )
    return Effect.sync(() => void child.kill())
  })

const found = Effect.flatMap(Doctor, (doctor) => doctor.examine(hosts, hosts)).pipe(
  Effect.map((all) => ({
    all,
    ill: all.filter(({ level }) => level === "failure").map(({ check, host }) => `${host} ${check}`),
    of: (at: number, check: Check) => all.find((one) => one.hostId === at && one.check === check)
  }))
)

const mended = Effect.fnUntraced(function* (at: number, check: Check, ...also: ReadonlyArray<Check>) {
  const { all, ill, of } = yield* found
  const name = hosts[at - 1]?.name ?? "none"
  assert.sameMembers(
    ill,
    [check, ...also].map((one) => `${name} ${one}`),
    JSON.stringify(all, null, 1)
  )
  const mend = of(at, check)?.mend ?? ""
  yield* typed(mend)
  return mend
})

describe("the doctor on real hosts", () => {
  it.scopedLive("sees that they are well, finds what is planted, and what it prints mends it", () =>
    Effect.gen(function* () {
      const well = yield* found
      assert.deepStrictEqual(well.ill, [], JSON.stringify(well.all, null, 1))
      for (const at of [1, 2]) assert.match(well.of(at, "guest")?.seen ?? "", /^a tiny qemu guest ran/)
      // nothing of the tiny guests is left
      assert.notInclude(yield* Lab.onHost(first.name, "virsh", "list", "--all", "--name"), "vmfabric-doctor")

      yield* Lab.onHost(second?.name ?? "", "ip", "link", "set", "br-lan", "mtu", "1400")
      assert.match(yield* mended(2, "mtu"), /ip link set dev br-lan mtu 1500/)

      // as if it had never been made: what the command makes is a bridge again, though without the card
      yield* Lab.onHost(second?.name ?? "", "ip", "link", "set", "br-lan", "name", "br-away")
      yield* mended(2, "network")
      assert.deepStrictEqual((yield* found).ill, [])
      yield* Lab.onHost(second?.name ?? "", "sh", "-c", "ip link del br-lan && ip link set br-away name br-lan")

      // hosts of the lab have no systemd that could start it: the lab does what the command would
      yield* Lab.lab("stop-libvirtd", second?.name ?? "")
      const stopped = yield* found
      assert.deepStrictEqual(stopped.ill, [`${hosts[1]?.name ?? ""} libvirt`], JSON.stringify(stopped.all, null, 1))
      assert.include(stopped.of(2, "libvirt")?.mend ?? "", "systemctl restart libvirtd")
      yield* Lab.lab("start-libvirtd", second?.name ?? "")

      // no way from the second host to the first, so no answer to what the first one asks either
      yield* Lab.onHost(second?.name ?? "", "ip", "route", "add", "unreachable", Lab.address(0).host)
      const cut = yield* found
      assert.sameMembers(
        cut.ill,
        hosts.map(({ name }) => `${name} path`),
        JSON.stringify(cut.all, null, 1)
      )
      yield* Lab.onHost(second?.name ?? "", "ip", "route", "del", "unreachable", Lab.address(0).host)
      assert.deepStrictEqual((yield* found).ill, [])
    }).pipe(Effect.provide(doctorWith(Lab.status.knownHosts)))
  )

  it.scopedLive("trusts no key that is not known, and says how it is accepted", () =>
    Effect.gen(function* () {
      const { ill, of } = yield* found
      assert.deepStrictEqual(ill, [`${hosts[0]?.name ?? ""} ssh`, `${hosts[1]?.name ?? ""} ssh`])
      assert.match(of(1, "ssh")?.seen ?? "", /SHA256:/)
      assert.include(of(1, "ssh")?.mend ?? "", Lab.address(0).host)
    }).pipe(Effect.provide(doctorWith(`${Lab.status.dir}/no_known_hosts`)))
  )
})
