import { checkSignal } from './abort-signal.ts'
import { InvalidArgumentError } from './errors.ts'
import { checkOptionNames } from './option-names.ts'

const NAMES: ReadonlySet<string> = new Set(['signal', 'onProgress'])

/** Of long work, which can be ended and tells how far it is. What is wrong is told before any is done. @throws InvalidArgumentError */
export function checkWorkOptions(options: { readonly signal?: unknown; readonly onProgress?: unknown }): void {
  checkOptionNames(options, NAMES)
  checkSignal(options.signal)
  const { onProgress } = options
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new InvalidArgumentError('onProgress must be a function')
}
