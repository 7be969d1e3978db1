import react from "@vitejs/plugin-react"
import { defineConfig } from "vite"

// what the controller serves under /ui/; see src/http/Gui.ts
export default defineConfig({
  root: "src/gui",
  base: "/ui/",
  publicDir: false,
  plugins: [react()],
  resolve: { conditions: ["vmfabric-source", "module", "browser"] },
  // of package.json only the few words that the API's description has
  json: { namedExports: true, stringify: false },
  build: {
    outDir: "../../dist/gui",
    emptyOutDir: true,
    target: "es2022",
    // data: URLs are nothing that the policy lets scripts or styles be
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false }
  }
})
