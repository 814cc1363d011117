import { isPromise } from '../core/is-promise.ts'
import type { LogPosition, Revision } from '../core/positions.ts'
import { RecordType, typeOf } from '../format/log-record.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { RecordPlace } from '../log/record-batch.ts'
import type { EventList, StreamRun } from './index-part.ts'

/** There at once, when what it takes is in memory. */
type Answer<T> = T | Promise<T>

/** Goes on with the answer: at once when it is there. */
function follow<T, Next>(answer: Answer<T>, next: (answer: T) => Answer<Next>): Answer<Next> {
  return isPromise(answer) ? answer.then(next) : next(answer)
}

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

  /** Up to `count` events from `revision` on, in order; some may be missing between. At once when the index has them in memory. */
  forwards(revision: number, count: number): Answer<EventPlace[]> {
    const runs = this.#runs.filter(run => run.lastRevision >= revision)
    const leastOf = (run: StreamRun) => run.eventCount - Math.max(0, revision - run.firstRevision)
    const ask: AskRun = (run, wanted) =>
      follow(run.part.indexOf(run, revision), from =>
        follow(run.part.events(run, from, wanted), events => placesOf(run, from, events)),
      )
    return collect([], runs, 0, count, leastOf, ask)
  }

  /** Up to `count` events down from `revision`, newest first. At once when the index has them in memory. */
  backwards(revision: number, count: number): Answer<EventPlace[]> {
    const runs = this.#runs.filter(run => run.firstRevision <= revision).reverse()
    const leastOf = (run: StreamRun) => run.eventCount - Math.max(0, run.lastRevision - revision)
    const ask: AskRun = (run, wanted) =>
      follow(revision >= run.lastRevision ? run.eventCount : run.part.indexOf(run, revision + 1), to => {
        const from = Math.max(0, to - wanted)
        return follow(run.part.events(run, from, to - from), events => placesOf(run, from, events).reverse())
      })
    return collect([], runs, 0, count, leastOf, ask)
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

/** The places of up to `wanted` events of a run. */
type AskRun = (run: StreamRun, wanted: number) => Answer<EventPlace[]>

/**
 * The first `count` places: those that are known, then those of the runs from `next` on. As many runs as may be needed are asked at
 * once, so that what is not in memory is read side by side. Each is asked for what is left if those before it have no more than is
 * certain: of none is anything left out that comes before what the next one gives.
 * @param leastOf so many events of a run are certain, or fewer; where some have gone from between, there are more.
 */
function collect(
  known: EventPlace[],
  runs: readonly StreamRun[],
  next: number,
  count: number,
  leastOf: (run: StreamRun) => number,
  ask: AskRun,
): Answer<EventPlace[]> {
  let places = known
  let asking = next
  while (asking < runs.length && places.length < count) {
    const first = asking
    const asked: Answer<EventPlace[]>[] = []
    const certain: number[] = []
    for (let wanted = count - places.length; asking < runs.length && wanted > 0; asking++) {
      const run = runs[asking]!
      const share = wanted
      asked.push(steadily(run, () => ask(run, share)))
      const least = Math.max(0, Math.min(share, leastOf(run)))
      certain.push(least)
      wanted -= least
    }
    // A file that was made again meanwhile may have fewer: those behind were asked for too little, and are asked once more.
    const take = (found: readonly EventPlace[][]): void => {
      const short = found.findIndex((some, index) => some.length < certain[index]!)
      const taken = short === -1 ? found : found.slice(0, short + 1)
      asking = first + taken.length
      for (const some of taken) places = places.length === 0 ? some : places.concat(some)
    }
    if (asked.some(isPromise)) {
      return Promise.all(asked).then(found => {
        take(found)
        return collect(places, runs, asking, count, leastOf, ask)
      })
    }
    take(asked as EventPlace[][])
  }
  return places.length > count ? places.slice(0, count) : places
}

/**
 * When the file that a run is in turns out to be damaged, it is made again, maybe from chunks that have been scavenged since: then
 * the run has fewer events, and what was worked out from their number is worked out anew.
 */
function steadily<T>(run: StreamRun, ask: () => Answer<T>): Answer<T> {
  const { eventCount } = run
  return follow(ask(), answer => (run.eventCount === eventCount ? answer : steadily(run, ask)))
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
 * What `look` says of the prepare at `position`, which the index named; it is given null when that has been scavenged since. It
 * looks at once: the memory may be that of others, and be used again as soon as anything is awaited.
 * @throws CorruptLogError, ReadFailedError
 */
export async function lookAtPrepare<T>(
  log: LogReader,
  position: LogPosition,
  limit: LogPosition,
  look: (place: RecordPlace | null) => T,
): Promise<T> {
  const place = log.recordInMemory(position) ?? (await log.loadRecord(position, limit))
  return look(place !== null && typeOf(place.window.view, place.offset) === RecordType.prepare ? place : null)
}
