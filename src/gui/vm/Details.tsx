/**
 * More of a VM: what happened to it, the snapshots of its volumes, and its XML. Loaded when its page is.
 *
 * @since 0.8.0
 */
import { Atom, Result, useAtom } from "@effect-atom/atom-react"
import { Link } from "@tanstack/react-router"
import * as Effect from "effect/Effect"
import { useState } from "react"
import type { Event } from "../../api/Events.ts"
import type { Vm } from "../../api/Vms.ts"
import type { VmId, VolumeId } from "../../domain/Ids.ts"
import { isWanted, mark, nameIn, sentences } from "../parts/EventWords.ts"
import { VolumeNamed } from "../parts/Named.tsx"
import { Failure, Loading, State, useSnapshot } from "../parts/Parts.tsx"
import { briefly, gibibytes, moment } from "../parts/Words.ts"
import { calls, runtime, wordsOfCause } from "../state/Api.ts"
import { snapshotsAtom } from "../state/Snapshots.ts"
import { useRead } from "../state/Read.ts"

/** The API reads events from the oldest on: all of a VM, of which the newest are shown. */
const page = 1000
const most = 20

/** Milliseconds between two readings while something goes on. */
const pause = 500

const eventsAtom = Atom.family((id: VmId) =>
  runtime.atom(
    Effect.gen(function* () {
      const { events } = yield* calls
      let newest: ReadonlyArray<Event> = []
      // what was wanted before the oldest that is shown
      let before: ReadonlyArray<Event> = []
      let read = yield* events.listEvents({ urlParams: { vm: id, limit: page } })
      while (read.items.length > 0) {
        const all = [...newest, ...read.items]
        newest = all.slice(-most)
        before = [...before, ...all.slice(0, -most).filter(isWanted)].slice(-1)
        if (read.items.length < page) break
        read = yield* events.listEvents({ urlParams: { vm: id, limit: page, after: read.next } })
      }
      return { shown: newest.toReversed(), before }
    })
  )
)

/** @since 0.8.0 @category components */
export const Events = ({ vm }: { readonly vm: Vm }) => {
  const snapshot = useSnapshot()
  const newest = snapshot.recent.events.find(({ vmId }) => vmId === vm.id)
  const read = useRead(eventsAtom(vm.id), [newest?.id], pause)
  return (
    <section className="card" aria-labelledby="events">
      <header>
        <h2 id="events">Events</h2>
        <Link to="/events" search={{ vm: String(vm.id) }} className="small">
          All of its events
        </Link>
      </header>
      {Result.builder(read)
        .onInitial(() => <Loading />)
        .onFailure((cause) => <Failure words={wordsOfCause(cause)} />)
        .onSuccess(({ before, shown }) => {
          const said = sentences([...shown, ...before], snapshot)
          return shown.length === 0 ? (
            <p className="quiet">None of those that are kept is about it.</p>
          ) : (
            <ul className="list">
              {shown.map((event) => (
                <li key={event.id}>
                  <State {...mark(event)} />
                  {event.volumeId === null ? null : <VolumeNamed id={event.volumeId} name={nameIn(event)} />}
                  <span className="small">{said(event)}</span>
                  <span className="quiet small end">{briefly(event.time)}</span>
                </li>
              ))}
            </ul>
          )
        })
        .render()}
    </section>
  )
}

const OfVolume = ({ id, name }: { readonly id: VolumeId; readonly name: string }) => {
  const { recent } = useSnapshot()
  const newest = recent.events.find(({ type, volumeId }) => volumeId === id && type.startsWith("snapshot."))
  const read = useRead(snapshotsAtom(id), [newest?.id])
  return Result.builder(read)
    .onInitial(() => <Loading />)
    .onFailure((cause) => <Failure words={wordsOfCause(cause)} />)
    .onSuccess((there) =>
      there.length === 0 ? (
        <p className="quiet">{name} has none.</p>
      ) : (
        <ul className="list">
          {there.map((snapshot) => (
            <li key={snapshot.id}>
              <span>{snapshot.name}</span>
              <span className="quiet">
                of {name}, {snapshot.state}
                {snapshot.createdAt === undefined ? "" : `, ${moment(snapshot.createdAt)}`}
              </span>
              <span className="end">{gibibytes(snapshot.size)}</span>
            </li>
          ))}
        </ul>
      )
    )
    .render()
}

/** @since 0.8.0 @category components */
export const Snapshots = ({ vm }: { readonly vm: Vm }) => {
  const { volumes } = useSnapshot()
  const own = [...volumes.values()].filter(({ vmId }) => vmId === vm.id)
  return own.length === 0 ? null : (
    <section className="card" aria-labelledby="snapshots">
      <h2 id="snapshots">Snapshots of its volumes</h2>
      {own.map(({ id, name }) => (
        <OfVolume key={id} id={id} name={name} />
      ))}
    </section>
  )
}

const xmlAtom = Atom.family((id: VmId) =>
  runtime.fn<void>()(() => Effect.flatMap(calls, ({ inspections }) => inspections.getVmXml({ path: { id } })))
)

/** Asked of its host only when somebody wants to see it. @since 0.8.0 @category components */
export const Definition = ({ vm }: { readonly vm: Vm }) => {
  const [read, ask] = useAtom(xmlAtom(vm.id))
  const [which, setWhich] = useState<"live" | "defined" | null>(null)
  const show = (one: "live" | "defined") => {
    setWhich(which === one ? null : one)
    if (which !== one) ask()
  }
  return (
    <section className="card" aria-labelledby="xml">
      <header>
        <h2 id="xml">XML</h2>
        <div className="segments" role="group" aria-label="Which XML">
          <button type="button" aria-pressed={which === "live"} onClick={() => show("live")}>
            As it runs
          </button>
          <button type="button" aria-pressed={which === "defined"} onClick={() => show("defined")}>
            As it is defined
          </button>
        </div>
      </header>
      {which === null ? (
        <p className="quiet">Its domain as libvirt describes it on its host, without passwords.</p>
      ) : (
        Result.builder(read)
          .onInitial(() => <Loading />)
          .onFailure((cause) => <Failure words={wordsOfCause(cause)} />)
          .onSuccess((xml) =>
            xml[which] === null ? (
              <p className="quiet">{which === "live" ? "It does not run." : "It has no definition."}</p>
            ) : (
              <pre className="xml" role="region" aria-label="Its XML" tabIndex={0}>
                {xml[which]}
              </pre>
            )
          )
          .render()
      )}
    </section>
  )
}
