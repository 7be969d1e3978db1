/** The document, and the page for people. */
import * as HttpApi from "@effect/platform/HttpApi"
import { assert, describe, it } from "@effect/vitest"
import { Validator as SpecificationValidator } from "@seriousme/openapi-schema-validator"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as JSONSchema from "effect/JSONSchema"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import packageJson from "../../../package.json" with { type: "json" }
import { Needs } from "../../../src/api/Access.ts"
import { api } from "../../../src/api/Api.ts"
import * as App from "./App.ts"
import * as Contract from "./Contract.ts"

const operations = Contract.operations(App.document)
const components = Contract.members(Contract.members(App.document).components)
const schemas = Contract.members(components.schemas)

/** What is wrong with a document, in words: a validator can be put beside this one. */
type Validator = (document: unknown) => ReadonlyArray<string> | Promise<ReadonlyArray<string>>

/** By a name, or as one of several that have names. */
const isNamed = (schema: unknown): boolean => {
  const { $ref, anyOf } = Contract.members(schema)
  return typeof $ref === "string" || (Array.isArray(anyOf) && anyOf.every(isNamed))
}

const references = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value)
    ? value.flatMap(references)
    : Contract.isObject(value)
      ? Object.entries(value).flatMap(([key, one]) => (key === "$ref" ? [String(one)] : references(one)))
      : []

/** What OpenAPI 3.1 asks for, as far as a generator could get it wrong. */
const wellFormed: Validator = (document) => {
  const { info, openapi, tags } = Contract.members(document)
  const names = new Set(Array.isArray(tags) ? tags.map((tag) => Contract.members(tag).name) : [])
  const ids = operations.map(({ id }) => id)
  return [
    ...(openapi === "3.1.0" ? [] : ["it is not of version 3.1.0"]),
    ...(typeof Contract.members(info).title === "string" ? [] : ["it has no title"]),
    ...ids.filter((id, index) => ids.indexOf(id) !== index).map((id) => `${id} is there twice`),
    ...references(document).flatMap((ref) =>
      ref.replace("#/components/schemas/", "") in schemas ? [] : [`${ref} is not defined`]
    ),
    ...operations.flatMap(({ id, path, spec }) => {
      const parameters = Array.isArray(spec.parameters) ? spec.parameters.map(Contract.members) : []
      const inPath = parameters.filter((parameter) => parameter.in === "path").map(({ name }) => `{${String(name)}}`)
      const used = Array.isArray(spec.tags) ? spec.tags : []
      return [
        ...(JSON.stringify(path.match(/\{[^}]+\}/g) ?? []) === JSON.stringify(inPath)
          ? []
          : [`${id}: the parameters in its path are others`]),
        ...used.flatMap((tag) => (names.has(tag) ? [] : [`${id}: its tag ${String(tag)} is not described`])),
        ...parameters.flatMap(({ name, schema }) =>
          Contract.isObject(schema) ? [] : [`${id}: ${String(name)} is of no kind`]
        ),
        ...Object.entries(Contract.members(spec.responses)).flatMap(([status, response]) =>
          typeof Contract.members(response).description === "string" ? [] : [`${id}: ${status} is not described`]
        )
      ]
    })
  ]
}

/** By the schema of the specification itself. */
const bySpecification: Validator = async (document) => {
  const { errors, valid } = await new SpecificationValidator().validate(structuredClone(Contract.members(document)))
  return valid ? [] : typeof errors === "string" ? [errors] : (errors ?? []).map((error) => JSON.stringify(error))
}

const validators: ReadonlyArray<readonly [name: string, Validator]> = [
  ["well-formed", wellFormed],
  ["by the schema of OpenAPI 3.1", bySpecification]
]

/** What each name of a schema stands for, of all that the API takes and answers; of several things of one name the document has only the last. */
const named = (): ReadonlyMap<string, ReadonlySet<string>> => {
  const all = new Map<string, Set<string>>()
  const add = (ast: AST.AST): void => {
    for (const [name, schema] of Object.entries(JSONSchema.make(Schema.make(ast)).$defs ?? {})) {
      all.set(name, (all.get(name) ?? new Set()).add(JSON.stringify(schema)))
    }
  }
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ errors, payloads, successes }) => {
      for (const { ast } of [...successes.values(), ...errors.values()]) Option.map(ast, add)
      for (const { ast } of payloads.values()) add(ast)
    }
  })
  return all
}

describe("the OpenAPI document", () => {
  it("has a name for one thing only", () => {
    const names = [...named()]
    assert.isAbove(names.length, 50)
    assert.deepStrictEqual(
      names.flatMap(([name, is]) => (is.size > 1 ? [[name, ...is]] : [])),
      []
    )
  })

  for (const [name, validator] of validators) {
    it(`is valid: ${name}`, async () => assert.deepStrictEqual(await validator(App.document), []))
  }

  it.scopedLive("is served, and says of which version it is and how one signs in", () =>
    Effect.gen(function* () {
      const { send } = yield* App.make()
      const { body, headers } = yield* send("/openapi.json")
      assert.include(headers.get("content-type") ?? "", "application/json")
      assert.deepStrictEqual(body, App.document)
      const { info, security, tags } = Contract.members(body)
      assert.deepInclude(info, { title: "vmfabric", version: packageJson.version })
      assert.deepStrictEqual(security, [{ bearer: [] }, { session: [] }])
      assert.deepStrictEqual(Object.keys(Contract.members(components.securitySchemes)), ["bearer", "session"])
      assert(Array.isArray(tags))
      for (const tag of tags) assert.isNotEmpty(Contract.members(tag).description, JSON.stringify(tag))
    })
  )

  it("says of each endpoint what it is for, and what can go wrong", () => {
    const lacking = operations.flatMap(({ id, method, path, spec }) => {
      const { description, summary } = spec
      const responses = Contract.members(spec.responses)
      const common = ["400", "401", "403", "429", "500", "503"]
      const expected = [
        ...common,
        ...(path.includes("{") ? ["404"] : []),
        ...(method === "DELETE" && path.includes("vms/") ? ["412"] : [])
      ]
      return [
        ...(typeof summary === "string" && summary.length > 3 && !summary.endsWith(".") ? [] : [`${id}: summary`]),
        ...(typeof description === "string" && description.endsWith(".") ? [] : [`${id}: description`]),
        ...expected.filter((status) => !(status in responses)).map((status) => `${id}: ${status}`),
        ...Object.entries(responses).flatMap(([status, response]) =>
          Number(status) < 400 || "application/problem+json" in Contract.members(Contract.members(response).content)
            ? []
            : [`${id}: ${status} is no problem`]
        )
      ]
    })
    assert.deepStrictEqual(lacking, [])
    assert.isAbove(operations.length, 40)
  })

  it("says of each endpoint who may use it", () => {
    const undecided: Array<string> = []
    const needs = new Map<string, string>()
    HttpApi.reflect(api, {
      onGroup: () => undefined,
      onEndpoint: ({ endpoint, mergedAnnotations }) => {
        if (!mergedAnnotations.unsafeMap.has(Needs.key)) undecided.push(endpoint.name)
        needs.set(endpoint.name, Context.get(mergedAnnotations, Needs))
        if (endpoint.method !== "GET" && Context.get(mergedAnnotations, Needs) === "viewer") {
          assert.include(["setPassword", "createToken", "removeToken", "signOut"], endpoint.name)
        }
      }
    })
    assert.deepStrictEqual(undecided, [])
    assert.strictEqual(needs.get("changeHost"), "admin")
    assert.strictEqual(needs.get("createVm"), "operator")
    assert.strictEqual(needs.get("getVm"), "viewer")
    for (const { id, spec } of operations) {
      const open = needs.get(id.split(".")[1] ?? "") === "nobody"
      // absent: as the document says for all
      assert.deepStrictEqual(spec.security, open ? [] : undefined, id)
    }
  })

  it("has a name for each schema, an example for each body, and is right about its examples", () => {
    const anonymous = operations.flatMap(({ id, spec }) => {
      const bodies = [
        Contract.members(spec.requestBody),
        ...Object.values(Contract.members(spec.responses)).map(Contract.members)
      ]
      return bodies.flatMap(({ content }) =>
        Object.entries(Contract.members(content)).flatMap(([type, media]) => {
          const { schema } = Contract.members(media)
          return ["text/event-stream", "application/octet-stream", "image/png"].includes(type) ||
            "201" in Contract.members(spec.responses) ||
            isNamed(schema)
            ? []
            : [id]
        })
      )
    })
    assert.deepStrictEqual(anonymous, [])
    const without = operations.flatMap(({ id, spec }) => {
      const media = Contract.members(Contract.members(Contract.members(spec.requestBody).content)["application/json"])
      const ref = Contract.members(media.schema).$ref
      if (typeof ref !== "string") return []
      return Array.isArray(Contract.members(schemas[ref.split("/").at(-1) ?? ""]).examples) ? [] : [id]
    })
    assert.deepStrictEqual(without, [])
    for (const [name, schema] of Object.entries(schemas)) {
      const { examples } = Contract.members(schema)
      for (const example of Array.isArray(examples) ? examples : []) {
        assert.deepStrictEqual(
          Contract.violations(App.document, schema, example),
          [],
          `${name} ${JSON.stringify(example)}`
        )
      }
    }
  })

  it("says which bodies may be left out", () => {
    const optional = operations.flatMap(({ id, spec }) =>
      Contract.members(spec.requestBody).required === false ? [id] : []
    )
    assert.sameMembers(optional, ["vms.shutDownVm", "vms.rebootVm"])
  })

  it("says in which unit each size is", () => {
    const sizes = ["size", "cpu", "ram", "disk", "capacity", "used", "available", "promised", "virtualSize", "fileSize"]
    const bare = Object.entries(schemas).flatMap(([name, schema]) =>
      Object.entries(Contract.members(Contract.members(schema).properties)).flatMap(([property, one]) => {
        const { $ref, description } = Contract.members(one)
        const said = /GiB|MiB|vCPU|bytes|promised/.test(String(description))
        return !sizes.includes(property) || said || $ref !== undefined || name === "Resources"
          ? []
          : [`${name}.${property}`]
      })
    )
    assert.deepStrictEqual(bare, [])
  })
})

describe("the page for people", () => {
  it.scopedLive("holds all that it needs, and fetches nothing from elsewhere", () =>
    Effect.gen(function* () {
      const { send } = yield* App.make()
      const { body, headers, status } = yield* send("/docs")
      assert.strictEqual(status, 200)
      assert.include(headers.get("content-type") ?? "", "text/html")
      const page = String(body)
      assert.include(page, "createVm")
      // what a browser would fetch by itself: tags with an address, and style sheets that name one
      const tags = page.match(
        /<(?:script|link|img|iframe|source|object|embed)\b[^>]*\b(?:src|href|data)\s*=\s*["']?https?:/gi
      )
      assert.isNull(tags)
      assert.isNull(page.match(/(?:@import\s*["']?|url\(\s*["']?)https?:/gi))
      assert.notInclude(page, "validator.swagger.io")
      // and what its script might: browsers are told not to
      const policy = headers.get("content-security-policy") ?? ""
      assert.include(policy, "default-src 'none'")
      assert.include(policy, "connect-src 'self'")
      assert.notMatch(policy, /https?:|\*/)
    })
  )
})
