import { closeSync, fdatasync, openSync, readSync, write } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import type { AppenderCounts } from './appender.ts'
import { GroupedAppends } from './grouped-appends.ts'
import type { OpenSpec, Subject, Take } from './subject.ts'

/** Before each record: length of its body, checksum of its body. */
const FRAME_BYTES = 8
/** The body begins with revision and length of the name. */
const BODY_HEADER_BYTES = 6
const READ_BYTES = 1024 * 1024

interface Row {
  readonly stream: string
  readonly batch: readonly Uint8Array[]
}

/** Offset and length of each record of a stream, one after the other. */
type Places = number[]

/** What a hand-written scan makes of a record. */
interface NaiveEvent {
  readonly stream: string
  readonly revision: number
  readonly data: Uint8Array
}

const writeAsync = promisify(write)
const syncAsync = promisify(fdatasync)

/**
 * Floor (b) with something to read: one file, a frame with a checksum for each event, an index in memory that a scan of the
 * whole file makes when it is opened. A stream is read with a pread per event.
 */
export class NaiveLog implements Subject {
  readonly #fd: number
  readonly #places = new Map<string, Places>()
  readonly #group: GroupedAppends<Row>
  #size = 0

  private constructor(fd: number) {
    this.#fd = fd
    this.#group = new GroupedAppends(rows => this.#write(rows))
  }

  static async open({ directory }: OpenSpec): Promise<NaiveLog> {
    const log = new NaiveLog(openSync(join(directory, 'log'), 'a+'))
    log.#readAll((event, offset, size) => log.#note(event.stream, offset, size), Number.POSITIVE_INFINITY)
    return log
  }

  append(stream: string, data: Uint8Array): Promise<void> {
    return this.#group.add({ stream, batch: [data] })
  }

  appendBatch(stream: string, batch: readonly Uint8Array[]): Promise<void> {
    return this.#group.add({ stream, batch })
  }

  async scan(take: Take, limit: number): Promise<number> {
    return this.#readAll(({ stream, revision, data }) => take(stream, revision, data), limit)
  }

  async readStream(stream: string, take: Take): Promise<number> {
    const places = this.#places.get(stream) ?? []
    for (let index = 0; index < places.length; index += 2) {
      const record = Buffer.allocUnsafe(places[index + 1]!)
      readSync(this.#fd, record, 0, record.length, places[index]!)
      const event = decode(record, 0, record.length)
      take(stream, event.revision, event.data)
    }
    return places.length / 2
  }

  counts(): AppenderCounts {
    return this.#group.counts()
  }

  async close(): Promise<void> {
    closeSync(this.#fd)
  }

  async #write(rows: readonly Row[]): Promise<void> {
    const records: Buffer[] = []
    let size = this.#size
    for (const { stream, batch } of rows) {
      for (const data of batch) {
        const record = encode(stream, (this.#places.get(stream)?.length ?? 0) / 2, data)
        records.push(record)
        this.#note(stream, size, record.length)
        size += record.length
      }
    }
    const bytes = Buffer.concat(records)
    for (let from = 0; from < bytes.length; ) from += (await writeAsync(this.#fd, bytes, from)).bytesWritten
    this.#size = size
    await syncAsync(this.#fd)
  }

  #note(stream: string, offset: number, size: number): void {
    const places = this.#places.get(stream)
    if (places === undefined) this.#places.set(stream, [offset, size])
    else places.push(offset, size)
  }

  /** From the beginning of the file; it ends at the last whole record. */
  #readAll(take: (event: NaiveEvent, offset: number, size: number) => void, limit: number): number {
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    let count = 0
    let start = 0
    for (;;) {
      const filled = readSync(this.#fd, buffer, 0, READ_BYTES, start)
      let offset = 0
      while (count < limit && offset + FRAME_BYTES <= filled) {
        const size = FRAME_BYTES + buffer.readUInt32LE(offset)
        if (offset + size > filled) break
        take(decode(buffer, offset, size), start + offset, size)
        offset += size
        count++
      }
      start += offset
      if (offset === 0 || count === limit) {
        this.#size = Math.max(this.#size, start)
        return count
      }
    }
  }
}

function encode(stream: string, revision: number, data: Uint8Array): Buffer {
  const nameBytes = Buffer.byteLength(stream)
  const record = Buffer.allocUnsafe(FRAME_BYTES + BODY_HEADER_BYTES + nameBytes + data.length)
  record.writeUInt32LE(revision, FRAME_BYTES)
  record.writeUInt16LE(nameBytes, FRAME_BYTES + 4)
  record.write(stream, FRAME_BYTES + BODY_HEADER_BYTES)
  record.set(data, record.length - data.length)
  record.writeUInt32LE(record.length - FRAME_BYTES, 0)
  record.writeUInt32LE(crc32(record.subarray(FRAME_BYTES)), 4)
  return record
}

function decode(buffer: Buffer, offset: number, size: number): NaiveEvent {
  const end = offset + size
  const body = offset + FRAME_BYTES
  if (crc32(buffer.subarray(body, end)) !== buffer.readUInt32LE(offset + 4)) throw new Error(`damaged record at ${offset}`)
  const name = body + BODY_HEADER_BYTES
  const nameEnd = name + buffer.readUInt16LE(body + 4)
  // A copy, as the engine hands out: what was read is the reader's to keep.
  const data = Uint8Array.prototype.slice.call(buffer, nameEnd, end)
  return { stream: buffer.toString('latin1', name, nameEnd), revision: buffer.readUInt32LE(body), data }
}
