/**
 * What this process takes, by the names that Prometheus' own client libraries have for it.
 *
 * @since 0.4.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdir } from "node:fs/promises"
import packageJson from "../../package.json" with { type: "json" }
import { type Family, family } from "./Exposition.ts"
import * as Meters from "./Meters.ts"

/** Where there is no /proc that is not known. */
const openFiles = Effect.option(Effect.tryPromise(() => readdir("/proc/self/fd")))

/** @since 0.4.0 @category getters */
export const figures: Effect.Effect<ReadonlyArray<Family>> = Effect.map(openFiles, (files) => {
  const cpu = process.cpuUsage()
  const memory = process.memoryUsage()
  const seconds = (cpu.user + cpu.system) / 1e6
  const build = { version: packageJson.version, node: process.version }
  return [
    family("gauge", "vmfabric_build_info", "The program that runs; always 1.", [[build, 1]]),
    family("counter", "process_cpu_seconds_total", "Processor time taken, of the user and the system.", seconds),
    family("gauge", "process_resident_memory_bytes", "Resident memory.", memory.rss),
    ...(files._tag === "None"
      ? []
      : [family("gauge", "process_open_fds", "Open file descriptors.", files.value.length)]),
    family("gauge", "process_start_time_seconds", "When it was started, since 1970.", performance.timeOrigin / 1000),
    family("gauge", "nodejs_heap_size_used_bytes", "JavaScript heap in use.", memory.heapUsed),
    family("gauge", "nodejs_heap_size_total_bytes", "JavaScript heap that was taken.", memory.heapTotal),
    family("gauge", "nodejs_external_memory_bytes", "Memory of buffers and addons.", memory.external)
  ]
})

const interval = 500

/** Looks at how late the event loop is, for as long as the layer is there. @since 0.4.0 @category layers */
export const layer: Layer.Layer<never> = Layer.scopedDiscard(
  Effect.acquireRelease(
    Effect.sync(() => {
      let last = performance.now()
      const look = () => {
        const now = performance.now()
        Meters.loopWasLate((now - last - interval) / 1000)
        last = now
      }
      return setInterval(look, interval).unref()
    }),
    (timer) => Effect.sync(() => clearInterval(timer))
  )
)
