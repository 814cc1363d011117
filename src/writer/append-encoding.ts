import assert from 'node:assert'
import { InvalidArgumentError } from '../core/errors.ts'
import { LogPosition, Revision } from '../core/positions.ts'
import type { ByteWindow } from '../format/byte-window.ts'
import { encodeCommit, encodePrepare, type RecordStamp } from '../format/record-encoding.ts'
import type { ChunkLog } from '../log/chunk-log.ts'
import type { AppendPart } from './append-terms.ts'
import type { AppendMessage } from './messages.ts'

/**
 * Encodes `append` at the end of the log, and notes in it where it stands and which revisions its events got.
 * @returns why nothing was encoded: its bytes are not what they were when it was called; or null.
 */
export function encodeAppend(log: ChunkLog, append: AppendMessage): InvalidArgumentError | null {
  const { size, eventCount } = append
  const slab = log.reserve(size)
  let last: number
  try {
    last = encodeRecords(slab.window, LogPosition.minus(slab.end, slab.start), log.stamp, append)
  } catch (error) {
    if (error instanceof InvalidArgumentError) return error
    throw error
  }
  log.advance(slab, size, eventCount)
  append.position = LogPosition.plus(slab.start, last)
  append.settlesAt = slab.end
  return null
}

/**
 * Writes the records from the offset `start` on. A lone event is its own commit; several are followed by one commit record, whatever
 * their streams.
 * @returns the offset of the last event.
 */
function encodeRecords(window: ByteWindow, start: number, stamp: RecordStamp, append: AppendMessage): number {
  const { head, rest, parts, eventCount } = append
  let last = start
  let at = start
  if (parts !== null) {
    last = encodeParts(window, start, stamp, parts, eventCount === 1)
    at = last + window.view.getUint32(last, true)
  } else {
    const { nameBytes } = head
    const firstRevision = Revision.plus(head.revision, 1)
    append.firstRevision = firstRevision
    at = encodePrepare(window, start, stamp, rest.length === 0, nameBytes, firstRevision, append)
    for (let i = 0; i < rest.length; i++) {
      last = at
      at = encodePrepare(window, at, stamp, false, nameBytes, Revision.plus(firstRevision, i + 1), rest[i]!)
    }
  }
  if (eventCount > 1) at = encodeCommit(window, at, stamp, start, eventCount)
  // assert(condition) would make an array of its arguments for each append.
  if (at !== start + append.size) assert.fail('an append has another size than was reserved')
  return last
}

function encodeParts(
  window: ByteWindow,
  start: number,
  stamp: RecordStamp,
  parts: readonly AppendPart[],
  isLone: boolean,
): number {
  let last = start
  let at = start
  for (const part of parts) {
    const { head, events } = part
    if (events.length === 0) continue
    part.firstRevision = Revision.plus(head.revision, 1)
    for (let i = 0; i < events.length; i++) {
      last = at
      at = encodePrepare(window, at, stamp, isLone, head.nameBytes, Revision.plus(part.firstRevision, i), events[i]!)
    }
  }
  return last
}
