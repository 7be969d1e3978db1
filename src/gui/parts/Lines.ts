/**
 * What is filled in one a line.
 *
 * @since 0.12.0
 */

/** Without blanks around them; empty lines are none. @since 0.12.0 @category parsing */
export const linesIn = (text: string): ReadonlyArray<string> =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
