/**
 * What happened, as it happens, and back to the oldest that is kept.
 *
 * @since 0.8.0
 */
import { useAtomSet } from "@effect-atom/atom-react"
import { Link, useNavigate, useSearch } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { type ReactNode, useEffect, useState } from "react"
import { type Event, type EventPage, Parameters as ParametersSchema } from "../../api/Events.ts"
import * as Problem from "../../api/Problem.ts"
import { EventType } from "../../domain/Event.ts"
import { OperationId, type VmId } from "../../domain/Ids.ts"
import { calls, runtime, type Words, wordsOfCause } from "../state/Api.ts"
import type { Snapshot } from "../state/Live.ts"
import { groups, mark, nameIn, sentences } from "../parts/EventWords.ts"
import { Filter, SearchField } from "../parts/Field.tsx"
import { ImageNamed, VmCalled, VmNamed, VolumeNamed } from "../parts/Named.tsx"
import { Empty, Failure, Loading, State, useSnapshot, useTitle } from "../parts/Parts.tsx"
import { type Column, Table } from "../parts/Table.tsx"
import { briefly, count, moment } from "../parts/Words.ts"

const resources = ["vm", "volume", "host", "image", "operation"] as const

interface Search {
  readonly type?: string | undefined
  readonly kind?: string | undefined
  readonly vm?: string | undefined
  readonly volume?: string | undefined
  readonly host?: string | undefined
  readonly image?: string | undefined
  readonly operation?: string | undefined
}

const isType = Schema.is(EventType)

/** What is wrong with what the address asks for; null: nothing. */
const wrongIn = (search: Search): Words | null => {
  const words = (detail: string): Words => ({
    title: "There can be none like that",
    detail,
    field: null,
    refusal: null
  })
  const { kind, type } = search
  if (kind !== undefined && !Object.hasOwn(groups, kind)) {
    return words(`There are no events of the kind “${kind}”: there are ${Object.keys(groups).join(", ")}.`)
  }
  if (type !== undefined && !isType(type)) {
    return words(`There are no events of the type “${type}”: there are ${EventType.literals.join(", ")}.`)
  }
  for (const what of resources) {
    const id = search[what]
    const form = what === "operation" ? isOperation : isNumber
    if (id === undefined || form(id)) continue
    const [thing, expected] =
      what === "operation"
        ? (["an operation", "a UUID"] as const)
        : ([what === "image" ? "an image" : what === "vm" ? "a VM" : `a ${what}`, "a number, as in 7"] as const)
    return words(`“${id}” is no id of ${thing}: it is ${expected}.`)
  }
  return null
}

const isOperation = Schema.is(OperationId)

const isNumber = (text: string): boolean => /^[1-9][0-9]{0,15}$/.test(text)

/** Whether an event is one that the address asks for. */
const isAsked =
  (search: Search) =>
  ({ hostId, imageId, operationId, type, vmId, volumeId }: Event): boolean => {
    const is = (wanted: string | undefined, id: number | string | null) =>
      wanted === undefined || (id !== null && wanted === String(id))
    const group = search.kind === undefined ? undefined : groups[search.kind]
    return (
      (group === undefined || group[1].includes(type)) &&
      (search.type === undefined || search.type === type) &&
      is(search.vm, vmId) &&
      is(search.volume, volumeId) &&
      is(search.host, hostId) &&
      is(search.image, imageId) &&
      is(search.operation, operationId)
    )
  }

// --------------------------------------------------------------------------------------------------------- older ones

/** Older events, the newest first: all that are asked for from `from` on. */
interface Older {
  /** of which address */
  readonly of: string
  readonly items: ReadonlyArray<Event>
  readonly from: number
  /** the newest of which they tell */
  readonly to: number
}

/** So many ids are looked through at once, and so often before somebody has to ask again. Ids are without gaps. */
const wide = 1000
const most = 20

/** So many are enough for the time being. */
const enough = 100

const decodeParameters = Schema.decodeUnknown(ParametersSchema)

interface Wanted {
  readonly search: Search
  readonly to: number
}

/** Those with ids of at most `to`. */
const read = ({ search, to }: Wanted) =>
  Effect.gen(function* () {
    const { events } = yield* calls
    const { kind, type } = search
    // the router hands on all that an address says
    const said = resources.flatMap((what) => (search[what] === undefined ? [] : [[what, search[what]] as const]))
    const types = kind === undefined ? (type === undefined ? undefined : [type]) : groups[kind]?.[1]
    const found: Array<Event> = []
    const step = said.length === 0 && types === undefined ? 2 * enough : wide
    let from = to + 1
    for (let looked = 0; looked < most && from > 1 && found.length < enough; looked++) {
      const top = from - 1
      const after = Math.max(0, top - step)
      const filter = {
        ...Object.fromEntries(said),
        limit: String(step),
        ...(types === undefined ? {} : { type: types })
      }
      const page: EventPage | null = yield* Effect.flatMap(
        decodeParameters({ ...filter, after: String(after) }),
        (urlParams) => events.listEvents({ urlParams })
      ).pipe(
        Effect.catchIf(
          (error) => error instanceof Problem.Gone,
          () => Effect.succeed(null)
        )
      )
      // some of them are no longer kept: what is left of them is all
      const { items } =
        page ?? (yield* Effect.flatMap(decodeParameters(filter), (urlParams) => events.listEvents({ urlParams })))
      found.push(...items.filter(({ id }) => id <= top).toReversed())
      from = page === null ? 1 : after + 1
    }
    return { items: found, from }
  })

const readAtom = runtime.fn<Wanted>()(read, { concurrent: true })

/** What is shown, and what reads more of it. */
const useEvents = (search: Search, { connection, recent }: Snapshot) => {
  const ask = useAtomSet(readAtom, { mode: "promiseExit" })
  const [older, setOlder] = useState<Older | null>(null)
  const [words, setWords] = useState<Words | null>(null)
  const [asking, setAsking] = useState(false)
  const of = JSON.stringify(search)
  // with more between them than is at hand they are of another time
  const fits = older !== null && older.of === of && recent.after !== null && older.to >= recent.after
  const known = fits ? older : null
  const first = known === null ? recent.after : known.from - 1
  const more = async () => {
    if (first === null) return
    setAsking(true)
    const exit = await ask({ search, to: first })
    setAsking(false)
    if (Exit.isFailure(exit)) {
      setWords(wordsOfCause(exit.cause))
      return
    }
    setWords(null)
    const { from, items } = exit.value
    setOlder({ of, from, to: known?.to ?? first, items: [...(known?.items ?? []), ...items] })
  }
  const missing = known === null && first !== null && connection._tag === "live" && wrongIn(search) === null
  useEffect(() => {
    if (missing) void more()
    // what it reads with is of this very moment
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [missing, of])
  const shown = [...recent.events.filter(({ id }) => known === null || id > known.to), ...(known?.items ?? [])].filter(
    isAsked(search)
  )
  return { shown, more, asking, words, isLoaded: known !== null, isAll: known !== null && known.from <= 1 }
}

// --------------------------------------------------------------------------------------------------------------- rows

const About = ({ event, snapshot }: { readonly event: Event; readonly snapshot: Snapshot }): ReactNode => {
  const { hostId, imageId, operationId, snapshotId, type, vmId, volumeId } = event
  const name = nameIn(event)
  if (type.startsWith("host.") && hostId !== null) {
    const host = snapshot.hosts.get(hostId)
    if (host === undefined) return <span className="quiet">{name ?? `host ${hostId}`}</span>
    return (
      <Link to="/hosts/$id" params={{ id: String(hostId) }}>
        {host.name}
      </Link>
    )
  }
  if (snapshotId !== null && type.startsWith("snapshot.") && volumeId !== null) {
    return (
      <Link to="/volumes/$id" params={{ id: String(volumeId) }}>
        {name ?? `snapshot ${snapshotId}`}
      </Link>
    )
  }
  if (volumeId !== null) return <VolumeNamed id={volumeId} name={name} />
  if (vmId !== null) return <VmNamed id={vmId} name={name} />
  if (imageId !== null) return <ImageNamed id={imageId} name={name} />
  return operationId === null ? null : <span className="quiet">the fleet</span>
}

const columns = (snapshot: Snapshot, said: (event: Event) => string): ReadonlyArray<Column<Event>> => [
  {
    key: "time",
    name: "When",
    tone: "quiet",
    title: ({ time }) => moment(time),
    shown: ({ time }) => briefly(time)
  },
  {
    key: "about",
    name: "About",
    className: "lines",
    tone: "main-cell",
    shown: (event) => <About event={event} snapshot={snapshot} />
  },
  { key: "mark", name: "Is now", className: "extra-phone", shown: (event) => <State {...mark(event)} /> },
  {
    key: "what",
    name: "What happened",
    className: "lines",
    title: said,
    shown: (event) =>
      event.operationId === null ? (
        said(event)
      ) : (
        <Link to="/operations/$id" params={{ id: event.operationId }}>
          {said(event)}
        </Link>
      )
  }
]

const nameOf = (what: (typeof resources)[number], id: string, snapshot: Snapshot): string => {
  const known = { vm: snapshot.vms, volume: snapshot.volumes, host: snapshot.hosts }
  const name =
    what === "vm" || what === "volume" || what === "host"
      ? [...known[what].values()].find((one) => String(one.id) === id)?.name
      : what === "image"
        ? snapshot.images.find((one) => String(one.id) === id)?.name
        : undefined
  return `${what === "vm" ? "VM" : what} ${name ?? (what === "operation" ? id.slice(0, 8) : id)}`
}

/** The VM that was called that last, of those that are gone and were heard of; null: none is known. */
const goneCalled = (name: string, { gone, recent }: Snapshot): VmId | null =>
  [...gone].findLast(([, one]) => one === name)?.[0] ??
  recent.events.find(({ data, type, vmId }) => vmId !== null && type.startsWith("vm.") && data["name"] === name)
    ?.vmId ??
  null

/** Narrows the list to one thing, by its name. */
const ByName = ({
  onFound,
  snapshot
}: {
  readonly snapshot: Snapshot
  readonly onFound: (what: "vm" | "volume" | "host", id: string) => void
}) => {
  const [name, setName] = useState("")
  const [unknown, setUnknown] = useState(false)
  return (
    <form
      className="row"
      onSubmit={(event) => {
        event.preventDefault()
        for (const [what, all] of [
          ["vm", snapshot.vms],
          ["volume", snapshot.volumes],
          ["host", snapshot.hosts]
        ] as const) {
          const found = [...all.values()].find((one) => one.name === name.trim())
          if (found === undefined) continue
          setName("")
          return onFound(what, String(found.id))
        }
        const gone = goneCalled(name.trim(), snapshot)
        if (gone !== null) {
          setName("")
          return onFound("vm", String(gone))
        }
        setUnknown(true)
      }}
    >
      <SearchField
        label="VM, volume or host"
        hint="VM, volume or host"
        value={name}
        onChange={(value) => {
          setName(value)
          setUnknown(false)
        }}
      />
      {unknown ? (
        <span role="alert" className="wrong">
          No VM, volume or host has that name.
        </span>
      ) : null}
    </form>
  )
}

/** @since 0.8.0 @category components */
export const Events = (): ReactNode => {
  useTitle("Events")
  const snapshot = useSnapshot()
  const search = useSearch({ from: "/events" })
  const navigate = useNavigate({ from: "/events" })
  const { asking, isAll, isLoaded, more, shown, words } = useEvents(search, snapshot)
  const wrong = wrongIn(search)
  const set = (name: "kind" | (typeof resources)[number], value: string) =>
    void navigate({ search: { ...search, [name]: value === "" ? undefined : value } })
  const older = (
    <button type="button" className="button" disabled={asking || !isLoaded} onClick={() => void more()}>
      Show older ones
    </button>
  )
  return (
    <div className="page fills">
      <div className="head">
        <h1>Events</h1>
        <span className="quiet">
          {isLoaded ? `${count(shown.length)}${isAll ? ", back to the oldest that is kept" : ""}` : ""}
        </span>
        <div className="actions">{isAll || wrong !== null ? null : older}</div>
      </div>
      <div className="filters">
        <Filter
          label="Kind"
          all="Everything"
          value={search.kind}
          onChange={(value) => set("kind", value)}
          options={Object.entries(groups).map(([name, [words]]) => [name, words])}
        />
        <ByName snapshot={snapshot} onFound={set} />
        {search.type === undefined ? null : (
          <Link from="/events" to="/events" search={{ ...search, type: undefined }} className="button">
            Of {search.type} only ✕
          </Link>
        )}
        {resources.map((what) => {
          const id = search[what]
          return id === undefined ? null : (
            <Link key={what} from="/events" to="/events" search={{ ...search, [what]: undefined }} className="button">
              Of{" "}
              {what === "vm" ? (
                <>
                  VM <VmCalled id={id} otherwise={id} />
                </>
              ) : (
                nameOf(what, id, snapshot)
              )}{" "}
              only ✕
            </Link>
          )
        })}
      </div>
      {words === null || wrong !== null ? null : <Failure words={words} />}
      {wrong !== null ? (
        <>
          <Failure words={wrong} />
          <p>
            <Link to="/events" search={{}} className="button">
              Show all events
            </Link>
          </p>
        </>
      ) : shown.length > 0 ? (
        <Table
          kind="events"
          label="events"
          newestFirst
          columns={columns(snapshot, sentences(shown, snapshot))}
          rows={shown}
          keyOf={({ id }) => String(id)}
        />
      ) : isLoaded ? (
        <Empty title={isAll ? "Nothing like that happened" : "Nothing like that happened lately"}>
          <p>Whatever changes is told here at once. The newest 100,000 events are kept.</p>
          {isAll ? (
            <Link to="/events" search={{}} className="button">
              Show all events
            </Link>
          ) : (
            older
          )}
        </Empty>
      ) : words === null ? (
        <Loading />
      ) : null}
    </div>
  )
}
