/**
 * One VM: how it is, what can be done with it, and why it is where it is.
 *
 * @since 0.7.0
 */
import { Atom, Result } from "@effect-atom/atom-react"
import { Link, useParams } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import { lazy, type ReactNode, Suspense, useState } from "react"
import { again } from "../parts/Again.ts"
import type { RuleRepair, VmPlacement } from "../../api/Placements.ts"
import type { Vm } from "../../api/Vms.ts"
import { VmId } from "../../domain/Ids.ts"
import { show as showRule } from "../../domain/Placement.ts"
import { calls, runtime, wordsOfCause } from "../state/Api.ts"
import { useOperations } from "../state/Operations.ts"
import { useRead } from "../state/Read.ts"
import { commandsOf, isAsked, powerOf } from "../parts/VmActions.ts"
import { DestroyVm, PlaceVm, useAct, VmMenu } from "../parts/VmMenu.tsx"
import { Failure, Loading, Missing, State, useLack, useSnapshot, useTitle, CommandsButton } from "../parts/Parts.tsx"
import { count, counted, isOff, mebibytes, moment, vmSince, vmState } from "../parts/Words.ts"
import { ImageNamed, TypeNamed, VmCalled } from "../parts/Named.tsx"
import { OperationRow } from "../parts/OperationRow.tsx"
import { Owner } from "../parts/Owner.tsx"
import { Disks } from "../vm/Disks.tsx"
import { Nics } from "../vm/Nics.tsx"

// what is above is shown first
const charts = () => again(() => import("../vm/Charts.tsx"))
const Charts = lazy(() => charts().then((module) => ({ default: module.Charts })))
/** What is further below, once what is above it is here. */
const details = () => Promise.allSettled([charts()]).then(() => again(() => import("../vm/Details.tsx")))
const Repair = lazy(() => again(() => import("../vm/RuleRepair.tsx")).then((module) => ({ default: module.Repair })))
const Drift = lazy(() => again(() => import("../vm/Drift.tsx")).then((module) => ({ default: module.Drift })))
const Events = lazy(() => details().then((module) => ({ default: module.Events })))
const Snapshots = lazy(() => details().then((module) => ({ default: module.Snapshots })))
const Definition = lazy(() => details().then((module) => ({ default: module.Definition })))

const placementAtom = Atom.family((id: VmId) =>
  runtime.atom(Effect.flatMap(calls, ({ placements }) => placements.getVmPlacement({ path: { id } })))
)

/** Its rules, whether each holds where it is, and what would make those hold that do not. */
const Rules = ({ repair, vm }: { readonly vm: Vm; readonly repair: RuleRepair | null }) => {
  const lack = useLack("operator")
  const [changing, setChanging] = useState(false)
  const { group, rules } = vm.placement ?? { group: null, rules: [] }
  const own = new Set(rules.map(showRule))
  // told of rules that it had a moment ago
  const others = vm.violations.filter(({ rule }) => !own.has(rule))
  return (
    <section className="card" aria-labelledby="rules">
      <header>
        <h2 id="rules">Where it has to be</h2>
        <button
          type="button"
          className="button tiny"
          disabled={lack !== undefined}
          title={lack}
          onClick={() => setChanging(true)}
        >
          Change…<span className="sr"> where it has to be</span>
        </button>
      </header>
      {vm.placement === null ? (
        <p className="quiet">Wherever there is room: it is in no group, and has no rules.</p>
      ) : null}
      {group === null ? null : (
        <p>
          It is in the group <strong>{group}</strong>
          {rules.length === 0 ? ", and has no rules of its own." : "."}
        </p>
      )}
      {rules.length === 0 ? null : (
        <ul className="list">
          {rules.map((rule, index) => {
            const words = showRule(rule)
            const broken = vm.violations.find((one) => one.rule === words)
            const tone = rule.strength === "must" ? "bad" : "warn"
            return (
              // rules have no names, and may be there twice
              <li key={`${words} ${index}`}>
                <span>It {words}</span>
                <span className="end">
                  {broken === undefined ? (
                    <State tone="ok" word="holds" why={null} />
                  ) : (
                    <State tone={tone} word="does not hold" why={broken.reason} />
                  )}
                </span>
                {broken === undefined ? null : <span className="why">{broken.reason}</span>}
              </li>
            )
          })}
        </ul>
      )}
      {others.map(({ reason, rule, strength }) => (
        <div key={rule} className={`note ${strength === "must" ? "bad" : "warn"}`}>
          <strong>It {rule}</strong>
          <p>{reason}</p>
        </div>
      ))}
      {repair !== null && vm.violations.length > 0 ? (
        <Suspense>
          <Repair repair={repair} />
        </Suspense>
      ) : null}
      {changing ? (
        <Suspense>
          <PlaceVm vm={vm} onClose={() => setChanging(false)} />
        </Suspense>
      ) : null}
    </section>
  )
}

/** Where it has to be, and why it is where it is. */
const Where = ({ vm }: { readonly vm: Vm }) => {
  const broken = vm.violations.map(({ rule }) => rule).join()
  // where it is may be another place by now, and other rules may be broken there
  const read = useRead(placementAtom(vm.id), [vm.hostId, broken])
  return (
    <div className="stack">
      <Rules vm={vm} repair={Result.isSuccess(read) ? read.value.repair : null} />
      <Why read={read} />
    </div>
  )
}

const Why = ({ read }: { readonly read: Result.Result<VmPlacement, unknown> }) => (
  <section className="card" aria-labelledby="why">
    <h2 id="why">Why it is where it is</h2>
    {Result.builder(read)
      .onInitial(() => <Loading />)
      .onFailure((cause) => <Failure words={wordsOfCause(cause)} />)
      .onSuccess(({ explanation, placedAt }) =>
        explanation === null ? (
          <p className="quiet">Nothing is known of that: it was placed before that was kept.</p>
        ) : (
          <>
            <p>{explanation.decided}</p>
            <p className="quiet small">
              {placedAt === null ? "" : `${moment(placedAt)}: `}
              {count(explanation.candidates)} of {counted(explanation.hosts, "host")} could take it.
            </p>
            <ul className="list">
              {explanation.best.map(({ host, hostId, score, terms }) => (
                <li key={hostId}>
                  <Link to="/hosts/$id" params={{ id: String(hostId) }}>
                    {host}
                  </Link>
                  <span className="quiet small">
                    {terms.map(({ of, points }) => `${of} ${points.toFixed(2)}`).join(", ")}
                  </span>
                  <span className="end">{score.toFixed(2)}</span>
                </li>
              ))}
              {explanation.barred.map(({ count: hosts, host, reasons }) => (
                <li key={host}>
                  <span>{hosts === 1 ? host : `${host} and ${hosts - 1} more`}</span>
                  <span className="quiet">{reasons.join(", ")}</span>
                </li>
              ))}
            </ul>
          </>
        )
      )
      .render()}
  </section>
)

const crash = { leave: "nothing is done", restart: "it is started again" } as const

/** @since 0.7.0 @category components */
export const OneVm = (): ReactNode => {
  const { id } = useParams({ from: "/vms/$id" })
  const snapshot = useSnapshot()
  const act = useAct()
  const lack = useLack("operator")
  const [destroying, setDestroying] = useState(false)
  const number = Number(id)
  const vm = Number.isSafeInteger(number) && number > 0 ? snapshot.vms.get(VmId.make(number)) : undefined
  useTitle(vm?.name ?? `VM ${id}`)
  const { isLoaded, shown: operations, words } = useOperations({ vm: id }, snapshot)
  if (vm === undefined) {
    return (
      <div className="page narrow">
        <div>
          <div className="crumb">
            <Link to="/vms">VMs</Link>
          </div>
          <h1>
            <VmCalled id={id} />
          </h1>
        </div>
        {snapshot.connection._tag === "loading" || snapshot.coming.vms > 0 ? (
          <Loading />
        ) : (
          <>
            <Missing what="VM" />
            <ul className="list">
              {operations.map((operation) => (
                <OperationRow key={operation.id} operation={operation} />
              ))}
            </ul>
          </>
        )}
      </div>
    )
  }
  const state = vmState(vm)
  const actions = powerOf(vm)
  const [first, second] = actions.filter(({ possible }) => possible)
  const host = snapshot.hosts.get(vm.hostId)
  const since = vmSince(vm, host)
  return (
    <div className="page narrow">
      <div className="head">
        <div>
          <div className="crumb">
            <Link to="/vms">VMs</Link>
          </div>
          <h1>{vm.name}</h1>
        </div>
        <State {...state} />
        <div className="actions">
          {lack !== undefined ? null : (
            <>
              <Link to="/vms/$id/console" params={{ id }} className="button">
                Console
              </Link>
              <Link to="/vms/$id/screen" params={{ id }} className="button">
                Screen
              </Link>
            </>
          )}
          {[first, second].map((action) =>
            action === undefined ? null : (
              <button
                key={action.name}
                type="button"
                className="button"
                disabled={lack !== undefined}
                title={lack}
                onClick={() => act(action)}
              >
                {action.name}
                {isAsked(action.name) ? "…" : ""}
              </button>
            )
          )}
          <VmMenu vm={vm} label="More" />
          <CommandsButton actions={commandsOf(vm)} />
          <button
            type="button"
            className="button danger"
            disabled={lack !== undefined}
            title={lack}
            onClick={() => setDestroying(true)}
          >
            Destroy…
          </button>
        </div>
      </div>
      {lack === undefined ? null : (
        <p className="quiet">You look at it as a viewer: what can be done with it needs the role operator.</p>
      )}
      {state.why === null ? null : (
        <div className={`note ${state.tone === "bad" || state.tone === "warn" ? state.tone : ""}`}>
          <p>
            {state.why}
            {since === null ? "" : `, since ${moment(since)}`}
          </p>
          {state.is === "unknown" ? (
            <p>
              It is to be {vm.state}; whether it is will be known when its host answers.{" "}
              <Link to="/hosts/$id" params={{ id: String(vm.hostId) }}>
                What can be done about its host
              </Link>
            </p>
          ) : null}
        </div>
      )}
      {vm.description === "" ? null : <p className="written">{vm.description}</p>}
      <Suspense
        fallback={
          <div className={isOff(state.is) ? "placeholder" : "placeholder usage"} role="status" aria-label="Loading" />
        }
      >
        <Charts vm={vm} />
      </Suspense>
      <div className="grid wide">
        <section className="card" aria-labelledby="facts">
          <h2 id="facts">Facts</h2>
          <dl className="facts">
            <dt>Host</dt>
            <dd>
              <Link to="/hosts/$id" params={{ id: String(vm.hostId) }}>
                {host?.name ?? `host ${vm.hostId}`}
              </Link>
            </dd>
            <dt>Size</dt>
            <dd>
              {counted(vm.resources.cpu, "vCPU")}, {mebibytes(vm.resources.ram)} of memory (
              <TypeNamed id={vm.instanceType} />)
            </dd>
            <dt>Image</dt>
            <dd>{vm.imageId === null ? "none" : <ImageNamed id={vm.imageId} />}</dd>
            <dt>Created</dt>
            <dd>{moment(vm.createdAt)}</dd>
            <Owner of={vm} />
            <dt>When it crashes</dt>
            <dd>{crash[vm.onCrash]}</dd>
            <dt>When its host boots</dt>
            <dd>{vm.autostart ? "it is started" : "it stays off"}</dd>
            <dt>Protected</dt>
            <dd>{vm.protected ? "yes: it cannot be destroyed" : "no"}</dd>
            <dt>Tags</dt>
            <dd>{vm.tags.length === 0 ? "none" : vm.tags.join(", ")}</dd>
            {Object.keys(vm.labels).length === 0 ? null : (
              <>
                <dt>Labels</dt>
                <dd>
                  {Object.entries(vm.labels)
                    .map(([key, value]) => `${key}=${value}`)
                    .join(", ")}
                </dd>
              </>
            )}
            <dt>Id</dt>
            <dd>
              {vm.id}, <code>{vm.uuid}</code>
            </dd>
          </dl>
        </section>
        <Where vm={vm} />
        <Disks vm={vm} />
        <Nics vm={vm} />
        <Suspense>
          {vm.drift === 0 ? null : <Drift vm={vm} />}
          <Snapshots vm={vm} />
        </Suspense>
      </div>
      <section className="card" aria-labelledby="operations">
        <header>
          <h2 id="operations">Operations</h2>
          <Link to="/operations" search={{ vm: String(vm.id) }} className="small">
            All of this VM
          </Link>
        </header>
        {words === null ? null : <Failure words={words} />}
        {operations.length === 0 && isLoaded ? <p className="quiet">None of those that are kept is about it.</p> : null}
        <ul className="list">
          {operations.slice(0, 10).map((operation) => (
            <OperationRow key={operation.id} operation={operation} />
          ))}
        </ul>
      </section>
      <Suspense fallback={<Loading />}>
        <Events vm={vm} />
        <Definition vm={vm} />
      </Suspense>
      {destroying ? <DestroyVm vm={vm} onClose={() => setDestroying(false)} /> : null}
    </div>
  )
}
