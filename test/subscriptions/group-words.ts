import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { GroupMember, GroupMessage } from '../../src/subscriptions/group-member.ts'
import type { GroupOptions } from '../../src/subscriptions/group-options.ts'
import { all, openStore, SMALL_CHUNKS } from '../store/words.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { stateOf } from '../support/promises.ts'
import { numberOf } from './words.ts'

/** A store with a clock that the test moves, and a group in it. */
export async function groupScene(options: GroupOptions = {}, disk = new MemoryDisk()) {
  const clock = new ManualClock()
  const store = await openStore(disk, { ...SMALL_CHUNKS, clock, durability: 'os' })
  const group = store.group('workers', options)
  return { disk, clock, store, group }
}

export async function receive(member: GroupMember, count: number): Promise<GroupMessage[]> {
  const messages: GroupMessage[] = []
  while (messages.length < count) messages.push((await member.next()).value!)
  return messages
}

export const numbersOf = (messages: readonly GroupMessage[]): number[] => messages.map(({ event }) => numberOf(event))

export async function isQuiet(member: GroupMember): Promise<boolean> {
  return (await stateOf(member.next())) === 'pending'
}

/** What stands in the stream of parked messages. */
export async function parkedIn(store: EventStore): Promise<unknown[]> {
  const filter = { streams: ['$parked-workers'] }
  return (await all(store.readAll({ includeSystem: true, filter }))).map(event => event.data)
}

/** How many checkpoints were written. */
export async function checkpointCount(store: EventStore): Promise<number> {
  return ((await store.head('$group-workers')) ?? -1) + 1
}
