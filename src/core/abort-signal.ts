import { InvalidArgumentError } from './errors.ts'

/** Who is to be told, in the order in which they came. */
const listeners = new WeakMap<AbortSignal, Set<() => void>>()

/** @throws InvalidArgumentError unless it is a signal, or there is none. */
export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new InvalidArgumentError('signal must be an AbortSignal')
}

/**
 * Calls `onAbort` when the signal is aborted, unless `stopListening` came first. The signal has one listener for all of them: it may
 * stand for everything that a program does, and behind the tenth listener Node warns of a leak where there is none.
 */
export function listenTo(signal: AbortSignal, onAbort: () => void): void {
  const others = listeners.get(signal)
  if (others !== undefined) {
    others.add(onAbort)
    return
  }
  listeners.set(signal, new Set([onAbort]))
  signal.addEventListener('abort', tellAll)
}

/** Who never listened, or does not any more, may call it, too. */
export function stopListening(signal: AbortSignal, onAbort: () => void): void {
  const left = listeners.get(signal)
  left?.delete(onAbort)
  if (left?.size !== 0) return
  listeners.delete(signal)
  signal.removeEventListener('abort', tellAll)
}

function tellAll({ target }: Event): void {
  for (const onAbort of listeners.get(target as AbortSignal)!) onAbort()
}
