/**
 * What the original's routes, and those in its manner, answer after a failure, whoever is the one that refuses: old clients read only the body.
 *
 * @since 0.8.0
 */
import type * as Further from "./Further.ts"
import type * as Insight from "./Insight.ts"
import type * as Original from "./Original.ts"

/** What the original calls what it is asked for; ours are called in its manner. */
const parameters = new Map([
  ["VM", "vmid"],
  ["volume", "volumeid"],
  ["snapshot", "snapshotid"],
  ["host", "pmid"],
  ["image", "image_id"],
  ["instance type", "instance_type"],
  ["operation", "operation"]
])

/**
 * An error's sentence, in which what does not exist is told word for word as the original does: clients may compare it.
 *
 * @since 0.12.0 @category formatting
 */
export const spelled = (message: string): string =>
  message.replace(/^(.+?) (?=\S+ does not exist)/, (all, kind: string) => {
    const parameter = parameters.get(kind)
    return parameter === undefined ? all : `${parameter} : `
  })

/** @since 0.8.0 @category models */
export type Path = (typeof Original.paths)[number] | (typeof Further.paths)[number] | (typeof Insight.paths)[number]

/** The documented answer to a failure, to which `error` is added. A route that is missing here does not compile. @since 0.8.0 @category constants */
export const shapes: Readonly<Record<Path, object>> = {
  "/vm/create": { vmid: 0 },
  "/vm/query": {},
  "/vm/destroy": { status: 0 },
  "/vm/types": { types: [] },
  "/image/list": { images: [] },
  "/pm/list": { pmids: [] },
  "/pm/query": {},
  "/pm/listvms": { vmids: [] },
  "/volume/create": { volumeid: 0 },
  "/volume/query": {},
  "/volume/destroy": { status: 0 },
  "/volume/attach": { status: 0 },
  "/volume/detach": { status: 0 },
  "/volume/list": { volumes: [] },
  "/volume/grow": { status: 0 },
  "/volume/rename": { status: 0 },
  "/volume/restore": { status: 0 },
  "/volume/purge": { status: 0 },
  "/volume/clone": { volumeid: 0 },
  "/volume/revert": { status: 0 },
  "/snapshot/create": { snapshotid: 0 },
  "/snapshot/list": { snapshots: [] },
  "/snapshot/destroy": { status: 0 },
  "/pool/list": { pools: [] },
  "/vm/list": { vms: [] },
  "/vm/status": {},
  "/vm/repair": { status: 0 },
  "/drift/list": { drift: [] },
  "/foreign/list": { foreign: [] },
  "/pm/status": {},
  "/pm/maintenance": { status: 0 },
  "/pm/look": { status: 0 },
  "/operation/list": { operations: [] },
  "/operation/query": {},
  "/operation/cancel": { status: 0 }
}
