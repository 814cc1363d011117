import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { listenTo, stopListening } from '../../src/core/abort-signal.ts'

type Tell = () => void

test('a signal tells everybody who still listens, in the order in which they came, with one listener', () => {
  const controller = new AbortController()
  const { signal } = controller
  const told: string[] = []
  const [first, second, third] = ['first', 'second', 'third'].map(name => () => void told.push(name)) as [Tell, Tell, Tell]
  for (const tell of [first, second, third]) listenTo(signal, tell)
  stopListening(signal, second)
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  controller.abort()
  expect(told).toEqual(['first', 'third'])
})

test('a signal to which nobody listens any more is left alone, and may be listened to again', () => {
  const controller = new AbortController()
  const { signal } = controller
  let toldCount = 0
  const tell: Tell = () => void toldCount++
  stopListening(signal, tell)
  for (let turn = 0; turn < 2; turn++) {
    listenTo(signal, tell)
    stopListening(signal, tell)
    stopListening(signal, tell)
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  }
  listenTo(signal, tell)
  controller.abort()
  expect(toldCount).toBe(1)
})
