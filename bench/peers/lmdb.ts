import { join } from 'node:path'
import { StreamHeads } from '../support/stream-heads.ts'
import type { OpenSpec, Peer, Subject, Take } from '../support/subject.ts'
import { absentPackage, requirePeer } from './require-peer.ts'

/** What of lmdb is used here: the package is not there when this is compiled. */
interface Written extends Promise<boolean> {
  readonly flushed: Promise<boolean>
}

interface Range {
  readonly start?: unknown
  readonly end?: unknown
  readonly limit?: number
  readonly reverse?: boolean
}

interface Table<Key, Value> {
  put(key: Key, value: Value): Written
  get(key: Key): Value | undefined
  getRange(range: Range): Iterable<{ readonly key: Key; readonly value: Value }>
  getKeys(range: Range): Iterable<Key>
}

interface Environment {
  openDB(options: object): unknown
  close(): Promise<void>
}

interface Lmdb {
  open(options: object): Environment
}

type StreamKey = [stream: number, revision: number]

/** A record of the log: stream (u32), revision (u32), payload. */
const RECORD_HEADER = 8

class LmdbEvents implements Subject {
  readonly #environment: Environment
  readonly #log: Table<number, Buffer>
  readonly #index: Table<StreamKey, number>
  readonly #names: Table<string, number>
  readonly #ids = new Map<string, number>()
  readonly #heads: StreamHeads
  #nextPosition: number
  #nextStream: number
  #appends = 0

  constructor({ directory }: OpenSpec) {
    const { open } = requirePeer('lmdb') as Lmdb
    this.#environment = open({ path: join(directory, 'events'), maxDbs: 3, separateFlushed: true, mapSize: 2 ** 36 })
    this.#log = this.#environment.openDB({ name: 'log', encoding: 'binary', keyEncoding: 'uint32' }) as Table<number, Buffer>
    this.#index = this.#environment.openDB({ name: 'index', encoding: 'ordered-binary' }) as Table<StreamKey, number>
    this.#names = this.#environment.openDB({ name: 'names', encoding: 'ordered-binary' }) as Table<string, number>
    for (const { key, value } of this.#names.getRange({})) this.#ids.set(key, value)
    this.#nextStream = this.#ids.size + 1
    this.#nextPosition = (first(this.#log.getKeys({ reverse: true, limit: 1 })) ?? 0) + 1
    this.#heads = new StreamHeads(stream => {
      const id = this.#ids.get(stream)
      if (id === undefined) return 0
      const last = first(this.#index.getKeys({ start: [id, 2 ** 32], end: [id, -1], reverse: true, limit: 1 }))
      return last === undefined ? 0 : last[1] + 1
    })
  }

  append(stream: string, data: Uint8Array): Promise<boolean> {
    return this.appendBatch(stream, [data])
  }

  /** Everything that is put within one turn of the event loop is one transaction of the library. */
  appendBatch(stream: string, batch: readonly Uint8Array[]): Promise<boolean> {
    this.#appends++
    let revision = this.#heads.take(stream, batch.length)
    let id = this.#ids.get(stream)
    if (id === undefined) {
      id = this.#nextStream++
      this.#ids.set(stream, id)
      void this.#names.put(stream, id)
    }
    let written: Written | undefined
    for (const data of batch) {
      const record = Buffer.allocUnsafe(RECORD_HEADER + data.length)
      record.writeUInt32LE(id, 0)
      record.writeUInt32LE(revision, 4)
      record.set(data, RECORD_HEADER)
      const position = this.#nextPosition++
      void this.#index.put([id, revision++], position)
      written = this.#log.put(position, record)
    }
    return written!.flushed
  }

  async scan(take: Take, limit: number): Promise<number> {
    const names = new Map([...this.#ids].map(([name, id]) => [id, name]))
    let count = 0
    for (const { value } of this.#log.getRange({ start: 0, limit })) {
      take(names.get(value.readUInt32LE(0))!, value.readUInt32LE(4), value.subarray(RECORD_HEADER))
      count++
    }
    return count
  }

  async readStream(stream: string, take: Take): Promise<number> {
    const id = this.#ids.get(stream)!
    let count = 0
    for (const { key, value } of this.#index.getRange({ start: [id, 0], end: [id + 1, 0] })) {
      take(stream, key[1], this.#log.get(value)!.subarray(RECORD_HEADER))
      count++
    }
    return count
  }

  counts() {
    return { appends: this.#appends, flushes: 0 }
  }

  close(): Promise<void> {
    return this.#environment.close()
  }
}

function first<Item>(items: Iterable<Item>): Item | undefined {
  for (const item of items) return item
  return undefined
}

export const LMDB: Peer = {
  name: 'lmdb',
  variants: [
    {
      name: 'lmdb',
      title: 'LMDB (lmdb-js, log and stream index, awaiting .flushed)',
      guarantee: 'On disk: `.flushed` resolves when the transaction is synced.',
      isDurable: true,
      workloads: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6'],
      absent: () => absentPackage('lmdb'),
      open: async spec => new LmdbEvents(spec),
    },
  ],
}
