/** The last revision of each stream, as a peer's user keeps it: in memory, looked up in the database the first time. */
export class StreamHeads {
  readonly #next = new Map<string, number>()
  readonly #lookUp: (stream: string) => number

  /** @param lookUp the revision that comes next in a stream that is not known yet; 0 for a new one. */
  constructor(lookUp: (stream: string) => number) {
    this.#lookUp = lookUp
  }

  /** Takes `count` revisions and returns the first. */
  take(stream: string, count: number): number {
    const first = this.#next.get(stream) ?? this.#lookUp(stream)
    this.#next.set(stream, first + count)
    return first
  }
}
