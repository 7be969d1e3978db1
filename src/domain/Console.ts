/**
 * What guests print on their first serial port.
 *
 * @since 0.6.0
 */
import * as Schema from "effect/Schema"

/**
 * A place in a console's log: `<length>.<hash>.<offset>.<seconds>`. A log is rotated, so that an offset alone would be a place in every file there ever
 * was: the hash is of so much of the file's beginning, and of what is before the place; the seconds since 1970 are when the file had last been written to.
 *
 * @since 0.6.0 @category models
 */
export const ConsoleCursor = Schema.String.pipe(
  Schema.pattern(/^(?:[0-9]|[1-5][0-9]|6[0-4])\.[0-9a-f]{12}\.(?:0|[1-9][0-9]{0,14})\.(?:0|[1-9][0-9]{0,11})$/),
  Schema.brand("ConsoleCursor")
)
/** @since 0.6.0 @category models */
export type ConsoleCursor = typeof ConsoleCursor.Type

/**
 * A part of a log, byte for byte as the guest printed it. `next`: what follows it is after that. `lost`: something before it is no longer kept, or
 * was not asked for by any cursor that is still known.
 *
 * @since 0.6.0 @category models
 */
export interface ConsolePart {
  readonly bytes: Uint8Array
  readonly next: ConsoleCursor
  readonly lost: boolean
}

/** How much of a log is told at once, in bytes: unless it is said, and at most. @since 0.6.0 @category constants */
export const amounts = { usual: 64 * 1024, most: 1024 * 1024 } as const

/** Ways into a VM: its first serial port, or its screen by VNC (RFB). @since 0.7.0 @category models */
export const ConsoleKind = Schema.Literal("serial", "vnc")
/** @since 0.7.0 @category models */
export type ConsoleKind = typeof ConsoleKind.Type
