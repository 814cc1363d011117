import { InvalidArgumentError } from './errors.ts'

/**
 * A misspelt option would be passed over, and what it was to guard would go unguarded.
 * @throws InvalidArgumentError unless `options` is an object all of whose fields bear one of these names.
 */
export function checkOptionNames(options: unknown, names: ReadonlySet<string>): void {
  if (typeof options !== 'object' || options === null) throw new InvalidArgumentError('options must be an object')
  for (const name in options) {
    if (!names.has(name)) throw new InvalidArgumentError(`unknown option '${name}'; there are ${[...names].join(', ')}`)
  }
}
