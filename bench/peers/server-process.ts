import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A database server that lives as long as the process that measures it, at most. */
export class ServerProcess {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  #said = ''

  /** @param options `uid`: whose process it is, where it may not be root's. */
  constructor(command: string, args: readonly string[], options: { readonly uid?: number; readonly gid?: number } = {}) {
    this.#child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (text: Buffer) => {
        this.#said = (this.#said + text).slice(-2000)
      })
    }
    this.#ended = new Promise(resolve => this.#child.once('close', () => resolve()))
    this.pid = this.#child.pid ?? 0
    const kill = () => this.#child.kill('SIGKILL')
    process.once('exit', kill)
    void this.#ended.then(() => process.off('exit', kill))
  }

  /** Waits until `isReady` does not throw. @throws Error with what the server said last */
  async ready<Result>(isReady: () => Promise<Result>): Promise<Result> {
    for (let tries = 0; ; tries++) {
      try {
        return await isReady()
      } catch (error) {
        if (this.#child.exitCode !== null || tries > 2000) throw new Error(`${String(error)}\n${this.#said}`)
        await new Promise(resolve => setTimeout(resolve, 2))
      }
    }
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal)
    await this.#ended
  }
}

/** Null when the command can be run; else a line that says what is missing. */
export function absentCommand(command: string, debianPackage: string): string | null {
  return commandPath(command) === null ? `${command} is not installed: apt-get install ${debianPackage}` : null
}

/** Also looks where Debian keeps what is not for everyone's PATH. */
export function commandPath(command: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/lib/postgresql/15/bin', '/usr/sbin']
  return folders.map(folder => join(folder, command)).find(existsSync) ?? null
}

/** The user that a server runs as which refuses to run as root; none when this is not root's process. */
export function unprivileged(user: string, directory: string): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }))
  const owner = { uid: id('-u'), gid: id('-g') }
  chownSync(directory, owner.uid, owner.gid)
  return owner
}
