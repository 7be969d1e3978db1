/**
 * A real host that is cut off, and declared lost: what waits for it ends, and Ceph keeps what its guest has open until that is dead. Found again, it
 * is rid of what was destroyed meanwhile.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { beforeEach } from "vitest"
import * as Client from "./Client.ts"
import * as Lab from "./Lab.ts"

beforeEach(() => Effect.runPromise(Client.wipe(Client.fleet)))

const change = ({ url }: Client.Program, pmid: number, body: object) =>
  Effect.promise(async () => {
    const answer = await fetch(`${url}/api/v1/hosts/${pmid}`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body)
    })
    return { status: answer.status, text: await answer.text() }
  })

const becomes = (program: Client.Program, pmid: number, status: string) =>
  Lab.eventually(`it is ${status}`, program.get(`/pm/status?pmid=${pmid}`), (answer) => answer["status"] === status)

describe("a host that never comes back", () => {
  it.scopedLive(
    "is declared lost: its volume goes to a guest elsewhere once its own guest is dead, and its VM is gone",
    () =>
      Effect.gen(function* () {
        const program = yield* Client.startWithCeph(yield* Client.database, Client.fleet)
        const [one, two] = yield* Client.bootedVms(program, 2)
        assert(one !== undefined && two !== undefined)
        assert.notStrictEqual(one.host, two.host)
        const pmid = Client.hostNames.indexOf(one.host) + 1
        const volume = yield* Client.newVolume(program, "data")
        yield* Client.succeed(program, `/volume/attach?vmid=${one.vmid}&volumeid=${volume}`)
        yield* Client.pattern(one.host, one.vmid, volume, "write 11 8")
        const early = yield* change(program, pmid, { lost: true })
        assert.strictEqual(early.status, 409, early.text)
        assert.include(early.text, "cannot be declared lost while it is up")

        yield* Effect.addFinalizer(() => Effect.orDie(Lab.lab("unblock", one.host)))
        yield* Lab.lab("block", one.host)
        yield* becomes(program, pmid, "down")
        const waits = yield* Client.act(program, `/volume/detach?volumeid=${volume}`)
        assert.match(waits.error ?? "", /it goes on when the host answers again, or is declared lost$/)
        const lost = yield* change(program, pmid, { lost: true })
        assert.strictEqual(lost.status, 200, lost.text)
        yield* becomes(program, pmid, "lost")
        yield* Lab.eventually(
          "the volume is free",
          Client.volume(program, volume),
          ({ status }) => status === "available"
        )

        // its guest is alive all the same, and Ceph knows
        const attach = Client.act(program, `/volume/attach?vmid=${two.vmid}&volumeid=${volume}`)
        assert.match((yield* attach).error ?? "", /is open on /)
        assert.strictEqual(yield* Client.inGuest(one.host, one.vmid, "echo alive"), "alive")
        yield* Lab.onHost(one.host, "sh", "-c", `kill -9 $(cat /run/libvirt/qemu/vm-${one.vmid}.pid)`)
        yield* Lab.eventually("it goes to another guest", attach, ({ status }) => status === 1)
        yield* Client.pattern(two.host, two.vmid, volume, "check 11 8")

        yield* Lab.eventually("the VM is destroyed", Client.destroy(program, one.vmid), ({ status }) => status === 1)
        assert.include(yield* Client.domains(one.host, "--all"), `vm-${one.vmid}`, "nothing was done there")

        yield* Lab.lab("unblock", one.host)
        const found = yield* change(program, pmid, { lost: false })
        assert.strictEqual(found.status, 200, found.text)
        yield* becomes(program, pmid, "up")
        yield* Lab.eventually(
          "what was destroyed is removed there",
          Client.domains(one.host, "--all"),
          (names) => names.length === 0
        )
        yield* Client.agree(program)
        yield* Client.cleanUp(program)
        yield* Client.nothingRemains(program)
      }),
    900_000
  )
})
