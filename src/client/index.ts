/**
 * A typed client of a controller's API, for Node and for browsers: `Client` for programs on Effect, `connect` for those that know promises.
 *
 * @since 0.4.0
 */
export * as Client from "./Client.ts"
export * as Errors from "./Errors.ts"
export { type CallOptions, ClientError, connect, type Connection, type Plain } from "./Connect.ts"
export * as Ids from "../domain/Ids.ts"
export * as Problem from "../api/Problem.ts"
export { Event } from "../api/Events.ts"
export { Plan } from "../api/Plans.ts"
export { Operation } from "../api/Operations.ts"
export { Vm } from "../api/Vms.ts"
export { Volume } from "../api/Volumes.ts"
export { api } from "../api/Api.ts"
