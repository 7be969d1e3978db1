/** The doctor's contract on real hosts: what it finds is planted there, and what it prints is run as it stands. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { execFile } from "node:child_process"
import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as CephLive from "../../layers/CephLive.ts"
import * as DoctorLive from "../../layers/DoctorLive.ts"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SshDialerTcp from "../../layers/SshDialerTcp.ts"
import * as SshLive from "../../layers/SshLive.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import { Doctor } from "../../src/services/Doctor.ts"
import { doctorContract, DoctorWorld } from "../contracts/DoctorContract.ts"
import * as Lab from "./Lab.ts"

const ssh = (knownHostsFile: string) =>
  SshLive.layer({ ...Lab.sshOptions, knownHostsFile }).pipe(
    Layer.provide(SshDialerTcp.layer),
    Layer.provide(NodeContext.layer)
  )

const doctorWith = (knownHostsFile: string) =>
  DoctorLive.layerRbd.pipe(
    Layer.provide(LibvirtLive.layer),
    Layer.provide(
      CephLive.layer({
        pool: Lab.status.ceph.pool,
        client: Lab.status.ceph.client,
        conf: Lab.status.ceph.conf,
        host: null
      })
    ),
    Layer.provide(ssh(knownHostsFile)),
    Layer.provide(Logger.remove(Logger.defaultLogger))
  )

const hostsWith = (virt: "kvm" | "qemu") =>
  [0, 1, 2, 3].map(
    (at) =>
      new Host({
        id: HostId.make(at + 1),
        config: {
          ...defaultConfig(Lab.address(at)),
          virt: at === 0 ? virt : "qemu",
          networks: { lan: { kind: "bridge", name: "br-lan" } }
        },
        facts: null,
        origin: "api"
      })
  )

const knownHosts = `${Lab.status.dir}/doctor_known_hosts`
const told = `${Lab.status.dir}/doctor_told`
const h = (at: number) => Lab.everyHost[at]?.name ?? ""

/**
 * A command as somebody types it whose ssh has the lab's key and the doctor's known hosts, who is Ceph's administrator, and whose `vmfabric` is written
 * down: what it does with a host's settings is shown elsewhere.
 */
const typed = (command: string) =>
  Effect.async<void, Lab.LabError>((resume) => {
    const given = [
      `ssh() { command ssh -F none -i ${Lab.status.sshKey} -o BatchMode=yes -o UserKnownHostsFile=${knownHosts} "$@"; }`,
      `ceph() { command ceph -c ${Lab.status.ceph.conf} -n client.admin -k ${Lab.status.dir}/ceph/ceph.client.admin.keyring "$@"; }`,
      `vmfabric() { echo "$*" >> ${told}; }`
    ].join("\n")
    const child = execFile("bash", ["-c", `${given}\n${command}`], (error, stdout, stderr) =>
      resume(
        error === null
          ? Effect.void
          : Effect.fail(new Lab.LabError({ message: `${command}: ${error.message} ${stdout} ${stderr}` }))
      )
    )
    return Effect.sync(() => void child.kill())
  })

const may = (osd: string, mgr = osd) =>
  Lab.lab("ceph", "auth", "caps", `client.${Lab.status.ceph.client}`, "mon", "profile rbd", "osd", osd, "mgr", mgr)

/** Another host's key in the place of the fourth's. */
const confuse = Effect.sync(() => {
  const lines = readFileSync(knownHosts, "utf8").split("\n")
  const keyOf = (at: number) => lines.find((line) => line.startsWith(`${Lab.address(at).host} `)) ?? ""
  const [, ...key] = keyOf(0).split(" ")
  const its = `${Lab.address(3).host} `
  writeFileSync(knownHosts, lines.map((line) => (line.startsWith(its) ? `${its}${key.join(" ")}` : line)).join("\n"))
})

/** Whatever became of the test, the next one finds the lab as it was. */
const asBefore = Effect.all(
  [
    Lab.lab("unplant", h(0), "kvm"),
    Lab.lab("unplant", h(1), "clock"),
    Lab.lab("unplant", h(1), "full-disk"),
    Lab.lab("unplant", h(1), "old-machine"),
    Lab.onHost(h(1), "sh", "-c", "! ip link show br-away || { ip link del br-lan; ip link set br-away name br-lan; }"),
    Lab.onHost(h(1), "sh", "-c", `ip route del unreachable ${Lab.address(0).host} || true`),
    Lab.lab("start-libvirtd", h(2)),
    Lab.onHost(h(2), "ip", "link", "set", "br-lan", "mtu", "1500"),
    may("profile rbd pool=vms, profile rbd pool=other"),
    Effect.sync(() => {
      for (const file of [knownHosts, told]) rmSync(file, { force: true })
    })
  ],
  { discard: true, concurrency: 3 }
)

const world = Layer.scoped(
  DoctorWorld,
  Effect.gen(function* () {
    copyFileSync(Lab.status.knownHosts, knownHosts)
    writeFileSync(told, "")
    let kvm = false
    yield* Effect.addFinalizer(() => Effect.orDie(asBefore))
    const [a, b, c, d] = hostsWith("qemu").map(({ name }) => name)
    return {
      names: [a ?? "", b ?? "", c ?? "", d ?? ""],
      examine: Effect.suspend(() => {
        const virt = kvm && !readFileSync(told, "utf8").includes("host set 1 virt=qemu\n") ? "kvm" : "qemu"
        // with connections of its own, as one that starts now: a key that is known and rights that are given count from there
        return Effect.flatMap(Doctor, (doctor) => doctor.examine(hostsWith(virt), hostsWith(virt))).pipe(
          Effect.provide(doctorWith(knownHosts))
        )
      }),
      plant: Effect.all(
        [
          Effect.sync(() => void (kvm = true)),
          Lab.lab("plant", h(0), "kvm"),
          confuse,
          Lab.lab("plant", h(1), "old-machine"),
          Lab.lab("plant", h(1), "clock"),
          Lab.lab("plant", h(1), "full-disk"),
          Lab.onHost(h(1), "ip", "link", "set", "br-lan", "name", "br-away"),
          Lab.onHost(h(1), "ip", "route", "add", "unreachable", Lab.address(0).host),
          Lab.lab("stop-libvirtd", h(2)),
          Lab.onHost(h(2), "ip", "link", "set", "br-lan", "mtu", "1400"),
          may("profile rbd-read-only pool=vms", "profile rbd pool=vms")
        ],
        { discard: true }
      ),
      type: typed
    }
  })
)

doctorContract("real hosts", world)

describe("the doctor on real hosts", () => {
  it.scopedLive("trusts no key that is not known, and says how it is accepted", () =>
    Effect.gen(function* () {
      const doctor = yield* Doctor
      const [host] = hostsWith("qemu")
      const all = yield* doctor.examine(host === undefined ? [] : [host], host === undefined ? [] : [host])
      const shown = all.filter(({ level }) => level === "failure")
      assert.deepStrictEqual(
        shown.map(({ check }) => check),
        ["ssh"]
      )
      assert.match(shown[0]?.seen ?? "", /SHA256:/)
      assert.include(shown[0]?.mend ?? "", Lab.address(0).host)
    }).pipe(Effect.provide(doctorWith(`${Lab.status.dir}/no_known_hosts`)))
  )
})
