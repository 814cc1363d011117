import assert from 'node:assert'
import { CorruptLogError } from '../core/errors.ts'
import {
  eventCountOf,
  eventTypeOffsetOf,
  eventTypeSizeOf,
  flagsOf,
  PrepareFlag,
  positionOf,
  RecordType,
  typeOf,
} from '../format/log-record.ts'
import { stubEventTypeAt, stubHeadAt } from '../format/stub.ts'
import type { ChunkFile } from '../log/chunk-file.ts'
import type { RecordBatch } from '../log/record-batch.ts'
import { Verdict } from './judge.ts'

/** Set beside a verdict: the record is the last of its event type in the chunk. */
const LAST_OF_TYPE = 4

/** What becomes of each record of a chunk, in order; and whether that changes anything. */
export class ChunkJudgement {
  eventsKept = 0
  eventsDropped = 0
  readonly #chunk: ChunkFile
  #fates = new Uint8Array(1024)
  #count = 0
  /** By the bytes of the type as latin1: where its last record is. */
  readonly #lastOfType = new Map<string, number>()
  #stubsShrink = false
  #pendingCount = 0

  constructor(chunk: ChunkFile) {
    this.#chunk = chunk
  }

  /** Takes the verdicts on the next records of the chunk. @throws CorruptLogError when an append is not whole. */
  add({ window, offsets }: RecordBatch, verdicts: Uint8Array): void {
    assert(verdicts.length === offsets.length, 'the judge must give one verdict for each record')
    this.#reserve(this.#count + offsets.length)
    const { bytes, view } = window
    for (const [index, offset] of offsets.entries()) {
      const verdict = verdicts[index]!
      const record = this.#count++
      this.#fates[record] = verdict
      const type = typeOf(view, offset)
      if (type === RecordType.prepare) {
        const start = eventTypeOffsetOf(view, offset)
        this.#lastOfType.set(bytes.toString('latin1', start, start + eventTypeSizeOf(view, offset)), record)
        if (verdict === Verdict.keep) this.eventsKept++
        else this.eventsDropped++
        if (!(flagsOf(view, offset) & PrepareFlag.committed)) this.#pendingCount++
      } else if (type === RecordType.stub) {
        const eventType = stubEventTypeAt(window, offset)
        if (eventType !== null) this.#lastOfType.set(Buffer.from(eventType).toString('latin1'), record)
        if (verdict === Verdict.drop && stubHeadAt(window, offset) !== null) this.#stubsShrink = true
      } else if (type === RecordType.commit) {
        if (eventCountOf(view, offset) !== this.#pendingCount) this.#refuse(positionOf(view, offset))
        this.#pendingCount = 0
      }
    }
  }

  /** All records have been added. */
  conclude(): void {
    if (this.#pendingCount > 0) this.#refuse(this.#chunk.dataEnd!)
    for (const record of this.#lastOfType.values()) this.#fates[record]! |= LAST_OF_TYPE
    this.#lastOfType.clear()
  }

  get changesAnything(): boolean {
    return this.eventsDropped > 0 || this.#stubsShrink
  }

  verdictOn(record: number): number {
    return this.#fates[record]! & ~LAST_OF_TYPE
  }

  isLastOfType(record: number): boolean {
    return (this.#fates[record]! & LAST_OF_TYPE) !== 0
  }

  /** Its prepares would be made to count, each by itself, though they never happened. */
  #refuse(position: number): never {
    throw new CorruptLogError(this.#chunk.path, position, 'an append that is not whole, in a completed chunk')
  }

  #reserve(count: number): void {
    if (count <= this.#fates.length) return
    const fates = new Uint8Array(Math.max(count, 2 * this.#fates.length))
    fates.set(this.#fates)
    this.#fates = fates
  }
}
