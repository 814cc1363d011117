import timers from 'node:timers'

/**
 * Those of Node, as they were when the engine was loaded. A test of the embedder's may replace them later, in the global object, in
 * `process` and in the module itself: the store's loops must go on under that.
 */
export const { clearTimeout, setImmediate, setTimeout } = timers
export const { nextTick } = process
