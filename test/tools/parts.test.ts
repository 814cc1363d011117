import { PassThrough, Readable } from 'node:stream'
import { EventStore } from 'tailrace'
import { describe, expect, test } from 'vitest'
import { ByteWindow } from '../../src/format/byte-window.ts'
import { checksumSeed, PROOF_RECORD_SIZE } from '../../src/format/log-record.ts'
import { encodeProof, RecordStamp } from '../../src/format/record-encoding.ts'
import { AppendsInFlight } from '../../tools/appends-in-flight.ts'
import { ChunkMap, mapRows } from '../../tools/chunk-map.ts'
import { type Line, readLines } from '../../tools/line-reader.ts'
import { Output, printable } from '../../tools/output.ts'
import { Progress } from '../../tools/progress.ts'
import { RevisionLosses } from '../../tools/revision-losses.ts'
import { solveChecksumSeed } from '../../tools/survey/checksum-seed.ts'

describe('the lines of a stream', () => {
  async function lines(pieces: (string | Buffer)[]): Promise<(string | number | null)[][]> {
    const all: Line[] = []
    for await (const batch of readLines(Readable.from(pieces))) all.push(...batch)
    return all.map(({ number, text, end }) => [number, text, end])
  }

  test('are the same however it is cut into pieces', async () => {
    const input = Buffer.from('one\r\n\ntwo ä\nthree')
    const expected = [
      [1, 'one', 5],
      [3, 'two ä', 13],
      [4, 'three', 18],
    ]
    for (let size = 1; size <= input.length; size++) {
      const pieces: Buffer[] = []
      for (let at = 0; at < input.length; at += size) pieces.push(input.subarray(at, at + size))
      expect(await lines(pieces)).toEqual(expected)
    }
  })

  test('behind one that is too long are those of any other input, and it is told of before it ends', async () => {
    const long = Buffer.alloc(10 * 1024 * 1024, 'x')
    expect(await lines(['one\n', long, long, long, long, 'x\ntwo\n', 'three'])).toEqual([
      [1, 'one', 4],
      [2, null, 4 + 3 * long.length],
      [3, 'two', 4 + 4 * long.length + 6],
      [4, 'three', 4 + 4 * long.length + 11],
    ])
    expect(await lines([long, long, long])).toEqual([[1, null, 3 * long.length]])
  })

  test('of an empty stream are none', async () => {
    expect(await lines([])).toEqual([])
    expect(await lines(['\n\r\n'])).toEqual([])
  })
})

describe('appends in flight', () => {
  test('keep the order of a stream when the store has no room for a while', async () => {
    const store = await EventStore.inMemory({ maxPendingAppends: 3, maxPendingBytes: 2000 })
    const appends = new AppendsInFlight(store)
    for (let i = 0; i < 300; i++) await appends.submit('s', { type: 'T', data: { i, text: 'x'.repeat((i * 37) % 900) } }, 100, i)
    await appends.settled()
    expect(appends.failure).toBeNull()
    expect(appends.appendedCount).toBe(300)
    const seen: number[] = []
    for await (const event of store.readStream<{ type: 'T'; data: { i: number } }>('s')) seen.push(event.data.i)
    expect(seen).toEqual(Array.from({ length: 300 }, (_, i) => i))
    await store.close()
  })

  test('tell the first that failed', async () => {
    const store = await EventStore.inMemory()
    const appends = new AppendsInFlight(store)
    await appends.submit('s', { type: 'T', data: 1 }, 100, 1)
    await appends.submit('s', { type: '', data: 1 }, 100, 2)
    expect(appends.failure).toMatchObject({ number: 2 })
    await appends.settled()
    expect(appends.appendedCount).toBe(1)
    await store.close()
  })
})

test("a store's seed follows from any of its records", () => {
  for (const fill of [0, 1, 0x5a, 0xa5, 0xff]) {
    const seed = checksumSeed(new Uint8Array(16).fill(fill))
    const window = ByteWindow.allocate(64)
    encodeProof(window, 4, new RecordStamp(seed))
    expect(solveChecksumSeed(window, 4, PROOF_RECORD_SIZE)).toBe(seed)
  }
})

test('a map shows the worst of each cell', () => {
  const map = new ChunkMap(64 * 100, 50)
  expect(map.cellSize).toBe(128)
  map.mark(0, 6400, 'zeros')
  map.mark(0, 128, 'header')
  map.mark(128, 1000, 'records')
  map.mark(300, 301, 'damage')
  expect(map.text).toBe(`H#!#####${'.'.repeat(42)}`)
  expect([...mapRows('x'.repeat(65), 1024)]).toEqual([`           0  ${'x'.repeat(64)}`, '       65536  x'])
})

test('revisions that are not there are noted by stream', () => {
  const losses = new RevisionLosses()
  expect([0, 1, 4, 5].map(revision => losses.keep('a', revision))).toEqual([true, true, true, true])
  expect(losses.keep('a', 4)).toBe(false)
  losses.lose('a', 8)
  losses.keep('b', 0)
  losses.lose('c', 0)
  expect(losses.streamCount).toBe(2)
  expect(losses.all()).toEqual([
    {
      stream: 'a',
      lost: [
        { from: 2, to: 3 },
        { from: 6, to: 8 },
      ],
      lostCount: 5,
      keptCount: 4,
    },
    { stream: 'c', lost: [{ from: 0, to: 0 }], lostCount: 1, keptCount: 0 },
  ])
})

describe('output', () => {
  test('sends no control characters to a terminal', () => {
    expect(printable('a\u001b[31m\u009b\u0000ü')).toBe('a\\u001b[31m\\u009b\\u0000ü')
  })

  test('reports a stream that fails for another reason than a reader who left', async () => {
    const stream = new PassThrough()
    const output = new Output(stream)
    output.line('x')
    stream.destroy(Object.assign(new Error('no space'), { code: 'ENOSPC' }))
    await expect(output.flush()).rejects.toThrow('no space')
  })

  function drawn(isTTY: boolean): string {
    const stream = Object.assign(new PassThrough(), { isTTY })
    const progress = new Progress(stream, 1000)
    progress.update(500, () => 'wor\u001bking')
    progress.clear()
    return String(stream.read() ?? '')
  }

  test('has a progress bar on a terminal only', () => {
    expect(drawn(false)).toBe('')
    expect(drawn(true)).toMatch(/\[#{15}\.{15}\] {2}50% {2}500 bytes .*wor\\u001bking/)
    expect(drawn(true).endsWith('\r\u001b[K')).toBe(true)
  })

  test('has the terminal cut a progress bar that is wider, which would leave a line behind each time', () => {
    const parts = drawn(true).split(/\u001b\[\?7([lh])/)
    expect(parts).toEqual(['\r\u001b[K', 'l', expect.stringMatching(/^\[#.*wor\\u001bking$/), 'h', '\r\u001b[K'])
  })
})
