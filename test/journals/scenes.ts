import type { Disk } from '../../src/disk/disk.ts'
import type { DiskContent } from '../../src/disk/memory-disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore, NewEvent } from '../../src/index.ts'
import { type JournalOptions, Journals } from '../../src/journals/journals.ts'
import type { Random } from '../support/random.ts'

export const JOURNALS = '/journals'

/** Writes everything the store has into journals, and closes them. */
export async function exportTo(disk: Disk, store: EventStore, options?: JournalOptions): Promise<void> {
  const journals = await Journals.openOn(disk, store, JOURNALS, options)
  await journals.catchUp()
  await journals.close()
}

/** The files of the journals as text, without the checkpoint and the lock. */
export function filesOn(content: DiskContent): Record<string, string> {
  const paths = [...content.keys()].filter(path => /\.(log|name)$/.test(path)).sort()
  return Object.fromEntries(
    paths.map(path => [path.slice(JOURNALS.length + 1), Buffer.from(content.get(path)!).toString('latin1')]),
  )
}

/** What an export into an empty directory gives. */
export async function freshExport(store: EventStore, options?: JournalOptions): Promise<Record<string, string>> {
  const disk = new MemoryDisk()
  await exportTo(disk, store, options)
  return filesOn(disk.snapshot())
}

/** Changes the text of one file. */
export function edited(content: DiskContent, name: string, change: (text: string) => string): MemoryDisk {
  const copy = new Map(content)
  const path = `${JOURNALS}/${name}`
  copy.set(path, Buffer.from(change(Buffer.from(copy.get(path)!).toString('utf8')), 'utf8'))
  return new MemoryDisk(copy)
}

const SYLLABLES = [
  'order',
  'a',
  'ü',
  '/',
  '.',
  '..',
  ' ',
  '%',
  '%2F',
  '\\',
  '😀',
  '~',
  '-',
  '_',
  '\u2028',
  '\u00a0',
  'Ω',
  '"',
  ':',
  '*',
]
const EVERY_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => byte)
const BREAKING_TEXT = 'a\n\r\0\t\\n \u0085\u2028\u2029\u007f\u009b"\\u0041 ü😀\ufeff'

/** A stream's name, or an event's type, of any shape that a store takes. */
export function anyName(random: Random, maxSize: number): string {
  const wanted = random.chance(0.2) ? maxSize : random.int(40)
  let name = random.pick(SYLLABLES)
  for (;;) {
    const longer = name + random.pick(SYLLABLES)
    if (longer.length > wanted || Buffer.byteLength(longer) > maxSize) return name
    name = longer
  }
}

/** Data or metadata of any shape that a store takes. */
export function anyPayload(random: Random): NewEvent['data'] {
  switch (random.int(8)) {
    case 0:
      return random.bytes(random.int(2000))
    case 1:
      return EVERY_BYTE
    case 2:
      return new Uint8Array(Buffer.from(BREAKING_TEXT.slice(random.int(BREAKING_TEXT.length)), 'utf8'))
    case 3:
      return new Uint8Array([random.int(256)])
    case 4:
      return random.pick([null, true, 0, -0.5, 1e300, '', [], {}, 'text:a', 'base64:AA==', 'id=1\tmetadata=2'])
    case 5:
      return { [BREAKING_TEXT]: [BREAKING_TEXT, { '': '\ud800 alone' }] }
    case 6:
      return Array.from(EVERY_BYTE, byte => String.fromCharCode(byte)).join('')
    default:
      return { number: random.next(), text: 'äx😀 '.repeat(random.int(30)) }
  }
}

export function anyEvent(random: Random): NewEvent {
  const id = Buffer.from(random.bytes(16))
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  return {
    type: anyName(random, 255),
    data: anyPayload(random),
    ...(random.chance(0.4) ? { metadata: anyPayload(random) } : {}),
    ...(random.chance(0.4) ? { id } : {}),
  }
}
