import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { StoreLockedError } from '../../src/core/errors.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { canRun, StoreProcess } from '../support/processes.ts'
import { rejectionOf } from '../support/promises.ts'
import { typesIn } from '../support/readings.ts'

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
/** Root may write everywhere: what modes forbid is shown as another user, which only root can become. */
const asNobody = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
const canBeNobody = isRoot && canRun('setpriv', [`--reuid=${NOBODY}`, 'true'], 'a directory without rights, as root')
const canMount = isRoot && canRun('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], 'a file system mounted read-only')

let base: string
let directory: string
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'tailrace-rights-'))
  directory = join(base, 'store')
})
afterEach(() => {
  chmodSync(base, 0o700)
  rmSync(base, { recursive: true, force: true })
})

const quoted = () => JSON.stringify(directory)
const event = (type: string) => ({ type, data: 1 })

describe('a second opener is refused', () => {
  test('in the same process; it may open once the first has closed', async () => {
    const first = await EventStore.open(directory)
    const refusal = await rejectionOf<StoreLockedError>(EventStore.open(directory))
    expect(refusal).toMatchObject({ code: 'STORE_LOCKED', pid: process.pid, retryable: true })
    await first.append('orders', event('a'))
    await first.close()
    const second = await EventStore.open(directory)
    expect(await typesIn(second)).toEqual(['a'])
    await second.close()
  })

  test('in another process, at once and with the pid of the first', async () => {
    const first = await EventStore.open(directory)
    const other = new StoreProcess(`
      const startedMs = performance.now()
      await EventStore.open(${quoted()}).catch(error => say(error.code, error.pid, performance.now() - startedMs < 500))`)
    expect(await other.all()).toEqual([`STORE_LOCKED ${process.pid} true`])
    await first.close()
  })

  test('while a process has it; kill -9 frees it, ten times', async () => {
    for (let round = 0; round < 10; round++) {
      const holder = new StoreProcess(`
        const store = await EventStore.open(${quoted()})
        await store.append('orders', { type: '${round}', data: 1 })
        say('holds'); setInterval(() => {}, 1000)`)
      await holder.said('holds')
      if (round === 0) expect(await rejectionOf(EventStore.open(directory))).toMatchObject({ pid: holder.child.pid })
      await holder.kill()
      const store = await EventStore.open(directory)
      expect((await typesIn(store)).length).toBe(round + 1)
      await store.close()
    }
  })

  test('a process that the holder started does not keep the lock', async () => {
    const holder = new StoreProcess(`
      import { spawn } from 'node:child_process'
      await EventStore.open(${quoted()})
      const child = spawn('sleep', ['3'], { detached: true, stdio: 'ignore' })
      child.unref(); say('holds'); setInterval(() => {}, 1000)`)
    await holder.said('holds')
    await holder.kill()
    await (await EventStore.open(directory)).close()
  })

  test('readers are not: they take no lock, and leave no file', async () => {
    const first = await EventStore.open(directory)
    await first.append('orders', event('a'))
    const names = readdirSync(directory)
    const reader = await EventStore.open(directory, { readOnly: true })
    // It is told of the flush some milliseconds behind it.
    await expect.poll(() => typesIn(reader)).toEqual(['a'])
    await reader.close()
    expect(readdirSync(directory)).toEqual(names)
    await first.close()
  })
})

describe('threads of one process', () => {
  const opening = (path: string) => `
    import('tailrace').then(async ({ EventStore }) => {
      const { parentPort } = require('node:worker_threads')
      const store = await EventStore.open(${JSON.stringify(path)}).catch(error => void parentPort.postMessage(error.code))
      await store?.append('orders', { type: 'a', data: 1 })
      await store?.close()
      parentPort.postMessage('done')
    })`
  const running = (path: string) => `
    new Promise((resolve, reject) => {
      const worker = new Worker(${JSON.stringify(opening(path))}, { eval: true, execArgv: [] })
      worker.on('message', message => say(message)).on('error', reject).on('exit', resolve)
    })`

  test('open a store each, at the same time and one after the other, beside one of the main thread', async () => {
    const others = new StoreProcess(`
      import { Worker } from 'node:worker_threads'
      const store = await EventStore.open(${quoted()})
      await Promise.all([${running(join(base, 'one'))}, ${running(join(base, 'two'))}])
      await ${running(join(base, 'one'))}
      await ${running(join(base, 'three'))}
      await store.append('orders', { type: 'a', data: 1 })
      await store.close()
      say('end')`)
    expect(await others.all()).toEqual(['done', 'done', 'done', 'done', 'end'])
    expect(await others.ended).toBe(0)
  })

  test('refuse each other a store that one of them has', async () => {
    const others = new StoreProcess(`
      import { Worker } from 'node:worker_threads'
      const store = await EventStore.open(${quoted()})
      await ${running(directory)}
      await store.close()
      await ${running(directory)}`)
    expect(await others.all()).toEqual(['STORE_LOCKED', 'done', 'done'])
  })
})

describe('a writer that is gone without a close', () => {
  test('a worker that is terminated: the lock is free, everything acked is there', async () => {
    const worker = new Worker(
      `const { parentPort } = require('node:worker_threads')
       import('tailrace').then(async ({ EventStore }) => {
         const store = await EventStore.open(${quoted()})
         for (let index = 0; ; index++) {
           await store.append('orders', { type: String(index), data: 1 })
           parentPort.postMessage(index)
         }
       })`,
      { eval: true, execArgv: [] },
    )
    let acked = -1
    await new Promise<void>((resolve, reject) => {
      worker.once('error', reject)
      worker.on('message', (index: number) => {
        acked = index
        if (index === 50) resolve()
      })
    })
    await worker.terminate()
    const store = await EventStore.open(directory)
    expect((await typesIn(store)).length).toBeGreaterThan(acked)
    await store.close()
  })

  test.each([
    ['an exception that nobody catches', `setTimeout(() => { throw new Error('bug') })`],
    ['a rejection that nobody handles', `Promise.reject(new Error('bug'))`],
    ['process.exit', 'process.exit(1)'],
    ['SIGTERM', `process.kill(process.pid, 'SIGTERM')`],
  ])('%s amid appends: everything acked is there', async (_, end) => {
    const writer = new StoreProcess(`
      const store = await EventStore.open(${quoted()})
      for (let index = 0; ; index++) {
        await store.append('orders', { type: String(index), data: 1 })
        say(index)
        if (index === 20) { store.append('orders', { type: 'late', data: 1 }); ${end} }
      }`)
    await writer.ended
    const store = await EventStore.open(directory)
    const types = await typesIn(store)
    expect(types.slice(0, 21)).toEqual(Array.from({ length: 21 }, (_, index) => String(index)))
    expect(types.length).toBeGreaterThanOrEqual(writer.lines.length)
    await store.append('orders', event('after'))
    await store.close()
  })
})

describe('rights', () => {
  test('what is made can be read by its owner only, whatever the umask', async () => {
    const writer = new StoreProcess(`
      process.umask(0)
      const store = await EventStore.open(${quoted()}, { chunkSizeBytes: 4096 })
      for (let index = 0; index < 10; index++) await store.append('orders', { type: 'a', data: 'x'.repeat(1000) })
      await store.close()`)
    await writer.all()
    expect(statSync(directory).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777, name).toBe(0o600)
  })

  test.skipIf(!canBeNobody && isRoot)('a directory that can not be written: refused in words, and open for reading', async () => {
    const store = await EventStore.open(directory)
    await store.append('orders', event('a'))
    await store.close()
    chmodSync(base, 0o755)
    chmodSync(directory, 0o555)
    for (const name of readdirSync(directory)) chmodSync(join(directory, name), 0o444)
    const script = `
      await EventStore.open(${quoted()}).catch(error => say(error.code, error.message))
      const store = await EventStore.open(${quoted()}, { readOnly: true })
      for await (const event of store.readAll()) say(event.type)
      await store.append('orders', { type: 'b', data: 1 }).catch(error => say(error.code))
      await store.close()`
    const said = await new StoreProcess(script, isRoot ? asNobody : []).all()
    expect(said[0]).toMatch(/^READ_ONLY_STORE /)
    expect(said[0]).toContain(directory)
    expect(said.slice(1)).toEqual(['a', 'READ_ONLY_STORE'])
    chmodSync(directory, 0o700)
  })

  test.skipIf(!canBeNobody && isRoot)('a directory that can not be made', async () => {
    mkdirSync(directory)
    chmodSync(base, 0o755)
    chmodSync(directory, 0o555)
    const inside = JSON.stringify(join(directory, 'inside'))
    const script = `await EventStore.open(${inside}).catch(error => say(error.code))`
    expect(await new StoreProcess(script, isRoot ? asNobody : []).all()).toEqual(['READ_ONLY_STORE'])
    expect(existsSync(join(directory, 'inside'))).toBe(false)
    chmodSync(directory, 0o700)
  })

  test.skipIf(!canBeNobody)("a store that is another user's, in a directory that may be written", async () => {
    const store = await EventStore.open(directory)
    await store.append('orders', event('a'))
    await store.close()
    chmodSync(base, 0o755)
    chownSync(directory, NOBODY, NOBODY)
    const script = `await EventStore.open(${quoted()}).catch(error => say(error.code))`
    expect(await new StoreProcess(script, asNobody).all()).toEqual(['READ_ONLY_STORE'])
  })

  test.skipIf(!canMount)('a file system that is mounted read-only: refused in words, and open for reading', async () => {
    mkdirSync(directory)
    const script = `
      import { execFileSync } from 'node:child_process'
      const path = ${quoted()}
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path])
      const store = await EventStore.open(path)
      await store.append('orders', { type: 'a', data: 1 })
      await store.close()
      execFileSync('mount', ['-o', 'remount,ro', path])
      await EventStore.open(path).catch(error => say(error.code))
      const reader = await EventStore.open(path, { readOnly: true })
      for await (const event of reader.readAll()) say(event.type)
      await reader.close()`
    expect(await new StoreProcess(script, ['unshare', '-m']).all()).toEqual(['READ_ONLY_STORE', 'a'])
  })

  test('the lock says who has it, in one line', async () => {
    const store = await EventStore.open(directory)
    expect(readFileSync(join(directory, 'lock'), 'utf8')).toBe(`${String(process.pid).padEnd(10)}\n`)
    await store.close()
    expect(existsSync(join(directory, 'lock'))).toBe(true)
  })
})
