import { StreamDeletedError, StreamNotFoundError } from '../../src/core/errors.ts'
import type { RecordedEvent } from '../../src/core/events.ts'
import { checksumBytes } from '../../src/format/checksum.ts'
import type { EventStore } from '../../src/store/event-store.ts'

/** Everything that a reader can see of a store, as text: equal for equal stores. */
export interface StorePicture {
  /** The whole log, an event a line. */
  readonly all: readonly string[]
  /** What each stream shows, or why it shows nothing. */
  readonly streams: ReadonlyMap<string, readonly string[]>
}

/**
 * Reads a store in every way.
 * @param hasErasures events were erased: the last one of a stream may be gone, and the stream's head stays.
 * @throws Error when two ways of reading disagree.
 */
export async function pictureOf(store: EventStore, streams: readonly string[], hasErasures: boolean): Promise<StorePicture> {
  const all: string[] = []
  for await (const batch of store.readAll({ includeSystem: true }).batches()) for (const event of batch) all.push(lineOf(event))
  const backwards: string[] = []
  for await (const batch of store.readAll({ includeSystem: true, direction: 'backwards' }).batches()) {
    for (const event of batch) backwards.push(lineOf(event))
  }
  if (backwards.reverse().join() !== all.join()) throw new Error('I6: readAll backwards gives other events than forwards')
  const pictures = new Map<string, readonly string[]>()
  for (const stream of streams) pictures.set(stream, await streamPicture(store, stream, all, hasErasures))
  return { all, streams: pictures }
}

async function streamPicture(store: EventStore, stream: string, all: readonly string[], hasErasures: boolean): Promise<string[]> {
  const lines: string[] = []
  try {
    let last = -1
    for await (const batch of store.readStream(stream).batches()) {
      for (const event of batch) {
        if (event.revision <= last) throw new Error(`I5: revision ${event.revision} of '${stream}' behind ${last}`)
        last = event.revision
        const line = lineOf(event)
        if (!all.includes(line)) throw new Error(`I6: '${stream}' shows what readAll does not: ${line}`)
        lines.push(line)
      }
    }
    const head = await store.head(stream)
    const isShort = last >= 0 && (head === null || head < last || (head > last && !hasErasures))
    if (isShort) throw new Error(`I6: the head of '${stream}' is ${head}, its last event ${last}`)
    lines.push(`head ${head}`, JSON.stringify(await store.metadata(stream)))
  } catch (error) {
    if (error instanceof StreamNotFoundError) lines.push('not found')
    else if (error instanceof StreamDeletedError) lines.push('deleted')
    else throw error
  }
  return lines
}

function lineOf({ position, stream, revision, type, id, bytes, metadata }: RecordedEvent): string {
  const meta = metadata === undefined ? '' : ` ${JSON.stringify(metadata)}`
  return `${position} ${stream}/${revision} ${type} ${id} ${bytes.length}:${checksumBytes(bytes)}${meta}`
}

/** Whether `found` is `before` with some of what `after` lacks already gone: a scavenge drops chunk by chunk. */
export function isBetween(found: StorePicture, before: StorePicture, after: StorePicture): boolean {
  if (!isBetweenLines(found.all, before.all, after.all)) return false
  return [...found.streams].every(([stream, lines]) =>
    isBetweenLines(lines, before.streams.get(stream) ?? [], after.streams.get(stream) ?? []),
  )
}

function isBetweenLines(found: readonly string[], before: readonly string[], after: readonly string[]): boolean {
  return isPartOf(after, found) && isPartOf(found, before)
}

function isPartOf(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0
  for (const line of part) {
    at = whole.indexOf(line, at) + 1
    if (at === 0) return false
  }
  return true
}

export function isSame(one: StorePicture, other: StorePicture): boolean {
  return textOf(one) === textOf(other)
}

const texts = new WeakMap<StorePicture, string>()

export function textOf(picture: StorePicture): string {
  let text = texts.get(picture)
  if (text === undefined) {
    const { all, streams } = picture
    text = [...all, ...[...streams].flatMap(([stream, lines]) => [stream, ...lines])].join('\n')
    texts.set(picture, text)
  }
  return text
}
