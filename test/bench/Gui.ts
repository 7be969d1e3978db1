/**
 * The web interface in a real browser, headless and drawn by the processor: how soon others see what one does, and how it bears 10,000 VMs, or as many as are asked for, that change
 * 1,000 times a second. Where it is said so the page's processor is slowed down to a quarter by the browser's own throttling.
 *
 * The controller is a process of its own and its SIMULATED hosts are another, so that none of what is measured waits for them but by way of the machine's processors.
 * What is usable is timed in a page with nothing kept from before, from the controller itself; what changes 1,000 times a second comes from a relay in front of it. One
 * scrolls when the whole list is there and a second more has passed. Of each frame there are three figures: what the page's own thread worked from its begin to that of the next
 * (processor time, which is the page's alone), how long that took by the clock, with what others of this machine had meanwhile, and the time from one frame to the next.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Browser, CDPSession, Page, Response } from "playwright-core"
import * as Browsers from "../gui/Browser.ts"
import * as Bare from "./Bare.ts"
import type { Figure } from "./Figure.ts"
import { BenchError, start } from "./Process.ts"
import * as Program from "./Program.ts"
import * as Relay from "./Relay.ts"

const section = "gui"

export interface Asked {
  /** how long memory is watched */
  readonly minutes: number
  /** how many VMs there are */
  readonly vms: number
  /** a folder for a CPU profile of the page; null: none */
  readonly profile: string | null
}

const listening = /listening on (http:[^\s"]+)/

/** Fails in the browser's words. */
const inBrowser = <A>(what: string, use: () => Promise<A>) =>
  Effect.tryPromise({
    try: use,
    catch: (cause) => new BenchError({ message: `${what}: ${String(cause)}`, cause })
  })

const served = (hosts: number, vms: number) =>
  Effect.map(
    start(
      [
        process.execPath,
        "--max-semi-space-size=8",
        `${Program.output}/guiProgram.js`,
        `--hosts=${hosts}`,
        `--vms=${vms}`
      ],
      listening,
      // so many VMs are written first, on whatever disk there is
      300
    ),
    ({ found }) => found
  )

const viewport = { width: 1440, height: 900 }

const opened = (browser: Browser) =>
  Effect.acquireRelease(
    inBrowser("a new window", () => browser.newContext({ viewport })),
    (context) => Effect.promise(() => context.close())
  )

const live = (page: Page) => page.locator(".state.ok", { hasText: "live" }).waitFor()

const at = (values: ReadonlyArray<number>, q: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(values.length * q) - 1)] ?? Number.NaN

const figure = (what: string, unit: string, values: ReadonlyArray<number>, most?: number): Figure => ({
  section,
  what,
  unit,
  values,
  ...(most === undefined ? {} : { target: { of: "median", kind: "at most", value: most } })
})

// ------------------------------------------------------------------------------------------------------- two browsers

const actions = 30

/** In one browser a VM is turned off and on by its button; from the click until the list in another process' browser has the word. */
const seenByOthers = Effect.gen(function* () {
  const url = yield* served(10, 100)
  const [one, other] = yield* Effect.all([Browsers.browser, Browsers.browser], { concurrency: 2 })
  const doing = yield* Effect.flatMap(opened(one), (context) => inBrowser("a page", () => context.newPage()))
  const seeing = yield* Effect.flatMap(opened(other), (context) => inBrowser("a page", () => context.newPage()))
  // both told the same way to this process: clocks of two others differ
  let clickedAt = Number.NaN
  yield* inBrowser("two pages", async () => {
    await doing.goto(`${url}/ui/vms/7`)
    await seeing.goto(`${url}/ui/vms?q=id:7`)
    await Promise.all([live(doing), live(seeing)])
    await doing.exposeFunction("clicked", () => {
      clickedAt = performance.now()
    })
    await doing.evaluate(`document.addEventListener("click", () => void window.clicked(), { capture: true })`)
  })
  const took: Array<number> = []
  for (let i = 0; i < actions; i++) {
    const [button, word] = i % 2 === 0 ? ["Power off", "stopped"] : ["Start", "running"]
    took.push(
      yield* inBrowser(word, async () => {
        const seen = seeing.evaluate(
          `new Promise((resolve, reject) => {
            const is = () => document.querySelector("[title=standing-7]")?.closest("[role=row]").textContent.includes("${word}")
            const watcher = new MutationObserver(() => {
              if (!is()) return
              watcher.disconnect()
              clearTimeout(patience)
              // when it has been drawn
              requestAnimationFrame(() => setTimeout(resolve))
            })
            const patience = setTimeout(() => reject(new Error("it is not shown")), 20_000)
            watcher.observe(document.body, { subtree: true, childList: true, characterData: true })
          })`
        )
        const act = async () => {
          if (button === "Start") return doing.getByRole("button", { name: "Start", exact: true }).click()
          await doing.getByRole("button", { name: "More" }).click()
          await doing.getByRole("menuitem", { name: button }).click()
          return doing.getByRole("dialog").getByRole("button", { name: button, exact: true }).click()
        }
        // faster than people are, whose earlier tasks have gone by then
        await doing.evaluate("document.querySelectorAll('.tasks .top button').forEach((one) => one.click())")
        await Promise.all([seen, act()])
        const took = performance.now() - clickedAt
        await doing.locator(".head .state", { hasText: word }).waitFor()
        return took
      })
    )
  }
  return [
    figure(`what one does, seen by another: ${actions} actions`, "ms", took, 500),
    figure("what one does, seen by another: p99", "ms", [at(took, 0.99)], 500)
  ]
}).pipe(Effect.scoped)

// --------------------------------------------------------------------------------------------------------------- load

const slower = 4
const rounds = 5

/** The VMs are in the table and the page has said that it is live. */
const isUsable =
  'document.querySelectorAll(".tbody [role=row]").length >= 10 && document.querySelector(".state.ok") !== null'

/** KB of scripts, as they come, until a page with nothing kept from before is live. */
const firstLoad = (browser: Browser, url: string) =>
  Effect.gen(function* () {
    const context = yield* opened(browser)
    return yield* inBrowser("the list of VMs", async () => {
      const page = await context.newPage()
      const session = await context.newCDPSession(page)
      await session.send("Network.enable")
      const scripts = new Set<string>()
      let bytes = 0
      session.on("Network.responseReceived", ({ requestId, response }) => {
        if (new URL(response.url).pathname.endsWith(".js")) scripts.add(requestId)
      })
      session.on("Network.loadingFinished", ({ encodedDataLength, requestId }) => {
        if (scripts.has(requestId)) bytes += encodedDataLength
      })
      await page.goto(`${url}/ui/vms`)
      await live(page)
      await page.locator(".tbody [role=row]").nth(9).waitFor()
      return bytes / 1000
    })
  }).pipe(Effect.scoped)

// ------------------------------------------------------------------------------------------------------------- scrolling

const TraceEvent = Schema.Struct({
  name: Schema.String,
  ph: Schema.String,
  /** microseconds */
  ts: Schema.Number,
  dur: Schema.optional(Schema.Number),
  /** of `dur`, what the thread had a processor */
  tdur: Schema.optional(Schema.Number),
  pid: Schema.Int,
  tid: Schema.Int
})
type TraceEvent = typeof TraceEvent.Type

const decodeTrace = Schema.decodeUnknownSync(Schema.Array(TraceEvent))

const categories = ["disabled-by-default-devtools.timeline", "disabled-by-default-devtools.timeline.frame"]

const traced = async (session: CDPSession, use: () => Promise<unknown>): Promise<ReadonlyArray<TraceEvent>> => {
  const all: Array<TraceEvent> = []
  session.on("Tracing.dataCollected", ({ value }) => void all.push(...decodeTrace(value)))
  await session.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: { recordMode: "recordAsMuchAsPossible", includedCategories: categories }
  })
  await use()
  const complete = new Promise<void>((resolve) => session.once("Tracing.tracingComplete", () => resolve()))
  await session.send("Tracing.end")
  await complete
  return all.toSorted((a, b) => a.ts - b.ts)
}

/** Of each frame, in milliseconds, from its begin to that of the next. */
interface Frames {
  /** what the page's own thread worked: the time that it had a processor */
  readonly worked: ReadonlyArray<number>
  /** how long its tasks took by the clock, also while others had the processor */
  readonly took: ReadonlyArray<number>
  /** until the next one */
  readonly apart: ReadonlyArray<number>
}

const framesOf = (trace: ReadonlyArray<TraceEvent>): Frames => {
  const all = trace.filter(({ name }) => name === "BeginMainThreadFrame")
  // of the page that is scrolled, which has the most
  const count = ({ pid }: TraceEvent) => all.filter((one) => one.pid === pid).length
  const [first] = all.toSorted((a, b) => count(b) - count(a))
  if (first === undefined) return { worked: [], took: [], apart: [] }
  const begins = all.filter(({ pid }) => pid === first.pid)
  const tasks = trace.filter(
    ({ name, ph, pid, tid }) => name === "RunTask" && ph === "X" && pid === first.pid && tid === first.tid
  )
  const worked: Array<number> = []
  const took: Array<number> = []
  const apart: Array<number> = []
  let next = 0
  for (let i = 0; i + 1 < begins.length; i++) {
    const from = begins[i]?.ts ?? 0
    const to = begins[i + 1]?.ts ?? 0
    let busy = 0
    let had = 0
    while (next < tasks.length && (tasks[next]?.ts ?? 0) + (tasks[next]?.dur ?? 0) <= from) next++
    for (let at = next; at < tasks.length && (tasks[at]?.ts ?? 0) < to; at++) {
      const { dur = 0, tdur = dur, ts = 0 } = tasks[at] ?? {}
      const part = Math.max(0, Math.min(ts + dur, to) - Math.max(ts, from))
      busy += part
      had += dur === 0 ? 0 : (part * tdur) / dur
    }
    worked.push(had / 1000)
    took.push(busy / 1000)
    apart.push((to - from) / 1000)
  }
  return { worked, took, apart }
}

/** As people do with a wheel or a finger: pixels, pixels a second. */
const distance = 30_000
const speed = 5000

const scrolled = (page: Page, session: CDPSession) =>
  inBrowser("scrolling", async () => {
    const box = await page.locator(".scroll").boundingBox()
    if (box === null) throw new Error("there is no list")
    await page.evaluate(`{
      window.most = 0
      window.counting = setInterval(() => {
        window.most = Math.max(window.most, document.querySelectorAll("*").length)
      }, 250)
    }`)
    const frames = framesOf(
      await traced(session, () =>
        session.send("Input.synthesizeScrollGesture", {
          x: box.x + box.width / 2,
          y: box.y + box.height / 2,
          yDistance: -distance,
          speed,
          gestureSourceType: "mouse"
        })
      )
    )
    const nodes = Number(await page.evaluate("clearInterval(window.counting), window.most"))
    const top = Number(await page.evaluate("document.querySelector('.scroll').scrollTop"))
    if (top < distance / 2) throw new Error(`it was scrolled by ${top} pixels only`)
    await page.evaluate("document.querySelector('.scroll').scrollTop = 0")
    return { ...frames, nodes }
  })

const Listed = Schema.Struct({ next: Schema.NullOr(Schema.String) })
const decodeListed = Schema.decodeUnknownSync(Listed)

/** What ends the list of VMs. */
const isLast = async (response: Response): Promise<boolean> =>
  new URL(response.url()).pathname === "/api/v1/vms" && decodeListed(await response.json()).next === null

// -------------------------------------------------------------------------------------------------------------- memory

/** MiB that scripts hold, when what nobody needs is gone. */
const held = async (session: CDPSession) => {
  await session.send("HeapProfiler.collectGarbage")
  const { usedSize } = await session.send("Runtime.getHeapUsage")
  return usedSize / 1024 ** 2
}

const perSecond = 1000

const profiled = (session: CDPSession, folder: string, name: string, use: Effect.Effect<void, BenchError>) =>
  Effect.gen(function* () {
    yield* inBrowser("a profile", async () => {
      await session.send("Profiler.enable")
      await session.send("Profiler.start")
    })
    yield* use
    const { profile } = yield* inBrowser("a profile", () => session.send("Profiler.stop"))
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, `${name}.cpuprofile`), JSON.stringify(profile))
  })

const changing = ({ minutes, profile, vms }: Asked) =>
  Effect.gen(function* () {
    const controller = yield* served(200, vms)
    const relay = yield* Relay.started(controller)
    const browser = yield* Browsers.browser
    const bare = yield* Bare.browser(Browsers.file)
    const usable = (rate: number) => bare.opened(`${controller}/ui/vms`, isUsable, rate)
    // the first starts what a browser starts once
    yield* usable(1)
    const loads = yield* Effect.replicateEffect(usable(slower), rounds)
    const quick = yield* Effect.replicateEffect(usable(1), rounds)
    const kilobytes = yield* firstLoad(browser, controller)
    const context = yield* opened(browser)
    const page = yield* inBrowser("the list of VMs", async () => {
      const page = await context.newPage()
      const whole = page.waitForResponse(isLast, { timeout: 120_000 })
      await page.goto(`${relay.url}/ui/vms`)
      await live(page)
      await page.getByRole("table", { name: "VMs" }).waitFor()
      await (await whole).finished()
      return page
    })
    yield* Effect.sleep("1 second")
    const session = yield* inBrowser("its tools", () => context.newCDPSession(page))
    const still = yield* scrolled(page, session)
    relay.pace(perSecond)
    yield* Effect.sleep("5 seconds")
    if (profile !== null) yield* profiled(session, profile, "gui", Effect.sleep("10 seconds"))
    const full = yield* Effect.replicateEffect(scrolled(page, session), 3)
    yield* inBrowser("slower", () => session.send("Emulation.setCPUThrottlingRate", { rate: slower }))
    const slow = yield* Effect.replicateEffect(scrolled(page, session), 2)
    yield* inBrowser("no slower", () => session.send("Emulation.setCPUThrottlingRate", { rate: 1 }))
    const before = yield* inBrowser("memory", () => held(session))
    const told = relay.told()
    const later = yield* Effect.replicateEffect(
      Effect.delay(
        inBrowser("memory", () => held(session)),
        "1 minute"
      ),
      minutes
    )
    const since = relay.told()
    const seconds = minutes * 60
    const p95 = (what: string, all: ReadonlyArray<Frames>, most?: number): ReadonlyArray<Figure> => {
      const of = (part: keyof Frames) => all.map((one) => at(one[part], 0.95))
      return [
        figure(`${what}: work of the page's thread in a frame, p95`, "ms", of("worked"), most),
        figure(`${what}: how long that took by the clock, p95`, "ms", of("took")),
        figure(`${what}: from one frame to the next, p95`, "ms", of("apart"))
      ]
    }
    const of = `${vms.toLocaleString("en")} VMs`
    return [
      figure(`${of}: usable, processor ${slower} times slower`, "ms", loads, 1000),
      figure(`${of}: usable`, "ms", quick),
      figure("JavaScript of the first load, compressed", "KB", [kilobytes], 300),
      figure(
        `${of}: elements while scrolling`,
        "elements",
        [still, ...full, ...slow].map(({ nodes }) => nodes),
        1500
      ),
      ...p95(`${of}, scrolled while nothing changes`, [still], 16.7),
      ...p95(`${of}, scrolled with ${perSecond} changes/s`, full, 16.7),
      ...p95(`${of}, the same, processor ${slower} times slower`, slow),
      ...(minutes === 0
        ? []
        : [
            figure("changes told", "a second", [(since.events - told.events) / seconds]),
            figure("VMs read again", "a second", [(since.reads - told.reads) / seconds]),
            figure("memory of scripts at the begin", "MiB", [before]),
            figure(`memory of scripts, more after ${minutes} min`, "MiB", [(later.at(-1) ?? Number.NaN) - before], 5)
          ])
    ]
  }).pipe(Effect.scoped)

export const measure = (
  asked: Asked
): Effect.Effect<ReadonlyArray<Figure>, { readonly message: string }, Scope.Scope> =>
  Effect.gen(function* () {
    yield* Program.bundle("guiProgram", "hostsProgram")
    yield* inBrowser("the build of the web interface", Browsers.built)
    const others = yield* seenByOthers
    const many = yield* changing(asked)
    return [...others, ...many]
  })
