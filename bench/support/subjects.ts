import { LEVEL } from '../peers/level.ts'
import { LMDB } from '../peers/lmdb.ts'
import { NATS } from '../peers/nats.ts'
import { POSTGRES } from '../peers/postgres.ts'
import { REDIS } from '../peers/redis.ts'
import { SQLITE } from '../peers/sqlite.ts'
import { GroupCommitFloor } from './group-commit-floor.ts'
import { NaiveLog } from './naive-log.ts'
import type { Peer, Subject, SubjectDescription } from './subject.ts'
import { WriteSyncFloor } from './write-sync-floor.ts'

const isHere = () => null

export const TAILRACE: SubjectDescription = {
  name: 'tailrace',
  title: 'Tailrace, default options',
  guarantee: 'On disk: an fdatasync that covers the event has returned, and every reader in the process sees it.',
  isDurable: true,
  workloads: ['W1', 'W2', 'W3', 'W4', 'W5', 'W6', 'W7'],
  absent: isHere,
  // Loaded here, so that a floor's process is not one that carries the engine.
  prepare: () => import('./tailrace-subject.ts'),
  open: async spec => {
    const { TailraceSubject } = await import('./tailrace-subject.ts')
    return TailraceSubject.open(spec)
  },
}

export const FLOOR_A: SubjectDescription = {
  name: 'floor-a',
  title: 'floor (a): writeSync of 300 bytes into prefilled space, then an awaited fdatasync',
  guarantee: 'On disk: fdatasync has returned. No stream, no reader, no recovery.',
  isDurable: true,
  workloads: ['W1'],
  absent: isHere,
  open: async ({ directory }) => onlyAppends(await WriteSyncFloor.open(directory)),
}

export const FLOOR_B: SubjectDescription = {
  name: 'floor-b',
  title: 'floor (b): a naive group commit: one buffer, setImmediate, write + fdatasync to a growing file, CRC-32 per event',
  guarantee: 'On disk: the fdatasync of its group has returned. No stream, no reader, no recovery.',
  isDurable: true,
  workloads: ['W1', 'W2', 'W3'],
  absent: isHere,
  open: async ({ directory, durability }) => onlyAppends(await GroupCommitFloor.open(directory, durability)),
}

export const FLOOR_B_READ: SubjectDescription = {
  name: 'floor-b-read',
  title: "floor (b)'s file with names: 1 MiB reads, CRC-32 and an object per event, an index made by a scan at open",
  guarantee: 'On disk: the fdatasync of its group has returned.',
  isDurable: true,
  workloads: ['W4', 'W5', 'W6'],
  absent: isHere,
  open: spec => NaiveLog.open(spec),
}

export const PEERS: readonly Peer[] = [SQLITE, LMDB, LEVEL, REDIS, NATS, POSTGRES]

const ALL: readonly SubjectDescription[] = [TAILRACE, FLOOR_A, FLOOR_B, FLOOR_B_READ, ...PEERS.flatMap(peer => peer.variants)]

/** @throws Error when there is none of that name */
export function subjectNamed(name: string): SubjectDescription {
  const found = ALL.find(subject => subject.name === name)
  if (found === undefined) throw new Error(`nobody is called '${name}' here`)
  return found
}

/** A floor has nothing to read, and nobody asks it to. */
function onlyAppends(floor: GroupCommitFloor | WriteSyncFloor): Subject {
  const refuse = () => Promise.reject(new Error('this floor only appends'))
  return {
    append: (stream, data) => floor.append(stream, data),
    appendBatch: (stream, batch) => ('appendBatch' in floor ? floor.appendBatch(stream, batch) : refuse()),
    scan: refuse,
    readStream: refuse,
    counts: () => floor.counts(),
    close: () => floor.close(),
  }
}
