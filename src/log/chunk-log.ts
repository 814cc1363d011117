import assert from 'node:assert'
import type { Clock } from '../core/clock.ts'
import { isDiskFull } from '../core/errors.ts'
import { MIB } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import type { Disk } from '../disk/disk.ts'
import type { ChunkFooter } from '../format/chunk-footer.ts'
import { checksumSeed, PROOF_RECORD_SIZE } from '../format/log-record.ts'
import { encodeProof, RecordStamp } from '../format/record-encoding.ts'
import { ActiveHint } from './active-hint.ts'
import type { BlockChecksums } from './block-checksums.ts'
import { type ChunkFile, chunkCapacity } from './chunk-file.ts'
import type { ChunkSequence } from './chunk-sequence.ts'
import { closeAll } from './close-all.ts'
import type { FlushedHint } from './flushed-hint.ts'
import { NextChunk } from './next-chunk.ts'
import { RecentBytes, type Slab } from './recent-bytes.ts'
import { SummedTail } from './summed-tail.ts'
import { ZerosAhead } from './zeros-ahead.ts'

/** Above this, a group is written and then synced, so that the next one can be written meanwhile. */
const ONE_TRIP_SIZE = MIB

/** As much of the last size counts for the next group. */
const GROUP_MEMORY = 1 / 2

/** What recovery knows of the log when it is opened for writing. */
export interface LogState {
  readonly chunks: ChunkSequence
  /** The empty chunk behind the active one, if it had been made already. */
  readonly next: ChunkFile | null
  /** Behind the last record; everything below is durable. */
  readonly end: LogPosition
  readonly endsWithProof: boolean
  /** Of the active chunk. */
  readonly eventCount: number
  readonly blockChecksums: BlockChecksums
}

/**
 * The writer's side of the transaction log: room to encode into, and the way to the disk. One caller, the storage writer,
 * with one flush at a time; while it runs, encoding goes on behind it.
 *
 *     ... durable | written | encoded | free ...
 *             proven     written     end
 */
export class ChunkLog {
  /** For records encoded from now on. */
  readonly stamp: RecordStamp
  readonly recent = new RecentBytes()
  readonly chunks: ChunkSequence
  readonly #hint: FlushedHint
  /** The largest append that a chunk made from now on can hold. */
  readonly capacity: number
  #active: ChunkFile
  readonly #next: NextChunk
  /** Behind the last encoded record. */
  #end: LogPosition
  /** Everything below has been handed to the file, and the file took it. */
  #written: LogPosition
  #writing: Promise<void> | null = null
  #isSyncing = false
  /** The error after which nothing is known of the unproven bytes. */
  #doubt: unknown = null
  #endsWithProof: boolean
  #eventCount: number
  readonly #summed: SummedTail
  readonly #zerosAhead: ZerosAhead
  /** Of the largest group lately: large ones take turns with the few who came too late for them. */
  #groupSize = 0

  constructor(disk: Disk, directory: string, clock: Clock, chunkSize: number, hint: FlushedHint, state: LogState) {
    this.capacity = chunkCapacity(chunkSize)
    this.#hint = hint
    this.chunks = state.chunks
    this.chunks.whenReplaced(chunk => this.recent.forgetBelow(chunk.end))
    this.#active = state.chunks.active
    this.#zerosAhead = new ZerosAhead(clock, error => {
      this.#doubt = error
    })
    this.stamp = new RecordStamp(checksumSeed(this.#active.header.storeId))
    this.stamp.proven = state.end
    this.#next = new NextChunk(disk, directory, clock, chunkSize, state.next)
    this.#end = state.end
    this.#written = state.end
    this.#endsWithProof = state.endsWithProof
    this.#eventCount = state.eventCount
    this.#summed = new SummedTail(
      this.recent,
      new ActiveHint(disk, directory),
      this.#active,
      state.blockChecksums,
      state.eventCount,
    )
  }

  get end(): LogPosition {
    return this.#end
  }

  get written(): LogPosition {
    return this.#written
  }

  /** Everything below is durable. */
  get proven(): LogPosition {
    return this.stamp.proven
  }

  /** Whether an append of `size` bytes fits into the active chunk, with room for a proof behind it. */
  fits(size: number): boolean {
    return this.#end + size + PROOF_RECORD_SIZE <= this.#active.recordLimit
  }

  /** Room for `size` bytes at `end`. Encode into it with `stamp`, then call `advance`; nothing may be awaited in between. */
  reserve(size: number): Slab {
    const slab = this.recent.reserve(this.#end, size)
    if (slab.start !== this.stamp.base) this.stamp.base = slab.start
    return slab
  }

  /** Says that `size` bytes with `eventCount` prepares have been encoded at `end`. */
  advance(slab: Slab, size: number, eventCount: number): void {
    this.#end = LogPosition.plus(this.#end, size)
    slab.end = this.#end
    this.#eventCount += eventCount
    this.#endsWithProof = false
  }

  /** Events of the active chunk, encoded ones included. */
  get eventCount(): number {
    return this.#eventCount
  }

  /** Hands everything encoded so far to the file, without a sync. Not while a flush is under way. */
  async write(): Promise<void> {
    this.#refuseIfInDoubt()
    await this.#writing
    await this.#writeTo(this.#end)
  }

  /** Whether a sync is all that the flush under way still waits for, and at least `size` bytes could be written meanwhile. */
  canWriteAhead(size: number): boolean {
    return this.#isSyncing && this.#writing === null && this.#doubt === null && this.#end - this.#written >= size
  }

  /** Begins to write the next group while the last one is being synced. If it fails, the next flush says so. */
  writeAhead(): void {
    this.#writing = this.#writeTo(this.#end)
      .catch(() => {})
      .finally(() => {
        this.#writing = null
      })
  }

  /** @param durably each write comes back when it is durable. */
  async #writeTo(target: LogPosition, durably = false): Promise<void> {
    await this.#keepFromZeros(target)
    while (this.#written < target) {
      const { bytes, end } = this.#unwritten(target)
      try {
        if (durably) await this.#active.writeDurably(bytes, this.#written)
        else await this.#active.write(bytes, this.#written)
      } catch (error) {
        if (!isDiskFull(error)) this.#doubt = error
        throw error
      }
      this.#written = end
    }
  }

  /** A write or sync failed in a way that leaves open what is on the disk: nothing more may be written or synced. */
  get isInDoubt(): boolean {
    return this.#doubt !== null
  }

  #refuseIfInDoubt(): void {
    if (this.#doubt !== null) throw this.#doubt
  }

  /** The first stretch of unwritten bytes that lies in one slab. */
  #unwritten(target: LogPosition): { bytes: Uint8Array; end: LogPosition } {
    const slab = this.recent.find(this.#written)
    assert(slab !== undefined, 'unwritten bytes were released')
    const end = Math.min(slab.end, target) as LogPosition
    const from = LogPosition.minus(this.#written, slab.start)
    return { bytes: slab.window.bytes.subarray(from, LogPosition.minus(end, slab.start)), end }
  }

  /**
   * Makes everything encoded so far durable. One call at a time. Most groups go in one trip, into the zeros ahead or at the end
   * of the file; a large one, or one whose beginning was written ahead, is written and then synced.
   * @throws the system's error. See `isInDoubt`.
   */
  async flush(): Promise<void> {
    const target = this.#end
    this.#groupSize = Math.max(target - this.proven, Math.floor(this.#groupSize * GROUP_MEMORY))
    await this.#writing
    this.#refuseIfInDoubt()
    if (this.#written === this.proven && target - this.proven <= ONE_TRIP_SIZE) await this.#writeTo(target, true)
    else {
      await this.#writeTo(target)
      // One sync at a time on a descriptor: the second of two could take the error that belongs to the first.
      await this.#zerosAhead.running
      await this.#datasync()
    }
    this.stamp.proven = target
  }

  /** Records that reach beyond what is filled must wait for zeros that are being written there. */
  async #keepFromZeros(target: LogPosition): Promise<void> {
    if (this.#zerosAhead.running === null || this.#active.offsetOf(target) <= this.#active.filledSize) return
    await this.#zerosAhead.running
    this.#refuseIfInDoubt()
  }

  async #datasync(): Promise<void> {
    this.#refuseIfInDoubt()
    this.#isSyncing = true
    try {
      await this.#active.file.datasync()
    } catch (error) {
      this.#doubt = error
      throw error
    } finally {
      this.#isSyncing = false
    }
  }

  /**
   * What has to be done after a flush but not before its acks: the hint, the block checksums, zeros ahead, the next chunk's
   * file. Starts it and returns.
   * @param acked everything below will not be undone.
   * @param eventCount events of the active chunk below `acked`.
   */
  keepAhead(acked: LogPosition, eventCount: number): void {
    this.#hint.advance(this.proven)
    this.#summed.sumTo(Math.min(acked, this.#written) as LogPosition, acked === this.proven ? eventCount : null)
    if (!this.#isSyncing && this.#writing === null) this.#zerosAhead.extend(this.#active, this.#end, this.#groupSize)
    this.#next.prepare(this.#active, this.#active.offsetOf(this.#end))
  }

  /** Makes the next chunk's file, unless it is there already. A failure changes nothing and is no failure of the log. */
  ensureNext(): Promise<void> {
    return this.#next.ensure(this.#active)
  }

  /**
   * Completes the active chunk and goes to the next one, which must be there. Everything encoded must be durable. If the disk
   * is too full for the footer, `undo` cuts off what of it was written.
   */
  async rollOver(): Promise<void> {
    assert(this.proven === this.#end && this.#next.isThere)
    await this.#zerosAhead.running
    this.#refuseIfInDoubt()
    this.#summed.sumTo(this.#end, null)
    let footer: ChunkFooter
    try {
      footer = await this.#active.writeFooter(this.#end, this.#eventCount, this.#summed.checksums)
    } catch (error) {
      if (!isDiskFull(error)) this.#doubt = error
      throw error
    }
    await this.#datasync()
    this.#active.complete(footer)
    const next = this.#next.take()
    this.chunks.add(next)
    this.#active = next
    this.#summed.startChunk(next)
    this.#end = next.firstRecord
    this.#written = next.firstRecord
    this.stamp.proven = next.firstRecord
    this.#eventCount = 0
    this.#endsWithProof = true
  }

  /**
   * Takes back what was encoded behind `position`, on disk too, and resolves when it can't come back.
   * @param eventCount events of the active chunk below `position`.
   */
  async undo(position: LogPosition, eventCount: number): Promise<void> {
    await this.#writing
    await this.#zerosAhead.running
    this.#refuseIfInDoubt()
    await this.#active.cut(position).catch(error => {
      this.#doubt = error
      throw error
    })
    this.recent.forgetFrom(position)
    this.#end = position
    this.#written = position
    this.stamp.proven = position
    this.#endsWithProof = false
    this.#eventCount = eventCount
  }

  /**
   * Ends the log with a record that proves everything before it, so that damage to it can be told from a torn tail. In a
   * chunk without room for one, the footer is the proof.
   */
  async prove(): Promise<void> {
    assert(this.proven === this.#end)
    if (this.#endsWithProof) return
    if (this.#end + PROOF_RECORD_SIZE > this.#active.recordLimit) {
      await this.ensureNext()
      return this.rollOver()
    }
    const slab = this.reserve(PROOF_RECORD_SIZE)
    encodeProof(slab.window, LogPosition.minus(this.#end, slab.start), this.stamp)
    this.advance(slab, PROOF_RECORD_SIZE, 0)
    this.#endsWithProof = true
    await this.flush()
  }

  /** Whether the active chunk has no record. */
  get isEmpty(): boolean {
    return this.#end === this.#active.firstRecord
  }

  /** Followers have passed `position`: slabs below it may go once they are written and summed. */
  release(position: LogPosition): void {
    this.recent.release(Math.min(position, this.#written, this.#summed.end) as LogPosition)
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#zerosAhead.running
    // If it fails, more of them stay.
    if (this.#doubt === null) await this.#active.trimZeros(this.#end).catch(() => {})
    await closeAll([this.#hint, { close: () => this.#summed.close(this.#doubt === null) }, this.#next, this.chunks])
  }
}
