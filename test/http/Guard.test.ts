import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { connect } from "node:net"
import { UserName } from "../../src/domain/Identity.ts"
import * as Secrets from "../../src/http/Secrets.ts"
import * as Needs from "../../src/http/Needs.ts"
import { api } from "../../src/api/Api.ts"
import * as World from "../fabric/World.ts"
import * as Quota from "../../src/domain/Quota.ts"
import * as Guarded from "./Guarded.ts"

// hashing passwords takes its time, and several in a row take it on a busy machine
vi.setConfig({ testTimeout: 60_000 })

/** What the guard says, and nobody behind it. */
const refused = [401, 403, 421, 429]

describe("the guard, route by route", () => {
  it.scopedLive(
    "lets everybody have the files of the web interface, which are no secret, but no foreign page and no other name",
    () =>
      Effect.gen(function* () {
        const { admins, ask } = yield* Guarded.make()
        yield* admins
        for (const path of ["/", "/ui", "/ui/vms/7", "/ui/assets/none.js"]) {
          const open = yield* ask("GET", path)
          assert.notInclude(refused, open.status, path)
          for (const headers of [{ origin: "http://evil.example" }, { "sec-fetch-site": "cross-site" }]) {
            assert.strictEqual((yield* ask("GET", path, { headers })).status, 403, path)
          }
          assert.strictEqual((yield* ask("GET", path, { headers: { host: "evil.example" } })).status, 421, path)
        }
      })
  )

  it.scopedLive("lets links of other sites lead to the web interface, and to nothing else", () =>
    Effect.gen(function* () {
      const { admins, ask, fabric } = yield* Guarded.make()
      const admin = yield* admins
      const link = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" }
      const status = (path: string, headers: Record<string, string>, method = "GET") =>
        Effect.map(ask(method, path, { headers: { ...admin, ...headers } }), (answer) => answer.status)
      for (const path of ["/ui", "/ui/", "/ui/vms/7", "/ui?q=1"]) {
        for (const more of [{}, { referer: "http://wiki.example/runbook" }, { "sec-fetch-site": "same-site" }]) {
          assert.notInclude(refused, yield* status(path, { ...link, ...more }), path)
        }
        assert.strictEqual(yield* status(path, link, "POST"), 403, path)
        for (const more of [
          { "sec-fetch-mode": "no-cors" },
          { "sec-fetch-mode": "cors" },
          { "sec-fetch-dest": "iframe" },
          { "sec-fetch-dest": "script" },
          { origin: "http://evil.example" }
        ]) {
          assert.strictEqual(yield* status(path, { ...link, ...more }), 403, `${path} ${JSON.stringify(more)}`)
        }
        assert.strictEqual(yield* status(path, { ...link, host: "evil.example" }), 421, path)
      }
      for (const path of [
        "/volume/destroy?volumeid=7",
        "/volume/destroy?volumeid=7&x=/ui/",
        "//ui/",
        "/uix",
        "/UI/",
        "/api/v1/vms",
        "/api/v1/session",
        "/docs",
        "/metrics",
        "/healthz"
      ]) {
        assert.strictEqual(yield* status(path, link), 403, path)
      }
      assert.deepStrictEqual(fabric.calls, [])
    })
  )

  it.scopedLive("names the role that is needed, each in the manner of its route", () =>
    Effect.gen(function* () {
      const { admins, ask, someone } = yield* Guarded.make()
      yield* admins
      const headers = yield* someone("viewer")
      const old = yield* ask("GET", "/pm/maintenance?pmid=1&on=1", { headers })
      assert.strictEqual(old.headers["content-type"], "application/json")
      assert.deepStrictEqual(JSON.parse(old.text), {
        status: 0,
        error: "this needs the role admin, and the-viewer asks with the role viewer"
      })
      const problem = yield* ask("GET", "/api/v1/users", { headers })
      assert.strictEqual(problem.headers["content-type"], "application/problem+json")
      assert.deepInclude(JSON.parse(problem.text), {
        status: 403,
        code: "not_allowed",
        detail: "this needs the role admin, and the-viewer asks with the role viewer"
      })
      const nobody = yield* ask("GET", "/api/v1/users")
      assert.strictEqual(nobody.headers["www-authenticate"], 'Bearer realm="vmfabric"')
      assert.deepInclude(JSON.parse(nobody.text), { status: 401, code: "unauthenticated" })
      const old401 = yield* ask("GET", "/vm/list")
      assert.strictEqual(old401.headers["www-authenticate"], 'Bearer realm="vmfabric"')
      assert.match(old401.text, /^\{"vms":\[\],"error":"who asks is not known: /)
    })
  )

  it.scopedLive("answers HEAD as GET, but where that changes something", () =>
    Effect.gen(function* () {
      const { admins, ask, fabric } = yield* Guarded.make()
      const headers = yield* admins
      for (const path of ["/healthz", "/openapi.json", "/vm/list", "/api/v1/vms/7", "/ui/", "/metrics"]) {
        const got = yield* ask("GET", path, { headers })
        const head = yield* ask("HEAD", path, { headers })
        assert.deepStrictEqual([path, head.status, head.text], [path, got.status, ""])
        assert.strictEqual(head.headers["content-type"], got.headers["content-type"])
      }
      assert.strictEqual((yield* ask("HEAD", "/healthz")).status, 200)
      assert.strictEqual((yield* ask("HEAD", "/vm/list")).status, 401)
      assert.strictEqual((yield* ask("HEAD", "/nothing", { headers })).status, 404)
      const before = fabric.calls.length
      const refused = yield* ask("HEAD", "/volume/destroy?volumeid=7", { headers })
      assert.deepStrictEqual([refused.status, refused.headers["allow"]], [405, "GET, POST"])
      assert.lengthOf(fabric.calls, before)
    })
  )

  it.scopedLive("stands before the read that is answered before the router, too", () =>
    Effect.gen(function* () {
      const { admins, ask, fabric, someone } = yield* Guarded.make({ rateLimit: 1 })
      yield* admins
      const path = "/api/v1/vms/7"
      assert.deepInclude(JSON.parse((yield* ask("GET", path)).text), { code: "unauthenticated" })
      const headers = yield* someone("viewer")
      const foreign = yield* ask("GET", path, { headers: { ...headers, origin: "http://evil.example" } })
      assert.deepInclude(JSON.parse(foreign.text), { code: "foreign_origin" })
      const renamed = yield* ask("GET", path, { headers: { ...headers, host: "evil.example" } })
      assert.deepInclude(JSON.parse(renamed.text), { code: "unknown_host" })
      assert.deepStrictEqual(fabric.calls, [])
      assert.deepInclude(JSON.parse((yield* ask("GET", path, { headers })).text), { name: "web" })
      assert.strictEqual((yield* ask("GET", path, { headers })).status, 200)
      assert.strictEqual((yield* ask("GET", path, { headers })).status, 429)
      assert.deepStrictEqual(fabric.calls, ["read 7", "read 7"])
    })
  )

  it.scopedLive(
    "refuses the original's routes in the shape that their failures have, as clients read only the body",
    () =>
      Effect.gen(function* () {
        const { admins, ask, forward, someone } = yield* Guarded.make({ rateLimit: 1 })
        const admin = yield* admins
        const viewer = yield* someone("viewer")
        const refusal = (path: string, status: number, headers: Record<string, string>, method = "GET") =>
          Effect.map(ask(method, path, { headers }), (answer) => {
            assert.strictEqual(answer.status, status, answer.text)
            const { error, ...rest } = JSON.parse(answer.text)
            assert.isString(error)
            return rest
          })
        assert.deepStrictEqual(yield* refusal("/vm/create?name=a&instance_type=1", 401, {}), { vmid: 0 })
        assert.deepStrictEqual(yield* refusal("//VM/create/", 401, {}, "POST"), { vmid: 0 })
        forward(10_000)
        assert.deepStrictEqual(yield* refusal("/volume/create", 401, { authorization: "Bearer no" }), { volumeid: 0 })
        assert.deepStrictEqual(yield* refusal("/vm/destroy?vmid=7", 403, viewer), { status: 0 })
        assert.deepStrictEqual(yield* refusal("/pm/list", 403, { ...admin, origin: "http://evil.example" }), {
          pmids: []
        })
        assert.deepStrictEqual(yield* refusal("/image/list", 421, { ...admin, host: "evil.example" }), { images: [] })
        assert.deepStrictEqual(yield* refusal("/vm/query?vmid=7", 401, {}), {})
        assert.deepStrictEqual(yield* refusal("/nothing", 401, {}), {})
        for (let i = 0; i < 2; i++) assert.strictEqual((yield* ask("GET", "/vm/list", { headers: admin })).status, 200)
        assert.deepStrictEqual(yield* refusal("/snapshot/create", 429, admin), { snapshotid: 0 })
      })
  )

  it.scopedLive("finds a route however it is written, as the router does", () =>
    Effect.gen(function* () {
      const { admins, ask, fabric, someone } = yield* Guarded.make()
      const admin = yield* admins
      const viewer = yield* someone("viewer")
      const query = "volumeid=7"
      const written = [
        "/volume/destroy",
        "/VOLUME/Destroy",
        "/volume/destroy/",
        "//volume//destroy",
        "/volume/%64estroy",
        "/volume%2Fdestroy",
        "/volume/./destroy",
        "/volume/x/../destroy",
        "http://127.0.0.1/volume/destroy",
        "http://x?/volume/destroy",
        "HTTP://127.0.0.1/volume/destroy"
      ]
      let done = 0
      for (const method of ["GET", "POST", "HEAD", "PUT"]) {
        for (const path of written) {
          for (const mark of ["?", ";", "#"]) {
            yield* ask(method, `${path}${mark}${query}`, { headers: viewer })
            assert.deepStrictEqual(fabric.calls, [], `${method} ${path}${mark}`)
            yield* ask(method, `${path}${mark}${query}`, { headers: admin })
            done += fabric.calls.splice(0).length
          }
        }
      }
      // it would prove nothing if none of them were found
      assert.isAbove(done, 10)
    })
  )

  it("knows what a route needs, whatever stands behind its path", () => {
    const needs = Needs.make([...Needs.plain, ...Needs.ofApi(api)])
    assert.deepStrictEqual(needs("GET", "/volume/destroy?volumeid=1"), {
      role: "operator",
      changes: true,
      comparesPassword: false,
      asksWho: true,
      failed: { status: 0 }
    })
    assert.deepInclude(needs("POST", "/api/v1/session"), { role: "nobody", changes: true, comparesPassword: true })
    assert.isFalse(needs("GET", "/api/v1/users").changes)
    assert.strictEqual(needs("GET", "/healthz").role, "nobody")
    // longer than the router's own limit, which may be lifted
    assert.strictEqual(needs("DELETE", `/api/v1/users/${"a".repeat(500)}`).role, "admin")
    // after a question mark there is no path
    assert.strictEqual(needs("GET", "/healthz?/../vm/destroy").role, "nobody")
    assert.strictEqual(needs("GET", "/vm/destroy?/healthz").role, "operator")
  })
})

describe("the guard against other sites", () => {
  const passes = (answer: Guarded.Answer) => !refused.includes(answer.status)

  it.scopedLive("answers to names of its own only", () =>
    Effect.gen(function* () {
      const { ask, port } = yield* Guarded.make({ publicNames: ["fabric.example"] })
      for (const host of ["localhost", "LOCALHOST:1", "127.0.0.1", `127.0.0.1:${port}`, "[::1]:80", "fabric.example"]) {
        assert.isTrue(passes(yield* ask("GET", "/vm/list", { headers: { host } })), host)
      }
      for (const host of [
        "evil.example",
        "evil.fabric.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "fabric.example.",
        "fabric.example@evil.example",
        "localhost:80:80",
        "localhost/",
        "[::2]"
      ]) {
        assert.strictEqual((yield* ask("GET", "/vm/list", { headers: { host } })).status, 421, host)
      }
      const first = yield* Effect.async<string>((resume) => {
        // HTTP/1.0 may do without a name
        const socket = connect(port, "127.0.0.1", () => socket.write("GET /vm/list HTTP/1.0\r\n\r\n"))
        socket.on("data", (data) => resume(Effect.succeed(data.toString())))
        return Effect.sync(() => socket.destroy())
      })
      assert.match(first, /^HTTP\/1.1 421 /)
      const said = yield* ask("GET", "/api/v1/users", { headers: { host: "evil.example:80" } })
      assert.deepInclude(JSON.parse(said.text), {
        status: 421,
        code: "unknown_host",
        detail:
          "this controller does not answer to the name evil.example: if that is its own, start it with --public-name evil.example"
      })
    })
  )

  it.scopedLive("elsewhere: the address it was reached by, and its names", () =>
    Effect.gen(function* () {
      const { admins, ask, port } = yield* Guarded.make({
        host: "127.0.0.2",
        loopback: false,
        publicNames: ["fabric.example"]
      })
      const admin = yield* admins
      const status = (host: string) =>
        Effect.map(ask("GET", "/vm/list", { headers: { ...admin, host } }), (answer) => answer.status)
      assert.strictEqual(yield* status(`127.0.0.2:${port}`), 200)
      assert.strictEqual(yield* status("fabric.example:443"), 200)
      assert.strictEqual(yield* status("127.0.0.3"), 421)
      assert.strictEqual(yield* status("10.0.0.1"), 421)
      assert.strictEqual(yield* status("evil.example"), 421)
    })
  )

  it.scopedLive("pages of other origins may do nothing, not even by GET; one's own, and no page at all, may", () =>
    Effect.gen(function* () {
      const { ask, fabric, port } = yield* Guarded.make({ publicNames: ["fabric.example"] })
      const own = `http://127.0.0.1:${port}`
      const path = "/volume/destroy?volumeid=7"
      const allowed: ReadonlyArray<Record<string, string>> = [
        {},
        { "sec-fetch-site": "none" },
        { "sec-fetch-site": "same-origin" },
        { "sec-fetch-site": "same-origin", origin: own },
        { origin: own },
        { referer: `${own}/gui/vms?x=1` },
        // typed into the address line, from wherever the user was
        { "sec-fetch-site": "none", referer: "http://evil.example/" },
        // with TLS in front
        { host: "fabric.example", origin: "https://fabric.example" },
        { host: "fabric.example", origin: "http://fabric.example" }
      ]
      for (const headers of allowed) {
        assert.strictEqual((yield* ask("GET", path, { headers })).status, 200, JSON.stringify(headers))
      }
      assert.strictEqual(fabric.calls.splice(0).length, allowed.length)
      const foreign: ReadonlyArray<Record<string, string>> = [
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { "sec-fetch-site": "none, cross-site" },
        { "sec-fetch-site": "cross-site", origin: own },
        { origin: "http://evil.example" },
        { origin: "null" },
        { origin: "http://localhost" },
        { origin: `http://127.0.0.1:${port + 1}` },
        { origin: `${own}.evil.example` },
        { "sec-fetch-site": "same-origin", origin: "http://evil.example" },
        { "sec-fetch-site": "none", origin: "http://evil.example" },
        { referer: "http://evil.example/page" },
        { referer: `http://evil.example/${own}/` },
        { referer: `http://127.0.0.1:${port}@evil.example/` },
        { host: "fabric.example", origin: "https://fabric.example:8443" }
      ]
      for (const headers of foreign) {
        for (const method of ["GET", "POST"]) {
          const answer = yield* ask(method, path, { headers })
          assert.strictEqual(answer.status, 403, JSON.stringify(headers))
        }
      }
      assert.deepStrictEqual(fabric.calls, [])
      const said = yield* ask("GET", "/api/v1/users", { headers: { origin: "http://evil.example" } })
      assert.deepInclude(JSON.parse(said.text), { status: 403, code: "foreign_origin" })
    })
  )
})

describe("who is on this machine", () => {
  it.scopedLive("is admin while nobody could sign in, and from then on nobody", () =>
    Effect.gen(function* () {
      const { ask, json, someone } = yield* Guarded.make()
      const me = Effect.map(ask("GET", "/api/v1/session"), ({ text }): unknown => JSON.parse(text))
      assert.deepStrictEqual(yield* me, {
        user: "local",
        role: "admin",
        via: "loopback",
        tokenId: null,
        quota: Quota.unlimited,
        used: Quota.nothing,
        exceeded: []
      })
      const refusal = yield* json("POST", "/api/v1/tokens", { name: "mine" })
      assert.deepInclude(JSON.parse(refusal.text), { status: 400, code: "invalid_argument", field: "owner" })
      assert.match(refusal.text, /there is none yet: create one with POST \/api\/v1\/users/)
      assert.strictEqual((yield* json("POST", "/api/v1/users", { name: "ada", role: "admin" })).status, 201)
      assert.strictEqual((yield* ask("GET", "/vm/list")).status, 200)
      const ownerless = yield* json("POST", "/api/v1/tokens", { name: "mine" })
      assert.deepInclude(JSON.parse(ownerless.text), {
        status: 400,
        code: "invalid_argument",
        field: "owner",
        detail:
          "owner is missing: expected the name of the user whose the token will be, since you are signed in as none"
      })
      assert.strictEqual(
        (yield* json("POST", "/api/v1/tokens", { name: "mine", owner: "local" })).status,
        404,
        "no user is called that"
      )
      const made = yield* json("POST", "/api/v1/tokens", { name: "first", owner: "ada", role: "admin" })
      assert.strictEqual(made.status, 201)
      assert.strictEqual((yield* ask("GET", "/vm/list")).status, 401)
      const { secret } = JSON.parse(made.text)
      const headers = { authorization: `bearer ${secret}` }
      assert.strictEqual((yield* ask("GET", "/vm/list", { headers })).status, 200)
      yield* someone("viewer")
    })
  )

  it.scopedLive("is nobody behind a proxy, on an address that others reach, or with a wrong token", () =>
    Effect.gen(function* () {
      const { ask } = yield* Guarded.make()
      for (const header of [
        "forwarded",
        "x-forwarded-for",
        "X-Forwarded-Host",
        "x-forwarded-anything",
        "via",
        "x-real-ip"
      ]) {
        assert.strictEqual((yield* ask("GET", "/vm/list", { headers: { [header]: "127.0.0.1" } })).status, 401, header)
      }
      for (const authorization of ["Bearer wrong", "Bearer", "Basic cm9vdDpyb290", "wrong", ""]) {
        assert.strictEqual((yield* ask("GET", "/vm/list", { headers: { authorization } })).status, 401, authorization)
      }
      // a browser keeps the cookie of a session that has ended
      assert.strictEqual(
        (yield* ask("GET", "/vm/list", { headers: { cookie: "vmfabric_session=vms_old" } })).status,
        200
      )
      const elsewhere = yield* Guarded.make({ loopback: false })
      assert.strictEqual((yield* elsewhere.ask("GET", "/vm/list")).status, 401)
    })
  )
})

describe("limits", () => {
  it.scopedLive("of requests: for each user, whatever tokens they have; none for who is on this machine", () =>
    Effect.gen(function* () {
      const { admins, ask, forward, someone } = yield* Guarded.make({ rateLimit: 5 })
      for (let i = 0; i < 30; i++) assert.strictEqual((yield* ask("GET", "/vm/types")).status, 200)
      yield* admins
      const [one, two] = [yield* someone("viewer"), yield* someone("viewer")]
      const statuses = (headers: Record<string, string>, times: number) =>
        Effect.map(Effect.replicateEffect(ask("GET", "/vm/types", { headers }), times), (all) =>
          all.map(({ status }) => status)
        )
      const first = yield* statuses(one, 12)
      assert.deepStrictEqual(first, [...Array.from({ length: 10 }, () => 200), 429, 429])
      const limited = yield* ask("GET", "/vm/types", { headers: two })
      assert.deepInclude(limited, { status: 429 })
      assert.strictEqual(limited.headers["retry-after"], "1")
      assert.strictEqual((yield* ask("GET", "/vm/types", { headers: yield* someone("operator") })).status, 200)
      forward(2000)
      assert.deepStrictEqual(
        yield* statuses(two, 10),
        Array.from({ length: 10 }, () => 200)
      )
    })
  )

  it.scopedLive("of wrong tokens: ten a minute for an address, and the right ones still pass", () =>
    Effect.gen(function* () {
      const { admins, ask, forward } = yield* Guarded.make()
      const admin = yield* admins
      const wrong = Effect.map(
        ask("GET", "/vm/list", { headers: { authorization: "Bearer vmf_wrong" } }),
        ({ headers, status }) => `${status} ${String(headers["retry-after"])}`
      )
      for (let i = 0; i < 10; i++) assert.strictEqual(yield* wrong, "401 undefined")
      assert.strictEqual(yield* wrong, "429 6")
      assert.strictEqual((yield* ask("GET", "/vm/list", { headers: admin })).status, 200)
      forward(60_000)
      assert.strictEqual(yield* wrong, "401 undefined")
    })
  )

  it.scopedLive(
    "of passwords: ten wrong ones, also when they come at once, and then not even the right one for a while",
    () =>
      Effect.gen(function* () {
        const { forward, identity, json } = yield* Guarded.make()
        yield* identity.createUser({ name: UserName.make("ada"), role: "admin", password: Guarded.password })
        const signIn = (password: string) =>
          Effect.map(json("POST", "/api/v1/session", { name: "ada", password }), ({ status }) => status)
        const right = signIn(Redacted.value(Guarded.password))
        // right ones do not count
        for (let i = 0; i < 3; i++) assert.strictEqual(yield* right, 200)
        const tries = yield* Effect.all(
          Array.from({ length: 14 }, (_, i) => signIn(`wrong ${i}`)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(tries.filter((status) => status === 401).length, 10)
        assert.strictEqual(tries.filter((status) => status === 429).length, 4)
        assert.strictEqual(yield* right, 429)
        forward(60_000)
        assert.strictEqual(yield* right, 200)
      })
  )
})

describe("sessions and passwords", () => {
  const cookieOf = ({ headers }: Guarded.Answer): string => [headers["set-cookie"]].flat()[0] ?? ""

  it.scopedLive("signs in by a cookie that scripts and other sites cannot use, and out again", () =>
    Effect.gen(function* () {
      const { ask, forward, identity, json } = yield* Guarded.make()
      yield* identity.createUser({ name: UserName.make("ada"), role: "admin", password: Guarded.password })
      const body = { name: "ada", password: Redacted.value(Guarded.password) }
      const signedIn = yield* json("POST", "/api/v1/session", body)
      assert.deepInclude(JSON.parse(signedIn.text), { user: "ada", role: "admin" })
      const cookie = cookieOf(signedIn)
      assert.match(cookie, /^vmfabric_session=vms_[A-Za-z0-9_-]{43};/)
      for (const word of [/; HttpOnly/i, /; SameSite=Strict/i, /; Path=\/(;|$)/i]) assert.match(cookie, word)
      assert.notMatch(cookie, /; Secure/i)
      const headers = { cookie: `other=1; ${cookie.split(";")[0]}` }
      const me = yield* ask("GET", "/api/v1/session", { headers })
      assert.deepInclude(JSON.parse(me.text), { user: "ada", role: "admin", via: "session", tokenId: null })
      assert.strictEqual((yield* ask("GET", "/vm/list", { headers })).status, 200)
      const out = yield* ask("DELETE", "/api/v1/session", { headers })
      assert.strictEqual(out.status, 204)
      assert.match(cookieOf(out), /^vmfabric_session=;.*(Max-Age=0|Expires=Thu, 01 Jan 1970)/i)
      assert.strictEqual((yield* ask("GET", "/vm/list", { headers })).status, 401)
      // behind a proxy with TLS
      const secure = yield* json("POST", "/api/v1/session", body, { host: "localhost", origin: "https://localhost" })
      assert.match(cookieOf(secure), /; Secure/i)
      const later = { cookie: cookieOf(secure).split(";")[0] ?? "" }
      assert.strictEqual((yield* ask("GET", "/vm/list", { headers: later })).status, 200)
      forward(12 * 3600_000)
      assert.strictEqual((yield* ask("GET", "/vm/list", { headers: later })).status, 401)
    })
  )

  it.scopedLive("what is made with a token that expires is good for no longer", () =>
    Effect.gen(function* () {
      const { admins, identity, json } = yield* Guarded.make()
      const admin = yield* admins
      const ada = UserName.make("ada")
      yield* identity.createUser({ name: ada, role: "operator" })
      const until = "2099-01-01T00:00:00.000Z"
      const { secret } = yield* identity.createToken({
        name: "brief",
        owner: ada,
        role: "operator",
        expiresAt: Date.parse(until)
      })
      const brief = { authorization: `Bearer ${Redacted.value(secret)}` }
      const ask = (body: object, headers = brief) =>
        Effect.map(
          json("POST", "/api/v1/tokens", body, headers),
          ({ status, text }) => [status, JSON.parse(text)] as const
        )
      const [refused, why] = yield* ask({ name: "for ever", expiresAt: null })
      assert.strictEqual(refused, 403)
      assert.strictEqual(
        why.detail,
        `ada asks with a token that expires ${until}, so the new token cannot be good for longer: say an expiresAt that is no later, or none`
      )
      assert.strictEqual((yield* ask({ name: "longer", expiresAt: "2099-01-01T00:00:00.001Z" }))[0], 403)
      const [, silent] = yield* ask({ name: "silent" })
      assert.strictEqual(silent.expiresAt, until)
      const [, shorter] = yield* ask({ name: "shorter", expiresAt: "2098-01-01T00:00:00.000Z" })
      assert.strictEqual(shorter.expiresAt, "2098-01-01T00:00:00.000Z")
      const [, plain] = yield* ask({ name: "plain", owner: "ada" }, admin)
      assert.isNull(plain.expiresAt)
      // nor is there a password then by which one could come back
      const password = { password: "another long password" }
      const first = yield* json("PUT", "/api/v1/users/ada/password", password, brief)
      assert.strictEqual(first.status, 403)
      assert.strictEqual(
        JSON.parse(first.text).detail,
        `a token that expires cannot set a first password, and this one expires ${until}: ask an admin to`
      )
      const { secret: lasting } = yield* identity.createToken({
        name: "lasting",
        owner: ada,
        role: "operator",
        expiresAt: null
      })
      const headers = { authorization: `Bearer ${Redacted.value(lasting)}` }
      assert.strictEqual((yield* json("PUT", "/api/v1/users/ada/password", password, headers)).status, 204)
    })
  )

  it.scopedLive("nobody becomes more than they are by tokens and passwords", () =>
    Effect.gen(function* () {
      const { admins, ask, identity, json } = yield* Guarded.make()
      const admin = yield* admins
      const ada = UserName.make("ada")
      yield* identity.createUser({ name: ada, role: "operator", password: Guarded.password })
      const owned = (owner: string, role: "viewer" | "operator" | "admin") =>
        Effect.map(
          identity.createToken({ name: "t", owner: UserName.make(owner), role, expiresAt: null }),
          ({ secret, token }) => ({ id: token.id, headers: { authorization: `Bearer ${Redacted.value(secret)}` } })
        )
      const full = yield* owned("ada", "operator")
      const weak = yield* owned("ada", "viewer")
      const strange = yield* owned("the-admin", "viewer")
      const strong = yield* owned("the-admin", "admin")
      const status = (method: string, path: string, body: unknown, headers: Record<string, string>) =>
        Effect.map(json(method, path, body, headers), (answer) => answer.status)

      assert.strictEqual(yield* status("POST", "/api/v1/tokens", { name: "n", role: "admin" }, full.headers), 403)
      assert.strictEqual(yield* status("POST", "/api/v1/tokens", { name: "n", role: "operator" }, weak.headers), 403)
      assert.strictEqual(yield* status("POST", "/api/v1/tokens", { name: "n", owner: "the-admin" }, full.headers), 403)
      const made = yield* json("POST", "/api/v1/tokens", { name: "n" }, weak.headers)
      assert.deepInclude(JSON.parse(made.text), { owner: "ada", role: "viewer", expiresAt: null, lastUsedAt: null })
      // of somebody else without a role: what both may
      const forAda = yield* json("POST", "/api/v1/tokens", { name: "n", owner: "ada" }, strong.headers)
      assert.deepInclude(JSON.parse(forAda.text), { owner: "ada", role: "operator" })
      const forNobody = yield* json("POST", "/api/v1/tokens", { name: "n", owner: "bob" }, strong.headers)
      assert.deepInclude(JSON.parse(forNobody.text), { status: 404, code: "user_not_found" })
      assert.strictEqual(
        yield* status("POST", "/api/v1/tokens", { name: "n", owner: "ada", role: "admin" }, strong.headers),
        403
      )

      assert.strictEqual(yield* status("DELETE", `/api/v1/tokens/${strange.id}`, undefined, full.headers), 404)
      assert.strictEqual(yield* status("DELETE", `/api/v1/tokens/${strong.id}`, undefined, strange.headers), 403)
      assert.strictEqual(yield* status("DELETE", `/api/v1/tokens/${full.id}`, undefined, weak.headers), 403)
      // one's own would pass for theirs
      const anothers = yield* ask("GET", "/api/v1/tokens?owner=the-admin", { headers: full.headers })
      assert.deepInclude(JSON.parse(anothers.text), { status: 403, code: "not_allowed" })
      const own = yield* ask("GET", "/api/v1/tokens?owner=ada", { headers: full.headers })
      const listed = JSON.parse((yield* ask("GET", "/api/v1/tokens", { headers: full.headers })).text)
      assert.deepStrictEqual(JSON.parse(own.text), listed)
      assert.deepStrictEqual(new Set(listed.items.map((one: { owner: string }) => one.owner)), new Set(["ada"]))
      assert.notInclude(JSON.stringify(listed), "secret")

      const fresh = "another long password"
      const current = Redacted.value(Guarded.password)
      const set = (whose: string, body: unknown, headers: Record<string, string>) =>
        status("PUT", `/api/v1/users/${whose}/password`, body, headers)
      assert.strictEqual(yield* set("the-admin", { password: fresh }, full.headers), 403)
      assert.strictEqual(yield* set("ada", { password: fresh, current }, weak.headers), 403)
      // a token that was stolen makes nobody its owner for good
      assert.strictEqual(yield* set("ada", { password: fresh }, full.headers), 401)
      assert.strictEqual(yield* set("ada", { password: fresh, current: "a wrong password" }, full.headers), 401)
      assert.strictEqual(yield* set("ada", { password: fresh, current }, full.headers), 204)
      assert.strictEqual(yield* status("POST", "/api/v1/session", { name: "ada", password: current }, {}), 401)
      assert.strictEqual(yield* status("POST", "/api/v1/session", { name: "ada", password: fresh }, {}), 200)
      assert.strictEqual(yield* set("ada", { password: current }, admin), 204)
      assert.strictEqual(yield* set("ada", { password: "short" }, admin), 400)
      assert.strictEqual(yield* set("nobody", { password: fresh }, admin), 404)
    })
  )

  it.scopedLive("administers users", () =>
    Effect.gen(function* () {
      const { admins, ask, json } = yield* Guarded.make()
      const headers = yield* admins
      const created = yield* json("POST", "/api/v1/users", { name: "ada", role: "operator" }, headers)
      assert.strictEqual(created.status, 201)
      assert.deepInclude(JSON.parse(created.text), { name: "ada", role: "operator", hasPassword: false })
      assert.strictEqual((yield* json("POST", "/api/v1/users", { name: "ada", role: "viewer" }, headers)).status, 409)
      assert.strictEqual((yield* json("POST", "/api/v1/users", { name: "No!", role: "viewer" }, headers)).status, 400)
      const changed = yield* json("PATCH", "/api/v1/users/ada", { role: "viewer" }, headers)
      assert.deepInclude(JSON.parse(changed.text), { name: "ada", role: "viewer" })
      const all = JSON.parse((yield* ask("GET", "/api/v1/users", { headers })).text)
      assert.deepStrictEqual(
        all.items.map((one: { name: string }) => one.name),
        ["ada", "the-admin"]
      )
      assert.strictEqual((yield* ask("DELETE", "/api/v1/users/the-admin", { headers })).status, 409)
      assert.strictEqual((yield* ask("DELETE", "/api/v1/users/ada", { headers })).status, 204)
      const gone = yield* ask("GET", "/api/v1/users/ada", { headers })
      assert.deepInclude(JSON.parse(gone.text), { status: 404, code: "user_not_found" })
    })
  )
})

describe("a disabled user", () => {
  it.scopedLive(
    "is answered as a stranger is, wherever they were, until they are enabled; the record has all of it",
    () =>
      Effect.gen(function* () {
        const { admins, ask, identity, json } = yield* Guarded.make()
        const headers = yield* admins
        const word = Redacted.value(Guarded.password)
        yield* identity.createUser({ name: UserName.make("ada"), role: "operator", password: Guarded.password })
        const { secret } = yield* identity.createToken({
          name: "t",
          owner: UserName.make("ada"),
          role: "operator",
          expiresAt: null
        })
        const token = { authorization: `Bearer ${Redacted.value(secret)}` }
        const signIn = (name: string, password: string) => json("POST", "/api/v1/session", { name, password })
        const cookie = { cookie: String((yield* signIn("ada", word)).headers["set-cookie"]).split(";")[0] ?? "" }
        const see = (who: Readonly<Record<string, string>>) =>
          Effect.map(ask("GET", "/api/v1/session", { headers: who }), ({ status }) => status)
        assert.deepStrictEqual([yield* see(token), yield* see(cookie)], [200, 200])

        const disabled = yield* json("PATCH", "/api/v1/users/ada", { disabled: true }, headers)
        assert.strictEqual(disabled.status, 200)
        assert.deepInclude(JSON.parse(disabled.text), { name: "ada", disabled: true, hasPassword: true })
        assert.deepStrictEqual([yield* see(token), yield* see(cookie)], [401, 401])
        const [right, wrong] = [yield* signIn("ada", word), yield* signIn("ada", "a wrong password")]
        assert.strictEqual(right.status, 401)
        assert.deepStrictEqual(right.text, wrong.text)
        assert.deepStrictEqual(right.text, (yield* signIn("nobody", word)).text)

        assert.strictEqual((yield* json("PATCH", "/api/v1/users/ada", { disabled: false }, headers)).status, 200)
        assert.deepStrictEqual([yield* see(token), yield* see(cookie)], [200, 200])
        assert.strictEqual((yield* signIn("ada", word)).status, 200)

        const itself = yield* json("PATCH", "/api/v1/users/the-admin", { disabled: true }, headers)
        assert.deepInclude(JSON.parse(itself.text), {
          status: 409,
          code: "user_conflict",
          detail: "user the-admin cannot disable themselves: ask another admin to"
        })
        // also where another admin is left, and when it is only planned
        assert.strictEqual((yield* json("PATCH", "/api/v1/users/ada", { role: "admin" }, headers)).status, 200)
        for (const path of ["/api/v1/users/the-admin", "/api/v1/users/the-admin?plan=true"]) {
          const removed = yield* ask("DELETE", path, { headers })
          assert.deepInclude(JSON.parse(removed.text), {
            status: 409,
            code: "user_conflict",
            detail: "user the-admin cannot remove themselves: ask another admin to"
          })
        }
        assert.strictEqual((yield* json("PATCH", "/api/v1/users/ada", { role: "operator" }, headers)).status, 200)
        assert.strictEqual((yield* json("PATCH", "/api/v1/users/ada", { disabled: true }, token)).status, 403)
        assert.strictEqual((yield* json("PATCH", "/api/v1/users/nobody", { disabled: true }, headers)).status, 404)
        assert.strictEqual((yield* json("PATCH", "/api/v1/users/ada", { disable: true }, headers)).status, 400)

        const lines = yield* identity.audited({ before: null, limit: 100 })
        assert.includeDeepMembers(
          lines.map(({ failed, method, path, status, user }) => [user, method, path, status, failed]),
          [
            ["the-admin", "PATCH", "/api/v1/users/ada", 200, null],
            [null, "POST", "/api/v1/session", 401, "ada is disabled"],
            [
              "the-admin",
              "PATCH",
              "/api/v1/users/the-admin",
              409,
              "user the-admin cannot disable themselves: ask another admin to"
            ]
          ]
        )
      })
  )
})

describe("a stream of events", () => {
  it.scopedLive("ends when its token is removed or expires or its user disabled, and no other does", () =>
    Effect.gen(function* () {
      const { admins, forward, identity, now, port, someone } = yield* Guarded.make()
      yield* admins
      const removed = yield* someone("viewer")
      const expiring = yield* someone("viewer", (yield* now) + 60_000)
      const staying = yield* someone("viewer")
      const disabled = yield* someone("operator")
      const ended: Array<string> = []
      const follow = (name: string, headers: Readonly<Record<string, string>>) =>
        Effect.acquireRelease(
          Effect.promise(async () => {
            const abort = new AbortController()
            const { body, status } = await fetch(`http://127.0.0.1:${port}/api/v1/events`, {
              headers: { ...headers, accept: "text/event-stream" },
              signal: abort.signal
            })
            assert.strictEqual(status, 200)
            const reader = body?.getReader()
            const read = async () => {
              while ((await reader?.read())?.done !== true);
              ended.push(name)
            }
            return { abort, reading: read().catch(() => undefined) }
          }),
          ({ abort, reading }) =>
            Effect.zipRight(
              Effect.sync(() => abort.abort()),
              Effect.promise(() => reading)
            )
        )
      yield* follow("removed", removed)
      yield* follow("expiring", expiring)
      yield* follow("staying", staying)
      yield* follow("disabled", disabled)
      const [first] = (yield* identity.tokens()).filter(({ role }) => role === "viewer")
      assert(first !== undefined)
      yield* identity.removeToken(first.id)
      yield* World.eventually(Effect.sync(() => assert.deepStrictEqual(ended, ["removed"])))
      forward(61_000)
      yield* World.eventually(Effect.sync(() => assert.deepStrictEqual(ended, ["removed", "expiring"])))
      yield* identity.changeUser(UserName.make("the-operator"), { disabled: true })
      yield* World.eventually(Effect.sync(() => assert.deepStrictEqual(ended, ["removed", "expiring", "disabled"])))
    })
  )
})

describe("a method that a path does not have", () => {
  it.scopedLive(
    "is told those that it has, in the manner of its neighbours: HEAD too, unless GET changes something",
    () =>
      Effect.gen(function* () {
        const { admins, ask } = yield* Guarded.make()
        const headers = yield* admins
        const allowed = [
          ["/api/v1/vms/1", "GET, HEAD, PATCH, DELETE"],
          ["/api/v1/vms?limit=1", "GET, HEAD, POST"],
          ["/api/v1/vms/1/start", "POST"],
          ["/api/v1/vms/batch", "POST"],
          ["/vm/list", "GET, HEAD, POST"],
          ["/volume/destroy?volumeid=7", "GET, POST"],
          ["/metrics", "GET, HEAD"]
        ]
        for (const [path = "", allow] of allowed) {
          for (const method of ["PUT", "TRACE", "PROPFIND"]) {
            const answer = yield* ask(method, path, { headers })
            assert.deepStrictEqual([answer.status, answer.headers["allow"]], [405, allow], `${method} ${path}`)
            const body = JSON.parse(answer.text)
            const words: string = path.startsWith("/api/") ? body.detail : body.error
            assert.include(words, method)
            assert.notInclude(words, "%")
            if (path.startsWith("/api/")) assert.strictEqual(body.code, "method_not_allowed")
          }
        }
        // what is not asked of a VM is not asked of one called so
        for (const method of ["GET", "PATCH", "DELETE"]) {
          const answer = yield* ask(method, "/api/v1/vms/batch", { headers })
          assert.deepStrictEqual([answer.status, answer.headers["allow"]], [405, "POST"], method)
        }
        for (const path of ["/api/v1/nothing", "/nothing"]) {
          const { status, text } = yield* ask("TRACE", path, { headers })
          assert.strictEqual(status, 404)
          assert.include(text, `there is no route TRACE ${path}`)
          assert.notInclude(text, "each %")
        }
      })
  )
})

describe("a path that cannot be decoded", () => {
  it.scopedLive("is answered in the manner of its neighbours", () =>
    Effect.gen(function* () {
      const { ask } = yield* Guarded.make()
      for (const path of ["/api/v1/vms/%zz", "/api/v1/%e0%a4", "/api/%"]) {
        const { headers, status, text } = yield* ask("GET", path)
        assert.strictEqual(status, 404, path)
        assert.strictEqual(headers["content-type"], "application/problem+json")
        assert.deepInclude(JSON.parse(text), { status: 404, code: "route_not_found" })
        assert.include(JSON.parse(text).detail, `there is no route GET ${path}: each % in a path`)
      }
      const { status, text } = yield* ask("POST", "/vm/%zz?a=%zz")
      assert.strictEqual(status, 404)
      assert.include(JSON.parse(text).error, "there is no route POST /vm/%zz: each % in a path")
    })
  )
})

describe("the audit log", () => {
  it.scopedLive("says that something was only planned, which needs the role that doing it needs", () =>
    Effect.gen(function* () {
      const { admins, identity, json, someone } = yield* Guarded.make()
      yield* admins
      const body = { name: "web", instanceType: 1 }
      const [viewer, operator] = [yield* someone("viewer"), yield* someone("operator")]
      assert.strictEqual((yield* json("POST", "/api/v1/vms?plan=true", body, viewer)).status, 403)
      assert.strictEqual((yield* json("POST", "/api/v1/vms?plan=true", body, operator)).status, 404)
      assert.strictEqual(
        (yield* json("PATCH", "/api/v1/hosts/1?plan=true", { maintenance: true }, operator)).status,
        403
      )
      const lines = yield* identity.audited({ before: null, limit: 10 })
      assert.deepStrictEqual(
        lines.map(({ path, status, user }) => `${user ?? ""} ${path} ${status}`),
        [
          "the-operator /api/v1/hosts/1?plan=true 403",
          "the-operator /api/v1/vms?plan=true 404",
          "the-viewer /api/v1/vms?plan=true 403"
        ]
      )
    })
  )

  it.scopedLive("has every request for a change, by GET too, with what became of it, and none that only looks", () =>
    Effect.gen(function* () {
      const { admins, ask, identity, json, someone } = yield* Guarded.make()
      const admin = yield* admins
      const operator = yield* someone("operator")
      const lines = Effect.map(identity.audited({ before: null, limit: 100 }), (all) =>
        all
          .map(({ failed, from, method, path, status, user, via }) => {
            assert.strictEqual(from, "127.0.0.1")
            return `${user ?? "nobody"} ${via ?? "-"} ${method} ${path} ${status} ${failed ?? "done"}`
          })
          .toReversed()
      )
      yield* ask("GET", "/vm/create?name=web&instance_type=1", { headers: operator })
      yield* ask("GET", "/vm/create?name=full&instance_type=1", { headers: operator })
      yield* ask("POST", "/volume/destroy?volumeid=4711", { headers: operator })
      yield* ask("GET", "/pm/maintenance?pmid=1&on=1", { headers: operator })
      yield* ask("GET", "/vm/query?vmid=38201", { headers: operator })
      yield* ask("POST", "/vm/list", { headers: operator })
      yield* ask("GET", "/api/v1/users", { headers: admin })
      yield* ask("GET", "/api/v1/users", { headers: operator })
      yield* ask("GET", "/vm/destroy?vmid=1")
      yield* ask("GET", "/vm/destroy?vmid=1", { headers: { authorization: "Bearer wrong" } })
      yield* ask("GET", "/vm/destroy?vmid=1", { headers: { ...operator, origin: "http://evil.example" } })
      yield* json("PATCH", "/api/v1/users/nobody", { role: "viewer" }, admin)
      yield* json("POST", "/api/v1/session", { name: "the-admin", password: "wrong" })
      yield* json("POST", "/api/v1/session", { name: "my secret word", password: "wrong" })
      assert.deepStrictEqual(yield* lines, [
        "the-operator token GET /vm/create?name=web&instance_type=1 200 done",
        "the-operator token GET /vm/create?name=full&instance_type=1 200 no host can take the VM: the fabric has no hosts yet, and POST /api/v1/hosts or vmfabric host add adds one",
        "the-operator token POST /volume/destroy?volumeid=4711 200 volumeid : 4711 does not exist",
        "the-operator token GET /pm/maintenance?pmid=1&on=1 403 this needs the role admin, and the-operator asks with the role operator",
        "nobody - GET /vm/destroy?vmid=1 401 wrong credentials",
        "the-admin token PATCH /api/v1/users/nobody 404 user nobody does not exist",
        "nobody - POST /api/v1/session 401 wrong password of the-admin",
        "nobody - POST /api/v1/session 401 no such user"
      ])
      const page = JSON.parse((yield* ask("GET", "/api/v1/audit?limit=3", { headers: admin })).text)
      assert.strictEqual(page.items.length, 3)
      const next = JSON.parse(
        (yield* ask("GET", `/api/v1/audit?limit=100&before=${page.next}`, { headers: admin })).text
      )
      assert.strictEqual(next.items.length, 5)
      assert.isNull(next.next)
      assert.strictEqual((yield* ask("GET", "/api/v1/audit?limit=1001", { headers: admin })).status, 400)
    })
  )

  it.scopedLive("strangers without credentials leave no trace, however many they are", () =>
    Effect.gen(function* () {
      const { admins, ask, identity } = yield* Guarded.make()
      yield* admins
      yield* Effect.replicateEffect(ask("POST", "/vm/destroy?vmid=1"), 50, { concurrency: 10, discard: true })
      assert.deepStrictEqual(yield* identity.audited({ before: null, limit: 10 }), [])
    })
  )

  it("takes secrets out of what it keeps of a URL", () => {
    for (const [url, kept] of [
      ["/vm/create?name=a&token=T&x=1", "/vm/create?name=a&token=…&x=1"],
      ["/vm/create?Password=T", "/vm/create?Password=…"],
      ["/vm/create?pass%77ord=T", "/vm/create?pass%77ord=…"],
      ["/vm/create;secret=T", "/vm/create;secret=…"],
      ["/vm/create?a=1;api_key=T", "/vm/create?a=1;api_key=…"],
      ["/vm/create#key=T", "/vm/create#key=…"],
      ["/vm/create?%=1&token=T", "/vm/create?%=1&token=…"],
      ["/api/v1/tokens/vmf_T", "/api/v1/tokens/…"],
      ["/vm/create?name=vms_T", "/vm/create?name=…"],
      ["/vm/query?vmid=7", "/vm/query?vmid=7"]
    ] as const) {
      assert.strictEqual(Secrets.withoutIn(url), kept)
    }
    assert.strictEqual(Secrets.withoutIn(`/${"x".repeat(9000)}`).length, 500)
  })

  it.scopedLive("nothing that opens a door is found in a log line, an audit line or a later answer", () =>
    Effect.gen(function* () {
      const { admins, ask, identity, json, log } = yield* Guarded.make()
      const admin = yield* admins
      const canary = "canary-password-4711"
      const answers: Array<string> = []
      const say = (effect: Effect.Effect<Guarded.Answer>) => Effect.map(effect, ({ text }) => void answers.push(text))
      yield* say(json("POST", "/api/v1/users", { name: "ada", role: "operator", password: canary }, admin))
      yield* say(json("POST", "/api/v1/users", { name: "ada", role: "operator", password: canary }, admin))
      yield* say(json("PUT", "/api/v1/users/ada/password", { password: `${canary}!` }, admin))
      yield* say(json("POST", "/api/v1/session", { name: "ada", password: canary }))
      yield* say(json("POST", "/api/v1/session", { name: canary, password: canary }))
      const signedIn = yield* json("POST", "/api/v1/session", { name: "ada", password: `${canary}!` })
      const session = [signedIn.headers["set-cookie"]].flat()[0]?.split(";")[0] ?? ""
      const made = yield* json("POST", "/api/v1/tokens", { name: "t", owner: "ada", role: "viewer" }, admin)
      const { secret } = JSON.parse(made.text)
      const headers = { authorization: `Bearer ${secret}`, cookie: session }
      yield* say(ask("GET", `/vm/create?name=a&instance_type=1&token=${secret}&password=${canary}`, { headers: admin }))
      yield* say(ask("GET", "/vm/create?name=defect&instance_type=1", { headers: { ...admin, cookie: session } }))
      yield* ask("DELETE", `/api/v1/tokens/${secret}`, { headers: admin })
      const hook = yield* json("POST", "/api/v1/webhooks", { url: "https://receiver.example/" }, admin)
      const sealed = String(JSON.parse(hook.text).secret)
      const again = yield* ask("POST", "/api/v1/webhooks/1/secret", { headers: admin })
      const resealed = String(JSON.parse(again.text).secret)
      yield* say(ask("POST", "/api/v1/webhooks/1/ping", { headers: admin }))
      yield* say(json("PATCH", "/api/v1/webhooks/1", { secret: sealed }, admin))
      yield* say(ask("DELETE", `/api/v1/webhooks/${encodeURI(sealed)}`, { headers: admin }))
      // as it is: half of all secrets have a slash in them
      for (const path of ["/api/v1/webhooks", "/nothing", "/api/v1/webhooks/%zz"]) {
        yield* say(ask("DELETE", `${path}/${sealed}/x`, { headers: admin }))
      }
      yield* say(ask("GET", "/api/v1/webhooks", { headers: admin }))
      yield* say(ask("GET", "/api/v1/webhooks/1", { headers: admin }))
      yield* say(ask("GET", "/api/v1/tokens", { headers }))
      yield* say(ask("GET", "/api/v1/session", { headers }))
      yield* say(ask("GET", "/api/v1/users", { headers: admin }))
      yield* say(ask("GET", "/api/v1/audit", { headers: admin }))
      assert.isAbove(log.length, 0)
      const audited = JSON.stringify(yield* identity.audited({ before: null, limit: 100 }))
      const words = [canary, String(secret).slice(4), session.slice(session.indexOf("=") + 5)]
      for (const word of [...words, sealed.slice(6), resealed.slice(6)]) {
        assert.isAbove(word.length, 10)
        for (const text of [...answers, ...log, audited]) assert.notInclude(text, word)
      }
    })
  )
})
