/**
 * The tables that bodies of the inventory's transactions read and write.
 *
 * @since 0.12.0
 */
import type { Database } from "../Database.ts"
import * as CloudInits from "./CloudInits.ts"
import * as Explanations from "./Explanations.ts"
import type { HostUsages } from "./HostUsages.ts"
import * as Nics from "./Nics.ts"
import * as Observations from "./Observations.ts"
import * as Operations from "./Operations.ts"
import * as Quotas from "./Quotas.ts"
import * as Vms from "./Vms.ts"
import * as Volumes from "./Volumes.ts"

/** @since 0.12.0 @category constructors */
export const make = ({ sql, statement }: Database["Type"], usages: HostUsages) => {
  const operations = Operations.make(statement)
  const quotas = Quotas.make(statement)
  const vms = Vms.make(statement, operations)
  return {
    cloudInits: CloudInits.make(statement),
    explanations: Explanations.make(sql, statement),
    nics: Nics.make(statement),
    observations: Observations.make(statement),
    operations,
    quotas,
    vms,
    volumes: Volumes.make(sql, { operations, quotas, usage: usages.one, vm: vms.find })
  }
}

/** @since 0.12.0 @category models */
export type Tables = ReturnType<typeof make>
