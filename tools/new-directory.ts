import { readdir, realpath } from 'node:fs/promises'
import { dirname, relative, resolve } from 'node:path'
import { systemErrorCode } from '#engine/core/errors.ts'
import { absoluteDirectory } from '#engine/disk/directory.ts'
import type { Disk } from '#engine/disk/disk.ts'
import { UsageError } from './arguments.ts'

/** Makes the directory for a copy of a store. @throws UsageError unless `target` is new or empty, and outside of the store. */
export async function makeTarget(disk: Disk, store: string, target: string): Promise<void> {
  const names = await readdir(target).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return null
    if (systemErrorCode(error) === 'ENOTDIR') throw new UsageError(`${target} is a file`)
    throw error
  })
  if (names !== null && names.length > 0) throw new UsageError(`${target} is not empty; the copy needs a new directory`)
  const parent = await realpath(names === null ? await existingParent(target) : target)
  const path = relative(await realpath(store), parent)
  if (!path.startsWith('..')) throw new UsageError(`${target} lies in the store; the original must not be touched`)
  // With the rights that a store's directory has.
  await disk.makeDirectory(absoluteDirectory(target))
}

async function existingParent(path: string): Promise<string> {
  const parent = dirname(resolve(path))
  return readdir(parent).then(
    () => parent,
    () => existingParent(parent),
  )
}
