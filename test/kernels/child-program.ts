import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { programPath } from './compiled.ts'

/** Called with a line, or with null when there will be no more. */
type OnLine = (line: string | null) => void

/**
 * A process that runs a program of this folder and tells of itself by lines. It reads its standard input and ends when that ends
 * (see `endWithParent`), so that none outlives this process, however it dies.
 */
export class ChildProgram {
  /** Everything it said so far, line by line; a line that was cut off by its death is not there. */
  readonly lines: string[] = []
  readonly ended: Promise<void>
  complaints = ''
  readonly #child: ChildProcessWithoutNullStreams
  readonly #listeners = new Set<OnLine>()
  #rest = ''
  #hasEnded = false

  /** @param wrapper a command that runs it: ['strace', '-f', ...]. */
  constructor(program: string, words: readonly string[], wrapper: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
    const [command, ...args] = [...wrapper, process.execPath, programPath(program), ...words]
    this.#child = spawn(command!, args, { env: { ...process.env, UV_USE_IO_URING: '0', ...env } })
    this.#child.stdin.on('error', () => {})
    this.#child.stdout.on('data', (data: Buffer) => this.#take(String(data)))
    this.#child.stderr.on('data', (data: Buffer) => {
      this.complaints += data
    })
    this.ended = new Promise(resolve => {
      const end = () => {
        this.#hasEnded = true
        for (const listener of [...this.#listeners]) listener(null)
        resolve()
      }
      this.#child.once('error', error => {
        this.complaints += String(error)
        end()
      })
      this.#child.once('close', end)
    })
  }

  get exitCode(): number | null {
    return this.#child.exitCode
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) {
      this.lines.push(line)
      for (const listener of [...this.#listeners]) listener(line)
    }
  }

  listen(listener: OnLine): void {
    this.#listeners.add(listener)
  }

  /** Waits for a line that begins with this, said already or not. @returns null when it ended without saying so, or in time. */
  said(beginning: string, timeoutMs = 60_000): Promise<string | null> {
    const said = this.lines.find(line => line.startsWith(beginning))
    if (said !== undefined || this.#hasEnded) return Promise.resolve(said ?? null)
    return new Promise(resolve => {
      const settle = (line: string | null) => {
        clearTimeout(timer)
        this.#listeners.delete(listener)
        resolve(line)
      }
      const timer = setTimeout(() => settle(null), timeoutMs)
      const listener: OnLine = line => {
        if (line === null || line.startsWith(beginning)) settle(line)
      }
      this.#listeners.add(listener)
    })
  }

  send(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  /** Resolves when it is dead and all that it said has been read. */
  async kill(): Promise<void> {
    // What a wrapper ran would live on.
    this.#child.stdin.destroy()
    this.#child.kill('SIGKILL')
    await this.ended
  }
}

/** To be called first in every program: it ends with its parent, and what the parent says comes here line by line. */
export function endWithParent(onLine: (line: string) => void = () => {}): void {
  let rest = ''
  process.stdin.on('data', (data: Buffer) => {
    const lines = (rest + data).split('\n')
    rest = lines.pop()!
    for (const line of lines) onLine(line)
  })
  const end = () => process.kill(process.pid, 'SIGKILL')
  process.stdin.once('end', end)
  process.stdin.once('error', end)
  process.stdout.once('error', end)
}

export function say(...words: readonly (string | number)[]): void {
  process.stdout.write(`${words.join(' ')}\n`)
}
