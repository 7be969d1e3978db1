/**
 * All VMs, however many.
 *
 * @since 0.7.0
 */
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import {
  type ColumnDef,
  flexRender,
  getCoreRowModel,
  getSortedRowModel,
  type SortingState,
  useReactTable
} from "@tanstack/react-table"
import { type ReactNode, useEffect, useMemo, useState } from "react"
import type { Host } from "../../api/Hosts.ts"
import type { Vm } from "../../api/Vms.ts"
import type { HostId, VmId } from "../../domain/Ids.ts"
import { BulkBar, BulkResult } from "../parts/Bulk.tsx"
import { CheckField, Filter } from "../parts/Field.tsx"
import { type Head, RowTable } from "../parts/Table.tsx"
import { VmMenu } from "../parts/VmMenu.tsx"
import { Empty, Loading, State, useSettled, useSnapshot, useTitle } from "../parts/Parts.tsx"
import { count, gibibytes, mebibytes, vmState } from "../parts/Words.ts"

interface Row {
  readonly vm: Vm
  readonly host: string
}

const compare = new Intl.Collator(undefined, { numeric: true }).compare

const columns: ReadonlyArray<ColumnDef<Row>> = [
  {
    id: "name",
    header: "Name",
    accessorFn: ({ vm }) => vm.name,
    sortingFn: (a, b) => compare(a.original.vm.name, b.original.vm.name),
    cell: ({ row }) => (
      <Link to="/vms/$id" params={{ id: String(row.original.vm.id) }} title={row.original.vm.name}>
        {row.original.vm.name}
      </Link>
    ),
    meta: { className: "main-cell" }
  },
  {
    id: "state",
    header: "State",
    accessorFn: ({ vm }) => vmState(vm).word,
    cell: ({ row }) => <State {...vmState(row.original.vm)} />
  },
  {
    id: "host",
    header: "Host",
    accessorFn: ({ host }) => host,
    cell: ({ row }) => (
      <Link to="/hosts/$id" params={{ id: String(row.original.vm.hostId) }}>
        {row.original.host}
      </Link>
    ),
    meta: { className: "extra-phone" }
  },
  {
    id: "cpu",
    header: "vCPUs",
    accessorFn: ({ vm }) => vm.resources.cpu,
    cell: ({ row }) => count(row.original.vm.resources.cpu),
    meta: { className: "right extra" }
  },
  {
    id: "ram",
    header: "Memory",
    accessorFn: ({ vm }) => vm.resources.ram,
    cell: ({ row }) => mebibytes(row.original.vm.resources.ram),
    meta: { className: "right extra" }
  },
  {
    id: "tags",
    header: "Tags",
    enableSorting: false,
    cell: ({ row }) => <span className="quiet">{row.original.vm.tags.join(", ")}</span>,
    meta: { className: "extra" }
  },
  {
    id: "actions",
    header: () => <span className="sr">Actions</span>,
    enableSorting: false,
    cell: ({ row }) => <VmMenu vm={row.original.vm} />
  }
]

const classOf = (meta: unknown): string =>
  typeof meta === "object" && meta !== null && "className" in meta ? String(meta.className) : ""

const sizeOf = ({ resources: { cpu, disk, ram } }: Vm): string =>
  `${count(cpu)} vCPUs, ${mebibytes(ram)}, ${gibibytes(disk)}`

/** Whatever people remember of a VM: its name, id, address, tags, labels and size. */
const textOf = (vm: Vm): string =>
  [
    vm.name,
    `id:${vm.id}`,
    ...vm.tags,
    ...Object.entries(vm.labels).map(([key, value]) => `${key}=${value}`),
    ...vm.nics.map(({ mac }) => mac),
    ...(vm.addresses ?? []).map(({ address }) => address),
    sizeOf(vm)
  ]
    .join("\n")
    .toLowerCase()

const nameOf = (hosts: ReadonlyMap<HostId, Host>, id: HostId): string => hosts.get(id)?.name ?? `host ${id}`

const sortOf = (sort: string | undefined): SortingState =>
  sort === undefined ? [{ id: "name", desc: false }] : [{ id: sort.replace(/^-/, ""), desc: sort.startsWith("-") }]

const states = ["running", "stopped", "paused", "creating", "destroying"] as const

/** @since 0.7.0 @category components */
export const Vms = (): ReactNode => {
  useTitle("VMs")
  const { connection, hosts, vms } = useSnapshot()
  const search = useSearch({ from: "/vms" })
  const navigate = useNavigate({ from: "/vms" })
  const [ids, setIds] = useState<ReadonlySet<VmId>>(new Set())
  const [text, setText] = useState(search.q ?? "")
  const settled = useSettled(text, 120)

  useEffect(() => {
    if (settled === (search.q ?? "")) return
    void navigate({ search: (all) => ({ ...all, q: settled === "" ? undefined : settled }), replace: true })
    // only what is typed leads there: a link that says something else is no typing
  }, [settled, navigate])
  useEffect(() => setText(search.q ?? ""), [search.q])

  const rows = useMemo(() => {
    const words = (search.q ?? "").toLowerCase().split(/\s+/).filter(Boolean)
    const found: Array<Row> = []
    for (const vm of vms.values()) {
      if (search.state !== undefined && vm.state !== search.state) continue
      if (search.host !== undefined && String(vm.hostId) !== search.host) continue
      if (
        search.attention !== undefined &&
        vmState(vm).tone !== "bad" &&
        vm.drift === 0 &&
        vm.violations.length === 0
      ) {
        continue
      }
      if (words.length > 0) {
        const all = textOf(vm)
        if (!words.every((word) => all.includes(word))) continue
      }
      found.push({ vm, host: nameOf(hosts, vm.hostId) })
    }
    return found
  }, [vms, hosts, search.q, search.state, search.host, search.attention])

  const sorting = useMemo(() => sortOf(search.sort), [search.sort])
  const table = useReactTable({
    data: rows,
    columns: useMemo(() => [...columns], []),
    state: { sorting },
    enableMultiSort: false,
    enableSortingRemoval: false,
    getRowId: ({ vm }) => String(vm.id),
    onSortingChange: (change) => {
      const [next] = typeof change === "function" ? change(sorting) : change
      if (next === undefined) return
      void navigate({ search: (all) => ({ ...all, sort: `${next.desc ? "-" : ""}${next.id}` }), replace: true })
    },
    getCoreRowModel: getCoreRowModel(),
    getSortedRowModel: getSortedRowModel()
  })
  const sorted = table.getRowModel().rows
  // of those that are still there and shown: nothing is done with what is not seen
  const chosen = rows.flatMap(({ vm }) => (ids.has(vm.id) ? [vm] : []))
  const toggle = (id: VmId, on: boolean) =>
    setIds((now) => {
      const next = new Set(now)
      if (on) next.add(id)
      else next.delete(id)
      return next
    })
  const all = chosen.length > 0 && chosen.length === rows.length
  const chooser: Head = {
    key: "choose",
    name: (
      <input
        type="checkbox"
        aria-label="Choose all that are shown"
        checked={all}
        onChange={() => setIds(all ? new Set() : new Set(rows.map(({ vm }) => vm.id)))}
      />
    ),
    className: "choose"
  }
  const heads = table.getFlatHeaders().map(({ column, getContext, id }): Head => {
    const order = column.getIsSorted()
    return {
      key: id,
      name: flexRender(column.columnDef.header, getContext()),
      className: classOf(column.columnDef.meta),
      order: order === false ? null : order === "asc" ? "ascending" : "descending",
      ...(column.getCanSort() ? { onSort: () => column.toggleSorting(order === "asc") } : {})
    }
  })
  const set = (name: "state" | "host" | "attention", value: string) =>
    void navigate({ search: (all) => ({ ...all, [name]: value === "" ? undefined : value }), replace: true })

  return (
    <div className="page fills">
      <div className="head">
        <h1>VMs</h1>
        <span className="quiet" role="status">
          {rows.length === vms.size ? count(vms.size) : `${count(rows.length)} of ${count(vms.size)}`}
        </span>
        <div className="actions">
          <Link to="/vms/new" className="button primary">
            Create VM
          </Link>
        </div>
      </div>
      <div className="filters">
        <input
          type="search"
          className="input search"
          aria-label="Search VMs"
          placeholder="Name, id:7, address, tag, label"
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <Filter
          label="State"
          all="Any state"
          value={search.state}
          onChange={(value) => set("state", value)}
          options={states.map((state) => [state, state])}
        />
        <Filter
          label="Host"
          all="Any host"
          value={search.host}
          onChange={(value) => set("host", value)}
          options={[...hosts.values()].map(({ id, name }) => [String(id), name])}
        />
        <CheckField
          label="Needs attention"
          checked={search.attention !== undefined}
          onChange={(checked) => set("attention", checked ? "yes" : "")}
        />
      </div>
      {chosen.length === 0 ? null : <BulkBar vms={chosen} onClear={() => setIds(new Set())} />}
      <BulkResult />
      {connection._tag === "loading" ? (
        <Loading />
      ) : vms.size === 0 ? (
        <Empty title="No VMs yet">
          <p>A VM needs a name and a size; the controller finds the host.</p>
          <Link to="/vms/new" className="button primary">
            Create the first VM
          </Link>
        </Empty>
      ) : rows.length === 0 ? (
        <Empty title="No VM is like that">
          <p>{count(vms.size)} others are there.</p>
          <Link to="/vms" className="button">
            Show all VMs
          </Link>
        </Empty>
      ) : (
        <RowTable
          kind="vms"
          label="VMs"
          heads={[chooser, ...heads]}
          length={sorted.length}
          rowAt={(index) => {
            const row = sorted[index]
            return row === undefined
              ? undefined
              : {
                  key: row.id,
                  cells: [
                    {
                      key: "choose",
                      className: "choose",
                      shown: (
                        <input
                          type="checkbox"
                          aria-label={`Choose ${row.original.vm.name}`}
                          checked={ids.has(row.original.vm.id)}
                          onChange={(event) => toggle(row.original.vm.id, event.target.checked)}
                        />
                      )
                    },
                    ...row.getVisibleCells().map(({ column, getContext, id }) => ({
                      key: id,
                      shown: flexRender(column.columnDef.cell, getContext()),
                      className: classOf(column.columnDef.meta)
                    }))
                  ]
                }
          }}
        />
      )}
    </div>
  )
}
