/**
 * How much users may have, and have.
 *
 * @since 0.9.0
 */
import * as Schema from "effect/Schema"
import { UserName } from "../domain/Identity.ts"
import * as Domain from "../domain/Quota.ts"
import { amountInBody, optional, strict } from "./Common.ts"

/** Whose a list is to be of. @since 0.9.0 @category parameters */
export const ownedBy = UserName.annotations({
  message: () => ({
    message: "expected the name of a user: 1 to 64 of a-z 0-9 _ . @ -, beginning with a letter",
    override: true
  })
})

const means: Readonly<Record<Domain.Name, string>> = {
  vms: "VMs that they had made",
  cpu: "vCPUs of these together",
  ram: "MiB of memory of these together",
  volumes: "volumes that they had made, those in the trash too",
  volumeSize: "GiB of these together, as guests see them"
}

const each = <A>(of: (name: Domain.Name) => A): { readonly [name in Domain.Name]: A } => ({
  vms: of("vms"),
  cpu: of("cpu"),
  ram: of("ram"),
  volumes: of("volumes"),
  volumeSize: of("volumeSize")
})

/** @since 0.9.0 @category schemas */
export const Quota = Schema.Struct(
  each((name) => Schema.propertySignature(Schema.NullOr(Domain.Limit)).annotations({ description: means[name] }))
).annotations({ identifier: "Quota", description: "How much a user may have; null: as much as there is." })

/** @since 0.9.0 @category schemas */
export const QuotaUse = Schema.Struct(
  each((name) => Schema.propertySignature(Domain.Limit).annotations({ description: means[name] }))
).annotations({
  identifier: "QuotaUse",
  description:
    "How much a user has. A VM counts from when it was asked for until it is destroyed, or what its failed creation made is removed; a volume until it is purged."
})

/** @since 0.9.0 @category schemas */
export const QuotaChange = Schema.Struct(
  each((name) =>
    optional(Schema.NullOr(amountInBody(Domain.Limit, "a whole number from 0 on, or null: no limit")), means[name])
  )
).annotations({
  identifier: "QuotaChange",
  description:
    "How much a user may have; null: as much as there is; what is absent stays, and is not limited at first.",
  examples: [{ vms: 20, cpu: 40, ram: 65_536 }, { volumes: 10, volumeSize: 500 }, { vms: null }],
  ...strict
})

/** @since 0.9.0 @category schemas */
export const Exceeded = Schema.Array(Schema.Literal(...Domain.names))

/** What a user's view has of it. Absent: the controller is older than quotas. @since 0.9.0 @category schemas */
export const ofUser = {
  quota: optional(Quota, "how much they may have"),
  used: optional(
    QuotaUse,
    "how much they have at this moment, memory in MiB and volumes in GiB; `If-Match` does not compare that"
  ),
  exceeded: optional(
    Exceeded,
    "of what they have more than they may, for the quota was lowered: all of it stays, and there can be no more of that until there is less"
  )
}

/** For examples. @since 0.9.0 @category constants */
export const example = {
  quota: { vms: 20, cpu: 40, ram: 65_536, volumes: null, volumeSize: 500 },
  used: { vms: 7, cpu: 14, ram: 28_672, volumes: 3, volumeSize: 120 },
  exceeded: []
} as const

/** Of a VM or a volume. @since 0.9.0 @category schemas */
export const ownerMeans =
  "the user who had it made, in whose quota it counts; null: nobody that is known; absent: the controller is older than owners"
