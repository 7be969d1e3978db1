/**
 * How the log is written: for people, or a JSON object a line.
 *
 * @since 0.4.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"

/** `text`: with colours on a terminal, else logfmt. @since 0.4.0 @category models */
export type Format = "text" | "json"

/** @since 0.4.0 @category models */
export interface Logs {
  /** in place of the default logger */
  readonly layer: Layer.Layer<never>
  /** From now on, everywhere: the lines that come before the settings are known are text. */
  readonly use: (format: Format) => Effect.Effect<void>
}

/** @since 0.4.0 @category constructors */
export const make = (isTerminal: boolean): Logs => {
  const loggers = {
    text: isTerminal ? Logger.prettyLoggerDefault : Logger.withConsoleLog(Logger.logfmtLogger),
    json: Logger.withConsoleLog(Logger.jsonLogger)
  }
  let current: Format = "text"
  return {
    layer: Logger.replace(
      Logger.defaultLogger,
      Logger.make<unknown, void>((line) => loggers[current].log(line))
    ),
    use: (format) => Effect.sync(() => void (current = format))
  }
}
