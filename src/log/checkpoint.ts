import assert from 'node:assert'
import { LogPosition } from '../core/positions.ts'

/**
 * A position of a stage that only advances. The stage that owns it calls `advance`; others follow it and are called, in the
 * order in which they began to follow, each time it has moved. A follower reads the position, never the number it was woken.
 */
export class Checkpoint {
  #position: LogPosition
  readonly #followers: (() => void)[] = []

  constructor(position: LogPosition = LogPosition.start) {
    this.#position = position
  }

  get position(): LogPosition {
    return this.#position
  }

  advance(position: LogPosition): void {
    assert(position >= this.#position, `a checkpoint went back from ${this.#position} to ${position}`)
    if (position === this.#position) return
    this.#position = position
    for (const follower of this.#followers.slice()) follower()
  }

  /** @returns a function that ends it. */
  follow(follower: () => void): () => void {
    this.#followers.push(follower)
    return () => {
      const index = this.#followers.indexOf(follower)
      if (index >= 0) this.#followers.splice(index, 1)
    }
  }
}
