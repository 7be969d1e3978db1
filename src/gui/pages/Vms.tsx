/**
 * All VMs, however many.
 *
 * @since 0.7.0
 */
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import { memo, type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react"
import type { Host } from "../../api/Hosts.ts"
import type { Vm } from "../../api/Vms.ts"
import type { HostId, VmId } from "../../domain/Ids.ts"
import { BulkBar } from "../parts/Bulk.tsx"
import { CheckField, Filter, SearchField } from "../parts/Field.tsx"
import { linesOf } from "../parts/Labels.ts"
import { ListLink } from "../parts/ListLink.tsx"
import { type Head, type Row, RowTable, useFilled } from "../parts/Table.tsx"
import { VmMenu } from "../parts/VmMenu.tsx"
import { OwnerFilter, useOwners } from "../parts/OwnerFilter.tsx"
import { Empty, Loading, State, useSettled, useSnapshot, useTitle } from "../parts/Parts.tsx"
import { seeking } from "../parts/Search.ts"
import { count, gibibytes, mebibytes, needsAttention, shownOf, vmState, vmWords } from "../parts/Words.ts"
import * as Found from "../state/Found.ts"

/** `by`: what the rows are put into order by; absent: they cannot be. */
interface Column {
  readonly key: string
  readonly name: ReactNode
  readonly by?: (vm: Vm, host: string) => string | number
  readonly shown: (vm: Vm, host: string) => ReactNode
  readonly className?: string
  /** one of which this is so of each VM is not shown */
  readonly isBlank?: (vm: Vm) => boolean
}

const columns: ReadonlyArray<Column> = [
  {
    key: "name",
    name: "Name",
    by: ({ name }) => name,
    shown: ({ id, name }) => (
      <ListLink to="/vms/$id" id={id} title={name}>
        {name}
      </ListLink>
    ),
    className: "main-cell"
  },
  { key: "state", name: "State", by: (vm) => vmState(vm).word, shown: (vm) => <State {...vmState(vm)} /> },
  {
    key: "host",
    name: "Host",
    by: (_, host) => host,
    shown: ({ hostId }, host) => (
      <ListLink to="/hosts/$id" id={hostId} title={host}>
        {host}
      </ListLink>
    ),
    className: "extra-phone"
  },
  {
    key: "owner",
    name: "Owner",
    by: ({ owner = null }) => owner ?? "",
    shown: ({ owner = null }) => <span className="quiet">{owner ?? "–"}</span>,
    className: "extra extra-wide",
    isBlank: ({ owner = null }) => owner === null
  },
  {
    key: "cpu",
    name: "vCPUs",
    by: ({ resources }) => resources.cpu,
    shown: ({ resources }) => count(resources.cpu),
    className: "right extra"
  },
  {
    key: "ram",
    name: "Memory",
    by: ({ resources }) => resources.ram,
    shown: ({ resources }) => mebibytes(resources.ram),
    className: "right extra"
  },
  {
    key: "tags",
    name: "Tags",
    shown: ({ tags }) => (
      <span className="quiet" title={tags.join(", ")}>
        {tags.join(", ")}
      </span>
    ),
    className: "extra",
    isBlank: ({ tags }) => tags.length === 0
  },
  { key: "actions", name: <span className="sr">Actions</span>, shown: (vm) => <VmMenu vm={vm} /> }
]

const sizeOf = ({ resources: { cpu, disk, ram } }: Vm): string =>
  `${count(cpu)} vCPUs, ${mebibytes(ram)}, ${gibibytes(disk)}`

/** Whatever people remember of a VM beside its number: its name, address, tags, labels and size. */
const textOf = (vm: Vm): string =>
  [
    vm.name,
    ...vm.tags,
    linesOf(vm.labels),
    ...vm.nics.map(({ mac }) => mac),
    ...(vm.addresses ?? []).map(({ address }) => address),
    sizeOf(vm)
  ].join("\n")

const nameOf = (hosts: ReadonlyMap<HostId, Host>, id: HostId): string => hosts.get(id)?.name ?? `host ${id}`

/** By their names, unless something else is said that there is. */
const sortOf = (sort = "name") => {
  const descending = sort.startsWith("-")
  const column = columns.find(({ by, key }) => by !== undefined && key === sort.replace(/^-/, ""))
  return { key: column?.key ?? "name", descending, by: column?.by ?? (({ name }: Vm) => name) }
}

/** Not made within a page: it is kept for as long as its VM is as it is, and what is within holds on to everything of the moment it was drawn at. */
const rowOf = (
  vm: Vm,
  host: string,
  checked: boolean,
  filled: ReadonlySet<string>,
  toggle: (id: VmId, on: boolean) => void
): Row => ({
  key: String(vm.id),
  cells: [
    {
      key: "choose",
      className: "choose",
      shown: (
        <input
          type="checkbox"
          aria-label={`Choose ${vm.name}`}
          checked={checked}
          onChange={(event) => toggle(vm.id, event.target.checked)}
        />
      )
    },
    ...columns.flatMap(({ className = "", key, shown }) =>
      filled.has(key) ? [{ key, className, shown: shown(vm, host) }] : []
    )
  ]
})

/** Those that are gone are not listed. */
const states = vmWords.filter((word) => word !== "failed" && word !== "destroyed")

/** An address may say one that there is not, which narrows nothing. */
const stateOf = (word: string | undefined) => states.find((one) => one === word)

/** What narrows the list, by its address. It is not drawn again for what happens to VMs. */
const Filters = memo(
  ({ hosts, owners }: { readonly hosts: ReadonlyMap<HostId, Host>; readonly owners: ReadonlyArray<string> }) => {
    const search = useSearch({ from: "/vms" })
    const navigate = useNavigate({ from: "/vms" })
    const [text, setText] = useState(search.q ?? "")
    const settled = useSettled(text, 120)

    useEffect(() => {
      if (settled === (search.q ?? "")) return
      void navigate({ search: (all) => ({ ...all, q: settled === "" ? undefined : settled }), replace: true })
      // only what is typed leads there: a link that says something else is no typing
    }, [settled, navigate])
    useEffect(() => setText(search.q ?? ""), [search.q])

    const set = (name: "state" | "host" | "owner" | "attention", value: string) =>
      void navigate({ search: (all) => ({ ...all, [name]: value === "" ? undefined : value }) })
    return (
      <div className="filters">
        <SearchField label="Search VMs" hint="Name, id:7, address, tag, label" value={text} onChange={setText} />
        <Filter
          label="State"
          all="Any state"
          value={stateOf(search.state)}
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
        <OwnerFilter owners={owners} value={search.owner} onChange={(value) => set("owner", value)} />
        <CheckField
          label="Needs attention"
          checked={search.attention !== undefined}
          onChange={(checked) => set("attention", checked ? "yes" : "")}
        />
      </div>
    )
  }
)

/** @since 0.7.0 @category components */
export const Vms = (): ReactNode => {
  useTitle("VMs")
  const { coming, connection, hosts, vms } = useSnapshot()
  const search = useSearch({ from: "/vms" })
  const navigate = useNavigate({ from: "/vms" })
  const [ids, setIds] = useState<ReadonlySet<VmId>>(new Set())
  const state = stateOf(search.state)
  const owners = useOwners(vms)
  const sort = sortOf(search.sort)
  const [find] = useState(Found.make)
  const isFound = seeking(search.q ?? "")
  const found = find(vms, {
    // names of hosts are no VM's own
    key: JSON.stringify([search, sort.key === "host" ? [...hosts.values()].map(({ id, name }) => [id, name]) : []]),
    matches: (vm) => {
      if (state !== undefined && vmState(vm).is !== state) return false
      if (search.host !== undefined && String(vm.hostId) !== search.host) return false
      if (search.owner !== undefined && vm.owner !== search.owner) return false
      if (search.attention !== undefined && !needsAttention(vm)) return false
      return isFound(vm.id, () => textOf(vm))
    },
    by: (vm) => sort.by(vm, nameOf(hosts, vm.hostId)),
    descending: sort.descending
  })
  // of those that are still there and shown: nothing is done with what is not seen
  const chosen = useMemo(() => {
    if (ids.size === 0) return []
    return found.flatMap((id) => {
      const vm = ids.has(id) ? vms.get(id) : undefined
      return vm === undefined ? [] : [vm]
    })
  }, [found, ids, vms])
  const toggle = useCallback(
    (id: VmId, on: boolean) =>
      setIds((now) => {
        const next = new Set(now)
        if (on) next.add(id)
        else next.delete(id)
        return next
      }),
    []
  )
  const all = chosen.length > 0 && chosen.length === found.length
  const chooser: Head = {
    key: "choose",
    name: (
      <input
        type="checkbox"
        aria-label="Choose all that are shown"
        checked={all}
        onChange={() => setIds(all ? new Set() : new Set(found))}
      />
    ),
    className: "choose"
  }
  // of all VMs, so that no column goes when some of them are searched
  const filled = useFilled(columns, vms)
  const shownColumns = columns.filter(({ key }) => filled.has(key))
  const heads = shownColumns.map(({ by, className = "", key, name }): Head => {
    const order = key !== sort.key ? null : sort.descending ? "descending" : "ascending"
    const next = `${order === "ascending" ? "-" : ""}${key}`
    return {
      key,
      name,
      className,
      order,
      ...(by === undefined
        ? {}
        : { onSort: () => void navigate({ search: (all) => ({ ...all, sort: next }), replace: true }) })
    }
  })
  // what is as it was is not drawn again
  const drawn = useRef(
    new WeakMap<
      Vm,
      { readonly host: string; readonly checked: boolean; readonly filled: ReadonlySet<string>; readonly row: Row }
    >()
  )
  const rowAt = (index: number): Row | undefined => {
    const id = found[index]
    const vm = id === undefined ? undefined : vms.get(id)
    if (vm === undefined) return undefined
    const host = nameOf(hosts, vm.hostId)
    const checked = ids.has(vm.id)
    const before = drawn.current.get(vm)
    if (before?.host === host && before.checked === checked && before.filled === filled) return before.row
    const row = rowOf(vm, host, checked, filled, toggle)
    drawn.current.set(vm, { host, checked, filled, row })
    return row
  }
  const there = vms.size + coming.vms

  return (
    <div className="page fills">
      <div className="head">
        <h1>VMs</h1>
        <span className="quiet" role="status">
          {shownOf(found.length, vms.size, there)}
        </span>
        <div className="actions">
          <Link to="/vms/new" className="button primary">
            Create VM
          </Link>
        </div>
      </div>
      <Filters hosts={hosts} owners={owners} />
      {chosen.length === 0 ? null : <BulkBar vms={chosen} onClear={() => setIds(new Set())} />}
      {connection._tag === "loading" || (found.length === 0 && coming.vms > 0) ? (
        <Loading />
      ) : vms.size === 0 ? (
        <Empty title="No VMs yet">
          <p>A VM needs a name and a size; the controller finds the host.</p>
          <Link to="/vms/new" className="button">
            Create the first VM
          </Link>
        </Empty>
      ) : found.length === 0 ? (
        <Empty title="No VM is like that">
          <p>{count(vms.size)} others are there.</p>
          <Link to="/vms" className="button">
            Show all VMs
          </Link>
        </Empty>
      ) : (
        <RowTable
          kind="vms"
          without={columns.flatMap(({ key }) => (filled.has(key) ? [] : [key]))}
          label="VMs"
          heads={[chooser, ...heads]}
          length={found.length}
          rowAt={rowAt}
        />
      )}
    </div>
  )
}
