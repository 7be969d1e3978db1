/** What no line of the sources may do, however well it is tested otherwise. Read from the syntax, so that comments and texts are taken for none. */
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import ts from "typescript"

const root = new URL("../..", import.meta.url).pathname

/** A part of a file, with the name of the outermost declaration that it is in. */
interface Part {
  readonly node: ts.Node
  readonly file: string
  readonly name: string
}

const isLookedAt = (node: ts.Node) =>
  ts.isImportDeclaration(node) ||
  ts.isExportDeclaration(node) ||
  ts.isCallExpression(node) ||
  ts.isNewExpression(node) ||
  ts.isPropertyAssignment(node) ||
  ts.isShorthandPropertyAssignment(node) ||
  ts.isArrayLiteralExpression(node) ||
  ts.isBinaryExpression(node) ||
  ts.isVariableDeclaration(node) ||
  ts.isStringLiteralLike(node)

const parse = (file: string, text: string): ReadonlyArray<Part> => {
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const parts: Array<Part> = []
  const visit = (node: ts.Node, name: string): void => {
    const own =
      name === "" && (ts.isVariableDeclaration(node) || ts.isFunctionDeclaration(node) || ts.isClassDeclaration(node))
        ? (node.name?.getText() ?? "")
        : name
    if (isLookedAt(node)) parts.push({ node, file, name: own })
    ts.forEachChild(node, (child) => visit(child, own))
  }
  visit(tree, "")
  return parts
}

const sources = ["src", "layers"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .flatMap((path) => parse(relative(root, path), readFileSync(path, "utf8")))
)

/** Whatever `look` makes of any of them. */
const found = <A>(parts: ReadonlyArray<Part>, look: (node: ts.Node, part: Part) => ReadonlyArray<A>) =>
  parts.flatMap((part) => look(part.node, part))

const textOf = (node: ts.Node): string | undefined => (ts.isStringLiteralLike(node) ? node.text : undefined)

const secret = /(token|secret|ticket|session|signature|password|passwd|cookie|hmac|digest|hash|credential)s?$/i

/** What it is called, whatever it is of. */
const lastName = (node: ts.Node): string => {
  if (ts.isIdentifier(node)) return node.text
  if (ts.isPropertyAccessExpression(node)) return node.name.text
  if (ts.isElementAccessExpression(node)) return textOf(node.argumentExpression) ?? lastName(node.expression)
  if (ts.isNonNullExpression(node) || ts.isParenthesizedExpression(node)) return lastName(node.expression)
  // of a call what it is called on, or with
  if (ts.isCallExpression(node)) {
    return [node.expression, ...node.arguments].map(lastName).find((name) => secret.test(name)) ?? ""
  }
  return ""
}

// ------------------------------------------------------------------------------------------------------------- processes

const modules = /^(node:)?child_process$|^node:cluster$|^@effect\/platform(-node)?\/(Node)?Command(Executor)?$/

/** `FILE: NAME, NAME`, of each import of what starts processes, in whatever form. */
const importers = (parts: ReadonlyArray<Part>) =>
  found(parts, (node, { file }) => {
    if (ts.isImportDeclaration(node) && modules.test(textOf(node.moduleSpecifier) ?? "")) {
      const { importClause } = node
      const bindings = importClause?.namedBindings
      const names =
        bindings !== undefined && ts.isNamedImports(bindings)
          ? bindings.elements.filter(({ isTypeOnly }) => !isTypeOnly).map((one) => (one.propertyName ?? one.name).text)
          : ["*"]
      return [`${file}: ${names.join(", ")}`]
    }
    if (ts.isExportDeclaration(node) && modules.test(textOf(node.moduleSpecifier ?? node) ?? "")) return [`${file}: *`]
    if (ts.isCallExpression(node) && node.arguments.some((one) => modules.test(textOf(one) ?? ""))) {
      return [`${file}: *`]
    }
    return []
  })

const starters = /^(spawn|spawnSync|exec|execSync|execFile|execFileSync|fork)$/

/** `FILE NAME: CALL`, where a process is started. */
const starts = (parts: ReadonlyArray<Part>) =>
  found(parts, (node, { file, name }) =>
    ts.isCallExpression(node) && ts.isIdentifier(node.expression) && starters.test(node.expression.text)
      ? [`${file} ${name}: ${node.expression.text}(${node.arguments[0]?.getText() ?? ""}`]
      : []
  )

const isStart = (node: ts.Node) => ts.isCallExpression(node) && starters.test(lastName(node.expression))

/** A word that makes a shell read what follows, or an option that does. */
const shells = (parts: ReadonlyArray<Part>) =>
  found(parts, (node, { file, name }) => {
    if (ts.isPropertyAssignment(node) || ts.isShorthandPropertyAssignment(node)) {
      const isOption = isStart(node.parent.parent) || node.getText().endsWith(": true")
      return node.name.getText() === "shell" && isOption ? [`${file} ${name}: ${node.getText()}`] : []
    }
    if (!ts.isArrayLiteralExpression(node)) return []
    const words = node.elements.map(textOf)
    return /^(.*\/)?(ba|da|z|k)?sh$/.test(words[0] ?? "") || words.includes("-lc")
      ? [`${file} ${name}: ${node.getText().slice(0, 60)}`]
      : []
  })

describe("processes", () => {
  it("are started in the places that are known here, each with its words one by one", () => {
    assert.deepStrictEqual(importers(sources).toSorted(), ["src/ceph/LocalProgram.ts: spawn", "src/cli/Ssh.ts: spawn"])
    assert.deepStrictEqual(starts(sources).toSorted(), [
      "src/ceph/LocalProgram.ts open: spawn(command",
      "src/cli/Ssh.ts answersFrom: spawn(program",
      "src/cli/Ssh.ts started: spawn(program"
    ])
  })

  it("are started by no shell of this machine", () => {
    assert.deepStrictEqual(shells(sources), [])
  })

  it("of a host: its shell gets nothing but words that were quoted, in one place", () => {
    const sent = found(sources, (node, { file, name }) =>
      ts.isCallExpression(node) &&
      ts.isPropertyAccessExpression(node.expression) &&
      /^(exec|shell)$/.test(node.expression.name.text) &&
      // of an ssh2 client: what has the name `exec` elsewhere is a pattern's or takes words
      /client/i.test(node.expression.expression.getText())
        ? [`${file} ${name}: ${node.getText()}`]
        : []
    )
    assert.deepStrictEqual(sent, ["layers/ssh/Channels.ts openSession: client.exec(command, done)"])
    const lines = found(sources, (node, { file }) =>
      // with a connection, what it is for and the line; libvirt's sessions are others
      ts.isCallExpression(node) && lastName(node.expression) === "openSession" && node.arguments.length === 3
        ? [`${file}: ${node.arguments[2]?.getText() ?? ""}`]
        : []
    )
    assert.deepStrictEqual(lines, ["layers/SshLive.ts: command", "layers/SshLive.ts: command"])
    const made = found(sources, (node, { file }) =>
      file === "layers/SshLive.ts" && ts.isVariableDeclaration(node) && node.name.getText() === "command"
        ? [node.initializer?.getText() ?? ""]
        : []
    )
    assert.lengthOf(made, 2)
    for (const one of made) assert.match(one, /^yield\* commandOf\(/)
  })

  it("are seen here in every form that they could have", () => {
    const one = (text: string) => parse("x.ts", text)
    for (const text of [
      'import { exec } from "child_process"',
      'import * as P from "node:child_process"',
      'export * from "node:child_process"',
      'const { exec } = await import("node:child_process")',
      'const p = require("child_process")',
      'import * as Command from "@effect/platform/Command"'
    ]) {
      assert.lengthOf(importers(one(text)), 1, text)
    }
    assert.lengthOf(starts(one("const a = () => exec(`ls ${b}`)")), 1)
    for (const text of [
      'spawn("ls", { shell: true })',
      'f(["sh", "-c", x])',
      'f(["/bin/bash", x])',
      "spawn(a, b, { shell })"
    ]) {
      assert.lengthOf(shells(one(text)), 1, text)
    }
    assert.lengthOf(importers(one("// import { exec } from 'child_process'")), 0)
  })
})

// -------------------------------------------------------------------------------------------------------- text as a program

/** `FILE: WHAT`, where text becomes a program: by the language's own ways, or by a module that is named only when it runs. */
const evaluations = (parts: ReadonlyArray<Part>) =>
  found(parts, (node, { file }) => {
    if (ts.isImportDeclaration(node)) {
      return /^(node:)?(vm|module)$/.test(textOf(node.moduleSpecifier) ?? "") ? [`${file}: ${node.getText()}`] : []
    }
    if (ts.isNewExpression(node)) return node.expression.getText() === "Function" ? [`${file}: new Function`] : []
    if (!ts.isCallExpression(node)) return []
    const called = node.expression.getText()
    const first = node.arguments[0]
    const isNamed = first !== undefined && ts.isStringLiteralLike(first)
    if (called === "import") return isNamed ? [] : [`${file}: ${node.getText()}`]
    const isProgram = /^(globalThis\.|window\.)?(eval|Function)$/.test(called)
    const isLater = /^(globalThis\.|window\.)?set(Timeout|Interval)$/.test(called) && isNamed
    return isProgram || isLater ? [`${file}: ${node.getText()}`] : []
  })

describe("text", () => {
  it("becomes a program nowhere, so that none that somebody sends can", () => {
    assert.deepStrictEqual(evaluations(sources), [
      // our own bundle, from a file that nobody else can write
      'src/bin/CodeCache.ts: import { createRequire } from "node:module"',
      'src/bin/CodeCache.ts: import { Script } from "node:vm"'
    ])
    for (const text of [
      "const a = eval(b)",
      "const a = new Function(b)",
      "const a = Function('return 1')",
      "const a = globalThis.eval(b)",
      "const a = await import(b)",
      "const a = await import(`./${b}.ts`)",
      "setTimeout('a()', 1)",
      'import vm from "node:vm"'
    ]) {
      assert.lengthOf(evaluations(parse("x.ts", text)), 1, text)
    }
    assert.lengthOf(evaluations(parse("x.ts", 'const a = () => import("./b.ts")')), 0)
  })
})

// -------------------------------------------------------------------------------------------------------------- qemu-img

/** Every list of words that begins with qemu-img, be it one of the program in Python. */
const imageCommands = (parts: ReadonlyArray<Part>) =>
  found(parts, (node) => {
    if (ts.isArrayLiteralExpression(node)) {
      return /(^|\/)qemu-img$/.test(textOf(node.elements[0] ?? node) ?? "") ? [node.getText()] : []
    }
    const text = textOf(node) ?? ""
    return text.match(/\[\s*["'](?:[^"']*\/)?qemu-img["'][^\]]*\]/g) ?? []
  })

/** `-f`, with a word after it. */
const saysFormat = (command: string) => /["']-f["'],\s*["']\w+["']/.test(command)

describe("qemu-img", () => {
  it("is told what it reads, for it would believe the file", () => {
    const commands = imageCommands(sources)
    assert.lengthOf(commands, 1, "the commands that are known here")
    assert.deepStrictEqual(
      commands.filter((command) => !saysFormat(command)),
      []
    )
    assert.isFalse(saysFormat('["qemu-img", "info", file]'))
    assert.lengthOf(imageCommands(parse("x.ts", 'ssh.exec(at, ["/usr/bin/qemu-img", "info", path])')), 1)
    const mentions = found(sources, (node) => ((textOf(node) ?? "").includes("Popen(") ? [node.getText()] : []))
    for (const program of mentions) {
      assert.notMatch(program, /shell\s*=\s*True|os\.(system|popen)\(|getoutput\(/)
      assert.strictEqual(program.match(/\b(Popen|run|call|check_output|check_call)\(\s*\[/g)?.length, 1)
    }
    assert.lengthOf(mentions, 1)
  })
})

// --------------------------------------------------------------------------------------------------------------- secrets

const isNothing = (node: ts.Node) =>
  ["undefined", "null", "true", "false", '""'].includes(node.getText()) || ts.isNumericLiteral(node)

const equalities = new Set([
  ts.SyntaxKind.EqualsEqualsToken,
  ts.SyntaxKind.EqualsEqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsToken,
  ts.SyntaxKind.ExclamationEqualsEqualsToken
])

/** `FILE NAME: COMPARISON`, of what is called like a secret, with something. */
const comparisons = (parts: ReadonlyArray<Part>) =>
  found(parts, (node, { file, name }) => {
    if (!ts.isBinaryExpression(node) || !equalities.has(node.operatorToken.kind)) return []
    const sides = [node.left, node.right]
    if (sides.some(isNothing) || !sides.some((side) => secret.test(lastName(side)))) return []
    return [`${file} ${name}: ${node.getText()}`]
  })

/** None of them is told whoever could try again how far it was right. */
const harmless = [
  // hosts' names, which are public, as ssh hides them in its file
  /^src\/ssh\/KnownHosts\.ts \w+: createHmac\("sha1"/,
  // what was read of a file before, to see that it is still the same
  /^src\/libvirt\/SerialLog\.ts after: /,
  /^layers\/Hypervisor(Live|Test)\.ts \w+: digest === known$/,
  // connections, not what they carry
  /^layers\/CephLive\.ts \w+: session === made$/,
  // two of the database's rows
  /^layers\/IdentityLive\.ts make: (row\.passwordHash !== before\.passwordHash|hash === session\.hash)$/
]

describe("secrets", () => {
  it("are found by their hash or compared in constant time, never word by word", () => {
    const controller = sources.filter(({ file }) => !/^src\/(gui|simulator|cli|client)\//.test(file))
    assert.deepStrictEqual(
      comparisons(controller).filter((one) => !harmless.some((known) => known.test(one))),
      []
    )
    for (const text of [
      "const a = token === b.token",
      "const a = b.secret != Redacted.value(c)",
      'const a = request.headers["x-signature"] === mac',
      "const a = Redacted.value(ticket) === known"
    ]) {
      assert.lengthOf(comparisons(parse("x.ts", text)), 1, text)
    }
    assert.lengthOf(comparisons(parse("x.ts", "const a = token === undefined")), 0)
  })

  it("of tokens, sessions and passwords are looked at by what takes the same time for all", () => {
    const files = found(sources, (node, { file }) =>
      ts.isCallExpression(node) && node.expression.getText() === "timingSafeEqual" ? [file] : []
    )
    assert.includeMembers([...files], ["layers/IdentityMemory.ts", "layers/Passwords.ts"])
    const tickets = found(sources, (node, { file }) =>
      file === "src/fabric/Reach.ts" && ts.isCallExpression(node) && /^tickets\.\w+$/.test(node.expression.getText())
        ? [node.arguments[0]?.getText()]
        : []
    )
    assert.isAbove(tickets.length, 3)
    for (const key of tickets) assert.match(String(key), /^hash(Of\(secret\))?$/)
  })
})
