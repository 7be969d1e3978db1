/**
 * Instance types: the sizes that VMs can have.
 *
 * @since 0.8.0
 */
import { Result, useAtomRefresh } from "@effect-atom/atom-react"
import { Link, useParams } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type ReactNode, useState } from "react"
import { type InstanceType, NewInstanceType } from "../../api/InstanceTypes.ts"
import { most, readValues, showAllRequired, showValues } from "../../domain/Placement.ts"
import { calls, payloadOf, wordsOfCause } from "../state/Api.ts"
import { useReadOften } from "../state/Read.ts"
import { typesAtom } from "../state/Types.ts"
import { useAbove } from "../parts/Above.tsx"
import type { Commanded } from "../parts/Commands.ts"
import { CheckField, nextKey, TextField } from "../parts/Field.tsx"
import { FormDialog } from "../parts/FormDialog.tsx"
import { VmList } from "../parts/Named.tsx"
import {
  CommandsButton,
  Empty,
  Failure,
  Loading,
  Missing,
  State,
  useLack,
  useSnapshot,
  useTitle
} from "../parts/Parts.tsx"
import { useKnown } from "../parts/PlacementFields.tsx"
import { type Column, Table } from "../parts/Table.tsx"
import { count, counted, gibibytes, mebibytes, type Shown } from "../parts/Words.ts"

const sizeOf = ({ cpu, disk, ram }: Pick<InstanceType, "cpu" | "disk" | "ram">): string =>
  `${counted(cpu, "vCPU")}, ${mebibytes(ram)}, ${gibibytes(disk)} of disk`

/** A label of hosts that is required, as it is filled in. */
interface Requirement {
  /** in this form alone */
  readonly key: number
  readonly label: string
  /** with commas between them, those with commas within in double quotes */
  readonly values: string
}

interface Form {
  readonly cpu: string
  /** GiB */
  readonly memory: string
  readonly disk: string
  readonly requires: ReadonlyArray<Requirement>
}

const valuesIn = ({ values }: Requirement) => readValues(values)?.filter((value) => value !== "") ?? null

/** What is still to be said of one; null: nothing. */
const missingOf = (one: Requirement, all: ReadonlyArray<Requirement>): string | null => {
  const label = one.label.trim()
  const values = valuesIn(one)
  if (values === null) return "A value in double quotes has to end with one."
  if (label === "" || values.length === 0) return "Say the label of hosts, and its values."
  if (/[\s=]/.test(label)) return "A label has no blanks and no =."
  return all.some(({ key, label: other }) => key < one.key && other.trim() === label)
    ? "This label is said above: give all its values there."
    : null
}

const creation = ({ cpu, disk, memory, requires }: Form): Commanded => {
  const labels = requires
    .filter((one) => missingOf(one, requires) === null)
    .map((one) => [one.label.trim(), valuesIn(one) ?? []] as const)
  const body = {
    cpu: Number(cpu),
    ram: Math.round(Number(memory) * 1024),
    disk: Number(disk),
    ...(labels.length === 0 ? {} : { requires: Object.fromEntries(labels) })
  }
  return {
    label: "Create instance type",
    method: "POST",
    path: "/instance-types",
    body,
    words: [
      "type",
      "create",
      "--cpu",
      cpu,
      "--ram",
      String(body.ram),
      "--disk",
      disk,
      ...labels.flatMap(([label, values]) => ["--requires", `${label}=${showValues(values)}`])
    ],
    run: Effect.gen(function* () {
      const payload = yield* payloadOf(NewInstanceType, body)
      yield* (yield* calls).instanceTypes.createInstanceType({ payload, urlParams: {} })
    })
  }
}

const amounts = [
  { key: "cpu", label: "vCPUs", min: 1, autoFocus: true },
  { key: "memory", label: "Memory in GiB", hint: "0.5 is 512 MiB.", min: 0, step: "any" },
  { key: "disk", label: "Root disk in GiB", min: 1 }
] as const

const Requirements = ({
  put,
  requires
}: {
  readonly requires: ReadonlyArray<Requirement>
  readonly put: (requires: ReadonlyArray<Requirement>) => void
}) => {
  const known = useKnown()
  const changed = (key: number, change: Partial<Requirement>) =>
    put(requires.map((one) => (one.key === key ? { ...one, ...change } : one)))
  return (
    <>
      {requires.map((one, index) => (
        <fieldset key={one.key} className="several">
          <legend className="sr">Requirement {index + 1}</legend>
          <div className="pair">
            <TextField
              label="Hosts with the label"
              known={known.labels}
              placeholder="host.virt"
              value={one.label}
              onChange={(label) => changed(one.key, { label })}
            />
            <TextField
              label="One of the values"
              known={known.valuesOf(one.label.trim()).map((value) => showValues([value]))}
              placeholder="kvm"
              value={one.values}
              onChange={(values) => changed(one.key, { values })}
            />
          </div>
          <div className="row">
            <span className="quiet small">{missingOf(one, requires)}</span>
            <button
              type="button"
              className="button tiny end"
              onClick={() => put(requires.filter(({ key }) => key !== one.key))}
            >
              Remove<span className="sr"> requirement {index + 1}</span>
            </button>
          </div>
        </fieldset>
      ))}
      <div className="row">
        <button
          type="button"
          className="button"
          disabled={requires.length >= most.required}
          onClick={() => put([...requires, { key: nextKey(requires), label: "", values: "" }])}
        >
          Require a label of hosts
        </button>
      </div>
    </>
  )
}

const NewType = ({ onClose, onDone }: { readonly onClose: () => void; readonly onDone: () => void }) => {
  const [form, setForm] = useState<Form>({ cpu: "2", memory: "4", disk: "20", requires: [] })
  return (
    <FormDialog
      title="Create an instance type"
      button="Create instance type"
      action={creation(form)}
      ready={
        amounts.every(({ key }) => form[key].trim() !== "") &&
        form.requires.every((one) => missingOf(one, form.requires) === null)
      }
      onClose={onClose}
      onDone={onDone}
    >
      <p className="quiet">
        It stays as it is made, so that VMs that have it are all alike: for another size make another, and retire this
        one.
      </p>
      {amounts.map(({ key, ...field }) => (
        <TextField
          key={key}
          {...field}
          type="number"
          required
          value={form[key]}
          onChange={(value) => setForm((now) => ({ ...now, [key]: value }))}
        />
      ))}
      <Requirements requires={form.requires} put={(requires) => setForm((now) => ({ ...now, requires }))} />
    </FormDialog>
  )
}

const retirement = ({ id }: InstanceType): Commanded => ({
  label: `Retire instance type ${id}`,
  method: "DELETE",
  path: `/instance-types/${id}`,
  words: ["type", "retire", String(id)],
  run: Effect.flatMap(calls, ({ instanceTypes }) =>
    Effect.asVoid(instanceTypes.retireInstanceType({ path: { id }, urlParams: {}, headers: {} }))
  )
})

interface Line {
  readonly type: InstanceType
  readonly vms: number
}

const stateOf = ({ retired }: InstanceType): Shown =>
  retired ? { tone: "off", word: "retired", why: "no new VM can have it" } : { tone: "ok", word: "on offer", why: null }

const originOf = ({ origin }: InstanceType): string => (origin === "file" ? "the types file" : "a request")

/** Asks first. */
const useRetire = () => {
  const refresh = useAtomRefresh(typesAtom)
  const open = useAbove()
  return ({ type, vms: number }: Line) =>
    open((close) => (
      <FormDialog
        title={`Retire ${sizeOf(type)}?`}
        button="Retire it"
        danger
        action={retirement(type)}
        onClose={close}
        onDone={refresh}
      >
        <p>
          No new VM can have it, and it cannot be had back.{" "}
          {number === 0 ? "No VM has it now." : `${counted(number, "VM keeps", "VMs keep")} it as it is.`}
        </p>
      </FormDialog>
    ))
}

const columns = (lack: string | undefined, ask: (line: Line) => void): ReadonlyArray<Column<Line>> => [
  {
    key: "size",
    name: "Size",
    tone: "main-cell",
    shown: ({ type: { cpu, id, ram } }) => (
      <Link to="/types/$id" params={{ id: String(id) }}>
        {counted(cpu, "vCPU")}, {mebibytes(ram)}
      </Link>
    )
  },
  { key: "disk", name: "Root disk", className: "right", shown: ({ type: { disk } }) => gibibytes(disk) },
  {
    key: "requires",
    name: "Hosts with",
    className: "extra",
    shown: ({ type: { requires } }) => showAllRequired(requires) ?? "anything"
  },
  { key: "id", name: "Id", className: "right extra-phone", tone: "quiet", shown: ({ type: { id } }) => String(id) },
  { key: "vms", name: "VMs", className: "right extra-phone", shown: ({ vms }) => count(vms) },
  {
    key: "state",
    name: "New VMs",
    className: "extra-phone",
    shown: ({ type }) => <State {...stateOf(type)} />
  },
  {
    key: "origin",
    name: "From",
    tone: "quiet",
    className: "extra",
    shown: ({ type }) => originOf(type)
  },
  {
    key: "actions",
    name: <span className="sr">Actions</span>,
    className: "end",
    shown: (line) =>
      line.type.retired ? null : (
        <button
          type="button"
          className="button tiny"
          disabled={lack !== undefined}
          title={lack}
          onClick={() => ask(line)}
        >
          Retire…<span className="sr"> instance type {line.type.id}</span>
        </button>
      )
  }
]

/** @since 0.8.0 @category components */
export const Types = (): ReactNode => {
  useTitle("Instance types")
  const { vms } = useSnapshot()
  const read = useReadOften(typesAtom, [])
  const refresh = useAtomRefresh(typesAtom)
  const lack = useLack("admin")
  const open = useAbove()
  const [all, setAll] = useState(false)
  // those that were read last, while the controller does not answer
  const known = Option.getOrNull(Result.value(read))
  const types = known?.items ?? []
  const retired = types.filter((one) => one.retired).length
  const having = new Map<number, number>()
  for (const { instanceType } of vms.values()) having.set(instanceType, (having.get(instanceType) ?? 0) + 1)
  const rows = types.filter((one) => all || !one.retired).map((type): Line => ({ type, vms: having.get(type.id) ?? 0 }))
  const create = (
    <button
      type="button"
      className="button primary"
      disabled={lack !== undefined}
      title={lack}
      onClick={() => open((close) => <NewType onClose={close} onDone={refresh} />)}
    >
      Create instance type
    </button>
  )
  const ask = useRetire()
  return (
    <div className="page fills">
      <div className="head">
        <h1>Instance types</h1>
        <span className="quiet">{known === null ? "" : count(types.length - retired)}</span>
        <div className="actions">
          <Link to="/capacity" className="button">
            What more fits
          </Link>
          {create}
        </div>
      </div>
      {retired === 0 ? null : (
        <CheckField
          label={`Show also ${counted(retired, "that is retired", "that are retired")}`}
          checked={all}
          onChange={setAll}
        />
      )}
      {Result.isFailure(read) ? <Failure words={wordsOfCause(read.cause)} /> : null}
      {known === null ? (
        Result.isFailure(read) ? null : (
          <Loading />
        )
      ) : rows.length === 0 ? (
        <Empty title="No instance types on offer">
          <p>An instance type is a size that VMs can have: vCPUs, memory and a root disk. New VMs need one.</p>
        </Empty>
      ) : (
        <Table
          kind="types"
          label="instance types"
          columns={columns(lack, ask)}
          rows={rows}
          keyOf={({ type }) => String(type.id)}
        />
      )}
    </div>
  )
}

// ------------------------------------------------------------------------------------------------------------------ one

/** @since 0.14.0 @category components */
export const OneType = (): ReactNode => {
  const { id } = useParams({ from: "/types/$id" })
  const { coming, vms } = useSnapshot()
  const read = useReadOften(typesAtom, [])
  const lack = useLack("admin")
  const ask = useRetire()
  const known = Option.getOrNull(Result.value(read))
  const type = known?.items.find((one) => String(one.id) === id)
  useTitle(`Instance type ${id}`)
  const crumb = (
    <div className="crumb">
      <Link to="/types">Instance types</Link>
    </div>
  )
  if (type === undefined) {
    return (
      <div className="page narrow">
        <div>
          {crumb}
          <h1>Instance type {id}</h1>
        </div>
        {known !== null ? (
          <Missing what="instance type" />
        ) : Result.isFailure(read) ? (
          <Failure words={wordsOfCause(read.cause)} />
        ) : (
          <Loading />
        )}
      </div>
    )
  }
  const having = [...vms.values()].filter(({ instanceType }) => instanceType === type.id)
  return (
    <div className="page narrow">
      <div className="head">
        <div>
          {crumb}
          <h1>Instance type {id}</h1>
        </div>
        <State {...stateOf(type)} />
        <div className="actions">
          {type.retired ? null : (
            <>
              <CommandsButton actions={[retirement(type)]} />
              <button
                type="button"
                className="button danger"
                disabled={lack !== undefined}
                title={lack}
                onClick={() => ask({ type, vms: having.length })}
              >
                Retire…
              </button>
            </>
          )}
        </div>
      </div>
      <div className="grid wide">
        <section className="card" aria-labelledby="facts">
          <h2 id="facts">Facts</h2>
          <dl className="facts">
            <dt>vCPUs</dt>
            <dd>{count(type.cpu)}</dd>
            <dt>Memory</dt>
            <dd>{mebibytes(type.ram)}</dd>
            <dt>Root disk</dt>
            <dd>{gibibytes(type.disk)}</dd>
            <dt>Hosts with</dt>
            <dd>{showAllRequired(type.requires) ?? "anything"}</dd>
            <dt>From</dt>
            <dd>{originOf(type)}</dd>
          </dl>
        </section>
        <VmList title="VMs that have it" none="No VM has it." vms={having} coming={coming.vms} />
      </div>
    </div>
  )
}
