import { EVENT_ID_SIZE } from '#engine/core/event-id.ts'
import { FileStreamCursor, FileTypeCursor } from '#engine/streams/file-cursors.ts'
import type { HashedName } from '#engine/streams/hash-order.ts'
import type { IndexFile } from '#engine/streams/index-file.ts'
import type { NameTable } from '#engine/streams/name-table.ts'
import { DamagedIndexError } from '#engine/streams/page-reader.ts'
import { hashOf } from '#engine/streams/stream-hash.ts'
import { RangeContent } from './range-content.ts'

const PIECE_COUNT = 4096

/** The names that the log has, with their numbers. */
export interface LogNames {
  readonly streams: NameTable
  readonly types: NameTable
}

/**
 * Reads everything that an index file says, and asks it for every stream as the store does.
 * @returns what is wrong with it in itself, or its content.
 */
export async function indexContent(file: IndexFile, names: LogNames, signal: AbortSignal): Promise<RangeContent | string> {
  const content = new RangeContent()
  try {
    return (
      (await readStreams(file, names.streams, content, signal)) ??
      (await readTypes(file, names.types, content)) ??
      (await readIds(file, content)) ??
      content
    )
  } catch (error) {
    // The pages are whole, and what stands in them leads out of them.
    if (error instanceof RangeError || error instanceof DamagedIndexError) return `it can't be read: ${error.message}`
    throw error
  }
}

async function readStreams(
  file: IndexFile,
  names: NameTable,
  content: RangeContent,
  signal: AbortSignal,
): Promise<string | null> {
  const positions = new Float64Array(PIECE_COUNT)
  const revisions = new Float64Array(PIECE_COUNT)
  const { streamCount } = file.header
  const cursor = new FileStreamCursor(file)
  let met = 0
  for (; met <= streamCount && (await cursor.next()); met++) {
    signal.throwIfAborted()
    const name = cursor.nameBytes.slice(cursor.nameOffset, cursor.nameOffset + cursor.nameSize)
    const { hash, eventCount, lastRevision, lastPosition } = cursor
    const stream = numberOf(names, cursor)
    if (stream < 0) return `it has a stream '${Buffer.from(name)}', the log does not`
    for (let from = 0; from < eventCount; from += PIECE_COUNT) {
      const count = Math.min(PIECE_COUNT, eventCount - from)
      await cursor.copyEvents(from, count, positions, revisions)
      for (let i = 0; i < count; i++) content.addEvent(stream, revisions[i]!, positions[i]!)
    }
    const run = await file.find(name, hash)
    if (run?.eventCount !== eventCount || run.lastRevision !== lastRevision || run.lastPosition !== lastPosition) {
      return `its stream '${Buffer.from(name)}' can't be found in it`
    }
  }
  return met === streamCount ? null : `it has other streams than the ${streamCount} of its header`
}

async function readTypes(file: IndexFile, names: NameTable, content: RangeContent): Promise<string | null> {
  const { typeCount } = file.header
  const cursor = new FileTypeCursor(file)
  let met = 0
  for (; met <= typeCount && (await cursor.next()); met++) {
    const name = cursor.nameBytes.slice(cursor.nameOffset, cursor.nameOffset + cursor.nameSize)
    const { lastPosition } = cursor
    const type = numberOf(names, cursor)
    if (type < 0) return `it has an event type '${Buffer.from(name)}', the log does not`
    content.noteType(type, lastPosition)
    if ((await file.lastOfType(name)) !== lastPosition) return `its event type '${Buffer.from(name)}' can't be found in it`
  }
  return met === typeCount ? null : `it has other event types than the ${typeCount} of its header`
}

async function readIds(file: IndexFile, content: RangeContent): Promise<null> {
  for (let from = 0; from < file.header.idCount; from += PIECE_COUNT) {
    const { ids, streamHashes, revisions, positions } = await file.suppliedIds(from, PIECE_COUNT)
    for (let i = 0; i < positions.length; i++) {
      content.addId(idHash(ids, i * EVENT_ID_SIZE, streamHashes[i]!), revisions[i]!, positions[i]!)
    }
  }
  return null
}

/** A number for a supplied id at `offset` and the stream that it was supplied for. */
export function idHash(bytes: Uint8Array, offset: number, streamHash: number): number {
  return hashOf(bytes, offset, EVENT_ID_SIZE) ^ Math.imul(streamHash, 31)
}

function numberOf(names: NameTable, { nameBytes, nameOffset, nameSize }: HashedName): number {
  return names.find(nameBytes, nameOffset, nameSize, hashOf(nameBytes, nameOffset, nameSize))
}
