/**
 * Whether an answer is still to come. `instanceof` does not tell: the embedder may have put another `Promise` in the place of the
 * global one (zone.js does), and what an async function returns is none of those.
 */
export function isPromise(answer: unknown): answer is Promise<unknown> {
  return typeof (answer as { then?: unknown } | null | undefined)?.then === 'function'
}
