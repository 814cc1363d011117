import type { BenchReport } from './bench-report.ts'

/** Why the targets of a workload are missed. It stands in the page and in the docs beside what a run measured, if one was missed. */
export interface Shortfall {
  /** Where the time goes. */
  readonly profile: string
  readonly tried: string
  /** What would be needed. */
  readonly needed: string
}

/** Of the main thread's time at W2, on a disk that costs nothing. */
const MAIN_THREAD =
  'the event loop is busy 94 % of the time at 4,096 in flight, when no profiler looks on. On a disk that costs nothing an append takes 1.0 to 1.4 µs of it, ' +
  'floor (b) 0.4 to 0.7, and there is no one place: garbage collection 12 %, checksums of records and blocks 11, admission and ' +
  'heads 10, encoding 9, the writer 9, promise jobs 7, acks 6, index files 5, the index in memory 4, the chaser 3, the clients 8. '

const SHORTFALLS: Readonly<Record<string, Shortfall>> = {
  W1: {
    profile:
      'An ack takes the disk write of its group, as in floor (a), two turns of the event loop and one trip to another thread and back. ' +
      'The cells of this run are short: about a thousand appends, before which V8 has optimised little of the way. With longer cells ' +
      '(npm run bench:flush -- --in-flight 1 --seconds 1.5) it is nearer to the floor. The slowest in a hundred wait ' +
      'for zeros that are written ahead and for hints, which share the disk with them.',
    tried:
      'The write and the sync of a group in one call (decision 0002), zeros ahead of the tail, the hint at most every 10 ms instead of after ' +
      'each sync.',
    needed:
      'A thread that writes and waits by itself would save the way through the thread pool, by how much was not measured; SQLite, which blocks the ' +
      'event loop while it waits, does not have that way either.',
  },
  W2: {
    profile:
      `With 100 B, ${MAIN_THREAD}` +
      'With 1 KiB the disk is the limit, and the event loop idle a third of the time: there are three or four chunks a second, and for each ' +
      'the writer waits for its footer, beside which an index file is written and synced; and appends that come back in two groups ' +
      'of unequal size leave either the disk or the encoding idle.',
    tried:
      'Kept: no boxed numbers, one object for message and first event, a queue that is linked through the messages, heads in a bounded cache ' +
      'and packed, no look-up for what nobody said, groups in one call, no zeros ahead of large groups, acks in parts of 512 KiB (1 KiB at 4,096 ' +
      'in flight: a fifth more on a busy machine; in parts of 256 KiB, batches lost a fifth). Dropped, for it did not pay: CRC-32 ' +
      'in WebAssembly (108 against 136 ns for 166 bytes); checksums in another thread over shared memory (main thread 17 % less with ' +
      '100 B, 10 % more with batches); groups cut to 192 KiB; acks in slices of 256; a flush that waits for those ' +
      'who are just being told of the last one.',
    needed:
      "The writer in a thread of its own: the embedder's thread would check an append and pack it into shared memory, and be told of " +
      'acks; encoding, checksums, index and chaser would run beside it. What that would save is bounded: of 1.2 µs an append on memory as its disk (clients and ' +
      'promises alone 0.16), leaving out the checksums of records saved 0 to 0.12 in three rounds in turns, those of blocks at most ' +
      '0.07, the files of the index 0.09 to 0.14. ' +
      'Nor would a second thread be enough on two processors: all threads together took 2.27 s of processor time for a million appends ' +
      '(run of 2026-11-23), which is 1.14 s if both are busy all the time, and floor (b) was done in 0.77 s. Without the clock and ' +
      'histogram of the bench, in three rounds: 1.49 to 1.69 s, and the floor in 0.68 to 0.78: 0.80 to 0.95 of it at best, before a second thread has cost anything.',
  },
  W3: {
    profile:
      'Of the time that the main thread is busy, checksums take a quarter, the index a sixth, encoding and garbage collection a twelfth each. ' +
      'An event has 66 bytes more than its payload here, floor (b) 8.',
    tried:
      'zlib for records of 320 bytes and more, tables below (either takes 255 ns there: the call costs what the tables do); checksums in another ' +
      'thread: slower for batches, see W2.',
    needed: 'A checksum that can be had for many records in one call into native code, or the writer in a thread of its own.',
  },
  W5: {
    profile:
      'The events of a stream lie all over the log: a stream of 100 is 100 places. With the default cache one reader waits for the thread that ' +
      'reads, 1.5 to 2 µs a place, of which half is the system call; SQLite reads the cache of the system through a memory map, without a call. ' +
      'A stream of 10 among many is a page of the index and then ten places, two trips to that thread, one after the other: of 45 µs it takes 24, ' +
      'looking into the index and asking 13, verifying and handing out 8. With many readers the event loop is the limit.',
    tried:
      'Kept: small reads in a thread of their own, in a ring from which the event loop takes what has come back while the next ones are read (decision 0009; ' +
      '1.6 times as many streams of 100 by 16 readers as in batches by two threads); the thread says once a read how far it is, in a cache line of its own (streams of 10, ' +
      '16 readers: a third more); events are handed out as they come; smaller requests for a reader that is alone; fewer index files at rest (decision 0006); pieces of several files in one request; near records in one read; records of ' +
      "twice the mean size instead of blocks; a stream's index files asked side by side. Dropped, for it did not pay: a second thread on two processors, looking longer before it sleeps.",
    needed:
      'Events of a stream that lie together: a scavenge or merge that orders old chunks by stream, which the format does not have yet; a memory ' +
      'map would need native code.',
  },
  W6: {
    profile:
      'After a clean close, opened in a process that does nothing else (`npm run bench:streams-scale`), the event loop is busy for nine tenths of it: the way through an open runs once in a process, and V8 compiles it on the way (360 functions, ' +
      '5 ms; the rest is code that runs for the first time, flat; of 49 chunks, 3 ms are 3 calls through the thread pool for each); the same open ' +
      'takes 6 ms when the process has done it before. After kill -9 the ' +
      'index of the second half of the active chunk is made again, from 32 MiB of records, by code that V8 has hardly optimised by then.',
    tried:
      'Chunks and index files are opened side by side; a hint tells how far the active chunk was seen to be whole, so that only its end is ' +
      'checked; zeros ahead are read once, compared a block at a time, and a close leaves few of them; the end of a completed chunk tells its size, too (a call less for each); the library of the lock is loaded with the ' +
      'engine; while records are taken into the index, the next ones are read; an index file of the first half of a chunk (decision 0006). Dropped, for it did not pay: records of the ' +
      'active chunk verified by the checksums of blocks in its hint (5 % of the processor time); buffers used again; smaller reads; header ' +
      'and footer of a chunk as one answer (0.2 ms).',
    needed:
      'Code that comes compiled (a snapshot). A file for each quarter of a chunk would save half of what is left of the index.',
  },
  W7: {
    profile:
      'One round, in an hour when the machine gave less than in those of W2 to W6: its rows can be compared with each other only. Streams at random (W5): with 10 and 50 times the data, 3 and 17 GB, we take it that they were no longer in the cache of the system, which gives its memory back to the host ' +
      'here (1.5 of 24 GiB held cached files behind an earlier run): each event of a stream was a read of the disk of 200 µs of processor time, where it is 10 µs from the cache. What limits ' +
      'appends: chunks are completed all the time, and index files are written and merged ' +
      'on the event loop, in slices of 4 ms. How much of the difference that makes was not measured.',
    tried:
      'Index files merged like the digits of a binary counter, names merged in order without an object for each; heads packed.',
    needed: 'Merging in a thread of its own; events of a stream that lie together, as for W5.',
  },
}

/** Of the workload, if this run missed a target of it; null when there is nothing to explain. */
export function shortfallOf(report: BenchReport, workload: string): Shortfall | null {
  const isMissed = report.contests.some(
    contest => contest.workload === workload && contest.verdicts.some(({ isMet }) => isMet === false),
  )
  return (isMissed && SHORTFALLS[workload]) || null
}

/** What to print of it, a line each. */
export function shortfallLines({ profile, tried, needed }: Shortfall): (readonly [what: string, text: string])[] {
  return [
    ['Why a target is missed', profile],
    ['What was tried', tried],
    ['What would be needed', needed],
  ]
}
