/** A disk that can't read some sectors any more (EIO): what stands around them is looked at, and copied. */
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { describe, expect, test } from 'vitest'
import type { SalvageReport } from '../../tools/salvage.ts'
import type { Damage } from '../../tools/survey/damage.ts'
import { chunkNames, event, loseSectors, run, runJson, temporaryDirectory } from './scenes.ts'

const CHUNK_SIZE = 64 * 1024
const EVENT_COUNT = 2000

interface Shown {
  readonly kind: string
  readonly position: number
  readonly size: number
  readonly stream?: string
  readonly damage?: Damage
}

interface Verified {
  readonly eventCount: number
  readonly tail: unknown
  readonly damages: readonly Damage[]
}

/** A closed store of three chunks. */
async function store(): Promise<string> {
  const directory = join(temporaryDirectory(), 'store')
  const opened = await EventStore.open(directory, { chunkSizeBytes: CHUNK_SIZE })
  await Promise.all(Array.from({ length: EVENT_COUNT }, (_, i) => opened.append(`order-${i % 3}`, event(i))))
  await opened.close()
  return directory
}

async function inspected(path: string): Promise<readonly Shown[]> {
  return (await runJson<Shown>(['inspect', path, '--limit', '0'])).values
}

const eventsIn = (items: readonly Shown[]) => items.filter(({ kind, stream }) => kind === 'record' && stream !== undefined)

const lost = { kind: 'record', what: expect.stringMatching(/^4096 bytes of it can't be read: Error: EIO/) }

/** Which events a sector has a part of. */
function eventsInSector(items: readonly Shown[], chunk: number, sector: number): number {
  const from = chunk * CHUNK_SIZE + sector
  return eventsIn(items).filter(({ position, size }) => position < from + 4096 && position + size > from).length
}

const allSectors = Array.from({ length: CHUNK_SIZE / 4096 }, (_, i) => i * 4096)

describe('a sector amid a completed chunk that is lost', () => {
  const SECTOR = 8 * 4096

  test('is shown, with all records around it', async () => {
    const directory = await store()
    const name = chunkNames(directory)[1]!
    const before = await inspected(directory)
    loseSectors(join(directory, name), [SECTOR])
    const after = await inspected(directory)
    expect(after.flatMap(({ damage }) => damage ?? [])).toContainEqual(expect.objectContaining({ ...lost, file: name }))
    expect(eventsIn(after)).toHaveLength(EVENT_COUNT - eventsInSector(before, 1, SECTOR))
    expect((await run(['inspect', join(directory, name)])).status).toBe(1)
  })

  test('is one of the damages of the store, beside its block and the revisions that it held', async () => {
    const directory = await store()
    const name = chunkNames(directory)[1]!
    loseSectors(join(directory, name), [SECTOR])
    const { status, values } = await runJson<Verified>(['verify', directory])
    expect(status).toBe(1)
    const { damages } = values[0]!
    expect(damages.filter(({ kind }) => kind === 'record')).toEqual([expect.objectContaining({ ...lost, file: name })])
    expect(new Set(damages.map(({ kind }) => kind))).toEqual(new Set(['record', 'block', 'revision']))
  })

  test('takes no more events with it into a copy than had bytes in it', async () => {
    const directory = await store()
    const before = await inspected(directory)
    loseSectors(join(directory, chunkNames(directory)[1]!), [SECTOR])
    const copy = join(temporaryDirectory(), 'copy')
    const { status, values } = await runJson<SalvageReport>(['repair', '--accept-loss', directory, copy])
    expect(status).toBe(0)
    expect(values[0]).toMatchObject({ events: EVENT_COUNT - eventsInSector(before, 1, SECTOR), lostCount: 1 })
    expect(values[0]!.lost).toEqual([expect.objectContaining(lost)])
  })
})

test('a lost sector with the header of a chunk takes that and the records in it, and no more', async () => {
  const directory = await store()
  const name = chunkNames(directory)[1]!
  const before = await inspected(directory)
  loseSectors(join(directory, name), [0])
  const after = await inspected(directory)
  const damages = after.flatMap(({ damage }) => damage ?? [])
  expect(damages).toContainEqual(
    expect.objectContaining({
      file: name,
      kind: 'header',
      what: expect.stringContaining("bytes of it can't be read: Error: EIO"),
    }),
  )
  expect(eventsIn(after)).toHaveLength(EVENT_COUNT - eventsInSector(before, 1, 0))
})

test('a lost sector at the end of the log is damage, and no torn tail', async () => {
  const directory = await store()
  const name = chunkNames(directory).at(-1)!
  const before = await inspected(directory)
  const end = Math.max(...before.filter(({ kind }) => kind === 'record').map(({ position, size }) => position + size))
  loseSectors(join(directory, name), [(end % CHUNK_SIZE) - 1])
  const { status, values } = await runJson<Verified>(['verify', directory])
  expect(status).toBe(1)
  expect(values[0]!.tail).toBeNull()
  expect(values[0]!.damages).toContainEqual(
    expect.objectContaining({ file: name, kind: 'record', what: expect.stringContaining("can't be read: Error: EIO") }),
  )
})

test('a chunk that lost all of its sectors is left out of a copy, and the others are in it', async () => {
  const directory = await store()
  const second = chunkNames(directory)[1]!
  const before = await inspected(directory)
  loseSectors(join(directory, second), allSectors)
  const copy = join(temporaryDirectory(), 'copy')
  const { status, values } = await runJson<SalvageReport>(['repair', '--accept-loss', directory, copy])
  const inSecond = eventsIn(before).filter(({ position }) => Math.floor(position / CHUNK_SIZE) === 1)
  expect(status).toBe(0)
  expect(values[0]).toMatchObject({ events: EVENT_COUNT - inSecond.length })
})

test('beyond 1,024 lost sectors the rest of a file is unreadable', async () => {
  const directory = join(temporaryDirectory(), 'store')
  const opened = await EventStore.open(directory)
  const large = { type: 'Placed', data: Buffer.alloc(1024 * 1024) }
  for (let i = 0; i < 8; i++) await opened.append('order-1', large)
  await opened.close()
  const [name] = chunkNames(directory)
  loseSectors(
    join(directory, name!),
    Array.from({ length: 1100 }, (_, i) => (600 + i) * 4096),
  )
  const unreadable = expect.objectContaining({ file: name, kind: 'unreadable', what: expect.stringContaining('EIO') })
  const items = await inspected(directory)
  expect(eventsIn(items)).toHaveLength(2)
  expect(items.flatMap(({ damage }) => damage ?? [])).toEqual([unreadable])
  expect((await runJson<Verified>(['verify', directory])).values[0]!.damages).toContainEqual(unreadable)
})

test('an index file that lost a sector is damaged, and the log is whole', async () => {
  const directory = await store()
  const { values } = await runJson<{ indexFiles: { file: string }[] }>(['verify', directory])
  const { file } = values[0]!.indexFiles[0]!
  loseSectors(join(directory, file), [0])
  const verified = await runJson<{ indexFiles: { file: string; state: string }[] }>(['verify', directory])
  expect(verified.status).toBe(0)
  expect(verified.values[0]!.indexFiles).toContainEqual(expect.objectContaining({ file, state: 'damaged' }))
  expect((await run(['inspect', join(directory, file)])).status).toBe(1)
})
