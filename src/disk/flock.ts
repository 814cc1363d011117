import { createRequire } from 'node:module'
import { isMainThread } from 'node:worker_threads'
import { LockUnavailableError, systemErrorCode } from '../core/errors.ts'

type FlockSync = (descriptor: number, flags: 'exnb') => void

/** In a bundle that is a CommonJS file, `import.meta` is empty. What runs as a text has a global `__filename` that is no file. */
const require = createRequire(import.meta.url ?? __filename)

/** By which the system says that somebody else has it. */
const TAKEN_CODES: readonly (string | null)[] = ['EAGAIN', 'EWOULDBLOCK']

/** What a child says by its exit status; behind any other than 0, its words tell what went wrong. */
const TAKEN = 3
const NOT_LOADED = 4

const CHILD = `
const end = (status, error) => { console.error(error.message); process.exit(status) }
let flockSync
try { ({ flockSync } = require(process.argv[1])) } catch (error) { end(${NOT_LOADED}, error) }
try { flockSync(3, 'exnb') } catch (error) { end(${JSON.stringify(TAKEN_CODES)}.includes(error.code) ? ${TAKEN} : 1, error) }
`

/** Loaded with the engine, so that no open waits for it; the reason when the optional package is not there. */
const NATIVE = isMainThread ? loadNative() : null

function loadNative(): FlockSync | { readonly cause: unknown } {
  try {
    return (require('fs-ext') as { flockSync: FlockSync }).flockSync
  } catch (cause) {
    return { cause }
  }
}

/** Before anything is made. @throws LockUnavailableError */
export function checkFlock(): void {
  if (NATIVE !== null && typeof NATIVE !== 'function') throw unavailable(NATIVE.cause)
}

/**
 * Locks the open file for its holder alone, without waiting.
 * @returns false when somebody else holds it.
 * @throws LockUnavailableError, the system's error
 */
export async function flock(descriptor: number): Promise<boolean> {
  if (typeof NATIVE !== 'function') return flockByChild(descriptor)
  try {
    NATIVE(descriptor, 'exnb')
    return true
  } catch (error) {
    if (TAKEN_CODES.includes(systemErrorCode(error))) return false
    throw error
  }
}

/**
 * In a worker thread: fs-ext keeps handles of the thread that loads it in variables of the process, and takes the process down when a
 * second one does. A lock belongs to the open file, whoever asked for it: a child that inherits it can, and need not live on.
 */
async function flockByChild(descriptor: number): Promise<boolean> {
  let path: string
  try {
    path = require.resolve('fs-ext')
  } catch (cause) {
    throw unavailable(cause)
  }
  // Whoever opens no store in a thread does not load it.
  const { spawn } = await import('node:child_process')
  const child = spawn(process.execPath, ['-e', CHILD, path], {
    env: { ...process.env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'ignore', 'pipe', descriptor],
  })
  let reason = ''
  // A child that could not be made for want of descriptors has none, and its error is on its way.
  child.stderr?.on('data', (text: Buffer) => {
    reason += text.toString()
  })
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  if (status === 0) return true
  if (status === TAKEN) return false
  const error = new Error(`the process that was to lock the directory ended with ${status}: ${reason.trim()}`)
  throw status === NOT_LOADED ? unavailable(error) : error
}

function unavailable(cause: unknown): LockUnavailableError {
  const reason = String(cause).split('\nRequire stack:', 1)[0]!.replaceAll('\n', ' ')
  return new LockUnavailableError(
    `cannot lock the directory: the optional package fs-ext does not load; run \`npm install fs-ext\`, or, where it is installed, \`npm rebuild fs-ext\`, also after a change of Node (where npm asks for leave, \`npm install-scripts approve fs-ext\` first), or open with { readOnly: true }: ${reason}`,
    { cause },
  )
}
