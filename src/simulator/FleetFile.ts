/**
 * Simulated fleets from a file: JSON that says which machines there are, which images and types, whether there is a Ceph pool, and what goes
 * wrong.
 *
 * @since 0.3.0
 */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as InputFiles from "../config/InputFiles.ts"
import * as LocatedJson from "../config/LocatedJson.ts"
import { InstanceTypeId } from "../domain/Ids.ts"
import { InstanceType } from "../domain/InstanceType.ts"

const count = (least: number, most: number, what: string) =>
  Schema.Int.pipe(Schema.between(least, most, { message: () => `${what} from ${least} to ${most}` }))

const Name = Schema.String.pipe(
  Schema.pattern(/^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/, {
    message: () => "a name of lower-case letters, digits and hyphens"
  })
)

/** Machines of one kind. @since 0.3.0 @category models */
export const Group = Schema.Struct({
  /** how many */
  count: Schema.optionalWith(count(1, 10_000, "a number of machines"), { exact: true, default: () => 1 }),
  /** what their names begin with: `NAME-1`, `NAME-2` … */
  name: Schema.optionalWith(Name, { exact: true, default: () => "sim" }),
  /** logical CPUs */
  cpus: Schema.optionalWith(count(1, 1024, "a number of processors"), { exact: true, default: () => 64 }),
  /** as libvirt names it */
  cpuModel: Schema.optionalWith(
    Schema.String.pipe(
      Schema.pattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, { message: () => "a model of processors, as EPYC-Rome" })
    ),
    { exact: true, default: () => "EPYC-Rome" }
  ),
  /** GiB */
  memory: Schema.optionalWith(count(1, 65_536, "GiB"), { exact: true, default: () => 256 }),
  /** GiB */
  disk: Schema.optionalWith(count(1, 1_048_576, "GiB"), { exact: true, default: () => 4096 }),
  /** libvirt's active networks */
  networks: Schema.optionalWith(Schema.Array(Schema.String), { exact: true, default: () => ["default"] }),
  kvm: Schema.optionalWith(Schema.Boolean, { exact: true, default: () => true }),
  /** milliseconds from power to a guest that is up */
  bootTime: Schema.optionalWith(count(0, 3_600_000, "milliseconds"), { exact: true, default: () => 2000 }),
  /** milliseconds from the request to power off */
  shutdownTime: Schema.optionalWith(count(0, 3_600_000, "milliseconds"), { exact: true, default: () => 1000 })
})
/** @since 0.3.0 @category models */
export type Group = typeof Group.Type

/** A raw disk; `size` in MiB. @since 0.3.0 @category models */
export const SimulatedImage = Schema.Struct({ name: Name, size: count(1, 1024, "MiB") })

const type = (tid: number, cpu: number, ram: number, disk: number): InstanceType => ({
  tid: InstanceTypeId.make(tid),
  cpu,
  ram,
  disk
})

/** What is absent has a default. @since 0.3.0 @category models */
export const FleetFile = Schema.Struct({
  hosts: Schema.NonEmptyArray(Group),
  images: Schema.optionalWith(Schema.NonEmptyArray(SimulatedImage), {
    exact: true,
    default: () => [
      { name: "debian-12", size: 8 },
      { name: "ubuntu-24", size: 12 }
    ]
  }),
  types: Schema.optionalWith(Schema.NonEmptyArray(InstanceType), {
    exact: true,
    default: () => [type(1, 1, 512, 10), type(2, 1, 1024, 20), type(3, 2, 4096, 40), type(4, 4, 8192, 80)]
  }),
  /** a Ceph pool that all machines reach; `capacity` in GiB */
  pool: Schema.optionalWith(Schema.Struct({ name: Name, capacity: count(1, 1_073_741_824, "GiB") }), { exact: true }),
  /** VMs that run when it begins, of the first type and the first image */
  vms: Schema.optionalWith(count(0, 1_000_000, "a number of VMs"), { exact: true, default: () => 0 }),
  /** what goes wrong: lines of a fault script */
  faults: Schema.optionalWith(Schema.Array(Schema.String), { exact: true, default: () => [] }),
  /** decides everything random about it */
  seed: Schema.optionalWith(Schema.Int, { exact: true, default: () => 1 })
})
/** @since 0.3.0 @category models */
export type FleetFile = typeof FleetFile.Type

type Problem = InputFiles.InputProblem

const plain = (value: LocatedJson.Located): unknown => {
  switch (value.type) {
    case "object":
      return Object.fromEntries(value.members.map(({ key, value }) => [key, plain(value)]))
    case "array":
      return value.items.map(plain)
    case "null":
      return null
    default:
      return value.value
  }
}

/** Keys that are given twice, of which only the last would count. */
const repeated = (value: LocatedJson.Located): ReadonlyArray<LocatedJson.Member> =>
  value.type === "array"
    ? value.items.flatMap(repeated)
    : value.type === "object"
      ? value.members.flatMap((member, index) => [
          ...(value.members.findIndex(({ key }) => key === member.key) < index ? [member] : []),
          ...repeated(member.value)
        ])
      : []

/** The value at a path, or the last on the way there. */
const at = (value: LocatedJson.Located, path: ReadonlyArray<PropertyKey>): LocatedJson.Located =>
  path.reduce<LocatedJson.Located>((found, key) => {
    if (found.type === "array") return found.items[Number(key)] ?? found
    if (found.type === "object") return found.members.find((member) => member.key === key)?.value ?? found
    return found
  }, value)

const pathText = (path: ReadonlyArray<PropertyKey>): string =>
  path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : text === "" ? String(key) : `${text}.${String(key)}`),
    ""
  )

const shown = (value: LocatedJson.Located): string => {
  const text = JSON.stringify(plain(value))
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

/** One problem in the words of the other input files. */
const worded = (file: string, json: LocatedJson.Located, issue: ParseResult.ArrayFormatterIssue): Problem => {
  const value = at(json, issue.path)
  const { column, line } = value
  const path = pathText(issue.path)
  switch (issue._tag) {
    case "Missing":
      return { file, line, column, problem: `${path} is missing`, expected: "it to be given" }
    case "Unexpected":
      return {
        file,
        line,
        column,
        problem: `${path} is not a key`,
        expected: issue.message.replace(/^is unexpected, expected: /, "only ")
      }
    default:
      return {
        file,
        line,
        column,
        problem: `${path === "" ? "the file" : path} is ${shown(value)}`,
        expected: issue.message.replace(/^Expected ([^]*), actual [^]*$/, "$1")
      }
  }
}

const decode = Schema.decodeUnknownEither(FleetFile, { errors: "all", onExcessProperty: "error" })

/** Every problem of the file at once. @since 0.3.0 @category parsing */
export const parse = (text: string, file = "fleet"): Either.Either<FleetFile, InputFiles.InputFileError> => {
  const refused = (problems: ReadonlyArray<Problem>): Either.Either<never, InputFiles.InputFileError> => {
    const [first, ...others] = problems
    return Either.left(
      new InputFiles.InputFileError({
        problems: [first ?? { file, problem: "it cannot be read", expected: "a fleet" }, ...others]
      })
    )
  }
  const json = LocatedJson.parse(text.replace(/^\uFEFF/, ""))
  if (Either.isLeft(json)) return refused([{ file, ...json.left }])
  const twice = repeated(json.right).map(({ key, place: { column, line } }): Problem => ({
    file,
    line,
    column,
    problem: `${JSON.stringify(key)} is given twice`,
    expected: "each key once"
  }))
  if (twice.length > 0) return refused(twice)
  const decoded = decode(plain(json.right))
  if (Either.isRight(decoded)) {
    const names = decoded.right.hosts.map(({ name }) => name)
    const again = names.findIndex((name, index) => names.indexOf(name) < index)
    if (again === -1) return Either.right(decoded.right)
    const { column, line } = at(json.right, ["hosts", again])
    return refused([
      {
        file,
        line,
        column,
        problem: `hosts[${again}] is called ${names[again]} as others are`,
        expected: "another name"
      }
    ])
  }
  return refused(
    ParseResult.ArrayFormatter.formatErrorSync(decoded.left).map((issue) => worded(file, json.right, issue))
  )
}

/** So many machines of one kind, everything else as it is unless given. @since 0.3.0 @category constructors */
export const sized = (options: { readonly hosts: number; readonly vms?: number; readonly seed?: number }): FleetFile =>
  Either.getOrThrow(
    decode({
      hosts: [{ count: options.hosts }],
      ...(options.vms === undefined ? {} : { vms: options.vms }),
      ...(options.seed === undefined ? {} : { seed: options.seed })
    })
  )
