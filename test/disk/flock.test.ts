import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bundle } from '../support/bundle.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Opens a store, in the main thread and then in one beside it, and is refused the one that is open already. */
const PROGRAM = `
import { Worker, isMainThread } from 'node:worker_threads'
import { EventStore } from 'tailrace'
const [, , directory, program] = process.argv
const run = async () => {
  const store = await EventStore.open(directory + (isMainThread ? '/a' : '/b'))
  const locked = await EventStore.open(directory + '/a').catch(error => error.code)
  console.log(isMainThread, (await store.append('s', { type: 'T', data: 1 })).lastRevision, locked)
  if (isMainThread) await new Promise(resolve => new Worker(program, { argv: [directory] }).on('exit', resolve))
  await store.close()
}
run()
`

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-bundle-'))
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
})
afterEach(() => {
  rmSync(directory, { recursive: true, force: true })
})

test.each([
  ['esm', 'store.mjs'],
  ['cjs', 'store.cjs'],
] as const)('an engine that is bundled into one file (%s) finds the package that locks, in a thread, too', async (format, name) => {
  const program = join(directory, name)
  await bundle(PROGRAM, format, program)
  const { stdout } = await promisify(execFile)(process.execPath, [program, directory, program])
  expect(stdout.split('\n')).toEqual(['true 0 STORE_LOCKED', 'false 0 STORE_LOCKED', ''])
})

/** Refused in the main thread and then in one beside it, and says why. */
const REFUSED = `
import { Worker, isMainThread } from 'node:worker_threads'
import { EventStore } from 'tailrace'
EventStore.open(process.argv[2]).catch(({ code, message }) => {
  console.log(JSON.stringify([code, message]))
  if (isMainThread) new Worker(process.argv[1], { argv: [process.argv[2]] })
})
`

test.each([
  ['is not installed', null, "Cannot find module 'fs-ext'"],
  ['is not built', "require('./build/fs_ext.node')", "Cannot find module './build/fs_ext.node'"],
  [
    'was built for another version of Node',
    "throw new Error('The module\\nwas compiled against a different Node.js version')",
    'The module was compiled against a different Node.js version',
  ],
])('where the package that locks %s, an open says so in one line, and how it is mended', async (_, source, reason) => {
  const packages = join(directory, 'node_modules')
  rmSync(packages)
  if (source !== null) {
    mkdirSync(join(packages, 'fs-ext'), { recursive: true })
    writeFileSync(join(packages, 'fs-ext/index.js'), source)
  }
  const program = join(directory, 'refused.mjs')
  await bundle(REFUSED, 'esm', program)
  const { stdout } = await promisify(execFile)(process.execPath, [program, join(directory, 'store')])
  const refusals = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as [string, string])
  expect(refusals).toHaveLength(2)
  for (const [code, message] of refusals) {
    expect(code).toBe('LOCK_UNAVAILABLE')
    expect(message).toMatch(/`npm rebuild fs-ext`.*: Error: [^\n]*$/)
    expect(message.endsWith(reason)).toBe(true)
  }
})

/** Opens a store in a thread when there is a descriptor for the lock file, and none for a child. */
const NEEDY = `
import { openSync, closeSync } from 'node:fs'
import { Worker, isMainThread } from 'node:worker_threads'
import { EventStore } from 'tailrace'
const [, program, directory] = process.argv
const run = async () => {
  const taken = []
  await EventStore.open(directory).then(store => store.close())
  try {
    for (;;) taken.push(openSync('/dev/null'))
  } catch {
    closeSync(taken.pop())
  }
  const { code, message } = await EventStore.open(directory).catch(error => error)
  for (const descriptor of taken) closeSync(descriptor)
  const store = await EventStore.open(directory)
  await store.close()
  console.log(code, message.split(': ').slice(1).join(': '), 'and then it opens')
}
if (isMainThread) new Worker(program, { argv: [directory] })
else run()
`

test('an open in a thread that has no descriptors left for the child that locks is refused, and the process goes on', async () => {
  const program = join(directory, 'needy.mjs')
  await bundle(NEEDY, 'esm', program)
  const few = ['-c', 'ulimit -n 256 && exec "$0" "$@"', process.execPath, program, join(directory, 'store')]
  const { stdout } = await promisify(execFile)('sh', few)
  expect(stdout).toBe(`READ_FAILED Error: spawn ${process.execPath} EMFILE and then it opens\n`)
})
