/**
 * What the code counts as it goes.
 *
 * Each combination of labels is a metric of its own, made once and then updated without an effect: one that is tagged at each update looks its labels
 * up every time, which costs a few percent of a libvirt call.
 *
 * @since 0.4.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as MetricLabel from "effect/MetricLabel"
import type * as Scope from "effect/Scope"
import { type Operation, OperationKind } from "../domain/Operation.ts"
import type { Family } from "./Exposition.ts"

const none: ReadonlyArray<MetricLabel.MetricLabel> = []

type Update = (value: number) => void

/** Updates the metric with these values of its labels. */
const labelled = (names: ReadonlyArray<string>, make: (labels: ReadonlyArray<MetricLabel.MetricLabel>) => Update) => {
  const made = new Map<string, Update>()
  return (value: number, ...values: ReadonlyArray<string>): void => {
    const id = values.join("\n")
    let update = made.get(id)
    if (update === undefined) {
      update = make(names.map((name, index) => MetricLabel.make(name, values[index] ?? "")))
      made.set(id, update)
    }
    update(value)
  }
}

const declared: Array<Pick<Family, "name" | "help" | "type">> = []

const counter = (name: string, help: string, ...labels: ReadonlyArray<string>) => {
  declared.push({ name, help, type: "counter" })
  const key = MetricKey.counter(name, { description: help })
  return labelled(labels, (values) => {
    const metric = Metric.fromMetricKey(MetricKey.taggedWithLabels(key, values))
    return (value) => metric.unsafeUpdate(value, none)
  })
}

const histogram = (name: string, help: string, boundaries: ReadonlyArray<number>, ...labels: ReadonlyArray<string>) => {
  declared.push({ name, help, type: "histogram" })
  const key = MetricKey.histogram(name, MetricBoundaries.fromIterable(boundaries), help)
  return labelled(labels, (values) => {
    const metric = Metric.fromMetricKey(MetricKey.taggedWithLabels(key, values))
    return (value) => metric.unsafeUpdate(value, none)
  })
}

/** Goes up and down by what it is given. */
const level = (name: string, help: string): Update => {
  declared.push({ name, help, type: "gauge" })
  const metric = Metric.fromMetricKey(MetricKey.gauge(name, { description: help }))
  metric.unsafeModify(0, none)
  return (value) => metric.unsafeModify(value, none)
}

/** Of what is declared here, also before anything was counted. @since 0.4.0 @category getters */
export const families: ReadonlyArray<Pick<Family, "name" | "help" | "type">> = declared

// ---- operations

const operations = counter("vmfabric_operations_total", "Operations that have ended.", "kind", "result")
for (const kind of OperationKind.literals) for (const result of ["done", "failed"]) operations(0, kind, result)

const operationSeconds = histogram(
  "vmfabric_operation_duration_seconds",
  "How long operations took, from being admitted to their end.",
  [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600],
  "kind"
)

/** An operation has come to its end. @since 0.4.0 @category counting */
export const operationEnded = (
  { createdAt, kind }: Pick<Operation, "createdAt" | "kind">,
  outcome: "Succeeded" | "Failed"
): Effect.Effect<void> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    operations(1, kind, outcome === "Succeeded" ? "done" : "failed")
    operationSeconds(Math.max(0, now - createdAt) / 1000, kind)
  })

// ---- libvirt

const calls = histogram(
  "vmfabric_libvirt_call_duration_seconds",
  "How long calls of libvirt took, by procedure and result (ok, refused, timeout, lost, broken, abandoned).",
  [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  "procedure",
  "result"
)
const callsInFlight = level("vmfabric_libvirt_calls_in_flight", "Calls of libvirt without an answer, on all hosts.")

const results: Readonly<Record<string, string>> = {
  LibvirtRefused: "refused",
  LibvirtTimeout: "timeout",
  LibvirtDisconnected: "lost"
}

const resultOf = (exit: Exit.Exit<unknown, { readonly _tag: string }>): string => {
  if (Exit.isSuccess(exit)) return "ok"
  const failure = Cause.failureOption(exit.cause)
  if (failure._tag === "Some") return results[failure.value._tag] ?? "broken"
  return Cause.isInterruptedOnly(exit.cause) ? "abandoned" : "broken"
}

/** A call begins; gives what `callEnded` has to know. @since 0.4.0 @category counting */
export const callBegan = (): number => {
  callsInFlight(1)
  return performance.now()
}

/** @since 0.4.0 @category counting */
export const callEnded = (
  procedure: string,
  began: number,
  exit: Exit.Exit<unknown, { readonly _tag: string }>
): void => {
  callsInFlight(-1)
  calls((performance.now() - began) / 1000, procedure, resultOf(exit))
}

// ---- SSH

const connectionsOpen = level("vmfabric_ssh_connections", "SSH connections to hosts that are open.")
const connections = counter("vmfabric_ssh_connections_total", "SSH connections to hosts that were made.")
const reconnects = counter(
  "vmfabric_ssh_reconnects_total",
  "SSH connections to hosts that were made after an earlier one was lost."
)
const refusals = counter(
  "vmfabric_ssh_connection_failures_total",
  "SSH connections to hosts that could not be made, by reason.",
  "reason"
)
connections(0)
reconnects(0)

/** A connection that is open until the scope is closed; `again`: the host had one before. @since 0.4.0 @category counting */
export const sshConnection = (again: boolean): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      connectionsOpen(1)
      connections(1)
      if (again) reconnects(1)
    }),
    () => Effect.sync(() => connectionsOpen(-1))
  )

/** `reason`: a tag out of few. @since 0.4.0 @category counting */
export const sshFailed = (reason: string): void => refusals(1, reason)

// ---- the database

const commitSeconds = histogram(
  "vmfabric_database_commit_duration_seconds",
  "How long commits took, until they were durable.",
  [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]
)
const commitWrites = histogram(
  "vmfabric_database_commit_writes",
  "How many writes shared a commit.",
  [1, 2, 4, 8, 16, 32, 64, 128, 256]
)
const commitFailures = counter(
  "vmfabric_database_commit_failures_total",
  "Transactions that could not be committed, each of one or more writes."
)
commitFailures(0)

/** Measures a commit of so many writes. @since 0.4.0 @category counting */
export const commit = <A, E, R>(commit: Effect.Effect<A, E, R>, writes: number): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const began = performance.now()
    return Effect.map(commit, (result) => {
      commitSeconds((performance.now() - began) / 1000)
      commitWrites(writes)
      return result
    })
  })

/** @since 0.4.0 @category counting */
export const commitFailed = (): void => commitFailures(1)

// ---- webhooks

const deliveries = counter(
  "vmfabric_webhook_deliveries_total",
  "Deliveries to webhooks, by result: delivered, status (the answer was none of success), timeout, unreachable, forbidden (an address that is not allowed).",
  "result"
)
const deliveryResults = ["delivered", "status", "timeout", "unreachable", "forbidden"] as const
for (const result of deliveryResults) deliveries(0, result)

/** A delivery has ended, well or not. @since 0.5.0 @category counting */
export const webhookDelivery = (result: (typeof deliveryResults)[number]): void => deliveries(1, result)

// ---- the process

const lag = histogram(
  "vmfabric_event_loop_lag_seconds",
  "How late a timer was, looked at twice a second.",
  [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
)

/** @since 0.4.0 @category counting */
export const loopWasLate = (seconds: number): void => lag(Math.max(0, seconds))
