import { afterEach, expect, test, vi } from 'vitest'
import { LogPosition } from '../../src/core/positions.ts'
import { EventStore, WriterFailedError, WrongExpectedRevisionError } from '../../src/index.ts'
import { PendingAppend, PendingAppends } from '../../src/store/pending-appends.ts'
import { CachedHead } from '../../src/streams/cached-head.ts'
import { StreamIndex } from '../../src/streams/stream-index.ts'

afterEach(() => vi.restoreAllMocks())

const EVENT = { type: 'T', data: 'x' }

/** From the second append on, the chaser comes to grief over what it passes on. */
async function storeWhoseChaserFails(): Promise<EventStore> {
  const store = await EventStore.inMemory()
  await store.append('orders', EVENT)
  vi.spyOn(StreamIndex.prototype, 'committedAppend').mockImplementation(() => {
    throw new Error('no further')
  })
  return store
}

async function reasons(promises: Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(promises)
  return settled.map(result => (result.status === 'rejected' ? result.reason : result.value))
}

test('when the chaser fails, what was written and not published is in doubt, and everybody is told', async () => {
  const store = await storeWhoseChaserFails()
  const told = await reasons([
    store.append('orders', EVENT),
    store.append('orders', [EVENT, EVENT]),
    store.commit([{ stream: 'invoices', events: [EVENT] }]),
  ])
  for (const error of told) {
    expect(error).toBeInstanceOf(WriterFailedError)
    expect(error).toMatchObject({ outcome: 'unknown' })
  }
  await expect(store.append('orders', EVENT)).rejects.toMatchObject({ code: 'WRITER_FAILED', outcome: 'rejected' })
  await store.close()
})

test('when the chaser fails, a refusal that rests on what was not published is none that holds', async () => {
  const store = await storeWhoseChaserFails()
  const [written, refused] = await reasons([
    store.append('orders', EVENT),
    store.append('orders', EVENT, { expectedRevision: 0 }),
  ])
  expect(written).toMatchObject({ outcome: 'unknown' })
  expect(refused).not.toBeInstanceOf(WrongExpectedRevisionError)
  expect(refused).toMatchObject({ code: 'WRITER_FAILED', outcome: 'rejected' })
  await store.close()
})

test('when the chaser has failed, reads go on with what was published', async () => {
  const store = await storeWhoseChaserFails()
  await reasons([store.append('orders', EVENT)])
  const revisions: number[] = []
  for await (const { revision } of store.readStream('orders')) revisions.push(revision)
  expect(revisions).toEqual([0])
  await store.close()
})

test('when the chaser fails behind the writer, who was told to be in doubt stays so', async () => {
  const pending = new PendingAppends(() => {})
  const told = reasons([100, 400, 600].map(end => written(pending, end)))
  pending.fail(LogPosition.of(500), new Error('the disk'))
  pending.fail(LogPosition.of(100), new Error('no further'))
  pending.settle(LogPosition.of(100))
  const [acked, ...inDoubt] = await told
  expect(acked).toMatchObject({ stream: 'orders' })
  for (const error of inDoubt) expect(error).toMatchObject({ code: 'WRITER_FAILED', outcome: 'unknown' })
})

/** An append that the writer has put in front of `end`. */
function written(pending: PendingAppends, end: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const head = new CachedHead('orders', Buffer.from('orders'))
    const append = new PendingAppend(head, 'any', Buffer.from('T'), 'x', undefined, undefined, [], null, resolve, reject)
    append.settlesAt = LogPosition.of(end)
    pending.add(append)
  })
}
