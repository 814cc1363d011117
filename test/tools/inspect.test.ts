import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { describe, expect, test } from 'vitest'
import type { ChunkEndItem, ChunkItem, InspectionItem, RecordItem } from '../../tools/inspection-items.ts'
import {
  chunkNames,
  chunkPath,
  contentOf,
  copyChunk,
  cutBehind,
  edit,
  event,
  flipBit,
  run,
  runJson,
  storeWith,
  tearTail,
  temporaryDirectory,
} from './scenes.ts'

interface Shown {
  readonly status: number
  readonly items: InspectionItem[]
  readonly chunks: ChunkItem[]
  readonly records: RecordItem[]
  readonly damages: { readonly file: string; readonly position: number | null; readonly kind: string; readonly what: string }[]
  readonly ends: ChunkEndItem[]
}

async function inspect(path: string, ...options: string[]): Promise<Shown> {
  const { status, values } = await runJson<InspectionItem>(['inspect', path, '--limit', '0', ...options])
  const of = <Kind extends InspectionItem['kind']>(kind: Kind) =>
    values.filter((item): item is Extract<InspectionItem, { kind: Kind }> => item.kind === kind)
  return {
    status,
    items: values,
    chunks: of('chunk'),
    records: of('record'),
    damages: of('damage').map(({ damage }) => damage),
    ends: of('chunk-end'),
  }
}

describe('inspect of a store', () => {
  test('shows header, records, footer, map and totals of every chunk, and changes nothing', async () => {
    const directory = await storeWith(200)
    const before = contentOf(directory)
    const { status, chunks, records, damages, items } = await inspect(directory)
    expect(status).toBe(0)
    expect(damages).toEqual([])
    expect(chunks.map(({ file }) => file)).toEqual(chunkNames(directory))
    expect(chunks[0]).toMatchObject({ header: 'ok', footer: 'ok', number: 0, start: 0, chunkSize: 4096 })
    expect(chunks.at(-1)).toMatchObject({ header: 'ok', footer: 'none' })
    expect(records.filter(({ type }) => type === 'prepare')).toHaveLength(200)
    expect(records[0]).toMatchObject({
      position: 128,
      checksum: 'ok',
      stream: 'order-0',
      revision: 0,
      eventType: 'Placed',
      commit: 'alone',
    })
    expect(items.at(-1)).toMatchObject({ kind: 'totals', prepares: 200, damages: 0 })
    expect(contentOf(directory)).toEqual(before)
  })

  test('as a table for people', async () => {
    const { status, stdout } = await run(['inspect', await storeWith(200)])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^ {9}128 {2}prepare +\d+ {2}ok +0 {2}alone +Placed +order-0$/m)
    expect(stdout).toMatch(/^ {11}0 {2}HH#+F+$/m)
    expect(stdout.match(/prepare {2}/g)).toHaveLength(50)
    expect(stdout).toContain('more records; --limit 0 shows all')
    expect(stdout).toContain('200 prepares')
  })

  test('tells appends of several events apart', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory)
    await store.append('a', [event(1), event(2), event(3)])
    await store.append('a', event(4))
    await store.close()
    const { records } = await inspect(directory)
    expect(records.map(({ type, commit }) => commit ?? type)).toEqual([
      'begins',
      'goes on',
      'goes on',
      'commit',
      'alone',
      'proof',
    ])
    expect(records[3]).toMatchObject({ firstPrepare: 128, eventCount: 3 })
  })

  test('shows payloads when asked', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory)
    await store.append('a', { type: 'T', data: { text: 'Ü\u001b[31m' }, metadata: new Uint8Array([1, 2]) })
    await store.append('a', { type: 'T', data: new Uint8Array([250]), metadata: 'm' })
    await store.close()
    const { records } = await inspect(directory, '--data')
    expect(records[0]).toMatchObject({ data: { text: 'Ü\u001b[31m' }, metadataBase64: 'AQI=' })
    expect(records[1]).toMatchObject({ dataBase64: '+g==', metadata: 'm' })
    const { stdout } = await run(['inspect', directory, '--data'])
    expect(stdout).toContain('metadata in base64: AQI=')
    expect(stdout).not.toContain('\u001b')
    expect((await inspect(directory)).records[0]).not.toHaveProperty('data')
  })

  test('shows what is asked for: from a position, of a stream, so many', async () => {
    const directory = await storeWith(200)
    const { records } = await inspect(directory)
    const middle = records[100]!.position
    const later = await inspect(directory, '--from', String(middle))
    expect(later.records[0]!.position).toBe(middle)
    expect(later.records).toHaveLength(records.length - 100)
    expect(later.chunks.length).toBeLessThan(chunkNames(directory).length)
    const ofStream = await inspect(directory, '--stream', 'order-1')
    expect(ofStream.records.map(({ revision }) => revision)).toEqual(Array.from({ length: 67 }, (_, i) => i))
    const { values } = await runJson<InspectionItem>(['inspect', directory, '--limit', '7'])
    expect(values.filter(({ kind }) => kind === 'record')).toHaveLength(7)
  })

  test('that is open and being written', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory, { chunkSizeBytes: 4096 })
    for (let i = 0; i < 100; i++) await store.append('a', event(i))
    const { status, records, items } = await inspect(directory)
    expect(status).toBe(0)
    expect(records.filter(({ type }) => type === 'prepare')).toHaveLength(100)
    expect(items[0]).toMatchObject({ kind: 'store', holderPid: process.pid })
    await store.close()
  })

  test('with a torn tail', async () => {
    const directory = await storeWith(20)
    const end = (await inspect(directory)).records.at(-1)!
    const torn = tearTail(directory, end.position + end.size)
    const { status, items, ends } = await inspect(directory)
    expect(status).toBe(0)
    expect(items.find(({ kind }) => kind === 'unproven')).toMatchObject(torn)
    expect(ends.at(-1)!.map).toContain('?')
    expect((await run(['inspect', directory])).stdout).toContain('torn tail or in flight: position')
  })

  test('with an append at its end of which a part never came to the disk', async () => {
    const directory = await storeWith(5)
    const store = await EventStore.open(directory)
    await store.append('torn', [event(1), event(2), event(3)])
    await store.close()
    const { records } = await inspect(directory)
    const [second, commit] = [records.find(({ stream, revision }) => stream === 'torn' && revision === 1)!, records.at(-2)!]
    expect(commit.type).toBe('commit')
    edit(chunkPath(directory, 0), bytes => {
      bytes.fill(0, second.position, second.position + second.size)
      return bytes.subarray(0, commit.position + commit.size)
    })
    for (const hint of ['flushed', 'active', '000000-partial.index']) rmSync(join(directory, hint), { force: true })
    expect((await run(['verify', directory])).stdout).toContain('torn tail: 000000.chunk')
    const { status, items, damages } = await inspect(directory)
    expect({ status, damages }).toEqual({ status: 0, damages: [] })
    expect(items).toContainEqual({ kind: 'unproven', position: second.position, size: second.size, what: 'zeros' })
  })

  test('with a flipped bit goes on behind it', async () => {
    const directory = await storeWith(200)
    flipBit(chunkPath(directory, 1), 1000)
    const { status, records, damages, ends } = await inspect(directory)
    expect(status).toBe(1)
    expect(records.filter(({ type }) => type === 'prepare')).toHaveLength(199)
    expect(damages.map(({ kind }) => kind)).toEqual(['record', 'block'])
    expect(damages[0]).toMatchObject({ file: '000001.chunk', what: expect.stringContaining('it says it is revision') })
    expect(ends[1]!.map).toMatch(/#!+#/)
    expect((await run(['inspect', directory])).stdout).toMatch(/DAMAGE {2}000001.chunk: position \d+, \d+ bytes: record/)
  })

  test('with a missing chunk', async () => {
    const directory = await storeWith(200)
    rmSync(chunkPath(directory, 1))
    const { status, chunks, damages } = await inspect(directory)
    expect(status).toBe(1)
    expect(chunks.map(({ number }) => number)).not.toContain(1)
    expect(damages).toMatchObject([{ file: '000001.chunk', position: 4096, kind: 'missing chunk' }])
  })

  test('of which the end is gone, as the hint says', async () => {
    const directory = await storeWith(60)
    const hinted = Number(readFileSync(join(directory, 'flushed')).readBigUInt64LE(32))
    const path = chunkPath(directory, 1)
    const end = 4096 + cutBehind(path, 3)
    const what = `the file ends, though everything before ${hinted} was durable`
    const cut = { file: '000001.chunk', position: end, size: hinted - end, kind: 'record', what }
    expect(await inspect(directory)).toMatchObject({ status: 1, damages: [cut] })
    expect(await inspect(path)).toMatchObject({ status: 1, damages: [cut] })
    rmSync(path)
    expect(await inspect(directory)).toMatchObject({
      status: 1,
      damages: [{ file: '000001.chunk', position: 4096, kind: 'missing chunk' }],
    })
  })

  test('with a chunk of another store', async () => {
    const directory = await storeWith(200)
    copyChunk(await storeWith(200), 1, chunkPath(directory, 1))
    const { status, damages } = await inspect(directory)
    expect(status).toBe(1)
    expect(damages.map(({ kind }) => kind)).toEqual(['foreign chunk', 'missing chunk'])
  })

  test('with a damaged footer in the middle', async () => {
    const directory = await storeWith(200)
    const path = chunkPath(directory, 1)
    flipBit(path, readFileSync(path).length - 10)
    const { status, records, damages, chunks } = await inspect(directory)
    expect(status).toBe(1)
    expect(chunks[1]!.footer).toBe('a chunk footer with a wrong checksum')
    expect(damages.at(-1)).toMatchObject({ kind: 'footer' })
    expect(records.filter(({ type }) => type === 'prepare')).toHaveLength(200)
  })
})

describe('inspect of a chunk file', () => {
  test('that was copied elsewhere under another name', async () => {
    const directory = await storeWith(200)
    const copy = join(temporaryDirectory(), 'evidence.bin')
    copyChunk(directory, 1, copy)
    const { status, chunks, records } = await inspect(copy)
    expect(status).toBe(0)
    expect(chunks).toMatchObject([{ file: 'evidence.bin', number: 1, start: 4096, footer: 'ok' }])
    expect(records[0]!.position).toBe(4096 + 128)
    symlinkSync(copy, `${copy}.link`)
    expect((await inspect(`${copy}.link`)).records).toHaveLength(records.length)
  })

  test('with a damaged header takes place and store from what else there is', async () => {
    const directory = await storeWith(200)
    const whole = await inspect(chunkPath(directory, 1))
    const copy = join(temporaryDirectory(), 'copy')
    const damaged = async (change: (bytes: Buffer) => Buffer | undefined): Promise<Shown> => {
      copyFileSync(chunkPath(directory, 1), copy)
      edit(copy, change)
      return inspect(copy)
    }
    const zeroHead = await damaged(bytes => void bytes.fill(0, 0, 128))
    expect(zeroHead.chunks[0]).toMatchObject({
      header: 'zeros instead of a chunk header',
      guessedFrom: 'the footer',
      start: 4096,
    })
    expect(zeroHead.records).toEqual(whole.records)
    const noFooter = await damaged(bytes => {
      flipBit(copy, 0)
      bytes[60]! ^= 1
      return bytes.subarray(0, bytes.length - 80)
    })
    expect(noFooter.chunks[0]).toMatchObject({ guessedFrom: 'the rest of the header', start: 4096, footer: 'none' })
    expect(noFooter.status).toBe(1)
    // Neither header nor footer: the records themselves tell the position, and by their checksums the store's seed.
    const neither = await damaged(bytes => {
      bytes.fill(0, 0, 128)
      return bytes.subarray(0, bytes.length - 80)
    })
    expect(neither.chunks[0]).toMatchObject({ guessedFrom: 'the records', start: 4096, storeId: null })
    expect(neither.records.length).toBeGreaterThan(10)
    expect(neither.records[0]).toMatchObject({ position: 4096 + 128, id: null, stream: whole.records[0]!.stream })
  })

  test('that lost its beginning', async () => {
    const directory = await storeWith(200)
    const copy = join(temporaryDirectory(), 'copy')
    copyChunk(directory, 1, copy)
    edit(copy, bytes => void bytes.fill(0xee, 0, 700))
    const { records, damages } = await inspect(copy)
    expect(damages.map(({ kind }) => kind)).toEqual(['header', 'record', 'block'])
    expect(records.length).toBeGreaterThan(10)
  })

  test('that is cut off shows what is there', async () => {
    const directory = await storeWith(200)
    const copy = join(temporaryDirectory(), 'copy')
    copyChunk(directory, 1, copy)
    truncateSync(copy, 1000)
    const { records, items } = await inspect(copy)
    expect(records.length).toBeGreaterThan(3)
    expect(items.find(({ kind }) => kind === 'unproven')).toMatchObject({ what: expect.stringContaining('cut off') })
  })

  test('beside its hint believes the hint', async () => {
    const directory = await storeWith(20)
    truncateSync(chunkPath(directory, 0), 1000)
    expect((await inspect(chunkPath(directory, 0))).damages).toMatchObject([{ kind: 'record' }])
  })

  test('that is none at all', async () => {
    const file = join(temporaryDirectory(), 'notes.txt')
    writeFileSync(file, 'hello\n'.repeat(100))
    const { status, damages } = await inspect(file)
    expect(status).toBe(1)
    expect(damages.map(({ what }) => what)).toEqual(['no chunk header', 'nothing in the file can be recognised'])
    writeFileSync(file, '')
    expect((await inspect(file)).status).toBe(1)
  })
})

describe('inspect of a path', () => {
  test('that is no store says what it is, in one line', async () => {
    const directory = temporaryDirectory()
    const other = join(directory, 'other')
    mkdirSync(other)
    expect(await run(['inspect', other])).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('is empty') })
    writeFileSync(join(other, 'readme.txt'), '')
    expect((await run(['inspect', other])).stderr).toContain('is no store')
    expect(await run(['inspect', join(directory, 'nothing')])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('does not exist'),
    })
    expect(await run(['inspect', other, '--limit', 'many'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--limit must be a whole number from 0, got 'many'"),
    })
  })
})
