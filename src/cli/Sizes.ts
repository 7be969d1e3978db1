/**
 * Sizes as they are typed.
 *
 * @since 0.15.0
 */

/** What a plain number is of: MiB of memory, GiB of disks. @since 0.15.0 @category models */
export type Unit = "MiB" | "GiB"

/** Each 1024 of the one before. */
const units: ReadonlyArray<string> = ["MiB", "GiB", "TiB"]

/**
 * How many of the unit a text is, as in `64`, `64GiB`, `0.5TiB`; undefined: it is no size, or no whole number of them.
 *
 * @since 0.15.0 @category decoding
 */
export const read = (text: string, unit: Unit): number | undefined => {
  const [, amount, given = unit] = /^([0-9]{1,15}(?:\.[0-9]{1,15})?)(MiB|GiB|TiB)?$/.exec(text) ?? []
  // of what is no size this is NaN
  const size = Number(amount) * 1024 ** (units.indexOf(given) - units.indexOf(unit))
  return Number.isSafeInteger(size) ? size : undefined
}
