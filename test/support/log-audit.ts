import type { RecordedEvent } from '../../src/core/events.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { AppendLedger, Expectation, Place, Submission } from './append-ledger.ts'
import { collect, eventsOf } from './readings.ts'

/** A broken promise of the store; the message begins with the number of the invariant in the reliability goals. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

function broken(message: string): never {
  throw new Violation(message)
}

/**
 * Reads everything an opened store has, in every way, and compares it with the book of what was submitted and told:
 * I1 what is certain is there, byte for byte, in its place; I2 appends are whole; I3 in each stream they are a prefix of what
 * was submitted; I4 what is gone stays away; I5 revisions have no gap; I6 all ways of reading agree.
 * @returns the appends that are there.
 * @throws Violation
 */
export async function audit(store: EventStore, ledger: AppendLedger, expectation: Expectation): Promise<Map<number, Place>> {
  const shown = await readAppends(store, ledger)
  judgeAppends(shown, ledger, expectation)
  return shown
}

/** The appends that are there, read in every way. @throws Violation of I2, I5 or I6 */
export async function readAppends(store: EventStore, ledger: AppendLedger): Promise<Map<number, Place>> {
  const events = await eventsOf(store)
  const shown = appendsIn(events, ledger)
  await compareReads(store, ledger, events)
  return shown
}

/** Whether these appends are those that must be there. @throws Violation of I1, I3 or I4 */
export function judgeAppends(shown: ReadonlyMap<number, Place>, ledger: AppendLedger, { certain, gone }: Expectation): void {
  compareCalls(shown, ledger, gone)
  for (const [index, place] of certain) {
    const found = shown.get(index)
    if (found === undefined) broken(`I1: append ${index} was acked, or read after an earlier crash, and is lost`)
    if (found.position !== place.position || found.firstRevision !== place.firstRevision) {
      broken(`I1: append ${index} is at ${JSON.stringify(found)}, it was at ${JSON.stringify(place)}`)
    }
  }
}

/** Appends to one stream stand in the order of their calls; across streams that order is nobody's promise. */
function compareCalls(shown: ReadonlyMap<number, Place>, ledger: AppendLedger, gone: ReadonlySet<number>): void {
  const lasts = new Map<string, number>()
  for (const index of shown.keys()) {
    const { stream } = ledger.submissions[index]!
    const last = lasts.get(stream) ?? -1
    if (index < last) broken(`I3: append ${index} stands behind append ${last}`)
    for (let missing = last + 1; missing < index; missing++) {
      if (ledger.submissions[missing]!.stream !== stream || gone.has(missing) || ledger.refused.has(missing)) continue
      broken(`I3: append ${index} is there, append ${missing} before it is not`)
    }
    lasts.set(stream, index)
    if (gone.has(index)) broken(`I4: append ${index} was refused or lost, and is there again`)
  }
}

/** Goes through the events in order: each whole append, event by event, byte for byte. */
function appendsIn(events: readonly RecordedEvent[], ledger: AppendLedger): Map<number, Place> {
  const shown = new Map<number, Place>()
  const heads = new Map<string, number>()
  let previous = -1
  for (let at = 0; at < events.length; ) {
    const first = events[at]!
    const [index = Number.NaN, k] = first.type.split('.').map(Number)
    const submission = ledger.submissions[index] ?? broken(`I10: an event of type '${first.type}' that nobody submitted`)
    if (k !== 0) broken(`I2: event ${first.type} is there without the event before it`)
    if (shown.has(index)) broken(`I4: append ${index} is there twice`)
    for (let part = 0; part < submission.events.length; part++, at++) {
      const event = events[at] ?? broken(`I2: of append ${index}, ${part} of ${submission.events.length} events are there`)
      compareEvent(event, submission, part)
      const revision = (heads.get(event.stream) ?? -1) + 1
      if (event.revision !== revision) broken(`I5: event ${event.type} has revision ${event.revision}, expected ${revision}`)
      heads.set(event.stream, revision)
      if (event.position <= previous) broken(`I6: position ${event.position} behind ${previous}`)
      previous = event.position
    }
    shown.set(index, { firstRevision: first.revision, position: previous })
  }
  return shown
}

function compareEvent(event: RecordedEvent, { stream, events }: Submission, k: number): void {
  const { type, data, metadata, id } = events[k]!
  if (event.type !== type) broken(`I2: event ${event.type} stands where ${type} should`)
  if (event.stream !== stream) broken(`I1: event ${type} is in stream '${event.stream}', not '${stream}'`)
  if (Buffer.compare(event.bytes, data) !== 0) broken(`I1: event ${type} has other data`)
  const found = event.metadata as Uint8Array | undefined
  if (metadata === undefined ? found !== undefined : found === undefined || Buffer.compare(found, metadata) !== 0) {
    broken(`I1: event ${type} has other metadata`)
  }
  if (id !== undefined && event.id !== id) broken(`I1: event ${type} has the id ${event.id}, not ${id}`)
}

async function compareReads(store: EventStore, ledger: AppendLedger, events: readonly RecordedEvent[]): Promise<void> {
  const backwards = await collect(store.readAll({ direction: 'backwards' }).batches())
  compareOrder(backwards.reverse(), events, 'readAll backwards')
  for (const stream of new Set(ledger.submissions.map(submission => submission.stream))) {
    const inStream = events.filter(event => event.stream === stream)
    const head = await store.head(stream)
    if (head !== (inStream.at(-1)?.revision ?? null)) broken(`I6: head of '${stream}' is ${head}, of ${inStream.length} events`)
    if (head !== null) compareOrder(await collect(store.readStream(stream).batches()), inStream, `readStream '${stream}'`)
  }
}

function compareOrder(found: readonly RecordedEvent[], expected: readonly RecordedEvent[], reading: string): void {
  if (found.length !== expected.length) broken(`I6: ${reading} gives ${found.length} events, readAll ${expected.length}`)
  for (const [index, event] of found.entries()) {
    const other = expected[index]!
    if (event.position !== other.position || event.type !== other.type || Buffer.compare(event.bytes, other.bytes) !== 0) {
      broken(`I6: ${reading} gives ${event.type} at ${event.position} where readAll has ${other.type} at ${other.position}`)
    }
  }
}
