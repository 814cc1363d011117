import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canRun, StoreProcess } from '../support/processes.ts'

/** The kernel's own full disks, short writes and missing descriptors, where this machine lets us make them. */

const isRoot = process.getuid?.() === 0
const canMount = isRoot && canRun('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], 'a disk that is really full')
const canLimit = canRun('prlimit', ['--fsize=1000000', 'true'], 'a file that may not grow')

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tailrace-full-'))
})
afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

/** Appends until there is no room, makes room, goes on; says what was acked, and what a reopen then finds. */
const fillAndGoOn = (path: string, options: string, makeRoom: string) => `
  import fs from 'node:fs'
  import { execFileSync } from 'node:child_process'
  const path = ${JSON.stringify(path)}
  const options = ${options}
  ${makeRoom}
  const acked = []
  let refused = 0
  const odd = new Set()
  let store = await EventStore.open(path, options)
  const one = async (type, size) => {
    try {
      await store.append('orders', { type, data: new Uint8Array(size).fill(7) })
      acked.push(type)
      return true
    } catch (error) {
      refused++
      if (error.code !== 'DISK_FULL' || error.outcome !== 'rejected' || !error.retryable) odd.add(error.code + ' ' + error.message)
      return false
    }
  }
  for (let cycle = 0; cycle < 5; cycle++) {
    let index = 0
    while (index < 5000 && refused < 3 * (cycle + 1)) {
      await Promise.all([0, 1, 2].map(part => one([cycle, index, part].join('-'), 700 + 100 * part)))
      index++
    }
    for await (const event of store.readAll({ direction: 'backwards', maxCount: 1 })) if (event.type !== acked.at(-1)) odd.add('another last event')
    giveRoom()
    if (!(await one('after-' + cycle, 300))) odd.add('it stays full')
  }
  await store.close()
  store = await EventStore.open(path, options)
  const found = []
  for await (const event of store.readAll()) found.push(event.type)
  await store.close()
  const same = JSON.stringify(found) === JSON.stringify(acked)
  say(same ? 'same' : 'other', acked.length > 20 ? 'many' : acked.length, refused > 10 ? 'refused' : refused, ...odd)`

describe('a disk that is really full', () => {
  test.skipIf(!canMount)('is filled five times, and freed: all acked is there, nothing that was refused', async () => {
    const room = `
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path])
      fs.writeFileSync(path + '/ballast', new Uint8Array(1_200_000))
      const giveRoom = () => fs.truncateSync(path + '/ballast', fs.statSync(path + '/ballast').size - 200_000)`
    for (const chunkSizeBytes of [16_384, 524_288]) {
      const script = fillAndGoOn(directory, `{ chunkSizeBytes: ${chunkSizeBytes} }`, room)
      const [said] = await new StoreProcess(script, ['unshare', '-m']).all()
      expect(said).toBe('same many refused')
    }
  })

  test.skipIf(!canMount)('a new store is refused, and made when there is room', async () => {
    const script = `
      import { execFileSync } from 'node:child_process'
      const path = ${JSON.stringify(directory)}
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path])
      await EventStore.open(path).catch(error => say(error.code))
      execFileSync('mount', ['-o', 'remount,size=4m', path])
      const store = await EventStore.open(path)
      await store.append('orders', { type: 'a', data: 1 })
      await store.close()
      say('open')`
    expect(await new StoreProcess(script, ['unshare', '-m']).all()).toEqual(['DISK_FULL', 'open'])
  })
})

describe('limits of the process', () => {
  test.skipIf(!canLimit)('a file that may not grow: short writes, then refusals; all acked is there', async () => {
    // The limit is on each file: the zeros ahead fit, and appends then meet it in the midst of a write.
    const path = join(directory, 'limited')
    const script = `
      const path = ${JSON.stringify(path)}
      const store = await EventStore.open(path)
      const acked = []
      const codes = new Set()
      for (let index = 0; index < 40; index++) {
        await store.append('orders', { type: String(index), data: new Uint8Array(20_000) }).then(() => acked.push(String(index)), error => codes.add(error.code + ' ' + error.outcome))
      }
      const found = []
      for await (const event of store.readAll()) found.push(event.type)
      await store.close()
      const again = await EventStore.open(path)
      const later = []
      for await (const event of again.readAll()) later.push(event.type)
      await again.close()
      say(JSON.stringify(found) === JSON.stringify(acked), JSON.stringify(later) === JSON.stringify(acked), acked.length > 5, ...codes)`
    const [said] = await new StoreProcess(script, ['prlimit', '--fsize=300000']).all()
    expect(said).toBe('true true true DISK_FULL rejected')
  })

  test.skipIf(!canLimit)('no descriptor left for the next chunk: refused, and retried when there is one', async () => {
    const path = join(directory, 'descriptors')
    const script = `
      import fs from 'node:fs'
      const path = ${JSON.stringify(path)}
      const store = await EventStore.open(path, { chunkSizeBytes: 4096 })
      const acked = []
      const append = type => store.append('orders', { type, data: new Uint8Array(1500) }).then(() => { acked.push(type); return 'acked' }, error => error.outcome + ' ' + error.retryable)
      await append('a')
      const taken = []
      try { for (;;) taken.push(fs.openSync('/dev/null', 'r')) } catch {}
      const told = []
      for (let index = 0; index < 6; index++) told.push(await append(String(index)))
      for (const descriptor of taken) fs.closeSync(descriptor)
      told.push(await append('after'))
      const found = []
      for await (const event of store.readAll()) found.push(event.type)
      await store.close()
      say(JSON.stringify(found) === JSON.stringify(acked), [...new Set(told)].sort().join(', '), told.at(-1))`
    const [said] = await new StoreProcess(script, ['prlimit', '--nofile=256']).all()
    expect(said).toBe('true acked, rejected true acked')
  })
})
