import { TailraceError, WrongExpectedRevisionError } from '../../src/core/errors.ts'
import type { AppendAck, CommitAnswer } from '../../src/core/events.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { Random } from '../support/random.ts'
import { endWithParent, say } from './child-program.ts'
import { DOOMED, eventAt, FADING, FADING_COUNT, KEPT, type LoadPlan, RETRIED, TOMB } from './load-plan.ts'
import { LoopLag } from './loop-lag.ts'

/**
 * A process under load: load PLAN. It appends to many streams until it is killed, told to `close`, or refused for good; every line
 * it says is a promise that was made to it, or what it is about to do (see load-book.ts).
 */
endWithParent(line => {
  if (line === 'lag') say('lag', lag.takeMs().toFixed(1))
  else {
    isStopping = true
    if (line === 'close') void running.then(() => store.close()).then(() => say('closed'), complain)
  }
})

const SINGLES = 4
const PAUSE_MS = 10
const plan = JSON.parse(process.argv[2]!) as LoadPlan
const lag = new LoopLag()
const random = new Random(`${plan.seed}/${plan.life}`)
let isStopping = false
/** Somebody was told that it does not go on. */
let isFinished = false
let serialCount = 0
/** Where the next event goes, of streams that get one at a time. */
const revisions = new Map<string, number>()
const store = await open()
const { clean, events, truncatedBytes, ms } = store.recovery
say('open', String(clean), events, truncatedBytes, ms.toFixed(1))

const kept = [...Array.from({ length: SINGLES }, (_, index) => `${KEPT}${index}`), RETRIED]
const works = [...kept.map(stream => fill(stream)), commitPairs(0), commitPairs(1)]
if (plan.withMaintenance) works.push(doom(`${DOOMED}0`), doom(`${DOOMED}1`), fade(), entomb(), scavenge())
const running = Promise.all(works.map(work => work.catch(complain)))
await running
say('done')

async function open(): Promise<EventStore> {
  try {
    return await EventStore.open(plan.directory, { chunkSizeBytes: plan.chunkSizeBytes, durability: plan.durability })
  } catch (error) {
    say('unopened', error instanceof TailraceError ? error.code : '?', String(error).replaceAll('\n', ' '))
    process.exit(0)
  }
}

/** An error of the store where no append was asked for may come of a disk that fails; any other is no error that it may throw. */
function complain(error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message).replaceAll('\n', ' | ') : String(error)
  if (error instanceof TailraceError) say('fault', error.code, text)
  else say('!', text)
}

function nextSerial(): string {
  return `${plan.life}.${serialCount++}`
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}

/** Says what an error means for the append. @returns whether one may go on after it. */
function refused(streams: string, serial: string, error: unknown): boolean {
  if (!(error instanceof TailraceError)) throw error
  say('x', streams, serial, error.code, error.outcome, error.message.replaceAll('\n', ' '))
  // What was called behind an append that was refused cannot be where it said.
  return error.outcome === 'rejected' && (error.retryable || error instanceof WrongExpectedRevisionError)
}

async function nextRevision(stream: string): Promise<number> {
  return ((await store.head(stream)) ?? -1) + 1
}

/** Keeps `maxInFlight` calls under way; after a refusal it waits for all of them, and begins again where the store is. */
async function keepBusy(restart: () => Promise<void>, start: () => Promise<boolean>): Promise<void> {
  while (!isStopping) {
    await restart()
    const waiting: Promise<boolean>[] = []
    let goesOn = true
    let isRefused = false
    while (!isStopping && goesOn && !isRefused) {
      const call = start()
      waiting.push(call)
      call.then(
        isAcked => {
          if (!isAcked) isRefused = true
        },
        () => {
          goesOn = false
        },
      )
      if (waiting.length >= plan.maxInFlight) await waiting.shift()
    }
    const settled = await Promise.allSettled(waiting)
    const failed = settled.find(({ status }) => status === 'rejected')
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
    if (isFinished) return
    await pause(PAUSE_MS)
  }
}

async function settle<Ack>(streams: string, serial: string, call: Promise<Ack>, tell: (ack: Ack) => void): Promise<boolean> {
  try {
    tell(await call)
    return true
  } catch (error) {
    if (!refused(streams, serial, error)) isFinished = true
    return false
  }
}

/** Appends one event or some at a time, each behind the last one. */
async function fill(stream: string): Promise<void> {
  if (stream === RETRIED) await sendAgain(stream)
  let next = 0
  const restart = async () => {
    next = await nextRevision(stream)
  }
  await keepBusy(restart, () => {
    const first = next
    const partCount = stream !== RETRIED && random.chance(0.3) ? 2 + random.int(4) : 1
    const serial = nextSerial()
    const group = Array.from({ length: partCount }, (_, part) => eventAt(plan, stream, first + part, { serial, part, partCount }))
    next += partCount
    const call = store.append(stream, group, { expectedRevision: first === 0 ? 'no_stream' : first - 1 })
    return settle(stream, serial, call, ack => tellAppend(ack, serial))
  })
}

function tellAppend({ stream, firstRevision, lastRevision, position }: AppendAck, serial: string): void {
  say('+', stream, firstRevision!, lastRevision!, position, serial)
}

/** The last ones, with the ids that they have: they must be where they were. */
async function sendAgain(stream: string): Promise<void> {
  const last = []
  if (await store.exists(stream)) {
    for await (const event of store.readStream(stream, { direction: 'backwards', maxCount: 5 })) last.push(event)
  }
  for (const { revision, position } of last) {
    const event = eventAt(plan, stream, revision, { serial: nextSerial(), part: 0, partCount: 1 })
    const expectedRevision = revision === 0 ? 'no_stream' : revision - 1
    try {
      const ack = await store.append(stream, event, { expectedRevision })
      if (!ack.duplicate || ack.position !== position || ack.firstRevision !== revision) {
        say('!', `I7: revision ${revision} of ${stream} was sent again, and is at ${ack.position} instead of ${position}`)
      }
    } catch (error) {
      if (!refused(stream, 'again', error)) isFinished = true
    }
  }
}

/** Two streams that are written only together. */
async function commitPairs(pair: number): Promise<void> {
  const streams = [`${KEPT}left-${pair}`, `${KEPT}right-${pair}`] as const
  const next = [0, 0]
  const restart = async () => {
    for (const [index, stream] of streams.entries()) next[index] = await nextRevision(stream)
  }
  await keepBusy(restart, () => {
    const counts = [1, 1 + random.int(3)]
    const serial = nextSerial()
    let part = 0
    const commits = streams.map((stream, index) => {
      const first = next[index]!
      const count = counts[index]!
      const group = Array.from({ length: count }, (_, k) =>
        eventAt(plan, stream, first + k, { serial, part: part++, partCount: 1 + counts[1]! }),
      )
      next[index] = first + count
      return { stream, events: group, expectedRevision: first === 0 ? ('no_stream' as const) : first - 1 }
    })
    return settle(streams.join(), serial, store.commit(commits), (answer: CommitAnswer) => {
      for (const [index, { stream, firstRevision, lastRevision }] of answer.streams.entries()) {
        say('+', stream, firstRevision!, lastRevision!, index === 1 ? answer.position : -1, serial)
      }
    })
  })
}

/** @returns the event's revision, or null when the load is over. */
async function appendOne(stream: string): Promise<number | null> {
  // Its revision decides what it says: one at a time.
  const revision = revisions.get(stream) ?? (await lastRevisionEver(stream)) + 1
  const serial = nextSerial()
  const event = eventAt(plan, stream, revision, { serial, part: 0, partCount: 1 })
  const isAcked = await settle(stream, serial, store.append(stream, event), ack => {
    if (ack.firstRevision !== revision) say('!', `I5: revision ${ack.firstRevision} of ${stream} instead of ${revision}`)
    tellAppend(ack, serial)
  })
  if (!isAcked) {
    revisions.delete(stream)
    return null
  }
  revisions.set(stream, revision + 1)
  return revision
}

/** Of a stream that may be deleted: its revisions go on. */
async function lastRevisionEver(stream: string): Promise<number> {
  const head = await store.head(stream)
  const { truncateBefore = 0 } = await store.metadata(stream)
  return Math.max(head ?? -1, truncateBefore - 1)
}

async function doom(stream: string): Promise<void> {
  while (!isStopping && !isFinished) {
    let last: number | null = null
    for (let left = 1 + random.int(30); left > 0; left--) last = (await appendOne(stream)) ?? last
    if (last !== null) await change('delete', stream, last + 1, () => store.delete(stream))
    else await pause(PAUSE_MS)
  }
}

async function change(what: string, stream: string, value: number, call: () => Promise<unknown>): Promise<void> {
  if (isFinished) return
  say('~', what, stream, value)
  await settle(stream, 'change', call(), () => say('-', what, stream, value))
}

async function fade(): Promise<void> {
  if ((await store.metadata(FADING)).maxCount === undefined) {
    await change('fade', FADING, FADING_COUNT, () => store.setMetadata(FADING, { maxCount: FADING_COUNT }))
  }
  while (!isStopping && !isFinished) {
    if ((await appendOne(FADING)) === null) await pause(PAUSE_MS)
  }
}

async function entomb(): Promise<void> {
  const stream = `${TOMB}${plan.life}`
  if ((await appendOne(stream)) === null) return
  await change('entomb', stream, 1, () => store.tombstone(stream))
}

async function scavenge(): Promise<void> {
  while (!isStopping && !isFinished) {
    await pause(10 + random.int(60))
    if (isStopping || isFinished) return
    try {
      const { chunksReplaced, eventsDropped } = await store.scavenge()
      say('scavenged', chunksReplaced, eventsDropped)
    } catch (error) {
      // Beside appends that go on, it may meet any error of the disk; it promised nothing.
      say('unscavenged', String(error).replaceAll('\n', ' '))
      await pause(PAUSE_MS)
    }
  }
}
