import { InvalidArgumentError } from './errors.ts'

/**
 * A misspelt option would be passed over, and what it was to guard would go unguarded. Fields that are inherited are nobody's spelling.
 * @param what they are, for the error.
 * @throws InvalidArgumentError unless `options` is an object all of whose own fields bear one of these names.
 */
export function checkOptionNames(options: unknown, names: ReadonlySet<string>, what = 'option'): void {
  if (typeof options !== 'object' || options === null) throw new InvalidArgumentError('options must be an object')
  for (const name in options) {
    if (!names.has(name) && Object.hasOwn(options, name))
      throw new InvalidArgumentError(`unknown ${what} '${name}'; there are ${[...names].join(', ')}`)
  }
}
