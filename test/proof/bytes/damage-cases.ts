import { BLOCK_SIZE } from '../../../src/core/limits.ts'
import { LogPosition } from '../../../src/core/positions.ts'
import type { DiskContent, MemoryDisk } from '../../../src/disk/memory-disk.ts'
import { ByteWindow } from '../../../src/format/byte-window.ts'
import { checksumBytes } from '../../../src/format/checksum.ts'
import { decodeFlushedSlot, encodeFlushedSlot } from '../../../src/format/flushed-slot.ts'
import { readIndexHeader } from '../../../src/format/index-layout.ts'
import { INDEX_PAGE_SIZE, isWholePage, pageSeed } from '../../../src/format/index-pages.ts'
import { Random } from '../../support/random.ts'
import { changed, fileOf, nonZeroEnd } from '../../support/store-content.ts'
import { examine, makeSample, type Sample, type SampleName } from './sample-store.ts'

/** A share of the cases of one kind: those with numbers from `from` on, below `to`, each `step`-th. */
export interface CaseJob {
  readonly kind: CaseKind
  readonly sample: SampleName
  readonly seed: string
  readonly from: number
  readonly to: number
  readonly step: number
}

export interface CaseCounts {
  readonly kind: string
  readonly sample: string
  readonly cases: number
  /** Cases in which an error said so, or a checksum. */
  readonly detected: number
  /** Cases in which every byte that came out was right, and none was missing. */
  readonly harmless: number
  readonly failures: readonly string[]
}

/** 'detected': someone must have noticed. 'harmless': nothing is missing, and all is right. 'lost': the last append, which nothing proves, is gone. */
type Outcome = 'detected' | 'harmless' | 'lost'

interface Cases {
  count(sample: Sample): number
  /** What may come of it. */
  readonly allowed: readonly Outcome[]
  run(sample: Sample, number: number, seed: string): Promise<Outcome> | Outcome
}

const CHUNK = fileOf(0)
const INDEX = (sample: Sample) => [...sample.content.keys()].find(path => /0-\d+\.index$/.test(path)) as string
const LAST = (sample: Sample) =>
  [...sample.content.keys()]
    .filter(path => path.endsWith('.chunk'))
    .sort()
    .at(-1) as string
const HINT = fileOf('flushed')

async function outcomeOf(sample: Sample, content: DiskContent, streams = false, meanwhile?: Meanwhile): Promise<Outcome> {
  const { code, count } = await examine(sample, content, streams, meanwhile)
  if (code !== null) {
    if (code === 'CORRUPT_LOG' || code === 'UNSUPPORTED_FORMAT') return 'detected'
    throw new Error(`the error is ${code}`)
  }
  if (count === sample.all.length) return 'harmless'
  if (count === sample.all.length - 1) return 'lost'
  throw new Error(`silently, ${count} of ${sample.all.length} events are there`)
}

type Meanwhile = (disk: MemoryDisk) => Promise<void>

function flip(bytes: Uint8Array, bit: number): void {
  bytes[bit >> 3]! ^= 1 << (bit & 7)
}

function flipsOf(file: (sample: Sample) => string, allowed: readonly Outcome[], streams: boolean): Cases {
  return {
    count: sample => sample.content.get(file(sample))!.length * 8,
    allowed,
    run: (sample, bit) =>
      outcomeOf(
        sample,
        changed(sample.content, file(sample), bytes => flip(bytes, bit)),
        streams,
      ),
  }
}

/** Where the records of a chunk stand. */
function recordOffsets(chunk: Uint8Array): number[] {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  const offsets: number[] = []
  for (let at = 128, size = view.getUint32(at, true); size > 0; size = view.getUint32(at, true)) {
    offsets.push(at)
    at += size
  }
  return offsets
}

/** A block of a larger chunk, made once. */
const block = new Random('block').bytes(BLOCK_SIZE)
const blockSum = checksumBytes(block)

const KINDS = {
  'bits of a completed chunk and its footer, by opening and reading': flipsOf(() => CHUNK, ['detected'], false),
  'bits of a chunk of 1 MiB, by the block they are in': {
    count: () => 16 * BLOCK_SIZE * 8,
    allowed: ['detected'],
    // The blocks are alike but for their place, and the check of a block does not know its place.
    run(_, number) {
      const bit = number % (BLOCK_SIZE * 8)
      flip(block, bit)
      const isDetected = checksumBytes(block) !== blockSum
      flip(block, bit)
      return isDetected ? 'detected' : 'lost'
    },
  },
  'bits of the chunk that is being filled': flipsOf(LAST, ['detected', 'harmless'], false),
  'bits of the chunk that is being filled, while it is open': {
    count: sample => sample.content.get(LAST(sample))!.length * 8,
    allowed: ['detected', 'harmless'],
    run: (sample, bit) =>
      outcomeOf(sample, sample.content, false, async disk => {
        const file = await disk.open(LAST(sample), 'write')
        const byte = new Uint8Array(1)
        await file.read(byte, bit >> 3)
        byte[0]! ^= 1 << (bit & 7)
        await file.write(byte, bit >> 3)
      }),
  },
  'bits of the last append, which nothing proves': {
    count: sample => (nonZeroEnd(sample.content.get(LAST(sample))!) + 4) * 8,
    allowed: ['detected', 'harmless', 'lost'],
    run: (sample, bit) =>
      outcomeOf(
        sample,
        changed(sample.content, LAST(sample), bytes => flip(bytes, bit)),
      ),
  },
  'bits of an index file, by the page they are in': {
    count: sample => sample.content.get(INDEX(sample))!.length * 8,
    allowed: ['detected'],
    run(sample, bit) {
      const file = sample.content.get(INDEX(sample))!
      const number = Math.floor(bit / 8 / INDEX_PAGE_SIZE)
      const page = ByteWindow.allocate(INDEX_PAGE_SIZE)
      page.bytes.set(file.subarray(number * INDEX_PAGE_SIZE, (number + 1) * INDEX_PAGE_SIZE))
      const header = ByteWindow.allocate(INDEX_PAGE_SIZE)
      header.bytes.set(file.subarray(0, INDEX_PAGE_SIZE))
      const storeId = sample.content.get(CHUNK)!.subarray(16, 32)
      const seed = number === 0 ? checksumBytes(storeId) : pageSeed(storeId, readIndexHeader(header)!)
      flip(page.bytes, bit % (INDEX_PAGE_SIZE * 8))
      return isWholePage(page, number, seed) ? 'lost' : 'detected'
    },
  },
  'bits of an index file, by opening and reading': flipsOf(INDEX, ['harmless'], true),
  'bits of the hint': {
    count: () => 64 * 8,
    allowed: ['detected'],
    run(_, bit) {
      const slot = encodeFlushedSlot({ storeId: new Uint8Array(16).fill(7), position: LogPosition.plus(LogPosition.start, 4711) })
      flip(slot, bit)
      return decodeFlushedSlot(slot) === null ? 'detected' : 'lost'
    },
  },
  'sectors swapped or written twice': {
    count: () => 100_000,
    allowed: ['detected', 'harmless'],
    run(sample, number, seed) {
      const random = new Random(`${seed}/sectors/${number}`)
      const sector = random.pick([512, 4096])
      const files = [...sample.content]
        .filter(([path, bytes]) => bytes.length >= 2 * sector && path !== HINT)
        .map(([path]) => path)
      const [one, other] = [random.pick(files), random.pick(files)]
      const isSwap = random.chance(0.5)
      const content = changed(
        changed(sample.content, one, () => {}),
        other,
        () => {},
      )
      const place = (path: string) => sector * random.int(Math.floor(content.get(path)!.length / sector))
      const [at, from] = [place(one), place(other)]
      const mine = content.get(one)!.slice(at, at + sector)
      content.get(one)!.set(content.get(other)!.slice(from, from + sector), at)
      if (isSwap) content.get(other)!.set(mine, from)
      return outcomeOf(sample, content, one.endsWith('index') || other.endsWith('index'))
    },
  },
  'records of another place behind the end, or of another store in place': {
    count: () => 400,
    allowed: ['harmless', 'detected'],
    async run(sample, number, seed) {
      const random = new Random(`${seed}/misplaced/${number}`)
      const isForeign = number % 2 === 1
      const path = LAST(sample)
      const source = (isForeign ? await sampleOf(sample.name, seed, 'other') : sample).content.get(path)!
      const at = random.pick(recordOffsets(source))
      const size = new DataView(source.buffer, source.byteOffset).getUint32(at, true)
      // Behind the proof that ends the log, whose size begins with the last byte that is not zero.
      const end = nonZeroEnd(sample.content.get(path)!) + 3
      const content = changed(sample.content, path, bytes => bytes.set(source.subarray(at, at + size), isForeign ? at : end))
      return outcomeOf(sample, content)
    },
  },
  truncations: {
    count: sample => sample.content.get(LAST(sample))!.length + sample.content.get(CHUNK)!.length,
    allowed: ['detected', 'harmless', 'lost'],
    async run(sample, number) {
      const last = sample.content.get(LAST(sample))!
      const isLast = number < last.length
      const size = isLast ? number : number - last.length
      const outcome = await outcomeOf(
        sample,
        changed(sample.content, isLast ? LAST(sample) : CHUNK, bytes => bytes.subarray(0, size)),
      )
      if (outcome === 'lost' && sample.name !== 'killed') throw new Error(`cut at ${size}: an append that was proven is gone`)
      return outcome
    },
  },
  'hint and index files missing, empty, zeroed, old, foreign or ahead': {
    count: () => HINT_FAULTS.length,
    allowed: ['detected', 'harmless'],
    async run(sample, number) {
      const [name, change, expected] = HINT_FAULTS[number]!
      const outcome = await outcomeOf(sample, change(sample), true)
      if (outcome !== expected) throw new Error(`${name}: ${outcome}, not ${expected}`)
      return outcome
    },
  },
} satisfies Record<string, Cases>

export type CaseKind = keyof typeof KINDS

type HintFault = readonly [name: string, change: (sample: Sample) => Map<string, Uint8Array>, expected: Outcome]

const storeIdOf = (sample: Sample) => sample.content.get(CHUNK)!.slice(16, 32)
const hint = (sample: Sample, storeId: Uint8Array, position: number) =>
  changed(sample.content, HINT, () => new Uint8Array(encodeFlushedSlot({ storeId, position: LogPosition.of(position) })))
const endOf = (sample: Sample) => {
  const numbers = [...sample.content.keys()].filter(path => path.endsWith('.chunk')).length
  return (numbers - 1) * 64 * 1024 + nonZeroEnd(sample.content.get(LAST(sample))!)
}
const partial = (sample: Sample) => [...sample.content.keys()].find(path => path.endsWith('-partial.index')) as string

const HINT_FAULTS: readonly HintFault[] = [
  ['no hint', sample => changed(sample.content, HINT, () => null), 'harmless'],
  ['an empty hint', sample => changed(sample.content, HINT, () => new Uint8Array(0)), 'harmless'],
  ['a hint of zeros', sample => changed(sample.content, HINT, bytes => bytes.fill(0)), 'harmless'],
  ['half a hint', sample => changed(sample.content, HINT, bytes => bytes.subarray(0, 32)), 'harmless'],
  ['a hint at the start', sample => hint(sample, storeIdOf(sample), 0), 'harmless'],
  ['an old hint', sample => hint(sample, storeIdOf(sample), 60_000), 'harmless'],
  ['the hint of another store', sample => hint(sample, new Uint8Array(16).fill(9), 2 ** 40), 'harmless'],
  ['a hint that is ahead by a chunk', sample => hint(sample, storeIdOf(sample), endOf(sample) + 64 * 1024), 'detected'],
  ['a hint that is ahead by a record', sample => hint(sample, storeIdOf(sample), endOf(sample) + 512), 'detected'],
  ['no index file', sample => changed(sample.content, INDEX(sample), () => null), 'harmless'],
  ['an empty index file', sample => changed(sample.content, INDEX(sample), () => new Uint8Array(0)), 'harmless'],
  ['an index file of zeros', sample => changed(sample.content, INDEX(sample), bytes => bytes.fill(0)), 'harmless'],
  ['half an index file', sample => changed(sample.content, INDEX(sample), bytes => bytes.subarray(0, 4096)), 'harmless'],
  ['no partial index file', sample => changed(sample.content, partial(sample), () => null), 'harmless'],
  [
    'an index file under the name of another',
    sample => {
      const bytes = sample.content.get(INDEX(sample))!
      return changed(sample.content, fileOf('000001-000001.index'), () => new Uint8Array(bytes))
    },
    'harmless',
  ],
  [
    'an index that is ahead of the log',
    sample => {
      // The log lost its last appends and the hint, the index did not.
      const cut = changed(sample.content, LAST(sample), bytes => bytes.fill(0, 128))
      cut.delete(HINT)
      return cut
    },
    'detected',
  ],
]

export function casesOf(kind: CaseKind, sample: Sample): number {
  return (KINDS[kind] as Cases).count(sample)
}

const samples = new Map<string, Promise<Sample>>()

export function sampleOf(name: SampleName, seed: string, store = 'own'): Promise<Sample> {
  const key = `${name}/${seed}/${store}`
  const sample = samples.get(key) ?? makeSample(name, seed, store)
  samples.set(key, sample)
  return sample
}

const MOST_FAILURES = 3

export async function runCases({ kind, sample: name, seed, from, to, step }: CaseJob): Promise<CaseCounts> {
  const sample = await sampleOf(name, seed)
  const { allowed, run } = KINDS[kind] as Cases
  const counts = { detected: 0, harmless: 0, lost: 0 }
  const failures: string[] = []
  let cases = 0
  for (let number = from; number < to && failures.length < MOST_FAILURES; number += step) {
    cases++
    const where = `${kind}, sample ${name}, seed ${seed}, case ${number}`
    try {
      const outcome = await run(sample, number, seed)
      counts[outcome]++
      if (!allowed.includes(outcome)) failures.push(`${where}: ${outcome}`)
    } catch (error) {
      failures.push(`${where}: ${String((error as Error).message)}`)
    }
  }
  return { kind, sample: name, cases, detected: counts.detected, harmless: counts.harmless + counts.lost, failures }
}
