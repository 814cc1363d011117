import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { holderOf } from '../../tools/survey/store-holder.ts'
import { canRun, StoreProcess } from '../support/processes.ts'
import { storeWith, temporaryDirectory } from './scenes.ts'

const BIN = fileURLToPath(new URL('../../dist/tools/tailrace.js', import.meta.url))
const isRoot = process.getuid?.() === 0
const canMount = isRoot && canRun('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], 'two file systems that are alike')
const canHide = isRoot && canRun('unshare', ['-pf', '--mount-proc', 'true'], 'a container that shows no locks')

const IN_THREAD = `
  import { parentPort, workerData } from 'node:worker_threads'
  import { EventStore } from 'tailrace'
  await EventStore.open(workerData)
  parentPort.postMessage('open')
  setInterval(() => {}, 1000)`

/** Opens a store in a worker thread, which a child locks for it, and says what `inspect` in another process says of the holder. */
const inWorker = (directory: string) => `
  import { execFileSync } from 'node:child_process'
  import { Worker } from 'node:worker_threads'
  const thread = new Worker(${JSON.stringify(IN_THREAD)}, { eval: true, workerData: '${directory}' })
  await new Promise((resolve, reject) => thread.on('message', resolve).on('error', reject))
  const [store] = execFileSync(process.execPath, ['${BIN}', 'inspect', '--json', '${directory}']).toString().split('\\n')
  say(JSON.parse(store).holderPid === process.pid ? 'told' : store)
  process.exit(0)`

describe('the holder of a store', () => {
  test('is the process that has it open, and nobody when that was killed', async () => {
    const directory = await storeWith(3)
    expect(await holderOf(directory)).toBeNull()
    const writer = new StoreProcess(`await EventStore.open('${directory}'); say('open'); setInterval(() => {}, 1000)`)
    await writer.said('open')
    expect(await holderOf(directory)).toBe(writer.child.pid)
    await writer.kill()
    expect(await holderOf(directory)).toBeNull()
  })

  test('is nobody when the lock file is a pipe, which is not waited for', async () => {
    const directory = temporaryDirectory()
    execFileSync('mkfifo', [join(directory, 'lock')])
    expect(await holderOf(directory)).toBeNull()
  })

  test('is the process of the worker thread that has it open', async () => {
    expect(await new StoreProcess(inWorker(await storeWith(3))).all()).toEqual(['told'])
  })

  test.skipIf(!canHide)('is told where the system hides the lock, because the child that took it is gone', async () => {
    const wrapper = ['unshare', '-pf', '--mount-proc']
    expect(await new StoreProcess(inWorker(await storeWith(3)), wrapper).all()).toEqual(['told'])
  })

  test.skipIf(!canMount)('is not that of a store on another file system whose lock file has the same inode', async () => {
    const [one, other] = ['one', 'other'].map(name => join(temporaryDirectory(), name)) as [string, string]
    for (const path of [one, other]) mkdirSync(path)
    const script = `
      import { execFileSync } from 'node:child_process'
      import { statSync } from 'node:fs'
      for (const path of ['${one}', '${other}']) {
        execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path])
        await (await EventStore.open(path + '/store')).close()
      }
      const [inode, same] = ['${one}', '${other}'].map(path => statSync(path + '/store/lock').ino)
      const store = await EventStore.open('${one}/store')
      const holders = ['${one}', '${other}'].map(path => {
        const [line] = execFileSync(process.execPath, ['${BIN}', 'inspect', '--json', path + '/store']).toString().split('\\n')
        return JSON.parse(line).holderPid
      })
      await store.close()
      say(inode === same, holders[0] === process.pid, String(holders[1]))`
    expect(await new StoreProcess(script, ['unshare', '-m']).all()).toEqual(['true true null'])
  })
})
