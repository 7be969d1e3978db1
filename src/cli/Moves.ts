/**
 * Moves of VMs that are planned, as they are shown.
 *
 * @since 0.8.0
 */
import type { PlannedMove, StuckVm } from "../api/Placements.ts"
import type { View } from "./Output.ts"
import { amount } from "./Statistics.ts"

/** What a move gains that is to repair rules. @since 0.8.0 @category views */
export const repaired = (gain: number): string =>
  gain === 0 ? "makes the next possible" : `${gain} ${gain === 1 ? "rule" : "rules"}`

/** Moves in their order; `gainOf`: what one gains, in words. @since 0.8.0 @category views */
export const moves = (gainOf: (gain: number) => string): View<PlannedMove> => ({
  name: ({ vmId }) => vmId,
  columns: [
    { title: "MOVE", of: ({ name, vmId }) => `${name} (${vmId})` },
    { title: "FROM", of: ({ fromHost, fromHostId }) => `${fromHost} (${fromHostId})` },
    { title: "TO", of: ({ toHost, toHostId }) => `${toHost} (${toHostId})` },
    { title: "GAIN", of: ({ gain }) => gainOf(gain) },
    { title: "MEMORY", of: ({ memoryBytes }) => amount(memoryBytes) },
    { title: "DISK", of: ({ diskBytes }) => (diskBytes === 0 ? null : amount(diskBytes)) }
  ]
})

/** VMs that should move and cannot. @since 0.8.0 @category views */
export const stuck: View<typeof StuckVm.Type> = {
  name: ({ vmId }) => vmId,
  columns: [
    { title: "CANNOT MOVE", of: ({ name, vmId }) => `${name} (${vmId})`, tone: () => "bad" },
    { title: "FROM", of: ({ host, hostId }) => `${host} (${hostId})` },
    { title: "BECAUSE", of: ({ reason }) => reason },
    {
      title: "HOSTS",
      of: ({ refusal }) =>
        refusal === null
          ? null
          : [
              ...refusal.barred
                .filter(({ reasons }) => reasons.join() !== "it is there")
                .map(({ count, host, reasons }) => `${count === 1 ? host : `${count} hosts`}: ${reasons.join("; ")}`),
              ...(refusal.unnamed > 0 ? [`and ${refusal.unnamed} more hosts`] : [])
            ].join(" | ")
    },
    { title: "WHAT WOULD HELP", of: ({ refusal }) => refusal?.repairs.map(({ text }) => text).join(" | ") ?? null }
  ]
}
