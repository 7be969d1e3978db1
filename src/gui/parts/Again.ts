/**
 * Parts of the interface that are fetched when they are needed.
 *
 * @since 0.8.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

/** Milliseconds between two tries, and for how long the controller is waited for. */
const pause = 500
const tries = 60

/** So often a page begins anew within so many milliseconds: what is not there after that is told. */
const mostReloads = 5
const reloadsCount = 60_000

const Reloads = Schema.parseJson(Schema.Struct({ times: Schema.Int, at: Schema.Number }))
const decode = Schema.decodeUnknownOption(Reloads)
const encode = Schema.encodeSync(Reloads)
const key = "vmfabric.reloads"

const reloadsBefore = (): number =>
  Option.match(decode(sessionStorage.getItem(key)), {
    onNone: () => 0,
    onSome: ({ at, times }) => (Date.now() - at < reloadsCount ? times : 0)
  })

const later = () => new Promise<void>((resolve) => setTimeout(resolve, pause))

/** Whether the controller answers, once it does. */
const isBack = (left: number = tries): Promise<boolean> =>
  fetch(location.href, { cache: "no-store" }).then(
    ({ ok }) => ok,
    () => (left <= 1 ? false : later().then(() => isBack(left - 1)))
  )

/**
 * What could not be fetched would leave nothing of the page for ever: browsers remember that of a script for as long as the page stays, and do not ask for it again. So
 * the page begins anew as soon as the controller answers, which also finds the scripts of another version; who has typed something is asked first.
 *
 * @since 0.8.0 @category constructors
 */
export const again = <A>(load: () => Promise<A>): Promise<A> =>
  load().catch(async (cause: unknown) => {
    await later()
    const times = reloadsBefore()
    if (times >= mostReloads || !(await isBack())) throw cause
    sessionStorage.setItem(key, encode({ times: times + 1, at: Date.now() }))
    location.reload()
    return new Promise<never>(() => {})
  })
