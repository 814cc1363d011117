import { MIB } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import type { ByteWindow } from '../format/byte-window.ts'
import { RecordType, typeOf } from '../format/log-record.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { RecordBatch } from '../log/record-batch.ts'
import { ActiveIndex } from './active-index.ts'
import type { TimeSlices } from './time-slices.ts'

/** Records that are taken in before the clock is asked. */
const STEP = 256

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
  for (let batch = await log.readForward(start, end, MIB); batch !== null; ) {
    const { window, offsets, next } = batch
    // Read while this one is gone through. A failure is heard below, or by nobody when this one fails.
    const ahead: Promise<RecordBatch | null> = log.readForward(next, end, MIB)
    ahead.catch(() => {})
    const before = active.eventCount
    for (let from = 0; from < offsets.length; from += STEP) {
      addRecords(active, window, offsets, from, Math.min(offsets.length, from + STEP))
      if (slices.isOver) await slices.pause()
    }
    onProgress?.(active.eventCount - before)
    batch = await ahead
  }
  active.coverTo(end)
  return active
}

function addRecords(active: ActiveIndex, window: ByteWindow, offsets: readonly number[], from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const type = typeOf(window.view, offsets[i]!)
    if (type === RecordType.prepare) active.addRecord(window, offsets[i]!)
    else if (type === RecordType.stub) active.addStub(window, offsets[i]!)
  }
}
