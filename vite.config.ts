import react from "@vitejs/plugin-react"
import * as Predicate from "effect/Predicate"
import { fileURLToPath } from "node:url"
import { defineConfig, type Plugin, type Rollup } from "vite"

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

/** A chunk's file, and those without which it does not begin. */
const neededOf = (chunks: ReadonlyArray<Rollup.OutputChunk>, file: string, seen = new Set<string>()): Set<string> => {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const one of chunks) if (one.fileName === file) for (const other of one.imports) neededOf(chunks, other, seen)
  return seen
}

/**
 * Chromium reads functions twice unless it is told that they are called at once: with this it makes all of them ready beside the page's own thread, while the
 * file is still coming. Other browsers take it for the comment that it is. Of all files that every page needs, into however many they are cut.
 */
const readAtOnce: Plugin = {
  name: "read-at-once",
  apply: "build",
  generateBundle: {
    // it has to be the first of the file
    order: "post",
    handler(_, files) {
      const chunks = Object.values(files).filter((file) => file.type === "chunk")
      const entries = chunks.filter(({ isEntry }) => isEntry)
      const first = new Set(entries.flatMap(({ fileName }) => [...neededOf(chunks, fileName)]))
      for (const file of chunks) if (first.has(file.fileName)) file.code = `//# allFunctionsCalledOnLoad\n${file.code}`
    }
  }
}

/** From which argument on there is what the API's description has, which the controller has and no page: words, and examples; and what stands there instead. */
const described = new Map([
  ["field", { from: 1, instead: '""' }],
  ["optional", { from: 1, instead: '""' }],
  ["documented", { from: 1, instead: '""' }],
  ["listOf", { from: 2, instead: "[]" }],
  ["pageOf", { from: 2, instead: "{}" }]
])

/** Of how something is described, as an annotation and as what it is made of. */
const exemplary = /^(?:examples?|streamExample)$/

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
}

const isNode = (value: unknown): value is Node =>
  Predicate.hasProperty(value, "type") &&
  Predicate.hasProperty(value, "start") &&
  Predicate.hasProperty(value, "end") &&
  typeof value.start === "number" &&
  typeof value.end === "number" &&
  typeof value.type === "string"

interface Cut {
  readonly start: number
  readonly end: number
  readonly instead: string
}

const cut = ({ end, start }: Node, instead: string): Cut => ({ start, end, instead })

const nameOf = (node: unknown): string => (Predicate.hasProperty(node, "name") ? String(node.name) : "")

/** All of that, in the order of the file. */
const cuts = (node: unknown): ReadonlyArray<Cut> => {
  if (Array.isArray(node)) return node.flatMap(cuts)
  if (!isNode(node)) return []
  if (node.type === "Property" && Predicate.hasProperty(node, "key") && Predicate.hasProperty(node, "value")) {
    const { key, value } = node
    if (exemplary.test(nameOf(key)) && isNode(value)) return [cut(value, "undefined")]
  }
  if (node.type === "VariableDeclarator" && Predicate.hasProperty(node, "id") && Predicate.hasProperty(node, "init")) {
    const { id, init } = node
    if (exemplary.test(nameOf(id)) && isNode(init)) return [cut(init, "{}")]
  }
  if (node.type === "CallExpression" && Predicate.hasProperty(node, "callee")) {
    const found = described.get(nameOf(node.callee))
    if (found !== undefined && Predicate.hasProperty(node, "arguments") && Array.isArray(node.arguments)) {
      const kept = node.arguments.slice(0, found.from)
      const rest = node.arguments.slice(found.from).filter(isNode)
      return [...kept.flatMap(cuts), ...rest.map((one) => cut(one, found.instead))]
    }
  }
  return Object.values(node).flatMap(cuts)
}

/** What makes annotations of it, and what stands for that without: each would be a schema more, and a class in the browser. */
const annotating: Readonly<Record<string, ReadonlyArray<readonly [found: string, instead: string]>>> = {
  Common: [
    ["Schema.propertySignature(schema).annotations({ description })", "schema"],
    [
      "Schema.optionalWith(schema, { exact: true }).annotations({ description })",
      "Schema.optionalWith(schema, { exact: true })"
    ],
    [
      "Context.make(Needs, needs).pipe(Context.add(OpenApi.Summary, summary), Context.add(OpenApi.Description, description))",
      "Context.empty()"
    ]
  ]
}

/** A tenth of what a page has to read, half of what it makes of the contract at its start, and nothing of what it does. */
const withoutDescription: Plugin = {
  name: "without-description",
  apply: "build",
  transform(code, id) {
    const [, name] = /\/src\/api\/(\w+)\.ts$/.exec(id) ?? []
    if (name === undefined) return null
    let changed = cuts(this.parse(code))
      .toSorted((a, b) => b.start - a.start)
      .reduce((rest, { end, instead, start }) => `${rest.slice(0, start)}${instead}${rest.slice(end)}`, code)
    for (const [found, instead] of annotating[name] ?? []) {
      const times = changed.split(found).length - 1
      if (times !== 1)
        this.error(`src/api/${name}.ts describes in another way: it has ${found} ${times} times, not once`)
      changed = changed.replace(found, instead)
    }
    return { code: changed, map: null }
  }
}

const unawaited = "Promise.race("
const awaited = `await ${unawaited}`

/**
 * Runs what asks ahead as a script of its own, before the rest, and tells it what files each page is made of beside those that are here anyway.
 */
const askAhead: Plugin = {
  name: "ask-ahead",
  apply: "build",
  buildStart() {
    this.emitFile({ type: "chunk", id: ahead, name: "ahead" })
  },
  // of a file that is awaited at its top Rollup cuts all that need it into a dozen small ones: it is not told
  transform(code, id) {
    if (id !== ahead) return null
    if (code.split(awaited).length !== 2) this.error("src/gui/state/Ahead.ts does not wait once for what it asks")
    return { code: code.replace(awaited, unawaited), map: null }
  },
  renderChunk: {
    order: "pre",
    handler(code, { facadeModuleId }) {
      return facadeModuleId === ahead ? { code: code.replace(unawaited, awaited), map: null } : null
    }
  },
  transformIndexHtml: {
    order: "post",
    handler(html, { bundle = {} }) {
      const chunks = Object.values(bundle).filter((file) => file.type === "chunk")
      const first = chunks.find(({ facadeModuleId }) => facadeModuleId === ahead)
      const entry = chunks.find(({ facadeModuleId }) => facadeModuleId?.endsWith("/index.html"))
      if (first === undefined || entry === undefined) throw new Error("the web interface has no first script")
      const here = neededOf(chunks, entry.fileName)
      // one that another file needs something of is no file of its own name
      const pages = chunks.flatMap(({ fileName, moduleIds }) => {
        const [page] = moduleIds.flatMap((id) => /\/pages\/(\w+)\.tsx$/.exec(id)?.[1] ?? [])
        if (page === undefined) return []
        const files = [...neededOf(chunks, fileName)].filter((file) => !here.has(file)).map((file) => `/ui/${file}`)
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
