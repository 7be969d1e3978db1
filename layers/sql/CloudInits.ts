/**
 * What VMs' guests are told by cloud-init. A VM without a row has what is usual.
 *
 * @since 0.6.0
 */
import type * as SqlClient from "@effect/sql/SqlClient"
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { CloudInit, usual } from "../../src/domain/CloudInit.ts"
import type { VmId } from "../../src/domain/Ids.ts"
import * as Rows from "./Rows.ts"

const KeysJson = Schema.parseJson(CloudInit.fields.sshKeys)
const encodeKeys = Schema.encodeSync(KeysJson)

const renamed = <A, I>(schema: Schema.Schema<A, I>, column: string) =>
  Schema.propertySignature(schema).pipe(Schema.fromKey(column))

const Row = Schema.Struct({
  userData: renamed(CloudInit.fields.userData, "user_data"),
  sshKeys: renamed(KeysJson, "ssh_keys"),
  hostname: CloudInit.fields.hostname,
  networkConfig: renamed(CloudInit.fields.networkConfig, "network_config"),
  revision: Schema.Int,
  instance: Schema.Int
})
const rows = Rows.table("cloud_inits", "vm_id", Row)

/** Run in the caller's transaction. @since 0.6.0 @category constructors */
export const make = (sql: SqlClient.SqlClient) => ({
  find: (id: VmId): Effect.Effect<CloudInit, SqlError> =>
    Effect.flatMap(
      sql<Rows.Row>`select user_data, ssh_keys, hostname, network_config, revision, instance
        from cloud_inits where vm_id = ${id}`,
      ([row]): Effect.Effect<CloudInit> => (row === undefined ? Effect.succeed(usual) : rows.one(row))
    ),
  put: (id: VmId, { hostname, instance, networkConfig, revision, sshKeys, userData }: CloudInit) => {
    const text = userData === null ? null : Redacted.value(userData)
    const keys = encodeKeys(sshKeys)
    return Effect.asVoid(sql`insert into cloud_inits (vm_id, user_data, ssh_keys, hostname, network_config, revision, instance)
      values (${id}, ${text}, ${keys}, ${hostname}, ${networkConfig}, ${revision}, ${instance})
      on conflict (vm_id) do update set user_data = ${text}, ssh_keys = ${keys}, hostname = ${hostname},
        network_config = ${networkConfig}, revision = ${revision}, instance = ${instance}`)
  },
  /** Nothing of a VM's secrets outlives it. */
  remove: (id: VmId) => Effect.asVoid(sql`delete from cloud_inits where vm_id = ${id}`)
})
