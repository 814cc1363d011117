import { LogPosition, Revision } from '../../src/core/positions.ts'
import { ByteWindow } from '../../src/format/byte-window.ts'
import { COMMIT_RECORD_SIZE, checksumSeed, PROOF_RECORD_SIZE } from '../../src/format/log-record.ts'
import {
  type EncodableEvent,
  encodeCommit,
  encodePrepare,
  encodeProof,
  prepareSize,
  RecordStamp,
} from '../../src/format/record-encoding.ts'

export const STORE_ID = Uint8Array.from({ length: 16 }, (_, index) => 0xa0 + index)
export const SEED = checksumSeed(STORE_ID)

const text = (value: string) => new Uint8Array(Buffer.from(value))

/** Bytes stay bytes, a string is JSON. */
export function encodable(
  type: string,
  data: Uint8Array | string,
  more: { metadata?: Uint8Array | string; id?: Uint8Array } = {},
): EncodableEvent {
  const { metadata, id } = more
  return {
    eventType: text(type),
    data,
    dataSize: Buffer.byteLength(data),
    metadata,
    metadataSize: metadata === undefined ? 0 : Buffer.byteLength(metadata),
    suppliedId: id,
  }
}

export interface PrepareScene {
  readonly event?: EncodableEvent
  readonly stream?: string
  readonly position?: number
  readonly distance?: number
  readonly committed?: boolean
  readonly revision?: number
  readonly createdMs?: number
  /** Where in the window it begins. */
  readonly offset?: number
}

/** A prepare as it stands in a window that is otherwise full of 0xee. */
export function prepare(scene: PrepareScene = {}): ByteWindow {
  const { event = encodable('OrderPlaced', '{"total":12}'), stream = 'order-42', offset = 0 } = scene
  const size = prepareSize(event, Buffer.byteLength(stream))
  const window = filledWindow(offset + size)
  const stamp = stampOf(scene.position ?? 128, offset, scene.distance ?? 0)
  stamp.createdMs = scene.createdMs ?? 1_700_000_000_000
  const revision = Revision.of(scene.revision ?? 0)
  const end = encodePrepare(window, offset, stamp, scene.committed ?? true, text(stream), revision, event)
  if (end !== offset + size) throw new Error(`a prepare of ${end - offset} bytes that should have ${size}`)
  return window
}

export function commit(position: number, firstPrepare: number, eventCount: number, distance = 0): ByteWindow {
  const window = filledWindow(COMMIT_RECORD_SIZE)
  encodeCommit(window, 0, stampOf(position, 0, distance), firstPrepare - position, eventCount)
  return window
}

export function proof(position: number, distance = 0): ByteWindow {
  const window = filledWindow(PROOF_RECORD_SIZE)
  encodeProof(window, 0, stampOf(position, 0, distance))
  return window
}

/** For a record at `position`, which stands at `offset`, that proves what is `distance` bytes below it. */
function stampOf(position: number, offset: number, distance: number): RecordStamp {
  const stamp = new RecordStamp(SEED)
  stamp.base = (position - offset) as LogPosition
  stamp.proven = LogPosition.of(position - distance)
  return stamp
}

/** What is not written stays visible. */
function filledWindow(size: number): ByteWindow {
  const window = ByteWindow.allocate(size)
  window.bytes.fill(0xee)
  return window
}
