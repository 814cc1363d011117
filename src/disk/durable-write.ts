import fs from 'node:fs'
import { isDiskFull } from '../core/errors.ts'
import { call, type WriteProgress, writeAll } from './node-calls.ts'

const { O_DSYNC, O_RDWR } = fs.constants

/**
 * On Linux a write to a file opened O_DSYNC empties the cache of the drive before it returns. On macOS it only hands the bytes to the
 * drive: there nothing but F_FULLFSYNC makes them durable, which is what libuv calls for fdatasync.
 */
const IS_ONE_TRIP = process.platform === 'linux'

/** Of the descriptor for durable writes. */
export const DURABLE_FLAGS = IS_ONE_TRIP ? O_RDWR | O_DSYNC : O_RDWR

/**
 * Resolves when the bytes are durable.
 * @param descriptor opened with DURABLE_FLAGS.
 * @param sizeOf of the file, as it is now.
 * @throws the error of the system; EIO for a full disk that shows itself in the sync of what was taken, for that is a failed sync.
 */
export async function writeDurably(
  descriptor: number,
  bytes: Uint8Array,
  offset: number,
  sizeOf: () => Promise<number>,
): Promise<void> {
  const progress: WriteProgress = { written: 0 }
  try {
    await writeAll(descriptor, bytes, offset, progress)
  } catch (error) {
    // A full disk shows itself in the write, which then took nothing more, or in the sync behind it. Only a write that was
    // taken has made the file longer.
    if (isDiskFull(error) && (await sizeOf()) > offset + progress.written) throw syncFailed(error)
    throw error
  }
  if (IS_ONE_TRIP) return
  try {
    await call(done => fs.fdatasync(descriptor, done))
  } catch (error) {
    throw isDiskFull(error) ? syncFailed(error) : error
  }
}

function syncFailed(cause: unknown): Error {
  return Object.assign(new Error(`EIO: the sync of a write failed: ${String(cause)}`, { cause }), { code: 'EIO' })
}
