import { describe, expect, test } from 'vitest'
import { TailraceError } from '../../src/core/errors.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { DIRECTORY, Stage, type StageOptions } from '../crash/stage.ts'
import { powerCut } from '../support/crash-states.ts'
import type { Fault } from '../support/faults.ts'
import { audit } from '../support/log-audit.ts'
import { stillClock } from '../support/manual-clock.ts'
import type { Mark } from '../support/operation-log.ts'
import { Random } from '../support/random.ts'

/**
 * Every call to the disk, on the paths of open, append, roll-over, proof, close and recovery, is failed: once, and from then on.
 * Whatever happens: every promise settles, errors are the engine's, reads of what was acked go on, and when the disk is well again
 * the store opens with everything acked and nothing refused, after a kill as after a power cut.
 */

const OPTIONS: StageOptions = { store: { chunkSizeBytes: 4096 } }

async function playAppends(stage: Stage): Promise<void> {
  stage.begin('orders', [300, 20, 900])
  stage.begin('payments', [700])
  stage.begin('payments', [5], 99)
  await stage.settled()
  await stage.idle()
  stage.begin('orders', [1500, 600])
  stage.begin('orders', [800])
  await stage.settled()
  await stage.append('payments', 1200)
  stage.tick()
  await stage.append('orders', 40, 40)
}

/** Opens, appends, closes, opens again; an open that fails is left at that. */
async function play(stage: Stage): Promise<void> {
  for (let life = 0; life < 2; life++) {
    try {
      await stage.open()
    } catch (error) {
      expectTyped(error)
      expect(stage.disk.openPaths, 'files left open by an open that failed').toEqual([])
      return
    }
    await playAppends(stage)
    await stage.close().catch((error: { syscall?: string }) => {
      // A file that can't be closed: whatever it is told as, nothing is lost by it, all was synced before.
      if (error.syscall !== 'close') expectTyped(error)
    })
    expect(stage.disk.openPaths, 'files left open by a close').toEqual([])
  }
}

function expectTyped(error: unknown): void {
  if (!(error instanceof TailraceError)) throw error
}

async function callsOf(from: () => Promise<Stage>): Promise<number> {
  const stage = await from()
  await play(stage)
  return stage.disk.callCount()
}

/** Runs the script with a fault, then looks at what is left: to the next process, and after two power cuts. */
async function withFault(fault: Fault, from: () => Promise<Stage>): Promise<void> {
  const stage = await from()
  const planned = stage.disk.failNext(fault)
  await within(5000, play(stage))
  expect(planned.fired).toBeGreaterThan(0)
  expect(stage.ledger.unsettledCount).toBe(0)
  planned.clear()

  const marks = stage.disk.log.filter((entry): entry is Mark => entry.kind === 'mark')
  const expectation = stage.ledger.expectationAfter(marks)
  for (const kept of ['none', 'all', new Random(JSON.stringify(fault))] as const) {
    const disk = powerCut(stage.disk, kept)
    const store = await EventStore.openOn(disk, DIRECTORY, { ...OPTIONS.store, clock: stillClock })
    await audit(store, stage.ledger, expectation)
    await store.close()
  }
  // The next process on the same machine.
  await stage.open()
  await stage.append('orders', 10)
  await stage.close()
}

async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`a promise did not settle within ${ms} ms`)), ms)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}

const FAILURES = [
  ['EIO', 'once'],
  ['EIO', 'forever'],
  ['ENOSPC', 'once'],
  ['ENOSPC', 'forever'],
  ['EMFILE', 'forever'],
  ['EROFS', 'forever'],
] as const
const newStage = async () => new Stage('calls', OPTIONS)

/** A store whose process was killed amid a flush: opening it has something to repair. */
async function killedStage(): Promise<Stage> {
  const before = new Stage('calls', OPTIONS)
  await before.open()
  await playAppends(before)
  before.disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO', partialBytes: 300 })
  before.begin('orders', [200, 200])
  await before.settled()
  await before.kill()
  const marks = before.disk.log.filter((entry): entry is Mark => entry.kind === 'mark')
  const { ledger } = before
  return new Stage('again', OPTIONS, { content: before.disk.snapshot(), ledger, expectation: ledger.expectationAfter(marks) })
}

describe.each([
  ['a new store', newStage],
  ['a store that has to be recovered', killedStage],
])('of %s', (_, from) => {
  test.each(FAILURES)('every call fails with %s %s', async (error, times) => {
    const calls = await callsOf(from)
    const broken: string[] = []
    for (let nth = 1; nth <= calls; nth++) {
      const fault = { nth, error, times }
      await withFault(fault, from).catch((reason: Error) => broken.push(`${JSON.stringify(fault)}: ${reason.stack}`))
    }
    console.log(`${error} ${times}: ${calls} calls`)
    expect(broken.slice(0, 3).join('\n'), `${broken.length} of them`).toBe('')
  })
})
