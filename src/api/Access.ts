/**
 * What a request needs its sender to be, and who that is.
 *
 * @since 0.4.0
 */
import * as Context from "effect/Context"
import type { Principal, Role } from "../domain/Identity.ts"

/**
 * Annotation of an endpoint: the role it needs; `nobody`: it is open to all. One without it needs `admin`, so that forgetting it opens nothing.
 *
 * @since 0.4.0 @category annotations
 */
export class Needs extends Context.Reference<Needs>()("vmfabric/api/Needs", {
  defaultValue: (): Role | "nobody" => "admin"
}) {}

/** Who the request is from; null: nobody that is known, which only routes that need nobody see. @since 0.4.0 @category services */
export class CurrentPrincipal extends Context.Reference<CurrentPrincipal>()("vmfabric/api/CurrentPrincipal", {
  defaultValue: (): Principal | null => null
}) {}
