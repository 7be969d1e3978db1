/**
 * Who asks: whose the VMs and volumes are that are made meanwhile, and who the operations are by.
 *
 * @since 0.9.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { UserName } from "../domain/Identity.ts"
import { Author, type Authorship } from "../services/Author.ts"

/** Usually nobody in particular: what a program makes by the library is nobody's, and in no quota, unless it says whose it is. @since 0.9.0 @category services */
export class Asker extends Context.Reference<Asker>()("vmfabric/fabric/Asker", {
  defaultValue: (): UserName | null => null
}) {}

/** Who an operation is by that is begun now. @since 0.13.0 @category getters */
export const authorship: Effect.Effect<Authorship> = Effect.flatMap(Author, (author) =>
  author === null ? Effect.map(Asker, (user) => ({ user, token: null, cause: null })) : Effect.succeed(author)
)
