/** The guarded router on a real socket, over a fabric that answers from memory, and a clock that can be put forward. */
import * as HttpServer from "@effect/platform/HttpServer"
import { assert } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { request } from "node:http"
import * as EventLogTest from "../../layers/EventLogTest.ts"
import * as IdentityTest from "../../layers/IdentityTest.ts"
import * as WebhooksTest from "../../layers/WebhooksTest.ts"
import * as Errors from "../../src/domain/Errors.ts"
import { type Role, UserName } from "../../src/domain/Identity.ts"
import type * as Guard from "../../src/http/Guard.ts"
import * as Router from "../../src/http/Router.ts"
import * as Server from "../../src/http/Server.ts"
import { Hosts } from "../../src/fabric/Hosts.ts"
import { Images } from "../../src/fabric/Images.ts"
import { ImageIntake } from "../../src/fabric/ImageIntake.ts"
import { ImagePublishing } from "../../src/fabric/ImagePublishing.ts"
import { InstanceTypes } from "../../src/fabric/InstanceTypes.ts"
import { Networks } from "../../src/fabric/Networks.ts"
import { Nics } from "../../src/fabric/Nics.ts"
import { Placements } from "../../src/fabric/Placements.ts"
import { Plans } from "../../src/fabric/Plans.ts"
import { Pools } from "../../src/fabric/Pools.ts"
import { Backup } from "../../src/services/Backup.ts"
import { Examinations } from "../../src/fabric/Doctor.ts"
import { Inspections } from "../../src/fabric/Inspections.ts"
import { Reach } from "../../src/fabric/Reach.ts"
import { Power } from "../../src/fabric/Power.ts"
import { Requests } from "../../src/fabric/Requests.ts"
import { Retries } from "../../src/fabric/Retries.ts"
import { Reality } from "../../src/fabric/Reality.ts"
import { Vms } from "../../src/fabric/Vms.ts"
import { Volumes } from "../../src/fabric/Volumes.ts"
import { Identity } from "../../src/services/Identity.ts"
import { Operations } from "../../src/services/Operations.ts"
import * as Vm from "../domain/Vm.ts"

const vm = Vm.named("web")
const report = { vm, seen: null, host: { _tag: "Up" }, drift: [], addresses: null, violations: [] } as const

/** What the guard lets through to it is in `calls`. What is not here answers with an internal error, which is through, too. */
const makeFabric = () => {
  const calls: Array<string> = []
  const layer = Layer.mergeAll(
    Layer.mock(Vms, {
      create: ({ name }) => {
        calls.push(`create ${name}`)
        switch (name) {
          case "full":
            return new Errors.NoFeasibleHost({ refusals: [] })
          case "defect":
            return Effect.die(new Error("secret insides"))
          default:
            return Effect.succeed(vm)
        }
      },
      list: () => Effect.succeed([])
    }),
    Layer.mock(Volumes, {
      destroy: (id) => {
        calls.push(`destroy ${id}`)
        return id === 7 ? Effect.void : new Errors.VolumeNotFound({ volumeId: id })
      }
    }),
    Layer.mock(Reality, {
      vms: Effect.succeed([]),
      vm: (id) => {
        calls.push(`read ${id}`)
        return id === vm.id ? Effect.succeed(report) : new Errors.VmNotFound({ vmId: id })
      },
      page: (_filter, _order, after, limit) => {
        calls.push(`page of ${limit} after ${after?.id ?? "none"}`)
        return Effect.succeed({ items: [report, report], next: { value: vm.id, id: vm.id }, total: 3 })
      }
    }),
    Layer.mock(InstanceTypes, {}),
    Layer.mock(ImageIntake, {}),
    Layer.mock(ImagePublishing, {}),
    Layer.mock(Requests, {}),
    Layer.mock(Retries, {}),
    Layer.mock(Images, { types: Effect.succeed([]) }),
    Layer.mock(Hosts, {}),
    Layer.mock(Inspections, {}),
    Layer.mock(Backup, {}),
    Layer.mock(Examinations, {}),
    Layer.mock(Reach, {}),
    Layer.mock(Placements, {}),
    Layer.mock(Plans, { plan: () => new Errors.ImageNotFound({ imageId: 100, known: [] }) }),
    Layer.mock(Pools, {}),
    Layer.mock(Nics, {}),
    Layer.mock(Networks, {}),
    Layer.mock(Power, {}),
    Layer.mock(Operations, {})
  )
  return { calls, layer }
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly text: string
}

export interface Asked {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** It stands still unless it is put forward. */
const forward = () => {
  const real = Clock.make()
  let at = real.unsafeCurrentTimeMillis()
  const now = () => at
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: now,
    currentTimeMillis: Effect.sync(now),
    unsafeCurrentTimeNanos: () => real.unsafeCurrentTimeNanos(),
    currentTimeNanos: real.currentTimeNanos,
    sleep: (duration) => real.sleep(duration)
  }
  return { clock, by: (milliseconds: number) => void (at += milliseconds) }
}

export const password = Redacted.make("correct horse battery staple")

/** `log`: every line that was logged, with its cause. */
export const make = Effect.fn("Guarded.make")(function* (
  options: Partial<Omit<Guard.Options, "needs">> & { readonly host?: string } = {}
) {
  const { host = "127.0.0.1", ...guarding } = options
  const fabric = makeFabric()
  const { by, clock } = forward()
  const log: Array<string> = []
  const logger = Logger.replace(
    Logger.defaultLogger,
    Logger.make((line) => void log.push(Logger.logfmtLogger.log(line)))
  )
  const context = yield* Layer.build(
    Router.layerWith({ loopback: true, publicNames: [], rateLimit: 1000, ...guarding }).pipe(
      Layer.provide(fabric.layer),
      Layer.provide(WebhooksTest.layer),
      Layer.provide(EventLogTest.layer),
      Layer.provideMerge(IdentityTest.layer),
      Layer.provideMerge(Server.layer({ host, port: 0 })),
      Layer.provide(logger),
      Layer.provide(Layer.setClock(clock))
    )
  )
  const identity = Context.get(context, Identity)
  const { address } = Context.get(context, HttpServer.HttpServer)
  assert(address._tag === "TcpAddress")
  const { port } = address

  const ask = (method: string, path: string, { body, headers = {} }: Asked = {}) =>
    Effect.async<Answer>((resume) => {
      const sent = request({ host, port, method, path, headers, agent: false }, (response) => {
        let text = ""
        response.setEncoding("utf8")
        response.on("data", (chunk: string) => (text += chunk))
        response.on("end", () =>
          resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, text }))
        )
      })
      sent.on("error", (error) => resume(Effect.die(error)))
      sent.end(body)
      return Effect.sync(() => sent.destroy())
    })

  const json = (method: string, path: string, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    ask(method, path, { headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) })

  /** A user of that role with a token; gives the header that holds it. */
  const someone = Effect.fnUntraced(function* (role: Role, expiresAt: number | null = null) {
    const owner = UserName.make(`the-${role}`)
    const known = (yield* identity.users).some(({ name }) => name === owner)
    if (!known) yield* identity.createUser({ name: owner, role })
    const { secret } = yield* identity.createToken({ name: "test", owner, role, expiresAt })
    return { authorization: `Bearer ${Redacted.value(secret)}` }
  })

  /** An admin is there, so who is on this machine is nobody by that. */
  const admins = someone("admin")

  return { admins, ask, fabric, forward: by, identity, json, log, now: clock.currentTimeMillis, port, someone }
})
