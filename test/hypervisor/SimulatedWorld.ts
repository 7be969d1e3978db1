/** What the contract of hypervisors asks of a simulated host. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { imageNamed } from "../storage/Given.ts"
import * as LiveWorld from "./LiveWorld.ts"
import * as Simulated from "./Simulated.ts"

export const layer = Layer.unwrapEffect(
  Effect.map(Simulated.Simulated, (simulated) =>
    LiveWorld.layer({
      host: Simulated.here,
      unreachable: Simulated.unreachable,
      network: "default",
      bridge: "br0",
      trunk: "br{vlan}",
      image: imageNamed("small"),
      booted: ({ domainName }, times) =>
        Effect.sync(() => simulated.host.guests().find(({ name }) => name === domainName)?.serial ?? []).pipe(
          Effect.repeat({
            until: (lines) => lines.filter((line) => line.startsWith("GUEST READY")).length >= times,
            schedule: Schedule.spaced("10 millis")
          }),
          Effect.timeout("10 seconds")
        ),
      deafen: ({ domainName }) => simulated.host.faults.ignorePowerButton(domainName, true),
      kill: ({ domainName }) => simulated.host.faults.crashGuest(domainName)
    })
  )
)
