/**
 * What the crash tests have passed, as a table: each test file writes its part, and the end of the run puts them together.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

const file = new URL("../../dist/test/crash.txt", import.meta.url).pathname

/** `scenario` on hosts or in a pool, `passed` points of `what`. */
export interface Cell {
  readonly kind: string
  readonly scenario: string
  readonly what: string
  readonly passed: number
}

/** A part, under a name of its own. */
export const write = (folder: string, name: string, cells: ReadonlyArray<Cell>): void =>
  writeFileSync(join(folder, `${name}.json`), JSON.stringify(cells))

const read = (folder: string): ReadonlyArray<Cell> =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .flatMap((name): ReadonlyArray<Cell> => JSON.parse(readFileSync(join(folder, name), "utf8")))

const distinct = (texts: ReadonlyArray<string>) => [...new Set(texts)]

/** All parts, a line for each scenario; null: there are none. Also kept in dist/test/crash.txt. */
export const render = (folder: string): string | null => {
  const cells = read(folder)
  if (cells.length === 0) return null
  const columns = distinct(cells.map(({ what }) => what)).toSorted()
  const rows = distinct(cells.map(({ kind, scenario }) => `${kind}: ${scenario}`)).toSorted()
  const sum = (of: (cell: Cell) => boolean) => cells.filter(of).reduce((all, { passed }) => all + passed, 0)
  const lines = [
    ["points passed", ...columns, "all"],
    ...rows.map((row) => {
      const mine = ({ kind, scenario }: Cell) => `${kind}: ${scenario}` === row
      return [row, ...columns.map((what) => `${sum((cell) => mine(cell) && cell.what === what)}`), `${sum(mine)}`]
    }),
    ["all", ...columns.map((what) => `${sum((cell) => cell.what === what)}`), `${sum(() => true)}`]
  ]
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  const text = lines
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "))
    .join("\n")
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${text}\n`)
  return text
}
