import react from "@vitejs/plugin-react"
import { defineConfig, type Plugin } from "vite"

/** What of xterm the policy of the pages forbids, and what stands in its place: how often it is there, so that another version is looked at. */
const inlineStyles = [
  // see src/gui/console/AdoptedStyle.ts
  { found: /createElement\("style"\)/g, times: 3, instead: 'createElement("adopted-style")' },
  // a style that a script sets is none of the markup's
  { found: /(\w+)\.setAttribute\("style",(`[^`]*`)\)/g, times: 1, instead: "$1.style.cssText=$2" }
]

const xtermWithoutInlineStyles: Plugin = {
  name: "xterm-without-inline-styles",
  transform(code, id) {
    if (!/@xterm\/xterm\/lib\/xterm\.m?js$/.test(id)) return null
    let changed = code
    for (const { found, instead, times } of inlineStyles) {
      const all = changed.match(found)?.length ?? 0
      if (all !== times) this.error(`xterm has ${String(found)} ${all} times, not ${times}: is it another version?`)
      changed = changed.replace(found, instead)
    }
    return { code: changed, map: null }
  }
}

/**
 * Chromium reads functions twice unless it is told that they are called at once: with this it makes all of them ready beside the page's own thread, while the
 * file is still coming. Other browsers take it for the comment that it is.
 */
const readAtOnce: Plugin = {
  name: "read-at-once",
  apply: "build",
  generateBundle: {
    // it has to be the first of the file
    order: "post",
    handler(_, files) {
      for (const file of Object.values(files)) {
        if (file.type === "chunk" && file.isEntry) file.code = `//# allFunctionsCalledOnLoad\n${file.code}`
      }
    }
  }
}

// what the controller serves under /ui/; see src/http/Gui.ts
export default defineConfig({
  root: "src/gui",
  base: "/ui/",
  publicDir: false,
  plugins: [react(), xtermWithoutInlineStyles, readAtOnce],
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
