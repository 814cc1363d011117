import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Journals } from '../../src/journals/journals.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { rejectionOf } from '../support/promises.ts'
import { order, orders, SMALL_CHUNKS } from './words.ts'

let base: string
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'tailrace-places-'))
})
afterEach(() => {
  rmSync(base, { recursive: true, force: true })
})

const places: [string, () => string][] = [
  ['is a link that leads nowhere', () => linkTo('missing')],
  ['is a link that leads round in a circle', () => linkTo('link')],
  ['is too long', () => join(base, 'n'.repeat(300))],
  ['lies where the kernel lets nobody make any', () => '/proc/tailrace'],
  ['is a file', () => fileAt('file')],
  ['lies in a file', () => join(fileAt('file'), 'store')],
]

function linkTo(target: string): string {
  symlinkSync(join(base, target), join(base, 'link'))
  return join(base, 'link')
}

function fileAt(name: string): string {
  writeFileSync(join(base, name), '')
  return join(base, name)
}

const refusalOf = (place: string) => ({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(place) })

describe.each(places)('a directory that %s', (_, make) => {
  test('is refused for a store, for a backup and for journals, in one line that names it', async () => {
    const place = make()
    const store = await EventStore.open(join(base, 'store'))
    await store.append('s', order(0))
    for (const attempt of [() => EventStore.open(place), () => store.backup(place), () => Journals.open(store, place)]) {
      const error = await rejectionOf(attempt())
      expect(error).toMatchObject(refusalOf(place))
      expect((error as Error).message).not.toContain('\n')
    }
    await store.close()
  })

  test('is refused by a store that only reads', async () => {
    const place = make()
    expect(await rejectionOf(EventStore.open(place, { readOnly: true }))).toMatchObject(refusalOf(place))
    expect(existsSync(join(place, 'lock'))).toBe(false)
  })
})

test('a relative path is refused where the working directory is gone', async () => {
  const home = process.cwd()
  const store = await EventStore.open(join(base, 'store'))
  mkdirSync(join(base, 'gone'))
  process.chdir(join(base, 'gone'))
  rmSync(join(base, 'gone'), { recursive: true })
  try {
    const attempts = [
      () => EventStore.open('data'),
      () => EventStore.open('data', { readOnly: true }),
      () => store.backup('data'),
      () => Journals.open(store, 'data'),
      () => Journals.verify(store, 'data'),
    ]
    for (const attempt of attempts) expect(await rejectionOf(attempt())).toMatchObject(refusalOf('data'))
  } finally {
    process.chdir(home)
  }
  await store.close()
})

test('an index file that the system does not open is refused in one line that names it', async () => {
  const directory = join(base, 'store')
  const store = await EventStore.open(directory, SMALL_CHUNKS)
  for (const event of orders(200)) await store.append('s', event)
  await store.close()
  const path = join(directory, readdirSync(directory).find(name => name.endsWith('.index'))!)
  renameSync(path, join(base, 'aside'))
  symlinkSync(join(base, 'aside'), path)
  for (const readOnly of [false, true]) {
    expect(await rejectionOf(EventStore.open(directory, { readOnly }))).toMatchObject(
      refusalOf(`'${path}'; links are not followed`),
    )
  }
})

test('a backup into the store itself is refused, by whatever way the path leads there; nothing is made', async () => {
  const directory = join(base, 'store')
  const store = await EventStore.open(directory)
  await store.append('s', order(0))
  const before = readdirSync(directory)
  symlinkSync(directory, join(base, 'link'))
  const inside = [directory, join(directory, 'copy'), join(base, 'link', 'a', 'b'), `${base}/another/../store/copy`]
  for (const place of inside) {
    expect(await rejectionOf(store.backup(place))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(`${place} lies in the store`),
    })
  }
  expect(readdirSync(directory)).toEqual(before)
  for (const place of ['copy', 'store-copy', '..copy']) await store.backup(join(base, place))
  await store.close()
})

describe.each<[string, (path: string) => void]>([
  ['a directory', mkdirSync],
  ['a pipe into which nobody writes', path => void execFileSync('mkfifo', [path])],
])('%s in the place of a file', (_, make) => {
  test('is refused at open, in one line that names it', async () => {
    const directory = join(base, 'store')
    const store = await EventStore.open(directory, SMALL_CHUNKS)
    for (const event of orders(200)) await store.append('s', event)
    await store.close()
    const chunks = readdirSync(directory).filter(name => name.endsWith('.chunk'))
    expect(chunks.length).toBeGreaterThan(3)
    for (const name of ['flushed', chunks[0]!, chunks.at(-1)!]) {
      const path = join(directory, name)
      renameSync(path, join(base, 'aside'))
      make(path)
      for (const readOnly of [false, true]) {
        const error = await rejectionOf(EventStore.open(directory, { readOnly }))
        expect(error).toMatchObject({
          code: 'INVALID_ARGUMENT',
          message: expect.stringContaining(`'${path}'; what stands there`),
        })
      }
      rmSync(path, { recursive: true })
      renameSync(join(base, 'aside'), path)
    }
    const again = await EventStore.open(directory)
    expect(await again.head('s')).toBe(199)
    await again.close()
  })

  test('is refused as a lock', async () => {
    mkdirSync(join(base, 'store'))
    const path = join(base, 'store', 'lock')
    make(path)
    const error = await rejectionOf(EventStore.open(join(base, 'store')))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(`'${path}'`) })
  })
})
