import { compareHashedNames, type HashedName } from './hash-order.ts'

interface NameCursor extends HashedName {
  next(): boolean | Promise<boolean>
}

/** Walks several cursors at once: each name once, with the cursors that have it. */
export class MergedNames<C extends NameCursor> {
  readonly #live: C[]
  /** The cursors at the current name, in the order in which they were given. */
  readonly current: C[] = []

  private constructor(live: C[]) {
    this.#live = live
  }

  static async begin<C extends NameCursor>(cursors: readonly C[]): Promise<MergedNames<C>> {
    const live: C[] = []
    for (const cursor of cursors) if (await cursor.next()) live.push(cursor)
    const merged = new MergedNames(live)
    merged.#choose()
    return merged
  }

  get isDone(): boolean {
    return this.current.length === 0
  }

  /** Goes to the next name. @returns null when there is nothing to wait for. */
  advance(): Promise<void> | null {
    const { current } = this
    for (let i = 0; i < current.length; i++) {
      const more = current[i]!.next()
      if (typeof more !== 'boolean') return this.#advanceFrom(i, more)
      if (!more) this.#drop(current[i]!)
    }
    this.#choose()
    return null
  }

  async #advanceFrom(index: number, pending: Promise<boolean>): Promise<void> {
    const { current } = this
    if (!(await pending)) this.#drop(current[index]!)
    for (let i = index + 1; i < current.length; i++) if (!(await current[i]!.next())) this.#drop(current[i]!)
    this.#choose()
  }

  #drop(cursor: C): void {
    this.#live.splice(this.#live.indexOf(cursor), 1)
  }

  #choose(): void {
    const { current } = this
    const live = this.#live
    if (live.length === 1 && current.length === 1 && current[0] === live[0]) return
    while (current.length > 0) current.pop()
    for (let i = 0; i < live.length; i++) {
      const cursor = live[i]!
      const order = current.length === 0 ? 0 : compareHashedNames(cursor, current[0]!)
      if (order > 0) continue
      if (order < 0) while (current.length > 0) current.pop()
      current.push(cursor)
    }
  }
}
