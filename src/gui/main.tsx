/**
 * The web interface.
 *
 * @since 0.7.0
 */
import { Registry, RegistryContext, scheduleTask } from "@effect-atom/atom-react"
import { RouterProvider } from "@tanstack/react-router"
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { router } from "./Router.tsx"
import { liveAtom } from "./state/Live.ts"
import { meAtom } from "./state/Session.ts"
import "./style.css"

const registry = Registry.make({ scheduleTask, defaultIdleTTL: 400 })
// every page needs them: they are asked for while the page that was asked for is still being fetched
registry.mount(meAtom)
registry.mount(liveAtom)

const root = document.getElementById("root")
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <RegistryContext.Provider value={registry}>
        <RouterProvider router={router} />
      </RegistryContext.Provider>
    </StrictMode>
  )
}
