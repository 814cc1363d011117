import Denque from 'denque'

/** What a queue must know of a message to bound and count it. */
export interface Queued {
  /** Bytes that the message stands for. */
  readonly size: number
  /** Whether it leads to bytes that must be flushed. */
  readonly isFlushable: boolean
}

/**
 * The waiting line of a stage: first in, first out, with one consumer that takes when it likes. How much may wait is decided
 * before the queue, where whole appends are counted until they settle; here it is only measured.
 */
export class StageQueue<Message extends Queued> {
  readonly #messages = new Denque<Message>()
  readonly #onReadable: () => void
  #bytes = 0
  #flushableCount = 0
  #peak = 0

  /** @param onReadable called for each message that enters. */
  constructor(onReadable: () => void) {
    this.#onReadable = onReadable
  }

  get length(): number {
    return this.#messages.length
  }

  /** The most that ever waited. */
  get peak(): number {
    return this.#peak
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Flushable messages that wait: counted when they enter, so that the consumer knows whether more comes behind. */
  get flushableCount(): number {
    return this.#flushableCount
  }

  push(message: Message): void {
    this.#messages.push(message)
    this.#bytes += message.size
    if (message.isFlushable) this.#flushableCount++
    if (this.#messages.length > this.#peak) this.#peak = this.#messages.length
    this.#onReadable()
  }

  peek(): Message | undefined {
    return this.#messages.peekFront()
  }

  shift(): Message | undefined {
    const message = this.#messages.shift()
    if (message === undefined) return undefined
    this.#bytes -= message.size
    if (message.isFlushable) this.#flushableCount--
    return message
  }
}
