/**
 * The whole of `/api/v1`.
 *
 * @since 0.4.0
 */
import * as HttpApi from "@effect/platform/HttpApi"
import * as OpenApi from "@effect/platform/OpenApi"
import * as Schema from "effect/Schema"
import packageJson from "../../package.json" with { type: "json" }
import * as Audit from "./Audit.ts"
import * as Backup from "./Backup.ts"
import * as Consoles from "./Consoles.ts"
import * as Drift from "./Drift.ts"
import * as Events from "./Events.ts"
import * as Hosts from "./Hosts.ts"
import * as Images from "./Images.ts"
import * as Inspections from "./Inspections.ts"
import * as InstanceTypes from "./InstanceTypes.ts"
import * as Networks from "./Networks.ts"
import * as Nics from "./Nics.ts"
import * as Placements from "./Placements.ts"
import * as Pools from "./Pools.ts"
import * as Retries from "./Retries.ts"
import * as Session from "./Session.ts"
import * as Snapshots from "./Snapshots.ts"
import * as Statistics from "./Statistics.ts"
import * as Tokens from "./Tokens.ts"
import * as Users from "./Users.ts"
import * as Vms from "./Vms.ts"
import * as Volumes from "./Volumes.ts"
import * as Webhooks from "./Webhooks.ts"

/** @since 0.4.0 @category constants */
export const prefix = "/api/v1"

const text = { type: "string" }
const location = { description: "where the operation is", schema: text }
const applied = { description: "`wait=N`, when `Prefer` asked for it", schema: text }
const etag = {
  description:
    "what is wanted of it, as one word, a dot, and what all of this answer is: `If-Match` compares the first, `If-None-Match` both",
  schema: text
}
const ifNoneMatch = {
  name: "If-None-Match",
  in: "header",
  required: false,
  description: "the `ETag` of an answer that is at hand: when this one would be the same, it is 304 without a body",
  schema: text
}
const retryAfter = { description: "seconds to wait before trying again", schema: { type: "integer" } }

interface Response {
  description?: string
  headers?: object
}

/** What is read with an `ETag` is not sent again to whom has it already. */
const completeRead = (operation: Record<string, unknown>) => {
  operation.parameters = [...(Array.isArray(operation.parameters) ? operation.parameters : []), ifNoneMatch]
  operation.responses = {
    ...members(operation.responses),
    304: { description: "It is as `If-None-Match` says that it is known.", headers: { ETag: etag } }
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null

const members = (value: unknown): Record<string, unknown> => (isObject(value) ? value : {})

const responsesOf = (operation: unknown): ReadonlyArray<readonly [status: string, response: Response]> =>
  Object.entries(members(members(operation).responses)).flatMap(([status, response]) =>
    isObject(response) ? [[status, response] as const] : []
  )

const isPlannable = (operation: unknown) => {
  const { parameters } = members(operation)
  return Array.isArray(parameters) && parameters.some((one) => members(one).name === "plan")
}

const isOne = (operation: unknown) =>
  /\.(get|change)(Vm|Volume|Snapshot|Host|Image|InstanceType|Operation|Webhook|User|Token)$|\.getCloudInit$/.test(
    String(members(operation).operationId)
  )

const isOpen = (operation: unknown) => /\.sign(In|Out)$/.test(String(members(operation).operationId))

/** What the document cannot be told by schemas: headers of answers, and how one signs in. */
const complete = (spec: Record<string, unknown>) => {
  for (const path of Object.values(members(spec.paths))) {
    for (const [method, operation] of Object.entries(members(path))) {
      // an empty list says that nobody need sign in
      if (isObject(operation) && !isOpen(operation)) delete operation.security
      if (method !== "get" && !isPlannable(operation) && isObject(operation)) {
        operation.description = `${String(operation.description)} It cannot be planned: \`plan\` is refused.`
      }
      const responses = responsesOf(operation)
      const begins = responses.some(([status]) => status === "202")
      for (const [status, response] of responses) {
        if (status === "202") {
          response.description = "It was begun; `Location` says where it can be followed."
          response.headers = { Location: location, "Preference-Applied": applied }
        } else if (status === "200" && begins) {
          response.description =
            "It has ended, well or not: its `state` and `error` say which. Or, asked with `plan`, what it would do."
          response.headers = { Location: location, "Preference-Applied": applied }
        } else if (status === "200" && isOne(operation)) {
          response.headers = { ETag: etag }
        } else if (status === "204") {
          response.description = "It is done, or was so already."
        } else if (status === "429" || status === "503") {
          response.headers = { "Retry-After": retryAfter }
        }
      }
      if (method === "get" && isOne(operation) && isObject(operation)) completeRead(operation)
    }
  }
  return {
    ...spec,
    components: {
      ...members(spec.components),
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "an API token" },
        session: {
          type: "apiKey",
          in: "cookie",
          name: Session.cookieName,
          description: "a session, of the web interface"
        }
      }
    },
    security: [{ bearer: [] }, { session: [] }]
  }
}

/** Requests that cannot be decoded are problems like all others, and no error of another kind. */
const empty = Object.assign(HttpApi.make("vmfabric"), { errorSchema: Schema.Never })

/**
 * Its groups, under `prefix`.
 *
 * @since 0.4.0 @category api
 */
export const api = empty
  .add(Vms.group)
  .add(Placements.group)
  .add(Nics.group)
  .add(Networks.group)
  .add(Inspections.group)
  .add(Consoles.group)
  .add(Statistics.group)
  .add(Volumes.group)
  .add(Snapshots.group)
  .add(Images.group)
  .add(InstanceTypes.group)
  .add(Hosts.group)
  .add(Pools.group)
  .add(Retries.group)
  .add(Drift.group)
  .add(Events.group)
  .add(Webhooks.group)
  .add(Session.group)
  .add(Users.group)
  .add(Tokens.group)
  .add(Audit.group)
  .add(Backup.group)
  .prefix(prefix)
  .annotate(OpenApi.Title, "vmfabric")
  .annotate(OpenApi.Version, packageJson.version)
  .annotate(OpenApi.Description, packageJson.description)
  .annotate(OpenApi.License, { name: packageJson.license })
  .annotate(OpenApi.Transform, complete)
