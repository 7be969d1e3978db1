/**
 * Files in pieces to be written to an image.
 *
 * @since 0.2.0
 */
import * as Stream from "effect/Stream"
import type { Piece } from "../domain/Image.ts"
import { pieceBytes } from "./Protocol.ts"

/** what is left out where all of it is zero; a part of `pieceBytes` */
const blockBytes = 64 * 1024
const zeros = Buffer.alloc(blockBytes)

const isZero = (bytes: Buffer): boolean => bytes.equals(zeros.subarray(0, bytes.length))

/** The blocks of one of an image's objects that are not zero, those beside each other together. */
const written = (start: number, object: Buffer): ReadonlyArray<Piece> => {
  const pieces: Array<Piece> = []
  let from: number | undefined
  for (let at = 0; at < object.length; at += blockBytes) {
    if (!isZero(object.subarray(at, at + blockBytes))) from ??= at
    else if (from !== undefined) {
      pieces.push({ offset: start + from, bytes: object.subarray(from, at) })
      from = undefined
    }
  }
  if (from !== undefined) pieces.push({ offset: start + from, bytes: object.subarray(from) })
  return pieces
}

/** Collects bytes until there is an image's object of them. */
class Objects {
  private parts: Array<Uint8Array> = []
  private length = 0
  private start = 0

  add(bytes: Uint8Array): ReadonlyArray<Piece> {
    const pieces: Array<Piece> = []
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + pieceBytes - this.length)
      this.parts.push(part)
      this.length += part.length
      at += part.length
      if (this.length === pieceBytes) pieces.push(...this.rest())
    }
    return pieces
  }

  rest(): ReadonlyArray<Piece> {
    const pieces = written(this.start, Buffer.concat(this.parts))
    this.start += this.length
    this.parts = []
    this.length = 0
    return pieces
  }
}

/** A raw file without its holes, each piece within one of the image's objects. @since 0.2.0 @category streams */
export const sparse = <E>(file: Stream.Stream<Uint8Array, E>): Stream.Stream<Piece, E> =>
  Stream.suspend(() => {
    const objects = new Objects()
    return file.pipe(
      Stream.mapConcat((bytes) => objects.add(bytes)),
      Stream.concat(Stream.suspend(() => Stream.fromIterable(objects.rest())))
    )
  })

/** A file byte for byte. @since 0.2.0 @category streams */
export const whole = <E>(file: Stream.Stream<Uint8Array, E>): Stream.Stream<Piece, E> =>
  Stream.suspend(() => {
    let offset = 0
    return Stream.mapConcat(file, (bytes) => {
      const pieces: Array<Piece> = []
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        const piece = bytes.subarray(at, at + pieceBytes)
        pieces.push({ offset, bytes: piece })
        offset += piece.length
      }
      return pieces
    })
  })
