import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import * as Exposition from "../../src/observability/Exposition.ts"
import * as World from "../fabric/World.ts"
import * as Controller from "./Controller.ts"
import * as Parse from "./Parse.ts"

const Dashboard = Schema.Struct({
  title: Schema.String,
  panels: Schema.Array(
    Schema.Struct({
      type: Schema.String,
      title: Schema.String,
      targets: Schema.optional(Schema.Array(Schema.Struct({ expr: Schema.String })))
    })
  )
})

const dashboard = Schema.decodeUnknownSync(Schema.parseJson(Dashboard))(
  readFileSync(new URL("../../fixtures/grafana/vmfabric.json", import.meta.url), "utf8")
)

/** Names of metrics in an expression: what is no function, label or word of PromQL. */
const metricsOf = (expression: string) =>
  [...expression.replaceAll(/\{[^}]*\}|\[[^\]]*\]|\b(?:by|without) ?\([^)]*\)/g, "").matchAll(/[a-z_][a-z0-9_]*/g)]
    .map(([name]) => name)
    .filter((name) => name.includes("_") && name !== "histogram_quantile")

describe("GET /metrics", () => {
  it.scopedLive(
    "tells what there is and what was done, after a VM and a volume were made and a host fell silent",
    () =>
      Effect.gen(function* () {
        const { cluster, get, hosts } = yield* Controller.make({ hosts: 2, ceph: true })
        assert.include((yield* get("/vm/create?name=one&instance_type=1")).text, '"vmid":1')
        assert.include((yield* get("/volume/create?name=data&size=10")).text, '"volumeid":1')
        assert.include((yield* get("/volume/attach?vmid=1&volumeid=1")).text, '"status":1')
        assert.deepStrictEqual(yield* get("/readyz"), {
          status: 200,
          type: "application/json",
          text: JSON.stringify({
            ready: true,
            checks: ["database", "hosts", "operations", "pool", "running"].map((name) => ({
              name,
              ok: true,
              reason: null
            }))
          })
        })
        const answer = yield* get("/metrics")
        assert.strictEqual(answer.status, 200)
        assert.strictEqual(answer.type, Exposition.contentType)
        const families = Parse.parse(answer.text)
        const value = (name: string, labels: Readonly<Record<string, string>> = {}) =>
          families
            .get(name.replace(/_(?:bucket|count|sum)$/, "")) //
            ?.samples.concat(families.get(name)?.samples ?? [])
            .find(
              (sample) =>
                sample.name === name && Object.entries(labels).every(([label, text]) => sample.labels[label] === text)
            )?.value

        assert.strictEqual(value("vmfabric_hosts", { status: "up" }), 2)
        assert.strictEqual(value("vmfabric_hosts", { status: "down" }), 0)
        assert.strictEqual(value("vmfabric_vms", { state: "running" }), 1)
        assert.strictEqual(value("vmfabric_volumes", { state: "attached" }), 1)
        assert.strictEqual(value("vmfabric_capacity", { resource: "cpu" }), 2 * 8 * 4)
        assert.strictEqual(value("vmfabric_promised", { resource: "ram" }), 1024 ** 3)
        assert.strictEqual(value("vmfabric_pool_promised_bytes", { pool: "vms" }), 11 * 1024 ** 3)
        assert.strictEqual(value("vmfabric_operations_total", { kind: "CreateVm", result: "done" }), 1)
        assert.strictEqual(value("vmfabric_operations_total", { kind: "AttachVolume", result: "done" }), 1)
        assert.strictEqual(value("vmfabric_operations_total", { kind: "AttachVolume", result: "failed" }), 0)
        assert.strictEqual(value("vmfabric_operation_duration_seconds_count", { kind: "CreateVm" }), 1)
        assert.strictEqual(
          value("vmfabric_libvirt_call_duration_seconds_count", {
            procedure: "DOMAIN_CREATE_WITH_FLAGS",
            result: "ok"
          }),
          1
        )
        assert.isAtLeast(value("vmfabric_ssh_connections") ?? 0, 2)
        assert.isAbove(value("vmfabric_database_commit_writes_count") ?? 0, 5)
        assert.isAbove(value("process_resident_memory_bytes") ?? 0, 2 ** 24)
        assert.isAbove(value("process_open_fds") ?? 0, 3)
        assert.strictEqual(value("vmfabric_build_info", { node: process.version }), 1)
        assert.strictEqual(value("vmfabric_scrape_parts_missing"), 0)
        assert.isAbove(value("vmfabric_events_newest_id") ?? 0, 3)

        // names and addresses would make a series for each, and are nobody's business
        for (const word of ["sim-1", "sim-2", "one", "data"]) assert.notInclude(answer.text, `"${word}"`)

        for (const { targets, title } of dashboard.panels) {
          for (const { expr } of targets ?? []) {
            const names = metricsOf(expr)
            assert.isNotEmpty(names, `${title}: ${expr}`)
            for (const name of names) {
              const family = families.get(name) ?? families.get(name.replace(/_(?:bucket|count|sum)$/, ""))
              assert.isDefined(family, `${title}: ${name} is no metric`)
            }
          }
        }

        yield* cluster.faults.hang("all", true)
        yield* hosts[0]!.faults.losePower
        yield* World.eventually(
          Effect.gen(function* () {
            const { text } = yield* get("/metrics")
            const now = Parse.parse(text)
            const up = now.get("vmfabric_hosts")?.samples.find(({ labels }) => labels["status"] === "up")
            assert.strictEqual(up?.value, 1)
            // the pool does not answer, and the rest is there all the same
            assert.strictEqual(now.get("vmfabric_scrape_parts_missing")?.samples[0]?.value, 1)
            assert.isUndefined(now.get("vmfabric_pool_used_bytes"))
            const ready = yield* get("/readyz")
            assert.strictEqual(ready.status, 503)
            assert.match(
              ready.text,
              /"name":"pool","ok":false,"reason":"(?:there was no answer|the pool does not answer)/
            )
          })
        )
        yield* cluster.faults.hang("all", false)
        yield* World.eventually(
          Effect.gen(function* () {
            assert.strictEqual((yield* get("/readyz")).status, 200)
          })
        )
      }).pipe(Effect.provide(Logger.remove(Logger.defaultLogger))),
    60_000
  )

  it("has a dashboard with a row for each part", () => {
    assert.deepStrictEqual(
      dashboard.panels.flatMap(({ title, type }) => (type === "row" ? [title] : [])),
      ["Hosts", "VMs", "Operations", "libvirt", "Process"]
    )
  })
})
