/**
 * Who asks: whose the VMs and volumes are that are made meanwhile.
 *
 * @since 0.9.0
 */
import * as Context from "effect/Context"
import type { UserName } from "../domain/Identity.ts"

/** Usually nobody in particular: what a program makes by the library is nobody's, and in no quota, unless it says whose it is. @since 0.9.0 @category services */
export class Asker extends Context.Reference<Asker>()("vmfabric/fabric/Asker", {
  defaultValue: (): UserName | null => null
}) {}
