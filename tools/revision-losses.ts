/** What a stream lost. Its events in the copy are numbered without gaps, so those behind a gap have lower revisions. */
export interface LostRevisions {
  readonly stream: string
  readonly lost: readonly { readonly from: number; readonly to: number }[]
  readonly lostCount: number
  readonly keptCount: number
}

interface StreamState {
  /** The revision that comes next if nothing is lost. */
  next: number
  keptCount: number
  /** The last revision that is known to have been there, if it was lost. */
  lastLost: number
  /** Behind the last event that is known to have been there. */
  end: number
  gaps: { from: number; to: number }[] | null
}

/** Follows the revisions of every stream through a damaged log and notes which are not there. */
export class RevisionLosses {
  readonly #streams = new Map<string, StreamState>()

  /** Streams of which something was kept. */
  get streamCount(): number {
    let count = 0
    for (const state of this.#streams.values()) if (state.keptCount > 0) count++
    return count
  }

  /** @returns false when this or a later event of the stream has been kept already. */
  keep(stream: string, revision: number): boolean {
    const state = this.#state(stream)
    if (revision < state.next) return false
    if (revision > state.next) noteGap(state, revision - 1)
    state.next = revision + 1
    state.end = Math.max(state.end, state.next)
    state.keptCount++
    return true
  }

  /** The event was there and can't be kept. */
  lose(stream: string, revision: number): void {
    const state = this.#state(stream)
    state.lastLost = Math.max(state.lastLost, revision)
    this.wasThere(stream, revision)
  }

  /** The event was there, whatever became of it. */
  wasThere(stream: string, revision: number): void {
    const state = this.#state(stream)
    state.end = Math.max(state.end, revision + 1)
  }

  isKept(stream: string, revision: number): boolean {
    const state = this.#streams.get(stream)
    if (state === undefined || revision >= state.next) return false
    return !(state.gaps ?? []).some(({ from, to }) => from <= revision && revision <= to)
  }

  /** How many events with a lower revision were kept: what is `revision` now begins there in the copy. */
  countBelow(stream: string, revision: number): number {
    const state = this.#streams.get(stream)
    if (state === undefined) return 0
    const end = Math.min(revision, state.next)
    const gaps = (state.gaps ?? []).filter(({ from }) => from < end)
    return gaps.reduce((count, { from, to }) => count - (Math.min(to + 1, end) - from), end)
  }

  /** From which revision on the last `maxCount` events were, in the numbers of the original. */
  lastOnes(stream: string, maxCount: number): number {
    return Math.max(0, (this.#streams.get(stream)?.end ?? 0) - maxCount)
  }

  /** Only streams that lost something. */
  all(): LostRevisions[] {
    const all: LostRevisions[] = []
    for (const [stream, state] of this.#streams) {
      if (state.lastLost >= state.next) noteGap(state, state.lastLost)
      if (state.gaps === null) continue
      const lostCount = state.gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0)
      all.push({ stream, lost: state.gaps, lostCount, keptCount: state.keptCount })
    }
    return all
  }

  #state(stream: string): StreamState {
    let state = this.#streams.get(stream)
    if (state === undefined) {
      state = { next: 0, keptCount: 0, lastLost: -1, end: 0, gaps: null }
      this.#streams.set(stream, state)
    }
    return state
  }
}

function noteGap(state: StreamState, to: number): void {
  state.gaps ??= []
  state.gaps.push({ from: state.next, to })
  state.next = to + 1
}
