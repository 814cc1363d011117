import { BLOCK_SIZE, KIB } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import { ByteWindow } from '../format/byte-window.ts'
import type { LogReader } from './log-reader.ts'
import type { RecordPlace } from './record-batch.ts'

/** Of a record that is read without its block so much is read; most are smaller. */
const SLOT_SIZE = 2 * KIB
/** A block that holds so many of the records is cheaper to read and verify whole. */
const DENSE_COUNT = 4
/** Records that are read side by side. */
export const SCATTERED_COUNT = 64

/**
 * The records at these positions, none of which is in memory, read side by side: those that share a block from the block, which
 * the cache takes; the others alone, each verified by its own checksum, for as long as the cache is full. A block costs many
 * times as much to read and verify as a record, and would push out another that is as good.
 * @returns for each what `LogReader.loadRecord` does, in memory that does not change any more.
 * @throws CorruptLogError, ReadFailedError
 */
export async function loadScattered(
  log: LogReader,
  positions: readonly LogPosition[],
  limit: LogPosition,
): Promise<(RecordPlace | null)[]> {
  const counts = new Map<number, number>()
  for (const position of positions) counts.set(blockOf(position), (counts.get(blockOf(position)) ?? 0) + 1)
  const slots = ByteWindow.allocate(positions.length * SLOT_SIZE)
  const blocks = new Map<number, Promise<RecordPlace | null>>()
  const load = async (position: LogPosition, index: number): Promise<RecordPlace | null> => {
    const block = blockOf(position)
    const loading = blocks.get(block)
    if (loading !== undefined) {
      await loading
      return log.recordInMemory(position) ?? log.loadRecord(position, limit)
    }
    if (counts.get(block)! < DENSE_COUNT && !log.cache.admits()) {
      const alone = await log.loadAlone(position, limit, slots, index * SLOT_SIZE, SLOT_SIZE)
      // Its block can say what is wrong with it, or that it is only larger.
      return alone ?? log.loadRecord(position, limit)
    }
    const loaded = log.loadRecord(position, limit)
    blocks.set(block, loaded)
    return loaded
  }
  return Promise.all(positions.map(load))
}

/** Chunks begin at multiples of the block size, or near enough: this is for gathering, not for reading. */
function blockOf(position: LogPosition): number {
  return Math.floor(position / BLOCK_SIZE)
}
