import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { NodeDisk } from '../../src/disk/node-disk.ts'
import { SmallReads } from '../../src/disk/small-reads.ts'
import { Random } from '../support/random.ts'

const SEED = 'small reads'
const FILE_SIZE = 1 << 20

let directory: string
let path: string
let content: Buffer
let descriptor: number
let reads: SmallReads

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-small-reads-'))
  path = join(directory, 'file')
  const random = new Random(SEED)
  content = Buffer.from(Uint8Array.from({ length: FILE_SIZE }, () => random.int(256)))
  writeFileSync(path, content)
  descriptor = openSync(path, 'r')
  reads = new SmallReads()
  reads.opened()
})

afterEach(() => {
  reads.closed()
  closeSync(descriptor)
  rmSync(directory, { recursive: true })
})

/** Whether threads have read the pieces. */
function read(from: number, target: Uint8Array, offsets: readonly number[], sizes: readonly number[]): Promise<boolean> {
  return new Promise((resolve: (isRead: boolean) => void) => {
    reads.read(from, target, offsets, sizes, resolve)
  })
}

/** Reads the pieces, again until threads were started and take them. */
async function readByThread(offsets: readonly number[], sizes: readonly number[]): Promise<Buffer> {
  for (;;) {
    const target = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0))
    if (await read(descriptor, target, offsets, sizes)) return target
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

/** Reads until there are threads. */
const startThreads = () => readByThread(new Array<number>(400).fill(0), new Array<number>(400).fill(1))

function piecesOf(random: Random): { offsets: number[]; sizes: number[]; expected: Buffer } {
  const offsets = Array.from({ length: 1 + random.int(60) }, () => random.int(FILE_SIZE - 4096))
  const sizes = offsets.map(() => 1 + random.int(2000))
  return { offsets, sizes, expected: Buffer.concat(offsets.map((offset, i) => content.subarray(offset, offset + sizes[i]!))) }
}

describe('small reads', () => {
  test(`by threads bring what the file has, however many are asked for at once (seed ${SEED})`, async () => {
    const random = new Random(SEED)
    await startThreads()
    for (let turn = 0; turn < 50; turn++) {
      const wanted = Array.from({ length: 1 + random.int(40) }, () => piecesOf(random))
      const found = await Promise.all(wanted.map(({ offsets, sizes }) => readByThread(offsets, sizes)))
      expect(found.every((bytes, i) => bytes.equals(wanted[i]!.expected))).toBe(true)
    }
  })

  test('are refused before there are threads, which a few do not start', async () => {
    for (let turn = 0; turn < 10; turn++) {
      expect(await read(descriptor, Buffer.alloc(4), [0], [4])).toBe(false)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  })

  test.each([
    ['a piece reaches behind the end of the file', () => descriptor, FILE_SIZE - 2],
    ['the descriptor is not open', () => 1 << 20, 0],
  ])('are refused when %s, and what was asked for before is read', async (_what, bad, offset) => {
    await startThreads()
    const good = Buffer.alloc(100)
    const answers = await Promise.all([read(descriptor, good, [500], [100]), read(bad(), Buffer.alloc(4), [offset], [4])])
    expect(answers).toEqual([true, false])
    expect(good.equals(content.subarray(500, 600))).toBe(true)
  })

  test('that wait when the last file is closed are refused, and threads are started anew for the next', async () => {
    await startThreads()
    const some = () => Array.from({ length: 40 }, () => read(descriptor, Buffer.alloc(40), [1, 2, 3, 4], [10, 10, 10, 10]))
    const handed = some()
    await new Promise(process.nextTick)
    // Both threads are reading by now: these wait for one of them.
    const waiting = some()
    await new Promise(process.nextTick)
    reads.closed()
    reads.opened()
    await Promise.all([...handed, ...waiting])
    await startThreads()
    expect((await readByThread([7], [4])).equals(content.subarray(7, 11))).toBe(true)
  })
})

test('pieces of a real file have zeros for what lies behind its end', async () => {
  const file = await new NodeDisk().open(path, 'read')
  for (let turn = 0; turn < 20; turn++) {
    const target = Buffer.alloc(28, 1)
    await file.readPieces(target, [FILE_SIZE - 4, 8, FILE_SIZE + 4, 100], [8, 4, 8, 8])
    const expected = [content.subarray(-4), Buffer.alloc(4), content.subarray(8, 12), Buffer.alloc(8), content.subarray(100, 108)]
    expect(target.equals(Buffer.concat(expected))).toBe(true)
  }
  await file.close()
})
