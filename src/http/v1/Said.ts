/**
 * What a body says: two that say the same are one request, whether they say what is usual or leave it out.
 *
 * @since 0.11.0
 */
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { Meaning, Usual } from "../../api/Common.ts"
import { canonical } from "../../fabric/Keys.ts"

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const nothing: Readonly<Record<string, unknown>> = {}

const usualOf = AST.getAnnotation<Readonly<Record<string, unknown>>>(Usual)
const meaningOf = AST.getAnnotation<(value: unknown) => unknown>(Meaning)

/** Of which of them it is. */
const memberOf = (ast: AST.Union, value: unknown): AST.AST | undefined =>
  ast.types.find((member) => ParseResult.is(Schema.make(AST.typeAST(member)))(value))

const parts = (ast: AST.AST, value: unknown): unknown => {
  switch (ast._tag) {
    case "Refinement":
      return of(ast.from, value)
    case "Transformation":
      return of(ast.to, value)
    case "Suspend":
      return of(ast.f(), value)
    case "Union": {
      const member = memberOf(ast, value)
      return member === undefined ? value : of(member, value)
    }
    case "TupleType": {
      const [rest] = ast.rest
      return Array.isArray(value) && rest !== undefined ? value.map((one) => of(rest.type, one)) : value
    }
    case "TypeLiteral": {
      if (!isObject(value)) return value
      const usual = Option.getOrElse(usualOf(ast), () => nothing)
      const others = ast.indexSignatures[0]?.type
      const said = Object.entries(value).flatMap(([name, member]) => {
        const type = ast.propertySignatures.find((property) => property.name === name)?.type ?? others
        const one = type === undefined ? member : of(type, member)
        return name in usual && canonical(one) === canonical(usual[name]) ? [] : [[name, one] as const]
      })
      return Object.fromEntries(said)
    }
    default:
      return value
  }
}

/** Of what is decoded by that schema: without what is usual, and in one spelling. @since 0.11.0 @category conversions */
export const of = (ast: AST.AST, value: unknown): unknown => {
  const said = parts(ast, value)
  return Option.match(meaningOf(ast), { onNone: () => said, onSome: (meaning) => meaning(said) })
}
