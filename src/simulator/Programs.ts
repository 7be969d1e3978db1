/**
 * The few programs the simulated host has, on its own files: what they print and how they end is what the real ones do.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as RemoteProgram from "../ssh/RemoteProgram.ts"
import type { HostFile, HostFiles } from "./HostFiles.ts"

/** How a program ended. `stdout` in pieces, so that a big file need not be held twice. @since 0.1.0 @category models */
export interface Outcome {
  readonly stdout: Iterable<Uint8Array>
  readonly stderr: string
  readonly exitCode: number
}

/** What programs can look at. @since 0.1.0 @category models */
export interface World {
  readonly hostname: string
  readonly files: HostFiles
  /** milliseconds since 1970 */
  readonly now: () => number
  /** what its clock shows, milliseconds since 1970 */
  readonly clock: () => number
  /** bytes of a frame on a bridge; undefined: there is no such bridge */
  readonly mtuOf: (bridge: string) => number | undefined
  /** names of machines that it has a route to nowhere for */
  readonly unreachable: ReadonlySet<string>
  /** before a file is read: what others have still to write there */
  readonly settle: (path: string) => void
}

/** A file to be read by SFTP, or the server's answer. @since 0.6.0 @category combinators */
export const openFile = ({ files, settle }: World, path: string): HostFile | "missing" | "forbidden" => {
  settle(path)
  if (files.forbidden.has(path)) return "forbidden"
  return files.files.get(path) ?? "missing"
}

/** What becomes of a file that is to be removed by SFTP. @since 0.8.0 @category combinators */
export const removeFile = (world: World, path: string): "removed" | "missing" | "forbidden" => {
  const file = openFile(world, path)
  if (typeof file === "string") return file
  world.files.files.delete(path)
  return "removed"
}

/**
 * The argv of a command line: one our own client wrote, or one of plain words. None: something a shell would do more with than take it
 * for words (a pipe, a variable, a pattern), which the simulated host does not do.
 *
 * @since 0.1.0 @category decoding
 */
export const argvOf = (command: string): Option.Option<RemoteProgram.RemoteProgram> =>
  RemoteProgram.parse(command).pipe(
    Option.orElse(() => {
      const [program = "", ...rest] = command.trim().split(/ +/)
      return /^[A-Za-z0-9_@%+:,./ =-]+$/.test(command)
        ? Option.some({ argv: [program, ...rest] as const, stdin: "channel" as const })
        : Option.none()
    })
  )

const chunk = 256 * 1024

const pieces = function* (file: HostFile, length: number): Iterable<Uint8Array> {
  for (let at = 0; at < Math.min(length, file.size); at += chunk) yield file.read(at, Math.min(chunk, length - at))
}

const text = (stdout: string): Outcome => ({
  stdout: stdout === "" ? [] : [Buffer.from(stdout)],
  stderr: "",
  exitCode: 0
})
const failed = (stderr: string, exitCode = 1): Outcome => ({ stdout: [], stderr: `${stderr}\n`, exitCode })

/** Options and operands of an argv; `--` ends the options. Those in `valued` take a value, in the same word or the next. */
const scan = (args: ReadonlyArray<string>, valued: ReadonlyArray<string>) => {
  const options = new Map<string, string>()
  const operands: Array<string> = []
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? ""
    if (arg === "--") {
      operands.push(...args.slice(i + 1))
      break
    }
    if (!arg.startsWith("-") || arg === "-") {
      operands.push(arg)
      continue
    }
    const long = /^(--[^=]+)(?:=([^]*))?$/.exec(arg)
    const name = long?.[1] ?? arg.slice(0, 2)
    const attached = long === null ? arg.slice(2) : long[2]
    if (valued.includes(name))
      options.set(name, attached === undefined || attached === "" ? (args[++i] ?? "") : attached)
    else
      for (const letter of long === null ? arg.slice(1) : [name]) options.set(long === null ? `-${letter}` : letter, "")
  }
  return { options, operands }
}

const byteCount = (value: string): number | undefined => {
  const match = /^(\d+)([KMG]?)$/.exec(value)
  if (match === null) return undefined
  return Number(match[1]) * 1024 ** ["", "K", "M", "G"].indexOf(match[2] ?? "")
}

const statFormat = (format: string, path: string, file: HostFile | undefined): string =>
  format.replaceAll(/%(?:\.(\d*))?([a-zA-Z%])/g, (whole, digits: string | undefined, letter: string) => {
    switch (letter) {
      case "%":
        return "%"
      case "n":
        return path
      case "s":
        return String(file?.size ?? 4096)
      case "b":
        return String(Math.ceil((file?.allocation ?? 4096) / 512))
      case "B":
        return "512"
      case "F":
        return file === undefined ? "directory" : file.size === 0 ? "regular empty file" : "regular file"
      case "f":
        return file === undefined ? "41ed" : "81a4"
      case "d":
        return "2049"
      case "u":
      case "g":
        return "0"
      case "a":
        return file === undefined ? "755" : "644"
      case "X":
      case "Y":
      case "Z": {
        const milliseconds = file?.modified ?? 0
        if (digits === undefined) return String(Math.floor(milliseconds / 1000))
        const fraction = String(Math.floor(milliseconds % 1000))
          .padStart(3, "0")
          .padEnd(9, "0")
        return `${Math.floor(milliseconds / 1000)}.${fraction.slice(0, digits === "" ? 9 : Number(digits))}`
      }
      default:
        return whole
    }
  })

/** Runs one program to its end. @since 0.1.0 @category combinators */
export const run = (world: World, argv: ReadonlyArray<string>): Outcome => {
  const { files } = world
  const [program = "", ...args] = argv
  const name = program.replace(/^\/(?:usr\/)?s?bin\//, "")
  const missing = (path: string, what = name): string => `${what}: ${path}: No such file or directory`
  const each = (
    operands: ReadonlyArray<string>,
    of: (path: string, file: HostFile) => Iterable<Uint8Array>
  ): Outcome => {
    const stdout: Array<Iterable<Uint8Array>> = []
    const stderr: Array<string> = []
    for (const path of operands) {
      const file = files.files.get(path)
      if (file !== undefined) stdout.push(of(path, file))
      else stderr.push(files.folders.has(path) ? `${name}: ${path}: Is a directory` : missing(path))
    }
    return {
      stdout: (function* () {
        for (const part of stdout) yield* part
      })(),
      stderr: stderr.map((line) => `${line}\n`).join(""),
      exitCode: stderr.length === 0 ? 0 : 1
    }
  }
  switch (name) {
    case "true":
      return text("")
    case "false":
      return { stdout: [], stderr: "", exitCode: 1 }
    case "echo":
      return text(`${args.join(" ")}\n`)
    case "hostname":
      return text(`${world.hostname}\n`)
    case "uname":
      return text(args[0] === "-m" ? "x86_64\n" : args[0] === "-n" ? `${world.hostname}\n` : "Linux\n")
    case "date":
      return text(
        args[0] === "+%s.%N" ? `${(world.clock() / 1000).toFixed(9)}\n` : `${new Date(world.clock()).toUTCString()}\n`
      )
    case "df": {
      const { operands, options } = scan(args, [])
      const [path = "/"] = operands
      if (!files.folders.has(path)) return failed(`df: ${path}: No such file or directory`)
      if (options.has("-i")) {
        const taken = Math.min(files.inodes, files.files.size + files.otherInodes)
        return text(
          `Filesystem Inodes IUsed IFree IUse% Mounted on\n/dev/sda1 ${files.inodes} ${taken} ${files.inodes - taken} ${Math.ceil((taken / files.inodes) * 100)}% /\n`
        )
      }
      const [all, used, free] = [files.capacity, files.used, files.free].map((bytes) => Math.floor(bytes / 1024))
      return text(
        `Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 ${all} ${used} ${free} ${Math.ceil((files.used / files.capacity) * 100)}% /\n`
      )
    }
    case "du": {
      const { operands, options } = scan(args, [])
      const [path = "/"] = operands
      if (!options.has("-s") || !options.has("-k")) return failed("du: not simulated but with -sk")
      if (!files.folders.has(path)) return failed(`du: cannot access '${path}': No such file or directory`)
      const bytes = [...files.files].reduce(
        (sum, [name, file]) => sum + (name.startsWith(`${path}/`) ? file.allocation : 0),
        4096
      )
      return text(`${Math.ceil(bytes / 1024)}\t${path}\n`)
    }
    case "cat": {
      const [, bridge] = /^\/sys\/class\/net\/([^/]+)\/mtu$/.exec(args[0] ?? "") ?? []
      const mtu = bridge === undefined ? undefined : world.mtuOf(bridge)
      if (mtu !== undefined) return text(`${mtu}\n`)
      return each(scan(args, []).operands, (_path, file) => pieces(file, file.size))
    }
    case "head": {
      const { operands, options } = scan(args, ["-c", "--bytes", "-n", "--lines"])
      const length = byteCount(options.get("-c") ?? options.get("--bytes") ?? "")
      if (length === undefined) return failed("head: invalid number of bytes")
      return each(operands, (_path, file) => pieces(file, length))
    }
    case "tail": {
      const { operands, options } = scan(args, ["-c", "--bytes"])
      const length = byteCount(options.get("-c") ?? options.get("--bytes") ?? "")
      if (length === undefined) return failed("tail: invalid number of bytes")
      return each(operands, (_path, file) => [file.read(Math.max(0, file.size - length), length)])
    }
    case "sha256sum":
      return each(scan(args, []).operands, (path, file) => [Buffer.from(`${file.sha256()}  ${path}\n`)])
    case "stat": {
      const { operands, options } = scan(args, ["-c", "--format", "--printf"])
      const printf = options.get("--printf")
      const format = printf ?? options.get("-c") ?? options.get("--format") ?? "%n %s"
      const lines: Array<string> = []
      for (const path of operands) {
        const file = files.files.get(path)
        if (file === undefined && !files.folders.has(path)) {
          return failed(`stat: cannot statx '${path}': No such file or directory`)
        }
        const line = statFormat(format, path, file)
        lines.push(printf === undefined ? `${line}\n` : line.replaceAll("\\n", "\n").replaceAll("\\t", "\t"))
      }
      return text(lines.join(""))
    }
    case "test": {
      const [flag, path = ""] = args
      const holds =
        flag === "-e"
          ? files.files.has(path) || files.folders.has(path)
          : flag === "-d"
            ? files.folders.has(path)
            : (flag === "-f" || flag === "-r" || flag === "-s") && files.files.has(path)
      return { stdout: [], stderr: "", exitCode: holds ? 0 : 1 }
    }
    case "mkdir": {
      for (const path of scan(args, ["-m", "--mode"]).operands) files.makeFolder(path)
      return text("")
    }
    case "rm": {
      const { operands, options } = scan(args, [])
      for (const path of operands) {
        if (!files.files.delete(path) && !options.has("-f")) {
          return failed(`rm: cannot remove '${path}': No such file or directory`)
        }
      }
      return text("")
    }
    case "mv": {
      const [source = "", target = ""] = scan(args, []).operands
      const file = files.files.get(source)
      if (file === undefined) return failed(`mv: cannot stat '${source}': No such file or directory`)
      files.files.delete(source)
      files.files.set(target, file)
      return text("")
    }
    case "ip":
      return args.slice(0, 3).join(" ") === "route show match"
        ? text(
            `default via 192.0.2.1 dev eth0\n${world.unreachable.has(args[3] ?? "") ? `unreachable ${args[3]}\n` : ""}`
          )
        : failed(`ip: not simulated: ${args.join(" ")}`, 255)
    default:
      return failed(`bash: line 1: ${program}: command not found`, 127)
  }
}
