import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process'

const PROJECT = new URL('../..', import.meta.url).pathname

/** Another process with the built package. It is told of what it does by lines on its output, and ends when its script does. */
export class StoreProcess {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<number | null>
  output = ''
  complaints = ''
  #onOutput: () => void = () => {}

  /**
   * @param script a module's text; `EventStore` is there, and `say(...words)`.
   * @param wrapper a command that runs it: ['setpriv', '--reuid=65534', ...].
   */
  constructor(script: string, wrapper: readonly string[] = []) {
    const prelude = `import { EventStore } from 'tailrace'
      const say = (...words) => process.stdout.write(words.join(' ') + '\\n');`
    const [command, ...words] = [...wrapper, process.execPath, '--input-type=module', '-e', prelude + script]
    this.child = spawn(command!, words, { cwd: PROJECT })
    this.child.stdout.on('data', (data: Buffer) => {
      this.output += data
      this.#onOutput()
    })
    this.child.stderr.on('data', (data: Buffer) => {
      this.complaints += data
    })
    this.ended = new Promise(resolve => {
      this.child.once('close', code => {
        resolve(code)
        this.#onOutput()
      })
    })
  }

  get lines(): string[] {
    return this.output.split('\n').slice(0, -1)
  }

  /** Waits until it has said a line that begins with this. */
  async said(beginning: string): Promise<string> {
    for (;;) {
      const line = this.lines.find(said => said.startsWith(beginning))
      if (line !== undefined) return line
      if (this.child.exitCode !== null)
        throw new Error(`it ended without saying '${beginning}': ${this.output}${this.complaints}`)
      await new Promise<void>(resolve => {
        this.#onOutput = resolve
      })
    }
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
  }

  /** Everything it said, once it has ended. */
  async all(): Promise<string[]> {
    const code = await this.ended
    if (code !== 0) throw new Error(`exit code ${code}: ${this.output}${this.complaints}`)
    return this.lines
  }
}

/** Whether a command works here, for rigs that need rights or tools: `skipIf` its contrary, and say so. */
export function canRun(command: string, words: readonly string[], rig: string): boolean {
  try {
    execFileSync(command, words, { stdio: 'ignore' })
    return true
  } catch {
    console.warn(`SKIPPED: ${rig}: \`${command} ${words.join(' ')}\` does not work here`)
    return false
  }
}
