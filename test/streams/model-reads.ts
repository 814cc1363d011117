import { expect } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { EventFilter } from '../../src/streams/event-filter.ts'
import type { Random } from '../support/random.ts'
import { placeOf } from './model-answers.ts'
import type { StoredModelEvent, StoreModel } from './store-model.ts'

/** Reads what is new, and tells the model where it stands: each call's events one behind the other. */
export async function learnPositions(store: EventStore, model: StoreModel): Promise<void> {
  const unknown = new Map(model.events.filter(({ position }) => position === Infinity).map(event => [placeOf(event), event]))
  const seen = new Set<string>()
  let last = ''
  for await (const read of store.readAll({ from: model.lastPosition + 1, includeSystem: true })) {
    const event = unknown.get(placeOf(read))
    if (event === undefined) throw new Error(`the log has an event that nobody wrote: ${placeOf(read)}`)
    unknown.delete(placeOf(read))
    event.position = read.position
    if (event.token === last) continue
    if (seen.has(event.token)) throw new Error(`the events of ${event.token} do not stand together`)
    seen.add(event.token)
    last = event.token
  }
  expect([...unknown.keys()], 'events that the log should have').toEqual([])
  model.settlePositions()
}

/** Makes every kind of read and compares it with the model. @param streams those that are looked at beside the ones there are. */
export async function expectSameReads(
  store: EventStore,
  model: StoreModel,
  streams: readonly string[],
  random: Random,
  nowMs: number,
): Promise<void> {
  expect(store.lastPosition).toBe(model.lastPosition)
  await expectSameLog(store, model, random)
  const names = new Set([...streams, ...streams.map(stream => `$$${stream}`), ...model.streams, '$erased', 'never-written'])
  for (const stream of names) await expectSameStream(store, model, stream, random, nowMs)
  for (const prefix of ['', 'o', 'order', 'order-1', 'nobody']) await expectSameList(store, model, prefix)
}

async function expectSameLog(store: EventStore, model: StoreModel, random: Random): Promise<void> {
  const live = model.events.filter(({ isStub }) => !isStub)
  const whole = await take(store.readAll({ includeSystem: true }))
  expect(whole.map(tell)).toEqual(live.map(tellModel))
  expect(placesOf(await take(store.readAll({ includeSystem: true, direction: 'backwards' })))).toEqual(placesOf(live).reverse())
  for (let turn = 0; turn < 6; turn++) {
    const filter = randomFilter(random, model)
    const includeSystem = random.chance(0.5)
    const direction = random.pick(['forwards', 'backwards'] as const)
    const from = random.pick(['end', random.int(model.lastPosition + 200), pickPosition(random, live)] as const)
    const maxCount = random.chance(0.5) ? random.int(20) : undefined
    const options = { filter, includeSystem, direction, from, maxCount }
    const meant = live.filter(event => isMeant(event, filter) && (includeSystem || !event.stream.startsWith('$')))
    const ordered = direction === 'backwards' ? [...meant].reverse() : meant
    const inRange = ordered.filter(({ position }) => {
      if (from === 'end') return direction === 'backwards'
      return direction === 'backwards' ? position <= from : position >= from
    })
    expect(placesOf(await take(store.readAll(options))), JSON.stringify(options)).toEqual(placesOf(inRange.slice(0, maxCount)))
  }
}

async function expectSameStream(
  store: EventStore,
  model: StoreModel,
  stream: string,
  random: Random,
  nowMs: number,
): Promise<void> {
  const isGone = model.isEmpty(stream)
  expect(await store.head(stream), stream).toBe(isGone ? null : model.headOf(stream))
  const visible = model.visible(stream, nowMs)
  if (!stream.startsWith('$')) {
    expect(await resultOf(store.metadata(stream)), stream).toEqual(
      visible === 'STREAM_DELETED' ? visible : model.settingsOf(stream),
    )
  }
  const forwards = await resultOf(take(store.readStream(stream)))
  if (typeof visible === 'string') {
    expect(forwards, stream).toBe(visible)
    expect(await resultOf(take(store.readStream(stream, { direction: 'backwards' }))), stream).toBe(visible)
    return
  }
  expect((forwards as RecordedEvent[]).map(tell), stream).toEqual(visible.map(tellModel))
  const backwards = await take(store.readStream(stream, { direction: 'backwards' }))
  expect(placesOf(backwards), stream).toEqual(placesOf(visible).reverse())
  const from = random.int(model.headOf(stream) + 3)
  const maxCount = random.int(10)
  const direction = random.pick(['forwards', 'backwards'] as const)
  const expected =
    direction === 'forwards'
      ? visible.filter(({ revision }) => revision >= from)
      : visible.filter(({ revision }) => revision <= from).reverse()
  const part = await take(store.readStream(stream, { from, maxCount, direction }))
  expect(placesOf(part), `${stream} ${direction} from ${from}`).toEqual(placesOf(expected.slice(0, maxCount)))
}

async function expectSameList(store: EventStore, model: StoreModel, prefix: string): Promise<void> {
  const found = await take(store.streams({ prefix }))
  const expected = model.streams
    .filter(stream => !stream.startsWith('$') && stream.startsWith(prefix) && !model.isEmpty(stream))
    .map(stream => ({
      stream,
      firstRevision: Math.max(model.of(stream)[0]!.revision, model.firstKept(stream)),
      lastRevision: model.headOf(stream),
    }))
  expect(found.sort(byName), prefix).toEqual(expected.sort(byName))
}

function randomFilter(random: Random, model: StoreModel): EventFilter | undefined {
  const streams = model.streams
  if (streams.length === 0 || random.chance(0.2)) return undefined
  const filter = {
    ...(random.chance(0.4) && { streams: random.shuffle(streams).slice(0, 1 + random.int(3)) }),
    ...(random.chance(0.3) && { streamPrefix: random.pick(['o', 'order', 'order-1', '$$', 'ü', 'z']) }),
    ...(random.chance(0.4) && { types: random.pick([['Placed'], ['Paid', 'Shipped'], ['Nothing']]) }),
    ...(random.chance(0.3) && { typePrefix: random.pick(['Plac', 'P', '$', 'Placed']) }),
  }
  return filter
}

/** A stream is meant by its name or its prefix, a type likewise, an event by both. */
function isMeant({ stream, type }: StoredModelEvent, filter: EventFilter = {}): boolean {
  const { streams, streamPrefix, types, typePrefix } = filter
  const isStream =
    (streams === undefined && streamPrefix === undefined) ||
    (streams?.includes(stream) ?? false) ||
    (streamPrefix !== undefined && stream.startsWith(streamPrefix))
  const isType =
    (types === undefined && typePrefix === undefined) ||
    (types?.includes(type) ?? false) ||
    (typePrefix !== undefined && type.startsWith(typePrefix))
  return isStream && isType
}

function pickPosition(random: Random, live: readonly StoredModelEvent[]): number {
  return live.length === 0 ? 0 : random.pick(live).position
}

function tell({ stream, revision, position, type, data, created }: RecordedEvent) {
  return { stream, revision, position, type, data, createdMs: created.getTime() }
}

function tellModel({ stream, revision, position, type, data, createdMs }: StoredModelEvent) {
  return { stream, revision, position, type, data, createdMs }
}

function placesOf(
  events: readonly { readonly stream: string; readonly revision: number; readonly position: number }[],
): string[] {
  return events.map(({ stream, revision, position }) => `${position}: ${revision}@${stream}`)
}

export async function take<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of iterable) items.push(item)
  return items
}

async function resultOf<T>(promise: Promise<T>): Promise<T | string> {
  try {
    return await promise
  } catch (error) {
    const { code } = error as { code?: string }
    if (code !== 'STREAM_DELETED' && code !== 'STREAM_NOT_FOUND') throw error
    return code
  }
}

function byName(one: { readonly stream: string }, other: { readonly stream: string }): number {
  return one.stream < other.stream ? -1 : 1
}
