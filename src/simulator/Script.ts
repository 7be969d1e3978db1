/**
 * Fault scripts: what goes wrong with a simulated fleet, and when. One fault a line, as a person would say it:
 *
 * ```
 * at 10s: host 7 dies
 * at 30s: host 7 boots
 * at 20s for 30s: network of host 2 is cut
 * from 0s: 3 % of calls take 2s        # until the end
 * every 30s: a random guest crashes
 * ```
 *
 * `Script.parse(text)`, then `Script.run(script, fleet)` beside what it is to disturb: it goes by whatever Clock is there, and what is random in
 * it is decided by the fleet's seed. All there is to say is in `help` of `config/FaultScript.ts`.
 *
 * @since 0.3.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import * as InputFiles from "../config/InputFiles.ts"
import type { Cluster } from "./Cluster.ts"
import { randomFrom } from "./HostState.ts"
import type { SimulatedHost } from "./SimulatedHost.ts"

/** Which host: its number in the fleet, from 1, or whichever chance has. @since 0.3.0 @category models */
export type Which = number | "random"

/** @since 0.3.0 @category models */
export type Fault =
  | { readonly _tag: "Power"; readonly host: Which; readonly on: boolean }
  | { readonly _tag: "Libvirtd"; readonly host: Which; readonly what: "stops" | "starts" | "hangs" | "goes on" }
  | { readonly _tag: "Network"; readonly host: Which; readonly cut: boolean }
  | { readonly _tag: "Connections"; readonly host: Which }
  | { readonly _tag: "Refuse"; readonly host: Which; readonly on: boolean }
  /** `name` undefined: a random one, of that host or of all */
  | { readonly _tag: "Crash"; readonly name: string | undefined; readonly host: Which | undefined }
  /** `share` from 0 to 1; `delay` undefined: they fail */
  | { readonly _tag: "Calls"; readonly share: number; readonly delay: Duration.Duration | undefined }
  | { readonly _tag: "Pool"; readonly on: boolean }

/** @since 0.3.0 @category models */
export interface Line {
  /** from 1 */
  readonly number: number
  /** as it was written, without its time */
  readonly text: string
  readonly when: "once" | "every"
  /** from the script's beginning, and for `every` between two times */
  readonly time: Duration.Duration
  /** then it is taken back; undefined: never */
  readonly lasts: Duration.Duration | undefined
  readonly fault: Fault
}

/** @since 0.3.0 @category models */
export type Script = ReadonlyArray<Line>

// ---------------------------------------------------------------------------------------------------------------- parsing

/** What is wrong at a place of a line. */
class Unexpected extends Error {
  readonly column: number
  readonly found: string
  readonly expected: string
  constructor(column: number, found: string, expected: string) {
    super(expected)
    this.column = column
    this.found = found
    this.expected = expected
  }
}

const milliseconds: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** The words of a line, taken one after another. */
class Words {
  private readonly line: string
  private at = 0

  constructor(line: string) {
    this.line = line
  }

  private skip(): void {
    while (/[ \t]/.test(this.line.charAt(this.at))) this.at++
  }

  private peek(): string {
    this.skip()
    return /^(?:[:%]|[^\s:%]+)/.exec(this.line.slice(this.at))?.[0] ?? ""
  }

  fail(expected: string): never {
    const found = this.peek()
    throw new Unexpected(
      this.at + 1,
      found === "" ? "the line ends here" : `${JSON.stringify(found)} is not understood`,
      expected
    )
  }

  /** The rest of the line. */
  get rest(): string {
    this.skip()
    return this.line.slice(this.at).trimEnd()
  }

  /** Takes these words when they are what comes. */
  takes(text: string): boolean {
    const before = this.at
    for (const word of text.split(" ")) {
      if (this.peek() !== word) {
        this.at = before
        return false
      }
      this.at += word.length
    }
    return true
  }

  /** Takes one of these, which have to come. */
  oneOf<A extends string>(...choices: ReadonlyArray<A>): A {
    const found = choices.find((choice) => this.takes(choice))
    return found ?? this.fail(choices.join(", ").replace(/, ([^,]*)$/, " or $1"))
  }

  private matching<A>(pattern: RegExp, expected: string, read: (match: RegExpExecArray) => A | undefined): A {
    const word = this.peek()
    const match = pattern.exec(word)
    const value = match === null ? undefined : read(match)
    if (value === undefined) return this.fail(expected)
    this.at += word.length
    return value
  }

  time(): Duration.Duration {
    return this.matching(/^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)$/, "a time as in 500ms, 10s or 1.5m", ([, amount, unit]) =>
      Duration.millis(Number(amount) * (milliseconds[unit ?? ""] ?? 0))
    )
  }

  host(): Which {
    if (this.takes("a random host")) return "random"
    if (!this.takes("host")) return this.fail("host N or a random host")
    return this.matching(/^[1-9][0-9]{0,6}$/, "a host's number, from 1", ([number]) => Number(number))
  }

  name(): string {
    return this.matching(/^[^\s:%]+$/, "a guest's name as in vm-7", ([name]) => name)
  }

  /** Undefined: it is no number that comes. */
  percent(): number | undefined {
    if (!/^[0-9]/.test(this.peek())) return undefined
    const share = this.matching(/^([0-9]+(?:\.[0-9]+)?)$/, "a number from 0 to 100 and %", ([, amount]) =>
      Number(amount) <= 100 ? Number(amount) / 100 : undefined
    )
    if (!this.takes("%")) return this.fail("%")
    return share
  }

  end(): void {
    if (this.peek() !== "") this.fail("the end of the line")
  }
}

const subjects = "host N, a random host, libvirtd of, network of, a random guest, guest NAME, P % of calls or the pool"

const fault = (words: Words): Fault => {
  const share = words.percent()
  if (share !== undefined) {
    if (!words.takes("of calls")) return words.fail("of calls")
    return words.oneOf("take", "fail") === "fail"
      ? { _tag: "Calls", share, delay: undefined }
      : { _tag: "Calls", share, delay: words.time() }
  }
  if (words.takes("libvirtd of")) {
    const host = words.host()
    return { _tag: "Libvirtd", host, what: words.oneOf("stops", "starts", "hangs", "goes on") }
  }
  if (words.takes("network of")) {
    const host = words.host()
    return { _tag: "Network", host, cut: words.oneOf("is cut", "is mended") === "is cut" }
  }
  if (words.takes("the pool")) return { _tag: "Pool", on: words.oneOf("stops", "goes on") === "goes on" }
  if (words.takes("a random guest")) {
    const host = words.takes("of") ? words.host() : undefined
    words.oneOf("crashes")
    return { _tag: "Crash", name: undefined, host }
  }
  if (words.takes("guest")) {
    const name = words.name()
    words.oneOf("of")
    const host = words.host()
    words.oneOf("crashes")
    return { _tag: "Crash", name, host }
  }
  if (!/^(?:host|a random host)(?:\s|$)/.test(words.rest)) return words.fail(subjects)
  const host = words.host()
  const what = words.oneOf("dies", "boots", "loses its connections", "refuses connections", "accepts connections")
  switch (what) {
    case "loses its connections":
      return { _tag: "Connections", host }
    case "refuses connections":
    case "accepts connections":
      return { _tag: "Refuse", host, on: what === "refuses connections" }
    default:
      return { _tag: "Power", host, on: what === "boots" }
  }
}

/** What a fault is followed by when it lasts so long; undefined: it cannot be taken back. */
const opposite = (of: Fault): Fault | undefined => {
  switch (of._tag) {
    case "Power":
      return { ...of, on: !of.on }
    case "Libvirtd": {
      const others = { stops: "starts", starts: "stops", hangs: "goes on", "goes on": "hangs" } as const
      return { ...of, what: others[of.what] }
    }
    case "Network":
      return { ...of, cut: !of.cut }
    case "Refuse":
    case "Pool":
      return { ...of, on: !of.on }
    case "Calls":
      return of
    default:
      return undefined
  }
}

const parseLine = (number: number, line: string): Line | undefined => {
  const words = new Words(line.replace(/(^|\s)#.*$/, ""))
  if (words.rest === "") return undefined
  const when = words.oneOf("at", "from", "every")
  const time = words.time()
  const lasts = words.takes("for") ? words.time() : undefined
  if (when === "every" && Duration.toMillis(time) === 0) return words.fail("a time longer than 0")
  if (!words.takes(":")) return words.fail(lasts === undefined ? "a colon, or for TIME" : "a colon")
  const text = words.rest
  const found = fault(words)
  words.end()
  if (lasts !== undefined && opposite(found) === undefined) return words.fail("no for TIME: that cannot be taken back")
  return { number, text, when: when === "every" ? "every" : "once", time, lasts, fault: found }
}

const hostIn = (of: Fault): Which | undefined => ("host" in of ? of.host : undefined)

/** Every problem of the script at once. `hosts`: how many the fleet has. @since 0.3.0 @category parsing */
export const parse = (
  text: string,
  options: { readonly file?: string; readonly hosts?: number } = {}
): Either.Either<Script, InputFiles.InputFileError> => {
  const { file = "faults", hosts } = options
  const problems: Array<InputFiles.InputProblem> = []
  const lines = text.split(/\r?\n/).flatMap((line, index): ReadonlyArray<Line> => {
    try {
      const parsed = parseLine(index + 1, line)
      if (parsed === undefined) return []
      const host = hostIn(parsed.fault)
      if (typeof host === "number" && hosts !== undefined && host > hosts) {
        const column = line.lastIndexOf(`host ${host}`) + "host ".length + 1
        problems.push({
          file,
          line: index + 1,
          column,
          problem: `there is no host ${host}`,
          expected: `a number from 1 to ${hosts}`
        })
        return []
      }
      return [parsed]
    } catch (error) {
      if (!(error instanceof Unexpected)) throw error
      problems.push({ file, line: index + 1, column: error.column, problem: error.found, expected: error.expected })
      return []
    }
  })
  const [first, ...others] = problems
  return first === undefined
    ? Either.right(lines)
    : Either.left(new InputFiles.InputFileError({ problems: [first, ...others] }))
}

// ---------------------------------------------------------------------------------------------------------------- running

/** What a script disturbs. @since 0.3.0 @category models */
export interface Stage {
  readonly hosts: ReadonlyArray<SimulatedHost>
  readonly cluster?: Cluster
  readonly seed?: number
}

/** libvirt's for what went wrong inside the daemon */
const internalError = 1

/**
 * Runs the script, from now on, until its last line has been played; one with `every` never ends. Interrupted, it leaves things as they then
 * are. Each fault is logged when it comes.
 *
 * @since 0.3.0 @category combinators
 */
export const run = (script: Script, stage: Stage): Effect.Effect<void> =>
  Effect.gen(function* () {
    const began = yield* Clock.currentTimeMillis
    const random = randomFrom((stage.seed ?? 1) ^ 0xfa17)
    const pick = <A>(from: ReadonlyArray<A>): A | undefined => from[Math.floor(random() * from.length)]

    const log = (number: number, text: string) =>
      Effect.logWarning(`SIMULATED: ${text}`).pipe(Effect.annotateLogs("line", number))

    const crash = (host: SimulatedHost | undefined, name: string | undefined) => {
      const there = (host === undefined ? stage.hosts : [host]).filter((one) => one.hasGuests())
      const on = pick(there)
      const guest = name ?? (on === undefined ? undefined : pick(on.guests())?.name)
      return on === undefined || guest === undefined
        ? Effect.succeed("no guest runs")
        : Effect.map(on.faults.crashGuest(guest), (crashed) =>
            crashed ? `${guest} on ${on.hostname} crashed` : `${guest} does not run on ${on.hostname}`
          )
    }

    /** Does it, and gives what it came to when chance had a part in it, and how it is taken back. */
    const play = (of: Fault): Effect.Effect<{ readonly what?: string; readonly back: Effect.Effect<void> }> => {
      if (of._tag === "Calls") {
        const what = of.delay ?? { code: internalError, message: "internal error: a simulated failure" }
        return Effect.map(
          Effect.forEach(stage.hosts, ({ faults }) => faults.befall({ share: of.share, random, what })),
          (backs) => ({ back: Effect.all(backs, { discard: true }) })
        )
      }
      if (of._tag === "Pool") {
        const set = (on: boolean) => stage.cluster?.faults.osdsDead(!on) ?? Effect.void
        return Effect.as(set(of.on), { back: set(!of.on) })
      }
      const which = of.host
      const host = which === "random" ? pick(stage.hosts) : which === undefined ? undefined : stage.hosts[which - 1]
      if (of._tag === "Crash") return Effect.map(crash(host, of.name), (what) => ({ what, back: Effect.void }))
      if (host === undefined) return Effect.succeed({ what: "there is no such host", back: Effect.void })
      const back = opposite(of)
      const act = (fault: Fault): Effect.Effect<void> => actOn(host, fault)
      return Effect.as(act(of), {
        ...(which === "random" ? { what: host.hostname } : {}),
        back: back === undefined ? Effect.void : act(back)
      })
    }

    const once = ({ fault, lasts, number, text }: Line) =>
      Effect.gen(function* () {
        const { back, what } = yield* play(fault)
        yield* log(number, what === undefined ? text : `${text} (${what})`)
        if (lasts === undefined) return
        yield* Effect.sleep(lasts)
        yield* back
        yield* log(number, `${text}: over`)
      })

    /** Not later for what has been done meanwhile. */
    const until = (time: number) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.sleep(Duration.millis(Math.max(0, began + time - now))))

    const line = (one: Line): Effect.Effect<void> => {
      const time = Duration.toMillis(one.time)
      if (one.when === "once") return Effect.zipRight(until(time), once(one))
      let turn = 0
      return Effect.suspend(() => until(++turn * time)).pipe(
        // what lasts longer than until the next time is not waited for
        Effect.zipRight(one.lasts === undefined ? once(one) : Effect.fork(once(one))),
        Effect.repeat(Schedule.forever),
        Effect.asVoid
      )
    }
    yield* Effect.forEach(script, line, { concurrency: "unbounded", discard: true })
  })

const actOn = (host: SimulatedHost, of: Fault): Effect.Effect<void> => {
  const { faults } = host
  switch (of._tag) {
    case "Power":
      return of.on ? faults.bootAgain : faults.losePower
    case "Libvirtd":
      switch (of.what) {
        case "stops":
          return faults.stopLibvirtd
        case "starts":
          return faults.startLibvirtd
        case "hangs":
          return faults.hang("all", true)
        case "goes on":
          return faults.hang("all", false)
      }
    case "Network":
      return of.cut ? faults.cutNetwork : faults.mendNetwork
    case "Refuse":
      return faults.refuseConnections(of.on)
    case "Connections":
      return faults.dropConnections
    default:
      return Effect.void
  }
}
