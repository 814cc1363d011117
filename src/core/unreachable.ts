import { shown } from './json-text.ts'

/** The `default` of an exhaustive switch: a new kind breaks the build here. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${shown(value)}`)
}
