/**
 * What happened, in words.
 *
 * @since 0.8.0
 */
import type { Event } from "../../api/Events.ts"
import type { EventType } from "../../domain/Event.ts"
import type { HostId } from "../../domain/Ids.ts"
import { Kind } from "../../api/Operations.ts"
import * as Schema from "effect/Schema"
import { counted, gibibytes, isCancelled, kind, type Shown, type Tone } from "./Words.ts"

/** What a list of events may be narrowed to, and the types that are meant. @since 0.8.0 @category constants */
export const groups: Readonly<Record<string, readonly [shown: string, types: ReadonlyArray<EventType>]>> = {
  vm: ["What is wanted of VMs", ["vm.created", "vm.changed"]],
  seen: ["What hosts say of VMs", ["vm.seen"]],
  drift: ["Drift", ["vm.drift"]],
  volume: ["Volumes", ["volume.created", "volume.changed"]],
  snapshot: ["Snapshots", ["snapshot.created", "snapshot.changed"]],
  operation: ["Operations", ["operation.created", "operation.changed"]],
  image: ["Images", ["image.created", "image.changed"]],
  host: ["Hosts", ["host.added", "host.changed", "host.removed"]]
}

const isKind = Schema.is(Kind)

const textOf = (data: Event["data"], name: string): string | null => {
  const value = data[name]
  return typeof value === "string" && value !== "" ? value : null
}

/** What it is about is called, where it says so. @since 0.14.0 @category getters */
export const nameIn = ({ data }: Event): string | undefined => textOf(data, "name") ?? undefined

const because = (reason: string | null): string => (reason === null ? "" : `: ${reason}`)

const wanted: Readonly<Record<string, string>> = {
  creating: "is being created",
  running: "is to be running",
  stopped: "is to be stopped",
  paused: "is to be paused",
  destroying: "is being destroyed",
  destroyed: "is destroyed",
  failed: "could not be created"
}

const volumes: Readonly<Record<string, string>> = {
  creating: "is being made",
  available: "can be attached",
  attaching: "is being attached",
  attached: "is attached",
  detaching: "is being detached",
  deleted: "is in the trash",
  purging: "is being purged",
  purged: "is purged",
  failed: "could not be made"
}

const told: Readonly<Record<string, string>> = {
  pending: "was asked for",
  running: "goes on",
  undoing: "failed, and is being undone",
  done: "is done",
  failed: "failed"
}

interface Hosts {
  readonly hosts: ReadonlyMap<HostId, { readonly name: string }>
}

/** Whether it says what is wanted of a VM. @since 0.10.0 @category predicates */
export const isWanted = ({ type }: Event): boolean => type === "vm.created" || type === "vm.changed"

/** In these a VM stays when something else of it is changed. */
const settled = new Set(["running", "stopped", "paused"])

/** `before`: the one before it of the same VM, of those that say what is wanted of it; undefined: it is not known. */
const ofVm = (event: Event, { hosts }: Hosts, before: Event | undefined): string => {
  const { data, hostId, type } = event
  const state = textOf(data, "state") ?? ""
  const host = hostId === null ? undefined : hosts.get(hostId)?.name
  const gone = state === "destroyed" || state === "failed"
  const is = `${wanted[state] ?? `is ${state}`}${host === undefined || gone ? "" : ` on ${host}`}`
  if (type === "vm.created" || !settled.has(state)) return is
  if (before === undefined) return `was changed, and ${is}`
  if (textOf(before.data, "state") !== state || before.hostId !== hostId) return is
  const name = textOf(data, "name")
  return name === null || name === textOf(before.data, "name") ? "was changed" : `is called ${name} now`
}

/** Of an operation: somebody asked for that, and it is so. */
const wasCancelled = ({ data }: Event): boolean => {
  const state = textOf(data, "state")
  return (
    state === "failed" &&
    isCancelled({ state, cancelAsked: data["cancelAsked"] === true, error: textOf(data, "error") })
  )
}

/** What an operation is called that something is told of. */
const operationOf = ({ data }: Event): string => (isKind(data["kind"]) ? kind(data["kind"]) : "An operation")

/** Of an operation that is new: by whom, where that is told. */
const created = (event: Event): string => {
  const { data } = event
  const name = operationOf(event)
  const cause = textOf(data, "cause")
  const user = textOf(data, "user")
  if (user !== null) return `${name} was asked for by ${user}`
  return cause === null ? `${name} was asked for` : `${name} was begun by the controller: ${cause}`
}

const sentence = (event: Event, snapshot: Hosts, before: Event | undefined): string => {
  const { data, type } = event
  const state = textOf(data, "state") ?? ""
  const reason = textOf(data, "reason")
  switch (type) {
    case "vm.created":
    case "vm.changed":
      return ofVm(event, snapshot, before)
    case "vm.seen":
      return `was seen ${textOf(data, "power") ?? "otherwise"}${because(reason)}`
    case "vm.drift": {
      const fields = typeof data["count"] === "number" ? data["count"] : 0
      return fields === 0
        ? "is as it should be"
        : `differs from what it should be in ${counted(fields, "field")}${because(textOf(data, "fields")?.replaceAll(",", ", ") ?? null)}`
    }
    case "volume.created":
    case "volume.changed": {
      const { size } = data
      return `${volumes[state] ?? `is ${state}`}${typeof size === "number" ? `, ${gibibytes(size)}` : ""}`
    }
    case "snapshot.created":
    case "snapshot.changed":
      return state === "ready" ? "is kept" : `is ${state}`
    case "operation.created":
    case "operation.changed": {
      if (textOf(data, "retriedBy") !== null) return `${operationOf(event)} is retried`
      if (wasCancelled(event)) return `${operationOf(event)} was cancelled`
      if (type === "operation.created") return created(event)
      const asked = data["cancelAsked"] === true && state === "running" ? ", and is to be cancelled" : ""
      return `${operationOf(event)} ${told[state] ?? state}${asked}${because(textOf(data, "error"))}`
    }
    case "image.created":
    case "image.changed":
      return `is ${state}${because(reason)}`
    case "host.added":
      return "was added"
    case "host.removed":
      return "was removed"
    case "host.changed":
      if (typeof data["maintenance"] === "boolean") {
        return data["maintenance"] ? "is in maintenance: nothing new is placed on it" : "is out of maintenance"
      }
      return textOf(data, "status") === null
        ? "has other settings"
        : `is ${textOf(data, "status") ?? ""}${because(reason)}`
  }
}

/** What is said of each after the name of what it is about; `events` are the newest first. @since 0.10.0 @category formatting */
export const sentences = (events: ReadonlyArray<Event>, snapshot: Hosts): ((event: Event) => string) => {
  const before = new Map<Event["id"], Event>()
  const later = new Map<Event["vmId"], Event>()
  for (const event of events) {
    if (!isWanted(event)) continue
    const next = later.get(event.vmId)
    if (next !== undefined) before.set(next.id, event)
    later.set(event.vmId, event)
  }
  return (event) => sentence(event, snapshot, before.get(event.id))
}

const bad = new Set(["failed", "down", "lost", "crashed", "refused"])
const warn = new Set(["undoing", "suspect", "unknown"])
const good = new Set(["running", "done", "up", "ready", "available", "attached"])
const busy = new Set(["creating", "destroying", "pending", "attaching", "detaching", "purging", "uploading"])

const toneOf = (word: string): Tone =>
  bad.has(word) ? "bad" : warn.has(word) ? "warn" : good.has(word) ? "ok" : busy.has(word) ? "busy" : "off"

/** The one word that counts, with the colour that it has everywhere. @since 0.8.0 @category formatting */
export const mark = (event: Event): Shown => {
  const { data, type } = event
  const as = (word: string, tone = toneOf(word)): Shown => ({ tone, word, why: null })
  if (type === "vm.drift") return data["count"] === 0 ? as("no drift", "ok") : as("drift", "warn")
  if (type === "host.added" || type === "host.removed") return as(type.slice("host.".length), "off")
  if (typeof data["maintenance"] === "boolean") return as("maintenance", data["maintenance"] ? "warn" : "off")
  const word = textOf(data, type === "vm.seen" ? "power" : type === "host.changed" ? "status" : "state")
  if (type.startsWith("operation.") && wasCancelled(event)) return as("cancelled", "off")
  if (type.startsWith("operation.") && word === "running") return as(word, "busy")
  return as(word ?? "changed")
}
