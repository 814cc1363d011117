import { describe, expect, test } from 'vitest'
import { StageQueue } from '../../src/queue/stage-queue.ts'
import { Random } from '../support/random.ts'

interface Message {
  readonly name: string
  readonly size: number
  readonly isFlushable: boolean
}

const write = (name: string, size = 10): Message => ({ name, size, isFlushable: true })
const check = (name: string): Message => ({ name, size: 0, isFlushable: false })

function queueOf(...messages: Message[]): StageQueue<Message> {
  const queue = new StageQueue<Message>(() => {})
  for (const message of messages) queue.push(message)
  return queue
}

describe('the queue of a stage', () => {
  test('gives messages in the order in which they came (KurrentDB 62)', () => {
    const queue = queueOf(write('a'), check('b'), write('c'))
    expect([queue.shift(), queue.shift(), queue.shift()].map(message => message!.name)).toEqual(['a', 'b', 'c'])
    expect(queue.shift()).toBeUndefined()
    expect(queue.peek()).toBeUndefined()
  })

  test('lets one look at the first without taking it', () => {
    const queue = queueOf(write('a'), write('b'))
    expect(queue.peek()!.name).toBe('a')
    expect(queue.length).toBe(2)
    expect(queue.shift()!.name).toBe('a')
  })

  test('tells its consumer of each message, when it is in', () => {
    const lengths: number[] = []
    const queue: StageQueue<Message> = new StageQueue<Message>(() => lengths.push(queue.length))
    queue.push(write('a'))
    queue.push(write('b'))
    expect(lengths).toEqual([1, 2])
  })

  test('may be emptied by its consumer while it is told', () => {
    const seen: string[] = []
    const queue: StageQueue<Message> = new StageQueue<Message>(() => seen.push(queue.shift()!.name))
    queue.push(write('a'))
    queue.push(write('b'))
    expect(seen).toEqual(['a', 'b'])
    expect(queue.length).toBe(0)
  })

  test('counts the bytes that wait, and the messages that must be flushed', () => {
    const queue = queueOf(write('a', 100), check('b'), write('c', 50))
    expect(queue).toMatchObject({ length: 3, bytes: 150, flushableCount: 2 })
    queue.shift()
    expect(queue).toMatchObject({ length: 2, bytes: 50, flushableCount: 1 })
    queue.shift()
    expect(queue).toMatchObject({ length: 1, bytes: 50, flushableCount: 1 })
    queue.shift()
    expect(queue).toMatchObject({ length: 0, bytes: 0, flushableCount: 0 })
  })

  test('remembers the most that ever waited', () => {
    const queue = queueOf(write('a'), write('b'), write('c'))
    for (const _ of 'abc') queue.shift()
    queue.push(write('d'))
    expect(queue.peak).toBe(3)
  })

  test('keeps order and counts through any coming and going (seed queue)', () => {
    const random = new Random('queue')
    const queue = queueOf()
    const model: Message[] = []
    for (let turn = 0; turn < 20_000; turn++) {
      if (random.chance(0.52)) {
        const message = random.chance(0.2) ? check(`${turn}`) : write(`${turn}`, random.int(1000))
        queue.push(message)
        model.push(message)
      } else expect(queue.shift()).toBe(model.shift())
      expect(queue.length).toBe(model.length)
    }
    expect(queue.bytes).toBe(model.reduce((sum, message) => sum + message.size, 0))
    expect(queue.flushableCount).toBe(model.filter(message => message.isFlushable).length)
  })
})
