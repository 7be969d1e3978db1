/**
 * `vmfabric vm log`, `screenshot` and `xml`: what a VM shows.
 *
 * @since 0.6.0
 */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Options from "@effect/cli/Options"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type Guest, nextHeader } from "../api/Inspections.ts"
import { Refused } from "./Failure.ts"
import { answered, note, one, type View, written } from "./Output.ts"
import * as Resolve from "./Resolve.ts"
import { Screen } from "./Screen.ts"
import { client, Session } from "./Session.ts"
import { amount } from "./Statistics.ts"
import * as Text from "./Text.ts"
import * as Verb from "./Verb.ts"

const word = Verb.word("vm", "Id or name of the VM.")

/** Bytes that come in parts, as text that this terminal can be given; what has begun and not ended waits for the part after. */
const shown = () => {
  const decoder = new TextDecoder()
  let waiting = ""
  return (bytes: Uint8Array, last: boolean): string => {
    const text = waiting + decoder.decode(bytes, { stream: !last })
    const end = last ? text.length : Text.unfinished(text)
    waiting = text.slice(end)
    return Text.printed(text.slice(0, end))
  }
}

type Told = NonNullable<Guest["told"]>

const listed = (items: ReadonlyArray<string>) => (items.length === 0 ? null : items.join(", "))

const mounted = ({ device, mountpoint, size, type, used }: Told["filesystems"][number]) =>
  `${mountpoint} (${[device, type].filter((word) => word !== "").join(" ")}${
    size === null || used === null ? "" : `, ${amount(used)} of ${amount(size)}`
  })`

/** @since 0.7.0 @category views */
export const guest: View<Told> = {
  name: ({ hostname }) => hostname ?? "",
  columns: [
    { title: "HOSTNAME", of: ({ hostname }) => hostname },
    { title: "SYSTEM", of: ({ os }) => os?.name ?? os?.id ?? null },
    { title: "KERNEL", of: ({ os }) => os?.kernel ?? null },
    { title: "MACHINE", of: ({ os }) => os?.machine ?? null },
    {
      title: "TIMEZONE",
      of: ({ timezone }) => timezone && `${timezone.name ?? ""} UTC${offset(timezone.offset)}`.trim()
    },
    { title: "USERS", of: ({ users }) => listed(users.map(({ name }) => name)) },
    { title: "FILE SYSTEMS", of: ({ filesystems }) => listed(filesystems.map(mounted)) },
    {
      title: "INTERFACES",
      of: ({ interfaces }) =>
        listed(
          interfaces.map(({ addresses, name }) =>
            [name, ...addresses.map(({ address, prefix }) => `${address}/${prefix}`)].join(" ")
          )
        )
    }
  ]
}

const offset = (seconds: number) => {
  const minutes = Math.abs(Math.trunc(seconds / 60))
  return `${seconds < 0 ? "-" : "+"}${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`
}

/** @since 0.6.0 @category verbs */
export const verbs: ReadonlyArray<Verb.Verb> = [
  Verb.make({
    name: "log",
    about: "Print what a VM's guest printed on its serial console.",
    endpoints: ["getConsoleLog"],
    options: Options.all({
      bytes: Options.optional(
        Verb.number("bytes", "N", "At most so many of its end, 1 to 1048576; 65536 unless it is said.")
      ),
      follow: Verb.toggle("follow", "Then print what comes, until the VM is gone or Ctrl-C."),
      raw: Verb.toggle("raw", "As the guest printed it: it can do with your terminal what it likes.")
    }),
    args: word,
    run: ({ bytes, follow, raw }, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { mode, patient } = yield* Session
        const screen = yield* Screen
        const asked = Verb.given("bytes", bytes)
        const show = shown()
        const print = (part: Uint8Array, last: boolean) => (raw ? screen.raw(part) : screen.out(show(part, last)))
        const data = (part: Uint8Array) => Buffer.from(part).toString("base64")
        if (!follow) {
          const { inspections } = yield* client
          const [log, { headers }] = yield* inspections.getConsoleLog({
            path: { id },
            urlParams: asked,
            withResponse: true
          })
          if (mode === "json" || mode === "yaml") {
            return yield* screen.out(yield* written({ data: data(log), next: headers[nextHeader] ?? null }, mode))
          }
          return yield* print(log, true)
        }
        const parts = (yield* patient).console(id, asked)
        yield* Stream.runForEach(parts, (part) =>
          mode === "json" || mode === "yaml"
            ? screen.out(`${JSON.stringify({ data: data(part.bytes), next: part.next, lost: part.lost })}\n`)
            : part.lost
              ? note("some of what was printed is no longer kept")
              : print(part.bytes, false)
        )
        if (!raw && mode !== "json" && mode !== "yaml") yield* print(new Uint8Array(0), true)
        yield* note(`VM ${id} is gone`)
      })
  }),
  Verb.make({
    name: "screenshot",
    about: "Take a picture of a VM's screen, as a PNG file.",
    endpoints: ["getScreenshot"],
    options: Options.all({
      file: Verb.text("file", "FILE", "Where it is written; - is standard output.")
    }),
    args: word,
    run: ({ file }, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { inspections } = yield* client
        const picture = yield* inspections.getScreenshot({ path: { id } })
        const screen = yield* Screen
        if (file === "-") return yield* screen.raw(picture)
        const fs = yield* FileSystem.FileSystem
        // not for everybody on this machine: what is on a screen is nobody else's business
        yield* Effect.mapError(
          fs.writeFile(file, picture, { mode: 0o600 }),
          ({ message }) =>
            new Refused({ why: "failed", message: `${file} cannot be written: ${message}`, field: "file" })
        )
        yield* note(`${file}: ${picture.length} bytes`)
      })
  }),
  Verb.make({
    name: "guest",
    about: "Ask a VM's guest about itself: its name, system, users, file systems and addresses, by qemu-guest-agent.",
    endpoints: ["getGuest"],
    options: Verb.noOptions,
    args: word,
    run: (_, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { mode } = yield* Session
        const { inspections } = yield* client
        const { body, value } = yield* answered(inspections.getGuest({ path: { id }, withResponse: true }))
        if (mode === "json" || mode === "yaml") return yield* (yield* Screen).out(yield* written(body, mode))
        if (value.told === null) {
          return yield* new Refused({ why: "failed", message: `VM ${id} tells nothing of itself: ${value.reason}` })
        }
        yield* one(guest, { body, value: value.told })
      })
  }),
  Verb.make({
    name: "xml",
    about: "Print a VM's domain as libvirt describes it.",
    endpoints: ["getVmXml"],
    options: Options.all({
      defined: Verb.toggle("defined", "What it is started with the next time, instead of what it runs with.")
    }),
    args: word,
    run: ({ defined }, text) =>
      Effect.gen(function* () {
        const id = yield* Resolve.vm(text)
        const { mode } = yield* Session
        const screen = yield* Screen
        const { inspections } = yield* client
        const { body, value } = yield* answered(inspections.getVmXml({ path: { id }, withResponse: true }))
        if (mode === "json" || mode === "yaml") return yield* screen.out(yield* written(body, mode))
        const xml = defined ? value.defined : Option.getOrNull(Option.fromNullable(value.live ?? value.defined))
        if (xml === null) {
          return yield* new Refused({
            why: "failed",
            message: `VM ${id} has no ${defined ? "definition" : "domain"} now`
          })
        }
        yield* screen.out(`${Text.plainLines(xml.trimEnd())}\n`)
      })
  })
]
