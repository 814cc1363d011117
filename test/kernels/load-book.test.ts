import { describe, expect, test } from 'vitest'
import { KIB } from '../../src/core/limits.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { LoadBook } from './load-book.ts'
import { DOOMED, eventAt, FADING, KEPT } from './load-plan.ts'

const PLAN = { seed: 1, maxPayloadSize: 300 }
const STREAM = `${KEPT}0`

interface Scene {
  readonly store: EventStore
  /** What a load would have said. */
  readonly told: string[]
}

let serialCount = 0

async function append({ store, told }: Scene, stream: string, first: number, count = 1): Promise<void> {
  const serial = `0.${serialCount++}`
  const events = Array.from({ length: count }, (_, part) =>
    eventAt(PLAN, stream, first + part, { serial, part, partCount: count }),
  )
  const { position } = await store.append(stream, events)
  told.push(`+ ${stream} ${first} ${first + count - 1} ${position} ${serial}`)
}

async function scene(): Promise<Scene> {
  const made: Scene = { store: await EventStore.inMemory({ chunkSizeBytes: 64 * KIB }), told: [] }
  await append(made, STREAM, 0)
  await append(made, STREAM, 1, 3)
  await append(made, `${DOOMED}0`, 0)
  await append(made, FADING, 0)
  return made
}

async function findingsIn({ store, told }: Scene, certainCount = told.length): Promise<string[]> {
  const book = new LoadBook(PLAN, { acks: 0, events: 0, lost: 0 })
  book.note(told, certainCount)
  await book.check(store)
  await store.close()
  return book.takeFailures()
}

describe('the book of a load finds nothing', () => {
  test('in a store that has all that was told, and what was not', async () => {
    const made = await scene()
    await append(made, STREAM, 4)
    expect(await findingsIn(made, made.told.length - 1)).toEqual([])
  })

  test('in a stream that someone set out to delete, whether it was or not', async () => {
    for (const isDeleted of [false, true]) {
      const made = await scene()
      made.told.push(`~ delete ${DOOMED}0 1`)
      if (isDeleted) await made.store.delete(`${DOOMED}0`)
      expect(await findingsIn(made)).toEqual([])
    }
  })

  test('in a stream that someone set out to delete twice, and the first time did', async () => {
    const made = await scene()
    await made.store.delete(`${DOOMED}0`)
    const certainCount = made.told.length
    made.told.push(`~ delete ${DOOMED}0 1`, `- delete ${DOOMED}0 1`)
    await append(made, `${DOOMED}0`, 1)
    made.told.push(`~ delete ${DOOMED}0 2`)
    expect(await findingsIn(made, certainCount)).toEqual([])
  })

  test('in a stream that was deleted, and of which a scavenge left nothing', async () => {
    const made = await scene()
    await made.store.delete(`${DOOMED}0`)
    made.told.push(`~ delete ${DOOMED}0 1`, `- delete ${DOOMED}0 1`)
    await made.store.scavenge()
    expect(await findingsIn(made)).toEqual([])
  })
})

const DAMAGES: readonly [string, string, (made: Scene) => unknown][] = [
  ['an event that was told and is not there', 'I1: event 4', ({ told }) => told.push(`+ ${STREAM} 4 4 90000 0.x`)],
  ['an event at another place', 'was at 12345', ({ told }) => told.push(told[0]!.replace(/ \d+ (\S+)$/, ' 12345 $1'))],
  ['an event of another append', 'not 0.other', ({ told }) => told.push(told[0]!.replace(/\S+$/, '0.other'))],
  [
    'an append that was rejected',
    'I4: append',
    ({ told }) => told.push(`x ${STREAM} ${told[0]!.split(' ').at(-1)} DISK_FULL rejected`),
  ],
  ['an event that says something else', 'says something else', made => append(made, STREAM, 5)],
  ['half an append', 'I2', halfAnAppend],
  [
    'a deleted event that is there again',
    'begins at 0',
    ({ told }) => told.push(`~ delete ${DOOMED}0 1`, `- delete ${DOOMED}0 1`),
  ],
  ['a deletion that nobody wanted', 'begins at 1', ({ store }) => store.delete(`${DOOMED}0`)],
  ['an event that nobody wanted to go', 'I1', ({ store }) => store.setMetadata(STREAM, { truncateBefore: 2 })],
  ['a tombstone that was told and is gone', 'I4: tomb-0', ({ told }) => told.push('~ entomb tomb-0 1', '- entomb tomb-0 1')],
  ['a tombstone that nobody wanted', 'nobody wanted', ({ store }) => store.tombstone(STREAM)],
  ['acks out of order', 'I13', ({ told }) => told.reverse()],
  ['what the load itself found', '! I7', ({ told }) => told.push('! I7: sent again')],
]

describe('the book of a load finds', () => {
  test.each(DAMAGES)('%s', async (_, finding, damage) => {
    const made = await scene()
    await damage(made)
    expect((await findingsIn(made)).join('\n')).toContain(finding)
  })
})

async function halfAnAppend({ store }: Scene): Promise<void> {
  await store.append(STREAM, eventAt(PLAN, STREAM, 4, { serial: '0.half', part: 0, partCount: 2 }))
}
