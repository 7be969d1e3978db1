// Node's own server with one answer in memory: what any program on it can reach at most.
import { readFileSync } from "node:fs"
import { createServer } from "node:http"

// a string: head and body leave in one piece
const body = readFileSync(process.argv[2], "utf8")
const server = createServer((_, response) => {
  response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
  response.end(body)
})
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`listening on http://127.0.0.1:${server.address().port}\n`)
})
