import { assert, describe, it, vi } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as Database from "../../layers/Database.ts"
import * as IdentityLive from "../../layers/IdentityLive.ts"
import * as IdentityTest from "../../layers/IdentityTest.ts"
import * as Passwords from "../../layers/Passwords.ts"
import { Identity } from "../../src/services/Identity.ts"
import { identityContract, name, password } from "../contracts/IdentityContract.ts"
import { temporaryFolder } from "../inventory/Fleet.ts"

// hashing passwords takes its time, and several in a row take it on a busy machine
vi.setConfig({ testTimeout: 60_000 })

const on = (filename: string, options: IdentityLive.Options = {}) =>
  IdentityLive.layerWith(options).pipe(Layer.provide(Database.layer({ filename })))

const file = Effect.map(temporaryFolder, (folder) => path.join(folder, "vmfabric.sqlite"))

identityContract("IdentityTest", IdentityTest.layer)
identityContract("a file", Layer.unwrapScoped(Effect.map(file, (filename) => on(filename))))

describe("Identity in a file", () => {
  it.scoped("is the same when it is opened again", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const before = yield* Effect.gen(function* () {
        const identity = yield* Identity
        yield* identity.createUser({ name: name("root"), role: "admin", password })
        yield* identity.createUser({ name: name("ada"), role: "operator" })
        const { secret, token } = yield* identity.createToken({
          name: "t",
          owner: name("ada"),
          role: "operator",
          expiresAt: null
        })
        const session = Option.getOrThrow(yield* identity.signIn("root", password))
        const ended = Option.getOrThrow(yield* identity.signIn("root", password))
        yield* identity.signOut(ended.secret)
        yield* TestClock.adjust("10 minutes")
        yield* identity.byToken(secret)
        return { secret, token, session: session.secret, ended: ended.secret, users: yield* identity.users }
      }).pipe(Effect.provide(on(filename)))
      yield* Effect.gen(function* () {
        const identity = yield* Identity
        assert.deepStrictEqual(yield* identity.users, before.users)
        assert.isTrue(Option.isSome(yield* identity.byToken(before.secret)))
        assert.isTrue(Option.isSome(yield* identity.bySession(before.session)))
        assert.isTrue(Option.isNone(yield* identity.bySession(before.ended)))
        assert.isTrue(Option.isSome(yield* identity.signIn("root", password)))
        assert.deepStrictEqual(
          (yield* identity.tokens()).map(({ lastUsedAt }) => lastUsedAt),
          [600_000]
        )
        yield* identity.removeToken(before.token.id)
      }).pipe(Effect.provide(on(filename)))
      yield* Effect.gen(function* () {
        const identity = yield* Identity
        assert.isTrue(Option.isNone(yield* identity.byToken(before.secret)))
        const next = yield* identity.createToken({ name: "t", owner: name("ada"), role: "viewer", expiresAt: null })
        assert.isAbove(next.token.id, before.token.id)
      }).pipe(Effect.provide(on(filename)))
    })
  )

  it.scoped("holds no secret that opens a door", () =>
    Effect.gen(function* () {
      const filename = yield* file
      const secrets = yield* Effect.gen(function* () {
        const identity = yield* Identity
        yield* identity.createUser({ name: name("root"), role: "admin", password })
        const { secret } = yield* identity.createToken({
          name: "t",
          owner: name("root"),
          role: "admin",
          expiresAt: null
        })
        const session = Option.getOrThrow(yield* identity.signIn("root", password))
        return [password, secret, session.secret].map(Redacted.value)
      }).pipe(Effect.provide(on(filename)))
      const folder = path.dirname(filename)
      for (const one of yield* Effect.promise(() => fs.readdir(folder))) {
        const content = yield* Effect.promise(() => fs.readFile(path.join(folder, one)))
        for (const secret of secrets) {
          assert.isFalse(content.includes(secret), one)
          assert.isFalse(content.includes(secret.slice(4)), one)
        }
      }
    })
  )

  it.effect("keeps as much of the audit log as it is told", () =>
    Effect.gen(function* () {
      const identity = yield* Identity
      const entry = { user: null, via: null, tokenId: null, from: "", method: "POST", status: 200, failed: null }
      for (let i = 1; i <= 25; i++) yield* identity.audit({ ...entry, path: `/${i}` })
      const kept = yield* identity.audited({ before: null, limit: 100 })
      assert.deepStrictEqual(
        kept.map((one) => one.path),
        Array.from({ length: 10 }, (_, i) => `/${25 - i}`)
      )
    }).pipe(Effect.provide(on(":memory:", { keep: 10 })))
  )

  it.effect("keeps of the audit log what others did, however many strangers ask with wrong passwords", () =>
    Effect.gen(function* () {
      const identity = yield* Identity
      const entry = { tokenId: null, from: "", method: "POST", failed: null }
      const done = (i: number) =>
        identity.audit({ ...entry, user: name("ada"), via: "session", path: `/${i}`, status: 200 })
      const strange = identity.audit({ ...entry, user: null, via: null, path: "/stranger", status: 401 })
      for (let i = 1; i <= 6; i++) yield* done(i)
      yield* Effect.replicateEffect(strange, 40, { discard: true })
      for (let i = 7; i <= 8; i++) yield* done(i)
      const kept = (yield* identity.audited({ before: null, limit: 100 })).map(({ path: at }) => at)
      assert.deepStrictEqual(
        kept.filter((at) => at !== "/stranger"),
        [8, 7, 6, 5, 4, 3, 2, 1].map((i) => `/${i}`)
      )
      // nor do they take more room for that
      assert.lengthOf(kept, 8 + 10)
      assert.deepStrictEqual(kept.slice(0, 3), ["/8", "/7", "/stranger"])
    }).pipe(Effect.provide(on(":memory:", { keep: 10 })))
  )
})

describe("Passwords", () => {
  it.live("takes as long for a user that does not exist, and lets everybody else go on meanwhile", () =>
    Effect.gen(function* () {
      const passwords = yield* Passwords.make
      const stored = yield* passwords.hash(password)
      const timed = <A>(effect: Effect.Effect<A>) =>
        Effect.map(Effect.timed(effect), ([time]) => Duration.toMillis(time))
      const median = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
      const turns: Array<{ readonly known: number; readonly unknown: number }> = []
      for (let i = 0; i < 5; i++) {
        const known = yield* timed(passwords.verify(Redacted.make("a wrong password"), stored))
        turns.push({ known, unknown: yield* timed(passwords.verify(password, null)) })
      }
      const ratio = median(turns.map(({ known }) => known)) / median(turns.map(({ unknown }) => unknown))
      assert.isAbove(ratio, 0.4)
      assert.isBelow(ratio, 2.5)
      let ticks = 0
      const ticking = setInterval(() => ticks++, 1)
      yield* Effect.ensuring(
        passwords.verify(password, stored),
        Effect.sync(() => clearInterval(ticking))
      )
      assert.isAbove(ticks, 2)
    })
  )

  it.live("keeps the same password differently each time, and knows it in another normal form", () =>
    Effect.gen(function* () {
      const passwords = yield* Passwords.make
      const composed = Redacted.make("caf\u00e9 caf\u00e9 caf\u00e9")
      const decomposed = Redacted.make("cafe\u0301 cafe\u0301 cafe\u0301")
      const [one, two] = yield* Effect.all([passwords.hash(composed), passwords.hash(composed)], { concurrency: 2 })
      assert.match(one, /^\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9_-]{22}\$[A-Za-z0-9_-]{43}$/)
      assert.notStrictEqual(one, two)
      assert.isTrue(yield* passwords.verify(decomposed, one))
      assert.isFalse(yield* passwords.verify(Redacted.make("cafe cafe cafe"), one))
    })
  )
})
