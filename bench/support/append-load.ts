import type { EventStore } from 'tailrace'

/** How many appends back the time of an ack is known. */
const REMEMBERED = 1 << 20
const SEQUENCE_BYTES = 8

export interface LoadShape {
  readonly inFlight: number
  readonly payloadBytes: number
  readonly streamCount: number
}

/** An ack has not been heard of yet: the event may be delivered by then all the same. */
export const NOT_ACKED = Number.NaN

/**
 * Appends as fast as the acks come back, from so many clients at once. Each event has its number in its first bytes, by which
 * whoever gets it learns when it was acked.
 */
export class AppendLoad {
  readonly #store: EventStore
  readonly #shape: LoadShape
  readonly #ackedAt = new Float64Array(REMEMBERED)
  readonly #streams: readonly string[]
  #begun = 0
  #acked = 0
  #isStopped = true
  #clients: Promise<unknown> = Promise.resolve()

  constructor(store: EventStore, shape: LoadShape) {
    this.#store = store
    this.#shape = shape
    this.#streams = Array.from({ length: shape.streamCount }, (_, index) => `stream-${index}`)
  }

  get acked(): number {
    return this.#acked
  }

  /** When it was acked, on the clock of `performance`; NOT_ACKED if it was not. Only of the last million. */
  ackedAt(event: { readonly bytes: Uint8Array }): number {
    const { buffer, byteOffset } = event.bytes
    return this.#ackedAt[new DataView(buffer, byteOffset).getFloat64(0) % REMEMBERED]!
  }

  start(): void {
    this.#isStopped = false
    this.#clients = Promise.all(Array.from({ length: this.#shape.inFlight }, () => this.#client()))
  }

  /** Resolves when everything is acked. */
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#clients
  }

  async #client(): Promise<void> {
    const data = new Uint8Array(Math.max(SEQUENCE_BYTES, this.#shape.payloadBytes))
    const view = new DataView(data.buffer)
    while (!this.#isStopped) {
      const sequence = this.#begun++
      view.setFloat64(0, sequence)
      this.#ackedAt[sequence % REMEMBERED] = NOT_ACKED
      await this.#store.append(this.#streams[sequence % this.#streams.length]!, { type: 'Measured', data })
      this.#ackedAt[sequence % REMEMBERED] = performance.now()
      this.#acked++
    }
  }
}
