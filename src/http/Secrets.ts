/**
 * What opens a door is not repeated: not in the log, not in the record of who did what, not in an answer.
 *
 * @since 0.4.0
 */
import * as Either from "effect/Either"

const secretName = /token|ticket|password|passwd|secret|key|auth/i
const ownSecret = /vm[cfs]_[A-Za-z0-9_-]+|whsec_[A-Za-z0-9+/=_-]+/g

const decoded = (name: string): string =>
  Either.getOrElse(
    Either.try(() => decodeURIComponent(name)),
    () => name
  )

/** A text, without secrets of our own making in it. @since 0.7.0 @category formatting */
export const without = (text: string): string => text.replace(ownSecret, "…")

/** Path and query, cut, without what opens doors. @since 0.7.0 @category formatting */
export const withoutIn = (url: string): string => {
  const [, path = "", mark = "", query = ""] = /^([^?;#]*)([?;#]?)(.*)$/s.exec(url) ?? []
  const parameters = query.replace(/([^&;#?=]+)=([^&;#]*)/g, (whole, name: string) =>
    secretName.test(decoded(name)) ? `${name}=…` : whole
  )
  return without(`${path}${mark}${parameters}`).slice(0, 500)
}

/** The path alone, for a sentence about it. @since 0.7.0 @category formatting */
export const pathOf = (url: string): string => without(url.split("?")[0] ?? "").slice(0, 80)
