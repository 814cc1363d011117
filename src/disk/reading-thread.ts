import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { KIB } from '../core/limits.ts'
import { setImmediate } from '../core/timers.ts'

/** Pieces of files that are asked for and not read yet; see `Disk.readPieces`. */
export interface SmallRead {
  readonly descriptors: readonly number[]
  readonly target: Uint8Array
  readonly offsets: readonly number[]
  readonly sizes: readonly number[]
  /** @param isRead true: the target is filled. False: it is to be read another way, which then also tells what is wrong. */
  readonly answered: (isRead: boolean) => void
  /** Where in the ring of bytes it is read to, and the count of pieces behind its last one; the thread's own. */
  from: number
  end: number
  next: SmallRead | null
}

/** Bytes and pieces that are under way at most. */
const RING_SIZE = 512 * KIB
const RING_COUNT = 1024
/** Of one read. */
export const MAX_READ_SIZE = RING_SIZE / 4
export const MAX_PIECE_COUNT = RING_COUNT / 4

/** So often it is looked whether reads have to wait for the disk, in pieces. */
const READS_PER_LOOK = 8
/** Beyond this they do, or another process was given the processor. */
const SLOW_LOOK_MS = 0.4
/** So many slow looks among so many, and what is under way goes through the thread pool, which waits for four reads at once. */
const SLOW_LOOKS = 2
const LOOKS_TOGETHER = 64

/**
 * To wake who sleeps took 140 µs for both sides together (decision 0009), many times the reads themselves. So the thread looks for
 * the next read for a while before it goes to sleep, about 50 µs, and the event loop does not sleep for some turns while nothing comes
 * back, about half a millisecond. Not where both would share a processor.
 */
const CAN_LOOK = availableParallelism() > 1
const LOOKS_OF_THREAD = CAN_LOOK ? 10_000 : 0
const LOOKS = CAN_LOOK ? 128 : 0

/**
 * Of a piece in shared memory: descriptor, offset in the file, size, offset in the ring of bytes. Of a read's last piece, the
 * complement of the descriptor.
 */
const PLACE_WORDS = 4
/** The control words stand in cache lines of their own: who writes one would take it away from who looks at its neighbour. */
const APART = 32
/** The counts of pieces that were asked for, and of those that were answered, read by read; both go round. */
const ASKED = 0
const DONE = APART
/** The thread sleeps, or is about to: it is to be woken. */
const IS_ASLEEP = 2 * APART
/** That all is answered is to be told by a message, for nobody looks. */
const IS_TOLD = 3 * APART
const CONTROL_WORDS = 4 * APART

/** The answers to a piece. 'Refused': to wait for it would hold up the others. 'Failed': an error, or the file ends before. */
const REFUSED = 0
const READ = 1
const FAILED = 2

/** As text, so that it needs no file of its own, in whatever way the engine is built, bundled or run. */
const PROGRAM = `'use strict'
const { parentPort, workerData } = require('node:worker_threads')
const { readSync } = require('node:fs')
const { control, places, answers, data } = workerData
const bytes = new Uint8Array(data)
const elapsedMs = since => { const [seconds, ns] = process.hrtime(since); return seconds * 1e3 + ns / 1e6 }
const read = (descriptor, place) => {
  const size = places[place + 2]
  try {
    return readSync(descriptor, bytes, places[place + 3], size, places[place + 1]) === size ? ${READ} : ${FAILED}
  } catch {
    return ${FAILED}
  }
}
parentPort.postMessage(0)
let asked = 0
let done = 0
let refused = 0
let looks = 0
let slow = 0
let since = process.hrtime()
for (;;) {
  if (asked === done) asked = Atomics.load(control, ${ASKED})
  if (asked === done) {
    // In this order, and the other way round on the other side: at least one of both sees what the other one did.
    if (Atomics.load(control, ${IS_TOLD}) === 1) {
      Atomics.store(control, ${IS_TOLD}, 0)
      parentPort.postMessage(0)
    }
    for (let looks = 0; looks < ${LOOKS_OF_THREAD} && Atomics.load(control, ${ASKED}) === done; looks++);
    Atomics.store(control, ${IS_ASLEEP}, 1)
    while (Atomics.load(control, ${ASKED}) === done) Atomics.wait(control, ${ASKED}, done)
    Atomics.store(control, ${IS_ASLEEP}, 0)
    since = process.hrtime()
    continue
  }
  const slot = done & ${RING_COUNT - 1}
  const place = slot * ${PLACE_WORDS}
  const descriptor = places[place]
  const isLast = descriptor < 0
  answers[slot] = refused === 0 ? read(isLast ? ~descriptor : descriptor, place) : ${REFUSED}
  if (refused > 0) refused--
  done = (done + 1) | 0
  if (isLast) Atomics.store(control, ${DONE}, done)
  if (done % ${READS_PER_LOOK} !== 0) continue
  if (++looks % ${LOOKS_TOGETHER} === 0) slow = 0
  if (elapsedMs(since) > ${SLOW_LOOK_MS} && ++slow >= ${SLOW_LOOKS}) {
    // Where nothing waits now, the next slow look refuses what waits by then.
    refused = (Atomics.load(control, ${ASKED}) - done) | 0
    if (refused > 0) slow = 0
  }
  since = process.hrtime()
}
`

/**
 * A thread that makes small reads one after the other while the event loop goes on with those that came back: through libuv's pool
 * each costs a trip of its own, which is three times what the read costs when its page is in the cache of the system. It only helps:
 * what it can't read at once is refused, and read through the pool, and so is everything when it can't be started or ends. It keeps
 * no process alive but while it reads.
 *
 *     bytes   | free | first … last | free |      goes round; a read lies in one stretch
 *     places  | free | done … asked | free |      goes round, a place and an answer for each piece
 */
export class ReadingThread {
  readonly #control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT))
  readonly #places = new Float64Array(new SharedArrayBuffer(RING_COUNT * PLACE_WORDS * Float64Array.BYTES_PER_ELEMENT))
  readonly #answers = new Uint8Array(new SharedArrayBuffer(RING_COUNT))
  readonly #data = new Uint8Array(new SharedArrayBuffer(RING_SIZE))
  readonly #worker: Worker
  readonly #onAnswered: (isSmooth: boolean) => void
  #state: 'starting' | 'running' | 'ended' = 'starting'
  #asked = 0
  /** Reads under way, in their order; the thread answers in it. */
  #first: SmallRead | null = null
  #last: SmallRead | null = null
  /** Pieces of them. */
  #count = 0
  /** Behind the bytes of the last one. */
  #end = 0
  #isLooking = false
  /** Before the event loop may sleep. */
  #looksLeft = 0

  /**
   * @param onAnswered called when some reads were answered, with whether none was refused; when it begins to take reads; and when it
   *   ends, with false.
   * @throws when the process may not have threads
   */
  constructor(onAnswered: (isSmooth: boolean) => void) {
    this.#onAnswered = onAnswered
    this.#worker = new Worker(PROGRAM, {
      eval: true,
      // Nothing of the embedder's is loaded into it.
      execArgv: [],
      env: {},
      name: 'tailrace-reads',
      workerData: { control: this.#control, places: this.#places, answers: this.#answers, data: this.#data.buffer },
      resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 },
    })
    this.#worker.unref()
    this.#worker.on('message', () => {
      this.#told()
    })
    this.#worker.on('error', () => this.#ended())
    this.#worker.on('exit', () => this.#ended())
  }

  /** Whether it takes reads. */
  get isRunning(): boolean {
    return this.#state === 'running'
  }

  /**
   * Asks for it; it has at most MAX_READ_SIZE bytes and MAX_PIECE_COUNT pieces. Only while it is running.
   * @returns false when there is no room for it now.
   */
  ask(read: SmallRead): boolean {
    const { descriptors, target, offsets, sizes } = read
    if (this.#count + offsets.length > RING_COUNT) return false
    const from = this.#placeFor(target.length)
    if (from === null) return false
    const places = this.#places
    for (let i = 0, at = from; i < offsets.length; i++) {
      const place = ((this.#asked + i) & (RING_COUNT - 1)) * PLACE_WORDS
      places[place] = i === offsets.length - 1 ? ~descriptors[i]! : descriptors[i]!
      places[place + 1] = offsets[i]!
      places[place + 2] = sizes[i]!
      places[place + 3] = at
      at += sizes[i]!
    }
    this.#asked = (this.#asked + offsets.length) | 0
    this.#count += offsets.length
    this.#end = from + target.length
    read.from = from
    read.end = this.#asked
    if (this.#last === null) this.#first = read
    else this.#last.next = read
    this.#last = read
    Atomics.store(this.#control, ASKED, this.#asked)
    if (Atomics.load(this.#control, IS_ASLEEP) === 1) Atomics.notify(this.#control, ASKED)
    this.#beginToLook()
    return true
  }

  /** Where so many bytes in a row are free; null when they are not. */
  #placeFor(size: number): number | null {
    if (this.#first === null) return 0
    const { from } = this.#first
    if (this.#end < from) return this.#end + size < from ? this.#end : null
    if (this.#end + size <= RING_SIZE) return this.#end
    return size < from ? 0 : null
  }

  #beginToLook(): void {
    if (this.#isLooking) return
    this.#isLooking = true
    this.#looksLeft = LOOKS
    setImmediate(this.#look)
  }

  /** Once in each turn of the event loop; an immediate that waits keeps it from sleeping. */
  readonly #look = (): void => {
    if (this.#answer()) this.#looksLeft = LOOKS
    if (this.#first !== null && this.#looksLeft-- > 0) {
      setImmediate(this.#look)
      return
    }
    this.#isLooking = false
    if (this.#first === null) return
    this.#worker.ref()
    Atomics.store(this.#control, IS_TOLD, 1)
    if (Atomics.load(this.#control, DONE) === this.#asked) this.#told()
  }

  #told(): void {
    if (this.#state === 'ended') return
    this.#worker.unref()
    if (this.#state === 'starting') {
      this.#state = 'running'
      this.#onAnswered(true)
    }
    this.#answer()
    if (this.#first !== null) this.#beginToLook()
  }

  /** Answers what has come back. @returns whether something has. */
  #answer(): boolean {
    const done = Atomics.load(this.#control, DONE)
    let isSmooth = true
    let hasAnswered = false
    for (let read = this.#first; read !== null && ((done - read.end) | 0) >= 0; read = this.#first) {
      const { target, from, offsets } = read
      this.#first = read.next
      // A dead read that has grown old would carry everything behind it over into the old generation.
      read.next = null
      if (this.#first === null) this.#last = null
      this.#count -= offsets.length
      const answer = this.#answerTo(read)
      if (answer === READ) target.set(this.#data.subarray(from, from + target.length))
      else if (answer === REFUSED) isSmooth = false
      hasAnswered = true
      read.answered(answer === READ)
    }
    if (hasAnswered) this.#onAnswered(isSmooth)
    return hasAnswered
  }

  /** Of the first piece that was not read, if there is one. */
  #answerTo({ end, offsets }: SmallRead): number {
    for (let piece = end - offsets.length; piece < end; piece++) {
      const answer = this.#answers[piece & (RING_COUNT - 1)]!
      if (answer !== READ) return answer
    }
    return READ
  }

  async end(): Promise<void> {
    this.#ended()
    await this.#worker.terminate()
  }

  #ended(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    for (let read = this.#first; read !== null; read = read.next) read.answered(false)
    this.#first = null
    this.#last = null
    // Others may wait for room.
    this.#onAnswered(false)
  }
}
