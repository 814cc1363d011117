import { expect } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import type { LogPosition } from '../../src/core/positions.ts'
import { ActiveIndex } from '../../src/streams/active-index.ts'
import type { IndexPart } from '../../src/streams/index-part.ts'
import { hashOf } from '../../src/streams/stream-hash.ts'
import { TimeSlices } from '../../src/streams/time-slices.ts'
import type { Random } from '../support/random.ts'

export interface ModelEvent {
  readonly stream: string
  readonly type: string
  readonly revision: number
  readonly position: number
  readonly id: Uint8Array | null
}

/** Names that share their hash, two by two: found by trying. */
export const COLLIDING: readonly (readonly [string, string])[] = findCollisions(3)

/** What a part should answer, in the plainest way. */
export class IndexModel {
  readonly events: ModelEvent[] = []
  readonly #heads = new Map<string, number>()

  /**
   * Events of some streams, from position `start` on; with `holes`, streams skip revisions.
   * @returns where the last one ends.
   */
  grow(random: Random, start: number, count: number, streams: readonly string[], holes = false): number {
    let position = start
    for (let i = 0; i < count; i++) {
      const stream = random.pick(streams)
      const revision = (this.#heads.get(stream) ?? -1) + 1 + (holes && random.chance(0.3) ? random.int(1000) : 0)
      this.#heads.set(stream, revision)
      const id = random.chance(0.2) ? random.bytes(16) : null
      this.events.push({ stream, type: `type-${random.int(40)}`, revision, position, id })
      position += 50 + random.int(300)
    }
    return position
  }

  within(start: number, end: number): ModelEvent[] {
    return this.events.filter(({ position }) => position >= start && position < end)
  }
}

export function hashOfName(name: string): number {
  const bytes = Buffer.from(name)
  return hashOf(bytes, 0, bytes.length)
}

export function activeOf(events: readonly ModelEvent[], start: number, end: number): ActiveIndex {
  const active = new ActiveIndex(start as LogPosition)
  for (const { stream, type, revision, position, id } of events) {
    const name = Buffer.from(`??${stream}`)
    const slot = active.slotOf(name, 2, name.length - 2, hashOfName(stream))
    active.add(slot, revision, position)
    const typeBytes = Buffer.from(type)
    active.noteType(active.typeSlotOf(typeBytes, 0, typeBytes.length), position)
    if (id !== null) active.addId(id, 0, slot, revision, position)
    active.lastCreatedMs = position
  }
  active.coverTo(end as LogPosition)
  return active
}

/** Asks a part, or several that lie behind one another, everything that can be asked, and compares. */
export async function expectAnswers(
  parts: readonly IndexPart[],
  events: readonly ModelEvent[],
  absent: readonly string[],
): Promise<void> {
  const streams = groupByStream(events)
  for (const [stream, expected] of streams) expect(await eventsOf(parts, stream)).toEqual(placesOf(expected))
  for (const stream of absent) if (!streams.has(stream)) expect(await eventsOf(parts, stream), stream).toEqual([])
  for (const part of parts) {
    const own = events.filter(({ position }) => position >= part.start && position < part.end)
    const ownStreams = groupByStream(own)
    await expectSeeks(part, ownStreams)
    await expectCounts(part, own, ownStreams)
    await expectTypes(part, own)
    await expectIds(part, own)
    await expectWalk(part, ownStreams)
  }
}

/** All events of a stream, through `find` and `events`, in pages. */
async function eventsOf(parts: readonly IndexPart[], stream: string): Promise<[revision: number, position: number][]> {
  const found: [number, number][] = []
  for (const part of parts) {
    const run = await part.find(Buffer.from(stream), hashOfName(stream))
    if (run === null) continue
    const pageSize = Math.ceil(run.eventCount / 3)
    for (let from = 0; from < run.eventCount; from += pageSize) {
      const { positions, revisions } = await part.events(run, from, pageSize)
      for (const [i, position] of positions.entries()) {
        found.push([revisions === null ? run.firstRevision + from + i : revisions[i]!, position])
      }
    }
    const last = found.at(-1)!
    expect([run.lastRevision, run.lastPosition]).toEqual(last)
  }
  return found
}

async function expectSeeks(part: IndexPart, streams: ReadonlyMap<string, ModelEvent[]>): Promise<void> {
  for (const [stream, events] of [...streams].slice(0, 20)) {
    const run = (await part.find(Buffer.from(stream), hashOfName(stream)))!
    for (const [index, { revision }] of events.entries()) {
      if (index > 3 && index < events.length - 3) continue
      expect(await part.indexOf(run, revision), `${stream} ${revision}`).toBe(index)
      if (events[index + 1]?.revision !== revision + 1) expect(await part.indexOf(run, revision + 1)).toBe(index + 1)
      const { positions } = await part.events(run, index, 2)
      expect([...positions]).toEqual(events.slice(index, index + 2).map(({ position }) => position))
    }
    expect(await part.indexOf(run, 0)).toBe(0)
  }
}

async function expectCounts(
  part: IndexPart,
  own: readonly ModelEvent[],
  streams: ReadonlyMap<string, ModelEvent[]>,
): Promise<void> {
  expect(part.eventCount).toBe(own.length)
  expect(part.streamCount).toBe(streams.size)
  expect(part.newStreamCount).toBe([...streams.values()].filter(([first]) => first!.revision === 0).length)
  expect(part.lastPosition).toBe(own.at(-1)?.position ?? 0)
  expect(part.lastCreatedMs).toBe(own.at(-1)?.position ?? 0)
}

async function expectTypes(part: IndexPart, own: readonly ModelEvent[]): Promise<void> {
  const last = new Map(own.map(({ type, position }) => [type, position]))
  expect(part.typeCount).toBe(last.size)
  for (const [type, position] of last) expect(await part.lastOfType(Buffer.from(type))).toBe(position)
  expect(await part.lastOfType(Buffer.from('no such type'))).toBeNull()
}

async function expectIds(part: IndexPart, own: readonly ModelEvent[]): Promise<void> {
  const expected = own.flatMap(({ id, stream, revision, position }) =>
    id === null ? [] : [{ id: Buffer.from(id).toString('hex'), hash: hashOfName(stream), revision, position }],
  )
  const found: unknown[] = []
  for (let from = 0; from < part.suppliedIdCount; from += 50) {
    const { ids, streamHashes, revisions, positions } = await part.suppliedIds(from, 50)
    positions.forEach((position, i) => {
      const id = Buffer.from(ids.subarray(i * 16, i * 16 + 16)).toString('hex')
      found.push({ id, hash: streamHashes[i], revision: revisions[i], position })
    })
  }
  expect(found).toEqual(expected)
}

async function expectWalk(part: IndexPart, streams: ReadonlyMap<string, ModelEvent[]>): Promise<void> {
  const cursor = await part.streams(new TimeSlices(systemClock))
  const found: unknown[] = []
  while (await cursor.next()) {
    const { nameBytes, nameOffset, nameSize, eventCount } = cursor
    const positions = new Float64Array(eventCount)
    const revisions = new Float64Array(eventCount)
    const half = eventCount >> 1
    await cursor.copyEvents(half, eventCount - half, positions, revisions)
    positions.copyWithin(half, 0)
    revisions.copyWithin(half, 0)
    await cursor.copyEvents(0, half, positions, revisions)
    const stream = Buffer.from(nameBytes.subarray(nameOffset, nameOffset + nameSize)).toString()
    const bounds = [cursor.firstRevision, cursor.lastRevision, cursor.lastPosition]
    found.push([stream, cursor.hash, bounds, [...positions].map((position, i) => [revisions[i], position])])
  }
  const expected = [...streams].sort(([one], [other]) => {
    const difference = (hashOfName(one) >>> 0) - (hashOfName(other) >>> 0)
    return difference === 0 ? Buffer.compare(Buffer.from(one), Buffer.from(other)) : difference
  })
  expect(found).toEqual(
    expected.map(([stream, events]) => {
      const last = events.at(-1)!
      return [stream, hashOfName(stream), [events[0]!.revision, last.revision, last.position], placesOf(events)]
    }),
  )
}

function placesOf(events: readonly ModelEvent[]): [number, number][] {
  return events.map(({ revision, position }) => [revision, position])
}

function groupByStream(events: readonly ModelEvent[]): Map<string, ModelEvent[]> {
  const streams = new Map<string, ModelEvent[]>()
  for (const event of events) {
    const known = streams.get(event.stream)
    if (known === undefined) streams.set(event.stream, [event])
    else known.push(event)
  }
  return streams
}

function findCollisions(count: number): [string, string][] {
  const seen = new Map<number, string>()
  const found: [string, string][] = []
  for (let i = 0; found.length < count; i++) {
    const name = `order-${(Math.imul(i, 0x9e3779b1) >>> 0).toString(36)}`
    const hash = hashOfName(name)
    const other = seen.get(hash)
    if (other !== undefined) found.push([other, name])
    seen.set(hash, name)
  }
  return found
}
