import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { MUTANTS } from '../../mutants/mutants.ts'
import type { WorkerMessage } from '../workers.ts'
import type { ProbeJob } from './mutants-work.ts'

const WORKER = fileURLToPath(new URL('../worker.ts', import.meta.url))
const WORK = new URL('mutants-work.ts', import.meta.url).href
const APPLY = fileURLToPath(new URL('../../mutants/apply.mjs', import.meta.url))
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/**
 * A process that shows mutants to probes, one after the other, each with an engine of its own. What a mutant does to it, be it to
 * hang or to die, ends with it: the next job gets a new one.
 */
export class ProbeProcess {
  #child: ChildProcess | null = null

  /** @returns what the probe found; an end of the process, or no end of the probe, is a finding, too. */
  async find(job: ProbeJob, timeoutMs: number): Promise<string | null> {
    const isFirst = this.#child === null
    this.#child ??= start()
    const answer = await answerOf(this.#child, job, timeoutMs)
    if ('result' in answer) return answer.result
    if (answer.died.includes('does not match once')) throw new Error(`no mutant any more: ${answer.died}`)
    this.end()
    // It may have been a mutant before this one.
    return isFirst ? answer.died : this.find(job, timeoutMs)
  }

  end(): void {
    this.#child?.kill('SIGKILL')
    this.#child = null
  }
}

function start(): ChildProcess {
  return fork(WORKER, [WORK], {
    cwd: ROOT,
    env: { ...process.env, TAILRACE_MUTANTS: JSON.stringify(MUTANTS.map(({ edits }) => edits)) },
    execArgv: ['--import', APPLY, '--expose-gc', '--conditions=tailrace-source', '--import', 'tsx'],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
}

type Answer = { readonly result: string | null } | { readonly died: string }

function answerOf(child: ChildProcess, job: ProbeJob, timeoutMs: number): Promise<Answer> {
  return new Promise(resolve => {
    let errors = ''
    const settle = (answer: Answer) => {
      clearTimeout(timer)
      child.removeAllListeners()
      child.stderr?.removeAllListeners('data')
      void resolve(answer)
    }
    const timer = setTimeout(() => settle({ died: `no end within ${timeoutMs / 1000} s` }), timeoutMs)
    child.stderr?.on('data', (text: Buffer) => {
      errors = (errors + text.toString()).slice(-4000)
    })
    child.once('exit', (code, signal) =>
      settle({ died: `the process died with ${signal ?? `code ${code}`}: ${lastError(errors)}` }),
    )
    child.on('message', (message: WorkerMessage) => {
      if ('result' in message) settle({ result: message.result as string | null })
      else if ('error' in message) settle({ died: message.error.split('\n')[0] as string })
    })
    child.send({ job })
  })
}

/** What Node.js says of an error that nobody caught: behind the source line that it shows first. */
function lastError(text: string): string {
  return text.split('\n').find(line => /^\w*Error/.test(line)) ?? text
}
