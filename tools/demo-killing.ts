import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { EventStore, type StoreOptions } from 'tailrace'
import { systemClock } from '#engine/core/clock.ts'
import { type Acks, appendAll, missingDeliveries } from './demo-appending.ts'
import type { Delivery } from './demo-deliveries.ts'

/** How the process that appended was ended. */
export interface Killing {
  readonly pid: number
  /** Every ack that came through the pipe, also those that were still in it when the process was dead. */
  readonly acks: Acks
  /** From its first ack to its death. */
  readonly ms: number
}

/** The child: appends what is missing, tells each ack, and holds the store until it is killed. */
export async function appendUntilKilled(
  directory: string,
  options: StoreOptions,
  deliveries: readonly Delivery[],
  inFlight: number,
): Promise<never> {
  const store = await EventStore.open(directory, options)
  await appendAll(store, await missingDeliveries(store, deliveries), inFlight, ({ number }, ack) => {
    // Writing to a pipe is synchronous: from here on the parent has the ack, whatever becomes of this process.
    process.stdout.write(`${number} ${ack.lastRevision} ${ack.position}\n`)
  })
  for (;;) await new Promise(resolve => setTimeout(resolve, 60_000))
}

/**
 * The parent: runs the child and kills it with SIGKILL a random while after an ack, itself chosen at random
 * between the two numbers.
 */
export async function killMidWrite(
  childArguments: readonly string[],
  [minAcks, maxAcks]: readonly [number, number],
  signal: AbortSignal,
): Promise<Killing> {
  const killAt = randomInt(minAcks, maxAcks + 1)
  const child = spawn(process.execPath, childArguments, { stdio: ['ignore', 'pipe', 'inherit'], signal, killSignal: 'SIGKILL' })
  const acks: Acks = new Map()
  let firstMs = 0
  let isDoomed = false
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    if (firstMs === 0) firstMs = systemClock.monotonic()
    for (const line of lines) {
      const [number, revision, position] = line.split(' ').map(Number) as [number, number, number]
      acks.set(number, { revision, position })
    }
    if (acks.size < killAt || isDoomed) return
    isDoomed = true
    setTimeout(() => child.kill('SIGKILL'), randomInt(5))
  })
  const [code, endedBy] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  if (endedBy !== 'SIGKILL') throw new Error(`the child ended by itself, with ${endedBy ?? `exit status ${code}`}`)
  return { pid: child.pid!, acks, ms: systemClock.monotonic() - firstMs }
}
