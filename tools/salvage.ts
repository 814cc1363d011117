import type { EventStore, JsonValue, NewEvent } from 'tailrace'
import { MAX_APPEND_SIZE } from '#engine/core/limits.ts'
import { isSystemStream } from '#engine/core/names.ts'
import { LogPosition } from '#engine/core/positions.ts'
import type { Disk } from '#engine/disk/disk.ts'
import { COMMIT_RECORD_SIZE, flagsOf, isUnsupported, PrepareFlag, RecordType, typeOf } from '#engine/format/log-record.ts'
import { stubHeadAt } from '#engine/format/stub.ts'
import { chunkCapacity } from '#engine/log/chunk-file.ts'
import type { ScannedRecord } from '#engine/log/chunk-scan.ts'
import type { StoredEvent } from '#engine/streams/stored-event.ts'
import { AppendsInFlight } from './appends-in-flight.ts'
import { type LostRevisions, RevisionLosses } from './revision-losses.ts'
import { SalvagedSettings } from './salvaged-settings.ts'
import { AppendAssembly } from './survey/append-assembly.ts'
import type { ChunkSurvey, Gap } from './survey/chunk-survey.ts'
import { type Damage, type DamageKind, DamageList } from './survey/damage.ts'
import { storedEvent } from './survey/record-fields.ts'
import { type ChunkPlace, missingBehind, type StoreSurvey } from './survey/store-survey.ts'
import { type ChunkEnding, type StoreVisitor, walkStore } from './survey/store-walk.ts'

export interface SalvageReport {
  readonly appends: number
  readonly events: number
  readonly streams: number
  /** What could not be read, with position and size. */
  readonly lost: readonly Damage[]
  readonly lostCount: number
  /** Events of appends that are not whole: an append counts with all its events or not at all. */
  readonly droppedEvents: number
  /** Streams with events missing in between or, as far as that is known, at the end. */
  readonly changedStreams: readonly LostRevisions[]
  /** Streams of which it is known what is kept of them; it is the same in the copy. */
  readonly settings: number
  /** Events of other streams that belong to the store. */
  readonly systemEvents: number
  /** Events that stand in the log more than once. */
  readonly repeatedEvents: number
  /** Events whose id is another one in the copy. */
  readonly changedIds: number
}

/** A prepare, ready to be appended elsewhere. */
interface SalvagedEvent {
  readonly event: StoredEvent
  readonly size: number
  readonly hasSuppliedId: boolean
  /** The id can be told: it was supplied, or the store's id, from which it derives, is known. */
  readonly isIdKnown: boolean
}

/** Reads a store leniently and appends every whole append of it to another one. Never writes to the first. */
export class Salvage implements StoreVisitor {
  readonly #disk: Disk
  readonly #store: StoreSurvey
  readonly #copy: EventStore
  /** The most that an append to the copy may have. */
  readonly #maxAppendSize: number
  readonly #signal: AbortSignal
  readonly #onProgress: (size: number) => void
  readonly #appends: AppendsInFlight
  readonly #assembly: AppendAssembly<SalvagedEvent>
  readonly #losses = new RevisionLosses()
  readonly #settings = new SalvagedSettings()
  readonly #lost = new DamageList()
  /** Whole appends of the stretch at hand, not appended yet. */
  #ready: (readonly SalvagedEvent[])[] = []
  #place!: ChunkPlace
  #storeId: Uint8Array | null = null
  #appendCount = 0
  #eventCount = 0
  #droppedCount = 0
  #systemCount = 0
  #repeatedCount = 0
  #changedIdCount = 0
  #doneSize = 0

  constructor(
    disk: Disk,
    store: StoreSurvey,
    copy: EventStore,
    chunkSize: number,
    signal: AbortSignal,
    onProgress: (size: number) => void,
  ) {
    this.#disk = disk
    this.#store = store
    this.#copy = copy
    this.#maxAppendSize = Math.min(MAX_APPEND_SIZE, chunkCapacity(chunkSize))
    this.#signal = signal
    this.#onProgress = onProgress
    this.#appends = new AppendsInFlight(copy)
    for (const damage of store.damages) if (damage.kind !== 'misplaced chunk') this.#lost.add(damage)
    this.#assembly = new AppendAssembly(LogPosition.start, record => this.#eventOf(record), {
      whole: events => this.#ready.push(events),
      cut: (events, position, what) => this.#drop(events, position, what),
    })
  }

  async run(): Promise<SalvageReport> {
    try {
      await walkStore(this.#disk, this.#store, this)
      const lost = missingBehind(this.#store)
      if (lost !== null) this.#lost.add(lost)
      await this.#appendReady()
    } finally {
      await this.#appends.settled()
    }
    this.#throwFailure()
    await this.#settings.applyTo(this.#copy, this.#losses, this.#signal)
    return {
      appends: this.#appendCount,
      events: this.#eventCount,
      streams: this.#losses.streamCount,
      lost: this.#lost.kept,
      lostCount: this.#lost.count,
      droppedEvents: this.#droppedCount,
      changedStreams: this.#losses.all(),
      settings: this.#settings.streamCount,
      systemEvents: this.#systemCount,
      repeatedEvents: this.#repeatedCount,
      changedIds: this.#changedIdCount,
    }
  }

  async beginChunk(place: ChunkPlace, survey: ChunkSurvey): Promise<boolean> {
    const { head, frame } = survey
    this.#place = place
    this.#storeId = frame?.storeId ?? null
    if (head.isUnsupported) this.#lose('unsupported', place.start, place.size, head.damage!)
    else if (frame === null)
      this.#lose('header', place.start, place.size, `${head.damage}; nothing in the file can be recognised`)
    return frame !== null && !head.isUnsupported
  }

  async endChunk(_place: ChunkPlace, survey: ChunkSurvey, ending: ChunkEnding): Promise<void> {
    this.#assembly.interrupt('has no commit record')
    const { tail, missing, position } = survey
    if (ending === 'completed' || survey.endsLikeFooter) return
    if (tail === null) {
      if (ending === 'without footer')
        this.#lose('footer', position, null, 'the file ends without its footer; nobody can tell what stood before that')
      else if (missing !== null) this.#lose('record', position, missing.size, missing.what)
      return
    }
    const end = await survey.nonZeroEnd(tail.position)
    if (end === tail.position && !tail.isProven) return
    this.#lose(
      'record',
      tail.position,
      end - tail.position,
      tail.isProven ? tail.text : `a torn tail, never acknowledged (${tail.what})`,
    )
  }

  unreadable(place: ChunkPlace, error: unknown): void {
    this.#place = place
    this.#lose('unreadable', place.start, place.size, String(error))
  }

  record(record: ScannedRecord): void {
    this.#assembly.record(record)
    const { window, offset } = record
    const head = typeOf(window.view, offset) === RecordType.stub ? stubHeadAt(window, offset) : null
    if (head !== null) this.#losses.wasThere(Buffer.from(head.stream).toString(), head.revision)
  }

  /** Whole appends behind any gap are kept, also where recovery would end the log: nobody can tell what was acknowledged. */
  gap({ position, end, what, text }: Gap): boolean {
    this.#assembly.interrupt('has lost its commit record or further events')
    this.#lose(isUnsupported(what) ? 'unsupported' : 'record', position, end - position, text)
    return true
  }

  async pause(size: number): Promise<void> {
    this.#signal.throwIfAborted()
    this.#doneSize += size
    this.#onProgress(this.#doneSize)
    await this.#appendReady()
  }

  async #appendReady(): Promise<void> {
    const appends = this.#ready
    this.#ready = []
    for (const events of appends) {
      const wanted = events.filter(event => this.#isWanted(event))
      const isRoomForIds = sizeInCopy(wanted) <= this.#maxAppendSize
      for (const run of byStream(wanted)) await this.#append(run, isRoomForIds)
      this.#throwFailure()
    }
  }

  #isWanted({ event }: SalvagedEvent): boolean {
    const { stream, revision } = event
    if (isSystemStream(stream)) {
      if (!this.#settings.note(event)) this.#systemCount++
    } else if (this.#losses.keep(stream, revision)) return true
    else this.#repeatedCount++
    return false
  }

  async #append(run: readonly SalvagedEvent[], isRoomForIds: boolean): Promise<void> {
    const events = run.map(salvaged => {
      const isIdKept = salvaged.hasSuppliedId || (salvaged.isIdKnown && isRoomForIds)
      if (!isIdKept) this.#changedIdCount++
      return newEventOf(salvaged.event, isIdKept)
    })
    const size = run.reduce((sum, salvaged) => sum + salvaged.size, 0)
    this.#appendCount++
    this.#eventCount += events.length
    const { stream, revision } = run[0]!.event
    const count = this.#losses.countBelow(stream, revision)
    // Where the copy's stream stands exactly, ids that the log has twice are no retry.
    const expectedRevision = count === 0 ? 'no_stream' : count - 1
    await this.#appends.submit(stream, events, size, this.#appendCount, { expectedRevision })
  }

  #throwFailure(): void {
    if (this.#appends.failure !== null) throw this.#appends.failure.error
  }

  #eventOf(record: ScannedRecord): SalvagedEvent {
    const hasSuppliedId = (flagsOf(record.window.view, record.offset) & PrepareFlag.suppliedId) !== 0
    const isIdKnown = hasSuppliedId || this.#storeId !== null
    return { event: storedEvent(record, this.#storeId), size: record.size, hasSuppliedId, isIdKnown }
  }

  #drop(events: readonly SalvagedEvent[], position: LogPosition, what: string): void {
    this.#droppedCount += events.length
    for (const { event } of events) this.#losses.lose(event.stream, event.revision)
    const size = events.reduce((sum, event) => sum + event.size, 0)
    this.#lose('append', position, size, `an append that ${what}`)
  }

  #lose(kind: DamageKind, position: number | null, size: number | null, what: string): void {
    this.#lost.add({ file: this.#place.name, position, size, kind, what })
  }
}

function newEventOf(event: StoredEvent, isIdKept: boolean): NewEvent {
  return {
    type: event.type,
    data: event.contentType === 'json' ? (event.data as JsonValue) : event.bytes,
    metadata: event.metadata as JsonValue | Uint8Array | undefined,
    id: isIdKept ? event.id : undefined,
  }
}

/** With every id supplied: an id that derives from the position would be another one in the copy. */
function sizeInCopy(events: readonly SalvagedEvent[]): number {
  return events.reduce((sum, { size, hasSuppliedId }) => sum + size + (hasSuppliedId ? 0 : 16), COMMIT_RECORD_SIZE)
}

/** An append over several streams is taken apart: the door takes one stream at a time. */
function* byStream(events: readonly SalvagedEvent[]): Iterable<readonly SalvagedEvent[]> {
  let start = 0
  for (let at = 1; at <= events.length; at++) {
    if (at < events.length && events[at]!.event.stream === events[start]!.event.stream) continue
    yield events.slice(start, at)
    start = at
  }
}
