/**
 * What VMs show: their console's log, their screen, their definition.
 *
 * @since 0.6.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { amounts, ConsoleCursor } from "../domain/Console.ts"
import * as Ids from "../domain/Ids.ts"
import { binary, documented, field, id, Int, optional, strict, Time, within } from "./Common.ts"
import { streamType } from "./Events.ts"
import * as Problem from "./Problem.ts"

/** What is told beside a console's log: where what follows it begins. @since 0.6.0 @category constants */
export const nextHeader = "vmfabric-next"

/** @since 0.6.0 @category schemas */
export const VmXml = Schema.Struct({
  live: field(Schema.NullOr(Schema.String), "of the domain that runs; null: it does not run"),
  defined: field(Schema.NullOr(Schema.String), "what it is started with the next time; null: it has no definition")
}).annotations({
  identifier: "VmXml",
  description: "A VM's domain as libvirt describes it, without passwords.",
  examples: [{ live: null, defined: "<domain type='kvm'>\n  <name>vm-7</name>\n</domain>\n" }]
})
/** @since 0.6.0 @category schemas */
export type VmXml = typeof VmXml.Type

const Cursor = ConsoleCursor.annotations({
  identifier: "ConsoleCursor",
  description: "a place in a console's log, as an answer gave it",
  message: () => ({ message: `expected the ${nextHeader} of an answer, or the id of an event`, override: true }),
  jsonSchema: { type: "string", pattern: "^[0-9]{1,2}[.][0-9a-f]{12}[.][0-9]{1,15}$" }
})

/** @since 0.6.0 @category schemas */
export const ConsoleParameters = Schema.Struct({
  bytes: optional(within(1, amounts.most), `how much of its end, in bytes; ${amounts.usual} unless it is said`),
  after: optional(Cursor, "of a stream: what was printed after this; absent: begin with the last `bytes`")
}).annotations(strict)
/** @since 0.6.0 @category schemas */
export type ConsoleParameters = typeof ConsoleParameters.Type

const byId = Schema.Struct({ id: id(Ids.VmId) })

const streamExample =
  "id: 64.6b86b273ff34.8192.1764432000\nevent: output\ndata: R1VFU1QgUkVBRFkNCg==\n\nid: 64.6b86b273ff34.8192.1764432000\nevent: end\ndata:\n\n"

const said = (description: string) => field(Schema.NullOr(Schema.String), description)

const GuestOs = Schema.Struct({
  id: said("as in `debian`, of its os-release"),
  name: said("for people"),
  version: said("of its os-release"),
  kernel: said("its kernel's release"),
  machine: said("as in `x86_64`")
}).annotations({ identifier: "GuestOs", description: "A guest's system." })

const GuestUser = Schema.Struct({
  name: Schema.String,
  since: field(Schema.NullOr(Time), "since when")
}).annotations({ identifier: "GuestUser", description: "Somebody who is logged in." })

const GuestFilesystem = Schema.Struct({
  mountpoint: Schema.String,
  device: field(Schema.String, "as the guest names it"),
  type: field(Schema.String, "as in `ext4`"),
  size: field(Schema.NullOr(Int), "in bytes"),
  used: field(Schema.NullOr(Int), "in bytes")
}).annotations({ identifier: "GuestFilesystem", description: "A file system that is mounted." })

const GuestInterface = Schema.Struct({
  name: field(Schema.String, "as the guest names it"),
  mac: said("lower case"),
  addresses: field(
    Schema.Array(
      Schema.Struct({ address: Schema.String, prefix: field(Int, "bits of the network's part") }).annotations({
        identifier: "InterfaceAddress"
      })
    ),
    "IPv4 and IPv6"
  )
}).annotations({ identifier: "GuestInterface", description: "A network interface, loopback too." })

const GuestFacts = Schema.Struct({
  hostname: said("as it names itself"),
  os: Schema.NullOr(GuestOs),
  timezone: Schema.NullOr(
    Schema.Struct({ name: said("as in `UTC`"), offset: field(Int, "seconds east of UTC") }).annotations({
      identifier: "GuestTimezone"
    })
  ),
  users: field(Schema.Array(GuestUser), "at most 64"),
  filesystems: field(Schema.Array(GuestFilesystem), "at most 128"),
  interfaces: field(Schema.Array(GuestInterface), "at most 64, with 32 addresses each")
}).annotations({
  identifier: "GuestFacts",
  description:
    "What a guest says of itself: its own word, shortened and without control characters. Null, or empty: it does not say."
})

/** @since 0.7.0 @category schemas */
export const Guest = Schema.Struct({
  told: field(Schema.NullOr(GuestFacts), "null: nothing, and `reason` says why"),
  reason: said("one clause, with what to do about it; null: it has told")
}).annotations({
  identifier: "Guest",
  description: "What a VM's guest says of itself, by qemu-guest-agent.",
  examples: [{ told: null, reason: "it does not run" }]
})
/** @since 0.7.0 @category schemas */
export type Guest = typeof Guest.Type

/** @since 0.6.0 @category groups */
export const group = HttpApiGroup.make("inspections")
  .add(
    HttpApiEndpoint.get("getConsoleLog", "/vms/:id/console-log")
      .setPath(byId)
      .setUrlParams(ConsoleParameters)
      .addSuccess(binary("ConsoleLog", "application/octet-stream", "What the guest printed, byte for byte."))
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "operator",
          "Read or follow a VM's console",
          "The end of what its guest printed on its first serial port, also before it was started anew. Raw bytes: what a guest prints may drive a terminal, so " +
            `escape it before it is shown. The header \`${nextHeader}\` says where what follows begins. With \`Accept: text/event-stream\` the answer is a ` +
            "stream: each event `output` has bytes in base64, and its `id` goes on after them, as `after` or `Last-Event-ID`; `lost` says that something " +
            "in between is no longer kept; the last one is `end`, when the VM is gone, or `failed` with a problem in JSON. Only operators: boot messages and " +
            "first passwords are printed there."
        )
      )
      .annotate(OpenApi.Transform, (operation) => ({
        ...operation,
        parameters: [
          ...operation.parameters,
          {
            name: "Last-Event-ID",
            in: "header",
            required: false,
            schema: { type: "string" },
            description: "of a stream that goes on: the `id` that came last; it counts for more than `after`"
          }
        ],
        responses: {
          ...operation.responses,
          200: {
            ...operation.responses[200],
            headers: {
              [nextHeader]: { description: "where what follows begins", schema: { type: "string" } }
            },
            content: {
              ...operation.responses[200].content,
              [streamType]: { schema: { type: "string" }, example: streamExample }
            }
          }
        }
      }))
  )
  .add(
    HttpApiEndpoint.get("getScreenshot", "/vms/:id/screenshot")
      .setPath(byId)
      .addSuccess(binary("Screenshot", "image/png", "A PNG file."))
      .addError(Problem.NotFound)
      .addError(Problem.Conflict)
      .annotateContext(
        documented(
          "operator",
          "Take a picture of a VM's screen",
          "As it is at this moment. Only operators: whoever looks over a shoulder sees what is typed there. 409 `vm_conflict` when it does not run."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getVmXml", "/vms/:id/xml")
      .setPath(byId)
      .addSuccess(VmXml)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "viewer",
          "Get a VM's XML",
          "Its domain as libvirt describes it on its host; passwords are never in it."
        )
      )
  )
  .add(
    HttpApiEndpoint.get("getGuest", "/vms/:id/guest")
      .setPath(byId)
      .addSuccess(Guest)
      .addError(Problem.NotFound)
      .annotateContext(
        documented(
          "viewer",
          "Ask a VM's guest about itself",
          "Its name, system, users, file systems and interfaces, as qemu-guest-agent in it tells at this moment; some seconds are waited for it. A guest without " +
            "an agent is none the worse: `reason` says why nothing is told. What it says is its own word, and whoever has the guest has its agent."
        )
      )
  )
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Inspection")
  .annotate(OpenApi.Description, "What a VM shows of itself: its console, its screen, its definition.")
