import { describe, expect, test } from 'vitest'
import { LogPosition, Revision } from '../../src/core/positions.ts'
import { BlockDirectory } from '../../src/format/block-directory.ts'
import { ByteWindow } from '../../src/format/byte-window.ts'
import { checksumRange } from '../../src/format/checksum.ts'
import { type ChunkFooter, decodeChunkFooter, encodeChunkFooter, footerSizeOf } from '../../src/format/chunk-footer.ts'
import { checkCompactRecord, checkRecord, isUnsupported, provenBy, type RecordDamage } from '../../src/format/log-record.ts'
import { encodeStub, type StubHead, stubEventTypeAt, stubHeadAt, stubSize } from '../../src/format/stub.ts'
import { SEED, STORE_ID } from './records.ts'

const POSITION = LogPosition.of(4096)
const text = (value: string) => new Uint8Array(Buffer.from(value))
const HEAD: StubHead = { stream: text('order-42'), revision: Revision.of(2 ** 40 + 7) }
const TYPE = text('OrderPlaced')

function stub(head: StubHead | null, eventType: Uint8Array | null): ByteWindow {
  const window = ByteWindow.allocate(stubSize(head, eventType))
  window.bytes.fill(0xee)
  expect(encodeStub(window, 0, POSITION, head, eventType, SEED)).toBe(window.size)
  return window
}

describe('a stub', () => {
  test.each([
    ['a stream and an event type', HEAD, TYPE],
    ['a stream', HEAD, null],
    ['an event type', null, TYPE],
  ])('that names %s comes back, and proves nothing', (_what, head, eventType) => {
    const window = stub(head, eventType)
    expect(checkRecord(window, 0, window.size, POSITION, SEED)).toBe(window.size)
    const found = stubHeadAt(window, 0)
    expect(found === null ? null : { stream: new Uint8Array(found.stream), revision: found.revision }).toEqual(head)
    const foundType = stubEventTypeAt(window, 0)
    expect(foundType === null ? null : new Uint8Array(foundType)).toEqual(eventType)
    expect(provenBy(window.view, 0)).toBe(0)
  })

  test('stands in its bytes as the table says', () => {
    const { bytes } = stub(HEAD, TYPE)
    expect(bytes.readUInt32LE(0)).toBe(36 + 8 + 11)
    expect(bytes.readBigUInt64LE(8)).toBe(4096n)
    expect(bytes.readUInt32LE(16)).toBe(0xffff_ffff)
    expect([bytes[20], bytes[21], bytes.readUInt16LE(22), bytes.readUInt16LE(24)]).toEqual([4, 11, 3, 8])
    expect(bytes.readUIntLE(26, 6)).toBe(2 ** 40 + 7)
    expect(bytes.toString('utf8', 32, 51)).toBe('order-42OrderPlaced')
    expect(bytes.readUInt32LE(51)).toBe(55)
  })

  test('with any bit turned is refused', () => {
    const window = stub(HEAD, TYPE)
    for (let bit = 0; bit < window.size * 8; bit++) {
      window.bytes[bit >> 3]! ^= 1 << (bit & 7)
      expect(typeof checkRecord(window, 0, window.size, POSITION, SEED), `bit ${bit}`).toBe('string')
      window.bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
  })

  test('may stand at any position of its range in a compact chunk, and at no other', () => {
    const window = stub(HEAD, null)
    const check = (from: number, to: number) =>
      checkCompactRecord(window, 0, window.size, LogPosition.of(from), LogPosition.of(to), SEED)
    expect(check(0, 8192)).toBe(window.size)
    expect(check(4096, 4096 + window.size)).toBe(window.size)
    expect(check(4097, 8192)).toBe('wrong position')
    expect(check(0, 4095 + window.size)).toBe('wrong position')
  })

  test('with an unknown flag is refused as unsupported, not as damage', () => {
    const window = stub(HEAD, TYPE)
    for (let flag = 2; flag < 16; flag++) {
      const changed = new ByteWindow(Buffer.from(window.bytes))
      changed.view.setUint16(22, 3 | (1 << flag), true)
      changed.view.setInt32(4, checksumRange(changed, 8, changed.size, SEED), true)
      const damage = checkRecord(changed, 0, changed.size, POSITION, SEED)
      expect(damage).toBe('unknown flags')
      expect(isUnsupported(damage as RecordDamage)).toBe(true)
    }
  })
})

describe('the footer of a compact chunk', () => {
  const directory = new BlockDirectory(Uint32Array.of(128, 70_000, 140_000), Uint32Array.of(300, 90_000, 190_000), 195_000)
  const footer: ChunkFooter = {
    start: LogPosition.of(2 ** 40),
    dataSize: 3 * 65_536 - 10,
    eventCount: 41,
    storeId: STORE_ID,
    blockChecksums: Uint32Array.of(1, 2, 3),
    directory,
  }

  test('comes back with its block directory', () => {
    const bytes = encodeChunkFooter(footer)
    expect(bytes.length).toBe(3 * 12 + 64)
    expect(footerSizeOf(bytes.subarray(-64), footer.dataSize + bytes.length)).toBe(bytes.length)
    expect(decodeChunkFooter(bytes, footer.dataSize + bytes.length)).toEqual(footer)
  })

  test.each([
    ['that falls', new BlockDirectory(Uint32Array.of(128, 70_000, 60_000), directory.distances, 195_000)],
    ['whose distances fall', new BlockDirectory(directory.offsets, Uint32Array.of(300, 90_000, 80_000), 195_000)],
    ['that goes beyond the data', new BlockDirectory(Uint32Array.of(128, 70_000, 200_000), directory.distances, 195_000)],
    ['that goes beyond the last record', new BlockDirectory(directory.offsets, directory.distances, 189_999)],
  ])('with a block directory %s is none', (_, forged) => {
    const bytes = encodeChunkFooter({ ...footer, directory: forged })
    expect(decodeChunkFooter(bytes, footer.dataSize + bytes.length)).toContain('block directory')
  })

  test('with any bit turned is none', () => {
    const bytes = encodeChunkFooter(footer)
    const fileSize = footer.dataSize + bytes.length
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      const size = footerSizeOf(bytes.subarray(-64), fileSize)
      const read = size === null || size > bytes.length ? null : decodeChunkFooter(bytes.subarray(bytes.length - size), fileSize)
      expect(read === null || typeof read === 'string', `bit ${bit}`).toBe(true)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
  })

  test.each([
    [0, 0],
    [300, 0],
    [89_999, 0],
    [90_000, 1],
    [190_000, 2],
    [500_000, 2],
  ])('says where to look for the record at distance %d: entry %d', (distance, entry) => {
    expect(directory.entryAt(distance)).toBe(entry)
  })
})
