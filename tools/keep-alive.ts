/** Longer than anybody waits; a timer can't be longer. */
const LONG_MS = 2 ** 31 - 1

/**
 * Keeps the process while a command waits for what may never come: the engine's own timers keep nobody alive.
 * @returns what ends that.
 */
export function keepAlive(): () => void {
  const timer = setInterval(() => {}, LONG_MS)
  return () => clearInterval(timer)
}
