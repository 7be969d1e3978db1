/** Whether an answer is one that the OpenAPI document has. A small part of JSON Schema, and all of it that the document uses. */
import { assert } from "../../check/Equality.ts"

type Json = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const members = (value: unknown): Json => (isObject(value) ? value : {})

const list = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])

const typeOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value

const known = new Set(
  (
    "$ref type enum const properties required additionalProperties items anyOf allOf " +
    "propertyNames pattern format minimum maximum minLength maxLength minItems maxItems minProperties " +
    "description title examples default patternProperties oneOf contentMediaType contentSchema"
  ).split(" ")
)

/** What of the value is not as the schema says; empty: nothing. */
export const violations = (document: unknown, schema: unknown, value: unknown, at = "$"): ReadonlyArray<string> => {
  const s = members(schema)
  const unknown = Object.keys(s).filter((keyword) => !known.has(keyword))
  if (unknown.length > 0) return [`${at}: the keyword ${unknown.join(", ")} is not checked here`]
  const found: Array<string> = []
  const nested = (schema: unknown, value: unknown, at: string) => violations(document, schema, value, at)
  const { $ref, pattern, type } = s
  if (typeof $ref === "string") {
    const name = $ref.replace("#/components/schemas/", "")
    const target = members(members(members(document).components).schemas)[name]
    return target === undefined ? [`${at}: ${$ref} is not defined`] : nested(target, value, at)
  }
  if (type !== undefined) {
    const types = typeof type === "string" ? [type] : list(type)
    const is = typeOf(value)
    if (!types.includes(is) && !(is === "integer" && types.includes("number"))) {
      return [`${at} is ${is}, not ${types.join(" or ")}`]
    }
  }
  if (Array.isArray(s.enum) && !s.enum.includes(value)) found.push(`${at} is ${String(value)}, not of the enumeration`)
  if ("const" in s && s.const !== value) found.push(`${at} is not ${String(s.const)}`)
  for (const either of [s.anyOf, s.oneOf]) {
    if (Array.isArray(either) && either.every((one) => nested(one, value, at).length > 0)) {
      found.push(`${at} is none of: ${either.map((one) => nested(one, value, at)[0]).join(" | ")}`)
    }
  }
  for (const one of list(s.allOf)) found.push(...nested(one, value, at))
  if (typeof value === "string") {
    const { length } = [...value]
    if (typeof pattern === "string" && !new RegExp(pattern, "u").test(value))
      found.push(`${at} does not match ${pattern}`)
    if (s.format === "date-time" && new Date(value).toISOString() !== value) found.push(`${at} is no time`)
    if (typeof s.minLength === "number" && length < s.minLength) found.push(`${at} is too short`)
    if (typeof s.maxLength === "number" && length > s.maxLength) found.push(`${at} is too long`)
  }
  if (typeof value === "number") {
    if (typeof s.minimum === "number" && value < s.minimum) found.push(`${at} is less than ${s.minimum}`)
    if (typeof s.maximum === "number" && value > s.maximum) found.push(`${at} is more than ${s.maximum}`)
  }
  if (Array.isArray(value)) {
    if (typeof s.minItems === "number" && value.length < s.minItems) found.push(`${at} has too few`)
    for (const [index, one] of value.entries()) found.push(...nested(s.items, one, `${at}[${index}]`))
  }
  if (isObject(value)) {
    if (typeof s.minProperties === "number" && Object.keys(value).length < s.minProperties) found.push(`${at} is empty`)
    for (const name of list(s.required)) if (!(String(name) in value)) found.push(`${at} has no ${String(name)}`)
    if (isObject(s.propertyNames)) {
      for (const name of Object.keys(value)) found.push(...nested(s.propertyNames, name, `${at}: the name ${name}`))
    }
    for (const [name, one] of Object.entries(value)) {
      const property = members(s.properties)[name]
      if (property !== undefined) found.push(...nested(property, one, `${at}.${name}`))
      else if (isObject(s.additionalProperties)) found.push(...nested(s.additionalProperties, one, `${at}.${name}`))
      else if (s.additionalProperties === false && !("patternProperties" in s)) found.push(`${at} has ${name} beside`)
    }
  }
  return found
}

export interface Operation {
  readonly id: string
  readonly method: string
  /** as the document has it */
  readonly path: string
  readonly spec: Json
}

/** Every operation of the document. */
export const operations = (document: unknown): ReadonlyArray<Operation> =>
  Object.entries(members(members(document).paths)).flatMap(([path, methods]) =>
    Object.entries(members(methods)).map(([method, spec]) => ({
      id: String(members(spec).operationId),
      method: method.toUpperCase(),
      path,
      spec: members(spec)
    }))
  )

const fits = (pattern: string, path: string) => {
  const [a, b] = [pattern.split("/"), path.split("/")]
  return a.length === b.length && a.every((part, index) => part.startsWith("{") || part === b[index])
}

/** The one that a request is for: a fixed path before one with a parameter. */
export const find = (document: unknown, method: string, path: string): Operation | undefined =>
  operations(document)
    .filter((one) => one.method === method && fits(one.path, path))
    .toSorted((a, b) => a.path.split("{").length - b.path.split("{").length)[0]

/** Fails when the document does not have this answer to this request. */
export const check = (
  document: unknown,
  method: string,
  url: string,
  answer: { readonly status: number; readonly type: string | null; readonly body: unknown }
) => {
  const path = url.split("?")[0] ?? ""
  // a slash at the end means nothing to the router, where there is no parameter that is empty
  const plain = path.replace(/\/$/, "")
  const what = `${method} ${url} → ${answer.status} ${JSON.stringify(answer.body).slice(0, 600)}`
  if (answer.status === 405) {
    // doubled slashes are one for the router, too
    const single = plain.replace(/\/{2,}/g, "/")
    assert.isUndefined(find(document, method, single)?.id, what)
    return assert(
      operations(document).some((one) => fits(one.path, single)),
      what
    )
  }
  const operation = find(document, method, plain) ?? find(document, method, path)
  // a path with something empty or superfluous in it is none
  if (operation === undefined) return assert.strictEqual(answer.status, 404, what)
  const response = members(operation.spec.responses)[String(answer.status)]
  assert(isObject(response), `the document has no such answer: ${what}`)
  if (answer.status === 204 || answer.status === 304) return assert.strictEqual(answer.body, "", what)
  const type = (answer.type ?? "").split(";")[0] ?? ""
  const content = members(response.content)[type]
  assert(isObject(content), `the document has no ${type} there: ${what}`)
  assert.deepStrictEqual(violations(document, content.schema, answer.body), [], what)
}
