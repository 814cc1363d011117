import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ProfileLine } from './cpu-profile.ts'
import type { Figures, TaskMessage } from './figures.ts'
import type { Task } from './task.ts'

const TASK_PROGRAM = fileURLToPath(new URL('./task.ts', import.meta.url))

/** The second argument of a task that is to watch itself. */
const PROFILED = 'profiled'

const DEFAULT_TIMEOUT_SECONDS = 300

export interface TaskHandling {
  /** Beyond this the task is ended, and that is an error; 300. */
  readonly timeoutSeconds?: number
  readonly onProgress?: (text: string) => void
  /** Makes the task watch its main thread, which costs it something; it hears where the time went. */
  readonly onProfile?: (lines: readonly ProfileLine[]) => void
  /** Flags of Node before the program, such as a memory limit or a profile. */
  readonly nodeFlags?: readonly string[]
}

/** Performs a task in a fresh process. @throws Error saying which one failed and why */
export async function runTask(task: Task, handling: TaskHandling = {}): Promise<Figures> {
  const child = start(task, handling)
  try {
    return await figuresOf(child, handling)
  } catch (error) {
    throw new Error(`${task.kind}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Starts a task, waits until it says that it may be killed, and kills it with SIGKILL, and its servers with it. */
export async function runAndKill(task: Task, handling: TaskHandling = {}): Promise<void> {
  const child = start(task, handling)
  const ended = new Promise(resolve => child.once('close', resolve))
  const pids = await new Promise<readonly number[]>((resolve, reject) => {
    child.on('message', received => {
      const message = received as TaskMessage
      if ('ready' in message) resolve(message.ready)
      if ('error' in message) reject(new Error(`${task.kind}: ${message.error}`))
    })
    child.once('close', () => reject(new Error(`${task.kind} ended before it was killed`)))
  })
  for (const pid of [child.pid!, ...pids]) kill(pid)
  await ended
  for (const pid of pids) await gone(pid)
}

const LOOK_DELAY_MS = 10

/** A server's process stays until someone takes note of its end; the next one would believe that it still runs. */
async function gone(pid: number): Promise<void> {
  while (isThere(pid)) await new Promise(resolve => setTimeout(resolve, LOOK_DELAY_MS))
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It went with its parent.
  }
}

function start(task: Task, { timeoutSeconds = DEFAULT_TIMEOUT_SECONDS, nodeFlags = [], onProfile }: TaskHandling): ChildProcess {
  const child = fork(TASK_PROGRAM, [JSON.stringify(task), ...(onProfile === undefined ? [] : [PROFILED])], {
    // stdout is for the tables alone, so the child's goes to stderr.
    stdio: ['ignore', 2, 2, 'ipc'],
    execArgv: [...process.execArgv, ...nodeFlags],
  })
  // Asked first: it ends its servers with itself.
  const ask = setTimeout(() => child.kill('SIGTERM'), timeoutSeconds * 1000)
  const force = setTimeout(() => child.kill('SIGKILL'), (timeoutSeconds + 10) * 1000)
  child.once('close', () => {
    clearTimeout(ask)
    clearTimeout(force)
  })
  return child
}

function figuresOf(
  child: ChildProcess,
  { onProgress, onProfile, timeoutSeconds = DEFAULT_TIMEOUT_SECONDS }: TaskHandling,
): Promise<Figures> {
  return new Promise((resolve, reject) => {
    let last: TaskMessage | undefined
    child.on('message', received => {
      const message = received as TaskMessage
      if ('progress' in message) onProgress?.(message.progress)
      else last = message
    })
    child.on('error', reject)
    // Unlike 'exit', 'close' comes after the last message.
    child.on('close', (code, signal) => {
      if (last !== undefined && 'figures' in last) {
        if (last.profile !== undefined) onProfile?.(last.profile)
        resolve(last.figures)
      } else if (last !== undefined && 'error' in last) reject(new Error(last.error))
      else
        reject(
          new Error(signal ? `ended by ${signal} (it has ${timeoutSeconds} s)` : `ended with ${code} before it had a result`),
        )
    })
  })
}
