// Requests that are due at a fixed rate, whether or not earlier ones have been answered, each timed from when it was due:
// pace.mjs URL RATE SECONDS TOKEN prints their number, those that failed, and quantiles in milliseconds.
import { Agent, get } from "node:http"

const [url, rate, seconds, token] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true, maxSockets: 64 })
const options = { agent, headers: { authorization: `Bearer ${token}` } }
const gap = 1000 / Number(rate)
const count = Math.round(Number(rate) * Number(seconds))
const took = []
let failed = 0

const ask = (due) =>
  new Promise((resolve) => {
    const request = get(url, options, (response) => {
      response.resume()
      response.on("end", () => {
        if (response.statusCode !== 200) failed++
        took.push(performance.now() - due)
        resolve()
      })
    })
    request.on("error", () => {
      failed++
      resolve()
    })
  })

const began = performance.now()
const asked = []
const next = () => {
  while (asked.length < count && began + asked.length * gap <= performance.now()) {
    asked.push(ask(began + asked.length * gap))
  }
  if (asked.length < count) setTimeout(next, 1)
  else Promise.all(asked).then(finish)
}
const finish = () => {
  took.sort((a, b) => a - b)
  const quantile = (part) => took[Math.min(took.length - 1, Math.floor(part * took.length))] ?? 0
  process.stdout.write(JSON.stringify({ count, failed, p50: quantile(0.5), p99: quantile(0.99) }))
  process.exit(0)
}
next()
