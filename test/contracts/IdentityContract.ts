/** What every Identity must do. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/TestClock"
import { type Role, TokenId, UserName } from "../../src/domain/Identity.ts"
import { Identity } from "../../src/services/Identity.ts"

export const name = UserName.make
export const password = Redacted.make("correct horse battery staple")
const other = Redacted.make("something else altogether")

const messageOf = <R>(effect: Effect.Effect<unknown, { readonly message: string }, R>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

/** An admin without a password, so that others can be made. */
const withAdmin = Effect.gen(function* () {
  const identity = yield* Identity
  yield* identity.createUser({ name: name("root"), role: "admin", password })
  return identity
})

const token = (owner: string, role: Role, expiresAt: number | null = null) =>
  Effect.flatMap(Identity, (identity) => identity.createToken({ name: "t", owner: name(owner), role, expiresAt }))

export const identityContract = <E>(title: string, layer: Layer.Layer<Identity, E>) =>
  describe(`Identity: ${title}`, () => {
    it.effect("knows nobody at first, then whoever has a password or a token that has not expired", () =>
      Effect.gen(function* () {
        const identity = yield* Identity
        assert.isFalse(yield* identity.anybody)
        yield* identity.createUser({ name: name("root"), role: "admin" })
        assert.isFalse(yield* identity.anybody)
        const short = yield* token("root", "admin", 60_000)
        const shorter = yield* token("root", "admin", 30_000)
        assert.isTrue(yield* identity.anybody)
        yield* TestClock.adjust("30 seconds")
        assert.isTrue(yield* identity.anybody)
        assert.isTrue(Option.isNone(yield* identity.byToken(shorter.secret)))
        assert.isTrue(Option.isSome(yield* identity.byToken(short.secret)))
        yield* TestClock.adjust("30 seconds")
        assert.isFalse(yield* identity.anybody)
        assert.isTrue(Option.isNone(yield* identity.byToken(short.secret)))
        const eternal = yield* token("root", "admin")
        assert.isTrue(yield* identity.anybody)
        yield* identity.removeToken(eternal.token.id)
        assert.isFalse(yield* identity.anybody)
        yield* identity.changeUser(name("root"), { password })
        assert.isTrue(yield* identity.anybody)
      }).pipe(Effect.provide(layer))
    )

    it.effect("gives tokens of a form of their own, once, and knows whose they are", () =>
      Effect.gen(function* () {
        const identity = yield* withAdmin
        yield* identity.createUser({ name: name("ada"), role: "operator" })
        const made = yield* identity.createToken({
          name: "nightly builds",
          owner: name("ada"),
          role: "viewer",
          expiresAt: null
        })
        assert.match(Redacted.value(made.secret), /^vmf_[A-Za-z0-9_-]{43}$/)
        assert.deepStrictEqual(
          { ...made.token },
          {
            id: TokenId.make(1),
            name: "nightly builds",
            owner: name("ada"),
            role: "viewer",
            createdAt: 0,
            expiresAt: null,
            lastUsedAt: null
          }
        )
        assert.deepStrictEqual(
          yield* identity.byToken(made.secret),
          Option.some({
            user: name("ada"),
            role: "viewer",
            via: "token",
            tokenId: TokenId.make(1),
            tokenName: "nightly builds"
          })
        )
        for (const wrong of ["", "vmf_", `${Redacted.value(made.secret)}x`, Redacted.value(made.secret).slice(0, -1)]) {
          assert.isTrue(Option.isNone(yield* identity.byToken(Redacted.make(wrong))))
        }
        const second = yield* token("root", "admin")
        assert.notStrictEqual(Redacted.value(second.secret), Redacted.value(made.secret))
        assert.deepStrictEqual(
          (yield* identity.tokens()).map(({ id, owner }) => `${id} ${owner}`),
          ["1 ada", "2 root"]
        )
        assert.deepStrictEqual(
          (yield* identity.tokens(name("root"))).map(({ id }) => id),
          [TokenId.make(2)]
        )
        // an id that was given out never comes back
        yield* identity.removeToken(second.token.id)
        assert.isTrue(Option.isNone(yield* identity.byToken(second.secret)))
        assert.strictEqual((yield* token("root", "admin")).token.id, 3)
        assert.strictEqual(yield* messageOf(identity.removeToken(second.token.id)), "token 2 does not exist")
      }).pipe(Effect.provide(layer))
    )

    it.effect("a token can do what its owner can now, at most", () =>
      Effect.gen(function* () {
        const identity = yield* withAdmin
        yield* identity.createUser({ name: name("ada"), role: "operator" })
        assert.strictEqual(
          yield* messageOf(token("ada", "admin")),
          "a token of ada can have the role operator at most, not admin"
        )
        const { secret } = yield* token("ada", "operator")
        const roleNow = Effect.map(identity.byToken(secret), (found) => Option.getOrThrow(found).role)
        yield* identity.changeUser(name("ada"), { role: "viewer" })
        assert.strictEqual(yield* roleNow, "viewer")
        yield* identity.changeUser(name("ada"), { role: "admin" })
        assert.strictEqual(yield* roleNow, "operator")
        yield* identity.removeUser(name("ada"))
        assert.isTrue(Option.isNone(yield* identity.byToken(secret)))
        assert.deepStrictEqual(yield* identity.tokens(), [])
        // and the next user of that name does not inherit it
        yield* identity.createUser({ name: name("ada"), role: "operator" })
        assert.isTrue(Option.isNone(yield* identity.byToken(secret)))
      }).pipe(Effect.provide(layer))
    )

    it.effect("tells when a token was last used, to the minute", () =>
      Effect.gen(function* () {
        const identity = yield* withAdmin
        const { secret } = yield* token("root", "admin")
        const lastUse = Effect.map(identity.tokens(), ([one]) => one?.lastUsedAt)
        assert.isNull(yield* lastUse)
        yield* TestClock.adjust("90 seconds")
        yield* identity.byToken(secret)
        assert.strictEqual(yield* lastUse, 60_000)
        yield* TestClock.adjust("29 seconds")
        yield* identity.byToken(secret)
        assert.strictEqual(yield* lastUse, 60_000)
        yield* TestClock.adjust("1 second")
        yield* identity.byToken(secret)
        assert.strictEqual(yield* lastUse, 120_000)
      }).pipe(Effect.provide(layer))
    )

    it.effect("a session lasts twelve hours, and ends by signing out", () =>
      Effect.gen(function* () {
        const identity = yield* withAdmin
        yield* identity.createUser({ name: name("ada"), role: "operator", password })
        assert.isTrue(Option.isNone(yield* identity.signIn("ada", other)))
        assert.isTrue(Option.isNone(yield* identity.signIn("nobody", password)))
        assert.isTrue(Option.isNone(yield* identity.signIn("No Name!", password)))
        assert.isTrue(Option.isNone(yield* identity.signIn("eve", password)))
        const session = Option.getOrThrow(yield* identity.signIn("ada", password))
        assert.strictEqual(session.expiresAt, 12 * 3600_000)
        const principal = { user: name("ada"), role: "operator", via: "session", tokenId: null } as const
        assert.deepStrictEqual(session.principal, principal)
        yield* TestClock.adjust("11 hours")
        assert.deepStrictEqual(yield* identity.bySession(session.secret), Option.some(principal))
        // neither is the other
        assert.isTrue(Option.isNone(yield* identity.byToken(session.secret)))
        const second = Option.getOrThrow(yield* identity.signIn("ada", password))
        yield* TestClock.adjust("1 hour")
        assert.isTrue(Option.isNone(yield* identity.bySession(session.secret)))
        assert.isTrue(Option.isSome(yield* identity.bySession(second.secret)))
        yield* identity.signOut(second.secret)
        assert.isTrue(Option.isNone(yield* identity.bySession(second.secret)))
        yield* identity.signOut(second.secret)
      }).pipe(Effect.provide(layer))
    )

    it.effect("a new password, another role and removal end a user's sessions, and nobody else's", () =>
      Effect.gen(function* () {
        const identity = yield* withAdmin
        yield* identity.createUser({ name: name("ada"), role: "operator", password })
        yield* identity.createUser({ name: name("bob"), role: "viewer", password })
        const signedIn = (who: string, word = password) =>
          Effect.map(identity.signIn(who, word), (found) => Option.getOrThrow(found).secret)
        const isGood = (secret: Redacted.Redacted) => Effect.map(identity.bySession(secret), Option.isSome)
        const bob = yield* signedIn("bob")
        const first = yield* signedIn("ada")
        yield* identity.changeUser(name("ada"), { role: "operator" })
        assert.isTrue(yield* isGood(first))
        yield* identity.changeUser(name("ada"), { role: "viewer" })
        assert.isFalse(yield* isGood(first))
        const second = yield* signedIn("ada")
        yield* identity.changeUser(name("ada"), { password: other })
        assert.isFalse(yield* isGood(second))
        assert.isTrue(Option.isNone(yield* identity.signIn("ada", password)))
        const third = yield* signedIn("ada", other)
        yield* identity.removeUser(name("ada"))
        assert.isFalse(yield* isGood(third))
        assert.isTrue(yield* isGood(bob))
      }).pipe(Effect.provide(layer))
    )

    it.effect("a disabled user is nobody until they are enabled, and then has all that they had", () =>
      Effect.gen(function* () {
        const identity = yield* withAdmin
        yield* identity.createUser({ name: name("ada"), role: "operator", password })
        yield* identity.createUser({ name: name("bob"), role: "operator", password })
        const signIn = (who: string) => identity.signIn(who, password)
        const session = Option.getOrThrow(yield* signIn("ada")).secret
        const bob = Option.getOrThrow(yield* signIn("bob")).secret
        const { secret } = yield* token("ada", "viewer")
        const before = yield* identity.byToken(secret)
        assert.isFalse((yield* identity.users).some(({ disabled }) => disabled))

        assert.deepInclude(yield* identity.changeUser(name("ada"), { disabled: true }), {
          name: name("ada"),
          role: "operator",
          hasPassword: true,
          disabled: true
        })
        assert.isTrue(Option.isNone(yield* identity.bySession(session)))
        assert.isTrue(Option.isNone(yield* identity.byToken(secret)))
        assert.isTrue(Option.isNone(yield* signIn("ada")))
        assert.isTrue(Option.isSome(yield* identity.bySession(bob)))
        // who is on this machine is not let in for it
        assert.isTrue(yield* identity.anybody)
        assert.lengthOf(yield* identity.tokens(name("ada")), 1)
        // also one that is made meanwhile
        const another = yield* token("ada", "viewer")
        assert.isTrue(Option.isNone(yield* identity.byToken(another.secret)))
        // what else is changed of them leaves them disabled
        assert.isTrue((yield* identity.changeUser(name("ada"), { role: "operator" })).disabled)

        assert.isFalse((yield* identity.changeUser(name("ada"), { disabled: false })).disabled)
        assert.deepStrictEqual(yield* identity.byToken(secret), before)
        assert.isTrue(Option.isSome(yield* identity.byToken(another.secret)))
        assert.isTrue(Option.isSome(yield* identity.bySession(session)))
        assert.isTrue(Option.isSome(yield* signIn("ada")))
      }).pipe(Effect.provide(layer))
    )

    it.effect("somebody who is disabled while they sign in does not get in", () =>
      Effect.gen(function* () {
        const identity = yield* withAdmin
        yield* identity.createUser({ name: name("ada"), role: "operator", password })
        const [found] = yield* Effect.all(
          [identity.signIn("ada", password), identity.changeUser(name("ada"), { disabled: true })],
          { concurrency: "unbounded" }
        )
        if (Option.isSome(found)) assert.isTrue(Option.isNone(yield* identity.bySession(found.value.secret)))
        assert.isTrue(Option.isNone(yield* identity.signIn("ada", password)))
      }).pipe(Effect.provide(layer))
    )

    it.effect("an admin who is disabled is none: the last other one is not disabled, lowered or removed", () =>
      Effect.gen(function* () {
        const identity = yield* withAdmin
        yield* identity.createUser({ name: name("ada"), role: "admin" })
        const last = (who: string) => `user ${who} is the last admin: make somebody else one first`
        yield* identity.changeUser(name("ada"), { disabled: true })
        for (const change of [{ disabled: true }, { role: "viewer" }] as const) {
          assert.strictEqual(yield* messageOf(identity.changeUser(name("root"), change)), last("root"))
        }
        assert.strictEqual(yield* messageOf(identity.removeUser(name("root"))), last("root"))
        yield* identity.changeUser(name("ada"), { disabled: false })
        // of two who disable each other at the same time one stays
        const outcomes = yield* Effect.all(
          ["root", "ada"].map((who) => Effect.either(identity.changeUser(name(who), { disabled: true }))),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(outcomes.map(({ _tag }) => _tag).toSorted(), ["Left", "Right"])
        assert.lengthOf(
          (yield* identity.users).filter(({ disabled }) => !disabled),
          1
        )
      }).pipe(Effect.provide(layer))
    )

    it.effect("keeps at least one admin, and makes the first user one", () =>
      Effect.gen(function* () {
        const identity = yield* Identity
        assert.match(
          yield* messageOf(identity.createUser({ name: name("ada"), role: "operator" })),
          /^user ada cannot be the first one with this role/
        )
        yield* identity.createUser({ name: name("root"), role: "admin" })
        yield* identity.createUser({ name: name("ada"), role: "operator" })
        const last = "user root is the last admin: make somebody else one first"
        assert.strictEqual(yield* messageOf(identity.changeUser(name("root"), { role: "operator" })), last)
        assert.strictEqual(yield* messageOf(identity.removeUser(name("root"))), last)
        yield* identity.changeUser(name("ada"), { role: "admin" })
        // of two who lower each other at the same time one stays
        const outcomes = yield* Effect.all(
          ["root", "ada"].map((who) => Effect.either(identity.changeUser(name(who), { role: "viewer" }))),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(outcomes.map(({ _tag }) => _tag).toSorted(), ["Left", "Right"])
        assert.deepStrictEqual((yield* identity.users).map(({ role }) => role).toSorted(), ["admin", "viewer"])
      }).pipe(Effect.provide(layer))
    )

    it.effect("lets nobody sign in while no admin can, and keeps one who can while others can", () =>
      Effect.gen(function* () {
        const identity = yield* Identity
        yield* identity.createUser({ name: name("root"), role: "admin" })
        yield* identity.createUser({ name: name("ada"), role: "operator" })
        const notYet = "user ada would be able to sign in, and no admin would"
        const refused = <A, E extends { readonly message: string }, R>(of: Effect.Effect<A, E, R>, said: string) =>
          Effect.map(messageOf(of), (message) => assert.include(message, said))
        yield* refused(token("ada", "operator"), notYet)
        yield* refused(identity.changeUser(name("ada"), { password }), notYet)
        yield* refused(identity.createUser({ name: name("bob"), role: "viewer", password }), "user bob would be able")
        // a token that may not administer does not help
        yield* refused(token("root", "viewer"), "user root would be able to sign in, and no admin would")
        assert.isFalse(yield* identity.anybody)
        assert.deepStrictEqual(yield* identity.tokens(), [])

        const ours = yield* token("root", "admin")
        const theirs = yield* token("ada", "operator")
        const noMore = "user root is the last admin who can sign in, and others can"
        yield* refused(identity.removeToken(ours.token.id), noMore)
        yield* identity.createUser({ name: name("eve"), role: "admin" })
        // eve is one, too, and cannot sign in
        yield* refused(identity.removeUser(name("root")), noMore)
        yield* refused(identity.changeUser(name("root"), { disabled: true }), noMore)
        yield* refused(identity.changeUser(name("root"), { role: "viewer" }), noMore)
        assert.isTrue(Option.isSome(yield* identity.byToken(ours.secret)))
        const another = yield* token("root", "admin")
        yield* identity.removeToken(ours.token.id)
        // when nobody else can any more
        yield* identity.removeToken(theirs.token.id)
        yield* identity.removeToken(another.token.id)
        assert.isFalse(yield* identity.anybody)
      }).pipe(Effect.provide(layer))
    )

    it.effect("refuses what cannot be", () =>
      Effect.gen(function* () {
        const identity = yield* withAdmin
        assert.strictEqual(
          yield* messageOf(identity.createUser({ name: name("root"), role: "viewer" })),
          "user root exists already"
        )
        assert.match(
          yield* messageOf(identity.createUser({ name: name("local"), role: "admin" })),
          /^user local is what/
        )
        const short = Redacted.make("elevenchars")
        const long = Redacted.make("x".repeat(257))
        for (const [word, length] of [
          [short, 11],
          [long, 257]
        ] as const) {
          const problem = `password has ${length} characters: expected 12 to 256`
          assert.strictEqual(
            yield* messageOf(identity.createUser({ name: name("ada"), role: "viewer", password: word })),
            problem
          )
          assert.strictEqual(yield* messageOf(identity.changeUser(name("root"), { password: word })), problem)
        }
        const nobody = "user nobody does not exist"
        assert.strictEqual(yield* messageOf(identity.changeUser(name("nobody"), { role: "viewer" })), nobody)
        assert.strictEqual(yield* messageOf(identity.removeUser(name("nobody"))), nobody)
        assert.strictEqual(yield* messageOf(token("nobody", "viewer")), nobody)
        assert.strictEqual(
          yield* messageOf(token("root", "viewer", 0)),
          "expiresAt is in the past: expected a time to come"
        )
        assert.strictEqual(
          yield* messageOf(
            identity.createToken({ name: "x".repeat(256), owner: name("root"), role: "viewer", expiresAt: null })
          ),
          "name has 256 characters: expected 1 to 255"
        )
        yield* Effect.forEach(Array.from({ length: 100 }), () => token("root", "viewer"), { discard: true })
        assert.strictEqual(yield* messageOf(token("root", "viewer")), "root has 100 tokens: remove one first")
        assert.strictEqual((yield* identity.tokens()).length, 100)
      }).pipe(Effect.provide(layer))
    )

    it.effect("a password that is changed while it is compared opens nothing", () =>
      Effect.gen(function* () {
        const identity = yield* withAdmin
        yield* identity.createUser({ name: name("ada"), role: "operator", password })
        // the new one is hashed in the meantime, and it takes its turn first
        const [session] = yield* Effect.all(
          [identity.signIn("ada", password), Effect.zipRight(Effect.yieldNow(), identity.removeUser(name("ada")))],
          { concurrency: "unbounded" }
        )
        assert.isTrue(Option.isNone(session))
      }).pipe(Effect.provide(layer))
    )

    it.effect("the audit log is told page by page, the newest first", () =>
      Effect.gen(function* () {
        const identity = yield* Identity
        const entry = (path: string) => ({
          user: name("ada"),
          via: "token" as const,
          tokenId: TokenId.make(7),
          from: "192.0.2.7",
          method: "DELETE",
          path,
          status: 202,
          failed: null
        })
        for (const path of ["/1", "/2", "/3", "/4", "/5"]) yield* identity.audit(entry(path))
        yield* TestClock.adjust("1 second")
        yield* identity.audit({ ...entry("/6"), user: null, via: null, tokenId: null, failed: "wrong credentials" })
        const [newest, ...rest] = yield* identity.audited({ before: null, limit: 3 })
        assert.deepInclude(newest, { path: "/6", time: 1000, user: null, failed: "wrong credentials" })
        assert.deepStrictEqual(
          rest.map(({ path }) => path),
          ["/5", "/4"]
        )
        const older = yield* identity.audited({ before: rest.at(-1)?.id ?? 0, limit: 3 })
        assert.deepStrictEqual(
          older.map(({ path }) => path),
          ["/3", "/2", "/1"]
        )
        assert.deepStrictEqual({ ...older[2] }, { ...entry("/1"), id: 1, time: 0 })
      }).pipe(Effect.provide(layer))
    )
  })
