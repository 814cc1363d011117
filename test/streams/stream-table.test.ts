import { describe, expect, test } from 'vitest'
import { EventTable } from '../../src/streams/event-table.ts'
import { StreamEntry, StreamTable } from '../../src/streams/stream-table.ts'
import { upTo } from '../store/words.ts'
import { Random } from '../support/random.ts'

const utf8 = (name: string) => new Uint8Array(Buffer.from(name))

/** As the chaser asks: the name's bytes stand somewhere in a record. */
function byBytes(table: StreamTable, name: string): StreamEntry {
  const record = Buffer.concat([Buffer.from('before'), Buffer.from(name), Buffer.from('behind')])
  return table.byBytes(record, 6, Buffer.byteLength(name))
}

describe('the table of streams', () => {
  test('knows a stream by its name and by the bytes of its name: one and the same', () => {
    const table = new StreamTable()
    const entry = table.add('order-ü', utf8('order-ü'))
    expect(table.byName('order-ü')).toBe(entry)
    expect(byBytes(table, 'order-ü')).toBe(entry)
    expect(byBytes(table, 'order-ü')).toBe(entry)
    expect(table.size).toBe(1)
  })

  test('makes an entry for bytes that it sees for the first time', () => {
    const table = new StreamTable()
    const entry = byBytes(table, 'order-42')
    expect(entry).toMatchObject({ name: 'order-42', revision: -1, head: -1, eventCount: 0 })
    expect(Buffer.from(entry.nameBytes).toString()).toBe('order-42')
    expect(table.byName('order-42')).toBe(entry)
  })

  test('keeps nothing of the buffer in which the name stood', () => {
    const table = new StreamTable()
    const record = Buffer.from('order-42')
    const entry = table.byBytes(record, 0, 8)
    record.fill(0)
    expect(Buffer.from(entry.nameBytes).toString()).toBe('order-42')
    expect(byBytes(table, 'order-42')).toBe(entry)
  })

  test('tells names apart that begin alike, or differ in length only', () => {
    const table = new StreamTable()
    const names = ['a', 'aa', 'aaa', 'aab', 'b', 'A', ' a', 'a ', 'ä', 'a\u0308']
    const entries = names.map(name => byBytes(table, name))
    expect(new Set(entries).size).toBe(names.length)
    expect(entries.map(entry => entry.name)).toEqual(names)
  })

  test('tells names apart that have the same hash (KurrentDB 56)', () => {
    const table = new StreamTable()
    const seen = new Map<number, string>()
    let twins: [string, string] | null = null
    for (let number = 0; twins === null && number < 500_000; number++) {
      const name = `stream-${number}`
      const { hash } = new StreamTable().add(name, utf8(name))
      const other = seen.get(hash)
      if (other !== undefined) twins = [other, name]
      seen.set(hash, name)
    }
    expect(twins).not.toBe(null)
    const [one, other] = twins!.map(name => byBytes(table, name))
    expect(one!.hash).toBe(other!.hash)
    expect(one).not.toBe(other)
    for (const name of twins!) expect(byBytes(table, name).name).toBe(name)
  })

  test('grows with any number of streams, and finds each of them (seed names)', () => {
    const random = new Random('names')
    const table = new StreamTable()
    const entries = new Map<string, StreamEntry>()
    for (let turn = 0; turn < 30_000; turn++) {
      const name = `${'x'.repeat(random.int(40))}${random.int(8000)}`
      const entry = byBytes(table, name)
      expect(entries.get(name) ?? entry).toBe(entry)
      entries.set(name, entry)
    }
    expect(table.size).toBe(entries.size)
    expect([...table.entries()].length).toBe(entries.size)
  })

  test('forgets a stream that never came to be', () => {
    const table = new StreamTable()
    table.remove(table.add('order-42', utf8('order-42')))
    expect(table.byName('order-42')).toBeUndefined()
    expect(table.size).toBe(0)
  })
})

describe('the table of events', () => {
  test('gives the positions of each stream by revision', () => {
    const table = new EventTable()
    const [one, other] = ['one', 'other'].map(name => new StreamEntry(name, utf8(name), 0))
    for (const position of upTo(10)) table.add(position % 3 === 0 ? one! : other!, position * 100)
    expect(table.positionsOf(one!)).toEqual([0, 300, 600, 900])
    expect(table.positionsOf(other!)).toEqual([100, 200, 400, 500, 700, 800])
    expect(table.count).toBe(10)
    expect(one!.head).toBe(3)
  })

  test('gives what has come since, when it is asked again, in the same array', () => {
    const table = new EventTable()
    const entry = new StreamEntry('s', utf8('s'), 0)
    expect(table.positionsOf(entry)).toEqual([])
    table.add(entry, 128)
    const positions = table.positionsOf(entry)
    expect(positions).toEqual([128])
    table.add(entry, 256)
    table.add(entry, 384)
    expect(table.positionsOf(entry)).toBe(positions)
    expect(positions).toEqual([128, 256, 384])
  })

  test('grows with any number of events, whoever asks in between (seed events)', () => {
    const random = new Random('events')
    const table = new EventTable()
    const streams = upTo(50).map(number => ({ entry: new StreamEntry(`${number}`, utf8(`${number}`), 0), model: [] as number[] }))
    for (let position = 0; position < 20_000; position++) {
      const { entry, model } = random.pick(streams)
      table.add(entry, position * 2 ** 30)
      model.push(position * 2 ** 30)
      if (random.chance(0.01)) expect(table.positionsOf(entry)).toEqual(model)
    }
    for (const { entry, model } of streams) expect(table.positionsOf(entry)).toEqual(model)
  })
})
