/**
 * What every page needs, asked for by the first script that runs, before the code that shows it is here: it comes while that is read.
 *
 * @since 0.9.0
 */

const api = "/api/v1"
const session = `${api}/session`
const events = `${api}/events`

/** As the client asks for them: what is asked for otherwise is asked for once more. Browsers ask for six at once. */
const lists = [
  "/vms?limit=100&sort=name",
  "/hosts",
  "/operations?limit=100",
  "/volumes?limit=100",
  "/images",
  "/instance-types"
]

interface Asked {
  readonly answer: Promise<Response>
  readonly end: AbortController
}

const asked = new Map<string, Asked>()

const ask = (path: string, accept: string): Promise<Response> => {
  const end = new AbortController()
  const answer = fetch(path, { headers: { accept }, signal: end.signal })
  asked.set(path, { answer, end })
  // it is asked for again by who needs it, and told then
  answer.catch(() => asked.delete(path))
  return answer
}

/**
 * As `fetch` does, but what has been asked for before is taken, once. Lists are of moments after their stream of events began, so they go with that one: neither
 * those of an earlier stream are taken nor any after something was done.
 *
 * @since 0.9.0 @category functions
 */
export const fetchAhead: typeof fetch = (input, init = {}) => {
  const { pathname, search } = new URL(input instanceof Request ? input.url : input, location.href)
  const path = `${pathname}${search}`
  const one = init.method === "GET" ? asked.get(path) : undefined
  if (one === undefined) {
    if (init.method !== "GET" || pathname === events) asked.clear()
    return fetch(input, init)
  }
  asked.delete(path)
  const stop = () => one.end.abort()
  if (init.signal?.aborted === true) stop()
  init.signal?.addEventListener("abort", stop, { once: true })
  return one.answer
}

/** The page that is opened, as its file is named; see vite.config.ts. */
const pageOf = (path: string): string => {
  const [, first = "", second = ""] = path.replace(/^\/ui/, "").split("/")
  if (first === "") return "overview"
  if (first !== "vms" || second === "") return first
  return second === "new" ? "create" : "vm"
}

const preload = (page: string) => {
  for (const one of document.querySelectorAll<HTMLMetaElement>("meta[name=page]")) {
    if (one.dataset["page"] !== page) continue
    for (const href of one.content.split(" ")) {
      document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href }))
    }
  }
}

const begin = async () => {
  const json = "application/json"
  void ask(session, json)
  const stream = ask(events, "text/event-stream")
  preload(pageOf(location.pathname))
  // those that may not look are told so by the stream
  if ((await stream).ok) for (const path of lists) void ask(`${api}${path}`, json)
}

/** In milliseconds: a stream that is not answered by then does not keep a page from saying so. */
const patience = 300

// a failure is told by what asks again
const begun = begin().catch(() => asked.clear())

// the rest of the page's code, which imports this, keeps a browser's thread for long: begun before the stream is answered it would have the lists asked for after it, not come beside it
await Promise.race([begun, new Promise((resolve) => setTimeout(resolve, patience))])
