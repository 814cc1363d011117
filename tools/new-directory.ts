import { readdir } from 'node:fs/promises'
import { systemErrorCode } from '#engine/core/errors.ts'
import { systemFailure } from '#engine/core/system-failure.ts'
import { absoluteDirectory, leadsInto } from '#engine/disk/directory.ts'
import type { Disk } from '#engine/disk/disk.ts'
import { UsageError } from './arguments.ts'

/** Makes the directory for a copy of a store. @throws UsageError unless `target` is new or empty, and outside of the store. */
export async function makeTarget(disk: Disk, store: string, target: string): Promise<void> {
  try {
    await makeOutside(disk, store, target)
  } catch (error) {
    throw systemFailure(error, target, 'copied to')
  }
}

async function makeOutside(disk: Disk, store: string, target: string): Promise<void> {
  const names = await readdir(target).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return null
    if (systemErrorCode(error) === 'ENOTDIR') throw new UsageError(`${target} is a file`)
    throw error
  })
  if (names !== null && names.length > 0) throw new UsageError(`${target} is not empty; the copy needs a new directory`)
  await refuseInside(disk, store, target)
  // With the rights that a store's directory has.
  await disk.makeDirectory(absoluteDirectory(target))
}

/** @throws UsageError when `target`, which need not be there, is the store's directory or lies in it. */
export async function refuseInside(disk: Disk, store: string, target: string): Promise<void> {
  if (await leadsInto(disk, absoluteDirectory(store), absoluteDirectory(target)))
    throw new UsageError(`${target} lies in the store; the original must not be touched`)
}
