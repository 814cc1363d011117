import type { LogPosition } from '../../src/core/positions.ts'
import type { Disk } from '../../src/disk/disk.ts'
import type { ByteWindow } from '../../src/format/byte-window.ts'
import {
  checksumSeed,
  eventTypeOffsetOf,
  eventTypeSizeOf,
  flagsOf,
  PrepareFlag,
  positionOf,
  RecordType,
  revisionOf,
  sizeOf,
  streamOffsetOf,
  streamSizeOf,
  typeOf,
} from '../../src/format/log-record.ts'
import { stubEventTypeAt, stubHeadAt } from '../../src/format/stub.ts'
import { BlockCache } from '../../src/log/block-cache.ts'
import type { ChunkSequence } from '../../src/log/chunk-sequence.ts'
import { findLog } from '../../src/log/find-log.ts'
import { LogReader } from '../../src/log/log-reader.ts'
import { RecentBytes } from '../../src/log/recent-bytes.ts'
import type { RecordBatch } from '../../src/log/record-batch.ts'
import { type Judge, Verdict } from '../../src/scavenge/judge.ts'
import { rooms } from '../log/scenes.ts'
import { DIRECTORY } from '../store/words.ts'
import { stillClock } from '../support/manual-clock.ts'
import type { Random } from '../support/random.ts'

/** A log that is open without a store: the files, and a reader that knows only them. */
export interface OpenLog {
  readonly disk: Disk
  readonly directory: string
  readonly chunks: ChunkSequence
  readonly reader: LogReader
  readonly cache: BlockCache
  readonly end: LogPosition
}

export async function openLog(disk: Disk): Promise<OpenLog> {
  const found = await findLog(disk, DIRECTORY, 'write')
  if (found === null) throw new Error('there is no log')
  await found.next?.close()
  const { chunks, end, storeId } = found
  const cache = new BlockCache(1 << 20)
  const reader = new LogReader(disk, chunks, new RecentBytes(), cache, checksumSeed(storeId))
  return { disk, directory: DIRECTORY, chunks, reader, cache, end }
}

export interface FillOptions {
  readonly chunkSizeBytes: number
  readonly chunkCount: number
  /** Bytes of data of an event, at most. */
  readonly maxDataSize: number
}

/** Appends until the log has so many completed chunks: single events and several at once, to streams that end here and there. */
export async function fill(disk: Disk, random: Random, { chunkSizeBytes, chunkCount, maxDataSize }: FillOptions): Promise<void> {
  const store = await rooms(disk, { chunkSizeBytes, clock: stillClock })
  for (let turn = 0; store.chaser.published.position < chunkCount * chunkSizeBytes; turn++) {
    const stream = `stream-${random.int(3) + 2 * Math.floor(turn / 10)}`
    const events = Array.from({ length: random.chance(0.7) ? 1 : 1 + random.int(4) }, () => ({
      type: random.pick(['Placed', 'Paid', 'Shipped', `Rare-${random.int(40)}`]),
      data: random.bytes(random.int(maxDataSize)),
      ...(random.chance(0.3) ? { metadata: { by: 'me' } } : {}),
    }))
    await store.append(stream, events)
  }
  await store.close()
}

/** A record in words: what it says, but not how it is committed. */
export interface Told {
  readonly position: number
  readonly type: RecordType
  readonly stream: string | null
  readonly revision: number | null
  readonly eventType: string | null
  /** Everything of a prepare behind its flags, as latin1. */
  readonly body: string | null
}

export function tell(window: ByteWindow, offset: number): Told {
  const { bytes, view } = window
  const type = typeOf(view, offset)
  const told = { position: positionOf(view, offset), type, stream: null, revision: null, eventType: null, body: null }
  if (type === RecordType.stub) {
    const head = stubHeadAt(window, offset)
    const eventType = stubEventTypeAt(window, offset)
    return {
      ...told,
      stream: head === null ? null : Buffer.from(head.stream).toString(),
      revision: head?.revision ?? null,
      eventType: eventType === null ? null : Buffer.from(eventType).toString(),
    }
  }
  if (type !== RecordType.prepare) return told
  const stream = streamOffsetOf(view, offset)
  const eventType = eventTypeOffsetOf(view, offset)
  return {
    ...told,
    stream: bytes.toString('utf8', stream, stream + streamSizeOf(view, offset)),
    revision: revisionOf(view, offset),
    eventType: bytes.toString('utf8', eventType, eventType + eventTypeSizeOf(view, offset)),
    body: bytes.toString('latin1', offset + 24, offset + sizeOf(view, offset)),
  }
}

export function tellAll({ window, offsets }: RecordBatch): Told[] {
  return offsets.map(offset => tell(window, offset))
}

/** Everything that the reader finds, in order. */
export async function readAll({ reader, end }: OpenLog, from = 0, batchSize = 1 << 20): Promise<Told[]> {
  const all: Told[] = []
  for (let next = from as LogPosition; ; ) {
    const batch = await reader.readForward(next, end, batchSize)
    if (batch === null) return all
    all.push(...tellAll(batch))
    next = batch.next
  }
}

export async function readAllBackwards({ reader, end }: OpenLog, before: number = end, batchSize = 1 << 20): Promise<Told[]> {
  const all: Told[] = []
  for (let next = before as LogPosition; ; ) {
    const batch = await reader.readBackward(next, batchSize)
    if (batch === null) return all
    all.push(...tellAll(batch))
    next = batch.next
  }
}

/** Prepares and stubs: what a scavenge leaves. */
export function events(told: readonly Told[]): Told[] {
  return told.filter(({ type }) => type === RecordType.prepare || type === RecordType.stub)
}

/** Drops some events and stubs, and knows which: the rule by which a model can do the same. */
export class DroppingJudge {
  readonly drops: (record: Told) => boolean
  readonly #heads = new Set<number>()

  /** @param log all records, from which the last event of each stream is known. */
  constructor(log: readonly Told[], drops: (record: Told) => boolean) {
    this.drops = drops
    const last = new Map<string, number>()
    for (const { stream, position } of log) if (stream !== null) last.set(stream, position)
    for (const position of last.values()) this.#heads.add(position)
  }

  verdictOn(record: Told): number {
    if (record.type !== RecordType.prepare && record.type !== RecordType.stub) return Verdict.keep
    if (!this.drops(record)) return Verdict.keep
    return this.#heads.has(record.position) ? Verdict.dropHead : Verdict.drop
  }

  readonly judge: Judge = async batch => Uint8Array.from(tellAll(batch), record => this.verdictOn(record))
}

/** What must be left of the records of one completed chunk. Chunks from which nothing goes stay as they are. */
export function survivors(chunk: readonly Told[], judge: DroppingJudge): Told[] {
  const isDropped = (record: Told) => judge.verdictOn(record) !== Verdict.keep
  if (!events(chunk).some(isDropped)) return [...chunk]
  const lastOfType = new Map<string, number>()
  for (const { eventType, position } of chunk) if (eventType !== null) lastOfType.set(eventType, position)
  return events(chunk).flatMap(record => {
    const verdict = judge.verdictOn(record)
    if (verdict === Verdict.keep && record.type === RecordType.prepare) return [record]
    const isHead = record.type === RecordType.stub ? verdict !== Verdict.drop : verdict === Verdict.dropHead
    const isLast = record.eventType !== null && lastOfType.get(record.eventType) === record.position
    if (!isLast && !(isHead && record.stream !== null)) return []
    const { position } = record
    const head = isHead ? { stream: record.stream, revision: record.revision } : { stream: null, revision: null }
    return [{ position, type: RecordType.stub, ...head, eventType: isLast ? record.eventType : null, body: null }]
  })
}

/** Whether every prepare of a batch is its own commit. */
export function areCommitted({ window: { view }, offsets }: RecordBatch): boolean {
  return offsets.every(at => typeOf(view, at) !== RecordType.prepare || (flagsOf(view, at) & PrepareFlag.committed) !== 0)
}
