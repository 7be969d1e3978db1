/**
 * What was measured of a VM, as its charts tell it.
 *
 * @since 0.13.0
 */
/** What was measured within it, in seconds, is what is used now: hosts are asked three times in it. */
const recent = 60

/** The last that is known of what was measured each `step` seconds, unless that was long ago: what VMs of a host that does not answer use, nobody knows. @since 0.13.0 @category getters */
export const latest = (values: ReadonlyArray<number | null>, step: number): number | null =>
  values.slice(-Math.max(2, Math.ceil(recent / step))).findLast((value) => value !== null) ?? null

/** Seconds since 1970 as the viewer writes times, below the first of each day the day. @since 0.13.0 @category formatting */
export const moments = (seconds: ReadonlyArray<number>, locale?: string): ReadonlyArray<string> => {
  const hour = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" })
  const day = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" })
  const dates = seconds.map((one) => new Date(one * 1000))
  return dates.map((one, at) => {
    const isNew = one.toDateString() !== dates[at - 1]?.toDateString()
    return isNew ? `${hour.format(one)}\n${day.format(one)}` : hour.format(one)
  })
}
