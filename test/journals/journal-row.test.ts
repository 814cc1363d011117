import { describe, expect, test } from 'vitest'
import type { NewEvent, RecordedEvent } from '../../src/index.ts'
import { formatRow, parseRow } from '../../src/journals/journal-row.ts'
import { all, upTo, withStore } from '../store/words.ts'
import { Random } from '../support/random.ts'
import { anyEvent } from './scenes.ts'

const clock = { now: () => Date.UTC(2026, 0, 21, 10, 58, 9, 635), monotonic: () => 0, after: () => () => {} }
const ID = '523faa38-0d6b-4c4f-9a53-6a25f0a8a001'

async function recorded(...events: NewEvent[]): Promise<RecordedEvent[]> {
  return withStore({ clock }, async store => {
    await store.append('s', events)
    return all(store.readStream('s'))
  })
}

async function rowOf(event: NewEvent): Promise<string> {
  const [read] = await recorded({ id: ID, ...event })
  return formatRow(read!)
}

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf8'))

describe('a row', () => {
  test('is time, type and data, as everstore writes them, and the id behind a tab (E15)', async () => {
    const row = await rowOf({ type: 'Placed', data: { total: 12 } })
    expect(row).toBe(`2026-01-21T10:58:09.635 Placed {"total":12}\tid=${ID}\n`)
    expect(row).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} \S+ \S/)
  })

  test('has the metadata in the end', async () => {
    expect(await rowOf({ type: 'T', data: 1, metadata: { by: 'me' } })).toMatch(/T 1\tid=[^\t]*\tmetadata={"by":"me"}\n$/)
    expect(await rowOf({ type: 'T', data: 1, metadata: null })).toMatch(/\tmetadata=null\n$/)
    expect(await rowOf({ type: 'T', data: 1, metadata: new Uint8Array(0) })).toMatch(/\tmetadata=text:\n$/)
  })

  test.each([
    ['a space', 'Order Placed', 'Order\\sPlaced'],
    ['a backslash', 'A\\sB', 'A\\\\sB'],
    ['a line separator', 'A\u2028\u2029', 'A\\u2028\\u2029'],
    ['letters of any script', 'Größe\u00a0😀', 'Größe\u00a0😀'],
  ])('escapes %s in a type', async (_what, type, escaped) => {
    expect(await rowOf({ type, data: 1 })).toBe(`2026-01-21T10:58:09.635 ${escaped} 1\tid=${ID}\n`)
  })

  test.each([
    ['text as it is', bytes('plain text, "ü"'), 'text:plain text, "ü"'],
    ['what breaks a line (E16)', bytes('a\nb\rc\0d\te\\f'), 'text:a\\nb\\rc\\0d\\te\\\\f'],
    ['what breaks a line elsewhere', bytes('\u0085\u2028\u2029\u009b'), 'text:\\u0085\\u2028\\u2029\\u009b'],
    ['no bytes', new Uint8Array(0), 'text:'],
    ['other control characters in base64', bytes('\u0001'), 'base64:AQ=='],
    ['what is no UTF-8 in base64', new Uint8Array([0xff, 0x0a]), 'base64:/wo='],
  ])('has binary data: %s', async (_what, data, column) => {
    expect(await rowOf({ type: 'T', data })).toBe(`2026-01-21T10:58:09.635 T ${column}\tid=${ID}\n`)
  })

  test('has JSON as it is stored, but for what breaks a line, which JSON has escapes for', async () => {
    const row = await rowOf({ type: 'T', data: { 'a\n': '\u2028\u0085 \\ "' } })
    expect(row).toContain(' {"a\\n":"\\u2028\\u0085 \\\\ \\""}\t')
    expect(JSON.parse(row.split('\t')[0]!.split(' ').slice(2).join(' '))).toEqual({ 'a\n': '\u2028\u0085 \\ "' })
  })

  test('comes back as the event it was, whatever that is (seed rows)', async () => {
    const random = new Random('rows')
    const events = upTo(400).map(() => anyEvent(random))
    for (const [index, event] of (await recorded(...events)).entries()) {
      const row = formatRow(event)
      expect(row.match(/[\u0000-\u001f\u0080-\u009f\u2028\u2029]/g)!.filter(character => character !== '\t')).toEqual(['\n'])
      const { createdMs, event: parsed } = parseRow(row.slice(0, -1))
      const { type, data, metadata, id, created } = event
      expect({ createdMs, ...parsed }, `event ${index} of seed ${random.seed}`).toEqual({
        ...{ createdMs: created.getTime(), type, data, id },
        metadata,
      })
      expect(parsed.data instanceof Uint8Array).toBe(event.contentType === 'binary')
    }
  })

  test.each([
    ['', "not 'time type data'"],
    ['2026-01-21T10:58:09.635 T', "not 'time type data'"],
    ['2026-01-21 10:58:09 T 1', 'not a time'],
    ['2026-02-30T10:58:09.635 T 1', 'not a time'],
    ['2026-01-21T10:58:09.635Z T 1', 'not a time'],
    ['2026-01-21T10:58:09.635 T plain', 'neither JSON'],
    ['2026-01-21T10:58:09.635 T base64:A', 'not base64'],
    ['2026-01-21T10:58:09.635 T text:\\x', "'\\x' is no escape"],
    ['2026-01-21T10:58:09.635 T text:\\', "'\\' is no escape"],
    ['2026-01-21T10:58:09.635 T text:\\ud800', 'is no escape'],
    ['2026-01-21T10:58:09.635 T 1\tid=a\tid=b', 'stands there twice'],
    ['2026-01-21T10:58:09.635 T 1\tcolour=red', 'not known'],
  ])('is refused: %j', (line, reason) => {
    expect(() => parseRow(line)).toThrow(reason)
  })
})
