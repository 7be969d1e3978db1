/**
 * Idempotency keys, as clients give them.
 *
 * @since 0.3.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { InvalidArgument } from "../domain/Errors.ts"
import type { OperationId } from "../domain/Ids.ts"
import { unsaid } from "../domain/Vm.ts"
import type { Inventory, RequestKey } from "../services/Inventory.ts"
import { Asker } from "./Asker.ts"
import { Intent } from "./Intent.ts"

const isKey = (key: string): boolean => /^[\x21-\x7e]{1,255}$/.test(key)

/** All that a request says, in a fixed order. What is the same of it is found by `isSame`. @since 0.11.0 @category models */
export type Said = ReadonlyArray<string | number | null>

/**
 * What the inventory keeps of a request's key, which is whoever asks's; undefined: it has none. `request`: all that the request says, in a fixed order; `among`:
 * which of many it is that are asked for with that key, and all that these say.
 *
 * @since 0.3.0 @category constructors
 */
export const make = (
  key: string | undefined,
  request: Said,
  among?: { readonly number: number; readonly request: Said }
): Effect.Effect<RequestKey | undefined, InvalidArgument> => {
  if (key === undefined) return Effect.succeed(key)
  if (isKey(key)) {
    return Effect.map(Asker, (asker) => ({
      key,
      asker,
      fingerprint: JSON.stringify(request),
      ...(among === undefined ? {} : { among: { number: among.number, fingerprint: JSON.stringify(among.request) } })
    }))
  }
  return new InvalidArgument({
    field: "Idempotency-Key",
    problem:
      key === ""
        ? "is empty"
        : key.length > 255
          ? `has ${key.length} characters`
          : "has blanks or characters that are not ASCII",
    expected: "1 to 255 visible ASCII characters"
  })
}

/** The fields of a request with that key. @since 0.3.0 @category conversions */
export const field = (key: RequestKey | undefined, replaces?: OperationId): { readonly key?: RequestKey } =>
  key === undefined ? {} : { key: replaces === undefined ? key : { ...key, replaces } }

/**
 * The key of what is really done. A plan has none: what the request would do is planned, and not what it has led to; but that the key is another
 * request's is told here, for so the request would be answered. Nothing is written.
 *
 * @since 0.11.0 @category combinators
 */
export const unlessPlanned = Effect.fnUntraced(function* (
  inventory: Pick<Inventory["Type"], "keyed">,
  key: RequestKey | undefined
) {
  const { waits } = yield* Intent
  // what does not wait is a rehearsal
  if (key === undefined || waits) return key
  yield* inventory.keyed(key)
  return undefined
})

// ------------------------------------------------------------------------------------------------- what is the same request

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const fromJson = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/**
 * JSON with the members of each object in one order: whoever writes them in another says the same. Of what is none of JSON's, what it is there.
 *
 * @since 0.10.0 @category formatting
 */
export const canonical = (value: unknown): string => {
  const ordered = (value: unknown): string => {
    if (Array.isArray(value)) return `[${value.map(ordered).join(",")}]`
    if (!isObject(value)) return JSON.stringify(value)
    const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${ordered(member)}`).join(",")}}`
  }
  return ordered(JSON.parse(JSON.stringify(value ?? null)))
}

const decoded = Option.liftThrowable(decodeURI)

/** Of a URL, as the router understands it: without the query, and with one slash where there are several. @since 0.10.0 @category formatting */
export const pathOf = (url: string): string => {
  const path = (url.split("?", 1)[0] ?? "").replace(/\/{2,}/g, "/").replace(/(?<=.)\/$/, "")
  return Option.getOrElse(decoded(path), () => path)
}

/** What a new VM is without a word, by its fields' names; that a request says so explicitly makes it no other one. */
const usual: ReadonlyMap<string, string> = new Map(
  Object.entries(unsaid).map(([name, value]) => [name, canonical(value)])
)

/** One NIC of which nothing is said. */
const usualNics = "[[null,null,null,null]]"

/** NICs as `Nics.said` has them: network, VLAN, address and model, of which one may not have been said. */
const ofNics = (part: string): string => {
  const nics = Option.getOrNull(fromJson(part))
  if (!Array.isArray(nics)) return part
  return JSON.stringify(
    nics.map((nic: unknown) => (Array.isArray(nic) && nic[3] === "virtio" ? [...nic.slice(0, 3), null] : nic))
  )
}

/** A VM keeps its tags in order of their names, in whatever they are given. */
const inOrder = (value: unknown): unknown =>
  isObject(value) && Array.isArray(value["tags"]) ? { ...value, tags: value["tags"].toSorted() } : value

/** A rule of which no weight is said has that of 1. */
const unweighted = (rule: unknown): unknown => {
  if (!isObject(rule) || rule["weight"] !== 1) return rule
  const { weight: _, ...others } = rule
  return others
}

const ofPlacement = (value: unknown): unknown => {
  const placement = isObject(value) ? value["placement"] : null
  return isObject(value) && isObject(placement) && Array.isArray(placement["rules"])
    ? { ...value, placement: { ...placement, rules: placement["rules"].map(unweighted) } }
    : value
}

/** A new VM's settings or NICs; none: they are what is usual. */
const ofVm = (part: unknown): ReadonlyArray<unknown> => {
  if (typeof part !== "string") return [part]
  if (part.startsWith("[[")) {
    const nics = ofNics(part)
    return nics === usualNics ? [] : [nics]
  }
  const settings = part.startsWith("{") ? ofPlacement(inOrder(Option.getOrNull(fromJson(part)))) : null
  if (!isObject(settings)) return [part]
  const said = Object.entries(settings).filter(([name, value]) => canonical(value) !== usual.get(name))
  return said.length === 0 ? [] : [canonical(Object.fromEntries(said))]
}

const methods = new Set<unknown>(["POST", "PUT", "PATCH", "DELETE"])

/** A request by its method, its path and its content, whoever asks. */
const ofRequest = (said: ReadonlyArray<unknown>): ReadonlyArray<unknown> =>
  said.map((part, index) => {
    if (typeof part !== "string") return part
    if (methods.has(said[index - 1])) return pathOf(part)
    if (!methods.has(said[index - 2])) return part
    return Option.match(fromJson(part), { onNone: () => part, onSome: canonical })
  })

const comparable = (fingerprint: string): string => {
  const said = Option.getOrNull(fromJson(fingerprint))
  if (!Array.isArray(said)) return fingerprint
  const [what] = said
  // the name and the type, which are texts of their own, come before what is looked into
  if (what === "VM" || what === "VMs") {
    return JSON.stringify([...said.slice(0, 4), ...said.slice(4).flatMap(ofVm)])
  }
  if (what === "NIC") return JSON.stringify(said.map((part) => (typeof part === "string" ? ofNics(part) : part)))
  return JSON.stringify(ofRequest(said))
}

/**
 * Whether two fingerprints are of the same request, however its members are ordered, whether it says what would be so anyway, and however its path is written.
 *
 * @since 0.10.0 @category predicates
 */
export const isSame = (one: string, other: string): boolean => one === other || comparable(one) === comparable(other)
