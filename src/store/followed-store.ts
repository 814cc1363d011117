import type { StreamReader } from '../streams/stream-reader.ts'
import type { FollowedStore } from '../subscriptions/follower-desk.ts'
import type { LogClient } from '../subscriptions/log-client.ts'
import { fromHouse, type HouseAppendOptions } from './admission.ts'
import type { CheckedOptions } from './options.ts'
import type { Resolve } from './pending-appends.ts'
import type { Rooms } from './rooms.ts'

/** What those who follow the log need of the rooms. */
export function followedStore(
  { reader, chaser, storeId, writing, admit, beforeRead }: Rooms,
  streams: StreamReader,
  { clock, logger }: CheckedOptions,
  reads: Pick<LogClient, 'extent' | 'lastRevision' | 'readStream'>,
): FollowedStore {
  return {
    ...{ reader, published: chaser.published, storeId, streams, clock },
    look: writing === null ? async () => void (await beforeRead()) : null,
    noteLost: (stream, error) =>
      logger?.warn({ err: error, stream }, 'the last checkpoint could not be written: what it speaks of is given out again'),
    client: {
      ...reads,
      append: (stream, events, options) =>
        new Promise((resolve, reject) => {
          const house: HouseAppendOptions = { ...options, [fromHouse]: true }
          admit(stream, events, house, resolve as Resolve, reject)
        }),
      room: () => writing?.admission.room() ?? Promise.resolve(),
    },
  }
}
