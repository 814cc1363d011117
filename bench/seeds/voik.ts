import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import type { Figures, Tell } from '../support/figures.ts'
import { memoryMiB, peakMemoryMiB } from '../support/process-usage.ts'

/** voik's own programme: many records of 1,000 bytes are written, and read cold and warm. Here every byte is verified. */
export interface VoikSpec {
  readonly directory: string
  readonly durability: 'fsync' | 'os'
  readonly records: number
}

const RECORD_BYTES = 1000
const IN_FLIGHT = 1024
const STREAM = 'messages'
const TELL_EVERY = 1_000_000

export async function measureVoik(spec: VoikSpec, tell: Tell): Promise<Figures> {
  const before = memoryMiB()
  const writeSeconds = await write(spec, tell)
  const isCold = dropFromPageCache(spec.directory)
  const coldSeconds = await read(spec)
  const warmSeconds = await read(spec)
  const peak = peakMemoryMiB()
  const megabytes = (spec.records * RECORD_BYTES) / 1e6
  return {
    writeMbPerSecond: megabytes / writeSeconds,
    writeSeconds,
    // Where the page cache could not be emptied there is nothing to say about it.
    ...(isCold ? { coldMbPerSecond: megabytes / coldSeconds } : {}),
    warmMbPerSecond: megabytes / warmSeconds,
    recordsPerSecond: spec.records / warmSeconds,
    memoryMiB: peak - before,
  }
}

async function write({ directory, durability, records }: VoikSpec, tell: Tell): Promise<number> {
  const store = await EventStore.open(directory, { durability })
  const startedAt = performance.now()
  let next = 0
  const client = async () => {
    while (next < records) {
      const number = next++
      if (number % TELL_EVERY === 0) tell({ progress: `${number / 1e6} of ${records / 1e6} M records` })
      // Formatting is part of what its programme measures.
      await store.append(STREAM, { type: 'Message', data: Buffer.from(String(number).padStart(RECORD_BYTES, '0'), 'latin1') })
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, client))
  const seconds = (performance.now() - startedAt) / 1000
  await store.close()
  return seconds
}

/** Every record is there, in order, and says its number; the engine has checked its bytes. */
async function read({ directory, records }: VoikSpec): Promise<number> {
  const store = await EventStore.open(directory)
  const startedAt = performance.now()
  let count = 0
  for await (const batch of store.readAll().batches()) {
    for (const { bytes } of batch) {
      if (bytes.length !== RECORD_BYTES || bytes[RECORD_BYTES - 1] !== 48 + (count % 10))
        throw new Error(`record ${count} is another`)
      count++
    }
  }
  const seconds = (performance.now() - startedAt) / 1000
  await store.close()
  if (count !== records) throw new Error(`${count} records were read, ${records} were written`)
  return seconds
}

/** By the advice that dd gives to the kernel. Returns whether that was possible. */
function dropFromPageCache(directory: string): boolean {
  try {
    for (const name of readdirSync(directory)) {
      execFileSync('dd', [`if=${join(directory, name)}`, 'iflag=nocache', 'count=0', 'status=none'])
    }
    return true
  } catch {
    return false
  }
}
