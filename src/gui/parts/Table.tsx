/**
 * Tables, of which only the rows that are in sight are in the page.
 *
 * @since 0.8.0
 */
import { useVirtualizer } from "@tanstack/react-virtual"
import { memo, type ReactNode, useLayoutEffect, useRef } from "react"
import { Layered } from "../state/Layered.ts"

/** @since 0.8.0 @category models */
export interface Head {
  readonly key: string
  readonly name: ReactNode
  /** `extra`, `extra-phone`: not where there is little room; `right`: of numbers */
  readonly className?: string
  /** absent: rows cannot be put into order by it */
  readonly onSort?: () => void
  /** null: they are not in its order */
  readonly order?: "ascending" | "descending" | null
}

/**
 * Keys of the columns that have something in some row, and of all whose `isBlank` is absent. One that had something stays for as long as the table is
 * there: nothing jumps while rows come and go and are searched. The same set for as long as it has the same in it;
 * the same rows are not looked at again.
 *
 * @since 0.15.0 @category hooks
 */
export const useFilled = <A extends object>(
  columns: ReadonlyArray<{ readonly key: string; readonly isBlank?: ((one: A) => boolean) | undefined }>,
  rows: ReadonlyArray<A> | ReadonlyMap<unknown, A>
): ReadonlySet<string> => {
  const filled = useRef<ReadonlySet<string>>(new Set())
  const looked = useRef<typeof rows>(null)
  const before = looked.current
  if (before === rows) return filled.current
  looked.current = rows
  const open = new Map(
    columns.flatMap(({ isBlank, key }) => (filled.current.has(key) ? [] : [[key, isBlank] as const]))
  )
  const found = [...open].flatMap(([key, isBlank]) => (isBlank === undefined ? [key] : []))
  for (const key of found) open.delete(key)
  if (open.size > 0) {
    const news = "length" in rows ? rows : Layered.newer(rows, before === null || "length" in before ? null : before)
    for (const one of news) {
      for (const [key, isBlank] of open) {
        if (isBlank?.(one) === true) continue
        found.push(key)
        open.delete(key)
      }
      if (open.size === 0) break
    }
  }
  if (found.length > 0) filled.current = new Set([...filled.current, ...found])
  return filled.current
}

/** @since 0.8.0 @category models */
export interface Cell {
  readonly key: string
  readonly shown: ReactNode
  readonly className?: string
  readonly title?: string
}

/** @since 0.8.0 @category models */
export interface Row {
  readonly key: string
  readonly cells: ReadonlyArray<Cell>
}

const HeadCell = ({ className, name, onSort, order = null }: Head) => (
  <span role="columnheader" className={className} {...(order === null ? {} : { "aria-sort": order })}>
    {onSort === undefined ? (
      name
    ) : (
      <button type="button" onClick={onSort}>
        {name}
        {order === null ? "" : order === "ascending" ? " ↑" : " ↓"}
      </button>
    )}
  </span>
)

/** The same row in the same place is not drawn again. */
const Line = memo(({ index, row, start }: { readonly row: Row; readonly index: number; readonly start: number }) => (
  <div className="tr" role="row" aria-rowindex={index + 2} style={{ transform: `translateY(${start}px)` }}>
    {row.cells.map(({ className = "", key, shown, title }) => (
      <span key={key} role="cell" className={`cell ${className}`} title={title}>
        {shown}
      </span>
    ))}
  </div>
))

const rowHeight = 44

/** Of a list that is scrolled what is looked at stays where it is when rows come above it. */
const useKeptInPlace = (
  scroller: { readonly current: HTMLElement | null },
  length: number,
  keyAt: ((index: number) => string | undefined) | undefined
) => {
  const topmost = useRef<{ readonly index: number; readonly key: string }>(null)
  useLayoutEffect(() => {
    const list = scroller.current
    if (list === null || keyAt === undefined) return
    const before = topmost.current
    if (before !== null && list.scrollTop > 0) {
      let index = before.index
      while (index < length && keyAt(index) !== before.key) index++
      if (index < length) list.scrollTop += (index - before.index) * rowHeight
    }
    const index = Math.floor(list.scrollTop / rowHeight)
    const key = keyAt(index)
    topmost.current = key === undefined ? null : { index, key }
  })
}

/** @since 0.8.0 @category components */
export const RowTable = ({
  heads,
  keyAt,
  kind,
  label,
  length,
  rowAt,
  without = []
}: {
  /** of the style sheet: which columns are how wide */
  readonly kind: string
  /** of those, the keys of the ones that are not there: they take no room @since 0.15.0 */
  readonly without?: ReadonlyArray<string>
  readonly label: string
  readonly heads: ReadonlyArray<Head>
  readonly length: number
  readonly rowAt: (index: number) => Row | undefined
  /** of a list to which rows come from above, under whoever reads it: which row it is @since 0.13.0 */
  readonly keyAt?: ((index: number) => string | undefined) | undefined
}) => {
  const scroller = useRef<HTMLDivElement>(null)
  useKeptInPlace(scroller, length, keyAt)
  const virtual = useVirtualizer({
    count: length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 10,
    // drawn with whatever else has changed, instead of by itself in each event of scrolling: what is beyond the edges is there already
    useFlushSync: false
  })
  return (
    <div
      className="scroll"
      ref={scroller}
      tabIndex={0}
      role="region"
      aria-label={`List of ${label}`}
      data-scroll-restoration-id={`list of ${label}`}
    >
      <div
        className={["table", kind, ...without.map((key) => `without-${key}`)].join(" ")}
        role="table"
        aria-label={label.replace(/^./, (letter) => letter.toUpperCase())}
        aria-rowcount={length + 1}
      >
        <div className="thead" role="rowgroup">
          <div className="tr" role="row" aria-rowindex={1}>
            {heads.map(({ key, ...head }) => (
              <HeadCell key={key} {...head} />
            ))}
          </div>
        </div>
        <div className="tbody virtual" role="rowgroup" style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map(({ index, start }) => {
            const row = rowAt(index)
            return row === undefined ? null : <Line key={row.key} row={row} index={index} start={start} />
          })}
        </div>
      </div>
    </div>
  )
}

/** @since 0.8.0 @category models */
export interface Column<A> {
  readonly key: string
  readonly name: ReactNode
  readonly shown: (one: A) => ReactNode
  readonly className?: string
  /** of the cells alone */
  readonly tone?: "quiet" | "main-cell"
  readonly title?: (one: A) => string
  /** a column of which this is so of each row is not shown; absent: it is @since 0.15.0 */
  readonly isBlank?: (one: A) => boolean
}

/** Rows of things, by columns. @since 0.8.0 @category components */
export const Table = <A extends object>({
  columns: all,
  keyOf,
  kind,
  label,
  newestFirst = false,
  rows
}: {
  readonly kind: string
  /** what they are, many of them, as in `volumes` */
  readonly label: string
  readonly columns: ReadonlyArray<Column<A>>
  readonly rows: ReadonlyArray<A>
  /** others come above them: what is looked at stays where it is @since 0.13.0 */
  readonly newestFirst?: boolean
  readonly keyOf: (one: A) => string
}) => {
  const filled = useFilled(all, rows)
  const columns = all.filter(({ key }) => filled.has(key))
  return (
    <RowTable
      kind={kind}
      without={all.flatMap(({ key }) => (filled.has(key) ? [] : [key]))}
      label={label}
      heads={columns}
      length={rows.length}
      keyAt={
        newestFirst
          ? (index) => {
              const one = rows[index]
              return one === undefined ? undefined : keyOf(one)
            }
          : undefined
      }
      rowAt={(index) => {
        const one = rows[index]
        return one === undefined
          ? undefined
          : {
              key: keyOf(one),
              cells: columns.map(({ className = "", key, shown, title, tone = "" }) => ({
                key,
                shown: shown(one),
                className: `${tone} ${className}`,
                ...(title === undefined ? {} : { title: title(one) })
              }))
            }
      }}
    />
  )
}
