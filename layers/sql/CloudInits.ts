/**
 * What VMs' guests are told by cloud-init. A VM without a row has what is usual.
 *
 * @since 0.6.0
 */
import type { SqlError } from "@effect/sql/SqlError"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { CloudInit, usual } from "../../src/domain/CloudInit.ts"
import type { VmId } from "../../src/domain/Ids.ts"
import type { Database } from "../Database.ts"
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
export const make = (statement: Database["Type"]["statement"]) => {
  const select = statement(`select user_data, ssh_keys, hostname, network_config, revision, instance
    from cloud_inits where vm_id = ?`)
  const put =
    statement(`insert into cloud_inits (vm_id, user_data, ssh_keys, hostname, network_config, revision, instance)
    values (?, ?, ?, ?, ?, ?, ?)
    on conflict (vm_id) do update set user_data = excluded.user_data, ssh_keys = excluded.ssh_keys,
      hostname = excluded.hostname, network_config = excluded.network_config, revision = excluded.revision,
      instance = excluded.instance`)
  const remove = statement("delete from cloud_inits where vm_id = ?")
  return {
    find: (id: VmId): Effect.Effect<CloudInit, SqlError> =>
      Effect.flatMap(select(id), ([row]) => (row === undefined ? Effect.succeed(usual) : rows.one(row))),
    put: (id: VmId, { hostname, instance, networkConfig, revision, sshKeys, userData }: CloudInit) => {
      const text = userData === null ? null : Redacted.value(userData)
      return Effect.asVoid(put(id, text, encodeKeys(sshKeys), hostname, networkConfig, revision, instance))
    },
    /** Nothing of a VM's secrets outlives it. */
    remove: (id: VmId) => Effect.asVoid(remove(id))
  }
}
