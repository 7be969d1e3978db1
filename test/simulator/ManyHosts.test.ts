import { assert, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as LibvirtLive from "../../layers/LibvirtLive.ts"
import * as SimulatedFleet from "../../layers/SimulatedFleet.ts"
import type { HostAddress } from "../../src/domain/Host.ts"
import { Libvirt } from "../../src/services/Libvirt.ts"
import * as Fleet from "../../src/simulator/Fleet.ts"

const count = 200
const address = (host: string): HostAddress => ({ user: "root", host, port: 22 })
const xml = (name: string): string =>
  `<domain type='qemu'><name>${name}</name><memory unit='MiB'>512</memory><os><type arch='x86_64' machine='q35'>hvm</type></os></domain>`

const mebibytes = (): number => Math.round(process.memoryUsage().rss / 1024 ** 2)

it.live(
  `${count} hosts in one process, each through its own SSH connection and libvirt session`,
  () =>
    Effect.scoped(
      Effect.gen(function* () {
        const before = mebibytes()
        const [building, fleet] = yield* Effect.timed(
          Fleet.make({
            hosts: Array.from({ length: count }, (_, index) => ({ hostname: `sim-${index}`, bootTime: 0 }))
          })
        )
        const built = mebibytes()
        yield* Effect.gen(function* () {
          const libvirt = yield* Libvirt
          const everywhere = <A, E>(f: (host: string) => Effect.Effect<A, E, never>) =>
            Effect.timed(Effect.forEach(fleet.hosts, ({ hostname }) => f(hostname), { concurrency: "unbounded" }))
          const [connecting] = yield* everywhere((host) => libvirt.ping(address(host)))
          const [creating, created] = yield* everywhere((host) =>
            Effect.gen(function* () {
              const { dom } = yield* libvirt.call(address(host), "DOMAIN_DEFINE_XML_FLAGS", {
                xml: xml("vm-1"),
                flags: 1
              })
              return yield* libvirt.call(address(host), "DOMAIN_CREATE_WITH_FLAGS", { dom, flags: 0 })
            })
          )
          assert.strictEqual(created.length, count)
          for (const host of fleet.hosts) {
            assert.deepStrictEqual(
              host.guests().map(({ id, name }) => ({ id, name })),
              [{ id: 1, name: "vm-1" }]
            )
          }
          yield* Effect.logInfo(
            `${count} simulated hosts: made in ${Duration.format(building)}, connected in ${Duration.format(connecting)}, one domain each in ${Duration.format(creating)}; resident memory ${before} MiB before, ${built} MiB when made, ${mebibytes()} MiB now`
          )
        }).pipe(Effect.provide(LibvirtLive.layer.pipe(Layer.provide(SimulatedFleet.layerSsh(fleet)))))
      })
    ),
  60_000
)
