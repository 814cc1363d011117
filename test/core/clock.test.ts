import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'

describe('the clock of the system', () => {
  test('calls back once, and not when it was cancelled', async () => {
    let called = 0
    const cancel = systemClock.after(1, () => called++)
    cancel()
    await new Promise<void>(resolve => {
      systemClock.after(2, () => resolve())
      // Timers of this clock do not keep the process alive, so something else must.
      const alive = setInterval(() => {}, 1000)
      systemClock.after(3, () => clearInterval(alive))
    })
    expect(called).toBe(0)
  })

  test('waits for long when the delay is longer than the system can count', async () => {
    let called = 0
    const cancels = [2 ** 31, 2 ** 40, Number.MAX_SAFE_INTEGER].map(delayMs => systemClock.after(delayMs, () => called++))
    await new Promise<void>(resolve => setTimeout(resolve, 20))
    expect(called).toBe(0)
    for (const cancel of cancels) cancel()
  })

  test('never goes back in durations, and tells the time in milliseconds since 1970', () => {
    const first = systemClock.monotonic()
    expect(systemClock.monotonic()).toBeGreaterThanOrEqual(first)
    expect(new Date(systemClock.now()).getUTCFullYear()).toBeGreaterThan(2020)
  })
})
