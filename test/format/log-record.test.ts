import { describe, expect, test } from 'vitest'
import { LogPosition } from '../../src/core/positions.ts'
import {
  COMMIT_RECORD_SIZE,
  checkRecord,
  createdMsOf,
  dataEndOf,
  dataOffsetOf,
  eventCountOf,
  eventTypeOffsetOf,
  eventTypeSizeOf,
  firstPrepareOf,
  flagsOf,
  metadataOffsetOf,
  metadataSizeOf,
  PREPARE_OVERHEAD,
  PrepareFlag,
  positionOf,
  provenBy,
  RecordType,
  revisionOf,
  sizeBefore,
  sizeOf,
  streamOffsetOf,
  streamSizeOf,
  suppliedIdOffsetOf,
  typeOf,
} from '../../src/format/log-record.ts'
import { prepareSize } from '../../src/format/record-encoding.ts'
import { Random } from '../support/random.ts'
import { commit, encodable, prepare, proof, SEED } from './records.ts'

const utf8 = (bytes: Buffer, start: number, end: number) => bytes.toString('utf8', start, end)

describe('a prepare', () => {
  test('comes back field by field', () => {
    const id = new Random('id').bytes(16)
    const event = encodable('OrderPlaced', '{"total":"12 €"}', { metadata: new Uint8Array([1, 2, 3]), id })
    const window = prepare({ event, stream: 'Bestellung-ü', position: 2 ** 40, revision: 2 ** 47, distance: 77 })
    const { bytes, view, size } = window
    expect(checkRecord(window, 0, size, LogPosition.of(2 ** 40), SEED)).toBe(size)
    expect(typeOf(view, 0)).toBe(RecordType.prepare)
    expect(sizeOf(view, 0)).toBe(size)
    expect(sizeBefore(view, size)).toBe(size)
    expect(positionOf(view, 0)).toBe(2 ** 40)
    expect(provenBy(view, 0)).toBe(2 ** 40 - 77)
    expect(revisionOf(view, 0)).toBe(2 ** 47)
    expect(createdMsOf(view, 0)).toBe(1_700_000_000_000)
    expect(bytes.subarray(suppliedIdOffsetOf(0), suppliedIdOffsetOf(0) + 16)).toEqual(Buffer.from(id))
    expect(utf8(bytes, streamOffsetOf(view, 0), eventTypeOffsetOf(view, 0))).toBe('Bestellung-ü')
    expect(streamSizeOf(view, 0)).toBe(13)
    expect(utf8(bytes, eventTypeOffsetOf(view, 0), metadataOffsetOf(view, 0))).toBe('OrderPlaced')
    expect(eventTypeSizeOf(view, 0)).toBe(11)
    expect([...bytes.subarray(metadataOffsetOf(view, 0), dataOffsetOf(view, 0))]).toEqual([1, 2, 3])
    expect(metadataSizeOf(view, 0)).toBe(3)
    expect(utf8(bytes, dataOffsetOf(view, 0), dataEndOf(view, 0))).toBe('{"total":"12 €"}')
  })

  test.each([
    ['JSON', encodable('t', '1'), PrepareFlag.jsonData],
    ['bytes', encodable('t', new Uint8Array(1)), 0],
    ['JSON with JSON metadata', encodable('t', '1', { metadata: '2' }), 2 | 8 | 16],
    ['JSON with bytes as metadata', encodable('t', '1', { metadata: new Uint8Array(1) }), 2 | 8],
    ['bytes with empty metadata', encodable('t', new Uint8Array(1), { metadata: new Uint8Array(0) }), 8],
    ['bytes with a supplied id', encodable('t', new Uint8Array(1), { id: new Uint8Array(16) }), 4],
  ])('says by its flags that it carries %s', (_, event, flags) => {
    expect(flagsOf(prepare({ event, committed: false }).view, 0)).toBe(flags)
    expect(flagsOf(prepare({ event, committed: true }).view, 0)).toBe(flags | PrepareFlag.committed)
  })

  test('of random content, at any offset of its window, is whole and leaves its neighbours alone (seed prepares)', () => {
    const random = new Random('prepares')
    for (let turn = 0; turn < 500; turn++) {
      const payload = () => (random.chance(0.5) ? random.bytes(random.int(500)) : JSON.stringify('ü😀x'.repeat(random.int(60))))
      const event = encodable('T'.repeat(1 + random.int(255)), payload(), {
        ...(random.chance(0.5) ? { metadata: payload() } : {}),
        ...(random.chance(0.3) ? { id: random.bytes(16) } : {}),
      })
      const stream = 's'.repeat(1 + random.int(1024))
      const offset = random.int(70)
      const window = prepare({ event, stream, offset, position: 4096 + turn })
      const size = prepareSize(event, stream.length)
      expect(checkRecord(window, offset, window.size, LogPosition.of(4096 + turn), SEED), `turn ${turn}`).toBe(size)
      expect(window.bytes.subarray(0, offset).every(byte => byte === 0xee)).toBe(true)
      const data = window.bytes.subarray(dataOffsetOf(window.view, offset), dataEndOf(window.view, offset))
      expect(data.equals(Buffer.from(event.data as string))).toBe(true)
    }
  })

  test('writes ASCII and other JSON alike', () => {
    for (const json of ['"abc"', '"äöü"', '"a\u2028b"', '"😀"', '"\\ud800"']) {
      const { bytes, view } = prepare({ event: encodable('t', json) })
      expect(utf8(bytes, dataOffsetOf(view, 0), dataEndOf(view, 0))).toBe(json)
    }
  })
})

describe('a commit record', () => {
  test('comes back field by field', () => {
    const { view } = commit(5000, 4224, 7, 1000)
    expect(typeOf(view, 0)).toBe(RecordType.commit)
    expect(positionOf(view, 0)).toBe(5000)
    expect(firstPrepareOf(view, 0)).toBe(4224)
    expect(eventCountOf(view, 0)).toBe(7)
    expect(provenBy(view, 0)).toBe(4000)
    expect(flagsOf(view, 0)).toBe(0)
  })
})

describe('a proof', () => {
  test('comes back field by field', () => {
    const { view, size } = proof(5000, 0)
    expect(typeOf(view, 0)).toBe(RecordType.proof)
    expect(sizeOf(view, 0)).toBe(size)
    expect(positionOf(view, 0)).toBe(5000)
    expect(provenBy(view, 0)).toBe(5000)
  })

  test('distance that does not fit into 32 bits proves nothing, never something wrong', () => {
    const position = 2 ** 40
    expect(provenBy(proof(position, position).view, 0)).toBe(0)
    expect(provenBy(proof(position, 0xffff_ffff).view, 0)).toBe(0)
    expect(provenBy(proof(position, 0xffff_fffe).view, 0)).toBe(position - 0xffff_fffe)
  })
})

describe('the overhead', () => {
  test('of an event is at most 48 bytes beyond stream, type, metadata, data and supplied id', () => {
    expect(PREPARE_OVERHEAD).toBeLessThanOrEqual(48)
    expect(prepare({ event: encodable('t', new Uint8Array(0)), stream: 's' }).size - 2).toBe(PREPARE_OVERHEAD)
    const event = encodable('OrderPlaced', '"ü"', { metadata: '12345', id: new Uint8Array(16) })
    expect(prepare({ event, stream: 'order-42' }).size - (8 + 11 + 4 + 5 + 16)).toBe(PREPARE_OVERHEAD)
  })

  test('of an append of several events is one commit record of at most 48 bytes', () => {
    expect(COMMIT_RECORD_SIZE).toBeLessThanOrEqual(48)
    expect(commit(5000, 4224, 7).size).toBe(COMMIT_RECORD_SIZE)
  })

  test('of a lone event has no commit record: its own flag commits it', () => {
    expect(flagsOf(prepare({ committed: true }).view, 0) & PrepareFlag.committed).toBe(1)
  })
})
