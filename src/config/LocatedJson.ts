/**
 * JSON (RFC 8259) with the place of every value, so that a mistake in a file can be shown where it stands. JSON.parse gives no
 * places, and lets the last of two equal keys win in silence.
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"

/** Line and column, both from 1; a column counts UTF-16 units. @since 0.1.0 @category models */
export interface Place {
  readonly line: number
  readonly column: number
}

/** @since 0.1.0 @category models */
export interface Member {
  readonly key: string
  readonly place: Place
  readonly value: Located
}

/** A value and where it begins. Members keep their order, equal keys too. @since 0.1.0 @category models */
export type Located = Place &
  (
    | { readonly type: "object"; readonly members: ReadonlyArray<Member> }
    | { readonly type: "array"; readonly items: ReadonlyArray<Located> }
    | { readonly type: "string"; readonly value: string }
    | { readonly type: "number"; readonly value: number; readonly source: string }
    | { readonly type: "boolean"; readonly value: boolean }
    | { readonly type: "null" }
  )

/** @since 0.1.0 @category models */
export interface SyntaxProblem extends Place {
  readonly problem: string
  readonly expected: string
}

/** deeper than any file of ours; bounds the parser's recursion */
const maximumDepth = 64

/**
 * A text in quotes that does nothing to a terminal: JSON leaves DEL and the second set of control characters as they are.
 *
 * @since 0.3.0 @category formatting
 */
export const quote = (text: string): string =>
  JSON.stringify(text).replaceAll(
    /[\u007f-\u009f]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

class Stop extends Error {
  readonly syntax: SyntaxProblem
  constructor(syntax: SyntaxProblem) {
    super(syntax.problem)
    this.syntax = syntax
  }
}

/** Never throws. @since 0.1.0 @category parsing */
export const parse = (text: string): Either.Either<Located, SyntaxProblem> => {
  const reader = new Reader(text)
  try {
    return Either.right(reader.document())
  } catch (error) {
    if (error instanceof Stop) return Either.left(error.syntax)
    throw error
  }
}

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y
const stringPattern = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const wordPattern = /[A-Za-z0-9_$.+-]+/y

class Reader {
  readonly #text: string
  #at = 0
  #line = 1
  #lineStart = 0
  constructor(text: string) {
    this.#text = text
  }

  document(): Located {
    const value = this.#value(0)
    this.#blanks()
    if (this.#at < this.#text.length) this.#stop("the end of the file after the value")
    return value
  }

  #place(): Place {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 }
  }

  #stop(expected: string): never {
    throw new Stop({ ...this.#place(), problem: this.#seen(), expected })
  }

  #seen(): string {
    if (this.#at >= this.#text.length) return "the file ends here"
    const word = this.#match(wordPattern)
    const found = word ?? String.fromCodePoint(this.#text.codePointAt(this.#at) ?? 0)
    return `${quote(found.slice(0, 40))} cannot stand here`
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    return pattern.exec(this.#text)?.[0]
  }

  #blanks(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const c = this.#text[this.#at]
      if (c === "\n") {
        this.#line++
        this.#lineStart = this.#at + 1
      } else if (c !== " " && c !== "\t" && c !== "\r") {
        return
      }
    }
  }

  /** skips blanks, then takes the character if it is there */
  #take(c: string): boolean {
    this.#blanks()
    if (this.#text[this.#at] !== c) return false
    this.#at++
    return true
  }

  #value(depth: number): Located {
    this.#blanks()
    const place = this.#place()
    if (depth > maximumDepth) this.#stop(`no more than ${maximumDepth} levels`)
    switch (this.#text[this.#at]) {
      case "{": {
        this.#at++
        return { ...place, type: "object", members: this.#list("}", () => this.#member(depth)) }
      }
      case "[": {
        this.#at++
        return { ...place, type: "array", items: this.#list("]", () => this.#value(depth + 1)) }
      }
      case '"':
        return { ...place, type: "string", value: this.#string() }
    }
    const number = this.#match(numberPattern)
    if (number !== undefined && number === this.#match(wordPattern)) {
      this.#at += number.length
      return { ...place, type: "number", value: Number(number), source: number }
    }
    const word = this.#match(wordPattern)
    if (word === "true" || word === "false" || word === "null") {
      this.#at += word.length
      return word === "null" ? { ...place, type: "null" } : { ...place, type: "boolean", value: word === "true" }
    }
    return this.#stop("a JSON value")
  }

  #list<A>(close: "}" | "]", item: () => A): ReadonlyArray<A> {
    const items: Array<A> = []
    if (this.#take(close)) return items
    for (;;) {
      items.push(item())
      if (this.#take(",")) continue
      if (this.#take(close)) return items
      this.#stop(`a comma or ${close}`)
    }
  }

  #member(depth: number): Member {
    this.#blanks()
    const place = this.#place()
    if (this.#text[this.#at] !== '"') this.#stop("a key in double quotes")
    const key = this.#string()
    if (!this.#take(":")) this.#stop("a colon after the key")
    return { key, place, value: this.#value(depth + 1) }
  }

  #string(): string {
    const source = this.#match(stringPattern)
    if (source === undefined) {
      throw new Stop({
        ...this.#place(),
        problem: "the text that begins here is not a JSON string",
        expected: "a closing quote on the same line, and only the escapes of JSON"
      })
    }
    this.#at += source.length
    const value: unknown = JSON.parse(source)
    return typeof value === "string" ? value : source
  }
}
