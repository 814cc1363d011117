import { MIB } from '../../../src/core/limits.ts'
import { EventStore } from '../../../src/store/event-store.ts'
import type { StoreOptions } from '../../../src/store/options.ts'
import { powerCut } from '../../support/crash-states.ts'
import type { DiskOperation } from '../../support/faults.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { rejectionOf, stateOf } from '../../support/promises.ts'
import { SimulatedDisk } from '../../support/simulated-disk.ts'
import { changed, DIRECTORY, fileOf } from '../../support/store-content.ts'

/** What is promised of acks, order and outcomes, each put to the test while calls to the disk are held in flight. */

const event = (size = 100, type = 'OrderPlaced') => ({ type, data: Buffer.alloc(size, 1) })

function must(holds: boolean, promise: string): asserts holds {
  if (!holds) throw new Error(promise)
}

async function open(disk: SimulatedDisk, options: StoreOptions = {}): Promise<EventStore> {
  return EventStore.openOn(disk, DIRECTORY, { clock: new ManualClock(), ...options })
}

async function countIn(store: EventStore): Promise<number> {
  let count = 0
  for await (const batch of store.readAll().batches()) count += batch.length
  return count
}

async function ackWaitsFor(op: DiskOperation, size: number): Promise<void> {
  const disk = new SimulatedDisk()
  const store = await open(disk, { chunkSizeBytes: 8 * MIB })
  const held = disk.hold(op, { path: '.chunk' })
  const ack = store.append('orders', event(size))
  must((await stateOf(ack)) === 'pending' && held.isReached, `I1: an append of ${size} bytes is acked before its ${op} returned`)
  must((await countIn(store)) === 0, `I8: an append of ${size} bytes is read before its ${op} returned`)
  held.release()
  await ack
  must((await countIn(store)) === 1, 'an acked event is not read')
  await store.close()
}

async function laterGroupWaitsForItsOwnFlush(): Promise<void> {
  const disk = new SimulatedDisk()
  const store = await open(disk)
  const first = disk.hold('writeDurably', { path: '.chunk', nth: 1 })
  const second = disk.hold('writeDurably', { path: '.chunk', nth: 2 })
  const early = store.append('orders', event())
  await first.reached
  const late = store.append('orders', event())
  must((await stateOf(late)) === 'pending', 'I1: an append is acked before any flush')
  first.release()
  must((await stateOf(early)) === 'resolved', 'an append whose flush returned is not acked')
  must((await stateOf(late)) === 'pending', 'I1: an append is acked by the flush of the group before it')
  must((await countIn(store)) === 1, 'I8: what is being flushed is read')
  second.release()
  await late
  await store.close()
}

async function verdictWaits(): Promise<void> {
  const disk = new SimulatedDisk()
  const store = await open(disk)
  const flush = disk.hold('writeDurably', { path: '.chunk' })
  const append = store.append('orders', event(), { expectedRevision: 'no_stream' })
  const wrong = rejectionOf<{ code: string }>(store.append('orders', event(), { expectedRevision: 'no_stream' }))
  const second = store.append('orders', event(), { expectedRevision: 0 })
  await flush.reached
  must((await stateOf(wrong)) === 'pending', 'a rejection is told before what it rests on is flushed')
  flush.release()
  await append
  must((await wrong).code === 'WRONG_EXPECTED_REVISION', 'two appends at one expected revision')
  must((await second).firstRevision === 1, 'I5: a revision is worked out before the append in front has got its own')
  await store.close()
}

async function abortIsUnknown(): Promise<void> {
  const disk = new SimulatedDisk()
  const store = await open(disk)
  const flush = disk.hold('writeDurably', { path: '.chunk' })
  const stop = new AbortController()
  const append = rejectionOf<{ outcome: string }>(store.append('orders', event(), { signal: stop.signal }))
  await flush.reached
  stop.abort()
  must((await append).outcome === 'unknown', 'an abort of what is on its way to the disk is told as a rejection')
  flush.release()
  await settle()
  must((await countIn(store)) === 1, 'what was aborted too late is not there')
  await store.close()
}

async function timeNeverGoesBack(): Promise<void> {
  const clock = new ManualClock()
  const disk = new SimulatedDisk()
  const store = await open(disk, { clock })
  await store.append('orders', event())
  const now = clock.now()
  clock.now = () => now - 3_600_000
  await store.append('orders', event())
  let last = 0
  for await (const { created } of store.readAll()) {
    must(created.getTime() >= last, 'I18: an event is older than the one before it')
    last = created.getTime()
  }
  await store.close()
  const again = await open(disk, { clock })
  await again.append('orders', event())
  for await (const { created } of again.readAll({ direction: 'backwards', maxCount: 1 })) {
    must(created.getTime() >= last, 'after a restart an event is older than the one before it')
  }
  await again.close()
}

async function boundsHold(): Promise<void> {
  const disk = new SimulatedDisk()
  const store = await open(disk, { maxPendingBytes: MIB, maxPendingAppends: 100 })
  const flush = disk.hold('writeDurably', { path: '.chunk' })
  const first = store.append('orders', event(600 * 1024))
  const second = rejectionOf<{ code: string }>(store.append('orders', event(600 * 1024)))
  must((await second).code === 'QUEUE_FULL', 'more bytes are pending than are allowed')
  flush.release()
  await first
  await store.close()
}

async function oneOwner(): Promise<void> {
  const disk = new SimulatedDisk()
  const store = await open(disk)
  const before = disk.log.length
  const reads = disk.callCount('read')
  const second = await rejectionOf<{ code: string }>(open(disk))
  must(second.code === 'STORE_LOCKED', `a second opener gets ${second.code}`)
  must(disk.callCount('read') === reads, 'the files are read before the lock is taken')
  must(!disk.log.slice(before).some(({ kind }) => 'write truncate remove rename'.includes(kind)), 'a second opener writes')
  await store.append('orders', event())
  await store.close()
}

async function acksInOrder(): Promise<void> {
  const disk = new SimulatedDisk({ seed: 7, shuffle: true })
  const store = await open(disk, { chunkSizeBytes: 8192 })
  const told: number[] = []
  const stream = 'orders'
  const appends = Array.from({ length: 200 }, async (_, index) => {
    await store.append(stream, event(index % 300), index % 7 === 3 ? { expectedRevision: 10_000 } : {}).catch(() => {})
    told.push(index)
  })
  const seen: number[] = []
  const stop = new AbortController()
  const following = (async () => {
    for await (const { revision } of store.subscribe({ stream, signal: stop.signal })) seen.push(revision)
  })().catch(() => {})
  await Promise.all(appends)
  await settle()
  stop.abort()
  await following
  must(
    told.every((index, at) => index === at),
    'I13: acks and rejections of one stream come out of order',
  )
  must(
    seen.every((revision, at) => revision === at),
    'I13: a subscription skips an event, or shows one twice',
  )
  await store.close()
}

async function retryAfterRestart(): Promise<void> {
  const disk = new SimulatedDisk()
  const retried = { ...event(), id: '8b0f6a4e-5c1d-4d0b-9a3e-7f21c6d48e90' }
  const first = await open(disk)
  const ack = await first.append('orders', retried)
  await first.append('orders', event())
  await first.close()
  const second = await open(disk)
  const again = await second.append('orders', retried)
  must(again.duplicate && again.position === ack.position, 'I7: after a restart, a retry is appended once more')
  must((await countIn(second)) === 2, 'I7: a retry is there twice')
  await second.close()
}

/** Without a close nothing of the index was written: the ids come from the records themselves. */
async function retryAfterKill(): Promise<void> {
  const disk = new SimulatedDisk()
  const retried = { ...event(), id: '8b0f6a4e-5c1d-4d0b-9a3e-7f21c6d48e90' }
  const killed = await open(disk)
  const ack = await killed.append('orders', retried)
  await killed.append('orders', event())
  const store = await open(new SimulatedDisk({ content: disk.snapshot() }))
  const again = await store.append('orders', retried)
  must(again.duplicate && again.position === ack.position, 'I7: after a kill, a retry is appended once more')
  must((await countIn(store)) === 2, 'I7: a retry is there twice')
  await store.close()
}

/**
 * Two appends in one group, of which a power cut kept the second alone. The next process finds neither, and takes the first once
 * more, which fits exactly in front of the second: what nobody has seen must not be there all at once behind a kill.
 */
async function cutOffStaysAway(): Promise<void> {
  const disk = new SimulatedDisk()
  const store = await open(disk)
  const write = disk.hold('writeDurably', { path: '.chunk' })
  const lost = [event(1000, 'Torn'), event(100, 'BehindTorn')].map(event => store.append('orders', event).catch(() => {}))
  await write.reached
  const remains = changed(powerCut(disk, 'all').snapshot(), fileOf(0), bytes => bytes.fill(0, 512, 1024))
  write.release()
  await Promise.all(lost)
  await store.close()
  const recovered = new SimulatedDisk({ content: remains })
  const second = await open(recovered)
  must((await countIn(second)) === 0, 'I4: half of a group is there after a power cut')
  await second.append('orders', event(1000, 'Torn'))
  const third = await open(new SimulatedDisk({ content: recovered.snapshot() }))
  must((await countIn(third)) === 1, 'I4: what a recovery did not find is there after the next one')
  await third.close()
}

async function allSettlesWhenTheWriterFails(): Promise<void> {
  const disk = new SimulatedDisk()
  const store = await open(disk)
  disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO' })
  const writesBefore = disk.callCount('writeDurably')
  const appends = [1, 2, 3].map(() => rejectionOf<{ code: string; outcome: string }>(store.append('orders', event())))
  for (const append of appends) must((await append).code === 'WRITER_FAILED', 'F9: a failed sync is told as something else')
  must((await appends[0]!).outcome === 'unknown', 'F9: what may be there is told as rejected')
  const late = await rejectionOf<{ code: string; outcome: string }>(store.append('orders', event()))
  must(late.code === 'WRITER_FAILED' && late.outcome === 'rejected', 'F9: appends go on behind a failed sync')
  must(disk.callCount('writeDurably') === writesBefore + 1, 'F9: a failed sync is tried again')
  await store.close()
}

export const PROMISES: Readonly<Record<string, () => Promise<void>>> = {
  'no ack before the durable write of a small group returned': () => ackWaitsFor('writeDurably', 100),
  'no ack before the durable write of a group that grows the file returned': () => ackWaitsFor('writeDurably', 300 * 1024),
  'no ack before the write of a large group returned': () => ackWaitsFor('write', 1280 * 1024),
  'no ack before the sync of a large group returned': () => ackWaitsFor('datasync', 1280 * 1024),
  'an ack waits for the flush of its own group': laterGroupWaitsForItsOwnFlush,
  'a rejection waits for what it rests on': verdictWaits,
  'an abort of what is on its way has the outcome unknown': abortIsUnknown,
  'the time of events never goes back, whatever the clock does': timeNeverGoesBack,
  'what is pending is bounded in bytes': boundsHold,
  'one owner at a time, and nobody else touches a file': oneOwner,
  'acks, rejections and subscriptions keep the order of a stream': acksInOrder,
  'a retry after a restart finds its first copy': retryAfterRestart,
  'a retry after a kill finds its first copy': retryAfterKill,
  'what a recovery did not find never comes back': cutOffStaysAway,
  'after a failed sync every append settles, and nothing is written any more': allSettlesWhenTheWriterFails,
}

/** @returns what is broken; null when the promise holds. */
export async function checkPromise(name: string): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('I11: it never ends')), 10_000)
  })
  try {
    await Promise.race([PROMISES[name]!(), late])
    return null
  } catch (error) {
    return `${name}: ${(error as Error).message}`
  } finally {
    clearTimeout(timer)
  }
}
