import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { KIB } from '../core/limits.ts'

/** Pieces of a file that are asked for and not read yet; see `DiskFile.readPieces`. */
export interface SmallRead {
  readonly descriptor: number
  readonly target: Uint8Array
  readonly offsets: readonly number[]
  readonly sizes: readonly number[]
  /** @param isRead true: the target is filled. False: it is to be read another way, which then also tells what is wrong. */
  readonly answered: (isRead: boolean) => void
}

/** A read of more goes through the thread pool. */
export const SMALL_READ_SIZE = 128 * KIB
/** So many bytes and pieces are read in one batch at most. */
export const BATCH_SIZE = 512 * KIB
export const BATCH_COUNT = 512

/** So often it is looked whether reads have to wait for the disk, in pieces. */
const READS_PER_LOOK = 8
/** Beyond this they do, or another process was given the processor. */
const SLOW_LOOK_MS = 0.4
/** So many slow looks, and what is left of a batch goes through the thread pool, which waits for four reads at once. */
const SLOW_LOOKS = 2

/**
 * To wake who sleeps took 140 µs for both sides together (decision 0009), many times the reads themselves. So the thread looks for
 * the next batch for a while before it goes to sleep, about 50 µs, and the event loop does not sleep for some turns while a batch is
 * read, about half a millisecond. Not where both would share a processor.
 */
const CAN_LOOK = availableParallelism() > 1
const LOOKS_OF_THREAD = CAN_LOOK ? 10_000 : 0
const LOOKS = CAN_LOOK ? 128 : 0

/** Of a piece in shared memory: descriptor, offset in the file, size. */
const PLACE_WORDS = 3
/** Of the control words: the turn, which wakes the thread; the count of pieces of its batch, and how many of them were read. */
const TURN = 0
const COUNT = 1
const DONE = 2
/** The last turn that was done, and whether its end is to be told by a message, for nobody looks. */
const DONE_TURN = 3
const IS_TOLD = 4
const CONTROL_WORDS = 5

/** As text, so that it needs no file of its own, in whatever way the engine is built, bundled or run. */
const PROGRAM = `'use strict'
const { parentPort, workerData } = require('node:worker_threads')
const { readSync } = require('node:fs')
const { control, places, data } = workerData
const bytes = new Uint8Array(data)
const elapsedMs = since => { const [seconds, ns] = process.hrtime(since); return seconds * 1e3 + ns / 1e6 }
parentPort.postMessage(0)
for (let turn = 0; ; ) {
  for (let looks = 0; looks < ${LOOKS_OF_THREAD} && Atomics.load(control, ${TURN}) === turn; looks++);
  // The notice of a turn that was seen already may come late, and ends the next wait.
  while (Atomics.load(control, ${TURN}) === turn) Atomics.wait(control, ${TURN}, turn)
  turn = (turn + 1) | 0
  const count = control[${COUNT}]
  let since = process.hrtime()
  let slow = 0
  let done = 0
  try {
    for (let at = 0; done < count; done++) {
      if (done % ${READS_PER_LOOK} === ${READS_PER_LOOK - 1}) {
        if (elapsedMs(since) > ${SLOW_LOOK_MS} && ++slow === ${SLOW_LOOKS}) break
        since = process.hrtime()
      }
      const size = places[done * ${PLACE_WORDS} + 2]
      if (readSync(places[done * ${PLACE_WORDS}], bytes, at, size, places[done * ${PLACE_WORDS} + 1]) < size) break
      at += size
    }
  } catch {}
  control[${DONE}] = done
  // In this order, and the other way round on the other side: at least one of both sees what the other one did.
  Atomics.store(control, ${DONE_TURN}, turn)
  if (Atomics.load(control, ${IS_TOLD}) === 1) parentPort.postMessage(turn)
}
`

/**
 * A thread that makes a whole batch of small reads in one trip: through libuv's pool each costs a trip of its own, which is three
 * times what the read costs when its page is in the cache of the system. It only helps: what it can't read at once is refused, and
 * read through the pool, and so is everything when it can't be started or ends. It keeps no process alive but while it reads.
 */
export class ReadingThread {
  readonly #control = new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT))
  readonly #places = new Float64Array(new SharedArrayBuffer(BATCH_COUNT * PLACE_WORDS * Float64Array.BYTES_PER_ELEMENT))
  readonly #data = new Uint8Array(new SharedArrayBuffer(BATCH_SIZE))
  readonly #worker: Worker
  readonly #onAnswered: (isWhole: boolean) => void
  #state: 'starting' | 'idle' | 'reading' | 'ended' = 'starting'
  #batch: readonly SmallRead[] = []
  #turn = 0
  /** For the end of the batch, before the event loop may sleep. */
  #looksLeft = 0

  /**
   * @param onAnswered called when it takes a batch, again or for the first time, with whether the whole of the last one was read; and
   *   when it ends, with false.
   * @throws when the process may not have threads
   */
  constructor(onAnswered: (isWhole: boolean) => void) {
    this.#onAnswered = onAnswered
    this.#worker = new Worker(PROGRAM, {
      eval: true,
      // Nothing of the embedder's is loaded into it.
      execArgv: [],
      env: {},
      name: 'tailrace-reads',
      workerData: { control: this.#control, places: this.#places, data: this.#data.buffer },
      resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1 },
    })
    this.#worker.unref()
    this.#worker.on('message', (turn: number) => {
      // That a batch is done may have been seen before it was told.
      if (turn === this.#turn && !this.isIdle) this.#answered()
    })
    this.#worker.on('error', () => this.#ended())
    this.#worker.on('exit', () => this.#ended())
  }

  get isIdle(): boolean {
    return this.#state === 'idle'
  }

  get isReading(): boolean {
    return this.#state === 'reading'
  }

  /** @param batch at most BATCH_COUNT pieces and BATCH_SIZE bytes. Only when it is idle. */
  read(batch: readonly SmallRead[]): void {
    const places = this.#places
    let count = 0
    for (const { descriptor, offsets, sizes } of batch) {
      for (let i = 0; i < offsets.length; i++, count++) {
        places[count * PLACE_WORDS] = descriptor
        places[count * PLACE_WORDS + 1] = offsets[i]!
        places[count * PLACE_WORDS + 2] = sizes[i]!
      }
    }
    this.#state = 'reading'
    this.#batch = batch
    this.#control[COUNT] = count
    this.#turn = (this.#turn + 1) | 0
    Atomics.store(this.#control, IS_TOLD, 0)
    Atomics.store(this.#control, TURN, this.#turn)
    Atomics.notify(this.#control, TURN)
    this.#looksLeft = LOOKS
    setImmediate(this.#look)
  }

  /** Once in each turn of the event loop; an immediate that waits keeps it from sleeping. */
  readonly #look = (): void => {
    if (this.#state !== 'reading') return
    if (this.#isDone()) this.#answered()
    else if (this.#looksLeft-- > 0) setImmediate(this.#look)
    else {
      this.#worker.ref()
      Atomics.store(this.#control, IS_TOLD, 1)
      if (this.#isDone()) this.#answered()
    }
  }

  #isDone(): boolean {
    return Atomics.load(this.#control, DONE_TURN) === this.#turn
  }

  async end(): Promise<void> {
    this.#ended()
    await this.#worker.terminate()
  }

  #answered(): void {
    if (this.#state === 'ended') return
    const batch = this.#batch
    const count = this.#control[DONE]!
    const isFirst = this.#state === 'starting'
    this.#state = 'idle'
    this.#batch = []
    this.#worker.unref()
    let at = 0
    let read = 0
    for (const { target, sizes, answered } of batch) {
      read += sizes.length
      if (read <= count) target.set(this.#data.subarray(at, at + target.length))
      at += target.length
      answered(read <= count)
    }
    this.#onAnswered(isFirst || read === count)
  }

  #ended(): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    const batch = this.#batch
    this.#batch = []
    for (const read of batch) read.answered(false)
    // Others may wait for it to come back.
    this.#onAnswered(false)
  }
}
