/**
 * An operation in a list.
 *
 * @since 0.7.0
 */
import { Link } from "@tanstack/react-router"
import type { Operation } from "../../api/Operations.ts"
import { byWhom, byWhomAndWhy } from "../../domain/Operation.ts"
import { ImageNamed, VmNamed, VolumeNamed } from "./Named.tsx"
import { State } from "./Parts.tsx"
import { briefly, kind, operationState } from "./Words.ts"

/** What it is about, by name where it still has one. @since 0.7.0 @category components */
export const Target = ({ operation }: { readonly operation: Operation }) => {
  const { imageId, snapshotId, vmId, volumeId } = operation
  if (volumeId !== null) return <VolumeNamed id={volumeId} />
  if (vmId !== null) return <VmNamed id={vmId} />
  if (imageId !== null) return <ImageNamed id={imageId} />
  return <span>{snapshotId === null ? "" : `snapshot ${snapshotId}`}</span>
}

/** One line of a list. @since 0.7.0 @category components */
export const OperationRow = ({ operation }: { readonly operation: Operation }) => {
  const state = operationState(operation)
  const by = byWhom(operation)
  return (
    <li>
      <State {...state} />
      <Link to="/operations/$id" params={{ id: operation.id }}>
        {kind(operation.kind)}
      </Link>
      <Target operation={operation} />
      {by === null ? null : (
        <span className="quiet" title={byWhomAndWhy(operation) ?? undefined}>
          by {by === "controller" ? "the controller" : by}
        </span>
      )}
      {state.why === null ? null : <span className="quiet">{state.why}</span>}
      <time className="quiet small end" dateTime={new Date(operation.createdAt.epochMillis).toISOString()}>
        {briefly(operation.createdAt)}
      </time>
    </li>
  )
}
