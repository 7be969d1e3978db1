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
import { useVirtualizer } from "@tanstack/react-virtual"
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react"
import type { Host } from "../../api/Hosts.ts"
import type { Vm } from "../../api/Vms.ts"
import type { HostId } from "../../domain/Ids.ts"
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
  const scroller = useRef<HTMLDivElement>(null)
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
  const virtual = useVirtualizer({
    count: sorted.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => 44,
    overscan: 10
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
        <select
          className="input"
          aria-label="State"
          value={search.state ?? ""}
          onChange={(event) => set("state", event.target.value)}
        >
          <option value="">Any state</option>
          {states.map((state) => (
            <option key={state}>{state}</option>
          ))}
        </select>
        <select
          className="input"
          aria-label="Host"
          value={search.host ?? ""}
          onChange={(event) => set("host", event.target.value)}
        >
          <option value="">Any host</option>
          {[...hosts.values()].map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
        <label className="check">
          <input
            type="checkbox"
            checked={search.attention !== undefined}
            onChange={(event) => set("attention", event.target.checked ? "yes" : "")}
          />
          Needs attention
        </label>
      </div>
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
        <div className="scroll" ref={scroller} tabIndex={0} role="region" aria-label="List of VMs">
          <div className="table vms" role="table" aria-label="VMs" aria-rowcount={sorted.length + 1}>
            <div className="thead" role="rowgroup">
              {table.getHeaderGroups().map((group) => (
                <div key={group.id} className="tr" role="row" aria-rowindex={1}>
                  {group.headers.map(({ column, getContext, id }) => {
                    const order = column.getIsSorted()
                    return (
                      <span
                        key={id}
                        role="columnheader"
                        className={classOf(column.columnDef.meta)}
                        {...(order === false
                          ? {}
                          : { "aria-sort": order === "asc" ? ("ascending" as const) : ("descending" as const) })}
                      >
                        {column.getCanSort() ? (
                          <button type="button" onClick={() => column.toggleSorting(order === "asc")}>
                            {flexRender(column.columnDef.header, getContext())}
                            {order === false ? "" : order === "asc" ? " ↑" : " ↓"}
                          </button>
                        ) : (
                          flexRender(column.columnDef.header, getContext())
                        )}
                      </span>
                    )
                  })}
                </div>
              ))}
            </div>
            <div className="tbody virtual" role="rowgroup" style={{ height: virtual.getTotalSize() }}>
              {virtual.getVirtualItems().map(({ index, start }) => {
                const row = sorted[index]
                return row === undefined ? null : (
                  <div
                    key={row.id}
                    className="tr"
                    role="row"
                    aria-rowindex={index + 2}
                    style={{ transform: `translateY(${start}px)` }}
                  >
                    {row.getVisibleCells().map((cell) => (
                      <span key={cell.id} role="cell" className={`cell ${classOf(cell.column.columnDef.meta)}`}>
                        {flexRender(cell.column.columnDef.cell, cell.getContext())}
                      </span>
                    ))}
                  </div>
                )
              })}
            </div>
          </div>
        </div>
      )}
    </div>
  )
}
