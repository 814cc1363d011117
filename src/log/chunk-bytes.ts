import { CorruptLogError, ReadFailedError } from '../core/errors.ts'
import { BLOCK_SIZE } from '../core/limits.ts'
import { checksumBytes } from '../format/checksum.ts'
import type { ChunkFile } from './chunk-file.ts'

/**
 * Fills `target` from `offset` of the chunk's file.
 * @throws ReadFailedError, and CorruptLogError when the file ends early.
 */
export async function readBytes(chunk: ChunkFile, target: Uint8Array, offset: number): Promise<void> {
  let filled: number
  try {
    filled = await chunk.read(target, offset)
  } catch (error) {
    throw new ReadFailedError(`cannot read ${target.length} bytes at ${offset} of ${chunk.path}: ${String(error)}`, error)
  }
  if (filled < target.length) {
    throw new CorruptLogError(chunk.path, chunk.start + offset + filled, `the file ends ${target.length - filled} bytes early`)
  }
}

/**
 * @param bytes whole blocks of a completed chunk from `offset` on; the last block of the chunk may be shorter.
 * @throws CorruptLogError unless they are what was written.
 */
export function verifyBlocks(chunk: ChunkFile, bytes: Uint8Array, offset: number): void {
  const { blockChecksums } = chunk.footer!
  for (let at = 0; at < bytes.length; at += BLOCK_SIZE) {
    const block = bytes.subarray(at, at + BLOCK_SIZE)
    if (checksumBytes(block) === blockChecksums[(offset + at) / BLOCK_SIZE]) continue
    throw new CorruptLogError(chunk.path, chunk.start + offset + at, `a block of ${block.length} bytes with a wrong checksum`)
  }
}
