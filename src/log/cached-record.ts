import { BLOCK_SIZE } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { checkFields, checkFrame, checkRecord, claimedPositionAt, type RecordDamage, sizeOf } from '../format/log-record.ts'
import type { BlockCache } from './block-cache.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { RecordPlace } from './record-batch.ts'

/** The size of a record stands in so many bytes at its beginning. */
export const SIZE_SIZE = 4

/**
 * In verified bytes the block's checksum has spoken for them, though not for whoever wrote them.
 * @returns the size of the whole record at `offset`, or why there is none.
 */
export function checkStored(
  verified: boolean,
  window: ByteWindow,
  offset: number,
  limit: number,
  position: LogPosition,
  seed: number,
): number | RecordDamage {
  if (!verified) return checkRecord(window, offset, limit, position, seed)
  const result = checkFrame(window, offset, limit)
  if (typeof result !== 'number') return result
  return claimedPositionAt(window.view, offset) === position ? checkFields(window.view, offset, result) : 'wrong position'
}

/** The record at `position` of a chunk that is not compact, if the block that it is in, or both, are in the cache. */
export function cachedRecord(cache: BlockCache, chunk: ChunkFile, position: LogPosition, seed: number): RecordPlace | null {
  const offset = chunk.offsetOf(position)
  const at = offset % BLOCK_SIZE
  const block = cache.get(chunk.cacheKeyOf(offset - at))
  if (block === undefined) return null
  const { window, verified } = block
  const result = checkStored(verified, window, at, window.size, position, seed)
  if (typeof result === 'number') return { window, offset: at, isOwn: false }
  const head = window.size - at
  if (result !== 'cut off' || head < SIZE_SIZE) return null
  // It goes on in the next block.
  const size = sizeOf(window.view, at)
  if (size <= head || size > head + BLOCK_SIZE) return null
  const next = cache.get(chunk.cacheKeyOf(offset - at + BLOCK_SIZE))
  if (next === undefined) return null
  const own = ByteWindow.allocate(size)
  window.bytes.copy(own.bytes, 0, at)
  next.window.bytes.copy(own.bytes, head, 0, size - head)
  const whole = checkStored(verified && next.verified, own, 0, size, position, seed)
  return typeof whole === 'number' ? { window: own, offset: 0, isOwn: true } : null
}
