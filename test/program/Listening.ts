/** What a process listens at, as the kernel tells it. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

/** With all that it has started. */
const processes = (pid: number): ReadonlyArray<number> => [
  pid,
  ...readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" "))
    .filter((child) => child !== "")
    .flatMap((child) => processes(Number(child)))
]

const inodesOf = (pid: number): ReadonlyArray<string> =>
  readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
    } catch {
      // closed meanwhile
      return []
    }
  })

const lines = (pid: number, file: string) =>
  readFileSync(`/proc/${pid}/net/${file}`, "utf8")
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))

/** Of `0100007F:1F90`, as the kernel has it: words of 32 bits in the order of this machine. */
const addressOf = (text: string): string => {
  const [address = "", port = ""] = text.split(":")
  const bytes = Buffer.from(address, "hex")
  for (let at = 0; at < bytes.length; at += 4) bytes.subarray(at, at + 4).reverse()
  const shown = bytes.length === 4 ? [...bytes].join(".") : `[${bytes.toString("hex")}]`
  return `${shown}:${Number.parseInt(port, 16)}`
}

/** Whatever somebody else could connect to, or send to: of TCP, of UDP, and of files and names on this machine. */
export const of = (pid: number): ReadonlyArray<string> =>
  processes(pid).flatMap((one) => {
    const own = new Set(inodesOf(one))
    const internet = (["tcp", "tcp6", "udp", "udp6"] as const).flatMap((protocol) =>
      lines(one, protocol)
        .filter((columns) => own.has(columns[9] ?? "") && (columns[3] === "0A" || protocol.startsWith("udp")))
        .map((columns) => `${protocol} ${addressOf(columns[1] ?? "")}`)
    )
    const acceptsConnections = 0x1_0000
    const local = lines(one, "unix")
      .filter(
        (columns) => own.has(columns[6] ?? "") && (Number.parseInt(columns[3] ?? "0", 16) & acceptsConnections) > 0
      )
      .map((columns) => `unix ${columns[7] ?? "without a name"}`)
    return [...internet, ...local]
  })
