/**
 * Public identifiers. All but the operation's are positive integers, as the original program's clients expect.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const PositiveInt = Schema.Int.pipe(Schema.between(1, Number.MAX_SAFE_INTEGER))

/** @since 0.1.0 @category ids */
export const VmId = PositiveInt.pipe(Schema.brand("VmId"), Schema.annotations({ identifier: "VmId" }))
/** @since 0.1.0 @category ids */
export type VmId = typeof VmId.Type

/** The original's `pmid`: hosts are numbered from 1 in the order of the machine file, then as they are added. @since 0.1.0 @category ids */
export const HostId = PositiveInt.pipe(Schema.brand("HostId"), Schema.annotations({ identifier: "HostId" }))
/** @since 0.1.0 @category ids */
export type HostId = typeof HostId.Type

/** @since 0.2.0 @category ids */
export const VolumeId = PositiveInt.pipe(Schema.brand("VolumeId"), Schema.annotations({ identifier: "VolumeId" }))
/** @since 0.2.0 @category ids */
export type VolumeId = typeof VolumeId.Type

/** @since 0.2.0 @category ids */
export const SnapshotId = PositiveInt.pipe(Schema.brand("SnapshotId"), Schema.annotations({ identifier: "SnapshotId" }))
/** @since 0.2.0 @category ids */
export type SnapshotId = typeof SnapshotId.Type

/** Images are numbered from 100 in the order of the image file. @since 0.1.0 @category ids */
export const ImageId = PositiveInt.pipe(Schema.brand("ImageId"), Schema.annotations({ identifier: "ImageId" }))
/** @since 0.1.0 @category ids */
export type ImageId = typeof ImageId.Type

/** The original's `tid`, chosen by whoever writes the types file. @since 0.1.0 @category ids */
export const InstanceTypeId = PositiveInt.pipe(
  Schema.brand("InstanceTypeId"),
  Schema.annotations({ identifier: "InstanceTypeId" })
)
/** @since 0.1.0 @category ids */
export type InstanceTypeId = typeof InstanceTypeId.Type

/**
 * A random UUID. It is written onto everything an operation makes on a host (domain metadata), so it has to stay unique
 * even when the database is lost and numbering starts again.
 *
 * @since 0.1.0 @category ids
 */
export const OperationId = Schema.UUID.pipe(
  Schema.brand("OperationId"),
  Schema.annotations({ identifier: "OperationId" })
)
/** @since 0.1.0 @category ids */
export type OperationId = typeof OperationId.Type

/** From text that somebody sent. @since 0.3.0 @category ids */
export const decodeOperationId = Schema.decodeUnknownEither(OperationId)

/** The libvirt domain's UUID, lower case with dashes. @since 0.1.0 @category ids */
export const DomainUuid = Schema.UUID.pipe(Schema.brand("DomainUuid"), Schema.annotations({ identifier: "DomainUuid" }))
/** @since 0.1.0 @category ids */
export type DomainUuid = typeof DomainUuid.Type
