/**
 * Groups whose VMs must be apart, through the whole API over a thousand SIMULATED hosts (values in memory, which take no time): ten thousand VMs that are
 * all asked for at once, and then every rule and every limit counted from what the API shows. How long the hosts take to make them is not measured: what
 * is asked for is answered when its place is promised.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as App from "../http/v1/App.ts"
import * as Contract from "../http/v1/Contract.ts"
import { simulated } from "./Figure.ts"
import { BenchError } from "./Process.ts"

const section = "groups"
const hosts = 1000
/** of each host, of which ten are asked for */
const room = 16
/** one group that has a VM on every host, and so many more that are to be refused */
const beyond = 20
/** groups whose VMs come together, all or none */
const whole = { groups: 500, members: 8 }
/** groups whose VMs come one by one */
const single = { groups: 500, members: 10 }
const expected = hosts + whole.groups * whole.members + single.groups * single.members

interface Wish {
  readonly path: string
  readonly body: object
}

const apart = (group: string) => ({ group, rules: [{ kind: "apart", over: "host" }] })

const one = (group: string, number: number): Wish => ({
  path: "/vms",
  body: { name: `${group}.${number}`, instanceType: 1, placement: apart(group) }
})

const numbers = (length: number) => Array.from({ length }, (_, i) => i + 1)

/** In an order that is the same in every run, in which no group's VMs stand side by side. */
const wishes = (): ReadonlyArray<Wish> => {
  const all = [
    ...numbers(hosts + beyond).map((number) => one("wide", number)),
    ...numbers(whole.groups).map((number): Wish => {
      const group = `whole${number}`
      const body = { name: group, instanceType: 1, count: whole.members, placement: apart(group) }
      return { path: "/vms/batch", body }
    }),
    ...numbers(single.members).flatMap((member) =>
      numbers(single.groups).map((number) => one(`single${number}`, member))
    )
  ]
  // 7919 is prime and shares nothing with how many there are
  return all.map((_, i) => all[(i * 7919) % all.length]).filter((wish) => wish !== undefined)
}

const quantile = (values: ReadonlyArray<number>, q: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN

export const measure = Effect.gen(function* () {
  const { ask, get } = yield* App.make(App.fleet(hosts, room), undefined, 60_000)
  const within = (what: string, seconds: number) =>
    Effect.timeoutFail({
      duration: `${seconds} seconds`,
      onTimeout: () => new BenchError({ message: `${what}: not within ${seconds} s` })
    })
  const fleetNow = Effect.map(get("/hosts"), App.items)
  yield* Effect.repeat(fleetNow, {
    until: (all) => all.length === hosts && all.every(({ status }) => status === "up"),
    schedule: Schedule.spaced("200 millis")
  }).pipe(within("all hosts up", 120))

  const took: Array<number> = []
  const began = performance.now()
  const answers = yield* Effect.forEach(
    wishes(),
    ({ body, path }) =>
      Effect.suspend(() => {
        const asked = performance.now()
        return Effect.tap(ask("POST", path, body), () => Effect.sync(() => void took.push(performance.now() - asked)))
      }),
    { concurrency: "unbounded" }
  )
  const answered = performance.now() - began
  const [unexpected] = answers.filter(({ status }) => status !== 202 && status !== 409)
  if (unexpected !== undefined) {
    return yield* new BenchError({ message: `a create: ${unexpected.status} ${JSON.stringify(unexpected.json)}` })
  }
  const refused = answers.filter(({ status }) => status === 409)
  const forRoom = refused.filter(({ json }) => json.code === "no_feasible_host").length

  const vms: Array<Readonly<Record<string, unknown>>> = []
  for (let path: string | null = "/vms?limit=1000"; path !== null;) {
    const page: App.Answer = yield* get(path)
    vms.push(...App.items(page))
    path = page.json.next === null ? null : `/vms?limit=1000&cursor=${String(page.json.next)}`
  }
  const places = new Map<string, Set<unknown>>()
  let together = 0
  for (const { hostId, placement } of vms) {
    const group = String(Contract.members(placement).group)
    const there = places.get(group) ?? new Set<unknown>()
    if (there.has(hostId)) together++
    places.set(group, there.add(hostId))
  }
  // of those that are all or none, the ones of which some are there
  const torn = numbers(whole.groups).filter((number) => {
    const size = places.get(`whole${number}`)?.size ?? 0
    return size !== 0 && size !== whole.members
  })
  const over = (yield* fleetNow).filter(({ capacity, promised }) => {
    const most = Contract.members(capacity)
    return Object.entries(Contract.members(promised)).some(([name, amount]) => Number(amount) > Number(most[name]))
  })
  const figure = simulated(section)
  const none = { kind: "at most", value: 0 } as const
  return [
    figure(`VMs placed of ${expected + beyond} asked for at once, on 1,000 hosts`, "VMs", vms.length, {
      kind: "at least",
      value: expected
    }),
    figure("of a group on a host that has one of it", "VMs", together, none),
    figure(
      "whose must-rules do not hold, by the API",
      "VMs",
      vms.filter(({ violations }) => JSON.stringify(violations) !== "[]").length,
      none
    ),
    figure("groups of which only a part is there", "groups", torn.length, none),
    figure("hosts that have promised more than they may", "hosts", over.length, none),
    figure(
      "refused beside those for which no host is left",
      "requests",
      Math.abs(forRoom - beyond) + refused.length - forRoom,
      none
    ),
    figure(
      "neither running nor being created",
      "VMs",
      vms.filter(({ state }) => state !== "running" && state !== "creating").length,
      none
    ),
    figure("until all had been answered", "s", answered / 1000),
    figure("VMs placed a second", "VMs/s", vms.length / (answered / 1000)),
    figure("an answer, with all requests on their way, p50", "ms", quantile(took, 0.5)),
    figure("an answer, p99", "ms", quantile(took, 0.99))
  ]
})
