/** The doctor's contract, kept by simulated hosts, in a time that passes when there is nothing left to do. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as CephLive from "../../layers/CephLive.ts"
import * as DoctorLive from "../../layers/DoctorLive.ts"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import { defaultConfig, Host } from "../../src/domain/Host.ts"
import { HostId } from "../../src/domain/Ids.ts"
import { Doctor } from "../../src/services/Doctor.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import { Ssh, SshError, SshHostKeyRefused } from "../../src/services/Ssh.ts"
import * as Cluster from "../../src/simulator/Cluster.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"
import * as Virtual from "../../src/simulator/Virtual.ts"
import { doctorContract, DoctorWorld } from "../contracts/DoctorContract.ts"

const hostnames = ["sim-1", "sim-2", "sim-3", "sim-4"] as const
const names = ["root@sim-1", "root@sim-2", "root@sim-3", "root@sim-4"] as const
const forget = "ssh-keygen -R sim-4 -f /known_hosts && ssh-keyscan -p 22 -t ed25519 sim-4 >> /known_hosts"

const oldGuest =
  "<domain type='qemu'><name>old-machine</name><uuid>6c1b7c1e-2f0e-4f0d-9c3a-0d3a1f9be001</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>" +
  "<os><type arch='x86_64' machine='pc-q35-1.4'>hvm</type></os></domain>"

const world = Layer.scoped(
  DoctorWorld,
  Effect.gen(function* () {
    const cluster = yield* Cluster.make()
    const fleet = yield* Fleet.make({
      hosts: [
        ...hostnames.map((hostname) => ({ hostname, ceph: cluster })),
        { hostname: "sim-ceph", cephCommands: cluster }
      ]
    })
    const [first, second, third, fourth] = fleet.hosts
    if (first === undefined || second === undefined || third === undefined || fourth === undefined) {
      return yield* Effect.dieMessage("a fleet without hosts")
    }
    let hung = false
    let keyChanged = false
    const hosts = () =>
      hostnames.map(
        (host, index) =>
          new Host({
            id: HostId.make(index + 1),
            config: {
              ...defaultConfig({ user: "root", host, port: 22 }),
              virt: index === 0 && hung ? "kvm" : "qemu",
              networks: { lan: { kind: "bridge", name: "br0" } }
            },
            facts: null,
            origin: "api"
          })
      )
    /** There are no keys without SSH's cryptography: what SSH would say of another one is said in its place. */
    const ssh = Layer.effect(
      Ssh,
      Effect.map(Ssh, (memory) =>
        Ssh.of({
          ...memory,
          exec: (address, argv, options) =>
            keyChanged && address.host === "sim-4"
              ? Effect.fail(
                  new SshError({
                    host: "root@sim-4",
                    action: "connect",
                    reason: new SshHostKeyRefused({
                      reason: "its ed25519 key is not what /known_hosts has",
                      fingerprint: "SHA256:other",
                      accept: forget
                    })
                  })
                )
              : memory.exec(address, argv, options)
        })
      )
    ).pipe(Layer.provide(SimulatedFleet.layerMemory(fleet)))
    const context = yield* Layer.build(
      DoctorLive.layerRbd.pipe(
        Layer.provideMerge(LibvirtLive.layer),
        Layer.provide(
          CephLive.layer({
            pool: cluster.pool,
            client: cluster.client,
            conf: "/etc/ceph/ceph.conf",
            host: { user: "root", host: "sim-ceph", port: 22 }
          })
        ),
        Layer.provide(ssh),
        Layer.provide(Logger.remove(Logger.defaultLogger))
      )
    )
    const doctor = yield* Effect.provide(Doctor, context)
    const libvirt = yield* Effect.provide(Libvirt, context)
    const define = (xml: string) =>
      libvirt.call({ user: "root", host: "sim-2", port: 22 }, "DOMAIN_DEFINE_XML", { xml })

    /** What a command does, by its words. */
    const does: ReadonlyArray<readonly [RegExp, Effect.Effect<unknown, unknown>]> = [
      [/^vmfabric host set 1 virt=qemu$/, Effect.sync(() => void (hung = false))],
      [/^ssh root@sim-2 'apt-get clean'$/, second.faults.keepPackages(0)],
      [/^ssh root@sim-2 "date -s @\$\(date \+%s\)"$/, second.faults.setClockAhead(0)],
      [/^ssh root@sim-2 'ip link add br0 type bridge && ip link set br0 up'$/, second.faults.setBridge("br0", 1500)],
      [
        /^ssh root@sim-2 'virsh dumpxml --inactive --security-info old-machine \| sed .*pc-q35-7\.2.* \| virsh define \/dev\/stdin'$/,
        define(oldGuest.replace("pc-q35-1.4", "pc-q35-7.2"))
      ],
      [/^ssh root@sim-1 'ip route del unreachable sim-2'$/, first.faults.loseRoute("sim-2", false)],
      [/^ssh root@sim-2 'ip route del unreachable sim-1'$/, second.faults.loseRoute("sim-1", false)],
      [/^ssh root@sim-3 'systemctl restart libvirtd'$/, third.faults.startLibvirtd],
      [/^ssh root@sim-3 'ip link set dev br0 mtu 1500'$/, third.faults.setBridge("br0", 1500)],
      [/^ssh-keygen -R sim-4 /, Effect.sync(() => void (keyChanged = false))],
      [/^ceph auth caps client\.libvirt /, cluster.faults.clear]
    ]

    return {
      names,
      examine: Effect.suspend(() => doctor.examine(hosts(), hosts())),
      plant: Effect.all(
        [
          Effect.sync(() => {
            hung = true
            keyChanged = true
          }),
          first.faults.hangKvm(true),
          second.faults.keepPackages(second.state.files.free - 4096),
          second.faults.setClockAhead("1 hour"),
          second.faults.setBridge("br0", null),
          define(oldGuest),
          // what one of the two cannot send the other does not get an answer to
          second.faults.loseRoute("sim-1", true),
          first.faults.loseRoute("sim-2", true),
          third.faults.stopLibvirtd,
          third.faults.setBridge("br0", 1400),
          cluster.faults.fail("importImage", { errno: "EPERM" })
        ],
        { discard: true }
      ),
      type: (command) =>
        does.find(([words]) => words.test(command))?.[1] ?? Effect.fail(`nobody has such a command: ${command}`)
    }
  })
)

doctorContract("simulated", world, (body) => Virtual.run(1, body))
