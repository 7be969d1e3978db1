/**
 * SSH channels as byte streams that keep Node's promises.
 *
 * @since 0.1.0
 */
import { Duplex, type Readable } from "node:stream"

/** What is used of ssh2's client channel. @since 0.1.0 @category models */
export interface Channel extends Duplex {
  readonly stderr: Readable
  /** sends SSH_MSG_CHANNEL_CLOSE */
  readonly close: () => void
}

/**
 * Lets go of a channel whatever it still carries: ssh2 tells of its end only when all of it has been read.
 *
 * @since 0.1.0 @category combinators
 */
export const discard = (channel: Channel): void => {
  channel.resume()
  channel.stderr.resume()
  channel.close()
}

/**
 * A channel as the rest of the program can use it. ssh2's own Duplex leaves writes unanswered once the channel is closed, never errors,
 * and its `destroy` is not Node's; this one ends, errors and closes as a socket does.
 *
 * @since 0.1.0 @category models
 */
export class ChannelDuplex extends Duplex {
  private readonly channel: Channel
  /** a failure that is told when what came before it has been read */
  private pendingFailure: Error | undefined
  /** the callback of a write or an end that the channel has not answered */
  private unanswered: ((error?: Error | null) => void) | undefined
  private over = false

  constructor(channel: Channel, halfOpen: boolean) {
    super({ allowHalfOpen: halfOpen, highWaterMark: 64 * 1024 })
    this.channel = channel
    // a consumer that listens is told as well; one that does not must not end the process
    this.on("error", () => {})
    channel.on("data", (chunk: Buffer) => {
      if (!this.destroyed && !this.push(chunk)) channel.pause()
    })
  }

  /** No more will come: success, or a failure that follows the last byte. */
  finish(failed?: Error): void {
    if (this.over || this.destroyed) return
    this.over = true
    if (failed === undefined) this.push(null)
    else if (this.readableLength === 0) this.destroy(failed)
    else this.pendingFailure = failed
  }

  /** The server has closed the channel: nothing that is still to be written will arrive. */
  closedByHost(): void {
    this.answer(new Error("the host closed the channel"))
  }

  private answer(error?: Error | null): void {
    const callback = this.unanswered
    this.unanswered = undefined
    callback?.(error)
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size)
    if (this.pendingFailure !== undefined && this.readableLength === 0) {
      const failed = this.pendingFailure
      this.pendingFailure = undefined
      process.nextTick(() => this.destroy(failed))
    }
    return chunk
  }

  override _read(): void {
    this.channel.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.unanswered = callback
    this.channel.write(chunk, (error) => this.answer(error))
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.channel.writableEnded) return callback()
    this.unanswered = () => callback()
    this.channel.end(() => this.answer())
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    discard(this.channel)
    this.unanswered = undefined
    callback(error)
  }
}
