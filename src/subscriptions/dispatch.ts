import { unreachable } from '../core/unreachable.ts'
import type { Member } from './group-member.ts'
import type { GroupStrategy } from './group-options.ts'
import { stableHash } from './stable-hash.ts'

/** Says who gets a message. */
export interface Dispatch {
  /** @returns null when nobody can take it now. */
  pick(members: readonly Member[], stream: string): Member | null
  /** A message of `stream` was given to the member; settled tells that it is no longer there. */
  given(stream: string, member: Member): void
  settled(stream: string): void
  /** When this one can't be given, another one may be. */
  readonly passesOver: boolean
}

export function dispatchBy(strategy: GroupStrategy): Dispatch {
  switch (strategy) {
    case 'round-robin':
      return new RoundRobin()
    case 'single':
      return new Single()
    case 'pinned':
      return new Pinned()
    default:
      return unreachable(strategy)
  }
}

class RoundRobin implements Dispatch {
  readonly passesOver = false
  #last: Member | null = null

  pick(members: readonly Member[]): Member | null {
    const start = this.#last === null ? 0 : members.indexOf(this.#last) + 1
    for (let i = 0; i < members.length; i++) {
      const member = members[(start + i) % members.length]!
      if (member.canTake) return member
    }
    return null
  }

  given(_stream: string, member: Member): void {
    this.#last = member
  }

  settled(): void {}
}

class Single implements Dispatch {
  readonly passesOver = false
  #last: Member | null = null

  pick(members: readonly Member[]): Member | null {
    if (this.#last?.canTake && members.includes(this.#last)) return this.#last
    return members.find(member => member.canTake) ?? null
  }

  given(_stream: string, member: Member): void {
    this.#last = member
  }

  settled(): void {}
}

const BUCKET_COUNT = 1024

/**
 * Streams fall into buckets, and each bucket belongs to a member. When members come and go a bucket moves on only when nothing
 * of it is out, so that no two members have messages of one stream at a time.
 */
class Pinned implements Dispatch {
  readonly passesOver = true
  readonly #owners = new Map<number, { readonly member: Member; count: number }>()

  pick(members: readonly Member[], stream: string): Member | null {
    if (members.length === 0) return null
    const bucket = stableHash(stream) % BUCKET_COUNT
    const member = this.#owners.get(bucket)?.member ?? members[bucket % members.length]!
    return member.canTake ? member : null
  }

  given(stream: string, member: Member): void {
    const bucket = stableHash(stream) % BUCKET_COUNT
    const owner = this.#owners.get(bucket)
    if (owner === undefined) this.#owners.set(bucket, { member, count: 1 })
    else owner.count++
  }

  settled(stream: string): void {
    const bucket = stableHash(stream) % BUCKET_COUNT
    const owner = this.#owners.get(bucket)
    if (owner !== undefined && --owner.count === 0) this.#owners.delete(bucket)
  }
}
