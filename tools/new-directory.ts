import { mkdir, readdir, realpath } from 'node:fs/promises'
import { dirname, relative, resolve } from 'node:path'
import { systemErrorCode } from '#engine/core/errors.ts'
import { UsageError } from './arguments.ts'

/** Makes the directory for a copy of a store. @throws UsageError unless `target` is new or empty, and outside of the store. */
export async function makeTarget(store: string, target: string): Promise<void> {
  const names = await readdir(target).catch((error: unknown) => {
    if (systemErrorCode(error) === 'ENOENT') return null
    if (systemErrorCode(error) === 'ENOTDIR') throw new UsageError(`${target} is a file`)
    throw error
  })
  if (names !== null && names.length > 0) throw new UsageError(`${target} is not empty; the copy needs a new directory`)
  const parent = await realpath(names === null ? await existingParent(target) : target)
  const path = relative(await realpath(store), parent)
  if (!path.startsWith('..')) throw new UsageError(`${target} lies in the store; the original must not be touched`)
  await mkdir(target, { recursive: true })
}

async function existingParent(path: string): Promise<string> {
  const parent = dirname(resolve(path))
  return readdir(parent).then(
    () => parent,
    () => existingParent(parent),
  )
}
