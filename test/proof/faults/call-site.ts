import type { DiskOperation } from '../../support/faults.ts'

export const ERRORS = ['EIO', 'ENOSPC', 'EDQUOT', 'EMFILE', 'EROFS'] as const
export type FaultError = (typeof ERRORS)[number]

/** A place at which the engine calls the disk. */
export interface CallSite {
  readonly phase: string
  readonly op: DiskOperation
  /** Part of the file's name. */
  readonly file: string
}

export interface Cell extends CallSite {
  readonly error: FaultError
  readonly times: 'once' | 'forever'
}
