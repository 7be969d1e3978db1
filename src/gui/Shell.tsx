/**
 * What is around every page.
 *
 * @since 0.7.0
 */
import { Result, useAtom, useAtomRefresh, useAtomSet, useAtomValue } from "@effect-atom/atom-react"
import { Link, Outlet, useLocation } from "@tanstack/react-router"
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import { lazy, memo, type ReactNode, Suspense, useEffect } from "react"
import icon from "./icon.svg?no-inline"
import type { Me } from "../api/Session.ts"
import { docs, isUnknown, wordsOfCause } from "./state/Api.ts"
import { connectionAtom } from "./state/Live.ts"
import { knownAtom, leftAtom, meAtom, signOutAtom } from "./state/Session.ts"
import { themeAtom, themes } from "./state/Theme.ts"
import { Above } from "./parts/Above.tsx"
import { again } from "./parts/Again.ts"
import { Failure, Loading, State, TitleTold, useSnapshot } from "./parts/Parts.tsx"
import { GoTo } from "./parts/GoTo.tsx"
import { useFocusKept } from "./parts/Kept.ts"
import { Tray } from "./parts/Tray.tsx"
import { count } from "./parts/Words.ts"

const names = { system: "Auto", light: "Light", dark: "Dark" } as const

const Themes = () => {
  const [theme, choose] = useAtom(themeAtom)
  return (
    <div className="segments" role="group" aria-label="Colours">
      {themes.map((one) => (
        <button key={one} type="button" aria-pressed={theme === one} onClick={() => choose(one)}>
          {names[one]}
        </button>
      ))}
    </div>
  )
}

const ConnectionState = () => {
  switch (useAtomValue(connectionAtom)._tag) {
    case "live":
      return <State tone="ok" word="live" why="every change is shown as it happens" />
    case "loading":
      return <State tone="busy" word="connecting" why={null} />
    default:
      return <State tone="warn" word="connection lost" why={null} />
  }
}

const Lost = () => {
  const connection = useAtomValue(connectionAtom)
  return connection._tag === "lost" ? (
    <div className="banner" role="status">
      <span>
        <strong>Connection lost</strong> at {new Date(connection.since).toLocaleTimeString()}: {connection.words.detail}
        . What is shown is from before; it is tried again, and catches up by itself.
      </span>
    </div>
  ) : null
}

const Who = ({ me }: { readonly me: typeof Me.Type }) => {
  const signOut = useAtomSet(signOutAtom, { mode: "promiseExit" })
  const setLeft = useAtomSet(leftAtom)
  const refresh = useAtomRefresh(meAtom)
  const leave = async () => {
    setLeft(true)
    const exit = await signOut()
    if (Exit.isFailure(exit)) setLeft(false)
    refresh()
  }
  return me.via === "session" ? (
    <div className="row">
      <span className="cut">
        {me.user}, {me.role}
      </span>
      <button type="button" className="button tiny" onClick={() => void leave()}>
        Sign out
      </button>
    </div>
  ) : (
    <span className="quiet small hint" title="nobody could sign in yet, so this machine's users are admins">
      {me.user}, {me.role}
    </span>
  )
}

const current = { "aria-current": "page" } as const

/** It is not drawn again for what happens to things. */
const Links = memo(
  ({
    hosts,
    under,
    vms,
    volumes
  }: {
    readonly hosts: number
    readonly under: number
    readonly vms: number
    readonly volumes: number
  }) => (
    <nav aria-label="Pages">
      <Link to="/" activeOptions={{ exact: true }} activeProps={current}>
        Overview
      </Link>
      <Link to="/vms" activeProps={current} activeOptions={{ includeSearch: false }}>
        VMs <span className="quiet count">{count(vms)}</span>
      </Link>
      <Link to="/volumes" activeProps={current} activeOptions={{ includeSearch: false }}>
        Volumes <span className="quiet count">{count(volumes)}</span>
      </Link>
      <Link to="/images" activeProps={current} activeOptions={{ includeSearch: false }}>
        Images
      </Link>
      <Link to="/types" activeProps={current}>
        Instance types
      </Link>
      <Link to="/hosts" activeProps={current} activeOptions={{ includeSearch: false }}>
        Hosts <span className="quiet count">{count(hosts)}</span>
      </Link>
      <Link to="/capacity" activeProps={current} activeOptions={{ includeSearch: false }}>
        Capacity
      </Link>
      <Link to="/networks" activeProps={current}>
        Networks
      </Link>
      <Link to="/operations" activeProps={current} activeOptions={{ includeSearch: false }}>
        Operations <span className="quiet count">{under === 0 ? "" : count(under)}</span>
      </Link>
      <Link to="/events" activeProps={current} activeOptions={{ includeSearch: false }}>
        Events
      </Link>
      <Link to="/settings" activeProps={current}>
        Settings
      </Link>
      <a href={docs}>API</a>
    </nav>
  )
)

/** Where one can go, and how many there are of each. */
const Pages = () => {
  const { coming, hosts, operations, vms, volumes } = useSnapshot()
  return (
    <Links
      vms={vms.size + coming.vms}
      volumes={volumes.size + coming.volumes}
      hosts={hosts.size}
      under={operations.filter(({ endedAt }) => endedAt === null).length}
    />
  )
}

const Frame = ({ me }: { readonly me: typeof Me.Type }) => {
  const refresh = useAtomRefresh(meAtom)
  const signedOut = useAtomValue(connectionAtom)._tag === "signedOut"
  useEffect(() => {
    if (signedOut) refresh()
  }, [signedOut, refresh])
  useFocusKept()
  const { pathname } = useLocation()
  // on a phone there are more pages than there is room for; elsewhere it would only have all of it laid out once more
  useEffect(() => {
    const phone = matchMedia("(max-width: 720px)")
    const show = () => {
      if (!phone.matches) return
      document
        .querySelector('nav[aria-label="Pages"] [aria-current]')
        ?.scrollIntoView({ block: "nearest", inline: "center" })
    }
    show()
    phone.addEventListener("change", show)
    return () => phone.removeEventListener("change", show)
  }, [pathname])
  return (
    <div className="frame">
      <a href="#main" className="skip button">
        To the content
      </a>
      <header className="side">
        <Link to="/" className="brand">
          <img src={icon} alt="" />
          vmfabric
        </Link>
        <Pages />
        <div className="foot">
          <GoTo />
          <ConnectionState />
          <Themes />
          <Who me={me} />
        </div>
      </header>
      <main id="main" className="main" tabIndex={-1}>
        <Lost />
        <Outlet />
      </main>
      <Tray />
      <Above />
      <TitleTold />
    </div>
  )
}

const SignIn = lazy(() => again(() => import("./pages/SignIn.tsx")).then((module) => ({ default: module.SignIn })))

const SignInAgain = lazy(() =>
  again(() => import("./parts/SignInAgain.tsx")).then((module) => ({ default: module.SignInAgainBox }))
)

/** The page that was asked for, or what stands before it. @since 0.7.0 @category components */
export const Shell = (): ReactNode => {
  const me = useAtomValue(meAtom)
  const known = useAtomValue(knownAtom)
  const left = useAtomValue(leftAtom)
  const refresh = useAtomRefresh(meAtom)
  const isOut = Result.isFailure(me) && isUnknown(Cause.squash(me.cause))
  // a session that ends takes nothing with it; somebody else's page begins anew
  if (known !== null && (Result.isSuccess(me) || (isOut && known.via === "session" && !left))) {
    return (
      <>
        <Frame key={known.user} me={known} />
        {isOut ? (
          <Suspense>
            <SignInAgain />
          </Suspense>
        ) : null}
      </>
    )
  }
  if (isOut) {
    return (
      <Suspense>
        <SignIn />
      </Suspense>
    )
  }
  if (Result.isFailure(me)) {
    return (
      <main className="page narrow">
        <h1>vmfabric</h1>
        <Failure words={wordsOfCause(me.cause)} />
        <div className="row">
          <button type="button" className="button" onClick={refresh}>
            Try again
          </button>
        </div>
      </main>
    )
  }
  return (
    <main className="page">
      <h1 className="sr">vmfabric</h1>
      <Loading />
    </main>
  )
}
