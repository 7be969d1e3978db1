/**
 * `vmfabric backup`: a copy of all that a controller keeps.
 *
 * @since 0.13.0
 */
import * as Effect from "effect/Effect"
import { Refused } from "./Failure.ts"
import * as Files from "./Files.ts"
import { note } from "./Output.ts"
import { Screen } from "./Screen.ts"
import { client } from "./Session.ts"
import { amount } from "./Statistics.ts"
import * as Verb from "./Verb.ts"

/** What each database of SQLite's begins with. */
const magic = "SQLite format 3\0"

const about = "Take a backup of the controller's database while it goes on."

/** @since 0.13.0 @category nouns */
export const noun: Verb.Noun = {
  name: "backup",
  about,
  verbs: [
    Verb.make({
      name: "backup",
      about,
      endpoints: ["getBackup"],
      options: Verb.noOptions,
      args: Verb.word(
        "file",
        "Where it is written, for its owner alone; what is there is replaced when the new one is whole. - is standard output."
      ),
      run: (_, file) =>
        Effect.gen(function* () {
          const { backup } = yield* client
          const bytes = yield* backup.getBackup({})
          if (new TextDecoder().decode(bytes.subarray(0, magic.length)) !== magic) {
            return yield* new Refused({ why: "failed", message: "what the controller sent is no database" })
          }
          if (file === "-") return yield* (yield* Screen).raw(bytes)
          yield* Effect.mapError(
            Files.replace(file, bytes),
            ({ message }) =>
              new Refused({ why: "failed", message: `${file} cannot be written: ${message}`, field: "file" })
          )
          yield* note(
            `${file}: ${amount(bytes.length)}; images that were uploaded are not in it: copy the folder of --image-dir, too`
          )
        })
    })
  ]
}
