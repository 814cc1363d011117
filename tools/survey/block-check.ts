import { BLOCK_SIZE } from '#engine/core/limits.ts'
import { checksumBytes } from '#engine/format/checksum.ts'
import type { ChunkSurvey } from './chunk-survey.ts'

const READ_SIZE = 16 * BLOCK_SIZE

interface WrongBlock {
  readonly position: number
  readonly size: number
  readonly what: string
}

/** The blocks of a completed chunk that are not what was written. The store reads such a chunk by blocks, and none of these. */
export async function* wrongBlocks(survey: ChunkSurvey): AsyncIterable<WrongBlock> {
  const { dataSize, blockChecksums, start } = survey.footer!
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, dataSize))
  for (let at = 0; at < dataSize; at += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, dataSize - at))
    await survey.read(piece, at)
    for (let offset = 0; offset < piece.length; offset += BLOCK_SIZE) {
      const block = piece.subarray(offset, offset + BLOCK_SIZE)
      if (checksumBytes(block) === blockChecksums[(at + offset) / BLOCK_SIZE]) continue
      const what = 'a block with a wrong checksum; the store refuses to read anything in it'
      yield { position: start + at + offset, size: block.length, what }
    }
  }
}
