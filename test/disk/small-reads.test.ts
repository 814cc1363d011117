import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
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

/** Whether the thread has read the pieces. */
function read(from: number, target: Uint8Array, offsets: readonly number[], sizes: readonly number[]): Promise<boolean> {
  const descriptors = offsets.map(() => from)
  return new Promise((resolve: (isRead: boolean) => void) => {
    if (!reads.read(descriptors, target, offsets, sizes, resolve)) resolve(false)
  })
}

/** Reads the pieces, again until the thread was started and takes them. */
async function readByThread(offsets: readonly number[], sizes: readonly number[]): Promise<Buffer> {
  for (;;) {
    const target = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0))
    if (await read(descriptor, target, offsets, sizes)) return target
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

/** Reads until there is a thread. */
const startThread = () => readByThread(new Array<number>(200).fill(0), new Array<number>(200).fill(1))

/** In a pipe there is no other place to read from. */
const HERE = -1

/** Whoever reads from it waits until something is written. */
function openPipe(): number {
  const name = join(directory, 'pipe')
  execFileSync('mkfifo', [name])
  return openSync(name, 'r+')
}

const pause = () => new Promise(resolve => setTimeout(resolve, 5))

function piecesOf(random: Random): { offsets: number[]; sizes: number[]; expected: Buffer } {
  const offsets = Array.from({ length: 1 + random.int(60) }, () => random.int(FILE_SIZE - 4096))
  const sizes = offsets.map(() => 1 + random.int(2000))
  return { offsets, sizes, expected: Buffer.concat(offsets.map((offset, i) => content.subarray(offset, offset + sizes[i]!))) }
}

describe('small reads', () => {
  test(`by a thread bring what the file has, however many are asked for at once (seed ${SEED})`, async () => {
    const random = new Random(SEED)
    await startThread()
    for (let turn = 0; turn < 50; turn++) {
      const wanted = Array.from({ length: 1 + random.int(40) }, () => piecesOf(random))
      const found = await Promise.all(wanted.map(({ offsets, sizes }) => readByThread(offsets, sizes)))
      expect(found.every((bytes, i) => bytes.equals(wanted[i]!.expected))).toBe(true)
    }
  })

  test('are refused before there is a thread, which a few do not start', async () => {
    for (let turn = 0; turn < 10; turn++) {
      expect(await read(descriptor, Buffer.alloc(4), [0], [4])).toBe(false)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  })

  test.each([
    ['a piece reaches behind the end of the file', () => descriptor, FILE_SIZE - 2],
    ['the descriptor is not open', () => 1 << 20, 0],
  ])('are refused when %s, and what was asked for before is read', async (_what, bad, offset) => {
    await startThread()
    const good = Buffer.alloc(100)
    const answers = await Promise.all([read(descriptor, good, [500], [100]), read(bad(), Buffer.alloc(4), [offset], [4])])
    expect(answers).toEqual([true, false])
    expect(good.equals(content.subarray(500, 600))).toBe(true)
  })

  test('that take longer than the event loop looks for them are told', async () => {
    await startThread()
    const pipe = openPipe()
    for (let turn = 0; turn < 3; turn++) {
      const byte = Buffer.alloc(1)
      const reading = read(pipe, byte, [HERE], [1])
      await pause()
      writeSync(pipe, 'x')
      expect(await reading).toBe(true)
      expect(byte.toString()).toBe('x')
    }
    closeSync(pipe)
  })

  test('that have to wait for the disk again and again are refused for a while, and those behind them', async () => {
    await startThread()
    const pipe = openPipe()
    const slow = () => read(pipe, Buffer.alloc(8), new Array<number>(8).fill(HERE), new Array<number>(8).fill(1))
    // The second one is refused, too, where the machine was slow before.
    const waiting = [slow(), slow()]
    const behind = read(descriptor, Buffer.alloc(4), [0], [4])
    for (let written = 0; written < 16; written++) {
      writeSync(pipe, 'x')
      await pause()
    }
    expect(await waiting[0]).toBe(true)
    await waiting[1]
    expect(await behind).toBe(false)
    expect(await read(descriptor, Buffer.alloc(4), [0], [4])).toBe(false)
    expect(await readByThread([7], [4])).toEqual(content.subarray(7, 11))
    closeSync(pipe)
  })

  test.each([
    ['one large piece', [0], [256 * 1024]],
    ['very many pieces', new Array<number>(2000).fill(0), new Array<number>(2000).fill(1)],
  ])('of %s are refused: they are not small', async (_what, offsets, sizes) => {
    await startThread()
    const target = Buffer.alloc(sizes.reduce((sum, size) => sum + size, 0))
    expect(await read(descriptor, target, offsets, sizes)).toBe(false)
  })

  test('that wait when the last file is closed are refused, and a thread is started anew for the next', async () => {
    await startThread()
    const large = () => read(descriptor, Buffer.alloc(100_000), [1, 2], [50_000, 50_000])
    // For five there is room at once: the others wait for it.
    const asked = Array.from({ length: 20 }, large)
    reads.closed()
    reads.opened()
    expect(await Promise.all(asked)).toEqual(new Array<boolean>(20).fill(false))
    await startThread()
    expect((await readByThread([7], [4])).equals(content.subarray(7, 11))).toBe(true)
  })
})

test('pieces of a real file have zeros for what lies behind its end', async () => {
  const disk = new NodeDisk()
  const file = await disk.open(path, 'read')
  for (let turn = 0; turn < 20; turn++) {
    const target = Buffer.alloc(28, 1)
    await disk.readPieces([file, file, file, file], target, [FILE_SIZE - 4, 8, FILE_SIZE + 4, 100], [8, 4, 8, 8])
    const expected = [content.subarray(-4), Buffer.alloc(4), content.subarray(8, 12), Buffer.alloc(8), content.subarray(100, 108)]
    expect(target.equals(Buffer.concat(expected))).toBe(true)
  }
  await file.close()
})
