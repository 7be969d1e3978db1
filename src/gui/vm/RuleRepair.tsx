/**
 * What would make a VM's rules hold again. Loaded when one does not.
 *
 * @since 0.12.0
 */
import { Link } from "@tanstack/react-router"
import type { RuleRepair } from "../../api/Placements.ts"
import { Refusal } from "../parts/Parts.tsx"
import { counted } from "../parts/Words.ts"

/** @since 0.12.0 @category components */
export const Repair = ({ repair }: { readonly repair: RuleRepair }) => (
  <>
    <h3>{repair.stuck === null ? "These moves would make its rules hold" : "No moves make all its rules hold"}</h3>
    <ol className="list">
      {repair.moves.map(({ fromHost, name, toHost, toHostId, vmId }) => (
        <li key={vmId}>
          <Link to="/vms/$id" params={{ id: String(vmId) }}>
            {name}
          </Link>
          <span className="quiet">from {fromHost} to</span>
          <Link to="/hosts/$id" params={{ id: String(toHostId) }}>
            {toHost}
          </Link>
        </li>
      ))}
    </ol>
    {repair.further > 0 ? <p className="quiet small">and {counted(repair.further, "more move")}</p> : null}
    {repair.stuck === null ? null : (
      <p>
        {repair.stuck.name}: {repair.stuck.reason}.
      </p>
    )}
    {repair.stuck === null || repair.stuck.refusal === null ? null : <Refusal refusal={repair.stuck.refusal} />}
  </>
)
