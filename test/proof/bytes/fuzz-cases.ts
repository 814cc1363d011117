import { TailraceError } from '../../../src/core/errors.ts'
import { LogPosition } from '../../../src/core/positions.ts'
import { MemoryDisk } from '../../../src/disk/memory-disk.ts'
import { ByteWindow } from '../../../src/format/byte-window.ts'
import { checksumBytes, checksumRange } from '../../../src/format/checksum.ts'
import { CHUNK_FOOTER_SIZE } from '../../../src/format/chunk-footer.ts'
import { CHUNK_HEADER_SIZE } from '../../../src/format/chunk-header.ts'
import { INDEX_PAGE_SIZE } from '../../../src/format/index-pages.ts'
import {
  checkCompactRecord,
  checkRecord,
  checksumSeed,
  dataEndOf,
  dataOffsetOf,
  OFFSET_CHECKSUM,
  OFFSET_POSITION,
  RECORD_HEAD_SIZE,
  RecordType,
  sizeOf,
  typeOf,
} from '../../../src/format/log-record.ts'
import { EventStore } from '../../../src/store/event-store.ts'
import { parseEventLine } from '../../../tools/event-line.ts'
import { impatient } from '../../support/impatience.ts'
import { stillClock } from '../../support/manual-clock.ts'
import { Random } from '../../support/random.ts'
import { copyOf, DIRECTORY, fileOf } from '../../support/store-content.ts'
import { type CaseCounts, sampleOf } from './damage-cases.ts'
import { examine, type Sample, type SampleName } from './sample-store.ts'

/** Files that someone made on purpose: their checksums are right, what they say is not. */
export interface FuzzJob {
  readonly kind: 'record decodes' | 'chunk opens' | 'index opens' | 'import lines'
  readonly sample: SampleName
  readonly seed: string
  readonly from: number
  readonly to: number
}

const SLOW_MS = 2000
const MOST_HELD = 256 * 1024 * 1024
const MOST_FAILURES = 3

export async function runFuzz({ kind, sample: name, seed, from, to }: FuzzJob): Promise<CaseCounts> {
  const sample = await sampleOf(name, seed)
  const failures: string[] = []
  const run = RUNS[kind](sample)
  let [cases, refused] = [0, 0]
  for (let number = from; number < to && failures.length < MOST_FAILURES; number++) {
    const random = new Random(`${seed}/${kind}/${number}`)
    const startedMs = performance.now()
    try {
      const isRefused = run(random)
      if (typeof isRefused === 'boolean' ? isRefused : await isRefused) refused++
      if (performance.now() - startedMs > SLOW_MS) throw new Error(`it took ${(performance.now() - startedMs).toFixed(0)} ms`)
    } catch (error) {
      failures.push(`${kind}, sample ${name}, seed ${seed}, case ${number}: ${String((error as Error).stack)}`)
    }
    cases++
  }
  return { kind, sample: name, cases, detected: refused, harmless: cases - refused, failures }
}

/** @returns whether it was refused. */
type FuzzRun = (random: Random) => boolean | Promise<boolean>

const RUNS: Record<FuzzJob['kind'], (sample: Sample) => FuzzRun> = {
  'record decodes': decodeRecord,
  'chunk opens': sample => random => openWith(mutatedChunk(sample, random), random),
  'index opens': sample => random => openWithIndex(sample, random),
  'import lines': importLine,
}

/** Numbers at which code breaks. */
function nastyNumber(random: Random): number {
  return random.pick([0, 1, 2, 27, 28, 255, 256, 65_535, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, random.int(4096), random.next()])
}

function mutate(bytes: Uint8Array, from: number, to: number, random: Random): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let turn = 1 + random.int(3); turn > 0; turn--) {
    const at = from + random.int(to - from)
    const what = random.int(4)
    if (what === 0) bytes[at] = random.int(256)
    else if (what === 1 && at + 4 <= to) view.setUint32(at, nastyNumber(random), true)
    else if (what === 2 && at + 2 <= to) view.setUint16(at, nastyNumber(random), true)
    else bytes.fill(random.pick([0, 255]), at, Math.min(to, at + random.int(64)))
  }
}

/** Where the records of a chunk begin, as far as they are where they say. */
function recordsOf(chunk: Uint8Array): number[] {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  const offsets: number[] = []
  for (let at = CHUNK_HEADER_SIZE; at + RECORD_HEAD_SIZE < chunk.length; ) {
    const size = view.getUint32(at, true)
    if (size < RECORD_HEAD_SIZE || at + size > chunk.length || view.getUint32(at + size - 4, true) !== size) break
    offsets.push(at)
    at += size
  }
  return offsets
}

function seedOf(sample: Sample): number {
  return checksumSeed(sample.content.get(fileOf(0))!.subarray(16, 32))
}

/** Ten decodes of one record that was changed, its checksum made right again. */
function decodeRecord(sample: Sample): FuzzRun {
  const chunk = sample.content.get(fileOf(0))!
  const records = recordsOf(chunk)
  const seed = seedOf(sample)
  const window = ByteWindow.allocate(16 * 1024)
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  return random => {
    const from = random.pick(records)
    const size = view.getUint32(from, true)
    const start = random.int(64)
    window.bytes.set(chunk.subarray(from, from + size), start)
    const position = LogPosition.of(from)
    mutate(window.bytes, start, start + Math.min(size, random.chance(0.8) ? 64 : size), random)
    if (random.chance(0.9)) {
      window.view.setInt32(start + OFFSET_CHECKSUM, checksumRange(window, start + OFFSET_POSITION, start + size, seed), true)
    }
    const limit = random.chance(0.9) ? start + size : start + random.int(size)
    const isCompact = random.chance(0.2)
    const result = isCompact
      ? checkCompactRecord(window, start, limit, LogPosition.start, LogPosition.of(65_536), seed)
      : checkRecord(window, start, limit, position, seed)
    if (typeof result !== 'number') return true
    const end = start + result
    if (end > limit || sizeOf(window.view, start) !== result)
      throw new Error(`a record of ${result} bytes beyond ${limit - start}`)
    if (typeOf(window.view, start) !== RecordType.prepare) return false
    const data = dataOffsetOf(window.view, start)
    if (data < start || data > dataEndOf(window.view, start) || dataEndOf(window.view, start) > end) {
      throw new Error(`data at ${data - start} of a record of ${result} bytes`)
    }
    return false
  }
}

/** The content with a chunk in which something was changed, and every checksum made right again that covers it. */
function mutatedChunk(sample: Sample, random: Random): Map<string, Uint8Array> {
  const content = copyOf(sample.content)
  const path = fileOf(random.chance(0.5) ? 0 : 1)
  const bytes = content.get(path)!
  const window = new ByteWindow(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  const records = recordsOf(bytes)
  const what = random.int(5)
  if (what === 0) {
    mutate(bytes, 0, CHUNK_HEADER_SIZE, random)
    window.view.setUint32(CHUNK_HEADER_SIZE - 4, checksumBytes(bytes.subarray(0, CHUNK_HEADER_SIZE - 4)), true)
  } else if (what <= 2 && records.length > 0) {
    const at = random.pick(records)
    const size = window.view.getUint32(at, true)
    mutate(bytes, at, at + Math.min(size, 80), random)
    window.view.setInt32(at + OFFSET_CHECKSUM, checksumRange(window, at + OFFSET_POSITION, at + size, seedOf(sample)), true)
  } else if (what === 3) {
    mutate(bytes, Math.max(0, bytes.length - 200), bytes.length, random)
  } else mutate(bytes, 0, bytes.length, random)
  if (random.chance(0.9)) repairFooter(window)
  if (random.chance(0.1)) content.set(path, bytes.subarray(0, random.int(bytes.length)))
  // Without the index files, records are believed that no index knows.
  if (random.chance(0.5)) for (const other of content.keys()) if (other.endsWith('.index')) content.delete(other)
  return content
}

/** Makes the checksums of blocks and footer right again, as far as the footer can be found. */
function repairFooter({ bytes, view }: ByteWindow): void {
  const end = bytes.length
  const start = end - CHUNK_FOOTER_SIZE
  const blockCount = view.getUint32(start + 12, true)
  const entrySize = view.getUint32(start + 8, true) === 2 ? 12 : 4
  const tables = start - blockCount * entrySize
  const dataSize = view.getUint32(start + 16, true)
  if (tables < CHUNK_HEADER_SIZE || dataSize > tables) return
  for (let block = 0; block < blockCount && block * 65_536 < dataSize; block++) {
    view.setUint32(
      tables + block * 4,
      checksumBytes(bytes.subarray(block * 65_536, Math.min(dataSize, (block + 1) * 65_536))),
      true,
    )
  }
  view.setUint32(end - 4, checksumBytes(bytes.subarray(tables, end - 4)), true)
}

/** Index files changed in many places: whatever they say, what comes out must be right, for the log is the truth. */
async function openWithIndex(sample: Sample, random: Random): Promise<boolean> {
  const content = copyOf(sample.content)
  const names = [...content.keys()].filter(name => name.endsWith('.index'))
  for (let turn = 1 + random.int(2); turn > 0; turn--) {
    const path = random.pick(names)
    const bytes = content.get(path)!
    const pageCount = Math.floor(bytes.length / INDEX_PAGE_SIZE)
    const page = INDEX_PAGE_SIZE * random.int(pageCount)
    const what = random.int(5)
    if (what <= 1) mutate(bytes, page, page + INDEX_PAGE_SIZE, random)
    else if (what === 2) bytes.copyWithin(page, INDEX_PAGE_SIZE * random.int(pageCount), INDEX_PAGE_SIZE * pageCount)
    else if (what === 3) content.set(path, bytes.slice(0, random.int(bytes.length)))
    else content.set(path, new Uint8Array(content.get(random.pick(names))!))
    if (content.get(path)!.length < INDEX_PAGE_SIZE) break
  }
  const { code, count } = await examine(sample, content, true)
  if (code !== null || count !== sample.all.length)
    throw new Error(`${code ?? 'no error'}, ${count} events of ${sample.all.length}`)
  return false
}

/** Opens it, and reads what it gives, in every way. */
async function openWith(content: Map<string, Uint8Array>, random: Random): Promise<boolean> {
  const heldBefore = process.memoryUsage().arrayBuffers
  const isRefused = await isRefusedBy(content, random)
  const held = process.memoryUsage().arrayBuffers - heldBefore
  if (held > MOST_HELD) throw new Error(`it held ${held} bytes`)
  return isRefused
}

async function isRefusedBy(content: Map<string, Uint8Array>, random: Random): Promise<boolean> {
  try {
    const store = await EventStore.openOn(impatient(new MemoryDisk(content)), DIRECTORY, {
      clock: stillClock,
      readOnly: random.chance(0.3),
      chunkSizeBytes: 65_536,
    })
    for await (const batch of store.readAll({ includeSystem: true }).batches()) for (const event of batch) void event.bytes
    for await (const { stream } of store.streams()) for await (const batch of store.readStream(stream).batches()) void batch
    for await (const batch of store.readAll({ direction: 'backwards' }).batches()) void batch
    await store.close()
    return false
  } catch (error) {
    // What an event says of itself is JSON may be none, if someone makes it so.
    if (error instanceof TailraceError || error instanceof SyntaxError) return true
    throw error
  }
}

/** A line of NDJSON with holes, twists and surprises: a parsed event that the store takes, or an error that says why not. */
function importLine(): FuzzRun {
  const store = EventStore.inMemory({ clock: stillClock })
  return async random => {
    const value = (depth: number): unknown => {
      const kind = random.int(depth > 3 ? 6 : 8)
      if (kind === 0) return null
      if (kind === 1) return random.chance(0.5)
      if (kind === 2) return nastyNumber(random) * random.pick([1, -1, 0.1, 1e300])
      if (kind <= 5) return nastyText(random)
      if (kind === 6) return Array.from({ length: random.int(4) }, () => value(depth + 1))
      return Object.fromEntries(Array.from({ length: random.int(4) }, () => [nastyText(random), value(depth + 1)]))
    }
    const names = ['stream', 'type', 'data', 'dataBase64', 'metadata', 'metadataBase64', 'id', 'revision', '__proto__', 'other']
    const fields = names.filter(() => random.chance(0.15)).map(name => `,${JSON.stringify(name)}:${JSON.stringify(value(0))}`)
    let line = `{"stream":"s","type":"t"${random.chance(0.7) ? ',"data":1' : ''}${fields.join('')}}`
    if (random.chance(0.3)) line = line.slice(0, random.int(line.length)) + random.pick(['', '\0', '}', '"', '\ud800'])
    try {
      const { stream, event } = parseEventLine(line, 1 + random.int(9))
      await (await store).append(stream, event)
      return false
    } catch (error) {
      if (error instanceof RangeError) throw error
      return true
    }
  }
}

function nastyText(random: Random): string {
  return random.pick([
    '',
    'a',
    'x'.repeat(300),
    'x'.repeat(2000),
    '\ud800',
    'é',
    '\u0000',
    '../..',
    '$all',
    '__proto__',
    'QUJD',
    'QQ=',
    '!!',
  ])
}
