import type { RecordedEvent, Subscription } from 'tailrace'
import type { AppendLoad } from './append-load.ts'
import { LatencyRecorder, type LatencySummary } from './histogram.ts'

export interface DeliverySummary extends LatencySummary {
  /** Events that were there before the appender had heard of their ack, counted with a latency of nothing. */
  readonly beforeAck: number
}

/** How long after its ack an event is delivered. */
export class DeliveryRecorder {
  readonly #load: AppendLoad
  #latencies = new LatencyRecorder()
  #beforeAck = 0

  constructor(load: AppendLoad) {
    this.#load = load
  }

  record(event: RecordedEvent): void {
    const ackedAt = this.#load.ackedAt(event)
    if (Number.isNaN(ackedAt)) this.#beforeAck++
    this.#latencies.record(Number.isNaN(ackedAt) ? 0 : performance.now() - ackedAt)
  }

  /** What was recorded since the last call. */
  take(): DeliverySummary {
    const summary = { ...this.#latencies.summary(), beforeAck: this.#beforeAck }
    this.#latencies = new LatencyRecorder()
    this.#beforeAck = 0
    return summary
  }
}

/** Reads a subscription in batches and checks that positions grow. */
export class BatchReader {
  count = 0
  inOrder = true
  readonly ended: Promise<void>
  readonly #subscription: Subscription
  #lastPosition = -1
  #pause: Promise<void> | null = null

  /** @param onBatch called with the last event of each batch. */
  constructor(subscription: Subscription, onBatch: (last: RecordedEvent) => void = () => {}) {
    this.#subscription = subscription
    this.ended = this.#read(onBatch)
  }

  /** Asks for nothing until the promise resolves. */
  pause(until: Promise<void>): void {
    this.#pause = until
  }

  async end(): Promise<void> {
    await this.#subscription.return()
    await this.ended
  }

  async #read(onBatch: (last: RecordedEvent) => void): Promise<void> {
    for await (const batch of this.#subscription.batches()) {
      this.count += batch.length
      for (const { position } of batch) {
        if (position <= this.#lastPosition) this.inOrder = false
        this.#lastPosition = position
      }
      onBatch(batch.at(-1)!)
      if (this.#pause !== null) await this.#pause
      this.#pause = null
    }
  }
}
