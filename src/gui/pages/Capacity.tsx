/**
 * What more fits, which host's loss would leave VMs without a place, and which moves would spread VMs better.
 *
 * @since 0.8.0
 */
import { Atom, Result, useAtomRefresh } from "@effect-atom/atom-react"
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import { Fragment, type ReactNode } from "react"
import type { Host } from "../../api/Hosts.ts"
import type { Fits, PlannedMove, Rebalancing } from "../../api/Placements.ts"
import type { HostId } from "../../domain/Ids.ts"
import { showAllRequired } from "../../domain/Placement.ts"
import { calls, runtime, wordsOfCause } from "../state/Api.ts"
import { useRead } from "../state/Read.ts"
import { cli } from "../parts/Commands.ts"
import { ChoiceField } from "../parts/Field.tsx"
import { NoHosts } from "../parts/HostParts.tsx"
import { CopyButton, Failure, Head, Loading, Refusal, State, useSnapshot, useTitle } from "../parts/Parts.tsx"
import { type Column, Table } from "../parts/Table.tsx"
import { bytes, count, counted, gibibytes, mebibytes, type Shown } from "../parts/Words.ts"

// ---------------------------------------------------------------------------------------------------------- what fits

const fitsAtom = runtime.atom(Effect.flatMap(calls, ({ placements }) => placements.getFits()))

const limits = { cpu: "vCPUs", ram: "memory", disk: "disk", pool: "the pool" } as const

type Fit = Fits["types"][number]

/** The number first, by which those of the same size differ also where there is no room for what they require. */
const typeOf = ({ cpu, disk, ram, requires, type }: Fit): string => {
  const needs = showAllRequired(requires)
  return `${type}: ${counted(cpu, "vCPU")}, ${mebibytes(ram)}, ${gibibytes(disk)}${needs === null ? "" : `, requires ${needs}`}`
}

const fitColumns: ReadonlyArray<Column<Fit>> = [
  {
    key: "size",
    name: "Instance type",
    tone: "main-cell",
    title: typeOf,
    shown: typeOf
  },
  {
    key: "more",
    name: "More fit",
    className: "right",
    shown: ({ more }) => (more === 0 ? <State tone="bad" word="none" why={null} /> : count(more))
  },
  { key: "hosts", name: "On hosts", className: "right extra-phone", shown: ({ hosts }) => count(hosts) },
  {
    key: "limit",
    name: "Used up first",
    tone: "quiet",
    className: "extra-phone",
    shown: ({ limit }) => (limit === null ? "" : limits[limit])
  }
]

/** What is lost already comes first: each of the others is thought of alone. */
const lossOf = (unsurvivable: number, hosts: number, down: number): Shown => {
  const why = null
  if (unsurvivable > 0) return { tone: "warn", word: `${count(unsurvivable)} of ${count(hosts)} cannot be`, why }
  return down > 0
    ? { tone: "warn", word: `${count(down)} ${down === 1 ? "is" : "are"} down now`, why }
    : { tone: "ok", word: "any one can be", why }
}

const Losses = ({ fits: { hosts, losses, open, unsurvivable } }: { readonly fits: Fits }) => {
  const down = [...useSnapshot().hosts.values()].filter(({ status }) => status === "down" || status === "lost")
  const lost = down.reduce((sum, { vms }) => sum + vms, 0)
  return (
    <section className="card" aria-labelledby="losses">
      <header>
        <h2 id="losses">If a host is lost</h2>
        <State {...lossOf(unsurvivable, hosts, down.length)} />
      </header>
      {down.length === 0 ? null : (
        <p>
          {down.slice(0, most).map(({ id, name }, i) => (
            <Fragment key={id}>
              {i === 0 ? "" : ", "}
              <Link to="/hosts/$id" params={{ id: String(id) }}>
                {name}
              </Link>
            </Fragment>
          ))}
          {down.length > most ? ` and ${count(down.length - most)} more` : ""} {down.length === 1 ? "is" : "are"} down,
          with {counted(lost, "VM")} that stay there: nothing starts them elsewhere.
        </p>
      )}
      <p className="quiet">
        {unsurvivable === 0
          ? down.length > 0
            ? "Whichever one host is lost, its VMs alone fit on those that are up; those of two hosts may not."
            : "Whichever host is lost, its VMs fit on the others."
          : "Without one of these, some of its VMs fit nowhere: add memory or a host, or make room on the others."}
        {hosts === open ? "" : ` ${counted(hosts - open, "host takes", "hosts take")} no new VMs now.`}
      </p>
      <ul className="list">
        {losses.map(({ homeless, host, hostId, named, vms }) => (
          <li key={hostId}>
            <Link to="/hosts/$id" params={{ id: String(hostId) }}>
              {host}
            </Link>
            <span>
              no room for {count(homeless)} of {counted(vms, "VM")}
            </span>
            <span className="quiet">
              {named.map(({ name }) => name).join(", ")}
              {homeless > named.length ? ` and ${count(homeless - named.length)} more` : ""}
            </span>
          </li>
        ))}
      </ul>
      {unsurvivable > losses.length ? (
        <p className="quiet">and {counted(unsurvivable - losses.length, "more host")}</p>
      ) : null}
    </section>
  )
}

// -------------------------------------------------------------------------------------------------------------- moves

const aims = {
  spread: "spread VMs over the hosts",
  balance: "bring all hosts nearer to the mean",
  pack: "pack VMs, so that hosts become empty",
  repair: "make broken rules hold again",
  empty: "empty a host"
} as const

type Aim = keyof typeof aims

const isAim = (value: string | undefined): value is Aim => value !== undefined && Object.hasOwn(aims, value)

/** Moves that are shown. */
const most = 20

interface Question {
  readonly aim: Aim
  /** of `empty` */
  readonly host: HostId | null
}

const paramsOf = ({ aim, host }: Question) => {
  if (aim === "repair") return { most, aim: "repair" } as const
  if (aim === "empty") return { most, ...(host === null ? {} : { empty: host }) }
  return { most, policy: aim }
}

const wordsFor = ({ aim, host }: Question): ReadonlyArray<string> => [
  "rebalance",
  ...(aim === "repair"
    ? ["--repair"]
    : aim === "empty"
      ? ["--empty", host === null ? "HOST" : `id:${host}`]
      : ["--policy", aim]),
  "--most",
  String(most)
]

const planFor = (question: Question) =>
  runtime.atom(Effect.flatMap(calls, ({ placements }) => placements.getRebalancing({ urlParams: paramsOf(question) })))

const policyPlan = Atom.family((aim: Aim) => planFor({ aim, host: null }))
const emptyPlan = Atom.family((host: HostId) => planFor({ aim: "empty", host }))

const percent = (share: number): string => `${count(100 * share)} %`

const gainOf = ({ aim, policy }: Rebalancing, gain: number): string => {
  if (aim === "repair") return gain === 0 ? "makes the next possible" : counted(gain, "rule")
  return aim === "empty" || policy === "pack"
    ? `${percent(gain)} of the host emptied`
    : `${percent(gain)} off the higher share`
}

const none = ({ aim, before, stuck }: Rebalancing): string => {
  if (aim === "repair") return before.broken === 0 ? "All must-rules hold." : "No move would make a broken rule hold."
  if (aim === "empty") return stuck.length === 0 ? "There are no VMs on it." : "None of its VMs can leave."
  return "No move would gain anything: it is as good as it can be."
}

const moveColumns = (plan: Rebalancing): ReadonlyArray<Column<PlannedMove>> => [
  {
    key: "vm",
    name: "VM",
    tone: "main-cell",
    shown: ({ name, vmId }) => (
      <Link to="/vms/$id" params={{ id: String(vmId) }}>
        {name}
      </Link>
    )
  },
  {
    key: "from",
    name: "From",
    className: "extra-phone",
    shown: ({ fromHost }) => fromHost
  },
  {
    key: "to",
    name: "To",
    shown: ({ toHost, toHostId }) => (
      <Link to="/hosts/$id" params={{ id: String(toHostId) }}>
        {toHost}
      </Link>
    )
  },
  { key: "gain", name: "Gain", className: "extra-phone", shown: ({ gain }) => gainOf(plan, gain) },
  { key: "memory", name: "Memory", className: "right extra", shown: ({ memoryBytes }) => bytes(memoryBytes) },
  {
    key: "disk",
    name: "Disk",
    className: "right extra",
    shown: ({ diskBytes }) => (diskBytes === 0 ? "shared" : bytes(diskBytes))
  }
]

const Figures = ({ plan: { after, before } }: { readonly plan: Rebalancing }) => (
  <dl className="facts">
    <dt>Fullest host</dt>
    <dd>
      {percent(before.highest)}, then {percent(after.highest)}
    </dd>
    <dt>Hosts with VMs</dt>
    <dd>
      {count(before.occupied)}, then {count(after.occupied)}
    </dd>
    {before.broken + after.broken === 0 ? null : (
      <>
        <dt>Broken must-rules</dt>
        <dd>
          {count(before.broken)}, then {count(after.broken)}
        </dd>
      </>
    )}
  </dl>
)

const Moves = ({ plan }: { readonly plan: Rebalancing }) => {
  const sum = (of: (move: PlannedMove) => number) => plan.moves.reduce((all, move) => all + of(move), 0)
  const disk = sum(({ diskBytes }) => diskBytes)
  return (
    <>
      {plan.moves.length === 0 ? (
        <p>{none(plan)}</p>
      ) : (
        <>
          <p>
            {counted(plan.moves.length, "move")}, in this order: {bytes(sum(({ memoryBytes }) => memoryBytes))} of
            memory
            {disk === 0 ? "" : ` and at most ${bytes(disk)} of disk`} to copy.
            {plan.further === 0 ? "" : ` ${counted(plan.further, "more move")} would follow.`}
            {plan.complete ? "" : " The search was cut short: there may be more or better moves."}
          </p>
          <Figures plan={plan} />
          <Table
            kind="plan"
            label="moves"
            columns={moveColumns(plan)}
            rows={plan.moves}
            keyOf={({ toHostId, vmId }) => `${vmId} ${toHostId}`}
          />
        </>
      )}
      {plan.stuck.map(({ host, name, reason, refusal, vmId }) => (
        <div key={vmId} className="note warn">
          <strong>
            {name} on {host} cannot move: {reason}
          </strong>
          {refusal === null ? null : <Refusal refusal={refusal} />}
        </div>
      ))}
    </>
  )
}

/** A plan to empty a host, and what can be done today: nothing moves VMs yet. */
const Emptying = ({ host, plan }: { readonly host: Host; readonly plan: Rebalancing }) => {
  const isEmpty = plan.moves.length + plan.further + plan.stuck.length === 0
  return (
    <div className="note" role="note" aria-label="What next">
      <strong>{isEmpty ? "It can be worked on" : "vmfabric does not move VMs yet"}</strong>
      {isEmpty ? (
        <p>
          {host.maintenance
            ? "It is in maintenance, so nothing new is placed on it."
            : "As long as it is not in maintenance new VMs may be placed on it."}
        </p>
      ) : (
        <p>
          The moves are shown, and not done: live migration is not there yet. To work on the host today, shut down{" "}
          <Link to="/vms" search={{ host: String(host.id) }}>
            its {counted(host.vms, "VM")}
          </Link>
          , and start them again afterwards; or leave them where they are.
          {host.maintenance ? "" : " Put it into maintenance first, so that nothing new is placed there meanwhile."}
        </p>
      )}
      <p>
        <Link to="/hosts/$id" params={{ id: String(host.id) }}>
          To {host.name}
        </Link>
      </p>
    </div>
  )
}

const Plan = ({
  atom,
  host
}: {
  readonly atom: ReturnType<typeof planFor>
  /** that is to be emptied; null: none is */
  readonly host: Host | null
}) => {
  const read = useRead(atom, [])
  return Result.builder(read)
    .onInitial(() => <Loading />)
    .onFailure((cause) => <Failure words={wordsOfCause(cause)} />)
    .onSuccess((plan) => (
      <>
        <Moves plan={plan} />
        {host === null ? null : <Emptying host={host} plan={plan} />}
      </>
    ))
    .render()
}

const Rebalance = () => {
  const { aim: given, host: named } = useSearch({ from: "/capacity" })
  const navigate = useNavigate()
  const { hosts } = useSnapshot()
  const aim = isAim(given) ? given : "spread"
  const all = [...hosts.values()]
  const host = all.find(({ id }) => String(id) === named) ?? all[0]
  const atom = aim === "empty" && host !== undefined ? emptyPlan(host.id) : policyPlan(aim)
  const refresh = useAtomRefresh(atom)
  const command = cli({ words: wordsFor({ aim, host: host?.id ?? null }) })
  return (
    <section className="card" aria-labelledby="moves">
      <header>
        <h2 id="moves">Moves that would help</h2>
        <button type="button" className="button tiny" onClick={refresh}>
          Plan again
        </button>
      </header>
      <p className="quiet">
        After each move all limits and must-rules hold. Nothing is moved and nothing is reserved: it is a plan, as of
        this moment.
      </p>
      <div className="pair">
        <ChoiceField
          label="What for"
          value={aim}
          onChange={(next) => void navigate({ to: "/capacity", search: { aim: next, host: named }, replace: true })}
          options={Object.entries(aims)}
        />
        {aim === "empty" ? (
          <ChoiceField
            label="Host to empty"
            value={String(host?.id ?? "")}
            onChange={(next) => void navigate({ to: "/capacity", search: { aim, host: next }, replace: true })}
            options={all.map(({ id, name }) => [String(id), name])}
          />
        ) : null}
      </div>
      {aim === "empty" && host === undefined ? (
        <NoHosts />
      ) : (
        <Plan atom={atom} host={aim === "empty" ? (host ?? null) : null} />
      )}
      <div className="command">
        <pre>{command}</pre>
        <CopyButton text={command} what="the command that plans it" />
      </div>
    </section>
  )
}

/** @since 0.8.0 @category components */
export const Capacity = (): ReactNode => {
  useTitle("Capacity")
  const { hosts } = useSnapshot()
  // what is promised changes with every VM that comes or goes
  const read = useRead(fitsAtom, [hosts], 2000)
  return (
    <div className="page narrow">
      <Head
        title="Capacity"
        actions={
          <Link to="/types" className="button">
            Instance types
          </Link>
        }
      />
      {Result.builder(read)
        .onInitial(() => (
          <div className="grid wide">
            <div className="placeholder fits" role="status" aria-label="Loading" />
            <div className="placeholder" />
          </div>
        ))
        .onFailure((cause) => <Failure words={wordsOfCause(cause)} />)
        .onSuccess((fits) => (
          <div className="grid wide">
            <section className="card" aria-labelledby="fits">
              <h2 id="fits">What more fits</h2>
              {fits.types.length === 0 ? (
                <p className="quiet">There are no instance types.</p>
              ) : (
                <Table
                  kind="fits"
                  label="instance types"
                  columns={fitColumns}
                  rows={fits.types}
                  keyOf={({ type }) => String(type)}
                />
              )}
              <p className="quiet small">Each alone: how many, if nothing else were placed and there were no rules.</p>
            </section>
            <Losses fits={fits} />
          </div>
        ))
        .render()}
      <Rebalance />
    </div>
  )
}
