import { payloadPool } from '../support/data-set.ts'

const HEADER_BYTES = 8

/** Payloads that say which event of which stream they are, so that whoever reads them can tell a wrong one. */
export class NumberedEvents {
  readonly #pool: readonly Uint8Array[]

  /** @param payloadBytes at least 8 */
  constructor(payloadBytes: number) {
    this.#pool = payloadPool(payloadBytes)
  }

  event(stream: number, revision: number): { readonly type: string; readonly data: Uint8Array } {
    const data = Uint8Array.from(this.#poolEntry(stream, revision))
    const view = new DataView(data.buffer)
    view.setUint32(0, stream)
    view.setUint32(4, revision)
    return { type: 'Measured', data }
  }

  /** @throws Error when these are not the bytes of that event */
  check(stream: number, revision: number, data: Uint8Array): void {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
    const expected = this.#poolEntry(stream, revision)
    const isRight =
      data.length === expected.length &&
      view.getUint32(0) === stream &&
      view.getUint32(4) === revision &&
      Buffer.compare(data.subarray(HEADER_BYTES), expected.subarray(HEADER_BYTES)) === 0
    if (!isRight) throw new Error(`revision ${revision} of stream ${stream} has other bytes than it was given`)
  }

  #poolEntry(stream: number, revision: number): Uint8Array {
    return this.#pool[(stream + revision * 31) % this.#pool.length]!
  }
}
