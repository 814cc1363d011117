import { describe, expect, test } from 'vitest'
import { MIB } from '../../src/core/limits.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { ManualClock, settle, stillClock } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import {
  all,
  appendEach,
  DIRECTORY,
  numbers,
  openStore,
  order,
  orders,
  positions,
  rejectionOf,
  SMALL_CHUNKS,
  sized,
  upTo,
} from './words.ts'

/** A writer whose hint is written when the test says so, and a reader that follows it. */
async function writerAndReader() {
  const disk = new SimulatedDisk()
  const clock = new ManualClock()
  const writer = await openStore(disk, { ...SMALL_CHUNKS, clock })
  const hinted = async () => {
    await settle()
    clock.advance(10)
    await settle()
  }
  await hinted()
  const reader = await openStore(disk, { readOnly: true })
  const end = async () => {
    await reader.close()
    await writer.close()
  }
  return { disk, clock, writer, reader, hinted, end }
}

describe('a store that is open for reading', () => {
  test.each(['EACCES', 'EPERM'])('says that it may not read a file (%s), not that it can not write', async error => {
    const { disk, end } = await writerAndReader()
    const fault = disk.failNext({ op: 'open', path: '.chunk', error })
    expect(await rejectionOf(openStore(disk, { readOnly: true }))).toMatchObject({
      code: 'READ_FAILED',
      message: expect.stringContaining(`${DIRECTORY} cannot be read: `),
      cause: { code: error },
    })
    fault.clear()
    await end()
  })

  test('reads what another one writes, as soon as that is known to be durable', async () => {
    const { writer, reader, hinted, end } = await writerAndReader()
    for (const number of upTo(20)) {
      const { position } = await writer.append('order-42', order(number))
      await hinted()
      expect(await numbers(reader.readStream('order-42'))).toEqual(upTo(number + 1))
      expect(await reader.head('order-42')).toBe(number)
      expect(reader.lastPosition).toBe(position)
    }
    await end()
  })

  test('follows over a roll-over, and another, and another', async () => {
    const { writer, reader, hinted, end } = await writerAndReader()
    for (const turn of upTo(12)) {
      await Promise.all([appendEach(writer, 's', orders(20, 20 * turn)), writer.append('big', sized(2000))])
      await hinted()
      expect(await numbers(reader.readStream('s'))).toEqual(upTo(20 * (turn + 1)))
      expect(await positions(reader.readAll())).toEqual(await positions(writer.readAll()))
      expect(await positions(reader.readAll({ direction: 'backwards' }))).toEqual(
        await positions(writer.readAll({ direction: 'backwards' })),
      )
    }
    expect(writer.lastPosition).toBeGreaterThan(8 * 4096)
    await end()
  })

  test('knows where streams end of which a chunk that was rewritten before it came by remembers no more', async () => {
    const { writer, reader, hinted, end } = await writerAndReader()
    await writer.append('first', order(0))
    await writer.scavenge()
    await writer.append('half', orders(3))
    await writer.append('gone', order(0))
    await writer.erase('half', 2)
    await writer.erase('gone', 0)
    await writer.scavenge()
    await hinted()
    expect([await reader.head('half'), await reader.head('gone')]).toEqual([2, 0])
    expect(await numbers(reader.readStream('half'))).toEqual([0, 1])
    expect(await numbers(reader.readStream('gone'))).toEqual([])
    expect(reader.lastPosition).toBe(writer.lastPosition)
    await end()
  })

  test('sees each state of a roll-over, and is never ahead of what is durable', async () => {
    for (const op of ['write', 'truncate', 'datasync', 'writeDurably', 'rename', 'syncDirectory'] as const) {
      const { disk, writer, reader, hinted, end } = await writerAndReader()
      let acked = 0
      for (let turn = 0; turn < 40; turn++) {
        const held = disk.hold(op, { path: DIRECTORY, nth: 1 + (turn % 3) })
        const appending = writer.append('s', sized(900)).then(() => {
          acked++
        })
        await settle(4)
        const seen = (await all(reader.readAll())).length
        expect(seen, `${op} held`).toBeLessThanOrEqual(acked)
        held.release()
        await appending
      }
      await hinted()
      expect((await all(reader.readAll())).length).toBe(40)
      await end()
    }
  })

  test('believes the hint and what records prove, nothing else', async () => {
    const disk = new SimulatedDisk()
    const writer = await openStore(disk, { clock: stillClock })
    await writer.append('s', order(0))
    await writer.append('s', order(1))
    // The second record proves the first; nothing proves the second, and the clock of the hint stands still.
    const reader = await openStore(new MemoryDisk(disk.snapshot()), { readOnly: true })
    expect((await all(reader.readAll())).length).toBe(1)
    expect(reader.recovery).toMatchObject({ clean: false, events: 1, truncatedBytes: 0 })
    await reader.close()
    await writer.close()
  })

  test('reads on without a hint, by what records prove', async () => {
    const disk = new SimulatedDisk()
    const writer = await openStore(disk, { clock: stillClock })
    await appendEach(writer, 's', orders(10))
    await writer.close()
    const content = disk.snapshot()
    content.delete(`${DIRECTORY}/flushed`)
    const reader = await openStore(new MemoryDisk(content), { readOnly: true })
    expect(await numbers(reader.readStream('s'))).toEqual(upTo(10))
    await reader.close()
  })

  test('follows without a hint over roll-overs, by what records and footers prove', async () => {
    const disk = new SimulatedDisk()
    // The clock of the hint stands still: it is never written.
    const writer = await openStore(disk, { ...SMALL_CHUNKS, clock: stillClock })
    await writer.append('s', order(0))
    const reader = await openStore(disk, { readOnly: true })
    for (const turn of upTo(5)) {
      for (const number of upTo(20)) await writer.append('s', order(20 * turn + number + 1))
      expect(await numbers(reader.readStream('s'))).toEqual(upTo(20 * turn + 20))
    }
    await reader.close()
    await writer.close()
  })

  test.each([
    ['in one chunk', { chunkSizeBytes: MIB }],
    ['over roll-overs', SMALL_CHUNKS],
  ])('sees of a writer that was killed as much as one that is opened afterwards (%s)', async (_, options) => {
    const disk = new SimulatedDisk()
    const [writing, reading] = [new ManualClock(), new ManualClock()]
    const writer = await openStore(disk, { ...options, clock: writing })
    await writer.append('s', order(0))
    await settle()
    writing.advance(10)
    await settle()
    const reader = await openStore(disk, { readOnly: true, clock: reading })
    expect(await numbers(reader.readStream('s'))).toEqual([0])
    // Acknowledged, and the writer is gone before its hint says so.
    for (const number of upTo(40)) await writer.append('s', order(number + 1))
    const fresh = await openStore(new MemoryDisk(disk.snapshot()), { readOnly: true })
    const proven = await numbers(fresh.readStream('s'))
    expect(proven).toEqual(upTo(40))
    await fresh.close()
    reading.advance(1000)
    disk.failNext({ op: 'read', path: '.chunk', error: 'EIO' })
    expect(await rejectionOf(reader.head('s'))).toMatchObject({ code: 'READ_FAILED' })
    expect(await numbers(reader.readStream('s'))).toEqual(proven)
    // Soon afterwards, nothing but the hint is looked at.
    const before = disk.callCount('read')
    for (const _ of upTo(5)) {
      reading.advance(10)
      await reader.head('s')
    }
    expect(disk.callCount('read') - before).toBe(5)
    await reader.close()
    await writer.close()
  })

  test('sees what a writer that was killed had written behind a hint that had long stood still', async () => {
    const disk = new SimulatedDisk()
    const [writing, reading] = [new ManualClock(), new ManualClock()]
    const writer = await openStore(disk, { clock: writing })
    await writer.append('s', order(0))
    await settle()
    writing.advance(10)
    await settle()
    const reader = await openStore(disk, { readOnly: true, clock: reading })
    for (const _ of upTo(10)) {
      reading.advance(1000)
      expect(await reader.head('s')).toBe(0)
    }
    for (const number of upTo(5)) await writer.append('s', order(number + 1))
    reading.advance(1000)
    // Each record proves those of the flushes before it.
    expect(await reader.head('s')).toBe(4)
    await reader.close()
    await writer.close()
  })

  test('looks but once at records that nothing proves', async () => {
    const disk = new SimulatedDisk()
    const clock = new ManualClock()
    const writer = await openStore(disk, { durability: 'memory', clock: stillClock })
    const reader = await openStore(disk, { readOnly: true, clock })
    for (const _ of upTo(5)) await writer.append('s', sized(MIB))
    await settle()
    const readsOfALook = async () => {
      const before = disk.callCount('read')
      clock.advance(1000)
      expect(await reader.head('s')).toBeNull()
      return disk.callCount('read') - before
    }
    const first = await readsOfALook()
    expect(first).toBeGreaterThan(5)
    expect(await readsOfALook()).toBeLessThan(5)
    await reader.close()
    await writer.close()
  })

  test('writes nothing, locks nothing, and leaves the directory as it is', async () => {
    const disk = new SimulatedDisk()
    const writer = await openStore(disk, SMALL_CHUNKS)
    await appendEach(writer, 's', orders(100))
    await settle()
    const before = disk.log.length
    const reader = await openStore(disk, { readOnly: true })
    await all(reader.readAll())
    await reader.close()
    const changes = disk.log.slice(before).filter(entry => entry.kind !== 'done' && entry.kind !== 'mark')
    expect(changes).toEqual([])
    expect(await rejectionOf(openStore(disk))).toMatchObject({ code: 'STORE_LOCKED' })
    await writer.close()
  })

  test('opens while the other one goes on between a look at the log and one at its index', async () => {
    const disk = new MemoryDisk()
    const writer = await openStore(disk, SMALL_CHUNKS)
    await appendEach(writer, 's', orders(10))
    const goOn = async () => {
      await appendEach(writer, 's', orders(190, 10))
      const hasFiles = async () => (await disk.list(DIRECTORY)).some(name => name.endsWith('.index'))
      while (!(await hasFiles())) await settle()
    }
    let lists = 0
    const between = new Proxy(disk, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return async (...args: unknown[]) => {
          if (name === 'list' && ++lists === 2) await goOn()
          return Reflect.apply(member, target, args) as unknown
        }
      },
    })
    const reader = await openStore(between, { readOnly: true })
    expect(lists).toBeGreaterThan(2)
    await expect.poll(() => numbers(reader.readStream('s'))).toEqual(upTo(200))
    await reader.close()
    await writer.close()
  })

  test('says so when what it follows is damaged, to who reads and to who waits', async () => {
    const { disk, writer, reader, hinted, end } = await writerAndReader()
    await writer.append('s', order(0))
    await hinted()
    const following = reader.subscribe({ from: 'start' })
    expect((await following.next()).value).toMatchObject({ data: { number: 0 } })
    const next = rejectionOf(following.next())
    const { position } = await writer.append('s', order(1))
    const file = await disk.open(`${DIRECTORY}/000000.chunk`, 'write')
    await file.write(Buffer.from([0xff]), position + 20)
    await file.close()
    await hinted()
    expect(await rejectionOf(all(reader.readStream('s')))).toMatchObject({ code: 'CORRUPT_LOG', position })
    expect(await next).toMatchObject({ code: 'CORRUPT_LOG', position })
    await end()
  })

  test('does not repair a torn tail, it only does not see it', async () => {
    const disk = new MemoryDisk()
    const writer = await openStore(disk)
    await appendEach(writer, 's', orders(3))
    await writer.close()
    const content = disk.snapshot()
    const chunk = content.get(`${DIRECTORY}/000000.chunk`)!.slice()
    chunk[2000] = 1
    const torn = new MemoryDisk(content.set(`${DIRECTORY}/000000.chunk`, chunk))
    const reader = await openStore(torn, { readOnly: true })
    expect(await numbers(reader.readStream('s'))).toEqual(upTo(3))
    expect(reader.recovery.clean).toBe(false)
    await reader.close()
    expect(torn.snapshot().get(`${DIRECTORY}/000000.chunk`)![2000]).toBe(1)
  })

  test('rejects appends, and never throws them', async () => {
    const { reader, end } = await writerAndReader()
    const appending = reader.append('s', order(0))
    expect(await rejectionOf(appending)).toMatchObject({ code: 'READ_ONLY_STORE', outcome: 'rejected', retryable: false })
    await end()
  })

  test('of which there are several, together with a writer', async () => {
    const { disk, writer, reader, hinted, end } = await writerAndReader()
    const others = await Promise.all(upTo(3).map(() => openStore(disk, { readOnly: true })))
    await appendEach(writer, 's', orders(50))
    await hinted()
    for (const each of [reader, ...others]) expect(await numbers(each.readStream('s'))).toEqual(upTo(50))
    await Promise.all(others.map(other => other.close()))
    await end()
  })

  test('reads on when the writer has closed, and when it is opened again', async () => {
    const disk = new SimulatedDisk()
    const writer = await openStore(disk, SMALL_CHUNKS)
    await appendEach(writer, 's', orders(10))
    const reader = await openStore(disk, { readOnly: true })
    await writer.close()
    expect(await numbers(reader.readStream('s'))).toEqual(upTo(10))
    const again = await openStore(disk, SMALL_CHUNKS)
    await appendEach(again, 's', orders(200, 10))
    await again.close()
    expect(await numbers(reader.readStream('s'))).toEqual(upTo(210))
    await reader.close()
  })

  test('of a large append that spans more than it reads at once', async () => {
    const disk = new SimulatedDisk()
    const writer = await openStore(disk)
    const reader = await openStore(disk, { readOnly: true })
    await writer.append(
      's',
      upTo(5).map(() => sized(700_000)),
    )
    await writer.append(
      's',
      upTo(3).map(() => sized(10)),
    )
    await writer.close()
    const read = await Promise.all(upTo(5).map(() => all(reader.readStream('s'))))
    for (const events of read) expect(events).toHaveLength(8)
    await reader.close()
  })

  test('lets go of every file when it is closed, whichever of them can not be closed', async () => {
    const written = new MemoryDisk()
    const writer = await openStore(written, SMALL_CHUNKS)
    // Completed chunks, index files, and the next chunk beside the active one.
    await appendEach(writer, 's', orders(100))
    while ([...written.snapshot().keys()].filter(path => path.endsWith('.chunk')).length < 4) await writer.append('s', order(0))
    await settle()
    const content = written.snapshot()
    await writer.close()
    const open = async () => {
      const disk = new SimulatedDisk({ content })
      const reader = await openStore(disk, { readOnly: true })
      return { disk, reader, paths: disk.openPaths }
    }
    const { reader, paths } = await open()
    await reader.close()
    expect(new Set(paths.map(path => path.split('.').at(-1)))).toEqual(new Set(['chunk', 'index']))
    for (const path of new Set(paths)) {
      const again = await open()
      again.disk.failNext({ op: 'close', path, error: 'EIO' })
      await again.reader.close().catch(() => {})
      expect(again.disk.openPaths, path).toEqual([])
    }
  })

  test('that can not see how far the writer has got says so to who reads and to who waits, and can be asked again', async () => {
    const { disk, writer, reader, hinted, end } = await writerAndReader()
    await writer.append('s', order(0))
    await hinted()
    const asking = [
      () => reader.head('s'),
      () => all(reader.readStream('s')),
      () => all(reader.readAll()),
      () => reader.subscribe().next(),
    ]
    for (const ask of asking) {
      disk.failNext({ op: 'read', path: 'flushed', error: 'EIO' })
      expect(await rejectionOf(ask())).toMatchObject({ code: 'READ_FAILED', retryable: true, cause: { code: 'EIO' } })
      await ask()
    }
    await end()
  })

  test('that can not read what it comes by says so, and goes on when it is asked again', async () => {
    const { disk, writer, reader, hinted, end } = await writerAndReader()
    for (const turn of upTo(3)) {
      await writer.append('s', order(turn))
      await hinted()
      const fault = disk.failNext({ op: 'read', path: '.chunk', error: 'EIO' })
      expect(await rejectionOf(reader.head('s'))).toMatchObject({ code: 'READ_FAILED', retryable: true })
      expect(fault.fired).toBe(1)
      expect(await numbers(reader.readStream('s'))).toEqual([...upTo(turn + 1)])
    }
    await end()
  })

  test('reads nothing more when it is closed, though a look is under way behind a failed one', async () => {
    const { disk, writer, reader, hinted } = await writerAndReader()
    await writer.append('s', order(0))
    await hinted()
    const fault = disk.failNext({ op: 'read', path: '.chunk', error: 'EIO' })
    await rejectionOf(reader.head('s'))
    expect(fault.fired).toBe(1)
    const look = disk.hold('read', { path: 'flushed' })
    const waiting = reader.subscribe().next()
    await look.reached
    const closed = reader.close()
    await settle()
    const reads = disk.callCount('read')
    look.release()
    await closed
    await waiting.catch(() => {})
    await settle()
    expect(disk.callCount('read')).toBe(reads)
    await writer.close()
  })

  test('opens while a writer removes the next chunk, which it makes in another size', async () => {
    const disk = new SimulatedDisk()
    const before = await openStore(disk, SMALL_CHUNKS)
    await before.append('s', sized(3200))
    await settle()
    await before.close()
    const listed = disk.hold('open', { path: '000001.chunk' })
    const opening = openStore(disk, { readOnly: true })
    await listed.reached
    const writer = await openStore(disk, { chunkSizeBytes: 8192 })
    listed.release()
    const reader = await opening
    expect(await reader.head('s')).toBe(0)
    await reader.close()
    await writer.close()
  })

  test('is refused where there is no store', async () => {
    const disk = new MemoryDisk()
    expect(await rejectionOf(openStore(disk, { readOnly: true }))).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await rejectionOf(disk.list(DIRECTORY))).toMatchObject({ code: 'ENOENT' })
  })
})
