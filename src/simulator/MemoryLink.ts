/**
 * A TCP connection without the network: two Duplex ends in memory whose link can be cut, mended and torn.
 *
 * @since 0.1.0
 */
import { Duplex } from "node:stream"
import { soon } from "./Soon.ts"

/** A connection between a client and a server in the same process. @since 0.1.0 @category models */
export interface MemoryLink {
  readonly client: Duplex
  readonly server: Duplex
  /** From now on nothing arrives at either end, not even the other's hanging up; nothing is lost either. */
  readonly cut: () => void
  /** What was held back by `cut` arrives. */
  readonly mend: () => void
  /** Both ends fail with ECONNRESET. */
  readonly reset: () => void
}

interface Delivery {
  /** null: the other end hung up */
  readonly bytes: Uint8Array | null
}

class End extends Duplex {
  private peer: End | undefined
  private readonly waiting: Array<Delivery> = []
  private scheduled = false
  private held = false

  constructor(halfOpen: boolean) {
    super({ allowHalfOpen: halfOpen })
  }

  join(peer: End): void {
    this.peer = peer
  }

  hold(): void {
    this.held = true
  }

  release(): void {
    this.held = false
    this.schedule()
  }

  private receive(delivery: Delivery): void {
    this.waiting.push(delivery)
    this.schedule()
  }

  // Never in the sender's own stack: an SSH parser that is fed while it writes its answer is entered twice.
  private schedule(): void {
    if (this.scheduled || this.held || this.waiting.length === 0) return
    this.scheduled = true
    soon(() => {
      this.scheduled = false
      if (this.held) return
      for (const { bytes } of this.waiting.splice(0)) {
        if (!this.destroyed && !this.readableEnded) this.push(bytes)
      }
    })
  }

  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    // SSH has its own window, so at most a window's bytes wait here
    this.peer?.receive({ bytes: Uint8Array.from(chunk) })
    callback()
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.peer?.receive({ bytes: null })
    callback()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.peer?.receive({ bytes: null })
    callback(error)
  }
}

/** `halfOpen`: an end that has heard the other hang up may go on sending, as a program's output does. @since 0.1.0 @category constructors */
export const make = (options: { readonly halfOpen?: boolean } = {}): MemoryLink => {
  const client = new End(options.halfOpen ?? false)
  const server = new End(options.halfOpen ?? false)
  client.join(server)
  server.join(client)
  return {
    client,
    server,
    cut: () => {
      client.hold()
      server.hold()
    },
    mend: () => {
      client.release()
      server.release()
    },
    reset: () => {
      for (const end of [server, client]) {
        // a reset may come when nobody listens any more; without a listener the stream would throw it at the process
        if (end.listenerCount("error") === 0) end.once("error", () => {})
        end.destroy(Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" }))
      }
    }
  }
}
