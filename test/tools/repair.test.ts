import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { NodeDisk } from '../../src/disk/node-disk.ts'
import type { SalvageReport } from '../../tools/salvage.ts'
import type { Damage } from '../../tools/survey/damage.ts'
import { StoreProcess } from '../support/processes.ts'
import {
  chunkNames,
  chunkPath,
  contentOf,
  copyChunk,
  cutBehind,
  edit,
  event,
  eventsOf,
  flipBit,
  run,
  runJson,
  storeWith,
  tearTail,
  temporaryDirectory,
} from './scenes.ts'

type Report = SalvageReport & {
  readonly status: number
  readonly copy: string
  readonly verification: { readonly damageCount: number; readonly eventCount: number }
}

async function repair(directory: string): Promise<Report> {
  const copy = join(temporaryDirectory(), 'copy')
  const { status, values } = await runJson<Report>(['repair', '--accept-loss', directory, copy])
  return { ...values[0]!, status }
}

describe('repair', () => {
  test('of a store that is whole makes a copy with the same events and ids', async () => {
    const directory = await storeWith(200)
    const before = contentOf(directory)
    const report = await repair(directory)
    expect(report).toMatchObject({
      status: 0,
      events: 200,
      streams: 3,
      appends: 200,
      lostCount: 0,
      changedStreams: [],
      changedIds: 0,
    })
    expect(report.verification).toMatchObject({ damageCount: 0, eventCount: 200 })
    expect(await eventsOf(report.copy)).toEqual(await eventsOf(directory))
    expect(contentOf(directory)).toEqual(before)
  })

  test('of a stream that has an id twice keeps both events, whatever stands in front of the second', async () => {
    const directory = await storeWith(6)
    const store = await EventStore.open(directory)
    const named = (n: number) => ({ ...event(n), id: `00000000-0000-4000-8000-00000000000${n}` })
    await store.append('twice', [named(1), named(2)])
    await store.append('twice', named(1), { expectedRevision: 1 })
    await store.append('twice', [named(3), named(2)], { expectedRevision: 2 })
    await store.close()
    const report = await repair(directory)
    expect(report).toMatchObject({ status: 0, events: 11, lostCount: 0, verification: { eventCount: 11 } })
    expect(await eventsOf(report.copy)).toEqual(await eventsOf(directory))
  })

  test('brings nothing back that was deleted, and keeps what retention says', async () => {
    const directory = await storeWith(60)
    const store = await EventStore.open(directory, { chunkSizeBytes: 4096 })
    await store.delete('order-0')
    await store.setMetadata('order-1', { maxCount: 3, owner: 'me' })
    await store.append('gone', event(1))
    await store.tombstone('gone')
    await store.append('secrets', [event(2), { type: 'Told', data: 'the-word-that-nobody-may-read' }])
    await store.erase('secrets', 1)
    await store.close()
    const report = await repair(directory)
    expect(report).toMatchObject({ status: 0, settings: 3, systemEvents: 0, lostCount: 0 })
    const copy = await EventStore.open(report.copy)
    expect([await copy.exists('order-0'), await copy.head('order-2')]).toEqual([false, 19])
    expect(await copy.metadata('order-1')).toEqual({ maxCount: 3, owner: 'me' })
    await expect(copy.append('gone', event(3))).rejects.toMatchObject({ code: 'STREAM_DELETED' })
    expect(await copy.append('order-0', event(4))).toMatchObject({ firstRevision: 20 })
    await copy.scavenge()
    await copy.close()
    const files = Object.values(contentOf(report.copy)).map(bytes => Buffer.from(bytes, 'base64').toString('latin1'))
    expect(files.join('')).not.toContain('nobody-may-read')
    expect((await run(['repair', '--accept-loss', directory, join(temporaryDirectory(), 'copy')])).stdout).toContain(
      'retention, deletion and erasure are as they were, of 3 streams\n',
    )
  })

  test.each([
    ['amid the last ones', 15],
    ['at the end', 19],
    ['before the last ones', 5],
  ])('brings nothing back that the number of events to keep has hidden, when an event %s is gone', async (_where, gone) => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory, { chunkSizeBytes: 4096 })
    for (let i = 0; i < 20; i++) await store.append('s', event(i))
    await store.erase('s', gone)
    await store.scavenge()
    await store.setMetadata('s', { maxCount: 10 })
    await store.close()
    const report = await repair(directory)
    expect(report).toMatchObject({ status: 0, settings: 1, lostCount: 0 })
    const idsIn = async (path: string) => (await runJson<{ id: string }>(['read', path, 's'])).values.map(({ id }) => id)
    const ids = await idsIn(directory)
    expect(ids).toHaveLength(gone < 10 ? 10 : 9)
    expect(await idsIn(report.copy)).toEqual(ids)
  })

  test('truncates a stream where it was truncated, though it lost events before and behind', async () => {
    const directory = await storeWith(200)
    const store = await EventStore.open(directory, { chunkSizeBytes: 4096 })
    const all = await eventsOf(directory)
    const original = join(temporaryDirectory(), 'original')
    await run(['backup', directory, original])
    await store.setMetadata('order-0', { truncateBefore: 40 })
    await store.setMetadata('order-1', { truncateBefore: 1000 })
    await store.setMetadata('order-2', { truncateBefore: 3 })
    await store.close()
    // One before the place, and one behind it.
    for (const revision of [5, 50]) {
      const { stdout } = await run(['read', original, 'order-0', '--json', '--from', String(revision), '--count', '1'])
      const { position } = JSON.parse(stdout) as { position: number }
      flipBit(chunkPath(directory, Math.floor(position / 4096)), (position % 4096) + 20)
    }
    const report = await repair(directory)
    expect(report).toMatchObject({ status: 0, settings: 3, lostCount: 2, changedStreams: [{ stream: 'order-0', lostCount: 2 }] })
    const lost = new Map(report.changedStreams.map(({ stream, lost }) => [stream, lost]))
    const wasLost = (stream: string, revision: number) =>
      (lost.get(stream) ?? []).some(({ from, to }) => from <= revision && revision <= to)
    for (const [stream, first] of [
      ['order-0', 40],
      ['order-2', 3],
    ] as const) {
      const expected = all.filter(
        ({ stream: of, revision }) => of === stream && Number(revision) >= first && !wasLost(stream, Number(revision)),
      )
      const { stdout } = await run(['read', report.copy, stream, '--json'])
      const ids = stdout
        .split('\n')
        .filter(Boolean)
        .map(line => (JSON.parse(line) as { id: string }).id)
      expect(ids).toEqual(expected.map(({ id }) => id))
    }
    expect((await run(['read', report.copy, 'order-1'])).status).toBe(2)
  })

  test.each([0, 1, 2, -1])('of a store of which the system can not read chunk %d copies the others', async number => {
    const directory = await storeWith(200)
    const names = chunkNames(directory)
    const name = names.at(number)!
    const events = await eventsOf(directory)
    const { values } = await runJson<{ kind: string; stream: string; file: string }>(['inspect', directory, '--limit', '0'])
    const from = values.findIndex(({ kind, file }) => kind === 'chunk' && file === name)
    const to = values.findIndex(({ kind }, at) => at > from && kind === 'chunk-end')
    const lostCount = values.slice(from, to).filter(({ stream }) => stream !== undefined).length
    // An error of the system by its first bytes, as of a bad sector.
    rmSync(join(directory, name))
    mkdirSync(join(directory, name))
    const unreadable = { file: name, kind: 'unreadable', what: expect.stringContaining('EISDIR') }
    const report = await repair(directory)
    expect(report).toMatchObject({ status: 0, events: events.length - lostCount, verification: { damageCount: 0 } })
    expect(report.lost).toContainEqual(expect.objectContaining(unreadable))
    const verified = await runJson<{ damages: Damage[] }>(['verify', directory])
    expect(verified.status).toBe(1)
    expect(verified.values[0]!.damages).toContainEqual(expect.objectContaining(unreadable))
    expect(verified.values[0]!.damages.filter(({ kind }) => kind === 'unreadable')).toHaveLength(1)
    const inspected = await runJson<{ kind: string; damage: Damage }>(['inspect', directory])
    expect(inspected.status).toBe(1)
    expect(inspected.values).toContainEqual({ kind: 'damage', damage: expect.objectContaining(unreadable) })
  })

  test('that met a group while it was being written reads it once more', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const writer = new StoreProcess(`const store = await EventStore.open('${directory}', { chunkSizeBytes: 65536 })
      await Promise.all([0, 1, 2, 3, 4].map(data => store.append('s', { type: 'T', data })))
      say('acked')
      setInterval(() => {}, 1000)`)
    await writer.said('acked')
    await writer.kill()
    rmSync(join(directory, 'flushed'))
    const { values } = await runJson<{ kind: string; position: number }>(['inspect', directory])
    const [, second, third] = values.filter(({ kind }) => kind === 'record').map(({ position }) => position)
    // Of a read amid a write, any page may be older than the next one.
    let wasRead = false
    const { open } = NodeDisk.prototype
    const spy = vi.spyOn(NodeDisk.prototype, 'open').mockImplementation(async function (this: NodeDisk, name, mode) {
      const file = await open.call(this, name, mode)
      const read = file.read.bind(file)
      file.read = async (target, offset) => {
        const size = await read(target, offset)
        if (offset <= second! && third! <= offset + size && !wasRead) {
          target.fill(0, second! - offset, third! - offset)
          wasRead = true
        }
        return size
      }
      return file
    })
    onTestFinished(() => spy.mockRestore())
    expect(await repair(directory)).toMatchObject({ status: 0, events: 5, lostCount: 0, changedStreams: [] })
    expect(wasRead).toBe(true)
  })

  test('of a store with a flipped bit in the middle keeps all but one event, and says which', async () => {
    const directory = await storeWith(200)
    const events = await eventsOf(directory)
    flipBit(chunkPath(directory, 1), 1000)
    const before = contentOf(directory)
    const report = await repair(directory)
    expect(report).toMatchObject({ status: 0, events: 199, lostCount: 1, droppedEvents: 0 })
    expect(report.lost[0]).toMatchObject({ file: '000001.chunk', kind: 'record' })
    expect(report.changedStreams).toHaveLength(1)
    const { stream, lost, lostCount } = report.changedStreams[0]!
    expect(lostCount).toBe(1)
    const without = events.filter(one => one['stream'] !== stream || one['revision'] !== lost[0]!.from)
    expect(await eventsOf(report.copy, false)).toEqual(without.map(({ revision: _, ...rest }) => rest))
    expect(report.verification).toMatchObject({ damageCount: 0, eventCount: 199 })
    expect(contentOf(directory)).toEqual(before)

    const { stdout } = await run(['repair', directory, join(temporaryDirectory(), 'copy'), '--accept-loss'])
    expect(stdout).toContain('199 events of 3 streams copied')
    expect(stdout).toContain(`'${stream}': lost revision ${lost[0]!.from}; `)
    expect(stdout).toContain(`what was revision ${lost[0]!.from + 1} is now ${lost[0]!.from}`)
    expect(stdout).toContain('the copy was verified: nothing is damaged')
  })

  test('of a store with a missing chunk keeps what stands around it', async () => {
    const directory = await storeWith(200)
    const events = await eventsOf(directory)
    rmSync(chunkPath(directory, 1))
    const report = await repair(directory)
    expect(report.status).toBe(0)
    expect(report.lost).toMatchObject([{ file: '000001.chunk', position: 4096, size: 4096, kind: 'missing chunk' }])
    const lostCount = report.changedStreams.reduce((sum, stream) => sum + stream.lostCount, 0)
    expect(report.events + lostCount).toBe(200)
    expect(lostCount).toBeGreaterThan(20)
    const kept = await eventsOf(report.copy, false)
    const ids = new Set(kept.map(({ id }) => id))
    expect(events.filter(({ id }) => ids.has(id)).map(({ data }) => data)).toEqual(kept.map(({ data }) => data))
    expect(report.verification).toMatchObject({ damageCount: 0, eventCount: report.events })
  })

  test.each([
    ['is empty', 0],
    ['ends behind a whole record', 5],
  ])('of a store in which a chunk %s says where events were lost', async (_name, recordCount) => {
    const directory = await storeWith(200)
    const path = chunkPath(directory, 2)
    if (recordCount === 0) writeFileSync(path, '')
    const size = recordCount === 0 ? 128 : cutBehind(path, recordCount)
    const { status, lost, changedStreams, verification } = await repair(directory)
    expect(lost).toMatchObject([{ file: '000002.chunk', position: 8192 + size, size: null, kind: 'footer' }])
    expect({ status, streams: changedStreams.length, damageCount: verification.damageCount }).toEqual({
      status: 0,
      streams: 3,
      damageCount: 0,
    })
  })

  test('of a store of which the end is gone says what the hint knows of it', async () => {
    const directory = await storeWith(60)
    const hinted = Number(readFileSync(join(directory, 'flushed')).readBigUInt64LE(32))
    const path = chunkPath(directory, 1)
    const end = 4096 + cutBehind(path, 3)
    expect((await repair(directory)).lost).toMatchObject([
      { file: '000001.chunk', position: end, size: hinted - end, kind: 'record' },
    ])
    rmSync(path)
    expect((await repair(directory)).lost).toMatchObject([{ file: '000001.chunk', position: 4096, kind: 'missing chunk' }])
  })

  test('of a store that was scavenged does not say that its streams lost anything', async () => {
    const directory = await storeWith(200)
    const store = await EventStore.open(directory, { chunkSizeBytes: 4096 })
    await store.erase('order-0', 1)
    await store.scavenge()
    await store.close()
    const { stdout } = await run(['repair', '--accept-loss', directory, join(temporaryDirectory(), 'copy')])
    expect(stdout).toContain('nothing was lost\n1 stream of which a scavenge had dropped events:\n')
  })

  test('leaves out an append that lost one of its events', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory)
    const ack = await store.append('a', event(0))
    await store.append('a', [event(1), event(2), event(3)])
    await store.append('b', event(4))
    await store.append('a', event(5))
    await store.append('c', [event(6), event(7)])
    await store.close()
    edit(chunkPath(directory, 0), bytes => {
      // The second append begins behind the first; its second event is hit, and the first of the last append.
      const size = bytes.readUInt32LE(ack.position)
      const second = ack.position + size
      const third = second + bytes.readUInt32LE(second)
      bytes[third + 50]! ^= 1
      const last = bytes.lastIndexOf(Buffer.from('cPlaced'))
      bytes[last]! ^= 1
      return undefined
    })
    const report = await repair(directory)
    expect(
      (await eventsOf(report.copy)).map(({ stream, revision, data }) => [stream, revision, (data as { i: number }).i]),
    ).toEqual([
      ['a', 0, 0],
      ['b', 0, 4],
      ['a', 1, 5],
    ])
    expect(report.droppedEvents).toBe(3)
    expect(report.changedStreams).toEqual([
      { stream: 'a', lost: [{ from: 1, to: 3 }], lostCount: 3, keptCount: 2 },
      { stream: 'c', lost: [{ from: 0, to: 1 }], lostCount: 2, keptCount: 0 },
    ])
  })

  test('of a store with a damaged header, a damaged footer, a foreign chunk and a torn tail', async () => {
    const directory = await storeWith(300)
    flipBit(chunkPath(directory, 1), 40)
    flipBit(chunkPath(directory, 2), readFileSync(chunkPath(directory, 2)).length - 3)
    const { values } = await runJson<{ end: number }>(['verify', directory])
    const torn = tearTail(directory, values[0]!.end)
    copyChunk(await storeWith(100), 0, chunkPath(directory, 77))
    const report = await repair(directory)
    expect(report).toMatchObject({ status: 0, events: 300, changedStreams: [] })
    expect(report.lost.map(({ kind }) => kind)).toEqual(['foreign chunk', 'record'])
    expect(report.lost[1]).toMatchObject({ ...torn, what: expect.stringContaining('a torn tail') })
  })

  test('of a store that is open copies what is durable', async () => {
    const directory = join(temporaryDirectory(), 'store')
    const store = await EventStore.open(directory, { chunkSizeBytes: 4096 })
    for (let i = 0; i < 50; i++) await store.append('a', event(i))
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(await repair(directory)).toMatchObject({ status: 0, events: 50, lostCount: 0 })
    await store.close()
  })

  test('without --accept-loss says in one line what it would do', async () => {
    const directory = await storeWith(3)
    const copy = join(temporaryDirectory(), 'copy')
    const { status, stdout, stderr } = await run(['repair', directory, copy])
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toMatch(/^tailrace repair: would copy .*--accept-loss.*\n$/)
    expect(() => readFileSync(copy)).toThrow('ENOENT')
  })

  test('refuses a copy that is not empty, lies in the store, or is a file; and a store that is none', async () => {
    const directory = await storeWith(3)
    const before = contentOf(directory)
    const full = temporaryDirectory()
    writeFileSync(join(full, 'x'), '')
    const refused = async (from: string, to: string): Promise<string> => {
      const { status, stderr } = await run(['repair', '--accept-loss', from, to])
      expect(status).toBe(2)
      return stderr
    }
    expect(await refused(directory, full)).toContain('is not empty')
    expect(await refused(directory, directory)).toContain('is not empty')
    expect(await refused(directory, join(directory, 'sub', 'copy'))).toContain('lies in the store')
    expect(await refused(directory, join(full, 'x'))).toContain('is a file')
    expect(await refused(join(full, 'none'), join(full, 'copy'))).toContain('does not exist')
    expect(await refused(full, join(full, 'copy'))).toContain('is no store')
    expect(contentOf(directory)).toEqual(before)
    const empty = join(full, 'empty')
    mkdirSync(empty)
    expect((await run(['repair', '--accept-loss', directory, empty])).status).toBe(0)
  })
})
