/**
 * Events a libvirt daemon pushes about domains: one table, from which client, server and types follow.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as S from "./Structs.ts"
import * as Xdr from "./Xdr.ts"

const message = <const N extends string, A extends { readonly dom: S.Dom }>(
  tag: N,
  id: number,
  number: number,
  payload: Xdr.Codec<A>
) => ({
  /** virDomainEventID, to register for it */
  id,
  /** number of the message that carries it */
  number,
  payload,
  decode: (bytes: Uint8Array) =>
    Either.map(Xdr.decode(payload, bytes), (value) => ({
      ...value,
      _tag: tag,
      name: value.dom.name,
      uuid: value.dom.uuid
    }))
})

/** `callbackID` is what the registration answered; 0 is a valid one. */
const common = { callbackID: Xdr.i32, dom: S.Dom }

/** @since 0.1.0 @category table */
export const messages = {
  Lifecycle: message("Lifecycle", 0, 318, Xdr.struct({ ...common, event: Xdr.i32, detail: Xdr.i32 })),
  Reboot: message("Reboot", 1, 319, Xdr.struct(common)),
  DeviceRemoved: message("DeviceRemoved", 15, 333, Xdr.struct({ ...common, devAlias: S.str })),
  BlockJob: message("BlockJob", 16, 339, Xdr.struct({ ...common, dst: S.str, type: Xdr.i32, status: Xdr.i32 })),
  Tunable: message("Tunable", 17, 346, Xdr.struct({ ...common, params: Xdr.array(S.TypedParameter, 2048) })),
  AgentLifecycle: message("AgentLifecycle", 18, 348, Xdr.struct({ ...common, state: Xdr.i32, reason: Xdr.i32 })),
  DeviceAdded: message("DeviceAdded", 19, 354, Xdr.struct({ ...common, devAlias: S.str })),
  JobCompleted: message("JobCompleted", 21, 363, Xdr.struct({ ...common, params: Xdr.array(S.TypedParameter, 64) })),
  DeviceRemovalFailed: message("DeviceRemovalFailed", 22, 367, Xdr.struct({ ...common, devAlias: S.str })),
  MetadataChange: message(
    "MetadataChange",
    23,
    379,
    Xdr.struct({ ...common, type: Xdr.i32, nsuri: Xdr.optional(S.str) })
  )
} as const

/** @since 0.1.0 @category models */
export type EventName = keyof typeof messages

/**
 * An event about a domain, `name` and `uuid`. For `Lifecycle`, `event` and `detail` are virDomainEventType and its detail type.
 *
 * @since 0.1.0 @category models
 */
export type DomainEvent = Either.Either.Right<ReturnType<(typeof messages)[EventName]["decode"]>>

const byNumber = new Map(Object.values(messages).map((entry) => [entry.number, entry]))

/** The event in a message; none: a message that nobody here knows. @since 0.1.0 @category coding */
export const decode = (number: number, payload: Uint8Array): Either.Either<DomainEvent, Xdr.XdrError> | undefined =>
  byNumber.get(number)?.decode(payload)
