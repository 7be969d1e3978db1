import react from "@vitejs/plugin-react"
import * as Predicate from "effect/Predicate"
import { fileURLToPath } from "node:url"
import { defineConfig, type Plugin } from "vite"

const ahead = fileURLToPath(new URL("src/gui/state/Ahead.ts", import.meta.url))

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
 * Effect looks once at an error's stack, to see whether a minifier took a function of its away; this one does not. To tell on which line of a file of one line
 * it stands a browser reads the whole file again, which is a fifth of what this page's start costs it.
 */
const withoutStackAtStart: Plugin = {
  name: "without-stack-at-start",
  apply: "build",
  transform(code, id) {
    if (!id.endsWith("/effect/dist/esm/Utils.js")) return null
    const looked =
      /standard\.effect_internal_function\(\(\) => new Error\(\)\.stack\)\?\.includes\("effect_internal_function"\) === true/g
    const all = code.match(looked)?.length ?? 0
    if (all !== 1) this.error(`effect looks at a stack ${all} times at its start, not once: is it another version?`)
    return { code: code.replace(looked, "true"), map: null }
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

/** From which argument on there are words for people who read the API's description, which the controller has and no page. */
const described = new Map([
  ["field", 1],
  ["optional", 1],
  ["documented", 1]
])

const isNode = (value: unknown): value is { readonly type: string; readonly start: number; readonly end: number } =>
  Predicate.hasProperty(value, "type") &&
  Predicate.hasProperty(value, "start") &&
  Predicate.hasProperty(value, "end") &&
  typeof value.start === "number" &&
  typeof value.end === "number" &&
  typeof value.type === "string"

/** Those words, in the order of the file. */
const words = (node: unknown): ReadonlyArray<{ readonly start: number; readonly end: number }> => {
  if (Array.isArray(node)) return node.flatMap(words)
  if (!isNode(node)) return []
  const within = Object.values(node).flatMap(words)
  if (!Predicate.hasProperty(node, "callee") || !Predicate.hasProperty(node, "arguments")) return within
  const { arguments: given, callee } = node
  const from = Predicate.hasProperty(callee, "name") ? described.get(String(callee.name)) : undefined
  if (from === undefined || !Array.isArray(given)) return within
  const [, ...texts] = given.slice(from - 1).filter(isNode)
  return [...within, ...texts]
}

/** A tenth of what a page has to read, and nothing of what it does. */
const withoutDescription: Plugin = {
  name: "without-description",
  apply: "build",
  transform(code, id) {
    if (!/\/src\/api\/\w+\.ts$/.test(id)) return null
    const all = words(this.parse(code)).toSorted((a, b) => b.start - a.start)
    return {
      code: all.reduce((rest, { end, start }) => `${rest.slice(0, start)}""${rest.slice(end)}`, code),
      map: null
    }
  }
}

/**
 * Runs what asks ahead as a script of its own, before the rest, and tells it what files each page is made of beside those that are here anyway.
 */
const askAhead: Plugin = {
  name: "ask-ahead",
  apply: "build",
  buildStart() {
    this.emitFile({ type: "chunk", id: ahead, name: "ahead" })
  },
  transformIndexHtml: {
    order: "post",
    handler(html, { bundle = {} }) {
      const chunks = Object.values(bundle).filter((file) => file.type === "chunk")
      const needed = (file: string, seen: Set<string>): Set<string> => {
        if (!seen.has(file)) {
          seen.add(file)
          for (const one of chunks) if (one.fileName === file) for (const other of one.imports) needed(other, seen)
        }
        return seen
      }
      const first = chunks.find(({ facadeModuleId }) => facadeModuleId === ahead)
      const entry = chunks.find(({ facadeModuleId }) => facadeModuleId?.endsWith("/index.html"))
      if (first === undefined || entry === undefined) throw new Error("the web interface has no first script")
      const here = needed(entry.fileName, new Set())
      const pages = chunks.flatMap(({ facadeModuleId, fileName }) => {
        const page = /\/pages\/(\w+)\.tsx$/.exec(facadeModuleId ?? "")?.[1]
        if (page === undefined) return []
        const files = [...needed(fileName, new Set())].filter((file) => !here.has(file)).map((file) => `/ui/${file}`)
        return [`<meta name="page" data-page="${page.toLowerCase()}" content="${files.join(" ")}" />`]
      })
      const script = `<script type="module" async crossorigin src="/ui/${first.fileName}"></script>`
      // before the rest is asked for
      return html.replace(/ *<script/, (rest) => `    ${[...pages, script].join("\n    ")}\n${rest}`)
    }
  }
}

// what the controller serves under /ui/; see src/http/Gui.ts
export default defineConfig({
  root: "src/gui",
  base: "/ui/",
  publicDir: false,
  plugins: [react(), withoutDescription, xtermWithoutInlineStyles, withoutStackAtStart, readAtOnce, askAhead],
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
