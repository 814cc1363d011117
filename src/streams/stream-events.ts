import type { LogPosition, Revision } from '../core/positions.ts'
import { RecordType, typeOf } from '../format/log-record.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { RecordPlace } from '../log/record-batch.ts'
import type { EventList, StreamRun } from './index-part.ts'

/** Where one event stands. */
export interface EventPlace {
  readonly revision: Revision
  readonly position: LogPosition
}

/**
 * The events of one stream across the parts of the index, oldest run first, by revision. Runs hold for as long as the index
 * has the parts in which they were found.
 */
export class StreamEvents {
  readonly #runs: readonly StreamRun[]

  constructor(runs: readonly StreamRun[]) {
    this.#runs = runs
  }

  /** Up to `count` events from `revision` on, in order; some may be missing between. */
  async forwards(revision: number, count: number): Promise<EventPlace[]> {
    const runs = this.#runs.filter(run => run.lastRevision >= revision)
    const spanOf = (run: StreamRun) => run.lastRevision - Math.max(revision, run.firstRevision) + 1
    return this.#collect(runs, count, spanOf, async (run, wanted) => {
      const from = await run.part.indexOf(run, revision)
      return placesOf(run, from, await run.part.events(run, from, wanted))
    })
  }

  /** Up to `count` events down from `revision`, newest first. */
  async backwards(revision: number, count: number): Promise<EventPlace[]> {
    const runs = this.#runs.filter(run => run.firstRevision <= revision).reverse()
    const spanOf = (run: StreamRun) => Math.min(revision, run.lastRevision) - run.firstRevision + 1
    return this.#collect(runs, count, spanOf, async (run, wanted) => {
      const to = revision >= run.lastRevision ? run.eventCount : await run.part.indexOf(run, revision + 1)
      const from = Math.max(0, to - wanted)
      return placesOf(run, from, await run.part.events(run, from, to - from)).reverse()
    })
  }

  /**
   * The first `count` places of these runs. As many runs as may be enough are asked at once, so that what is not in memory is read
   * side by side; the next ones when events were missing.
   * @param spanOf how many events of a run may be meant.
   */
  async #collect(
    runs: readonly StreamRun[],
    count: number,
    spanOf: (run: StreamRun) => number,
    ask: (run: StreamRun, wanted: number) => Promise<EventPlace[]>,
  ): Promise<EventPlace[]> {
    let places: EventPlace[] = []
    for (let next = 0; next < runs.length && places.length < count; ) {
      const asked: Promise<EventPlace[]>[] = []
      for (let wanted = count - places.length; next < runs.length && wanted > 0; next++) {
        const run = runs[next]!
        const share = wanted
        asked.push(steadily(run, () => ask(run, share)))
        wanted -= Math.min(run.eventCount, spanOf(run))
      }
      for (const found of await Promise.all(asked)) places = places.length === 0 ? found : places.concat(found)
    }
    return places.length > count ? places.slice(0, count) : places
  }

  /** The revision of the last event at or before `position`. */
  async lastUpTo(position: LogPosition): Promise<Revision | undefined> {
    for (const run of [...this.#runs].reverse()) {
      if (run.lastPosition <= position) return run.lastRevision
      if (run.part.start > position) continue
      const revision = await steadily(run, () => lastInRun(run, position))
      if (revision !== undefined) return revision
    }
    return undefined
  }
}

async function lastInRun(run: StreamRun, position: LogPosition): Promise<Revision | undefined> {
  const { part, eventCount } = run
  let low = 0
  // The last event is behind.
  for (let high = eventCount - 1; low < high; ) {
    const middle = (low + high) >> 1
    const { positions } = await part.events(run, middle, 1)
    if (positions[0]! > position) high = middle
    else low = middle + 1
  }
  if (low === 0) return undefined
  const { revisions } = await part.events(run, low - 1, 1)
  return (revisions?.[0] ?? run.firstRevision + low - 1) as Revision
}

/**
 * When the file that a run is in turns out to be damaged, it is made again, maybe from chunks that have been scavenged since: then
 * the run has fewer events, and what was worked out from their number is worked out anew.
 */
async function steadily<Answer>(run: StreamRun, ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const { eventCount } = run
    const answer = await ask()
    if (run.eventCount === eventCount) return answer
  }
}

function placesOf(run: StreamRun, from: number, { positions, revisions }: EventList): EventPlace[] {
  const places: EventPlace[] = []
  for (let i = 0; i < positions.length; i++) {
    const revision = revisions === null ? run.firstRevision + from + i : revisions[i]!
    places.push({ revision: revision as Revision, position: positions[i]! as LogPosition })
  }
  return places
}

/**
 * The prepare at `position`, which the index named; null when it has been scavenged since.
 * @throws CorruptLogError, ReadFailedError
 */
export async function prepareAt(log: LogReader, position: LogPosition, limit: LogPosition): Promise<RecordPlace | null> {
  const place = log.recordInMemory(position) ?? (await log.loadRecord(position, limit))
  return place !== null && typeOf(place.window.view, place.offset) === RecordType.prepare ? place : null
}
