/**
 * Pages by their addresses, below `/ui`.
 *
 * @since 0.7.0
 */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Link, notFound } from "@tanstack/react-router"
import { again } from "./parts/Again.ts"
import { Empty, Failure, Loading } from "./parts/Parts.tsx"
import { wordsOf } from "./state/Api.ts"
import { Shell } from "./Shell.tsx"

// whatever page is opened first need not wait for the others
const ConsolePage = lazyRouteComponent(() => again(() => import("./pages/Console.tsx")), "Console")
const CapacityPage = lazyRouteComponent(() => again(() => import("./pages/Capacity.tsx")), "Capacity")
const CreatePage = lazyRouteComponent(() => again(() => import("./pages/Create.tsx")), "Create")
const HostsPage = lazyRouteComponent(() => again(() => import("./pages/Hosts.tsx")), "Hosts")
const OneHostPage = lazyRouteComponent(() => again(() => import("./pages/Hosts.tsx")), "OneHost")
const OneOperationPage = lazyRouteComponent(() => again(() => import("./pages/Operations.tsx")), "OneOperation")
const OperationsPage = lazyRouteComponent(() => again(() => import("./pages/Operations.tsx")), "Operations")
const EventsPage = lazyRouteComponent(() => again(() => import("./pages/Events.tsx")), "Events")
const NetworksPage = lazyRouteComponent(() => again(() => import("./pages/Networks.tsx")), "Networks")
const OneNetworkPage = lazyRouteComponent(() => again(() => import("./pages/Networks.tsx")), "OneNetwork")
const ImagesPage = lazyRouteComponent(() => again(() => import("./pages/Images.tsx")), "Images")
const OneImagePage = lazyRouteComponent(() => again(() => import("./pages/Images.tsx")), "OneImage")
const OverviewPage = lazyRouteComponent(() => again(() => import("./pages/Overview.tsx")), "Overview")
const SettingsPage = lazyRouteComponent(() => again(() => import("./pages/Settings.tsx")), "Settings")
const UsersPage = lazyRouteComponent(() => again(() => import("./pages/Users.tsx")), "Users")
const WebhooksPage = lazyRouteComponent(() => again(() => import("./pages/Webhooks.tsx")), "Webhooks")
const TypesPage = lazyRouteComponent(() => again(() => import("./pages/Types.tsx")), "Types")
const OneTypePage = lazyRouteComponent(() => again(() => import("./pages/Types.tsx")), "OneType")
const OneVmPage = lazyRouteComponent(() => again(() => import("./pages/Vm.tsx")), "OneVm")
const ScreenPage = lazyRouteComponent(() => again(() => import("./pages/Screen.tsx")), "Screen")
const VmsPage = lazyRouteComponent(() => again(() => import("./pages/Vms.tsx")), "Vms")
const OneVolumePage = lazyRouteComponent(() => again(() => import("./pages/Volumes.tsx")), "OneVolume")
const VolumesPage = lazyRouteComponent(() => again(() => import("./pages/Volumes.tsx")), "Volumes")

const Nowhere = () => (
  <div className="page narrow">
    <h1>There is no such page</h1>
    <Empty title="The address may be mistyped">
      <Link to="/" className="button">
        To the overview
      </Link>
    </Empty>
  </div>
)

type Words<Name extends string> = { readonly [_ in Name]?: string | undefined }

/** Of what an address says only what a page knows, and only if it is something. */
const some =
  <const Name extends string>(...names: ReadonlyArray<Name>) =>
  (given: Record<string, unknown>): Words<Name> => {
    const known: { [_ in Name]?: string | undefined } = {}
    for (const name of names) {
      const value = given[name]
      if (typeof value === "string" && value !== "") known[name] = value
    }
    return known
  }

/** Only an id as it is written everywhere leads to a thing, whatever is numbered: 0x4 and 4.0 would be numbers, too. */
const beforeLoad = ({ params }: { readonly params: { readonly id: string } }) => {
  if (!/^[1-9][0-9]*$/.test(params.id)) throw notFound()
}

const rootRoute = createRootRoute({ component: Shell, notFoundComponent: Nowhere })

const getParentRoute = () => rootRoute

const overview = createRoute({ getParentRoute, path: "/", component: OverviewPage })
const vms = createRoute({
  getParentRoute,
  path: "/vms",
  component: VmsPage,
  validateSearch: some("q", "state", "host", "owner", "attention", "sort")
})
const create = createRoute({ getParentRoute, path: "/vms/new", component: CreatePage })
const oneVm = createRoute({ getParentRoute, path: "/vms/$id", component: OneVmPage, beforeLoad })
const vmConsole = createRoute({ getParentRoute, path: "/vms/$id/console", component: ConsolePage, beforeLoad })
const vmScreen = createRoute({ getParentRoute, path: "/vms/$id/screen", component: ScreenPage, beforeLoad })
const volumes = createRoute({
  getParentRoute,
  path: "/volumes",
  component: VolumesPage,
  validateSearch: some("q", "state", "owner", "sort")
})
const oneVolume = createRoute({ getParentRoute, path: "/volumes/$id", component: OneVolumePage, beforeLoad })
const hosts = createRoute({
  getParentRoute,
  path: "/hosts",
  component: HostsPage,
  validateSearch: some("q", "state", "sort")
})
const oneHost = createRoute({ getParentRoute, path: "/hosts/$id", component: OneHostPage, beforeLoad })
const operations = createRoute({
  getParentRoute,
  path: "/operations",
  component: OperationsPage,
  validateSearch: some("kind", "state", "vm", "user")
})
const oneOperation = createRoute({ getParentRoute, path: "/operations/$id", component: OneOperationPage })
const events = createRoute({
  getParentRoute,
  path: "/events",
  component: EventsPage,
  validateSearch: some("kind", "type", "vm", "volume", "host", "image", "operation")
})
const networks = createRoute({ getParentRoute, path: "/networks", component: NetworksPage })
const oneNetwork = createRoute({ getParentRoute, path: "/networks/$name", component: OneNetworkPage })
const images = createRoute({ getParentRoute, path: "/images", component: ImagesPage, validateSearch: some("q") })
const oneImage = createRoute({ getParentRoute, path: "/images/$id", component: OneImagePage, beforeLoad })
const types = createRoute({ getParentRoute, path: "/types", component: TypesPage })
const oneType = createRoute({ getParentRoute, path: "/types/$id", component: OneTypePage, beforeLoad })
const capacity = createRoute({
  getParentRoute,
  path: "/capacity",
  component: CapacityPage,
  validateSearch: some("aim", "host")
})
const settings = createRoute({ getParentRoute, path: "/settings", component: SettingsPage })
const users = createRoute({ getParentRoute, path: "/settings/users", component: UsersPage })
const webhooks = createRoute({ getParentRoute, path: "/settings/webhooks", component: WebhooksPage })

// each by its name: in one expression their types are lost
const routeTree = rootRoute.addChildren([
  overview,
  vms,
  create,
  oneVm,
  vmConsole,
  vmScreen,
  volumes,
  oneVolume,
  hosts,
  oneHost,
  operations,
  oneOperation,
  events,
  networks,
  oneNetwork,
  images,
  oneImage,
  types,
  oneType,
  capacity,
  settings,
  users,
  webhooks
])

/** Addresses as people type them: `?q=web&state=running`. */
const stringifySearch = (search: Record<string, unknown>): string => {
  const words = new URLSearchParams()
  for (const [name, value] of Object.entries(search)) if (typeof value === "string") words.set(name, value)
  const text = words.toString()
  return text === "" ? "" : `?${text}`
}

const Coming = () => (
  <div className="page">
    <Loading />
  </div>
)

const Broken = ({ error, reset }: { readonly error: unknown; readonly reset: () => void }) => (
  <div className="page narrow">
    <h1>This page cannot be shown</h1>
    <Failure words={wordsOf(error)} />
    <div className="row">
      <button type="button" className="button" onClick={reset}>
        Try again
      </button>
      <button type="button" className="button" onClick={() => window.location.reload()}>
        Load it all anew
      </button>
    </div>
  </div>
)

/** @since 0.7.0 @category constructors */
export const router = createRouter({
  routeTree,
  // back is where one was: its lists by their names, all else that scrolls by where it is in the page, which for another page is its top
  scrollRestoration: true,
  scrollToTopSelectors: [".page"],
  // a page that is not here yet shows that it is coming, not the one before it
  defaultPendingComponent: Coming,
  defaultPendingMs: 300,
  // and is there as soon as it is: usually what says so stays for half a second
  defaultPendingMinMs: 0,
  defaultErrorComponent: Broken,
  basepath: "/ui",
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch
})

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router
  }
}
