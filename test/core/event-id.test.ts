import { describe, expect, test } from 'vitest'
import { InvalidArgumentError } from '../../src/core/errors.ts'
import { deriveEventId, EVENT_ID_SIZE, formatEventId, parseEventId } from '../../src/core/event-id.ts'
import { LogPosition } from '../../src/core/positions.ts'
import { Random } from '../support/random.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const STORE_ID = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])

describe('a supplied event id', () => {
  test('goes to 16 bytes in the order of its digits, and back', () => {
    const bytes = parseEventId('00112233-4455-6677-8899-aabbccddeeff')
    expect([...bytes]).toEqual([0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff])
    expect(formatEventId(bytes)).toBe('00112233-4455-6677-8899-aabbccddeeff')
  })

  test('comes back in lower case', () => {
    expect(formatEventId(parseEventId('ABCDEF01-2345-4789-ABCD-EF0123456789'))).toBe('abcdef01-2345-4789-abcd-ef0123456789')
  })

  test.each([
    '',
    'order-42',
    '00112233445566778899aabbccddeeff',
    '{00112233-4455-6677-8899-aabbccddeeff}',
    '00112233-4455-6677-8899-aabbccddeef',
    '00112233-4455-6677-8899-aabbccddeeff\n',
    '0011223g-4455-6677-8899-aabbccddeeff',
    null,
    42,
  ])('may not be %j', id => {
    expect(() => parseEventId(id)).toThrow(InvalidArgumentError)
  })

  test('can stand in the middle of other bytes', () => {
    const around = new Uint8Array(64).fill(0xee)
    around.set(STORE_ID, 7)
    expect(formatEventId(around.subarray(7, 7 + EVENT_ID_SIZE))).toBe('00010203-0405-0607-0809-0a0b0c0d0e0f')
  })
})

describe('a derived event id', () => {
  test('is the same for ever: these must never change', () => {
    expect(deriveEventId(STORE_ID, LogPosition.of(0))).toBe('00010203-0405-8607-8809-0a0b0c0d0e0f')
    expect(deriveEventId(STORE_ID, LogPosition.of(128))).toBe('00010203-0405-8607-8809-0a0b0c0d0e8f')
    expect(deriveEventId(STORE_ID, LogPosition.of(0x12_3456_789a))).toBe('00010203-0405-8607-8809-0a19385b7695')
  })

  test('is a UUID of version 8 with the RFC 9562 variant', () => {
    const random = new Random('derived ids')
    for (let turn = 0; turn < 200; turn++) {
      const id = deriveEventId(random.bytes(16), LogPosition.of(random.int(2 ** 30) * 128))
      expect(id).toMatch(UUID)
      expect(id[14]).toBe('8')
      expect('89ab').toContain(id[19])
    }
  })

  test('differs at every position of a store, near and far', () => {
    const ids = new Set<string>()
    let count = 0
    for (const base of [0, 2 ** 31 - 500, 2 ** 32 - 500, 2 ** 40, 2 ** 53 - 2000]) {
      for (let step = 0; step < 1000; step++, count++) ids.add(deriveEventId(STORE_ID, LogPosition.of(base + step)))
    }
    for (let bit = 0; bit < 53; bit++, count++) ids.add(deriveEventId(STORE_ID, LogPosition.of(2 ** bit + 5_000_000)))
    expect(ids.size).toBe(count)
  })

  test('differs between stores at the same position', () => {
    const random = new Random('stores')
    const ids = new Set(Array.from({ length: 1000 }, () => deriveEventId(random.bytes(16), LogPosition.of(128))))
    expect(ids.size).toBe(1000)
  })

  test('leaves the id of the store as it was', () => {
    const storeId = STORE_ID.slice()
    deriveEventId(storeId, LogPosition.of(4096))
    expect(storeId).toEqual(STORE_ID)
  })
})
