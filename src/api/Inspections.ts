/**
 * What VMs show: their console's log, their screen, their definition.
 *
 * @since 0.6.0
 */
import * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import * as HttpApiGroup from "@effect/platform/HttpApiGroup"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import { amounts, ConsoleCursor } from "../domain/Console.ts"
import * as Ids from "../domain/Ids.ts"
import { documented, field, id, optional, strict, within } from "./Common.ts"
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

/** As it is, byte for byte. */
const binary = (identifier: string, contentType: string, description: string) =>
  Schema.Uint8ArrayFromSelf.annotations({
    ...HttpApiSchema.annotations({}),
    identifier,
    description,
    jsonSchema: { type: "string", format: "binary", description }
  }).pipe(HttpApiSchema.withEncoding({ kind: "Uint8Array", contentType }))

const byId = Schema.Struct({ id: id(Ids.VmId) })

const streamExample =
  "id: 64.6b86b273ff34.8192\nevent: output\ndata: R1VFU1QgUkVBRFkNCg==\n\nid: 64.6b86b273ff34.8192\nevent: end\ndata:\n\n"

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
  .pipe(Problem.general)
  .annotate(OpenApi.Title, "Inspection")
  .annotate(OpenApi.Description, "What a VM shows of itself: its console, its screen, its definition.")
