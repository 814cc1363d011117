import { describe, expect, test } from 'vitest'
import { InvalidArgumentError } from '../../src/core/errors.ts'
import { encodeEventType, encodeStreamName, encodeStreamNameInto, isSystemStream } from '../../src/core/names.ts'

const utf8 = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8')

/** What stream names and event types refuse alike. */
const REFUSED: [what: string, name: unknown][] = [
  ['nothing', ''],
  ['undefined', undefined],
  ['null', null],
  ['a number', 42],
  ['an object', {}],
  ['a NUL', 'order\0'],
  ['a line feed', 'order\n42'],
  ['a tab', '\torder'],
  ['the last C0 character', 'order\u001f'],
  ['DEL', 'order\u007f'],
  ['the first C1 character', 'order\u0080'],
  ['the last C1 character', 'order\u009f'],
  ['a high surrogate at the end', 'order\ud83d'],
  ['a high surrogate before a letter', 'order\ud83dx'],
  ['a low surrogate alone', 'order\ude00'],
  ['surrogates in the wrong order', 'order\ude00\ud83d'],
  ['two high surrogates and one low', 'order\ud83d\ud83d\ude00'],
]

describe.each([
  ['a stream name', encodeStreamName, 1024],
  ['an event type', encodeEventType, 255],
])('%s', (_, encode, maxSize) => {
  test.each([
    'a',
    ' ',
    'order-42',
    'Bestellung-ü',
    '注文',
    'order 😀',
    '../../etc/passwd',
    '\u00a0',
    '\u2028',
    '\ufeff',
    '%00',
  ])('may be %j', name => {
    expect(utf8(encode(name))).toBe(name)
  })

  test.each(REFUSED)('may not be or hold %s', (_what, name) => {
    expect(() => encode(name)).toThrow(InvalidArgumentError)
  })

  test(`has at most ${maxSize} bytes, whatever its characters`, () => {
    expect(encode('x'.repeat(maxSize))).toHaveLength(maxSize)
    expect(() => encode('x'.repeat(maxSize + 1))).toThrow(InvalidArgumentError)
    const twoBytes = 'ü'.repeat(Math.floor(maxSize / 2))
    expect(encode(twoBytes)).toHaveLength(2 * twoBytes.length)
    expect(() => encode(`${twoBytes}ü`)).toThrow(InvalidArgumentError)
    const fourBytes = '😀'.repeat(Math.floor(maxSize / 4))
    expect(encode(fourBytes)).toHaveLength(2 * fourBytes.length)
    expect(() => encode(`${fourBytes}😀`)).toThrow(InvalidArgumentError)
  })

  test('has memory of its own: a kept name pins no shared pool', () => {
    const bytes = encode('order')
    expect(bytes.buffer.byteLength).toBe(5)
  })
})

test('names are compared by their code units: nothing is normalised', () => {
  expect(utf8(encodeStreamName('e\u0301'))).not.toBe(utf8(encodeStreamName('\u00e9')))
})

test('system streams begin with a dollar sign', () => {
  expect(isSystemStream('$all')).toBe(true)
  expect(isSystemStream('$')).toBe(true)
  expect(isSystemStream('order-$')).toBe(false)
  expect(isSystemStream('')).toBe(false)
})

test('a name may be written into memory of its size that nobody uses any more', () => {
  const spare = new Uint8Array(8).fill(1)
  expect(encodeStreamNameInto('order-42', spare)).toBe(spare)
  expect(utf8(spare)).toBe('order-42')
  expect(utf8(encodeStreamNameInto('größe-42', spare))).toBe('größe-42')
  expect(() => encodeStreamNameInto('order\n42', spare)).toThrow(InvalidArgumentError)
})
