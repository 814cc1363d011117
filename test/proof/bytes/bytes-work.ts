import { type CaseCounts, type CaseJob, runCases } from './damage-cases.ts'
import { type FuzzJob, runFuzz } from './fuzz-cases.ts'

export type BytesJob = CaseJob | FuzzJob

const FUZZ: ReadonlySet<string> = new Set<FuzzJob['kind']>(['record decodes', 'chunk opens', 'index opens', 'import lines'])

/** Every error that is expected here would be a stack that nobody reads. */
Error.stackTraceLimit = 3

export function work(job: BytesJob): Promise<CaseCounts> {
  return isFuzz(job) ? runFuzz(job) : runCases(job)
}

function isFuzz(job: BytesJob): job is FuzzJob {
  return FUZZ.has(job.kind)
}
