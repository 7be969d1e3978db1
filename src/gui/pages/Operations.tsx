/**
 * What is under way, and how it ended.
 *
 * @since 0.7.0
 */
import { Atom, Result, useAtomRefresh, useAtomValue } from "@effect-atom/atom-react"
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type ReactNode, useEffect, useMemo } from "react"
import { Kind, type Operation, State as OperationState, type Step } from "../../api/Operations.ts"
import { OperationId } from "../../domain/Ids.ts"
import { byWhom, byWhomAndWhy } from "../../domain/Operation.ts"
import { calls, isNotThere, runtime, wordsOfCause } from "../state/Api.ts"
import { useOperations } from "../state/Operations.ts"
import { useRead } from "../state/Read.ts"
import { useAbove } from "../parts/Above.tsx"
import {
  Commands,
  CommandsButton,
  Empty,
  Failure,
  Loading,
  Missing,
  State,
  useBegin,
  useLack,
  useSnapshot,
  useTitle
} from "../parts/Parts.tsx"
import type { Commanded } from "../parts/Commands.ts"
import { Filter } from "../parts/Field.tsx"
import { MenuButton } from "../parts/MenuButton.tsx"
import { type Column, Table } from "../parts/Table.tsx"
import { VmCalled } from "../parts/Named.tsx"
import { Target } from "../parts/OperationRow.tsx"
import { briefly, count, endOf, isCancelled, kind, lasted, moment, operationState } from "../parts/Words.ts"

const cancelOf = ({ id, kind: name }: Operation): Commanded => ({
  label: `Cancel ${kind(name)}`,
  method: "POST",
  path: `/operations/${id}/cancel`,
  words: ["operation", "cancel", id],
  run: Effect.flatMap(calls, ({ operations }) => operations.cancelOperation({ path: { id } }))
})

const retryOf = ({ id, kind: name }: Operation): Commanded => ({
  label: `Retry ${kind(name)}`,
  method: "POST",
  path: `/operations/${id}/retry`,
  words: ["operation", "retry", id],
  run: Effect.flatMap(calls, ({ operations }) =>
    operations.retryOperation({ path: { id }, headers: {}, urlParams: {} })
  )
})

/** Whether it has failed, and nothing else does the same by now: the controller may still have a reason not to. */
const canRetry = ({ replacedBy, retriedBy, state }: Operation) =>
  state === "failed" && replacedBy === null && retriedBy === null

/** What can be done with one of a list. */
const Actions = ({ operation }: { readonly operation: Operation }) => {
  const begin = useBegin()
  const lack = useLack("operator")
  const open = useAbove()
  const goesOn = operation.endedAt === null
  if (!goesOn && !canRetry(operation)) return null
  const action = goesOn ? cancelOf(operation) : retryOf(operation)
  const entries = () => [
    [
      {
        name: goesOn ? "Cancel" : "Retry",
        disabled: lack !== undefined || (goesOn && operation.cancelAsked),
        act: () => void begin(action)
      }
    ],
    [
      {
        name: "Copy as curl or CLI…",
        disabled: false,
        act: () => open((close) => <Commands actions={[action]} onClose={close} />)
      }
    ]
  ]
  return (
    <MenuButton
      label={`Actions of ${kind(operation.kind)}, ${moment(operation.createdAt)}`}
      entries={entries}
      note={lack}
    />
  )
}

/** What there is to say of it beside its state. */
const whyOf = (one: Operation): string => operationState(one).why ?? one.outcome ?? ""

const columns: ReadonlyArray<Column<Operation>> = [
  {
    key: "kind",
    name: "Operation",
    className: "lines",
    tone: "main-cell",
    shown: (one) => (
      <Link to="/operations/$id" params={{ id: one.id }}>
        {kind(one.kind)}
      </Link>
    )
  },
  { key: "state", name: "State", shown: (one) => <State {...operationState(one)} /> },
  { key: "about", name: "About", className: "lines", shown: (one) => <Target operation={one} /> },
  {
    key: "why",
    name: "Why",
    className: "extra",
    tone: "quiet",
    title: whyOf,
    shown: whyOf,
    isBlank: (one) => whyOf(one) === ""
  },
  {
    key: "by",
    name: "By",
    className: "extra",
    tone: "quiet",
    title: (one) => byWhomAndWhy(one) ?? "",
    shown: (one) => byWhom(one) ?? "",
    isBlank: (one) => byWhom(one) === null
  },
  {
    key: "begun",
    name: "Begun",
    className: "extra",
    tone: "quiet",
    title: ({ createdAt }) => moment(createdAt),
    shown: ({ createdAt }) => briefly(createdAt)
  },
  { key: "took", name: "Took", className: "right extra-phone", tone: "quiet", shown: lasted },
  { key: "actions", name: <span className="sr">Actions</span>, shown: (one) => <Actions operation={one} /> }
]

/** @since 0.7.0 @category components */
export const Operations = (): ReactNode => {
  useTitle("Operations")
  const snapshot = useSnapshot()
  const search = useSearch({ from: "/operations" })
  const navigate = useNavigate({ from: "/operations" })
  const { asking, hasMore, isAll, isLoaded, more, shown, words } = useOperations(search, snapshot)
  const users = useMemo(() => {
    const found = new Set(search.user === undefined ? [] : [search.user])
    for (const { user } of snapshot.operations) if (user !== undefined && user !== null) found.add(user)
    return [...found].toSorted()
  }, [search.user, snapshot.operations])
  const set = (name: "kind" | "state" | "user", value: string) =>
    void navigate({ search: { ...search, [name]: value === "" ? undefined : value } })
  const older = (
    <button type="button" className="button" disabled={asking} onClick={() => void more()}>
      Show older ones
    </button>
  )
  const isNone = snapshot.operations.length === 0
  return (
    <div className="page fills">
      <div className="head">
        <h1>Operations</h1>
        <span className="quiet">
          {isAll ? "" : "the newest "}
          {count(shown.length)}
        </span>
        <div className="actions">{hasMore ? older : null}</div>
      </div>
      <div className="filters">
        <Filter
          label="State"
          all="Any state"
          value={search.state}
          onChange={(value) => set("state", value)}
          options={[...OperationState.literals, "cancelled"].map((state) => [state, state])}
        />
        <Filter
          label="Kind"
          all="Any kind"
          value={search.kind}
          onChange={(value) => set("kind", value)}
          options={Kind.literals.map((name) => [name, kind(name)])}
        />
        {search.user === undefined && users.length < 2 ? null : (
          <Filter
            label="By"
            all="By anybody"
            value={search.user}
            onChange={(value) => set("user", value)}
            options={users.map((user) => [user, user])}
          />
        )}
        {search.vm === undefined ? null : (
          <Link from="/operations" to="/operations" search={{ ...search, vm: undefined }} className="button">
            Of <VmCalled id={search.vm} /> only ✕
          </Link>
        )}
      </div>
      {words === null ? null : <Failure words={words} />}
      {snapshot.connection._tag === "loading" ? (
        <Loading />
      ) : shown.length === 0 && !isLoaded ? (
        words === null ? (
          <Loading />
        ) : null
      ) : shown.length === 0 ? (
        <Empty
          title={isNone ? "Nothing was done yet" : isAll ? "None is like that" : "None of the newest is like that"}
        >
          <p>Whatever takes time is an operation: it is begun once, and driven to an end.</p>
          {hasMore ? older : null}
          <Link to={isNone ? "/vms/new" : "/operations"} className="button">
            {isNone ? "Create VM" : "Show all"}
          </Link>
        </Empty>
      ) : (
        <Table kind="operations" label="operations" newestFirst columns={columns} rows={shown} keyOf={({ id }) => id} />
      )}
    </div>
  )
}

// ------------------------------------------------------------------------------------------------------------------ one

const decodeId = Schema.decode(OperationId)
const isId = Schema.is(OperationId)

/** One that is not at hand, as it is; again while it has not ended. */
const operationAtom = Atom.family((id: string) =>
  runtime.atom(
    Effect.gen(function* () {
      const { operations } = yield* calls
      return yield* operations.getOperation({ path: { id: yield* decodeId(id) } })
    })
  )
)

const stepsAtom = Atom.family((id: string) =>
  runtime.atom(
    Effect.gen(function* () {
      const { operations } = yield* calls
      return yield* operations.listOperationSteps({ path: { id: yield* decodeId(id) } })
    })
  )
)

const stepStates = {
  started: { tone: "busy", word: "under way" },
  done: { tone: "ok", word: "done" },
  failed: { tone: "bad", word: "failed" }
} as const

const StepRow = ({ step: { endedAt, error, name, phase, startedAt, state, tries } }: { readonly step: Step }) => (
  <li>
    <State {...stepStates[state]} why={null} />
    <strong>{phase === "undo" ? `undo ${name}` : name}</strong>
    {tries > 1 ? <span className="quiet">tried {tries} times</span> : null}
    {error === null ? null : <span>{error}</span>}
    <span className="quiet small end">
      <time dateTime={DateTime.formatIso(startedAt)}>{briefly(startedAt)}</time>
      {endedAt === null ? "" : `, took ${lasted({ createdAt: startedAt, endedAt })}`}
    </span>
  </li>
)

/** Each that was begun: when, how long it took, and why it failed. */
const Steps = ({ operation }: { readonly operation: Operation }) => {
  const { progress, state } = operation
  const read = useRead(stepsAtom(operation.id), [state, progress?.phase, progress?.number, progress?.tries])
  if (Result.isFailure(read)) return <Failure words={wordsOfCause(read.cause)} />
  if (!Result.isSuccess(read)) return <Loading />
  return (
    <>
      {operation.endedAt === null ? null : <p className="quiet">{endOf(operation, read.value.items)}</p>}
      <ol className="list">
        {read.value.items.map((step) => (
          <StepRow key={`${step.phase} ${step.name}`} step={step} />
        ))}
      </ol>
    </>
  )
}

/** @since 0.7.0 @category components */
export const OneOperation = (): ReactNode => {
  const { id } = useParams({ from: "/operations/$id" })
  const snapshot = useSnapshot()
  const atom = operationAtom(id)
  const read = useAtomValue(atom)
  const refresh = useAtomRefresh(atom)
  const lack = useLack("operator")
  const begin = useBegin()
  const navigate = useNavigate()
  const live = snapshot.operations.find((one) => one.id === id)
  const found = Result.isSuccess(read) ? read.value : undefined
  // what ended last is right: the event may be here before the answer, and the other way round
  const operation =
    live !== undefined && (found === undefined || found.endedAt === null) && live.endedAt !== null
      ? live
      : (found ?? live)
  const goesOn = operation !== undefined && operation.endedAt === null
  useEffect(() => {
    if (!goesOn) return
    const timer = setInterval(refresh, 500)
    return () => clearInterval(timer)
  }, [goesOn, refresh])
  const retried = live?.retriedBy ?? null
  useEffect(() => {
    if (retried !== null) refresh()
  }, [retried, refresh])
  useTitle(operation === undefined ? "Operation" : kind(operation.kind))
  if (operation === undefined) {
    return (
      <div className="page narrow">
        <div>
          <div className="crumb">
            <Link to="/operations">Operations</Link>
          </div>
          <h1>Operation</h1>
        </div>
        {!isId(id) || (Result.isFailure(read) && isNotThere(read.cause)) ? (
          <Missing what="operation" />
        ) : Result.isFailure(read) ? (
          <Failure words={wordsOfCause(read.cause)} />
        ) : (
          <Loading />
        )}
      </div>
    )
  }
  const { progress } = operation
  const cancel = cancelOf(operation)
  const retry = retryOf(operation)
  const retriable = canRetry(operation)
  const again = async () => {
    const begun = await begin(retry)
    if (begun !== null) await navigate({ to: "/operations/$id", params: { id: begun.id } })
  }
  return (
    <div className="page narrow">
      <div className="head">
        <div>
          <div className="crumb">
            <Link to="/operations">Operations</Link>
          </div>
          <h1>{kind(operation.kind)}</h1>
        </div>
        <State {...operationState(operation)} />
        <div className="actions">
          {goesOn ? (
            <button
              type="button"
              className="button"
              disabled={operation.cancelAsked || lack !== undefined}
              title={lack}
              onClick={() => void begin(cancel)}
            >
              Cancel
            </button>
          ) : null}
          {retriable ? (
            <button
              type="button"
              className="button primary"
              disabled={lack !== undefined}
              title={lack}
              onClick={() => void again()}
            >
              Retry
            </button>
          ) : null}
          {goesOn || retriable ? <CommandsButton actions={[goesOn ? cancel : retry]} /> : null}
        </div>
      </div>
      {isCancelled(operation) ? (
        <div className="note">
          <strong>Somebody asked for that</strong>
          <p>{operation.error}</p>
        </div>
      ) : operation.error === null ? null : (
        <div className="note bad">
          <strong>Why it failed</strong>
          <p>{operation.error}</p>
        </div>
      )}
      {operation.outcome === null ? null : (
        <div className="note">
          <p>{operation.outcome}</p>
        </div>
      )}
      <div className="grid wide">
        <section className="card" aria-labelledby="steps">
          <h2 id="steps">Steps</h2>
          {progress === null ? (
            operation.endedAt === null ? (
              <p className="quiet">It has not been taken up yet.</p>
            ) : null
          ) : (
            <>
              <p>
                {progress.phase === "undo" ? "Undoing: step" : "Step"} {progress.number} of {progress.of}:{" "}
                <strong>{progress.step}</strong>
                {progress.tries > 1 ? `, begun ${progress.tries} times` : ""}
              </p>
              {progress.description === undefined ? null : <p className="quiet">{progress.description}</p>}
              <progress
                aria-label="Steps"
                max={progress.of}
                value={progress.number - 1 + (progress.percent ?? 0) / 100}
              />
              {progress.waiting === null ? null : <p className="quiet">It waits: {progress.waiting}</p>}
            </>
          )}
          <Steps operation={operation} />
        </section>
        <section className="card" aria-labelledby="facts">
          <h2 id="facts">Facts</h2>
          <dl className="facts">
            <dt>About</dt>
            <dd>
              <Target operation={operation} />
            </dd>
            <dt>By</dt>
            <dd>{byWhomAndWhy(operation) ?? "nobody that is known"}</dd>
            <dt>Begun</dt>
            <dd>{moment(operation.createdAt)}</dd>
            <dt>Ended</dt>
            <dd>
              {operation.endedAt === null ? "not yet" : `${moment(operation.endedAt)}, after ${lasted(operation)}`}
            </dd>
            {operation.replacedBy === null ? null : (
              <>
                <dt>Goes on as</dt>
                <dd>
                  <Link to="/operations/$id" params={{ id: operation.replacedBy }}>
                    the same on another host
                  </Link>
                </dd>
              </>
            )}
            {operation.retryOf === null ? null : (
              <>
                <dt>Retry of</dt>
                <dd>
                  <Link to="/operations/$id" params={{ id: operation.retryOf }}>
                    the one that failed before
                  </Link>
                </dd>
              </>
            )}
            {operation.retriedBy === null ? null : (
              <>
                <dt>Retried as</dt>
                <dd>
                  <Link to="/operations/$id" params={{ id: operation.retriedBy }}>
                    the same once more
                  </Link>
                </dd>
              </>
            )}
            <dt>Id</dt>
            <dd>
              <code>{operation.id}</code>
            </dd>
          </dl>
        </section>
      </div>
    </div>
  )
}
