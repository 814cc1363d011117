import type { DiskContent } from '../../src/disk/memory-disk.ts'
import { CrashingDisk } from '../support/crashing-disk.ts'
import { fatesOf } from '../support/pending-changes.ts'
import type { Random } from '../support/random.ts'
import type { SimulatedDisk } from '../support/simulated-disk.ts'

/** What a crash now may leave: of what is not durable, anything. */
export function contentAfterCrash(disk: SimulatedDisk, random: Random): DiskContent {
  const log = disk.log.slice()
  const crashing = new CrashingDisk({ initial: disk.initial, log, sectorSize: disk.sectorSize })
  for (let index = 0; index < log.length; index++) crashing.advance(index)
  const keep = random.pick([0, 0.5, 0.9, 1])
  const harm = random.pick([0, 0, 0.3])
  for (const change of crashing.changes()) {
    const damages = fatesOf(change).slice(1)
    const isKept = random.chance(keep)
    const isHarmed = damages.length > 0 && random.chance(harm)
    change.fate = !isKept ? 'lost' : isHarmed ? random.pick(damages) : 'kept'
  }
  return crashing.afterCrash(String(random.next())).content
}

export function withIndexFiles(
  content: DiskContent,
  treatment: 'deleted' | 'half-deleted' | 'damaged',
  random: Random,
): DiskContent {
  const treated = new Map(content)
  for (const [path, bytes] of content) {
    if (!path.endsWith('.index') || (treatment !== 'deleted' && random.chance(0.5))) continue
    if (treatment === 'damaged') treated.set(path, damaged(bytes, random))
    else treated.delete(path)
  }
  return treated
}

function damaged(bytes: Uint8Array, random: Random): Uint8Array {
  if (random.chance(0.2)) return bytes.slice(0, random.int(bytes.length + 1))
  const copy = bytes.slice()
  for (let turn = 0; turn < 1 + random.int(3) && copy.length > 0; turn++) copy[random.int(copy.length)]! ^= 1 << random.int(8)
  return copy
}

/** One bit of one index file turns while the store is open. */
export async function rotOnePage(disk: SimulatedDisk, random: Random): Promise<void> {
  const paths = [...disk.snapshot().keys()].filter(path => path.endsWith('.index'))
  if (paths.length === 0) return
  // It may have been merged away meanwhile.
  const file = await disk.open(random.pick(paths), 'write').catch(() => null)
  if (file === null) return
  const at = random.int(await file.size())
  const byte = new Uint8Array(1)
  await file.read(byte, at)
  byte[0]! ^= 1 << random.int(8)
  await file.write(byte, at)
  await file.close()
}
