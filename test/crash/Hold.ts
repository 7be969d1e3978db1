/**
 * What a controller that is to be killed and whoever kills it tell each other, by files in a folder.
 */
import * as Schema from "effect/Schema"
import { appendFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { OperationKind } from "../../src/domain/Operation.ts"

/** At which point an operation of that kind stands still; absent: at none. */
export type Plan = Readonly<Partial<Record<OperationKind, string>>>

const Plan = Schema.parseJson(
  Schema.partialWith(Schema.Record({ key: OperationKind, value: Schema.String }), { exact: true })
)
const decodePlan = Schema.decodeSync(Plan)

/** The controller's side: null as long as it is not time yet. */
export const read = (folder: string): Plan | null => {
  const file = join(folder, "plan")
  return existsSync(file) ? decodePlan(readFileSync(file, "utf8")) : null
}

export const passed = (folder: string, kind: OperationKind, point: string): void =>
  appendFileSync(join(folder, "passed"), `${kind} ${point}\n`)

export const held = (folder: string, kind: OperationKind): void => appendFileSync(join(folder, "held"), `${kind}\n`)

/** From now on. */
export const begin = (folder: string, plan: Plan): void => {
  // at once, since it is looked for at every write
  writeFileSync(join(folder, "plan.new"), JSON.stringify(plan))
  renameSync(join(folder, "plan.new"), join(folder, "plan"))
}

export const end = (folder: string): void => {
  for (const name of ["plan", "passed", "held"]) rmSync(join(folder, name), { force: true })
}

const lines = (folder: string, name: string): ReadonlyArray<string> => {
  const file = join(folder, name)
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : []
}

/** Kinds of which one stands still. */
export const allHeld = (folder: string): ReadonlySet<string> => new Set(lines(folder, "held"))

/** Points that operations of that kind have passed, each once. */
export const allPassed = (folder: string, kind: OperationKind): ReadonlyArray<string> => [
  ...new Set(
    lines(folder, "passed").flatMap((line) => (line.startsWith(`${kind} `) ? [line.slice(kind.length + 1)] : []))
  )
]
