/**
 * What is on a host and is none of this fabric's. Loaded when a host's page is.
 *
 * @since 0.13.0
 */
import { Result } from "@effect-atom/atom-react"
import * as Effect from "effect/Effect"
import type { ReactNode } from "react"
import type { Host } from "../../api/Hosts.ts"
import { calls, runtime, wordsOfCause } from "../state/Api.ts"
import { useRead } from "../state/Read.ts"
import { CopyButton, Failure, Loading } from "../parts/Parts.tsx"
import { ofHost, remedyOf } from "../parts/ForeignWords.ts"

const foreignAtom = runtime.atom(Effect.flatMap(calls, ({ reality }) => reality.listForeign()))

/** With why it is there, and what can be done; that vmfabric does nothing with it is said, too. @since 0.13.0 @category components */
export const ForeignOnHost = ({ host }: { readonly host: Host }): ReactNode => {
  // what is there is looked for anew when the host is reached
  const read = useRead(foreignAtom, [host.id, host.status])
  const there = Result.isSuccess(read) ? ofHost(read.value.items, host.id) : []
  const command = "vmfabric foreign list"
  return (
    <section className="card" aria-labelledby="foreign">
      <h2 id="foreign">Not of this fabric</h2>
      {Result.isFailure(read) ? (
        <Failure words={wordsOfCause(read.cause)} />
      ) : !Result.isSuccess(read) ? (
        <Loading />
      ) : there.length === 0 ? (
        <p className="quiet">
          Nothing{host.status === "up" ? "" : " that is known of: the host does not answer"}. What others made on a host
          would be listed here.
        </p>
      ) : (
        <>
          <p>
            Others made this, or it is left of another database: it is listed, and never touched, for it may be all that
            somebody has.
          </p>
          <ul className="list findings">
            {there.map((one) => (
              <li key={`${one.what} ${one.name} ${one.hostId ?? "pool"} ${one.uuid ?? ""}`}>
                <strong>
                  {one.what} {one.name}
                </strong>
                <span>
                  {one.reason}
                  {one.hostId === null ? ", in the pool that all hosts share" : ""}
                </span>
                <span className="quiet">{remedyOf(one)}</span>
              </li>
            ))}
          </ul>
          <div className="command">
            <pre>{command}</pre>
            <CopyButton text={command} what="the command that lists it" />
          </div>
        </>
      )}
    </section>
  )
}
