import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Journals } from '../../src/journals/journals.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { rejectionOf } from '../support/promises.ts'
import { order } from './words.ts'

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
