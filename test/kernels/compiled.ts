import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const HERE = new URL('.', import.meta.url)

let programs: string | null = null

/**
 * The path of a program of this folder, as JavaScript. They are compiled once in a process, with the engine: a rig starts them by
 * the thousand, and a process that has to compile itself starts in two seconds instead of a tenth of one.
 */
export function programPath(name: string): string {
  if (import.meta.url.endsWith('.js')) return fileURLToPath(new URL(`${name}.js`, HERE))
  programs ??= compile()
  return join(programs, 'test', 'kernels', `${name}.js`)
}

function compile(): string {
  const project = fileURLToPath(new URL('../..', HERE))
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-kernels-'))
  removeAtTheEnd(directory)
  const compiler = join(project, 'node_modules', '.bin', 'tsc')
  execFileSync(compiler, ['-p', fileURLToPath(HERE), '--outDir', directory], { stdio: ['ignore', 'inherit', 'inherit'] })
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }\n')
  symlinkSync(join(project, 'node_modules'), join(directory, 'node_modules'))
  return directory
}

function removeAtTheEnd(directory: string): void {
  const remove = () => rmSync(directory, { recursive: true, force: true })
  process.once('exit', remove)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      remove()
      // Whoever else listens decides how the process ends.
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
    })
  }
}
