import { MIB } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import { RecordType, typeOf } from '../format/log-record.ts'
import type { LogReader } from '../log/log-reader.ts'
import { ActiveIndex } from './active-index.ts'
import type { TimeSlices } from './time-slices.ts'

/**
 * Indexes what the log has from `start` on, below `end`, where every prepare must have its commit.
 * @param onProgress called now and then with how many events were indexed since the last call.
 * @throws CorruptLogError, ReadFailedError
 */
export async function indexRange(
  log: LogReader,
  start: LogPosition,
  end: LogPosition,
  slices: TimeSlices,
  onProgress?: (eventCount: number) => void,
): Promise<ActiveIndex> {
  const active = new ActiveIndex(start)
  for (let next = start; ; ) {
    const batch = await log.readForward(next, end, MIB)
    if (batch === null) break
    const { window, offsets } = batch
    const before = active.eventCount
    for (let i = 0; i < offsets.length; i++) {
      if (typeOf(window.view, offsets[i]!) === RecordType.prepare) active.addRecord(window, offsets[i]!)
    }
    next = batch.next
    onProgress?.(active.eventCount - before)
    if (slices.isOver) await slices.pause()
  }
  active.coverTo(end)
  return active
}
