import type { AppendAck, NewEvent } from '../../src/core/events.ts'
import type { LogPosition } from '../../src/core/positions.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { RecordType, sizeOf, typeOf } from '../../src/format/log-record.ts'
import type { LogReader, RecordBatch } from '../../src/log/log-reader.ts'
import { openForReading } from '../../src/store/open-for-reading.ts'
import { openForWriting } from '../../src/store/open-for-writing.ts'
import { checkOptions, type StoreOptions } from '../../src/store/options.ts'
import type { Resolve } from '../../src/store/pending-appends.ts'
import type { Rooms } from '../../src/store/rooms.ts'
import { DIRECTORY } from '../store/words.ts'

/** A store's rooms without the front desk, so that a test can stand in each of them. */
export interface OpenRooms extends Rooms {
  append(stream: string, events: NewEvent | readonly NewEvent[]): Promise<AppendAck>
}

export async function rooms(disk: Disk = new MemoryDisk(), options: StoreOptions = {}): Promise<OpenRooms> {
  const checked = checkOptions(options)
  const opened = await (checked.readOnly ? openForReading : openForWriting)(disk, DIRECTORY, checked)
  return {
    ...opened,
    append: (stream, events) =>
      new Promise((resolve, reject) => opened.admit(stream, events, undefined, resolve as Resolve, reject)),
  }
}

/** A record as a test compares it. */
export interface Seen {
  readonly position: number
  readonly type: RecordType
  readonly bytes: string
}

export function recordsOf(batch: RecordBatch): Seen[] {
  const { bytes, view } = batch.window
  return batch.offsets.map(offset => ({
    position: Number(bytes.readBigUInt64LE(offset + 8)),
    type: typeOf(view, offset),
    bytes: bytes.toString('latin1', offset, offset + sizeOf(view, offset)),
  }))
}

export async function readForwards(reader: LogReader, from: number, limit: number, batchSize: number): Promise<Seen[]> {
  const seen: Seen[] = []
  for (let next = from as LogPosition; ; ) {
    const batch = await reader.readForward(next, limit as LogPosition, batchSize)
    if (batch === null) return seen
    if (batch.offsets.length === 0) throw new Error('an empty batch')
    seen.push(...recordsOf(batch))
    next = batch.next
  }
}

export async function readBackwards(reader: LogReader, before: number, batchSize: number): Promise<Seen[]> {
  const seen: Seen[] = []
  for (let next = before as LogPosition; ; ) {
    const batch = await reader.readBackward(next, batchSize)
    if (batch === null) return seen
    if (batch.offsets.length === 0) throw new Error('an empty batch')
    seen.push(...recordsOf(batch))
    next = batch.next
  }
}

/** Proofs come and go with time; events and commits are what was appended. */
export function withoutProofs(seen: readonly Seen[]): Seen[] {
  return seen.filter(({ type }) => type !== RecordType.proof)
}
