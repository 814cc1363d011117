import { describe, expect, test } from 'vitest'
import { ChunkNumber, LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { ChunkFile } from '../../src/log/chunk-file.ts'
import { ChunkSequence } from '../../src/log/chunk-sequence.ts'
import { STORE_ID } from '../format/records.ts'
import { upTo } from '../store/words.ts'

const at = LogPosition.of

/** Chunks 0, 1, ... of 4 KiB each. */
async function chunks(count: number): Promise<ChunkFile[]> {
  const disk = new MemoryDisk()
  await disk.makeDirectory('/data')
  const header = { storeId: STORE_ID, generation: 0, chunkSize: 4096, createdMs: 0 }
  return Promise.all(
    upTo(count).map(number =>
      ChunkFile.create(disk, '/data', { ...header, number: ChunkNumber.of(number), start: at(number * 4096) }),
    ),
  )
}

describe('a sequence of chunks', () => {
  test('finds the chunk whose range holds a position', async () => {
    for (const count of [1, 2, 3, 8, 9]) {
      const all = await chunks(count)
      const sequence = new ChunkSequence([...all])
      for (let position = 0; position < count * 4096; position += 1024) {
        expect(sequence.find(at(position))).toBe(all[Math.floor(position / 4096)])
        expect(sequence.find(at(position + 1023))).toBe(all[Math.floor(position / 4096)])
      }
    }
  })

  test('finds the last one for positions behind all of them', async () => {
    const all = await chunks(3)
    expect(new ChunkSequence([...all]).find(at(1_000_000))).toBe(all[2])
  })

  test('knows what comes before and after each', async () => {
    const all = await chunks(3)
    const sequence = new ChunkSequence([...all])
    expect([all[0]!, all[1]!, all[2]!].map(chunk => sequence.after(chunk))).toEqual([all[1], all[2], undefined])
    expect([all[0]!, all[1]!, all[2]!].map(chunk => sequence.before(chunk))).toEqual([undefined, all[0], all[1]])
    expect(sequence.active).toBe(all[2])
  })

  test('grows only by the chunk that continues it', async () => {
    const all = await chunks(4)
    const sequence = new ChunkSequence([all[0]!])
    expect(() => sequence.add(all[2]!)).toThrow()
    expect(() => sequence.add(all[0]!)).toThrow()
    sequence.add(all[1]!)
    sequence.add(all[2]!)
    expect(sequence.all).toEqual(all.slice(0, 3))
  })

  test('is never empty', () => {
    expect(() => new ChunkSequence([])).toThrow()
  })
})
