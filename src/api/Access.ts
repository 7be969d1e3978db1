/**
 * What a request needs its sender to be, and who that is; and what else an endpoint says of its requests.
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

/**
 * Annotation of an endpoint: a password comes with it and is compared. Wrong ones are counted for each address, and too many of them refused.
 *
 * @since 0.4.0 @category annotations
 */
export class ComparesPassword extends Context.Reference<ComparesPassword>()("vmfabric/api/ComparesPassword", {
  defaultValue: (): boolean => false
}) {}

/**
 * Annotation of an endpoint: its requests are in the audit log although they only GET, as those that open a way into a VM.
 *
 * @since 0.7.0 @category annotations
 */
export class Recorded extends Context.Reference<Recorded>()("vmfabric/api/Recorded", {
  defaultValue: (): boolean => false
}) {}

/**
 * Annotation of an endpoint: its body may be left out, which is the same as `{}`.
 *
 * @since 0.8.0 @category annotations
 */
export class BodyOptional extends Context.Reference<BodyOptional>()("vmfabric/api/BodyOptional", {
  defaultValue: (): boolean => false
}) {}

/** Who the request is from; null: nobody that is known, which only routes that need nobody see. @since 0.4.0 @category services */
export class CurrentPrincipal extends Context.Reference<CurrentPrincipal>()("vmfabric/api/CurrentPrincipal", {
  defaultValue: (): Principal | null => null
}) {}
