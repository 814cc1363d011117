import { describe, expect, test } from 'vitest'
import { decodeName, encodeName, isHashed, journalNameOf } from '../../src/journals/journal-names.ts'
import { upTo } from '../store/words.ts'
import { Random } from '../support/random.ts'
import { anyName } from './scenes.ts'

describe('the file of a stream', () => {
  test.each([
    ['order-42', 'order-42'],
    ['Order_42.v1', 'Order_42.v1'],
    ['user/a', 'user%2Fa'],
    ['.', '%2E'],
    ['..', '%2E.'],
    ['../../etc/passwd', '%2E.%2F..%2Fetc%2Fpasswd'],
    ['-rf', '%2Drf'],
    ['$system', '%24system'],
    ['a b~c%', 'a%20b%7Ec%25'],
    ['größe', 'gr%C3%B6%C3%9Fe'],
    ['😀', '%F0%9F%98%80'],
  ])('%s is called %s', (stream, name) => {
    expect(journalNameOf(stream)).toBe(name)
    expect(decodeName(name)).toBe(stream)
    expect(isHashed(name)).toBe(false)
  })

  test('is called by its hash past 200 bytes', () => {
    expect(journalNameOf('x'.repeat(200))).toBe('x'.repeat(200))
    expect(journalNameOf('x'.repeat(201))).toMatch(/^x{120}~[0-9a-f]{64}$/)
    expect(journalNameOf(`${'x'.repeat(119)}${'ü'.repeat(30)}`)).toMatch(/^x{119}~[0-9a-f]{64}$/)
    expect(isHashed(journalNameOf('x'.repeat(201)))).toBe(true)
  })

  test.each(['', 'a/b', 'a%2fb', '%41', 'a%', '%FF', '%C3', '.a', 'a~b', 'ü'])('no stream is called %j', name => {
    expect(decodeName(name)).toBe(null)
  })

  test('is a name that every file system takes, and no other stream has (seed names)', () => {
    const random = new Random('names')
    const streams = new Set(upTo(2000).map(() => anyName(random, 1024)))
    const names = new Map([...streams].map(stream => [journalNameOf(stream), stream]))
    expect(names.size).toBe(streams.size)
    for (const [name, stream] of names) {
      expect(name).toMatch(/^[A-Za-z0-9_%][A-Za-z0-9_.%~-]*$/)
      expect(name.length).toBeLessThanOrEqual(200)
      expect(decodeName(encodeName(stream)), `seed ${random.seed}`).toBe(stream)
    }
  })
})
