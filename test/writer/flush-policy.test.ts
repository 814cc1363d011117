import { describe, expect, test } from 'vitest'
import { FlushPolicy } from '../../src/writer/flush-policy.ts'
import { FlushStatistics } from '../../src/writer/flush-statistics.ts'
import { ManualClock } from '../support/manual-clock.ts'

function policyAt(flushDelayMs = 2) {
  const clock = new ManualClock()
  clock.advance(1000)
  return { clock, policy: new FlushPolicy(clock, flushDelayMs) }
}

describe('a flush', () => {
  test('is not due when nothing was written, however long', () => {
    const { clock, policy } = policyAt()
    expect(policy.due(0)).toBe(null)
    clock.advance(10_000)
    expect(policy.due(0)).toBe(null)
    expect(policy.due(5)).toBe(null)
  })

  test('is due when nothing that must be flushed waits any more', () => {
    const { policy } = policyAt()
    policy.wrote()
    expect(policy.due(1)).toBe(null)
    expect(policy.due(0)).toBe('drained')
  })

  test('is due while more waits when the oldest write has its age', () => {
    const { clock, policy } = policyAt(2)
    policy.wrote()
    clock.advance(1.9)
    policy.wrote()
    expect(policy.due(7)).toBe(null)
    clock.advance(0.1)
    expect(policy.due(7)).toBe('delay')
  })

  test('is due at once when the delay is 0', () => {
    const { policy } = policyAt(0)
    policy.wrote()
    expect(policy.due(7)).toBe('delay')
  })

  test('that began covers what was written: the next write has an age of its own', () => {
    const { clock, policy } = policyAt(2)
    policy.wrote()
    policy.began('drained')
    expect(policy.due(0)).toBe(null)
    clock.advance(100)
    policy.wrote()
    expect(policy.due(7)).toBe(null)
    expect(policy.due(0)).toBe('drained')
  })

  test('is not due for what was taken back', () => {
    const { clock, policy } = policyAt()
    policy.wrote()
    policy.undone()
    clock.advance(100)
    expect(policy.due(0)).toBe(null)
  })

  test('is counted by what set it off', () => {
    const { policy } = policyAt()
    policy.began('drained')
    policy.began('delay')
    policy.began('drained')
    expect(policy.triggers).toEqual({ drained: 2, delay: 1 })
  })
})

describe('statistics of flushes', () => {
  test('are zeros before the first', () => {
    const statistics = new FlushStatistics()
    expect(statistics).toMatchObject({ count: 0, maxMs: 0 })
    expect(statistics.percentileMs(0.5)).toBe(0)
  })

  test('know count, longest and percentiles', () => {
    const statistics = new FlushStatistics()
    for (let ms = 1; ms <= 100; ms++) statistics.record(ms)
    expect(statistics).toMatchObject({ count: 100, maxMs: 100 })
    expect(statistics.percentileMs(0.5)).toBe(51)
    expect(statistics.percentileMs(0.99)).toBe(100)
    expect(statistics.percentileMs(0)).toBe(1)
    expect(statistics.percentileMs(1)).toBe(100)
  })

  test('sort numbers, not texts', () => {
    const statistics = new FlushStatistics()
    for (const ms of [100, 9, 20]) statistics.record(ms)
    expect(statistics.percentileMs(0.5)).toBe(20)
  })

  test('take percentiles over the last 1,024, the longest over all', () => {
    const statistics = new FlushStatistics()
    statistics.record(999)
    for (let turn = 0; turn < 1024; turn++) statistics.record(1)
    expect(statistics).toMatchObject({ count: 1025, maxMs: 999 })
    expect(statistics.percentileMs(1)).toBe(1)
  })
})
