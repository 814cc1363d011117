import { mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { NodeDisk } from '../../src/disk/node-disk.ts'
import type { VerificationReport } from '../../tools/survey/store-verification.ts'
import {
  chunkNames,
  chunkPath,
  contentOf,
  copyChunk,
  edit,
  event,
  flipBit,
  run,
  runJson,
  storeWith,
  tearTail,
  temporaryDirectory,
} from './scenes.ts'

type Report = VerificationReport & { readonly id: string; readonly holderPid: number | null; readonly hinted: number | null }

async function verify(directory: string): Promise<Report & { readonly status: number }> {
  const { status, values } = await runJson<Report>(['verify', directory])
  return { status, ...values[0]! }
}

function kinds(report: VerificationReport): string[] {
  return report.damages.map(({ kind }) => kind)
}

describe('verify of a store', () => {
  test('that is whole finds everything and no damage', async () => {
    const directory = await storeWith(200)
    const before = contentOf(directory)
    const report = await verify(directory)
    expect(report).toMatchObject({
      status: 0,
      eventCount: 200,
      streamCount: 3,
      damageCount: 0,
      damages: [],
      notes: [],
      tail: null,
    })
    expect(report.chunkCount).toBeGreaterThan(3)
    expect(contentOf(directory)).toEqual(before)
    const { status, stdout, stderr } = await run(['verify', directory])
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout).toContain('200 events in 3 streams')
    expect(stdout).toContain('nothing is damaged')
  })

  test('that holds nothing yet', async () => {
    expect(await verify(await storeWith(0))).toMatchObject({ status: 0, eventCount: 0, damageCount: 0, tail: null })
  })

  test('with appends of several events', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory, { chunkSizeBytes: 4096 })
    for (let i = 0; i < 60; i++) await store.append(`s-${i % 5}`, [event(i), event(i + 1), event(i + 2)])
    await store.close()
    expect(await verify(directory)).toMatchObject({ status: 0, eventCount: 180, streamCount: 5, damageCount: 0 })
  })

  test('with a torn tail says so, and that it is no damage', async () => {
    const directory = await storeWith(50)
    const { end } = await verify(directory)
    const torn = tearTail(directory, end)
    expect(await verify(directory)).toMatchObject({
      status: 0,
      eventCount: 50,
      damageCount: 0,
      end,
      tail: { kind: 'torn tail', ...torn },
    })
    expect((await run(['verify', directory])).stdout).toMatch(/torn tail: 00000\d\.chunk: position \d+, 43 bytes/)
  })

  test('with a flipped bit in a record of a completed chunk names record, block and what its stream lacks', async () => {
    const directory = await storeWith(200)
    flipBit(chunkPath(directory, 1), 1000)
    const report = await verify(directory)
    expect(report.status).toBe(1)
    expect(kinds(report)).toEqual(['record', 'revision', 'block'])
    const [record, revision, block] = report.damages
    expect(record!.position).toBeLessThanOrEqual(4096 + 1000)
    expect(record!.position! + record!.size!).toBeGreaterThan(4096 + 1000)
    expect(revision!.what).toMatch(/stream 'order-\d' lacks revision \d+/)
    expect(block).toMatchObject({ file: '000001.chunk', position: 4096 })
    expect(report.eventCount).toBe(199)
  })

  test('finds every bit that is flipped in a completed chunk', async () => {
    const directory = await storeWith(60)
    const path = chunkPath(directory, 0)
    const whole = readFileSync(path)
    // Every 17th byte: each field of header, records, block table and footer is hit.
    for (let offset = 0; offset < whole.length; offset += 17) {
      flipBit(path, offset)
      expect((await verify(directory)).damageCount, `offset ${offset}`).toBeGreaterThan(0)
      writeFileSync(path, whole)
    }
    expect((await verify(directory)).damageCount).toBe(0)
  })

  test('with a flipped bit in the last chunk below what was durable', async () => {
    const directory = await storeWith(10)
    flipBit(chunkPath(directory, 0), 300)
    const report = await verify(directory)
    expect(report).toMatchObject({ status: 1, eventCount: 9, tail: null })
    expect(kinds(report)).toEqual(['record', 'revision'])
  })

  test('without its hint still knows from the records what was durable', async () => {
    const directory = await storeWith(10)
    flipBit(chunkPath(directory, 0), 300)
    rmSync(join(directory, 'flushed'))
    expect(kinds(await verify(directory))).toEqual(['record', 'revision'])
  })

  test('with the last chunk cut off below what was durable', async () => {
    const directory = await storeWith(10)
    truncateSync(chunkPath(directory, 0), 400)
    const report = await verify(directory)
    expect(report.status).toBe(1)
    expect(report.damages[0]).toMatchObject({ file: '000000.chunk', kind: 'record' })
    expect(report.damages[0]!.what).toMatch(/though everything before \d+ was durable/)
  })

  test('with the last chunk cut off between two records', async () => {
    const directory = await storeWith(1)
    truncateSync(chunkPath(directory, 0), 128)
    expect((await verify(directory)).damages).toMatchObject([{ position: 128, kind: 'record' }])
  })

  test('with a chunk missing in the middle', async () => {
    const directory = await storeWith(200)
    rmSync(chunkPath(directory, 1))
    const report = await verify(directory)
    expect(report.status).toBe(1)
    expect(report.damages[0]).toEqual({
      file: '000001.chunk',
      position: 4096,
      size: 4096,
      kind: 'missing chunk',
      what: 'the chunk is missing',
    })
    expect(kinds(report).slice(1)).toEqual(['revision', 'revision', 'revision'])
  })

  test('with its first chunk missing', async () => {
    const directory = await storeWith(200)
    rmSync(chunkPath(directory, 0))
    expect((await verify(directory)).damages[0]).toMatchObject({ file: '000000.chunk', position: 0, kind: 'missing chunk' })
  })

  test('with its last chunk missing, which the hint tells', async () => {
    const directory = await storeWith(200)
    const last = chunkNames(directory).length - 1
    rmSync(chunkPath(directory, last))
    expect((await verify(directory)).damages).toMatchObject([{ position: 4096 * last, kind: 'missing chunk' }])
  })

  test('with all chunks missing', async () => {
    const directory = await storeWith(1)
    rmSync(chunkPath(directory, 0))
    expect(await verify(directory)).toMatchObject({ status: 1, damages: [{ file: '000000.chunk', kind: 'missing chunk' }] })
  })

  test('with a chunk of another store in place of its own', async () => {
    const directory = await storeWith(200)
    const other = await storeWith(200)
    copyChunk(other, 1, chunkPath(directory, 1))
    const report = await verify(directory)
    expect(report.status).toBe(1)
    expect(report.damages[0]).toMatchObject({ file: '000001.chunk', kind: 'foreign chunk' })
    expect(report.damages[0]!.what).toContain((await verify(other)).id)
    expect(kinds(report)).toContain('missing chunk')
  })

  test('with two chunks that changed their names', async () => {
    const directory = await storeWith(200)
    renameSync(chunkPath(directory, 0), join(directory, 'aside'))
    renameSync(chunkPath(directory, 1), chunkPath(directory, 0))
    renameSync(join(directory, 'aside'), chunkPath(directory, 1))
    const report = await verify(directory)
    expect(kinds(report)).toEqual(['misplaced chunk', 'misplaced chunk'])
    expect(report.eventCount).toBe(200)
  })

  test('with a second copy of a chunk', async () => {
    const directory = await storeWith(200)
    copyChunk(directory, 0, join(directory, '000099.chunk'))
    expect(await verify(directory)).toMatchObject({
      status: 1,
      eventCount: 200,
      damages: [{ file: '000099.chunk', kind: 'misplaced chunk' }],
    })
  })

  test('with a damaged header still reads the chunk', async () => {
    const directory = await storeWith(200)
    flipBit(chunkPath(directory, 1), 20)
    const report = await verify(directory)
    expect(kinds(report)).toEqual(['header', 'block'])
    expect(report.eventCount).toBe(200)
  })

  test('with a damaged footer still reads the chunk', async () => {
    const directory = await storeWith(200)
    const path = chunkPath(directory, 1)
    for (const fromEnd of [64, 60, 10, 66]) {
      const whole = readFileSync(path)
      flipBit(path, whole.length - fromEnd)
      const report = await verify(directory)
      expect(kinds(report), `${fromEnd} bytes from the end`).toEqual(['footer'])
      expect(report.eventCount).toBe(200)
      writeFileSync(path, whole)
    }
  })

  test('with a last chunk that was never used and has no header', async () => {
    const directory = await storeWith(10)
    writeFileSync(chunkPath(directory, 1), '')
    const report = await verify(directory)
    expect(report).toMatchObject({ status: 0, eventCount: 10, damageCount: 0 })
    expect(report.notes.join()).toContain('000001.chunk')
  })

  test('with a chunk of a newer version', async () => {
    const directory = await storeWith(200)
    edit(chunkPath(directory, 1), bytes => {
      bytes.writeUInt16LE(9, 8)
      return undefined
    })
    expect(kinds(await verify(directory))).toContain('unsupported')
  })

  test('with files that are not its own mentions them', async () => {
    const directory = await storeWith(10)
    writeFileSync(join(directory, 'notes.txt'), 'hello')
    writeFileSync(join(directory, '000001.chunk.tmp'), '')
    flipBit(join(directory, 'flushed'), 33)
    const report = await verify(directory)
    expect(report).toMatchObject({ status: 0, damageCount: 0 })
    expect(report.notes.map(note => note.split(':')[0])).toEqual(['000001.chunk.tmp', 'notes.txt', 'flushed'])
  })

  test('that is open shows by whom, and what is on its way is no damage', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory, { chunkSizeBytes: 4096 })
    await store.append('a', [event(1), event(2)])
    expect(await verify(directory)).toMatchObject({ status: 0, damageCount: 0, holderPid: process.pid })
    await store.close()
    expect((await verify(directory)).holderPid).toBeNull()
  })

  test('that is being written, chunk after chunk, never finds damage', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory, { chunkSizeBytes: 4096 })
    let isWriting = true
    let appended = 0
    const writing = (async () => {
      while (isWriting) {
        await Promise.all(Array.from({ length: 20 }, (_, i) => store.append(`s-${i % 7}`, [event(i), event(i + 1)])))
        appended += 40
      }
    })()
    try {
      let seen = 0
      const endMs = performance.now() + 800
      for (let round = 0; round < 3 || performance.now() < endMs; round++) {
        const report = await verify(directory)
        expect(report.damages).toEqual([])
        // Until the writer has written its first hint there is none that bounds the look.
        if (report.hinted === null) continue
        expect(report.eventCount).toBeGreaterThanOrEqual(seen)
        seen = report.eventCount
      }
    } finally {
      isWriting = false
      await writing
      await store.close()
    }
    expect((await verify(directory)).eventCount).toBe(appended)
  })
})

describe('a store that another process opens with another chunk size', () => {
  // With it goes the chunk that was made ahead.
  test.each(
    ['verify', 'inspect', 'repair'].flatMap(command => [0, 1, 2].map(opens => ({ command, opens }))),
  )('and whose last chunk is gone at open $opens of $command is whole', async ({ command, opens }) => {
    const directory = await storeWith(40)
    expect(chunkNames(directory)).toEqual(['000000.chunk', '000001.chunk'])
    const path = chunkPath(directory, 1)
    const { open } = NodeDisk.prototype
    let left = opens
    const spy = vi.spyOn(NodeDisk.prototype, 'open').mockImplementation(async function (this: NodeDisk, name, mode) {
      if (name === path && left-- === 0) rmSync(path)
      return open.call(this, name, mode)
    })
    onTestFinished(() => spy.mockRestore())
    const words =
      command === 'repair' ? [command, '--accept-loss', directory, join(temporaryDirectory(), 'copy')] : [command, directory]
    const { status, values } = await runJson<Record<string, unknown>>(words)
    expect(status).toBe(0)
    const { damageCount, damages, lostCount, kind } = values.at(-1)!
    expect([command, damageCount ?? damages ?? lostCount, kind]).toEqual([
      command,
      0,
      command === 'inspect' ? 'totals' : undefined,
    ])
  })
})

describe('verify of a path', () => {
  test('that is no store says what it is, in one line', async () => {
    const directory = temporaryDirectory()
    const other = join(directory, 'other')
    mkdirSync(other)
    expect(await run(['verify', other])).toMatchObject({
      status: 2,
      stdout: '',
      stderr: expect.stringContaining('is empty: there is no store in it'),
    })
    writeFileSync(join(other, 'readme.txt'), '')
    expect((await run(['verify', other])).stderr).toContain('is no store: there is no chunk')
    expect(await run(['verify', join(directory, 'nothing')])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('does not exist'),
    })
    const file = await run(['verify', join(other, 'readme.txt')])
    expect(file).toMatchObject({ status: 2, stderr: expect.stringContaining('is a file') })
    expect(file.stderr.trimEnd().split('\n')).toHaveLength(1)
  })

  test('that is missing, doubled or misspelt is wrong usage', async () => {
    expect(await run(['verify'])).toMatchObject({ status: 2, stderr: expect.stringContaining('<store> is missing') })
    expect((await run(['verify', 'a', 'b'])).status).toBe(2)
    expect(await run(['verify', 'a', '--jsn'])).toMatchObject({ status: 2, stderr: expect.stringContaining("'--jsn'") })
  })
})
