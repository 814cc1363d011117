import { join } from 'node:path'
import { GroupedAppends } from '../support/grouped-appends.ts'
import type { OpenSpec, Peer, Subject, Take } from '../support/subject.ts'
import { absentPackage, requirePeer } from './require-peer.ts'

/** What of classic-level is used here: the package is not there when this is compiled. */
interface Iterator {
  nextv(size: number): Promise<[Buffer, Buffer][]>
  close(): Promise<void>
}

interface Level {
  open(): Promise<void>
  close(): Promise<void>
  get(key: Buffer): Promise<Buffer | undefined>
  getMany(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]>
  batch(): { put(key: Buffer, value: Uint8Array): void; write(options: object): Promise<void> }
  iterator(range: object): Iterator
}

interface Row {
  readonly stream: string
  readonly data: readonly Uint8Array[]
}

const LOG = 1
const INDEX = 2
const NAMES = 3
/** Entries that an iterator brings at a time. */
const PAGE = 1024

/** Key of the log: 1, position (48 bits). Key of the index: 2, stream (u32), revision (u32). Key of a name: 3, name. */
class LevelEvents implements Subject {
  readonly #level: Level
  readonly #ids = new Map<string, number>()
  readonly #next = new Map<string, number>()
  readonly #group: GroupedAppends<Row> | null
  #nextPosition = 0
  #nextStream = 0
  #appends = 0

  private constructor(level: Level, isGrouped: boolean) {
    this.#level = level
    this.#group = isGrouped ? new GroupedAppends(rows => this.#write(rows)) : null
  }

  static async open({ directory }: OpenSpec, isGrouped: boolean): Promise<LevelEvents> {
    const { ClassicLevel } = requirePeer('classic-level') as { ClassicLevel: new (directory: string, options: object) => Level }
    const level = new ClassicLevel(join(directory, 'events'), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      // With the default of 4 MiB it stalls under load.
      writeBufferSize: 32 * 1024 * 1024,
      cacheSize: 64 * 1024 * 1024,
    })
    await level.open()
    const opened = new LevelEvents(level, isGrouped)
    await opened.#findEnd()
    return opened
  }

  append(stream: string, data: Uint8Array): Promise<void> {
    return this.appendBatch(stream, [data])
  }

  appendBatch(stream: string, data: readonly Uint8Array[]): Promise<void> {
    if (this.#group !== null) return this.#group.add({ stream, data })
    this.#appends++
    return this.#write([{ stream, data }])
  }

  async scan(take: Take, limit: number): Promise<number> {
    const names = new Map([...this.#ids].map(([name, id]) => [id, name]))
    return this.#each({ gt: Buffer.of(LOG), lt: Buffer.of(LOG + 1), limit }, (_key, value) =>
      take(names.get(value.readUInt32LE(0))!, value.readUInt32LE(4), value.subarray(8)),
    )
  }

  async readStream(stream: string, take: Take): Promise<number> {
    const id = this.#ids.get(stream)!
    const places: Buffer[] = []
    await this.#each({ gte: indexKey(id, 0), lt: indexKey(id + 1, 0) }, (_key, value) => {
      places.push(value)
    })
    const records = await this.#level.getMany(places)
    for (const record of records) take(stream, record!.readUInt32LE(4), record!.subarray(8))
    return records.length
  }

  counts() {
    return this.#group?.counts() ?? { appends: this.#appends, flushes: this.#appends }
  }

  close(): Promise<void> {
    return this.#level.close()
  }

  /** Revisions are taken here, so that they follow the order of the calls. */
  async #write(rows: readonly Row[]): Promise<void> {
    for (const { stream } of rows) {
      if (this.#next.has(stream)) continue
      const next = await this.#nextRevision(stream)
      // Another append to the stream may have looked it up meanwhile, and gone on.
      if (!this.#next.has(stream)) this.#next.set(stream, next)
    }
    const batch = this.#level.batch()
    for (const { stream, data } of rows) {
      let revision = this.#next.get(stream)!
      this.#next.set(stream, revision + data.length)
      let id = this.#ids.get(stream)
      if (id === undefined) {
        id = this.#nextStream++
        this.#ids.set(stream, id)
        batch.put(Buffer.concat([Buffer.of(NAMES), Buffer.from(stream)]), indexKey(id, 0))
      }
      for (const payload of data) {
        const record = Buffer.allocUnsafe(8 + payload.length)
        record.writeUInt32LE(id, 0)
        record.writeUInt32LE(revision, 4)
        record.set(payload, 8)
        const place = logKey(this.#nextPosition++)
        batch.put(place, record)
        batch.put(indexKey(id, revision++), place)
      }
    }
    await batch.write({ sync: true })
  }

  async #nextRevision(stream: string): Promise<number> {
    const id = this.#ids.get(stream)
    if (id === undefined) return 0
    let next = 0
    await this.#each({ gte: indexKey(id, 0), lt: indexKey(id + 1, 0), reverse: true, limit: 1 }, key => {
      next = key.readUInt32BE(5) + 1
    })
    return next
  }

  async #findEnd(): Promise<void> {
    await this.#each({ gt: Buffer.of(NAMES), lt: Buffer.of(NAMES + 1) }, (key, value) => {
      this.#ids.set(key.toString('utf8', 1), value.readUInt32BE(1))
    })
    this.#nextStream = this.#ids.size
    await this.#each({ gt: Buffer.of(LOG), lt: Buffer.of(LOG + 1), reverse: true, limit: 1 }, key => {
      this.#nextPosition = key.readUIntBE(1, 6) + 1
    })
  }

  async #each(range: object, take: (key: Buffer, value: Buffer) => void): Promise<number> {
    const iterator = this.#level.iterator(range)
    let count = 0
    try {
      for (let page = await iterator.nextv(PAGE); page.length > 0; page = await iterator.nextv(PAGE)) {
        for (const [key, value] of page) take(key, value)
        count += page.length
      }
    } finally {
      await iterator.close()
    }
    return count
  }
}

function logKey(position: number): Buffer {
  const key = Buffer.allocUnsafe(7)
  key[0] = LOG
  key.writeUIntBE(position, 1, 6)
  return key
}

function indexKey(stream: number, revision: number): Buffer {
  const key = Buffer.allocUnsafe(9)
  key[0] = INDEX
  key.writeUInt32BE(stream, 1)
  key.writeUInt32BE(revision, 5)
  return key
}

const GUARANTEE = 'On disk: LevelDB has synced its log (sync: true).'

export const LEVEL: Peer = {
  name: 'level',
  variants: [
    {
      name: 'level',
      title: 'classic-level (sync, an atomic batch per append)',
      guarantee: GUARANTEE,
      isDurable: true,
      workloads: ['W1', 'W2', 'W3'],
      absent: () => absentPackage('classic-level'),
      open: spec => LevelEvents.open(spec, false),
    },
    {
      name: 'level-group',
      title: 'classic-level (sync, a chained batch per turn of the event loop)',
      guarantee: `${GUARANTEE} The promises of a group resolve after its batch.`,
      isDurable: true,
      workloads: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6'],
      absent: () => absentPackage('classic-level'),
      open: spec => LevelEvents.open(spec, true),
    },
  ],
}
