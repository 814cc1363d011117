import { beforeAll, describe, expect, test } from 'vitest'
import { CorruptLogError } from '../../src/core/errors.ts'
import type { RecordedEvent } from '../../src/core/events.ts'
import { ChunkNumber } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { decodeChunkFooter } from '../../src/format/chunk-footer.ts'
import { decodeChunkHeader } from '../../src/format/chunk-header.ts'
import { verifyBlocks } from '../../src/log/chunk-bytes.ts'
import { ChunkFile } from '../../src/log/chunk-file.ts'
import { Random } from '../support/random.ts'
import { collect, eventsOf } from '../support/readings.ts'
import { appendEvents, changed, contentOf, copyOf, DIRECTORY, fileOf, openStore, recordEnd } from '../support/store-content.ts'

const SEED = process.env['SEED'] ?? '1'
const options = { chunkSizeBytes: 64 * 1024 }
type Content = Map<string, Uint8Array>

/** Two chunks of 64 KiB: the first is completed, and full up to a few bytes. */
let content: Content
let events: RecordedEvent[]
beforeAll(async () => {
  content = await contentOf(store => appendEvents(store, 80, 1000), options)
  events = await eventsOf(await openStore(content, options))
})

function flip(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3]! ^= 1 << (bit & 7)
}

/** Reads everything that opens and can be read: only what was appended may come out, in order, before an error does. */
async function readUntilError(damaged: Content | MemoryDisk): Promise<{ count: number; error: unknown }> {
  let count = 0
  try {
    const store = await openStore(damaged, options)
    for await (const event of store.readAll()) {
      const expected = events[count++]
      const isRight = expected !== undefined && event.type === expected.type && Buffer.compare(event.bytes, expected.bytes) === 0
      if (!isRight || event.position !== expected.position)
        expect.fail(`wrong bytes came out: ${event.type} at ${event.position}`)
    }
    await store.close()
  } catch (error) {
    return { count, error }
  }
  return { count, error: null }
}

describe('every single bit of a completed chunk, flipped, is detected', () => {
  test('in header and records, by the checksum of their block', async () => {
    const chunk = await ChunkFile.open(new MemoryDisk(content), DIRECTORY, ChunkNumber.of(0), 'read')
    if (typeof chunk === 'string') throw new Error(chunk)
    const block = new Uint8Array(content.get(fileOf(0))!.subarray(0, chunk.footer!.dataSize))
    verifyBlocks(chunk, block, 0)
    // An error's stack costs more than the check.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    let undetected = 0
    for (let bit = 0; bit < block.length * 8; bit++) {
      flip(block, bit)
      try {
        verifyBlocks(chunk, block, 0)
        undetected++
      } catch (error) {
        if (!(error instanceof CorruptLogError)) throw error
      }
      flip(block, bit)
    }
    Error.stackTraceLimit = stackTraceLimit
    console.log(`bit flips: ${block.length * 8} in header and records, ${undetected} undetected`)
    expect(block.length).toBeGreaterThan(64_000)
    expect(undetected).toBe(0)
  })

  test('in the header, by its own checksum', () => {
    const header = new Uint8Array(content.get(fileOf(0))!.subarray(0, 128))
    const accepted: number[] = []
    for (let bit = 0; bit < header.length * 8; bit++) {
      flip(header, bit)
      try {
        // A version that is higher is believed, and refused.
        if (typeof decodeChunkHeader(header) !== 'string') accepted.push(bit)
      } catch (error) {
        expect(error).toMatchObject({ code: 'UNSUPPORTED_FORMAT' })
      }
      flip(header, bit)
    }
    expect(accepted).toEqual([])
  })

  test('in block table and footer, by their checksum', () => {
    const file = content.get(fileOf(0))!
    const footer = new Uint8Array(file.subarray(file.length - 68))
    expect(decodeChunkFooter(footer, file.length)).toBeTypeOf('object')
    const accepted: number[] = []
    for (let bit = 0; bit < footer.length * 8; bit++) {
      flip(footer, bit)
      if (typeof decodeChunkFooter(footer, file.length) !== 'string') accepted.push(bit)
      flip(footer, bit)
    }
    expect(accepted).toEqual([])
  })

  test('through the door: the store does not open, or the read throws, and no wrong byte comes out', async () => {
    const random = new Random(SEED)
    const size = content.get(fileOf(0))!.length
    const bits = Array.from({ length: 600 }, () => random.int(size * 8))
    // Header and footer whole.
    for (let bit = 0; bit < 128 * 8; bit += 5) bits.push(bit, (size - 68) * 8 + (bit % (68 * 8)))
    for (const bit of bits) {
      const damaged = changed(content, fileOf(0), bytes => flip(bytes, bit))
      const { error } = await readUntilError(damaged)
      const where = `bit ${bit}: SEED=${SEED}`
      if (!(error instanceof Error)) expect.fail(`${where}: read as if nothing were`)
      expect((error as { code?: string }).code, where).toMatch(/^(CORRUPT_LOG|UNSUPPORTED_FORMAT)$/)
    }
  })
})

describe('every bit of the chunk that is being filled', () => {
  test('of records that were proven: the store does not open', async () => {
    const file = fileOf(1)
    const [first] = events.filter(event => event.position >= 65_536)
    const start = (first!.position - 65_536) * 8
    for (let bit = start; bit < start + 1200 * 8; bit += 3) {
      const { count, error } = await readUntilError(changed(content, file, bytes => flip(bytes, bit)))
      expect(error, `bit ${bit}`).toMatchObject({ code: 'CORRUPT_LOG', file })
      expect(count).toBe(0)
    }
  })

  test('of the last append, which nothing proves: it is there as it was, or wholly gone', async () => {
    const killed = await contentOf(store => appendEvents(store, 2, 30), { ...options, isKilled: true })
    events = await eventsOf(await openStore(killed, options))
    const [, last] = events
    const end = recordEnd(killed.get(fileOf(0))!, last!.position)
    for (let bit = last!.position * 8; bit < end * 8; bit++) {
      const { count, error } = await readUntilError(changed(killed, fileOf(0), bytes => flip(bytes, bit)))
      if (error === null) expect(count, `bit ${bit}`).toBe(1)
      else expect(error).toMatchObject({ code: 'CORRUPT_LOG' })
    }
  })
})

describe('bits that flip while the store is open', () => {
  test.each([
    ['a completed chunk', 0],
    ['the chunk that is being filled', 1],
  ])('in %s: the read that meets them throws, the store goes on', async (_, number) => {
    const disk = new MemoryDisk(copyOf(content))
    const store = await openStore(disk, options)
    const types = Array.from({ length: 80 }, (_, index) => String(index))
    const target = number === 0 ? 3 : 75
    const read = await eventsOf(store)
    expect(read.map(event => event.type)).toEqual(types)
    const file = await disk.open(fileOf(number), 'write')
    const offset = read[target]!.position - number * 65_536 + 200
    await file.write(new Uint8Array([0xff]), offset)
    await expect(eventsOf(store)).rejects.toMatchObject({ code: 'CORRUPT_LOG', file: fileOf(number) })
    await store.append('orders', { type: '80', data: 1 })
    // A completed chunk is verified in blocks of 64 KiB: what shares one with the damage can't be read.
    const from = number === 0 ? 70 : target + 1
    const others = await collect(store.readStream('orders', { from, maxCount: 3 }).batches())
    expect(others.map(event => event.revision)).toEqual([from, from + 1, from + 2])
  })
})
