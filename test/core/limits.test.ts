import { expect, test } from 'vitest'
import * as limits from '../../src/core/limits.ts'
import { footerReserve } from '../../src/format/chunk-footer.ts'
import { COMMIT_RECORD_SIZE, PREPARE_OVERHEAD } from '../../src/format/log-record.ts'
import { chunkCapacity } from '../../src/log/chunk-file.ts'

test('an event with the longest names fits into the smallest chunk', () => {
  const size = PREPARE_OVERHEAD + 16 + limits.MAX_STREAM_NAME_SIZE + limits.MAX_EVENT_TYPE_SIZE + COMMIT_RECORD_SIZE
  expect(size).toBeLessThan(chunkCapacity(limits.MIN_CHUNK_SIZE))
})

test('the largest append fits into a chunk of the default size', () => {
  expect(limits.MAX_APPEND_SIZE).toBeLessThan(chunkCapacity(limits.DEFAULT_CHUNK_SIZE))
})

test('positions within a chunk, and distances within an append, fit into 32 bits', () => {
  expect(limits.MAX_CHUNK_SIZE).toBeLessThan(2 ** 32)
  expect(limits.MAX_APPEND_SIZE).toBeLessThan(2 ** 32)
})

test('lengths fit into their fields: the type into one byte, the stream into two', () => {
  expect(limits.MAX_EVENT_TYPE_SIZE).toBeLessThan(2 ** 8)
  expect(limits.MAX_STREAM_NAME_SIZE).toBeLessThan(2 ** 16)
})

test('the block table of the largest chunk stays within one block', () => {
  expect(footerReserve(limits.MAX_CHUNK_SIZE)).toBeLessThanOrEqual(limits.BLOCK_SIZE + 64)
})

test('the largest append is let in by the default bound', () => {
  expect(limits.MAX_APPEND_SIZE).toBeLessThan(limits.DEFAULT_MAX_PENDING_BYTES)
})

test('the proof comes well within the 50 ms that are promised', () => {
  expect(2 * limits.PROOF_DELAY_MS).toBeLessThan(50)
})
