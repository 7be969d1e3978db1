/**
 * Which of many VMs are shown, and in what order: kept from one moment to the next, so that only what changed is looked at again.
 *
 * @since 0.8.0
 */
import type { VmId } from "../../domain/Ids.ts"
import type { Vm } from "../../api/Vms.ts"
import { Layered } from "./Layered.ts"

/** @since 0.8.0 @category models */
export interface Query {
  /** what it is told from others by: another one is asked anew */
  readonly key: string
  readonly matches: (vm: Vm) => boolean
  /** what it is in its place by; equal ones are by their ids */
  readonly by: (vm: Vm) => string | number
  readonly descending: boolean
}

interface Entry {
  readonly id: VmId
  readonly by: string | number
}

const collate = new Intl.Collator(undefined, { numeric: true }).compare

/** Texts as people put them into order, with `vm-2` before `vm-10`, and numbers as they are. @since 0.12.0 @category ordering */
export const compared = (a: string | number, b: string | number): number =>
  typeof a === "string" && typeof b === "string" ? collate(a, b) : Number(a) - Number(b) || 0

const inOrder = (descending: boolean) => (a: Entry, b: Entry) => {
  const by = compared(a.by, b.by)
  return (descending ? -by : by) || a.id - b.id
}

/** Both in order; those of `few` come between those of `many`. */
const merged = (
  many: ReadonlyArray<Entry>,
  few: ReadonlyArray<Entry>,
  compare: (a: Entry, b: Entry) => number
): Array<Entry> => {
  const all: Array<Entry> = []
  let from = 0
  for (const one of few) {
    let low = from
    let high = many.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = many[middle]
      if (other !== undefined && compare(other, one) <= 0) low = middle + 1
      else high = middle
    }
    for (; from < low; from++) {
      const other = many[from]
      if (other !== undefined) all.push(other)
    }
    all.push(one)
  }
  for (; from < many.length; from++) {
    const other = many[from]
    if (other !== undefined) all.push(other)
  }
  return all
}

/** What is shown of what there is, the same array for as long as nothing of it moves. @since 0.8.0 @category constructors */
export const make = (): ((vms: ReadonlyMap<VmId, Vm>, query: Query) => ReadonlyArray<VmId>) => {
  let asked: string | null = null
  let before: ReadonlyMap<VmId, Vm> = new Map()
  let entries: ReadonlyArray<Entry> = []
  let shown = new Map<VmId, string | number>()
  let ids: ReadonlyArray<VmId> = []
  return (vms, { by, descending, key, matches }) => {
    if (vms === before && key === asked) return ids
    const compare = inOrder(descending)
    if (key !== asked) {
      before = new Map()
      entries = []
      shown = new Map()
    }
    const gone = new Set<VmId>()
    const come: Array<Entry> = []
    const look = (id: VmId, vm: Vm | undefined) => {
      if (before.get(id) === vm) return
      const was = shown.get(id)
      const is = vm !== undefined && matches(vm) ? by(vm) : undefined
      if (was === is) return
      if (was !== undefined) gone.add(id)
      if (is === undefined) shown.delete(id)
      else {
        shown.set(id, is)
        come.push({ id, by: is })
      }
    }
    const changed = vms instanceof Layered && before instanceof Layered ? vms.changedSince(before) : null
    if (changed === null) {
      for (const [id, vm] of vms) look(id, vm)
      for (const id of shown.keys()) if (!vms.has(id)) look(id, undefined)
    } else for (const id of changed) look(id, vms.get(id))
    if (gone.size + come.length > 0 || key !== asked) {
      const stay = gone.size === 0 ? entries : entries.filter(({ id }) => !gone.has(id))
      entries = come.length === 0 ? stay : merged(stay, come.toSorted(compare), compare)
      ids = entries.map(({ id }) => id)
    }
    before = vms
    asked = key
    return ids
  }
}
