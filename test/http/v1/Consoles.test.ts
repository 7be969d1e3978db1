/** Ways into VMs, as they are seen by whoever opens WebSockets: the whole controller behind its guard, with hosts in memory. */
import { assert, describe, it } from "@effect/vitest"
import * as HttpServer from "@effect/platform/HttpServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import { request } from "node:http"
import { connect } from "node:net"
import { WebSocket } from "ws"
import * as AppTest from "../../../layers/AppTest.ts"
import { HypervisorTestState } from "../../../layers/HypervisorTest.ts"
import type { Role } from "../../../src/domain/Identity.ts"
import { UserName } from "../../../src/domain/Identity.ts"
import { InstanceTypeId, VmId } from "../../../src/domain/Ids.ts"
import { Vms } from "../../../src/fabric/Vms.ts"
import * as Router from "../../../src/http/Router.ts"
import * as Server from "../../../src/http/Server.ts"
import { Identity } from "../../../src/services/Identity.ts"
import { Inventory } from "../../../src/services/Inventory.ts"
import * as World from "../../fabric/World.ts"
import * as Contract from "./Contract.ts"

const quiet = Logger.remove(Logger.defaultLogger)

interface Answer {
  readonly status: number
  readonly json: Readonly<Record<string, unknown>>
}

/** Where a WebSocket is, and what opens it. */
interface Way {
  readonly path: string
  readonly protocols: readonly [string, string]
}

/** A WebSocket as its other side sees it. */
interface Heard {
  readonly socket: WebSocket
  text: string
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
}

/** A VM that runs, and two operators. */
const world = Effect.gen(function* () {
  const app = yield* Layer.build(Layer.provide(AppTest.layer, quiet))
  const context = yield* Layer.build(
    Router.layerWith({ loopback: true, publicNames: [], rateLimit: 1000 }).pipe(
      Layer.provide(Layer.succeedContext(app)),
      Layer.provideMerge(Server.layer({ host: "127.0.0.1", port: 0 })),
      Layer.provide(quiet)
    )
  )
  const { address } = Context.get(context, HttpServer.HttpServer)
  assert(address._tag === "TcpAddress")
  const { port } = address
  const identity = Context.get(app, Identity)
  const someone = Effect.fnUntraced(function* (name: string, role: Role) {
    const owner = UserName.make(name)
    if (!(yield* identity.users).some((user) => user.name === owner)) yield* identity.createUser({ name: owner, role })
    const { secret, token } = yield* identity.createToken({ name: "test", owner, role, expiresAt: null })
    return { authorization: `Bearer ${Redacted.value(secret)}`, id: token.id }
  })
  yield* someone("root", "admin")
  const ada = yield* someone("ada", "operator")
  const bob = yield* someone("bob", "operator")
  const made = yield* Context.get(app, Vms).create({ name: "web", instanceType: InstanceTypeId.make(1) })
  assert.strictEqual(made.id, VmId.make(1))
  const { host } = yield* Effect.flatMap(Context.get(app, Inventory).vm(made.id), ({ hostId }) =>
    Context.get(app, Inventory).host(hostId)
  )

  const ask = (
    method: string,
    path: string,
    who: { readonly authorization: string },
    body?: unknown,
    headers: Readonly<Record<string, string>> = {}
  ) =>
    Effect.async<Answer>((resume) => {
      const sent = request(
        {
          host: "127.0.0.1",
          port,
          method,
          path: `/api/v1${path}`,
          agent: false,
          headers: {
            authorization: who.authorization,
            ...headers,
            ...(body === undefined ? {} : { "content-type": "application/json" })
          }
        },
        (response) => {
          let text = ""
          response.setEncoding("utf8")
          response.on("data", (chunk: string) => (text += chunk))
          response.on("end", () =>
            resume(
              Effect.sync(() => ({
                status: response.statusCode ?? 0,
                json: Contract.members(JSON.parse(text || "{}"))
              }))
            )
          )
        }
      )
      sent.on("error", (error) => resume(Effect.die(error)))
      sent.end(body === undefined ? undefined : JSON.stringify(body))
    })

  const ticket = (who: { readonly authorization: string }, body: object = { kind: "serial" }, vm = 1) =>
    Effect.map(ask("POST", `/vms/${vm}/console-tickets`, who, body), ({ json, status }): Way => {
      assert.strictEqual(status, 201, JSON.stringify(json))
      return { path: String(json.path), protocols: ["vmfabric.console", `vmfabric.ticket.${String(json.ticket)}`] }
    })

  /** Either it is open, or this is what was answered. */
  const open = (
    { path, protocols }: Way,
    who: { readonly authorization: string },
    headers: Readonly<Record<string, string>> = {}
  ) =>
    Effect.acquireRelease(
      Effect.async<Heard | Answer>((resume) => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, [...protocols], {
          headers: { authorization: who.authorization, ...headers }
        })
        socket.on("error", () => {})
        const heard: Heard = {
          socket,
          text: "",
          closed: new Promise((done) => socket.on("close", (code, reason) => done({ code, reason: reason.toString() })))
        }
        socket.on("message", (data) => (heard.text += String(data)))
        socket.on("open", () => resume(Effect.succeed(heard)))
        socket.on("unexpected-response", (_request, response) => {
          let text = ""
          response.on("data", (chunk) => (text += String(chunk)))
          response.on("end", () =>
            resume(
              Effect.sync(() => ({
                status: response.statusCode ?? 0,
                json: Contract.members(JSON.parse(text || "{}"))
              }))
            )
          )
        })
      }),
      (heard) => Effect.sync(() => ("socket" in heard ? heard.socket.terminate() : undefined))
    )

  const opened = (path: Way, who: { readonly authorization: string }) =>
    Effect.map(open(path, who), (heard) => {
      assert("socket" in heard, JSON.stringify(heard))
      return heard
    })

  const hears = (heard: Heard, words: string) => World.eventually(Effect.sync(() => assert.include(heard.text, words)))

  return { app, ada, bob, ask, host, identity, open, opened, hears, port, someone, ticket }
})

/** Machines can be loaded: this only ends what hangs. */
const limit = 120_000

describe("a VM's serial console", () => {
  it.scopedLive(
    "is opened by a ticket, once, by whoever asked for it, and answers",
    () =>
      Effect.gen(function* () {
        const { ada, ask, bob, hears, identity, open, opened, someone, ticket } = yield* world
        const path = yield* ticket(ada)
        assert.strictEqual(path.path, "/api/v1/vms/1/console")
        assert.match(path.protocols[1], /^vmfabric\.ticket\.vmc_[\w-]{43}$/)
        // not a WebSocket: the ticket stays good
        const plain = yield* ask("GET", "/vms/1/console", ada, undefined, {
          "sec-websocket-protocol": path.protocols.join(", ")
        })
        assert.deepInclude(plain.json, { status: 400, code: "invalid_header", field: "Upgrade" })
        // nor is one whose ticket is in its address, which logs keep, or who would have the ticket answered as the protocol
        const [real, secret] = path.protocols
        const inAddress = `${path.path}?ticket=${secret.replace("vmfabric.ticket.", "")}`
        for (const wrong of [
          { path: inAddress, protocols: [real, real], said: { code: "invalid_argument", field: "ticket" } },
          {
            path: path.path,
            protocols: [secret, real],
            said: { code: "invalid_header", field: "sec-websocket-protocol" }
          }
        ] as const) {
          const headers = { "sec-websocket-protocol": wrong.protocols.join(", ") }
          const refused = yield* ask("GET", wrong.path.replace("/api/v1", ""), ada, undefined, headers)
          assert.deepInclude(refused.json, { status: 400, ...wrong.said })
          assert.notInclude(JSON.stringify(refused.json), "vmc_")
        }
        // at the same moment: one gets in
        const both = yield* Effect.all([open(path, ada), open(path, ada)], { concurrency: 2 })
        const refused = both.find((one): one is Answer => "status" in one)
        const line = both.find((one): one is Heard => "socket" in one)
        assert.deepInclude(refused?.json, { status: 403, code: "ticket_refused" })
        assert(line !== undefined)
        assert.strictEqual(line.socket.protocol, "vmfabric.console")
        assert.notInclude(line.socket.url, "vmc_")
        line.socket.send(Buffer.from("echo wri"))
        line.socket.send('tten\r"')
        yield* hears(line, "written\r\n")

        // somebody has it, and is named
        const busy = yield* ask("POST", "/vms/1/console-tickets", bob, { kind: "serial" })
        assert.deepInclude(busy.json, { status: 409, code: "console_busy" })
        assert.match(
          String(busy.json.detail),
          /^ada, since 20.*Z, has the serial console of VM \d+, which takes one at a time: it can be taken over \(with force\)/
        )
        const mine = yield* opened(yield* ticket(bob, { kind: "serial", force: true }), bob)
        assert.deepStrictEqual(yield* Effect.promise(() => line.closed), {
          code: 4001,
          reason: "bob has taken it over"
        })
        mine.socket.send("echo bob\n")
        yield* hears(mine, "bob\r\n")
        mine.socket.close()
        yield* Effect.promise(() => mine.closed)

        // a ticket that somebody else has shown is worth nothing any more
        const stolen = yield* World.eventually(ticket(ada))
        for (const who of [bob, yield* someone("ada", "operator"), ada]) {
          assert.deepInclude(yield* open(stolen, who), { status: 403 })
        }
        const other = yield* ticket(ada)
        assert.deepInclude(yield* open({ ...other, path: "/api/v1/vms/1/vnc" }, ada), { status: 403 })
        // nor may those who may only look
        const eve = yield* someone("eve", "viewer")
        assert.deepInclude((yield* ask("POST", "/vms/1/console-tickets", eve, { kind: "serial" })).json, {
          status: 403
        })
        assert.deepInclude(yield* open(yield* ticket(ada), { authorization: "Bearer nobody" }), { status: 401 })

        const entries = yield* identity.audited({ before: null, limit: 100 })
        const ways = entries.filter(({ path }) => path.includes("/vms/1/console"))
        assert.isTrue(ways.some(({ method, status, user }) => method === "POST" && status === 201 && user === "ada"))
        assert.isTrue(ways.some(({ method, status, user }) => method === "GET" && status === 101 && user === "bob"))
        assert.isTrue(ways.some(({ failed, method }) => method === "GET" && (failed ?? "").includes("somebody else")))
        assert.notInclude(JSON.stringify(ways), "vmc_")
      }),
    limit
  )

  it.scopedLive(
    "is no way in for a page of another site, and is closed in words when it is over",
    () =>
      Effect.gen(function* () {
        const { ada, app, host, identity, open, opened, port, ticket } = yield* world
        const hosts = Context.get(app, HypervisorTestState)
        const foreign = yield* open(yield* ticket(ada), ada, { origin: "https://evil.example" })
        assert.deepInclude("json" in foreign ? foreign.json : {}, { status: 403, code: "foreign_origin" })
        const own = yield* open(yield* ticket(ada), ada, { origin: `http://127.0.0.1:${port}` })
        assert("socket" in own)
        own.socket.close()
        yield* Effect.promise(() => own.closed)

        const line = yield* World.eventually(Effect.flatMap(ticket(ada), (path) => opened(path, ada)))
        const vm = yield* Context.get(app, Inventory).vm(VmId.make(1))
        const { domains } = yield* hosts.host(host)
        const domain = domains.get(vm.uuid)!
        yield* hosts.put(
          host,
          vm.uuid,
          { ...domain, state: "shutoff", reason: "the guest shut itself down", live: [], runs: null },
          "stopped"
        )
        assert.deepStrictEqual(yield* Effect.promise(() => line.closed), {
          code: 1000,
          reason: "the VM is off: the guest shut itself down"
        })

        yield* hosts.put(host, vm.uuid, domain, "started")
        const away = { code: 4003, reason: "whoever opened this would not be let in any more" }
        const shutOut = yield* World.eventually(Effect.flatMap(ticket(ada), (path) => opened(path, ada)))
        yield* identity.changeUser(UserName.make("ada"), { disabled: true })
        assert.deepStrictEqual(yield* Effect.promise(() => shutOut.closed), away)
        yield* identity.changeUser(UserName.make("ada"), { disabled: false })

        const revoked = yield* World.eventually(Effect.flatMap(ticket(ada), (path) => opened(path, ada)))
        yield* identity.removeToken(ada.id)
        assert.deepStrictEqual(yield* Effect.promise(() => revoked.closed), away)
      }),
    limit
  )

  it.scopedLive(
    "takes no more from its client than the guest does, and holds no flood",
    () =>
      Effect.gen(function* () {
        const { ada, opened, port, ticket } = yield* world
        const line = yield* opened(yield* ticket(ada), ada)
        line.socket.send(Buffer.alloc(1024 * 1024 + 1, "x"))
        assert.deepInclude(yield* Effect.promise(() => line.closed), { code: 1009 })

        // one message that never ends
        const { path, protocols } = yield* World.eventually(ticket(ada))
        const cut = yield* Effect.promise(
          () =>
            new Promise<number>((done) => {
              const raw = connect(port, "127.0.0.1")
              let sent = 0
              raw.on("error", () => {})
              raw.on("close", () => done(sent))
              raw.write(
                `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nauthorization: ${ada.authorization}\r\nupgrade: websocket\r\n` +
                  "connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                  `sec-websocket-protocol: ${protocols.join(", ")}\r\n\r\n`
              )
              raw.once("data", () => {
                const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x06, 0, 0, 0, 1, 2, 3, 4])
                raw.write(head)
                const pour = () => {
                  if (raw.destroyed) return
                  sent += 65_536
                  raw.write(Buffer.alloc(65_536), () => setImmediate(pour))
                }
                pour()
              })
            })
        )
        assert.isBelow(cut, 16 * 1024 * 1024)
      }),
    limit
  )
})

describe("a VM's screen", () => {
  it.scopedLive(
    "is for any number at a time, and greets as VNC does",
    () =>
      Effect.gen(function* () {
        const { ada, ask, bob, hears, opened, ticket } = yield* world
        const all = yield* Effect.forEach([ada, bob, ada], (who) =>
          Effect.flatMap(ticket(who, { kind: "vnc" }), (path) => opened(path, who))
        )
        for (const one of all) yield* hears(one, "RFB 003.008\n")
        assert.deepInclude((yield* ask("POST", "/vms/1/console-tickets", ada, { kind: "spice" })).json, { status: 400 })
        assert.deepInclude((yield* ask("POST", "/vms/9/console-tickets", ada, { kind: "vnc" })).json, { status: 404 })
        assert.deepInclude((yield* ask("POST", "/vms/1/console-tickets?plan=true", ada, { kind: "vnc" })).json, {
          status: 400
        })
      }),
    limit
  )
})
