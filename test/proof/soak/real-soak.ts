import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { EventStore } from '../../../src/store/event-store.ts'

export interface RealSoak {
  readonly seconds: number
  readonly appends: number
  /** Of the least squares line through the second half of the samples. */
  readonly memorySlopeMibPerMinute: number
  readonly descriptorSlopePerMinute: number
  readonly descriptors: number
}

const SAMPLE_MS = 1000
/** So small that the store has more of them than descriptors within the first half. */
const CHUNK_BYTES = 2 * 1024 * 1024
/** So small that it is full within the first half. */
const CACHE_BYTES = 4 * 1024 * 1024
const STREAMS = 64

/** Appends and reads on real files for a while, and looks at what the process holds. */
export async function soakOnRealFiles(directory: string, seconds: number, said: (line: string) => void): Promise<RealSoak> {
  const store = await EventStore.open(join(directory, 'soak'), { chunkSizeBytes: CHUNK_BYTES, cacheBytes: CACHE_BYTES })
  const collect = garbageCollection()
  const samples: { readonly minutes: number; readonly mib: number; readonly descriptors: number }[] = []
  const startedMs = performance.now()
  const elapsed = () => performance.now() - startedMs
  let appends = 0
  const payload = Buffer.alloc(300, 7)
  let nextSampleMs = SAMPLE_MS
  // Every stream keeps its last events only, and chunks are rewritten: the store does not grow without end.
  for (let stream = 0; stream < STREAMS; stream++) await store.setMetadata(`stream-${stream}`, { maxCount: 100 })
  for (let round = 0; elapsed() < seconds * 1000; round++) {
    await Promise.all(
      Array.from({ length: 64 }, (_, at) => store.append(`stream-${(round + at) % STREAMS}`, { type: 'Tick', data: payload })),
    )
    appends += 64
    if (round % 50 === 0) for await (const batch of store.readStream(`stream-${round % STREAMS}`).batches()) void batch
    if (round % 2000 === 1999) await store.scavenge()
    if (elapsed() < nextSampleMs) continue
    nextSampleMs += SAMPLE_MS
    collect()
    const mib = Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? 0) / 1024
    samples.push({ minutes: elapsed() / 60_000, mib, descriptors: readdirSync('/proc/self/fd').length })
    if (samples.length % 30 === 0) said(`${samples.length} s of real files: ${mib.toFixed(0)} MiB, ${appends} appends`)
  }
  await store.close()
  const settled = samples.slice(Math.floor(samples.length / 2))
  return {
    seconds: elapsed() / 1000,
    appends,
    memorySlopeMibPerMinute: slopeOf(settled.map(({ minutes, mib }) => [minutes, mib])),
    descriptorSlopePerMinute: slopeOf(settled.map(({ minutes, descriptors }) => [minutes, descriptors])),
    descriptors: samples.at(-1)?.descriptors ?? 0,
  }
}

/** What is garbage is not held. */
function garbageCollection(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

function slopeOf(points: readonly (readonly [number, number])[]): number {
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length
  const [meanX, meanY] = [mean(0), mean(1)]
  const over = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  const under = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return under === 0 ? 0 : over / under
}
