import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

const WORKER = fileURLToPath(new URL('worker.ts', import.meta.url))
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** What a module must export to be run by workers. Jobs and results cross a process border as structured clones. */
export type Work<Job, Result> = (job: Job, said: (line: string) => void) => Promise<Result>

export interface WorkerOptions<Result> {
  readonly count?: number
  readonly said?: (line: string) => void
  /** Called with each result as it comes. */
  readonly done?: (result: Result) => void
}

/** From a worker to the one who started it. */
export type WorkerMessage = { readonly said: string } | { readonly result: unknown } | { readonly error: string }

/**
 * Works through the jobs in processes of their own, as many at a time as there are processors, in their order. A generator is asked
 * for the next job when somebody is free to do it.
 * @param module URL of a module that exports `work`.
 * @returns the results, in the order of the jobs.
 */
export async function workThrough<Job, Result>(
  module: string,
  jobs: Iterable<Job>,
  { count = availableParallelism(), said = () => {}, done = () => {} }: WorkerOptions<Result> = {},
): Promise<Result[]> {
  const results: Result[] = []
  const waiting = jobs[Symbol.iterator]()
  let taken = 0
  const take = () => {
    const { done: isEnd, value } = waiting.next()
    return isEnd ? null : { index: taken++, value }
  }
  const worker = async () => {
    let job = take()
    if (job === null) return
    const child = start(module)
    try {
      for (; job !== null; job = take()) {
        const result = await ask<Result>(child, job.value, said)
        results[job.index] = result
        done(result)
      }
    } finally {
      await end(child)
    }
  }
  await Promise.all(Array.from({ length: count }, worker))
  return results
}

export interface AloneOptions {
  readonly execArgv?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly timeoutMs: number
}

/** One job in a process of its own, whatever becomes of that. */
export async function workAlone<Job, Result>(
  module: string,
  job: Job,
  { execArgv = [], env = {}, timeoutMs }: AloneOptions,
): Promise<{ readonly result: Result } | { readonly died: string }> {
  const child = start(module, execArgv, env)
  let timer: NodeJS.Timeout | undefined
  try {
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no end within ${timeoutMs / 1000} s`)), timeoutMs)
    })
    return { result: await Promise.race([ask<Result>(child, job, () => {}), late]) }
  } catch (error) {
    return { died: (error as Error).message.split('\n')[0] as string }
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
  }
}

function start(module: string, execArgv: readonly string[] = [], env: Readonly<Record<string, string>> = {}): ChildProcess {
  return fork(WORKER, [module], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    execArgv: [...execArgv, '--expose-gc', '--conditions=tailrace-source', '--import', 'tsx'],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
}

function ask<Result>(child: ChildProcess, job: unknown, said: (line: string) => void): Promise<Result> {
  return new Promise((resolve, reject) => {
    let errors = ''
    const onErrors = (text: Buffer) => {
      errors = (errors + text.toString()).slice(-4000)
    }
    const onExit = (code: number | null, signal: string | null) => {
      settle()
      reject(new Error(`a worker died with ${signal ?? `code ${code}`}: ${errors}`))
    }
    const onMessage = (message: WorkerMessage) => {
      if ('said' in message) return said(message.said)
      settle()
      if ('error' in message) reject(new Error(message.error))
      else resolve(message.result as Result)
    }
    const settle = () => {
      child.off('message', onMessage)
      child.off('exit', onExit)
      child.stderr?.off('data', onErrors)
    }
    child.on('message', onMessage)
    child.once('exit', onExit)
    child.stderr?.on('data', onErrors)
    child.send({ job })
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.disconnect()
  await ended
}
