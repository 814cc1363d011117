import { describe, expect, test } from 'vitest'
import { LogPosition } from '../../src/core/positions.ts'
import { Checkpoint } from '../../src/log/checkpoint.ts'

const at = LogPosition.of

describe('a checkpoint', () => {
  test('begins where it is told to, or at the start', () => {
    expect(new Checkpoint().position).toBe(0)
    expect(new Checkpoint(at(128)).position).toBe(128)
  })

  test('only advances: to go back is a fault of the program', () => {
    const checkpoint = new Checkpoint(at(128))
    checkpoint.advance(at(256))
    expect(() => checkpoint.advance(at(255))).toThrow(/went back from 256 to 255/)
    expect(checkpoint.position).toBe(256)
  })

  test('calls its followers in the order in which they began to follow', () => {
    const checkpoint = new Checkpoint()
    const calls: string[] = []
    checkpoint.follow(() => calls.push('first'))
    checkpoint.follow(() => calls.push('second'))
    checkpoint.advance(at(1))
    expect(calls).toEqual(['first', 'second'])
  })

  test('calls nobody when it stays where it is', () => {
    const checkpoint = new Checkpoint(at(128))
    let calls = 0
    checkpoint.follow(() => calls++)
    checkpoint.advance(at(128))
    expect(calls).toBe(0)
  })

  test('has moved already when its followers are called', () => {
    const checkpoint = new Checkpoint()
    const seen: number[] = []
    checkpoint.follow(() => seen.push(checkpoint.position))
    checkpoint.advance(at(10))
    checkpoint.advance(at(20))
    expect(seen).toEqual([10, 20])
  })

  test('leaves out who has ended to follow, also in the middle of a call, and also twice', () => {
    const checkpoint = new Checkpoint()
    const calls: string[] = []
    const end = checkpoint.follow(() => {
      calls.push('once')
      end()
      end()
    })
    checkpoint.follow(() => calls.push('always'))
    checkpoint.advance(at(1))
    checkpoint.advance(at(2))
    expect(calls).toEqual(['once', 'always', 'always'])
  })

  test('moved on by a follower tells all of them of the newest position', () => {
    const checkpoint = new Checkpoint()
    const seen: number[] = []
    checkpoint.follow(() => {
      if (checkpoint.position === 1) checkpoint.advance(at(2))
    })
    checkpoint.follow(() => seen.push(checkpoint.position))
    checkpoint.advance(at(1))
    expect(seen.at(-1)).toBe(2)
    expect(seen).not.toContain(1)
  })
})
