import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_CHUNK_SIZE, KIB } from '../../src/core/limits.ts'
import type { Rig, RigOptions, RigReport } from '../proof/rig.ts'
import { ChildProgram } from './child-program.ts'
import { run } from './loop-image.ts'
import { reasonWithout } from './namespaced-rig.ts'

/** What must not take longer, in ms, with nothing in the cache. */
const TARGET_MS = 500
const DATA_SIZES = [100, KIB, 16 * KIB]
const QUICK_DATA_SIZES = [KIB]
const OPENS = 7
const QUICK_OPENS = 3

/** How long an open takes that has to recover a full chunk, in a process of its own. */
export const recoveryTimeRig: Rig = {
  name: 'recovery-time',
  about: 'the time of an open after a kill -9 with a full active chunk of 64 MiB, with and without the cache of the kernel',
  unavailable: async () =>
    process.platform === 'linux' ? reasonWithout('dd', ['--version']) : 'it drops files from the cache of Linux',
  async run(options, progress): Promise<RigReport> {
    const rows: string[][] = []
    const failures: string[] = []
    let slowestMs = 0
    let wasBusy = false
    for (const dataSize of options.isQuick ? QUICK_DATA_SIZES : DATA_SIZES) {
      const isBusy = loadavg()[0]! > availableParallelism()
      wasBusy ||= isBusy
      const { events, scannedBytes, coldMs, warmMs, cpuMs } = await measure(options, dataSize)
      slowestMs = Math.max(slowestMs, median(coldMs))
      // On a machine that does other work the best of several comes closest to what the store needs, or nothing does.
      if (Math.min(...coldMs) > TARGET_MS && !isBusy)
        failures.push(`a cold open with events of ${dataSize} bytes took ${coldMs.join(', ')} ms`)
      rows.push([`${dataSize} B`, String(events), String(scannedBytes), timesText(coldMs), timesText(warmMs), timesText(cpuMs)])
      progress(`events of ${rows.at(-1)!.join(', ')}`)
    }
    const head = [
      'events of',
      'events',
      'bytes scanned',
      'cold, ms: median (best to worst)',
      'warm, ms',
      'processor time of both, ms',
    ]
    return {
      figures: {
        'slowest cold open, ms (median)': Math.round(slowestMs),
        'target, ms': TARGET_MS,
        'the machine had other work, too': wasBusy ? 'yes: these times say little' : 'no',
      },
      failures,
      tables: [{ title: 'Opening after kill -9 with a full active chunk', head, rows }],
    }
  },
}

interface Measurement {
  readonly events: number
  readonly scannedBytes: number
  readonly coldMs: readonly number[]
  readonly warmMs: readonly number[]
  readonly cpuMs: readonly number[]
}

async function measure(options: RigOptions, dataSize: number): Promise<Measurement> {
  const directory = join(options.directory, 'recovery')
  rmSync(directory, { recursive: true, force: true })
  mkdirSync(directory, { recursive: true })
  const killed = join(directory, 'killed')
  const filler = new ChildProgram('filler', [killed, String(dataSize), String(DEFAULT_CHUNK_SIZE)])
  const full = await filler.said('full', 300_000)
  await new Promise(resolve => setTimeout(resolve, 50))
  await filler.kill()
  if (full === null) throw new Error(`the chunk was not filled: ${filler.complaints}`)
  const coldMs: number[] = []
  const warmMs: number[] = []
  const cpuMs: number[] = []
  let events = 0
  let scannedBytes = 0
  for (let open = 0; open < (options.isQuick ? QUICK_OPENS : OPENS); open++) {
    for (const times of [coldMs, warmMs]) {
      const store = join(directory, 'copy')
      // Each open recovers the same store.
      rmSync(store, { recursive: true, force: true })
      cpSync(killed, store, { recursive: true })
      for (const name of readdirSync(store)) {
        run('sync', [join(store, name)])
        if (times === coldMs) run('dd', [`of=${join(store, name)}`, 'oflag=nocache', 'conv=notrunc', 'count=0'])
      }
      const opener = new ChildProgram('opener', [store, String(DEFAULT_CHUNK_SIZE)])
      const said = await opener.said('open')
      await opener.ended
      if (said === null) throw new Error(`it cannot be opened: ${opener.complaints}`)
      const [ms = 0, cpu = 0, eventCount = 0, scanned = 0] = said.split(' ').slice(1).map(Number)
      times.push(ms)
      cpuMs.push(cpu)
      events = eventCount
      scannedBytes = scanned
    }
  }
  rmSync(directory, { recursive: true, force: true })
  return { events, scannedBytes, coldMs, warmMs, cpuMs }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function timesText(values: readonly number[]): string {
  return `${median(values)} (${Math.min(...values)} to ${Math.max(...values)})`
}
