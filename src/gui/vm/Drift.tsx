/**
 * What differs of a VM from what it should be, and what mends it. Loaded when something does.
 *
 * @since 0.12.0
 */
import { Atom, Result } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import type { Vm } from "../../api/Vms.ts"
import type { VmId } from "../../domain/Ids.ts"
import { useBegin, useLack } from "../parts/Parts.tsx"
import { repairOf } from "../parts/VmActions.ts"
import { moment } from "../parts/Words.ts"
import { calls, runtime } from "../state/Api.ts"
import { useRead } from "../state/Read.ts"

const driftAtom = Atom.family((id: VmId) =>
  runtime.atom(Effect.flatMap(calls, ({ vms }) => vms.listVmDrift({ path: { id } })))
)

/** @since 0.12.0 @category components */
export const Drift = ({ vm }: { readonly vm: Vm }) => {
  const read = useRead(driftAtom(vm.id), [vm.drift])
  const begin = useBegin()
  const lack = useLack("operator")
  const repair = repairOf(vm)
  return (
    <section className="card" aria-labelledby="drift">
      <header>
        <h2 id="drift">What differs from what it should be</h2>
        <button
          type="button"
          className="button tiny"
          disabled={lack !== undefined || !repair.possible}
          title={lack ?? (repair.possible ? undefined : `it is ${vm.state}`)}
          onClick={() => void begin(repair)}
        >
          Repair
        </button>
      </header>
      <ul className="list">
        {Result.isSuccess(read)
          ? read.value.items.map(({ field, seen, since, wanted }) => (
              <li key={field}>
                <strong>{field}</strong>
                <span>
                  is {seen ?? "not there"}, should be {wanted ?? "not there"}
                </span>
                <span className="quiet small end">since {moment(since)}</span>
              </li>
            ))
          : null}
      </ul>
      <p className="quiet small">
        Repairing makes it what it should be, as far as nothing is taken from a running guest: one that should run is
        started, what is missing is put back, and what then still differs stays here.
      </p>
    </section>
  )
}
