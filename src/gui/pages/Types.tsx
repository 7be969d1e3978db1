/**
 * Instance types: the sizes that VMs can have.
 *
 * @since 0.8.0
 */
import { Result, useAtomRefresh } from "@effect-atom/atom-react"
import { Link } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import { type ReactNode, useState } from "react"
import { type InstanceType, NewInstanceType } from "../../api/InstanceTypes.ts"
import { showAllRequired } from "../../domain/Placement.ts"
import { calls, payloadOf, wordsOfCause } from "../state/Api.ts"
import { useRead } from "../state/Read.ts"
import { typesAtom } from "../state/Types.ts"
import type { Commanded } from "../parts/Commands.ts"
import { CheckField, TextField } from "../parts/Field.tsx"
import { FormDialog, useDialog } from "../parts/FormDialog.tsx"
import { Empty, Failure, Loading, State, useRole, useSnapshot, useTitle } from "../parts/Parts.tsx"
import { type Column, Table } from "../parts/Table.tsx"
import { count, counted, gibibytes, mebibytes } from "../parts/Words.ts"

const sizeOf = ({ cpu, disk, ram }: Pick<InstanceType, "cpu" | "disk" | "ram">): string =>
  `${counted(cpu, "vCPU")}, ${mebibytes(ram)}, ${gibibytes(disk)} of disk`

interface Form {
  readonly cpu: string
  /** GiB */
  readonly memory: string
  readonly disk: string
}

const creation = ({ cpu, disk, memory }: Form): Commanded => {
  const body = { cpu: Number(cpu), ram: Math.round(Number(memory) * 1024), disk: Number(disk) }
  return {
    label: "Create instance type",
    method: "POST",
    path: "/instance-types",
    body,
    words: ["type", "create", "--cpu", cpu, "--ram", String(body.ram), "--disk", disk],
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

const NewType = ({ onClose, onDone }: { readonly onClose: () => void; readonly onDone: () => void }) => {
  const [form, setForm] = useState<Form>({ cpu: "2", memory: "4", disk: "20" })
  return (
    <FormDialog
      title="New instance type"
      button="Create"
      action={creation(form)}
      ready={Object.values(form).every((one) => one.trim() !== "")}
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

const columns = (admin: boolean, ask: (line: Line) => void): ReadonlyArray<Column<Line>> => [
  {
    key: "size",
    name: "Size",
    tone: "main-cell",
    shown: ({ type: { cpu, ram } }) => `${counted(cpu, "vCPU")}, ${mebibytes(ram)}`
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
    shown: ({ type: { retired } }) => (
      <State {...(retired ? { tone: "off", word: "retired" } : { tone: "ok", word: "on offer" })} why={null} />
    )
  },
  {
    key: "origin",
    name: "From",
    tone: "quiet",
    className: "extra",
    shown: ({ type: { origin } }) => (origin === "file" ? "the types file" : "a request")
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
          disabled={!admin}
          title={admin ? "" : "this needs the role admin"}
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
  const read = useRead(typesAtom, [])
  const refresh = useAtomRefresh(typesAtom)
  const admin = useRole() === "admin"
  const [dialog, open] = useDialog()
  const [all, setAll] = useState(false)
  const types = Result.isSuccess(read) ? read.value.items : []
  const retired = types.filter((one) => one.retired).length
  const having = new Map<number, number>()
  for (const { instanceType } of vms.values()) having.set(instanceType, (having.get(instanceType) ?? 0) + 1)
  const rows = types.filter((one) => all || !one.retired).map((type): Line => ({ type, vms: having.get(type.id) ?? 0 }))
  const create = (
    <button
      type="button"
      className="button primary"
      disabled={!admin}
      title={admin ? "" : "this needs the role admin"}
      onClick={() => open((close) => <NewType onClose={close} onDone={refresh} />)}
    >
      Create instance type
    </button>
  )
  const ask = ({ type, vms: number }: Line) =>
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
  return (
    <div className="page fills">
      <div className="head">
        <h1>Instance types</h1>
        <span className="quiet">{Result.isSuccess(read) ? count(types.length - retired) : ""}</span>
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
      {!Result.isSuccess(read) ? (
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
          columns={columns(admin, ask)}
          rows={rows}
          keyOf={({ type }) => String(type.id)}
        />
      )}
      {dialog}
    </div>
  )
}
