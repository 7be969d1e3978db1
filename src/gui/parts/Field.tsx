/**
 * What people fill in.
 *
 * @since 0.8.0
 */
import { type ReactNode, useId } from "react"

/** For one more in a form that has several of a kind. @since 0.10.0 @category conversions */
export const nextKey = (all: ReadonlyArray<{ readonly key: number }>): number =>
  Math.max(0, ...all.map(({ key }) => key)) + 1

/** A label, what is filled in, and what is said of it. @since 0.8.0 @category components */
export const Field = ({
  children,
  hint,
  id,
  label,
  wrong
}: {
  readonly id: string
  readonly label: string
  readonly hint?: string | undefined
  readonly wrong?: string | null | undefined
  readonly children: ReactNode
}) => (
  <div className="field">
    <label htmlFor={id}>{label}</label>
    {children}
    {hint === undefined ? null : (
      <span id={`${id}-hint`} className="quiet small">
        {hint}
      </span>
    )}
    {wrong === undefined || wrong === null ? null : (
      <span id={`${id}-wrong`} className="wrong">
        {wrong}
      </span>
    )}
  </div>
)

interface Filled {
  readonly label: string
  readonly value: string
  readonly onChange: (value: string) => void
  readonly hint?: string
  readonly wrong?: string | null
  readonly required?: boolean
  readonly autoFocus?: boolean
}

const described = (id: string, { hint, wrong }: Filled) => {
  const ids = [
    ...(hint === undefined ? [] : [`${id}-hint`]),
    ...(wrong === undefined || wrong === null ? [] : [`${id}-wrong`])
  ]
  return ids.length === 0 ? {} : { "aria-describedby": ids.join(" ") }
}

/** One line. @since 0.8.0 @category components */
export const TextField = ({
  autoCapitalize,
  autoComplete = "off",
  known,
  max,
  min,
  placeholder,
  step,
  type = "text",
  ...filled
}: Filled & {
  readonly type?: "text" | "password" | "number" | "url"
  readonly autoComplete?: string
  readonly autoCapitalize?: "none"
  readonly placeholder?: string
  /** what is offered; anything else can be typed */
  readonly known?: ReadonlyArray<string>
  readonly min?: number
  readonly max?: number
  /** of numbers; whole ones unless it is said */
  readonly step?: "any"
}) => {
  const id = useId()
  const { autoFocus, hint, label, onChange, required, value, wrong } = filled
  return (
    <Field id={id} label={label} hint={hint} wrong={wrong}>
      <input
        id={id}
        className="input"
        type={type}
        autoComplete={autoComplete}
        autoCapitalize={autoCapitalize}
        autoFocus={autoFocus}
        placeholder={placeholder}
        required={required}
        min={min}
        max={max}
        step={step}
        list={known === undefined ? undefined : `${id}-known`}
        aria-invalid={wrong !== undefined && wrong !== null}
        {...described(id, filled)}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
      {known === undefined ? null : (
        <datalist id={`${id}-known`}>
          {known.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      )}
    </Field>
  )
}

/** Several lines, as they are. @since 0.8.0 @category components */
export const LinesField = ({
  placeholder,
  rows,
  ...filled
}: Filled & { readonly rows: number; readonly placeholder?: string }) => {
  const id = useId()
  const { hint, label, onChange, value, wrong } = filled
  return (
    <Field id={id} label={label} hint={hint} wrong={wrong}>
      <textarea
        id={id}
        className="input"
        rows={rows}
        spellCheck={false}
        placeholder={placeholder}
        {...described(id, filled)}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </Field>
  )
}

/** One of a few. @since 0.8.0 @category components */
export const ChoiceField = ({
  options,
  ...filled
}: Filled & { readonly options: ReadonlyArray<readonly [value: string, shown: string]> }) => {
  const id = useId()
  const { hint, label, onChange, value, wrong } = filled
  return (
    <Field id={id} label={label} hint={hint} wrong={wrong}>
      <select
        id={id}
        className="input"
        {...described(id, filled)}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      >
        {options.map(([one, shown]) => (
          <option key={one} value={one}>
            {shown}
          </option>
        ))}
      </select>
    </Field>
  )
}

/** @since 0.8.0 @category components */
export const CheckField = ({
  checked,
  label,
  onChange
}: {
  readonly label: string
  readonly checked: boolean
  readonly onChange: (checked: boolean) => void
}) => (
  <label className="check">
    <input type="checkbox" checked={checked} onChange={(event) => onChange(event.target.checked)} />
    {label}
  </label>
)

/** Narrows a list to what is written. `label` is for who does not see it, `hint` is there while it is empty. @since 0.13.0 @category components */
export const SearchField = ({
  hint,
  label,
  onChange,
  value
}: {
  readonly label: string
  readonly hint: string
  readonly value: string
  readonly onChange: (value: string) => void
}) => (
  <input
    type="search"
    className="input search"
    aria-label={label}
    placeholder={hint}
    value={value}
    onChange={(event) => onChange(event.target.value)}
  />
)

/** One of a few that a list is narrowed by; nothing: of all. @since 0.8.0 @category components */
export const Filter = ({
  all,
  label,
  onChange,
  options,
  value
}: {
  readonly label: string
  readonly all: string
  readonly value: string | undefined
  readonly onChange: (value: string) => void
  readonly options: ReadonlyArray<readonly [value: string, shown: string]>
}) => (
  <select className="input" aria-label={label} value={value ?? ""} onChange={(event) => onChange(event.target.value)}>
    <option value="">{all}</option>
    {options.map(([one, shown]) => (
      <option key={one} value={one}>
        {shown}
      </option>
    ))}
  </select>
)
