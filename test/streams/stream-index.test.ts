import { beforeEach, describe, expect, test } from 'vitest'
import type { ExpectedRevision } from '../../src/core/events.ts'
import { Revision } from '../../src/core/positions.ts'
import { StreamIndex } from '../../src/streams/stream-index.ts'
import { AppendMessage } from '../../src/writer/messages.ts'
import { encodable } from '../format/records.ts'

let index: StreamIndex

beforeEach(() => {
  index = new StreamIndex()
})

/** An append on its way: its stream is known and held. */
function append(stream: string, eventCount = 1, expected: ExpectedRevision = 'any'): AppendMessage {
  const event = encodable('T', '1')
  const rest = Array.from({ length: Math.max(0, eventCount - 1) }, () => event)
  const type = eventCount === 0 ? null : event.eventType
  return new AppendMessage(index.prefetch(stream), expected, type, event.data, undefined, undefined, rest)
}

/** As the writer does it: behind the head, then noted. */
function write(message: AppendMessage): AppendMessage {
  message.firstRevision = Revision.plus(message.head.revision, 1)
  index.note(message)
  return message
}

describe('the check of appends', () => {
  test('knows what was written, committed or not', () => {
    expect(index.decide(append('s', 1, 'no_stream'))).toBe(null)
    write(append('s', 3))
    expect(index.decide(append('s', 1, 2))).toBe(null)
    expect(index.decide(append('s', 1, 'stream_exists'))).toBe(null)
    expect(index.decide(append('s', 1, 'no_stream'))).toMatchObject({ kind: 'rejected', error: { actual: 2 } })
    expect(index.decide(append('s', 1, 1))).toMatchObject({ kind: 'rejected', error: { expected: 1, actual: 2 } })
  })

  test('shows nobody what is written and not committed', () => {
    write(append('s', 3))
    expect(index.find('s')).toBeUndefined()
    expect(index).toMatchObject({ eventCount: 0, streamCount: 0, lastPosition: 0 })
  })

  test('goes back, newest first, over what was not written after all', () => {
    const first = write(append('s', 2))
    const second = write(append('s', 3))
    expect(second.head.revision).toBe(4)
    index.forget(second)
    expect(second.head.revision).toBe(1)
    index.forget(first)
    expect(first.head.revision).toBe(Revision.none)
    expect(index.decide(append('s', 1, 'no_stream'))).toBe(null)
  })

  test('holds a stream as long as an append of it is on its way', () => {
    const [one, other] = [append('s'), append('s')]
    expect(one.head).toBe(other.head)
    index.release(one.head)
    expect(append('s').head).toBe(other.head)
  })

  test('forgets a stream that nobody has written to when the last append has settled', () => {
    const { head } = append('s')
    index.release(head)
    expect(index.prefetch('s')).not.toBe(head)
  })

  test('keeps a stream that was written to', () => {
    const message = write(append('s'))
    index.release(message.head)
    expect(index.prefetch('s')).toBe(message.head)
    expect(message.head.revision).toBe(0)
  })

  test('refuses names that are none, and holds nothing then', () => {
    for (const name of ['', '\n', '\ud800', 'x'.repeat(1025)]) expect(() => index.prefetch(name)).toThrow(/stream name/)
  })
})

describe('an append message', () => {
  test('knows its size in the log: records, and a commit record behind several', () => {
    expect(append('stream').size).toBe(46 + 6 + 1 + 1)
    expect(append('stream', 3).size).toBe(3 * (46 + 6 + 1 + 1) + 36)
    expect(append('stream', 0)).toMatchObject({ size: 0, eventCount: 0, isFlushable: false })
    expect(append('stream', 3)).toMatchObject({ eventCount: 3, isFlushable: true, isTaken: false, kind: 'append' })
  })

  test('counts bytes, not characters, and what is not there not at all', () => {
    const head = index.prefetch('ü')
    const event = encodable('ü', '"ü"', { metadata: '😀', id: new Uint8Array(16) })
    const { eventType, data, metadata, suppliedId } = event
    expect(new AppendMessage(head, 'any', eventType, data, metadata, suppliedId, []).size).toBe(46 + 2 + 2 + 4 + 4 + 16)
    expect(new AppendMessage(head, 'any', eventType, new Uint8Array(0), undefined, undefined, []).size).toBe(46 + 2 + 2)
  })
})
