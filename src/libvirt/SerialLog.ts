/**
 * The log of a domain's serial port, which virtlogd writes and rotates: `….log` is the newest, `….log.0` the one before it.
 *
 * @since 0.6.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { createHash } from "node:crypto"
import { ConsoleCursor, type ConsolePart } from "../domain/Console.ts"
import type { FileRange, FileRead } from "../services/Ssh.ts"

/** Reads parts of one file; None: it is not there. @since 0.6.0 @category models */
export type Read<E> = (path: string, pieces: ReadonlyArray<FileRange>) => Effect.Effect<Option.Option<FileRead>, E>

/**
 * A file is known again by so many bytes of its beginning, and by so many before the cursor: SFTP tells nothing else by which one is told from another
 * after a rotation. Guests print the same line again and again, so that more than one may look like it: it is the oldest of those that were written to
 * since.
 */
const headLength = 64
const windowLength = 256

const head: FileRange = { from: 0, length: headLength }

/**
 * What virtlogd may have made of a log when it grew, the newest first: as many as it may reasonably be told to keep (`max_backups`), where three are usual.
 *
 * @since 0.9.0 @category constants
 */
export const older = (path: string): ReadonlyArray<string> =>
  Array.from({ length: 10 }, (_, number) => `${path}.${number}`)

const hashOf = (head: Uint8Array, before: Uint8Array) =>
  createHash("sha256").update(head).update(before).digest("hex").slice(0, 12)

/** `before`: what is before it, as far as it was read. */
const cursorAt = (head: Uint8Array, before: Uint8Array, offset: number, modified: number): ConsoleCursor =>
  ConsoleCursor.make(
    `${head.length}.${hashOf(head, before.subarray(Math.max(0, before.length - windowLength)))}.${offset}.${modified}`
  )

const parse = (cursor: ConsoleCursor) => {
  const [length = "0", hash = "", offset = "0", modified = "0"] = cursor.split(".")
  return { length: Number(length), hash, offset: Number(offset), modified: Number(modified) }
}

const nothing = new Uint8Array(0)

/** The last bytes of a log, from the file before when the newest has just been begun. @since 0.6.0 @category constructors */
export const tail = <E>(read: Read<E>, path: string, bytes: number): Effect.Effect<ConsolePart, E> =>
  Effect.gen(function* () {
    const reach = Math.max(bytes, windowLength)
    const newest = yield* read(path, [head, { from: -reach, length: reach }])
    const [beginning = nothing, end = nothing] = Option.match(newest, { onNone: () => [], onSome: (it) => it.pieces })
    const last = end.subarray(Math.max(0, end.length - bytes))
    const { modified, size } = Option.getOrElse(newest, () => ({ modified: 0, size: 0 }))
    const parts = [last]
    let missing = bytes - last.length
    for (const file of older(path)) {
      if (missing <= 0) break
      const asked = yield* read(file, [{ from: -missing, length: missing }])
      if (Option.isNone(asked)) break
      const [part = nothing] = asked.value.pieces
      parts.unshift(part)
      missing -= part.length
    }
    return { bytes: Buffer.concat(parts), next: cursorAt(beginning, end, size, modified), lost: false }
  })

/**
 * What follows a cursor, over as many rotations as there are files for. When its file is no longer kept, it goes on with the last `bytes`, and `lost`
 * says so.
 *
 * @since 0.6.0 @category constructors
 */
export const after = <E>(
  read: Read<E>,
  path: string,
  cursor: ConsoleCursor,
  bytes: number
): Effect.Effect<ConsolePart, E> =>
  Effect.gen(function* () {
    const known = parse(cursor)
    const from = Math.max(0, known.offset - windowLength)
    const window = known.offset - from
    const files = [path, ...older(path)]
    /** Those that are there and may have it, the newest first. */
    const seen: Array<string> = []
    let found: { readonly at: number; readonly file: FileRead } | undefined
    for (const file of files) {
      const asked = yield* read(file, [head, { from, length: window + bytes }])
      if (Option.isNone(asked)) {
        // the newest is away for a moment while it is rotated, and before anything was printed
        if (file === path) continue
        break
      }
      const { modified, pieces, size } = asked.value
      // the newest has been written to since, whatever its host's clock says
      if (file !== path && modified < known.modified) break
      const [beginning = nothing, around = nothing] = pieces
      const same =
        beginning.length >= known.length &&
        size >= known.offset &&
        hashOf(beginning.subarray(0, known.length), around.subarray(0, window)) === known.hash
      if (same) found = { at: seen.length, file: asked.value }
      seen.push(file)
    }
    if (found === undefined) {
      // nothing was written since, or its file is away
      if (seen.length === 0) return { bytes: nothing, next: cursor, lost: false }
      return { ...(yield* tail(read, path, bytes)), lost: true }
    }
    const { modified, pieces } = found.file
    const [beginning = nothing, around = nothing] = pieces
    const rest = around.subarray(window)
    const parts = [rest]
    let next = cursorAt(beginning, around, known.offset + rest.length, modified)
    let room = bytes - rest.length
    for (const later of seen.slice(0, found.at).toReversed()) {
      if (room <= 0) break
      const begun = yield* read(later, [head, { from: 0, length: room }])
      if (Option.isNone(begun)) break
      const [start = nothing, more = nothing] = begun.value.pieces
      parts.push(more)
      room -= more.length
      next = cursorAt(start, more, more.length, begun.value.modified)
    }
    return { bytes: Buffer.concat(parts), next, lost: false }
  })
