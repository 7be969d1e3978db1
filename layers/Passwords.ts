/**
 * Passwords as they are kept: scrypt with its parameters and a salt, in one text (`$scrypt$ln=15,r=8,p=1$SALT$HASH`).
 *
 * @since 0.4.0
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto"
import { InvalidArgument } from "../src/domain/Errors.ts"
import * as Places from "../src/domain/Places.ts"

/** 2^15: 32 MiB and a twelfth of a second for each. */
const parameters = { ln: 15, r: 8, p: 1 }

const length = 32

/** Off the event loop. Nothing can stop it once it runs, so nobody who gives up is waited for. */
const derive = (password: string, salt: Buffer, { ln, p, r } = parameters): Effect.Effect<Buffer> =>
  Effect.async<Buffer>((resume) => {
    const options = { N: 2 ** ln, r, p, maxmem: 2 ** ln * r * 128 * 2 }
    // the same letters typed on two keyboards may differ in their code points
    scrypt(password.normalize("NFKC"), salt, length, options, (error, key) =>
      resume(error === null ? Effect.succeed(key) : Effect.die(error))
    )
  })

/** At most `most` characters, so that nobody has us normalise a book. */
const bounds = { least: 12, most: 256 }

const encode = (salt: Buffer, hash: Buffer): string => {
  const { ln, p, r } = parameters
  return `$scrypt$ln=${ln},r=${r},p=${p}$${salt.toString("base64url")}$${hash.toString("base64url")}`
}

const decode = (text: string) => {
  const [, ln, r, p, salt = "", hash = ""] =
    /^\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9_-]+)\$([A-Za-z0-9_-]+)$/.exec(text) ?? []
  return {
    parameters: { ln: Number(ln), r: Number(r), p: Number(p) },
    salt: Buffer.from(salt, "base64url"),
    hash: Buffer.from(hash, "base64url")
  }
}

/**
 * At most four at a time, each of 32 MiB; the others wait.
 *
 * @since 0.4.0 @category constructors
 */
export const make = Effect.map(Places.make(4), (few) => ({
  hash: (password: Redacted.Redacted): Effect.Effect<string, InvalidArgument> => {
    const text = Redacted.value(password)
    if (text.length < bounds.least || text.length > bounds.most) {
      return new InvalidArgument({
        field: "password",
        problem: `has ${text.length} characters`,
        expected: `${bounds.least} to ${bounds.most}`
      })
    }
    return Effect.suspend(() => {
      const salt = randomBytes(16)
      return Effect.map(few.within(derive(text, salt)), (hash) => encode(salt, hash))
    })
  },

  /** Null instead of a hash is never right, and takes as long. */
  verify: (password: Redacted.Redacted, stored: string | null): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      const text = Redacted.value(password).slice(0, bounds.most + 1)
      const known = stored === null ? null : decode(stored)
      const expected = known?.hash ?? randomBytes(length)
      return Effect.map(
        few.within(derive(text, known?.salt ?? randomBytes(16), known?.parameters)),
        (hash) => timingSafeEqual(hash, expected) && known !== null
      )
    })
}))
