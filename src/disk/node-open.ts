import { systemErrorCode } from '../core/errors.ts'
import { openOnce } from './node-calls.ts'
import { OpenFiles } from './open-files.ts'

/** Descriptors of files that are only read, and that nobody reads just now. */
const RESTING_LIMIT = 512

/** Of all stores in the process. */
export const openFiles = new OpenFiles(RESTING_LIMIT)

/** See `openOnce`. */
export function open(path: string, flags: number): Promise<number> {
  return withDescriptor(() => openOnce(path, flags))
}

/** For a call that takes a descriptor. Where there is none left, files that nobody reads just now give up theirs. */
export async function withDescriptor<Taken>(take: () => Promise<Taken>): Promise<Taken> {
  for (;;) {
    try {
      return await take()
    } catch (error) {
      if (!isOutOfDescriptors(error) || !(await openFiles.makeRoom())) throw error
    }
  }
}

/** The process, or the system. */
function isOutOfDescriptors(error: unknown): boolean {
  const code = systemErrorCode(error)
  return code === 'EMFILE' || code === 'ENFILE'
}
