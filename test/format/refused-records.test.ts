import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { LogPosition } from '../../src/core/positions.ts'
import { ByteWindow } from '../../src/format/byte-window.ts'
import { checkRecord, checksumSeed, isUnsupported, type RecordDamage } from '../../src/format/log-record.ts'
import { Random } from '../support/random.ts'
import { commit, encodable, prepare, proof, SEED, STORE_ID } from './records.ts'

const check = (window: ByteWindow, position = 128, seed = SEED, limit = window.size) =>
  checkRecord(window, 0, limit, LogPosition.of(position), seed)

/** Writes the checksum anew, as a program would that wrote these bytes on purpose. */
function resealed(window: ByteWindow): ByteWindow {
  window.bytes.writeUInt32LE(crc32(window.bytes.subarray(8), crc32(STORE_ID)), 4)
  return window
}

/** A whole record in which some bytes are other than they should be, with a checksum that holds. */
function changed(window: ByteWindow, change: (bytes: Buffer) => void): ByteWindow {
  change(window.bytes)
  return resealed(window)
}

describe('no record is', () => {
  test.each([0, 1, 27, 28, 100, 4096])('%d zeros', size => {
    expect(check(zeros(size))).toBe(size < 28 ? 'cut off' : 'zeros')
  })

  test('a record of which any number of bytes is missing at the end', () => {
    for (const window of [prepare(), commit(128, 128, 1), proof(128)]) {
      for (let limit = 0; limit < window.size; limit++) expect(check(window, 128, SEED, limit)).toBe('cut off')
    }
  })

  test('a record at another position', () => {
    expect(check(prepare({ position: 128 }), 129)).toBe('wrong position')
    expect(check(prepare({ position: 4096 }), 4096 + 2 ** 32)).toBe('wrong position')
  })

  test('a record of another store', () => {
    const foreign = checksumSeed(new Uint8Array(16))
    expect(check(prepare(), 128, foreign)).toBe('wrong checksum')
  })

  test('a record with any bit turned', () => {
    for (const window of [prepare(), commit(128, 128, 1), proof(128)]) {
      for (let bit = 0; bit < window.size * 8; bit++) {
        window.bytes[bit >> 3]! ^= 1 << (bit & 7)
        const damage = check(window)
        expect(typeof damage, `bit ${bit}`).toBe('string')
        expect(isUnsupported(damage as RecordDamage), `bit ${bit} of rotten bytes looks like a newer version`).toBe(false)
        window.bytes[bit >> 3]! ^= 1 << (bit & 7)
      }
      expect(check(window)).toBe(window.size)
    }
  })

  test('a record with two bytes swapped', () => {
    const window = prepare()
    for (let at = 0; at + 1 < window.size; at++) {
      const [one, other] = [window.bytes[at]!, window.bytes[at + 1]!]
      if (one === other) continue
      window.bytes[at] = other
      window.bytes[at + 1] = one
      expect(typeof check(window), `bytes ${at} and ${at + 1}`).toBe('string')
      window.bytes[at] = one
      window.bytes[at + 1] = other
    }
  })

  test.each([1, 27, 16 * 1024 * 1024 + 1, 0x7fff_ffff, 0xffff_ffff])('one that says it has %d bytes', size => {
    const window = prepare()
    window.bytes.writeUInt32LE(size, 0)
    expect(check(window)).toBe('implausible size')
  })

  test('one whose two sizes differ', () => {
    const window = prepare()
    window.bytes.writeUInt32LE(window.size - 1, window.size - 4)
    expect(check(window)).toBe('sizes differ')
  })
})

describe('a whole record is refused', () => {
  test.each([0, 5, 6, 255])('as unsupported, not as damage, when its type is %d', type => {
    const damage = check(changed(prepare(), bytes => bytes.writeUInt8(type, 20)))
    expect(damage).toBe('unknown type')
    expect(isUnsupported(damage as RecordDamage)).toBe(true)
  })

  test('as unsupported when it has a flag that nobody knows', () => {
    for (let flag = 32; flag <= 0x8000; flag *= 2) {
      const damage = check(changed(prepare(), bytes => bytes.writeUInt16LE(bytes.readUInt16LE(22) | flag, 22)))
      expect(damage).toBe('unknown flags')
      expect(isUnsupported(damage as RecordDamage)).toBe(true)
    }
  })

  test.each([
    ['a commit record', () => commit(128, 128, 1)],
    ['a proof', () => proof(128)],
  ])('as unsupported when it is %s with any flag', (_, make) => {
    for (let flag = 1; flag <= 0x8000; flag *= 2) {
      expect(check(changed(make(), bytes => bytes.writeUInt16LE(flag, 22)))).toBe('unknown flags')
    }
  })

  test('when the sizes of its fields exceed it', () => {
    const event = encodable('T', '123', { metadata: '45' })
    expect(check(changed(prepare({ event }), bytes => bytes.writeUInt16LE(1024, 24)))).toBe('fields exceed the record')
    expect(check(changed(prepare({ event }), bytes => bytes.writeUInt8(255, 21)))).toBe('fields exceed the record')
    expect(check(changed(prepare({ event }), bytes => bytes.writeUInt32LE(6, 38)))).toBe('fields exceed the record')
    expect(check(changed(prepare({ event }), bytes => bytes.writeUInt32LE(0xffff_ffff, 38)))).toBe('fields exceed the record')
    expect(check(changed(prepare({ event }), bytes => bytes.writeUInt32LE(5, 38)))).toBe(prepare({ event }).size)
  })

  test('when it is a prepare too short to be one', () => {
    expect(check(changed(proof(128), bytes => bytes.writeUInt8(1, 20)))).toBe('fields exceed the record')
  })

  test('when it is a commit record or a proof of another size', () => {
    expect(check(changed(proof(128), bytes => bytes.writeUInt8(2, 20)))).toBe('fields exceed the record')
    expect(check(changed(commit(128, 128, 1), bytes => bytes.writeUInt8(3, 20)))).toBe('fields exceed the record')
  })
})

describe('the check of a record', () => {
  const SEED_OF_FUZZ = 'records'

  test(`takes any bytes without a crash, and never believes them (seed ${SEED_OF_FUZZ})`, () => {
    const random = new Random(SEED_OF_FUZZ)
    for (let turn = 0; turn < 20_000; turn++) {
      const window = zeros(1 + random.int(300))
      window.bytes.set(random.bytes(window.size))
      // Bytes that get past the first checks: a size that fits, at both ends, a known position, a known type.
      if (random.chance(0.8) && window.size >= 28) {
        window.bytes.writeUInt32LE(window.size, 0)
        window.bytes.writeUInt32LE(window.size, window.size - 4)
        window.bytes.writeBigUInt64LE(128n, 8)
        window.bytes[20] = 1 + random.int(3)
      }
      const result = check(window)
      expect(typeof result, `turn ${turn}`).toBe('string')
    }
  })

  test(`takes any fields behind a checksum that holds (seed ${SEED_OF_FUZZ})`, () => {
    const random = new Random(`${SEED_OF_FUZZ} sealed`)
    for (let turn = 0; turn < 20_000; turn++) {
      const window = zeros(28 + random.int(200))
      window.bytes.set(random.bytes(window.size))
      window.bytes.writeUInt32LE(window.size, 0)
      window.bytes.writeUInt32LE(window.size, window.size - 4)
      window.bytes.writeBigUInt64LE(128n, 8)
      window.bytes[20] = random.int(5)
      if (random.chance(0.7)) window.bytes.writeUInt16LE(random.int(32), 22)
      const result = check(resealed(window))
      if (typeof result === 'number') expect(result).toBe(window.size)
    }
  })

  test('reads nothing at or beyond the limit', () => {
    const record = prepare()
    const window = zeros(record.size + 100)
    window.bytes.fill(0xff).set(record.bytes)
    expect(checkRecord(window, 0, record.size, LogPosition.of(128), SEED)).toBe(record.size)
    expect(checkRecord(window, record.size, record.size, LogPosition.of(128), SEED)).toBe('cut off')
  })
})

function zeros(size: number): ByteWindow {
  const window = ByteWindow.allocate(size)
  window.bytes.fill(0)
  return window
}
