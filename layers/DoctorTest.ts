/**
 * Hosts in memory are well, unless something else is said.
 *
 * @since 0.7.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Finding } from "../src/domain/Doctor.ts"
import type { HostId } from "../src/domain/Ids.ts"
import { Doctor } from "../src/services/Doctor.ts"

/** What is wrong with hosts. @since 0.7.0 @category services */
export class DoctorTestState extends Context.Tag("vmfabric/DoctorTestState")<
  DoctorTestState,
  {
    /** From now on this is found on that host; null: it is well again. */
    readonly ail: (
      id: HostId,
      what: Pick<Finding, "check" | "level" | "seen" | "means" | "mend"> | null
    ) => Effect.Effect<void>
  }
>() {}

/** @since 0.7.0 @category layers */
export const layer = Layer.effectContext(
  Effect.sync(() => {
    const ailing = new Map<HostId, Pick<Finding, "check" | "level" | "seen" | "means" | "mend">>()
    return Context.make(
      Doctor,
      Doctor.of({
        examine: (_, about) =>
          Effect.sync(() =>
            about.map(({ id, name }): Finding => ({
              hostId: id,
              host: name,
              ...(ailing.get(id) ?? { check: "ssh", level: "ok", seen: "it lets us in", means: null, mend: null })
            }))
          )
      })
    ).pipe(
      Context.add(
        DoctorTestState,
        DoctorTestState.of({
          ail: (id, what) => Effect.sync(() => void (what === null ? ailing.delete(id) : ailing.set(id, what)))
        })
      )
    )
  })
)
