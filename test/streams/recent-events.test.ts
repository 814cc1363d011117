import { describe, expect, test } from 'vitest'
import { MIB } from '../../src/core/limits.ts'
import { LogPosition } from '../../src/core/positions.ts'
import { CachedHead } from '../../src/streams/cached-head.ts'
import { RecentEvents } from '../../src/streams/recent-events.ts'
import type { ConditionTerms } from '../../src/writer/append-terms.ts'
import { AppendMessage } from '../../src/writer/messages.ts'
import { upTo } from '../store/words.ts'

function condition(words: { types?: string[]; streams?: string[]; after?: number; checkedUpTo?: number }): ConditionTerms {
  return {
    types: words.types?.map(type => Buffer.from(type)) ?? null,
    streams: words.streams ?? null,
    after: LogPosition.of(words.after ?? 0),
    checkedUpTo: LogPosition.of(words.checkedUpTo ?? 0),
    isRefuted: false,
  }
}

function head(stream: string): CachedHead {
  return new CachedHead(stream, Buffer.from(stream))
}

function eventOf(type: string) {
  return { eventType: Buffer.from(type), data: '', dataSize: 0, metadata: undefined, metadataSize: 0, suppliedId: undefined }
}

function append(position: number, stream: string, type: string, ...more: string[]): AppendMessage {
  return withData('', position, stream, type, ...more)
}

function withData(data: string, position: number, stream: string, type: string, ...more: string[]): AppendMessage {
  const message = new AppendMessage(head(stream), 'any', Buffer.from(type), data, undefined, undefined, more.map(eventOf), null)
  message.position = LogPosition.of(position)
  return message
}

/** While somebody's condition is on its way, so that all is kept. */
function noted(...appends: AppendMessage[]): RecentEvents {
  const recent = new RecentEvents()
  recent.watch(condition({ types: ['Kept'] }))
  for (const each of appends) recent.note(each)
  return recent
}

describe('what was written behind the look at a condition', () => {
  const recent = noted(append(100, 'order-1', 'Placed', 'Paid'), append(200, 'order-2', 'Placed'))

  test('stands against it with an event of its type in any stream', () => {
    expect(recent.refutes(condition({ types: ['Paid'] }))).toBe(true)
    expect(recent.refutes(condition({ types: ['Shipped'] }))).toBe(false)
  })

  test('stands against it with an event of any type in its stream', () => {
    expect(recent.refutes(condition({ streams: ['order-3', 'order-2'] }))).toBe(true)
    expect(recent.refutes(condition({ streams: ['order-3'] }))).toBe(false)
  })

  test('must be of its type and in its stream at once', () => {
    expect(recent.refutes(condition({ types: ['Paid'], streams: ['order-1'] }))).toBe(true)
    expect(recent.refutes(condition({ types: ['Paid'], streams: ['order-2'] }))).toBe(false)
  })

  test('does not count up to `after`', () => {
    expect(recent.refutes(condition({ types: ['Paid'], after: 99 }))).toBe(true)
    expect(recent.refutes(condition({ types: ['Paid'], after: 100 }))).toBe(false)
  })

  test('does not count where it has been looked at, but from there on', () => {
    expect(recent.refutes(condition({ types: ['Paid'], checkedUpTo: 100 }))).toBe(true)
    expect(recent.refutes(condition({ types: ['Paid'], checkedUpTo: 101 }))).toBe(false)
  })

  test('may be a commit to several streams', () => {
    const parts = [
      { head: head('a'), expected: 'any' as const, events: [eventOf('T')], firstRevision: 0 as never },
      { head: head('b'), expected: 'any' as const, events: [], firstRevision: 0 as never },
    ]
    const commit = new AppendMessage(parts[0]!.head, 'any', null, '', undefined, undefined, [], { parts, condition: null })
    commit.position = LogPosition.of(300)
    const recent = noted(commit)
    expect(recent.refutes(condition({ types: ['T'], streams: ['a'] }))).toBe(true)
    expect(recent.refutes(condition({ streams: ['b'] }))).toBe(false)
  })

  test('tells types apart that are no text', () => {
    const recent = noted(append(1, 's', 'é'))
    expect(recent.refutes(condition({ types: ['é'] }))).toBe(true)
    expect(recent.refutes(condition({ types: ['Ã©'] }))).toBe(false)
  })
})

test('what was taken back stands against nothing, and what stood there before does again', () => {
  const [first, second] = [append(100, 's', 'T'), append(200, 's', 'T')]
  const recent = noted(first, second)
  expect(recent.refutes(condition({ types: ['T'], after: 100 }))).toBe(true)
  recent.forget(second)
  expect(recent.refutes(condition({ types: ['T'], after: 100 }))).toBe(false)
  expect(recent.refutes(condition({ types: ['T'], after: 99 }))).toBe(true)
})

describe('however much was written', () => {
  const early = condition({ types: ['T3'] })
  const late = condition({ types: ['T2999'], checkedUpTo: 3000 })

  function many(): RecentEvents {
    const recent = new RecentEvents()
    recent.watch(early)
    recent.watch(late)
    for (let i = 0; i < 3000; i++) recent.note(append(i + 1, 's', `T${i}`))
    return recent
  }

  test('what a condition on its way may ask for is kept', () => {
    const recent = many()
    recent.unwatch(late)
    expect(recent.refutes(early)).toBe(true)
  })

  test('what none asks for any more is dropped', () => {
    const recent = many()
    recent.unwatch(early)
    expect(recent.refutes(late)).toBe(true)
    expect(recent.refutes(early)).toBe(false)
  })
})

test('what none asks for any more is dropped, however few have written much', () => {
  const recent = new RecentEvents()
  const early = condition({ types: ['T0'] })
  const late = condition({ types: ['T9'], checkedUpTo: 10 })
  recent.watch(early)
  recent.watch(late)
  const data = 'x'.repeat(MIB)
  for (const i of upTo(10)) recent.note(withData(data, i + 1, 's', `T${i}`))
  recent.unwatch(early)
  expect(recent.refutes(late)).toBe(true)
  expect(recent.refutes(early)).toBe(false)
})

test('nothing is kept while no condition is on its way', () => {
  const recent = new RecentEvents()
  recent.note(append(1, 's', 'T'))
  const asked = condition({ types: ['T'] })
  recent.watch(asked)
  expect(recent.refutes(asked)).toBe(false)
  recent.note(append(2, 's', 'T'))
  expect(recent.refutes(asked)).toBe(true)
  recent.unwatch(asked)
  expect(recent.refutes(asked)).toBe(false)
})
