/**
 * What the controller says of a field, by the name that the form has for it.
 *
 * @since 0.13.0
 */
/** As a page shows what went wrong. */
interface Said {
  readonly title: string
  readonly detail: string
  readonly field: string | null
}

/** The label of each field, by the name that the API has for it, as in `quota.vms`. @since 0.13.0 @category models */
export type FieldLabels = Readonly<Record<string, string>>

/** Of a field that the form does not have they are as they were. @since 0.13.0 @category conversions */
export const inLabels = <W extends Said>(words: W, labels: FieldLabels): W => {
  const { detail, field } = words
  const label = field === null ? undefined : labels[field]
  if (field === null || label === undefined || !detail.startsWith(field)) return words
  return { ...words, title: `${label} cannot be used`, detail: `${label}${detail.slice(field.length)}` }
}
